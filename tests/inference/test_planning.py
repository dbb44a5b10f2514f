"""What can be detected, and which seeds a test may rest on, by what was planned before anything was seen."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from fairprof.inference.planning import (
    IMAGE_SHARES,
    ErrorParts,
    Look,
    assumed_parts,
    detectable_difference,
    parts_of_pilot,
    seed_plan,
)


def test_with_very_many_seeds_it_is_the_sum_of_two_normal_quantiles():
    wanted = norm.isf(0.025) + norm.ppf(0.8)
    of_seeds = detectable_difference(ErrorParts(1.0, 0.0, 0.0), 10_000, tests=1)
    assert of_seeds == pytest.approx(wanted / 100, rel=1e-3)
    # images are the same however many seeds there are
    images = [detectable_difference(ErrorParts(0.0, 1.0, 0.0), seeds, 1, 10**6) for seeds in (6, 10_000)]
    assert images == pytest.approx([wanted] * 2, rel=1e-3)


@pytest.mark.parametrize(("seeds", "tests"), [(6, 1), (10, 1), (6, 12)])
def test_where_seeds_alone_vary_the_paired_t_test_finds_it_as_often_as_promised(seeds, tests):
    shift = detectable_difference(ErrorParts(2.0, 0.0, 0.0), seeds, tests)
    runs = np.random.default_rng(0).normal(size=(2, seeds, 20_000))
    found = ttest_rel(runs[0] + shift, runs[1]).pvalue <= 1 - 0.95 ** (1 / tests)
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_more_seeds_and_fewer_comparisons_show_smaller_differences():
    parts = ErrorParts(1e-3, 1e-4, 1e-3)
    shown = [detectable_difference(parts, seeds, tests) for seeds, tests in ((20, 12), (10, 12), (6, 12), (2, 12))]
    assert shown == sorted(shown)
    assert detectable_difference(parts, 10, 1) < detectable_difference(parts, 10, 12)
    assert detectable_difference(ErrorParts(0.0, 0.0, 0.0), 6, 12) == 0
    assert np.isnan(detectable_difference(ErrorParts(np.nan, 0.0, 0.0), 6, 12))


def test_assumed_parts_are_those_of_runs_that_share_what_makes_images_hard():
    rate, images, generator = 0.7, 40_000, np.random.default_rng(1)
    of_all, of_design, of_run = np.sqrt(IMAGE_SHARES)
    assert IMAGE_SHARES.sum() == pytest.approx(1)
    hard = of_all * generator.normal(size=images)
    designs = hard + of_design * generator.normal(size=(2, images))
    right = designs[:, None] + of_run * generator.normal(size=(2, 2, images)) < norm.ppf(rate)
    difference = right[0].astype(float) - right[1]  # (seed, image)
    (one, both), (_, other) = np.cov(difference)
    parts = assumed_parts(rate, (100, 300))
    factor = 1 / 100 + 1 / 300
    assert parts.of_images == pytest.approx(both * factor, rel=0.15)
    assert parts.of_images + parts.of_both == pytest.approx((one + other) / 2 * factor, rel=0.03)


def test_the_parts_of_a_pilot_are_the_ones_it_was_made_with():
    generator = np.random.default_rng(2)
    designs, seeds, images, replicates = 200, 6, 400, 400
    of_seeds, of_images, of_both = 0.05, 0.5, 1.0
    differences = of_seeds * generator.normal(size=(designs, seeds, 1))
    differences = differences + of_images * generator.normal(size=(designs, 1, images))
    differences = differences + of_both * generator.normal(size=(designs, seeds, images))
    weights = generator.multinomial(images, np.full(images, 1 / images), size=replicates) / images
    parts = parts_of_pilot(differences.mean(axis=2), np.einsum("bi,dsi->dbs", weights, differences))
    assert parts == pytest.approx((of_seeds**2, of_images**2 / images, of_both**2 / images), rel=0.2)


def look(*seeds: int, seen: int | None = None) -> Look:
    return Look(seeds, frozenset(seeds[:seen]))


def test_without_an_earlier_look_all_seeds_are_planned_and_tested():
    plan = seed_plan([], [2, 0, 1])
    assert (plan.compared, plan.planned, plan.tested) == ((0, 1, 2),) * 3
    assert (plan.later, plan.left_out, plan.missing, plan.recorded) == ((), (), (), False)


def test_seeds_that_were_added_to_a_plan_are_not_tested():
    first, second = look(*range(6)), look(*range(8))
    plan = seed_plan([first, second], range(10))
    assert (plan.planned, plan.tested) == (tuple(range(6)),) * 2
    assert (plan.later, plan.left_out, plan.looked_at, plan.recorded) == ((6, 7, 8, 9), (6, 7, 8, 9), 6, True)
    # the same study again, and a comparison of what it has: nothing changes
    assert seed_plan([first, second], range(6)).tested == tuple(range(6))
    assert seed_plan([first, second, look(*range(10))], range(10)) == plan


def test_a_pilot_that_allows_no_claim_is_followed_by_a_plan_that_counts():
    pilot = look(0, 1)
    plan = seed_plan([pilot], range(10))
    assert (plan.planned, plan.looked_at, plan.later) == ((0, 1), 2, tuple(range(2, 10)))
    assert (plan.tested, plan.left_out) == (tuple(range(10)), ())
    # the first plan of six seeds counts, and what follows is added to it
    later = seed_plan([pilot, look(*range(6))], range(10))
    assert (later.tested, later.left_out) == (tuple(range(6)), (6, 7, 8, 9))
    # seeds of a pilot that the plan left out are not tested
    assert seed_plan([pilot, look(*range(2, 8))], range(8)).left_out == (0, 1)


def test_a_start_of_which_nothing_was_seen_is_no_look():
    assert seed_plan([look(*range(6), seen=0)], range(10)).tested == tuple(range(10))
    # killed after two seeds: the plan stands, two had been looked at
    plan = seed_plan([look(*range(6), seen=2)], range(10))
    assert (plan.tested, plan.looked_at) == (tuple(range(6)), 2)


def test_planned_seeds_that_are_not_compared_are_known():
    plan = seed_plan([look(*range(10))], range(6))
    assert (plan.missing, plan.later, plan.tested) == ((6, 7, 8, 9), (), tuple(range(6)))
    assert seed_plan([look(*range(6))], range(10, 16)).tested == ()
