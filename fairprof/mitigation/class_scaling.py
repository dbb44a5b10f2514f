"""One factor a class on the probabilities, chosen for the worst group (Narasimhan 2018; Delaney et al. 2024).

What is maximised is the balanced accuracy (the mean over classes of the share of a class's images that are told
rightly) of the group where it is lowest. A class of which a group has no image is left out of that group's mean.
"""

from dataclasses import dataclass

import numpy as np

from fairprof.metrics.performance import divide, mean_of_defined
from fairprof.mitigation.halves import Halves

MOST_ROUNDS = 20  # over all classes


@dataclass(frozen=True)
class ClassFactors:
    """factors: (K,) float64 with the geometric mean 1; all 1 where those that were fitted were not accepted. value,
    value_without: of what is maximised, among the images that had to accept them, with the fitted factors and without
    any. accepted: whether the first is more."""

    factors: np.ndarray
    value: float
    value_without: float

    @property
    def accepted(self) -> bool:
        return self.value > self.value_without


def class_factors(probabilities: np.ndarray, classes: np.ndarray, groups: np.ndarray, halves: Halves) -> ClassFactors:
    """The factors for probabilities (N, K) of validation images with their classes and groups, (N,) int each: fitted on
    the first half, accepted if they are better on the second than none."""
    fit, choose = halves.fit, halves.choose
    fitted = _ascended(probabilities[fit], classes[fit], groups[fit])
    value, value_without = (
        worst_balanced_accuracy((probabilities[choose] * factors).argmax(axis=1), classes[choose], groups[choose])
        for factors in (fitted, np.ones_like(fitted))
    )
    accepted = value > value_without
    return ClassFactors(fitted if accepted else np.ones_like(fitted), value, value_without)


def worst_balanced_accuracy(predicted: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> float:
    """The lowest balanced accuracy of a group that has images, of predicted and true classes and groups, (N,) int."""
    right = _counts(groups, classes, predicted == classes)
    return float(_worst(right, _counts(groups, classes, np.ones(len(classes)))))


def _counts(groups: np.ndarray, classes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = np.zeros((groups.max() + 1, classes.max() + 1))
    np.add.at(counts, (groups, classes), weights)
    return counts


def _worst(right: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Over the last two axes, groups and classes; a group without images is none."""
    some = images.sum(axis=-1) > 0
    return mean_of_defined(divide(right, np.broadcast_to(images, right.shape)))[..., some].min(axis=-1)


def _ascended(probabilities: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Coordinate ascent from factors of 1: class by class the best factor there is, until none is better."""
    factors = np.ones(probabilities.shape[1])
    best = worst_balanced_accuracy(probabilities.argmax(axis=1), classes, groups)
    for _ in range(MOST_ROUNDS):
        before = best
        for k in range(len(factors)):
            factor, value = _best_factor(probabilities * factors, k, classes, groups)
            if value > best:
                factors[k], best = factors[k] * factor, value
        if best == before:
            break
    return factors / np.exp(np.log(factors).mean())


def _best_factor(scores: np.ndarray, k: int, classes: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """The factor on class k that is best with the others as they are, and what is maximised with it; of equally good
    ones the nearest to 1.

    An image is told as k from some factor on: between two neighbouring ones of these nothing changes.
    """
    others = np.delete(scores, k, axis=1)
    second = others.argmax(axis=1)
    second += second >= k
    with np.errstate(divide="ignore"):
        turning = others.max(axis=1) / scores[:, k]
    order = np.argsort(turning, kind="stable")
    gained = np.zeros((len(scores) + 1, groups.max() + 1, classes.max() + 1))  # by how many images are told as k
    places = np.arange(1, len(scores) + 1)
    gained[places, groups[order], classes[order]] = (classes[order] == k).astype(float) - (
        second[order] == classes[order]
    )
    right = _counts(groups, classes, second == classes) + gained.cumsum(axis=0)
    edges = np.concatenate(([0.0], turning[order], [np.inf]))
    with np.errstate(divide="ignore", invalid="ignore"):
        middles = np.exp((np.log(edges[:-1]) + np.log(edges[1:])) / 2)
    usable = np.isfinite(middles) & (middles > 0) & (edges[:-1] < edges[1:])
    if not usable.any():
        return 1.0, -np.inf
    middles, values = middles[usable], _worst(right[usable], _counts(groups, classes, np.ones(len(classes))))
    equally_good = np.flatnonzero(values == values.max())
    chosen = equally_good[np.abs(np.log(middles[equally_good])).argmin()]
    return float(middles[chosen]), float(values[chosen])
