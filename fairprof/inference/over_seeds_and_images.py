"""Means over seeds on one test set, told of new seeds and new images: both are samples, and their errors are crossed.

Every run of a seed sees the same test images, so a difference that all seeds show can still be luck of these images:
tests over seeds alone (`over_seeds.sign_flip_tests`) hold for this test set only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from fairprof.inference.levels import ALPHA
from fairprof.inference.over_seeds import seed_sd

THESE_MODELS, THIS_TEST_SET, NEW_SEEDS_AND_IMAGES = (
    "these models",
    "this test set",
    "new seeds and new images",
)  # scopes


class Estimates(NamedTuple):
    """Of M quantities, each (M,): the mean over seeds, its standard error for new seeds and new images, and the degrees
    of freedom of that error."""

    value: np.ndarray
    standard_error: np.ndarray
    degrees_of_freedom: np.ndarray

    @property
    def p_value(self) -> np.ndarray:
        """(M,): of the two-sided t test that the quantity is 0; 1 where neither the value nor its error is above 0."""
        statistic = np.abs(self.value) / np.where(self.standard_error > 0, self.standard_error, np.nan)
        exact = np.where(self.value == 0, 1.0, 0.0)
        p_value = np.where(self.standard_error > 0, 2 * t.sf(statistic, self.degrees_of_freedom), exact)
        return np.where(np.isnan(self.value + self.standard_error), np.nan, p_value)

    def interval(self, level: ArrayLike = ALPHA) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end (M,) of the interval that excludes 0 exactly where `p_value` <= level, in (0, 1)."""
        half = t.isf(np.asarray(level) / 2, self.degrees_of_freedom) * self.standard_error
        return self.value - half, self.value + half


