"""The smallest differences between designs that a study can show, from the counts of a test set."""

import numpy as np
import pandas as pd
import pytest

from fairprof.inference.planning import ErrorParts, assumed_parts, detectable_difference
from fairprof.measurement.detectable import assumed_differences, detectable_table, detectable_told

DP, EO = "demographic_parity_difference", "equal_opportunity_difference"


def images(races: dict[str, int]) -> pd.DataFrame:
    """So many images of each race, gender and class."""
    rows = [
        (gender, race, profession)
        for race, count in races.items()
        for gender in "mf"
        for profession in "ab"
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["gender", "race", "profession"]).astype("category")


CONFUSION = np.array([[0.8, 0.2], [0.4, 0.6]])


def test_it_is_that_of_the_two_largest_groups_in_the_class_that_shows_least():
    table = assumed_differences(images({"x": 100, "y": 60, "z": 3}), CONFUSION, designs=4)
    found = table.set_index(["seeds", "metric", "attribute"])["detectable"]
    for seeds in (6, 10, 20):
        of_classes = [detectable_difference(assumed_parts(rate, (200, 120)), seeds, 12) for rate in (0.8, 0.6)]
        assert found[seeds, EO, "race"] == pytest.approx(max(of_classes))
        selected = detectable_difference(assumed_parts(0.6, (400, 240)), seeds, 12)
        assert found[seeds, DP, "race"] == pytest.approx(selected)
    assert (found[6] > found[10]).all() and (found[10] > found[20]).all()


def test_where_no_two_groups_can_be_compared_there_is_none():
    table = assumed_differences(images({"x": 50}), CONFUSION, designs=2)
    found = table.set_index(["seeds", "attribute"])["detectable"]
    assert found[6, "race"].isna().all() and found[6, "gender"].notna().all()
    text = detectable_told(table, 2, 200)
    assert "adjusted over 4 comparisons" in text and "DP by race none, none and none" in text
    assert "nan" not in text


def test_the_sentence_names_every_number_of_seeds():
    table = detectable_table({(DP, "gender"): [ErrorParts(1e-4, 1e-4, 0.0), ErrorParts(0.0, 1e-6, 0.0)]}, 3, (6, 10))
    small, large = table["detectable"]
    assert small > large > 0.03
    text = detectable_told(table, 3, 661)
    assert "two of 3 designs" in text and "with 6 and 10 seeds and these 661 test images" in text
    assert f"DP by gender {small:.3f} and {large:.3f}".replace("0.", ".") in text
