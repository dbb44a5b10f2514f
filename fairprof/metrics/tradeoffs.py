"""What is given up for what: the Pareto front of score against gap, and the line that chance alone reaches."""

import numpy as np
from numpy.typing import ArrayLike


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Which points no other beats: (N,) bool.

    points: (N, 2) float, to be maximised in the first column and minimised in the second. A point is beaten by one
    that is at least as good in both and better in one; equal points stay together. A point with NaN is never on the
    front and beats none.
    """
    points = np.asarray(points, dtype=float).reshape(-1, 2) * [1, -1]
    as_good = (points[:, None] >= points).all(axis=2)
    better = (points[:, None] > points).any(axis=2)
    return ~(as_good & better).any(axis=0) & ~np.isnan(points).any(axis=1)


def replacement_line(gap: float, score: float, chance: float, share: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The gap and the macro-F1 of predictions of which a share (...) in [0, 1] is replaced at random, as expected.

    gap: of demographic parity or equal opportunity. score: the macro-F1; chance: that of the same predictions in random
    order (`fairprof.metrics.performance.chance_scores`).

    A replaced prediction is drawn from the shares s_k in which the classes k are predicted. The expected counts of
    group g, true class t and predicted class k become (1 - p) n_gtk + p n_gt s_k. So selection and true positive rates
    become (1 - p) rate + p s_k, whose differences between groups are 1 - p times what they were. How often each class
    is predicted stays what it is, so that the F1 of each class, 2 TP / (T + P), is linear in TP and goes from its own
    to that of chance: (1 - p) score + p chance. Of replaced counts as they are expected: gaps of single draws have a
    noise floor, too, and those of this line are best taken without it. Hort, Zhang, Sarro, Harman 2021, for two
    classes.
    """
    share = np.asarray(share, dtype=float)
    return (1 - share) * gap, (1 - share) * score + share * chance
