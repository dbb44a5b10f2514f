"""Means of what every image has a number of (attention, faithfulness), by model and group, against chance.

Everything is computed on arrays: a resample of the images is a row of weights, a permutation of the groups a row of
codes, the same for all models and quantities. Images are taken in the order of their names, so that neither the order
of the rows nor the names of the groups changes any number.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from fairprof.inference.levels import CONFIDENCE, check_confidence, check_number
from fairprof.metrics.fairness import ATTRIBUTES, INSUFFICIENT, SUFFICIENT, UNDEFINED, group_labels
from fairprof.metrics.performance import divide

CHUNK = 2**23  # numbers held at a time
ALL = "all"


class ImageValues(NamedTuple):
    """Models' numbers of the same images. values: (D, N, M) float, NaN where undefined. models, names: of D and M.

    groups: attribute to (N,) codes and the groups' names. strata: (N,) int, the true class. persons: (N,) int, who is
    pictured; where nobody is named every image counts as a person of its own.
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    groups: dict[str, tuple[np.ndarray, list[str]]]
    strata: np.ndarray
    persons: np.ndarray


def image_values(rows: pd.DataFrame, values: dict[str, np.ndarray], names: tuple[str, ...]) -> ImageValues:
    """rows: image, gender, race, y_true of N images, each once, and `person` where it is known. values: model to
    (N, M), the columns being `names`."""
    order = np.argsort(rows["image"].to_numpy(dtype=str), kind="stable")
    rows = rows.iloc[order].reset_index(drop=True)
    groups = {}
    for attribute in ATTRIBUTES:
        labels = group_labels(rows, attribute)
        groups[attribute] = (labels.cat.codes.to_numpy(int), list(labels.cat.categories))
    strata = np.unique(rows["y_true"].to_numpy(dtype=str), return_inverse=True)[1]
    stacked = np.stack([np.asarray(of_model, dtype=float)[order] for of_model in values.values()])
    return ImageValues(tuple(values), tuple(names), stacked, groups, strata, persons_of(rows))


def persons_of(rows: pd.DataFrame) -> np.ndarray:
    """(N,) int, the same for images of one person: by the column `person`, where it is filled, else each its own."""
    named = rows["person"].astype("string").fillna("") if "person" in rows else pd.Series("", index=rows.index)
    alone = named.eq("").to_numpy()
    keys = np.where(alone, [f"image {number}" for number in range(len(rows))], "person " + named.to_numpy(dtype=object))
    return pd.factorize(keys)[0]


def resampled_weights(
    images: int, replicates: int, generator: np.random.Generator, persons: np.ndarray | None = None
) -> np.ndarray:
    """(B, N) float: how often each of N images occurs in each of B resamples with replacement; of persons (N,) int, as
    `persons_of` gives them, with all their images."""
    check_number(replicates, "replicates")
    persons = np.arange(images) if persons is None else persons
    count = persons.max() + 1
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=replicates)
    return drawn[:, persons].astype(float)


class _Moments(NamedTuple):
    """Of weighted images, each (..., G, M): number of those defined, mean, and the mean's standard error."""

    defined: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray


def moments(weights: np.ndarray, values: np.ndarray) -> _Moments:
    """weights: (..., G, N). values: (N, M), NaN where undefined."""
    defined = (~np.isnan(values)).astype(float)
    filled = np.nan_to_num(values)
    count, total, squares = weights @ defined, weights @ filled, weights @ filled**2
    mean = divide(total, count)
    variance = np.maximum(divide(squares, count) - mean**2, 0)
    return _Moments(count, mean, np.sqrt(divide(variance, count - 1)))


def indicator(codes: np.ndarray, groups: int) -> np.ndarray:
    """(..., G, N) float: 1 where the image belongs to the group."""
    return (codes[..., None, :] == np.arange(groups)[:, None]).astype(float)


