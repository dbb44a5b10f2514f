"""Which images are explained: balanced over the cells, and by the images' names alone."""

import itertools

import numpy as np
import pandas as pd
import pytest

from fairprof.data.sample import balanced_sample

AXES = ("gender", "race", "profession")


def rows(counts: dict[tuple[str, str, str], int]) -> pd.DataFrame:
    """A table with the given number of images in every cell; names say nothing about the cell."""
    cells = [cell for cell, count in counts.items() for _ in range(count)]
    table = pd.DataFrame(cells, columns=AXES)
    table["image"] = [f"{number * 7919 % 10007:05}.jpg" for number in range(len(table))]
    return table.astype({name: "category" for name in AXES})


CELLS = list(itertools.product(("man", "woman"), ("a", "b", "c"), ("cook", "driver")))


@pytest.fixture
def uneven() -> pd.DataFrame:
    return rows({cell: 3 + 5 * number for number, cell in enumerate(CELLS)})


def cell_counts(table: pd.DataFrame) -> list[int]:
    return sorted(table.groupby(list(AXES), observed=True).size().tolist())


@pytest.mark.parametrize("per_cell", [1, 2, 3])
def test_every_cell_gives_the_same_number_of_images(per_cell, uneven):
    chosen = uneven.iloc[balanced_sample(uneven, 12 * per_cell)]
    assert cell_counts(chosen) == [per_cell] * 12


def test_number_that_no_cells_share_evenly_differs_by_one_at_most(uneven):
    assert cell_counts(uneven.iloc[balanced_sample(uneven, 29)]) == [2] * 7 + [3] * 5


def test_exhausted_cell_leaves_its_places_to_the_others():
    table = rows({("man", "a", "cook"): 2, ("woman", "a", "cook"): 50})
    chosen = table.iloc[balanced_sample(table, 10)]
    assert chosen["gender"].value_counts().to_dict() == {"woman": 8, "man": 2}


def test_fewer_images_than_asked_for_are_all_taken_once(uneven):
    assert sorted(balanced_sample(uneven, 10_000)) == list(range(len(uneven)))


def test_choice_and_order_depend_on_the_names_alone(uneven):
    expected = uneven["image"].iloc[balanced_sample(uneven, 30)].tolist()
    for seed in range(3):
        shuffled = uneven.sample(frac=1, random_state=seed)
        assert shuffled["image"].iloc[balanced_sample(shuffled, 30)].tolist() == expected


def test_smaller_choice_is_the_beginning_of_a_larger_one(uneven):
    np.testing.assert_array_equal(balanced_sample(uneven, 12), balanced_sample(uneven, 40)[:12])


def test_images_that_only_other_designs_train_on_change_nothing(uneven):
    """The test set is common to the designs, so its other columns, such as the partition, must not matter."""
    expected = uneven["image"].iloc[balanced_sample(uneven, 20)].tolist()
    other = uneven.assign(partition="test", pixel=range(len(uneven)), design="D")
    assert other["image"].iloc[balanced_sample(other, 20)].tolist() == expected


def test_renaming_the_groups_changes_no_choice(uneven):
    renamed = uneven.assign(gender=uneven["gender"].map({"man": "Z", "woman": "Y"}))
    np.testing.assert_array_equal(balanced_sample(uneven, 30), balanced_sample(renamed, 30))


def test_other_names_give_another_choice(uneven):
    other = uneven.assign(image="x" + uneven["image"])
    assert balanced_sample(uneven, 12).tolist() != balanced_sample(other, 12).tolist()
