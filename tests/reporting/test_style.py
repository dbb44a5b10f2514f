"""How pictures look: what an axis writes, and marks that can be told apart."""

import io
import itertools

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from fairprof.reporting.style import (
    DESIGN_COLOURS,
    DESIGN_MARKERS,
    MARKERS,
    PALETTE,
    Ticks,
    curve_styles,
    design_style,
    ink_on,
    png_of,
)


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


# Machado, Oliveira, Fernandes 2009: what people without one kind of cone see, as matrices on linear RGB.
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(colour: str, sight: str) -> np.ndarray:
    """CIE L*a*b* of a colour as it is seen."""
    value = np.array(to_rgb(colour))
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
    value = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(value[None, None].astype(np.float32), cv2.COLOR_RGB2LAB)[0, 0]


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_of_the_designs_are_told_apart(sight):
    """A distance of 2.3 is just noticed; ten times that is plain."""
    for first, second in itertools.combinations("ABCD", 2):
        distance = np.linalg.norm(seen(DESIGN_COLOURS[first], sight) - seen(DESIGN_COLOURS[second], sight))
        assert distance > 23, (first, second)


def test_designs_have_marks_of_their_own_too():
    assert list(DESIGN_COLOURS) == list(DESIGN_MARKERS)
    assert len(set(DESIGN_MARKERS.values())) == len(DESIGN_MARKERS)


def pixels_of(text: str, **style) -> np.ndarray:
    figure = Figure(figsize=(4, 1))
    figure.text(0.05, 0.5, text, **style)
    return np.asarray(Image.open(io.BytesIO(png_of(figure))))


@pytest.mark.parametrize("text", ["$x_{y$", "$x^2$", r"$\undefined{$", r"50 % \$ $", "$", "a$b$c"])
def test_texts_are_drawn_as_they_are_and_not_as_tex(text):
    np.testing.assert_array_equal(pixels_of(text), pixels_of(text, parse_math=False))


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("女", r"\u5973"),
        ("\x1b[0m", r"\x1b[0m"),
        ("\u202eabc", r"\u202eabc"),
        ("a\tb", "a b"),
        ("\U0001f9d1", r"\U0001f9d1"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_the_font_has_no_letter_for_is_written_out(text, drawn):
    """A warning of a missing glyph would be an error of the test."""
    np.testing.assert_array_equal(pixels_of(text), pixels_of(drawn))


def test_ticks_titles_and_legends_are_laid_out_by_what_is_drawn():
    figure = Figure(figsize=(4, 3), layout="constrained")
    axis = figure.subplots()
    axis.barh([0, 1], [1, 2], label="$x_{y$")
    axis.set_yticks([0, 1], ["$x_{y$", "女\u0301" * 2])
    axis.set_title("$x_{y$\n\x07")
    axis.legend()
    assert Image.open(io.BytesIO(png_of(figure))).size == (440, 330)
