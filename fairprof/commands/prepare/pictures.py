"""Pictures of an audit: who is in the data, what is missing, what goes together, sizes, and gaps that could be seen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fairprof.commands.prepare.audit import LARGEST, PERFECT, SMALLEST, Audit
from fairprof.commands.prepare.counts import UNKNOWN
from fairprof.data.pool import Pool
from fairprof.inference.planning import POWER
from fairprof.metrics.fairness import ATTRIBUTES, MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.reporting.chart import (
    LETTERS,
    MOST_ROWS,
    drawn,
    finished,
    intervals,
    largest_of,
    left_out,
    line,
    mark,
    plain,
)
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.names import name_of, short_gap_name
from fairprof.reporting.style import (
    HOLLOW,
    INK,
    LARGE,
    NARROW,
    NORMAL,
    NULL,
    NULL_MEAN,
    PALE,
    PALETTE,
    SHARES,
    SMALL,
    TINY,
    WIDTH,
    Style,
    ink_on,
)
from fairprof.reporting.wording import NOTHING, UNDEFINED, count, p_value, percent

IMPOSSIBLE = PALETTE[5]
TICK_LETTERS = 18  # of a category beside its row or below its column
WRITTEN = 12  # categories up to which a share is written into its square


def figures_of(audit: Audit) -> dict[str, Figure]:
    """Every picture that the audit has data for, by name."""
    tables, figures = audit.tables, {}
    if audit.pool is not None:
        figures["composition"] = composition(audit.pool, audit.data_kind)
        figures["sizes"] = sizes_figure(tables["sizes"])
        figures["two_way"] = two_way_figure(tables["two_way"])
        figures["associations"] = associations_figure(tables["associations"])
    if "noise_floors" in tables:
        figures["noise_floors"] = noise_floors_figure(tables["noise_floors"], tables["gaps_in_the_data"])
    if audit.quarantined and tables["quarantine_by_group"]["group"].ne(UNKNOWN).any():
        figures["quarantine"] = quarantine_figure(tables["quarantine_by_group"])
    return figures


def composition(pool: Pool, data_kind: str) -> Figure:
    """Images per race x gender, stacked by profession, a panel for each partition."""
    table = pool.table
    partitions = pd.Categorical(table["partition"], ["train", "val", "test"])
    axes = ["partition", "profession", "race", "gender"]
    counts = table.assign(partition=partitions).groupby(axes, observed=False).size().reset_index(name="count")
    return composition_figure(counts, f"{data_kind}: every usable image")


def two_way_figure(two_way: pd.DataFrame) -> Figure:
    """A panel for every two attributes: how the images of each category of the first spread over the second."""
    pairs = list(dict.fromkeys(zip(two_way["first"], two_way["second"], strict=True)))
    heights = [max(_categories(two_way, pair[0]) for pair in line) for line in (pairs[:3], pairs[3:])]
    figure = Figure(figsize=(WIDTH, 2.6 + 0.3 * sum(heights)), layout="constrained")
    panels = figure.subplots(2, 3, height_ratios=[height + 1 for height in heights])
    for axis, (first, second) in zip(panels.flat, pairs, strict=True):
        counts = two_way[two_way["first"].eq(first) & two_way["second"].eq(second)]
        counts = _largest_categories(counts)
        shares = _wide(counts, "share_of_first")
        largest = max(float(np.nanmax(shares.to_numpy())), 0.01)
        axis.imshow(shares, cmap=SHARES, vmin=0, vmax=largest, aspect="auto")
        _write(axis, shares, _wide(counts, "count"), largest)
        axis.set_xticks(range(shares.shape[1]), _names(shares.columns), rotation=35, ha="right", fontsize=TINY)
        axis.set_yticks(range(shares.shape[0]), _names(shares.index), fontsize=TINY)
        axis.set_title(f"{second} within each {first}", fontsize=NORMAL)
    there = int(two_way.groupby("first")["first_category"].nunique().max())
    title = "Shares within each row; rows that look alike do not depend on what the row is"
    figure.suptitle(title + left_out(min(there, MOST_ROWS), there, "categories"), fontsize=LARGE)
    return figure


def _largest_categories(counts: pd.DataFrame) -> pd.DataFrame:
    for category in ("first_category", "second_category"):
        sizes = counts.groupby(category, sort=False)["count"].sum()
        counts = counts[counts[category].isin(largest_of(sizes, MOST_ROWS))]
    return counts


def _categories(two_way: pd.DataFrame, first: str) -> int:
    return min(MOST_ROWS, two_way.loc[two_way["first"].eq(first), "first_category"].nunique())


def _wide(counts: pd.DataFrame, values: str) -> pd.DataFrame:
    rows, columns = counts["first_category"].unique(), counts["second_category"].unique()
    return counts.pivot(index="first_category", columns="second_category", values=values).loc[rows, columns]


def _write(axis: Axes, shares: pd.DataFrame, counts: pd.DataFrame, largest: float) -> None:
    if max(shares.shape) > WRITTEN:
        return
    for row, column in np.ndindex(shares.shape):
        share = shares.iloc[row, column]
        text = "0" if counts.iloc[row, column] == 0 else NOTHING if np.isnan(share) else percent(share, ".0f")
        axis.text(column, row, text, ha="center", va="center", fontsize=TINY, color=ink_on(share / largest))


def _names(categories: pd.Index) -> list[str]:
    return [drawn(name, TICK_LETTERS) for name in categories]


def associations_figure(associations: pd.DataFrame) -> Figure:
    """Cramer's V of every two attributes with its interval."""
    names = [f"{row.first} – {row.second}" for row in associations.itertuples()]
    figure = Figure(figsize=(NARROW, 0.42 * len(names) + 1.7), layout="constrained")
    axis, places = figure.subplots(), np.arange(len(names))
    intervals(axis, associations["lower"], associations["upper"], places, PALETTE[0])
    axis.plot(associations["cramers_v"], places, "o", color=PALETTE[0], clip_on=False, in_layout=False)
    axis.plot(associations["through_age"], places, "|", color=PALETTE[1], markersize=13)
    for place in places[associations["cramers_v"].isna()]:
        axis.text(0.01, place, UNDEFINED, va="center", fontsize=SMALL)
    _rows(axis, names)
    axis.set_xlim(0, max(0.3, 1.08 * associations["upper"].max(skipna=True)))
    axis.set_xlabel("Cramér's V: 0 is independence, 1 is that one determines the other", fontsize=SMALL)
    handles = [
        mark("Cramér's V", color=PALETTE[0], markersize=6),
        line("95 % interval", color=PALETTE[0]),
        mark("what goes through the age", color=PALETTE[1], marker="|", markersize=13),
    ]
    return finished(figure, "What goes together in the data, before any model", handles)


