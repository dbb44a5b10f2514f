"""The pictures of a search: Optuna's own, and what the hyperparameters do to the comparison of designs."""

import re
from typing import Any

import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, ScalarFormatter
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as plots

from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.config import TuneSettings
from fairprof.reporting.chart import finished, plain
from fairprof.reporting.names import metric_name
from fairprof.reporting.style import (
    GRID,
    INK,
    LARGE,
    MARGIN,
    NORMAL,
    PALE,
    PALETTE,
    SMALL,
    WIDTH,
    Ticks,
    design_style,
)
from fairprof.reporting.wording import short

FEWEST_FOR_IMPORTANCE = 4  # complete trials
FOREST_SEED = 0  # of the random forest from which importances are read


def optuna_figures(study: optuna.Study, settings: TuneSettings) -> dict[str, Figure]:
    """Optuna's pictures of the search, by name: history, parallel coordinates and importances of every objective; of
    several, the Pareto front."""
    objectives = OBJECTIVES[settings.objective]
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    searched = [name for name in settings.searched() if all(name in trial.params for trial in complete)]
    figures = {}
    if len(objectives) > 1:
        names = [metric_name(metric) for metric, _ in objectives]
        figures["pareto_front"] = _figure_of(
            plots.plot_pareto_front(study, target_names=names), "Pareto front of the objectives"
        )
    for number, (metric, _) in enumerate(objectives):
        name = metric.rpartition("/")[0].removeprefix("val").strip("/").replace("/", "_")
        suffix = f"_{name or metric.rpartition('/')[2]}" if len(objectives) > 1 else ""

        def target(trial: FrozenTrial, number: int = number) -> float:
            return trial.values[number]

        # of a single objective Optuna knows itself whether more is better, and colours by that
        shown: dict[str, Any] = {"target": target if len(objectives) > 1 else None, "target_name": metric_name(metric)}
        figures[f"history{suffix}"] = _figure_of(
            plots.plot_optimization_history(study, **shown), "Trial by trial, and the best so far"
        )
        figures[f"parallel_coordinate{suffix}"] = _figure_of(
            plots.plot_parallel_coordinate(study, params=searched, **shown), "Every trial: its score and its values"
        )
        values = [target(trial) for trial in complete]
        if len(complete) >= FEWEST_FOR_IMPORTANCE and len(searched) > 1 and np.ptp(values) > 0:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=FOREST_SEED)
            figures[f"importance{suffix}"] = _figure_of(
                plots.plot_param_importances(study, evaluator=evaluator, **shown),
                "How much of the score's spread goes with each hyperparameter",
            )
    return figures


class _LogTicks(LogFormatter):
    """The numbers along a logarithmic axis as `wording` writes them, where there is room for one."""

    def __call__(self, value: float, position: int | None = None) -> str:
        return short(value) if super().__call__(value, position) else ""


def _figure_of(axes, title: str) -> Figure:
    """Optuna's picture, as fairprof's others look."""
    figure = np.ravel(axes)[0].figure
    figure.set_size_inches(WIDTH, 4.6)
    figure.suptitle(title, fontsize=LARGE)
    for axis in figure.axes:
        axis.set_facecolor("white")
        axis.grid(color=GRID["color"])
        axis.tick_params(which="both", labelsize=SMALL, labelcolor=INK)
        for place in ("left", "center"):
            axis.set_title("", loc=place)
        for scale in (axis.xaxis, axis.yaxis):
            scale.label.set(size=SMALL, color=INK)
            for which in ("major", "minor"):
                written = getattr(scale, f"get_{which}_formatter")()
                if isinstance(written, LogFormatter):
                    getattr(scale, f"set_{which}_formatter")(_LogTicks(minor_thresholds=written.minor_thresholds))
                elif isinstance(written, ScalarFormatter):
                    getattr(scale, f"set_{which}_formatter")(Ticks())
        if axis.get_xlabel() == "Trial":
            axis.xaxis.get_major_locator().set_params(integer=True)
        for text in axis.texts:
            text.set(text=re.sub(r"^0\.", ".", text.get_text()), size=SMALL)
        if legend := axis.get_legend():
            legend.set_frame_on(False)
    figure.tight_layout()
    for bar in (axis for axis in figure.axes if axis.get_label() == "<colorbar>"):
        for axis in figure.axes:  # several axes share a place, beside whose last one there is no room for the bar
            axis.set_position((0.07, 0.2, 0.76, 0.68))
            axis.grid(visible=False)
        bar.set_position((0.92, 0.2, 0.012, 0.68))
    return figure


def sensitivity_figure(
    scores: pd.DataFrame, sensitivity: pd.DataFrame, winner: int, objective: str, direction: str
) -> Figure:
    """Every complete trial's score by design, and each design's own best beside what it has with the shared values.

    scores, sensitivity, winner, direction: of `sensitivity_table`. objective: what the score is called.
    """
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    lines, bars = figure.subplots(1, 2, width_ratios=(2, 1))
    order = scores.mean(axis=1).sort_values(ascending=direction == "maximize").index
    for design in scores.columns:
        style = design_style(design) | {"linestyle": "-", "markersize": 4}
        lines.plot(range(len(order)), scores.loc[order, design], **style, label=f"design {design}")
    lines.axvline(list(order).index(winner), **MARGIN, label=f"winner, trial {winner}")
    lines.set_xticks(range(len(order)), map(str, order))
    lines.set_xlabel("trial, from the worst to the best mean", fontsize=SMALL)
    lines.set_ylabel(f"{objective} ({'up' if direction == 'maximize' else 'down'} is better)", fontsize=SMALL)
    lines.set_title("Do the designs keep their order whatever the hyperparameters?", fontsize=NORMAL)
    places = np.arange(len(sensitivity))
    bars.bar(places - 0.2, sensitivity["shared_score"], 0.4, color=PALE, label="with the shared values")
    bars.bar(places + 0.2, sensitivity["own_best_score"], 0.4, color=PALETTE[0], label="its own best trial")
    bars.set_xticks(places, sensitivity["design"])
    bars.set_xlabel("design", fontsize=SMALL)
    bars.set_title("What does sharing cost?", fontsize=NORMAL)
    for axis in (lines, bars):
        plain(axis, "y")
    handles = [handle for axis in (lines, bars) for handle in axis.get_legend_handles_labels()[0]]
    return finished(figure, "How much the comparison depends on the shared hyperparameters", handles)
