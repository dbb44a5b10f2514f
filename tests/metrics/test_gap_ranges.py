"""Gaps of nearly the best rules: by hand, and against searches from elsewhere."""

import numpy as np
import pytest

from fairprof.data.professions import PROFESSION_GIVEN_AGE
from fairprof.metrics.best_rules import best_rule, macro_f1
from fairprof.metrics.gap_ranges import gap_of, gap_range, selection_shares, true_positive_shares


def masses_of_groups(groups: int, images: int, generator: np.random.Generator) -> np.ndarray:
    """(G, 9, 4) expected numbers of images by group, age bin and profession; groups differ in age."""
    ages = generator.dirichlet(np.full(9, 2.0))
    sizes = generator.multinomial(images, generator.dirichlet(np.full(groups, 3.0)))
    by_age = np.array([generator.multinomial(size, generator.dirichlet(10 * ages + 0.05)) for size in sizes])
    by_age = by_age + (by_age.sum(axis=0) == 0)
    return by_age[:, :, None] * PROFESSION_GIVEN_AGE


def test_rates_are_those_of_expected_counts():
    by_group = np.array([[[3.0, 1.0], [0.0, 4.0]], [[1.0, 1.0], [0.0, 0.0]]])
    rule = np.array([[1.0, 0.0], [0.5, 0.5]])
    # of the first group's eight images the first kind's four are called the first class, and two of the others
    assert np.einsum("gik,ik->gk", selection_shares(by_group), rule) == pytest.approx(
        np.array([[6 / 8, 2 / 8], [1.0, 0.0]])
    )
    assert np.einsum("gik,ik->gk", true_positive_shares(by_group), rule) == pytest.approx(
        np.array([[1.0, 2 / 5], [1.0, 0.0]])
    )
    assert gap_of(selection_shares(by_group), rule) == pytest.approx(0.25)
    assert gap_of(true_positive_shares(by_group), rule) == pytest.approx(0.4)


def test_the_range_of_one_kind_and_one_of_two_ages_by_hand():
    """Men are of the first kind, women of the second: the gap of a rule is what it does otherwise with the second."""
    by_group = np.array([[[0.4, 0.1], [0.0, 0.0]], [[0.0, 0.0], [0.1, 0.4]]])
    shares, joint = selection_shares(by_group), by_group.sum(axis=0)
    found = gap_range(joint, shares, within=0.1)
    assert best_rule(joint).macro_f1 == pytest.approx(0.8)
    assert found.highest == pytest.approx(1)  # the best rule itself
    # F1 of (1 - e, e) is .8 - .6 e by symmetry: .7 at e = 1 / 6, where the gap is 1 - 2 e
    assert found.lowest == pytest.approx(2 / 3, abs=1e-3)


def test_groups_of_equal_ages_need_no_gap():
    by_group = np.array([1.0, 3.0])[:, None, None] * PROFESSION_GIVEN_AGE
    for shares in (selection_shares(by_group), true_positive_shares(by_group)):
        found = gap_range(by_group.sum(axis=0), shares)
        assert (found.lowest, found.highest) == pytest.approx((0, 0), abs=1e-9)


def test_rates_that_are_undefined_are_left_out():
    by_group = np.array([[[1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0], [0.0, 2.0]]])  # nobody of the first group is of class 1
    shares = true_positive_shares(by_group)
    assert np.isnan(shares[0, :, 1]).all()
    found = gap_range(by_group.sum(axis=0), shares)
    assert 0 <= found.lowest <= found.highest <= 1
    nobody = np.where(np.arange(2)[:, None, None] == 0, np.nan, shares)
    assert np.isnan(gap_range(by_group.sum(axis=0), nobody).lowest)


@pytest.mark.parametrize(("seed", "groups"), [(0, 2), (1, 3), (2, 7)])
@pytest.mark.parametrize("shares_of", [selection_shares, true_positive_shares])
def test_rules_of_the_range_are_nearly_the_best_and_no_other_rule_lies_outside(seed, groups, shares_of):
    generator = np.random.default_rng(seed)
    by_group = masses_of_groups(groups, 1000, generator)
    joint = by_group.sum(axis=0) / by_group.sum()
    shares = shares_of(by_group)
    found, best = gap_range(joint, shares), best_rule(joint)
    for rule, gap in ((found.lowest_rule, found.lowest), (found.highest_rule, found.highest)):
        assert macro_f1(joint, rule) >= best.macro_f1 - 0.01
        assert rule.sum(axis=1) == pytest.approx(1)
        assert gap_of(shares, rule) == gap
    for _ in range(3000):  # mixtures of good rules with others
        start = (best.rule, found.lowest_rule, found.highest_rule)[generator.integers(3)]
        other = (
            np.eye(4)[generator.integers(0, 4, 9)] if generator.random() < 0.5 else generator.dirichlet([0.5] * 4, 9)
        )
        changed = np.where(generator.random((9, 1)) < generator.random(), other, start)
        rule = start + generator.random() ** 2 * (changed - start)
        if macro_f1(joint, rule) >= best.macro_f1 - 0.01:
            assert found.lowest - 1e-3 <= gap_of(shares, rule) <= found.highest + 1e-3


def test_the_order_of_groups_and_kinds_does_not_matter():
    by_group = masses_of_groups(3, 1000, np.random.default_rng(3))
    shuffled = by_group[[2, 0, 1]][:, ::-1]
    for shares_of in (selection_shares, true_positive_shares):
        one, other = (gap_range(each.sum(axis=0), shares_of(each)) for each in (by_group, shuffled))
        assert (one.lowest, one.highest) == pytest.approx((other.lowest, other.highest), abs=5e-4)