def _rows(axis: Axes, names: Sequence[str]) -> None:
    """A row for each name, from the top."""
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_yticks(range(len(names)), names)
    plain(axis, "x")


def sizes_figure(sizes: pd.DataFrame) -> Figure:
    """Training images of every design; what limits it is written beside its bar."""
    reasons = sizes.groupby(["imbalance", "design"])["reason"].agg(lambda given: next(filter(None, given), ""))
    train = sizes[sizes["partition"].eq("train")]
    train = train.drop(columns="reason").join(reasons, on=["imbalance", "design"])
    figure = Figure(figsize=(WIDTH, 0.62 * len(train) + 1.6), layout="constrained")
    axis = figure.subplots()
    largest = max(float(train[["images", "images_if_filled"]].max().max()), 1.0)
    for place, row in enumerate(train.itertuples()):
        if row.images_if_filled > row.images:
            axis.barh(place, row.images_if_filled, color=HOLLOW, edgecolor=PALE, linestyle="--", height=0.62)
        axis.barh(place, row.images, color=IMPOSSIBLE if row.reason else PALETTE[0], height=0.62)
        axis.plot([row.matched] * 2, [place - 0.31, place + 0.31], color=INK, linewidth=2)
        beyond = max(row.images, row.images_if_filled or 0, 0) + 0.01 * largest
        axis.text(beyond, place, _limit(row), va="center", fontsize=SMALL)
    names = [
        row.design if row.imbalance == "natural" else f"{row.design}, imbalance {row.imbalance}"
        for row in train.itertuples()
    ]
    _rows(axis, names)
    axis.set_xlim(0, 1.75 * largest)
    axis.set_xlabel("training images", fontsize=SMALL)
    handles = [
        Patch(color=PALETTE[0], label="as large as the data allow"),
        Patch(facecolor=HOLLOW, edgecolor=PALE, linestyle="--", label="if the limiting cell were filled up"),
        mark("train_size=matched", color=INK, marker="|", markersize=11, markeredgewidth=2),
    ]
    return finished(figure, "How large the designs would be, and what limits each", handles)


def _limit(row) -> str:
    if row.reason:
        return f"impossible: {drawn(row.reason, 80)}"
    filled = f", {count(row.images_if_filled)} if filled up" if row.images_if_filled > row.images else ""
    return f"{row.images:,} ({drawn(row.limiting_cell, 3 * LETTERS)}: {row.limiting_count:,}{filled})"


