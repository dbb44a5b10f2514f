"""Adjusted p-values: by hand, and against what they are defined by."""

import itertools

import numpy as np
import pytest
from scipy import stats

from fairprof.inference.multiplicity import benjamini_hochberg, holm

NAN = np.nan


def test_holm_by_hand():
    # Sorted .005 x 4, .01 x 3, .03 x 2, .04 x 1, and never less than a smaller one's.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([NAN, 0.6, 0.02, NAN, 0.7]), [NAN, 1, 0.06, NAN, 1])
    assert holm([]).tolist() == []


def test_holm_is_the_closed_test_of_bonferroni():
    p_values = np.random.default_rng(0).uniform(size=6) ** 3
    sets = [list(chosen) for size in range(1, 7) for chosen in itertools.combinations(range(6), size)]
    closed = [max(min(1, len(s) * p_values[s].min()) for s in sets if i in s) for i in range(6)]
    np.testing.assert_allclose(holm(p_values), closed)


def test_benjamini_hochberg():
    assert benjamini_hochberg([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.04] * 4)
    np.testing.assert_allclose(benjamini_hochberg([NAN, 0.5, 0.01]), [NAN, 0.5, 0.02])
    assert np.isnan(benjamini_hochberg([NAN, NAN])).all()
    p_values = np.random.default_rng(0).uniform(size=50) ** 2
    np.testing.assert_array_equal(benjamini_hochberg(p_values), stats.false_discovery_control(p_values))
