"""Whether groups differ in what maps show: by hand, and where the truth is known."""

import numpy as np
import pandas as pd
import pytest

from fairprof.inference.attention_tests import attention_gap_tests, group_contrasts, map_distances
from fairprof.inference.group_means import image_values
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


def test_who_differs_is_named_with_its_images_and_has_a_band_without_0():
    rows, values = people(200, 1), generator(2).normal(size=(200, 1))
    values[rows["race"].eq("y"), 0] += 1.5
    found = numbers_of(rows, values)
    gap = attention_gap_tests(found, 199, generator(3)).set_index("attribute").loc["race"]
    table = group_contrasts(found, 199, generator(3))
    of_races = table[table["attribute"].eq("race")].set_index("group")
    assert gap["differing"] == ", ".join(
        f"{group} (n = {row['images']})" for group, row in of_races.iterrows() if row["differs"]
    )
    assert f"y (n = {rows['race'].eq('y').sum()})" in gap["differing"]
    assert gap["p_value"] == of_races["p_value"].min()
    assert of_races.loc["y", "lower"] > 1 and of_races.loc["y", "upper"] < 2.1
    assert (of_races["differs"] == ((of_races["lower"] > 0) | (of_races["upper"] < 0))).all()


def test_a_person_counts_once():
    """Ten images of each of 24 persons, who are unlike one another, are no evidence of ten times as many."""
    rows = people(24, 4).loc[np.repeat(np.arange(24), 10)].reset_index(drop=True)
    rows = rows.assign(person=rows["image"], image=[f"{number:04d}" for number in range(240)])
    of_persons = generator(5).normal(size=(24, 1))
    found = numbers_of(rows, np.repeat(of_persons, 10, axis=0))
    once = numbers_of(rows.iloc[::10], of_persons)
    p_values = [attention_gap_tests(some, 199, generator(6))["p_value"].tolist() for some in (found, once)]
    assert p_values[0] == p_values[1]
    alone = numbers_of(rows.assign(person=""), np.repeat(of_persons, 10, axis=0))
    assert (attention_gap_tests(alone, 199, generator(6))["p_value"] < p_values[0]).any()


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
