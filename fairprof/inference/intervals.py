"""Intervals of rates, scores and means over resamples."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from fairprof.inference.levels import CONFIDENCE, check_confidence, check_number
from fairprof.metrics.performance import confusion_table, divide, scores_from_counts


def wilson_interval(
    successes: ArrayLike, totals: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end, in [0, 1], of the score interval of a proportion; NaN where the total is 0.

    With p = successes / totals, n = totals and z the normal quantile of (1 + confidence) / 2:
    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). The arrays broadcast. Wilson 1927.
    """
    check_confidence(confidence)
    successes, totals = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(totals, dtype=float))
    if (successes < 0).any() or (successes > totals).any():
        raise ValueError("successes lie outside 0 to totals; give the number of rows that count, of all rows")
    z = norm.ppf((1 + confidence) / 2)
    share = divide(successes, totals)
    shrinkage = divide(np.full(totals.shape, z**2), totals)
    centre = (share + shrinkage / 2) / (1 + shrinkage)
    spread = np.sqrt(shrinkage * share * (1 - share) + shrinkage**2 / 4) / (1 + shrinkage)
    # Of 0 and of all rows the ends are 0 and 1 exactly, but for rounding.
    lower = np.where(successes == 0, np.minimum(share, 0), centre - spread)
    upper = np.where(successes == totals, np.maximum(share, 1), centre + spread)
    return lower, upper


def bootstrap_scores(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Accuracy, balanced accuracy and macro-F1 with percentile intervals of the stratified bootstrap.

    Rows are resampled within each true class, so each keeps its number of rows.
    Columns: metric, value, lower, upper, standard_error (SD of the replicates). Where no prediction
    is wrong there is nothing to resample: `wilson_interval` bounds the accuracy then. Efron, Tibshirani 1993.
    """
    check_number(replicates, "replicates")
    check_confidence(confidence)
    counts = confusion_table(predictions).to_numpy()
    totals = counts.sum(axis=1)
    # A class without rows gets 0 of 0 rows, whatever the probabilities.
    shares = (
        np.where(totals[:, None] > 0, counts, 1) / np.maximum(counts.sum(axis=1), len(counts) * (totals == 0))[:, None]
    )
    drawn = scores_from_counts(generator.multinomial(totals, shares, size=(replicates, len(counts))))
    tail = (1 - confidence) / 2
    return pd.DataFrame(
        {
            "metric": name,
            "value": float(value),
            "lower": np.quantile(drawn[name], tail),
            "upper": np.quantile(drawn[name], 1 - tail),
            "standard_error": drawn[name].std(ddof=1),
        }
        for name, value in scores_from_counts(counts).items()
    )


def centred_interval(
    draws: np.ndarray, observed: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end (...) of the centred percentile interval: observed + quantiles of (draws - their mean).

    `draws` are (B, ...), `observed` (...). Gaps of resampled images are biased upward, those of the images by
    chance and once more by resampling, so the draws lie too high and are moved back onto what was observed. Draws in
    which a quantity is undefined are left out; NaN where none or `observed` is defined.
    """
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    centre = over_replicates(lambda values: np.nanmean(values, axis=0), draws)
    lower, upper = (
        observed + over_replicates(partial(np.nanquantile, q=q, axis=0), draws) - centre for q in (tail, 1 - tail)
    )
    return lower, upper


def over_replicates(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """(...): a function, which leaves NaN out, of values (B, ...); NaN where no replicate is defined."""
    columns = values.reshape(len(values), -1)
    some = ~np.isnan(columns).all(axis=0)
    found = np.full(len(some), np.nan)
    found[some] = function(columns[:, some])
    return found.reshape(values.shape[1:])
