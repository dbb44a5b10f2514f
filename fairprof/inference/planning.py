"""Which seeds were planned before anything was seen, and which of them a test may rest on.

Whoever looks, adds seeds and looks again until something is established, establishes too much. So the first plan
counts: seeds that were added to it later are shown, and not tested.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

LEAST_SEEDS, RECOMMENDED_SEEDS = 6, 10  # of a claim between designs


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
