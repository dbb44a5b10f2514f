"""What an evaluation has found, in one record: the report and the description are functions of it."""

from dataclasses import dataclass

import pandas as pd

from fairprof.commands.evaluate.drift import Drift
from fairprof.commands.evaluate.speed import Speed
from fairprof.metrics.calibration import Temperature


@dataclass(frozen=True)
class Subject:
    """What was evaluated on what.

    model: its name and version. design: that of its training, balanced over some axes. trained_data, data: what they
    are called. partition: test or all. same_images: the evaluated images are the training run's own test images.
    images, classes, image_size (pixels): of the evaluation. validation_images: that the temperature was fitted on.
    created: ISO 8601. pseudo_professions: labels were drawn given the age bin.
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


@dataclass(frozen=True)
class Fairness:
    """values: metrics by name, of `log_measurements` and the ceilings. scores, gaps, by_group: its tables."""

    values: dict[str, float]
    scores: pd.DataFrame
    gaps: pd.DataFrame
    by_group: pd.DataFrame


@dataclass(frozen=True)
class Calibration:
    """table, gaps: of `metrics.calibration`, with a column stage (before, after temperature scaling)."""

    temperature: Temperature
    table: pd.DataFrame
    gaps: pd.DataFrame


@dataclass(frozen=True)
class Selective:
    """The tables of `metrics.selective`."""

    scores: pd.DataFrame
    by_group: pd.DataFrame
    gaps: pd.DataFrame
    areas: pd.DataFrame


@dataclass(frozen=True)
class Robustness:
    """The tables of `evaluate.robustness`; images: how many were corrupted."""

    accuracy: pd.DataFrame
    gaps: pd.DataFrame
    mean_accuracy: float
    images: int


@dataclass(frozen=True)
class Evaluation:
    """All that an evaluation has found; robustness is None where no image was to be corrupted. delta, min_support and
    permutations: the settings of these names."""

    subject: Subject
    fairness: Fairness
    calibration: Calibration
    selective: Selective
    robustness: Robustness | None
    drift: Drift
    speed: Speed
    delta: float
    min_support: int
    permutations: int
