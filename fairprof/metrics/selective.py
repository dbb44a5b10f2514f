"""Selective prediction: which predictions are kept when the least confident are refused, and at which risk.

A classifier that may refuse answers the images whose confidence (the probability of the predicted class) reaches a
threshold; the share that it answers is its coverage (El-Yaniv, Wiener 2010).

Images of equal confidence (to six decimals) are answered or refused together, so that the order of rows never matters.
"""

import numpy as np
import pandas as pd

from fairprof.metrics.performance import (
    CONFIDENCE_DECIMALS,
    class_probabilities,
    label_codes,
)


def confidence_of(predictions: pd.DataFrame) -> np.ndarray:
    """(N,) in [0, 1]: the probability of the predicted class, rounded to six decimals."""
    predicted = label_codes(predictions, "y_pred")
    return np.take_along_axis(class_probabilities(predictions), predicted[:, None], axis=1)[:, 0].round(
        CONFIDENCE_DECIMALS
    )


def accepted(confidence: np.ndarray, coverage: float) -> np.ndarray:
    """(N,) bool: the fewest rows that are at least `coverage`, in (0, 1], of all: the most confident, ties together.

    Raises ValueError for a coverage outside (0, 1].
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage}; give a share above 0 and up to 1")
    wanted = int(np.ceil(round(coverage * len(confidence), 9)))
    return confidence >= np.sort(confidence)[::-1][wanted - 1]


def risk_coverage_areas(weights: np.ndarray, wrong: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """(B,): the area of rows, the most confident first, each counted `weights` (B, N) times; tie: (N,) rising."""
    starts = np.flatnonzero(np.diff(tie, prepend=-1))
    mass = np.add.reduceat(weights, starts, axis=1)
    errors = np.add.reduceat(weights * wrong, starts, axis=1)
    mean_error = np.divide(errors, mass, out=np.zeros(mass.shape), where=mass > 0)[:, tie]
    return _mean_running_risk(weights, mean_error)


def _mean_running_risk(weights: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(B,): the mean over rows, as often as they count, of the error rate among them and those before."""
    total = weights.cumsum(axis=1)
    risk = np.divide((weights * error).cumsum(axis=1), total, out=np.zeros(total.shape), where=total > 0)
    return (weights * risk).sum(axis=1) / weights.sum(axis=1)
