"""What a run's network looks at: Grad-CAM of test images that are the same for every design."""

import numpy as np
import pandas as pd

from fairprof.commands.train.inputs import log_cached_work
from fairprof.data.sample import balanced_sample
from fairprof.metrics import fairness
from fairprof.metrics.attention import mean_maps, mean_pictures
from fairprof.network.batches import InputsOfRows
from fairprof.network.images import pixels_seen
from fairprof.network.prefix import explained_inputs
from fairprof.network.records import Training
from fairprof.reporting.style import png_of
from fairprof.saliency.gradcam import saliency_maps
from fairprof.saliency.panels import contact_sheet, mean_map_panel
from fairprof.store import tracking

CONTACT_SHEET_IMAGES = 16


def log_maps(training: Training, predictions: pd.DataFrame) -> None:
    """Logs Grad-CAM of the predicted class: a contact sheet of the first images, the mean map per group of all, and
    the raw maps. predictions: those of the whole test set."""
    settings, pool = training.settings, training.pool
    test = training.drawn.test
    chosen = balanced_sample(pool.table.iloc[test], max(settings.gradcam_images, CONTACT_SHEET_IMAGES))
    rows, predictions = test[chosen], predictions.iloc[chosen].reset_index(drop=True)
    maps = _maps(training, rows, predictions)
    pixels = pixels_seen(pool.pixel_cache.array[pool.table["pixel"].to_numpy()[rows]], settings.image_size)
    title = f"Design {settings.experiment}, seed {settings.seed}"
    shown = slice(0, CONTACT_SHEET_IMAGES)
    tracking.log_bytes(
        png_of(contact_sheet(predictions[shown], pixels[shown], maps[shown], title)), "gradcam/contact_sheet.png"
    )
    _log_means(predictions, pixels, maps, title)
    tracking.log_arrays(
        {
            "maps": maps,
            "pixels": pixels[shown],
            "image": predictions["image"].to_numpy(dtype=str),
            "target": predictions["y_pred"].to_numpy(dtype=str),
        },
        "gradcam/maps.npz",
    )


def _maps(training: Training, rows: np.ndarray, predictions: pd.DataFrame) -> np.ndarray:
    """The maps of rows of the pool's table for the classes predicted, (N, h, w) float32."""
    classifier, pool = training.classifier, training.pool
    explained = explained_inputs(classifier, training.inputs, pool, training.settings, rows)
    if explained is not training.inputs:
        log_cached_work(explained, "gradcam")
    targets = predictions["y_pred"].map(pool.professions.index).to_numpy()
    return saliency_maps(
        classifier.network, classifier.gradcam_layer, InputsOfRows(explained, rows), targets, explained.boundary
    )


def _log_means(predictions: pd.DataFrame, pixels: np.ndarray, maps: np.ndarray, title: str) -> None:
    """Logs the mean map of every group, over the mean picture of its images."""
    groups = {
        attribute: fairness.group_labels(predictions, attribute).astype(str).to_numpy()
        for attribute in fairness.ATTRIBUTES
    }
    panel = mean_map_panel(
        {attribute: mean_maps(maps, names) for attribute, names in groups.items()},
        {attribute: pd.Series(names).value_counts().to_dict() for attribute, names in groups.items()},
        mean_pictures(pixels, groups),
        f"{title}: mean Grad-CAM of the predicted class, by group",
    )
    tracking.log_bytes(png_of(panel), "gradcam/mean_by_group.png")
