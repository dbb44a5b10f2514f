"""The picture of a training: loss, scores and gaps over the epochs."""

import pandas as pd
from matplotlib.figure import Figure

from fairprof.metrics.fairness import PARITY_DIFFERENCES
from fairprof.reporting.chart import plain
from fairprof.reporting.names import SAMPLES, SCORE_NAMES, short_gap_name
from fairprof.reporting.style import LARGE, MARGIN, NORMAL, SMALL, TINY, WIDTH, curve_styles

LOSSES = {f"{sample}/loss": SAMPLES[sample] for sample in ("train", "val")}
SCORES = {f"val/{score}": name for score, name in SCORE_NAMES.items()}
GAPS = {
    f"val/{gap}/{attribute}": short_gap_name(gap, attribute)
    for gap in PARITY_DIFFERENCES
    for attribute in ("gender", "race")
}


def training_figure(history: list[dict[str, float]], best_epoch: int) -> Figure:
    """Loss, scores and the gaps on validation data over the epochs."""
    table = pd.DataFrame(history, index=range(1, len(history) + 1))
    panels = {
        "loss: down is better": LOSSES,
        "validation scores: up is better": SCORES,
        "validation gaps, the largest over the classes:\ndown is better": GAPS,
    }
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    for axis, (title, curves) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for (column, name), style in zip(curves.items(), curve_styles(), strict=False):
            axis.plot(table.index, table[column], **style | {"markersize": 3}, label=name)
        axis.axvline(best_epoch, **MARGIN, label="best epoch")
        axis.set_title(title, fontsize=NORMAL)
        axis.set_xlabel("epoch", fontsize=SMALL)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(fontsize=TINY)
        plain(axis)
    figure.suptitle("Training, epoch by epoch", fontsize=LARGE)
    return figure
