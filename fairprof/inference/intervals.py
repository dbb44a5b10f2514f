"""Intervals of rates, scores and means over resamples."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm, t

from fairprof.inference.levels import CONFIDENCE, check_confidence, check_number
from fairprof.inference.units import person_codes
from fairprof.metrics.fairness import group_labels
from fairprof.metrics.performance import class_names, confusion_table, divide, label_codes, scores_from_counts


def wilson_interval(
    successes: ArrayLike, totals: ArrayLike, confidence: float = CONFIDENCE, design_effect: ArrayLike = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end, in [0, 1], of the score interval of a proportion; NaN where the total is 0.

    With p = successes / totals, n = totals / design_effect (of `design_effects`) and z the normal quantile of
    (1 + confidence) / 2: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). The arrays broadcast. Wilson 1927.
    """
    check_confidence(confidence)
    successes, totals = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(totals, dtype=float))
    if (successes < 0).any() or (successes > totals).any():
        raise ValueError("successes lie outside 0 to totals; give the number of rows that count, of all rows")
    z = norm.ppf((1 + confidence) / 2)
    share = divide(successes, totals)
    shrinkage = divide(z**2 * np.asarray(design_effect, dtype=float), totals)
    centre = (share + shrinkage / 2) / (1 + shrinkage)
    spread = np.sqrt(shrinkage * share * (1 - share) + shrinkage**2 / 4) / (1 + shrinkage)
    # Of 0 and of all rows the ends are 0 and 1 exactly, but for rounding.
    lower = np.where(successes == 0, np.minimum(share, 0), centre - spread)
    upper = np.where(successes == totals, np.maximum(share, 1), centre + spread)
    return lower, upper


def design_effects(
    values: np.ndarray,
    counted: np.ndarray,
    group: np.ndarray,
    groups: int,
    person: np.ndarray | None,
    confidence: float = CONFIDENCE,
) -> np.ndarray:
    """(G, M): by how much the variances of means grow by several images of one person; NaN where nothing is counted.

    values, (N, M): of the images, such as whether they are right. counted, (N, M) bool: which of them a mean is of.
    group, (N,) int in [0, G). person, (N,): whose images they are; 1 without.

    Of a group's n counted images n_i are of person i, and s_i is the sum of their residuals from the mean. Where a
    person's images are wholly alike, it is sum n_i^2 / n, and P = n^2 / sum n_i^2 is the number of persons that counts
    (Kish 1965). It is estimated as [P / (P - 1) sum s_i^2] / [n / (n - 1) sum of squared residuals] (Rao, Scott 1992),
    times the squared ratio of the t quantiles with P - 1 and n - 1 degrees of freedom, as few persons do not show how
    much persons vary (Korn, Graubard 1998); at least 1, and at most as if they were wholly alike. That much it is where
    it cannot be told: of one person, or of values that are all equal.
    """
    check_confidence(confidence)
    if person is None:
        return np.ones((groups, values.shape[1]))
    counted = counted.astype(float)
    images = _sums_of(group, groups, counted)
    mean = divide(_sums_of(group, groups, counted * values), images)
    residual = np.where(counted > 0, values - mean[group], 0)
    code = np.unique(person, return_inverse=True)[1]
    (_, of_unit), unit = np.unique([code, group], axis=1, return_inverse=True)
    own, total = (_sums_of(unit.ravel(), len(of_unit), part) for part in (counted, residual))
    alike = divide(_sums_of(of_unit, groups, own**2), images)
    persons = divide(images, alike)
    between = divide(persons * _sums_of(of_unit, groups, total**2), persons - 1)
    within = divide(images * _sums_of(group, groups, residual**2), images - 1)
    few, many = (t.ppf((1 + confidence) / 2, count - 1) for count in (persons, images))
    found = divide(between, within) * (few / many) ** 2
    return np.where(np.isnan(found), alike, np.clip(found, 1, alike))


def _sums_of(codes: np.ndarray, number: int, values: np.ndarray) -> np.ndarray:
    """(number, M): values (N, M) summed over the rows of each code (N,)."""
    return np.stack([np.bincount(codes, column, minlength=number) for column in values.T], axis=-1)


def design_effect_of(correct: np.ndarray, person: np.ndarray | None, confidence: float = CONFIDENCE) -> float:
    """The design effect of the mean of `correct`, (N,) bool, all in one group: see `design_effects`."""
    column = np.asarray(correct)[:, None]
    everyone = np.zeros(len(column), dtype=int)
    return float(design_effects(column, np.ones(column.shape, dtype=bool), everyone, 1, person, confidence)[0, 0])


