"""Pictures of an audit: who is in the data, what is missing, what goes together, sizes, and gaps that could be seen."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairprof.commands.prepare.audit import BEST, PERFECT, Audit
from fairprof.commands.prepare.counts import UNKNOWN
from fairprof.metrics.fairness import ATTRIBUTES, MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.names import name_of, short_gap_name
from fairprof.reporting.style import GRID, PALETTE
from fairprof.reporting.wording import count, p_value, percent

IMPOSSIBLE = PALETTE[5]
WRITTEN = 12  # categories up to which a cell's share is written into it


def figures_of(audit: Audit) -> dict[str, Figure]:
    """Every picture that the audit has data for, by name."""
    tables, figures = audit.tables, {}
    if audit.pool is not None:
        figures["composition"] = composition(audit)
        figures["sizes"] = sizes_figure(tables["sizes"])
        figures["two_way"] = two_way_figure(tables["two_way"])
        figures["associations"] = associations_figure(tables["associations"])
    if "noise_floors" in tables:
        figures["noise_floors"] = noise_floors_figure(tables["noise_floors"], tables["gaps_in_the_data"])
    if audit.quarantined and tables["quarantine_by_group"]["group"].ne(UNKNOWN).any():
        figures["quarantine"] = quarantine_figure(tables["quarantine_by_group"])
    return figures


def composition(audit: Audit) -> Figure:
    """Images per race x gender, stacked by profession, a panel for each partition."""
    table = audit.pool.table
    partitions = pd.Categorical(table["partition"], ["train", "val", "test"])
    axes = ["partition", "profession", "race", "gender"]
    counts = table.assign(partition=partitions).groupby(axes, observed=False).size().reset_index(name="count")
    return composition_figure(counts, f"{audit.data_kind}: every usable image")


def two_way_figure(two_way: pd.DataFrame) -> Figure:
    """A panel for every two attributes: how the images of each category of the first spread over the second."""
    pairs = list(dict.fromkeys(zip(two_way["first"], two_way["second"], strict=True)))
    heights = [max(_categories(two_way, pair[0]) for pair in line) for line in (pairs[:3], pairs[3:])]
    figure = Figure(figsize=(12.5, 2.6 + 0.3 * sum(heights)), layout="constrained")
    panels = figure.subplots(2, 3, height_ratios=[height + 1 for height in heights])
    for axis, (first, second) in zip(panels.flat, pairs, strict=True):
        cells = two_way[two_way["first"].eq(first) & two_way["second"].eq(second)]
        shares = _wide(cells, "share_of_first")
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=max(float(np.nanmax(shares.to_numpy())), 0.01), aspect="auto")
        _write(axis, shares, _wide(cells, "count"))
        axis.set_xticks(range(shares.shape[1]), map(_short, shares.columns), rotation=35, ha="right", fontsize=7)
        axis.set_yticks(range(shares.shape[0]), map(_short, shares.index), fontsize=7)
        axis.set_title(f"{second} within each {first}", fontsize=9)
    figure.suptitle("shares within each row; rows that look alike do not depend on what the row is", fontsize=10)
    return figure


def _categories(two_way: pd.DataFrame, first: str) -> int:
    return two_way.loc[two_way["first"].eq(first), "first_category"].nunique()


def _wide(cells: pd.DataFrame, values: str) -> pd.DataFrame:
    rows, columns = cells["first_category"].unique(), cells["second_category"].unique()
    return cells.pivot(index="first_category", columns="second_category", values=values).loc[rows, columns]


def _write(axis: Axes, shares: pd.DataFrame, counts: pd.DataFrame) -> None:
    if max(shares.shape) > WRITTEN:
        return
    largest = np.nanmax(shares.to_numpy())
    for row, column in np.ndindex(shares.shape):
        share = shares.iloc[row, column]
        text = "0" if counts.iloc[row, column] == 0 else "–" if np.isnan(share) else percent(share, ".0f")
        colour = "white" if share > 0.6 * largest else "#222222"
        axis.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)


def _short(name: str) -> str:
    return textwrap.shorten(str(name), 18, placeholder="…")


def associations_figure(table: pd.DataFrame) -> Figure:
    """Cramer's V of every two attributes with its interval."""
    names = [f"{row.first} – {row.second}" for row in table.itertuples()]
    figure = Figure(figsize=(8, 0.42 * len(table) + 1.6), layout="constrained")
    axis, places = figure.subplots(), np.arange(len(table))
    axis.hlines(places, table["lower"], table["upper"], color=PALETTE[0], linewidth=2)
    axis.plot(table["cramers_v"], places, "o", color=PALETTE[0], label="Cramér's V, 95 % interval")
    axis.plot(table["through_age"], places, "|", color=PALETTE[1], markersize=13, label="what goes through the age")
    for place in places[table["cramers_v"].isna()]:
        axis.text(0.01, place, "undefined", va="center", fontsize=8)
    axis.set(
        yticks=places,
        ylim=(len(table) - 0.5, -0.5),
        xlim=(0, max(0.3, 1.08 * table["upper"].max(skipna=True))),
    )
    axis.set_yticklabels(names, fontsize=9)
    axis.set_xlabel("Cramér's V: 0 is independence, 1 is that one determines the other", fontsize=9)
    axis.grid(axis="x", **GRID)
    axis.legend(fontsize=8)
    figure.suptitle("what goes together in the data, before any model", fontsize=10)
    return figure


