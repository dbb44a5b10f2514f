"""Many tests at once: p-values adjusted for a confirmatory and for an exploratory family."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

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


def adjusted_in_families(table: pd.DataFrame, confirmatory: np.ndarray) -> pd.DataFrame:
    """`table` with family and p_adjusted: Holm within the rows marked by `confirmatory` (N,) bool, Benjamini-Hochberg
    within the others."""
    p_values = table["p_value"].to_numpy(dtype=float)
    corrected = np.empty(len(table))
    corrected[confirmatory] = holm(p_values[confirmatory])
    corrected[~confirmatory] = benjamini_hochberg(p_values[~confirmatory])
    return table.assign(family=np.where(confirmatory, CONFIRMATORY, EXPLORATORY), p_adjusted=corrected)
