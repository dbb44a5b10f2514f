"""How far the rates of groups lie apart, without what chance adds."""

import numpy as np

from fairprof.inference.units import Units
from fairprof.metrics.fairness import DIFFERENCES, GAP_METRICS, fractions
from fairprof.metrics.performance import divide, mean_of_defined


def unbiased_spreads(units: Units) -> dict[str, np.ndarray]:
    """By difference, the between-group standard deviation (K + 2,) of its rates: by class, then twice over classes.

    Of G groups with rates p_g it is the signed root of

        sum_g (p_g - mean)^2 / (G - 1) - mean_g s_g,  s_g = m / (m - 1) * sum_u (x_u - p_g n_u)^2 / n_g^2,

    s_g being the variance of p_g by chance, from the group's m units u with x_u of n_u rows counting (where an image is
    a unit s_g = p_g (1 - p_g) / (n_g - 1)). Its square is 0 in expectation where the groups are equal, and below 0 in
    about half of such tables. Groups of fewer than two units are left out; NaN with fewer than two others. Of several
    runs, of the two rates of equalized odds and over classes (the same number for the largest gap and for the mean) it
    is the root of the mean of the squares. Lum, Zhang, Bower 2022, arXiv:2205.05770.
    """
    members = units.members.astype(float)
    squares = {}
    for rate, (numerator, denominator) in fractions(units.tables).items():
        rows = _summed(members, denominator)
        value = divide(_summed(members, numerator), rows)
        number = _summed(members, (denominator > 0).astype(float))
        error = (
            _summed(members, numerator**2)
            - 2 * value * _summed(members, numerator * denominator)
            + value**2 * _summed(members, denominator**2)
        )
        by_chance = divide(number, number - 1) * divide(error, rows**2)
        counts = ~np.isnan(by_chance)
        groups = counts.sum(axis=0)
        centre = divide(np.where(counts, value, 0).sum(axis=0), groups)
        between = divide((np.where(counts, value - centre, 0) ** 2).sum(axis=0), groups - 1)
        between[groups < 2] = np.nan
        squares[rate] = (between - divide(np.where(counts, by_chance, 0).sum(axis=0), groups)).mean(axis=0)
    found = {}
    for metric in DIFFERENCES:
        of_classes = np.mean([squares[rate] for rate in GAP_METRICS[metric].compared], axis=0)
        over_classes = mean_of_defined(of_classes)
        found[metric] = _signed_root(np.array([*of_classes, over_classes, over_classes]))
    return found


def _summed(members: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(G, R, K): values (U, R, K) summed over the units of each group."""
    return np.tensordot(members, values, axes=1)


def _signed_root(square: np.ndarray) -> np.ndarray:
    return np.sign(square) * np.sqrt(np.abs(square))
