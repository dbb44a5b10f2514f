"""Counts and cross-tables of a small pool, by hand; nothing is left out, unknown ages neither."""

import pytest

from fairprof.commands.prepare.counts import cells, cross_table, labels_of, marginals, two_way

COUNTS = {
    ("train", "m", "x", "s"): 4,
    ("train", "f", "x", "w"): 2,
    ("train", "m", "y", "w"): 1,
    ("val", "m", "x", "s"): 1,
    ("test", "f", "y", "s"): 2,
    ("test", "m", "x", "w"): 3,
}


@pytest.fixture
def labels(pool_of, cells_of):
    rows = cells_of(COUNTS)
    return labels_of(pool_of([row | {"age": "34" if number < 9 else ""} for number, row in enumerate(rows)]).table)


def test_marginals_with_unknown_ages(labels):
    found = marginals(labels).set_index(["attribute", "category"])
    assert found.loc[("gender", "m"), ["count", "train", "val", "test"]].tolist() == [9, 5, 1, 3]
    assert found.loc[("gender", "m"), "share"] == pytest.approx(9 / 13)
    assert found.loc[("age", "unknown"), "count"] == 4 and found.loc[("age", "30-39"), "count"] == 9
    for _, table in found.groupby("attribute"):
        assert table["count"].sum() == 13 and table["share"].sum() == pytest.approx(1)


def test_the_cross_table_has_every_image_once(labels):
    found = cross_table(labels)
    assert found["count"].sum() == 13 and (found["count"] > 0).all()
    first = found[found["profession"].eq("s") & found["partition"].eq("train")]
    assert first[["gender", "race", "age", "count"]].values.tolist() == [["m", "x", "30-39", 4]]


def test_every_two_attributes_with_empty_cells(labels):
    found = two_way(labels).set_index(["first", "second", "first_category", "second_category"])
    assert found.loc[("gender", "profession", "m", "s"), "count"] == 5
    assert found.loc[("gender", "profession", "m", "s"), "share_of_first"] == pytest.approx(5 / 9)
    assert found.loc[("gender", "profession", "m", "s"), "share_of_second"] == pytest.approx(5 / 7)
    assert len(found) == 4 + 4 + 4 + 4 + 4 + 4  # six pairs of attributes with two categories each
    assert found["count"].groupby(["first", "second"]).sum().eq(13).all()


def test_cells_of_the_designs_the_emptiest_first(labels):
    found = cells(labels, 3)
    assert len(found) == 8 and found["test"].tolist() == [0] * 6 + [2, 3]
    assert found["test_evidence"].tolist() == ["empty"] * 6 + ["small", "enough"]
    assert found.loc[6, ["gender", "race", "profession", "count", "train", "val"]].tolist() == ["f", "y", "s", 2, 0, 0]
    assert found["count"].sum() == 13
