"""Pictures of a comparison of backbones: functions of its tables.

Designs have the colours and marks that they have in every picture; backbones are told apart by their rows.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairprof.commands.compare.backbones.answer import level_told
from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.backbones.seen import column_of, known_cells, shown_rows
from fairprof.commands.compare.crossed import Tables, drawn_rows, quantity_of, quantity_told
from fairprof.commands.compare.crossed_pictures import ROW, banded_rows, changes_figure, panels, spread
from fairprof.inference.backbones import BACKBONE, BACKBONE_MOVES_MORE, COMPOSITION, COMPOSITION_MOVES_MORE
from fairprof.inference.cells import CONFIRMATORY_EFFECTS, SCORE
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.reporting.chart import Several, design_handles, drawn, finished, intervals, line, mark, seeds_counted
from fairprof.reporting.differences import rows_of
from fairprof.reporting.style import (
    GREY,
    HOLLOW,
    INK,
    MARGIN,
    NORMAL,
    NULL_MEAN,
    PALETTE,
    SMALL,
    WIDTH,
    ZERO,
    Style,
    design_style,
)
from fairprof.reporting.wording import short

FACTORS: dict[str, Style] = {
    COMPOSITION: {"color": PALETTE[1], "marker": "o", "linestyle": "", "markersize": 7, "zorder": 4},
    BACKBONE: {"color": PALETTE[0], "marker": "s", "linestyle": "", "markersize": 7, "zorder": 4},
}
CHANCE: Style = {
    "color": NULL_MEAN,
    "marker": "|",
    "linestyle": "",
    "markersize": 11,
    "markeredgewidth": 2,
    "zorder": 3,
}
NOT_ESTABLISHED: Style = {"markerfacecolor": HOLLOW}
INTERVAL = "simultaneous 95 % interval, new seeds and new images"


def figures_of(tables: Tables, study: BackboneStudy) -> dict[str, Figure]:
    """Every picture of a comparison's tables, by name; one without rows is left out."""
    figures = {}
    if len(drawn_rows(tables["moves"], CONFIRMATORY_EFFECTS)):
        figures["moves"] = moves_figure(tables["moves"])
    if len(tables["cells"]):
        figures["cells"] = cells_figure(tables["cells"], study)
    if len(shown_rows(tables["contrasts"])):
        figures["contrasts"] = contrasts_figure(tables["contrasts"], study)
    if len(shown_rows(tables["interactions"])):
        figures["interactions"] = interactions_figure(tables["interactions"], study)
    return figures


# Which moves more.


def moves_figure(moves: pd.DataFrame) -> Figure:
    """How far designs and backbones lie apart, a row for each quantity, and which of both lie further apart."""
    rows = drawn_rows(moves, CONFIRMATORY_EFFECTS)
    figure = Figure(figsize=(WIDTH, ROW * len(rows) + 2.0), layout="constrained")
    ranges, differences = figure.subplots(1, 2, sharey=True)
    labels = [quantity_told(row) for row in rows_of(rows)]
    for axis in (ranges, differences):
        banded_rows(axis, labels)
    differences.axvline(0, **ZERO)
    for place, row in enumerate(rows_of(rows)):
        _ranges(ranges, row, place)
        _difference(differences, row, place)
    ranges.set_xlim(left=-0.03 * ranges.get_xlim()[1])  # marks at zero are whole
    ranges.set_title("largest less smallest mean", fontsize=NORMAL)
    ranges.set_xlabel("range", fontsize=SMALL)
    differences.set_title("range between backbones less range between designs", fontsize=NORMAL)
    differences.set_xlabel("right: the backbone moves it more; left: the composition does", fontsize=SMALL)
    handles = [
        mark("designs, mean over the backbones", **FACTORS[COMPOSITION]),
        mark("backbones, mean over the designs", **FACTORS[BACKBONE]),
        mark("what chance alone makes of a range", **CHANCE),
        mark("which moves more is established", **_verdict_style(True)),
        mark("not established", **_verdict_style(False)),
        line("95 % interval, all rows together, new seeds and new images", color=GREY, linewidth=1.2),
    ]
    title = "What moves macro-F1 and the gaps more: the backbone, or the composition of the data"
    about = f"mean over {seeds_counted(rows['seeds'])}; gaps less noise floors"
    return finished(figure, f"{title}\n{about}", handles)


def _ranges(axis: Axes, row, place: int) -> None:
    for offset, factor in zip(spread(2), (COMPOSITION, BACKBONE), strict=True):
        axis.plot(getattr(row, f"expected_by_chance_of_{factor}"), place + offset, **CHANCE)
        axis.plot(getattr(row, f"range_of_{factor}"), place + offset, **FACTORS[factor])


