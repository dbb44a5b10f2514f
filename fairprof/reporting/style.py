"""How every picture of fairprof looks: colours, sizes, marks, and the parts that charts share."""

import io
import re

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

GRID = {"color": "#d9d9d9", "linewidth": 0.6}
DPI = 110  # of every picture: a figure of 12 inches is 1,320 pixels wide
QUIET = "#9aa5b4"  # what the eye compares with
PALETTE = ("#3b6fb6", "#d9822b", "#4c9a6a", "#a05195", "#8c6d31", "#c44e52", "#5f6b7a", "#2a9d8f")


def png_of(figure: Figure) -> bytes:
    """A picture as a PNG file, at the size at which it is read."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


class Ticks(ScalarFormatter):
    """The numbers along an axis as `wording.number` writes them, without the zero before the point."""

    def __call__(self, value: float, position: int | None = None) -> str:
        text = super().__call__(value, position)
        return "0" if value == 0 else re.sub(r"^(−?)0\.", r"\1.", text)


# Told apart with every kind of colour blindness (a test simulates them); the reference is dark.
DESIGN_COLOURS = {"A": "#2b2b2b", "B": PALETTE[1], "C": PALETTE[2], "D": PALETTE[3], "E": "#8fc3e8"}
DESIGN_MARKERS = {"A": "o", "B": "s", "C": "^", "D": "D", "E": "v"}
WIDTH = 12.0  # inches: 1,320 pixels at 110 dpi
ROW = 0.25  # inches a row of a chart
SMALL, NORMAL, LARGE = 8, 9, 11  # points
BAND = "#f0f0f0"
MARGIN = {"color": "#555555", "linewidth": 0.9, "linestyle": ":", "zorder": 1}
ZERO = {"color": "#555555", "linewidth": 1.2, "zorder": 1}
SINGLE = {"markersize": 4, "alpha": 0.5}


def design_style(design: str, filled: bool = True) -> dict:
    colour = DESIGN_COLOURS[design]
    return {
        "color": colour,
        "marker": DESIGN_MARKERS[design],
        "linestyle": "",
        "markerfacecolor": colour if filled else "white",
        "zorder": 3,
    }
