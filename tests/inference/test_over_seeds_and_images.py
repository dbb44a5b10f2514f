"""Means over seeds with errors for new seeds and new images: by hand, by the analysis of variance, by simulation."""

import numpy as np
import pytest
from scipy import stats

from fairprof.inference.over_seeds_and_images import (
    Estimates,
    EstimatesInParts,
    estimates,
    estimates_in_parts,
)

NAN = np.nan


def test_seeds_alone_are_a_t_test():
    observed = np.random.default_rng(0).normal(0.5, 1, (6, 3))
    found = estimates(observed, np.broadcast_to(observed, (20, 6, 3)))  # no image varies
    expected = stats.ttest_1samp(observed, 0)
    np.testing.assert_allclose(found.value, observed.mean(axis=0))
    np.testing.assert_allclose(found.degrees_of_freedom, 5)
    np.testing.assert_allclose(found.p_value, expected.pvalue)
    np.testing.assert_allclose(found.interval(), expected.confidence_interval(0.95))


def test_one_seed_leaves_the_images_alone():
    values = np.random.default_rng(0).normal(size=(50, 1, 2))
    found = estimates(np.ones((1, 2)), values)
    np.testing.assert_allclose(found.standard_error, values[:, 0].std(axis=0, ddof=1))
    np.testing.assert_allclose(found.degrees_of_freedom, 49)


def test_the_variance_is_that_of_a_balanced_two_way_analysis_of_variance():
    # mean squares of seeds, of images and of the rest: Var(mean) = (MS_seeds + MS_images - MS_rest) / (S N)
    generator = np.random.default_rng(1)
    seeds, images = 8, 60
    table = generator.normal(0, 0.6, (seeds, 1)) + generator.normal(0, 1, images)
    table = table + generator.normal(0, 1, (seeds, images))
    of_seeds = images * table.mean(axis=1).var(ddof=1)
    of_images = seeds * table.mean(axis=0).var(ddof=1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    of_rest = (rest**2).sum() / ((seeds - 1) * (images - 1))
    weights = generator.multinomial(images, np.full(images, 1 / images), size=40_000) / images
    found = estimates(table.mean(axis=1)[:, None], (weights @ table.T)[..., None])
    assert found.standard_error[0] ** 2 == pytest.approx((of_seeds + of_images - of_rest) / table.size, rel=0.03)
    between, among = of_seeds / table.size, of_images / table.size
    expected = found.standard_error[0] ** 4 / (between**2 / (seeds - 1) + among**2 / (len(weights) - 1))
    assert found.degrees_of_freedom[0] == pytest.approx(expected, rel=0.03)


def test_no_component_is_negative():
    # every seed has the same value, but replicates vary by seed: the seeds' own component would be below 0
    values = np.random.default_rng(2).normal(size=(4000, 4, 1))
    found = estimates(np.ones((4, 1)), values)
    np.testing.assert_allclose(found.standard_error, values.mean(axis=1).std(axis=0, ddof=1))
    np.testing.assert_allclose(found.degrees_of_freedom, 3999)


def test_what_is_undefined_stays_so_and_nothing_else_does():
    observed = np.array([[1.0, NAN, 2.0], [1.5, 1.0, 2.0]])
    values = np.random.default_rng(0).normal(observed, 0.1, (30, 2, 3))
    values[1:, :, 2] = NAN
    found = estimates(observed, values)
    assert np.isnan(found.p_value).tolist() == [False, True, True]
    assert np.isnan(found.interval()[0]).tolist() == [False, True, True]


def test_without_any_error_zero_is_zero():
    found = Estimates(np.array([0.0, 1.0]), np.zeros(2), np.full(2, 5.0))
    assert found.p_value.tolist() == [1, 0]


@pytest.mark.parametrize("level", [0.05, 0.004, 0.3])
def test_intervals_exclude_zero_where_the_test_rejects(level):
    generator = np.random.default_rng(3)
    found = Estimates(generator.normal(size=500), generator.uniform(0.1, 1, 500), generator.uniform(2, 30, 500))
    lower, upper = found.interval(level)
    np.testing.assert_array_equal((lower > 0) | (upper < 0), found.p_value <= level)


def test_replicates_that_do_not_belong_to_the_observed():
    with pytest.raises(ValueError, match="values have shape"):
        estimates(np.zeros((3, 4)), np.zeros((50, 4, 3)))


def test_in_parts_seeds_alone_are_a_t_test():
    observed = np.random.default_rng(0).normal(0.5, 1, (6, 3))
    found = estimates_in_parts(observed, np.broadcast_to(observed, (20, 6, 3)))
    expected = stats.ttest_1samp(observed, 0)
    np.testing.assert_allclose(found.p_value, expected.pvalue)
    np.testing.assert_allclose(found.interval(), expected.confidence_interval(0.95))


def test_in_parts_one_seed_leaves_the_images_alone():
    values = np.random.default_rng(0).normal(size=(50, 1, 2))
    one, other = (make(np.full((1, 2), 0.5), values) for make in (estimates_in_parts, estimates))
    np.testing.assert_allclose(one.interval(), other.interval())


def test_in_parts_levels_and_intervals_belong_together():
    generator = np.random.default_rng(1)
    observed = generator.normal(1, 1, (6, 20))
    values = observed + 0.3 * generator.normal(size=(100, 1, 20)) + 0.3 * generator.normal(size=(100, 6, 20))
    found = estimates_in_parts(observed, values)
    for level in (0.2, 0.05, 0.001):
        lower, upper = found.interval(level)
        assert ((lower > 0) | (upper < 0)).tolist() == (found.p_value <= level).tolist()


@pytest.mark.parametrize("level", [0.05, 0.0005, 0.0001])
@pytest.mark.parametrize("images", [0.0, 0.12, 1.0, 10.0])
def test_in_parts_no_level_is_exceeded(level, images):
    """By integration over the variance that six seeds show, the true one being 1, that of the images known."""
    shares = (np.arange(20_000) + 0.5) / 20_000
    chances = np.concatenate([shares * 1e-4, 1e-4 + shares * (1 - 1e-4)])  # the smallest variances, in detail
    weights = np.repeat([1e-4, 1 - 1e-4], len(shares)) / len(shares)
    of_seeds = stats.chi2.ppf(chances, 5) / 5
    everywhere = np.ones_like(of_seeds)
    found = EstimatesInParts(0 * of_seeds, of_seeds, images * everywhere, 6 * everywhere, 1000 * everywhere)
    missed = 2 * stats.norm.sf(found.interval(level)[1] / np.sqrt(1 + images))
    assert (weights * missed).sum() <= 1.01 * level
