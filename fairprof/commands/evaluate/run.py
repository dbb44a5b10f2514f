"""The path of an evaluation: from a registered model and any data to measurements, tables, pictures and a report."""

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fairprof.commands.evaluate.drift import PREDICTED, Drift, drift, sample_counts, training_counts
from fairprof.commands.evaluate.pictures import (
    SHOWN_SHARES,
    calibration_figure,
    corruption_sheet,
    robustness_figure,
    selective_figure,
    shift_figure,
)
from fairprof.commands.evaluate.report import answer, description, report
from fairprof.commands.evaluate.results import Calibration, Evaluation, Fairness, Robustness, Selective, Subject
from fairprof.commands.evaluate.robustness import (
    ALL_CORRUPTIONS,
    CLEAN,
    accuracy_under_corruption,
    drop_gaps,
    mean_corruption_accuracy,
    outcomes,
)
from fairprof.commands.evaluate.speed import BATCHES, Speed, measured_speed
from fairprof.config import EvaluateSettings
from fairprof.data.designs import DESIGNS
from fairprof.data.pool import Pool
from fairprof.data.sample import balanced_sample
from fairprof.inference.groups import ESTABLISHED
from fairprof.measurement.ceilings import HEADLINE_GAPS, ceilings
from fairprof.measurement.measures import log_measurements
from fairprof.measurement.pictures import rates_figure
from fairprof.metrics.calibration import calibration_gaps, calibration_table, fitted_temperature, with_temperature
from fairprof.metrics.performance import class_names, class_probabilities, label_codes
from fairprof.metrics.selective import (
    confidence_of,
    risk_coverage,
    selective_by_group,
    selective_gaps,
    selective_scores,
)
from fairprof.network.images import ImageInputs, pixels_seen
from fairprof.network.predictions import predict
from fairprof.network.registered import RegisteredModel, load_model, pool_for, require_unseen
from fairprof.reporting.style import png_of
from fairprof.runtime.hardware import device_of
from fairprof.seeds import numpy_generator
from fairprof.store import registry, tracking

ON_THE_MODEL = (
    "test/accuracy",
    "test/macro_f1",
    "test/macro_f1_of_ceiling",
    *(f"test/{gap}" for gap in HEADLINE_GAPS),
    "test/worst_group_accuracy/gender_x_race",
    "calibration/temperature",
    "calibration/after/calibration_error",
    "selective/area_under_risk_coverage",
    "robustness/mean_corruption_accuracy",
)


def run_evaluation(settings: EvaluateSettings) -> str:
    """Evaluates a registered model and returns the id of the evaluation's MLflow run, which is linked to the model.

    Raises `UserError` where there is no such model, the data are of other professions, or training images would be
    among those that are evaluated.
    """
    model = load_model(settings.model)
    name = f"evaluate-{model.stored.name}-{model.stored.version}-on-{data_name(settings.data)}"
    tags = {
        "fairprof.role": "evaluation",
        "fairprof.model": f"{model.stored.name}/{model.stored.version}",
        "fairprof.design": model.settings.experiment,
        "fairprof.data": settings.data.partition(":")[0],
        "fairprof.partition": settings.partition,
    }
    with tracking.started_run(name, tags) as run_id:
        pool = pool_for(model, settings)
        require_unseen(model, pool, settings, settings.partition)
        evaluate_and_log(settings, model, pool, run_id)
    return run_id


def data_name(data: str) -> str:
    """What a data set is called in names and sentences: its kind, or a manifest's own name."""
    kind, _, path = data.partition(":")
    return _plain_name(Path(path).stem) if kind == "manifest" else kind


