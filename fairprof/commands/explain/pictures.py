"""Pictures of an explanation: the maps themselves, where attention lies by group, faithfulness, randomised weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairprof.commands.explain.results import Explanation
from fairprof.commands.explain.subject import Subject
from fairprof.data.regions import CENTRE_PRIOR
from fairprof.inference.group_means import ALL
from fairprof.metrics import attention
from fairprof.metrics.attention import mean_maps
from fairprof.metrics.fairness import ATTRIBUTES, SUFFICIENT, group_labels
from fairprof.reporting.chart import MOST_ROWS, Several, drawn, finished, intervals, largest_of, left_out, line, plain
from fairprof.reporting.names import name_of
from fairprof.reporting.style import GRID, HOLLOW, MARGIN, NARROW, NORMAL, SMALL, WIDTH, WRONG, ZERO, curve_styles
from fairprof.saliency.faithfulness import HIGHER_IS_BETTER, SCORES
from fairprof.saliency.gradcam import CLASSLESS
from fairprof.saliency.outline import FacePlace, face_place
from fairprof.saliency.panels import (
    ALL_IMAGES,
    Wording,
    looked_at,
    mean_map_difference_panel,
    reference_difference_panel,
    side_by_side_panel,
)
from fairprof.saliency.randomisation import EVERYTHING, HEAD, THRESHOLD

SIDE_BY_SIDE_IMAGES = 8
MODEL_ROW = 0.2  # inches of a group and model


def figures_of(explanation: Explanation, subject: Subject, maps: dict[str, np.ndarray]) -> dict[str, Figure]:
    """Every picture of an explanation by name; maps: label to the (N, h, w) maps of the subject's images."""
    at = looked_at(explanation.layer, maps[explanation.shown[0]])
    of_class = "" if explanation.method in CLASSLESS else explanation.explained
    wording = Wording("model", explanation.method, explanation.unit, of_class, at)
    place = face_place(subject.pixels)
    first = slice(0, SIDE_BY_SIDE_IMAGES)
    known = "regions: face, hair, background" if explanation.kind == "regions" else f"{explanation.kind}: an ellipse"
    figures = {
        "side_by_side": side_by_side_panel(
            {label: subject.predictions[label].iloc[first] for label in explanation.shown},
            subject.pixels[first],
            {label: maps[label][first] for label in explanation.shown},
            f"The same test images through every model that is shown ({known})",
            wording,
            subject.masks.masks[first],
        ),
    }
    trusted = {label: maps[label] for label in explanation.shown if label in explanation.trusted}
    if explanation.trusted_designs or (trusted and not explanation.designs):
        figures["attention"] = attention_figure(explanation)
    for attribute in ATTRIBUTES if trusted else ():
        labels = group_labels(subject.images, attribute)
        groups = labels.astype(str).to_numpy()
        counts = labels.value_counts()[list(labels.cat.categories)].to_dict()
        title = f"Mean {explanation.maps_of} by {name_of(attribute)}"
        raw = {label: mean_maps(of_model, groups) for label, of_model in trusted.items()}
        figures[f"mean_maps_{attribute}"] = mean_map_difference_panel(raw, counts, place, title, wording)
        if len(trusted) > 1 and explanation.reference in trusted and attribute != "gender_x_race":
            figures[f"model_differences_{attribute}"] = _reference_panel(
                explanation, trusted, groups, counts, place, wording
            )
    if len(explanation.tables["faithfulness"]):
        figures["faithfulness"] = faithfulness_figure(explanation)
    figures["randomisation"] = randomisation_figure(explanation)
    return figures


def _reference_panel(
    explanation: Explanation,
    maps: dict[str, np.ndarray],
    groups: np.ndarray,
    counts: dict[str, int],
    place: FacePlace | None,
    wording: Wording,
) -> Figure:
    means: dict[str, dict[str | None, np.ndarray]] = {}
    for label, of_model in maps.items():
        shares = attention.normalised(of_model)
        defined = ~np.isnan(shares).any(axis=(1, 2))
        undefined = np.full(shares.shape[1:], np.nan)
        of_groups = dict.fromkeys(counts, undefined) | mean_maps(shares[defined], groups[defined])
        everybody = shares[defined].mean(axis=0) if defined.any() else undefined
        means[label] = {ALL_IMAGES: everybody, **of_groups}
    return reference_difference_panel(
        means,
        {ALL_IMAGES: len(groups)} | counts,
        explanation.reference,
        place,
        f"Mean of the normalised maps, minus those of model {explanation.reference}",
        wording,
    )


