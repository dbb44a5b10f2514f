"""Gaps against chance: what the same gaps are after permuting groups, and which groups differ from the rest.

Description and test are two things. The largest gap over groups describes; its null is set by the smallest group. The
test asks of every cell (a group, a true and a predicted class) how far it lies from chance, on a scale on which no
small cell can dominate (`cell_tests`), and compares the farthest with the farthest of every permutation.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.inference.cell_tests import (
    ODDS,
    Null,
    cell_rows,
    cell_sums,
    distances,
    flipped_cells,
    group_shares,
    nulls,
    own_variances,
    p_values,
    shares_of,
    step_down,
    unit_sums,
    z_values,
)
from fairprof.inference.levels import check_number
from fairprof.inference.over_seeds import seed_sd
from fairprof.inference.same_images import Runs, one_run
from fairprof.inference.spread import unbiased_spreads
from fairprof.inference.units import Units, permuted_counts
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    DIFFERENCES,
    GAP_METRICS,
    MAX_OVER_CLASSES,
    MEAN_OVER_CLASSES,
    fractions,
    rates,
)
from fairprof.metrics.performance import divide, mean_of_defined


def gap_tests(
    predictions: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """Every difference of `gaps` beside the same difference after permuting groups, and a test of it.

    The null hypothesis of demographic parity is that the prediction is independent of the group: groups are
    permuted among all images. That of equal opportunity and equalized odds is that it is independent of the
    group given the true class: groups are permuted among the images of each true class. Images of one person (column
    `person`, optional) keep together: see `fairprof.inference.units.units_of`. As persons may have more images in one
    group than in another, p_value then is the larger of two, by permuting persons and by signs of persons that keep
    their groups: see `_permuted_persons`.

    Columns: attribute, metric, class (each, then "max_over_classes" and "mean_over_classes"), value (that of `gaps`),
    null_mean and null_q95 (mean and 95th percentile of the permuted gaps, the maximum and the mean over classes taken
    within each permutation), excess (value - null_mean), spread (see `unbiased_spreads`) and p_value. What is undefined
    is NaN.

    p_value is of one test: the largest distance from chance over cells (see `distances`), observed and in every
    permutation. The cells are the groups of a class; over classes all groups and classes together, for the maximum and
    the mean alike; for equalized odds a group, true and predicted class. Where only two groups can be compared in one
    class it is Pearson's chi-squared test among the permutations.
    """
    permuted = permuted_runs(one_run(predictions, attributes), permutations, generator)
    return gap_table(permuted).drop(columns="seed_sd")


def gap_floors(
    tables: Iterable[pd.DataFrame],
    permutations: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> dict[str, float]:
    """Of runs on the same images, null_mean of every difference, the largest over the classes, by
    "<difference>/<attribute>": the mean over the runs, as in `fairprof.inference.over_runs.gap_tests_over_runs`.

    The mean of what runs have together is that of what each has alone. So every run's groups are permuted by
    themselves, `permutations` times each, which takes a fraction of the time of a test.
    """
    check_number(permutations, "permutations")
    found: dict[str, list[float]] = {}
    for table in tables:
        for attribute, units in one_run(table, attributes).units().items():
            within = units.in_order(units.name_free_order())
            drawn: dict[str, np.ndarray] = {}
            for kinds in (within.of_predictions(), within):
                drawn |= _rates(permuted_counts(kinds, permutations, generator)[0])
            for metric, gap in gaps_and_aggregates(drawn).items():
                found.setdefault(f"{metric}/{attribute}", []).append(gap[..., -2].mean())
    return {name: float(np.mean(values)) for name, values in found.items()}


class Reference(NamedTuple):
    """Sums of the cells of one rate in tables as chance makes them, (B, G, M), and the variance of each sum, (B, G, M)
    or, as the same for all, (G, M)."""

    sums: np.ndarray
    variance: np.ndarray


class Cells(NamedTuple):
    """Sums of the cells of one rate, observed (G, M), what chance makes of them, and tables as chance makes them.

    variance: (G, M), of the observed sums.
    """

    observed: np.ndarray
    variance: np.ndarray
    null: Null
    references: tuple[Reference, ...]

    def distances(self, distance: Callable[[np.ndarray, Null], np.ndarray]) -> tuple[np.ndarray, ...]:
        """Observed (G, M), and of every reference (B, G, M)."""
        return tuple(
            distance(sums, self.null._replace(variance=variance))
            for sums, variance in ((self.observed, self.variance), *self.references)
        )


class Permuted(NamedTuple):
    """The groups of an attribute among R runs, observed and permuted.

    groups: in the order of their names. order: (G,) int, in which they stand here, which their names do not influence.
    units: of the runs. rates: permuted, each (B, R, G, K). cells: by rate.
    """

    attribute: str
    groups: list[str]
    classes: list[str]
    order: np.ndarray
    units: Units
    rates: dict[str, np.ndarray]
    cells: dict[str, Cells]


def permuted_runs(runs: Runs, permutations: int, generator: np.random.Generator) -> list[Permuted]:
    """Of every attribute of the runs; the images' groups move for all runs alike."""
    check_number(permutations, "permutations")
    return [_permuted(runs, attribute, units, permutations, generator) for attribute, units in runs.units().items()]


