"""Pictures of an evaluation: functions of its tables. Titles say which direction is better."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fairprof.commands.evaluate.corruptions import SEVERITIES
from fairprof.commands.evaluate.results import Evaluation, TrainingRecord
from fairprof.commands.evaluate.robustness import ALL, CLEAN
from fairprof.commands.evaluate.shift import CONFIDENCE, PREDICTED, sample_counts, training_counts
from fairprof.inference.calibration_by_group import reliability_with_intervals
from fairprof.metrics.calibration import ERROR, bins_for
from fairprof.metrics.fairness import PARITY_DIFFERENCES, SUFFICIENT, group_labels
from fairprof.metrics.performance import class_names
from fairprof.metrics.selective import confidence_of
from fairprof.reporting.chart import (
    MOST_CURVES,
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
from fairprof.reporting.names import name_of
from fairprof.reporting.style import (
    BAND_OF_VALUES,
    HOLLOW,
    IDEAL,
    INK,
    LARGE,
    MARKERS,
    NORMAL,
    NULL,
    NULL_MEAN,
    PALETTE,
    SMALL,
    TINY,
    WIDTH,
    Style,
    curve_styles,
)
from fairprof.reporting.wording import UNDEFINED, count, number, short

SHOWN_SHARES = ("gender", "race", "age", "profession", PREDICTED)
STAGES = {"before": "as the model gives it", "after": "after temperature scaling"}
BAND = "95 % interval of all images"
COLUMNS = 3  # panels of a line
NULL_CURVE: Style = {"color": NULL_MEAN, "linewidth": 1, "linestyle": ":"}


def figures_of(
    evaluation: Evaluation, evaluated: dict[str, pd.DataFrame], training: TrainingRecord
) -> dict[str, Figure]:
    """Every picture of an evaluation, by artifact path without its ending; evaluated: predictions before and after
    temperature scaling."""
    calibration, selective, robustness = evaluation.calibration, evaluation.selective, evaluation.robustness
    everyone = calibration.table[calibration.table["attribute"].eq(ALL)]
    errors = everyone[everyone["metric"].eq(ERROR)].set_index("stage")["value"].to_dict()
    figures = {
        "calibration/reliability": calibration_figure(evaluated, errors, evaluation.min_support),
        "selective/curves": selective_figure(selective.scores, selective.by_group, selective.gaps),
        "shift/composition": _composition_figure(evaluated["before"], training),
    }
    if robustness is not None:
        title = f"One image under every corruption, {evaluation.subject.image_size} px, as the network sees it"
        figures |= {
            "robustness/race": robustness_figure(robustness.accuracy, "race"),
            "robustness/gender": robustness_figure(robustness.accuracy, "gender"),
            "robustness/corruptions": corruption_sheet(robustness.example, title),
        }
    return figures


# Calibration.


def calibration_figure(tables: dict[str, pd.DataFrame], errors: dict[str, float], min_support: int) -> Figure:
    """Accuracy against confidence with intervals: before and after temperature scaling, and after it by group.

    tables: predictions by stage (before, after). errors: expected calibration error of all images by stage.
    """
    figure = Figure(figsize=(WIDTH, 4.5), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for (stage, table), colour, marker in zip(tables.items(), (NULL_MEAN, INK), MARKERS, strict=False):
        curve = reliability_with_intervals(table, bins_for(len(table)))
        intervals(axes[0], curve["lower"], curve["upper"], curve["mean_confidence"], colour, thin=True, rising=True)
        axes[0].plot(
            curve["mean_confidence"],
            curve["accuracy"],
            color=colour,
            marker=marker,
            markersize=5,
            label=f"{STAGES[stage]}: error {number(errors[stage])}",
        )
    axes[0].set_title("all images", fontsize=NORMAL)
    for axis, attribute in zip(axes[1:], ("gender", "race"), strict=True):
        _group_reliability(axis, tables["after"], attribute, min_support)
    for axis in axes:
        axis.plot([0, 1], [0, 1], **IDEAL)
        axis.set(xlim=(0, 1), ylim=(0, 1))
        axis.set_xlabel("confidence", fontsize=SMALL)
        axis.legend(fontsize=TINY, loc="upper left")
        plain(axis)
    axes[0].set_ylabel("accuracy", fontsize=SMALL)
    handles = [line("95 % interval of a bin's accuracy (Wilson), upright", linewidth=1.2), line("perfect", **IDEAL)]
    return finished(
        figure,
        "Calibration in bins of equal numbers of images: on the diagonal is best, below it the model is overconfident",
        handles,
    )


def _group_reliability(axis: Axes, table: pd.DataFrame, attribute: str, min_support: int) -> None:
    labels = group_labels(table, attribute)
    sizes = labels.value_counts()
    enough = sizes[sizes >= min_support]
    bins = bins_for(int(enough.min())) if len(enough) else 1
    shown = largest_of(sizes[list(labels.cat.categories)], MOST_CURVES)
    for group, style in zip(shown, curve_styles(), strict=False):
        if sizes[group] >= min_support:
            curve = reliability_with_intervals(table[labels.eq(group)], bins)
            ends = curve["lower"], curve["upper"], curve["mean_confidence"]
            intervals(axis, *ends, style["color"], thin=True, rising=True)
            axis.plot(curve["mean_confidence"], curve["accuracy"], **style, label=f"{drawn(group)} ({sizes[group]:,})")
        else:
            axis.plot([], [], **style, label=f"{drawn(group)} ({sizes[group]:,}): insufficient evidence")
    left = left_out(len(shown), len(sizes), "groups").replace("; ", "\n")
    axis.set_title(f"by {name_of(attribute)}, after scaling: {bins} bins for every group{left}", fontsize=NORMAL)


# Selective prediction.


def selective_figure(scores: pd.DataFrame, by_group: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """Accuracy, coverage of the groups and gaps against coverage, with the noise floor of each."""
    figure = Figure(figsize=(WIDTH, 10.2), layout="constrained")
    axes = figure.subplots(3, 4)
    least = float(scores["coverage"].min())
    _selective_scores(axes[0, 0], scores)
    for axis, attribute in zip(axes[0, 1:3], ("gender", "race"), strict=True):
        _group_lines(axis, by_group[by_group["attribute"].eq(attribute)], "accuracy")
        axis.set_title(f"accuracy by {attribute}: up is better", fontsize=NORMAL)
    _gap_line(axes[0, 3], gaps, "race", "accuracy_difference")
    for axis, attribute in zip((axes[1, 0], axes[1, 2]), ("gender", "race"), strict=True):
        part = by_group[by_group["attribute"].eq(attribute)]
        _group_lines(axis, part.assign(evidence=SUFFICIENT), "group_coverage")
        axis.plot([least, 1], [least, 1], **IDEAL)
        axis.set_title(f"coverage by {attribute}: alike is fairer", fontsize=NORMAL)
    for axis, attribute in zip((axes[1, 1], axes[1, 3]), ("gender", "race"), strict=True):
        _gap_line(axis, gaps, attribute, "coverage_difference")
    tested = itertools.product(PARITY_DIFFERENCES, ("gender", "race"))
    for axis, (metric, attribute) in zip(axes[2], tested, strict=True):
        _gap_line(axis, gaps, attribute, metric)
    for axis in axes.flat:
        axis.set_xlim(1.03, least - 0.03)
        axis.set_xlabel("coverage: share that is answered", fontsize=SMALL)
        plain(axis)
    handles = [
        mark("gap", color=INK, linestyle="-", linewidth=1.4, markersize=4.5),
        mark("hollow: fewer than min_support images in it", color=INK, markersize=4.5, markerfacecolor=HOLLOW),
        Patch(color=NULL, label="were groups treated alike: up to the 95 % quantile"),
        line("were groups treated alike: mean", **NULL_CURVE),
        line("refused alike", **IDEAL),
    ]
    return finished(
        figure,
        "Selective prediction: further right, more of the least confident predictions are refused\n"
        "gaps: down is better, nothing within the grey is evidence of one, and curves end where images are too few",
        handles,
    )


def _selective_scores(axis: Axes, scores: pd.DataFrame) -> None:
    band = "accuracy, 95 % interval (Wilson)"
    ends = scores["coverage"], scores["lower"], scores["upper"]
    axis.fill_between(*ends, color=PALETTE[0], alpha=0.2, linewidth=0, label=band)
    for name, style in zip(("accuracy", "macro_f1"), curve_styles(), strict=False):
        axis.plot(scores["coverage"], scores[name], **style, label=name_of(name))
    axis.set_title("all images: up is better", fontsize=NORMAL)
    axis.legend(fontsize=TINY)


def _group_lines(axis: Axes, part: pd.DataFrame, value: str) -> None:
    groups = part.groupby("group", sort=False, observed=True)
    names = largest_of(groups["support"].max(), MOST_CURVES)
    for group, style in zip(names, curve_styles(), strict=False):
        rows = groups.get_group(group)
        axis.plot(rows["coverage"], rows[value], **style | {"marker": ""}, label=drawn(group))
        for evidence, fill in ((True, style["color"]), (False, HOLLOW)):
            shown = rows[rows["evidence"].eq(SUFFICIENT) == evidence]
            axis.plot(shown["coverage"], shown[value], **style | {"linestyle": "", "markerfacecolor": fill})
    axis.legend(fontsize=TINY, title=_of_groups(len(names), len(groups)), title_fontsize=TINY)


def _of_groups(shown: int, there: int) -> str | None:
    return f"{shown:,} largest of {there:,}" if shown < there else None


def _gap_line(axis: Axes, gaps: pd.DataFrame, attribute: str, metric: str) -> None:
    rows = gaps[gaps["attribute"].eq(attribute) & gaps["metric"].eq(metric)]
    axis.fill_between(rows["coverage"], 0, rows["null_q95"], color=NULL, linewidth=0)
    axis.plot(rows["coverage"], rows["null_mean"], **NULL_CURVE)
    axis.plot(rows["coverage"], rows["value"], color=INK, linewidth=1.4)
    for weak, fill in ((False, INK), (True, HOLLOW)):
        shown = rows[(rows["insufficient_cells"] > 0) == weak]
        axis.plot(
            shown["coverage"],
            shown["value"],
            color=INK,
            marker="o",
            markersize=4.5,
            linestyle="",
            markerfacecolor=fill,
        )
    defined, ends = rows.loc[rows["value"].notna(), "coverage"], ""
    if len(defined) < len(rows):
        ends = f"; undefined below {short(defined.min())}" if len(defined) else f": {UNDEFINED}"
    axis.set_ylim(bottom=0)
    axis.set_title(f"{name_of(metric)}\nby {name_of(attribute)}{ends}", fontsize=NORMAL)


# Robustness.


def robustness_figure(accuracy: pd.DataFrame, attribute: str) -> Figure:
    """Accuracy by severity, a panel for every corruption of the table and a line for every group."""
    corruptions = [name for name in dict.fromkeys(accuracy["corruption"]) if name != CLEAN]
    lines = -(-len(corruptions) // COLUMNS)
    figure = Figure(figsize=(WIDTH, 3.0 * lines + 1.4), layout="constrained")
    panels = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).flat
    shown = accuracy[accuracy["attribute"].isin([ALL, attribute])]
    for axis, corruption in zip(panels, corruptions, strict=False):
        _corruption_panel(axis, shown[shown["corruption"].isin([CLEAN, corruption])].sort_values("severity"))
        axis.set_title(corruption, fontsize=NORMAL)
        axis.set_xticks((0, *SEVERITIES), ("clean", *map(str, SEVERITIES)))
        axis.set_ylim(0, 1)
        plain(axis)
        axis.tick_params(labelbottom=True)  # the panel below may be none
        axis.set_xlabel("severity", fontsize=SMALL)
        axis.set_ylabel("accuracy", fontsize=SMALL)
    for axis in panels[len(corruptions) :]:
        axis.remove()
    groups = accuracy.loc[accuracy["attribute"].eq(attribute), "group"].nunique()
    return finished(
        figure,
        f"Accuracy under corruption by {name_of(attribute)}: up is better, a level line is robust, lines that fall "
        f"alike are fairer{left_out(min(groups, MOST_CURVES), groups, 'groups').replace('; ', chr(10))}",
        figure.axes[0].get_legend_handles_labels()[0],
    )


def _corruption_panel(axis: Axes, accuracy: pd.DataFrame) -> None:
    """accuracy: of all images and of the groups, clean and under one corruption, by severity."""
    everyone = accuracy[accuracy["attribute"].eq(ALL)]
    axis.fill_between(
        everyone["severity"], everyone["lower"], everyone["upper"], color=INK, **BAND_OF_VALUES, label=BAND
    )
    axis.plot(everyone["severity"], everyone["accuracy"], color=INK, linewidth=2.4, label="all images")
    groups = accuracy[accuracy["attribute"].ne(ALL)].groupby("group", sort=False, observed=True)
    for group, style in zip(largest_of(groups["images"].max(), MOST_CURVES), curve_styles(), strict=False):
        rows = groups.get_group(group)
        enough = rows["evidence"].eq(SUFFICIENT).all()
        text = f"{drawn(group)} ({count(rows['images'].iloc[0])})" + ("" if enough else ": insufficient evidence")
        fill = style["color"] if enough else HOLLOW
        axis.plot(rows["severity"], rows["accuracy"], **style | {"markerfacecolor": fill}, label=text)


def corruption_sheet(images: dict[tuple[str, int], np.ndarray], title: str) -> Figure:
    """One image, clean and under every corruption (rows) at every severity (columns).

    images: corruption and severity to (S, S, 3) uint8; ("clean", 0) is the image itself.
    """
    corruptions = [name for name in dict.fromkeys(name for name, _ in images) if name != CLEAN]
    figure = Figure(figsize=(1.2 * (len(SEVERITIES) + 1) + 2.0, 1.26 * len(corruptions) + 0.7), layout="constrained")
    axes = figure.subplots(len(corruptions), len(SEVERITIES) + 1, squeeze=False)
    for row, corruption in zip(axes, corruptions, strict=True):
        for axis, severity in zip(row, (0, *SEVERITIES), strict=True):
            axis.imshow(images[(corruption, severity) if severity else (CLEAN, 0)], interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(corruption, fontsize=NORMAL)
    for axis, severity in zip(axes[0], (0, *SEVERITIES), strict=True):
        axis.set_title(f"severity {severity}" if severity else "clean", fontsize=NORMAL)
    figure.suptitle(title, fontsize=LARGE)
    return figure


# Shift.


def _composition_figure(here: pd.DataFrame, training: TrainingRecord) -> Figure:
    there = training.test
    samples = {
        "training": training_counts(training.composition, training.validation),
        "own test": sample_counts(there) | {PREDICTED: there["y_pred"].value_counts()},
        "evaluated": sample_counts(here) | {PREDICTED: here["y_pred"].value_counts()},
    }
    shares = {
        attribute: {name: _in_order(counts[attribute], here) for name, counts in samples.items() if attribute in counts}
        for attribute in SHOWN_SHARES
    }
    return shift_figure(shares, {"own test": confidence_of(there), "evaluated": confidence_of(here)})


def _in_order(counts: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Counts of categories that occur, in the order of the table's where they are among them."""
    counts = counts[counts > 0].set_axis(counts[counts > 0].index.astype(str))
    orders = [table[name].cat.categories.astype(str) for name in ("gender", "race", "age")]
    for order in (*orders, class_names(table)):
        if set(counts.index) <= set(order):
            return counts.reindex([name for name in order if name in counts.index])
    return counts.sort_index()