def evaluate_and_log(settings: EvaluateSettings, model: RegisteredModel, pool: Pool, run_id: str) -> None:
    """All of an evaluation, logged to the MLflow run that is active."""
    rows = pool.rows_of("test") if settings.partition == "test" else np.arange(len(pool.table))
    training = _training_record(model)
    log_inputs(settings, model, pool, rows)
    model.classifier.network.to(device_of(settings.accelerator))
    speed = _measure_speed(model, pool, rows)  # before anything else has taken memory
    predictions = _predict(settings, model, pool, rows)
    tracking.log_table(predictions, "predictions/evaluation.parquet")
    fairness = _fairness(settings, model, pool, rows, predictions, run_id)
    calibration, scaled = _calibration(settings, predictions, training.validation)
    robustness, sheet = _robustness(settings, model, pool, rows)
    evaluated = {"before": predictions, "after": scaled}
    own = {"before": training.test, "after": with_temperature(training.test, calibration.temperature.value)}
    found = Evaluation(
        _subject(settings, model, pool, predictions, training),
        fairness,
        calibration,
        _selective(settings, predictions),
        robustness,
        _drift(settings, model, evaluated, own, training),
        speed,
        settings.delta,
        settings.min_support,
        settings.permutations,
    )
    _log_found(found, _pictures(found, evaluated, training) | sheet, model)


@dataclass(frozen=True)
class TrainingRecord:
    """What the training run has left: its validation and test predictions, and the composition of its partitions."""

    validation: pd.DataFrame
    test: pd.DataFrame
    composition: pd.DataFrame


def _training_record(model: RegisteredModel) -> TrainingRecord:
    run_id = model.run.run_id
    composition = tracking.load_text(run_id, "data/composition.csv")
    return TrainingRecord(
        tracking.load_table(run_id, "predictions/val.parquet"),
        tracking.load_table(run_id, "predictions/test.parquet"),
        # a group may be called NA or None
        pd.read_csv(io.StringIO(composition), keep_default_na=False),
    )


def log_inputs(settings: EvaluateSettings, model: RegisteredModel, pool: Pool, rows: np.ndarray) -> None:
    """Settings, fingerprint and the evaluated rows as a data set."""
    tracking.log_settings(
        settings.model_dump()
        | {"model": f"{model.stored.name}/{model.stored.version}", "pool_fingerprint": pool.fingerprint}
        | {"image_size": model.image_size, "architecture": model.settings.architecture}
    )
    context = "test" if settings.partition == "test" else "evaluation"
    tracking.log_input(pool.table.iloc[rows], settings.data, context, pool.fingerprint)
    tracking.log_table(pool.quarantine, "data/quarantine.csv")


def _subject(
    settings: EvaluateSettings,
    model: RegisteredModel,
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
    )


# The parts.


def _measure_speed(model: RegisteredModel, pool: Pool, rows: np.ndarray) -> Speed:
    repeated = np.resize(pool.table["pixel"].to_numpy()[rows], max(BATCHES))
    return measured_speed(model.classifier.network, model.image_size, np.asarray(pool.pixels.array[repeated]))


def _predict(settings: EvaluateSettings, model: RegisteredModel, pool: Pool, rows: np.ndarray) -> pd.DataFrame:
    inputs = ImageInputs(pool, model.image_size, views=None, seed=0)
    return predict(model.classifier, inputs, pool, rows, settings, "predicting")


def _fairness(
    settings: EvaluateSettings,
    model: RegisteredModel,
    pool: Pool,
    rows: np.ndarray,
    predictions: pd.DataFrame,
    run_id: str,
) -> Fairness:
    trained = model.settings
    values = log_measurements(predictions, settings, settings.seed, arm=trained.train_size, design=trained.experiment)
    values |= ceilings(pool, rows, values["test/macro_f1"])
    gaps = tracking.load_table(run_id, "metrics/gaps.csv")
    by_group = tracking.load_table(run_id, "metrics/by_group.csv")
    return Fairness(
        values,
        tracking.load_table(run_id, "metrics/scores.csv"),
        gaps[gaps["view"].eq("natural")].drop(columns="view"),
        by_group[by_group["view"].eq("natural")].drop(columns="view"),
    )


