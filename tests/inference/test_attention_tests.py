"""Whether groups differ in what maps show: by hand, and where the truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.inference.attention_tests import attention_gap_tests, map_distances
from fairprof.inference.group_means import group_contrasts, image_values, resampled_weights
from tests.inference.made_tables import generator, numbers_of, people


def test_the_gap_test_finds_a_difference_and_names_its_groups():
    rows, values = people(200, 1), generator(2).normal(size=(200, 2))
    values[rows["race"].eq("y"), 0] += 1.5
    table = attention_gap_tests(numbers_of(rows, values), 199, generator()).set_index(["attribute", "measure"])
    found = table.loc[("race", "m0")]
    assert found["p_value"] == pytest.approx(1 / 200) and found["highest_group"] == "y"
    means = pd.Series(values[:, 0]).groupby(rows["race"].to_numpy()).mean()
    assert found["value"] == pytest.approx(means.max() - means.min())
    assert found["excess"] == pytest.approx(found["value"] - found["null_mean"]) and found["excess"] > 1
    assert table.loc[("race", "m1"), "p_value"] > 0.01


def test_what_the_true_class_explains_is_no_difference_between_groups():
    """Attention depends on the class alone, and classes are spread unevenly over the groups."""
    rows = people(400, 5)
    rows["y_true"] = np.where(generator(1).random(400) < np.where(rows["gender"].eq("man"), 0.9, 0.1), "a", "b")
    values = (rows["y_true"].eq("a").to_numpy() + 0.3 * generator(2).normal(size=400))[:, None]
    gap = attention_gap_tests(numbers_of(rows, values), 199, generator()).set_index("attribute").loc["gender"]
    assert gap["value"] > 0.6 and gap["null_mean"] > 0.6 and gap["p_value"] > 0.01


@pytest.mark.slow
def test_permutation_tests_keep_their_level_and_bands_their_confidence():
    rejected, missed, tables = 0, 0, 150
    for number in range(tables):
        rows, values = people(120, number), generator(1000 + number).exponential(size=(120, 1))
        found = numbers_of(rows, values)
        gaps = attention_gap_tests(found, 99, generator(number))
        rejected += gaps["p_value"].le(0.05).sum()
        bands = group_contrasts(found, resampled_weights(120, 200, generator(number)))
        missed += bands[bands["attribute"].eq("race")]["differs"].any()
    assert stats.binomtest(int(rejected), 3 * tables, 0.05).pvalue > 0.001
    assert stats.binomtest(int(missed), tables, 0.07, alternative="greater").pvalue > 0.001


# Mean maps.


def test_distances_by_hand():
    """Mean normalised maps: (1, 0) against (1/2, 1/2) and (0, 1); the map of zeros does not count."""
    rows = pd.DataFrame({"image": list("abcdef"), "gender": "w", "race": list("xxyyzz"), "y_true": "one"})
    maps = np.array([[[2, 0]], [[8, 0]], [[3, 0]], [[0, 1]], [[0, 5]], [[0, 0]]], dtype=float)
    found = image_values(rows, {"A": np.zeros((6, 1))}, ("m",))
    table = map_distances(found, {"A": maps}, rows["image"], 99, generator())
    table = table[table["attribute"].eq("race")]
    pairs = table[table["pair"].eq("each")].set_index(["first_group", "second_group"])["distance"]
    assert pairs.to_dict() == {("x", "y"): 0.5, ("x", "z"): 1.0, ("y", "z"): 0.5}
    largest = table[table["pair"].eq("largest")].iloc[0]
    assert (largest["first_group"], largest["second_group"], largest["distance"]) == ("x", "z", 1.0)
    assert set(table["attribute"]) == {"race"}  # one gender only: there is no pair


def test_a_group_that_looks_elsewhere_is_found_and_no_other():
    rows, maps = people(200, 2), generator(3).random((200, 3, 3))
    maps[rows["race"].eq("z"), 0, 0] += 1.0
    found = numbers_of(rows, np.zeros((200, 1)))
    table = map_distances(found, {"A": maps}, rows["image"], 199, generator())
    table = table[table["attribute"].isin(["gender", "race"])]
    different = table[table["p_adjusted"].le(0.05)]
    assert set(different["attribute"]) == {"race"}
    assert all("z" in pair for pair in different[["first_group", "second_group"]].to_numpy().tolist())
    assert (table["p_adjusted"] >= table["p_value"] - 1e-12).all()
