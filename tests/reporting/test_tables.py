"""Tables of a report: numbers, names and headings as a reader sees them."""

import numpy as np
import pandas as pd
import pytest

from fairprof.reporting.tables import column_title, properties, table_of


def column(name: str, values: list, differences: tuple[str, ...] = ()) -> list[str]:
    """The texts of a table's second column."""
    frame = pd.DataFrame({"row": range(len(values)), name: values})
    return [row[1].text for row in table_of("", frame, differences).rows]


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("value", [0.0426, np.nan], [".043", "undefined"]),
        ("p_adjusted", [0.0004, 0.0312], ["< .001", ".031"]),
        ("p_holm", [".031", "–"], [".031", "–"]),  # written already
        ("share_of_ceiling", [0.753, np.nan], ["75.3 %", "undefined"]),
        ("share_above_chance", [-0.01, np.nan], ["−1.0 %", "undefined"]),
        ("support", [1204, 30], ["1,204", "30"]),
        ("training_images", [163.5, 280.0], ["163.5", "280"]),
        ("delta", [0.05, 0.1], [".05", ".1"]),
        ("seed", [1204, 7], ["1204", "7"]),
        ("differs", [True, False], ["yes", "no"]),
        ("attribute", ["gender_x_race", ""], ["gender x race", "–"]),
        ("evidence", ["insufficient_evidence", "sufficient"], ["insufficient evidence", "sufficient"]),
        ("class", ["max_over_classes", "blue_collar"], ["largest over classes", "blue_collar"]),  # a class's own name
        ("group", ["Latino_Hispanic", "Black"], ["Latino_Hispanic", "Black"]),
    ],
)
def test_values_are_written_by_what_their_column_holds(name, values, shown):
    assert column(name, values) == shown


def test_differences_have_a_sign():
    assert column("value", [0.0426, -0.0426], ("value",)) == ["+.043", "−.043"]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("macro_f1", "macro-F1"),
        ("demographic_parity_difference/race", "demographic parity difference by race"),
        ("null_q95", "95 % quantile of the null"),
        ("highest_group", "highest group"),
        ("predicted blue_collar", "predicted blue_collar"),
        ("images of white_collar", "images of white_collar"),
    ],
)
def test_headings_are_words_and_the_names_of_classes_stay_as_they_are(name, title):
    assert column_title(name) == title


def test_what_all_rows_share_is_told_in_the_title():
    frame = pd.DataFrame({"arm": ["natural"] * 2, "delta": [0.05] * 2, "value": [0.5, 0.25]})
    table = table_of("Gaps", frame)
    assert table.title == "Gaps (arm natural, delta .05)"
    assert [(column.title, column.numeric) for column in table.columns] == [("value", True)]


def test_numbers_stand_right_and_words_left():
    frame = pd.DataFrame({"value": [0.5, np.nan], "interval": ["[.012, .054]", "undefined"]})
    assert [column.numeric for column in table_of("", frame).columns] == [True, False]


def test_properties_are_pairs():
    table = properties("Study", [("seeds", "0, 1"), ("arm", "natural")])
    assert [[cell.text for cell in row] for row in table.rows] == [["seeds", "0, 1"], ["arm", "natural"]]
