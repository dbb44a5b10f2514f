"""The parts that charts of designs and groups share: rows, marks, intervals, legends and the words beside them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter
from numpy.typing import ArrayLike

from fairprof.inference.levels import CONFIDENCE
from fairprof.metrics.fairness import ATTRIBUTES
from fairprof.plain_text import shortened, visible
from fairprof.reporting.style import (
    BAND,
    DESIGN_COLOURS,
    GREY,
    GRID,
    LARGE,
    NORMAL,
    ROW,
    SINGLE,
    SMALL,
    Style,
    Ticks,
    design_style,
)
from fairprof.reporting.wording import count, percent, span

LETTERS = 30  # of a name in a picture
MOST_ROWS, MOST_CURVES, MOST_CLASSES = 24, 8, 12  # that a picture shows of the groups or classes of one attribute
INTERVAL = f"{percent(CONFIDENCE, 'g')} interval over seeds and test images"


@dataclass(frozen=True)
class Rows:
    """Where the rows of a chart are, counted from the top: a heading for every block, the block's items below it.

    A block is anything that can be a key: an arm, an attribute, a number.
    """

    headings: dict[Any, int]
    places: dict[tuple[Any, str], int]

    @classmethod
    def of(cls, blocks: dict[Any, list[str]]) -> "Rows":
        headings: dict[Any, int] = {}
        places: dict[tuple[Any, str], int] = {}
        row = 0
        for block, items in blocks.items():
            headings[block] = row
            places |= {(block, item): row + 1 + number for number, item in enumerate(items)}
            row += 1 + len(items)
        return cls(headings, places)

    @property
    def inches(self) -> float:
        return ROW * (len(self.headings) + len(self.places))

    def draw(
        self,
        axis: Axes,
        headings: dict[Any, str],
        bold: Iterable = (),
        labels: dict[int, str] | None = None,
    ) -> None:
        """Gives an axis its rows. headings: block to text. labels: row to text; without them, the items are designs."""
        for block, row in self.headings.items():
            axis.axhspan(row - 0.5, row + 0.5, color=BAND, zorder=1.5)
            axis.text(
                0.01,
                row,
                headings.get(block, ""),
                transform=axis.get_yaxis_transform(),
                va="center",
                fontsize=SMALL,
                fontweight="bold" if block in bold else "normal",
                in_layout=False,  # it lies within its band
            )
        axis.set_ylim(len(self.headings) + len(self.places) - 0.5, -0.5)
        shown = labels or {row: design for (_, design), row in self.places.items()}
        axis.set_yticks(list(shown), list(shown.values()), fontsize=SMALL)
        axis.tick_params(axis="y", length=0)
        if labels is None:
            for design, tick in zip(shown.values(), axis.get_yticklabels(), strict=False):  # only outer axes have any
                tick.set(color=DESIGN_COLOURS[design], fontweight="bold", fontsize=NORMAL)
        plain(axis, "x")


def designs_of(table: pd.DataFrame) -> list[str]:
    return sorted(table["design"].unique())


def main_arm(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["arm"].eq(table["arm"].iloc[0])]


def by_attribute(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Attribute to its rows, for those that the table has."""
    parts = {attribute: table[table["attribute"].eq(attribute)] for attribute in ATTRIBUTES}
    return {attribute: part for attribute, part in parts.items() if len(part)}


def known_values(values: pd.Series) -> np.ndarray:
    """The different values, without NaN, ascending."""
    return np.unique(values.dropna().to_numpy(dtype=float).round(6))


