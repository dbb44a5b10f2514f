"""Which gaps a test set of this size could show at all: the gaps that chance alone would make, before any training.

Predictions are simulated that know nothing of the groups: for demographic parity independent of the group, for equal
opportunity and equalized odds independent of it given the true class, as in the tests of a run. The groups and classes
are those of the test images. How often a classifier is right, and with what it confuses a class, is assumed.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from fairprof.inference.levels import ALPHA
from fairprof.inference.permutation import gaps_and_aggregates
from fairprof.inference.planning import POWER
from fairprof.measurement.detectable import class_counts
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    DIFFERENCES,
    GAP_METRICS,
    INSUFFICIENT,
    MAX_OVER_CLASSES,
    MEAN_OVER_CLASSES,
    SUFFICIENT,
    UNDEFINED,
    fractions,
    rates,
)
from fairprof.metrics.performance import divide

SIMULATED_CELLS = 4_000_000  # at a time, of tables that are drawn
JUDGED, PARTLY_JUDGED, NOT_JUDGED = "all groups", "some groups", "none"


def rates_by_chance(
    counts: np.ndarray, confusion: np.ndarray, draws: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """The rates (B, G, K) of `draws` simulated classifiers that know nothing of the groups.

    counts: (G, K) images by group and class. Selection rates are of predictions with the same distribution in every
    group, the others of predictions with the distribution `confusion[c]` (K,) for the images of class c.
    """
    marginal = counts.sum(axis=0) @ confusion / counts.sum()
    selected = generator.multinomial(counts.sum(axis=1), marginal, size=(draws, len(counts)))
    portion = max(SIMULATED_CELLS // (counts.size * counts.shape[1]), 1)
    within = [
        rates(generator.multinomial(counts, confusion, size=(min(portion, draws - start), *counts.shape)))
        for start in range(0, draws, portion)
    ]
    joined = {name: np.concatenate([found[name] for found in within]) for name in within[0]}
    return joined | {"selection_rate": divide(selected, selected.sum(axis=-1, keepdims=True))}


def expected_noise_floors(
    rows: pd.DataFrame, confusion: np.ndarray, draws: int, generator: np.random.Generator, min_support: int
) -> pd.DataFrame:
    """For every gap of a run the floor to expect, the true gap that would be found, and whether it can be judged.

    rows: gender, race and profession of the test images. A row per attribute, metric and class (each, then
    "max_over_classes" and "mean_over_classes"). Columns: attribute, metric, class, null_mean and null_q95 (mean and
    95 % quantile of the gaps by chance); detectable_largest and detectable_smallest: the smallest true difference
    between the two largest, and the two smallest groups that is found with a probability of at least 80 %; undefined
    and insufficient (rates without images, and on fewer than `min_support`); judged: whether all groups, some groups
    (two at least) or none can be compared on `min_support` images each. Undefined is NaN.

    A gap is found where it exceeds null_q95. The observed difference of two groups with n_1 and n_2 images and rates
    about p is near normal with variance p (1 - p) (1 / n_1 + 1 / n_2), so that a true difference of null_q95 + z_.8
    sqrt(that) is. Of the maximum over the classes it is the class in which that is largest; NaN where it exceeds 1.
    """
    tables = []
    classes = [str(name) for name in rows["profession"].cat.categories]
    for attribute in ATTRIBUTES:
        counts, _ = class_counts(rows, attribute)
        drawn = gaps_and_aggregates(rates_by_chance(counts, confusion, draws, generator))
        supports = _supports(counts)
        for metric in DIFFERENCES:
            floor = np.quantile(drawn[metric], 1 - ALPHA, axis=0)
            detectable = _detectable(metric, counts, confusion, floor)
            tables.append(
                pd.DataFrame(
                    {
                        "attribute": attribute,
                        "metric": metric,
                        "class": [*classes, MAX_OVER_CLASSES, MEAN_OVER_CLASSES],
                        "null_mean": drawn[metric].mean(axis=0),
                        "null_q95": floor,
                        "detectable_largest": detectable[0],
                        "detectable_smallest": detectable[1],
                        **_evidence(metric, supports, min_support),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _supports(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The denominators (G, K) of every rate, from images by group and class (G, K)."""
    diagonal = counts[:, :, None] * np.eye(counts.shape[1], dtype=int)  # every image predicted as what it is
    return {rate: denominator for rate, (_, denominator) in fractions(diagonal).items()}


