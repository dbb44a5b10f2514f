"""How pictures look: what an axis writes, and marks that can be told apart."""

import pytest

from fairprof.reporting.style import MARKERS, PALETTE, Ticks, curve_styles, design_style, ink_on


@pytest.fixture
def ticks():
    formatter = Ticks()
    formatter.create_dummy_axis()
    return formatter


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([-0.05, 0, 0.05], ["−.05", "0", ".05"]),
        ([0, 0.5, 1], ["0", ".5", "1.0"]),
        ([0, 5, 10], ["0", "5", "10"]),
        ([0, 1500, 12000], ["0", "1,500", "12,000"]),
        ([10000.1, 10000.2], ["10,000", "10,000"]),  # no offset beside the axis
    ],
)
def test_numbers_along_an_axis_are_written_as_everywhere(ticks, values, shown):
    ticks.axis.set_view_interval(min(values), max(values))
    assert ticks.format_ticks(values) == shown
    assert ticks.get_offset() == ""


def test_curves_of_a_panel_differ_and_never_run_out():
    styles = [style for style, _ in zip(curve_styles(), range(20), strict=False)]
    assert [(style["color"], style["marker"]) for style in styles[:8]] == list(zip(PALETTE, MARKERS, strict=True))
    assert styles[8] == styles[0]


def test_a_mark_is_hollow_where_it_is_not_filled():
    assert design_style("B")["markerfacecolor"] == design_style("B")["color"]
    assert design_style("B", filled=False)["markerfacecolor"] == "white"


def test_text_can_be_read_on_light_and_dark():
    assert ink_on(0.2) != ink_on(0.9) == "white"
