"""Calibration by group, with intervals, floors and tests.

The expected calibration error is biased upward, the more so the fewer images there are. So the groups' errors are taken
at the same number of images, drawn from each of them many times, and every error stands beside what a perfectly
calibrated classifier with the same confidences would show at that number.

It also depends on how confident a classifier is, calibrated or not: of calibrated groups, the one with confidences
around one half has the larger error. So no difference of these errors is tested, but that of confidence minus accuracy,
which is zero in expectation for every calibrated group, whatever its confidences.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit
from scipy.stats import rankdata

from fairprof.inference.intervals import centred_interval, design_effects, wilson_interval
from fairprof.inference.levels import ALPHA, TIE, check_number
from fairprof.inference.multiplicity import CONFIRMATORY_ATTRIBUTES, adjusted_in_families
from fairprof.inference.units import person_codes
from fairprof.inference.verdicts import ESTABLISHED, NOT_ESTABLISHED
from fairprof.metrics.calibration import ALL, ERROR, TopLabel, bins_for, calibration_errors, top_label
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    INSUFFICIENT,
    MIN_SUPPORT,
    SUFFICIENT,
    UNDEFINED,
    group_labels,
)
from fairprof.metrics.performance import class_probabilities, divide, label_codes, reliability_table
from fairprof.metrics.selective import confidence_of

MOST_WINDOWS = 16  # samples of a group that are taken of each of its random orders; fewer where these cover it
CHUNK = 2**21  # numbers at once: bounds the memory
OVERCONFIDENCE, SLOPE = "overconfidence", "overconfidence_slope"
SMALLEST_CHANCE, LARGEST_SHIFT = 1e-6, 40.0  # of being right, and of a logit
PRIOR_SD = 2.0  # of scale and shift of a recalibration


def calibration_table(
    predictions: pd.DataFrame,
    replicates: int,
    generator: np.random.Generator,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """Calibration of all rows (attribute and group "all") and of every group, a row per group and metric.

    - calibration_error: top-label expected calibration error in equal-mass bins. Of the groups of an attribute it is
      taken at the same number of images, that of the smallest group with at least `min_support`: the mean over samples
      of so many images, without replacement. Range [0, 1], ideal 0.
    - log_loss, brier_score: as in `performance.performance`, over all rows of the group. Ideal 0.
    - overconfidence: mean confidence minus accuracy, over all rows of the group. Range [-1, 1], ideal 0.

    Columns: attribute, group, metric, value, lower and upper (centred 95 % bootstrap interval), null_q95 and p_value
    (of the calibration error: the 95 % quantile of what the same confidences give where every prediction is right with
    its confidence as the probability, and how often that is as much; Broecker, Smith 2007), images (behind the value),
    bins, support (rows of the group) and evidence. A group under `min_support` has no calibration error: it cannot be
    had at the others' number.
    """
    check_number(replicates, "replicates")
    attributes = list(attributes)
    sorted_rows, order = top_label(predictions)
    losses = _losses(predictions)[order]
    everyone = _rows_of_group(sorted_rows, losses, ALL, ALL, len(order), replicates, generator, 1)
    tables = [everyone.assign(place=0)]
    for attribute in attributes:
        groups = group_labels(predictions, attribute)
        codes = groups.cat.codes.to_numpy()[order]
        sizes = np.bincount(codes, minlength=len(groups.cat.categories))
        enough = sizes[sizes >= min_support]
        images = int(enough.min()) if len(enough) else 0
        # groups take their turns in an order that their names do not influence
        for code in np.lexsort((_mean_by(codes, losses[:, 0], sizes), sizes)):
            rows = np.flatnonzero(codes == code)
            tables.append(
                _rows_of_group(
                    sorted_rows.of(rows),
                    losses[rows],
                    attribute,
                    groups.cat.categories[code],
                    images,
                    replicates,
                    generator,
                    min_support,
                ).assign(place=code)
            )
    table = pd.concat(tables, ignore_index=True)
    table["attribute"] = pd.Categorical(table["attribute"], [ALL, *attributes])
    ordered = table.sort_values(["attribute", "place"], kind="stable", ignore_index=True)
    return ordered.drop(columns="place").astype({"attribute": str})


def _mean_by(codes: np.ndarray, values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return divide(np.bincount(codes, values, minlength=len(sizes)), sizes)


def _losses(predictions: pd.DataFrame) -> np.ndarray:
    """(N, 3): -ln p(true class), Brier score, and confidence minus whether it is right, of every row."""
    probabilities, true = class_probabilities(predictions), label_codes(predictions, "y_true")
    predicted = label_codes(predictions, "y_pred")
    rows = np.arange(len(true))
    truth = np.eye(probabilities.shape[1])[true]
    return np.column_stack(
        [
            -np.log(np.maximum(probabilities[rows, true], np.finfo(float).eps)),
            ((truth - probabilities) ** 2).sum(axis=1),
            probabilities[rows, predicted] - (predicted == true),
        ]
    )


def _rows_of_group(
    rows: TopLabel,
    losses: np.ndarray,
    attribute: str,
    group: str,
    images: int,
    replicates: int,
    generator: np.random.Generator,
    min_support: int,
) -> pd.DataFrame:
    support = len(rows.confidence)
    means = np.concatenate(
        [
            generator.multinomial(support, np.full(support, 1 / support), size=count) @ losses / support
            for count in _chunks(replicates, support)
        ]
    )
    value = losses.mean(axis=0)
    lower, upper = centred_interval(means, value)
    enough = support >= min_support
    bins = bins_for(images)
    error = _error_of_group(rows, images, bins, replicates, generator) if enough else dict.fromkeys(ERROR_FIGURES)
    figures = pd.DataFrame(
        [
            {"metric": ERROR, **error, "images": images if enough else 0, "bins": bins},
            *(
                {"metric": name, "value": value[n], "lower": lower[n], "upper": upper[n], "images": support, "bins": 0}
                for n, name in enumerate(("log_loss", "brier_score", "overconfidence"))
            ),
        ]
    ).astype({name: float for name in ERROR_FIGURES})
    figures.insert(0, "attribute", attribute)
    figures.insert(1, "group", group)
    return figures.assign(support=support, evidence=SUFFICIENT if enough else INSUFFICIENT)


ERROR_FIGURES = ("value", "lower", "upper", "null_q95", "p_value")


def _error_of_group(
    rows: TopLabel, images: int, bins: int, replicates: int, generator: np.random.Generator
) -> dict[str, float]:
    support = len(rows.confidence)
    samples, resamples, calibrated = [], [], []
    for count in _chunks(replicates, support):
        order = _orders(count, support, images, generator)
        samples.append(_mean_errors(rows, order, images, bins))
        right = generator.random((count, support)) < rows.confidence
        calibrated.append(_mean_errors(rows, order, images, bins, right))
        resamples.append(_mean_errors(rows, generator.integers(support, size=(count, support)), images, bins))
    value = float(np.concatenate(samples).mean())
    null = np.concatenate(calibrated)
    lower, upper = centred_interval(np.concatenate(resamples)[:, None], np.array([value]))
    return {
        "value": value,
        "lower": max(float(lower[0]), 0.0),
        "upper": float(upper[0]),
        "null_q95": float(np.quantile(null, 0.95)),
        "p_value": float((1 + (null >= value - TIE).sum()) / (len(null) + 1)),
    }


def _orders(count: int, rows: int, images: int, generator: np.random.Generator) -> np.ndarray:
    """(count, rows): random orders of row numbers; the order as it is where all rows are taken anyway."""
    if images == rows:
        return np.broadcast_to(np.arange(rows), (count, rows))
    return generator.permuted(np.tile(np.arange(rows), (count, 1)), axis=1)


def _mean_errors(
    rows: TopLabel, order: np.ndarray, images: int, bins: int, right: np.ndarray | None = None
) -> np.ndarray:
    """(B,): the calibration error of so many images, the mean over windows of random orders of row numbers (B, n).

    Windows wrap around and cover all rows alike. right: (B, N) bool by row number, instead of the rows' own.
    """
    length = order.shape[1]
    windows = min(-(-length // images), MOST_WINDOWS)
    errors = []
    for start in np.arange(windows) * length // windows:
        chosen = np.sort(order[:, (start + np.arange(images)) % length], axis=1)
        confidence, correct, tie = rows.of(chosen)
        correct = correct if right is None else np.take_along_axis(right, chosen, axis=1)
        errors.append(calibration_errors(confidence, correct, tie, bins))
    return np.mean(errors, axis=0)


def _chunks(total: int, width: int) -> Iterator[int]:
    """How many of `total` samples to take at once, so that each time there are at most CHUNK numbers."""
    size = max(1, CHUNK // max(width, 1))
    for start in range(0, total, size):
        yield min(size, total - start)


def reliability_with_intervals(predictions: pd.DataFrame, bins: int) -> pd.DataFrame:
    """`performance.reliability_table` of these predictions, with lower and upper ends of the accuracy of each bin.

    They are Wilson's, with the `design_effects` of several images of one person.
    """
    table = reliability_table(predictions, bins)
    order = np.argsort(confidence_of(predictions), kind="stable")  # bins follow each other by rising confidence
    bin_of_row = np.repeat(table["bin"].to_numpy(), table["count"].to_numpy())
    person = person_codes(predictions.iloc[order])
    right = (label_codes(predictions, "y_pred") == label_codes(predictions, "y_true"))[order, None]
    effect = design_effects(right, np.ones(right.shape, dtype=bool), bin_of_row, len(table), person)[:, 0]
    hits = np.bincount(bin_of_row, right[:, 0], minlength=len(table))
    lower, upper = wilson_interval(hits, table["count"], design_effect=effect)
    return table.assign(lower=lower, upper=upper)


def calibration_gaps(
    predictions: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ATTRIBUTES,
    confirmatory_attributes: Collection[str] = CONFIRMATORY_ATTRIBUTES,
) -> pd.DataFrame:
    """Whether confidence exceeds accuracy by more in one group than in another; groups under `min_support` left out.

    value: max - min over the groups of overconfidence, which is mean confidence minus accuracy. Range [0, 2], ideal 0.

    The test is of two things at once: overconfidence, and its slope, which is the mean of confidence minus correctness
    times the standardised rank of the confidence within the group (overconfident where sure, underconfident where not).
    Its statistic is the largest |t| of all contrasts between a group and the rest. The null hypothesis is that both are
    equal in all groups, at 0 or elsewhere: `permutations` times, correctness is drawn within each group from its own
    confidences, recalibrated alike for all groups (Platt 1999), and with their logits shifted so that the group has the
    overconfidence of all compared images (Broecker, Smith 2007, with a common miscalibration). So groups may differ in
    confidence and in accuracy. Where the table has a column `person`, variances grow by the design effect of several
    images of one person (Kish 1965).

    Columns: attribute, value, highest_group, lowest_group, null_mean, null_q95 (of the value), excess, p_value, family
    (confirmatory: by those attributes, Holm; exploratory: by others, Benjamini-Hochberg), p_adjusted, verdict
    (established, not_established, undefined), differs (the group of the largest contrast), differs_in (overconfidence
    or overconfidence_slope), images (of the compared groups), groups (that are compared) and insufficient_groups. NaN
    where fewer than two groups can be compared.
    """
    check_number(permutations, "permutations")
    sorted_rows, order = top_label(predictions)
    person = person_codes(predictions.iloc[order])
    records = []
    for attribute in attributes:
        groups = group_labels(predictions, attribute)
        codes = groups.cat.codes.to_numpy()[order]
        sizes = np.bincount(codes, minlength=len(groups.cat.categories))
        compared = np.flatnonzero(sizes >= min_support)
        record: dict[str, Any] = {
            "attribute": attribute,
            "groups": len(compared),
            "insufficient_groups": len(sizes) - len(compared),
        }
        if len(compared) >= 2:
            # groups take their turns in an order that their names do not influence
            turns = compared[np.lexsort((_mean_by(codes, sorted_rows.confidence, sizes)[compared], sizes[compared]))]
            rows = [np.flatnonzero(codes == code) for code in turns]
            record |= _tested_overconfidence(sorted_rows, rows, person, permutations, generator)
            for column in ("highest_group", "lowest_group", "differs"):
                record[column] = groups.cat.categories[turns[record[column]]]
        records.append(record)
    columns = ["attribute", "value", "highest_group", "lowest_group", "null_mean", "null_q95", "excess", "p_value"]
    table = pd.DataFrame(
        records, columns=[*columns, "differs", "differs_in", "images", "groups", "insufficient_groups"]
    )
    table = adjusted_in_families(table, table["attribute"].isin(confirmatory_attributes).to_numpy())
    verdict = np.select(
        [table["p_value"].isna(), table["p_adjusted"] <= ALPHA], [UNDEFINED, ESTABLISHED], NOT_ESTABLISHED
    )
    last = ["differs", "differs_in", "images", "groups", "insufficient_groups"]
    return table.assign(verdict=verdict)[[*columns, "family", "p_adjusted", "verdict", *last]]


class _Group(NamedTuple):
    """A group under the null hypothesis. measures: (n, M), 1 and the standardised rank of the confidence; excess: (n,),
    confidence minus correctness; probability: (n,), of being right."""

    measures: np.ndarray
    excess: np.ndarray
    probability: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """(M,): overconfidence and its slope."""
        return self.excess @ self.measures / len(self.excess)

    @property
    def variances(self) -> np.ndarray:
        """(M,): of the means under the null hypothesis."""
        return (self.probability * (1 - self.probability)) @ self.measures**2 / len(self.excess) ** 2

    def drawn(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """(count, M): means about their expectation, correctness drawn."""
        right = generator.random((count, len(self.excess))) < self.probability
        return (self.probability - right) @ self.measures / len(self.excess)


def _tested_overconfidence(
    rows: TopLabel, groups: list[np.ndarray], person: np.ndarray | None, draws: int, generator: np.random.Generator
) -> dict[str, Any]:
    """The largest difference between groups, each the numbers of its rows, and its test; groups by their place."""
    everyone = np.concatenate(groups)
    common = float((rows.confidence - rows.correct)[everyone].mean())
    scale, shift = _recalibration(rows.of(np.sort(everyone)))
    recalibrated = scale * _logits(rows.confidence) + shift
    made = [_under_the_null(rows.of(own), recalibrated[own], common) for own in groups]
    if any(len(np.unique(rows.tie[own])) == 1 for own in groups):
        made = [group._replace(measures=group.measures[:, :1]) for group in made]  # there is no slope to compare
    sizes = np.array([len(own) for own in groups], dtype=float)[:, None]
    observed = np.stack([group.means for group in made])
    drawn = np.concatenate(
        [
            np.stack([group.drawn(count, generator) for group in made], axis=1)
            for count in _chunks(draws, int(sizes.max()))
        ]
    )
    if person is not None:
        inflation = np.sqrt(_design_effects(made, common, person[everyone]))
        drawn = drawn * inflation
    error = _contrast_errors(np.stack([group.variances for group in made]), sizes)
    statistic = np.abs(_contrasts(observed, sizes)) / error
    null = (np.abs(_contrasts(drawn, sizes)) / error).max(axis=(1, 2))
    differs, measure = np.unravel_index(statistic.argmax(), statistic.shape)
    value, gaps = float(np.ptp(observed[:, 0])), np.ptp(drawn[:, :, 0], axis=1)
    return {
        "value": value,
        "highest_group": observed[:, 0].argmax(),
        "lowest_group": observed[:, 0].argmin(),
        "null_mean": gaps.mean(),
        "null_q95": np.quantile(gaps, 0.95),
        "excess": value - gaps.mean(),
        "p_value": (1 + (null >= statistic.max() - TIE).sum()) / (draws + 1),
        "differs": differs,
        "differs_in": (OVERCONFIDENCE, SLOPE)[measure],
        "images": len(everyone),
    }


def _logits(confidence: np.ndarray) -> np.ndarray:
    return logit(np.clip(confidence, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE))


def _recalibration(rows: TopLabel) -> np.ndarray:
    """(2,): scale and shift of the logits of confidence under which the rows' correctness is likeliest (Platt 1999).

    With a normal prior of SD `PRIOR_SD` about the confidences as they are, since rows may all be right.
    """
    logits, sign = _logits(rows.confidence), 2 * rows.correct - 1

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, shift = parameters
        wrong = expit(-sign * (scale * logits + shift))
        prior = (parameters - (1, 0)) / PRIOR_SD**2
        slopes = -np.array([(wrong * sign) @ logits, (wrong * sign).sum()])
        return -np.log1p(-wrong).sum() + PRIOR_SD**2 * (prior @ prior) / 2, slopes + prior

    return minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x


def _under_the_null(rows: TopLabel, logits: np.ndarray, common: float) -> _Group:
    """A group whose recalibrated logits are shifted so that its overconfidence is the common one, as far as rates
    allow."""
    count = len(rows.confidence)
    rank = rankdata(rows.tie) - (count + 1) / 2
    spread = np.sqrt((rank**2).mean())
    least = 1 / (2 * count)  # an accuracy of 0 or 1 would leave nothing to chance
    accuracy = np.clip(rows.confidence.mean() - common, least, 1 - least)
    largest = LARGEST_SHIFT + np.abs(logits).max()
    shift = brentq(lambda shift: expit(logits + shift).mean() - accuracy, -largest, largest)
    return _Group(
        np.column_stack([np.ones(count), divide(rank, spread)]),
        rows.confidence - rows.correct,
        expit(logits + shift),
    )


def _design_effects(groups: list[_Group], common: float, person: np.ndarray) -> np.ndarray:
    """(M,): by how much the images of one person, alike as they are, multiply the variances; at least 1."""
    residuals = np.concatenate([(group.excess - common)[:, None] * group.measures for group in groups])
    code = np.unique(person, return_inverse=True)[1]
    totals = np.stack([np.bincount(code, column) for column in residuals.T])
    return np.maximum(divide((totals**2).sum(axis=1), (residuals**2).sum(axis=0)), 1)


def _contrasts(means: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(..., G, M): each group's mean minus that of all other images."""
    totals = sizes * means
    return means - (totals.sum(axis=-2, keepdims=True) - totals) / (sizes.sum() - sizes)


def _contrast_errors(variances: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(G, M): standard errors of `_contrasts` of means with these variances."""
    totals = sizes**2 * variances
    return np.sqrt(variances + (totals.sum(axis=0) - totals) / (sizes.sum() - sizes) ** 2)
