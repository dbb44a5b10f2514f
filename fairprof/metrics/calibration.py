"""Whether a probability means what it says: temperature scaling, and the expected calibration error of samples."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from fairprof.metrics.performance import (
    CALIBRATION_BINS,
    CONFIDENCE_DECIMALS,
    PROBABILITY_PREFIX,
    class_names,
    class_probabilities,
    label_codes,
)

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)  # below it, a softmax in single precision gives 0
IMAGES_PER_BIN = 20  # at least, where there are few images

FITTED = "fitted"
AT_BOUND = "at_bound"
UNDETERMINED = "undetermined"

ERROR = "calibration_error"
ALL = "all"


# Temperature scaling.


class Temperature(NamedTuple):
    """A temperature, in [LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE], and what its fit came to.

    status: `fitted`; `at_bound` where the likelihood still grows at a bound; `undetermined` where every prediction is
    right, so that the likelihood has no maximum: the temperature is 1 then, and changes nothing.
    """

    value: float
    status: str


def fitted_temperature(probabilities: np.ndarray, true: np.ndarray) -> Temperature:
    """The temperature T that minimises the mean of -ln softmax(z / T)[true class] (Guo, Pleiss, Sun, Weinberger 2017).

    probabilities: (N, K) in [0, 1], rows sum to 1; their logarithms are the logits z up to a constant of each row, and
    a probability of 0 counts as the smallest single-precision number. true: (N,) int in [0, K). The loss is
    convex in 1 / T, and is minimised over the logarithm of T.
    """
    logits = _logits(probabilities)
    rows = np.arange(len(true))
    if (logits[rows, true] >= logits.max(axis=1)).all():
        return Temperature(1.0, UNDETERMINED)

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, true].mean())

    bounds = np.log([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE])
    best = minimize_scalar(loss, bounds=tuple(bounds), method="bounded", options={"xatol": 1e-6}).x
    status = AT_BOUND if np.abs(best - bounds).min() < 1e-3 else FITTED
    return Temperature(float(np.exp(best)), status)


def scaled_probabilities(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(N, K): softmax(z / T) of the logits behind probabilities (N, K). The order within a row stays."""
    return softmax(_logits(probabilities) / temperature, axis=1)


def with_temperature(predictions: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """A predictions table with scaled probabilities; what is predicted stays."""
    scaled = scaled_probabilities(class_probabilities(predictions), temperature)
    columns = [PROBABILITY_PREFIX + name for name in class_names(predictions)]
    return predictions.assign(**dict(zip(columns, scaled.T, strict=True)))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))


# The calibration error of many resamples at once.


class TopLabel(NamedTuple):
    """Rows sorted by confidence. confidence: (N,), the probability of the predicted class; correct: (N,) bool; tie:
    (N,) int, equal for rows of equal confidence (to six decimals), rising from 0."""

    confidence: np.ndarray
    correct: np.ndarray
    tie: np.ndarray

    def of(self, rows: np.ndarray) -> "TopLabel":
        """Some of the rows; `rows` must be ascending."""
        return TopLabel(self.confidence[rows], self.correct[rows], self.tie[rows])


def top_label(predictions: pd.DataFrame) -> tuple[TopLabel, np.ndarray]:
    """The rows of a predictions table by rising confidence, and the order, (N,) int, which they were brought into."""
    predicted = label_codes(predictions, "y_pred")
    correct = predicted == label_codes(predictions, "y_true")
    confidence = np.take_along_axis(class_probabilities(predictions), predicted[:, None], axis=1)[:, 0]
    order = np.lexsort((correct, confidence))
    _, tie = np.unique(confidence[order].round(CONFIDENCE_DECIMALS), return_inverse=True)
    return TopLabel(confidence[order], correct[order], tie), order


def calibration_errors(
    confidence: np.ndarray, correct: np.ndarray, tie: np.ndarray, bins: int = CALIBRATION_BINS
) -> np.ndarray:
    """(B,): the error of `performance.calibration_error` of B samples of the same number of rows.

    confidence, correct, tie: (B, N), each sample by rising confidence, as in `TopLabel`.
    """
    samples, rows = confidence.shape
    first = np.ones((samples, rows), dtype=bool)
    first[:, 1:] = tie[:, 1:] != tie[:, :-1]
    start = np.maximum.accumulate(np.where(first, np.arange(rows), 0), axis=1)
    last = np.ones((samples, rows), dtype=bool)
    last[:, :-1] = first[:, 1:]
    end = np.minimum.accumulate(np.where(last, np.arange(rows), rows)[:, ::-1], axis=1)[:, ::-1] + 1
    # the middle of the mass of rows of equal confidence decides on their bin
    bin_of_row = ((start + end) / 2 * min(bins, rows) / rows).astype(np.int64)
    places = (bin_of_row + np.arange(samples)[:, None] * bins).ravel()
    gaps = np.bincount(places, (correct - confidence).ravel(), minlength=samples * bins)
    return np.abs(gaps.reshape(samples, bins)).sum(axis=1) / rows


def bins_for(images: int) -> int:
    """How many equal-mass bins a number of images allows: at least IMAGES_PER_BIN images each, 1 to 15."""
    return int(np.clip(images // IMAGES_PER_BIN, 1, CALIBRATION_BINS))
