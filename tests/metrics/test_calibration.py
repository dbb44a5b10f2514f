"""Temperature scaling and the calibration error: by hand, and of simulated classifiers."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from fairprof.metrics.calibration import (
    AT_BOUND,
    FITTED,
    HIGHEST_TEMPERATURE,
    UNDETERMINED,
    bins_for,
    calibration_errors,
    fitted_temperature,
    scaled_probabilities,
    top_label,
    with_temperature,
)
from fairprof.metrics.performance import calibration_error, class_probabilities
from tests.inference.test_calibration_by_group import CLASSES, simulated


def test_a_temperature_worked_by_hand():
    # 3 of 4 are right at a confidence of .9: sigmoid(ln 9 / T) = .75 = sigmoid(ln 3), so T = 2
    probabilities = np.array([[0.9, 0.1]] * 4)
    found = fitted_temperature(probabilities, np.array([0, 0, 0, 1]))
    assert found.status == FITTED
    assert found.value == pytest.approx(2.0, abs=1e-4)
    assert scaled_probabilities(probabilities, found.value)[0] == pytest.approx([0.75, 0.25], abs=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_simulated_classifier_is_found_and_scaling_calibrates_it(temperature):
    table = simulated(20_000, temperature)
    true = pd.Index(CLASSES).get_indexer(table["y_true"])
    found = fitted_temperature(class_probabilities(table), true)
    assert found.value == pytest.approx(temperature, rel=0.05)
    scaled = with_temperature(table, found.value)
    assert calibration_error(scaled) < 0.02
    assert scaled["y_pred"].equals(table["y_pred"])
    assert (class_probabilities(scaled).argmax(axis=1) == class_probabilities(table).argmax(axis=1)).all()
    assert metrics.log_loss(true, class_probabilities(scaled)) <= metrics.log_loss(true, class_probabilities(table))


def test_perfect_validation_predictions_allow_no_temperature():
    probabilities = np.array([[1.0, 0.0], [0.2, 0.8]])
    assert fitted_temperature(probabilities, np.array([0, 1])) == (1.0, UNDETERMINED)


def test_a_temperature_at_the_bound_is_called_so_and_probabilities_of_zero_stay_finite():
    found = fitted_temperature(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([1, 1, 1]))
    assert found.status == AT_BOUND and found.value == pytest.approx(HIGHEST_TEMPERATURE, rel=0.01)
    assert np.isfinite(scaled_probabilities(np.array([[1.0, 0.0]]), found.value)).all()


def test_a_temperature_of_one_changes_nothing():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    assert scaled_probabilities(probabilities, 1.0) == pytest.approx(probabilities)


def test_errors_are_those_of_a_single_table_with_ties_too():
    table = simulated(300)
    table.loc[:99, [f"probability_{name}" for name in CLASSES]] = [0.5, 0.3, 0.2]
    table.loc[:99, "y_pred"] = "student"
    rows, _ = top_label(table)
    (found,) = calibration_errors(*(values[None] for values in rows), bins=15)
    assert found == pytest.approx(calibration_error(table))


@pytest.mark.parametrize(("images", "bins"), [(1, 1), (39, 1), (40, 2), (300, 15), (9000, 15)])
def test_few_images_have_few_bins(images, bins):
    assert bins_for(images) == bins
