"""Selection rates of a group against the rest, split into what their ages make and what remains at equal ages.

Groups that differ in age differ in their selection rates even where everybody of an age is treated alike. With the
share s(g, a) of stratum a among the rows of group g, and the selection rate R(g, a, c) of class c within it,

    SR(g, c) - SR(rest, c) = sum_a (s(g, a) - s(rest, a)) (R(g, a, c) + R(rest, a, c)) / 2    composition
                           + sum_a (s(g, a) + s(rest, a)) / 2 (R(g, a, c) - R(rest, a, c))    remaining

exactly (Kitagawa 1955; for regressions Oaxaca 1973 and Blinder 1973). Both groups' shares weigh alike, so that no group
is the standard of the other, and exchanging the two changes signs alone.
"""

from typing import NamedTuple

import numpy as np

from fairprof.metrics.performance import divide


class Split(NamedTuple):
    """Each (..., G, K): the difference of the selection rates of a group and the rest, and its two parts.

    difference is NaN where the group or the rest has no rows, a part where a stratum is empty in one of them alone.
    """

    difference: np.ndarray
    composition: np.ndarray
    remaining: np.ndarray


def rates_of_strata(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., G, A, K) selection rates in every stratum, of each group and of the rest; NaN where there are no rows.

    votes: (..., G, A, K) rows, or sums of weights, by group, stratum and predicted class.
    """
    rest = of_the_rest(votes)
    return divide(votes, votes.sum(axis=-1, keepdims=True)), divide(rest, rest.sum(axis=-1, keepdims=True))


def empty_strata(votes: np.ndarray) -> np.ndarray:
    """(..., G) int: how many strata have rows of the group and none of the rest, or the reverse."""
    return ((votes.sum(axis=-1) > 0) != (of_the_rest(votes).sum(axis=-1) > 0)).sum(axis=-1)


def of_the_rest(votes: np.ndarray) -> np.ndarray:
    """(..., G, A, K): of each group's votes the sum over all other groups, taken without a difference."""
    others = 1.0 - np.eye(votes.shape[-3])
    return np.einsum("hg,...gak->...hak", others, votes)


def split(votes: np.ndarray, rates: tuple[np.ndarray, np.ndarray] | None = None) -> Split:
    """The difference of selection rates and its parts, of votes (..., G, A, K) as `rates_of_strata` takes them.

    rates: of groups and rests, taken where a stratum has no rows (default: it stays undefined), for resamples.
    """
    found = rates_of_strata(votes)
    if rates is not None:
        found = np.where(np.isnan(found[0]), rates[0], found[0]), np.where(np.isnan(found[1]), rates[1], found[1])
    sizes = [each.sum(axis=-1, keepdims=True) for each in (votes, of_the_rest(votes))]
    nobody = (sizes[0] == 0) & (sizes[1] == 0)
    of_group, of_rest = (divide(size, size.sum(axis=-2, keepdims=True)) for size in sizes)
    group_rates, rest_rates = (np.where(nobody, 0.0, each) for each in found)
    composition = ((of_group - of_rest) * (group_rates + rest_rates) / 2).sum(axis=-2)
    remaining = ((of_group + of_rest) / 2 * (group_rates - rest_rates)).sum(axis=-2)
    selected = [each.sum(axis=-2) for each in (votes, of_the_rest(votes))]
    group, rest = (divide(each, each.sum(axis=-1, keepdims=True)) for each in selected)
    return Split(group - rest, composition, remaining)
