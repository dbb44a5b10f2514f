"""Pictures of a comparison of methods: functions of its tables.

Designs have the colours and marks that they have in every picture; methods are told apart by their rows or, where all
of them share a panel, by mark, colour and fill.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairprof.commands.compare.crossed import Tables
from fairprof.commands.compare.crossed_pictures import changes_figure
from fairprof.commands.compare.mitigation.answer import title_of
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.mitigation.seen import drawn, points_of
from fairprof.commands.compare.pictures import FRONT
from fairprof.inference.cells import SCORE
from fairprof.inference.mitigation import NONE, targets
from fairprof.inference.random_replacement import UNDER_THE_LINE
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.chart import (
    finished,
    line,
    mark,
    plain,
    seeds_counted,
)
from fairprof.reporting.differences import rows_of
from fairprof.reporting.names import short_gap_name
from fairprof.reporting.style import (
    DESIGN_COLOURS,
    GREY,
    HOLLOW,
    INK,
    MARKERS,
    NORMAL,
    PALETTE,
    SMALL,
    WIDTH,
    ZERO,
    Style,
)
from fairprof.reporting.wording import UNDEFINED, capitalised

LINE: Style = {"color": GREY, "linewidth": 2.2, "zorder": 2, "alpha": 0.6}
RING: Style = {"color": INK, "marker": "o", "markersize": 14, "markerfacecolor": "none", "linestyle": "", "zorder": 3}
WITHOUT: Style = {"color": INK, "marker": "*", "markersize": 13, "markerfacecolor": INK, "linestyle": "", "zorder": 5}


def figures_of(tables: Tables, study: MitigationStudy) -> dict[str, Figure]:
    """Every picture of a comparison's tables, by name; one without rows is left out."""
    figures = {}
    if len(tables["effects"]):
        figures["effects"] = effects_figure(tables["effects"], study)
    if len(tables["interactions"]):
        figures["interactions"] = interactions_figure(tables["interactions"], study)
    if len(tables["cells"]):
        figures["pareto"] = pareto_figure(tables, study)
    return figures


# Changes by method and design.


def effects_figure(effects: pd.DataFrame, study: MitigationStudy) -> Figure:
    """What each method changes within each design, against none; effects: the comparison's table."""
    title = "What each method changes within each design, against none"
    return _changes_figure(effects, study, title, lambda score: f"change\n{'right' if score else 'left'} is better")


def interactions_figure(interactions: pd.DataFrame, study: MitigationStudy) -> Figure:
    """What each method changes in each design, less what it changes in the reference; interactions: the comparison's
    table."""
    reference = study.protocol.reference
    return _changes_figure(
        interactions,
        study,
        f"What each method changes in a design, less what it changes in {reference}; zero: they add up",
        lambda score: f"difference of the changes\n{'right' if score else 'left'}: better than in {reference}",
        study.protocol.delta,
    )


def _changes_figure(
    table: pd.DataFrame,
    study: MitigationStudy,
    title: str,
    label: Callable[[bool], str],
    delta: float | None = None,
) -> Figure:
    labels = {method: f"{capitalised(title_of(method))}\n({METHODS[method].needs})" for method in study.methods}
    return changes_figure(
        drawn(table, study),
        "method",
        labels,
        [SCORE, *targets(study.mitigate)],
        title,
        label,
        "; below each method: needs group membership in",
        delta,
    )


# Macro-F1 against gaps.


def pareto_figure(tables: Tables, study: MitigationStudy) -> Figure:
    """Macro-F1 against each gap that methods are to bring down, less its floor: a panel for each gap and design, a mark
    for each method, the Pareto front and the line of random replacement."""
    names, designs = targets(study.mitigate), study.protocol.designs
    figure = Figure(figsize=(WIDTH, 3.0 * len(names) + 2.2), layout="constrained")
    axes = figure.subplots(len(names), len(designs), sharex=True, sharey="row", squeeze=False)
    styles = method_styles(study.methods)
    scores: list[float] = []
    for row, name in zip(axes, names, strict=True):
        shown = pd.concat(
            [_pareto_panel(axis, tables, design, name, styles) for axis, design in zip(row, designs, strict=True)]
        )
        row[0].set_ylim(_range([0.0, *shown["gap"]]))
        row[0].set_ylabel(f"{short_gap_name(*name.split('/'))}, less noise floor\n(down is better)", fontsize=SMALL)
        scores += list(shown[SCORE])
    axes[0, 0].set_xlim(_range(scores))
    for axis, design in zip(axes[0], designs, strict=True):
        axis.set_title(f"design {design}", fontsize=NORMAL, color=DESIGN_COLOURS[design], fontweight="bold")
    for axis in axes[-1]:
        axis.set_xlabel("macro-F1 (right is better)", fontsize=SMALL)
    handles = [
        *(mark(capitalised(title_of(name)) if name != NONE else "No method", **styles[name]) for name in study.methods),
        line("random replacement, without a method", **LINE),
        line("Pareto front", **FRONT),
        mark("under the line (worse than it), established", **RING),
    ]
    title = f"Macro-F1 against gaps by method, {seeds_counted(tables['cells']['seeds'])}: lower right is better"
    return finished(figure, title, handles, columns=5)


def method_styles(methods: Iterable[str]) -> dict[str, Style]:
    """The mark of each method: eight marks with a colour each, first filled, then hollow; a star without a method."""
    styles = {}
    for place, name in enumerate(name for name in methods if name != NONE):
        number = place % (len(MARKERS) - 1)  # the star is taken
        filled = place < len(MARKERS) - 1
        styles[name] = {
            "color": PALETTE[number],
            "marker": MARKERS[number],
            "markerfacecolor": PALETTE[number] if filled else HOLLOW,
            "markersize": 7,
            "linestyle": "",
            "zorder": 4,
        }
    return styles | {NONE: WITHOUT}


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the smallest to the largest mark, with room around them: lines leave it."""
    if not values:
        return 0.0, 1.0
    room = max(0.1 * float(np.ptp(values)), 0.005)
    return min(values) - room, max(values) + room


def _pareto_panel(axis: Axes, tables: Tables, design: str, name: str, styles: dict[str, Style]) -> pd.DataFrame:
    """Draws one design and gap; returns what its marks are."""
    metric, _, attribute = name.partition("/")
    lines, replaced = (
        table[table["design"].eq(design) & table["metric"].eq(metric) & table["attribute"].eq(attribute)]
        for table in (tables["replacement_line"], tables["random_replacement"])
    )
    points = points_of(tables["cells"], design, name)
    front = points[points["front"]].sort_values(SCORE)
    axis.plot(front[SCORE], front["gap"], **FRONT, drawstyle="steps-pre")
    under = set(replaced.loc[replaced["verdict"].eq(UNDER_THE_LINE), "method"])
    for row in rows_of(points):
        axis.plot(row.macro_f1, row.gap, **styles[row.method])
        if row.method in under:
            axis.plot(row.macro_f1, row.gap, **RING)
    axis.plot(lines["macro_f1"], lines["gap"], **LINE)
    axis.axhline(0, **ZERO)
    if points.empty:
        axis.text(0.5, 0.5, UNDEFINED, transform=axis.transAxes, ha="center", fontsize=NORMAL)
    plain(axis)
    return points
