"""What is given up for what: the Pareto front, by hand and by its definition."""

import numpy as np

from fairprof.metrics.tradeoffs import pareto_front

NAN = float("nan")


def test_pareto_front_by_hand():
    points = [(0.5, 0.1), (0.6, 0.2), (0.4, 0.1), (0.6, 0.3), (0.55, 0.15), (NAN, 0.0), (0.9, NAN)]
    assert pareto_front(np.array(points)).tolist() == [True, True, False, False, True, False, False]


def test_equal_points_are_on_the_front_together():
    assert pareto_front(np.array([(0.5, 0.1), (0.5, 0.1), (0.5, 0.2)])).tolist() == [True, True, False]
    assert pareto_front(np.empty((0, 2))).tolist() == []


def test_pareto_front_is_what_no_other_point_beats():
    points = np.random.default_rng(0).integers(0, 6, (60, 2)).astype(float)
    expected = [
        not any((x >= a and y <= b) and (x > a or y < b) for x, y in points)  # the definition, point by point
        for a, b in points
    ]
    assert pareto_front(points).tolist() == expected and 0 < sum(expected) < 60