def attention_figure(explanation: Explanation) -> Figure:
    """The share of attention on every region, by group and model, or design, with intervals; hollow where images are
    few."""
    rows = _Rows.of(explanation, "designs" if explanation.designs else "by_group")
    figure = Figure(figsize=(3.4 * len(explanation.regions) + 1.6, rows.height + 1.5), layout="constrained")
    order = sorted(explanation.regions, key=lambda region: region != explanation.main_region)
    for axis, region in zip(figure.subplots(1, len(order), sharey=True, squeeze=False)[0], order, strict=True):
        rows.draw(axis, f"attention_{region}", "value")
        axis.axvline(explanation.areas[region], **MARGIN)
        axis.set(xlim=(0, 1))
        axis.set_title(region, fontsize=NORMAL)
        axis.set_xlabel("share of attention", fontsize=SMALL)
        for place in range(1, len(rows.groups)):
            axis.axhline(place - 0.5, **GRID)
    prior = f" ({CENTRE_PRIOR}, no masks)" if explanation.kind == CENTRE_PRIOR else ""
    return finished(
        figure,
        f"Where {explanation.method} lies{prior}, mean and 95 % interval;\n"
        f"hollow: fewer than {explanation.min_support} images{rows.left_out}",
        [
            *rows.handles("mean"),
            rows.intervals("95 % interval"),
            line("the region's mean share of the image", **MARGIN),
        ],
    )


def faithfulness_figure(explanation: Explanation) -> Figure:
    """Every score of each model's maps minus that of random maps, with bands, by group of gender and race."""
    rows = _Rows.of(explanation, "faithfulness")
    figure = Figure(figsize=(WIDTH, rows.height + 1.8), layout="constrained")
    for axis, score in zip(figure.subplots(1, len(SCORES), sharey=True), SCORES, strict=True):
        rows.draw(axis, score, "difference")
        axis.axvline(0, **ZERO)
        better = "right of 0 is better" if HIGHER_IS_BETTER[score] else "left of 0 is better"
        axis.set_title(f"{name_of(score)}: {better}", fontsize=NORMAL)
        axis.set_xlabel("difference in probability", fontsize=SMALL)
    title = f"Faithfulness of {explanation.method} minus that of random maps, with bands that hold over the models"
    handles = [*rows.handles("mean difference"), rows.intervals("band")]
    return finished(figure, title + rows.left_out, handles)


