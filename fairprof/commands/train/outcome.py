"""What a run leaves: values of its epochs, curves and weights, predictions and all that is measured on them, maps."""

import json

import pandas as pd

from fairprof.commands.train.headline import BY_EPOCH, SHOWN
from fairprof.commands.train.method import MITIGATION
from fairprof.commands.train.pictures import map_pictures, training_figure
from fairprof.commands.train.subject import Explained, RunSubject
from fairprof.measurement.ceilings import ceilings, expected_rates, shares_of_ceiling
from fairprof.measurement.measures import log_measurements, measure
from fairprof.metrics import performance
from fairprof.network.predictions import BY_CHANCE
from fairprof.network.records import Trained, digest_of
from fairprof.reporting.findings import finite
from fairprof.reporting.style import png_of
from fairprof.saliency.panels import SIDE_BY_SIDE_IMAGES
from fairprof.saliency.thumbnails import packed_thumbnails
from fairprof.store import tracking
from fairprof.store.champion import DEGENERATE_TAG
from fairprof.store.models import BEST_WEIGHTS, FROZEN_TAG, LAST_WEIGHTS, MODEL_SETTINGS, model_settings
from fairprof.store.pages import MAPS, short_metrics


def log_epoch(epoch: int, values: dict[str, float]) -> None:
    """Logs an epoch's values that are shown as metrics, where they are finite; epoch: from 1."""
    tracking.log_metrics(finite({name: values[name] for name in BY_EPOCH if name in values}), step=epoch)


def log_training(subject: RunSubject, trained: Trained) -> None:
    """Logs the values of every epoch, their curves, and the model; of a baseline, which has no epochs, what it has
    tried and chosen."""
    epochs = pd.RangeIndex(1, len(trained.history) + 1, name="epoch")
    tracking.log_values({"best_epoch": trained.best_epoch}, SHOWN)
    tracking.log_table(pd.DataFrame(trained.history, index=epochs), "training/history.csv", index=True)
    if trained.baseline is None:
        tracking.log_bytes(png_of(training_figure(trained.history, trained.best_epoch)), "training/curves.png")
    else:
        tracking.log_values({f"baseline/{name}": value for name, value in trained.baseline.values.items()}, ())
        if trained.baseline.tried:
            tracking.log_table(pd.DataFrame(trained.baseline.tried), "training/strengths.csv")
    if trained.refit is not None:
        tracking.log_values({f"{MITIGATION}/{name}": value for name, value in trained.refit.values.items()}, ())
    log_model(subject, trained)


def log_model(subject: RunSubject, trained: Trained) -> None:
    """Logs what the model is, and what the training changed of its weights: in the best epoch and, where that is
    another one, in the last.

    Of a network that began from random weights, or from some that lack a part, which nothing gives back, all are
    logged. A digest stands for those that are not.
    """
    kept = subject.changed if subject.weights.fill_backbone else trained.best_weights
    frozen = {name: value for name, value in trained.best_weights.items() if name not in kept}
    if frozen:
        tracking.set_tags({FROZEN_TAG: digest_of(frozen)})
    if trained.best_epoch < len(trained.history):
        tracking.log_weights({name: trained.last_weights[name] for name in kept}, LAST_WEIGHTS)
    tracking.log_weights({name: trained.best_weights[name] for name in kept}, BEST_WEIGHTS)
    described = described_model(subject, trained)
    tracking.log_text(json.dumps(described, indent=2), MODEL_SETTINGS)


def described_model(subject: RunSubject, trained: Trained) -> dict:
    """What the model of a run is beside its weights."""
    refit, baseline = trained.refit, trained.baseline
    return model_settings(
        subject.settings,
        subject.pool.professions,
        subject.explained_layer,
        None if refit is None else refit.rule,
        None if refit is None else refit.values,
        subject.preprocessing,
        subject.head_kind,
        None if baseline is None else baseline.values,
    )


def log_predictions(subject: RunSubject, val: pd.DataFrame, test: pd.DataFrame) -> None:
    """Logs predictions on validation and test data, with performance and fairness."""
    settings, rows = subject.settings, subject.drawn.test
    tracking.log_table(val, "predictions/val.parquet")
    tracking.log_table(test, "predictions/test.parquet")
    measurements = measure(test, settings, settings.seed)
    log_measurements(measurements, arm=settings.train_size, design=settings.experiment)
    for partition, table in (("val", val), ("test", test)):
        if BY_CHANCE in table:
            tracking.log_values({f"{MITIGATION}/tied_images/{partition}": float(table[BY_CHANCE].sum())}, ())
    degenerate = only_class(test)
    if degenerate is not None:
        tracking.set_tags({DEGENERATE_TAG: degenerate})
    expected = expected_rates(subject.pool, rows, test)
    if expected is not None:
        tracking.log_table(expected, "metrics/expected_by_group.csv")
    allowed = ceilings(subject.pool, rows)
    of_validation = {f"best_val/{name}": value for name, value in performance.performance(val).items()}
    values = of_validation | measurements.values | allowed | shares_of_ceiling(test, allowed)
    tracking.log_values(values | short_metrics(values), SHOWN)


def only_class(predictions: pd.DataFrame) -> str | None:
    """The class that is predicted for every image; None where it is not the same for all."""
    return str(predictions["y_pred"].iloc[0]) if performance.predicts_one_class(predictions) else None


def log_maps(explained: Explained, drawn: dict[str, bytes]) -> None:
    """Logs maps: pictures of them, as `map_pictures` has drawn them, and the raw maps."""
    for name, picture in drawn.items():
        tracking.log_bytes(picture, f"gradcam/{name}.png")
        if name in MAPS:
            tracking.log_image(picture, MAPS[name])
    tracking.log_arrays(
        {
            "maps": explained.maps,
            "pixels": explained.pixels[:SIDE_BY_SIDE_IMAGES],  # most of the file; every run explains the same images
            "image": explained.predictions["image"].to_numpy(dtype=str),
            "target": explained.predictions["y_pred"].to_numpy(dtype=str),
            **packed_thumbnails(explained.pixels),
        },
        "gradcam/maps.npz",
    )


def draw_and_log_maps(subject: RunSubject, explained: Explained) -> None:
    """Logs maps, of which the pictures have yet to be drawn."""
    log_maps(explained, map_pictures(subject, explained))
