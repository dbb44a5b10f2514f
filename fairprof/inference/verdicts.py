"""What may be said about a gap: families, adjusted p-values, verdicts."""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairprof.inference.bands import contrast_table, contrasts_with_tests, gap_upper_bounds, group_bands, with_bounds
from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import CONFIRMATORY_ATTRIBUTES, EXPLORATORY, adjusted_in_families
from fairprof.inference.over_seeds_and_images import THESE_MODELS
from fairprof.inference.permutation import gap_table, group_table, permuted_runs
from fairprof.inference.same_images import one_run
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    MAX_OVER_CLASSES,
    MEAN_OVER_CLASSES,
    MIN_SUPPORT,
    PARITY_DIFFERENCES,
    UNDEFINED,
    rates_by_group,
)
from fairprof.metrics.performance import predicts_one_class

# fixed beforehand: metric and attribute of every gap, the largest over the classes
CONFIRMATORY_GAPS = tuple((metric, attribute) for metric in PARITY_DIFFERENCES for attribute in CONFIRMATORY_ATTRIBUTES)

ESTABLISHED = "established"
EQUIVALENT = "equivalent"
NOT_ESTABLISHED = "not_established"
DEGENERATE = "degenerate"


def gaps_and_contrasts(
    predictions: pd.DataFrame,
    permutations: int,
    replicates: int,
    delta: float,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
    min_support: int = MIN_SUPPORT,
    confirmatory_attributes: Collection[str] = CONFIRMATORY_ATTRIBUTES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What may be said of one run: every gap, and which groups differ from the rest, from the same permutations.

    gaps: the columns of `gap_tests`, upper (of `gap_upper_bounds`), undefined_cells and insufficient_cells (of `gaps`),
    and those of `judged`. contrasts: of `contrasts_with_tests`.
    """
    attributes = list(attributes)
    permuted = permuted_runs(one_run(predictions, attributes), permutations, generator)
    tests = gap_table(permuted).drop(columns="seed_sd")
    bands = group_bands(predictions, replicates, generator, attributes)
    by_group = rates_by_group(predictions, min_support, attributes=attributes)
    found = contrast_table(by_group, bands)
    table = with_bounds(tests, gap_upper_bounds(found, predictions), by_group)
    confirmatory = is_confirmatory(table, confirmatory_attributes)
    judged_gaps = judged(table, confirmatory, delta, degenerate=predicts_one_class(predictions))
    return judged_gaps, contrasts_with_tests(found, group_table(permuted))


def is_confirmatory(table: pd.DataFrame, attributes: Collection[str] = CONFIRMATORY_ATTRIBUTES) -> np.ndarray:
    """(N,) bool: which rows of a table of gaps (metric, attribute, class) are of the confirmatory family: demographic
    parity and equal opportunity, the largest over the classes, by these attributes."""
    family = table["metric"].isin(PARITY_DIFFERENCES) & table["attribute"].isin(attributes)
    return (family & table["class"].eq(MAX_OVER_CLASSES)).to_numpy()


def judged(
    table: pd.DataFrame, confirmatory: np.ndarray, delta: float, alpha: float = ALPHA, degenerate: ArrayLike = False
) -> pd.DataFrame:
    """`table` (with value, p_value, upper and undefined_cells) and six more columns.

    delta; family: "confirmatory" for the rows marked by `confirmatory` (N,) bool, else "exploratory"; p_adjusted:
    `holm` within the confirmatory family, `benjamini_hochberg` within the exploratory one, and the same for rows that
    repeat a test (`repeats_a_test`), which counts once; verdict: "degenerate" where
    the predictions are (`degenerate`, bool or (N,): of one class only, so that they are equal between groups whatever
    the images), "undefined" where there is no value, "established" where p_adjusted <= alpha, otherwise "equivalent"
    where upper < delta and no cell of the gap is undefined, and "not_established" where nothing can be said. Not
    rejecting is not fairness. below_delta: whether a gap is established and yet upper < delta with no cell undefined:
    both are said. scope: what a verdict is about; the models are what they are, images vary.
    """
    table = _adjusted(table.assign(delta=delta), confirmatory)
    below = (table["upper"] < delta) & table["undefined_cells"].eq(0)
    verdict = np.select(
        [np.broadcast_to(degenerate, len(table)), table["value"].isna(), table["p_adjusted"] <= alpha, below],
        [DEGENERATE, UNDEFINED, ESTABLISHED, EQUIVALENT],
        NOT_ESTABLISHED,
    )
    below_delta = below & (verdict == ESTABLISHED)
    return table.assign(verdict=verdict, below_delta=below_delta, scope=THESE_MODELS)


def repeats_a_test(table: pd.DataFrame) -> np.ndarray:
    """(N,) bool: rows whose test is that of the largest over the classes, as there are two classes of which each is the
    other's complement: those of demographic parity and of equalized odds, but the largest."""
    blocks = [table[name] for name in ("arm", "design", "attribute", "metric") if name in table]
    of_a_class = ~table["class"].isin([MAX_OVER_CLASSES, MEAN_OVER_CLASSES])
    two_classes = of_a_class.groupby(blocks).transform("sum").eq(2)
    mirrored = ~table["metric"].eq("equal_opportunity_difference") & ~table["class"].eq(MAX_OVER_CLASSES)
    return (two_classes & mirrored).to_numpy()


def _adjusted(table: pd.DataFrame, confirmatory: np.ndarray) -> pd.DataFrame:
    """As `adjusted_in_families`; a test that is repeated counts once, and has one adjusted p-value."""
    repeated = repeats_a_test(table)
    adjusted = adjusted_in_families(table[~repeated], confirmatory[~repeated])
    blocks = [name for name in ("arm", "design", "attribute", "metric") if name in table]
    largest = adjusted[adjusted["class"].eq(MAX_OVER_CLASSES)].set_index(blocks)["p_adjusted"]
    of_others = table.loc[repeated, blocks].join(largest, on=blocks)["p_adjusted"]
    return table.assign(
        family=adjusted["family"].reindex(table.index, fill_value=EXPLORATORY),
        p_adjusted=adjusted["p_adjusted"].reindex(table.index).fillna(of_others),
    )