@dataclass(frozen=True)
class _Rows:
    """A row per group of gender and race, in which every model has a point with its interval."""

    table: pd.DataFrame
    groups: list[tuple[str, str]]
    left_out: str  # for the end of a title
    labels: list[str]
    models: tuple[str, ...]
    kind: str

    @classmethod
    def of(cls, explanation: Explanation, name: str) -> "_Rows":
        kind = "design" if name == "designs" else "model"
        models = tuple(explanation.designs) if name == "designs" else explanation.shown
        table = explanation.told(name).rename(columns={kind: "model"})
        table = table[table["attribute"].isin([ALL, "gender", "race"]) & table["model"].isin(models)]
        sizes = table.groupby(["attribute", "group"], sort=False, observed=True)["images"].max()
        attributes = sizes.index.get_level_values("attribute").unique()
        groups = [place for attribute in attributes for place in largest_of(sizes.loc[[attribute]], MOST_ROWS)]
        left = left_out(len(groups), len(sizes), "groups")
        return cls(table, groups, left, list(table["model"].unique()), models, kind)

    @property
    def height(self) -> float:
        """Inches."""
        return MODEL_ROW * len(self.groups) * (len(self.labels) + 0.8)

    def draw(self, axis: Axes, measure: str, value: str) -> None:
        """One measure; value: the column of the point, between the columns lower and upper."""
        shown = self.table[self.table["measure"].eq(measure)].set_index(["attribute", "group", "model"])
        for row, (attribute, group) in enumerate(self.groups):
            for shift, (label, style) in zip(_shifts(len(self.labels), 0.8), self.styles(), strict=True):
                _point(axis, shown.loc[(attribute, group, label)], value, row + shift, style)
        axis.set_ylim(len(self.groups) - 0.5, -0.5)
        names = [group if name == ALL else f"{name_of(name)}: {drawn(group)}" for name, group in self.groups]
        axis.set_yticks(range(len(names)), names)
        plain(axis, "x")

    def styles(self) -> Iterator[tuple[str, dict]]:
        """Label and style of every model that is shown, the same in every picture."""
        styles = dict(zip(self.models, curve_styles(), strict=False))
        return ((label, styles[label]) for label in self.labels)

    def handles(self, what: str) -> list[Line2D]:
        """Of the legend, one a model; what: of it, is drawn so."""
        usual = {"linestyle": "", "linewidth": 0}
        return [Line2D([], [], **style | usual, label=f"{self.kind} {label}, {what}") for label, style in self.styles()]

    def intervals(self, label: str) -> Several:
        """Of the legend, the intervals of all models."""
        return _lines([style["color"] for _, style in self.styles()], label)


def _lines(colours: list[str], label: str) -> Several:
    return Several(tuple(Line2D([], [], color=colour, linewidth=1.2) for colour in colours), label)


def _shifts(count: int, room: float) -> np.ndarray:
    """Where models lie around the middle of a row or column; room: of 1, for all of them."""
    return (np.arange(count) - (count - 1) / 2) * room / count


def _point(axis: Axes, row: pd.Series, value: str, place: float, style: dict) -> None:
    if not np.isfinite(row[value]):
        return
    intervals(axis, row["lower"], row["upper"], place, style["color"], thin=True)
    fill = style["color"] if row.get("evidence", SUFFICIENT) == SUFFICIENT else HOLLOW
    axis.plot(row[value], place, **style | {"linestyle": "", "markerfacecolor": fill, "zorder": 3})


def randomisation_figure(explanation: Explanation) -> Figure:
    """Rank correlation of the maps with those of ever more randomised networks, one line a model."""
    table = explanation.tables["similarity"]
    steps = list(dict.fromkeys(table["randomised"]))
    figure = Figure(figsize=(max(NARROW, 1.25 * len(steps) + 2), 4.4), layout="constrained")
    axis = figure.subplots()
    models = explanation.shown
    for shift, label, style in zip(_shifts(len(models), 0.5), models, curve_styles(), strict=False):
        rows = table[table["model"].eq(label)].set_index("randomised").loc[steps]
        places = np.arange(len(steps)) + shift
        intervals(axis, rows["lower"], rows["upper"], places, style["color"], thin=True, rising=True)
        axis.plot(places, rows["similarity"], **style, label=f"model {label}")
    axis.axhline(THRESHOLD, color=WRONG, linestyle="--", linewidth=1)
    axis.text(len(steps) - 0.5, THRESHOLD + 0.02, "above: flagged", color=WRONG, fontsize=SMALL, ha="right")
    axis.axhline(0, **ZERO)
    names = [step if step in (HEAD, EVERYTHING) else f"down to {step}" for step in steps]
    axis.set(xlim=(-0.5, len(steps) - 0.4), ylim=(-0.5, 1.05))
    axis.set_xticks(range(len(steps)), names)
    axis.set_xlabel("weights that were randomised", fontsize=SMALL)
    axis.set_ylabel("rank correlation with the\nmodel's own maps", fontsize=SMALL)
    plain(axis, "y")
    title = "Maps after weights were randomised: near 0 is as it should be"
    handles = axis.get_legend_handles_labels()[0]
    colours = [style["color"] for _, style in zip(models, curve_styles(), strict=False)]
    upright = _lines(colours, "95 % interval, upright")
    return finished(figure, title, [*handles, upright])
