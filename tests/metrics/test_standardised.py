"""Differences of selection rates split by age: by hand, exact sums, and what exchanging groups does."""

import numpy as np
import pytest

from fairprof.metrics.standardised import empty_strata, split

VOTES = np.array(
    [
        [[1.0, 3.0], [9.0, 3.0]],  # 4 of 16 in the first stratum; selected for the second class .75 and .25
        [[4.0, 8.0], [3.0, 1.0]],  # 12 of 16; 2 / 3 and .25
    ]
)


def test_two_groups_by_hand():
    found = split(VOTES)
    assert found.difference[0, 1] == pytest.approx(6 / 16 - 9 / 16)
    # shares differ by -.5 and +.5, the mean rates are 17 / 24 and .25; rates differ by 1 / 12 and 0 at mean shares .5
    assert found.composition[0, 1] == pytest.approx(-0.5 * 17 / 24 + 0.5 * 0.25)
    assert found.remaining[0, 1] == pytest.approx(0.5 / 12)


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_sum_to_the_difference_for_any_number_of_groups(seed):
    votes = np.random.default_rng(seed).integers(1, 20, (2, 3 + seed, 9, 4)).astype(float)
    found = split(votes)
    assert found.composition + found.remaining == pytest.approx(found.difference)
    totals = votes.sum(axis=-2)
    rates = totals / totals.sum(axis=-1, keepdims=True)
    rest = totals.sum(axis=-2, keepdims=True) - totals
    assert found.difference == pytest.approx(rates - rest / rest.sum(axis=-1, keepdims=True))


def test_exchanging_two_groups_changes_signs_alone():
    found, exchanged = split(VOTES), split(VOTES[::-1])
    for part in found._fields:
        assert getattr(found, part) == pytest.approx(-getattr(exchanged, part))
        assert getattr(found, part)[0] == pytest.approx(-getattr(found, part)[1])


def test_equal_rates_at_every_age_leave_nothing_and_equal_ages_leave_all():
    rates = np.array([[0.2, 0.8], [0.6, 0.4]])
    sizes = np.array([[10.0, 30.0], [25.0, 15.0]])
    found = split(sizes[:, :, None] * rates)
    assert found.remaining == pytest.approx(0)
    assert found.difference[0, 0] != 0
    alike = np.array([[10.0, 30.0], [20.0, 60.0]])[:, :, None] * np.array([rates, rates[::-1]])
    assert split(alike).composition == pytest.approx(0)
    assert split(alike).remaining == pytest.approx(split(alike).difference)


def test_an_age_that_one_group_lacks_leaves_the_parts_undefined_and_one_that_both_lack_does_not():
    votes = np.concatenate((VOTES, np.zeros((2, 1, 2))), axis=1)
    assert split(votes).remaining == pytest.approx(split(VOTES).remaining)
    assert empty_strata(votes).tolist() == [0, 0]
    votes[0, 2] = 1
    assert np.isnan(split(votes).remaining).all() and np.isnan(split(votes).composition).all()
    assert not np.isnan(split(votes).difference).any()
    assert empty_strata(votes).tolist() == [1, 1]
