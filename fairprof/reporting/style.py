"""How every picture of fairprof looks: colours, sizes and marks. What is drawn with them is in `chart`."""

import functools
import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter
from PIL import Image

from fairprof.plain_text import visible, written

Style = dict[str, Any]  # what matplotlib is told of a line, a mark or an area

DPI = 110  # of every picture: a figure of 12 inches is 1,320 pixels wide
WIDTH, NARROW = 12.0, 9.5  # inches of a picture of several panels, and of one
COLOURS = 256  # of a picture as a file
ROW = 0.25  # inches a row of a chart
TINY, SMALL, NORMAL, LARGE = 7, 8, 9, 11  # points: within dense panels; labels and legends; titles of panels; titles

PALETTE = ("#3b6fb6", "#d9822b", "#4c9a6a", "#a05195", "#8c6d31", "#c44e52", "#5f6b7a", "#2a9d8f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# Told apart with every kind of colour blindness (a test simulates them); the reference is dark.
DESIGN_COLOURS = {"A": "#2b2b2b", "B": PALETTE[1], "C": PALETTE[2], "D": PALETTE[3], "E": "#8fc3e8"}
DESIGN_MARKERS = {"A": "o", "B": "s", "C": "^", "D": "D", "E": "v"}
INK = "#2b2b2b"  # what is about everybody, and text
GREY = "#555555"  # lines that help to read, and marks of a legend
PALE = "#9aa5b4"  # what the eye compares with
NULL, NULL_MEAN = "#cfd6df", "#7d8896"  # what chance alone makes
UNKNOWN = "#d5d5d5"  # what is undefined
HOLLOW = "white"  # the inside of a mark that is not established, or rests on too little
RIGHT, WRONG = "#1a7f37", "#b42318"
BAND = "#f0f0f0"  # behind a heading
SHARES = "Blues"  # colour map of shares from 0 to 1

GRID: Style = {"color": "#d9d9d9", "linewidth": 0.6}
MARGIN: Style = {"color": GREY, "linewidth": 0.9, "linestyle": ":", "zorder": 1}  # a bound that is read off
ZERO: Style = {"color": GREY, "linewidth": 1.2, "zorder": 1}
IDEAL: Style = {"color": GREY, "linewidth": 1.0, "linestyle": "--", "zorder": 1}  # the line of what would be perfect
SINGLE: Style = {"markersize": 4, "alpha": 0.5}  # one seed, beside the mean
BAND_OF_VALUES: Style = {"alpha": 0.15, "linewidth": 0}  # a filled range around a curve


class _AsItIs(RendererAgg):
    """Draws every text as it is: nothing in it is read as TeX, and a letter that the font lacks is written out."""

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        super().draw_text(gc, x, y, _drawable(s, prop), prop, angle, ismath=False, mtext=mtext)

    def get_text_width_height_descent(self, s, prop, ismath):
        return super().get_text_width_height_descent(_drawable(s, prop), prop, ismath=False)


class _Canvas(FigureCanvasAgg):
    """What pictures are drawn on, by `_AsItIs`."""

    _drawn_for: tuple[float, ...] = ()

    def get_renderer(self):
        drawn_for = (*self.get_width_height(physical=True), self.figure.dpi)
        if self._drawn_for != drawn_for:
            self._drawn_for = drawn_for
            self.renderer = _AsItIs(*drawn_for)
        return self.renderer


def _drawable(text: str, font: FontProperties) -> str:
    if text.isascii() and text.isprintable():
        return text
    glyphs = _glyphs(findfont(font))
    words = map(visible, re.split(r"\s", text))  # every blank stays
    return "".join(letter if ord(letter) in glyphs else written(letter) for letter in " ".join(words))


@functools.cache
def _glyphs(font_file: str) -> frozenset[int]:
    """The characters that a font has."""
    return frozenset(get_font(font_file).get_charmap())


def png_of(figure: Figure) -> bytes:
    """A picture as a PNG file, at the size at which it is read; what its texts hold is drawn as it is."""
    figure.set_dpi(DPI)
    canvas = _Canvas(figure)
    figure.set_canvas(canvas)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # otherwise it takes "\\$" for "$", too
    for axis in figure.axes:
        for spine in axis.spines.values():
            spine.set_in_layout(False)  # the frame is measured as that of the axes
    canvas.draw()  # and not `savefig`, which draws everything twice where it lays out
    pixels = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])  # nothing shines through a picture
    picture = Image.fromarray(pixels)
    # with a palette a picture looks the same and is half as large, or smaller
    if any(_is_continuous(image) for axis in figure.axes for image in axis.images):
        palette = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE)
        picture = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    else:
        picture = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, format="png", dpi=(DPI, DPI))
    return buffer.getvalue()


def _is_continuous(image: AxesImage) -> bool:
    """Whether it is a photograph or a smooth map, whose colours are too many for a palette unless they are mixed."""
    values = image.get_array()
    return (values is not None and values.ndim == 3) or image.get_interpolation() == "bilinear"


class Ticks(ScalarFormatter):
    """The numbers along an axis as `wording` writes them: without the zero before the point, thousands with a comma."""

    def __init__(self):
        super().__init__(useOffset=False)

    def __call__(self, value: float, position: int | None = None) -> str:
        if abs(value) >= 1000:
            return f"{value:,.0f}".replace("-", "−")
        text = super().__call__(value, position)
        return "0" if value == 0 else re.sub(r"^(−?)0\.", r"\1.", text)


def design_style(design: str, filled: bool = True) -> Style:
    """The mark of a design, without a line."""
    colour = DESIGN_COLOURS[design]
    return {
        "color": colour,
        "marker": DESIGN_MARKERS[design],
        "linestyle": "",
        "markerfacecolor": colour if filled else HOLLOW,
        "zorder": 3,
    }


def curve_styles() -> Iterator[Style]:
    """Line and mark of the groups or models that share a panel, one after the other, without an end."""
    for colour, marker in itertools.cycle(zip(PALETTE, MARKERS, strict=True)):
        yield {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.4, "linestyle": "-"}


def ink_on(share: float) -> str:
    """The colour of text on a square of `SHARES`; share: 0 to 1, of the darkest."""
    return "white" if share > 0.55 else INK
