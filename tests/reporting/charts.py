"""What stands in a chart, read back from the figure."""

import io

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from fairprof.reporting.style import DESIGN_COLOURS, DESIGN_MARKERS

LONG = "senior assistant manager of regional warehouse operations"


def class_names(count: int) -> list[str]:
    return [LONG, *(f"profession_{number}" for number in range(1, count))]


def rendered(figure: Figure) -> np.ndarray:
    """The picture as it is logged, (H, W, 3); every warning on the way is an error of the test."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    picture = Image.open(buffer)
    assert picture.format == "PNG" and min(picture.size) > 250
    pixels = np.asarray(picture.convert("RGB"))
    assert (pixels != 255).any(axis=2).mean() > 0.01  # it is not blank
    return pixels


def laid_out(figure: Figure) -> None:
    """Does all that drawing does but colour pixels; every warning on the way is an error of the test."""
    figure.set_dpi(110)
    figure.draw_without_rendering()
    assert 1000 <= figure.bbox.width <= 1400


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def legend(figure: Figure) -> list[str]:
    (found,) = figure.legends or [axis.get_legend() for axis in figure.axes if axis.get_legend()]
    return [text.get_text() for text in found.get_texts()]


def unexplained(figure: Figure) -> set[tuple[str, str, str]]:
    """Marks in the panels, each with colour and fill, that are not in a legend just so."""
    shown = [line for axis in figure.axes for line in axis.get_lines()]
    legends = figure.legends + [axis.get_legend() for axis in figure.axes if axis.get_legend()]
    explained = [line for found in legends for line in found.findobj(Line2D)]
    return _looks(shown) - _looks(explained)


def _looks(lines: list[Line2D]) -> set[tuple[str, str, str]]:
    marked = [line for line in lines if line.get_marker() not in ("None", "", None) and len(line.get_xdata())]
    return {(line.get_marker(), to_hex(line.get_color()), to_hex(line.get_markerfacecolor())) for line in marked}


def marks(axis, design: str, single: bool = False) -> list[tuple[float, float]]:
    """Where the marks of a design are in a panel: those of its means, or of its single seeds."""
    lines = [
        line
        for line in axis.get_lines()
        if line.get_marker() == DESIGN_MARKERS[design] and (line.get_alpha() is not None) == single
    ]
    assert {to_hex(line.get_color()) for line in lines} <= {to_hex(DESIGN_COLOURS[design])}
    return [
        (float(x), float(y))
        for line in lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        if np.isfinite([x, y]).all()
    ]


def intervals(axis) -> list[list[float]]:
    """Ends of every interval, from the top row to the last."""
    lines = [line for line in axis.get_lines() if line.get_marker() == "None" and line.get_linestyle() == "-"]
    level = [line for line in lines if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2]
    return [list(line.get_xdata()) for line in sorted(level, key=lambda line: line.get_ydata()[0])]


def filled(axis) -> list[bool]:
    """Whether each mean's mark is filled, from the top row to the last."""
    lines = [line for line in axis.get_lines() if line.get_marker() != "None" and line.get_alpha() is None]
    return [line.get_markerfacecolor() != "white" for line in sorted(lines, key=lambda line: line.get_ydata()[0])]


def beside(axis) -> list[tuple[str, str]]:
    """Texts at the right of a panel with their weight, from the top row to the last."""
    found = sorted((text for text in axis.texts if text.get_position()[0] > 1), key=lambda text: text.get_position()[1])
    return [(text.get_text(), text.get_fontweight()) for text in found]
