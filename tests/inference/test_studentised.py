"""Studentised contrasts of means: by hand, and what no order or scale may change."""

import numpy as np
import pytest

from fairprof.inference.studentised import contrast_tests
from tests.inference.made_tables import generator


def judged(values, codes, strata=None, seed=0, permutations=199):
    values, codes = np.asarray(values, dtype=float), np.asarray(codes)
    strata = np.zeros(len(codes), dtype=int) if strata is None else np.asarray(strata)
    return contrast_tests(values.reshape(len(codes), -1), codes, codes.max() + 1, strata, permutations, generator(seed))


def test_a_contrast_is_the_difference_of_means_within_strata():
    """Two strata: 5 - 2 = 3 with n p (1 - p) = 2 / 3, and 11 - 9 = 2 with 1; the group with one stratum alone."""
    values, codes, strata = [5, 1, 3, 10, 12, 8, 10], [0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1]
    found = judged(values, codes, strata)
    assert found.contrast[:, 0] == pytest.approx([(3 * 2 / 3 + 2) / (5 / 3), -(3 * 2 / 3 + 2) / (5 / 3)])
    apart = judged([1, 2, 3, 4], [0, 0, 1, 1], [0, 0, 1, 1])
    assert all(np.isnan(part).all() for part in apart)


def test_a_p_value_counts_all_arrangements_of_a_small_table():
    """Of the 20 ways to take three of six, two are as extreme as (1, 2, 3) against (4, 5, 6)."""
    found = judged([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1], permutations=4999)
    assert found.p_value[:, 0] == pytest.approx([0.1, 0.1], abs=0.02)


def test_a_band_excludes_0_exactly_where_the_test_rejects():
    rejected = 0
    for seed in range(60):
        drawn = generator(seed)
        codes = np.repeat([0, 1, 2], [10, 20, 40])
        values = np.exp(drawn.normal(size=(70, 3))) + np.where(codes == 0, 1.2, 0)[:, None]
        found = judged(values, codes, drawn.integers(0, 2, 70), seed, 99)
        excluded = (found.lower > 0) | (found.upper < 0)
        assert (excluded == (found.p_value <= 0.05)).all()
        assert ((found.lower <= found.contrast) & (found.contrast <= found.upper)).all()
        rejected += excluded.sum()
    assert 60 < rejected < 400


def test_scale_place_and_means_of_strata_change_no_p_value():
    drawn = generator(3)
    values, codes, strata = drawn.normal(size=(50, 2)), drawn.integers(0, 3, 50), drawn.integers(0, 2, 50)
    expected = judged(values, codes, strata)
    moved = judged(7 * values + 3 + 100 * strata[:, None], codes, strata)
    np.testing.assert_array_equal(moved.p_value, expected.p_value)
    np.testing.assert_allclose(moved.lower, 7 * expected.lower, rtol=1e-9)
    mirrored = judged(-values, codes, strata)
    np.testing.assert_array_equal(mirrored.p_value, expected.p_value)
    np.testing.assert_allclose(mirrored.lower, -expected.upper, rtol=1e-9)


def test_what_is_undefined_does_not_count_and_what_is_constant_is_no_difference():
    drawn = generator(4)
    values, codes = drawn.normal(size=(40, 1)), np.repeat([0, 1], 20)
    with_gaps = np.concatenate([values, np.full((6, 1), np.nan)])
    found = judged(with_gaps, np.concatenate([codes, [0] * 6]))
    np.testing.assert_array_equal(found.p_value, judged(values, codes).p_value)
    assert judged(np.full(40, 0.1), codes).p_value.tolist() == [[1], [1]]
    assert np.isnan(judged(np.full(40, np.nan), codes).p_value).all()
