"""Intervals: against SciPy and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.inference.intervals import (
    bootstrap_scores,
    centred_interval,
    design_effect_of,
    design_effects,
    wilson_interval,
    with_intervals,
)
from fairprof.inference.over_runs import image_replicates
from fairprof.inference.selective_prediction import selective_scores
from fairprof.inference.shift import expected_accuracy
from fairprof.inference.units import person_codes
from fairprof.metrics.fairness import rates_by_group
from fairprof.metrics.performance import performance
from tests.inference.made_tables import random_counts, two_genders
from tests.inference.test_over_runs import random_runs

NAN = np.nan


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_against_scipy(confidence):
    successes, totals = np.array([0, 1, 7, 30, 30, 500]), np.array([1, 30, 20, 30, 31, 10_000])
    lower, upper = wilson_interval(successes, totals, confidence)
    for i, (success, total) in enumerate(zip(successes.tolist(), totals.tolist(), strict=True)):
        expected = stats.binomtest(success, total).proportion_ci(confidence, method="wilson")
        assert (lower[i], upper[i]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (lower[0], upper[3]) == (0, 1)


def test_wilson_of_arrays_and_of_nothing():
    lower, upper = wilson_interval([[0], [2]], [2, 4])
    assert lower.shape == upper.shape == (2, 2)
    assert (lower[0, 0], upper[1, 0]) == (0, 1)
    assert np.isnan(wilson_interval([0, 0], [0, 5])).tolist() == [[True, False], [True, False]]
    with pytest.raises(ValueError, match="successes lie outside 0 to totals"):
        wilson_interval(3, 2)


def test_bootstrapped_scores():
    table = two_genders([[400, 60, 40], [30, 150, 20], [10, 10, 80]], [[0, 0, 0]] * 3)
    found = bootstrap_scores(table, 4000, np.random.default_rng(0))
    assert list(found) == ["metric", "value", "lower", "upper", "standard_error"]
    expected = performance(table)
    assert found.set_index("metric")["value"].to_dict() == pytest.approx(
        {name: expected[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    )
    # Each class keeps its rows, so the variance is a sum over classes: 500 of 80 %, 200 of 75 %, 100 of 80 %.
    recall, rows = np.array([0.8, 0.75, 0.8]), np.array([500, 200, 100])
    variance = recall * (1 - recall) / rows
    accuracy, balanced, f1 = found.itertuples()
    assert accuracy.standard_error == pytest.approx(np.sqrt((variance * (rows / 800) ** 2).sum()), rel=0.05)
    assert balanced.standard_error == pytest.approx(np.sqrt(variance.sum()) / 3, rel=0.05)
    assert (accuracy.lower, accuracy.upper) == pytest.approx(
        accuracy.value + 1.96 * accuracy.standard_error * np.array([-1, 1]), abs=0.003
    )
    assert f1.lower < f1.value < f1.upper
    narrow = bootstrap_scores(table, 4000, np.random.default_rng(0), confidence=0.5)
    assert (narrow["lower"] > found["lower"]).all() and (narrow["upper"] < found["upper"]).all()


def test_the_interval_of_accuracy_is_wilsons_and_has_a_width_where_all_are_right():
    right = two_genders([[40, 0], [0, 10]], [[0, 0], [0, 0]])
    found = bootstrap_scores(right, 400, np.random.default_rng(0)).set_index("metric")
    assert (found.loc["accuracy", "lower"], found.loc["accuracy", "upper"]) == pytest.approx(
        np.array(wilson_interval(50, 50)).tolist()
    )
    assert (found["upper"] == 1).all()
    assert (found.loc[["balanced_accuracy", "macro_f1"], "lower"] < 0.95).all()


def test_images_of_one_person_widen_every_interval():
    table = two_genders([[40, 10], [5, 45]], [[0, 0], [0, 0]])
    alone = bootstrap_scores(table, 2000, np.random.default_rng(0)).set_index("metric")
    each = bootstrap_scores(table.assign(person=np.arange(100)), 2000, np.random.default_rng(1)).set_index("metric")
    several = bootstrap_scores(table.assign(person=np.arange(100) // 5), 2000, np.random.default_rng(2))
    several = several.set_index("metric")
    np.testing.assert_allclose(alone[["lower", "upper"]], each[["lower", "upper"]], atol=0.01)
    wider = (several["upper"] - several["lower"]) / (alone["upper"] - alone["lower"])
    assert wider.between(1.7, 2.6).all()  # sqrt(5), where a person's images are all right or all wrong


def test_accuracy_has_one_interval_wherever_it_is_told():
    table = two_genders([[40, 10], [5, 45]], [[0, 0], [0, 0]])
    for predictions in (table, table.assign(person=np.arange(100) // 5)):
        correct = predictions["y_true"].eq(predictions["y_pred"]).to_numpy()
        scores = bootstrap_scores(predictions, 100, np.random.default_rng(0)).set_index("metric").loc["accuracy"]
        kept = selective_scores(predictions, (1.0,)).iloc[0]
        expected = expected_accuracy(np.ones(100), correct, person_codes(predictions))
        ends = [(found["lower"], found["upper"]) for found in (scores, kept, expected._asdict())]
        assert ends[0] == pytest.approx(ends[1])
        assert ends[0] == pytest.approx(ends[2])


def test_the_design_effect_by_hand():
    person = np.repeat(["a", "b", "c", "d"], 2)
    assert design_effect_of(np.array([1, 1, 0, 0, 1, 1, 0, 0]), person) == 2
    assert design_effect_of(np.array([1, 0, 1, 0, 1, 0, 1, 0]), person) == 1
    assert design_effect_of(np.ones(8), person) == 2
    assert design_effect_of(np.ones(8), None) == 1


def test_the_design_effect_of_some_persons_wholly_alike_by_hand():
    # of 40 persons with four images each, 10 are always right, 10 never, 20 every other time
    right = np.repeat([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]], [10, 10, 20], axis=0).ravel()
    person = np.repeat(np.arange(40), 4)
    # residuals of .5: 20 sums of 2, and 160 squares of .25
    plain = (40 / 39 * 20 * 4) / (160 / 159 * 160 / 4)
    few = (stats.t.ppf(0.975, 39) / stats.t.ppf(0.975, 159)) ** 2
    assert design_effect_of(right, person) == pytest.approx(plain * few)
    # where persons have equally many images, that is by how much their means vary more than they would
    means = right.reshape(40, 4).mean(axis=1)
    assert plain == pytest.approx(4 * means.var(ddof=1) / right.var(ddof=1))
    wider = (stats.t.ppf(0.75, 39) / stats.t.ppf(0.75, 159)) ** 2
    assert design_effect_of(right, person, confidence=0.5) == pytest.approx(plain * wider)


def test_design_effects_of_groups_are_those_of_their_own_images():
    generator = np.random.default_rng(0)
    group, person = generator.integers(3, size=300), generator.integers(40, size=300)
    values = generator.random((300, 2)) < 0.5 + 0.4 * np.sin(person)[:, None]
    counted = generator.random((300, 2)) < 0.7
    found = design_effects(values, counted, group, 4, person)
    for code, column in np.ndindex(3, 2):
        own = (group == code) & counted[:, column]
        assert found[code, column] == pytest.approx(design_effect_of(values[own, column], person[own]))
    assert np.isnan(found[3]).all()
    assert (found[:3] > 1).all()


def test_a_design_effect_lies_between_images_that_are_no_alike_and_wholly_so():
    generator = np.random.default_rng(1)
    for _ in range(50):
        person = np.repeat(np.arange(6), generator.integers(1, 5, 6))
        sizes = np.bincount(person)
        effect = design_effect_of(generator.random(len(person)) < 0.8, person)
        assert 1 <= effect <= (sizes**2).sum() / sizes.sum() + 1e-12
    assert design_effect_of(np.array([1, 0, 1]), np.zeros(3)) == 3  # of one person nobody knows how persons vary


def test_a_person_for_every_image_is_no_persons():
    table = random_counts(seed=2)
    each = table.assign(person=np.random.default_rng(0).permutation(len(table)).astype(str))
    rates = rates_by_group(table)
    alone = with_intervals(rates, table)
    pd.testing.assert_frame_equal(alone, with_intervals(rates, each))
    lower, upper = wilson_interval(rates["numerator"], rates["denominator"])
    np.testing.assert_array_equal(alone[["lower", "upper"]], np.column_stack([lower, upper]))
    right, counted = np.ones((4, 1)) * [[1], [0], [1], [1]], np.ones((4, 1), dtype=bool)
    assert design_effects(right, counted, np.array([0, 0, 1, 1]), 2, np.arange(4)).tolist() == [[1], [1]]


def test_neither_the_names_of_persons_nor_the_order_of_rows_changes_an_interval():
    table = random_counts(seed=3).assign(person=lambda rows: np.random.default_rng(0).integers(80, size=len(rows)))
    other = table.assign(person=table["person"].map(lambda number: f"p{-number}")).sample(frac=1, random_state=1)
    first, second = (with_intervals(rates_by_group(rows), rows) for rows in (table, other))
    np.testing.assert_allclose(first[["lower", "upper"]], second[["lower", "upper"]])


def test_intervals_of_rates_are_as_wide_as_persons_whose_images_are_wholly_alike_allow():
    table = random_counts(seed=4)
    several = table.loc[table.index.repeat(5)].assign(person=lambda rows: rows.index.astype(str)).reset_index(drop=True)
    once = with_intervals(rates_by_group(table), table)
    five = with_intervals(rates_by_group(several), several)
    np.testing.assert_allclose(once[["lower", "upper"]], five[["lower", "upper"]])


def test_a_class_without_rows_is_left_out_of_the_bootstrap():
    table = two_genders([[40, 10, 0], [10, 40, 0], [0, 0, 0]], [[0, 0, 0]] * 3)
    found = bootstrap_scores(table, 500, np.random.default_rng(0)).set_index("metric")
    assert found.loc["balanced_accuracy", "value"] == 0.8
    assert found.loc["balanced_accuracy", "standard_error"] == pytest.approx(0.04, rel=0.1)
    right = two_genders([[40, 0], [0, 40]], [[1, 0], [0, 1]])
    assert bootstrap_scores(right, 50, np.random.default_rng(0))["standard_error"].tolist() == [0, 0, 0]


def test_intervals_are_centred_on_what_was_observed():
    draws = np.stack([np.arange(101.0), np.full(101, NAN)], axis=1)
    lower, upper = centred_interval(draws, np.array([10.0, 1.0]), 0.9)
    # Quantiles 5 and 95, less the mean of 50.
    np.testing.assert_allclose([lower, upper], [[-35, NAN], [55, NAN]])
    assert centred_interval(draws[:, 0], np.array(10.0), 0.5) == pytest.approx((-15, 35))
    with pytest.raises(ValueError, match="confidence is 1"):
        centred_interval(draws, np.zeros(2), 1)


def test_the_interval_of_a_gap_is_not_moved_up_by_resampling():
    # Nobody's gap is larger than chance would make it: resampling adds to it once more.
    table = random_runs(1, 400, seed=5)[0]
    table["race"] = np.random.default_rng(0).permutation(table["race"])
    found = image_replicates([table], 1000, np.random.default_rng(0))
    number = found.names.index("equal_opportunity_difference/gender_x_race")
    gap, drawn = found.observed[0, number], found.values[:, 0, number]
    lower, upper = centred_interval(drawn, gap)
    assert np.quantile(drawn, 0.025) > lower + 0.05
    assert lower < gap < upper
