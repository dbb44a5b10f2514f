"""What charts share: rows, intervals, names that fit."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fairprof.reporting.chart import Rows, drawn, intervals, occurring, plain, seeds_counted
from fairprof.reporting.style import Ticks
from tests.reporting.charts import LONG


@pytest.fixture
def axis():
    return Figure().subplots()


def ends(axis) -> list[tuple[list[float], list[float]]]:
    return [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axis.get_lines()]


def test_rows_are_counted_from_the_top_with_a_heading_for_every_block():
    rows = Rows.of({"natural": ["A", "B"], "matched": ["A"]})
    assert rows.headings == {"natural": 0, "matched": 3}
    assert rows.places == {("natural", "A"): 1, ("natural", "B"): 2, ("matched", "A"): 4}


def test_an_interval_is_a_line_at_its_place(axis):
    intervals(axis, 0.1, 0.3, 2, "red")
    assert ends(axis) == [([0.1, 0.3], [2.0, 2.0])]


def test_undefined_intervals_are_not_drawn(axis):
    intervals(axis, [0.1, np.nan, 0.2], [0.3, 0.4, np.inf], [0, 1, 2], "red")
    assert ends(axis) == [([0.1, 0.3], [0.0, 0.0])]


def test_intervals_of_values_that_run_upward(axis):
    intervals(axis, pd.Series([0.1, 0.2]), pd.Series([0.3, 0.4]), [0, 1], "red", rising=True)
    assert ends(axis) == [([0.0, 0.0], [0.1, 0.3]), ([1.0, 1.0], [0.2, 0.4])]


def test_names_along_an_axis_stay_and_numbers_are_written_as_everywhere(axis):
    axis.set_yticks([0, 1], ["north", "south"])
    plain(axis)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["north", "south"]
    assert isinstance(axis.xaxis.get_major_formatter(), Ticks)


def test_long_names_keep_their_beginning_and_their_end():
    assert drawn("nurse", 5) == "nurse"
    short = {drawn(f"{LONG} {number}") for number in range(3)}
    assert len(short) == 3 and {len(name) for name in short} == {30}
    assert all(name.startswith("senior assistant") and "…" in name for name in short)


def test_what_occurs_is_named_in_the_order_of_the_categories():
    values = pd.Categorical(["south", "north"], ["north", "west", "south"])
    assert occurring(pd.Series(values)) == ["north", "south"]
    assert occurring(pd.Series(["south", "north", "south"])) == ["south", "north"]


def test_seeds_are_counted():
    assert [seeds_counted(pd.Series(counts)) for counts in ([6, 6], [1], [4, 6])] == [
        "6 seeds",
        "1 seed",
        "4 to 6 seeds",
    ]
