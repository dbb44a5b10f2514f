"""Methods under a known truth, with few data sets: nothing contradicts what is wanted."""

import pytest

from benchmarks.simulations.mitigation import NULLS, SIMULATIONS
from benchmarks.simulations.simulation import contradicts, simulated

NAMED = {simulation.name: simulation for simulation in SIMULATIONS}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [f"4 methods that do nothing in 4 designs, 6 seeds: {case}" for case in list(NULLS)[2:3]]
)
def test_methods_that_do_nothing_are_not_credited(name):
    simulation = NAMED[name]
    for _, row in simulated(simulation, quick=True).iterrows():
        assert not contradicts(row, simulation.at_most), row.to_dict()


@pytest.mark.slow
def test_a_large_gap_that_is_closed_is_found_by_six_seeds():
    table = simulated(NAMED["a gap of 0.4 closed, 1300 images: no group loses"], quick=True).set_index("asked")
    assert table.loc["smaller gap", "share"] == 1
