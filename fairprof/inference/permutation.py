"""Gaps against chance: what the same gaps are after permuting the groups of the rows."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import random_table

from fairprof.inference.levels import TIE, check_number
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    DIFFERENCES,
    GAP_METRICS,
    MAX_OVER_CLASSES,
    MEAN_OVER_CLASSES,
    count_table,
    rates,
)
from fairprof.metrics.performance import class_names, divide, mean_of_defined


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
