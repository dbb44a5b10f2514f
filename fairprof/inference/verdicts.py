"""What may be said about a gap: families, adjusted p-values, verdicts."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fairprof.inference.bands import contrasts, gap_upper_bounds
from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import CONFIRMATORY_ATTRIBUTES, adjusted_in_families
from fairprof.inference.permutation import gap_tests
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    MAX_OVER_CLASSES,
    MIN_SUPPORT,
    PARITY_DIFFERENCES,
    UNDEFINED,
    gaps,
    rates_by_group,
)

# fixed beforehand: metric and attribute of every gap, the largest over the classes
CONFIRMATORY_GAPS = tuple((metric, attribute) for metric in PARITY_DIFFERENCES for attribute in CONFIRMATORY_ATTRIBUTES)

ESTABLISHED = "established"
EQUIVALENT = "equivalent"
NOT_ESTABLISHED = "not_established"


def gaps_with_verdicts(
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
    table = adjusted_in_families(table.assign(delta=delta), confirmatory)
    verdict = np.select(
        [table["value"].isna(), table["p_adjusted"] <= alpha, table["upper"] < delta],
        [UNDEFINED, ESTABLISHED, EQUIVALENT],
        NOT_ESTABLISHED,
    )
    return table.assign(verdict=verdict)
