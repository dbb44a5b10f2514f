"""Factors on the classes: by hand, against all factors of a fine grid, and accepted only where they are better."""

import itertools

import numpy as np
import pytest

from fairprof.mitigation.class_scaling import class_factors, worst_balanced_accuracy
from fairprof.mitigation.halves import Halves


def test_the_worst_groups_balanced_accuracy_by_hand():
    groups = np.array([0, 0, 0, 1, 1, 2])
    classes = np.array([0, 0, 1, 0, 1, 1])
    predicted = np.array([0, 1, 1, 0, 0, 1])
    # group 0: (1/2 + 1) / 2; group 1: (1 + 0) / 2; group 2 has images of class 1 alone: 1
    assert worst_balanced_accuracy(predicted, classes, groups) == 0.5
    assert worst_balanced_accuracy(predicted[groups != 1], classes[groups != 1], groups[groups != 1]) == 0.75


def leaning(images: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that give class 0 too much, in one group more than in the other."""
    generator = np.random.default_rng(seed)
    classes, groups = generator.integers(3, size=images), generator.integers(2, size=images)
    logits = generator.normal(size=(images, 3)) + 1.5 * np.eye(3)[classes]
    logits[:, 0] += 1 + groups
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), classes, groups


def test_the_factors_are_as_good_as_the_best_of_a_grid_on_what_they_are_fitted_on():
    probabilities, classes, groups = leaning(300, 0)
    everything = np.arange(300)
    found = class_factors(probabilities, classes, groups, Halves(everything, everything))
    grid = np.exp(np.arange(-3, 3.01, 0.1))
    best = max(
        worst_balanced_accuracy((probabilities * [1, first, second]).argmax(axis=1), classes, groups)
        for first, second in itertools.product(grid, grid)
    )
    assert found.accepted
    assert found.value > found.value_without + 0.1
    assert found.value > best - 0.03  # an ascent class by class may end below the best
    assert np.log(found.factors).sum() == pytest.approx(0)


def test_factors_that_are_no_better_on_the_second_half_are_not_accepted():
    probabilities, classes, groups = leaning(300, 0)
    fair = np.eye(3)[classes] * 0.8 + 0.2 / 3
    probabilities[150:] = fair[150:]  # nothing is to be gained there
    found = class_factors(probabilities, classes, groups, Halves(np.arange(150), np.arange(150, 300)))
    assert not found.accepted
    assert found.value_without == 1
    assert (found.factors == 1).all()


def test_the_names_of_groups_do_not_matter_and_those_of_classes_only_order_the_ascent():
    probabilities, classes, groups = leaning(200, 2)
    halves = Halves(np.arange(100), np.arange(100, 200))
    found = class_factors(probabilities, classes, groups, halves)
    assert (class_factors(probabilities, classes, 1 - groups, halves).factors == found.factors).all()
