"""Levelling down, by hand."""

import pandas as pd
import pytest

from fairprof.inference.levelling_down import levelled_down

NAN = float("nan")
EO = "equal_opportunity_difference"


def difference(**changes) -> pd.DataFrame:
    row = dict(design="B", reference="A", metric=EO, attribute="race", value=-0.08, p_adjusted=0.01)
    return pd.DataFrame([row | dict(verdict="established") | changes])


def group_changes(*upper: float, design: str = "B", attribute: str = "race") -> pd.DataFrame:
    groups = ["north", "south", "west"][: len(upper)]
    return pd.DataFrame({"design": design, "attribute": attribute, "group": groups, "upper": upper})


@pytest.mark.parametrize(
    ("rows", "changes", "expected"),
    [
        (difference(), group_changes(-0.02, 0.005, -0.01), 1),
        (difference(), group_changes(-0.02, 0.01, -0.01), 0),  # the south may gain .01
        (difference(), group_changes(-0.02, NAN, -0.01), 0),  # the south is not known
        (difference(verdict="not_established"), group_changes(-0.02, -0.01), 0),
        (difference(verdict="established_on_this_test_set"), group_changes(-0.02, -0.01), 0),
        (difference(value=0.08), group_changes(-0.02, -0.01), 0),  # the gap is larger
        (difference(metric="accuracy"), group_changes(-0.02, -0.01), 0),
        (difference(), group_changes(-0.02, design="C"), 0),
        (difference(), group_changes(-0.02, attribute="gender"), 0),
        (difference(), group_changes(), 0),
    ],
)
def test_levelling_down_is_a_smaller_gap_and_no_gain(rows, changes, expected):
    assert len(levelled_down(rows, changes)) == expected


def test_it_names_the_group_that_is_nearest_to_a_gain():
    (row,) = levelled_down(difference(), group_changes(-0.02, 0.005, -0.01)).to_dict("records")
    assert row["group"] == "south" and row["largest_upper"] == 0.005
    assert (row["design"], row["reference"], row["attribute"], row["metric"]) == ("B", "A", "race", EO)
