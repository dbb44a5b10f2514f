"""Gaps between groups against what chance alone makes: one chart for a run, a comparison and an evaluation."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fairprof.inference.levels import CONFIDENCE
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics.fairness import MAX_OVER_CLASSES, MEAN_OVER_CLASSES
from fairprof.reporting.chart import (
    MOST_CLASSES,
    Rows,
    beside,
    by_attribute,
    designs_of,
    drawn,
    finished,
    intervals,
    known_values,
    largest_of,
    line,
    lines_of_designs,
    main_arm,
    mark,
    occurring,
    of_designs,
    seeds_counted,
)
from fairprof.reporting.names import METRIC_NAMES, gap_name, name_of
from fairprof.reporting.style import DESIGN_COLOURS, MARGIN, NORMAL, NULL, NULL_MEAN, SMALL, WIDTH, design_style
from fairprof.reporting.wording import UNDEFINED, number, p_value, percent, short


def gaps_figure(gaps: pd.DataFrame) -> Figure:
    """Every gap, the largest over the classes, against what groups that are treated alike would show.

    gaps: the comparison's table. Filled marks are established, hollow ones are not; the confirmatory family is bold.
    """
    shown = main_arm(gaps[gaps["class"].eq(MAX_OVER_CLASSES)])
    panels = {f"by {name_of(name)}": part for name, part in by_attribute(shown).items()}
    return _gap_chart(panels, "metric", METRIC_NAMES, "Gaps between groups, the largest over the classes")


def gaps_by_class_figure(gaps: pd.DataFrame) -> Figure:
    """The gaps of each class: demographic parity and equal opportunity, by gender and by race, as in `gaps_figure`."""
    single = main_arm(gaps[~gaps["class"].isin([MAX_OVER_CLASSES, MEAN_OVER_CLASSES])])
    panels = {
        textwrap.fill(gap_name(metric, attribute), 24): part
        for metric, attribute in CONFIRMATORY_GAPS
        if len(part := single[single["metric"].eq(metric) & single["attribute"].eq(attribute)])
    }
    classes = occurring(single["class"])
    widest = single.groupby("class", sort=False, observed=True)["value"].max().fillna(0).loc[classes]
    names = {name: drawn(name, 26) for name in largest_of(widest, MOST_CLASSES)}
    several = f"Gaps between groups in the {len(names):,} classes of {len(classes):,} with the largest"
    title = several if len(names) < len(classes) else "Gaps between groups in each class"
    return _gap_chart({name: part[part["class"].isin(names)] for name, part in panels.items()}, "class", names, title)


def _gap_chart(panels: dict[str, pd.DataFrame], block: str, names: dict[str, str], title: str) -> Figure:
    """A panel for every part of the table; in each, a block for every value of the column `block`."""
    table = pd.concat(panels.values())
    rows = Rows.of({name: designs_of(table) for name in names if table[block].eq(name).any()})
    figure = Figure(figsize=(WIDTH, rows.inches + 2.1), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (panel, part) in zip(axes, panels.items(), strict=True):
        rows.draw(axis, names, bold=set(part.loc[part["family"].eq("confirmatory"), block]))
        for row in part.to_dict("records"):
            _gap_row(axis, rows.places[row[block], row["design"]], row)
        for delta in part["delta"].dropna().unique():
            axis.axvline(delta, **MARGIN)
        axis.set_title(panel, fontsize=NORMAL)
        axis.set_xlabel("gap: difference of two rates\n0 is ideal", fontsize=SMALL)
    axes[0].set_xlim(left=0)
    handles = [
        of_designs(table, "gap, established"),
        of_designs(table, "gap, not established", filled=False),
        lines_of_designs(table, f"to the upper end of its {percent(CONFIDENCE, 'g')} band", linewidth=1.2),
        Patch(color=NULL, label="were groups treated alike: up to the 95 % quantile"),
        mark("were groups treated alike: mean", color=NULL_MEAN, marker="|", markersize=11, markeredgewidth=2),
        *(line(f"margin of equivalence, {short(delta)}", **MARGIN) for delta in known_values(table["delta"])),
    ]
    bold = "bold: confirmatory family (Holm), all else " if table["family"].eq("confirmatory").any() else "all "
    return finished(
        figure,
        f"{title}, mean of {seeds_counted(table['seeds'])}: further left is better; "
        f"training set: {table['arm'].iloc[0]}\n"
        f"beside each: gap and adjusted p; {bold}exploratory (Benjamini-Hochberg)",
        handles,
    )


def _gap_row(axis: Axes, place: int, row: dict) -> None:
    if np.isnan(row["value"]):
        beside(axis, place, UNDEFINED, row["family"])
        return
    if np.isfinite(row["null_q95"]):
        axis.barh(place, row["null_q95"], height=0.8, color=NULL, zorder=0.5)
    if np.isfinite(row["null_mean"]):
        axis.vlines(row["null_mean"], place - 0.4, place + 0.4, color=NULL_MEAN, linewidth=2, zorder=1)
    intervals(axis, row["value"], row["upper"], place, DESIGN_COLOURS[row["design"]], thin=True)
    axis.plot(
        row["value"], place, **design_style(row["design"], filled=row["verdict"] == "established"), markersize=6.5
    )
    evidence = {"equivalent": f"< {short(row['delta'])}", "degenerate": "degenerate"}.get(
        row["verdict"], p_value(row["p_adjusted"])
    )
    beside(axis, place, f"{number(row['value'])}  {evidence}", row["family"])
