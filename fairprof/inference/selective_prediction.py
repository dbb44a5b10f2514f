"""Selective prediction with intervals, floors and tests: accuracy, coverage and gaps of what is kept, by group.

Refusing can widen gaps between groups, and refuse one group more than another (Jones, Sagawa, Koh, Kumar, Liang 2021,
arXiv:2010.14134). Fewer images make larger gaps by chance alone, so every gap has the noise floor of its own coverage.
And a gap falls as cells run out of images, whoever is served how: it ends where one of the cells that it compares has
too few.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact, t

from fairprof.inference.cell_tests import own_variances
from fairprof.inference.intervals import centred_interval, design_effect_of, design_effects, wilson_interval
from fairprof.inference.levels import ALPHA, TIE, check_number
from fairprof.inference.multiplicity import benjamini_hochberg
from fairprof.inference.permutation import gap_tests
from fairprof.inference.units import in_order, patterns_of, permuted_tables, person_codes, units_of
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
    confidence), images (kept), accuracy, lower and upper (Wilson's, with the design effect of several images of one
    person), macro_f1 (as in `performance.scores_from_counts`) and p_value (of `kept_against_refused`). Higher accuracy
    and macro-F1 are better.
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
                "p_value": kept_against_refused(right, kept, person),
            }
        )
    return pd.DataFrame(records)


def kept_against_refused(right: np.ndarray, kept: np.ndarray, person: np.ndarray | None) -> float:
    """Two-sided p-value of whether what is kept is right as often as what is refused; NaN where nothing is refused.

    right, kept: (N,) bool. Without persons Fisher's exact test. With person, (N,), the score test that holds however
    alike a person's images are (Liang, Zeger 1986): with u the sum over a person's images of (kept - its mean) (right -
    its mean), the sum of u by the root of that of u^2, corrected by P / (P - 1), against Student's t with P - 1 degrees
    of freedom, P being the number of persons. 1 where nothing varies between persons, as with one person alone.
    """
    if kept.all():
        return np.nan
    if person is None:
        table = [[(right & part).sum(), (~right & part).sum()] for part in (kept, ~kept)]
        return float(fisher_exact(table).pvalue)
    code = np.unique(person, return_inverse=True)[1]
    of_person = np.bincount(code, (kept - kept.mean()) * (right - right.mean()))
    persons = len(of_person)
    if persons == 1 or np.abs(of_person).max() <= TIE:
        return 1.0
    statistic = of_person.sum() / np.sqrt(persons / (persons - 1) * (of_person**2).sum())
    return float(2 * t.sf(abs(statistic), persons - 1))


def selective_by_group(
    predictions: pd.DataFrame,
    coverages: Sequence[float] = COVERAGES,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """Each group's accuracy among its predictions that are kept, and how many of it are, at thresholds common to all.

    Columns: coverage, attribute, group, group_coverage (share of the group that is kept), coverage_lower and
    coverage_upper, accuracy, lower and upper (both intervals are Wilson's, with the `design_effects` of several images
    of one person), images (of the group that are kept), support (of the group) and evidence of the accuracy:
    "undefined" where none is kept, "insufficient_evidence" under `min_support`.
    """
    confidence, person = confidence_of(predictions), person_codes(predictions)
    right = label_codes(predictions, "y_pred") == label_codes(predictions, "y_true")
    everyone = np.ones(len(predictions), dtype=bool)
    tables = []
    for attribute in attributes:
        labels = group_labels(predictions, attribute)
        groups, codes = list(labels.cat.categories), labels.cat.codes.to_numpy()
        counts_of = _counts_of_groups(predictions, attribute)
        support = counts_of(everyone).sum(axis=(-2, -1))
        for coverage in coverages:
            kept = accepted(confidence, coverage)
            counts = counts_of(kept)
            images, hits = counts.sum(axis=(-2, -1)), np.trace(counts, axis1=-2, axis2=-1)
            values, counted = np.column_stack([right, kept]), np.column_stack([kept, everyone])
            effects = design_effects(values, counted, codes, len(groups), person)
            lower, upper = wilson_interval(hits, images, design_effect=effects[:, 0])
            coverage_lower, coverage_upper = wilson_interval(images, support, design_effect=effects[:, 1])
            tables.append(
                pd.DataFrame(
                    {
                        "coverage": coverage,
                        "attribute": attribute,
                        "group": groups,
                        "group_coverage": divide(images, support),
                        "coverage_lower": coverage_lower,
                        "coverage_upper": coverage_upper,
                        "accuracy": divide(hits, images),
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
    is kept, groups permuted among all rows: whether one group is refused more often). Range [0, 1], ideal 0. Images of
    one person keep together.

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
    labels, person = group_labels(predictions, attribute), person_codes(predictions)
    codes, groups = labels.cat.codes.to_numpy(), len(labels.cat.categories)
    right = label_codes(predictions, "y_pred") == label_codes(predictions, "y_true")
    records = []
    for metric, hit, counted in (
        (ACCURACY_DIFFERENCE, right, kept),
        (COVERAGE_DIFFERENCE, kept, np.ones(len(kept), dtype=bool)),
    ):
        totals = np.bincount(codes[counted], minlength=groups)
        units = rate_units(hit[counted], codes[counted], groups, None if person is None else person[counted])
        records.append(
            {
                "attribute": attribute,
                "metric": metric,
                **rate_gap(units, permutations, generator),
                "undefined_cells": int((totals == 0).sum()),
                "insufficient_cells": int(((totals > 0) & (totals < min_support)).sum()),
            }
        )
    return pd.DataFrame(records)


class RateUnits(NamedTuple):
    """What is permuted between G groups: units of U kinds, which are images or all images of a person in one group.

    members: (G, U) int, how many units of each kind a group has. tables: (U, 2) int, how many hits and misses a unit of
    the kind has. several: whether units are persons.
    """

    members: np.ndarray
    tables: np.ndarray
    several: bool


def rate_units(hit: np.ndarray, group: np.ndarray, groups: int, person: np.ndarray | None) -> RateUnits:
    """Of images with hit (N,) bool, codes of groups (N,) and, where one may have several, persons (N,)."""
    if person is None or len(np.unique(person)) == len(person):
        members = np.stack([np.bincount(group[part], minlength=groups) for part in (hit, ~hit)], axis=1)
        return RateUnits(members, np.eye(2, dtype=int), False)
    patterns = patterns_of(np.zeros(len(hit), dtype=int), (~hit).astype(int)[None], 2)
    units = units_of(patterns, group, person, groups)
    return RateUnits(units.members, units.tables[:, 0, 0], True)


def rate_gap(units: RateUnits, permutations: int, generator: np.random.Generator) -> dict[str, float]:
    """The gap max - min of the groups' rates, hits / images, against permuting the groups of the units.

    Returns value, null_mean, null_q95, excess and p_value; NaN where fewer than two groups have images. The p-value
    is that of the largest contrast between a group and the rest in units of its standard deviation under permutation:
    a group of a few images does not set it, as it sets the gap. Of persons, who may have more images in one group than
    in another, every contrast is taken by its own standard error (Janssen 1997; Chung, Romano 2013).
    """
    members = units.members[units.members.sum(axis=1) > 0]
    if len(members) < 2:
        return dict.fromkeys(("value", "null_mean", "null_q95", "excess", "p_value"), np.nan)
    hits, misses = (members @ units.tables).T
    members = members[np.lexsort((*members.T, hits, hits + misses))]
    value = float(np.ptp(_rates(members, units)))
    drawn = permuted_tables(members.sum(axis=1), members.sum(axis=0), permutations, generator)
    null = np.ptp(_rates(drawn, units), axis=1)
    statistic, null_statistic = _largest_contrast(members, units), _largest_contrast(drawn, units)
    return {
        "value": value,
        "null_mean": float(null.mean()),
        "null_q95": float(np.quantile(null, 0.95)),
        "excess": value - float(null.mean()),
        "p_value": float((1 + (null_statistic >= statistic - TIE).sum()) / (permutations + 1)),
    }


def _rates(members: np.ndarray, units: RateUnits) -> np.ndarray:
    """(..., G) of members (..., G, U)."""
    hits, misses = np.moveaxis(members @ units.tables, -1, 0)
    return hits / (hits + misses)


def _largest_contrast(members: np.ndarray, units: RateUnits) -> np.ndarray:
    """(...): over the groups, |hits - expected hits| of members (..., G, U) by its standard deviation.

    Of images, whose number in a group does not vary, the hypergeometric one but for a factor. Of persons, with e the
    hits of a unit minus those expected of its images, the root of `own_variances`.
    """
    tables, images = units.tables, units.tables.sum(axis=1)
    everyone = members.sum(axis=-2, keepdims=True)
    rate = (everyone @ tables[:, 0] / (everyone @ images)).ravel()[0]  # the same after every permutation
    residual = tables[:, 0] - rate * images
    share = members @ images / (everyone @ images)
    if units.several:
        variance = own_variances((members @ residual**2)[..., None], share[..., None])[..., 0]
    else:
        variance = share * (1 - share)
    return np.nan_to_num(divide(np.abs(members @ residual), np.sqrt(variance))).max(axis=-1)


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

    Columns: attribute, group, area, lower, upper (centred 95 % bootstrap interval; images of one person are resampled
    together), best, excess, error_rate, support and evidence.
    """
    check_number(replicates, "replicates")
    confidence = confidence_of(predictions)
    wrong = label_codes(predictions, "y_pred") != label_codes(predictions, "y_true")
    person = person_codes(predictions)
    person = np.arange(len(wrong)) if person is None else person
    records = [_area("all", "all", confidence, wrong, person, replicates, generator, 1)]
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
                person[codes == code],
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
    person: np.ndarray,
    replicates: int,
    generator: np.random.Generator,
    min_support: int,
) -> dict:
    order, unit = in_order([-confidence, wrong], person)
    units = unit.max() + 1
    wrong, count = wrong[order].astype(float), len(order)
    _, tie = np.unique(-confidence[order], return_inverse=True)
    once = np.ones((1, count))
    value = float(risk_coverage_areas(once, wrong, tie)[0])
    best = float(risk_coverage_areas(once, np.sort(wrong), np.arange(count))[0])
    size = max(1, CHUNK // count)
    drawn = np.concatenate(
        [
            risk_coverage_areas(
                generator.multinomial(units, np.full(units, 1 / units), size=min(size, replicates - start))[:, unit],
                wrong,
                tie,
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
