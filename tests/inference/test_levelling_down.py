"""Levelling down, by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.inference.levelling_down import group_changes, levelled_down

NAN = float("nan")
EO = "equal_opportunity_difference"


def difference(**changes) -> pd.DataFrame:
    row = dict(design="B", reference="A", metric=EO, attribute="race", value=-0.08, p_adjusted=0.01)
    return pd.DataFrame([row | dict(verdict="established") | changes])


def changes_of(*upper: float, design: str = "B", attribute: str = "race") -> pd.DataFrame:
    groups = ["north", "south", "west"][: len(upper)]
    return pd.DataFrame({"design": design, "attribute": attribute, "group": groups, "upper": upper})


@pytest.mark.parametrize(
    ("rows", "changes", "expected"),
    [
        (difference(), changes_of(-0.02, 0.005, -0.01), 1),
        (difference(), changes_of(-0.02, 0.01, -0.01), 0),  # the south may gain .01
        (difference(), changes_of(-0.02, NAN, -0.01), 0),  # the south is not known
        (difference(verdict="not_established"), changes_of(-0.02, -0.01), 0),
        (difference(verdict="established_on_this_test_set"), changes_of(-0.02, -0.01), 0),
        (difference(value=0.08), changes_of(-0.02, -0.01), 0),  # the gap is larger
        (difference(metric="accuracy"), changes_of(-0.02, -0.01), 0),
        (difference(), changes_of(-0.02, design="C"), 0),
        (difference(), changes_of(-0.02, attribute="gender"), 0),
        (difference(), changes_of(), 0),
    ],
)
def test_levelling_down_is_a_smaller_gap_and_no_gain(rows, changes, expected):
    assert len(levelled_down(rows, changes)) == expected


def test_it_names_the_group_that_is_nearest_to_a_gain():
    (row,) = levelled_down(difference(), changes_of(-0.02, 0.005, -0.01)).to_dict("records")
    assert row["group"] == "south" and row["largest_upper"] == 0.005
    assert (row["design"], row["reference"], row["attribute"], row["metric"]) == ("B", "A", "race", EO)


def test_changes_of_groups_are_paired_and_hold_together():
    generator = np.random.default_rng(0)
    base = generator.normal(0.5, 0.01, (6, 3))
    other = base + np.array([0.1, 0.0, -0.1]) + generator.normal(0, 0.01, (6, 3))
    groups = [("gender", "Female"), ("gender", "Male"), ("race", "all")]
    still = [np.broadcast_to(values, (10, 6, 3)) for values in (other, base)]
    table = group_changes(groups, (other, still[0]), (base, still[1]))
    tested = stats.ttest_1samp(other - base, 0)
    np.testing.assert_allclose(table["change"], (other - base).mean(axis=0))
    alone, together = (tested.confidence_interval(level) for level in (0.95, 0.95**0.5))
    np.testing.assert_allclose(table["upper"], [*together.high[:2], alone.high[2]])
    np.testing.assert_allclose(table["lower"], [*together.low[:2], alone.low[2]])
