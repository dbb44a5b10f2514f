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

from fairprof.inference.levels import CONFIDENCE, TIE, check_confidence, check_number
from fairprof.inference.multiplicity import benjamini_hochberg, holm
from fairprof.inference.verdicts import CONFIRMATORY, EXPLORATORY
from fairprof.metrics.attention import normalised
from fairprof.metrics.fairness import INSUFFICIENT, SUFFICIENT, UNDEFINED, group_labels
from fairprof.metrics.performance import divide

ATTRIBUTES = ("gender", "race", "gender_x_race")
CONFIRMATORY_ATTRIBUTES = ("gender", "race")
CHUNK = 2**23  # numbers held at a time
ALL = "all"
EACH, LARGEST = "each", "largest"  # of the pairs of groups


class ImageValues(NamedTuple):
    """Models' numbers of the same images. values: (D, N, M) float, NaN where undefined. models, names: of D and M.

    groups: attribute to (N,) codes and the groups' names. strata: (N,) int, the true class.
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    groups: dict[str, tuple[np.ndarray, list[str]]]
    strata: np.ndarray


def image_values(rows: pd.DataFrame, values: dict[str, np.ndarray], names: tuple[str, ...]) -> ImageValues:
    """rows: image, gender, race, y_true of N images, each once. values: model to (N, M), the columns being `names`."""
    order = np.argsort(rows["image"].to_numpy(dtype=str), kind="stable")
    rows = rows.iloc[order].reset_index(drop=True)
    groups = {}
    for attribute in ATTRIBUTES:
        labels = group_labels(rows, attribute)
        groups[attribute] = (labels.cat.codes.to_numpy(int), list(labels.cat.categories))
    strata = np.unique(rows["y_true"].to_numpy(dtype=str), return_inverse=True)[1]
    stacked = np.stack([np.asarray(of_model, dtype=float)[order] for of_model in values.values()])
    return ImageValues(tuple(values), tuple(names), stacked, groups, strata)


def resampled_weights(images: int, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """(B, N) float: how often each of N images occurs in each of B resamples with replacement."""
    check_number(replicates, "replicates")
    return generator.multinomial(images, np.full(images, 1 / images), size=replicates).astype(float)


class _Moments(NamedTuple):
    """Of weighted images, each (..., G, M): number of those defined, mean, and the mean's standard error."""

    count: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray


def _moments(weights: np.ndarray, values: np.ndarray) -> _Moments:
    """weights: (..., G, N). values: (N, M), NaN where undefined."""
    defined = (~np.isnan(values)).astype(float)
    filled = np.nan_to_num(values)
    count, total, squares = weights @ defined, weights @ filled, weights @ filled**2
    mean = divide(total, count)
    variance = np.maximum(divide(squares, count) - mean**2, 0)
    return _Moments(count, mean, np.sqrt(divide(variance, count - 1)))