def _permuted(runs: Runs, attribute: str, within: Units, permutations: int, generator: np.random.Generator) -> Permuted:
    order = within.name_free_order()
    within = within.in_order(order)
    found: dict[str, np.ndarray] = {}
    cells: dict[str, Cells] = {}
    for units in (within.of_predictions(), within):
        permuted = _permuted_images if runs.person is None else _permuted_persons
        drawn, of_rates = permuted(units, permutations, generator)
        found |= _rates(drawn)
        cells |= of_rates
    return Permuted(attribute, runs.groups[attribute], runs.classes, order, within, found, cells)


def _rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Rates (..., G, K) of counts (..., G, T, K): the selection rate where T is 1, otherwise the other two."""
    if counts.shape[-2] == 1:
        return {"selection_rate": divide(counts, counts.sum(axis=-1, keepdims=True))[..., 0, :]}
    found = rates(counts)
    del found["selection_rate"]
    return found


def _permuted_images(
    units: Units, permutations: int, generator: np.random.Generator
) -> tuple[np.ndarray, dict[str, Cells]]:
    """The counts (B, R, G, T, K) of permuted images, and the cells by rate."""
    drawn, _ = permuted_counts(units, permutations, generator)
    share = shares_of(units)
    observed, permuted = (cell_sums(counts, share) for counts in (units.counts.mean(axis=0), drawn.mean(axis=1)))
    return drawn, {
        rate: Cells(observed[rate], null.variance, null, (Reference(permuted[rate], null.variance),))
        for rate, null in nulls(units).items()
    }


def _permuted_persons(
    units: Units, permutations: int, generator: np.random.Generator
) -> tuple[np.ndarray, dict[str, Cells]]:
    """The counts (B, R, G, T, K) of permuted persons, and the cells by rate.

    Persons of one group may have more images than those of another. Then they are not exchangeable, and sums vary more
    in one group than permutations say. So a cell's variance is never taken to be less than what its own persons show
    (`own_variances`), and what is observed has to lie farther out than two references make it: permuted persons, which
    is right where they are exchangeable, and persons of whom each keeps its group and gets a sign by chance
    (`flipped_cells`), which is right where they are many, exchangeable or not.
    """
    values, rows = unit_sums(units), cell_rows(units.tables.mean(axis=1))
    widths = np.cumsum([value.shape[1] for value in values.values()])[:-1]
    squares = np.concatenate([value**2 for value in values.values()], axis=1)
    drawn, permuted_squares = permuted_counts(units, permutations, generator, squares)
    share, counts, permuted = shares_of(units), units.counts.mean(axis=0), drawn.mean(axis=1)
    sums, permuted_sums = cell_sums(counts, share), cell_sums(permuted, share)
    of_rows, of_permuted_rows = cell_rows(counts), cell_rows(permuted)
    found, null_of = {}, nulls(units)
    for (rate, value), of_permuted in zip(values.items(), np.split(permuted_squares, widths, axis=-1), strict=True):
        null = null_of[rate]
        variance = own_variances(units.members @ value**2, group_shares(of_rows[rate]))
        permuted_variance = own_variances(of_permuted, group_shares(of_permuted_rows[rate]))
        flipped, flipped_variance = flipped_cells(units, value, rows[rate], permutations, generator)
        references = (
            Reference(permuted_sums[rate], _at_least(null.variance, permuted_variance)),
            Reference(flipped + null.expectation, _at_least(null.variance, flipped_variance)),
        )
        found[rate] = Cells(sums[rate], _at_least(null.variance, variance), null, references)
    return drawn, found


def _at_least(null_variance: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The larger variance, and 0 where permutations leave a cell as it is."""
    return np.where(null_variance > 0, np.maximum(null_variance, variance), 0)


