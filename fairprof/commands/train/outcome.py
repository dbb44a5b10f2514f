"""What a run leaves, logged after it has trained: curves and weights, predictions and all that is measured on them."""

import json

import pandas as pd

from fairprof.commands.train import pictures
from fairprof.measurement.ceilings import ceilings, expected_rates, shares_of_ceiling
from fairprof.measurement.measures import log_measurements, measure
from fairprof.metrics import performance
from fairprof.network.records import Trained, Training
from fairprof.reporting.style import png_of
from fairprof.store import tracking
from fairprof.store.models import BEST_WEIGHTS, LAST_WEIGHTS, MODEL_SETTINGS, StoredModel, model_settings


def log_training(training: Training, trained: Trained) -> None:
    """Logs the values of every epoch, their curves, and the weights of the last and the best epoch."""
    epochs = pd.RangeIndex(1, len(trained.history) + 1, name="epoch")
    tracking.log_metrics({"best_epoch": trained.best_epoch})
    tracking.log_table(pd.DataFrame(trained.history, index=epochs), "training/history.csv", index=True)
    tracking.log_bytes(png_of(pictures.training_figure(trained.history, trained.best_epoch)), "training/curves.png")
    tracking.log_weights(trained.last_weights, LAST_WEIGHTS)
    tracking.log_weights(training.classifier.network.state_dict(), BEST_WEIGHTS)
    described = model_settings(training.settings, training.pool.professions, training.classifier.gradcam_layer)
    tracking.log_text(json.dumps(described, indent=2), MODEL_SETTINGS)


def stored_model(training: Training) -> StoredModel:
    """The model of the active run, which has logged all that it leaves."""
    classifier = training.classifier
    described = model_settings(training.settings, training.pool.professions, classifier.gradcam_layer)
    return StoredModel(tracking.get_run(tracking.active_run_id()), described, classifier.network.state_dict())


def log_predictions(training: Training, val: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Logs predictions on validation and test data, with performance and fairness; returns the metrics logged."""
    settings = training.settings
    tracking.log_table(val, "predictions/val.parquet")
    tracking.log_table(test, "predictions/test.parquet")
    values = {f"best_val/{name}": value for name, value in performance.performance(val).items()}
    measurements = measure(test, settings, settings.seed)
    log_measurements(measurements, arm=settings.train_size, design=settings.experiment)
    expected = expected_rates(training.pool, training.drawn.test, test)
    if expected is not None:
        tracking.log_table(expected, "metrics/expected_by_group.csv")
    allowed = ceilings(training.pool, training.drawn.test)
    values |= measurements.values | allowed | shares_of_ceiling(test, allowed)
    tracking.log_metrics(values)
    return values
