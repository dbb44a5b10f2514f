"""Contrasts of means, each group against the rest within strata, studentised and permuted.

Permuting groups alone tests that they are exchangeable, and rejects for groups of equal means whose variances differ.
Of a contrast over its own standard error the permutation distribution is the right one all the same, for many images
exactly (Janssen 1997; Chung, Romano 2013).
"""

from typing import NamedTuple

import numpy as np

from fairprof.inference.levels import ALPHA, TIE, check_number
from fairprof.metrics.performance import divide

CHUNK = 2**22  # numbers held at a time


class ContrastTests(NamedTuple):
    """Of G groups and C quantities, each (G, C). contrast: mean of the group minus that of the rest, within strata.
    lower, upper: bands that hold together over the groups. p_value: adjusted for all groups of the quantity.

    A band that excludes 0 has a p-value of at most alpha; the other way round too, where it is not unbounded. NaN
    where no stratum has the group and others.
    """

    contrast: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_value: np.ndarray


def permuted_codes(
    codes: np.ndarray, strata: np.ndarray, permutations: int, generator: np.random.Generator
) -> np.ndarray:
    """(B, N) int: group codes, permuted among the rows of each stratum."""
    check_number(permutations, "permutations")
    permuted = np.tile(codes, (permutations, 1))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        permuted[:, rows] = generator.permuted(permuted[:, rows], axis=1)
    return permuted


