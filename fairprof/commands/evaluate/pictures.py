"""Pictures of an evaluation: functions of its tables. Titles say which direction is better."""

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from fairprof.commands.evaluate.results import Evaluation, TrainingRecord
from fairprof.commands.evaluate.robustness import ALL, CLEAN
from fairprof.commands.evaluate.shift import CONFIDENCE, PREDICTED, sample_counts, training_counts
from fairprof.inference.intervals import wilson_interval
from fairprof.metrics.calibration import ERROR, bins_for
from fairprof.metrics.fairness import PARITY_DIFFERENCES, SUFFICIENT, group_labels
from fairprof.metrics.performance import CALIBRATION_BINS, class_names, reliability_table
from fairprof.metrics.selective import confidence_of
from fairprof.reporting.style import GRID, PALETTE
from fairprof.reporting.wording import attribute_name, number

WIDTH = 12.0  # inches: 1,320 pixels at 110 dpi
SMALL, NORMAL, LARGE = 8, 9, 11  # points
EVERYONE = "#2b2b2b"
NULL = "#cfd6df"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SHOWN_SHARES = ("gender", "race", "age", "profession", PREDICTED)
STAGES = {"before": "as the model gives it", "after": "after temperature scaling"}
GAP_TITLES = {
    "demographic_parity_difference": "demographic parity difference",
    "equal_opportunity_difference": "equal opportunity difference",
    "accuracy_difference": "accuracy difference",
    "coverage_difference": "difference in coverage",
}


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
    """Accuracy against confidence before and after temperature scaling, and after it by gender and race.

    tables: predictions by stage (before, after). errors: expected calibration error of all images by stage.
    """
    figure = Figure(figsize=(WIDTH, 4.5), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for (stage, table), colour, marker in zip(tables.items(), ("#7d8896", EVERYONE), MARKERS, strict=False):
        curve = reliability_table(table, min(CALIBRATION_BINS, bins_for(len(table))))
        lower, upper = wilson_interval(curve["accuracy"] * curve["count"], curve["count"])
        axes[0].vlines(curve["mean_confidence"], lower, upper, color=colour, linewidth=1.2, alpha=0.6)
        axes[0].plot(
            curve["mean_confidence"],
            curve["accuracy"],
            color=colour,
            marker=marker,
            markersize=5,
            label=f"{STAGES[stage]}: error {number(errors[stage])}",
        )
    axes[0].set_title("all images, 95 % intervals", fontsize=NORMAL)
    for axis, attribute in zip(axes[1:], ("gender", "race"), strict=True):
        _group_reliability(axis, tables["after"], attribute, min_support)
    for axis in axes:
        axis.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1, zorder=1)
        axis.set(xlim=(0, 1), ylim=(0, 1))
        axis.set_xlabel("confidence", fontsize=SMALL)
        axis.legend(fontsize=7.5, loc="upper left")
        _plain(axis)
    axes[0].set_ylabel("accuracy", fontsize=SMALL)
    figure.suptitle(
        "Calibration in bins of equal numbers of images: on the diagonal is best, below it the model is overconfident",
        fontsize=LARGE,
    )
    return figure


def _group_reliability(axis: Axes, table: pd.DataFrame, attribute: str, min_support: int) -> None:
    labels = group_labels(table, attribute)
    sizes = labels.value_counts()
    enough = sizes[sizes >= min_support]
    bins = bins_for(int(enough.min())) if len(enough) else 1
    for group, style in zip(labels.cat.categories, _styles(), strict=False):
        if sizes[group] >= min_support:
            curve = reliability_table(table[labels.eq(group)], bins)
            axis.plot(curve["mean_confidence"], curve["accuracy"], **style, label=f"{group} ({sizes[group]:,})")
        else:
            axis.plot([], [], **style, label=f"{group} ({sizes[group]:,}): insufficient evidence")
    axis.set_title(f"by {attribute_name(attribute)}, after scaling: {bins} bins for every group", fontsize=NORMAL)


# Selective prediction.


