"""Whether what the maps show differs between groups: differences of means, and distances of mean maps."""

import numpy as np
import pandas as pd

from fairprof.inference.group_means import ImageValues, chunked, indicator, moments
from fairprof.inference.levels import TIE, check_number
from fairprof.inference.multiplicity import CONFIRMATORY, CONFIRMATORY_ATTRIBUTES, EXPLORATORY, holm
from fairprof.metrics.attention import normalised
from fairprof.metrics.performance import divide

EACH, LARGEST = "each", "largest"  # of the pairs of groups


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


def attention_gap_tests(found: ImageValues, permutations: int, generator: np.random.Generator) -> pd.DataFrame:
    """The largest difference between groups of each measure's mean, beside what permuted groups show.

    Groups are permuted among the images of each true class, alike for all models and measures: the null hypothesis is
    that the measure is independent of the group given the true class. Columns: model, attribute, measure, value,
    null_mean, null_q95, excess, p_value = (1 + number of permuted >= value) / (permutations + 1), highest_group,
    lowest_group. `adjusted_in_families` adds the rest.
    """
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        permuted = permuted_codes(codes, found.strata, permutations, generator)
        for model, values in zip(found.models, found.values, strict=True):
            mean = moments(indicator(codes, len(groups)), values).mean
            null = np.concatenate(
                [_range(moments(indicator(some, len(groups)), values).mean) for some in chunked(permuted)]
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
    (N, h, w), in the order of `images`; maps of zeros are left out. Groups are permuted as in `attention_gap_tests`;
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
            value = _distances(indicator(codes, len(groups)), fields, first, second)
            null = np.concatenate(
                [_distances(indicator(some, len(groups)), fields, first, second) for some in chunked(permuted)]
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
