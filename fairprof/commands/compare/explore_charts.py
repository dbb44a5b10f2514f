"""The charts that readers explore, as Vega-Lite has them: without data, which the page fills in."""

from collections.abc import Sequence
from typing import Any

import altair

from fairprof.reporting.style import DESIGN_COLOURS, GREY, INK, NULL, NULL_MEAN

HEIGHT = 300  # pixels of the trade-off picture
ROW = 56  # pixels a design
SHAPES = {"A": "circle", "B": "square", "C": "triangle-up", "D": "diamond", "E": "triangle-down"}  # as in pictures
SEED, MEAN = 45, 190  # square pixels of a mark


def seeds_chart(designs: Sequence[str]) -> dict[str, Any]:
    """A row per design: its seeds, their mean with its interval, and the noise floor behind them.

    Data: `seeds` (design, value, and what is told of each), `means` (design, value, lower, upper) and `floors`
    (design, mean, quantile).
    """
    row = altair.Y("design:N", sort=list(designs), title="design", axis=altair.Axis(labelFontWeight="bold"))
    place = altair.X("value:Q", title=None, scale=altair.Scale(zero=False, nice=True))
    floors = altair.Chart(altair.NamedData("floors")).encode(row)
    means = altair.Chart(altair.NamedData("means")).encode(row, _colour(designs, legend=False))
    seeds = altair.Chart(altair.NamedData("seeds"))
    layers = [
        floors.mark_bar(color=NULL, height=22).encode(altair.X("mean:Q", title=None), altair.X2("quantile:Q")),
        floors.mark_tick(color=NULL_MEAN, thickness=3, height=22).encode(altair.X("mean:Q", title=None)),
        means.mark_rule(strokeWidth=2.5).encode(altair.X("lower:Q", title=None), altair.X2("upper:Q")),
        means.mark_point(filled=True, size=MEAN, opacity=1, stroke="white").encode(
            place, _shape(designs, legend=False)
        ),
        seeds.mark_point(filled=False, size=SEED, strokeWidth=1.6, opacity=0.9).encode(
            row,
            place,
            _colour(designs, legend=False),
            _shape(designs, legend=False),
            tooltip=_told("run", "seed", "of the run", "n"),
        ),
    ]
    chart = altair.layer(*layers).properties(width="container", height=ROW * len(designs))
    return _finished(chart)


def tradeoff_chart(designs: Sequence[str]) -> dict[str, Any]:
    """A mark per run, macro-F1 against a gap, of which an area can be chosen (`brush`); dashed are the noise floors.

    Data: `runs` (design, macro_f1, gap, and what is told of each) and `floors` (design, mean).
    """
    brush = altair.selection_interval(name="brush", mark=altair.BrushConfig(fill=INK, fillOpacity=0.08, stroke=GREY))
    runs = (
        altair.Chart(altair.NamedData("runs"))
        .mark_point(filled=True, size=110)
        .encode(
            altair.X("macro_f1:Q", title="macro-F1", scale=altair.Scale(zero=False)),
            altair.Y("gap:Q", title="gap", scale=altair.Scale(zero=True)),
            _colour(designs, legend=True),
            _shape(designs, legend=True),
            opacity=altair.condition("datum.chosen", altair.value(0.95), altair.value(0.2)),
            tooltip=_told("run", "seed", "macro-F1", "gap, largest over classes", "n"),
        )
        .add_params(brush)
    )
    floors = (
        altair.Chart(altair.NamedData("floors"))
        .mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
        .encode(altair.Y("mean:Q", title="gap"), _colour(designs, legend=True))
    )
    return _finished(altair.layer(floors, runs).properties(width="container", height=HEIGHT))


def _colour(designs: Sequence[str], legend: bool) -> altair.Color:
    scale = altair.Scale(domain=list(designs), range=[DESIGN_COLOURS[design] for design in designs])
    return altair.Color("design:N", scale=scale, legend=altair.Legend(title="design", orient="top") if legend else None)


def _shape(designs: Sequence[str], legend: bool) -> altair.Shape:
    scale = altair.Scale(domain=list(designs), range=[SHAPES[design] for design in designs])
    return altair.Shape("design:N", scale=scale, legend=altair.Legend(title="design", orient="top") if legend else None)


def _told(*names: str) -> list[altair.Tooltip]:
    return [altair.Tooltip(f"{name}:N", title=name) for name in names]


def _finished(chart: altair.LayerChart | altair.FacetChart) -> dict[str, Any]:
    axis = altair.AxisConfig(
        labelExpr="replace(datum.label, '0.', '.')",  # as the report writes numbers
        labelFontSize=12,
        titleFontSize=12,
        tickCount=8,
        labelFlush=False,
        labelOverlap=True,
    )
    return chart.configure(background="white", font="system-ui, sans-serif", axisQuantitative=axis).to_dict()
