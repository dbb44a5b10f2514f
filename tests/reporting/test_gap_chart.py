"""Gaps against what chance makes: the chart shows what the table says."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from fairprof.reporting.gap_chart import gaps_by_class_figure, gaps_figure
from fairprof.reporting.style import NULL
from tests.commands.compare.made_tables import make_tables
from tests.reporting.charts import beside, filled, intervals, laid_out, legend, marks

NAN = float("nan")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Gaps of four designs with six seeds and seven races."""
    return make_tables()["gaps"]


def null_bands(axis) -> list[float]:
    bars = [bar for bar in axis.patches if to_hex(bar.get_facecolor()) == NULL]
    return [bar.get_width() for bar in sorted(bars, key=lambda bar: bar.get_y())]


def test_gaps_show_value_null_band_and_verdict(table):
    figure = gaps_figure(table)
    assert [axis.get_title() for axis in figure.axes] == ["by gender", "by race", "by gender x race"]
    for axis, attribute in zip(figure.axes, ("gender", "race", "gender_x_race"), strict=True):
        shown = table.query("attribute == @attribute and `class` == 'max_over_classes'")
        shown = shown.sort_values(["metric", "design"])  # the three differences happen to be in alphabetical order
        assert null_bands(axis) == pytest.approx(list(shown["null_q95"]))
        assert filled(axis) == list(shown["verdict"].eq("established"))
        for design in "ABCD":
            assert [x for x, _ in marks(axis, design)] == list(shown.query("design == @design")["value"])
        assert intervals(axis) == shown[["value", "upper"]].to_numpy().tolist()
        expected = "bold" if attribute != "gender_x_race" else "normal"
        assert [weight for _, weight in beside(axis)] == [expected] * 8 + ["normal"] * 4
        ticks = [line.get_segments()[0][0][0] for line in axis.collections]
        assert sorted(ticks) == pytest.approx(sorted(shown["null_mean"]))
    assert any(table["verdict"].eq("established")) and "margin of equivalence, .05" in legend(figure)


def gap(**values) -> pd.DataFrame:
    """One row of the table of gaps."""
    row = {
        "arm": "natural",
        "design": "A",
        "attribute": "race",
        "metric": "equal_opportunity_difference",
        "class": "max_over_classes",
        "seeds": 6,
        "value": 0.12,
        "null_mean": 0.05,
        "null_q95": 0.08,
        "upper": 0.2,
        "delta": 0.05,
        "p_adjusted": 0.0312,
        "family": "confirmatory",
        "verdict": "established",
    }
    return pd.DataFrame([row | values])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, ".120  p = .031"),
        ({"p_adjusted": 0.0004}, ".120  p < .001"),
        ({"verdict": "equivalent", "value": 0.01, "upper": 0.03}, ".010  < .05"),
        ({"p_adjusted": NAN, "verdict": "undefined"}, ".120  p undefined"),
        ({"value": NAN, "upper": NAN, "null_mean": NAN, "null_q95": NAN, "verdict": "undefined"}, "undefined"),
        ({"null_mean": NAN, "null_q95": NAN, "upper": NAN, "delta": NAN}, ".120  p = .031"),
    ],
)
def test_one_gap_by_hand(values, text):
    table = gap(**values)
    figure = gaps_figure(table)
    laid_out(figure)
    (axis,) = figure.axes
    assert beside(axis) == [(text, "bold")]
    assert marks(axis, "A") == ([] if text == "undefined" else [(table["value"].iloc[0], 1)])
    assert null_bands(axis) == list(table["null_q95"].dropna())
    assert filled(axis) == ([] if text == "undefined" else [table["verdict"].iloc[0] == "established"])
    assert len(intervals(axis)) == int(table["upper"].notna().sum())


def test_gaps_by_class_have_a_panel_for_each_confirmatory_gap_and_a_block_for_each_class(table):
    figure = gaps_by_class_figure(table)
    assert [axis.get_title().replace("\n", " ") for axis in figure.axes] == [
        "demographic parity difference by gender",
        "demographic parity difference by race",
        "equal opportunity difference by gender",
        "equal opportunity difference by race",
    ]
    for axis in figure.axes:
        headings = [text.get_text() for text in axis.texts if text.get_position()[0] < 1]
        assert headings == ["student", "blue_collar", "white_collar", "retired"]
        assert len(beside(axis)) == 16 and {weight for _, weight in beside(axis)} == {"normal"}
    shown = table.query("metric == 'equal_opportunity_difference' and attribute == 'race' and design == 'B'")
    values = shown.set_index("class").loc[["student", "blue_collar", "white_collar", "retired"], "value"]
    assert [x for x, _ in marks(figure.axes[3], "B")] == list(values)
    assert "confirmatory" not in figure.get_suptitle() and "all exploratory" in figure.get_suptitle()
