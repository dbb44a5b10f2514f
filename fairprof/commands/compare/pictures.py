"""Pictures of a comparison: functions of its tables.

Every design has one colour and one mark in all of them. Titles say what is seen and which direction is better, and
how many seeds are behind it. What is undefined is named and never drawn as a number. The order of the designs in a
table changes nothing; groups and classes keep theirs. Where a picture is of one arm, it is the table's first, the main
one: for another, give its rows alone.
"""

import itertools
import textwrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fairprof.commands.compare.protocol import Protocol
from fairprof.inference.levelling_down import GAIN_MARGIN, levelled_down
from fairprof.inference.levels import CONFIDENCE
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, SCORES
from fairprof.metrics.tradeoffs import pareto_front
from fairprof.reporting.chart import (
    INTERVAL,
    LETTERS,
    MOST_ROWS,
    Rows,
    Several,
    beside,
    by_attribute,
    design_handles,
    designs_of,
    drawn,
    finished,
    intervals,
    known_values,
    largest_of,
    left_out,
    line,
    lines_of_designs,
    main_arm,
    occurring,
    of_designs,
    plain,
    seed_points,
    seeds_counted,
)
from fairprof.reporting.gap_chart import gaps_by_class_figure, gaps_figure
from fairprof.reporting.names import METRIC_NAMES, gap_name, name_of
from fairprof.reporting.style import (
    BAND_OF_VALUES,
    DESIGN_COLOURS,
    GREY,
    LARGE,
    NORMAL,
    PALETTE,
    SHARES,
    SINGLE,
    SMALL,
    TINY,
    UNKNOWN,
    WIDTH,
    ZERO,
    Style,
    design_style,
    ink_on,
)
from fairprof.reporting.wording import NOTHING, UNDEFINED, count, number, p_value, percent, short, span

LEVELLED = "#fbd9c6"
MATRIX_GAPS = 1.1, 1.4  # between confusion matrices, beside and below each other, in squares
CEILING = {"color": PALETTE[5], "linewidth": 1.5, "linestyle": "--"}
FRONT: Style = {"color": PALETTE[5], "linewidth": 1.2, "linestyle": "--"}
FRONT_EDGE: Style = {"markeredgecolor": PALETTE[5], "markeredgewidth": 2}


def figures_of(tables: dict[str, pd.DataFrame], protocol: Protocol) -> dict[str, Figure]:
    """Every picture of a comparison's tables, by name."""
    main = {
        name: tables[name][tables[name]["arm"].eq(protocol.main_arm)]
        for name in ("runs", "performance", "gaps", "differences", "seed_differences", "group_changes")
    }
    figures = {
        "performance": performance_figure(tables["performance"], tables["runs"]),
        "gaps": gaps_figure(main["gaps"]),
        "gaps_by_class": gaps_by_class_figure(main["gaps"]),
        "tradeoff": tradeoff_figure(main["runs"], main["performance"]),
        "confusion_gender": confusion_figure(tables["confusion"], "gender"),
        "confusion_race": confusion_figure(tables["confusion"], "race"),
    }
    if "epochs" in tables:
        figures["epochs"] = epochs_figure(tables["epochs"][tables["epochs"]["arm"].eq(protocol.main_arm)])
    if (tables["training_size"].groupby("design")["training_images"].nunique() > 1).any():
        figures["training_size"] = training_size_figure(tables["training_size"])
    if len(main["differences"]):
        figures["differences"] = differences_figure(main["differences"], main["seed_differences"])
        figures["group_changes"] = group_changes_figure(
            main["group_changes"], levelled_down(main["differences"], main["group_changes"])
        )
    return figures


# Scores.


