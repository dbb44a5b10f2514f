"""Robustness: outcomes made by hand, drops of the same images, and a test whose truth is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from fairprof.commands.evaluate.robustness import (
    accuracy_under_corruption,
    drop_gaps,
    mean_corruption_accuracy,
    outcomes,
    paired_interval,
)
from fairprof.serving import DecisionRule

LEVELS = [("clean", 0), ("noise", 1), ("noise", 2), ("blur", 1), ("blur", 2)]


def made(right: np.ndarray, gender: list[str], race: list[str]) -> pd.DataFrame:
    """Outcomes of images (rows) under LEVELS (columns); a wrong one is taken for "b"."""
    images = pd.DataFrame({"image": [f"{row:03}.png" for row in range(len(right))], "gender": gender, "race": race})
    tables = [
        images.assign(
            corruption=corruption,
            severity=severity,
            y_true="a",
            y_pred=np.where(right[:, level], "a", "b"),
            correct=right[:, level],
        )
        for level, (corruption, severity) in enumerate(LEVELS)
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def hand() -> pd.DataFrame:
    right = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 1, 1], [1, 1, 1, 1, 0], [0, 1, 0, 0, 0]], dtype=bool)
    return made(right, ["Female", "Female", "Male", "Male"], ["one"] * 4)


def test_accuracy_and_drop_by_hand(hand):
    table = accuracy_under_corruption(hand, min_support=2).set_index(["corruption", "severity", "attribute", "group"])
    assert table.loc[("clean", 0, "all", "all"), "accuracy"] == 0.75
    assert table.loc[("noise", 2, "all", "all"), ["accuracy", "drop"]].tolist() == [0.25, 0.5]
    assert table.loc[("noise", 2, "gender", "Female"), ["accuracy", "drop"]].tolist() == [0.0, 1.0]
    assert table.loc[("noise", 1, "gender", "Male"), ["accuracy", "drop"]].tolist() == [1.0, -0.5]
    assert set(table["evidence"]) == {"sufficient"}
    assert mean_corruption_accuracy(table.reset_index()) == pytest.approx((0.75 + 0.25 + 0.75 + 0.5) / 4)
    # of 4 true "a", clean: 3 found, one taken for "b", which is never true: F1 6/7 and 0
    assert table.loc[("clean", 0, "all", "all"), "macro_f1"] == pytest.approx(3 / 7)


def test_groups_with_few_images_are_marked(hand):
    table = accuracy_under_corruption(hand, min_support=3)
    assert set(table.loc[table["attribute"].eq("gender"), "evidence"]) == {"insufficient_evidence"}


def test_the_interval_of_a_drop_by_hand():
    # 10 of 100 lost, 4 won: (10.5 - 4.5) / 102 -+ 1.96 sqrt(15 - 36 / 102) / 102
    lower, upper = paired_interval(10, 4, 100)
    assert (lower, upper) == pytest.approx((6 / 102 - 0.07358, 6 / 102 + 0.07358), abs=1e-4)
    # of persons with a design effect of 2: 5 of 50 lost, 2 won; (6 - 3) / 52 -+ 1.96 sqrt(9 - 9 / 52) / 52
    found = paired_interval(10, 4, 100, design_effect=2.0)
    assert found == pytest.approx((3 / 52 - 0.11198, 3 / 52 + 0.11198), abs=1e-4)
    lower, upper = paired_interval(0, 0, 50)
    assert lower < 0 < upper


def test_intervals_of_drops_cover_the_truth():
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(60, [0.2, 0.05, 0.75], size=2000)
    lower, upper = paired_interval(drawn[:, 0], drawn[:, 1], 60)
    assert 0.93 <= np.mean((lower <= 0.15) & (upper >= 0.15)) <= 0.98


def random_outcomes(seed: int, weaker: float = 0.0, rows: int = 120) -> pd.DataFrame:
    """Corruption takes images of race "two" from right to wrong more often, by `weaker`."""
    generator = np.random.default_rng(seed)
    race = generator.choice(["one", "two"], rows)
    clean = generator.random(rows) < 0.7
    chance = 0.3 + weaker * (race == "two")
    kept = generator.random((rows, len(LEVELS) - 1)) >= chance[:, None]
    right = np.column_stack([clean, clean[:, None] & kept])
    return made(right, list(generator.choice(["Female", "Male"], rows)), list(race))


def test_drops_that_are_alike_are_not_called_different_and_others_are():
    def verdicts(weaker: float) -> np.ndarray:
        found = [drop_gaps(random_outcomes(seed, weaker), 99, np.random.default_rng(seed)) for seed in range(30)]
        rows = [table.set_index(["attribute", "corruption"]).loc[("race", "all_corruptions")] for table in found]
        return np.array([row["verdict"] == "established" for row in rows])

    assert verdicts(0.0).mean() <= 0.15
    assert verdicts(0.5).mean() >= 0.95


def test_who_loses_more_is_named_and_the_gap_is_that_of_the_table():
    made_up = random_outcomes(0, weaker=0.5)
    gaps = drop_gaps(made_up, 99, np.random.default_rng(0)).set_index(["attribute", "corruption"])
    row = gaps.loc[("race", "noise")]
    assert (row["highest_group"], row["lowest_group"]) == ("two", "one")
    table = accuracy_under_corruption(made_up)
    noise = table[table["corruption"].eq("noise") & table["attribute"].eq("race")].groupby("group")["drop"].mean()
    assert row["value"] == pytest.approx(noise["two"] - noise["one"])
    assert gaps.loc[("gender", "all_corruptions"), "family"] == "confirmatory"


def in_levels(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of the levels, clean ones first, and otherwise as they were."""
    place = {"clean": 0, "noise": 1, "blur": 2}
    return outcomes.sort_values(
        ["corruption", "severity"], key=lambda column: column.map(place).fillna(column), kind="stable"
    )


