"""How strongly two categorical columns go together: Cramer's V of their table of counts, from tables of counts (R, C).

Renaming categories and permuting rows changes no number.
"""

import numpy as np
import pandas as pd

from fairprof.metrics.performance import divide


def chi_square(counts: np.ndarray) -> np.ndarray:
    """Pearson's statistic of tables (..., R, C): (...), the sum of (count - expected)^2 / expected over the cells.

    Rows and columns without counts do not matter; an empty table has 0. Pearson 1900.
    """
    rows, columns = counts.sum(axis=-1, keepdims=True), counts.sum(axis=-2, keepdims=True)
    total = counts.sum(axis=(-2, -1), keepdims=True)
    expected = rows * columns / np.maximum(total, 1)
    return np.divide((counts - expected) ** 2, expected, out=np.zeros(expected.shape), where=expected > 0).sum(
        axis=(-2, -1)
    )


def degrees_of_freedom(counts: np.ndarray) -> np.ndarray:
    """(...) int: (R - 1) (C - 1) of tables (..., R, C), without the rows and columns that have no counts."""
    rows, columns = _occurring(counts)
    return np.maximum(rows - 1, 0) * np.maximum(columns - 1, 0)


def _occurring(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (counts.sum(axis=-1) > 0).sum(axis=-1), (counts.sum(axis=-2) > 0).sum(axis=-1)


def cramers_v(counts: np.ndarray, corrected: bool = True, draws: int = 1) -> np.ndarray:
    """Cramer's V of tables (..., R, C), giving (...): 0 is independence, 1 that one column determines the other.

    V = sqrt(phi^2 / (min(r, c) - 1)) with phi^2 = chi-square / n and r, c the categories that occur (Cramer 1946). It
    is biased upward. Corrected for that, phi^2 becomes max(0, phi^2 - (r - 1) (c - 1) / (n - 1)), and of every number
    of categories k remains k - (k - 1)^2 / (n - 1) (Bergsma 2013, Journal of the Korean Statistical Society 42).
    draws: how many times the table was drawn at random; a resample of a sample was twice, and phi^2 carries the bias
    of both. NaN where a column has a single category, or too few rows for the correction: nothing can go together.
    """
    total = counts.sum(axis=(-2, -1))
    rows, columns = _occurring(counts)
    phi_square = divide(chi_square(counts), total)
    if not corrected:
        return np.sqrt(np.minimum(divide(phi_square, np.minimum(rows, columns) - 1), 1))
    others = np.maximum(total - 1, 1)
    phi_square = np.maximum(phi_square - draws * (rows - 1) * (columns - 1) / others, 0)
    smaller = np.minimum(rows - (rows - 1) ** 2 / others, columns - (columns - 1) ** 2 / others) - 1
    defined = (np.minimum(rows, columns) > 1) & (smaller > 0) & (total > 1)
    return np.where(defined, np.sqrt(np.minimum(divide(phi_square, np.where(defined, smaller, 0.0)), 1)), np.nan)


def cross_table(first: pd.Series, second: pd.Series) -> np.ndarray:
    """(R, C) int counts of the rows by two categorical columns; rows where one is missing are left out."""
    first, second = first.astype("category"), second.astype("category")
    known = (first.notna() & second.notna()).to_numpy()
    shape = (len(first.cat.categories), len(second.cat.categories))
    cells = np.ravel_multi_index(
        (first.cat.codes.to_numpy()[known].astype(int), second.cat.codes.to_numpy()[known].astype(int)), shape
    )
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)


def without_empty(counts: np.ndarray) -> np.ndarray:
    return counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
