"""When a gap is a gap: intervals, tests and bands of the numbers of one predictions table.

A difference between groups is never below 0 and is biased upward, the more so with more and smaller groups
(Lum, Zhang, Bower 2022, arXiv:2205.05770). A percentile-bootstrap interval of it almost never contains 0
and is no test. So a gap is compared with the gaps that chance alone makes (`gap_tests`), bounded from above
by simultaneous bands (`contrasts`, `gap_upper_bounds`), and judged by both (`tested_gaps`).

Everything is computed on tables of counts (G, K, K), group by true by predicted class. A resample of the
rows is a multinomial draw of that table, a permutation of the groups a draw of tables with its margins, so
no row is ever moved. Groups are drawn in an order that their names do not influence: renaming groups and
permuting rows changes no number.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, norm, random_table

from fairprof.metrics.fairness import (
    ATTRIBUTES,
    DIFFERENCES,
    GAP_METRICS,
    MIN_SUPPORT,
    UNDEFINED,
    count_table,
    fractions,
    gaps,
    rates,
    rates_by_group,
)
from fairprof.metrics.performance import class_names, confusion_table, divide, mean_of_defined, scores_from_counts

ALPHA = 0.05  # level of every claim
CONFIDENCE = 0.95
TIE = 1e-12  # statistics that differ by less are equal: the rest is rounding

MAX_OVER_CLASSES = "max_over_classes"
MEAN_OVER_CLASSES = "mean_over_classes"
CONFIRMATORY = "confirmatory"
EXPLORATORY = "exploratory"
# fixed beforehand: metric and attribute of every gap, the largest over the classes
CONFIRMATORY_GAPS = tuple(
    (metric, attribute)
    for metric in ("demographic_parity_difference", "equal_opportunity_difference")
    for attribute in ("gender", "race")
)
ESTABLISHED = "established"
EQUIVALENT = "equivalent"
NOT_ESTABLISHED = "not_established"


# A single rate.


def wilson_interval(
    successes: ArrayLike, totals: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end, in [0, 1], of the score interval of a proportion; NaN where the total is 0.

    With p = successes / totals, n = totals and z the normal quantile of (1 + confidence) / 2:
    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). The arrays broadcast. Wilson 1927.
    """
    check_confidence(confidence)
    successes, totals = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(totals, dtype=float))
    if (successes < 0).any() or (successes > totals).any():
        raise ValueError("successes lie outside 0 to totals; give the number of rows that count, of all rows")
    z = norm.ppf((1 + confidence) / 2)
    share = divide(successes, totals)
    shrinkage = divide(np.full(totals.shape, z**2), totals)
    centre = (share + shrinkage / 2) / (1 + shrinkage)
    spread = np.sqrt(shrinkage * share * (1 - share) + shrinkage**2 / 4) / (1 + shrinkage)
    # Of 0 and of all rows the ends are 0 and 1 exactly, but for rounding.
    lower = np.where(successes == 0, np.minimum(share, 0), centre - spread)
    upper = np.where(successes == totals, np.maximum(share, 1), centre + spread)
    return lower, upper


# Many tests.


def holm(p_values: ArrayLike) -> np.ndarray:
    """(M,) p-values adjusted so that those <= alpha keep the chance of any false claim under alpha. Holm 1979.

    The i-th smallest of m, counted from 1, becomes the largest of (m - j + 1) p_j over j <= i, at most 1.
    NaN stays NaN and does not count.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(p_values.shape, np.nan)
    defined = np.flatnonzero(~np.isnan(p_values))
    order = defined[np.argsort(p_values[defined], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps * p_values[order]), 1)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> np.ndarray:
    """(M,) p-values adjusted so that of those <= alpha a share of at most alpha is false, as expected.

    SciPy's `false_discovery_control`; NaN stays NaN and does not count. Benjamini, Hochberg 1995.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(p_values.shape, np.nan)
    defined = ~np.isnan(p_values)
    if defined.any():
        adjusted[defined] = false_discovery_control(p_values[defined])
    return adjusted


# Gaps against chance.


