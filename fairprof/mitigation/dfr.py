"""Deep feature reweighting: the last layer fitted anew on images of which every group of a class has as many
(Kirichenko, Izmailov, Wilson 2023, arXiv:2204.02937).

As published: an L1 penalty, standardised features, its strength by the accuracy in the worst group of a class, the mean
of the weights that several balanced subsets give. Here the loss is multinomial, for any number of classes, and the
layer is fitted on the first half of the validation images alone, as every method here; published, it is fitted on all
of them once the strength is chosen.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler

from fairprof.mitigation.halves import Halves
from fairprof.mitigation.logistic import linear, regression
from fairprof.seeds import derive_seed, numpy_generator

STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)  # scikit-learn's C, those published for Waterbirds
SUBSETS = 10
TOLERANCE = 1e-3  # of scikit-learn's solver


@dataclass(frozen=True)
class RefittedHead:
    """A last layer fitted anew. weight: (K, D) float64, bias: (K,). strength: the C that was chosen. worst_accuracy:
    the accuracy in the worst group of a class among the images that chose it, in 0 to 1. images: that each subset
    holds."""

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    worst_accuracy: float
    images: int


def refitted_head(
    features: np.ndarray, classes: np.ndarray, groups: np.ndarray, halves: Halves, seed: int
) -> RefittedHead:
    """The last layer for features, (N, D) float, of validation images with their classes and groups, (N,) int each, of
    which the first half has some in every group of every class.

    The strength is chosen with one balanced subset; a group of a class without images in the second half has no say.
    """
    cells = groups * (classes.max() + 1) + classes
    fit, choose = halves.fit, halves.choose
    scaler = StandardScaler().fit(features[fit])
    first = _balanced(fit, cells, seed, 0)
    accuracies = [
        _worst_accuracy(
            linear(_fitted(features, classes, first, scaler, strength, seed), features[choose]).argmax(axis=1)
            == classes[choose],
            cells[choose],
        )
        for strength in STRENGTHS
    ]
    best = int(np.argmax(accuracies))
    subsets = {tuple(_balanced(fit, cells, seed, number)): None for number in range(SUBSETS)}  # each once, in order
    weights = np.mean(
        [_fitted(features, classes, np.array(rows), scaler, STRENGTHS[best], seed) for rows in subsets], axis=0
    )
    return RefittedHead(weights[:, :-1], weights[:, -1], STRENGTHS[best], accuracies[best], len(first))


def _balanced(places: np.ndarray, cells: np.ndarray, seed: int, number: int) -> np.ndarray:
    """As many of the places of every cell as the smallest one has, at random, ascending."""
    order = numpy_generator(seed, "dfr", number).permutation(places)
    of_cells = [order[cells[order] == cell] for cell in np.unique(cells[places])]
    fewest = min(map(len, of_cells))
    return np.sort(np.concatenate([rows[:fewest] for rows in of_cells]))


def _fitted(
    features: np.ndarray, classes: np.ndarray, rows: np.ndarray, scaler: StandardScaler, strength: float, seed: int
) -> np.ndarray:
    return regression(
        features[rows],
        classes[rows],
        scaler,
        C=strength,
        l1_ratio=1.0,
        solver="saga",  # the one that minimises a multinomial loss with an L1 penalty
        tol=TOLERANCE,
        random_state=derive_seed(seed, "dfr", "solver") % 2**32,
    )


def _worst_accuracy(right: np.ndarray, cells: np.ndarray) -> float:
    return float(min(right[cells == cell].mean() for cell in np.unique(cells)))
