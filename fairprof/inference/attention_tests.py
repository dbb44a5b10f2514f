"""Whether what the maps show differs between groups: contrasts of means, and distances of mean maps."""

import numpy as np
import pandas as pd

from fairprof.inference.group_means import ImageValues, chunked, indicator, long_table, moments
from fairprof.inference.levels import ALPHA, TIE
from fairprof.inference.multiplicity import CONFIRMATORY, CONFIRMATORY_ATTRIBUTES, EXPLORATORY, holm
from fairprof.inference.studentised import ContrastTests, centred, contrast_tests, permuted_codes
from fairprof.metrics.attention import normalised
from fairprof.metrics.performance import divide

EACH, LARGEST = "each", "largest"  # of the pairs of groups


def attention_gap_tests(found: ImageValues, permutations: int, generator: np.random.Generator) -> pd.DataFrame:
    """Whether groups differ in each measure's mean given the true class, and the largest difference of their means.

    The test is of the largest studentised contrast between a group and the rest within true classes, over the groups
    (`studentised.contrast_tests`): variances, skewness and sizes of groups may differ. The figures beside it describe:
    value is the largest minus the smallest mean, of all images of a group, and null_mean, null_q95 what it comes to
    when groups are permuted within true classes. Images of one person stay together.

    Columns: model, attribute, measure, value, null_mean, null_q95, excess, p_value, highest_group, lowest_group,
    differing (the groups whose own contrast is established, with their number of images: "Teal (n = 60)").
    `adjusted_in_families` adds the rest.
    """
    tested = _tested(found, permutations, generator)
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        permuted = permuted_codes(_first(found, codes), _first(found, found.strata), permutations, generator)
        names = np.array([*groups, None], dtype=object)
        for number, (model, values) in enumerate(zip(found.models, found.values, strict=True)):
            observed = moments(indicator(codes, len(groups)), values)
            null = [
                _range(moments(indicator(some[:, found.persons], len(groups)), values).mean)
                for some in chunked(permuted)
            ]
            mean, value = observed.mean, _range(observed.mean)
            some = np.isnan(value)
            of_model = slice(number * len(found.names), (number + 1) * len(found.names))
            adjusted = tested[attribute].p_value[:, of_model]
            tables.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "attribute": attribute,
                        "measure": found.names,
                        **_described(value, np.concatenate(null)),
                        "p_value": np.fmin.reduce(adjusted, axis=0),
                        "highest_group": names[np.where(some, -1, np.nan_to_num(mean, nan=-np.inf).argmax(axis=0))],
                        "lowest_group": names[np.where(some, -1, np.nan_to_num(mean, nan=np.inf).argmin(axis=0))],
                        "differing": [
                            ", ".join(
                                f"{groups[group]} (n = {observed.defined[group, measure]:.0f})"
                                for group in np.flatnonzero(adjusted[:, measure] <= ALPHA)
                            )
                            for measure in range(len(found.names))
                        ],
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def group_contrasts(found: ImageValues, permutations: int, generator: np.random.Generator) -> pd.DataFrame:
    """Each group's mean minus that of all other images of the same true class, with bands and p-values that hold
    together over the groups of one model, attribute and measure (`studentised.contrast_tests`).

    With the generator of `attention_gap_tests` they are those of the same permutations: its p-value is the smallest.
    Columns: model, attribute, group, measure, images (with a defined value), value (the group's mean), contrast, lower,
    upper, p_value, differs (p_value <= alpha).
    """
    tested = _tested(found, permutations, generator)
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        tests = tested[attribute]
        for number, (model, values) in enumerate(zip(found.models, found.values, strict=True)):
            observed = moments(indicator(codes, len(groups)), values)
            of_model = slice(number * len(found.names), (number + 1) * len(found.names))
            tables.append(
                long_table(
                    {"model": model, "attribute": attribute},
                    groups,
                    found.names,
                    images=observed.defined.astype(int),
                    value=observed.mean,
                    contrast=tests.contrast[:, of_model],
                    lower=tests.lower[:, of_model],
                    upper=tests.upper[:, of_model],
                    p_value=tests.p_value[:, of_model],
                    differs=tests.p_value[:, of_model] <= ALPHA,
                )
            )
    return pd.concat(tables, ignore_index=True)


def _tested(found: ImageValues, permutations: int, generator: np.random.Generator) -> dict[str, ContrastTests]:
    """By attribute, of all models' measures in one row of columns."""
    values, strata = _of_persons(found, np.concatenate(list(found.values), axis=1)), _first(found, found.strata)
    return {
        attribute: contrast_tests(values, _first(found, codes), len(groups), strata, permutations, generator)
        for attribute, (codes, groups) in found.groups.items()
    }


def _first(found: ImageValues, of_images: np.ndarray) -> np.ndarray:
    """What a person's first image has, (P,)."""
    return of_images[np.unique(found.persons, return_index=True)[1]]


def _of_persons(found: ImageValues, values: np.ndarray) -> np.ndarray:
    """(P, C): each person's mean distance from the mean of the image's true class, of values (N, C) of images."""
    residuals = centred(values, found.strata)
    members = indicator(found.persons, found.persons.max() + 1)
    return divide(members @ np.nan_to_num(residuals), members @ (~np.isnan(residuals)).astype(float))


def _range(means: np.ndarray) -> np.ndarray:
    """(..., M): largest minus smallest defined mean over groups (..., G, M); NaN where fewer than two are defined."""
    several = (~np.isnan(means)).sum(axis=-2) >= 2
    return np.where(several, np.fmax.reduce(means, axis=-2) - np.fmin.reduce(means, axis=-2), np.nan)


