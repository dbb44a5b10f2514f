"""Shift between an evaluation and the training: from predictions tables and the composition that a run has left."""

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.evaluate.shift import sample_counts, shift_between, training_counts


def predictions(rows: int, seed: int, races=("one", "two"), women: float = 0.5, confident: float = 0.6) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    top = generator.uniform(confident, 1, rows)
    predicted = generator.choice(["cook", "nurse"], rows)
    return pd.DataFrame(
        {
            "image": [f"{row}.png" for row in range(rows)],
            "y_true": np.where(generator.random(rows) < top, predicted, "cook"),
            "y_pred": predicted,
            "probability_cook": np.where(predicted == "cook", top, 1 - top),
            "probability_nurse": np.where(predicted == "cook", 1 - top, top),
            "gender": pd.Categorical(np.where(generator.random(rows) < women, "Female", "Male")),
            "race": pd.Categorical(generator.choice(list(races), rows)),
            "age": pd.Categorical(generator.choice(["20-29", "30-39"], rows)),
        }
    )


@pytest.fixture
def composition() -> pd.DataFrame:
    """What a run that is balanced over gender x profession has left: 10 images a cell, but for the races."""
    cells = pd.MultiIndex.from_product(
        [["train", "val"], ["cook", "nurse"], ["one", "two"], ["Female", "Male"]],
        names=["partition", "profession", "race", "gender"],
    )
    return pd.Series(np.tile([8, 8, 2, 2], 4), cells, name="count").reset_index()


def compared(evaluated: pd.DataFrame, own: pd.DataFrame, composition: pd.DataFrame):
    balanced = ("gender", "profession")
    tables = ({"before": table, "after": table} for table in (evaluated, own))
    return shift_between(*tables, own, composition, balanced, 199, np.random.default_rng(0))


def test_training_images_are_counted_by_the_run_and_their_ages_by_its_validation_images(composition):
    validation = predictions(20, 0)
    counts = training_counts(composition, validation)
    assert counts["gender"].to_dict() == {"Female": 20, "Male": 20}
    assert counts["race"].to_dict() == {"one": 32, "two": 8}
    assert counts["gender x race x profession"]["Female x two x cook"] == 2
    assert counts["age"].sum() == 20
    assert list(counts) == list(sample_counts(validation))


def test_the_same_images_show_no_shift(composition):
    own = predictions(300, 0)
    found = compared(own, own, composition)
    assert set(found.data["verdict"]) == {"not_established"}
    assert (found.data["value"] == 0).all() and (found.data["p_value"] == 1).all()
    assert found.training.set_index("attribute").loc["race", "verdict"] == "established"  # 80 % against a half
    assert found.training.set_index("attribute")["balanced"].to_dict()["gender"]


def test_other_images_of_the_same_kind_show_no_shift_but_by_chance(composition):
    own = predictions(300, 0)
    established = [
        (compared(predictions(200, seed), own, composition).data["verdict"] == "established").any()
        for seed in range(1, 16)
    ]
    assert sum(established) <= 3


@pytest.mark.parametrize(
    ("other", "attribute"),
    [
        ({"women": 0.9}, "gender"),
        ({"confident": 0.95}, "confidence"),
        ({"races": ("one", "one", "one", "two")}, "race"),
    ],
)
def test_a_shift_is_found_where_it_is(composition, other, attribute):
    found = compared(predictions(300, 1, **other), predictions(300, 0), composition).data.set_index("attribute")
    assert found.loc[attribute, "verdict"] == "established"
    untouched = {"gender", "race", "age"} - {attribute}
    assert (found.loc[list(untouched), "verdict"] == "not_established").all()


def test_other_words_for_races_are_a_shift(composition):
    found = compared(predictions(300, 1, races=("north", "south")), predictions(300, 0), composition)
    race = found.data.set_index("attribute").loc["race"]
    assert (race["status"], race["verdict"]) == ("different_vocabulary", "established")
    assert sorted(race["only_evaluated"].split(", ")) == ["north", "south"]


def test_what_the_confidences_promise_stands_beside_what_is_found(composition):
    here, own = predictions(300, 1), predictions(300, 0)
    table = compared(here, own, composition).accuracy.set_index(["images", "scaling"])
    row = table.loc[("evaluated", "before")]
    assert row["observed"] == pytest.approx((here["y_true"] == here["y_pred"]).mean())
    assert row["expected"] == pytest.approx(
        here[["probability_cook", "probability_nurse"]].max(axis=1).mean(), abs=1e-6
    )
    assert len(table) == 4


def of_persons(table: pd.DataFrame) -> pd.DataFrame:
    """The same images five times, as images of one person each."""
    table = table.loc[table.index.repeat(5)].assign(person=lambda rows: "p" + rows["image"]).reset_index(drop=True)
    return table.assign(image=[f"{row}.png" for row in range(len(table))])


def test_images_of_the_same_persons_are_no_further_evidence(composition):
    here, own = predictions(80, 1, women=0.6, confident=0.65), predictions(80, 0)
    once = compared(here, own, composition)
    often = compared(of_persons(here), of_persons(own), composition)
    several, alone = (found.data.set_index("attribute")["p_value"] for found in (often, once))
    assert (several > alone - 0.12).all()
    unnamed = compared(*(of_persons(rows).drop(columns="person") for rows in (here, own)), composition)
    assert (unnamed.data.set_index("attribute")["p_value"] < several).any()
    pd.testing.assert_series_equal(often.data["value"], once.data["value"])
    assert (
        often.training.set_index("attribute").loc["age", ["reference_images", "evaluated_images"]].tolist() == [400] * 2
    )
    assert (often.unknown_persons, once.unknown_persons) == (True, False)


def test_a_shift_of_persons_is_found_where_it_is(composition):
    found = compared(of_persons(predictions(100, 1, women=0.9)), of_persons(predictions(100, 0)), composition)
    assert found.data.set_index("attribute").loc["gender", "verdict"] == "established"
