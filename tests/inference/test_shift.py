"""Shift: distances worked by hand, SciPy's tests, and samples of the same and of other populations."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

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
    samples = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.35, 0.5, 0.6, 0.7])
    found = confidence_shift(*samples, (None, None), 99, np.random.default_rng(0))
    assert found.p_value == pytest.approx(ks_2samp(*samples).pvalue)
    assert found.statistic == pytest.approx(0.75)  # at .3: 3/4 against 0
    assert (found.reference_mean, found.evaluated_mean) == pytest.approx((0.25, 0.5375))


def test_expected_against_observed_accuracy():
    found = expected_accuracy(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]))
    assert (found.expected, found.observed, found.difference) == pytest.approx((0.75, 0.5, 0.25))
    assert found.lower < 0.5 < found.upper


# Several images of a person.


def test_chance_of_persons_by_hand():
    # two persons with two images each against two: all of one kind or the other, as many of either
    reference, evaluated = [[2, 0], [0, 2]], [[2, 0], [2, 0]]
    found = category_shift(reference, evaluated, 9999, np.random.default_rng(0))
    assert found.total_variation == 0.5
    # both have 3/4 and 1/4; a person's two of four images deviate from the shares of the other six by 1/6, or 1/2, with
    # weights (1 - 5^.5) / 2 and (1 + 5^.5) / 2; of two persons the variance is doubled
    low = np.stack(np.meshgrid(*[[True, False]] * 4), axis=-1).reshape(-1, 4)
    chance = np.where(low, (5**0.5 + 1) / (2 * 5**0.5), (5**0.5 - 1) / (2 * 5**0.5)).prod(axis=1)
    null = np.abs(2**0.5 * np.where(low, (1 - 5**0.5) / 2, (1 + 5**0.5) / 2) @ [1 / 6, -1 / 2, -1 / 6, -1 / 6]).clip(
        max=1
    )
    assert chance.sum() == pytest.approx(1)
    assert found.null_mean == pytest.approx(chance @ null, abs=0.01)
    assert found.p_value == pytest.approx(chance @ (null >= 0.5), abs=0.02)
    assert np.isnan(found.chi_square) and np.isnan(found.chi_square_p)


def test_more_images_of_the_same_persons_are_no_more_evidence():
    generator = np.random.default_rng(0)
    reference, evaluated = (generator.multinomial(1, shares, 80) for shares in ([0.5, 0.3, 0.2], [0.3, 0.4, 0.3]))
    once, often = (
        category_shift(times * reference, times * evaluated, 999, np.random.default_rng(1)) for times in (1, 5)
    )
    assert once[:-2] == pytest.approx(often[:-2])
    counted = category_shift(5 * reference.sum(axis=0), 5 * evaluated.sum(axis=0), 999, np.random.default_rng(1))
    assert counted.p_value < often.p_value


def test_chance_of_persons_with_an_image_each_is_that_of_images():
    generator = np.random.default_rng(2)
    reference, evaluated = (generator.multinomial(1, [0.5, 0.3, 0.2], persons) for persons in (2000, 900))
    persons = category_shift(reference, evaluated, 4999, np.random.default_rng(0))
    images = category_shift(reference.sum(axis=0), evaluated.sum(axis=0), 4999, np.random.default_rng(0))
    mixed = category_shift(reference.sum(axis=0), evaluated, 4999, np.random.default_rng(0))
    for found in (persons, mixed):
        assert found.total_variation == images.total_variation
        assert found.null_mean == pytest.approx(images.null_mean, rel=0.05)
        assert found.p_value == pytest.approx(images.p_value, abs=0.03)


def test_neither_names_nor_the_order_of_persons_changes_a_number():
    generator = np.random.default_rng(3)
    samples = [generator.multinomial(4, [0.5, 0.3, 0.2], persons) for persons in (60, 30)]
    others = [generator.permutation(sample)[:, [2, 0, 1]] for sample in samples]
    assert category_shift(*samples, 99, np.random.default_rng(0)) == pytest.approx(
        category_shift(*others, 99, np.random.default_rng(0)), nan_ok=True
    )
    confidences = [generator.random(240), generator.random(120)]
    persons = [np.repeat(np.arange(60), 4), np.repeat(np.arange(30), 4)]
    orders = [generator.permutation(len(sample)) for sample in confidences]
    first = confidence_shift(*confidences, persons, 99, np.random.default_rng(0))
    moved = [sample[order] for sample, order in zip(confidences, orders, strict=True)]
    renamed = [1000 - codes[order] for codes, order in zip(persons, orders, strict=True)]
    assert confidence_shift(*moved, renamed, 99, np.random.default_rng(0)) == pytest.approx(first)


def test_confidences_of_the_same_persons_again_are_no_more_evidence():
    generator = np.random.default_rng(4)
    reference, evaluated = generator.beta(4, 2, 80), generator.beta(3, 2, 80)
    alone = confidence_shift(reference, evaluated, (None, None), 999, generator)
    often = [np.repeat(sample, 5) for sample in (reference, evaluated)]
    persons = [np.repeat(np.arange(80), 5)] * 2
    several = confidence_shift(*often, persons, 999, generator)
    assert several.statistic == pytest.approx(alone.statistic)
    assert several.p_value == pytest.approx(alone.p_value, abs=0.05)
    assert confidence_shift(*often, (None, None), 999, generator).p_value < alone.p_value / 2


def test_tables_of_persons_are_compared_by_their_images():
    reference = {"gender": pd.DataFrame({0: [3, 0], 1: [1, 2]}, index=["Female", "Male"])}
    evaluated = {"gender": pd.Series({"Female": 6, "Male": 2, "other": 0})}
    row = composition_shift(reference, evaluated, 99, np.random.default_rng(0)).iloc[0]
    assert (row["reference_images"], row["evaluated_images"], row["status"]) == (6, 8, "comparable")
    assert row["total_variation"] == pytest.approx(6 / 8 - 4 / 6)


def test_samples_of_one_category_do_not_differ_by_chance_either():
    found = category_shift([30], [70], 99, np.random.default_rng(0))
    assert (found.total_variation, found.null_mean, found.null_q95, found.p_value) == (0, 0, 0, 1)
