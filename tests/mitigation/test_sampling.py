"""Weights, samples and partners by hand, and what they keep."""

import numpy as np
import pytest

from fairprof.mitigation.rows import GroupedRows
from fairprof.mitigation.sampling import partners_across_groups, resampled, reweighted, upweighted_mistakes


def rows_of(counts: list[list[int]], wrong=None) -> GroupedRows:
    """So many rows of every group (first axis) and class, shuffled."""
    cells = np.repeat(np.arange(np.size(counts)), np.ravel(counts))
    cells = np.random.default_rng(0).permutation(cells)
    groups, classes = np.divmod(cells, np.shape(counts)[1])
    names = tuple(f"g{number}" for number in range(len(counts)))
    return GroupedRows(np.arange(len(cells)) + 100, classes, groups, np.shape(counts)[1], names, wrong)


def by_cell(rows: GroupedRows, values: np.ndarray) -> dict[tuple[int, int], list[float]]:
    cells = sorted(set(zip(rows.groups.tolist(), rows.classes.tolist(), strict=True)))
    return {cell: sorted(set(values[(rows.groups == cell[0]) & (rows.classes == cell[1])].tolist())) for cell in cells}


def test_weights_of_groups_within_classes_by_hand():
    rows = rows_of([[6, 4], [2, 4], [0, 4]])
    # class 0: 8 images in two groups; 8 / (2 x 6) and 8 / (2 x 2); class 1 is even
    assert by_cell(rows, reweighted(rows, {"power": 1.0})) == {
        (0, 0): [pytest.approx(2 / 3)],
        (0, 1): [1.0],
        (1, 0): [pytest.approx(2.0)],
        (1, 1): [1.0],
        (2, 1): [1.0],
    }
    root = by_cell(rows, reweighted(rows, {"power": 0.5}))
    assert root[1, 0][0] / root[0, 0][0] == pytest.approx(np.sqrt(3))
    assert (6 * root[0, 0][0] + 2 * root[1, 0][0]) / 8 == pytest.approx(1)


@pytest.mark.parametrize("counts", [[[5, 7], [5, 7]], [[3, 3, 3]] * 7])
def test_where_groups_are_as_large_nothing_changes_at_all(counts):
    rows = rows_of(counts)
    assert set(reweighted(rows, {"power": 0.7})) == {1.0}
    sample = resampled(rows, {"power": 0.7}, np.random.default_rng(0))
    assert sample.tolist() == list(range(len(rows.rows)))


def test_mistakes_weigh_so_many_times_as_much_as_the_rest():
    wrong = np.array([True, False, False, False])
    weights = upweighted_mistakes(rows_of([[2, 2]], wrong), {"weight": 5.0})
    assert weights.tolist() == [2.5, 0.5, 0.5, 0.5]
    assert set(upweighted_mistakes(rows_of([[2, 2]], wrong), {"weight": 1.0})) == {1.0}


@pytest.mark.parametrize(("power", "expected"), [(1.0, [[5, 4], [5, 4]]), (0.0, [[9, 4], [1, 4]])])
def test_a_sample_has_as_many_of_each_group_of_a_class(power, expected):
    rows = rows_of([[9, 4], [1, 4]])
    sample = resampled(rows, {"power": power}, np.random.default_rng(1))
    drawn = GroupedRows(rows.rows, rows.classes[sample], rows.groups[sample], 2, rows.group_names)
    assert drawn.counts.tolist() == expected
    assert (np.diff(sample) >= 0).all()


def test_square_root_lies_between_and_classes_keep_their_sizes():
    rows = rows_of([[16, 4], [4, 4], [0, 5]])
    sample = resampled(rows, {"power": 0.5}, np.random.default_rng(1))
    counts = GroupedRows(rows.rows, rows.classes[sample], rows.groups[sample], 2, rows.group_names).counts
    assert counts[:, 0].tolist() == [13, 7, 0]  # 20 in shares of 4 to 2: 13.3 and 6.7
    assert counts.sum(axis=0).tolist() == [20, 13]


def test_what_does_not_divide_evenly_is_another_time_another_row():
    rows = rows_of([[9, 4], [2, 4]])
    samples = [resampled(rows, {"power": 1.0}, np.random.default_rng(seed)) for seed in range(20)]
    times = np.array([np.bincount(sample, minlength=len(rows.rows)) for sample in samples])
    rare = (rows.groups == 1) & (rows.classes == 0)
    assert set(times[:, rare].ravel()) <= {2, 3}  # 5 or 6 of 2 rows
    common = (rows.groups == 0) & (rows.classes == 0)
    assert (times[:, common].max(axis=0) == 1).all() and (times[:, common].min(axis=0) == 0).any()


def test_partners_are_of_the_same_class_and_another_group_where_there_is_one():
    rows = rows_of([[6, 3, 0], [2, 0, 0], [1, 0, 4]])
    places = np.random.default_rng(2).permutation(len(rows.rows))[:10]
    chosen = partners_across_groups(rows, places, {"probability": 1.0, "alpha": 2.0}, np.random.default_rng(3))
    assert chosen is not None and 0 < chosen[1] < 1
    partners = chosen[0]
    assert (rows.classes[partners] == rows.classes[places]).all()
    several = rows.classes[places] == 0  # of the other classes there is one group alone
    assert several.any() and not several.all()
    assert (rows.groups[partners] != rows.groups[places])[several].all()
    assert (partners == places)[~several].all()


def test_batches_are_mixed_across_groups_with_the_probability():
    rows = rows_of([[6], [2]])
    asked = [
        partners_across_groups(rows, np.arange(4), {"probability": p, "alpha": 2.0}, np.random.default_rng(seed))
        for p in (0.0, 0.3, 1.0)
        for seed in range(200)
    ]
    mixed = np.array([chosen is not None for chosen in asked]).reshape(3, 200).mean(axis=1)
    assert mixed[0] == 0 and mixed[2] == 1 and mixed[1] == pytest.approx(0.3, abs=0.1)
