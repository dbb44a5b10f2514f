"""Cells at common seeds, and what is known of them."""

import numpy as np
import pytest

from fairprof.inference.cells import at_common_seeds, groups_of, signed_sum
from fairprof.inference.over_runs import Replicates
from tests.inference.made_cells import cell, runs


def test_groups_may_have_a_slash_in_their_names():
    replicates = Replicates(["accuracy", "accuracy/race/Latino/Hispanic"], np.zeros((1, 2)), np.zeros((2, 1, 2)))
    assert groups_of(replicates) == [("race", "Latino/Hispanic")]


def test_common_seeds_are_those_that_all_cells_have_in_their_order():
    base = np.arange(6.0)[:, None]
    early, late = cell((0,), seeds=(0, 1, 2, 3)), cell((0,), seeds=(2, 3, 4))
    early, late = early._replace(quantities=runs(base[:4])), late._replace(quantities=runs(base[2:5] + 0.1))
    (_, one), (_, other) = at_common_seeds([(1, early), (-1, late)])
    assert one.seeds == other.seeds == (2, 3)
    np.testing.assert_allclose(other.quantities.values - one.quantities.values, 0.1)
    assert at_common_seeds([(1, cell((0,), seeds=(0, 1))), (-1, cell((0,), seeds=(2,)))]) == []


def test_a_signed_sum_has_the_quantities_that_are_asked_less_their_floors():
    names = ["macro_f1", "demographic_parity_difference/gender", "equal_opportunity_difference/gender"]
    one, other = cell((0.6, 0.2, 0.3), floors=(0, 0.05, 0.1)), cell((0.5, 0.1, 0.1), floors=(0, 0.01, 0.02))
    (table,) = signed_sum(names, [(1, one), (-1, other)], [names[2], names[0]], design="B")
    assert table["metric"].tolist() == ["equal_opportunity_difference", "macro_f1"]
    assert table["value"].tolist() == pytest.approx([(0.3 - 0.1) - (0.1 - 0.02), 0.1])
    assert table["design"].tolist() == ["B", "B"] and table["family"].tolist() == ["confirmatory"] * 2
