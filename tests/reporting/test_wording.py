"""Numbers and lists as a reader sees them: one spelling for each."""

import numpy as np
import pandas as pd
import pytest

from fairprof.reporting.wording import (
    bare_p_value,
    count,
    counted,
    designs_named,
    enumerated,
    estimate,
    interval,
    is_figure,
    number,
    p_value,
    percent,
    short,
    signed,
    span,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0426, ".043"),
        (-0.0426, "−.043"),
        (-0.0001, ".000"),  # what is rounded to nothing has no sign
        (1.0, "1.000"),
        (1204.5, "1,204.500"),
        (np.float64(0.5), ".500"),
        (NAN, "undefined"),
        (None, "undefined"),
        (pd.NA, "undefined"),
    ],
)
def test_numbers_have_three_decimals_and_no_zero_before_the_point(value, shown):
    assert number(value) == shown


def test_numbers_of_another_form():
    assert [number(12.345, ",.1f"), number(12345.6, ",.0f"), number(0.25, ".2f")] == ["12.3", "12,346", ".25"]


def test_differences_have_a_sign_unless_they_are_rounded_to_nothing():
    assert [signed(value) for value in (0.0426, -0.0426, 0.0001, 0, NAN)] == [
        *("+.043", "−.043", ".000", ".000", "undefined")
    ]


def test_what_somebody_chose_has_no_trailing_zeros():
    assert [short(value) for value in (0.05, 1.15, 4.0, 2 / 2**5, 2 / 2**10)] == [
        ".05",
        "1.15",
        "4",
        ".0625",
        ".001953",
    ]


def test_counts_and_means_of_counts():
    assert [count(value) for value in (0, 163.0, 163.5, 1204, np.int64(1204), NAN)] == [
        *("0", "163", "163.5", "1,204", "1,204", "undefined")
    ]
    assert [counted(1, "run"), counted(1200, "run"), counted(0, "run")] == ["1 run", "1,200 runs", "0 runs"]


def test_shares():
    assert [percent(0.753), percent(1.0), percent(0.95, "g"), percent(0.15, "g"), percent(0.753, ".0f")] == [
        *("75.3 %", "100.0 %", "95 %", "15 %", "75 %")
    ]
    assert percent(NAN) == "undefined"


def test_a_p_value_is_never_zero():
    values = (0.0002, 0.00099, 0.001, 0.05, 1.0, NAN)
    assert [bare_p_value(value) for value in values] == ["< .001", "< .001", ".001", ".050", "1.000", "undefined"]
    assert [p_value(value) for value in values] == [
        *("p < .001", "p < .001", "p = .001", "p = .050", "p = 1.000", "p undefined")
    ]


def test_intervals():
    assert interval(0.012, 0.054) == "[.012, .054]"
    assert interval(-0.1, 0.25, signed) == "[−.100, +.250]"
    assert interval(0.7, 0.753, percent) == "[70.0 %, 75.3 %]"
    assert [interval(NAN, 0.25), interval(0.25, NAN)] == ["undefined", "undefined"]


def test_values_with_their_intervals():
    assert estimate(0.043, 0.012, 0.054) == ".043 [.012, .054]"
    assert estimate(-0.043, -0.1, 0.01, signed) == "−.043 [−.100, +.010]"
    assert [estimate(0.043, NAN, 0.05), estimate(NAN, NAN, NAN)] == [".043 (interval undefined)", "undefined"]


def test_what_lies_between_the_smallest_and_the_largest():
    assert [span([0.5, 0.25, 0.3]), span([0.5, 0.5])] == [".250 to .500", ".500"]
    assert span(pd.Series([1200, 163.5]), count) == "163.5 to 1,200"


@pytest.mark.parametrize("text", [".043", "−.043", "+1,204.500", "1,204", "75.3 %", "< .001", "undefined", "–"])
def test_what_stands_right_in_a_column(text):
    assert is_figure(text)


@pytest.mark.parametrize("text", ["[.012, .054]", ".043 [.012, .054]", "", "race", "20-29", "2 / 2 / 3", "seed 3"])
def test_what_does_not(text):
    assert not is_figure(text)


def test_lists():
    assert [enumerated("A"), enumerated("AB"), enumerated("ABC")] == ["A", "A and B", "A, B and C"]
    assert [designs_named("A"), designs_named("AB")] == ["design A", "designs A and B"]
