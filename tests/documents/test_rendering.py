"""Templates and tables as Markdown: what is escaped, how numbers read, and that nothing is left blank."""

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError

from fairprof.documents import rendering
from fairprof.documents.rendering import Markdown, listed, of, table, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("Latino_Hispanic", "Latino_Hispanic"),
        (Markdown("a|b"), "a|b"),
    ],
)
def test_text_is_shown_as_it_is(value, shown):
    assert text(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0426, ".043"),
        (-0.0426, "−.043"),
        (-0.0001, ".000"),
        (1.0, "1.000"),
        (1234567, "1,234,567"),
        (np.int64(1234), "1,234"),
        (np.float64(0.5), ".500"),
        (np.nan, "undefined"),
        (None, "undefined"),
        (pd.NA, "undefined"),
    ],
)
def test_numbers_have_three_decimals_and_counts_none(value, shown):
    assert text(value) == shown


def test_short_forms():
    assert [of("run", 1), of("run", 1200)] == ["1 run", "1,200 runs"]
    assert [listed(["a|b", "c"]), listed([])] == [r"a\|b, c", "none"]


def test_a_table_has_equally_wide_columns_with_numbers_to_the_right():
    frame = pd.DataFrame({"group": ["a|b", "c"], "value": [0.5, np.nan]})
    assert table(frame).split("\n") == [
        "| group |     value |",
        "| ----- | --------: |",
        r"| a\|b  |      .500 |",
        "| c     | undefined |",
    ]


def test_p_values_are_numbers_and_intervals_are_none():
    frame = pd.DataFrame({"p": ["< .001", ".050"], "interval": ["[.012, .054]", "[−.1, .2]"]})
    assert table(frame).split("\n")[1:3] == ["| -----: | ------------ |", "| < .001 | [.012, .054] |"]


def test_a_table_without_rows_says_so_in_words():
    empty = pd.DataFrame({"group": []})
    assert table(empty, "Nothing was measured.") == "Nothing was measured."
    with pytest.raises(ValueError, match="no rows for a table of group"):
        table(empty)


def test_a_name_that_nobody_gave_is_an_error():
    with pytest.raises(UndefinedError):
        rendering.ENVIRONMENT.from_string("{{ nobody }}").render()


def test_values_in_templates_are_escaped_once():
    template = rendering.ENVIRONMENT.from_string("{{ name }}, {{ names|listed }}")
    assert template.render(name="a|b", names=["a|b"]) == r"a\|b, a\|b"
