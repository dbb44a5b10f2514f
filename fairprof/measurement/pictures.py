"""Pictures of what is measured on one table of predictions: confusion matrix, calibration, rates by group."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairprof.inference.levels import CONFIDENCE
from fairprof.metrics.fairness import ATTRIBUTES, SUFFICIENT
from fairprof.reporting.chart import (
    LETTERS,
    MOST_CLASSES,
    MOST_CURVES,
    MOST_ROWS,
    Rows,
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
    HOLLOW,
    IDEAL,
    NORMAL,
    PALETTE,
    SHARES,
    SMALL,
    TINY,
    WIDTH,
    Style,
    ink_on,
)
from fairprof.reporting.wording import UNDEFINED, count, counted, number, percent

INTERVAL = f"{percent(CONFIDENCE, 'g')} interval (Wilson)"
RATES = {"selection_rate": "demographic parity", "true_positive_rate": "equal opportunity"}


def confusion_figure(confusion: pd.DataFrame, title: str) -> Figure:
    """Counts by true (rows, with the number of their images) and predicted class, shaded by the share of the true
    class; of many classes only the largest."""
    sizes = pd.Series(confusion.to_numpy().sum(axis=1))
    shown = largest_of(sizes, MOST_CLASSES)
    counts = confusion.to_numpy()[np.ix_(shown, shown)]
    shares = counts / np.maximum(sizes.to_numpy()[shown][:, None], 1)
    labels = [drawn(confusion.index[place], 2 * LETTERS) for place in shown]
    of_rows = [f"{label}\n{counted(int(sizes[place]), 'image')}" for label, place in zip(labels, shown, strict=True)]
    names = 0.075 * max(*map(len, labels), 10)  # inches that the longest name needs
    figure = Figure(
        figsize=(1.1 * len(counts) + 0.7 + names, 1.0 * len(counts) + 0.75 + names / 2), layout="constrained"
    )
    axis = figure.subplots()
    axis.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        text = f"{count(counts[row, column])}\n{percent(shares[row, column], '.0f')}"
        colour = ink_on(shares[row, column])
        axis.text(column, row, text, ha="center", va="center", fontsize=NORMAL, color=colour, in_layout=False)
    axis.set_xticks(range(len(counts)), labels, rotation=30, ha="right", fontsize=SMALL)
    axis.set_yticks(range(len(counts)), of_rows, fontsize=SMALL)
    axis.set_xlabel("predicted class", fontsize=SMALL)
    axis.set_ylabel("true class", fontsize=SMALL)
    axis.set_title(textwrap.fill(f"{title}{left_out(len(shown), len(sizes), 'classes')}", 60), fontsize=NORMAL)
    return figure


def reliability_figure(reliability: pd.DataFrame, calibration_error: float) -> Figure:
    """Accuracy against confidence in bins of equal numbers of images, each with its interval; reliability: of
    `reliability_with_intervals`."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axis, colour = figure.subplots(), PALETTE[0]
    axis.plot([0, 1], [0, 1], **IDEAL, label="perfect calibration")
    axis.plot(reliability["mean_confidence"], reliability["accuracy"], color=colour, marker="o", label="this model")
    ends = reliability["lower"], reliability["upper"], reliability["mean_confidence"]
    intervals(axis, *ends, colour, thin=True, rising=True)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_xlabel("confidence", fontsize=SMALL)
    axis.set_ylabel("accuracy", fontsize=SMALL)
    axis.set_title(f"Calibration on the test set: expected error {number(calibration_error)}", fontsize=NORMAL)
    handles = [*axis.get_legend_handles_labels()[0], line(f"{INTERVAL}, upright", color=colour, linewidth=1.2)]
    axis.legend(handles=handles, fontsize=SMALL)
    plain(axis)
    return figure


def rates_figure(by_group: pd.DataFrame) -> Figure:
    """Selection rate and true positive rate of every group and intersection, by class, with intervals; hollow where
    evidence is weak; of many groups and classes only the largest.

    by_group: of `rates_by_group`, with the columns of `with_intervals`.
    """
    sizes = by_group.groupby(["attribute", "group"], sort=False)["support"].max()  # of the selection rate: all images
    rows = Rows.of(
        {name: [group for _, group in largest_of(sizes.loc[[name]], MOST_ROWS)] for name in _attributes(by_group)}
    )
    of_class = _images_of_classes(by_group)
    classes = largest_of(of_class, MOST_CURVES)
    height = 0.72 * rows.inches + 0.5
    figure = Figure(figsize=(WIDTH, height * len(RATES) + 0.9), layout="constrained")
    panels = figure.subplots(len(RATES), len(classes), squeeze=False, sharex=True, sharey=True)
    headings = {name: f"by {name_of(name)}" for name in rows.headings}
    labels = {place: drawn(group) for (_, group), place in rows.places.items()}
    letters = int(9.5 * 11 / len(classes))  # of a title beside others
    for panels_of_rate, (rate, gap) in zip(panels, RATES.items(), strict=True):
        for axis, profession in zip(panels_of_rate, classes, strict=True):
            rows.draw(axis, headings if profession == classes[0] else {}, labels=labels)
            axis.tick_params(axis="y", labelsize=TINY, labelleft=profession == classes[0])
            shown = by_group[by_group["rate"].eq(rate) & by_group["class"].eq(profession)]
            _rates_of_groups(axis, shown, rows)
            axis.set_title(textwrap.fill(drawn(profession, 3 * LETTERS), letters), fontsize=NORMAL)
            axis.set_xlim(0, 1)
        panels_of_rate[0].set_ylabel(f"{name_of(rate)}\n({gap})", fontsize=SMALL)
    handles = [
        mark("enough images", color=PALETTE[0], markersize=5),
        mark("insufficient evidence", color=PALETTE[0], markersize=5, markerfacecolor=HOLLOW),
        line(INTERVAL, color=PALETTE[0], linewidth=1.2),
    ]
    title = "Rates by group on the test set; a gap is the distance between the outermost points under one heading"
    left = left_out(len(rows.places), len(sizes), "groups") + left_out(len(classes), len(of_class), "classes")
    return finished(figure, f"{title}\n{left.removeprefix('; ')}" if left else title, handles)


def _attributes(by_group: pd.DataFrame) -> list[str]:
    return [name for name in ATTRIBUTES if by_group["attribute"].eq(name).any()]


def _images_of_classes(by_group: pd.DataFrame) -> pd.Series:
    """How many images truly are of a class, by class."""
    first = by_group["attribute"].eq(_attributes(by_group)[0])
    true_class = by_group[by_group["rate"].eq("true_positive_rate") & first]
    return true_class.groupby("class", sort=False)["support"].sum()


def _rates_of_groups(axis: Axes, rates: pd.DataFrame, rows: Rows) -> None:
    """rates: of one kind and class."""
    shown = rates.set_index(["attribute", "group"]).loc[list(rows.places)]
    places = np.array(list(rows.places.values()))
    intervals(axis, shown["lower"], shown["upper"], places, PALETTE[0], thin=True)
    sufficient = shown["evidence"].eq(SUFFICIENT).to_numpy()
    style: Style = {"color": PALETTE[0], "markersize": 5, "zorder": 3, "clip_on": False, "in_layout": False}
    for chosen, fill in ((sufficient, PALETTE[0]), (~sufficient, HOLLOW)):
        axis.plot(shown["value"].to_numpy()[chosen], places[chosen], "o", **style, markerfacecolor=fill)
    for place in places[shown["value"].isna()]:
        axis.text(0.02, place, UNDEFINED, va="center", fontsize=TINY)