def _described(value: np.ndarray, null: np.ndarray) -> dict[str, np.ndarray]:
    """value (...), null (B, ...)."""
    return {
        "value": value,
        "null_mean": null.mean(axis=0),
        "null_q95": np.quantile(null, 0.95, axis=0),
        "excess": value - null.mean(axis=0),
    }


DISTANCE_COLUMNS = (
    *("model", "attribute", "pair", "first_group", "second_group", "first_images", "second_images", "distance"),
    *("null_mean", "null_q95", "excess", "p_value", "p_adjusted"),
)


def map_distances(
    found: ImageValues,
    maps: dict[str, np.ndarray],
    images: pd.Series,
    permutations: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """How far apart the groups' mean maps lie, for every pair of groups, and whether that is more than chance.

    The distance describes: it is the total variation between the means of the *normalised* maps (each divided by its
    sum), half the sum of absolute differences, range [0, 1]: the share of attention that would have to move. maps:
    model to (N, h, w), in the order of `images`; maps of zeros are left out.

    The test is of means within true classes, and takes account of unequal variances: over the fields, the sum of
    squared differences between two groups' mean residuals from the class's mean map, by the sum of their squared
    standard errors (a Welch statistic, after Alekseyenko 2016), permuted as in `attention_gap_tests`. p_adjusted of a
    pair compares it with the largest over all pairs of its attribute, in each permutation, so that it holds for all of
    them (Westfall, Young 1993).

    Columns: DISTANCE_COLUMNS; `pair` is "each", or "largest" for the pair that stands out most, once again, with its
    p-value for all pairs; first_images, second_images: maps that are defined.
    """
    order = np.argsort(images.to_numpy(dtype=str), kind="stable")
    strata = _first(found, found.strata)
    tables = []
    for attribute, (codes, groups) in found.groups.items():
        of_persons = _first(found, codes)
        permuted = permuted_codes(of_persons, strata, permutations, generator)
        first, second = np.triu_indices(len(groups), k=1)
        if len(first) == 0:
            continue
        for model in found.models:
            fields = normalised(maps[model][order]).reshape(len(order), -1)
            residuals = _of_persons(found, fields)
            members = indicator(codes, len(groups))
            value = _distances(members, fields, first, second)
            statistic = _welch(indicator(of_persons, len(groups)), residuals, first, second)
            null, null_statistic = (
                np.concatenate(parts)
                for parts in zip(
                    *(
                        (
                            _distances(indicator(some[:, found.persons], len(groups)), fields, first, second),
                            _welch(indicator(some, len(groups)), residuals, first, second),
                        )
                        for some in chunked(permuted)
                    ),
                    strict=True,
                )
            )
            defined = (members @ ~np.isnan(fields[:, 0])).astype(int)
            largest = np.fmax.reduce(null_statistic, axis=1, keepdims=True)
            pairs = pd.DataFrame(
                {
                    "model": model,
                    "attribute": attribute,
                    "pair": EACH,
                    "first_group": np.array(groups)[first],
                    "second_group": np.array(groups)[second],
                    "first_images": defined[first],
                    "second_images": defined[second],
                    **_described(value, null),
                    "p_value": _p_value(statistic, null_statistic),
                    "p_adjusted": _p_value(statistic, largest),
                }
            )
            whole = pairs.iloc[[int(np.nan_to_num(statistic, nan=-1).argmax())]]
            tables += [whole.assign(pair=LARGEST, p_value=whole["p_adjusted"]), pairs]
    if not tables:
        return pd.DataFrame(columns=list(DISTANCE_COLUMNS))
    return pd.concat(tables, ignore_index=True).rename(columns={"value": "distance"})[list(DISTANCE_COLUMNS)]


def _distances(members: np.ndarray, fields: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., P): total variation between the mean maps of pairs of groups; members (..., G, N), fields (N, F)."""
    defined = ~np.isnan(fields[:, 0])
    members = members[..., defined]
    means = divide(members @ fields[defined], members.sum(axis=-1, keepdims=True))
    pairs = zip(first, second, strict=True)
    return np.stack([np.abs(means[..., a, :] - means[..., b, :]).sum(axis=-1) / 2 for a, b in pairs], axis=-1)


def _welch(members: np.ndarray, residuals: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., P): squared distance of the mean residuals of pairs by its expectation where groups are equal; 0 where
    nothing varies. members (..., G, N), residuals (N, F) of persons."""
    defined = ~np.isnan(residuals[:, 0])
    members, residuals = members[..., defined], residuals[defined]
    count = members.sum(axis=-1)
    means = divide(members @ residuals, count[..., None])
    error = divide(members @ (residuals**2).sum(axis=1), count**2)
    pairs = [
        (((means[..., a, :] - means[..., b, :]) ** 2).sum(axis=-1), error[..., a] + error[..., b])
        for a, b in zip(first, second, strict=True)
    ]
    return np.stack([np.where(expected == 0, 0, divide(square, expected)) for square, expected in pairs], axis=-1)


def _p_value(statistic: np.ndarray, null: np.ndarray) -> np.ndarray:
    """statistic (P,), null (B, P) or (B, 1)."""
    hits = (null >= statistic - TIE).sum(axis=0)
    return np.where(np.isnan(statistic), np.nan, (1 + hits) / (len(null) + 1))


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
