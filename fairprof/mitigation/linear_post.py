"""Linear post-processing: the most probable class after a shift by group and class, which a linear program on
validation images finds (Xian and Zhao 2024, arXiv:2405.04025).

Of n images with probabilities p[i, k] and memberships w[i, g, k] the program chooses the shares x[i, k] with which each
image gets each class:

    maximise    sum_ik p[i, k] x[i, k]                              (images that are expected to be told rightly)
    subject to  sum_k x[i, k] = 1,   x >= 0,
                |rate[g, k] - q[k]| <= tolerance / 2  for every group and class, with q free and
                rate[g, k] = sum_i w[i, g, k] x[i, k] / sum_i w[i, g, k].

Memberships say which rates are held together, as `fairprof.serving.DecisionRule` describes: w[i, g, k] is P(g | i) for
demographic parity, which compares the rates at which classes are predicted, and P(g, Y = k | i) for equal opportunity,
which compares the true positive rates of every class, as the probabilities tell them. By the duals of its constraints,
an optimal x gives image i a class of the largest p[i, k] + sum_g w[i, g, k] offsets[g, k], and so do the offsets for
any other image. Where several duals are optimal, as with groups of the same size, the solver's is taken.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_array, coo_array, eye_array, kron
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from fairprof.mitigation.halves import Halves
from fairprof.mitigation.logistic import linear, regression

TOLERANCES = (0.0, 0.02, 0.05, 0.1, 0.2)  # from which one is chosen where none is given
STRENGTHS = (1.0, 0.1, 0.01, 0.001)  # scikit-learn's C of the regression of groups on features
PRECISION = 1e-10  # of the solver


@dataclass(frozen=True)
class Offsets:
    """What solves the program. values: (G, K) float64. primal: the images that are expected to be told rightly, a sum
    of probabilities; dual: the same by the rule that the offsets make, equal at the optimum."""

    values: np.ndarray
    primal: float
    dual: float


def solved(probabilities: np.ndarray, memberships: np.ndarray, tolerance: float) -> Offsets:
    """The offsets for images with probabilities, (N, K) float64, and memberships, (N, G, K) float64, >= 0. tolerance:
    the largest gap between groups in a rate of a class, in 0 to 1; a group of no membership in a class is not held."""
    images, classes = probabilities.shape
    totals = memberships.sum(axis=0)
    # times the number of images, since HiGHS takes what is under 1e-9 for 0
    shares = np.divide(images * memberships, totals, out=np.zeros(memberships.shape), where=totals > 0)
    groups = totals.shape[0]
    image, group, k = np.nonzero(shares)
    rates = coo_array(
        (shares[image, group, k], (group * classes + k, image * classes + k)),
        shape=(groups * classes, images * classes),
    )
    level = kron(np.ones((groups, 1)), eye_array(classes))
    held = totals.ravel() > 0
    rates, level = rates.tocsr()[held], level.tocsr()[held]
    found = linprog(
        np.concatenate((-probabilities.ravel(), np.zeros(classes))),
        A_ub=block_array([[rates, -images * level], [-rates, images * level]], format="csr"),
        b_ub=np.full(2 * held.sum(), images * tolerance / 2),
        A_eq=block_array(
            [[kron(eye_array(images), np.ones((1, classes))), coo_array((images, classes))]], format="csr"
        ),
        b_eq=np.ones(images),
        bounds=[(0, None)] * (images * classes) + [(None, None)] * classes,
        method="highs",
        options={"dual_feasibility_tolerance": PRECISION},
    )
    if not found.success:  # the same class for everybody satisfies all constraints
        raise RuntimeError(f"HiGHS did not solve the linear program: {found.message}")
    upper, lower = np.split(found.ineqlin.marginals, 2)
    multipliers = np.zeros(groups * classes)
    multipliers[held] = images * (upper - lower)
    multipliers = multipliers.reshape(groups, classes)
    values = np.divide(multipliers, totals, out=np.zeros(totals.shape), where=totals > 0)
    best = (probabilities + np.einsum("igk,gk->ik", memberships, values)).max(axis=1).sum()
    return Offsets(values, float(-found.fun), float(best + tolerance / 2 * np.abs(multipliers).sum()))


def membership_weights(features: np.ndarray, labels: np.ndarray, halves: Halves, label_count: int) -> np.ndarray:
    """A multinomial logistic regression of labels on the network's features, (L, D + 1) float64 as `linear` takes them:
    how likely each group (or each group and class) is for an image.

    features: (N, D) of validation images. labels: (N,) int, from 0 to label_count - 1, all of which occur in the first
    half, on which it is fitted. The strength of its L2 penalty is the one with the lowest log loss on the second.
    """
    scaler = StandardScaler().fit(features[halves.fit])
    fitted = [regression(features[halves.fit], labels[halves.fit], scaler, C=strength) for strength in STRENGTHS]
    losses = [
        log_loss(
            labels[halves.choose], softmax(linear(weights, features[halves.choose]), axis=1), labels=range(label_count)
        )
        for weights in fitted
    ]
    return fitted[int(np.argmin(losses))]
