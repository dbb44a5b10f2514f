"""Selective prediction with intervals, floors and tests: accuracy, coverage and gaps of what is kept, by group.

Refusing can widen gaps between groups, and refuse one group more than another (Jones, Sagawa, Koh, Kumar, Liang 2021,
arXiv:2010.14134). Fewer images make larger gaps by chance alone, so every gap has the noise floor of its own coverage.
And a gap falls as cells run out of images, whoever is served how: it ends where one of the cells that it compares has
too few.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact, random_table

from fairprof.inference.intervals import centred_interval, design_effect_of, wilson_interval
from fairprof.inference.levels import ALPHA, TIE, check_number
from fairprof.inference.multiplicity import benjamini_hochberg
from fairprof.inference.permutation import gap_tests
from fairprof.inference.units import person_codes
from fairprof.inference.verdicts import ESTABLISHED, NOT_ESTABLISHED
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    INSUFFICIENT,
    MAX_OVER_CLASSES,
    MIN_SUPPORT,
    PARITY_DIFFERENCES,
    SUFFICIENT,
    UNDEFINED,
    count_table,
    gaps,
    group_labels,
    rates_by_group,
)
from fairprof.metrics.performance import divide, label_codes, scores_from_counts
from fairprof.metrics.selective import accepted, confidence_of, risk_coverage_areas

COVERAGES = tuple(round(1 - step / 10, 1) for step in range(10))  # 1.0 ... 0.1
CHUNK = 2**22  # numbers at once: bounds the memory
ACCURACY_DIFFERENCE, COVERAGE_DIFFERENCE = "accuracy_difference", "coverage_difference"


def selective_scores(predictions: pd.DataFrame, coverages: Sequence[float] = COVERAGES) -> pd.DataFrame:
    """Accuracy and macro-F1 of the predictions that are kept, a row per coverage.

    Columns: coverage (that was asked for), covered (share that is kept, larger where there are ties), threshold (of the
    confidence), images (kept), accuracy, lower and upper (Wilson interval of the accuracy), macro_f1 (as in
    `performance.scores_from_counts`) and p_value (Fisher's exact test, two-sided, of whether what is kept is right as
    often as what is refused; NaN where nothing is refused). Higher accuracy and macro-F1 are better.
    """
    confidence, counts_of = confidence_of(predictions), _counts_of_groups(predictions, "gender")
    right = label_codes(predictions, "y_pred") == label_codes(predictions, "y_true")
    person = person_codes(predictions)
    records = []
    for coverage in coverages:
        kept = accepted(confidence, coverage)
        counts = counts_of(kept).sum(axis=0)
        effect = design_effect_of(right[kept], None if person is None else person[kept])
        lower, upper = wilson_interval(np.trace(counts), counts.sum(), design_effect=effect)
        scores = scores_from_counts(counts)
        records.append(
            {
                "coverage": coverage,
                "covered": kept.mean(),
                "threshold": confidence[kept].min(),
                "images": int(kept.sum()),
                "accuracy": float(scores["accuracy"]),
                "lower": float(lower),
                "upper": float(upper),
                "macro_f1": float(scores["macro_f1"]),
                "p_value": _kept_against_refused(right, kept),
            }
        )
    return pd.DataFrame(records)


def _kept_against_refused(right: np.ndarray, kept: np.ndarray) -> float:
    if kept.all():
        return np.nan
    table = [[(right & part).sum(), (~right & part).sum()] for part in (kept, ~kept)]
    return float(fisher_exact(table).pvalue)


def selective_by_group(
    predictions: pd.DataFrame,
    coverages: Sequence[float] = COVERAGES,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """Each group's accuracy among its predictions that are kept, and how many of it are, at thresholds common to all.

    Columns: coverage, attribute, group, group_coverage (share of the group that is kept), coverage_lower and
    coverage_upper (Wilson), accuracy, lower and upper (Wilson), images (of the group that are kept), support (of the
    group) and evidence of the accuracy: "undefined" where none is kept, "insufficient_evidence" under `min_support`.
    """
    confidence = confidence_of(predictions)
    tables = []
    for attribute in attributes:
        groups = list(group_labels(predictions, attribute).cat.categories)
        counts_of = _counts_of_groups(predictions, attribute)
        support = counts_of(np.ones(len(predictions), dtype=bool)).sum(axis=(-2, -1))
        for coverage in coverages:
            counts = counts_of(accepted(confidence, coverage))
            images, right = counts.sum(axis=(-2, -1)), np.trace(counts, axis1=-2, axis2=-1)
            lower, upper = wilson_interval(right, images)
            coverage_lower, coverage_upper = wilson_interval(images, support)
            tables.append(
                pd.DataFrame(
                    {
                        "coverage": coverage,
                        "attribute": attribute,
                        "group": groups,
                        "group_coverage": divide(images, support),
                        "coverage_lower": coverage_lower,
                        "coverage_upper": coverage_upper,
                        "accuracy": divide(right, images),
                        "lower": lower,
                        "upper": upper,
                        "images": images.astype(int),
                        "support": support.astype(int),
                        "evidence": np.select(
                            [images == 0, images < min_support], [UNDEFINED, INSUFFICIENT], SUFFICIENT
                        ),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _counts_of_groups(predictions: pd.DataFrame, attribute: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from kept rows, (N,) bool, to their (G, K, K) counts by group, true and predicted class."""

    def counts(kept: np.ndarray) -> np.ndarray:
        return count_table(predictions, attribute, kept.astype(float))[0]

    return counts