def _indicator(codes: np.ndarray, groups: int) -> np.ndarray:
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
        members = _indicator(codes, len(groups))
        for model, values in zip(found.models, found.values, strict=True):
            observed = _moments(members, values)
            drawn = np.concatenate([_moments(some[:, None] * members, values).mean for some in _chunked(weights)])
            lower, upper = (_quantile(drawn, q) for q in (tail, 1 - tail))
            support = observed.count.astype(int)
            total = members.sum(axis=1).astype(int)[:, None]
            evidence = np.where(support == 0, UNDEFINED, np.where(support < min_support, INSUFFICIENT, SUFFICIENT))
            tables.append(
                _long(
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


def _long(constants: dict[str, str], groups: list[str], names: tuple[str, ...], **columns: np.ndarray) -> pd.DataFrame:
    """A row per group and measure, of arrays (G, M)."""
    index = {"group": np.repeat(groups, len(names)), "measure": np.tile(names, len(groups))}
    return pd.DataFrame(constants | index | {name: values.ravel() for name, values in columns.items()})


def _chunked(rows: np.ndarray) -> Iterator[np.ndarray]:
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


def group_contrasts(found: ImageValues, weights: np.ndarray, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Each group's mean minus that of all other images, with bands that hold together over the groups.

    Bands by the bootstrap of the largest |t| over the groups of one model, attribute and measure: see `_bands`.
    Columns: model, attribute, group, measure, value, rest, contrast, lower, upper, differs (0 lies outside).
    """
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        members = _indicator(codes, len(groups))
        for model, values in zip(found.models, found.values, strict=True):
            observed = _group_and_rest(np.ones(len(codes)), members, values)
            drawn = [_group_and_rest(some[:, None], members, values) for some in _chunked(weights)]
            contrast, error = _difference(*observed)
            resampled = [np.concatenate(part) for part in zip(*(_difference(*one) for one in drawn), strict=True)]
            lower, upper = _bands(contrast, error, *resampled, confidence, axis=-2)
            tables.append(
                _long(
                    {"model": model, "attribute": attribute},
                    groups,
                    found.names,
                    value=observed[0].mean,
                    rest=observed[1].mean,
                    contrast=contrast,
                    lower=lower,
                    upper=upper,
                    differs=(lower > 0) | (upper < 0),
                )
            )
    return pd.concat(tables, ignore_index=True)


def _group_and_rest(weights: np.ndarray, members: np.ndarray, values: np.ndarray) -> tuple[_Moments, _Moments]:
    return _moments(weights * members, values), _moments(weights * (1 - members), values)


def _difference(first: _Moments, second: _Moments) -> tuple[np.ndarray, np.ndarray]:
    return first.mean - second.mean, np.hypot(first.standard_error, second.standard_error)


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


def permuted_codes(
    codes: np.ndarray, strata: np.ndarray, permutations: int, generator: np.random.Generator
) -> np.ndarray:
    """(B, N) int: group codes, permuted among the images of each stratum."""
    check_number(permutations, "permutations")
    permuted = np.tile(codes, (permutations, 1))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        permuted[:, rows] = generator.permuted(permuted[:, rows], axis=1)
    return permuted


def mean_gap_tests(found: ImageValues, permutations: int, generator: np.random.Generator) -> pd.DataFrame:
    """The largest difference between groups of each measure's mean, beside what permuted groups show.

    Groups are permuted among the images of each true class, alike for all models and measures: the null hypothesis is
    that the measure is independent of the group given the true class. Columns: model, attribute, measure, value,
    null_mean, null_q95, excess, p_value = (1 + number of permuted >= value) / (permutations + 1), highest_group,
    lowest_group. `adjusted` adds the rest.
    """
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        permuted = permuted_codes(codes, found.strata, permutations, generator)
        for model, values in zip(found.models, found.values, strict=True):
            mean = _moments(_indicator(codes, len(groups)), values).mean
            null = np.concatenate(
                [_range(_moments(_indicator(some, len(groups)), values).mean) for some in _chunked(permuted)]
            )
            value = _range(mean)
            names = np.array([*groups, None], dtype=object)
            some = np.isnan(value)
            tables.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "attribute": attribute,
                        "measure": found.names,
                        **_against(value, null),
                        "highest_group": names[np.where(some, -1, np.nan_to_num(mean, nan=-np.inf).argmax(axis=0))],
                        "lowest_group": names[np.where(some, -1, np.nan_to_num(mean, nan=np.inf).argmin(axis=0))],
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _range(means: np.ndarray) -> np.ndarray:
    """(..., M): largest minus smallest defined mean over groups (..., G, M); NaN where fewer than two are defined."""
    several = (~np.isnan(means)).sum(axis=-2) >= 2
    return np.where(several, np.fmax.reduce(means, axis=-2) - np.fmin.reduce(means, axis=-2), np.nan)


def _against(value: np.ndarray, null: np.ndarray) -> dict[str, np.ndarray]:
    """value (...), null (B, ...)."""
    exceeding = (null >= value - TIE).sum(axis=0)
    return {
        "value": value,
        "null_mean": null.mean(axis=0),
        "null_q95": np.quantile(null, 0.95, axis=0),
        "excess": value - null.mean(axis=0),
        "p_value": np.where(np.isnan(value), np.nan, (1 + exceeding) / (len(null) + 1)),
    }


def map_distances(
    found: ImageValues,
    maps: dict[str, np.ndarray],
    images: pd.Series,
    permutations: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """How far apart the groups' mean maps lie, for every pair of groups, against permuted groups.

    The distance is the total variation between the means of the *normalised* maps (each divided by its sum): half the
    sum of absolute differences, range [0, 1]: the share of attention that would have to move. maps: model to
    (N, h, w), in the order of `images`; maps of zeros are left out. Groups are permuted as in `mean_gap_tests`;
    p_adjusted of a pair compares it with the largest distance over all pairs of its attribute, in each permutation, so
    that it holds for all of them (Westfall, Young 1993).

    Columns: model, attribute, first_group, second_group (each pair, then the largest of all, whose groups it names, in
    `pair` = "largest"), pair, distance, null_mean, null_q95, excess, p_value, p_adjusted.
    """
    order = np.argsort(images.to_numpy(dtype=str), kind="stable")
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        permuted = permuted_codes(codes, found.strata, permutations, generator)
        first, second = np.triu_indices(len(groups), k=1)
        if len(first) == 0:
            continue
        for model in found.models:
            fields = normalised(maps[model][order]).reshape(len(order), -1)
            value = _distances(_indicator(codes, len(groups)), fields, first, second)
            null = np.concatenate(
                [_distances(_indicator(some, len(groups)), fields, first, second) for some in _chunked(permuted)]
            )
            largest, null_largest = np.fmax.reduce(value), np.fmax.reduce(null, axis=1)
            pairs = pd.DataFrame(
                {"first_group": np.array(groups)[first], "second_group": np.array(groups)[second], "pair": EACH}
                | _against(value, null)
            )
            pairs["p_adjusted"] = _against(value, np.broadcast_to(null_largest[:, None], null.shape))["p_value"]
            whole = _against(np.array([largest]), null_largest[:, None])
            between = pairs.iloc[[int(np.nan_to_num(value, nan=-1).argmax())]][["first_group", "second_group"]]
            whole = between.assign(pair=LARGEST, **whole, p_adjusted=whole["p_value"])
            tables.append(pd.concat([whole, pairs]).assign(model=model, attribute=attribute))
    if not tables:
        return pd.DataFrame(columns=DISTANCE_COLUMNS)
    table = pd.concat(tables, ignore_index=True).rename(columns={"value": "distance"})
    return table[list(DISTANCE_COLUMNS)]


DISTANCE_COLUMNS = (
    *("model", "attribute", "pair", "first_group", "second_group", "distance", "null_mean", "null_q95", "excess"),
    *("p_value", "p_adjusted"),
)


def _distances(members: np.ndarray, fields: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., P): total variation between the mean maps of pairs of groups; members (..., G, N), fields (N, F)."""
    defined = ~np.isnan(fields[:, 0])
    members = members[..., defined]
    means = divide(members @ fields[defined], members.sum(axis=-1, keepdims=True))
    pairs = zip(first, second, strict=True)
    return np.stack([np.abs(means[..., a, :] - means[..., b, :]).sum(axis=-1) / 2 for a, b in pairs], axis=-1)


def judged_distances(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `map_distances` with the family of every row, and p_adjusted within it.

    The confirmatory family, fixed beforehand, is the largest distance by gender and by race of every model (Holm).
    Everything else is exploratory: pairs keep their p_adjusted, which holds over the pairs of one model and attribute.
    """
    largest = table["pair"].eq(LARGEST)
    confirmatory = (largest & table["attribute"].isin(CONFIRMATORY_ATTRIBUTES)).to_numpy()
    corrected = table["p_adjusted"].to_numpy(dtype=float).copy()
    corrected[confirmatory] = holm(table["p_value"].to_numpy(dtype=float)[confirmatory])
    return table.assign(family=np.where(confirmatory, CONFIRMATORY, EXPLORATORY), p_adjusted=corrected)


def adjusted(table: pd.DataFrame, confirmatory: np.ndarray) -> pd.DataFrame:
    """`table` with family and p_adjusted: Holm within the rows marked by `confirmatory` (N,) bool, Benjamini-Hochberg
    within the others."""
    p_values = table["p_value"].to_numpy(dtype=float)
    corrected = np.empty(len(table))
    corrected[confirmatory] = holm(p_values[confirmatory])
    corrected[~confirmatory] = benjamini_hochberg(p_values[~confirmatory])
    return table.assign(family=np.where(confirmatory, CONFIRMATORY, EXPLORATORY), p_adjusted=corrected)


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
        members = _indicator(codes, len(groups))
        observed = [_moments(members, own[model] - other[model]) for model in range(len(own))]
        drawn = [
            [_moments(some[:, None] * members, own[model] - other[model]) for some in _chunked(weights)]
            for model in range(len(own))
        ]
        difference = np.stack([one.mean for one in observed])
        error = np.stack([one.standard_error for one in observed])
        resampled = [
            np.stack([np.concatenate([getattr(chunk, part) for chunk in model]) for model in drawn], axis=1)
            for part in ("mean", "standard_error")
        ]
        lower, upper = _bands(difference, error, *resampled, confidence, axis=1)
        for number, model in enumerate(found.models):
            tables.append(
                _long(
                    {"model": model, "reference": names[number], "attribute": attribute},
                    groups,
                    found.names,
                    value=_moments(members, own[number]).mean,
                    reference_value=_moments(members, other[number]).mean,
                    difference=difference[number],
                    lower=lower[number],
                    upper=upper[number],
                    differs=(lower[number] > 0) | (upper[number] < 0),
                    images=observed[number].count.astype(int),
                )
            )
    return pd.concat(tables, ignore_index=True)