def _calibration(
    settings: EvaluateSettings, predictions: pd.DataFrame, validation: pd.DataFrame
) -> tuple[Calibration, pd.DataFrame]:
    """Calibration before and after temperature scaling, and the scaled predictions."""
    temperature = fitted_temperature(class_probabilities(validation), label_codes(validation, "y_true"))
    scaled = with_temperature(predictions, temperature.value)
    tables, gaps = [], []
    for stage, table in (("before", predictions), ("after", scaled)):
        # the same generator for both: the same resamples
        generator = numpy_generator(settings.seed, "calibration")
        tables.append(calibration_table(table, settings.replicates, generator, settings.min_support))
        tables[-1].insert(0, "stage", stage)
        gaps.append(calibration_gaps(table, settings.permutations, generator, settings.min_support))
        gaps[-1].insert(0, "stage", stage)
    found = Calibration(temperature, pd.concat(tables, ignore_index=True), pd.concat(gaps, ignore_index=True))
    return found, scaled


def _selective(settings: EvaluateSettings, predictions: pd.DataFrame) -> Selective:
    generator = numpy_generator(settings.seed, "selective prediction")
    return Selective(
        selective_scores(predictions),
        selective_by_group(predictions, min_support=settings.min_support),
        selective_gaps(predictions, settings.permutations, generator, min_support=settings.min_support),
        risk_coverage(predictions, settings.replicates, generator, settings.min_support),
    )