def selective_gaps(
    predictions: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
    coverages: Sequence[float] = COVERAGES,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ("gender", "race"),
) -> pd.DataFrame:
    """Gaps between groups against coverage, each beside what permuting the groups gives at that coverage.

    metric: demographic_parity_difference and equal_opportunity_difference (the largest over the classes, of the
    predictions that are kept, as in `inference.gap_tests`), accuracy_difference (max - min over the groups of the
    accuracy of what is kept, groups permuted among what is kept) and coverage_difference (max - min of the share that
    is kept, groups permuted among all rows: whether one group is refused more often). Range [0, 1], ideal 0.

    What is compared at full coverage is compared at every coverage, or not at all: under full coverage, value, null,
    excess and p-value are NaN from the coverage on at which a rate of the gap has a denominator under `min_support`, or
    none and had one at full coverage. There the gap would fall for want of images.

    Columns: coverage, attribute, metric, value, null_mean, null_q95, excess, p_value, p_adjusted (Benjamini-Hochberg
    over the whole table: exploratory), verdict (established, not_established, undefined), undefined_cells (groups of
    which nothing is kept, and rates without denominator) and insufficient_cells (rates under `min_support`).
    """
    check_number(permutations, "permutations")
    confidence, attributes = confidence_of(predictions), list(attributes)
    tables = []
    for coverage in coverages:
        kept = accepted(confidence, coverage)
        tables.append(_parity_gaps(predictions[kept], permutations, generator, min_support, attributes))
        tables += [
            _rate_gaps(predictions, attribute, kept, permutations, generator, min_support) for attribute in attributes
        ]
        for table in tables[-1 - len(attributes) :]:
            table.insert(0, "coverage", coverage)
    table = pd.concat(tables, ignore_index=True)
    figures = ["value", "null_mean", "null_q95", "excess", "p_value"]
    table.loc[_support_has_ended(table), figures] = np.nan
    table["p_adjusted"] = benjamini_hochberg(table["p_value"])
    verdict = np.select(
        [table["p_value"].isna(), table["p_adjusted"] <= ALPHA], [UNDEFINED, ESTABLISHED], NOT_ESTABLISHED
    )
    table = table.assign(verdict=verdict)
    columns = ["coverage", "attribute", "metric", *figures, "p_adjusted", "verdict"]
    return table[[*columns, "undefined_cells", "insufficient_cells"]]


def _support_has_ended(table: pd.DataFrame) -> np.ndarray:
    """(N,) bool: rows under full coverage, from the first on at which a compared cell has too few images."""
    key = ["attribute", "metric"]
    full = table[table["coverage"].eq(1)].set_index(key)["undefined_cells"]
    undefined = full.reindex(pd.MultiIndex.from_frame(table[key]), fill_value=0).to_numpy()
    short = table["insufficient_cells"].gt(0) | table["undefined_cells"].gt(undefined)
    # all groups have their images at every coverage, and are refused or not
    short &= table["coverage"].lt(1) & table["metric"].ne(COVERAGE_DIFFERENCE)
    falling = table.assign(short=short).sort_values("coverage", ascending=False, kind="stable")
    return falling.groupby(key)["short"].cummax().reindex(table.index).to_numpy()


def _parity_gaps(
    kept: pd.DataFrame, permutations: int, generator: np.random.Generator, min_support: int, attributes: list[str]
) -> pd.DataFrame:
    tests = gap_tests(kept, permutations, generator, attributes)
    cells = gaps(rates_by_group(kept, min_support, attributes=attributes))
    key = ["attribute", "metric", "class"]
    table = tests.merge(cells[[*key, "undefined_cells", "insufficient_cells"]], on=key, validate="one_to_one")
    chosen = table["class"].eq(MAX_OVER_CLASSES) & table["metric"].isin(PARITY_DIFFERENCES)
    return table[chosen].drop(columns="class").reset_index(drop=True)


def _rate_gaps(
    predictions: pd.DataFrame,
    attribute: str,
    kept: np.ndarray,
    permutations: int,
    generator: np.random.Generator,
    min_support: int,
) -> pd.DataFrame:
    """The gaps of accuracy and of coverage of one attribute at one coverage."""
    counts_of = _counts_of_groups(predictions, attribute)
    everyone, counts = counts_of(np.ones(len(kept), dtype=bool)), counts_of(kept)
    support, images = everyone.sum(axis=(-2, -1)), counts.sum(axis=(-2, -1))
    right = np.trace(counts, axis1=-2, axis2=-1)
    records = []
    for metric, successes, totals in (
        (ACCURACY_DIFFERENCE, right, images),
        (COVERAGE_DIFFERENCE, images, support),
    ):
        records.append(
            {
                "attribute": attribute,
                "metric": metric,
                **rate_gap(successes, totals, permutations, generator),
                "undefined_cells": int((totals == 0).sum()),
                "insufficient_cells": int(((totals > 0) & (totals < min_support)).sum()),
            }
        )
    return pd.DataFrame(records)