def gaps_and_aggregates(rates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each difference of rates (..., G, K) as (..., K + 2): of each class, then their maximum and their mean."""
    found = {name: GAP_METRICS[name].of_rates(rates) for name in DIFFERENCES}
    return {name: with_aggregates(gap) for name, gap in found.items()}


def with_aggregates(gap: np.ndarray) -> np.ndarray:
    """(..., K + 2): the gaps (..., K) of the classes, then the maximum and the mean of those that are defined."""
    worst = np.fmax.reduce(gap, axis=-1)  # NaN only where all are
    return np.concatenate([gap, worst[..., None], mean_of_defined(gap)[..., None]], axis=-1)


# Tests of gaps.

CELLS = {
    "demographic_parity_difference": "selection_rate",
    "equal_opportunity_difference": "true_positive_rate",
    "equalized_odds_difference": ODDS,
}


def gap_table(permuted: Iterable[Permuted]) -> pd.DataFrame:
    """The table of `gap_tests`, with seed_sd, the standard deviation of each gap between the runs."""
    return pd.concat([_gap_table(of_attribute) for of_attribute in permuted], ignore_index=True)


def _gap_table(permuted: Permuted) -> pd.DataFrame:
    observed = gaps_and_aggregates(rates(permuted.units.counts))
    chance = gaps_and_aggregates(permuted.rates)
    spreads = unbiased_spreads(permuted.units)
    names = [*permuted.classes, MAX_OVER_CLASSES, MEAN_OVER_CLASSES]
    values = np.concatenate(list(observed.values()), axis=-1)
    value, null = values.mean(axis=0), np.concatenate(list(chance.values()), axis=-1).mean(axis=1)
    apart = {rate: permuted.cells[rate].distances(distances) for rate in ("selection_rate", ODDS)}
    # the cells of true positive rates are among those of the odds: every class as itself
    itself = slice(None, None, len(permuted.classes) + 1)
    apart["true_positive_rate"] = tuple(found[..., itself] for found in apart[ODDS])
    found = [_p_values(permuted, metric, *apart[CELLS[metric]]) for metric in observed]
    return pd.DataFrame(
        {
            "attribute": permuted.attribute,
            "metric": np.repeat(list(observed), len(names)),
            "class": np.tile(names, len(observed)),
            "value": value,
            "null_mean": null.mean(axis=0),
            "null_q95": np.quantile(null, 0.95, axis=0),
            "excess": value - null.mean(axis=0),
            "spread": np.concatenate([spreads[metric] for metric in observed]),
            "p_value": np.where(np.isnan(value), np.nan, np.concatenate(found)),
            "seed_sd": seed_sd(values),
        }
    )


def _p_values(permuted: Permuted, metric: str, *apart: np.ndarray) -> np.ndarray:
    """(K + 2,): of each class, then twice of all; apart: the metric's distances, observed and permuted."""
    cells, classes = permuted.cells[CELLS[metric]], len(permuted.classes)
    mirrored = classes == 2 and metric == "demographic_parity_difference"  # one class is the other's complement
    varying = (cells.null.variance > 0).reshape(len(cells.observed), -1, classes).sum(axis=(0, 1))
    two_groups = np.append(varying, varying.sum() / (1 + mirrored)) == 2
    statistics = (_largest(found, classes) for found in apart)
    if two_groups.any():
        of_pearson = (_largest(found, classes) for found in cells.distances(z_values))
        statistics = (np.where(two_groups, *pair) for pair in zip(of_pearson, statistics, strict=True))
    found = p_values(*statistics)
    return np.append(found, found[-1])


def _largest(distances: np.ndarray, classes: int) -> np.ndarray:
    """(..., K + 1): the largest (..., G, M) of each predicted class, which the last axis ends with, and of all."""
    of_classes = distances.reshape(*distances.shape[:-2], -1, classes)
    largest = np.ascontiguousarray(np.moveaxis(of_classes, -2, 0)).max(axis=0)  # fast, unlike along an inner axis
    return np.append(largest, largest.max(axis=-1, keepdims=True), axis=-1)


# Which groups differ from the rest.


def group_table(permuted: Iterable[Permuted]) -> pd.DataFrame:
    """Which groups differ from all others together, in which class: `step_down` over the cells of each rate.

    Columns: attribute, rate, class, group and p_adjusted, over all groups and classes of the attribute and rate; NaN
    where the group or the rest has no rows. Of the selection and the true positive rate the cells are those of the gap
    tests, so that the smallest p_adjusted is theirs.
    """
    tables = []
    for of_attribute in permuted:
        counts = of_attribute.units.counts[0]
        in_order = np.argsort(of_attribute.order)
        for rate, (_, rows) in fractions(counts).items():
            adjusted = step_down(*of_attribute.cells[rate].distances(distances))
            comparable = (rows > 0) & (rows < rows.sum(axis=0))
            tables.append(
                pd.DataFrame(
                    {
                        "attribute": of_attribute.attribute,
                        "rate": rate,
                        "class": np.tile(of_attribute.classes, len(of_attribute.groups)),
                        "group": np.repeat(of_attribute.groups, len(of_attribute.classes)),
                        "p_adjusted": np.where(comparable, adjusted, np.nan)[in_order].ravel(),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)