def _robustness(
    settings: EvaluateSettings, model: RegisteredModel, pool: Pool, rows: np.ndarray
) -> tuple[Robustness | None, dict[str, bytes]]:
    """What corruptions do, and a picture of them; nothing where no images are asked for."""
    if settings.robustness_images == 0:
        return None, {}
    table = pool.table.iloc[rows]
    chosen = table.iloc[balanced_sample(table, settings.robustness_images)].reset_index(drop=True)
    pixels = pixels_seen(pool.pixels.array[chosen["pixel"].to_numpy()], model.image_size)
    predicted = outcomes(model.classifier.network, model.classes, chosen, pixels, settings.seed)
    tracking.log_table(predicted, "robustness/predictions.parquet")
    accuracy = accuracy_under_corruption(predicted, settings.min_support)
    generator = numpy_generator(settings.seed, "robustness")
    gaps = drop_gaps(predicted, settings.permutations, generator, settings.min_support)
    found = Robustness(accuracy, gaps, mean_corruption_accuracy(accuracy), len(chosen))
    levels = [(CLEAN, 0)] + [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    name = chosen["image"].to_numpy()[:1]
    shown = {level: corrupted(pixels[:1], name, *level, settings.seed)[0] for level in levels}
    title = f"One image under every corruption, {model.image_size} px, as the network sees it"
    return found, {"corruptions": png_of(corruption_sheet(shown, title))}


def _drift(
    settings: EvaluateSettings,
    model: RegisteredModel,
    evaluated: dict[str, pd.DataFrame],
    own: dict[str, pd.DataFrame],
    training: TrainingRecord,
) -> Drift:
    balanced = DESIGNS[model.settings.experiment].balanced
    generator = numpy_generator(settings.seed, "shift")
    return drift(evaluated, own, training.validation, training.composition, balanced, settings.permutations, generator)


# What is logged.


def _pictures(found: Evaluation, evaluated: dict[str, pd.DataFrame], training: TrainingRecord) -> dict[str, bytes]:
    table = found.calibration.table
    overall = table[table["attribute"].eq("all") & table["metric"].eq("calibration_error")].set_index("stage")["value"]
    drawn = {
        "rates_by_group": rates_figure(found.fairness.by_group),
        "calibration": calibration_figure(evaluated, overall.to_dict(), found.min_support),
        "selective": selective_figure(found.selective.scores, found.selective.by_group, found.selective.gaps),
        "shift": _shift_figure(evaluated["before"], training),
    }
    if found.robustness is not None:
        for attribute in ("race", "gender"):
            drawn[f"robustness_{attribute}"] = robustness_figure(found.robustness.accuracy, attribute)
    return {name: png_of(figure) for name, figure in drawn.items()}


def _shift_figure(here: pd.DataFrame, training: TrainingRecord) -> Figure:
    there = training.test
    samples = {
        "training": training_counts(training.composition, training.validation),
        "own test": sample_counts(there) | {PREDICTED: there["y_pred"].value_counts()},
        "evaluated": sample_counts(here) | {PREDICTED: here["y_pred"].value_counts()},
    }
    shares = {
        attribute: {name: _in_order(counts[attribute], here) for name, counts in samples.items() if attribute in counts}
        for attribute in SHOWN_SHARES
    }
    return shift_figure(shares, {"own test": confidence_of(there), "evaluated": confidence_of(here)})


def _in_order(counts: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Counts of categories that occur, in the order of the table's where they are among them."""
    counts = counts[counts > 0].set_axis(counts[counts > 0].index.astype(str))
    orders = [table[name].cat.categories.astype(str) for name in ("gender", "race", "age")]
    for order in (*orders, class_names(table)):
        if set(counts.index) <= set(order):
            return counts.reindex([name for name in order if name in counts.index])
    return counts.sort_index()


FOLDER_OF_PICTURE = {
    "calibration": "calibration/reliability.png",
    "selective": "selective/curves.png",
    "shift": "shift/composition.png",
    "robustness_race": "robustness/race.png",
    "robustness_gender": "robustness/gender.png",
    "corruptions": "robustness/corruptions.png",
}


def _log_found(found: Evaluation, pictures: dict[str, bytes], model: RegisteredModel) -> None:
    for path, table in _tables(found).items():
        tracking.log_table(table, path)
    for name, path in FOLDER_OF_PICTURE.items():
        if name in pictures:
            tracking.log_bytes(pictures[name], path)
    tracking.log_text(report(found, pictures), "report.html")
    tracking.set_description(description(found))
    values = _defined(metrics_of(found))
    for step, curves in _curves(found).items():
        tracking.log_metrics(_defined(curves), step=step)
    tracking.log_metrics(values)
    shifted = found.drift.data["verdict"].eq(ESTABLISHED).any()
    tracking.set_tags({"fairprof.shift": "established" if shifted else "none found"})
    registry.link_to_model(model.stored, {name: values[name] for name in ON_THE_MODEL if name in values})
    registry.tag_version(model.stored, {f"fairprof.evaluation.{found.subject.data}": tracking.active_run_id()})
    print("\n" + "\n".join(f"{lead}: {sentence}" for lead, sentence in answer(found).items()), flush=True)
    print("the report: report.html among the artifacts of this run", flush=True)


def _tables(found: Evaluation) -> dict[str, pd.DataFrame]:
    tables = {
        "calibration/by_group.csv": found.calibration.table,
        "calibration/gaps.csv": found.calibration.gaps,
        "selective/scores.csv": found.selective.scores,
        "selective/by_group.csv": found.selective.by_group,
        "selective/gaps.csv": found.selective.gaps,
        "selective/areas.csv": found.selective.areas,
        "shift/data.csv": found.drift.data,
        "shift/training.csv": found.drift.training,
        "shift/expected_accuracy.csv": found.drift.accuracy,
        "speed/times.csv": found.speed.times,
    }
    if found.robustness is not None:
        tables |= {"robustness/accuracy.csv": found.robustness.accuracy, "robustness/gaps.csv": found.robustness.gaps}
    return tables


def metrics_of(found: Evaluation) -> dict[str, float]:
    """Every metric of an evaluation by the name under which it is logged; NaN where undefined."""
    return (
        found.fairness.values
        | _calibration_metrics(found.calibration)
        | _selective_metrics(found.selective)
        | ({} if found.robustness is None else _robustness_metrics(found.robustness))
        | _shift_metrics(found.drift)
        | _speed_metrics(found.speed)
        | {"data/evaluated": found.subject.images}
    )


def _calibration_metrics(calibration: Calibration) -> dict[str, float]:
    overall = calibration.table[calibration.table["attribute"].eq("all")]
    values = {f"calibration/{row.stage}/{row.metric}": row.value for row in overall.itertuples()}
    values |= {
        f"calibration/{row.stage}/calibration_error_{figure}": getattr(row, figure)
        for row in overall[overall["metric"].eq("calibration_error")].itertuples()
        for figure in ("null_q95", "p_value")
    }
    for row in calibration.gaps.itertuples():
        name = f"calibration/{row.stage}/calibration_error_difference"
        values |= {f"{name}/{row.attribute}": row.value, f"{name}_null_q95/{row.attribute}": row.null_q95}
        values |= {f"{name}_p_value/{row.attribute}": row.p_value}
    return values | {"calibration/temperature": calibration.temperature.value}


def _selective_metrics(selective: Selective) -> dict[str, float]:
    values = {}
    for row in selective.areas.itertuples():
        place = "" if row.group == "all" and row.attribute == "all" else f"/{row.attribute}/{_plain_name(row.group)}"
        values[f"selective/area_under_risk_coverage{place}"] = row.area
    return values


def _robustness_metrics(robustness: Robustness) -> dict[str, float]:
    everyone = robustness.accuracy[robustness.accuracy["attribute"].eq("all")]
    clean = everyone.loc[everyone["corruption"].eq(CLEAN), "accuracy"].iloc[0]
    values = {
        "robustness/mean_corruption_accuracy": robustness.mean_accuracy,
        "robustness/clean_accuracy": clean,
        "robustness/images": robustness.images,
    }
    for name, part in everyone[everyone["corruption"].ne(CLEAN)].groupby("corruption", sort=False):
        values[f"robustness/drop/{name}"] = part["drop"].mean()
    for row in robustness.gaps[robustness.gaps["corruption"].eq(ALL_CORRUPTIONS)].itertuples():
        values |= {
            f"robustness/drop_difference/{row.attribute}": row.value,
            f"robustness/drop_difference_null_q95/{row.attribute}": row.null_q95,
            f"robustness/drop_difference_p_value/{row.attribute}": row.p_value,
        }
    return values


def _shift_metrics(drifted: Drift) -> dict[str, float]:
    values = {}
    for table, sample in ((drifted.data, "data"), (drifted.training, "training")):
        for row in table.itertuples():
            name = row.attribute.replace(" x ", "_x_").replace(" ", "_")
            values |= {
                f"shift/{sample}/distance/{name}": row.value,
                f"shift/{sample}/p_adjusted/{name}": row.p_adjusted,
            }
    for row in drifted.accuracy.itertuples():
        if row.images == "evaluated":
            values[f"shift/expected_minus_observed_accuracy/{row.scaling}"] = row.difference
    return values | {"shift/established": float(drifted.data["verdict"].eq(ESTABLISHED).sum())}


def _speed_metrics(speed: Speed) -> dict[str, float]:
    values = {
        f"speed/{row.part}/{figure}/batch_{row.batch}": getattr(row, figure)
        for row in speed.times.itertuples()
        for figure in ("median_ms", "p95_ms", "images_per_second")
    }
    return values | {
        "speed/parameters": speed.parameters,
        "speed/weights_mib": speed.weights_mib,
        "speed/resident_mib": speed.resident_mib,
        "speed/working_mib": speed.working_mib,
    }


def _curves(found: Evaluation) -> dict[int, dict[str, float]]:
    """What is logged as a curve: step to values. Steps are the coverage in percent, and the severity."""
    curves: dict[int, dict[str, float]] = {}
    for row in found.selective.scores.itertuples():
        step = curves.setdefault(round(100 * row.coverage), {})
        step |= {"selective/accuracy": row.accuracy, "selective/macro_f1": row.macro_f1}
    for row in found.selective.gaps.itertuples():
        step, name = curves.setdefault(round(100 * row.coverage), {}), f"selective/{row.metric}"
        step |= {f"{name}/{row.attribute}": row.value, f"{name}_null_q95/{row.attribute}": row.null_q95}
    if found.robustness is not None:
        accuracy = found.robustness.accuracy[found.robustness.accuracy["attribute"].eq("all")]
        clean = accuracy[accuracy["corruption"].eq(CLEAN)]
        for name in CORRUPTIONS:
            for row in pd.concat([clean, accuracy[accuracy["corruption"].eq(name)]]).itertuples():
                curves.setdefault(row.severity, {})[f"robustness/accuracy/{name}"] = row.accuracy
    return curves


def _plain_name(name: str) -> str:
    """A name as part of a metric's or tag's: MLflow takes letters, digits and a few signs."""
    return "".join(letter if letter.isalnum() or letter in "_-. " else "-" for letter in str(name))


def _defined(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if np.isfinite(value)}
