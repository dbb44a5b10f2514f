"""The best rules on labels that are drawn at random: by hand, by trying every rule, and by searching among mixtures."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.metrics import balanced_accuracy_score, f1_score

from fairprof.data.attributes import AGE_BINS
from fairprof.data.professions import PROFESSION_GIVEN_AGE, profession_probabilities
from fairprof.metrics.best_rules import (
    best_balanced_rule,
    best_rule,
    best_scores,
    kinds,
    macro_f1,
    masses,
    share_above_chance,
    tangent,
)


def scores_of(joint: np.ndarray) -> dict[str, float]:
    """`best_scores` at given masses (I, K) of kinds and classes."""
    sizes = joint.sum(axis=1, keepdims=True)
    return best_scores(joint / sizes, np.broadcast_to(sizes, joint.shape))


def best_by_trying_everything(joint: np.ndarray) -> tuple[float, float, float]:
    """Accuracy, balanced accuracy and macro-F1 of the best deterministic rules kind -> class, by scikit-learn."""
    kinds, classes = joint.shape
    kind, truth = (numbers.ravel() for numbers in np.indices(joint.shape))
    weights = joint.ravel()
    scores = []
    for rule in product(range(classes), repeat=kinds):
        predicted = np.array(rule)[kind]
        scores.append(
            (
                weights[predicted == truth].sum() / weights.sum(),
                balanced_accuracy_score(truth, predicted, sample_weight=weights),
                f1_score(truth, predicted, average="macro", sample_weight=weights, zero_division=0),
            )
        )
    return tuple(np.max(scores, axis=0))


def best_by_general_search(joint: np.ndarray, starts: int, generator: np.random.Generator) -> float:
    """The largest macro-F1 of a randomised rule that SciPy's sequential quadratic programming finds."""
    kinds, classes = joint.shape
    sums = np.kron(np.eye(kinds), np.ones(classes))
    return max(
        -minimize(
            lambda rule: -macro_f1(joint, rule.reshape(joint.shape)),
            jac=lambda rule: -tangent(joint, rule.reshape(joint.shape)).ravel(),
            x0=generator.dirichlet(np.ones(classes), kinds).ravel(),
            method="SLSQP",
            bounds=[(0, 1)] * joint.size,
            constraints={"type": "eq", "fun": lambda rule: sums @ rule - 1, "jac": lambda rule: sums},
            options={"maxiter": 100, "ftol": 1e-9},
        ).fun
        for _ in range(starts)
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_deterministic_rule_beats_the_best(seed):
    joint = np.random.default_rng(seed).dirichlet(np.full(12, [0.3, 1.0][seed % 2])).reshape(4, 3)
    accuracy, balanced_accuracy, f1 = best_by_trying_everything(joint)
    found = scores_of(joint)
    assert found["accuracy"] == pytest.approx(accuracy)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy)
    assert f1 - 1e-12 <= found["macro_f1"] <= f1 + 0.02


@pytest.mark.parametrize("seed", range(6))
def test_no_randomised_rule_beats_the_best(seed):
    generator = np.random.default_rng(seed)
    joint = PROFESSION_GIVEN_AGE * generator.dirichlet(np.full(9, [1.0, 3.0, 9.0][seed % 3]))[:, None]
    found = best_rule(joint)
    assert found.rule.sum(axis=1) == pytest.approx(1)
    assert found.rule.min() >= 0
    assert found.macro_f1 == macro_f1(joint, found.rule)
    assert found.macro_f1 == pytest.approx(best_by_general_search(joint, 2, generator), abs=1e-5)


def test_a_randomised_rule_can_beat_every_deterministic_one():
    # one kind only, of which half is of either class: always the same class gives 2 x .5 / 1.5 / 2 = .333 in the mean,
    # a coin toss .5 for both classes
    joint = np.array([[0.5, 0.5]])
    assert macro_f1(joint, np.array([[1.0, 0.0]])) == pytest.approx(1 / 3)
    found = best_rule(joint)
    assert found.macro_f1 == pytest.approx(0.5)
    assert found.rule == pytest.approx(np.array([[0.5, 0.5]]))


def test_hundreds_of_small_problems_are_not_beaten_by_any_deterministic_rule():
    generator = np.random.default_rng(1)
    for _ in range(200):
        shape = generator.integers(2, 6), generator.integers(2, 5)
        joint = generator.dirichlet(np.full(np.prod(shape), generator.choice([0.2, 1.0, 3.0]))).reshape(shape)
        chosen = np.eye(shape[1])[np.array(list(product(range(shape[1]), repeat=shape[0])))]
        hits, predicted = np.einsum("rik,ik->rk", chosen, joint), np.einsum("rik,i->rk", chosen, joint.sum(axis=1))
        best = (2 * hits / (predicted + joint.sum(axis=0))).mean(axis=1).max()
        assert best_rule(joint).macro_f1 >= best - 1e-12


def test_classes_that_cannot_occur_are_ignored_and_the_order_does_not_matter():
    sure = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert best_scores(sure) == {"accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": 1.0}
    rows = PROFESSION_GIVEN_AGE[np.random.default_rng(0).integers(0, 9, 500)]
    expected = tuple(best_scores(rows).values())
    assert tuple(best_scores(rows[::-1, ::-1]).values()) == pytest.approx(expected)
    assert tuple(best_scores(np.repeat(rows, 3, axis=0)).values()) == pytest.approx(expected)


def test_kinds_are_rows_of_equal_probabilities():
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5], [0.2, 0.8]])
    assert kinds(probabilities).tolist() == [0, 1, 0]
    assert masses(probabilities) == pytest.approx(np.array([[0.4, 1.6], [0.5, 0.5]]) / 3)


def test_the_best_balanced_rule_reaches_the_best_balanced_accuracy():
    probabilities = profession_probabilities(
        pd.Series(AGE_BINS * 50), pd.Series(["Male"] * 450), pd.Series(["x"] * 450)
    )
    rule = best_balanced_rule(probabilities)
    hits = probabilities[np.arange(len(rule)), rule]
    recalls = [hits[rule == k].sum() / probabilities[:, k].sum() for k in range(4)]
    assert np.mean(recalls) == pytest.approx(best_scores(probabilities)["balanced_accuracy"])


def test_the_best_balanced_rule_is_as_worked_by_hand():
    # the first class is rare: its totals are .5 and 2.5, so .2 / .5 beats .8 / 2.5, and 0 loses
    probabilities = np.array([[0.2, 0.8], [0.3, 0.7], [0.0, 1.0]])
    assert best_balanced_rule(probabilities).tolist() == [0, 0, 1]


def test_share_above_chance():
    assert share_above_chance(0.45, chance=0.25, ceiling=0.65) == pytest.approx(0.5)
    assert share_above_chance(0.25, chance=0.25, ceiling=0.65) == 0
    assert np.isnan(share_above_chance(0.5, chance=0.5, ceiling=0.5))
