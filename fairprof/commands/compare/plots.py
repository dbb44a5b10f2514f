"""Pictures of a comparison: functions of its tables.

Every design has one colour and one mark in all of them. Titles say what is seen and which direction is better, and
how many seeds are behind it. What is undefined is named and never drawn as a number. The order of the designs in a
table changes nothing; groups and classes keep theirs. Where a picture is of one arm, it is the table's first, the main
one: for another, give its rows alone.
"""

import itertools
import textwrap
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fairprof.commands.compare.claims import METRICS
from fairprof.inference.groups import CONFIDENCE, CONFIRMATORY_GAPS, MAX_OVER_CLASSES, MEAN_OVER_CLASSES
from fairprof.measurement.pictures import GRID, PALETTE
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, SCORES
from fairprof.reporting.wording import attribute_name

# Told apart with every kind of colour blindness (a test simulates them); the reference is dark.
DESIGN_COLOURS = {"A": "#2b2b2b", "B": PALETTE[1], "C": PALETTE[2], "D": PALETTE[3], "E": "#8fc3e8"}
DESIGN_MARKERS = {"A": "o", "B": "s", "C": "^", "D": "D", "E": "v"}

METRIC_NAMES = METRICS | {"loss": "loss"}

WIDTH = 12.0  # inches: 1,320 pixels at 110 dpi
ROW = 0.25  # inches a row of a chart
SMALL, NORMAL, LARGE = 8, 9, 11  # points
BAND = "#f0f0f0"
NULL = "#cfd6df"
NULL_MEAN = "#7d8896"
LEVELLED = "#fbd9c6"
UNDEFINED = "#d5d5d5"
MATRIX_GAPS = 0.7, 1.4  # between confusion matrices, beside and below each other, in cells
CEILING = {"color": PALETTE[5], "linewidth": 1.5, "linestyle": "--"}
FRONT = {"color": PALETTE[5], "linewidth": 1.2, "linestyle": "--"}
FRONT_EDGE = {"markeredgecolor": PALETTE[5], "markeredgewidth": 2}
MARGIN = {"color": "#555555", "linewidth": 0.9, "linestyle": ":", "zorder": 1}
ZERO = {"color": "#555555", "linewidth": 1.2, "zorder": 1}
SINGLE = {"markersize": 4, "alpha": 0.5}
INTERVAL = f"{CONFIDENCE:.0%} interval over seeds and test images"


# Scores.


