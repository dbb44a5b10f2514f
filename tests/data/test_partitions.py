"""The split: small cells are in every partition that they can be in, and whole groups stay together."""

import itertools

import numpy as np
import pandas as pd
import pytest

from fairprof.data.partitions import partitions

EVERY = ("train", "val", "test")


def table_of(cells: list[str]) -> pd.DataFrame:
    """Rows of cells that are named by three letters: gender, race, profession."""
    return pd.DataFrame([list(cell) for cell in cells], columns=["gender", "race", "profession"])


def split(cells: list[str], groups: list[str] | None = None, given: list[str] | None = None) -> pd.Series:
    names = pd.Series(groups or [f"image{number}" for number in range(len(cells))])
    own = pd.Series(given, dtype=object) if given else pd.Series(None, index=names.index, dtype=object)
    return partitions(table_of(cells), own, names)


def counts(cells: list[str], partition: pd.Series) -> dict[str, dict[str, int]]:
    found = pd.crosstab(pd.Series(cells), partition).reindex(columns=list(EVERY), fill_value=0)
    return {cell: row.to_dict() for cell, row in found.iterrows()}


@pytest.mark.parametrize(
    ("size", "train", "val", "test"),  # from five images on as a rank's share says: (rank - .5) / size
    [(1, 1, 0, 0), (2, 1, 1, 0), (3, 1, 1, 1), (4, 2, 1, 1), (5, 3, 1, 1), (6, 4, 1, 1), (7, 5, 1, 1), (20, 13, 3, 4)],
)
def test_a_cell_of_three_images_is_in_every_partition_and_of_two_in_training_and_validation(size, train, val, test):
    cells = ["mxa"] * size + ["fxa"] * 40
    assert counts(cells, split(cells))["mxa"] == {"train": train, "val": val, "test": test}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 10, 20])
def test_where_the_test_set_is_the_data_set_s_own_a_cell_of_two_is_validated(size):
    cells = ["mxa"] * size + ["fxa"] * 40 + ["mxa", "fxa"]
    given = ["train"] * (size + 40) + ["test"] * 2
    found = split(cells, given=given)
    assert found[-2:].tolist() == ["test"] * 2 and not found[:-2].eq("test").any()
    assert counts(cells[:size], found[:size])["mxa"]["val"] == {1: 0, 20: 2}.get(size, 1)


def test_partitions_that_are_all_given_stay_whatever_they_lack():
    cells = ["mxa"] * 6 + ["fxa"]
    given = ["train"] * 4 + ["val", "test", "test"]
    assert split(cells, given=given).tolist() == given


def test_a_person_with_images_in_two_cells_is_moved_once_for_both():
    """Ann is all that two cells have beside Bob and Eve, who are each in one of them alone."""
    cells = ["mxa", "mxa", "fxa", "fxa"]
    people = ["ann", "bob", "ann", "eve"]
    found = split(cells, people)
    assert found[0] == found[2]
    assert {found[0], found[1]} == {found[2], found[3]} == {"train", "val"}


def test_no_cell_loses_its_last_for_another():
    """Three persons share a cell, and each is all that another one has: by their ranks Bob tests, Ann and Eve train,
    and the shared cell goes without validation images rather than theirs without training images."""
    found = split(["mxa", "mxa", "mxa", "fxa", "fya", "fyb"], ["ann", "bob", "eve", "ann", "bob", "eve"])
    assert found.tolist() == ["train", "test", "train"] * 2


def test_the_split_of_a_cell_does_not_depend_on_others():
    cells = ["mxa"] * 4 + ["mya"] * 7 + ["mxb"] * 2
    groups = [f"p{number}" for number in range(13)]
    found = split(cells + ["fza"] * 30, groups + [f"q{number}" for number in range(30)])
    assert split(cells, groups).tolist() == found[:13].tolist()


@pytest.mark.parametrize("own_test", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_what_any_split_of_whole_groups_can_give_every_cell_is_given(seed, own_test):
    """Small tangles of persons and cells: whatever some assignment of the persons can do, the split does."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(5, 15)
    cells = [f"{'mf'[a]}{'xyz'[b]}a" for a, b in generator.integers(0, (2, 3), (rows, 2))]
    groups = [f"{seed}-{number}" for number in generator.integers(0, 7, rows)]
    given = ["train"] * rows + ["test"] if own_test else None
    found = split(cells + ["mxa"] * own_test, groups + ["t"] * own_test, given)[:rows]
    assert pd.Series(found).groupby(pd.Series(groups)).nunique().eq(1).all()
    names = sorted(set(groups))
    wanted = EVERY[: 2 if own_test else 3]

    def unmet(partition_of: dict[str, str]) -> int:
        """How many partitions cells lack of those that they should have: as many as they have persons."""
        persons = {cell: {group for other, group in zip(cells, groups, strict=True) if other == cell} for cell in cells}
        return sum(
            name not in {partition_of[person] for person in members}
            for members in persons.values()
            for name in wanted[: len(members)]
        )

    possible = (unmet(dict(zip(names, chosen, strict=True))) for chosen in itertools.product(wanted, repeat=len(names)))
    if 0 in possible:
        assert unmet(dict(zip(groups, found, strict=True))) == 0