def noise_floors_figure(floors: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """For DP and EO by every attribute: what chance makes, what would be found, and what lies in the data."""
    largest = floors[floors["class"].eq(MAX_OVER_CLASSES) & floors["metric"].isin(PARITY_DIFFERENCES)]
    figure = Figure(figsize=(NARROW, 4.4), layout="constrained")
    axis = figure.subplots()
    names = []
    cross: Style = {"markersize": 8, "markeredgewidth": 2}
    for place, (metric, attribute) in enumerate((m, a) for m in PARITY_DIFFERENCES for a in ATTRIBUTES):
        row = largest[largest["metric"].eq(metric) & largest["attribute"].eq(attribute)].iloc[0]
        names.append(short_gap_name(metric, attribute))
        axis.barh(place, row["null_q95"], color=NULL, height=0.6)
        axis.plot([row["null_mean"]] * 2, [place - 0.3, place + 0.3], color=NULL_MEAN, linewidth=2)
        axis.plot(row["detectable_largest"], place, "D", color=PALETTE[0], markersize=6)
        axis.plot(row["detectable_smallest"], place, "D", markerfacecolor=HOLLOW, color=PALETTE[0], markersize=6)
        same = gaps[gaps["metric"].eq(metric) & gaps["attribute"].eq(attribute)].set_index("prediction")["value"]
        ends = [same.get(SMALLEST, np.nan), same.get(LARGEST, np.nan)]
        axis.plot(ends, [place] * 2, "x-", color=PALETTE[1], clip_on=False, **cross)
        if metric == PARITY_DIFFERENCES[0]:  # of a perfect prediction, the other is 0
            axis.plot(same.get(PERFECT, np.nan), place, "+", color=PALETTE[2], clip_on=False, **cross)
    _rows(axis, names)
    axis.set_xlim(0, 1)
    axis.set_xlabel("gap, the largest over the classes (0 is ideal)", fontsize=SMALL)
    power = percent(POWER, "g")
    handles = [
        Patch(color=NULL, label="chance alone: up to the 95 % quantile"),
        mark("chance alone: mean", color=NULL_MEAN, marker="|", markersize=11, markeredgewidth=2),
        mark(f"found with {power}, two largest groups", color=PALETTE[0], marker="D"),
        mark("the same, two smallest", color=PALETTE[0], marker="D", markerfacecolor=HOLLOW),
        mark("in the data: nearly the best rules", color=PALETTE[1], marker="x", markeredgewidth=2, linestyle="-"),
        mark("in the data: labels themselves", color=PALETTE[2], marker="+", markeredgewidth=2),
    ]
    return finished(figure, "Which gaps the test images could show", handles)


def quarantine_figure(by_group: pd.DataFrame) -> Figure:
    """Share of quarantined rows of every known group with its interval, a panel for each attribute."""
    known = by_group[by_group["group"].ne(UNKNOWN)]
    there = len(known)
    known = known[known.groupby("attribute")["rows"].rank(method="first", ascending=False) <= MOST_ROWS]
    sizes = known.groupby("attribute", sort=False).size()
    figure = Figure(figsize=(NARROW, 0.27 * sizes.sum() + 0.9 * len(sizes) + 0.6), layout="constrained")
    panels = figure.subplots(len(sizes), 1, sharex=True, squeeze=False, height_ratios=sizes + 1)[:, 0]
    for axis, (attribute, table) in zip(panels, known.groupby("attribute", sort=False), strict=True):
        places = np.arange(len(table))
        intervals(axis, 100 * table["lower"], 100 * table["upper"], places, PALETTE[0])
        axis.plot(100 * table["share"], places, "o", color=PALETTE[0], markersize=5)
        _rows(axis, [f"{drawn(row.group)} ({row.quarantined:,} of {row.rows:,})" for row in table.itertuples()])
        adjusted = table["p_holm"].iloc[0]
        test = f": equal shares, adjusted {p_value(adjusted)}" if np.isfinite(adjusted) else ""
        axis.set_title(f"by {name_of(attribute)}{test}", fontsize=NORMAL)
    panels[-1].set_xlim(left=0)
    panels[-1].set_xlabel("rows in quarantine, %, with 95 % interval (lower is better)", fontsize=SMALL)
    figure.suptitle("Whose images are lost" + left_out(len(known), there, "groups"), fontsize=LARGE)
    return figure
