"""Which groups differ from the rest, and how large a gap can be: simultaneous bands of group-minus-rest contrasts."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from fairprof.inference.levels import ALPHA, CONFIDENCE, check_confidence, check_number
from fairprof.inference.permutation import with_aggregates
from fairprof.inference.same_images import one_run, resampled_counts_of_runs
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    DIFFERENCES,
    GAP_METRICS,
    MAX_OVER_CLASSES,
    MEAN_OVER_CLASSES,
    MIN_SUPPORT,
    UNDEFINED,
    count_table,
    fractions,
    gaps,
    rates_by_group,
)
from fairprof.metrics.performance import class_names, divide

# Which groups differ from the rest.


class Bands(NamedTuple):
    """Of one rate, each (..., G, K): of the group, of the rest, their difference, and its simultaneous band."""

    value: np.ndarray
    rest: np.ndarray
    contrast: np.ndarray
    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def contrasts(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
    attributes: Iterable[str] = ATTRIBUTES,
    min_support: int = MIN_SUPPORT,
) -> pd.DataFrame:
    """Each group's rate minus that of all other rows together, with simultaneous bands.

    The bands of one attribute and rate hold together, for all groups and classes, with the given confidence:
    see `contrast_bands`. Rows are resampled with replacement, those of a person (column `person`) together.

    Columns: attribute, rate, class, group, support and rest_support (rows in the denominator of the group and of all
    other rows), value (rate of the group), rest (rate of all other rows), contrast (value - rest), standard_error
    (smoothed, as if no two rows were of one person), lower and upper (of the band, in [-1, 1]) and evidence (as in
    `rates_by_group`; "undefined" where the group or the rest has no rows, all rates being NaN then). Whether a group
    differs is said by a test: see `contrasts_with_tests`.
    """
    attributes = list(attributes)
    bands = group_bands(predictions, replicates, generator, attributes, confidence)
    return contrast_table(rates_by_group(predictions, min_support, attributes=attributes), bands)


def group_bands(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    attributes: Iterable[str],
    confidence: float = CONFIDENCE,
) -> list[dict[str, Bands]]:
    """Of every attribute, the bands of each rate behind the table of `contrasts`."""
    check_number(replicates, "replicates")
    bands, runs = [], one_run(predictions, attributes)
    if runs.person is not None:
        found, drawn = (table.squeeze(axis=-4) for table in resampled_counts_of_runs(runs, replicates, generator))
        for attribute in runs.groups:
            counts, resampled = runs.by_group(found, attribute), runs.by_group(drawn, attribute)
            bands.append(contrast_bands(counts, counts, resampled, resampled, confidence=confidence))
        return bands
    for attribute in runs.groups:
        counts, _ = count_table(predictions, attribute)
        order = name_free_order(counts)
        resampled = resampled_counts(counts[order], replicates, generator)[:, np.argsort(order)]
        bands.append(contrast_bands(counts, counts, resampled, resampled, confidence=confidence))
    return bands


def name_free_order(counts: np.ndarray) -> np.ndarray:
    """An order of the groups of `counts` (G, K, K) that depends on the counts alone; ties are exchangeable."""
    return np.lexsort(counts.reshape(len(counts), -1).T)


def resampled_counts(counts: np.ndarray, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """(B, *shape) int: multinomial draws of a table of counts, which are the tables of resampled rows."""
    total = int(counts.sum())
    return generator.multinomial(total, counts.ravel() / total, size=replicates).reshape(replicates, *counts.shape)


def contrast_bands(
    votes: np.ndarray,
    squares: np.ndarray,
    resampled_votes: np.ndarray,
    resampled_squares: np.ndarray,
    runs: int = 1,
    confidence: float = CONFIDENCE,
) -> dict[str, Bands]:
    """Group-minus-rest contrasts of each rate, with bands by the bootstrap of the largest |t|.

    `votes` (..., G, K, K): how many of the `runs` say the predicted class, summed over the rows of a group and
    true class; `squares`: the sum of the squared numbers instead. For one run both are the table of counts.
    The resampled ones have one axis more, the first: (B, ..., G, K, K). The bands hold together over all other axes.

    A rate is the mean over rows of x, the share of the runs that say the class. With n rows, its smoothed
    mean and variance are those of the rows and of two more, one with x = 0 and one with x = 1 (Agresti,
    Caffo 2000), so that a rate of 0 or 1 has a standard error, too: m' = (sum x + 1) / (n + 2), v' = ((sum x^2 + 1) /
    (n + 2) - m'^2) / (n + 2). The band is m'_group - m'_rest -+ q sqrt(v'_group + v'_rest), cut to [-1, 1].
    q is the quantile over the replicates of the largest |t| over groups and classes, where t is the
    smoothed contrast of the replicate minus the observed contrast, by the replicate's own standard error.
    Replicates do not vary where a rate is 0 or 1, so q is never under that of as many independent normal
    comparisons as the rates leave free: (G - 1) K, and (G - 1) (K - 1) selection rates (Sidak 1967).
    """
    check_confidence(confidence)
    observed = _contrasts(votes, squares, runs)
    resampled = _contrasts(resampled_votes, resampled_squares, runs)
    bands = {}
    for rate, found in observed.items():
        drawn = resampled[rate]
        statistic = np.abs(drawn.smoothed - found.contrast) / drawn.standard_error
        largest = np.fmax.reduce(statistic.reshape(len(statistic), -1), axis=1)
        bootstrap = np.quantile(np.nan_to_num(largest), confidence, method="higher")
        independent = norm.ppf((1 + confidence ** (1 / _free_comparisons(rate, found.contrast))) / 2)
        half = max(bootstrap, independent) * found.standard_error
        bands[rate] = Bands(
            found.value,
            found.rest,
            found.contrast,
            found.standard_error,
            np.clip(found.smoothed - half, -1, found.contrast),
            np.clip(found.smoothed + half, found.contrast, 1),
        )
    return bands


def _free_comparisons(rate: str, contrast: np.ndarray) -> int:
    """How many of the contrasts (..., G, K) of one run the others do not determine; at least 1."""
    free = np.maximum((~np.isnan(contrast)).sum(axis=-2) - 1, 0)
    determined = free.max(axis=-1) if rate == "selection_rate" else 0  # they sum to 1 over the classes
    return max((free.sum(axis=-1) - determined).max(), 1)


class _Contrasts(NamedTuple):
    """Of one rate, each (..., G, K); NaN where the group or the rest has no rows."""

    value: np.ndarray
    rest: np.ndarray
    contrast: np.ndarray
    smoothed: np.ndarray
    standard_error: np.ndarray


def _contrasts(votes: np.ndarray, squares: np.ndarray, runs: int) -> dict[str, _Contrasts]:
    of_group = _moments(votes, squares, runs)
    of_rest = _moments(_others(votes), _others(squares), runs)
    found = {}
    for rate, (value, mean, variance) in of_group.items():
        rest, rest_mean, rest_variance = of_rest[rate]
        found[rate] = _Contrasts(value, rest, value - rest, mean - rest_mean, np.sqrt(variance + rest_variance))
    return found


def _others(table: np.ndarray) -> np.ndarray:
    return table.sum(axis=-3, keepdims=True) - table


def _moments(votes: np.ndarray, squares: np.ndarray, runs: int) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each rate (..., G, K), its smoothed mean and the smoothed mean's variance; NaN without rows."""
    squares_of = fractions(squares)
    found = {}
    for rate, (numerator, denominator) in fractions(votes).items():
        rows = np.where(denominator > 0, denominator / runs, np.nan)
        mean = (numerator / runs + 1) / (rows + 2)
        square = (squares_of[rate][0] / runs**2 + 1) / (rows + 2)
        found[rate] = numerator / runs / rows, mean, (square - mean**2) / (rows + 2)
    return found


def contrast_table(by_group: pd.DataFrame, bands: list[dict[str, Bands]]) -> pd.DataFrame:
    """The table of `contrasts` from the bands of each attribute; support and evidence are those of `by_group`, a table
    of `rates_by_group` of these attributes."""
    table = by_group[["attribute", "rate", "class", "group", "support", "evidence"]].copy()
    supports = table.groupby(["attribute", "rate", "class"], sort=False)["support"]
    table["rest_support"] = supports.transform("sum") - table["support"]
    in_order = [of_rate for of_attribute in bands for of_rate in of_attribute.values()]
    for column in Bands._fields:
        table[column] = np.concatenate([getattr(of_rate, column).ravel() for of_rate in in_order])
    table["evidence"] = table["evidence"].mask(table["contrast"].isna(), UNDEFINED)
    return table[["attribute", "rate", "class", "group", "support", "rest_support", *Bands._fields, "evidence"]]


def contrasts_with_tests(contrasts: pd.DataFrame, groups: pd.DataFrame, alpha: float = ALPHA) -> pd.DataFrame:
    """`contrasts` with p_adjusted of the tests in `groups` (a table of `group_table`) and differs: p_adjusted <= alpha.

    A band that excludes 0 where the test does not reject is extended to 0: the two never contradict each other.
    """
    key = ["attribute", "rate", "class", "group"]
    table = contrasts.merge(groups[[*key, "p_adjusted"]], on=key, how="left", validate="one_to_one")
    differs = table["p_adjusted"] <= alpha
    table["lower"] = table["lower"].mask(~differs & table["lower"].gt(0), 0.0)
    table["upper"] = table["upper"].mask(~differs & table["upper"].lt(0), 0.0)
    return table.assign(differs=differs)[[*contrasts.columns[:-1], "p_adjusted", "differs", "evidence"]]


# How large a gap can be.


def gap_upper_bounds(contrasts: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """The largest value of each gap that the simultaneous bands of `contrasts` admit: see `largest_gaps`.

    `predictions` is the table behind `contrasts`, whose rows keep their order. Columns: attribute, metric, class, upper
    (in [0, 1], NaN where the gap is undefined), in the order of `gap_tests`.
    """
    classes = class_names(predictions)
    tables = []
    for attribute, table in contrasts.groupby("attribute", sort=False):
        counts, groups = count_table(predictions, attribute)
        bands = {
            str(rate): tuple(rows[end].to_numpy().reshape(len(groups), -1) for end in ("lower", "upper"))
            for rate, rows in table.groupby("rate", sort=False)
        }
        tables.append(table_of_bounds(attribute, classes, largest_gaps(bands, counts)))
    return pd.concat(tables, ignore_index=True)


def with_bounds(tests: pd.DataFrame, bounds: pd.DataFrame, by_group: pd.DataFrame) -> pd.DataFrame:
    """Tests of gaps with their upper bounds (both a row for each attribute, metric and class), and with
    undefined_cells and insufficient_cells of `fairprof.metrics.fairness.gaps` of `by_group`."""
    key = ["attribute", "metric", "class"]
    cells = gaps(by_group)
    table = tests.merge(bounds, on=key, validate="one_to_one")
    return table.merge(cells[[*key, "undefined_cells", "insufficient_cells"]], on=key, validate="one_to_one")


def largest_gaps(bands: dict[str, tuple[np.ndarray, np.ndarray]], counts: np.ndarray) -> dict[str, np.ndarray]:
    """The largest differences that the lower and upper ends (..., G, K) of each rate's bands admit: (..., K + 2).

    With r_g the rate of group g, r that of all rows and w_g the group's share of the rate's denominator in
    `counts` (..., G, K, K), r_g - r = (1 - w_g) c_g, c_g being the group-minus-rest contrast. So where all bands
    hold, the gap of a class is at most the largest (1 - w_g) upper_g - (1 - w_h) lower_h over two groups g, h, and
    at most 1; of two groups that is the larger end of their band. The bound of equalized odds is the larger
    one of its two rates: it fails only where the bound of the rate with the larger gap fails. The last two
    are the largest and the mean of the bounds of the classes with a gap.
    """
    bound = {}
    for rate, (_, denominator) in fractions(counts).items():
        outside = 1 - divide(denominator, denominator.sum(axis=-2, keepdims=True))
        lower, upper = bands[rate]
        bound[rate] = _largest_difference(outside * lower, outside * upper)
    return {
        metric: with_aggregates(np.max([bound[rate] for rate in GAP_METRICS[metric].compared], axis=0))
        for metric in DIFFERENCES
    }


def _largest_difference(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """(..., K): the largest upper end of one group minus the lower end of another, over groups (..., G, K)."""
    gap = upper[..., :, None, :] - lower[..., None, :, :]
    gap[..., np.eye(gap.shape[-2], dtype=bool), :] = np.nan  # a group has no gap to itself
    return np.minimum(np.fmax.reduce(gap, axis=(-3, -2)), 1)


def table_of_bounds(attribute: str, classes: list[str], upper: dict[str, np.ndarray]) -> pd.DataFrame:
    """The rows of `gap_upper_bounds` of one attribute, from (K + 2,) bounds by metric."""
    names = [*classes, MAX_OVER_CLASSES, MEAN_OVER_CLASSES]
    tables = [
        pd.DataFrame({"attribute": attribute, "metric": metric, "class": names, "upper": bound})
        for metric, bound in upper.items()
    ]
    return pd.concat(tables, ignore_index=True)
