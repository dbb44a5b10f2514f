"""What a study can show with so many seeds and images, and which of its seeds a test may rest on.

Whoever looks, adds seeds and looks again until something is established, establishes too much. So the first plan
counts: seeds that were added to it later are shown, and not tested.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import owens_t
from scipy.stats import nct, norm, t

from fairprof.inference.multiplicity import sidak_level

LEAST_SEEDS, RECOMMENDED_SEEDS = 6, 10  # of a claim between designs
POWER = 0.8
# what is assumed where there is no pilot: of how hard an image is, the shares that all runs, the runs of a design and a
# single run have; and by how much a gap of a design varies between seeds, beyond the images
IMAGE_SHARES = np.array([0.7, 0.3, 0.6]) ** 2 / 0.94
GAP_SEED_SD = 0.02


class ErrorParts(NamedTuple):
    """Variances of the difference between two designs at one seed: what varies with the seed alone, with the images
    alone, which is the same for all seeds, and with both."""

    of_seeds: float
    of_images: float
    of_both: float


def detectable_difference(parts: ErrorParts, seeds: int, tests: int, replicates: int = 1000) -> float:
    """The smallest true difference that so many seeds establish for new seeds and new images with a chance of POWER.

    seeds: at least 2. tests: of the family, whose level is `sidak_level`. replicates: of the bootstrap of the
    images. The test is that of
    `estimates`: t, its error that of the mean over seeds: (of_seeds + of_both) / seeds + of_images, with the
    degrees of freedom of Satterthwaite (1946), few where the seeds vary; its power that of a noncentral t. NaN where a
    part is undefined.
    """
    between_seeds, of_mean = (parts.of_seeds + parts.of_both) / seeds, parts.of_images + parts.of_both / seeds
    variance = between_seeds + parts.of_images
    if not variance > 0:
        return 0.0 if variance == 0 else np.nan
    freedom = variance**2 / (between_seeds**2 / (seeds - 1) + of_mean**2 / (replicates - 1))
    critical = t.isf(sidak_level(tests) / 2, freedom)

    def missing(shift: float) -> float:
        return nct.sf(critical, freedom, shift) - POWER

    return float(np.sqrt(variance) * brentq(missing, 0, 10 * critical))


def assumed_parts(rate: float, supports: Sequence[float]) -> ErrorParts:
    """Of the gap between two groups with the same rate, in (0, 1), on so many images each, before anything is trained.

    A run answers an image so that the rate comes out where a normal score lies under the rate's quantile; IMAGE_SHARES
    of the score's variance are the same for all runs, for the runs of a design, and of a single run. GAP_SEED_SD is
    what a gap varies by between seeds.
    """
    of_all, of_design, _ = IMAGE_SHARES
    among_designs, among_seeds = _covariance(rate, of_all), _covariance(rate, of_all + of_design)
    images = sum(1 / support for support in supports)
    return ErrorParts(
        of_seeds=2 * GAP_SEED_SD**2,
        of_images=2 * (among_seeds - among_designs) * images,
        of_both=2 * (rate * (1 - rate) - among_seeds) * images,
    )


def _covariance(rate: float, correlation: float) -> float:
    """Of two events of the same rate that happen where normal scores of this correlation lie under its quantile."""
    score = norm.ppf(rate)
    both = rate - 2 * owens_t(score, np.sqrt((1 - correlation) / (1 + correlation)))  # Owen 1956
    return both - rate**2


def parts_of_pilot(observed: np.ndarray, values: np.ndarray) -> ErrorParts:
    """Of a quantity's differences between designs, as a pilot shows them, mean over the differences.

    observed: (D, S) of D differences and S seeds, at least 2. values: (D, B, S) on B resamples of the images, the same
    for all seeds. With s^2 the variance between seeds, j^2 that of a seed's replicates and i^2 that of their mean over
    the seeds: of_both is (j^2 - i^2) S / (S - 1), of_images i^2 - of_both / S, of_seeds s^2 - of_both, none under 0.
    """
    seeds = observed.shape[1]
    of_single_runs = np.nanvar(values, axis=1, ddof=1).mean()
    of_mean = np.nanvar(values.mean(axis=2), axis=1, ddof=1).mean()
    of_both = max((of_single_runs - of_mean) * seeds / (seeds - 1), 0.0)
    return ErrorParts(
        of_seeds=max(float(observed.var(axis=1, ddof=1).mean()) - of_both, 0.0),
        of_images=max(of_mean - of_both / seeds, 0.0),
        of_both=of_both,
    )


@dataclass(frozen=True)
class Look:
    """A start of a study, or a comparison: seeds that it was to have, and those of which a run was there to be seen."""

    seeds: tuple[int, ...]
    seen: frozenset[int]


@dataclass(frozen=True)
class SeedPlan:
    """What the record says of the seeds that are compared.

    compared: all of them. planned: those of the first look, whether or not they are compared; later: the compared ones
    that are not among them. looked_at: how many planned ones had been seen before the later ones were added. tested:
    those that the confirmatory tests rest on. recorded: whether there was a plan before the comparison itself.
    """

    compared: tuple[int, ...]
    planned: tuple[int, ...]
    looked_at: int
    tested: tuple[int, ...]
    recorded: bool

    @property
    def later(self) -> tuple[int, ...]:
        return tuple(seed for seed in self.compared if seed not in self.planned)

    @property
    def left_out(self) -> tuple[int, ...]:
        """Seeds that are compared and not tested."""
        return tuple(seed for seed in self.compared if seed not in self.tested)

    @property
    def missing(self) -> tuple[int, ...]:
        """Seeds that were planned and are not compared."""
        return tuple(seed for seed in self.planned if seed not in self.compared)


def seed_plan(looks: Sequence[Look], seeds: Collection[int]) -> SeedPlan:
    """What may be tested of `seeds` after `looks`, the earliest first, by what was planned.

    The tests rest on the seeds of the first look of at least LEAST_SEEDS: what was looked at before is a pilot, which
    allows no claim, so that nobody can have waited for one. Every later look tests the same seeds again, and adds no
    chance of a false claim.
    """
    compared = tuple(sorted(seeds))
    plans = [look.seeds for look in looks if look.seen] + [compared]
    planned = tuple(sorted(plans[0]))
    able = next((plan for plan in plans if len(plan) >= LEAST_SEEDS), compared)
    return SeedPlan(
        compared=compared,
        planned=planned,
        looked_at=len({seed for look in looks for seed in look.seen if seed in planned}),
        tested=tuple(seed for seed in compared if seed in able),
        recorded=len(plans) > 1,
    )
