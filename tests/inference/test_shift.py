"""Shift: distances worked by hand, SciPy's tests, and samples of the same and of other populations."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from fairprof.inference.shift import (
    category_shift,
    composition_shift,
    confidence_shift,
    expected_accuracy,
    judged_shift,
)


def test_distances_by_hand():
    found = category_shift([30, 10, 0], [10, 20, 10], 99, np.random.default_rng(0))
    assert found.total_variation == pytest.approx(0.5)  # (.5 + .25 + .25) / 2
    mixed = np.array([0.5, 0.375, 0.125])
    divergence = sum(
        0.5 * share * np.log2(share / middle)
        for shares in ([0.75, 0.25, 0], [0.25, 0.5, 0.25])
        for share, middle in zip(shares, mixed, strict=True)
        if share
    )
    assert found.jensen_shannon == pytest.approx(np.sqrt(divergence))
    expected = chi2_contingency([[30, 10, 0], [10, 20, 10]], correction=False)
    assert (found.chi_square, found.chi_square_p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.p_value == 1 / 100


def test_equal_samples_have_no_distance():
    found = category_shift([30, 10, 0], [30, 10, 0], 99, np.random.default_rng(0))
    assert (found.total_variation, found.jensen_shannon, found.p_value) == (0, 0, 1)


def test_a_single_category_cannot_differ():
    found = category_shift([5, 0], [9, 0], 99, np.random.default_rng(0))
    assert found.total_variation == 0 and found.p_value == 1 and np.isnan(found.chi_square_p)


def test_a_sample_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        category_shift([0, 0], [1, 2], 99, np.random.default_rng(0))


def test_the_test_keeps_its_level_and_finds_what_is_there():
    generator = np.random.default_rng(0)
    same, other = [], []
    for _ in range(200):
        reference = generator.multinomial(200, [0.5, 0.3, 0.2])
        same.append(category_shift(reference, generator.multinomial(120, [0.5, 0.3, 0.2]), 99, generator).p_value)
        other.append(category_shift(reference, generator.multinomial(120, [0.2, 0.3, 0.5]), 99, generator).p_value)
    assert np.mean(np.array(same) <= 0.05) <= 0.1
    assert np.mean(np.array(other) <= 0.05) >= 0.95


def test_the_names_of_categories_change_no_number():
    first = category_shift([30, 10, 5], [10, 20, 10], 99, np.random.default_rng(0))
    second = category_shift([5, 30, 10], [10, 10, 20], 99, np.random.default_rng(0))
    assert first == pytest.approx(second)


@pytest.fixture
def compared() -> pd.DataFrame:
    reference = {
        "gender": pd.Series({"Female": 50, "Male": 50}),
        "race": pd.Series({"Monk 1-4": 60, "Monk 8-10": 40}),
        "age": pd.Series({"0-2": 10, "3-9": 90}),
        "profession": None,
    }
    evaluated = {
        "gender": pd.Series({"Female": 40, "Male": 40}),
        "race": pd.Series({"White": 60, "Black": 20}),
        "age": pd.Series({"3-9": 80, "0-2": 0}),
        "profession": pd.Series({"student": 80}),
    }
    return judged_shift(composition_shift(reference, evaluated, 199, np.random.default_rng(0))).set_index("attribute")


def test_other_words_are_no_distance_but_a_shift(compared):
    race = compared.loc["race"]
    assert race["status"] == "different_vocabulary" and race["verdict"] == "established"
    assert np.isnan(race["total_variation"]) and np.isnan(race["p_value"])
    assert (race["only_reference"], race["only_evaluated"]) == ("Monk 1-4, Monk 8-10", "White, Black")


def test_a_category_that_one_sample_lacks_is_named_and_compared(compared):
    age = compared.loc["age"]
    assert age["status"] == "comparable" and age["only_reference"] == "0-2" and age["only_evaluated"] == ""
    assert age["total_variation"] == pytest.approx(0.1)
    assert (age["reference_images"], age["evaluated_images"]) == (100, 80)


def test_what_is_not_recorded_is_named_and_no_shift(compared):
    profession = compared.loc["profession"]
    assert profession["status"] == "not_recorded" and profession["verdict"] == "not_established"
    assert compared.loc["gender", "verdict"] == "not_established"


def test_holm_counts_what_was_tested_alone(compared):
    assert compared.loc["age", "p_adjusted"] == pytest.approx(2 * compared.loc["age", "p_value"])


def test_confidence_is_compared_by_the_largest_distance_of_distribution_functions():
    found = confidence_shift(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.35, 0.5, 0.6, 0.7]))
    assert found.statistic == pytest.approx(0.75)  # at .3: 3/4 against 0
    assert (found.reference_mean, found.evaluated_mean) == pytest.approx((0.25, 0.5375))


def test_expected_against_observed_accuracy():
    found = expected_accuracy(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]))
    assert (found.expected, found.observed, found.difference) == pytest.approx((0.75, 0.5, 0.25))
    assert found.lower < 0.5 < found.upper
