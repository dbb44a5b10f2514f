"""What an evaluation has found, in one record: report, pictures and metrics are functions of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fairprof.commands.evaluate.corruptions import CORRUPTIONS
from fairprof.commands.evaluate.robustness import ALL_CORRUPTIONS, CLEAN
from fairprof.commands.evaluate.shift import Shift
from fairprof.commands.evaluate.speed import Speed
from fairprof.inference.calibration_by_group import OVERCONFIDENCE
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.measurement.ceilings import HEADLINE_GAPS
from fairprof.measurement.measures import Measurements
from fairprof.metrics.calibration import ALL, ERROR, Temperature
from fairprof.plain_text import plain_names
from fairprof.store.pages import SHORT_NAMES, short_metrics

ON_THE_MODEL = (  # metrics of the model too, which its page shows
    "test/accuracy",
    "test/macro_f1",
    "test/macro_f1_of_ceiling",
    "test/macro_f1_share_above_chance",
    *(f"test/{gap}" for gap in HEADLINE_GAPS),
    "test/worst_group_accuracy/gender_x_race",
    "calibration/temperature",
    "calibration/after/calibration_error",
    "selective/area_under_risk_coverage",
    "robustness/mean_corruption_accuracy",
)
SHOWN = (  # the values of an evaluation that are metrics, beside its curves
    *ON_THE_MODEL,
    *SHORT_NAMES,
    "test/balanced_accuracy",
    "calibration/before/calibration_error",
    "shift/established",
)


@dataclass(frozen=True)
class Subject:
    """What was evaluated on what.

    model: its name and version. design: that of its training, balanced over some axes. trained_data, data: what they
    are called. partition: test or all. same_images: the evaluated images are the training run's own test images.
    images, classes, image_size (pixels): of the evaluation. validation_images: that the temperature was fitted on.
    created: ISO 8601. pseudo_professions: labels were drawn given the age bin. shows_faces: whether the page shows an
    image.
    """

    model: str
    design: str
    balanced: tuple[str, ...]
    trained_data: str
    data: str
    partition: str
    same_images: bool
    images: int
    classes: tuple[str, ...]
    image_size: int
    validation_images: int
    created: str
    pseudo_professions: bool
    shows_faces: bool


@dataclass(frozen=True)
class Fairness:
    """values: metrics by name, those of the measurements and the ceilings."""

    values: dict[str, float]
    measurements: Measurements

    @property
    def scores(self) -> pd.DataFrame:
        return self.measurements.table("scores")

    @property
    def gaps(self) -> pd.DataFrame:
        return self.measurements.natural("gaps")

    @property
    def contrasts(self) -> pd.DataFrame:
        return self.measurements.table("contrasts")


@dataclass(frozen=True)
class Calibration:
    """table, gaps: of `inference.calibration_by_group`, with a column stage (before, after temperature scaling)."""

    temperature: Temperature
    table: pd.DataFrame
    gaps: pd.DataFrame

    @property
    def overall(self) -> dict[str, pd.DataFrame]:
        """Of all images: metric to its rows of `table`, by stage."""
        rows = self.table[self.table["attribute"].eq(ALL) & self.table["group"].eq(ALL)]
        return {str(metric): of_metric.set_index("stage") for metric, of_metric in rows.groupby("metric")}

    @property
    def changes(self) -> pd.DataFrame:
        """What temperature scaling changes on all images.

        Columns: metric (log loss, calibration error, overconfidence), before, after, and change (of the distance from
        0, which is ideal: below 0 it is better).
        """
        values = {metric: self.overall[metric]["value"] for metric in ("log_loss", ERROR, OVERCONFIDENCE)}
        table = pd.DataFrame(
            {"metric": metric, "before": of_stage["before"], "after": of_stage["after"]}
            for metric, of_stage in values.items()
        )
        return table.assign(change=table["after"].abs() - table["before"].abs())


@dataclass(frozen=True)
class Selective:
    """The tables of `metrics.selective`."""

    scores: pd.DataFrame
    by_group: pd.DataFrame
    gaps: pd.DataFrame
    areas: pd.DataFrame


@dataclass(frozen=True)
class Robustness:
    """The tables of `robustness.py`; images: how many were corrupted. example: one image, (S, S, 3) uint8, by
    corruption and severity, as the network sees it."""

    outcomes: pd.DataFrame
    accuracy: pd.DataFrame
    gaps: pd.DataFrame
    mean_accuracy: float
    images: int
    example: dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """All that an evaluation has found; robustness is None where no image was to be corrupted. delta, min_support and
    permutations: the settings of these names."""

    subject: Subject
    fairness: Fairness
    calibration: Calibration
    selective: Selective
    robustness: Robustness | None
    shift: Shift
    speed: Speed
    delta: float
    min_support: int
    permutations: int


@dataclass(frozen=True)
class TrainingRecord:
    """What the training run has left: its validation and test predictions, and the composition of its partitions."""

    validation: pd.DataFrame
    test: pd.DataFrame
    composition: pd.DataFrame


# Names.


def data_name(data: str) -> str:
    """What a data set is called in names and sentences: its kind, or a manifest's own name."""
    kind, _, path = data.partition(":")
    return plain_names([Path(path).stem])[Path(path).stem] if kind == "manifest" else kind


