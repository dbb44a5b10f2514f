"""Calibration by group, with intervals, floors and tests.

The expected calibration error is biased upward, the more so the fewer images there are. So groups are compared at the
same number of images, drawn from each of them many times, and every error stands beside what a perfectly calibrated
classifier with the same confidences would show at that number.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from fairprof.inference.intervals import centred_interval
from fairprof.inference.levels import TIE, check_number
from fairprof.metrics.calibration import ALL, ERROR, TopLabel, bins_for, calibration_errors, top_label
from fairprof.metrics.fairness import ATTRIBUTES, INSUFFICIENT, MIN_SUPPORT, SUFFICIENT, group_labels
from fairprof.metrics.performance import class_probabilities, divide, label_codes

MOST_WINDOWS = 16  # samples of a group that are taken of each of its random orders; fewer where these cover it
CHUNK = 2**21  # numbers at once: bounds the memory


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


def calibration_gaps(
    predictions: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """The largest difference of the calibration error between groups, at the same number of images in each.

    Groups under `min_support` are left out and counted. The null hypothesis is that confidence and correctness do not
    depend on the group: groups are permuted among the rows, and treated in the same way. The error of a group is here
    the mean over samples that cover it once, observed and permuted alike, so that the test keeps its level.

    Columns: attribute, value, highest_group, lowest_group, null_mean, null_q95, excess, p_value, images, groups (that
    are compared) and insufficient_groups. NaN where fewer than two groups can be compared.
    """
    check_number(permutations, "permutations")
    sorted_rows, order = top_label(predictions)
    records = []
    for attribute in attributes:
        groups = group_labels(predictions, attribute)
        codes = groups.cat.codes.to_numpy()[order]
        sizes = np.bincount(codes, minlength=len(groups.cat.categories))
        compared = np.flatnonzero(sizes >= min_support)
        record = {"attribute": attribute, "groups": len(compared), "insufficient_groups": len(sizes) - len(compared)}
        if len(compared) >= 2:
            record |= _tested_gap(sorted_rows, codes, compared, sizes, permutations, generator)
            for end in ("highest_group", "lowest_group"):
                record[end] = groups.cat.categories[record[end]]
        records.append(record)
    columns = ["attribute", "value", "highest_group", "lowest_group", "null_mean", "null_q95", "excess", "p_value"]
    return pd.DataFrame(records, columns=[*columns, "images", "groups", "insufficient_groups"])


def _tested_gap(
    rows: TopLabel,
    codes: np.ndarray,
    compared: np.ndarray,
    sizes: np.ndarray,
    permutations: int,
    generator: np.random.Generator,
) -> dict[str, float]:
    images = int(sizes[compared].min())
    bins = bins_for(images)
    mean = _mean_by(codes, rows.confidence, sizes)
    turns = compared[np.lexsort((mean[compared], sizes[compared]))]
    of_group = {}
    for code in turns:
        own = rows.of(np.flatnonzero(codes == code))
        of_group[code] = _mean_errors(own, _orders(1, sizes[code], images, generator), images, bins).item()
    everyone = rows.of(np.flatnonzero(np.isin(codes, compared)))
    borders = np.concatenate([[0], sizes[turns].cumsum()])
    null = np.concatenate(
        [
            _gaps_of_random_groups(everyone, borders, images, bins, _orders(count, borders[-1], images, generator))
            for count in _chunks(permutations, borders[-1])
        ]
    )
    value = max(of_group.values()) - min(of_group.values())
    return {
        "value": value,
        "highest_group": max(of_group, key=of_group.__getitem__),
        "lowest_group": min(of_group, key=of_group.__getitem__),
        "null_mean": null.mean(),
        "null_q95": np.quantile(null, 0.95),
        "excess": value - null.mean(),
        "p_value": (1 + (null >= value - TIE).sum()) / (len(null) + 1),
        "images": images,
    }


def _gaps_of_random_groups(
    rows: TopLabel, borders: np.ndarray, images: int, bins: int, order: np.ndarray
) -> np.ndarray:
    """(B,): the gap between random groups of the same sizes; borders: where in an order (B, N) each begins and ends."""
    errors = [
        _mean_errors(rows, order[:, start:end], images, bins)
        for start, end in zip(borders[:-1], borders[1:], strict=True)
    ]
    return np.ptp(errors, axis=0)
