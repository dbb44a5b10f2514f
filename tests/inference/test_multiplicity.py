"""Adjusted p-values: by hand, and against what they are defined by."""

import itertools

import numpy as np
import pytest
from scipy import stats

from fairprof.inference.multiplicity import benjamini_hochberg, holm, selected_level, sidak, sidak_level

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


def test_sidak_by_hand():
    np.testing.assert_allclose(sidak([0.01, NAN, 0.5]), [1 - 0.99**2, NAN, 0.75])
    assert sidak([1.0, 0.0]).tolist() == pytest.approx([1, 0])
    assert sidak_level(12) == pytest.approx(1 - 0.95 ** (1 / 12))
    assert sidak([sidak_level(3), 1, 1])[0] == pytest.approx(0.05)


def test_intervals_beside_benjamini_hochberg_exclude_what_it_selects():
    generator = np.random.default_rng(0)
    for power in (1, 2, 4, 8):
        p_values = generator.uniform(size=30) ** power
        np.testing.assert_array_equal(p_values <= selected_level(p_values), benjamini_hochberg(p_values) <= 0.05)
    assert selected_level([0.5, NAN, 0.9]) == 0.05 / 2
    assert selected_level([0.001, 0.002, 0.9]) == pytest.approx(0.05 * 2 / 3)
