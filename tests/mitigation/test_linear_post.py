"""The linear program of the offsets: duality, brute force, fairlearn's thresholds, and what must not matter."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin

from fairprof.mitigation.halves import Halves
from fairprof.mitigation.linear_post import membership_weights, solved
from fairprof.serving import chances


def made(images: int, classes: int, groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, K) that lean on the group, and groups (N,)."""
    generator = np.random.default_rng(seed)
    group = generator.integers(groups, size=images)
    lean = np.exp(generator.normal(size=(groups, classes)))
    probabilities = generator.dirichlet(np.ones(classes), images) * lean[group]
    return probabilities / probabilities.sum(axis=1, keepdims=True), group


def members(group: np.ndarray, classes: int) -> np.ndarray:
    """(N, G, K): of demographic parity with known groups."""
    return np.repeat(np.eye(group.max() + 1)[group][:, :, None], classes, axis=2)


def decided(probabilities: np.ndarray, memberships: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return (probabilities + (memberships * offsets).sum(axis=1)).argmax(axis=1)


def test_without_a_constraint_the_most_probable_class_is_chosen():
    probabilities, group = made(300, 4, 5)
    found = solved(probabilities, members(group, 4), tolerance=1.0)
    assert (found.values == 0).all()
    assert found.primal == pytest.approx(probabilities.max(axis=1).sum())


@pytest.mark.parametrize("kind", ["parity", "opportunity", "parity, blind", "opportunity, blind"])
@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_the_rule_of_the_offsets_is_worth_what_the_program_is(kind, tolerance):
    probabilities, group = made(400, 3, 4)
    memberships = members(group, 3)
    if kind.endswith("blind"):
        unsure = np.random.default_rng(1).dirichlet(np.ones(4) / 2, 400)
        memberships = 0.7 * memberships + 0.3 * unsure[:, :, None]
    if kind.startswith("opportunity"):
        memberships = memberships * probabilities[:, None]
    gains = probabilities + chances(probabilities)
    found = solved(gains, memberships, tolerance)
    assert found.primal == pytest.approx(found.dual, abs=1e-6)
    assert found.primal < probabilities.max(axis=1).sum() - 0.1
    predicted = np.eye(3)[decided(gains, memberships, found.values)]
    rates = np.einsum("igk,ik->gk", memberships, predicted) / memberships.sum(axis=0)
    assert np.ptp(rates, axis=0).max() < tolerance + 0.03  # a few images lie on the edge between two classes


def test_no_assignment_of_classes_is_better_and_the_best_mixture_of_them_is_as_good():
    """All 2 ** 10 assignments: those that satisfy the constraints, and mixtures of any of them."""
    from scipy.optimize import linprog

    probabilities, group = made(10, 2, 2, seed=4)
    memberships = members(group, 2)
    assignments = np.array(list(itertools.product(range(2), repeat=10)))
    values = probabilities[np.arange(10), assignments].sum(axis=1)
    rates = np.stack([assignments[:, group == g].mean(axis=1) for g in range(2)])
    for tolerance in (0.0, 0.1, 0.3):
        found = solved(probabilities, memberships, tolerance)
        gap = rates[0] - rates[1]
        assert values[np.abs(gap) <= tolerance + 1e-12].max() <= found.primal + 1e-9
        mixture = linprog(-values, A_ub=[gap, -gap], b_ub=[tolerance] * 2, A_eq=np.ones((1, len(values))), b_eq=[1.0])
        assert found.primal == pytest.approx(-mixture.fun)


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose scores are its only feature."""

    def fit(self, features, labels):
        self.classes_, self.fitted_ = np.array([0, 1]), True
        return self

    def predict(self, features):
        return np.asarray(features)[:, 0]


@pytest.mark.parametrize(("constraint", "kind"), [("demographic_parity", "parity"), ("equalized_odds", "opportunity")])
def test_two_classes_are_told_as_rightly_as_with_fairlearns_thresholds(constraint, kind):
    """Labels that occur exactly as often as the scores say: what is expected is what is counted. The true positive
    rates of both of two classes are what fairlearn calls equalized odds."""
    generator = np.random.default_rng(7)
    scores, group = [], []
    for g, lean in enumerate((0.15, -0.1, 0.0)):
        of_group = np.clip(generator.integers(1, 10, size=20) / 10 + lean, 0.05, 0.95).round(1)
        scores += list(of_group)
        group += [g] * 20
    scores, group = np.array(scores), np.array(group)
    labels = np.concatenate([np.arange(10) < round(10 * score) for score in scores]).astype(int)
    scores, group = np.repeat(scores, 10), np.repeat(group, 10)
    optimizer = ThresholdOptimizer(
        estimator=Scores(), constraints=constraint, grid_size=100_000, flip=True, predict_method="predict"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        optimizer.fit(scores[:, None], labels, sensitive_features=group)
        chances = optimizer._pmf_predict(scores[:, None], sensitive_features=group)[:, 1]
    accuracy = np.where(labels == 1, chances, 1 - chances).mean()
    probabilities = np.column_stack((1 - scores, scores))
    memberships = members(group, 2) * (probabilities[:, None] if kind == "opportunity" else 1)
    found = solved(probabilities, memberships, tolerance=0.0)
    assert found.primal / len(scores) == pytest.approx(accuracy, abs=1 / len(scores))


def test_the_names_of_groups_and_classes_do_not_matter():
    probabilities, group = made(300, 4, 3)
    memberships = members(group, 4)
    found = solved(probabilities, memberships, 0.05)
    predicted = decided(probabilities, memberships, found.values)
    groups, classes = np.array([2, 0, 1]), np.array([3, 1, 0, 2])
    renamed = solved(probabilities[:, classes], memberships[:, groups][:, :, classes], 0.05)
    again = decided(probabilities[:, classes], memberships[:, groups][:, :, classes], renamed.values)
    assert renamed.primal == pytest.approx(found.primal)
    assert (classes[again] != predicted).sum() <= 12  # the edge, as many images as there are constraints


def test_groups_are_read_from_the_features_and_the_penalty_is_chosen_on_the_other_half():
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 3
    features = generator.normal(size=(400, 8)) * 4 + 2
    features[:, 0] += 6 * labels
    halves = Halves(np.arange(200), np.arange(200, 400))
    weights = membership_weights(features, labels, halves, 3)
    told = (features @ weights[:, :-1].T + weights[:, -1]).argmax(axis=1)
    assert weights.shape == (3, 9)
    assert (told == labels).mean() > 0.6
    noise = membership_weights(generator.normal(size=(400, 8)), labels, halves, 3)
    assert np.abs(noise[:, :-1]).max() < np.abs(weights[:, :-1]).max()


def test_a_group_without_members_in_a_class_is_not_held():
    probabilities = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]]).to_numpy()
    memberships = np.zeros((2, 2, 2))
    memberships[:, 0] = 1
    found = solved(probabilities, memberships, 0.0)
    assert found.primal == pytest.approx(1.7)
    assert (found.values == 0).all()
