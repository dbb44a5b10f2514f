"""Tests that no small group can dominate: how far a group's predictions lie from those of the rest, on one scale.

A cell is a group, a true class and a predicted class. Its sum is that of x - p over the rows of the cell, x being the
share of the runs that predict the class and p its mean over the groups. Permuting the groups of the units leaves the
cell's sum an expectation, a variance and a largest step, known exactly.
"""

from typing import NamedTuple

import numpy as np

from fairprof.inference.units import Units, flipped_sums
from fairprof.metrics.performance import divide

DECIMALS = 9  # of statistics that are compared: the rest is rounding
ODDS = "odds"  # all rates P(Yhat = k | Y = t, g), which is what equalized odds asks about


class Null(NamedTuple):
    """Of cells (G, M), what permutations make of their sums: expectation, variance (0 where they cannot vary), and by
    how much one unit can move them up and down."""

    expectation: np.ndarray
    variance: np.ndarray
    up: np.ndarray
    down: np.ndarray


def cell_sums(counts: np.ndarray, share: np.ndarray) -> dict[str, np.ndarray]:
    """By rate, sums over rows of x - p, of counts (..., T, K), given the share p (T, K) of each true class.

    With one true class for all (T = 1): selection_rate (..., K). Otherwise true_positive_rate (..., K),
    false_positive_rate (..., K), summed over the other true classes, and odds (..., K * K), by true and predicted
    class.
    """
    sums = counts - counts.sum(axis=-1, keepdims=True) * np.nan_to_num(share)
    if len(share) == 1:
        return {"selection_rate": sums[..., 0, :]}
    own = np.diagonal(sums, axis1=-2, axis2=-1)
    return {
        "true_positive_rate": own,
        "false_positive_rate": sums.sum(axis=-2) - own,
        ODDS: sums.reshape(*sums.shape[:-2], -1),
    }


def shares_of(units: Units) -> np.ndarray:
    """(T, K): the share of each prediction among the rows of each true class, mean over the runs."""
    counts = units.counts.sum(axis=(0, 1))
    return divide(counts, counts.sum(axis=-1, keepdims=True))


def unit_sums(units: Units) -> dict[str, np.ndarray]:
    """By rate, (U, M): the `cell_sums` of one unit of each kind."""
    return cell_sums(units.tables.mean(axis=1), shares_of(units))


def nulls(units: Units) -> dict[str, Null]:
    """By rate, what permutations of the units within their strata make of the sums of `cell_sums`.

    A group of n of a stratum's N units has the expectation n m and the variance n (N - n) / (N - 1) v, m and v being
    mean and variance of the stratum's units: that of draws without replacement. Of the smaller of a group and its rest
    the largest step is that of the unit that lies farthest from m.
    """
    return {rate: _null(value, units) for rate, value in unit_sums(units).items()}


def _null(value: np.ndarray, units: Units) -> Null:
    null = Null(*(np.zeros((len(units.members), value.shape[-1])) for _ in Null._fields))
    for stratum in np.unique(units.stratum):
        here = units.stratum == stratum
        number, size = units.members[:, here].sum(axis=0), units.members[:, here].sum(axis=1)[:, None]
        total = number.sum()
        mean = number @ value[here] / total
        centred = value[here] - mean
        variance = (number @ centred**2 / total).round(DECIMALS)
        factor = size * (total - size) / max(total - 1, 1)
        null.expectation[:] += size * mean
        null.variance[:] += factor * variance
        moves, smaller = (factor > 0) & (variance > 0), size <= total / 2
        high, low = centred.max(axis=0), -centred.min(axis=0)
        null.up[:] = np.maximum(null.up, np.where(moves, np.where(smaller, high, low), 0))
        null.down[:] = np.maximum(null.down, np.where(moves, np.where(smaller, low, high), 0))
    return null


def distances(sums: np.ndarray, null: Null) -> np.ndarray:
    """(..., G, M): how unlikely each sum is by chance, as the size of a normal variable; 0 where it cannot vary.

    With d the distance from the expectation, v the variance and s the largest step in that direction, it is
    sqrt(2 l h(d s / v)), l = v / s^2, h(u) = (1 + u) log(1 + u) - u: the signed root of the deviance of Poisson
    events of size s. exp(-distance^2 / 2) bounds the chance of a sum that far out, whatever the number of units
    (Bennett 1962; without replacement Hoeffding 1963). So a cell of few units is never as far out as a plain z would
    have it, while with many units the distance is z: where nothing is known, nothing is dominated (cf. Tarone 1990).
    """
    varies = null.variance > 0
    variance = np.where(varies, null.variance, np.inf)
    events_up, events_down = (np.where(varies, null.variance / np.where(varies, s, 1) ** 2, 0) for s in null[2:])
    deviation = sums - null.expectation
    above = deviation > 0
    excess = np.abs(deviation) * np.where(above, null.up / variance, null.down / variance)
    deviance = 2 * np.where(above, events_up, events_down) * ((1 + excess) * np.log1p(excess) - excess)
    return np.sqrt(np.maximum(deviance, 0)).round(DECIMALS)


