"""What is given up for what: levelling down, and the Pareto front, by hand and by their definitions."""

import numpy as np
import pandas as pd
import pytest

from fairprof.metrics.tradeoffs import levelled_down, pareto_front

NAN = float("nan")
BEFORE = {"north": 0.60, "south": 0.50, "west": 0.55}


def changes(reference: dict[str, float], accuracy: dict[str, float], width: float = 0.01) -> pd.DataFrame:
    """Rows of one attribute and design; the intervals reach `width` to both sides."""
    table = pd.DataFrame({"group": list(reference), "reference_accuracy": reference.values()})
    table["accuracy"] = list(accuracy.values())
    table["change"] = table["accuracy"] - table["reference_accuracy"]
    place = {"arm": "natural", "design": "B", "reference": "A", "attribute": "race", "support": 50}
    return table.assign(lower=table["change"] - width, upper=table["change"] + width, **place)


@pytest.mark.parametrize(
    ("after", "width", "expected"),
    [
        ({"north": 0.52, "south": 0.50, "west": 0.52}, 0.01, True),  # the best falls, the worst stays
        ({"north": 0.52, "south": 0.45, "west": 0.52}, 0.01, True),  # all fall, the best most
        ({"north": 0.52, "south": 0.50, "west": 0.52}, 0.10, False),  # as the first, but not beyond chance
        ({"north": 0.60, "south": 0.58, "west": 0.60}, 0.01, False),  # levelling up
        ({"north": 0.58, "south": 0.56, "west": 0.57}, 0.01, False),  # the worst gains more than the best loses
        ({"north": 0.50, "south": 0.35, "west": 0.45}, 0.01, False),  # the best falls, and the gap grows
        ({"north": NAN, "south": 0.50, "west": 0.52}, 0.01, True),  # of what is defined, west is the best, and falls
        ({"north": NAN, "south": NAN, "west": 0.52}, 0.01, False),  # nothing to compare
    ],
)
def test_levelling_down_by_hand(after, width, expected):
    assert levelled_down(changes(BEFORE, after, width)) is expected


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
