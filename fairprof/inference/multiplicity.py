"""Many tests at once: p-values adjusted for a confirmatory and for an exploratory family."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from fairprof.inference.levels import ALPHA

CONFIRMATORY, EXPLORATORY = "confirmatory", "exploratory"  # families; the first is fixed beforehand
CONFIRMATORY_ATTRIBUTES = ("gender", "race")


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


def sidak(p_values: ArrayLike) -> np.ndarray:
    """(M,) p-values adjusted in one step, 1 - (1 - p)^m: those <= alpha keep the chance of any false claim under alpha.

    For t tests whatever their correlation (Sidak 1967). NaN stays NaN and does not count. Intervals at `sidak_level`
    exclude 0 exactly where the adjusted p-value is <= alpha.
    """
    p_values = np.asarray(p_values, dtype=float)
    tests = np.count_nonzero(~np.isnan(p_values))
    return -np.expm1(tests * np.log1p(-np.minimum(p_values, 1 - np.finfo(float).epsneg)))


def sidak_level(tests: int, alpha: float = ALPHA) -> float:
    """The level of each of so many intervals that hold together with a chance of at least 1 - alpha."""
    return float(-np.expm1(np.log1p(-alpha) / max(tests, 1)))


def selected_level(p_values: ArrayLike, alpha: float = ALPHA) -> float:
    """The level of intervals beside `benjamini_hochberg`: they exclude 0 where the adjusted p-value is <= alpha alone.

    alpha R / m for R of m tests with an adjusted p-value <= alpha, alpha / m where there are none: of the intervals of
    the R quantities at most a share of alpha misses, as expected (Benjamini, Yekutieli 2005).
    """
    adjusted = benjamini_hochberg(p_values)
    tests, selected = int((~np.isnan(adjusted)).sum()), int((adjusted <= alpha).sum())
    return alpha * max(selected, 1) / max(tests, 1)


def adjusted_in_families(table: pd.DataFrame, confirmatory: np.ndarray) -> pd.DataFrame:
    """`table` with family and p_adjusted: Holm within the rows marked by `confirmatory` (N,) bool, Benjamini-Hochberg
    within the others."""
    p_values = table["p_value"].to_numpy(dtype=float)
    corrected = np.empty(len(table))
    corrected[confirmatory] = holm(p_values[confirmatory])
    corrected[~confirmatory] = benjamini_hochberg(p_values[~confirmatory])
    return table.assign(family=np.where(confirmatory, CONFIRMATORY, EXPLORATORY), p_adjusted=corrected)