def selective_figure(scores: pd.DataFrame, by_group: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """Accuracy, coverage of the groups and gaps against coverage, with the noise floor of each."""
    figure = Figure(figsize=(WIDTH, 10.2), layout="constrained")
    axes = figure.subplots(3, 4)
    _selective_scores(axes[0, 0], scores)
    for axis, attribute in zip(axes[0, 1:3], ("gender", "race"), strict=True):
        _group_lines(axis, by_group[by_group["attribute"].eq(attribute)], "accuracy")
        axis.set_title(f"accuracy by {attribute}: up is better", fontsize=NORMAL)
    _gap_line(axes[0, 3], gaps, "race", "accuracy_difference")
    for axis, attribute in zip((axes[1, 0], axes[1, 2]), ("gender", "race"), strict=True):
        part = by_group[by_group["attribute"].eq(attribute)]
        _group_lines(axis, part.assign(evidence=SUFFICIENT), "group_coverage")
        axis.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
        axis.set_title(f"coverage by {attribute}: alike is fairer", fontsize=NORMAL)
    for axis, attribute in zip((axes[1, 1], axes[1, 3]), ("gender", "race"), strict=True):
        _gap_line(axis, gaps, attribute, "coverage_difference")
    tested = itertools.product(PARITY_DIFFERENCES, ("gender", "race"))
    for axis, (metric, attribute) in zip(axes[2], tested, strict=True):
        _gap_line(axis, gaps, attribute, metric)
    for axis in axes.flat:
        axis.set_xlim(1.03, 0.07)
        axis.set_xlabel("coverage: share that is answered", fontsize=SMALL)
        _plain(axis)
    handles = [
        Patch(color=NULL, label="what groups that are treated alike would show: up to the 95 % quantile"),
        Line2D([], [], color=EVERYONE, marker="o", label="gap"),
        Line2D([], [], color=EVERYONE, marker="o", markerfacecolor="white", label="rates under min_support in it"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    figure.suptitle(
        "Selective prediction: further right, more of the least confident predictions are refused\n"
        "gaps: down is better, and nothing within the grey is evidence of a gap",
        fontsize=LARGE,
    )
    return figure


def _selective_scores(axis: Axes, scores: pd.DataFrame) -> None:
    axis.fill_between(scores["coverage"], scores["lower"], scores["upper"], color=PALETTE[0], alpha=0.2, linewidth=0)
    for name, style in zip(("accuracy", "macro_f1"), _styles(), strict=False):
        axis.plot(scores["coverage"], scores[name], **style, label=name.replace("_f1", "-F1"))
    axis.set_title("all images: up is better", fontsize=NORMAL)
    axis.legend(fontsize=7.5)


def _group_lines(axis: Axes, part: pd.DataFrame, value: str) -> None:
    for (group, rows), style in zip(part.groupby("group", sort=False, observed=True), _styles(), strict=False):
        axis.plot(rows["coverage"], rows[value], **style | {"marker": ""}, label=str(group))
        for evidence, fill in ((True, style["color"]), (False, "white")):
            shown = rows[rows["evidence"].eq(SUFFICIENT) == evidence]
            axis.plot(shown["coverage"], shown[value], **style | {"linestyle": "", "markerfacecolor": fill})
    axis.legend(fontsize=7)


def _gap_line(axis: Axes, gaps: pd.DataFrame, attribute: str, metric: str) -> None:
    rows = gaps[gaps["attribute"].eq(attribute) & gaps["metric"].eq(metric)]
    axis.fill_between(rows["coverage"], 0, rows["null_q95"], color=NULL, linewidth=0)
    axis.plot(rows["coverage"], rows["null_mean"], color="#7d8896", linewidth=1, linestyle=":")
    axis.plot(rows["coverage"], rows["value"], color=EVERYONE, linewidth=1.4)
    for weak, fill in ((False, EVERYONE), (True, "white")):
        shown = rows[(rows["insufficient_cells"] > 0) == weak]
        axis.plot(
            shown["coverage"],
            shown["value"],
            color=EVERYONE,
            marker="o",
            markersize=4.5,
            linestyle="",
            markerfacecolor=fill,
        )
    axis.set_ylim(bottom=0)
    axis.set_title(f"{GAP_TITLES[metric]}\nby {attribute}", fontsize=NORMAL)


# Robustness.


def robustness_figure(accuracy: pd.DataFrame, attribute: str) -> Figure:
    """Accuracy by severity, a panel for every corruption and a line for every group."""
    figure = Figure(figsize=(WIDTH, 6.8), layout="constrained")
    clean = accuracy[accuracy["corruption"].eq(CLEAN)]
    for number_of_panel, (axis, corruption) in enumerate(
        zip(figure.subplots(2, 3, sharex=True, sharey=True).flat, CORRUPTIONS, strict=True)
    ):
        shown = pd.concat([clean, accuracy[accuracy["corruption"].eq(corruption)]])
        everyone = shown[shown["attribute"].eq(ALL)].sort_values("severity")
        axis.fill_between(
            everyone["severity"], everyone["lower"], everyone["upper"], color=EVERYONE, alpha=0.13, linewidth=0
        )
        axis.plot(everyone["severity"], everyone["accuracy"], color=EVERYONE, linewidth=2.4, label="all, 95 % interval")
        groups = shown[shown["attribute"].eq(attribute)].groupby("group", sort=False, observed=True)
        for (group, rows), style in zip(groups, _styles(), strict=False):
            ordered = rows.sort_values("severity")
            enough = ordered["evidence"].eq(SUFFICIENT).all()
            fill = {} if enough else {"markerfacecolor": "white"}
            axis.plot(
                ordered["severity"],
                ordered["accuracy"],
                **style | fill,
                label=f"{group} ({ordered['images'].iloc[0]})" + ("" if enough else ": insufficient evidence"),
            )
        axis.set_title(corruption, fontsize=NORMAL)
        axis.set_xticks((0, *SEVERITIES), ("clean", *map(str, SEVERITIES)))
        axis.set_ylim(0, 1)
        _plain(axis)
        if number_of_panel == 0:
            axis.legend(fontsize=7, loc="best")
    figure.supxlabel("severity", fontsize=SMALL)
    figure.supylabel("accuracy", fontsize=SMALL)
    figure.suptitle(
        f"Accuracy under corruption by {attribute_name(attribute)}: up is better, a level line is robust, lines that "
        "fall alike are fairer",
        fontsize=LARGE,
    )
    return figure


def corruption_sheet(images: dict[tuple[str, int], np.ndarray], title: str) -> Figure:
    """One image, clean and under every corruption (rows) at every severity (columns).

    images: corruption and severity to (S, S, 3) uint8; ("clean", 0) is the image itself.
    """
    figure = Figure(figsize=(1.55 * (len(SEVERITIES) + 1) + 0.6, 1.62 * len(CORRUPTIONS) + 0.8), layout="constrained")
    axes = figure.subplots(len(CORRUPTIONS), len(SEVERITIES) + 1, squeeze=False)
    for line, corruption in zip(axes, CORRUPTIONS, strict=True):
        for axis, severity in zip(line, (0, *SEVERITIES), strict=True):
            axis.imshow(images[(corruption, severity) if severity else (CLEAN, 0)], interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(corruption, fontsize=NORMAL)
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
    colours = dict(zip(("training", "own test", "evaluated"), (PALETTE[5], "#7d8896", PALETTE[0]), strict=True))
    for axis, (attribute, samples) in zip(axes.flat, shares.items(), strict=False):
        names = list(dict.fromkeys(name for counts in samples.values() for name in counts.index))
        height = 0.8 / len(samples)
        for place, (sample, counts) in enumerate(samples.items()):
            share = (counts / counts.sum()).reindex(names, fill_value=0)
            axis.barh(np.arange(len(names)) + (place - 1) * height, share, height=height, color=colours[sample])
        axis.set_yticks(range(len(names)), names, fontsize=7.5)
        axis.invert_yaxis()
        axis.set_title(attribute, fontsize=NORMAL)
        axis.set_xlabel("share of the images", fontsize=SMALL)
        _plain(axis, "x")
    _confidence_curves(axes.flat[-1], confidences, colours)
    handles = [Patch(color=colour, label=f"{sample} images") for sample, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    figure.suptitle(
        "The evaluated images against the training images and the training run's own test images: alike is no shift",
        fontsize=LARGE,
    )
    return figure


def _confidence_curves(axis: Axes, confidences: dict[str, np.ndarray], colours: dict[str, str]) -> None:
    for sample, values in confidences.items():
        axis.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), color=colours[sample], linewidth=1.6)
    axis.set_title(f"{CONFIDENCE} of the prediction", fontsize=NORMAL)
    axis.set_xlabel("confidence", fontsize=SMALL)
    axis.set_ylabel("share of images at or below", fontsize=SMALL)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    _plain(axis)


# What all share.


def _styles() -> Iterable[dict]:
    return (
        {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.4, "linestyle": "-"}
        for colour, marker in itertools.cycle(zip(PALETTE, MARKERS, strict=True))
    )


def _plain(axis: Axes, grid: str = "both") -> None:
    axis.grid(axis=grid, **GRID)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=SMALL)
