"""Derived seeds: the same on every machine, one per purpose, and numbers that depend on their key alone."""

import numpy as np
import pandas as pd
from scipy import stats

from fairprof.seeds import derive_seed, numpy_generator, uniforms

KEYS = [f"image{number}.jpg" for number in range(4000)]


def test_seeds_are_those_of_an_independent_blake2():
    # printf '0\x1fdraw\x1ftrain' | b2sum -l 64
    assert derive_seed(0, "draw", "train") == 0xBF6641B1CFA85575 >> 1
    # printf '7\x1fprofession\x1fa.jpg' | b2sum -l 64
    assert uniforms(["a.jpg"], 7, "profession")[0] == (0xA102CFB38BDC79C5 >> 11) / 2**53


def test_every_seed_and_purpose_has_a_seed_of_its_own():
    seeds = [
        derive_seed(seed, *purpose)
        for seed in range(50)
        for purpose in (("draw",), ("mixup", 1, 11), ("mixup", 11, 1), ("mixup", 111), ("mixup",))
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_repeat_for_a_purpose_and_are_uncorrelated_between_purposes():
    first, again, other = (numpy_generator(0, purpose).random(2000) for purpose in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert abs(stats.pearsonr(first, other).statistic) < 0.08


def test_uniforms_are_uniform_and_independent_of_other_seeds_and_purposes():
    numbers = uniforms(KEYS, 0, "profession")
    assert numbers.shape == (len(KEYS),) and numbers.dtype == np.float64
    assert stats.kstest(numbers, "uniform").pvalue > 0.01
    for other in (uniforms(KEYS, 1, "profession"), uniforms(KEYS, 0, "partition")):
        assert abs(stats.pearsonr(numbers, other).statistic) < 0.05


def test_uniforms_do_not_depend_on_the_other_keys():
    numbers = dict(zip(KEYS, uniforms(KEYS, 3, "x"), strict=True))
    some = KEYS[::-7]
    assert uniforms(some, 3, "x").tolist() == [numbers[key] for key in some]
    assert uniforms([], 3, "x").shape == (0,)


def test_uniforms_are_the_same_for_every_kind_of_column():
    expected = uniforms(KEYS, 3, "x").tolist()
    column = pd.Series(KEYS)
    for keys in (tuple(KEYS), np.array(KEYS), column, column.astype(object), column.astype("category"), pd.Index(KEYS)):
        assert uniforms(keys, 3, "x").tolist() == expected
