"""What is given up for what: levelling down, and the Pareto front of score against gap."""

import numpy as np
import pandas as pd


def levelled_down(changes: pd.DataFrame) -> bool:
    """Whether the accuracy gap between groups is smaller than the reference's because its best group got worse.

    changes: the rows of `group_changes` of one arm, design and attribute. True where all of this holds:

    - the gap (best minus worst group) is smaller than the reference's,
    - the change of the group that was best has an interval below 0,
    - that group lost more than the group that was worst gained.

    Mittelstadt, Wachter, Russell 2023, arXiv:2302.02404. Groups that are undefined are left out.
    """
    defined = changes.dropna(subset=["accuracy", "reference_accuracy"]).reset_index(drop=True)
    if len(defined) < 2:
        return False
    best = defined.loc[defined["reference_accuracy"].idxmax()]
    worst = defined.loc[defined["reference_accuracy"].idxmin()]
    smaller = np.ptp(defined["accuracy"]) < np.ptp(defined["reference_accuracy"])
    return bool(smaller and best["upper"] < 0 and -best["change"] > worst["change"])


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