def performance_figure(performance: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """Accuracy, balanced accuracy and macro-F1 of every design and arm: mean, interval, single seeds and the ceiling.

    performance, runs: the comparison's tables of these names. All arms are shown.
    """
    rows = _Rows.of({arm: _designs(part) for arm, part in performance.groupby("arm", sort=False)})
    figure = Figure(figsize=(WIDTH, rows.inches + 1.6), layout="constrained")
    for axis, score in zip(figure.subplots(1, len(SCORES), sharey=True), SCORES, strict=True):
        shown = performance[performance["metric"].eq(score)]
        rows.draw(axis, {arm: f"training set: {arm}" for arm in rows.headings})
        for row in shown.to_dict("records"):
            place, design = rows.places[row["arm"], row["design"]], row["design"]
            _seed_points(axis, runs.loc[runs["arm"].eq(row["arm"]) & runs["design"].eq(design), score], place, design)
            _interval(axis, row["lower"], row["upper"], place, design)
            axis.plot(row["value"], place, **_style(design), markersize=7)
            _beside(axis, place, "undefined" if np.isnan(row["value"]) else f"{row['value']:.3f}")
        ceilings = _known(shown["ceiling"])
        for ceiling in ceilings:
            axis.axvline(ceiling, **CEILING)
        known = f"ceiling {_span(ceilings, '.3f')}" if len(ceilings) else "ceiling unknown"
        axis.set_title(f"{METRIC_NAMES[score]}; {known}", fontsize=NORMAL)
        axis.set_xlabel(f"{METRIC_NAMES[score]} (0 to 1)", fontsize=SMALL)
    handles = [
        _mark("mean over seeds"),
        _line(INTERVAL),
        _mark("single seed", **SINGLE),
        Line2D([], [], **CEILING, label="ceiling: the best these labels allow"),
    ]
    title = f"Performance on the common test set, {_seeds(performance['seeds'])}: further right is better"
    return _finished(figure, title, handles)


# Gaps.


def gaps_figure(gaps: pd.DataFrame) -> Figure:
    """Every gap, the largest over the classes, against what groups that are treated alike would show.

    gaps: the comparison's table. Filled marks are established, hollow ones are not; the confirmatory family is bold.
    """
    shown = _main_arm(gaps[gaps["class"].eq(MAX_OVER_CLASSES)])
    panels = {f"by {attribute_name(name)}": part for name, part in _by_attribute(shown).items()}
    return _gap_chart(panels, "metric", METRIC_NAMES, "Gaps between groups, the largest over the classes")


def gaps_by_class_figure(gaps: pd.DataFrame) -> Figure:
    """The gaps of each class: demographic parity and equal opportunity, by gender and by race, as in `gaps_figure`."""
    single = _main_arm(gaps[~gaps["class"].isin([MAX_OVER_CLASSES, MEAN_OVER_CLASSES])])
    panels = {
        textwrap.fill(_gap_name(metric, attribute), 24): part
        for metric, attribute in CONFIRMATORY_GAPS
        if len(part := single[single["metric"].eq(metric) & single["attribute"].eq(attribute)])
    }
    names = {name: _shortened(name, 26) for name in _ordered(single["class"])}
    return _gap_chart(panels, "class", names, "Gaps between groups in each class")


def _gap_chart(panels: dict[str, pd.DataFrame], block: str, names: dict[str, str], title: str) -> Figure:
    """A panel for every part of the table; in each, a block for every value of the column `block`."""
    table = pd.concat(panels.values())
    rows = _Rows.of({name: _designs(table) for name in names if table[block].eq(name).any()})
    figure = Figure(figsize=(WIDTH, rows.inches + 2.1), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (panel, part) in zip(axes, panels.items(), strict=True):
        rows.draw(axis, names, bold=set(part.loc[part["family"].eq("confirmatory"), block]))
        for row in part.to_dict("records"):
            _gap_row(axis, rows.places[row[block], row["design"]], row)
        for delta in part["delta"].dropna().unique():
            axis.axvline(delta, **MARGIN)
        axis.set_title(panel, fontsize=NORMAL)
        axis.set_xlabel("gap: difference of two rates\n0 is ideal", fontsize=SMALL)
    axes[0].set_xlim(left=0)
    handles = [
        _mark("gap, established"),
        _mark("gap, not established", markerfacecolor="white"),
        _line(f"to the upper end of its {CONFIDENCE:.0%} band"),
        Patch(color=NULL, label="were groups treated alike: up to the 95% quantile"),
        _mark("were groups treated alike: mean", color=NULL_MEAN, marker="|", markersize=11, markeredgewidth=2),
        *(Line2D([], [], **MARGIN, label=f"margin of equivalence, {delta:g}") for delta in _known(table["delta"])),
    ]
    bold = "bold: confirmatory family (Holm), all else " if table["family"].eq("confirmatory").any() else "all "
    return _finished(
        figure,
        f"{title}, mean of {_seeds(table['seeds'])}: further left is better; training set: {table['arm'].iloc[0]}\n"
        f"beside each: gap and adjusted p; {bold}exploratory (Benjamini-Hochberg)",
        handles,
    )


def _gap_row(axis: Axes, place: int, row: dict) -> None:
    if np.isnan(row["value"]):
        _beside(axis, place, "undefined", row["family"])
        return
    if np.isfinite(row["null_q95"]):
        axis.barh(place, row["null_q95"], height=0.8, color=NULL, zorder=0.5)
    if np.isfinite(row["null_mean"]):
        axis.vlines(row["null_mean"], place - 0.4, place + 0.4, color=NULL_MEAN, linewidth=2, zorder=1)
    _interval(axis, row["value"], row["upper"], place, row["design"], linewidth=1.2)
    axis.plot(row["value"], place, **_style(row["design"], filled=row["verdict"] == "established"), markersize=6.5)
    evidence = f"< {row['delta']:g}" if row["verdict"] == "equivalent" else _probability(row["p_adjusted"])
    _beside(axis, place, f"{row['value']:.3f}  {evidence}".rstrip(), row["family"])


# Differences between designs.


def differences_figure(differences: pd.DataFrame, seed_differences: pd.DataFrame) -> Figure:
    """Every score and gap of the designs minus that of the reference at the same seed, with interval and adjusted p.

    differences, seed_differences: the comparison's tables of these names; without a second design they are empty, and
    the picture says so.
    """
    if differences.empty:
        return _nothing_to_compare()
    shown = _main_arm(differences)
    arm, reference = shown["arm"].iloc[0], shown["reference"].iloc[0]
    points = seed_differences[seed_differences["arm"].eq(arm)]
    panels = {"scores": [(score, "") for score in SCORES]} | {
        f"gaps by {attribute_name(attribute)}": [(metric, attribute) for metric in DIFFERENCES]
        for attribute in ATTRIBUTES
        if shown["attribute"].eq(attribute).any()
    }
    rows = _Rows.of({number: _designs(shown) for number in range(len(SCORES))})
    figure = Figure(figsize=(WIDTH, rows.inches + 2.0), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis in axes[2:]:
        axis.sharex(axes[1])
    for axis, (panel, quantities) in zip(axes, panels.items(), strict=True):
        parts = [_of_quantity(shown, *quantity) for quantity in quantities]
        rows.draw(
            axis,
            {number: METRIC_NAMES[metric] for number, (metric, _) in enumerate(quantities)},
            bold={number for number, part in enumerate(parts) if part["family"].eq("confirmatory").any()},
        )
        axis.axvline(0, **ZERO)
        for number, (quantity, part) in enumerate(zip(quantities, parts, strict=True)):
            single = _of_quantity(points, *quantity)
            for row in part.to_dict("records"):
                of_design = single.loc[single["design"].eq(row["design"]), "value"]
                _difference_row(axis, rows.places[number, row["design"]], row, of_design)
        right = f"better than {reference}" if panel == "scores" else f"larger gap than {reference} (worse)"
        axis.set_xlabel(f"difference from {reference}\nright: {right}", fontsize=SMALL)
        axis.set_title(panel, fontsize=NORMAL)
    handles = [
        _mark("mean difference, established"),
        _mark("not established", markerfacecolor="white"),
        _line(INTERVAL),
        _mark("single seed", **SINGLE),
    ]
    return _finished(
        figure,
        f"Each design minus {reference} at the same seed, {_seeds(shown['seeds'])}: "
        "scores are better further right, gaps further left\n"
        f"beside each: adjusted p; bold: confirmatory family, all else exploratory; training set: {arm}",
        handles,
    )


def _of_quantity(table: pd.DataFrame, metric: str, attribute: str) -> pd.DataFrame:
    return table[table["metric"].eq(metric) & table["attribute"].eq(attribute)]


def _difference_row(axis: Axes, place: int, row: dict, points: pd.Series) -> None:
    if np.isnan(row["value"]):
        _beside(axis, place, "undefined", row["family"])
        return
    _seed_points(axis, points, place, row["design"])
    _interval(axis, row["lower"], row["upper"], place, row["design"])
    axis.plot(row["value"], place, **_style(row["design"], filled=row["verdict"] == "established"), markersize=6.5)
    no_claim = row["verdict"] == "no_claim_possible"
    _beside(axis, place, "too few seeds" if no_claim else _probability(row["p_adjusted"]), row["family"])


def group_changes_figure(group_changes: pd.DataFrame) -> Figure:
    """What each design does to the accuracy of every group, against the reference; see `levelled_down` for the shade.

    group_changes: the comparison's table; without a second design it is empty, and the picture says so.
    """
    if group_changes.empty:
        return _nothing_to_compare()
    shown = _main_arm(group_changes)
    arm, reference, designs = shown["arm"].iloc[0], shown["reference"].iloc[0], _designs(shown)
    parts = _by_attribute(shown)
    rows = _Rows.of({attribute: _ordered(part["group"]) for attribute, part in parts.items()})
    labels = _group_labels(rows, parts, reference)
    figure = Figure(figsize=(WIDTH, rows.inches + 1.8), layout="constrained")
    axes = figure.subplots(1, len(designs), sharex=True, sharey=True, squeeze=False)[0]
    for axis, design in zip(axes, designs, strict=True):
        of_design = {attribute: part[part["design"].eq(design)] for attribute, part in parts.items()}
        rows.draw(axis, {attribute: _gap_change(part) for attribute, part in of_design.items()}, labels=labels)
        axis.axvline(0, **ZERO)
        for attribute, part in of_design.items():
            _group_rows(axis, {group: rows.places[attribute, group] for group in part["group"]}, part)
        axis.set_title(f"{design} against {reference}", fontsize=NORMAL)
        axis.set_xlabel(f"change in accuracy\nright: better than with {reference}", fontsize=SMALL)
    handles = [
        _mark("mean over seeds"),
        _line(INTERVAL),
        Patch(color=LEVELLED, label="levelling down: a smaller gap because the best group got worse"),
    ]
    return _finished(
        figure,
        f"What each design changes for every group, mean over seeds: further right is better; training set: {arm}\n"
        f"grey: the accuracy gap (best minus worst group) with {reference} → with the design",
        handles,
    )


def _group_rows(axis: Axes, places: dict[str, int], part: pd.DataFrame) -> None:
    if levelled_down(part):
        axis.axhspan(min(places.values()) - 0.5, max(places.values()) + 0.5, color=LEVELLED, zorder=0)
    for row in part.to_dict("records"):
        place = places[row["group"]]
        if np.isnan(row["change"]):
            axis.text(0.02, place, "undefined", transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL)
            continue
        _interval(axis, row["lower"], row["upper"], place, row["design"])
        axis.plot(row["change"], place, **_style(row["design"]), markersize=6)


def _gap_change(part: pd.DataFrame) -> str:
    defined = part.dropna(subset=["accuracy", "reference_accuracy"])
    if len(defined) < 2:
        return "no gap"
    before, after = np.ptp(defined["reference_accuracy"]), np.ptp(defined["accuracy"])
    return f"gap {before:.3f} → {after:.3f}" + (", levelling down" if levelled_down(part) else "")


def _group_labels(rows: "_Rows", parts: dict[str, pd.DataFrame], reference: str) -> dict[int, str]:
    """Row to text: the attributes, and of every group its size and whether it is best or worst under the reference."""
    labels = {row: f"by {attribute_name(attribute)}" for attribute, row in rows.headings.items()}
    for attribute, part in parts.items():
        groups = part.drop_duplicates("group").set_index("group")
        accuracy, extremes = groups["reference_accuracy"].dropna(), {}
        if len(accuracy) > 1:
            extremes = {accuracy.idxmax(): f", best in {reference}", accuracy.idxmin(): f", worst in {reference}"}
        for group, support in groups["support"].items():
            text = f"{_shortened(group, 30)} ({support:,} images{extremes.get(group, '')})"
            labels[rows.places[attribute, group]] = text
    return labels


def levelled_down(changes: pd.DataFrame) -> bool:
    """Whether the accuracy gap between groups is smaller than the reference's because its best group got worse.

    changes: the rows of `group_changes` of one arm, design and attribute. True where all of this holds:

    - the gap (best minus worst group) is smaller than the reference's,
    - the change of the group that was best has an interval below 0,
    - that group lost more than the group that was worst gained.

    Mittelstadt, Wachter, Russell 2023, arXiv:2302.02404. Groups that are undefined are left out.
    """
    defined = changes.dropna(subset=["accuracy", "reference_accuracy"]).reset_index(drop=True)
    if len(defined) < 2:
        return False
    best = defined.loc[defined["reference_accuracy"].idxmax()]
    worst = defined.loc[defined["reference_accuracy"].idxmin()]
    smaller = np.ptp(defined["accuracy"]) < np.ptp(defined["reference_accuracy"])
    return bool(smaller and best["upper"] < 0 and -best["change"] > worst["change"])


# Score against gap.


def tradeoff_figure(runs: pd.DataFrame, performance: pd.DataFrame) -> Figure:
    """Macro-F1 against each confirmatory gap: every run, the mean of every design, and the Pareto front of the means.

    runs, performance: the comparison's tables of these names.
    """
    runs = _main_arm(runs)
    arm = runs["arm"].iloc[0]
    scores = performance[performance["arm"].eq(arm) & performance["metric"].eq("macro_f1")].set_index("design")
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    axes = figure.subplots(1, len(CONFIRMATORY_GAPS), sharex=True)
    for axis, (metric, attribute) in zip(axes, CONFIRMATORY_GAPS, strict=True):
        _tradeoff_panel(axis, runs, f"{metric}/{attribute}", scores)
        axis.set_title(textwrap.fill(_gap_name(metric, attribute), 24), fontsize=NORMAL)
        axis.set_xlabel("macro-F1 (right is better)", fontsize=SMALL)
        axis.set_ylabel("gap (down is better)", fontsize=SMALL)
    ceilings = _known(scores["ceiling"])
    known = f"; ceiling of macro-F1: {_span(ceilings, '.3f')}" if len(ceilings) else ""
    handles = [
        _mark("mean over seeds", markersize=11),
        _mark("on the Pareto front", markersize=11, **FRONT_EDGE),
        _line(f"{CONFIDENCE:.0%} interval of macro-F1"),
        _mark("single seed", **SINGLE),
        Line2D([], [], **FRONT, label="Pareto front of the means"),
    ]
    return _finished(
        figure,
        f"Performance against gaps, {_seeds(runs.groupby('design').size())}: further right and further down is better\n"
        f"gaps: the largest over the classes; training set: {arm}{known}",
        [*_design_handles(runs), *handles],
    )


def _tradeoff_panel(axis: Axes, runs: pd.DataFrame, gap: str, scores: pd.DataFrame) -> None:
    means = scores[["value", "lower", "upper"]].join(runs.groupby("design")[gap].mean().rename("gap"))
    means = means.dropna(subset=["value", "gap"]).sort_values("value")
    means["front"] = pareto_front(means[["value", "gap"]].to_numpy())
    front = means[means["front"]]
    axis.plot(front["value"], front["gap"], **FRONT, drawstyle="steps-pre")
    for design, mean in means.iterrows():
        single = runs[runs["design"].eq(design)]
        axis.plot(single["macro_f1"], single[gap], **_style(design) | SINGLE)
        _interval(axis, mean["lower"], mean["upper"], mean["gap"], design, linewidth=1.2)
        edge = FRONT_EDGE if mean["front"] else {"markeredgecolor": "white"}
        axis.plot(mean["value"], mean["gap"], **_style(design) | edge | {"markersize": 11, "zorder": 4})
    if means.empty:
        axis.text(0.5, 0.5, "undefined", transform=axis.transAxes, ha="center", fontsize=NORMAL)
    _plain(axis)


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Which points no other beats: (N,) bool.

    points: (N, 2) float, to be maximised in the first column and minimised in the second. A point is beaten by one
    that is at least as good in both and better in one; equal points stay together. A point with NaN is never on the
    front and beats none.
    """
    points = np.asarray(points, dtype=float).reshape(-1, 2) * [1, -1]
    as_good = (points[:, None] >= points).all(axis=2)
    better = (points[:, None] > points).any(axis=2)
    return ~(as_good & better).any(axis=0) & ~np.isnan(points).any(axis=1)


# Training images and epochs.


def training_size_figure(training_size: pd.DataFrame) -> Figure:
    """Macro-F1 and the gaps against the number of training images; dashed: what groups treated alike would show.

    training_size: the comparison's table of this name. All arms are shown.
    """
    quantities = ["macro_f1", *(f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS)]
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    *axes, legend_axis = figure.subplots(2, 3).flat
    for axis, quantity in zip(axes, quantities, strict=True):
        for design, curve in training_size[training_size["metric"].eq(quantity)].groupby("design"):
            curve = curve.sort_values("training_images")
            images, style = curve["training_images"], _style(design) | {"linestyle": "-", "markersize": 5}
            axis.errorbar(images, curve["value"], curve["seed_sd"], **style, capsize=3)
            axis.plot(images, curve["null_mean"], **style | {"linestyle": "--", "marker": "_"}, linewidth=1.2)
        _curve_labels(axis, quantity)
        axis.set_xlabel("training images", fontsize=SMALL)
        _size_scale(axis, training_size["training_images"])
    handles = [
        _mark("mean over seeds", linestyle="-"),
        _line("± one standard deviation between seeds"),
        Line2D([], [], color="#555555", linestyle="--", linewidth=1.2, label="mean gap, were groups treated alike"),
    ]
    return _finished(
        figure,
        f"Performance and gaps against the number of training images, {_seeds(training_size['seeds'])}: "
        "macro-F1 up is better, gaps down is better",
        [*_design_handles(training_size), *handles],
        legend_axis,
    )


def _size_scale(axis: Axes, images: pd.Series) -> None:
    if images.max() > 3 * images.min():
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def epochs_figure(epochs: pd.DataFrame) -> Figure:
    """Validation macro-F1, gaps and loss over the epochs: mean over seeds, and their range as a band.

    epochs: the comparison's table of this name. A curve ends with the last epoch that all seeds reached, so that its
    mean is over the same seeds everywhere.
    """
    shown = _main_arm(epochs)
    quantities = ["macro_f1", *(f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS), "loss"]
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    for axis, quantity in zip(figure.subplots(2, 3).flat, quantities, strict=True):
        for design, values in shown[shown["metric"].eq(quantity)].groupby("design"):
            _epoch_curve(axis, design, values.pivot(index="epoch", columns="seed", values="value"))
        _curve_labels(axis, quantity)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlim(shown["epoch"].min() - 0.5, shown["epoch"].max() + 0.5)
        axis.set_xlabel("epoch", fontsize=SMALL)
    return _finished(
        figure,
        f"Validation over the epochs, {_seeds(shown.groupby('design')['seed'].nunique())}, as far as all reached: "
        "a narrow and level band is stable\n"
        f"macro-F1: up is better; gaps and loss: down is better; training set: {shown['arm'].iloc[0]}",
        [*_design_handles(shown), _line("mean over seeds"), Patch(color="#cccccc", label="range of the seeds")],
    )


def _epoch_curve(axis: Axes, design: str, values: pd.DataFrame) -> None:
    """values: epochs x seeds; a seed that ended earlier, or whose value is undefined, is NaN."""
    complete = values.mask(values.isna().any(axis=1))
    colour = DESIGN_COLOURS[design]
    axis.fill_between(complete.index, complete.min(axis=1), complete.max(axis=1), color=colour, alpha=0.15, linewidth=0)
    axis.plot(complete.index, complete.mean(axis=1), **_style(design) | {"linestyle": "-", "markersize": 4})


def _curve_labels(axis: Axes, quantity: str) -> None:
    metric, _, attribute = quantity.partition("/")
    better = "up is better" if metric in SCORES else "down is better"
    axis.set_title(_gap_name(metric, attribute) if attribute else METRIC_NAMES[metric], fontsize=NORMAL)
    axis.set_ylabel(f"{'gap' if attribute else METRIC_NAMES[metric]} ({better})", fontsize=SMALL)
    if attribute:
        axis.axhline(0, **ZERO)
    _plain(axis)


# Confusion matrices.


def confusion_figure(confusion: pd.DataFrame, attribute: str) -> Figure:
    """Confusion matrices by group (columns) and design (rows): shares of the true class, in percent.

    confusion: the comparison's table of this name. attribute: whose groups are shown. A class that no image of a group
    truly has is grey: its shares are undefined. Many groups take several lines; of more than six classes the shares
    are shown by colour alone.
    """
    shown = confusion[confusion["attribute"].eq(attribute)]
    classes, groups, designs = _ordered(shown["y_true"]), _ordered(shown["group"]), _designs(shown)
    cell = 0.33 if len(classes) <= 6 else 0.16  # inches
    width, height = (len(classes) + gap for gap in MATRIX_GAPS)
    line_count = -(-len(groups) // max(1, int(11 / (width * cell))))
    columns = -(-len(groups) // line_count)
    size = max(9.2, columns * width * cell + 1.7), line_count * (len(designs) * height * cell + 1.2) + 1.7
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(line_count, 1, squeeze=False)[:, 0]
    counts = shown.groupby(["design", "group", "y_true", "y_pred"], observed=True)["count"].sum()
    for number, axis in enumerate(axes):
        line = groups[number * columns : (number + 1) * columns]
        for (row, design), (column, group) in itertools.product(enumerate(designs), enumerate(line)):
            cells = pd.MultiIndex.from_product([[design], [group], classes, classes])
            matrix = counts.reindex(cells, fill_value=0).to_numpy(dtype=float).reshape(len(classes), -1)
            _matrix(axis, matrix, (column * width, row * height))
        _matrix_labels(axis, classes, designs, len(line))
        _group_headings(axis, line, len(classes), int(13 * len(classes) * cell), counts)
        axis.set(xlim=(-0.1, columns * width - MATRIX_GAPS[0] + 0.1), ylim=(len(designs) * height - 1.3, -1.3))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 100), "Blues"), ax=list(axes), location="bottom", aspect=50, pad=0.02
    )
    bar.set_label("share of the true class, %", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(
        f"Confusion by {attribute_name(attribute)} and design, counts summed over seeds: what images of a true class\n"
        "(row) were taken for (column), in %; a dark diagonal is better, matrices that are alike are fairer",
        fontsize=LARGE,
    )
    return figure


def _matrix(axis: Axes, counts: np.ndarray, corner: tuple[float, float]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    edges = np.arange(len(counts) + 1)
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=UNDEFINED)
    axis.pcolormesh(corner[0] + edges, corner[1] + edges, np.ma.masked_invalid(shares), cmap=colours, vmin=0, vmax=1)
    if len(counts) > 6:
        return
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        axis.text(
            corner[0] + column + 0.5,
            corner[1] + row + 0.5,
            "–" if np.isnan(share) else f"{100 * share:.0f}",
            ha="center",
            va="center",
            fontsize=7.5,
            color="white" if share > 0.55 else "#222222",
        )


def _matrix_labels(axis: Axes, classes: list[str], designs: list[str], columns: int) -> None:
    """Names of the designs above and of the classes beside the rows of matrices, and of the classes below the last."""
    width, height = (len(classes) + gap for gap in MATRIX_GAPS)
    names, centres = [_shortened(name, 22) for name in classes], np.arange(len(classes)) + 0.5
    axis.set_yticks(np.add.outer(np.arange(len(designs)) * height, centres).ravel(), names * len(designs))
    axis.set_xticks(np.add.outer(np.arange(columns) * width, centres).ravel(), names * columns, rotation=90)
    for row, design in enumerate(designs):
        colour = DESIGN_COLOURS[design]
        axis.text(
            0, row * height - 0.25, f"design {design}", color=colour, fontsize=NORMAL, fontweight="bold", va="bottom"
        )
    axis.set_aspect("equal")
    axis.set_xlabel("predicted class", fontsize=SMALL)
    axis.set_ylabel("true class", fontsize=SMALL)
    axis.tick_params(length=0, labelsize=SMALL)
    axis.spines[:].set_visible(False)


def _group_headings(axis: Axes, groups: list[str], class_count: int, letters: int, counts: pd.Series) -> None:
    totals = counts.groupby(["group", "design"], observed=True).sum()
    for column, group in enumerate(groups):
        name = textwrap.fill(group, letters, max_lines=3, placeholder=" …")
        text = f"{name}\n{_span(totals.loc[group], ',.0f')} predictions"
        centre = column * (class_count + MATRIX_GAPS[0]) + class_count / 2
        axis.text(centre, -1.3, text, ha="center", va="bottom", fontsize=SMALL)


# What all charts share.


@dataclass(frozen=True)
class _Rows:
    """Where the rows of a chart are, counted from the top: a heading for every block, the block's items below it."""

    headings: dict[Hashable, int]
    places: dict[tuple[Hashable, str], int]

    @classmethod
    def of(cls, blocks: dict[Hashable, list[str]]) -> "_Rows":
        headings, places, row = {}, {}, 0
        for block, items in blocks.items():
            headings[block] = row
            places |= {(block, item): row + 1 + number for number, item in enumerate(items)}
            row += 1 + len(items)
        return cls(headings, places)

    @property
    def inches(self) -> float:
        return ROW * (len(self.headings) + len(self.places))

    def draw(
        self,
        axis: Axes,
        headings: dict[Hashable, str],
        bold: Iterable[Hashable] = (),
        labels: dict[int, str] | None = None,
    ) -> None:
        """Gives an axis its rows. headings: block to text. labels: row to text; without them, the items are designs."""
        for block, row in self.headings.items():
            axis.axhspan(row - 0.5, row + 0.5, color=BAND, zorder=1.5)
            axis.text(
                0.01,
                row,
                headings.get(block, ""),
                transform=axis.get_yaxis_transform(),
                va="center",
                fontsize=SMALL,
                fontweight="bold" if block in bold else "normal",
            )
        axis.set_ylim(len(self.headings) + len(self.places) - 0.5, -0.5)
        shown = labels or {row: design for (_, design), row in self.places.items()}
        axis.set_yticks(list(shown), list(shown.values()), fontsize=SMALL)
        axis.tick_params(axis="y", length=0)
        if labels is None:
            for design, tick in zip(shown.values(), axis.get_yticklabels(), strict=False):  # only outer axes have any
                tick.set(color=DESIGN_COLOURS[design], fontweight="bold", fontsize=NORMAL)
        _plain(axis, "x")


def _designs(table: pd.DataFrame) -> list[str]:
    return sorted(table["design"].unique())


def _main_arm(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["arm"].eq(table["arm"].iloc[0])]


def _by_attribute(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Attribute to its rows, for those that the table has."""
    parts = {attribute: table[table["attribute"].eq(attribute)] for attribute in ATTRIBUTES}
    return {attribute: part for attribute, part in parts.items() if len(part)}


def _gap_name(metric: str, attribute: str) -> str:
    return f"{METRIC_NAMES[metric]} by {attribute_name(attribute)}"


def _known(values: pd.Series) -> np.ndarray:
    """The different values, without NaN, ascending."""
    return np.unique(values.dropna().to_numpy(dtype=float).round(6))


def _ordered(values: pd.Series) -> list[str]:
    """What occurs: in the order of the categories where there are any, otherwise as it first occurs."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.remove_unused_categories().cat.categories)
    return list(values.unique())


def _style(design: str, filled: bool = True) -> dict:
    colour = DESIGN_COLOURS[design]
    return {
        "color": colour,
        "marker": DESIGN_MARKERS[design],
        "linestyle": "",
        "markerfacecolor": colour if filled else "white",
        "zorder": 3,
    }


def _seed_points(axis: Axes, values: pd.Series, place: int, design: str) -> None:
    axis.plot(values, np.full(len(values), place + 0.3), **_style(design) | SINGLE)


def _interval(axis: Axes, lower: float, upper: float, place: float, design: str, linewidth: float = 2.0) -> None:
    if np.isfinite(lower) and np.isfinite(upper):
        axis.plot([lower, upper], [place, place], color=DESIGN_COLOURS[design], linewidth=linewidth, zorder=2)


def _beside(axis: Axes, place: int, text: str, family: str = "exploratory") -> None:
    weight = "bold" if family == "confirmatory" else "normal"
    axis.text(1.02, place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL, fontweight=weight)


def _plain(axis: Axes, grid: str = "both") -> None:
    axis.grid(axis=grid, **GRID)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=SMALL)


def _probability(value: float) -> str:
    if np.isnan(value):
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _span(values: Iterable[float], form: str) -> str:
    """The value that all share, or the smallest to the largest."""
    lowest, highest = (format(value, form) for value in (min(values), max(values)))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _seeds(counts: pd.Series) -> str:
    return f"{_span(counts, 'd')} seed{'s' if counts.max() > 1 else ''}"


def _shortened(name: str, letters: int) -> str:
    """Left out in the middle: long names often differ in their ends."""
    if len(name) <= letters:
        return name
    return f"{name[: letters - letters // 3 - 1]}…{name[len(name) - letters // 3 :]}"


def _mark(label: str, **style) -> Line2D:
    return Line2D(
        [], [], **{"color": "#555555", "marker": "o", "linestyle": "", "markersize": 7, "label": label} | style
    )


def _line(label: str) -> Line2D:
    return Line2D([], [], color="#555555", linewidth=2, label=label)


def _design_handles(table: pd.DataFrame) -> list[Line2D]:
    return [Line2D([], [], **_style(design), markersize=7, label=f"design {design}") for design in _designs(table)]


def _finished(figure: Figure, title: str, handles: list, legend_axis: Axes | None = None) -> Figure:
    """The figure with its title, and its legend below or in an axis of its own."""
    figure.suptitle(title, fontsize=LARGE)
    if legend_axis is None:
        columns = len(handles) if len(handles) < 5 else -(-len(handles) // 2)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)
    else:
        legend_axis.axis("off")
        legend_axis.legend(handles=handles, loc="center left", fontsize=NORMAL, frameon=False)
    return figure


def _nothing_to_compare() -> Figure:
    figure = Figure(figsize=(WIDTH, 1.2), layout="constrained")
    figure.text(0.5, 0.5, "There is one design only: nothing to compare it with.", ha="center", fontsize=LARGE)
    return figure