class EstimatesInParts(NamedTuple):
    """Of M quantities, each (M,): the mean over seeds, and its variance in two parts that are estimated apart.

    of_seeds: what varies between S seeds, with the images too, by seeds - 1 degrees of freedom; seeds: S. of_images:
    what varies with the images alike for all seeds, from `replicates` resamples.
    """

    value: np.ndarray
    of_seeds: np.ndarray
    of_images: np.ndarray
    seeds: np.ndarray
    replicates: np.ndarray

    @property
    def p_value(self) -> np.ndarray:
        """(M,): the smallest level from 1e-15 to 1 whose interval excludes 0; where there is no error, 1 for a value of
        0 and otherwise 0."""
        lowest, highest = np.full(self.value.shape, -15.0), np.zeros(self.value.shape)  # log10 of the level
        for _ in range(50):
            middle = (lowest + highest) / 2
            excludes = self._half(10**middle) < np.abs(self.value)
            lowest, highest = np.where(excludes, lowest, middle), np.where(excludes, middle, highest)
        exact = np.where(self.value == 0, 1.0, 0.0)
        p_value = np.where(self.of_seeds + self.of_images > 0, 10**highest, exact)
        return np.where(np.isnan(self.value + self.of_seeds + self.of_images), np.nan, p_value)

    def interval(self, level: ArrayLike = ALPHA) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end (M,) of the interval of this level: value -+ sqrt(t_s^2 of_seeds + t_i^2 of_images), with
        Student's quantiles for the degrees of freedom of each part.

        It misses the truth with a chance of at most `level`, whatever the parts are (Banerjee 1960). One quantile for
        both, with degrees of freedom as Satterthwaite has them (`Estimates`), does so at levels of some percent alone:
        six seeds whose variance comes out small by chance count as many then, and at a level of .0001, which a family
        of hundreds needs, that is wrong up to nine times too often.
        """
        half = self._half(np.asarray(level, dtype=float))
        return self.value - half, self.value + half

    def _half(self, level: np.ndarray) -> np.ndarray:
        of_seeds = t.isf(level / 2, np.maximum(self.seeds - 1, 1)) ** 2 * self.of_seeds
        return np.sqrt(of_seeds + t.isf(level / 2, self.replicates - 1) ** 2 * self.of_images)


def estimates_in_parts(observed: np.ndarray, values: np.ndarray) -> EstimatesInParts:
    """As `estimates`, for tests at levels far under .05: of_seeds is s^2 / S, of_images max(i^2 - r, 0), in its terms.

    With one seed the images alone vary, and all of i^2 is theirs.
    """
    seeds, replicates = observed.shape[0], len(values)
    of_images = _variance(values.mean(axis=1))
    of_seeds = np.zeros(observed.shape[1:])
    if seeds > 1:
        of_seeds = seed_sd(observed) ** 2 / seeds
        of_images = np.maximum(of_images - _of_both(values, of_images), 0)
    number = np.ones(observed.shape[1:])
    return EstimatesInParts(observed.mean(axis=0), of_seeds, of_images, seeds * number, replicates * number)


def _of_both(values: np.ndarray, of_images: np.ndarray) -> np.ndarray:
    """(M,): the variance, in the mean over seeds, of what varies with seed and image together."""
    seeds = values.shape[1]
    of_single_runs = np.mean([_variance(values[:, seed]) for seed in range(seeds)], axis=0)
    return np.maximum(of_single_runs - of_images, 0) / (seeds - 1)


def estimates(observed: np.ndarray, values: np.ndarray) -> Estimates:
    """Means over seeds with errors for new seeds and new images.

    `observed` (S, M) are quantities of S runs, or paired differences of such; `values` (B, S, M) the same on B
    resamples of the images, which are the same ones for all runs. With s^2 the variance between the observed ones, i^2
    that of the replicates' mean over seeds and j^2 the mean over seeds of the variance of a seed's replicates:

    - r = (j^2 - i^2) / (S - 1) estimates what varies with seed and image together, in the mean over seeds,
    - a = max(s^2 / S - r, 0) what varies with the seed alone; i^2 holds what varies with the image, and r,
    - standard_error^2 = i^2 + a: the three components of a two-way random model (Owen 2007; Cameron, Gelbach,
      Miller 2011), each of them counted once and none negative,
    - degrees_of_freedom = (i^2 + a)^2 / ((s^2 / S)^2 / (S - 1) + i^4 / (B - 1)) (Satterthwaite 1946): few seeds count
      as few where the seeds vary, and images as many. It is s^2 that is estimated from few: with a^2 in its place the
      degrees would grow where s^2 comes out small by chance, just where the error does not hold.

    With one seed the images alone vary: the estimate is of that model. Gaps of resampled images vary more than those
    of new images where the groups are equal, so that tests keep less than their level there. The seeds'
    values are taken as normal. NaN where a quantity is undefined in a run, or in all but one of the replicates.
    """
    if values.shape[1:] != observed.shape:
        raise ValueError(f"values have shape {values.shape}; give (replicates, *{observed.shape}), that of observed")
    seeds, replicates = len(observed), len(values)
    of_images = _variance(values.mean(axis=1))
    between = of_seeds = np.zeros(observed.shape[1:])
    if seeds > 1:
        between = seed_sd(observed) ** 2 / seeds
        of_seeds = np.maximum(between - _of_both(values, of_images), 0)
    variance = of_images + of_seeds
    spread = between**2 / max(seeds - 1, 1) + of_images**2 / (replicates - 1)
    freedom = variance**2 / np.where(spread > 0, spread, np.nan)
    return Estimates(observed.mean(axis=0), np.sqrt(variance), np.where(spread > 0, freedom, replicates - 1.0))


def _variance(values: np.ndarray) -> np.ndarray:
    """(M,): of the replicates (B, M) in which the quantity is defined; NaN where there are not two."""
    some = (~np.isnan(values)).sum(axis=0) > 1
    variance = np.full(len(some), np.nan)
    variance[some] = np.nanvar(values[:, some], axis=0, ddof=1)
    return variance
