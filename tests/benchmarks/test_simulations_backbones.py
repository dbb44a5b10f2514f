"""Backbones and designs under a known truth, with few data sets: nothing contradicts what is wanted."""

import pytest

from benchmarks.simulations.backbones import CONTRARY, FOUND, SIMULATIONS
from benchmarks.simulations.simulation import contradicts, simulated

NAMED = {simulation.name: simulation for simulation in SIMULATIONS}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "backbones and designs that change nothing, 6 seeds: 600 images, races of 8 and 3",
        "both lower a recall by .2, 1300 images, 6 seeds",
        "equal ranges, 2 backbones, 2 designs, both .1, 6 seeds, noise normal",
    ],
)
def test_what_moves_both_alike_is_not_said_to_move_one_more(name):
    simulation = NAMED[name]
    for _, row in simulated(simulation, quick=True).iterrows():
        assert not contradicts(row, simulation.at_most), row.to_dict()


@pytest.mark.slow
def test_a_large_effect_of_one_factor_is_found_by_ten_seeds():
    table = simulated(NAMED["one factor alone lowers a recall by 0.2, 1300 images, 10 seeds"], quick=True)
    assert table.set_index("asked")["share"].to_dict() == dict.fromkeys(FOUND, 1) | {CONTRARY: 0}