def centred(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """values (N, C) minus the mean of their stratum; NaN stays NaN and does not count."""
    found = np.empty(values.shape)
    for stratum in np.unique(strata):
        rows = strata == stratum
        defined = (~np.isnan(values[rows])).sum(axis=0)
        residual = values[rows] - divide(np.nansum(values[rows], axis=0), defined)
        scale = np.fmax.reduce(np.abs(values[rows]), axis=0, initial=0)
        found[rows] = np.where(np.abs(residual) <= TIE * scale, 0, residual)  # the rest is rounding
    return found


def contrast_tests(
    values: np.ndarray,
    codes: np.ndarray,
    groups: int,
    strata: np.ndarray,
    permutations: int,
    generator: np.random.Generator,
    alpha: float = ALPHA,
) -> ContrastTests:
    """Tests and bands of every group's contrast: values (N, C), NaN where undefined; codes, strata (N,) int.

    With the residuals e from the means of the strata, p the group's share of a stratum, and a = 1 - p for its images
    and -p for others, the statistic is t = sum a e / sqrt(sum a^2 e^2): residuals under the hypothesis, so that a group
    of few images, whose own variance nobody knows, gains nothing by chance. Skewed values make t of a small group
    skewed; Hall's transformation (1992) takes it out: t + c/6 + c t^2/3 + c^2 t^3/27, where c is the skewness of
    sum a e, from the skewness of all values in units of their side's standard deviation.

    p_value = (1 + number of permutations whose largest |t| over the groups is at least that of the group) /
    (permutations + 1) (Westfall, Young 1993). Values are permuted among the defined images of each stratum. The band
    holds every difference that the test, with its quantile as it is, would not reject; it may be unbounded.
    """
    shape = (groups, values.shape[1])
    contrast, lower, upper, p_value = (np.full(shape, np.nan) for _ in range(4))
    patterns, pattern_of = np.unique(~np.isnan(values), axis=1, return_inverse=True)
    for number, defined in enumerate(patterns.T):
        columns = np.flatnonzero(pattern_of.ravel() == number)
        if not defined.any():
            continue
        own, within = codes[defined], strata[defined]
        residuals = centred(values[defined][:, columns], within)
        observed = _sums(own[None], groups, residuals, within)
        permuted = permuted_codes(own, within, permutations, generator)
        size = max(CHUNK // (groups * (len(own) + 10 * len(columns))), 1)
        largest = np.concatenate(
            [
                np.fmax.reduce(np.abs(_sums(permuted[start : start + size], groups, residuals, within).hall), axis=1)
                for start in range(0, permutations, size)
            ]
        )
        statistic = np.abs(observed.hall[0])
        hits = (largest[:, None] >= statistic - TIE).sum(axis=0)
        p_value[:, columns] = np.where(np.isnan(statistic), np.nan, (1 + hits) / (permutations + 1))
        contrast[:, columns] = observed.contrast[0]
        rejecting = int(alpha * (permutations + 1) + TIE)  # so many of the largest may lie at or above what is rejected
        lower[:, columns], upper[:, columns] = (
            observed.band(np.sort(largest, axis=0)[-rejecting]) if rejecting else (-np.inf, np.inf)
        )
    return ContrastTests(contrast, lower, upper, p_value)


class _Sums(NamedTuple):
    """Sums over strata, (B, G, C) each. weight: the variance-free size of a contrast, n p (1 - p). score: sum a e.
    variance: sum a^2 e^2; slope, curvature: how it falls and rises with a difference that is taken from the group.
    skewness: c of Hall's transformation."""

    weight: np.ndarray
    score: np.ndarray
    variance: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray
    skewness: np.ndarray

    @property
    def contrast(self) -> np.ndarray:
        return divide(self.score, self.weight)

    @property
    def hall(self) -> np.ndarray:
        """The transformed t; 0 where nothing varies, NaN where there is nothing to contrast."""
        t = np.where(self.variance > 0, self.score / np.sqrt(np.where(self.variance > 0, self.variance, 1)), 0)
        c = self.skewness
        return np.where(self.weight > 0, t + c / 6 + c * t**2 / 3 + c**2 * t**3 / 27, np.nan)

    def band(self, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The differences of which |t|, transformed, is at most `quantile` (C,): the first table's, (G, C) each."""
        weight, score, variance, slope, curvature, skewness = (part[0] for part in self)
        ends = []
        for sign in (1, -1):
            t = _before_hall(sign * quantile, skewness)
            # (score - d weight)^2 = t^2 (variance - 2 d slope + d^2 curvature), of which one root has the sign of t
            first, half = weight**2 - t**2 * curvature, score * weight - t**2 * slope
            root = np.sqrt(np.maximum(half**2 - first * (score**2 - t**2 * variance), 0))
            end = np.where(first > 0, divide(half - np.sign(t) * root, first), np.where(t > 0, -np.inf, np.inf))
            ends.append(np.where(weight > 0, end, np.nan))
        return ends[0], ends[1]


def _before_hall(transformed: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """The t that Hall's transformation, which rises everywhere, turns into `transformed`."""
    small = np.abs(skewness) < 1e-6
    c = np.where(small, 1, skewness)
    return np.where(small, transformed, 3 / c * (np.cbrt(1 + c * (transformed - c / 6)) - 1))


def _sums(codes: np.ndarray, groups: int, residuals: np.ndarray, strata: np.ndarray) -> _Sums:
    """codes: (B, N). residuals: (N, C) of `centred`, all defined."""
    shape = (len(codes), groups, residuals.shape[1])
    weight, score, variance, slope, curvature = (np.zeros(shape) for _ in range(5))
    own, rest = np.zeros((3, *shape)), np.zeros((3, *shape))  # of powers 0, 2 and 3
    cubes_own, cubes_rest = np.zeros(shape), np.zeros(shape)  # of a
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        e = residuals[rows]
        members = (codes[:, None, rows] == np.arange(groups)[:, None]).astype(float)
        count = members.sum(axis=-1)[..., None]
        others = len(rows) - count
        p, q = count / len(rows), others / len(rows)
        sums = members @ e
        squares, cubes = (members @ e**power for power in (2, 3))
        squares_of_rest, cubes_of_rest = ((1 - members) @ e**power for power in (2, 3))
        weight += count * q
        score += sums
        variance += q**2 * squares + p**2 * squares_of_rest
        slope += (q**3 + p**3) * sums
        curvature += q**4 * count + p**4 * others
        own += np.stack(np.broadcast_arrays(count, squares, cubes))
        rest += np.stack(np.broadcast_arrays(others, squares_of_rest, cubes_of_rest))
        cubes_own, cubes_rest = cubes_own + q**3 * count, cubes_rest + p**3 * others
    deviations = [np.sqrt(divide(side[1], side[0])) for side in (own, rest)]
    shape_of_all = divide(
        sum(np.nan_to_num(divide(side[2], sd**3)) for side, sd in zip((own, rest), deviations, strict=True)),
        own[0] + rest[0],
    )
    third = np.nan_to_num(deviations[0]) ** 3 * cubes_own - np.nan_to_num(deviations[1]) ** 3 * cubes_rest
    skewness = np.nan_to_num(divide(shape_of_all * third, variance**1.5))
    return _Sums(weight, score, variance, slope, curvature, skewness)
