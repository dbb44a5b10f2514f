"""What a run leaves: values of its epochs, curves and weights, predictions and all that is measured on them, maps."""

import json

import pandas as pd

from fairprof.commands.train import pictures
from fairprof.commands.train.subject import CONTACT_SHEET_IMAGES, Explained, RunSubject
from fairprof.measurement.ceilings import ceilings, expected_rates, shares_of_ceiling
from fairprof.measurement.measures import log_measurements, measure
from fairprof.metrics import fairness, performance
from fairprof.metrics.attention import mean_maps, mean_pictures
from fairprof.network.records import Trained, digest_of
from fairprof.reporting.findings import finite
from fairprof.reporting.style import png_of
from fairprof.saliency.panels import SIDE_BY_SIDE_IMAGES, contact_sheet, mean_map_panel
from fairprof.store import tracking
from fairprof.store.champion import DEGENERATE_TAG
from fairprof.store.models import BEST_WEIGHTS, FROZEN_TAG, LAST_WEIGHTS, MODEL_SETTINGS, model_settings


def log_epoch(epoch: int, values: dict[str, float]) -> None:
    """Logs what is finite of an epoch's values; epoch: from 1."""
    tracking.log_metrics(finite(values), step=epoch)


def log_training(subject: RunSubject, trained: Trained) -> None:
    """Logs the values of every epoch, their curves, and the model."""
    epochs = pd.RangeIndex(1, len(trained.history) + 1, name="epoch")
    tracking.log_metrics({"best_epoch": trained.best_epoch})
    tracking.log_table(pd.DataFrame(trained.history, index=epochs), "training/history.csv", index=True)
    tracking.log_bytes(png_of(pictures.training_figure(trained.history, trained.best_epoch)), "training/curves.png")
    log_model(subject, trained)


def log_model(subject: RunSubject, trained: Trained) -> None:
    """Logs what the model is, and what the training changed of its weights: in the best epoch and, where that is
    another one, in the last.

    Of a network that began from random weights, which nothing gives back, all are logged. A digest stands for those
    that are not.
    """
    kept = trained.best_weights if subject.weights.name == "random" else subject.changed
    frozen = {name: value for name, value in trained.best_weights.items() if name not in kept}
    if frozen:
        tracking.set_tags({FROZEN_TAG: digest_of(frozen)})
    if trained.best_epoch < len(trained.history):
        tracking.log_weights({name: trained.last_weights[name] for name in kept}, LAST_WEIGHTS)
    tracking.log_weights({name: trained.best_weights[name] for name in kept}, BEST_WEIGHTS)
    described = model_settings(subject.settings, subject.pool.professions, subject.gradcam_layer)
    tracking.log_text(json.dumps(described, indent=2), MODEL_SETTINGS)


def log_predictions(subject: RunSubject, val: pd.DataFrame, test: pd.DataFrame) -> None:
    """Logs predictions on validation and test data, with performance and fairness."""
    settings, rows = subject.settings, subject.drawn.test
    tracking.log_table(val, "predictions/val.parquet")
    tracking.log_table(test, "predictions/test.parquet")
    measurements = measure(test, settings, settings.seed)
    log_measurements(measurements, arm=settings.train_size, design=settings.experiment)
    degenerate = only_class(test)
    if degenerate is not None:
        tracking.set_tags({DEGENERATE_TAG: degenerate})
    expected = expected_rates(subject.pool, rows, test)
    if expected is not None:
        tracking.log_table(expected, "metrics/expected_by_group.csv")
    allowed = ceilings(subject.pool, rows)
    of_validation = {f"best_val/{name}": value for name, value in performance.performance(val).items()}
    tracking.log_metrics(of_validation | measurements.values | shares_of_ceiling(test, allowed))


def only_class(predictions: pd.DataFrame) -> str | None:
    """The class that is predicted for every image; None where it is not the same for all."""
    return str(predictions["y_pred"].iloc[0]) if performance.predicts_one_class(predictions) else None


def log_maps(subject: RunSubject, explained: Explained) -> None:
    """Logs maps: a contact sheet of the first images, the mean map per group of all, and the raw maps."""
    title = f"Design {subject.settings.experiment}, seed {subject.settings.seed}"
    predictions, pixels, maps = explained.predictions, explained.pixels, explained.maps
    shown = slice(0, CONTACT_SHEET_IMAGES)
    tracking.log_bytes(
        png_of(contact_sheet(predictions[shown], pixels[shown], maps[shown], title)), "gradcam/contact_sheet.png"
    )
    _log_means(explained, title)
    tracking.log_arrays(
        {
            "maps": maps,
            "pixels": pixels[:SIDE_BY_SIDE_IMAGES],  # most of the file; every run explains the same images
            "image": predictions["image"].to_numpy(dtype=str),
            "target": predictions["y_pred"].to_numpy(dtype=str),
        },
        "gradcam/maps.npz",
    )


def _log_means(explained: Explained, title: str) -> None:
    """Logs the mean map of every group, over the mean picture of its images."""
    groups = {
        attribute: fairness.group_labels(explained.predictions, attribute).astype(str).to_numpy()
        for attribute in fairness.ATTRIBUTES
    }
    panel = mean_map_panel(
        {attribute: mean_maps(explained.maps, names) for attribute, names in groups.items()},
        {attribute: pd.Series(names).value_counts().to_dict() for attribute, names in groups.items()},
        mean_pictures(explained.pixels, groups),
        f"{title}: mean Grad-CAM of the predicted class, by group",
    )
    tracking.log_bytes(png_of(panel), "gradcam/mean_by_group.png")
