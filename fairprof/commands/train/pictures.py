"""The picture of a training: loss, scores and gaps over the epochs."""

import pandas as pd
from matplotlib.figure import Figure

from fairprof.metrics.fairness import PARITY_DIFFERENCES
from fairprof.reporting.style import GRID, PALETTE


def training_figure(history: list[dict[str, float]], best_epoch: int) -> Figure:
    """Loss, macro-F1 and the gaps on validation data over the epochs."""
    table = pd.DataFrame(history, index=range(1, len(history) + 1))
    panels = {
        "loss": ["train/loss", "val/loss"],
        "validation performance": ["val/accuracy", "val/balanced_accuracy", "val/macro_f1"],
        "validation gaps (largest over classes)": [
            f"val/{gap}/{attribute}" for gap in PARITY_DIFFERENCES for attribute in ("gender", "race")
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
