"""Seeds that are added until something is established: how often nothing true is.

Twelve differences between designs that are equal, of three designs in four quantities, with six to fifteen seeds; the
seeds' noise is normal, and the reference's is in the differences of all three. Two seeds were looked at before.
"""

from functools import partial

import numpy as np

from benchmarks.simulations.simulation import MOST_FALSE, Simulation
from fairprof.inference.levels import ALPHA
from fairprof.inference.over_seeds import sign_flip_tests
from fairprof.inference.planning import LEAST_SEEDS, Look, seed_plan

MOST_SEEDS, PILOT = 15, 2
DESIGNS, GAPS = 3, 4


def _added_seeds(generator: np.random.Generator, recorded: bool) -> dict[str, bool]:
    """Whether anything is ever established. recorded: with the record of the seeds that were planned."""
    runs = generator.normal(size=(MOST_SEEDS, DESIGNS + 1, GAPS))
    differences = (runs[:, 1:] - runs[:, :1]).reshape(MOST_SEEDS, -1)
    looks = [_look(PILOT)]
    for seeds in range(LEAST_SEEDS, MOST_SEEDS + 1):
        tested = seed_plan(looks if recorded else [], range(seeds)).tested
        if _established(differences[list(tested)]):
            return {"established": True}
        looks.append(_look(seeds))
    return {"established": False}


def _look(seeds: int) -> Look:
    return Look(tuple(range(seeds)), frozenset(range(seeds)))


def _established(differences: np.ndarray) -> bool:
    """Whether any of the differences (S, M) is."""
    return bool((sign_flip_tests(differences).p_max_t <= ALPHA).any())


SIMULATIONS = (
    Simulation(
        f"seeds are added, from {LEAST_SEEDS} to {MOST_SEEDS}, until something is established",
        partial(_added_seeds, recorded=True),
        at_most=MOST_FALSE,
        data_sets=2000,
    ),
    Simulation("the same without a record of what was planned", partial(_added_seeds, recorded=False), data_sets=2000),
)