def gap_tests(
    predictions: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """Every difference of `gaps` beside the same difference after permuting the groups of the rows.

    The null hypothesis of demographic parity is that the prediction is independent of the group: groups are
    permuted among all rows. That of equal opportunity and equalized odds is that it is independent of the
    group given the true class: groups are permuted among the rows of each true class. The maximum and the
    mean over classes are taken within each permutation.

    Columns: attribute, metric, class (each, then "max_over_classes" and "mean_over_classes"), value (that of
    `gaps`), null_mean and null_q95 (mean and 95th percentile of the permuted gaps), excess (value -
    null_mean), p_value = (1 + number of permuted gaps >= value) / (permutations + 1). What is undefined
    is NaN.
    """
    check_number(permutations, "permutations")
    classes = class_names(predictions)
    tables = []
    for attribute in attributes:
        counts, _ = count_table(predictions, attribute)
        observed = gaps_and_aggregates(rates(counts))
        permuted = gaps_and_aggregates(permuted_rates(counts[name_free_order(counts)], permutations, generator))
        tables.append(table_of_tests(attribute, classes, observed, permuted))
    return pd.concat(tables, ignore_index=True)


def permuted_rates(counts: np.ndarray, permutations: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """The rates (B, G, K) of `permutations` tables with the margins of `counts` (G, K, K) int-valued float.

    The selection rates are those of groups permuted among all rows, the others of groups permuted within
    each true class.
    """
    selected = _tables_of_margins(counts.sum(axis=1), permutations, generator)
    within = [_tables_of_margins(counts[:, c], permutations, generator) for c in range(counts.shape[1])]
    return rates(np.stack(within, axis=-2)) | {"selection_rate": divide(selected, selected.sum(axis=-1, keepdims=True))}


def _tables_of_margins(table: np.ndarray, permutations: int, generator: np.random.Generator) -> np.ndarray:
    return random_table(table.sum(axis=1), table.sum(axis=0), seed=generator).rvs(permutations)


def name_free_order(counts: np.ndarray) -> np.ndarray:
    """An order of the groups of `counts` (G, K, K) that depends on the counts alone; ties are exchangeable."""
    return np.lexsort(counts.reshape(len(counts), -1).T)


def gaps_and_aggregates(rates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each difference of rates (..., G, K) as (..., K + 2): of each class, then their maximum and their mean."""
    found = {name: GAP_METRICS[name].of_rates(rates) for name in DIFFERENCES}
    return {name: with_aggregates(gap) for name, gap in found.items()}


def with_aggregates(gap: np.ndarray) -> np.ndarray:
    """(..., K + 2): the gaps (..., K) of the classes, then the maximum and the mean of those that are defined."""
    worst = np.fmax.reduce(gap, axis=-1)  # NaN only where all are
    return np.concatenate([gap, worst[..., None], mean_of_defined(gap)[..., None]], axis=-1)


def table_of_tests(
    attribute: str, classes: list[str], observed: dict[str, np.ndarray], permuted: dict[str, np.ndarray]
) -> pd.DataFrame:
    """The rows of `gap_tests` of one attribute: of observed (K + 2,) and permuted (B, K + 2) gaps by metric."""
    tables = []
    for metric, value in observed.items():
        null = permuted[metric]
        exceeding = (null >= value - TIE).sum(axis=0)
        tables.append(
            pd.DataFrame(
                {
                    "attribute": attribute,
                    "metric": metric,
                    "class": [*classes, MAX_OVER_CLASSES, MEAN_OVER_CLASSES],
                    "value": value,
                    "null_mean": null.mean(axis=0),
                    "null_q95": np.quantile(null, 0.95, axis=0),
                    "excess": value - null.mean(axis=0),
                    "p_value": np.where(np.isnan(value), np.nan, (1 + exceeding) / (len(null) + 1)),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


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
    see `contrast_bands`. Rows are resampled with replacement.

    Columns: attribute, rate, class, group, value (rate of the group), rest (rate of all other rows), contrast
    (value - rest), standard_error (smoothed), lower and upper (of the band, in [-1, 1]), differs (0 lies
    outside the band) and evidence (as in `rates_by_group`; "undefined" where the group or the rest has no
    rows, all numbers being NaN then).
    """
    check_number(replicates, "replicates")
    attributes = list(attributes)
    bands = []
    for attribute in attributes:
        counts, _ = count_table(predictions, attribute)
        order = name_free_order(counts)
        resampled = resampled_counts(counts[order], replicates, generator)[:, np.argsort(order)]
        bands.append(contrast_bands(counts, counts, resampled, resampled, confidence=confidence))
    return contrast_table(predictions, bands, attributes, min_support)


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


def contrast_table(
    predictions: pd.DataFrame, bands: list[dict[str, Bands]], attributes: list[str], min_support: int
) -> pd.DataFrame:
    """The table of `contrasts` from the bands of each attribute; support and evidence are those of `predictions`."""
    table = rates_by_group(predictions, min_support, attributes=attributes)
    table = table[["attribute", "rate", "class", "group", "evidence"]].copy()
    in_order = [of_rate for of_attribute in bands for of_rate in of_attribute.values()]
    for column in Bands._fields:
        table[column] = np.concatenate([getattr(of_rate, column).ravel() for of_rate in in_order])
    table["differs"] = (table["lower"] > 0) | (table["upper"] < 0)
    table["evidence"] = table["evidence"].mask(table["contrast"].isna(), UNDEFINED)
    return table[["attribute", "rate", "class", "group", *Bands._fields, "differs", "evidence"]]


# How large a gap can be.


def gap_upper_bounds(contrasts: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """The largest value of each gap that the simultaneous bands of `contrasts` admit: see `largest_gaps`.

    `predictions` is the table behind `contrasts`. Columns: attribute, metric, class, upper (in [0, 1], NaN where
    the gap is undefined), in the order of `gap_tests`.
    """
    classes = class_names(predictions)
    tables = []
    for attribute, table in contrasts.groupby("attribute", sort=False):
        counts, groups = count_table(predictions, attribute)
        bands = {
            rate: tuple(_of_cells(rows, end, groups, classes) for end in ("lower", "upper"))
            for rate, rows in table.groupby("rate", sort=False)
        }
        tables.append(table_of_bounds(attribute, classes, largest_gaps(bands, counts)))
    return pd.concat(tables, ignore_index=True)


def _of_cells(table: pd.DataFrame, column: str, groups: list[str], classes: list[str]) -> np.ndarray:
    """(G, K): a column of the rows of one attribute and rate."""
    return table.pivot(index="group", columns="class", values=column).loc[groups, classes].to_numpy()


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


# What may be said about a gap.


def tested_gaps(
    predictions: pd.DataFrame,
    permutations: int,
    replicates: int,
    delta: float,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
    min_support: int = MIN_SUPPORT,
) -> pd.DataFrame:
    """Every gap of one run with its test, its upper bound and its verdict, as in `judged`.

    The columns of `gap_tests`, upper (of `gap_upper_bounds`), undefined_cells and insufficient_cells (of `gaps`),
    delta, family, p_adjusted and verdict.
    """
    attributes = list(attributes)
    tests = gap_tests(predictions, permutations, generator, attributes)
    found = contrasts(predictions, replicates, generator, attributes=attributes, min_support=min_support)
    cells = gaps(rates_by_group(predictions, min_support, attributes=attributes))
    key = ["attribute", "metric", "class"]
    table = tests.merge(gap_upper_bounds(found, predictions), on=key, validate="one_to_one")
    table = table.merge(cells[[*key, "undefined_cells", "insufficient_cells"]], on=key, validate="one_to_one")
    return judged(table, is_confirmatory(table), delta)


def is_confirmatory(table: pd.DataFrame) -> np.ndarray:
    """(N,) bool: which rows of a table of gaps (metric, attribute, class) are of the confirmatory family."""
    family = [gap in CONFIRMATORY_GAPS for gap in zip(table["metric"], table["attribute"], strict=True)]
    return np.array(family) & table["class"].eq(MAX_OVER_CLASSES).to_numpy()


def judged(table: pd.DataFrame, confirmatory: np.ndarray, delta: float, alpha: float = ALPHA) -> pd.DataFrame:
    """`table` (with value, p_value and upper) and four more columns.

    delta; family: "confirmatory" for the rows marked by `confirmatory` (N,) bool, else "exploratory"; p_adjusted:
    `holm` within the confirmatory family, `benjamini_hochberg` within the exploratory one; verdict:
    "undefined" where there is no value, "established" where p_adjusted <= alpha, otherwise
    "equivalent" where upper < delta, and "not_established" where nothing can be said. Not rejecting is not fairness.
    """
    p_value = table["p_value"].to_numpy()
    adjusted = np.empty(len(table))
    adjusted[confirmatory] = holm(p_value[confirmatory])
    adjusted[~confirmatory] = benjamini_hochberg(p_value[~confirmatory])
    verdict = np.select(
        [table["value"].isna(), adjusted <= alpha, table["upper"] < delta],
        [UNDEFINED, ESTABLISHED, EQUIVALENT],
        NOT_ESTABLISHED,
    )
    family = np.where(confirmatory, CONFIRMATORY, EXPLORATORY)
    return table.assign(delta=delta, family=family, p_adjusted=adjusted, verdict=verdict)


# Scores.


def bootstrap_scores(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Accuracy, balanced accuracy and macro-F1 with percentile intervals of the stratified bootstrap.

    Rows are resampled within each true class, so each keeps its number of rows.
    Columns: metric, value, lower, upper, standard_error (SD of the replicates). Where no prediction
    is wrong there is nothing to resample: `wilson_interval` bounds the accuracy then. Efron, Tibshirani 1993.
    """
    check_number(replicates, "replicates")
    check_confidence(confidence)
    counts = confusion_table(predictions).to_numpy()
    totals = counts.sum(axis=1)
    # A class without rows gets 0 of 0 rows, whatever the probabilities.
    shares = (
        np.where(totals[:, None] > 0, counts, 1) / np.maximum(counts.sum(axis=1), len(counts) * (totals == 0))[:, None]
    )
    drawn = scores_from_counts(generator.multinomial(totals, shares, size=(replicates, len(counts))))
    tail = (1 - confidence) / 2
    return pd.DataFrame(
        {
            "metric": name,
            "value": float(value),
            "lower": np.quantile(drawn[name], tail),
            "upper": np.quantile(drawn[name], 1 - tail),
            "standard_error": drawn[name].std(ddof=1),
        }
        for name, value in scores_from_counts(counts).items()
    )


# What the functions are given.


def check_number(number: int, name: str) -> None:
    if number < 1:
        raise ValueError(f"{name} is {number}; give at least 1")


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
