"""Pictures of what is measured on one table of predictions: confusion matrix, calibration, rates by group."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairprof.metrics.fairness import SUFFICIENT
from fairprof.reporting.chart import (
    LETTERS,
    MOST_CLASSES,
    MOST_CURVES,
    MOST_ROWS,
    drawn,
    finished,
    largest_of,
    left_out,
    mark,
    plain,
)
from fairprof.reporting.names import name_of
from fairprof.reporting.style import (
    GRID,
    HOLLOW,
    IDEAL,
    NORMAL,
    PALETTE,
    SHARES,
    SMALL,
    ink_on,
)
from fairprof.reporting.wording import count, number, percent

RATES = {"selection_rate": "demographic parity", "true_positive_rate": "equal opportunity"}
COLOURS = dict(zip(("gender", "race"), PALETTE, strict=False))


def confusion_figure(confusion: pd.DataFrame, title: str) -> Figure:
    """Counts by true (rows) and predicted class, shaded by the share of the true class; of many classes only the
    largest."""
    sizes = pd.Series(confusion.to_numpy().sum(axis=1))
    shown = largest_of(sizes, MOST_CLASSES)
    counts = confusion.to_numpy()[np.ix_(shown, shown)]
    shares = counts / np.maximum(sizes.to_numpy()[shown][:, None], 1)
    labels = [drawn(confusion.index[place], 2 * LETTERS) for place in shown]
    names = 0.075 * max(map(len, labels))  # inches that the longest name needs
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
    axis.set_yticks(range(len(counts)), labels, fontsize=SMALL)
    axis.set_xlabel("predicted class", fontsize=SMALL)
    axis.set_ylabel("true class", fontsize=SMALL)
    axis.set_title(textwrap.fill(f"{title}{left_out(len(shown), len(sizes), 'classes')}", 60), fontsize=NORMAL)
    return figure


def reliability_figure(reliability: pd.DataFrame, calibration_error: float) -> Figure:
    """Accuracy against confidence in bins of equal numbers of images."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], **IDEAL, label="perfect calibration")
    axis.plot(reliability["mean_confidence"], reliability["accuracy"], color=PALETTE[0], marker="o", label="this model")
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_xlabel("confidence", fontsize=SMALL)
    axis.set_ylabel("accuracy", fontsize=SMALL)
    axis.set_title(f"Calibration on the test set: expected error {number(calibration_error)}", fontsize=NORMAL)
    axis.legend(fontsize=SMALL)
    plain(axis)
    return figure


def rates_figure(by_group: pd.DataFrame) -> Figure:
    """Selection rate and true positive rate of every gender and race, by class; hollow where evidence is weak; of many
    groups and classes only the largest."""
    shown = by_group[by_group["attribute"].isin(COLOURS)]
    sizes = shown.groupby(["attribute", "group"], sort=False)["support"].max()  # of the selection rate: all images
    groups = [name for attribute in COLOURS for name in largest_of(sizes.loc[[attribute]], MOST_ROWS)]
    true_class = shown[shown["rate"].eq("true_positive_rate") & shown["attribute"].eq("gender")]
    of_class = true_class.groupby("class", sort=False)["support"].sum()
    classes = largest_of(of_class, MOST_CURVES)
    row = 0.55 if len(groups) <= MOST_ROWS else 0.3  # inches
    figure = Figure(figsize=(2.6 * len(classes) + 1, row * len(groups) * len(RATES) + 1.9), layout="constrained")
    panels = figure.subplots(len(RATES), len(classes), squeeze=False)
    for panels_of_rate, (rate, gap) in zip(panels, RATES.items(), strict=True):
        for axis, profession in zip(panels_of_rate, classes, strict=True):
            rates = shown[shown["rate"].eq(rate) & shown["class"].eq(profession)]
            _rates_of_groups(axis, rates.set_index(["attribute", "group"]).loc[groups], named=profession == classes[0])
            axis.set_title(textwrap.fill(drawn(profession, 3 * LETTERS), LETTERS), fontsize=NORMAL)
        panels_of_rate[0].set_ylabel(f"{name_of(rate)}\n({gap})", fontsize=SMALL)
    handles = [
        mark("enough images", color=PALETTE[0]),
        mark("insufficient evidence", color=PALETTE[0], markerfacecolor=HOLLOW),
    ]
    title = "Rates by group on the test set; the gap is the distance between the outermost points"
    left = left_out(len(groups), len(sizes), "groups") + left_out(len(classes), len(of_class), "classes")
    return finished(figure, f"{title}\n{left.removeprefix('; ')}" if left else title, handles)


def _rates_of_groups(axis: Axes, rates: pd.DataFrame, named: bool) -> None:
    """rates: of one kind and class, indexed by attribute and group. named: whether the groups' names stand beside."""
    colours = [COLOURS[attribute] for attribute in rates.index.get_level_values("attribute")]
    places = np.arange(len(rates))
    fills = np.where(rates["evidence"].eq(SUFFICIENT), colours, HOLLOW)
    axis.hlines(places, 0, rates["value"], **GRID, zorder=1)
    axis.scatter(rates["value"], places, c=list(fills), edgecolors=colours, s=34, zorder=2)
    axis.set(xlim=(0, 1), ylim=(len(rates) - 0.5, -0.5))
    names = rates.index.get_level_values("group")
    both = set(names[names.duplicated()])  # which are groups of both attributes
    labels = [f"{name_of(of)}: {drawn(name)}" if name in both else drawn(name) for of, name in rates.index]
    axis.set_yticks(*((places, labels) if named else ([],)))
    plain(axis, "x")