# Tables and metrics.


def tables_of(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Every table of an evaluation by artifact path."""
    calibration, selective, shift = evaluation.calibration, evaluation.selective, evaluation.shift
    tables = evaluation.fairness.measurements.tables | {
        "calibration/by_group.csv": calibration.table,
        "calibration/gaps.csv": calibration.gaps,
        "calibration/scaling.csv": calibration.changes,
        "selective/scores.csv": selective.scores,
        "selective/by_group.csv": selective.by_group,
        "selective/gaps.csv": selective.gaps,
        "selective/areas.csv": selective.areas,
        "shift/data.csv": shift.data,
        "shift/training.csv": shift.training,
        "shift/expected_accuracy.csv": shift.accuracy,
        "speed/times.csv": evaluation.speed.times,
    }
    if (robustness := evaluation.robustness) is not None:
        tables |= {
            "robustness/predictions.parquet": robustness.outcomes,
            "robustness/accuracy.csv": robustness.accuracy,
            "robustness/gaps.csv": robustness.gaps,
        }
    return tables


def values_of(evaluation: Evaluation) -> dict[str, float]:
    """Every value of an evaluation by name; NaN where undefined."""
    return (
        evaluation.fairness.values
        | short_metrics(evaluation.fairness.values)
        | _calibration_metrics(evaluation.calibration)
        | _selective_metrics(evaluation.selective)
        | ({} if evaluation.robustness is None else _robustness_metrics(evaluation.robustness))
        | _shift_metrics(evaluation.shift)
        | _speed_metrics(evaluation.speed)
        | {"data/evaluated": evaluation.subject.images}
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
        name = f"calibration/{row.stage}/overconfidence_difference"
        values |= {f"{name}/{row.attribute}": row.value, f"{name}_null_q95/{row.attribute}": row.null_q95}
        values |= {f"{name}_p_adjusted/{row.attribute}": row.p_adjusted}
    return values | {"calibration/temperature": calibration.temperature.value}


def _selective_metrics(selective: Selective) -> dict[str, float]:
    values = {}
    names = plain_names(selective.areas["group"].unique())
    for row in selective.areas.itertuples():
        place = "" if row.attribute == ALL else f"/{row.attribute}/{names[row.group]}"
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


def _shift_metrics(shift: Shift) -> dict[str, float]:
    values: dict[str, float] = {}
    for table, sample in ((shift.data, "data"), (shift.training, "training")):
        for row in table.itertuples():
            name = row.attribute.replace(" x ", "_x_").replace(" ", "_")
            values |= {
                f"shift/{sample}/distance/{name}": row.value,
                f"shift/{sample}/p_adjusted/{name}": row.p_adjusted,
            }
    for row in shift.accuracy.itertuples():
        if row.images == "evaluated":
            values[f"shift/expected_minus_observed_accuracy/{row.scaling}"] = row.difference
    return values | {"shift/established": float(shift.data["verdict"].eq(ESTABLISHED).sum())}


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


def curves_of(evaluation: Evaluation) -> dict[int, dict[str, float]]:
    """What is logged as a curve: step to values. Steps are the coverage in percent, and the severity."""
    curves: dict[int, dict[str, float]] = {}
    for row in evaluation.selective.scores.itertuples():
        step = curves.setdefault(round(100 * row.coverage), {})
        step["selective/accuracy"] = row.accuracy
    if evaluation.robustness is not None:
        accuracy = evaluation.robustness.accuracy[evaluation.robustness.accuracy["attribute"].eq("all")]
        clean = accuracy[accuracy["corruption"].eq(CLEAN)]
        for name in CORRUPTIONS:
            for row in pd.concat([clean, accuracy[accuracy["corruption"].eq(name)]]).itertuples():
                curves.setdefault(row.severity, {})[f"robustness/accuracy/{name}"] = row.accuracy
    return curves
