"""What a run leaves, logged after it has trained: curves and weights, predictions and all that is measured on them."""

import pandas as pd

from fairprof.commands.train import pictures
from fairprof.measurement.ceilings import ceilings, expected_rates, shares_of_ceiling
from fairprof.measurement.measures import log_measurements, measure
from fairprof.metrics import performance
from fairprof.network.records import Trained, Training
from fairprof.reporting.style import png_of
from fairprof.store import tracking


def log_training(training: Training, trained: Trained) -> None:
    """Logs the values of every epoch, their curves, and the weights of the last and the best epoch."""
    epochs = pd.RangeIndex(1, len(trained.history) + 1, name="epoch")
    tracking.log_metrics({"best_epoch": trained.best_epoch})
    tracking.log_table(pd.DataFrame(trained.history, index=epochs), "training/history.csv", index=True)
    tracking.log_bytes(png_of(pictures.training_figure(trained.history, trained.best_epoch)), "training/curves.png")
    tracking.log_weights(trained.last_weights, "training/last.safetensors")
    tracking.log_weights(training.classifier.network.state_dict(), "training/best.safetensors")


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
