"""All that is measured on one table of predictions: scores, gaps with their floors, tables and pictures, logged."""

import numpy as np
import pandas as pd
import psutil

from fairprof.config import AnalysisSettings
from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.inference import groups as inference
from fairprof.inference.memory import resampling_bytes
from fairprof.measurement.pictures import confusion_figure, rates_figure, reliability_figure
from fairprof.metrics import fairness, performance
from fairprof.reporting.gap_chart import gaps_figure
from fairprof.reporting.style import png_of
from fairprof.reporting.wording import counted
from fairprof.runtime.cache import readable
from fairprof.seeds import numpy_generator
from fairprof.store import tracking


def require_memory(settings: AnalysisSettings, pool: Pool, designs: int = 1, seeds: int = 1) -> None:
    """Raises `UserError` where what is measured on runs of the pool, or on all of a study, would not fit into memory.

    It would fail after the training.
    """
    groups = pool.table["gender"].cat.categories.size * pool.table["race"].cat.categories.size
    counts = groups * len(pool.professions) ** 2
    needed = resampling_bytes(counts, settings.permutations, settings.replicates, designs, seeds)
    there = psutil.virtual_memory().total
    if needed > there:
        raise UserError(
            f"replicates={settings.replicates} and permutations={settings.permutations} of "
            f"{counted(designs * seeds, 'run')} need about {readable(needed)} of memory, and this machine has "
            f"{readable(there)}: lower them{' or seeds' if seeds > 1 else ''}"
        )


def measured(predictions: pd.DataFrame, min_support: int) -> dict[str, float]:
    """Scores and gaps of a predictions table by name."""
    return performance.performance(predictions) | fairness.summary(predictions, min_support)


def log_measurements(
    predictions: pd.DataFrame, settings: AnalysisSettings, seed: int, arm: str | int, design: str
) -> dict[str, float]:
    """Logs the tables and pictures of `metrics/` and returns the values by name, each under `test/`.

    predictions: as `predictions_table` makes them, of images that were not trained on. seed: of the permutations and
    bootstraps. arm, design: what the picture of the gaps names and colours them by.
    """
    gaps = inference.tested_gaps(
        predictions,
        settings.permutations,
        settings.replicates,
        settings.delta,
        numpy_generator(seed, "noise floor"),
        min_support=settings.min_support,
    )
    contrasts = inference.contrasts(
        predictions, settings.replicates, numpy_generator(seed, "contrasts"), min_support=settings.min_support
    )
    scores = inference.bootstrap_scores(predictions, settings.replicates, numpy_generator(seed, "scores"))
    tracking.log_table(contrasts, "metrics/contrasts.csv")
    tracking.log_table(scores, "metrics/scores.csv")
    _log_rates(predictions, gaps, settings.min_support)
    _log_performance(predictions, settings.min_support)
    tracking.log_bytes(png_of(gaps_figure(gaps.assign(arm=arm, design=design, seeds=1))), "metrics/gaps.png")
    values = measured(predictions, settings.min_support) | _noise_floors(gaps)
    return {f"test/{name}": value for name, value in values.items()}


def _noise_floors(gaps: pd.DataFrame) -> dict[str, float]:
    """Floor, p-value and upper bound beside every gap that is a metric (the largest over the classes)."""
    largest = gaps[gaps["class"].eq(inference.MAX_OVER_CLASSES)]
    values = {
        f"{row.metric}_{figure}/{row.attribute}": getattr(row, figure)
        for row in largest.itertuples()
        for figure in ("null_mean", "null_q95", "excess", "p_value", "upper")
    }
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _log_rates(predictions: pd.DataFrame, tested: pd.DataFrame, min_support: int) -> None:
    by_group = fairness.rates_by_group(predictions, min_support)
    lower, upper = inference.wilson_interval(by_group["numerator"], by_group["denominator"])
    by_group = by_group.assign(lower=lower, upper=upper)
    balanced = fairness.rates_by_group(predictions, min_support, fairness.balanced_weights(predictions))
    views = pd.concat([by_group.assign(view="natural"), balanced.assign(view="balanced")])
    gaps = fairness.gaps(by_group).merge(
        tested.drop(columns=["value", "undefined_cells", "insufficient_cells"]),
        how="left",
        on=["attribute", "metric", "class"],
        validate="1:1",
    )
    gaps = pd.concat([gaps.assign(view="natural"), fairness.gaps(balanced).assign(view="balanced")])
    tracking.log_table(views, "metrics/by_group.csv")
    tracking.log_table(gaps, "metrics/gaps.csv")
    tracking.log_bytes(png_of(rates_figure(by_group)), "metrics/rates_by_group.png")


def _log_performance(predictions: pd.DataFrame, min_support: int) -> None:
    confusion = performance.confusion_table(predictions)
    reliability = performance.reliability_table(predictions)
    tracking.log_table(fairness.performance_by_group(predictions, min_support), "metrics/performance_by_group.csv")
    tracking.log_table(performance.classification_table(predictions), "metrics/per_class.csv", index=True)
    tracking.log_table(confusion, "metrics/confusion_matrix.csv", index=True)
    tracking.log_table(reliability, "metrics/reliability.csv")
    tracking.log_bytes(png_of(confusion_figure(confusion, "test set")), "metrics/confusion_matrix.png")
    tracking.log_bytes(
        png_of(reliability_figure(reliability, performance.calibration_error(predictions))),
        "metrics/reliability.png",
    )
