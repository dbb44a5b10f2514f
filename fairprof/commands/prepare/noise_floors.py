"""Which gaps a test set of this size could show at all: the gaps that chance alone would make, before any training.

Predictions are simulated that know nothing of the groups: for demographic parity independent of the group, for equal
opportunity and equalized odds independent of it given the true class, as in the tests of a run. The groups and classes
are those of the test images. How often a classifier is right, and with what it confuses a class, is assumed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from fairprof.inference.cell_tests import Null, distances, z_values
from fairprof.inference.levels import ALPHA
from fairprof.inference.permutation import CELLS, gaps_and_aggregates
from fairprof.inference.planning import POWER
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
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

FIRST_STEP = ALPHA / len(CONFIRMATORY_GAPS)  # of Holm's steps over the confirmatory family of one model
TEST_DRAWS, POWER_DRAWS = 4000, 1000  # simulated tables behind a threshold, and behind a power
SIMULATED_CELLS = 4_000_000  # at a time, of tables that are drawn
JUDGED, PARTLY_JUDGED, NOT_JUDGED = "all groups", "some groups", "none"


def expected_noise_floors(
    rows: pd.DataFrame, confusion: np.ndarray, draws: int, generator: np.random.Generator, min_support: int
) -> pd.DataFrame:
    """For every gap of a run the floor to expect, the true gap that would be found, and whether it can be judged.

    rows: gender, race and profession of the test images, each of another person. A row per attribute, metric and class
    (each, then "max_over_classes" and "mean_over_classes"). Columns: attribute, metric, class, null_mean and null_q95
    (mean and 95 % quantile of the gaps by chance); detectable_largest and detectable_smallest: the smallest true
    difference between the two largest, and the two smallest groups that the test of a gap finds with a probability of
    POWER, all else being alike; undefined and insufficient (rates without images, and on fewer than `min_support`);
    judged: whether all groups, some groups (two at least) or none can be compared on `min_support` images each.
    Undefined is NaN.

    A gap is found where the p-value of `gap_tests` is at most FIRST_STEP. Of the maximum over the classes the true
    difference is that of the class in which it has to be largest; NaN where even a difference of 1 is not found. Where
    groups of equal size are the two largest, the first of them count.
    """
    tables = []
    classes = [str(name) for name in rows["profession"].cat.categories]
    for attribute in ATTRIBUTES:
        counts, _ = class_counts(rows, attribute)
        drawn = gaps_and_aggregates(rates_by_chance(counts, confusion, draws, generator))
        events = events_by_rate(counts, confusion)
        by_chance = farthest_by_chance(counts, confusion, TEST_DRAWS, generator)
        supports = _supports(counts)
        for metric in DIFFERENCES:
            detectable = _detectable(events[CELLS[metric]], by_chance[CELLS[metric]], generator)
            tables.append(
                pd.DataFrame(
                    {
                        "attribute": attribute,
                        "metric": metric,
                        "class": [*classes, MAX_OVER_CLASSES, MEAN_OVER_CLASSES],
                        "null_mean": drawn[metric].mean(axis=0),
                        "null_q95": np.quantile(drawn[metric], 1 - ALPHA, axis=0),
                        "detectable_largest": detectable[0],
                        "detectable_smallest": detectable[1],
                        **_evidence(metric, supports, min_support),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def rates_by_chance(
    counts: np.ndarray, confusion: np.ndarray, draws: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """The rates (B, G, K) of `draws` simulated classifiers that know nothing of the groups.

    counts: (G, K) images by group and class. Selection rates are of predictions with the same distribution in every
    group, the others of predictions with the distribution `confusion[c]` (K,) for the images of class c.
    """
    selected, within = zip(*_tables_by_chance(counts, confusion, draws, generator), strict=True)
    found = [rates(tables) for tables in within]
    joined = {name: np.concatenate([some[name] for some in found]) for name in found[0]}
    every = np.concatenate(selected)
    return joined | {"selection_rate": divide(every, every.sum(axis=-1, keepdims=True))}


def _tables_by_chance(
    counts: np.ndarray, confusion: np.ndarray, draws: int, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks of counts (B, G, K) by group and prediction, alike in every group, and (B, G, K, K) by true class, too."""
    marginal = counts.sum(axis=0) @ confusion / counts.sum()
    portion = max(SIMULATED_CELLS // (counts.size * counts.shape[1]), 1)
    for start in range(0, draws, portion):
        size = min(portion, draws - start)
        yield (
            generator.multinomial(counts.sum(axis=1), marginal, size=(size, len(counts))),
            generator.multinomial(counts, confusion, size=(size, *counts.shape)),
        )


# The smallest difference that the test of a gap finds.


class Events(NamedTuple):
    """The M events that the cells of a rate count, one or several to each of K predicted classes.

    images: (G, M), among which each is counted. rates: (M,), assumed. of_class: (K,), the event whose rate is a gap of
    the class. two_groups: (K + 1,), whether in each class, and in all together, only two groups can be compared, in one
    class; these are tested by Pearson's chi-squared.
    """

    images: np.ndarray
    rates: np.ndarray
    of_class: np.ndarray
    two_groups: np.ndarray


def events_by_rate(counts: np.ndarray, confusion: np.ndarray) -> dict[str, Events]:
    """By rate (of `CELLS`); counts: (G, K) images by group and class, confusion: (K, K)."""
    classes = counts.shape[1]
    every = np.arange(classes)
    selection = np.repeat(counts.sum(axis=1)[:, None], classes, axis=1), counts.sum(axis=0) @ confusion / counts.sum()
    true_positive = counts, np.diag(confusion)
    odds = np.repeat(counts, classes, axis=1), confusion.ravel()
    places = every, every, every * (classes + 1)
    complements = 2 if classes == 2 else 1  # of two selection rates one is all but the other
    return {
        rate: Events(images, rates_of, place, _two_groups(images, classes, complements if number == 0 else 1))
        for number, (rate, (images, rates_of), place) in enumerate(
            zip(CELLS.values(), (selection, true_positive, odds), places, strict=True)
        )
    }


def _two_groups(images: np.ndarray, classes: int, complements: int) -> np.ndarray:
    compared = ((images > 0) & (images < images.sum(axis=0))).reshape(len(images), -1, classes).sum(axis=(0, 1))
    return np.append(compared, compared.sum() / complements) == 2


def farthest_by_chance(
    counts: np.ndarray, confusion: np.ndarray, draws: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """By rate (of `CELLS`) the statistic (B, K + 1) of the test of a gap, of each class and of all, in tables of
    classifiers that know nothing of the groups."""
    events = events_by_rate(counts, confusion)
    found: dict[str, list[np.ndarray]] = {rate: [] for rate in events}
    for selected, within in _tables_by_chance(counts, confusion, draws, generator):
        right, odds = np.diagonal(within, axis1=-2, axis2=-1), within.reshape(*within.shape[:2], -1)
        for (rate, of_rate), happened in zip(events.items(), (selected, right, odds), strict=True):
            apart, pearson = (_farthest(each, len(confusion)) for each in _distances(happened, of_rate.images))
            found[rate].append(np.where(of_rate.two_groups, pearson, apart))
    return {rate: np.concatenate(tables) for rate, tables in found.items()}


def _distances(happened: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the counts (B, G, M) of events among images (G, M), each of another person, lie from chance: as
    `distances` and as `z_values`."""
    total = images.sum(axis=0)
    share = np.nan_to_num(divide(happened.sum(axis=-2, keepdims=True), total))
    smaller = images <= total / 2
    null = Null(
        expectation=images * share,
        variance=images * (total - images) / np.maximum(total - 1, 1) * share * (1 - share),
        up=np.where(smaller, 1 - share, share),
        down=np.where(smaller, share, 1 - share),
    )
    return distances(happened, null), z_values(happened, null)


def _farthest(apart: np.ndarray, classes: int) -> np.ndarray:
    """(B, K + 1): the largest of (B, G, M) of each predicted class, which the last axis ends with, and of all."""
    of_classes = apart.reshape(len(apart), -1, classes).max(axis=1)
    return np.append(of_classes, of_classes.max(axis=-1, keepdims=True), axis=-1)


def _detectable(events: Events, by_chance: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Smallest true differences (K + 2,) between the two largest and between the two smallest groups; by_chance: of
    `farthest_by_chance`."""
    thresholds = np.quantile(by_chance, 1 - FIRST_STEP, axis=0)
    # one for all: the power rises with the difference, and none is the largest by luck
    seed = int(generator.integers(2**63))
    found = []
    for pair in (slice(-2, None), slice(0, 2)):
        alone, among_all = (
            [
                _difference(events.images[:, event], events.rates[event], pair, thresholds[at], pearson, seed)
                for event, at, pearson in zip(events.of_class, places, events.two_groups[places], strict=True)
            ]
            for places in (np.arange(len(events.of_class)), np.full(len(events.of_class), -1))
        )
        can_be_compared = (events.images[:, events.of_class] > 0).sum(axis=0) >= 2
        worst = np.max(np.array(among_all)[can_be_compared], initial=0.0)  # NaN where one of them is
        found.append(np.array([*alone, worst if can_be_compared.any() else np.nan, np.nan]))
    return found[0], found[1]


def _difference(images: np.ndarray, rate: float, pair: slice, threshold: float, pearson: bool, seed: int) -> float:
    """The true difference between two groups, the others having the rate, that exceeds the threshold with a probability
    of POWER; images: (G,). NaN where there is none."""
    present = np.flatnonzero(images)
    if len(present) < 2:
        return np.nan
    two = present[np.argsort(images[present], kind="stable")][pair]

    def missing(difference: float) -> float:
        rates_of = np.full(len(images), rate)
        low = np.clip(rate - difference / 2, 0, 1 - difference)
        rates_of[two] = low, low + difference
        happened = np.random.default_rng(seed).binomial(images, rates_of, size=(POWER_DRAWS, len(images)))
        apart = _distances(happened[..., None], images[:, None])[int(pearson)]
        return (apart.max(axis=(1, 2)) > threshold).mean() - POWER

    return brentq(missing, 0, 1, xtol=1e-3) if missing(1) > 0 else np.nan


def _supports(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The denominators (G, K) of every rate, from images by group and class (G, K)."""
    diagonal = counts[:, :, None] * np.eye(counts.shape[1], dtype=int)  # every image predicted as what it is
    return {rate: denominator for rate, (_, denominator) in fractions(diagonal).items()}


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