def occurring(values: pd.Series) -> list[str]:
    """What occurs: in the order of the categories where there are any, otherwise as it first occurs."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.remove_unused_categories().cat.categories)
    return list(values.unique())


def seed_points(axis: Axes, values: pd.Series, place: int, design: str) -> None:
    axis.plot(values, np.full(len(values), place + 0.3), **design_style(design) | SINGLE)


def intervals(
    axis: Axes, lower: ArrayLike, upper: ArrayLike, places: ArrayLike, colour: str, thin: bool = False, rising=False
) -> None:
    """A line from the lower to the upper end at every place, behind the marks; none where an end is undefined.

    lower, upper, places: (N,) or numbers. thin: where marks are small or many. rising: the values run upward, and the
    places to the right.
    """
    ends = np.stack(np.broadcast_arrays(*map(np.atleast_1d, (lower, upper)))).astype(float)
    along = np.stack([np.broadcast_to(places, ends[0].shape)] * 2).astype(float)
    known = np.isfinite(ends).all(axis=0)
    x, y = (along, ends) if rising else (ends, along)
    if known.any():
        axis.plot(x[:, known], y[:, known], color=colour, linewidth=1.2 if thin else 2.0, zorder=2)


def beside(axis: Axes, place: int, text: str, family: str = "exploratory") -> None:
    weight = "bold" if family == "confirmatory" else "normal"
    axis.text(1.02, place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL, fontweight=weight)


def plain(axis: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    axis.grid(axis=grid, **GRID)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=SMALL)
    for scale in (axis.xaxis, axis.yaxis):
        if isinstance(scale.get_major_formatter(), ScalarFormatter):  # and not names
            scale.set_major_formatter(Ticks())


def seeds_counted(counts: pd.Series) -> str:
    return f"{span(counts, count)} seed{'s' if counts.max() > 1 else ''}"


def largest_of(sizes: pd.Series, most: int) -> list:
    """Of names those of the `most` largest, in their order; sizes: by name."""
    chosen = set(sizes.sort_values(ascending=False, kind="stable").index[:most])
    return [name for name in sizes.index if name in chosen]


def left_out(shown: int, there: int, noun: str) -> str:
    """ "; the 24 largest of 480 groups, all are in the tables", for the end of a title; empty where all are shown."""
    return f"; the {shown:,} largest of {there:,} {noun}, all are in the tables" if shown < there else ""


def drawn(name: object, letters: int = LETTERS) -> str:
    """A name that a data set gave, as pictures show it: in one line, nothing hidden, no longer than there is room for.

    matplotlib leaves out of legends what begins with an underscore.
    """
    text = shortened(visible(name), letters)
    return f" {text}" if text.startswith("_") else text


def mark(label: str, **style: Any) -> Line2D:
    usual: Style = {"color": GREY, "marker": "o", "linestyle": "", "markersize": 7}
    return Line2D([], [], label=label, **usual | style)


def line(label: str, **style: Any) -> Line2D:
    usual: Style = {"color": GREY, "linewidth": 2}
    return Line2D([], [], label=label, **usual | style)


@dataclass(frozen=True)
class Several:
    """What a legend shows side by side for one label: the same thing of every design, each as it is drawn."""

    handles: tuple[Line2D, ...]
    label: str


def of_designs(table: pd.DataFrame, label: str, filled: bool = True, **style: Any) -> Several:
    """The mark of every design of a table; style: other than usual."""
    usual: Style = {"markersize": 6.5}
    return Several(
        tuple(Line2D([], [], **design_style(design, filled) | usual | style) for design in designs_of(table)), label
    )


def lines_of_designs(table: pd.DataFrame, label: str, **style: Any) -> Several:
    """A line in the colour of every design of a table."""
    usual: Style = {"marker": "", "linestyle": "-", "linewidth": 2}
    return of_designs(table, label, **usual | style)


def design_handles(table: pd.DataFrame, what: str, **style: Any) -> list[Line2D]:
    """One a design; what: of it, is drawn so. style: other than usual."""
    usual: Style = {"markersize": 6.5}
    return [
        Line2D([], [], **design_style(design) | usual | style, label=f"design {design}, {what}")
        for design in designs_of(table)
    ]


def finished(
    figure: Figure, title: str, handles: list, legend_axis: Axes | None = None, columns: int | None = None
) -> Figure:
    """The figure with its title, and its legend below, in one or two lines unless columns are given, or in an axis of
    its own."""
    figure.suptitle(title, fontsize=LARGE)
    beside_each_other = max(len(handle.handles) if isinstance(handle, Several) else 1 for handle in handles)
    legend: dict[str, Any] = {
        "handles": [handle.handles if isinstance(handle, Several) else handle for handle in handles],
        "labels": [handle.label if isinstance(handle, Several) else handle.get_label() for handle in handles],
        "handler_map": {tuple: HandlerTuple(ndivide=None, pad=0.4)},
        "handlelength": max(2.0, 1.4 * beside_each_other),
        "frameon": False,
    }
    if legend_axis is None:
        columns = columns or (len(handles) if len(handles) < 5 else -(-len(handles) // 2))
        figure.legend(loc="outside lower center", ncols=columns, fontsize=SMALL, **legend)
    else:
        legend_axis.axis("off")
        legend_axis.legend(loc="center left", fontsize=NORMAL, **legend)
    return figure
