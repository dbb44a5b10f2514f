"""Pictures of what is measured on one table of predictions: confusion matrix, calibration, rates by group."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairprof.metrics.fairness import SUFFICIENT
from fairprof.reporting.chart import finished, mark, plain
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
    """Counts by true (rows) and predicted class, shaded by the share of the true class."""
    counts = confusion.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = 0.075 * max(len(name) for name in confusion.index)  # inches that the longest name needs
    figure = Figure(
        figsize=(1.1 * len(counts) + 0.7 + names, 1.0 * len(counts) + 0.75 + names / 2), layout="constrained"
    )
    axis = figure.subplots()
    axis.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        text = f"{count(counts[row, column])}\n{percent(shares[row, column], '.0f')}"
        axis.text(column, row, text, ha="center", va="center", fontsize=NORMAL, color=ink_on(shares[row, column]))
    axis.set_xticks(range(len(counts)), confusion.columns, rotation=30, ha="right", fontsize=SMALL)
    axis.set_yticks(range(len(counts)), confusion.index, fontsize=SMALL)
    axis.set_xlabel("predicted class", fontsize=SMALL)
    axis.set_ylabel("true class", fontsize=SMALL)
    axis.set_title(title, fontsize=NORMAL)
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
    """Selection rate and true positive rate of every gender and race, by class; hollow where evidence is weak."""
    shown = by_group[by_group["attribute"].isin(COLOURS)]
    groups = list(shown["group"].drop_duplicates())
    classes = list(shown["class"].drop_duplicates())
    figure = Figure(figsize=(2.6 * len(classes) + 1, 0.55 * len(groups) * len(RATES) + 1.9), layout="constrained")
    panels = figure.subplots(len(RATES), len(classes), sharey=True, squeeze=False)
    for panels_of_rate, (rate, gap) in zip(panels, RATES.items(), strict=True):
        for axis, profession in zip(panels_of_rate, classes, strict=True):
            of_class = shown[shown["rate"].eq(rate) & shown["class"].eq(profession)].set_index("group").loc[groups]
            _rates_of_groups(axis, of_class)
            axis.set_title(textwrap.fill(profession, 30), fontsize=NORMAL)
        panels_of_rate[0].set_ylabel(f"{name_of(rate)}\n({gap})", fontsize=SMALL)
    handles = [
        mark("enough images", color=PALETTE[0]),
        mark("insufficient evidence", color=PALETTE[0], markerfacecolor=HOLLOW),
    ]
    return finished(
        figure, "Rates by group on the test set; the gap is the distance between the outermost points", handles
    )


def _rates_of_groups(axis: Axes, rates: pd.DataFrame) -> None:
    """rates: of one kind and class, indexed by group."""
    colours = [COLOURS[attribute] for attribute in rates["attribute"]]
    places = np.arange(len(rates))
    fills = np.where(rates["evidence"].eq(SUFFICIENT), colours, HOLLOW)
    axis.hlines(places, 0, rates["value"], **GRID, zorder=1)
    axis.scatter(rates["value"], places, c=list(fills), edgecolors=colours, s=34, zorder=2)
    axis.set(xlim=(0, 1), ylim=(len(rates) - 0.5, -0.5))
    axis.set_yticks(places, rates.index)
    plain(axis, "x")
