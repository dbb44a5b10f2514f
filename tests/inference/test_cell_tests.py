"""Tests that no small group can dominate: by hand, against SciPy, and where the truth is known."""

import itertools

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulations.groups import SIMULATIONS, predictions_of, table_of_counts
from benchmarks.simulations.simulation import contradicts, simulated
from fairprof.inference.cell_tests import (
    Null,
    cell_rows,
    distances,
    flipped_cells,
    nulls,
    own_variances,
    step_down,
    unit_sums,
    z_values,
)
from fairprof.inference.permutation import gap_tests, permuted_runs
from fairprof.inference.same_images import one_run
from fairprof.inference.spread import unbiased_spreads
from fairprof.inference.units import Units
from fairprof.inference.verdicts import gaps_and_contrasts
from tests.inference.made_tables import generator, random_counts, row_of

DP, EO = "demographic_parity_difference", "equal_opportunity_difference"


def null(variance: float, up: float, down: float) -> Null:
    return Null(*(np.array([[number]]) for number in (0.0, variance, up, down)))


@pytest.mark.parametrize(("images", "rate"), [(3, 0.7), (3, 0.98), (8, 0.9), (60, 0.7), (300, 0.95)])
def test_distances_are_the_normal_scores_of_binomial_tails(images, rate):
    # A group that is small beside its rest: its sum of x - p is binomial, but for its mean.
    possible = np.arange(images + 1)
    variance = images * rate * (1 - rate)
    found = distances((possible - images * rate)[:, None, None], null(variance, 1 - rate, rate)).ravel()
    below, above = stats.binom(images, rate).cdf(possible), stats.binom(images, rate).sf(possible - 1)
    exact = stats.norm.isf(np.minimum(below, above))
    unlikely = (exact > 1.6) & (exact < 4)
    # Where z can be 3 too far out; and exp(-d^2 / 2) bounds the tail.
    assert np.abs(found - exact)[unlikely].max() < 0.6
    assert (np.exp(-(found**2) / 2) >= np.minimum(below, above) - 1e-9).all()
    if images == 3 and rate > 0.9:
        z = z_values((possible - images * rate)[:, None, None], null(variance, 1 - rate, rate)).ravel()
        assert (z - exact).max() > 3


def test_moments_are_those_of_the_hypergeometric_distribution():
    counts = np.array([[[30, 10], [5, 40]], [[18, 12], [12, 20]], [[2, 1], [0, 3]]])
    units = one_run(table_of_counts(counts), ["race"]).units()["race"]
    found = nulls(units)["true_positive_rate"]
    for c, group in itertools.product(range(2), range(3)):
        exact = stats.hypergeom(counts[:, c].sum(), counts[:, c, c].sum(), counts[group, c].sum())
        assert found.variance[group, c] == pytest.approx(exact.var())
        assert found.expectation[group, c] == pytest.approx(0)  # of x - p
        rate = counts[:, c, c].sum() / counts[:, c].sum()
        steps = (1 - rate, rate) if counts[group, c].sum() <= counts[:, c].sum() / 2 else (rate, 1 - rate)
        assert (found.up[group, c], found.down[group, c]) == pytest.approx(steps)


def test_the_variance_of_a_sum_is_that_of_the_contrast_with_all_others():
    # two groups, one cell: units of the first add 2 and -1, that of the second 3; a third of the rows is the first's
    squares, share = np.array([[5.0], [9.0]]), np.array([[1 / 3], [2 / 3]])
    expected = (2 / 3) ** 2 * 5 + (1 / 3) ** 2 * 9
    assert own_variances(squares, share).ravel() == pytest.approx([expected, expected])


def test_units_that_get_a_sign_are_estimated_and_summed_anew():
    # two groups of two persons with these images and hits: every pattern of signs, written out
    images, hits, group = np.array([2, 4, 1, 3]), np.array([1, 3, 0, 3]), np.array([0, 0, 1, 1])
    tables = np.stack([hits, images - hits], axis=1)[:, None, None, :].astype(float)
    units = Units(tables, np.stack([group == 0, group == 1]).astype(int), np.zeros(4, dtype=int))
    value, rows = (
        of_rate["selection_rate"][:, :1] for of_rate in (unit_sums(units), cell_rows(units.tables.mean(axis=1)))
    )
    assert value.ravel() == pytest.approx(hits - 0.7 * images) and rows.ravel().tolist() == images.tolist()
    possible = set()
    for signs in itertools.product((-1, 1), repeat=4):
        added = signs * value.ravel()
        anew = added - images * added.sum() / images.sum()
        share = images[group == 0].sum() / images.sum()
        variance = sum(((group == 0) - share) ** 2 * anew**2)
        possible.add((round(anew[group == 0].sum(), 9), round(variance, 9)))
    sums, variances = flipped_cells(units, value, rows, 500, generator(3))
    assert sums.sum(axis=1) == pytest.approx(0)
    assert set(zip(sums[:, 0, 0].round(9).tolist(), variances[:, 0, 0].round(9).tolist(), strict=True)) == possible


