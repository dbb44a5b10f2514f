"""What is given up for what: the Pareto front of score against gap."""

import numpy as np


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
