"""Seeds on one test set: by hand, against SciPy, and where the truth is known."""

import itertools

import numpy as np
import pytest
from scipy import stats

from fairprof.inference import over_seeds, units
from fairprof.inference.over_seeds import image_se, seed_sd, sign_flip_tests

NAN = np.nan


def test_sign_flips_by_hand():
    differences = np.array([[1, 3.0, 0, NAN], [1, -1, 0, 1], [1, 1, 0, 1]])
    found = sign_flip_tests(differences)
    assert found.smallest_p == 0.25
    # Of the four patterns that differ by more than all signs: sums of the first are 3, 1, 1, 1, of the
    # second 3, 5, 1, 3.
    np.testing.assert_array_equal(found.p_value, [0.25, 0.75, 1, NAN])
    # |mean| by root mean square: the first has 1, 1/3, 1/3, 1/3, the second 3, 5, 1, 3 by 3 sqrt(11/3) = 5.745;
    # the larger of both is 1, .870, .333, .522, against .522 that was observed of the second.
    np.testing.assert_array_equal(found.p_max_t, [0.25, 0.75, 1, NAN])


@pytest.mark.parametrize("seeds", [3, 6, 8])
def test_sign_flips_against_scipy(seeds):
    differences = np.random.default_rng(seeds).normal(0.6, 1, (seeds, 5)) * [1, 10, 0.01, 1, 3]
    found = sign_flip_tests(differences)
    expected = stats.permutation_test(
        (differences,),
        lambda x, axis: np.abs(x.mean(axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative="greater",
    )
    np.testing.assert_allclose(found.p_value, expected.pvalue)
    assert found.smallest_p == 2 / 2**seeds
    flips = np.array(list(itertools.product([1, -1], repeat=seeds)))
    largest = np.max(np.abs([stats.ttest_1samp(f[:, None] * differences, 0).statistic for f in flips]), axis=1)
    observed = np.abs(stats.ttest_1samp(differences, 0).statistic)
    np.testing.assert_allclose(found.p_max_t, (largest[:, None] >= observed - 1e-9).mean(axis=0))
    assert (found.p_max_t >= found.p_value).all()


@pytest.mark.parametrize("seeds", [1, 2, 3, 6, 10])
def test_the_smallest_p_is_reached_whatever_the_rounding(seeds):
    # Differences of one sign, equal ones among them, of very different sizes.
    differences = np.outer(np.linspace(0.1, 0.3, seeds), [1, 1e-9, 1e9])
    found = sign_flip_tests(np.hstack([differences, np.full((seeds, 1), 0.1)]))
    assert found.p_value.tolist() == [2 / 2**seeds] * 4
    assert found.smallest_p == 2 / 2**seeds
    assert found.p_max_t[3] == 2 / 2**seeds


def test_sign_flips_of_many_seeds_and_hypotheses_come_in_chunks(monkeypatch):
    differences = np.random.default_rng(0).normal(0.4, 1, (9, 7))
    whole = sign_flip_tests(differences)
    monkeypatch.setattr(units, "CHUNK", 100)
    for one, other in zip(whole, sign_flip_tests(differences), strict=True):
        np.testing.assert_array_equal(one, other)


def test_p_max_t_rejects_any_true_hypothesis_seldom():
    generator = np.random.default_rng(23)
    smallest = []
    for _ in range(400):
        shared = generator.normal(size=(7, 1))
        smallest.append(sign_flip_tests(shared + generator.normal(size=(7, 6)) * [1, 2, 3, 0.1, 1, 1]).p_max_t.min())
    assert 0.02 <= np.mean(np.array(smallest) <= 0.05) <= 0.06


@pytest.mark.parametrize("shape", [(0, 3), (4,)])
def test_what_signs_cannot_be_flipped_of(shape):
    with pytest.raises(ValueError, match="with at least 1 seed"):
        sign_flip_tests(np.zeros(shape))


# More than twenty seeds.


def test_of_twenty_seeds_drawn_signs_agree_with_all_of_them(monkeypatch):
    differences = np.random.default_rng(7).normal(0.35, 1, (20, 5))
    exact = sign_flip_tests(differences)
    assert exact.smallest_p == 2 / 2**20
    monkeypatch.setattr(over_seeds, "MOST_EXACT_SEEDS", 19)
    drawn = sign_flip_tests(differences)
    assert drawn.smallest_p == 1e-5
    for one, other in zip(exact[:2], drawn[:2], strict=True):
        assert (np.abs(one - other) <= 4 * np.sqrt(one * (1 - one) / 99_999) + 1e-5).all()


def test_of_equal_differences_of_twenty_one_seeds_it_is_the_sign_test():
    # 7 of 21 signs are negative: so are at most 7, or at least 14, of 21 tosses of a coin
    differences = np.ones((21, 2))
    differences[:7, 0] = -1
    found = sign_flip_tests(differences)
    expected = stats.binomtest(7, 21).pvalue
    assert found.p_value[0] == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 99_999))
    assert found.p_value[1] == found.p_max_t[1] == 1e-5


def test_twenty_one_seeds_that_all_agree_have_the_smallest_p():
    differences = np.outer(np.linspace(0.5, 1.0, 21), [1.0, -2.0, 0.0, NAN])
    found = sign_flip_tests(differences)
    np.testing.assert_array_equal(found.p_value, [1e-5, 1e-5, 1, NAN])
    np.testing.assert_array_equal(found.p_max_t, [1e-5, 1e-5, 1, NAN])


def test_drawn_signs_do_not_depend_on_places_nor_on_chunks(monkeypatch):
    generator = np.random.default_rng(1)
    differences = generator.normal(0.3, 1, (23, 6))
    differences[4, 3] = NAN
    found = sign_flip_tests(differences)
    assert 1e-4 < np.nanmin(found.p_value) and np.nanmax(found.p_value) < 1
    seeds, hypotheses = generator.permutation(23), generator.permutation(6)
    moved = sign_flip_tests(differences[seeds][:, hypotheses])
    monkeypatch.setattr(units, "CHUNK", 10_000)
    for other, order in ((moved, hypotheses), (sign_flip_tests(differences), np.arange(6))):
        np.testing.assert_array_equal(other.p_value, found.p_value[order])
        np.testing.assert_array_equal(other.p_max_t, found.p_max_t[order])


@pytest.mark.slow
def test_few_drawn_signs_keep_the_level(monkeypatch):
    monkeypatch.setattr(over_seeds, "RANDOM_PATTERNS", 39)
    generator = np.random.default_rng(3)
    found = [sign_flip_tests(generator.normal(0, 1, (21 + n % 20, 3))).p_max_t.min() for n in range(2000)]
    # the smallest of three adjusted p-values is at most 2/40 in a share of .05, with a standard error of .005
    assert 0.035 <= np.mean(np.array(found) <= 0.05) <= 0.065


def test_standard_deviation_between_seeds():
    np.testing.assert_allclose(seed_sd(np.array([[1.0, 2], [3, 2], [5, 2]])), [2, 0])
    assert np.isnan(seed_sd(np.array([[[1.0, 2]]]))).tolist() == [[True, True]]


def test_image_standard_error_by_hand():
    # The mean over two seeds is 1, 3 and 5 in the three replicates.
    values = np.array([[0.0, 2], [3, 3], [6, 4]])[:, :, None]
    assert image_se(values).tolist() == [2]
    assert np.isnan(image_se(np.full((3, 2, 1), NAN))).tolist() == [True]
