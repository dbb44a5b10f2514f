"""Attention by group under a known truth, with few data sets: nothing contradicts what is wanted."""

import pytest

from benchmarks.simulations.attention import SIMULATIONS
from benchmarks.simulations.simulation import contradicts, simulated

QUICK = (
    "equal means: 30 and 210 images, SD 2 and 1",
    "equal means: skewed, 8 and 60, SD 2 and 1",
    "equal means: seven groups, four classes",
    "equal means: five images a person",
    "equal means: maps, 8 and 60, SD 2 and 1",
    "unequal means: 100 and 100, SD 1, .4 apart",
    "bands: 30 and 210, SD 2 and 1",
)


@pytest.mark.parametrize("name", QUICK)
def test_nothing_contradicts_what_is_wanted(name):
    simulation = next(simulation for simulation in SIMULATIONS if simulation.name == f"attention, {name}")
    for _, row in simulated(simulation, quick=True).iterrows():
        assert not contradicts(row, simulation.at_most, simulation.at_least), row.to_dict()
