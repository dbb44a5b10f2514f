"""The path of an evaluation: from a trained model and any data to measurements, tables, pictures and a report."""

from datetime import datetime

import numpy as np
import pandas as pd

from fairprof.commands.evaluate.measurements import (
    calibration_of,
    fairness_of,
    robustness_of,
    selective_of,
    shift_of,
    speed_of,
)
from fairprof.commands.evaluate.pictures import figures_of
from fairprof.commands.evaluate.report import findings
from fairprof.commands.evaluate.results import ON_THE_MODEL, Evaluation, Subject, TrainingRecord, data_name
from fairprof.config import EvaluateSettings
from fairprof.data.designs import DESIGNS
from fairprof.data.pool import Pool
from fairprof.data.sources.kinds import shows_faces
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.measurement.measures import pictures_of
from fairprof.network.images import ImageInputs
from fairprof.network.loaded import LoadedModel, load_model, pool_for, require_unseen, with_groups_of
from fairprof.network.predictions import predict
from fairprof.reporting.findings import finite, log_findings
from fairprof.reporting.style import png_of
from fairprof.runtime.hardware import device_of
from fairprof.store import models, tracking


def run_evaluation(settings: EvaluateSettings) -> str:
    """Evaluates a trained model and returns the id of the evaluation's MLflow run, which is linked to the model.

    Raises `UserError` where there is no such model, the data are of other professions, or training images would be
    among those that are evaluated.
    """
    model = load_model(settings.model)
    settings = with_groups_of(model, settings)
    name = f"evaluate-{model.stored.short_name}-on-{data_name(settings.data)}"
    tags = {
        "fairprof.role": "evaluation",
        "fairprof.model": model.stored.reference,
        "fairprof.design": model.settings.experiment,
        "fairprof.data": settings.data.partition(":")[0],
        "fairprof.partition": settings.partition,
    }
    with tracking.started_run(name, tags) as run_id:
        pool = pool_for(model, settings)
        require_unseen(model, pool, settings, settings.partition)
        evaluate_and_log(settings, model, pool)
    return run_id


def evaluate_and_log(settings: EvaluateSettings, model: LoadedModel, pool: Pool) -> None:
    """All of an evaluation, logged to the MLflow run that is active."""
    rows = pool.rows_of("test") if settings.partition == "test" else np.arange(len(pool.table))
    training = _training_record(model)
    log_inputs(settings, model, pool, rows)
    model.classifier.network.to(device_of(settings.accelerator))
    speed = speed_of(model, pool, rows)  # before anything else has taken memory
    inputs = ImageInputs(pool, model.image_size, views=None, seed=0, preprocessing=model.classifier.preprocessing)
    predictions = predict(model.classifier, inputs, pool, rows, settings, "predicting")
    tracking.log_table(predictions, "predictions/evaluation.parquet")
    calibration, scaled = calibration_of(settings, predictions, training.validation)
    evaluated = {"before": predictions, "after": scaled}
    evaluation = Evaluation(
        _subject(settings, model, pool, predictions, training),
        fairness_of(settings, pool, rows, predictions),
        calibration,
        selective_of(settings, predictions),
        robustness_of(settings, model, pool, rows),
        shift_of(settings, model, evaluated, training, calibration.temperature.value),
        speed,
        settings.delta,
        settings.min_support,
        settings.permutations,
    )
    trained = model.settings
    pictures = pictures_of(evaluation.fairness.measurements, arm=trained.train_size, design=trained.experiment)
    pictures |= {path: png_of(figure) for path, figure in figures_of(evaluation, evaluated, training).items()}
    report = findings(evaluation, pictures)
    log_findings(report)
    _tell_the_model(evaluation, finite(report.values), model)


def _training_record(model: LoadedModel) -> TrainingRecord:
    run_id = model.run.run_id
    return TrainingRecord(
        tracking.load_table(run_id, "predictions/val.parquet"),
        tracking.load_table(run_id, "predictions/test.parquet"),
        tracking.load_table(run_id, "data/composition.csv"),
    )


def log_inputs(settings: EvaluateSettings, model: LoadedModel, pool: Pool, rows: np.ndarray) -> None:
    """Settings, fingerprint and the evaluated rows as a data set."""
    tracking.log_settings(
        settings.model_dump()
        | {"model": model.stored.reference, "pool_fingerprint": pool.fingerprint}
        | {"image_size": model.image_size, "architecture": model.settings.architecture}
    )
    context = "test" if settings.partition == "test" else "evaluation"
    tracking.log_input(pool.table.iloc[rows], settings.data, context, pool.fingerprint)
    tracking.log_table(pool.quarantine, "data/quarantine.csv")


def _subject(
    settings: EvaluateSettings,
    model: LoadedModel,
    pool: Pool,
    predictions: pd.DataFrame,
    training: TrainingRecord,
) -> Subject:
    columns = ["image", "gender", "race", "y_true"]
    return Subject(
        model=str(model),
        design=model.settings.experiment,
        balanced=DESIGNS[model.settings.experiment].balanced,
        trained_data=data_name(model.settings.data),
        data=data_name(settings.data),
        partition=settings.partition,
        same_images=predictions[columns].astype(str).equals(training.test[columns].astype(str)),
        images=len(predictions),
        classes=pool.professions,
        image_size=model.image_size,
        validation_images=len(training.validation),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        pseudo_professions=pool.label_probabilities is not None,
        shows_faces=shows_faces(settings.data, settings.faces_in_reports),
    )


def _tell_the_model(evaluation: Evaluation, metrics: dict[str, float], model: LoadedModel) -> None:
    """Links the headline metrics to the model, and says on both sides what came of the evaluation."""
    models.link_to_model(model.stored, {name: metrics[name] for name in ON_THE_MODEL if name in metrics})
    models.tag_model(model.stored, {f"fairprof.evaluation.{evaluation.subject.data}": tracking.active_run_id()})
    shifted = evaluation.shift.data["verdict"].eq(ESTABLISHED).any()
    tracking.set_tags({"fairprof.shift": "established" if shifted else "none found"})