def _detectable(
    metric: str, counts: np.ndarray, confusion: np.ndarray, floor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest true differences (K + 2,) between the two largest and between the two smallest groups."""
    expected = rates((counts[:, :, None] * confusion).sum(axis=0, keepdims=True))
    found = []
    for pair in (slice(-2, None), slice(0, 2)):
        errors = []
        for rate in GAP_METRICS[metric].compared:
            support = np.sort(np.where(_supports(counts)[rate] > 0, _supports(counts)[rate], np.inf), axis=0)
            support = np.where(np.isinf(support), np.nan, support)
            two = _defined_pair(support, pair)
            rate_of_all = expected[rate][0]
            errors.append(np.sqrt(rate_of_all * (1 - rate_of_all) * (1 / two).sum(axis=0)))
        error = np.max(errors, axis=0)  # of equalized odds, either rate may make the gap
        worst = np.fmax.reduce(error)
        smallest = floor + norm.ppf(POWER) * np.concatenate([error, [worst, np.nan]])
        found.append(np.where(smallest <= 1, smallest, np.nan))
    return found[0], found[1]


def _defined_pair(support: np.ndarray, pair: slice) -> np.ndarray:
    """(2, K): the two largest or smallest numbers of images that are not 0; NaN where fewer than two are.

    support: (G, K) float, ascending, those that are 0 last as NaN.
    """
    chosen = np.full((2, support.shape[1]), np.nan)
    for place in range(support.shape[1]):
        defined = support[~np.isnan(support[:, place]), place]
        if len(defined) >= 2:
            chosen[:, place] = defined[pair]
    return chosen


def _evidence(metric: str, supports: dict[str, np.ndarray], min_support: int) -> dict[str, np.ndarray]:
    """undefined, insufficient and judged (K + 2,) of a metric; the last two are over all classes."""
    compared = [supports[rate] for rate in GAP_METRICS[metric].compared]
    undefined = sum((support == 0).sum(axis=0) for support in compared)
    insufficient = sum(((support > 0) & (support < min_support)).sum(axis=0) for support in compared)
    enough = np.min([(support >= min_support).sum(axis=0) for support in compared], axis=0)
    comparable = enough >= 2
    judged = np.select([comparable & (enough == len(compared[0])), comparable], [JUDGED, PARTLY_JUDGED], NOT_JUDGED)
    of_all = JUDGED if (judged == JUDGED).all() else NOT_JUDGED if (judged == NOT_JUDGED).all() else PARTLY_JUDGED
    return {
        "undefined": np.append(undefined, [undefined.sum()] * 2),
        "insufficient": np.append(insufficient, [insufficient.sum()] * 2),
        "judged": np.append(judged, [of_all] * 2),
    }


def supports(rows: pd.DataFrame, min_support: int) -> pd.DataFrame:
    """How many test images every rate of a run will rest on.

    Columns: attribute, group, class, rate, support and evidence, as in a run's table of rates by group.
    """
    classes = [str(name) for name in rows["profession"].cat.categories]
    tables = []
    for attribute in ATTRIBUTES:
        counts, groups = class_counts(rows, attribute)
        for rate, support in _supports(counts).items():
            support = support.ravel().astype(int)
            evidence = np.where(support == 0, UNDEFINED, np.where(support < min_support, INSUFFICIENT, SUFFICIENT))
            tables.append(
                pd.DataFrame(
                    {
                        "attribute": attribute,
                        "group": np.repeat(groups, len(classes)),
                        "class": np.tile(classes, len(groups)),
                        "rate": rate,
                        "support": support,
                        "evidence": evidence,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)