def z_values(sums: np.ndarray, null: Null) -> np.ndarray:
    """(..., G, M): the distance from the expectation in standard deviations, 0 where a sum cannot vary.

    Of two groups and one class its square is Pearson's chi-squared, but for the factor (N - 1) / N.
    """
    deviation = np.where(null.variance > 0, np.sqrt(null.variance), np.inf)
    return (np.abs(sums - null.expectation) / deviation).round(DECIMALS)


def cell_rows(counts: np.ndarray) -> dict[str, np.ndarray]:
    """By rate, (..., M): the rows of each cell, of counts (..., T, K)."""
    rows, classes = counts.sum(axis=-1), counts.shape[-1]
    if rows.shape[-1] == 1:
        return {"selection_rate": np.repeat(rows, classes, axis=-1)}
    return {
        "true_positive_rate": rows,
        "false_positive_rate": rows.sum(axis=-1, keepdims=True) - rows,
        ODDS: np.repeat(rows, classes, axis=-1),
    }


def group_shares(rows: np.ndarray) -> np.ndarray:
    """(..., G, M): each group's share of the rows (..., G, M) of a cell; 0 where there are none."""
    return np.nan_to_num(divide(rows, rows.sum(axis=-2, keepdims=True)))


def own_variances(squares: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(..., G, M): the variance of each cell's sum as this very table shows it (Liang, Zeger 1986).

    With c what a unit adds to its group's sum, of which `squares` (..., G, M) are the squares' sums over the groups'
    units, and w the group's `share` of the rows: the sum of (1 - w)^2 c^2 over the group's units, and of w^2 c^2 over
    all others.
    """
    return (1 - share) ** 2 * squares + share**2 * (squares.sum(axis=-2, keepdims=True) - squares)


def flipped_cells(
    units: Units, value: np.ndarray, rows: np.ndarray, flips: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of cells and their `own_variances`, (B, G, M) each, where every unit keeps its group and gets a sign.

    value, rows: (U, M), of `unit_sums` and of the units' `cell_rows`. The wild bootstrap of units under the hypothesis
    (Cameron, Gelbach, Miller 2008): a unit adds +-c, by chance; the rate p of all is estimated anew, so that d = sum of
    +-c / sum of rows is taken from each of its n rows, and c becomes +-c - n d in the sums and in their variances.
    """
    flipped, flipped_by_rows = np.split(
        flipped_sums(units, np.concatenate([value, value * rows], axis=1), flips, generator), 2, axis=-1
    )
    of_group = units.members @ rows
    shift = np.nan_to_num(divide(flipped.sum(axis=-2, keepdims=True), of_group.sum(axis=0)))
    squares = units.members @ value**2 - 2 * shift * flipped_by_rows + shift**2 * (units.members @ rows**2)
    return flipped - shift * of_group, own_variances(squares, group_shares(of_group))


def p_values(observed: np.ndarray, *references: np.ndarray) -> np.ndarray:
    """(...): (1 + number of tables (B, ...) with a distance >= the observed one) / (tables + 1); of several references
    the largest."""
    return np.max([(1 + (tables >= observed).sum(axis=0)) / (len(tables) + 1) for tables in references], axis=0)


def step_down(observed: np.ndarray, *references: np.ndarray) -> np.ndarray:
    """(G, M) p-values, adjusted so that those <= alpha keep the chance of any false claim under alpha.

    The distances of the cells, from the largest on, are compared with the largest permuted distance (B, G, M) of this
    cell and all that follow; a p-value is never under the one before. Westfall, Young 1993, algorithm 2.8. Of several
    references it is the largest of theirs.
    """
    return np.max([_step_down(observed, tables) for tables in references], axis=0)


def _step_down(observed: np.ndarray, permuted: np.ndarray) -> np.ndarray:
    order = np.argsort(-observed.ravel(), kind="stable")
    of_cells = permuted.reshape(len(permuted), -1)[:, order]
    largest = np.maximum.accumulate(of_cells[:, ::-1], axis=1)[:, ::-1]
    adjusted = np.empty(observed.size)
    adjusted[order] = np.maximum.accumulate(p_values(observed.ravel()[order], largest))
    return adjusted.reshape(observed.shape)
