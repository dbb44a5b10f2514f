"""The path of one run: from settings to a trained, measured, explained and registered model."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from fairprof.commands.train.folder import training_folder
from fairprof.commands.train.headline import describe, tell
from fairprof.commands.train.hyperparameters import with_hyperparameters
from fairprof.commands.train.identity import run_name, run_tags
from fairprof.commands.train.inputs import log_cached_work, log_inputs
from fairprof.commands.train.outcome import log_predictions, log_training, stored_model
from fairprof.commands.train.registration import register
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.drawable import require_drawable
from fairprof.data.pool import Pool, load_pool, screened_rows
from fairprof.measurement.measures import require_memory
from fairprof.measurement.validation import ValidationMeasure
from fairprof.metrics.performance import predicts_one_class
from fairprof.network.classifier import build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.predictions import predict
from fairprof.network.prefix import cached_inputs
from fairprof.network.records import Report, Trained, Training
from fairprof.reporting.findings import finite
from fairprof.runtime.hardware import keep_freed_memory, on_gpu
from fairprof.runtime.processes import ALONE, Processes, process_group
from fairprof.store import tracking
from fairprof.store.models import StoredModel


def run_experiment(settings: Settings) -> str | None:
    """Trains, measures, explains and registers one experiment; returns the id of its MLflow run.

    Of several processes that torchrun has started, the leading one alone has that run; the others return None.
    Raises `UserError` for anything in settings or data that the user can put right.
    """
    keep_freed_memory()
    settings = with_hyperparameters(settings)
    with process_group(on_gpu(settings.accelerator)) as processes:
        started = tracking.started_run(run_name(settings), run_tags(settings)) if processes.leads else nullcontext()
        with started as run_id:
            with processes.leader_first():  # it fills the pixel cache
                pool = load_pool(settings, settings.image_size)
            require_drawable(settings, pool, lambda: screened_rows(settings, settings.image_size))
            model = train_and_record(settings, pool, processes)
            if model is not None:
                tell(model.run, register(model))
    return run_id


def train_and_record(settings: Settings, pool: Pool, processes: Processes = ALONE) -> StoredModel | None:
    """The path of one run, logged to the MLflow run that is active; pool: of these settings. Returns the model, which
    is not registered yet.

    All processes of a torchrun walk it, and the leading one returns the model. What it does alone is not told of the
    others, and so cannot wait for them.
    """
    require_memory(settings, pool)
    with processes.leader_first():  # it may download the weights
        training = prepared(settings, pool)
    if processes.leads:
        log_inputs(training)
    with training_folder(training, processes) as folder:
        with processes.leader_first():  # it fills the prefix cache
            training = with_cached_prefix(training)
        if processes.leads:
            log_cached_work(training.inputs, "prefix")
        trained = fitted(training, log_epoch, folder, processes)
        val, test = (
            predict(training.classifier, training.inputs, pool, rows, settings, f"predicting {name}", processes)
            for name, rows in (("val", training.drawn.val), ("test", training.drawn.test))
        )
        if processes.leads:
            from fairprof.commands.train.maps import log_maps  # pytorch-grad-cam, which nothing needs before

            log_training(training, trained)
            values = log_predictions(training, val, test)
            log_maps(training, test)
            describe(training, trained, values, only_class(test))
            return stored_model(training)
    return None


def validation_scores(settings: Settings, pool: Pool) -> dict[str, float]:
    """Trains one experiment and returns the values of its best epoch on validation data; nothing else is measured.

    The pool may lack its test rows. Killed and called again, it goes on with the last finished epoch.
    """
    training = prepared(settings, pool)
    with training_folder(training, ALONE) as folder:
        training = with_cached_prefix(training)
        trained = fitted(training, lambda *_: None, folder)
    return trained.history[trained.best_epoch - 1]


def prepared(settings: Settings, pool: Pool) -> Training:
    """The training that the settings ask for: rows drawn from the pool, a new classifier, which is fed with images."""
    drawn = draw(pool, DESIGNS[settings.experiment], settings)
    classifier = build_classifier(
        settings.architecture, settings.weights, settings.finetune, len(pool.professions), settings.seed
    )
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)
    return Training(settings, pool, drawn, classifier, images)


def with_cached_prefix(training: Training) -> Training:
    """The training, fed with the outputs of its network's frozen prefix where they are cached."""
    settings, pool, drawn, images = training.settings, training.pool, training.drawn, training.inputs
    if not isinstance(images, ImageInputs):
        return training
    held_out = np.concatenate((drawn.val, drawn.test))
    outputs = cached_inputs(training.classifier, images, pool, settings, drawn.train, held_out)
    return training if outputs is None else replace(training, inputs=outputs)


def fitted(training: Training, report: Report, folder: Path, processes: Processes = ALONE) -> Trained:
    """Trains the classifier as `fit` does, measured on validation data after every epoch."""
    from fairprof.network.training import fit  # Lightning, which nothing needs before

    measure = ValidationMeasure(training.pool, training.drawn.val, training.settings.min_support)
    return fit(training, measure, report, folder, processes)


def log_epoch(epoch: int, values: dict[str, float]) -> None:
    """Logs what is finite of an epoch's values; epoch: from 1."""
    tracking.log_metrics(finite(values), step=epoch)


def only_class(predictions: pd.DataFrame) -> str | None:
    """The class that is predicted for every image; None where it is not the same for all."""
    return str(predictions["y_pred"].iloc[0]) if predicts_one_class(predictions) else None