def by_group(
    found: ImageValues,
    weights: np.ndarray,
    min_support: int,
    attributes: tuple[str, ...] = ATTRIBUTES,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """The mean of every measure of every group, and of all images, with percentile intervals of the bootstrap.

    weights: of `resampled_weights`. Columns: model, attribute ("all" for all images), group, measure, value, lower,
    upper, images (with a defined value), undefined (images without), evidence ("undefined", "insufficient_evidence"
    under `min_support` images, else "sufficient").
    """
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    everything = {ALL: (np.zeros(len(found.strata), int), [ALL])} | {name: found.groups[name] for name in attributes}
    tables = []
    for attribute, (codes, groups) in everything.items():
        members = indicator(codes, len(groups))
        for model, values in zip(found.models, found.values, strict=True):
            observed = moments(members, values)
            drawn = np.concatenate([moments(some[:, None] * members, values).mean for some in chunked(weights)])
            lower, upper = (_quantile(drawn, q) for q in (tail, 1 - tail))
            support = observed.defined.astype(int)
            total = members.sum(axis=1).astype(int)[:, None]
            evidence = np.where(support == 0, UNDEFINED, np.where(support < min_support, INSUFFICIENT, SUFFICIENT))
            tables.append(
                long_table(
                    {"model": model, "attribute": attribute},
                    groups,
                    found.names,
                    value=observed.mean,
                    lower=lower,
                    upper=upper,
                    images=support,
                    undefined=total - support,
                    evidence=evidence,
                )
            )
    return pd.concat(tables, ignore_index=True)


def long_table(
    constants: dict[str, str], groups: list[str], names: tuple[str, ...], **columns: np.ndarray
) -> pd.DataFrame:
    """A row per group and measure, of arrays (G, M)."""
    index = {"group": np.repeat(groups, len(names)), "measure": np.tile(names, len(groups))}
    return pd.DataFrame(constants | index | {name: values.ravel() for name, values in columns.items()})


def chunked(rows: np.ndarray) -> Iterator[np.ndarray]:
    size = max(CHUNK // (rows.shape[1] * 16), 1)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _quantile(drawn: np.ndarray, q: float) -> np.ndarray:
    """Over the first axis, without NaN; NaN where nothing is defined."""
    columns = drawn.reshape(len(drawn), -1)
    some = ~np.isnan(columns).all(axis=0)
    found = np.full(len(some), np.nan)
    found[some] = np.nanquantile(columns[:, some], q, axis=0)
    return found.reshape(drawn.shape[1:])


def _bands(
    observed: np.ndarray, error: np.ndarray, drawn: np.ndarray, drawn_error: np.ndarray, confidence: float, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """observed -+ q error, q being the quantile over replicates of the largest |t| along `axis` (Romano, Wolf 2005).

    t is the replicate's value minus the observed one by the replicate's own standard error; q is never under that of
    a single normal comparison. Replicates in which a group has fewer than two images are left out for it.
    """
    check_confidence(confidence)
    statistic = divide(np.abs(drawn - observed), np.where(drawn_error > 0, drawn_error, 0))
    largest = np.fmax.reduce(statistic, axis=axis, keepdims=True)
    half = np.fmax(_quantile(largest, confidence), norm.ppf((1 + confidence) / 2)) * error
    return observed - half, observed + half


DIFFERENCE_COLUMNS = (
    *("model", "reference", "attribute", "group", "measure", "value", "reference_value", "difference", "lower"),
    *("upper", "differs", "images"),
)


def paired_differences(
    found: ImageValues, reference: ImageValues, weights: np.ndarray, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Mean difference of every measure between each model and a reference on the same images, overall and by group.

    reference: measured on the same images, one model, or as many, which are taken in turn. Images on which either is
    undefined are left out. The bands hold together over the models, for one group and measure (`_bands`). Columns:
    model, reference, attribute, group, measure, value, reference_value, difference, lower, upper, differs, images.
    """
    others = reference.values if len(reference.models) > 1 else np.repeat(reference.values, len(found.models), axis=0)
    names = reference.models if len(reference.models) > 1 else reference.models * len(found.models)
    both = np.isnan(found.values) | np.isnan(others)
    own, other = np.where(both, np.nan, found.values), np.where(both, np.nan, others)
    tables = []
    everything = {ALL: (np.zeros(len(found.strata), int), [ALL])} | found.groups
    for attribute, (codes, groups) in everything.items():
        members = indicator(codes, len(groups))
        observed = [moments(members, own[model] - other[model]) for model in range(len(own))]
        drawn = [
            [moments(some[:, None] * members, own[model] - other[model]) for some in chunked(weights)]
            for model in range(len(own))
        ]
        difference = np.stack([one.mean for one in observed])
        error = np.stack([one.standard_error for one in observed])
        resampled, resampled_error = (
            np.stack([np.concatenate([getattr(chunk, part) for chunk in model]) for model in drawn], axis=1)
            for part in ("mean", "standard_error")
        )
        lower, upper = _bands(difference, error, resampled, resampled_error, confidence, axis=1)
        for number, model in enumerate(found.models):
            tables.append(
                long_table(
                    {"model": model, "reference": names[number], "attribute": attribute},
                    groups,
                    found.names,
                    value=moments(members, own[number]).mean,
                    reference_value=moments(members, other[number]).mean,
                    difference=difference[number],
                    lower=lower[number],
                    upper=upper[number],
                    differs=(lower[number] > 0) | (upper[number] < 0),
                    images=observed[number].defined.astype(int),
                )
            )
    return pd.concat(tables, ignore_index=True)