def test_permuted_sums_have_the_moments_also_of_persons_and_of_runs():
    drawn = generator(1)
    person = np.repeat(np.arange(60), drawn.integers(1, 6, 60))
    group, true = drawn.integers(3, size=60)[person], drawn.integers(2, size=len(person))
    table = predictions_of(group, true, drawn.integers(2, size=len(person)), 2, person)
    (permuted,) = permuted_runs(one_run(table, ["race"]), 4000, generator(2))
    for cells in permuted.cells.values():
        error = np.sqrt(cells.null.variance / 4000)
        assert (np.abs(cells.references[0].sums.mean(axis=0) - cells.null.expectation) < 4.5 * error + 1e-9).all()
        np.testing.assert_allclose(cells.references[0].sums.var(axis=0), cells.null.variance, rtol=0.15)
        assert (cells.observed.sum(axis=0) == pytest.approx(0, abs=1e-9)) is True


def test_two_groups_and_one_class_are_pearson_s_test():
    female, male = [[60, 40], [30, 80]], [[75, 20], [40, 60]]
    found = gap_tests(table_of_counts(np.array([female, male])), 20_000, generator(), ["race"])
    both = np.array([female, male])
    for metric, name, table in ((EO, "c0", both[:, 0]), (EO, "c1", both[:, 1]), (DP, "c0", both.sum(axis=1))):
        chi_square = stats.chi2_contingency(table, correction=False).statistic
        lattice = np.arange(table[:, 0].sum() + 1)  # all tables with these margins
        totals, ones = table.sum(axis=1), table[:, 0].sum()
        chance = stats.hypergeom(totals.sum(), totals[0], ones).pmf(lattice)
        expected = totals[0] * ones / totals.sum()
        observed = abs(table[0, 0] - expected)
        exact = chance[np.abs(lattice - expected) >= observed - 1e-9].sum()
        assert row_of(found, metric=metric, **{"class": name})["p_value"] == pytest.approx(exact, abs=0.01)
        assert exact == pytest.approx(stats.chi2(1).sf(chi_square), abs=0.05)


def test_step_down_by_hand():
    observed = np.array([[3.0, 1.0], [0.0, 2.0]])
    permuted = np.array([[[1, 2.5], [0, 0.5]], [[0.5, 0.5], [0, 2.2]], [[3.5, 0], [0, 0]], [[0.1, 1.5], [0, 0.2]]])
    # 3 is reached by one of the maxima 2.5, 2.2, 3.5, 1.5; 2 by two of 2.5, 2.2, 0, 1.5 (without the first cell);
    # 1 by two of 2.5, .5, 0, 1.5; what cannot vary by all.
    assert step_down(observed, permuted).tolist() == [[2 / 5, 3 / 5], [1, 3 / 5]]


def test_a_group_of_three_images_neither_makes_nor_hides_a_difference():
    counts = np.array([[[150, 150], [90, 210]], *[[[210, 90], [90, 210]]] * 3, [[0, 3], [0, 3]]])
    with_it, without = (gap_tests(table_of_counts(table), 199, generator(), ["race"]) for table in (counts, counts[:4]))
    for found in (with_it, without):
        assert row_of(found, metric=EO, **{"class": "max_over_classes"})["p_value"] == 1 / 200
    # The largest gap is that of the three, and its floor is that of three images.
    assert row_of(with_it, metric=EO, **{"class": "c0"})["value"] == 0.7
    floors = [row_of(found, metric=EO, **{"class": "c0"})["null_q95"] for found in (with_it, without)]
    assert floors[0] > 3 * floors[1]
    counts[0, 0] = 210, 90
    found, who = gaps_and_contrasts(table_of_counts(counts), 199, 99, 0.05, generator(), ["race"])
    assert row_of(found, metric=EO, **{"class": "c0"})["value"] == 0.7
    assert not who["differs"].any()


@pytest.mark.parametrize("seed", range(3))
def test_p_values_are_those_of_all_permutations(seed):
    # Two images of one group, three of another: every table of permuted groups can be written down.
    drawn = generator(seed)
    group, true = np.array([0, 0, 1, 1, 1, 2]), np.zeros(6, dtype=int)
    predicted = drawn.permutation([0, 0, 0, 1, 1, 1])
    found = gap_tests(predictions_of(group, true, predicted, 2), 5000, generator(seed), ["race"])

    def farthest(group: np.ndarray) -> float:
        sizes = np.bincount(group)
        sums = np.bincount(group, predicted - 0.5)
        variance = sizes * (6 - sizes) / 5 * 0.25
        return distances(
            sums[:, None],
            Null(*(np.tile(v, (3, 1)).reshape(3, 1) for v in (0.0,)), variance[:, None], *(np.full((3, 1), 0.5),) * 2),
        ).max()

    statistics = np.array([farthest(np.array(order)) for order in set(itertools.permutations(group))])
    expected = (statistics >= farthest(group)).mean()
    assert row_of(found, metric=EO, **{"class": "c0"})["p_value"] == pytest.approx(expected, abs=0.025)


# Spread.