def performance_figure(performance: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """Accuracy, balanced accuracy and macro-F1 of every design and arm: mean, interval, single seeds and the ceiling.

    performance, runs: the comparison's tables of these names. All arms are shown.
    """
    rows = Rows.of({arm: designs_of(part) for arm, part in performance.groupby("arm", sort=False)})
    figure = Figure(figsize=(WIDTH, rows.inches + 1.6), layout="constrained")
    for axis, score in zip(figure.subplots(1, len(SCORES), sharey=True), SCORES, strict=True):
        shown = performance[performance["metric"].eq(score)]
        rows.draw(axis, {arm: f"training set: {arm}" for arm in rows.headings})
        for row in shown.to_dict("records"):
            place, design = rows.places[row["arm"], row["design"]], row["design"]
            seed_points(axis, runs.loc[runs["arm"].eq(row["arm"]) & runs["design"].eq(design), score], place, design)
            intervals(axis, row["lower"], row["upper"], place, DESIGN_COLOURS[design])
            axis.plot(row["value"], place, **design_style(design), markersize=7)
            beside(axis, place, number(row["value"]))
        ceilings = known_values(shown["ceiling"])
        for ceiling in ceilings:
            axis.axvline(ceiling, **CEILING)
        known = f"ceiling {span(ceilings)}" if len(ceilings) else "ceiling unknown"
        axis.set_title(f"{METRIC_NAMES[score]}; {known}", fontsize=NORMAL)
        axis.set_xlabel(f"{METRIC_NAMES[score]} (0 to 1)", fontsize=SMALL)
    handles = [
        of_designs(performance, "mean over seeds"),
        lines_of_designs(performance, INTERVAL),
        of_designs(performance, "single seed", **SINGLE),
        line("ceiling: expected of the best rule", **CEILING),
    ]
    title = f"Performance on the common test set, {seeds_counted(performance['seeds'])}: further right is better"
    return finished(figure, title, handles)


# Gaps.


# Differences between designs.


def differences_figure(differences: pd.DataFrame, seed_differences: pd.DataFrame) -> Figure:
    """Every score and gap of the designs minus that of the reference at the same seed, with interval and adjusted p.

    differences, seed_differences: the comparison's tables of these names; without a second design they are empty, and
    the picture says so.
    """
    if differences.empty:
        return _nothing_to_compare()
    shown = main_arm(differences)
    arm, reference = shown["arm"].iloc[0], shown["reference"].iloc[0]
    points = seed_differences[seed_differences["arm"].eq(arm)]
    panels = {"scores": [(score, "") for score in SCORES]} | {
        f"gaps by {name_of(attribute)}": [(metric, attribute) for metric in DIFFERENCES]
        for attribute in ATTRIBUTES
        if shown["attribute"].eq(attribute).any()
    }
    rows = Rows.of({block: designs_of(shown) for block in range(len(SCORES))})
    figure = Figure(figsize=(WIDTH, rows.inches + 2.0), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis in axes[2:]:
        axis.sharex(axes[1])
    for axis, (panel, quantities) in zip(axes, panels.items(), strict=True):
        parts = [of_quantity(shown, *quantity) for quantity in quantities]
        rows.draw(
            axis,
            {block: METRIC_NAMES[metric] for block, (metric, _) in enumerate(quantities)},
            bold={block for block, part in enumerate(parts) if part["family"].eq("confirmatory").any()},
        )
        axis.axvline(0, **ZERO)
        for block, (quantity, part) in enumerate(zip(quantities, parts, strict=True)):
            single = of_quantity(points, *quantity)
            for row in part.to_dict("records"):
                of_design = single.loc[single["design"].eq(row["design"]), "value"]
                _difference_row(axis, rows.places[block, row["design"]], row, of_design)
        right = f"better than {reference}" if panel == "scores" else f"larger gap than {reference} (worse)"
        axis.set_xlabel(f"difference from {reference}\nright: {right}", fontsize=SMALL)
        axis.set_title(panel, fontsize=NORMAL)
    handles = [
        of_designs(shown, "mean difference, established for new seeds and new images"),
        of_designs(shown, "not established", filled=False),
        lines_of_designs(shown, INTERVAL),
        of_designs(shown, "single seed", **SINGLE),
    ]
    return finished(
        figure,
        f"Each design minus {reference} at the same seed, {seeds_counted(shown['seeds'])}: "
        "scores are better further right, gaps further left\n"
        f"beside each: adjusted p; bold: confirmatory family, all else exploratory; training set: {arm}",
        handles,
    )


def of_quantity(table: pd.DataFrame, metric: str, attribute: str) -> pd.DataFrame:
    """The rows of a table that are of one metric and attribute."""
    return table[table["metric"].eq(metric) & table["attribute"].eq(attribute)]


def _difference_row(axis: Axes, place: int, row: dict, points: pd.Series) -> None:
    if np.isnan(row["value"]):
        beside(axis, place, UNDEFINED, row["family"])
        return
    seed_points(axis, points, place, row["design"])
    intervals(axis, row["lower"], row["upper"], place, DESIGN_COLOURS[row["design"]])
    axis.plot(
        row["value"], place, **design_style(row["design"], filled=row["verdict"] == "established"), markersize=6.5
    )
    no_claim = row["verdict"] == "no_claim_possible"
    beside(axis, place, "too few seeds" if no_claim else p_value(row["p_adjusted"]), row["family"])


def group_changes_figure(group_changes: pd.DataFrame, levelled: pd.DataFrame) -> Figure:
    """What each design does to the accuracy of every group, against the reference; shaded where it levelled down.

    group_changes: the comparison's table; without a second design it is empty, and the picture says so. levelled: of
    `levelled_down`.
    """
    if group_changes.empty:
        return _nothing_to_compare()
    shown = main_arm(group_changes)
    arm, reference, designs = shown["arm"].iloc[0], shown["reference"].iloc[0], designs_of(shown)
    parts = by_attribute(shown)
    there = sum(part["group"].nunique() for part in parts.values())
    rows = Rows.of({attribute: _largest_groups(part) for attribute, part in parts.items()})
    labels = _group_labels(rows, parts, reference)
    figure = Figure(figsize=(WIDTH, rows.inches + 1.8), layout="constrained")
    axes = figure.subplots(1, len(designs), sharex=True, sharey=True, squeeze=False)[0]
    for axis, design in zip(axes, designs, strict=True):
        of_design = {attribute: part[part["design"].eq(design)] for attribute, part in parts.items()}
        shaded = set(levelled.loc[levelled["design"].eq(design), "attribute"])
        headings = {name: _gap_change(part, name in shaded) for name, part in of_design.items()}
        rows.draw(axis, headings, labels=labels)
        axis.axvline(0, **ZERO)
        for attribute, part in of_design.items():
            places = {
                group: rows.places[attribute, group] for group in part["group"] if (attribute, group) in rows.places
            }
            _group_rows(axis, places, part[part["group"].isin(places)], attribute in shaded)
        axis.set_title(f"{design} against {reference}", fontsize=NORMAL)
        axis.set_xlabel(f"change in accuracy\nright: better than with {reference}", fontsize=SMALL)
    handles: list[Several | Patch] = [
        of_designs(shown, "mean over seeds"),
        lines_of_designs(shown, INTERVAL),
    ]
    if levelled["design"].isin(designs).any():
        smaller = f"levelling down, established: a smaller gap, no group gains {short(GAIN_MARGIN)}"
        handles.append(Patch(color=LEVELLED, label=smaller))
    return finished(
        figure,
        f"What each design changes for every group, mean over seeds: further right is better; training set: {arm}\n"
        f"grey: the accuracy gap (best minus worst group) with {reference} → with the design"
        f"{left_out(len(rows.places), there, 'groups')}",
        handles,
    )


def _largest_groups(part: pd.DataFrame) -> list[str]:
    sizes = part.groupby("group", sort=False, observed=True)["support"].max()
    return largest_of(sizes.loc[occurring(part["group"])], MOST_ROWS)


def _group_rows(axis: Axes, places: dict[str, int], part: pd.DataFrame, shaded: bool) -> None:
    if shaded:
        axis.axhspan(min(places.values()) - 0.5, max(places.values()) + 0.5, color=LEVELLED, zorder=0)
    for row in part.to_dict("records"):
        place = places[row["group"]]
        if np.isnan(row["change"]):
            axis.text(0.02, place, UNDEFINED, transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL)
            continue
        intervals(axis, row["lower"], row["upper"], place, DESIGN_COLOURS[row["design"]])
        axis.plot(row["change"], place, **design_style(row["design"]), markersize=6)


def _gap_change(part: pd.DataFrame, shaded: bool) -> str:
    defined = part.dropna(subset=["accuracy", "reference_accuracy"])
    if len(defined) < 2:
        return "no gap"
    before, after = np.ptp(defined["reference_accuracy"]), np.ptp(defined["accuracy"])
    return f"gap {number(before)} → {number(after)}" + (", levelling down" if shaded else "")


def _group_labels(rows: "Rows", parts: dict[str, pd.DataFrame], reference: str) -> dict[int, str]:
    """Row to text: the attributes, and of every group its size and whether it is best or worst under the reference."""
    labels = {row: f"by {name_of(attribute)}" for attribute, row in rows.headings.items()}
    for attribute, part in parts.items():
        groups = part.drop_duplicates("group").set_index("group")
        accuracy, extremes = groups["reference_accuracy"].dropna(), {}
        if len(accuracy) > 1:
            extremes = {accuracy.idxmax(): f", best in {reference}", accuracy.idxmin(): f", worst in {reference}"}
        for group in (group for of, group in rows.places if of == attribute):
            support = groups.loc[group, "support"]
            text = f"{drawn(group, 30)} ({support:,} images{extremes.get(group, '')})"
            labels[rows.places[attribute, group]] = text
    return labels


# Score against gap.


def tradeoff_figure(runs: pd.DataFrame, performance: pd.DataFrame) -> Figure:
    """Macro-F1 against each confirmatory gap: every run, the mean of every design, and the Pareto front of the means.

    runs, performance: the comparison's tables of these names.
    """
    runs = main_arm(runs)
    arm = runs["arm"].iloc[0]
    scores = performance[performance["arm"].eq(arm) & performance["metric"].eq("macro_f1")].set_index("design")
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    axes = figure.subplots(1, len(CONFIRMATORY_GAPS), sharex=True)
    for axis, (metric, attribute) in zip(axes, CONFIRMATORY_GAPS, strict=True):
        _tradeoff_panel(axis, runs, f"{metric}/{attribute}", scores)
        axis.set_title(textwrap.fill(gap_name(metric, attribute), 24), fontsize=NORMAL)
        axis.set_xlabel("macro-F1 (right is better)", fontsize=SMALL)
        axis.set_ylabel("gap (down is better)", fontsize=SMALL)
    ceilings = known_values(scores["ceiling"])
    known = f"; ceiling of macro-F1: {span(ceilings)}" if len(ceilings) else ""
    handles = [
        of_designs(runs, "on the Pareto front", markersize=10, **FRONT_EDGE),
        lines_of_designs(runs, f"{percent(CONFIDENCE, 'g')} interval of macro-F1", linewidth=1.2),
        of_designs(runs, "single seed", **SINGLE),
        line("Pareto front of the means", **FRONT),
    ]
    return finished(
        figure,
        f"Performance against gaps, {seeds_counted(runs.groupby('design').size())}: "
        "further right and further down is better\n"
        f"gaps: the largest over the classes; training set: {arm}{known}",
        [*design_handles(runs, "mean over seeds", markersize=10), *handles],
    )


def means_and_front(runs: pd.DataFrame, gap: str, scores: pd.DataFrame) -> pd.DataFrame:
    """By design: value, lower and upper of macro-F1, the mean gap, and `front`: whether no other is better in both."""
    means = scores[["value", "lower", "upper"]].join(runs.groupby("design")[gap].mean().rename("gap"))
    means = means.dropna(subset=["value", "gap"]).sort_values("value")
    return means.assign(front=pareto_front(means[["value", "gap"]].to_numpy()))


def _tradeoff_panel(axis: Axes, runs: pd.DataFrame, gap: str, scores: pd.DataFrame) -> None:
    means = means_and_front(runs, gap, scores)
    front = means[means["front"]]
    axis.plot(front["value"], front["gap"], **FRONT, drawstyle="steps-pre")
    for design, mean in means.iterrows():
        single = runs[runs["design"].eq(design)]
        axis.plot(single["macro_f1"], single[gap], **design_style(design) | SINGLE)
        intervals(axis, mean["lower"], mean["upper"], mean["gap"], DESIGN_COLOURS[design], thin=True)
        edge = FRONT_EDGE if mean["front"] else {"markeredgecolor": "white"}
        axis.plot(mean["value"], mean["gap"], **design_style(design) | edge | {"markersize": 11, "zorder": 4})
    if means.empty:
        axis.text(0.5, 0.5, UNDEFINED, transform=axis.transAxes, ha="center", fontsize=NORMAL)
    plain(axis)


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
            images, style = curve["training_images"], design_style(design) | {"linestyle": "-", "markersize": 5}
            axis.errorbar(images, curve["value"], curve["seed_sd"], **style, capsize=3)
            axis.plot(images, curve["null_mean"], **style | {"linestyle": "--", "marker": "_", "linewidth": 1.2})
        _curve_labels(axis, quantity)
        axis.set_xlabel("training images", fontsize=SMALL)
        _size_scale(axis, training_size["training_images"])
    null: Style = {"linestyle": "--", "marker": "_", "linewidth": 1.2}
    handles = [
        lines_of_designs(training_size, "upright: ± one standard deviation of the seeds"),
        of_designs(training_size, "mean gap, were groups treated alike", **null),
    ]
    return finished(
        figure,
        f"Performance and gaps against the number of training images, {seeds_counted(training_size['seeds'])}: "
        "macro-F1 up is better, gaps down is better",
        [*design_handles(training_size, "mean over seeds", linestyle="-"), *handles],
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
    shown = main_arm(epochs)
    quantities = ["macro_f1", *(f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS), "loss"]
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    for axis, quantity in zip(figure.subplots(2, 3).flat, quantities, strict=True):
        for design, values in shown[shown["metric"].eq(quantity)].groupby("design"):
            _epoch_curve(axis, design, values.pivot(index="epoch", columns="seed", values="value"))
        _curve_labels(axis, quantity)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlim(shown["epoch"].min() - 0.5, shown["epoch"].max() + 0.5)
        axis.set_xlabel("epoch", fontsize=SMALL)
    return finished(
        figure,
        f"Validation over the epochs, {seeds_counted(shown.groupby('design')['seed'].nunique())}, "
        "as far as all reached: a narrow and level band is stable\n"
        f"macro-F1: up is better; gaps and loss: down is better; training set: {shown['arm'].iloc[0]}",
        [
            *design_handles(shown, "mean over seeds", linestyle="-"),
            lines_of_designs(shown, "range of the seeds", linewidth=9, alpha=BAND_OF_VALUES["alpha"]),
        ],
    )


def _epoch_curve(axis: Axes, design: str, values: pd.DataFrame) -> None:
    """values: epochs x seeds; a seed that ended earlier, or whose value is undefined, is NaN."""
    complete = values.mask(values.isna().any(axis=1))
    colour = DESIGN_COLOURS[design]
    axis.fill_between(complete.index, complete.min(axis=1), complete.max(axis=1), color=colour, **BAND_OF_VALUES)
    axis.plot(complete.index, complete.mean(axis=1), **design_style(design) | {"linestyle": "-", "markersize": 4})


def _curve_labels(axis: Axes, quantity: str) -> None:
    metric, _, attribute = quantity.partition("/")
    name = name_of(metric)
    better = "up is better" if metric in SCORES else "down is better"
    axis.set_title(gap_name(metric, attribute) if attribute else name, fontsize=NORMAL)
    axis.set_ylabel(f"{'gap' if attribute else name} ({better})", fontsize=SMALL)
    if attribute:
        axis.axhline(0, **ZERO)
    plain(axis)


# Confusion matrices.


def confusion_figure(confusion: pd.DataFrame, attribute: str) -> Figure:
    """Confusion matrices by group (columns) and design (rows): shares of the true class, in percent, and beside every
    row how many predictions it is of.

    confusion: the comparison's table of this name. attribute: whose groups are shown. A class that no image of a group
    truly has is grey: its shares are undefined. Many groups take several lines; of more than six classes the shares
    are shown by colour alone, without numbers.
    """
    shown = confusion[confusion["attribute"].eq(attribute)]
    sizes = {name: shown.groupby(name, sort=False, observed=True)["count"].sum() for name in ("y_true", "group")}
    classes, groups = (largest_of(sizes[name].loc[occurring(shown[name])], MOST_ROWS) for name in sizes)
    designs = designs_of(shown)
    edge = 0.3 if len(classes) <= 6 else 0.16  # inches of a square
    width, height = (len(classes) + gap for gap in MATRIX_GAPS)
    line_count = -(-len(groups) // max(1, int(11 / (width * edge))))
    columns = -(-len(groups) // line_count)
    size = max(9.2, columns * width * edge + 1.7), line_count * (len(designs) * height * edge + 1.2) + 1.7
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(line_count, 1, squeeze=False)[:, 0]
    counts = shown.groupby(["design", "group", "y_true", "y_pred"], observed=True)["count"].sum()
    for place, axis in enumerate(axes):
        line = groups[place * columns : (place + 1) * columns]
        for (row, design), (column, group) in itertools.product(enumerate(designs), enumerate(line)):
            squares = pd.MultiIndex.from_product([[design], [group], classes, classes])
            matrix = counts.reindex(squares, fill_value=0).to_numpy(dtype=float).reshape(len(classes), -1)
            _matrix(axis, matrix, (column * width, row * height))
        _matrix_labels(axis, classes, designs, len(line))
        _group_headings(axis, line, len(classes), int(13 * len(classes) * edge), counts)
        axis.set(xlim=(-0.1, columns * width - MATRIX_GAPS[0] + 0.1), ylim=(len(designs) * height - 1.3, -1.3))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 100), SHARES), ax=list(axes), location="bottom", shrink=0.5, aspect=40, pad=0.02
    )
    bar.set_label("share of the true class, %", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(
        f"Confusion by {name_of(attribute)} and design, counts summed over seeds: what images of a true class\n"
        "(row; grey: how many) were taken for (column), in %; a dark diagonal is better, alike is fairer"
        + left_out(len(classes), len(sizes["y_true"]), "classes")
        + left_out(len(groups), len(sizes["group"]), "groups"),
        fontsize=LARGE,
    )
    return figure


def _matrix(axis: Axes, counts: np.ndarray, corner: tuple[float, float]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    edges = np.arange(len(counts) + 1)
    colours = matplotlib.colormaps[SHARES].with_extremes(bad=UNKNOWN)
    axis.pcolormesh(corner[0] + edges, corner[1] + edges, np.ma.masked_invalid(shares), cmap=colours, vmin=0, vmax=1)
    if len(counts) > 6:
        return
    for row, total in enumerate(totals[:, 0]):
        x, y = corner[0] + len(counts) + 0.1, corner[1] + row + 0.5
        axis.text(x, y, count(total), va="center", fontsize=TINY, color=GREY)
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        axis.text(
            corner[0] + column + 0.5,
            corner[1] + row + 0.5,
            NOTHING if np.isnan(share) else f"{100 * share:.0f}",
            ha="center",
            va="center",
            fontsize=TINY,
            color=ink_on(share),
            in_layout=False,  # it lies within its square
        )


def _matrix_labels(axis: Axes, classes: list[str], designs: list[str], columns: int) -> None:
    """Names of the designs above and of the classes beside the rows of matrices, and of the classes below the last."""
    width, height = (len(classes) + gap for gap in MATRIX_GAPS)
    names, centres = [drawn(name, 22) for name in classes], np.arange(len(classes)) + 0.5
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
        name = textwrap.fill(drawn(group, 3 * LETTERS), letters, max_lines=3, placeholder=" …")
        text = f"{name}\n{span(totals.loc[group], count)} predictions"
        centre = column * (class_count + MATRIX_GAPS[0]) + class_count / 2
        axis.text(centre, -1.3, text, ha="center", va="bottom", fontsize=SMALL)


# What all charts share.


def _nothing_to_compare() -> Figure:
    figure = Figure(figsize=(WIDTH, 1.2), layout="constrained")
    figure.text(0.5, 0.5, "There is one design only: nothing to compare it with.", ha="center", fontsize=LARGE)
    return figure
