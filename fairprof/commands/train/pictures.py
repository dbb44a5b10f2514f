"""The pictures of a training: loss, scores and gaps over the epochs, and what its network looks at."""

import pandas as pd
from matplotlib.figure import Figure

from fairprof.commands.train.subject import CONTACT_SHEET_IMAGES, Explained, RunSubject
from fairprof.metrics import fairness
from fairprof.metrics.attention import mean_maps
from fairprof.metrics.fairness import PARITY_DIFFERENCES
from fairprof.reporting.chart import plain
from fairprof.reporting.names import SAMPLES, SCORE_NAMES, short_gap_name
from fairprof.reporting.style import LARGE, MARGIN, NORMAL, SMALL, TINY, WIDTH, curve_styles, png_of
from fairprof.saliency.outline import face_place
from fairprof.saliency.panels import contact_sheet, mean_map_panel

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


def map_pictures(subject: RunSubject, explained: Explained) -> dict[str, bytes]:
    """PNG by name: a contact sheet of the first images, and the mean map of every group, of all of them."""
    title = f"Design {subject.settings.experiment}, seed {subject.settings.seed}"
    shown = slice(0, CONTACT_SHEET_IMAGES)
    layer = subject.explained_layer.path
    sheet = contact_sheet(explained.predictions[shown], explained.pixels[shown], explained.maps[shown], title, layer)
    return {"contact_sheet": png_of(sheet), "mean_by_group": png_of(_mean_maps(explained, title, layer))}


def _mean_maps(explained: Explained, title: str, layer: str) -> Figure:
    """The mean map of every group, under the outline of a face where faces are in the images."""
    groups = {
        attribute: fairness.group_labels(explained.predictions, attribute).astype(str).to_numpy()
        for attribute in fairness.ATTRIBUTES
    }
    return mean_map_panel(
        {attribute: mean_maps(explained.maps, names) for attribute, names in groups.items()},
        {attribute: pd.Series(names).value_counts().to_dict() for attribute, names in groups.items()},
        face_place(explained.pixels),
        f"{title}: mean Grad-CAM of the predicted class, by group",
        layer,
    )
