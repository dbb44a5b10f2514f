"""Whether two categorical columns are independent: tests, intervals of Cramer's V, and what goes through a third."""

import numpy as np
import pandas as pd
from scipy.stats import chi2, random_table

from fairprof.inference.bands import resampled_counts
from fairprof.inference.levels import CONFIDENCE, TIE, check_confidence, check_number
from fairprof.inference.multiplicity import holm
from fairprof.metrics.association import chi_square, cramers_v, cross_table, degrees_of_freedom, without_empty


def association(
    counts: np.ndarray, replicates: int, generator: np.random.Generator, confidence: float = CONFIDENCE
) -> dict[str, float]:
    """Cramer's V of one table (R, C) of counts with an interval and the chi-square test of independence.

    images: rows of data. cramers_v: corrected, with lower and upper end of the percentile interval over resampled
    rows. cramers_v_uncorrected. chi_square, degrees_of_freedom and p_value: of Pearson's test. smallest_expected: the
    smallest count that independence expects; under 5 the p-value is rough. Undefined is NaN: see `cramers_v`.
    """
    check_number(replicates, "replicates")
    check_confidence(confidence)
    counts = without_empty(counts)
    value, freedom = float(cramers_v(counts)), int(degrees_of_freedom(counts))
    lower = upper = p_value = smallest_expected = np.nan
    if freedom:
        tail = (1 - confidence) / 2
        resampled = cramers_v(resampled_counts(counts, replicates, generator), draws=2)
        # a resample that loses all categories but one says nothing about V
        lower, upper = np.nanquantile(resampled, [tail, 1 - tail]) if np.isfinite(value) else (np.nan, np.nan)
        p_value = chi2.sf(chi_square(counts), freedom)
        smallest_expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)).min() / counts.sum()
    return {
        "images": int(counts.sum()),
        "cramers_v": value,
        "lower": float(np.fmin(lower, value)),
        "upper": float(np.fmax(upper, value)),
        "cramers_v_uncorrected": float(cramers_v(counts, corrected=False)),
        "chi_square": float(chi_square(counts)),
        "degrees_of_freedom": freedom,
        "p_value": float(p_value),
        "smallest_expected": float(smallest_expected),
    }


def associations(
    table: pd.DataFrame, pairs: tuple[tuple[str, str], ...], replicates: int, generator: np.random.Generator
) -> pd.DataFrame:
    """`association` of pairs of columns of a table, a row each; columns: first, second, those, and p_holm.

    p_holm: the p-values adjusted over the pairs, so that those <= alpha keep the chance of any false claim under
    alpha. A pair that cannot be tested is not counted.
    """
    rows = [
        {"first": first, "second": second}
        | association(cross_table(table[first], table[second]), replicates, generator)
        for first, second in pairs
    ]
    found = pd.DataFrame(rows)
    return found.assign(p_holm=holm(found["p_value"]))


def given_a_third(
    first: pd.Series, second: pd.Series, third: pd.Series, permutations: int, generator: np.random.Generator
) -> dict[str, float]:
    """What of the association of two categorical columns goes through a third one, and whether anything is left.

    through: the uncorrected Cramer's V of the counts that are expected where the two are independent given the third.
    p_value: of the test of that independence, by the sum over the third's categories of chi-square, among tables with
    the margins that every category has; NaN where no category has two of both.
    """
    known = (first.notna() & second.notna() & third.notna()).to_numpy()
    groups = third[known].astype("category").cat.codes.to_numpy()
    first, second = first[known].astype("category"), second[known].astype("category")
    tables = np.array([cross_table(first[groups == group], second[groups == group]) for group in np.unique(groups)])
    if not len(tables):
        return {"through": np.nan, "p_value": np.nan}
    totals = tables.sum(axis=(1, 2), keepdims=True)
    expected = (tables.sum(axis=2, keepdims=True) * tables.sum(axis=1, keepdims=True) / totals).sum(axis=0)
    return {
        "through": float(cramers_v(expected, corrected=False)),
        "p_value": permutation_p_value(tables, permutations, generator),
    }


def permutation_p_value(counts: np.ndarray, permutations: int, generator: np.random.Generator) -> float:
    """The p-value of independence in a table (R, C) of counts, or in all of several (S, R, C), without large counts.

    (1 + number of tables with at least the observed chi-square) / (permutations + 1), among random tables with the
    observed margins; of several tables chi-square is summed. NaN where no table has two rows and columns with counts.
    """
    check_number(permutations, "permutations")
    tables = [without_empty(table) for table in (counts if counts.ndim > 2 else [counts])]
    tables = [table for table in tables if degrees_of_freedom(table)]
    if not tables:
        return float("nan")
    observed = sum(chi_square(table) for table in tables)
    drawn = sum(
        chi_square(random_table(table.sum(axis=1), table.sum(axis=0), seed=generator).rvs(permutations))
        for table in tables
    )
    return float((1 + (np.asarray(drawn) >= observed - TIE).sum()) / (permutations + 1))