def _difference(axis: Axes, row, place: int) -> None:
    if np.isnan(row.difference):
        return
    intervals(axis, row.lower, row.upper, place, INK, thin=True)
    found = row.verdict in (BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE)
    axis.plot(row.difference, place, **_verdict_style(found))


def _verdict_style(found: bool) -> Style:
    return {"color": INK, "marker": "D", "linestyle": "", "markersize": 6, "zorder": 3} | {
        "markerfacecolor": INK if found else HOLLOW
    }


# Cells, main effects, interactions.


def cells_figure(cells: pd.DataFrame, study: BackboneStudy) -> Figure:
    """Macro-F1 and gaps of every design with every backbone: a row for each backbone, a mark for each design."""
    names = [name for name in study.backbones if cells["backbone"].eq(name).any()]
    designs = sorted(cells["design"].unique())
    figure, axes = panels(CONFIRMATORY_EFFECTS, [_title(study, name) for name in names])
    offsets = dict(zip(designs, spread(len(designs)), strict=True))
    for axis, quantity in zip(axes, CONFIRMATORY_EFFECTS, strict=True):
        column = column_of(quantity)
        if quantity != SCORE:
            axis.axvline(0, **ZERO)
        for _, cell in known_cells(cells, quantity).iterrows():
            place = names.index(cell["backbone"]) + offsets[cell["design"]]
            axis.plot(cell[column], place, **design_style(cell["design"]), markersize=6)
        axis.set_xlabel(f"{'right' if quantity == SCORE else 'left'} is better", fontsize=SMALL)
    title = f"Every design with every backbone, mean over {seeds_counted(cells['seeds'])}; gaps less noise floors"
    return finished(figure, title, design_handles(cells, "mean"))


def contrasts_figure(contrasts: pd.DataFrame, study: BackboneStudy) -> Figure:
    """Every pair of designs, mean over the backbones, and every pair of backbones, mean over the designs."""
    shown = shown_rows(contrasts)
    pairs = list(dict.fromkeys((row.factor, row.level, row.reference) for row in rows_of(shown)))
    figure, axes = panels(CONFIRMATORY_EFFECTS, [_pair_told(study, *pair) for pair in pairs])
    for axis, quantity in zip(axes, CONFIRMATORY_EFFECTS, strict=True):
        axis.axvline(0, **ZERO)
        for side in (-study.protocol.delta, study.protocol.delta):
            axis.axvline(side, **MARGIN)
        for row in rows_of(shown):
            if quantity_of(row) == quantity and not np.isnan(row.value):
                place, style = pairs.index((row.factor, row.level, row.reference)), FACTORS[row.factor]
                intervals(axis, row.lower, row.upper, place, style["color"], thin=True)
                inside = {} if row.verdict == ESTABLISHED else NOT_ESTABLISHED
                axis.plot(row.value, place, **style | inside | {"markersize": 5.5})
        better = "right" if quantity == SCORE else "left"
        axis.set_xlabel(f"difference\n{better}: the first is better", fontsize=SMALL)
    handles = [
        mark("designs, established", **FACTORS[COMPOSITION]),
        mark("backbones, established", **FACTORS[BACKBONE]),
        Several(
            tuple(mark("", **style | {"markerfacecolor": HOLLOW}) for style in FACTORS.values()), "not established"
        ),
        line(INTERVAL, color=GREY, linewidth=1.2),
        line(f"within {short(study.protocol.delta)}", **MARGIN),
    ]
    title = "Designs, mean over the backbones, and backbones, mean over the designs, one less another"
    return finished(figure, f"{title}\nmean over {seeds_counted(shown['seeds'])}; gaps less noise floors", handles)


def interactions_figure(interactions: pd.DataFrame, study: BackboneStudy) -> Figure:
    """What a design changes with each backbone, less what it changes with the reference."""
    design, backbone = study.protocol.reference, _title(study, study.reference)
    return changes_figure(
        shown_rows(interactions),
        "backbone",
        {name: _title(study, name) for name in study.backbones},
        CONFIRMATORY_EFFECTS,
        f"What a design changes against {design} with each backbone, less what it changes with {backbone}; zero: they "
        "add up",
        lambda score: f"difference of the changes\n{'right' if score else 'left'}: better than with the reference",
        delta=study.protocol.delta,
    )


def _title(study: BackboneStudy, name: str) -> str:
    return drawn(study.titles[name])


def _pair_told(study: BackboneStudy, factor: str, level: str, reference: str) -> str:
    if factor == COMPOSITION:
        return f"{level_told(study, factor, level)} less {reference}"
    return f"{_title(study, level)}\nless {_title(study, reference)}"
