"""The chart of what methods or backbones, each a row, change by design: the same for both.

Designs have the colours and marks that they have in every picture; what they are crossed with is told apart by rows.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairprof.commands.compare.crossed import quantity_of
from fairprof.inference.cells import SCORE
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.reporting.chart import design_handles, finished, intervals, line, mark, plain, seeds_counted
from fairprof.reporting.differences import rows_of
from fairprof.reporting.names import SCORE_NAMES, short_gap_name
from fairprof.reporting.style import (
    BAND,
    DESIGN_COLOURS,
    GREY,
    MARGIN,
    NORMAL,
    SMALL,
    WIDTH,
    ZERO,
    design_style,
)
from fairprof.reporting.wording import short

ROW = 0.52  # inches of a row, in which the marks of its designs stand below each other
SPREAD = 0.72  # of the height of a row, over which they do


def changes_figure(
    shown: pd.DataFrame,
    column: str,
    rows: Mapping[str, str],
    quantities: Sequence[str],
    title: str,
    label: Callable[[bool], str],
    about: str = "",
    delta: float | None = None,
) -> Figure:
    """A panel for each quantity, a row for each method or backbone, a mark with its interval for each design.

    shown: rows of effects or interactions that are drawn. column: what the rows are. rows: their labels, by name, in
    order; those without a mark are left out. label: of an axis, of a score or not. about: ends the title. delta: a
    margin that is drawn on both sides of zero.
    """
    names = [name for name in rows if shown[column].eq(name).any()]
    designs = sorted(shown["design"].unique())
    figure, axes = panels(quantities, [rows[name] for name in names])
    offsets = dict(zip(designs, spread(len(designs)), strict=True))
    for axis, quantity in zip(axes, quantities, strict=True):
        axis.axvline(0, **ZERO)
        if delta is not None:
            for side in (-delta, delta):
                axis.axvline(side, **MARGIN)
        for row in rows_of(shown):
            if quantity_of(row) == quantity:
                _change(axis, row, names.index(getattr(row, column)) + offsets[row.design])
        axis.set_xlabel(label(quantity == SCORE), fontsize=SMALL)
    handles = [
        *design_handles(shown, "established"),
        mark("not established", **design_style(designs[0], filled=False), markersize=6.5),
        line("simultaneous 95 % interval, new seeds and new images", color=GREY, linewidth=1.2),
        *([line(f"within {short(delta)}", **MARGIN)] if delta is not None else []),
    ]
    counts = f"mean over {seeds_counted(shown['seeds'])}; gaps less noise floors{about}"
    return finished(figure, f"{title}\n{counts}", handles)


def panels(quantities: Sequence[str], labels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each quantity, those of gaps of one scale, and a row for each label."""
    figure = Figure(figsize=(WIDTH, ROW * len(labels) + 2.0), layout="constrained")
    axes = list(figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0])
    gaps = [axis for axis, quantity in zip(axes, quantities, strict=True) if quantity != SCORE]
    for axis in gaps[1:]:
        axis.sharex(gaps[0])
    for axis, quantity in zip(axes, quantities, strict=True):
        banded_rows(axis, labels)
        score = quantity == SCORE
        axis.set_title(SCORE_NAMES[SCORE] if score else short_gap_name(*quantity.split("/")), fontsize=NORMAL)
    return figure, axes


def banded_rows(axis: Axes, labels: Sequence[str]) -> None:
    """Gives an axis its rows, every second one on a band."""
    for place in range(0, len(labels), 2):
        axis.axhspan(place - 0.5, place + 0.5, color=BAND, zorder=0)
    axis.set_yticks(range(len(labels)), labels, fontsize=SMALL)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    plain(axis, "x")


def spread(many: int) -> np.ndarray:
    """Places around the middle of a row, for so many marks."""
    return (np.arange(many) - (many - 1) / 2) * SPREAD / max(many, 1)


def _change(axis: Axes, row, place: float) -> None:
    if np.isnan(row.value):
        return
    intervals(axis, row.lower, row.upper, place, DESIGN_COLOURS[row.design], thin=True)
    axis.plot(row.value, place, **design_style(row.design, filled=row.verdict == ESTABLISHED), markersize=5)
