"""What is expected of the best rules, which know each label's probabilities and nothing else.

Where labels are drawn at random with known probabilities, images of equal probabilities are of one *kind* (an age bin;
under label bias an age bin of those who are affected, or of the others), and a rule can do no better than to choose by
kind. Rules may be randomised: q[i, c] is the share of kind i for which class c is predicted. With the masses J[i, c]
of kinds and classes, all is in expectation over the labels of the images at hand:

    hits of c           H(c) = sum_i J[i, c] q[i, c]
    predicted as c      M(c) = sum_i q[i, c] sum_k J[i, k]
    truly c             T(c) = sum_i J[i, c]
    macro-F1            mean_c 2 H(c) / (M(c) + T(c)): that of the expected counts

Randomised rules matter: macro-F1 is a sum of ratios, and its maximum need not lie at a deterministic rule. Half of all
draws of the labels give the best rule more than is expected of it, so nothing here bounds what one test set can show.
"""

from itertools import product
from typing import NamedTuple

import numpy as np


class BestRule(NamedTuple):
    """rule: (I, K), rows sum to 1: the share of a kind for which a class is predicted. macro_f1: expected of it."""

    rule: np.ndarray
    macro_f1: float


def kinds(probabilities: np.ndarray) -> np.ndarray:
    """(N,) int: the kind of every row of (N, K) probabilities; rows of one kind are equal to 12 decimals."""
    return np.unique(probabilities.round(12), axis=0, return_inverse=True)[1].ravel()


def masses(probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(I, K) shares, of sum 1, of every kind and class of (N, K) probabilities; weights: those of `best_scores`."""
    kind = kinds(probabilities)
    joint = np.zeros((kind.max() + 1, probabilities.shape[1]))
    np.add.at(joint, kind, probabilities if weights is None else probabilities * weights)
    return joint / joint.sum()


def best_scores(probabilities: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """The accuracy, balanced accuracy and macro-F1 expected of the best rules that know each row's P(class).

    probabilities: (N, K), rows sum to 1. weights: (N, K) weight of row n *if* its class is k (default 1), which
    expresses another class mix than the natural one. All values in [0, 1]. Accuracy is reached by the most probable
    class, balanced accuracy by `best_balanced_rule`, macro-F1 by `best_rule`.
    """
    joint = masses(probabilities, weights)
    joint = joint[joint.sum(axis=1) > 0][:, joint.sum(axis=0) > 0]
    equalised = joint / joint.sum(axis=0) / joint.shape[1]
    return {
        "accuracy": float(joint.max(axis=1).sum()),
        "balanced_accuracy": float(equalised.max(axis=1).sum()),
        "macro_f1": best_rule(joint).macro_f1,
    }


def share_above_chance(score: float, chance: float, ceiling: float) -> float:
    """(score - chance) / (ceiling - chance): 1 is what is expected of the best rule, 0 of predictions that do not look.

    chance: of `chance_scores` for the predictions that have this score. NaN where the ceiling is not above chance. A
    score corrected for chance, as Cohen's kappa (1960) is for accuracy with a ceiling of 1.
    """
    return (score - chance) / (ceiling - chance) if ceiling > chance else np.nan


def best_balanced_rule(probabilities: np.ndarray) -> np.ndarray:
    """(N,) int: the class of every row that is best in balanced accuracy, by P(class) (N, K) alone: the most probable
    one after the totals of the classes are equalised."""
    totals = probabilities.sum(axis=0)
    return np.divide(probabilities, totals, out=np.zeros_like(probabilities), where=totals > 0).argmax(axis=1)


# The best macro-F1.


def macro_f1(joint: np.ndarray, rule: np.ndarray) -> float:
    """The macro-F1 of the expected counts of a rule (I, K) at masses (I, K) in which every class occurs."""
    hits, sizes = _hits_and_sizes(joint, rule)
    return float(np.mean(2 * hits / sizes))


def best_rule(joint: np.ndarray) -> BestRule:
    """The randomised rule of which the largest macro-F1 is expected, at masses (I, K) in which every class occurs.

    The rule that maximises macro-F1 is the most probable class under some weighting of the classes, but for ties
    (Narasimhan et al. 2015, ICML), so that weighted starts lie near the maximum. From each, the share of one kind is
    moved from one class to another, the step that gains most, until none gains: as macro-F1 is smooth, no small change
    of the rule gains then. The best of all starts is returned; tests compare it with exhaustive and random search.
    """
    totals = joint.sum(axis=0)
    weightings = [
        np.array(factors) / totals**power
        for factors in product((1.0, 2.0), repeat=joint.shape[1])
        for power in (0.0, 0.5, 1.0)
    ]
    starts = {tuple((joint * weighting).argmax(axis=1)) for weighting in weightings}
    return max(
        (_climb(joint, np.eye(joint.shape[1])[list(start)]) for start in sorted(starts)), key=lambda best: best[1]
    )


def _climb(joint: np.ndarray, rule: np.ndarray) -> BestRule:
    while True:
        moved, gain = _best_moves(joint, rule)
        kind, source, target = np.unravel_index(gain.argmax(), gain.shape)
        if gain[kind, source, target] < 1e-12:
            return BestRule(rule, macro_f1(joint, rule))
        rule = rule.copy()
        rule[kind, source] -= moved[kind, source, target]
        rule[kind, target] += moved[kind, source, target]


def _best_moves(joint: np.ndarray, rule: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of kind i is best moved from class k to class l, (I, K, K), and what F1 summed over classes gains.

    Moving d changes two ratios, whose derivatives are loss / (D_k - w d)^2 and won / (D_l + w d)^2 with D = M + T: the
    best d is where they cancel, if the first is negative, otherwise all there is.
    """
    hits, sizes = _hits_and_sizes(joint, rule)
    weight, available = joint.sum(axis=1)[:, None, None], rule[:, :, None]
    lost, won = joint[:, :, None], joint[:, None, :]
    from_hits, from_size = hits[:, None], sizes[:, None]
    loss, gain = lost * from_size - weight * from_hits, won * sizes - weight * hits
    concave = (loss > 0) & (gain > 0)
    ratio = np.sqrt(np.divide(gain, loss, out=np.ones(np.broadcast_shapes(gain.shape, loss.shape)), where=concave))
    balance = (ratio * from_size - sizes) / (weight * (1 + ratio))
    moved = np.where(concave, np.clip(balance, 0, available), available)

    def gained(moved: np.ndarray) -> np.ndarray:
        after = (from_hits - lost * moved) / (from_size - weight * moved)
        after = after + (hits + won * moved) / (sizes + weight * moved)
        return 2 * (after - from_hits / from_size - hits / sizes)

    classes = np.eye(joint.shape[1], dtype=bool)
    return moved, np.where(classes, 0, gained(moved))


def tangent(joint: np.ndarray, rule: np.ndarray) -> np.ndarray:
    """(I, K) derivatives of `macro_f1` by the shares of a rule (I, K)."""
    hits, sizes = _hits_and_sizes(joint, rule)
    return 2 * (joint / sizes - joint.sum(axis=1, keepdims=True) * hits / sizes**2) / joint.shape[1]


def _hits_and_sizes(joint: np.ndarray, rule: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H(c) and M(c) + T(c), each (K,), of a rule (I, K) at masses (I, K): F1 of c is 2 H(c) / (M(c) + T(c))."""
    return (joint * rule).sum(axis=0), joint.sum(axis=1) @ rule + joint.sum(axis=0)