def sizes_figure(sizes: pd.DataFrame) -> Figure:
    """Training images of every design; what limits it is written beside its bar."""
    reasons = sizes.groupby(["imbalance", "design"])["reason"].agg(lambda told: next(filter(None, told), ""))
    train = sizes[sizes["partition"].eq("train")]
    train = train.drop(columns="reason").join(reasons, on=["imbalance", "design"])
    figure = Figure(figsize=(11, 0.62 * len(train) + 1.5), layout="constrained")
    axis = figure.subplots()
    largest = max(float(train[["images", "images_if_filled"]].max().max()), 1.0)
    for place, row in enumerate(train.itertuples()):
        if row.images_if_filled > row.images:
            axis.barh(place, row.images_if_filled, color="white", edgecolor="#9aa5b4", linestyle="--", height=0.62)
        axis.barh(place, row.images, color=IMPOSSIBLE if row.reason else PALETTE[0], height=0.62)
        axis.plot([row.matched] * 2, [place - 0.31, place + 0.31], color="#111111", linewidth=2)
        axis.text(
            max(row.images, row.images_if_filled or 0, 0) + 0.01 * largest, place, _limit(row), va="center", fontsize=8
        )
    names = [
        row.design if row.imbalance == "natural" else f"{row.design}, imbalance {row.imbalance}"
        for row in train.itertuples()
    ]
    axis.set(yticks=range(len(train)), ylim=(len(train) - 0.5, -0.5), xlim=(0, 1.75 * largest))
    axis.set_yticklabels(names, fontsize=9)
    axis.set_xlabel("training images", fontsize=9)
    axis.grid(axis="x", **GRID)
    axis.set_axisbelow(True)
    handles = [
        Line2D([], [], color=PALETTE[0], linewidth=8, label="as large as the data allow"),
        Line2D([], [], color="#9aa5b4", linewidth=1.2, linestyle="--", label="if the limiting cell were filled up"),
        Line2D([], [], color="#111111", linewidth=2, label="train_size=matched"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle("how large the designs would be, and what limits each", fontsize=10)
    return figure


def _limit(row) -> str:
    if row.reason:
        return f"impossible: {textwrap.shorten(row.reason, 80, placeholder=' …')}"
    filled = f", {count(row.images_if_filled)} if filled up" if row.images_if_filled > row.images else ""
    return f"{row.images:,} ({row.limiting_cell}: {row.limiting_count:,}{filled})"


def noise_floors_figure(floors: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """For DP and EO by every attribute: what chance makes, what would be found, and what lies in the data."""
    largest = floors[floors["class"].eq(MAX_OVER_CLASSES) & floors["metric"].isin(PARITY_DIFFERENCES)]
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    axis = figure.subplots()
    names, cross = [], {"markersize": 8, "markeredgewidth": 2}
    for place, (metric, attribute) in enumerate((m, a) for m in PARITY_DIFFERENCES for a in ATTRIBUTES):
        row = largest[largest["metric"].eq(metric) & largest["attribute"].eq(attribute)].iloc[0]
        names.append(short_gap_name(metric, attribute))
        axis.barh(place, row["null_q95"], color="#d5dae2", height=0.6)
        axis.plot([row["null_mean"]] * 2, [place - 0.3, place + 0.3], color="#5f6b7a", linewidth=1.5)
        axis.plot(row["detectable_largest"], place, "D", color=PALETTE[0], markersize=6)
        axis.plot(row["detectable_smallest"], place, "D", markerfacecolor="white", color=PALETTE[0], markersize=6)
        same = gaps[gaps["metric"].eq(metric) & gaps["attribute"].eq(attribute)].set_index("prediction")["value"]
        axis.plot(same.get(BEST, np.nan), place, "x", color=PALETTE[1], clip_on=False, **cross)
        if metric == PARITY_DIFFERENCES[0]:  # of a perfect prediction, the other is 0
            axis.plot(same.get(PERFECT, np.nan), place, "+", color=PALETTE[2], clip_on=False, **cross)
    axis.set(yticks=range(len(names)), ylim=(len(names) - 0.5, -0.5), xlim=(0, 1))
    axis.set_yticklabels(names, fontsize=9)
    axis.set_xlabel("gap, largest over the classes (0 is ideal)", fontsize=9)
    axis.grid(axis="x", **GRID)
    axis.set_axisbelow(True)
    marks = {"linestyle": "", "markersize": 7}
    handles = [
        Line2D([], [], color="#d5dae2", linewidth=8, label="chance alone: up to the 95 % quantile"),
        Line2D([], [], color="#5f6b7a", linewidth=1.5, label="chance alone: mean"),
        Line2D([], [], marker="D", color=PALETTE[0], label="found with 80 %, two largest groups", **marks),
        Line2D([], [], marker="D", color=PALETTE[0], markerfacecolor="white", label="the same, two smallest", **marks),
        Line2D([], [], marker="x", color=PALETTE[1], markeredgewidth=2, label="in the data: best prediction", **marks),
        Line2D(
            [], [], marker="+", color=PALETTE[2], markeredgewidth=2, label="in the data: labels themselves", **marks
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle("which gaps the test images could show", fontsize=10)
    return figure


def quarantine_figure(by_group: pd.DataFrame) -> Figure:
    """Share of quarantined rows of every known group with its interval, a panel for each attribute."""
    known = by_group[by_group["group"].ne(UNKNOWN)]
    sizes = known.groupby("attribute", sort=False).size()
    figure = Figure(figsize=(8.5, 0.27 * sizes.sum() + 0.9 * len(sizes) + 0.6), layout="constrained")
    panels = figure.subplots(len(sizes), 1, sharex=True, squeeze=False, height_ratios=sizes + 1)[:, 0]
    for axis, (attribute, table) in zip(panels, known.groupby("attribute", sort=False), strict=True):
        places = np.arange(len(table))
        axis.hlines(places, 100 * table["lower"], 100 * table["upper"], color=PALETTE[0], linewidth=2)
        axis.plot(100 * table["share"], places, "o", color=PALETTE[0], markersize=5)
        names = [f"{row.group} ({row.quarantined:,} of {row.rows:,})" for row in table.itertuples()]
        axis.set(yticks=places, ylim=(len(table) - 0.5, -0.5))
        axis.set_yticklabels(names, fontsize=8)
        adjusted = table["p_holm"].iloc[0]
        axis.set_title(
            f"by {name_of(attribute)}: equal shares, adjusted {p_value(adjusted)}"
            if np.isfinite(adjusted)
            else f"by {name_of(attribute)}",
            fontsize=9,
        )
        axis.grid(axis="x", **GRID)
    panels[-1].set_xlim(left=0)
    panels[-1].set_xlabel("rows in quarantine, %, with 95 % interval (lower is better)", fontsize=9)
    figure.suptitle("whose images are lost", fontsize=10)
    return figure