def test_renaming_groups_and_moving_rows_changes_no_number():
    table = random_outcomes(0, 0.2)
    other = in_levels(table.replace({"one": "zz", "Female": "woman"}).sample(frac=1, random_state=1))
    numbers = ["value", "null_mean", "null_q95", "p_value", "p_adjusted"]
    first, second = (drop_gaps(rows, 99, np.random.default_rng(0))[numbers] for rows in (table, other))
    np.testing.assert_allclose(first, second)


# Several images of a person.


def test_a_person_for_every_image_is_no_persons():
    table = random_outcomes(0, 0.2)
    each = table.assign(person=table["image"])
    first, second = (drop_gaps(rows, 99, np.random.default_rng(0)) for rows in (table, each))
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(accuracy_under_corruption(table), accuracy_under_corruption(each))


def of_persons(seed: int) -> pd.DataFrame:
    """Five images of each of 24 persons, whose outcomes are wholly alike."""
    table = random_outcomes(seed, 0.2, rows=24).assign(person=lambda rows: "p" + rows["image"])
    copies = [table.assign(image=table["image"] + f".{number}") for number in range(5)]
    return in_levels(pd.concat(copies, ignore_index=True))


def test_images_of_a_person_that_are_wholly_alike_are_one():
    once = random_outcomes(0, 0.2, rows=24)
    single, several = accuracy_under_corruption(once), accuracy_under_corruption(of_persons(0))
    numbers = ["accuracy", "lower", "upper", "drop"]
    np.testing.assert_allclose(single[numbers], several[numbers])
    assert (several["drop_lower"] <= single["drop_lower"] + 1e-12).all()
    assert (several["drop_upper"] >= single["drop_upper"] - 1e-12).all()
    first, second = (drop_gaps(rows, 99, np.random.default_rng(0)) for rows in (once, of_persons(0)))
    numbers = ["value", "null_mean", "null_q95", "contrast", "p_value"]
    np.testing.assert_allclose(first[numbers], second[numbers])


def test_neither_the_names_of_persons_nor_the_order_of_rows_changes_a_number():
    table = of_persons(1)
    renamed = table.assign(person=table["person"].map(lambda name: name[::-1]))
    other = in_levels(renamed.sample(frac=1, random_state=1))
    numbers = ["value", "null_mean", "null_q95", "p_value", "p_adjusted"]
    first, second = (drop_gaps(rows, 99, np.random.default_rng(0))[numbers] for rows in (table, other))
    np.testing.assert_allclose(first, second)


def test_a_person_in_two_groups_counts_in_both():
    table = of_persons(2)
    table["gender"] = np.where(table["image"].str.endswith((".0", ".1")), "Female", "Male")
    found = drop_gaps(table, 99, np.random.default_rng(0), attributes=["gender"])
    assert (found["value"] < 1e-12).all() and (found["p_value"] > 0.9).all()  # the same images in both


class Brightest(nn.Module):
    """Says "light" where the mean is above grey, "dark" elsewhere."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(1, 2, bias=False)
        self.last.weight.data = torch.tensor([[1.0], [-1.0]])

    def forward(self, images):
        return self.last(images.mean(dim=(1, 2, 3))[:, None])


def test_outcomes_are_the_networks_predictions_of_every_level():
    pixels = np.full((2, 32, 32, 3), 60, dtype=np.uint8)
    pixels[1] = 200
    images = pd.DataFrame(
        {
            "image": ["dark.png", "light.png"],
            "gender": pd.Categorical(["Female", "Male"]),
            "race": pd.Categorical(["one", "two"]),
            "profession": ["dark", "light"],
        }
    )
    table = outcomes(Brightest(), ("light", "dark"), images, pixels, seed=0)
    assert len(table) == 2 * (1 + len(CORRUPTIONS) * len(SEVERITIES))
    levels = table.pivot(index=["corruption", "severity"], columns="image", values="correct")
    assert levels.loc[("clean", 0)].tolist() == [True, True]
    assert not levels.loc[("brightness", 5), "dark.png"] and levels.loc[("brightness", 5), "light.png"]
    assert levels.loc["blur"].to_numpy().all()
    assert "person" not in table
    rule = DecisionRule(offsets=((9.0, 0.0),), attributes=("gender",), groups=((str(images["gender"][0]),),))
    same = images.assign(gender=images["gender"][0])
    ruled = outcomes(Brightest(), ("light", "dark"), same, pixels, seed=0, rule=rule)
    assert ruled["y_pred"].eq("light").all()  # whatever is shown
    assert ruled["confidence"].min() < 0.5 < table["confidence"].min()
    named = outcomes(Brightest(), ("light", "dark"), images.assign(person=["somebody", ""]), pixels, seed=0)
    assert named.groupby("image")["person"].unique().map(list).to_dict() == {
        "dark.png": ["somebody"],
        "light.png": [""],
    }
