"""Designs under a known truth, with few data sets: nothing contradicts what is wanted."""

import pytest

from benchmarks.simulations.designs import BY_SIGN_FLIPS, CASES, CLAIMED, SIMULATIONS
from benchmarks.simulations.simulation import Simulation, contradicts, simulated

NAMED = {simulation.name: simulation for simulation in SIMULATIONS}
INTERVALS = [name for name in NAMED if name.startswith("mean difference")][::3]  # each number of seeds, each mixture


def judged(simulation: Simulation) -> dict[str, float]:
    table = simulated(simulation, quick=True)
    for _, row in table[table["wanted"].ne("")].iterrows():
        assert not contradicts(row, simulation.at_most, simulation.at_least), row.to_dict()
    return dict(zip(table["asked"], table["share"], strict=True))


@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_hold_the_truth_with_few_seeds(name):
    judged(NAMED[name])


@pytest.mark.slow
@pytest.mark.parametrize("case", [".8, .5, .25; 600", ".7, .3, .6; 600, accuracies .55 to .70"])
def test_equal_designs_are_not_told_apart(case):
    assert case in CASES
    judged(NAMED[f"4 equal designs, 6 seeds: {case}"])


@pytest.mark.slow
def test_ten_seeds_find_what_two_standard_deviations_make():
    found = judged(NAMED["one of 12 differences of 2 SD, 10 seeds"])
    assert found[CLAIMED] >= 0.9 and found[BY_SIGN_FLIPS] >= 0.9
