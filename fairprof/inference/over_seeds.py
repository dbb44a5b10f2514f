"""What varies between seeds on one test set: tests of paired differences, and standard deviations."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fairprof.inference.intervals import over_replicates
from fairprof.inference.levels import TIE
from fairprof.inference.same_images import chunks
from fairprof.seeds import numpy_generator

MOST_EXACT_SEEDS = 20  # all 2^19 patterns of signs are tried
RANDOM_PATTERNS = 99_999  # of signs, beside the observed one, where there are more seeds


class SignFlipTests(NamedTuple):
    """p_value (M,): of each hypothesis alone. p_max_t (M,): adjusted for all. smallest_p: what S seeds, or
    the patterns that were tried, admit."""

    p_value: np.ndarray
    p_max_t: np.ndarray
    smallest_p: float


def sign_flip_tests(differences: np.ndarray) -> SignFlipTests:
    """Two-sided tests that paired differences (S, M) of S seeds are symmetric about 0, for M hypotheses.

    All 2^S patterns of signs are tried, the same one for all hypotheses. p_value: the share of patterns whose |mean| is
    at least the observed one. p_max_t: the share whose largest |t| over the hypotheses is at least
    the observed |t| of the hypothesis; it is adjusted in one step for all M (Westfall, Young 1993). |t| is
    taken as |mean| / root mean square, which rises with it and needs no special case: a flip leaves the
    root mean square as it is, so that p_value is the same. smallest_p is 2 / 2^S, 1 at one seed.

    Of more than MOST_EXACT_SEEDS seeds, RANDOM_PATTERNS patterns are drawn, always the same for a number of seeds, and
    the observed one counts as one more: p = (1 + hits) / (1 + RANDOM_PATTERNS) (Phipson, Smyth 2010). They are given
    to seeds in an order of their differences, so that neither the order of seeds nor that of hypotheses changes p.

    Differences that are all 0 have p 1. A hypothesis with a NaN has p NaN and does not count. Fisher 1935. Raises
    ValueError where differences are no (S, M) with at least one seed.
    """
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 2 or len(differences) < 1:
        raise ValueError(f"differences have shape {differences.shape}; give (seeds, hypotheses) with at least 1 seed")
    seeds = len(differences)
    defined = ~np.isnan(differences).any(axis=0)
    rows = differences[:, defined]
    rows = rows[_order_free_of_places(rows)]
    scale = np.sqrt((rows**2).mean(axis=0))
    scaled = rows / np.where(scale > 0, scale, 1)
    observed = np.abs(scaled.mean(axis=0))
    alone, largest = np.zeros((2, len(observed)))
    for signs in _sign_patterns(seeds, max(seeds, len(observed))):
        statistic = np.abs(signs @ scaled) / seeds
        alone += (statistic >= observed - TIE).sum(axis=0)
        largest += (statistic.max(axis=1, initial=0)[:, None] >= observed - TIE).sum(axis=0)
    p_value, p_max_t = np.full((2, differences.shape[1]), np.nan)
    patterns = _pattern_count(seeds)
    p_value[defined], p_max_t[defined] = alone / patterns, largest / patterns
    return SignFlipTests(p_value, p_max_t, 1 / patterns)


def _order_free_of_places(rows: np.ndarray) -> list[int]:
    """An order of rows (S, M) by their numbers alone, which permuting rows or columns does not change."""
    columns = sorted(range(rows.shape[1]), key=lambda column: sorted(rows[:, column]))
    return sorted(range(len(rows)), key=lambda row: tuple(rows[row, columns]))


def _pattern_count(seeds: int) -> int:
    return 2 ** (seeds - 1) if seeds <= MOST_EXACT_SEEDS else 1 + RANDOM_PATTERNS


def _sign_patterns(seeds: int, each: int) -> Iterator[np.ndarray]:
    """Chunks of (patterns, S) of +-1, the observed one first. The first seed keeps its sign: the other half mirrors
    this one."""
    generator, start = numpy_generator(0, "sign flips", seeds), 0
    for size in chunks(_pattern_count(seeds), each):
        if seeds <= MOST_EXACT_SEEDS:
            flipped = np.arange(start, start + size)[:, None] >> np.arange(seeds - 1) & 1
        else:
            flipped = generator.integers(2, size=(size, seeds - 1))
            flipped[0] *= start > 0
        yield np.hstack([np.ones((size, 1)), 1.0 - 2.0 * flipped])
        start += size


def seed_sd(observed: np.ndarray) -> np.ndarray:
    """(..., M): the standard deviation between S seeds of observed (..., S, M), by S - 1; NaN for one seed."""
    if observed.shape[-2] == 1:
        return np.full(observed[..., 0, :].shape, np.nan)
    return observed.std(axis=-2, ddof=1)


def image_se(values: np.ndarray) -> np.ndarray:
    """(..., M): the bootstrap standard error, over test images, of the mean over seeds.

    `values` are (B, ..., S, M) replicates; it is the standard deviation over those in which the quantity is defined.
    """
    return over_replicates(lambda means: np.nanstd(means, axis=0, ddof=1), values.mean(axis=-2))
