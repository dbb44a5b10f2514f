"""Intervals and tests of calibration under a known truth: the quick form of the simulations."""

import pytest

from benchmarks.simulations import calibration, intervals
from benchmarks.simulations.simulation import MOST_FALSE, Simulation, contradicts, simulated


@pytest.mark.parametrize("simulation", calibration.LEVEL[:3], ids=lambda simulation: simulation.name)
def test_groups_that_are_calibrated_alike_are_not_said_to_differ(simulation: Simulation):
    (row,) = simulated(simulation, quick=True).iloc
    assert not contradicts(row, at_most=MOST_FALSE)


@pytest.mark.parametrize("simulation", calibration.POWER[-2:], ids=lambda simulation: simulation.name)
def test_groups_that_are_calibrated_otherwise_are_found(simulation: Simulation):
    (row,) = simulated(simulation, quick=True).iloc
    assert row["share"] > 0.8


def test_several_images_of_a_person_are_not_counted_as_evidence_each():
    (simulation,) = [one for one in calibration.SIMULATIONS if "persons" in one.name]
    (row,) = simulated(simulation, quick=True).iloc
    assert not contradicts(row, at_most=MOST_FALSE)


@pytest.mark.parametrize("simulation", intervals.SIMULATIONS[:7:2], ids=lambda simulation: simulation.name)
def test_intervals_of_scores_cover_where_a_class_is_small(simulation: Simulation):
    for row in simulated(simulation, quick=True).iloc:
        assert not contradicts(row, at_least=simulation.at_least), row["asked"]