def test_spread_by_hand():
    counts = np.array([[[6, 4], [0, 0]], [[9, 1], [0, 0]], [[3, 2], [0, 0]], [[0, 1], [0, 0]]])
    units = one_run(table_of_counts(counts), ["race"]).units()["race"]
    found = unbiased_spreads(units)[EO]
    # Rates .6, .9 and .6 of 10, 10 and 5 images; the group of one image is left out.
    square = np.var([0.6, 0.9, 0.6], ddof=1) - np.mean([0.24 / 9, 0.09 / 9, 0.24 / 4])
    assert found[0] == pytest.approx(np.sign(square) * np.sqrt(abs(square)))
    assert np.isnan(found[1]) and found[2] == found[3] == found[0]


@pytest.mark.parametrize("persons", [False, True])
def test_the_square_of_the_spread_is_unbiased(persons):
    drawn, squares = generator(4), []
    for _ in range(400):
        person = np.repeat(np.arange(120), 3)
        group = np.repeat([0, 1, 2], [60, 40, 20])[person]
        right = (drawn.random(120)[person] if persons else drawn.random(360)) < np.array([0.6, 0.7, 0.8])[group]
        table = predictions_of(group, np.zeros(360, dtype=int), 1 - right, 2, person if persons else None)
        square = unbiased_spreads(one_run(table, ["race"]).units()["race"])[EO][0]
        squares.append(np.sign(square) * square**2)
    assert np.mean(squares) == pytest.approx(0.01, abs=3 * np.std(squares) / 20)


# Persons.


def test_persons_of_one_image_each_change_nothing():
    table = random_counts(0).assign(image=np.arange(600))
    alone = table.assign(person=[f"p{number}" for number in range(600)])
    unknown = table.assign(person=None)
    expected = gaps_and_contrasts(table, 99, 99, 0.05, generator())
    for given in (alone, unknown):
        for one, other in zip(gaps_and_contrasts(given, 99, 99, 0.05, generator()), expected, strict=True):
            assert one.equals(other)


def test_images_of_a_person_count_once():
    # Every image four times: rates are the same, and so is what may be said.
    table = random_counts(3, rows=80).assign(image=np.arange(80), person=[f"p{number}" for number in range(80)])
    copies = table.loc[table.index.repeat(4)].assign(image=np.arange(320))
    once, four = (gap_tests(given, 999, generator(1), ["race"]) for given in (table, copies))
    np.testing.assert_allclose(once["value"], four["value"])
    np.testing.assert_allclose(once["p_value"], four["p_value"], atol=0.06)
    np.testing.assert_allclose(once["null_q95"], four["null_q95"], atol=0.03)
    np.testing.assert_allclose(once["spread"], four["spread"])
    bands = [gaps_and_contrasts(given, 99, 500, 0.05, generator(2), ["race"])[1] for given in (table, copies)]
    width = [band["upper"] - band["lower"] for band in bands]
    assert 0.9 < (width[1] / width[0]).median() < 1.4  # half as wide if the images were persons of their own


def test_a_person_s_images_in_two_groups_are_two_units():
    person = np.array([0, 0, 0, 1, 1, 2, 3])
    group = np.array([0, 0, 1, 0, 0, 1, 1])
    table = predictions_of(group, np.array([0, 1, 1, 0, 0, 1, 1]), np.zeros(7, dtype=int), 2, person)
    units = one_run(table, ["race"]).units()["race"]
    assert units.members.sum(axis=1).tolist() == [2, 3]
    # The strata are the class of most images, the first of equals; the counts are those of the table.
    assert sorted(np.repeat(units.stratum, units.members.sum(axis=0))) == [0, 0, 1, 1, 1]
    assert units.counts[0].tolist() == [[[3, 0], [1, 0]], [[0, 0], [3, 0]]]


def test_renaming_persons_and_permuting_rows_changes_nothing():
    drawn = generator(5)
    person = np.repeat(np.arange(50), 4)
    group, true = drawn.integers(3, size=50)[person], drawn.integers(2, size=200)
    table = predictions_of(group, true, drawn.integers(2, size=200), 2, person)
    moved = table.assign(person="q" + table["person"].str[::-1]).sample(frac=1, random_state=1)
    for one, other in zip(
        *(gaps_and_contrasts(given, 99, 99, 0.05, generator(), ["race"]) for given in (table, moved)), strict=True
    ):
        assert one.equals(other)


# Where the truth is known.


@pytest.mark.slow
@pytest.mark.parametrize("simulation", SIMULATIONS, ids=lambda simulation: simulation.name)
def test_simulations_do_not_contradict_what_is_wanted(simulation):
    for _, row in simulated(simulation, quick=True).iterrows():
        assert not (row["wanted"] and contradicts(row, simulation.at_most, simulation.at_least)), row


def test_the_example_of_small_groups():
    # 300 x 4, 60, 8 and 3 images: equal, and with one large group at .5 instead of .7.
    by_name = {simulation.name: simulation for simulation in SIMULATIONS}
    for name in ("groups, equal: 300 x 4, 60, 8, 3, rates .7", "groups, unequal: 300 x 4, 60, 8, 3, one .5 of .7"):
        for _, row in simulated(by_name[name], quick=True).iterrows():
            assert not contradicts(row, by_name[name].at_most, by_name[name].at_least), row