def shift_figure(shares: dict[str, dict[str, pd.Series]], confidences: dict[str, np.ndarray]) -> Figure:
    """Who is in the images, and what is predicted: the evaluated images against those of the training.

    shares: attribute to sample ("training", "own test", "evaluated") to counts by category. confidences: sample to
    confidences.
    """
    figure = Figure(figsize=(WIDTH, 7.2), layout="constrained")
    axes = figure.subplots(2, 3)
    colours = dict(zip(("training", "own test", "evaluated"), (PALETTE[5], NULL_MEAN, PALETTE[0]), strict=True))
    for axis, (attribute, samples) in zip(axes.flat, shares.items(), strict=False):
        names = list(dict.fromkeys(name for counts in samples.values() for name in counts.index))
        there, height = len(names), 0.8 / len(samples)
        total = sum(counts / counts.sum() for counts in (of.reindex(names, fill_value=0) for of in samples.values()))
        names = largest_of(total, MOST_ROWS)
        for place, (sample, counts) in enumerate(samples.items()):
            share = (counts / counts.sum()).reindex(names, fill_value=0)
            axis.barh(np.arange(len(names)) + (place - 1) * height, share, height=height, color=colours[sample])
        axis.set_yticks(range(len(names)), map(drawn, names), fontsize=TINY)
        axis.invert_yaxis()
        axis.set_title(f"{attribute}{left_out(len(names), there, 'groups')}", fontsize=NORMAL)
        axis.set_xlabel("share of the images", fontsize=SMALL)
        plain(axis, "x")
    _confidence_curves(axes.flat[-1], confidences, colours)
    return finished(
        figure,
        "The evaluated images against the training images and the training run's own test images: alike is no shift",
        [Patch(color=colour, label=f"{sample} images") for sample, colour in colours.items()],
    )


def _confidence_curves(axis: Axes, confidences: dict[str, np.ndarray], colours: dict[str, str]) -> None:
    for sample, values in confidences.items():
        axis.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), color=colours[sample], linewidth=1.6)
    axis.set_title(f"{CONFIDENCE} of the prediction", fontsize=NORMAL)
    axis.set_xlabel("confidence", fontsize=SMALL)
    axis.set_ylabel("share of images at or below", fontsize=SMALL)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    plain(axis)
