"""Several images of a person under a known truth, with few data sets: nothing contradicts what is wanted."""

import pytest

from benchmarks.simulations.persons import SIMULATIONS
from benchmarks.simulations.simulation import Simulation, contradicts, simulated

# few persons, and some of whom there are many images: the hardest
QUICK = [simulation for simulation in SIMULATIONS if simulation.name.endswith("40 persons with 1 to 12")]


@pytest.mark.parametrize("simulation", QUICK, ids=lambda simulation: simulation.name)
def test_nothing_contradicts_what_is_wanted(simulation: Simulation):
    for _, row in simulated(simulation, quick=True).iterrows():
        assert not contradicts(row, simulation.at_most, simulation.at_least), row.to_dict()
