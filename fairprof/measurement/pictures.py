"""Pictures of one run: composition, training curves, confusion matrix, calibration, rates by group."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairprof.reporting.style import GRID, PALETTE
from fairprof.reporting.wording import count, number, percent


def confusion_figure(confusion: pd.DataFrame, title: str) -> Figure:
    """Counts by true (rows) and predicted class, shaded by the share of the true class."""
    counts = confusion.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = 0.075 * max(len(name) for name in confusion.index)  # inches that the longest name needs
    figure = Figure(
        figsize=(1.1 * len(counts) + 0.7 + names, 1.0 * len(counts) + 0.75 + names / 2), layout="constrained"
    )
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        axis.text(
            column,
            row,
            f"{count(counts[row, column])}\n{percent(shares[row, column], '.0f')}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if shares[row, column] > 0.55 else "#222222",
        )
    axis.set_xticks(range(len(counts)), confusion.columns, rotation=30, ha="right")
    axis.set_yticks(range(len(counts)), confusion.index)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(title, fontsize=10)
    return figure


def reliability_figure(reliability: pd.DataFrame, calibration_error: float) -> Figure:
    """Accuracy against confidence in bins of equal numbers of images."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1, label="perfect calibration")
    axis.plot(reliability["mean_confidence"], reliability["accuracy"], color=PALETTE[0], marker="o", label="this model")
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    axis.set_title(f"calibration on the test set: expected error {number(calibration_error)}", fontsize=10)
    axis.legend(fontsize=8)
    axis.grid(**GRID)
    return figure


def rates_figure(by_group: pd.DataFrame) -> Figure:
    """Selection rate and true positive rate of every gender and race, by class; hollow where evidence is weak."""
    shown = by_group[by_group["attribute"].isin(["gender", "race"])]
    groups = list(shown["group"].drop_duplicates())
    classes = list(shown["class"].drop_duplicates())
    rates = {
        "selection_rate": "selection rate (demographic parity)",
        "true_positive_rate": "true positive rate (equal opportunity)",
    }
    figure = Figure(figsize=(2.6 * len(classes) + 1, 0.55 * len(groups) * len(rates) + 1.5), layout="constrained")
    axes = figure.subplots(len(rates), len(classes), sharey=True, squeeze=False)
    for line, (rate, name) in zip(axes, rates.items(), strict=True):
        for axis, profession in zip(line, classes, strict=True):
            cells = shown[shown["rate"].eq(rate) & shown["class"].eq(profession)].set_index("group").loc[groups]
            _rate_cell(axis, cells, groups)
            axis.set_title(profession, fontsize=9)
        line[0].set_ylabel(name, fontsize=8)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=PALETTE[0], label="enough images"),
        Line2D(
            [], [], marker="o", linestyle="", color=PALETTE[0], markerfacecolor="white", label="insufficient evidence"
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle("rates by group on the test set; the gap is the distance between the outermost points", fontsize=10)
    return figure


def _rate_cell(axis, cells: pd.DataFrame, groups: list[str]) -> None:
    colours = [PALETTE[0] if attribute == "gender" else PALETTE[1] for attribute in cells["attribute"]]
    places = np.arange(len(groups))
    fills = np.where(cells["evidence"].eq("sufficient"), colours, "white")
    axis.hlines(places, 0, cells["value"], color="#d0d0d0", linewidth=1, zorder=1)
    axis.scatter(cells["value"], places, c=list(fills), edgecolors=colours, s=34, zorder=2)
    axis.set(xlim=(0, 1), ylim=(len(groups) - 0.5, -0.5), yticks=places)
    axis.set_yticklabels(groups, fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.grid(axis="x", **GRID)
