"""What is measured on counts after every epoch: the same numbers, to the last bit, as of a table of the predictions."""

import numpy as np
import pandas as pd
import pytest

from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.measurement.measures import scores_and_gaps
from fairprof.measurement.validation import ValidationMeasure

MIN_SUPPORT = 5


def pool_of(genders: list[str], races: list[str], professions: list[str], classes: list[str]) -> Pool:
    """Images of these people; no image is Blue, and the class "z" need not occur."""
    number = len(genders)
    table = pd.DataFrame(
        {
            "image": [f"{place}.png" for place in range(number)],
            "gender": pd.Categorical(genders, ["Female", "Male"]),
            "race": pd.Categorical(races, ["Blue", "Green", "Red"]),
            "age": pd.Categorical(["20-29"] * number),
            "profession": pd.Categorical(professions, classes, ordered=True),
            "partition": "val",
        }
    )
    return Pool("made", table, tuple(classes), None, pd.DataFrame(), None, 0, "")


def random_pool(number: int, classes: list[str], generator: np.random.Generator) -> Pool:
    chosen = (
        generator.choice(names, number).tolist() for names in (["Female", "Male"], ["Green", "Red"], classes[:-1])
    )
    return pool_of(*chosen, classes)


def assert_same(pool: Pool, rows: np.ndarray, epochs: list[np.ndarray]) -> dict[str, float]:
    measure = ValidationMeasure(pool, rows, MIN_SUPPORT, "race")
    for probabilities in epochs:
        values = measure(probabilities)
        expected = scores_and_gaps(predictions_table(pool, rows, probabilities), MIN_SUPPORT)
        gap = np.nan_to_num(expected["equal_opportunity_difference/race"])  # undefined, it adds nothing
        expected["distance_to_ideal"] = np.hypot(1 - expected["macro_f1"], gap)
        assert list(values) == list(expected)
        np.testing.assert_array_equal(list(values.values()), list(expected.values()))
    return values


@pytest.mark.parametrize("number", [1, 2, 7, 40, 300])
@pytest.mark.parametrize("classes", [list("xz"), list("vwxz"), list("abcdefghijkz")])
def test_values_are_those_of_the_table_in_every_epoch(number, classes):
    generator = np.random.default_rng(number)
    pool = random_pool(2 * number, classes, generator)
    rows = generator.permutation(2 * number)[:number]
    logits = generator.normal(size=(3, number, len(classes))).astype(np.float32) * 4
    shares = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)  # of single precision: they sum to 1 roughly
    assert_same(pool, rows, list(shares.astype(float)))


def test_gaps_that_are_undefined_and_groups_that_are_too_small():
    people = {"genders": ["Male"] * 6, "races": ["Red"] * 5 + ["Green"], "professions": list("xxxyyx")}
    pool = pool_of(**people, classes=list("xyz"))
    right = np.eye(3)[[0, 0, 0, 1, 1, 0]]
    values = assert_same(pool, np.arange(6), [right])
    assert values["accuracy"] == values["worst_group_accuracy/race"] == 1
    assert np.isnan(values["demographic_parity_difference/gender"])  # there are men alone
    assert values["demographic_parity_difference/race"] == 0.4  # y: 2 of 5 and none of 1
    # true positives of y among Green and of z, false positives of x among Green, who are all x
    assert values["undefined_cells/race"] == 1 + 2 + 1
    # of the only Green image: selection of each class, true x, false y and z; of Red: true x and y, false x and y
    assert values["insufficient_cells/race"] == 3 + 1 + 2 + 2 + 2


def test_one_class_is_predicted_for_every_image():
    generator = np.random.default_rng(0)
    pool = random_pool(60, list("xyz"), generator)
    values = assert_same(pool, np.arange(60), [np.tile([0.2, 0.5, 0.3], (60, 1)), np.tile([1.0, 0.0, 0.0], (60, 1))])
    assert values["demographic_parity_difference/gender_x_race"] == 0


def test_there_is_nothing_to_measure_without_rows():
    with pytest.raises(ValueError, match="has no rows"):
        ValidationMeasure(
            random_pool(4, list("xy"), np.random.default_rng(0)), np.array([], dtype=int), MIN_SUPPORT, "race"
        )