def rate_gap(
    successes: np.ndarray, totals: np.ndarray, permutations: int, generator: np.random.Generator
) -> dict[str, float]:
    """The gap max - min of rates successes / totals, (G,) each, against permuting the groups of the rows.

    Returns value, null_mean, null_q95, excess and p_value; NaN where fewer than two groups have rows. The p-value
    is that of the largest contrast between a group and the rest in units of its standard deviation under permutation:
    a group of a few rows does not set it, as it sets the gap.
    """
    some = totals > 0
    if some.sum() < 2:
        return dict.fromkeys(("value", "null_mean", "null_q95", "excess", "p_value"), np.nan)
    successes, totals = successes[some], totals[some]
    order = np.lexsort((successes, totals))
    successes, totals = successes[order], totals[order]
    value = float(np.ptp(successes / totals))
    drawn = random_table(totals, [successes.sum(), (totals - successes).sum()], seed=generator).rvs(permutations)
    null = np.ptp(drawn[:, :, 0] / totals, axis=1)
    statistic, null_statistic = _largest_contrast(successes, totals), _largest_contrast(drawn[:, :, 0], totals)
    return {
        "value": value,
        "null_mean": float(null.mean()),
        "null_q95": float(np.quantile(null, 0.95)),
        "excess": value - float(null.mean()),
        "p_value": float((1 + (null_statistic >= statistic - TIE).sum()) / (permutations + 1)),
    }


def _largest_contrast(successes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """(...): over the groups, |successes - expected| by the hypergeometric standard deviation but for a factor."""
    rate = totals / totals.sum()
    expected = successes.sum(axis=-1, keepdims=True) * rate
    return (np.abs(successes - expected) / np.sqrt(rate * (1 - rate))).max(axis=-1)


def risk_coverage(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ("gender", "race"),
) -> pd.DataFrame:
    """The area under the risk-coverage curve of all rows (attribute and group "all") and of every group.

    area = mean over k of the error rate among the k most confident rows; rows of equal confidence count with their mean
    error. Range [0, 1], lower is better. excess: the area minus the least that any order of the same predictions
    allows, all errors last (Geifman, Uziel, El-Yaniv 2019, arXiv:1805.08206). error_rate: what a random order gives.

    Columns: attribute, group, area, lower, upper (centred 95 % bootstrap interval), best, excess, error_rate, support
    and evidence.
    """
    check_number(replicates, "replicates")
    confidence = confidence_of(predictions)
    wrong = label_codes(predictions, "y_pred") != label_codes(predictions, "y_true")
    records = [_area("all", "all", confidence, wrong, replicates, generator, 1)]
    for attribute in attributes:
        groups = group_labels(predictions, attribute)
        codes, names = groups.cat.codes.to_numpy(), groups.cat.categories
        sizes, errors = np.bincount(codes), np.bincount(codes, wrong)
        # groups take their turns in an order that their names do not influence
        found = {
            code: _area(
                attribute,
                names[code],
                confidence[codes == code],
                wrong[codes == code],
                replicates,
                generator,
                min_support,
            )
            for code in np.lexsort((errors, sizes))
        }
        records += [found[code] for code in sorted(found)]
    return pd.DataFrame(records)


def _area(
    attribute: str,
    group: str,
    confidence: np.ndarray,
    wrong: np.ndarray,
    replicates: int,
    generator: np.random.Generator,
    min_support: int,
) -> dict:
    order = np.lexsort((wrong, -confidence))
    wrong, count = wrong[order].astype(float), len(order)
    _, tie = np.unique(-confidence[order], return_inverse=True)
    once = np.ones((1, count))
    value = float(risk_coverage_areas(once, wrong, tie)[0])
    best = float(risk_coverage_areas(once, np.sort(wrong), np.arange(count))[0])
    size = max(1, CHUNK // count)
    drawn = np.concatenate(
        [
            risk_coverage_areas(
                generator.multinomial(count, np.full(count, 1 / count), size=min(size, replicates - start)), wrong, tie
            )
            for start in range(0, replicates, size)
        ]
    )
    lower, upper = centred_interval(drawn[:, None], np.array([value]))
    return {
        "attribute": attribute,
        "group": group,
        "area": value,
        "lower": max(float(lower[0]), 0.0),
        "upper": float(upper[0]),
        "best": best,
        "excess": value - best,
        "error_rate": float(wrong.mean()),
        "support": count,
        "evidence": SUFFICIENT if count >= min_support else INSUFFICIENT,
    }
