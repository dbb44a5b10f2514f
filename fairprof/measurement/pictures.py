"""Pictures of one run: composition, training curves, confusion matrix, calibration, rates by group."""

import io
import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

GRID = {"color": "#d9d9d9", "linewidth": 0.6}
DPI = 110  # of every picture: a figure of 12 inches is 1,320 pixels wide
PALETTE = ("#3b6fb6", "#d9822b", "#4c9a6a", "#a05195", "#8c6d31", "#c44e52", "#5f6b7a", "#2a9d8f")


def png_of(figure: Figure) -> bytes:
    """A picture as a PNG file, at the size at which it is read."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def composition_figure(composition: pd.DataFrame, title: str) -> Figure:
    """Images per race x gender, stacked by profession, a panel for each partition."""
    partitions = list(composition["partition"].cat.categories)
    groups = len(composition[["race", "gender"]].drop_duplicates())
    figure = Figure(figsize=(11, max(4.2, 1.4 + 0.3 * groups)), layout="constrained")
    for axis, partition in zip(figure.subplots(1, len(partitions)), partitions, strict=True):
        counts = composition[composition["partition"].eq(partition)].pivot_table(
            index=["race", "gender"], columns="profession", values="count", observed=False, aggfunc="sum"
        )
        names = [f"{race}\n{gender}" for race, gender in counts.index]
        left = np.zeros(len(counts))
        for colour, profession in zip(itertools.cycle(PALETTE), counts.columns, strict=False):
            axis.barh(names, counts[profession], left=left, color=colour, label=profession, height=0.75)
            left += counts[profession].to_numpy()
        axis.invert_yaxis()
        axis.set_title(f"{partition}: {int(left.sum()):,} images", fontsize=10)
        axis.tick_params(labelsize=7)
        axis.grid(axis="x", **GRID)
        axis.set_axisbelow(True)
    figure.axes[0].legend(fontsize=7, loc="lower right")
    figure.supxlabel("images", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def training_figure(history: list[dict[str, float]], best_epoch: int) -> Figure:
    """Loss, macro-F1 and the gaps on validation data over the epochs."""
    table = pd.DataFrame(history, index=range(1, len(history) + 1))
    panels = {
        "loss": ["train/loss", "val/loss"],
        "validation performance": ["val/accuracy", "val/balanced_accuracy", "val/macro_f1"],
        "validation gaps (largest over classes)": [
            f"val/{gap}/{attribute}"
            for gap in ("demographic_parity_difference", "equal_opportunity_difference")
            for attribute in ("gender", "race")
        ],
    }
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axis, (title, names) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for colour, name in zip(PALETTE, names, strict=False):
            axis.plot(
                table.index,
                table[name],
                color=colour,
                marker="o",
                markersize=3,
                linewidth=1.4,
                label=name.removeprefix("val/").replace("_difference", "").replace("_", " "),
            )
        axis.axvline(best_epoch, color="#555555", linewidth=0.8, linestyle=":", label="best epoch")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("epoch", fontsize=9)
        axis.legend(fontsize=7)
        axis.grid(**GRID)
    return figure


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
            f"{counts[row, column]:.0f}\n{shares[row, column]:.0%}",
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
    axis.set_title(f"calibration on the test set: expected error {calibration_error:.3f}", fontsize=10)
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
