"""What is measured of a registered model: speed, fairness, calibration, selective prediction, robustness and shift."""

import numpy as np
import pandas as pd

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fairprof.commands.evaluate.results import Calibration, Fairness, Robustness, Selective, TrainingRecord
from fairprof.commands.evaluate.robustness import (
    CLEAN,
    accuracy_under_corruption,
    drop_gaps,
    mean_corruption_accuracy,
    outcomes,
)
from fairprof.commands.evaluate.shift import Shift, shift_between
from fairprof.commands.evaluate.speed import BATCHES, Speed, measured_speed
from fairprof.config import EvaluateSettings
from fairprof.data.designs import DESIGNS
from fairprof.data.pool import Pool
from fairprof.data.sample import balanced_sample
from fairprof.inference.calibration_by_group import calibration_gaps, calibration_table
from fairprof.inference.selective_prediction import risk_coverage, selective_by_group, selective_gaps, selective_scores
from fairprof.measurement.ceilings import ceilings, shares_of_ceiling
from fairprof.measurement.measures import measure
from fairprof.metrics.calibration import fitted_temperature, with_temperature
from fairprof.metrics.performance import class_probabilities, label_codes
from fairprof.network.images import pixels_seen
from fairprof.network.loaded import LoadedModel
from fairprof.seeds import numpy_generator


def speed_of(model: LoadedModel, pool: Pool, rows: np.ndarray) -> Speed:
    """Of as many images as the largest batch has, the first of the rows, repeated where there are fewer."""
    repeated = np.resize(pool.table["pixel"].to_numpy()[rows], max(BATCHES))
    pixels = np.asarray(pool.pixel_cache.array[repeated])
    return measured_speed(model.classifier.network, model.image_size, pixels, model.classifier.preprocessing)


def fairness_of(settings: EvaluateSettings, pool: Pool, rows: np.ndarray, predictions: pd.DataFrame) -> Fairness:
    """Scores and gaps, and what the labels allow; predictions: of these rows of the pool."""
    measurements = measure(predictions, settings, settings.seed)
    allowed = ceilings(pool, rows)
    return Fairness(measurements.values | allowed | shares_of_ceiling(predictions, allowed), measurements)


def calibration_of(
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
    table, differences = (pd.concat(parts, ignore_index=True) for parts in (tables, gaps))
    return Calibration(temperature, table, differences), scaled


def selective_of(settings: EvaluateSettings, predictions: pd.DataFrame) -> Selective:
    """Scores and gaps while ever more of the least confident predictions are refused."""
    generator = numpy_generator(settings.seed, "selective prediction")
    return Selective(
        selective_scores(predictions),
        selective_by_group(predictions, min_support=settings.min_support),
        selective_gaps(predictions, settings.permutations, generator, min_support=settings.min_support),
        risk_coverage(predictions, settings.replicates, generator, settings.min_support),
    )


def robustness_of(settings: EvaluateSettings, model: LoadedModel, pool: Pool, rows: np.ndarray) -> Robustness | None:
    """What corruptions do to a balanced sample of the rows; None where no images are asked for."""
    if settings.robustness_images == 0:
        return None
    table = pool.table.iloc[rows]
    chosen = table.iloc[balanced_sample(table, settings.robustness_images)].reset_index(drop=True)
    pixels = pixels_seen(pool.pixel_cache.array[chosen["pixel"].to_numpy()], model.image_size)
    network, rule = model.classifier.network, model.classifier.rule
    predicted = outcomes(network, model.classes, chosen, pixels, settings.seed, rule, model.classifier.preprocessing)
    accuracy = accuracy_under_corruption(predicted, settings.min_support)
    generator = numpy_generator(settings.seed, "robustness")
    gaps = drop_gaps(predicted, settings.permutations, generator, settings.min_support)
    levels = [(CLEAN, 0)] + [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    name = chosen["image"].to_numpy()[:1]
    example = {level: corrupted(pixels[:1], name, *level, settings.seed)[0] for level in levels}
    return Robustness(predicted, accuracy, gaps, mean_corruption_accuracy(accuracy), len(chosen), example)


def shift_of(
    settings: EvaluateSettings,
    model: LoadedModel,
    evaluated: dict[str, pd.DataFrame],
    training: TrainingRecord,
    temperature: float,
) -> Shift:
    """The evaluated images against those of the training run; evaluated: predictions before and after scaling."""
    own_test = {"before": training.test, "after": with_temperature(training.test, temperature)}
    balanced = DESIGNS[model.settings.experiment].balanced
    generator = numpy_generator(settings.seed, "shift")
    return shift_between(
        evaluated, own_test, training.validation, training.composition, balanced, settings.permutations, generator
    )