def with_intervals(rates: pd.DataFrame, predictions: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """The unweighted table of `rates_by_group` of these predictions with `wilson_interval` as columns lower and upper.

    Where the predictions have a column `person`, each with the `design_effects` of its own images.
    """
    person, effect = person_codes(predictions), np.ones(len(rates))
    if person is not None:
        true, predicted = (
            label_codes(predictions, column)[:, None] == np.arange(len(class_names(predictions)))
            for column in ("y_true", "y_pred")
        )
        counted = {
            "selection_rate": np.ones(true.shape, dtype=bool),
            "true_positive_rate": true,
            "false_positive_rate": ~true,
        }
        for (attribute, rate), rows in rates.groupby(["attribute", "rate"], sort=False).indices.items():
            labels = group_labels(predictions, attribute)
            codes, groups = labels.cat.codes.to_numpy(), len(labels.cat.categories)
            effect[rows] = design_effects(predicted, counted[rate], codes, groups, person, confidence).ravel()
    lower, upper = wilson_interval(rates["numerator"], rates["denominator"], confidence, effect)
    return rates.assign(lower=lower, upper=upper)


def bootstrap_scores(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Accuracy, balanced accuracy and macro-F1 with the one interval that each of them has everywhere.

    Accuracy is a single rate: `wilson_interval`, with the design effect of several images of one person. The others are
    means over classes: a smoothed Bayesian bootstrap of the rows (Rubin 1981), those of one person together where there
    is a column `person`. Resampling alone would take a class of five images, all of them right, for certain. So for the
    lower ends every class gets 1 / sqrt(K) of a wrong row, shared by the wrong classes, and for the upper ends as much
    of a right one: of one class, these are the limits of Clopper and Pearson (1934); over K classes each needs less, as
    errors cancel. A class without rows gets none.

    Columns: metric, value, lower, upper, standard_error (SD of the replicates, nothing added).
    """
    check_number(replicates, "replicates")
    check_confidence(confidence)
    counts, person = confusion_table(predictions).to_numpy(), person_codes(predictions)
    right = (label_codes(predictions, "y_pred") == label_codes(predictions, "y_true")).astype(bool)
    drawn = _resampled_counts(predictions, counts, person, replicates, generator)
    diagonal, occurs = np.eye(len(counts), dtype=bool), (counts.sum(axis=1) > 0)[:, None]
    images = 1.0 if person is None else len(person) / len(np.unique(person))
    added = generator.gamma(1 / np.sqrt(len(counts)), size=(replicates, len(counts), 1)) * images * occurs
    wrong = scores_from_counts(drawn + added * ~diagonal / (len(counts) - 1))
    better = scores_from_counts(drawn + added * diagonal)
    plain, tail = scores_from_counts(drawn), (1 - confidence) / 2
    table = pd.DataFrame(
        {
            "metric": name,
            "value": float(value),
            "lower": min(np.quantile(wrong[name], tail), value),
            "upper": max(np.quantile(better[name], 1 - tail), value),
            "standard_error": plain[name].std(ddof=1),
        }
        for name, value in scores_from_counts(counts).items()
    )
    lower, upper = wilson_interval(right.sum(), len(right), confidence, design_effect_of(right, person, confidence))
    table.loc[table["metric"].eq("accuracy"), ["lower", "upper"]] = float(lower), float(upper)
    return table


def _resampled_counts(
    predictions: pd.DataFrame,
    counts: np.ndarray,
    person: np.ndarray | None,
    replicates: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """(B, K, K): counts of rows, each row, or all of a person, with an exponentially distributed weight."""
    shape = (replicates, *counts.shape)
    if person is None:
        return generator.gamma(np.broadcast_to(counts, shape))
    cell = np.ravel_multi_index((label_codes(predictions, "y_true"), label_codes(predictions, "y_pred")), counts.shape)
    code = np.unique(person, return_inverse=True)[1]
    of_person = np.zeros((code.max() + 1, counts.size))
    np.add.at(of_person, (code, cell), 1)
    # persons in an order that their names do not influence
    of_person = of_person[np.lexsort(of_person.T)]
    return (generator.exponential(size=(replicates, len(of_person))) @ of_person).reshape(shape)


def centred_interval(
    draws: np.ndarray, observed: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end (...) of the centred percentile interval: observed + quantiles of (draws - their mean).

    `draws` are (B, ...), `observed` (...). Gaps of resampled images are biased upward, those of the images by
    chance and once more by resampling, so the draws lie too high and are moved back onto what was observed. Draws in
    which a quantity is undefined are left out; NaN where none or `observed` is defined.
    """
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    centre = over_replicates(lambda values: np.nanmean(values, axis=0), draws)
    lower, upper = (
        observed + over_replicates(partial(np.nanquantile, q=q, axis=0), draws) - centre for q in (tail, 1 - tail)
    )
    return lower, upper


def over_replicates(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """(...): a function, which leaves NaN out, of values (B, ...); NaN where no replicate is defined."""
    columns = values.reshape(len(values), -1)
    some = ~np.isnan(columns).all(axis=0)
    found = np.full(len(some), np.nan)
    found[some] = function(columns[:, some])
    return found.reshape(values.shape[1:])
