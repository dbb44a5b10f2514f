"""Pictures of an explanation: the maps themselves, where attention lies by group, faithfulness, randomised weights."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairprof.commands.explain.results import Explanation
from fairprof.commands.explain.subject import Subject
from fairprof.data.regions import CENTRE_PRIOR
from fairprof.metrics import attention
from fairprof.metrics.attention import mean_maps
from fairprof.metrics.fairness import ATTRIBUTES, SUFFICIENT, group_labels
from fairprof.reporting.names import name_of
from fairprof.reporting.style import GRID, PALETTE
from fairprof.saliency.faithfulness import HIGHER_IS_BETTER
from fairprof.saliency.panels import Wording, mean_map_difference_panel, reference_difference_panel, side_by_side_panel
from fairprof.saliency.randomisation import THRESHOLD

SIDE_BY_SIDE_IMAGES = 8
ROW = 0.2  # inches of a group and model
SCORES = {"road": "ROAD", "deletion": "deletion", "insertion": "insertion"}


def figures_of(explanation: Explanation, subject: Subject, maps: dict[str, np.ndarray]) -> dict[str, Figure]:
    """Every picture of an explanation by name; maps: label to the (N, h, w) maps of the subject's images."""
    wording = Wording("model", explanation.method, explanation.unit, explanation.explained)
    first = slice(0, SIDE_BY_SIDE_IMAGES)
    known = "regions: face, hair, background" if explanation.kind == "regions" else f"{explanation.kind}: an ellipse"
    figures = {
        "side_by_side": side_by_side_panel(
            {label: table.iloc[first] for label, table in subject.predictions.items()},
            subject.pixels[first],
            {label: of_model[first] for label, of_model in maps.items()},
            f"The same test images through every model ({known})",
            wording,
            subject.masks.masks[first],
        ),
        "attention": attention_figure(explanation),
    }
    for attribute in ATTRIBUTES:
        labels = group_labels(subject.images, attribute)
        groups = labels.astype(str).to_numpy()
        counts = labels.value_counts()[list(labels.cat.categories)].to_dict()
        title = f"Mean {explanation.method} of the {explanation.explained} class by {attribute.replace('_', ' ')}"
        raw = {label: mean_maps(of_model, groups) for label, of_model in maps.items()}
        figures[f"mean_maps_{attribute}"] = mean_map_difference_panel(raw, counts, title, wording)
        if len(maps) > 1 and attribute != "gender_x_race":
            figures[f"model_differences_{attribute}"] = _reference_panel(explanation, maps, groups, counts, wording)
    if len(explanation.tables["faithfulness"]):
        figures["faithfulness"] = faithfulness_figure(explanation)
    figures["randomisation"] = randomisation_figure(explanation)
    return figures


def _reference_panel(
    explanation: Explanation,
    maps: dict[str, np.ndarray],
    groups: np.ndarray,
    counts: dict[str, int],
    wording: Wording,
) -> Figure:
    everybody = "all images"
    means = {}
    for label, of_model in maps.items():
        shares = attention.normalised(of_model)
        defined = ~np.isnan(shares).any(axis=(1, 2))
        undefined = np.full(shares.shape[1:], np.nan)
        of_groups = dict.fromkeys(counts, undefined) | mean_maps(shares[defined], groups[defined])
        means[label] = {everybody: shares[defined].mean(axis=0) if defined.any() else undefined} | of_groups
    return reference_difference_panel(
        means,
        {everybody: len(groups)} | counts,
        explanation.reference,
        f"Mean of the normalised maps, minus those of model {explanation.reference}",
        wording,
    )


def attention_figure(explanation: Explanation) -> Figure:
    """The share of attention on every region, by group and model, with intervals; hollow where images are few."""
    rows = _Rows.of(explanation, "by_group")
    figure = Figure(figsize=(3.4 * len(explanation.regions) + 1.6, rows.height + 1.5), layout="constrained")
    order = sorted(explanation.regions, key=lambda region: region != explanation.main_region)
    for axis, region in zip(figure.subplots(1, len(order), sharey=True, squeeze=False)[0], order, strict=True):
        rows.draw(axis, f"attention_{region}", "value")
        axis.axvline(explanation.areas[region], color="#777777", linestyle=":", linewidth=1.2)
        axis.set(xlim=(0, 1))
        axis.set_title(region, fontsize=10)
        axis.set_xlabel("share of attention", fontsize=8.5)
        for line in range(1, len(rows.groups)):
            axis.axhline(line - 0.5, color="#e6e6e6", linewidth=0.7)
    handles = rows.handles()
    handles.append(Line2D([], [], color="#777777", linestyle=":", label="the region's mean share of the image"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), fontsize=8)
    prior = f" ({CENTRE_PRIOR}, no masks)" if explanation.kind == CENTRE_PRIOR else ""
    figure.suptitle(
        f"Where {explanation.method} lies{prior}, mean and 95 % interval;\n"
        f"hollow: fewer than {explanation.min_support} images",
        fontsize=10,
    )
    return figure


def faithfulness_figure(explanation: Explanation) -> Figure:
    """Every score of each model's maps minus that of random maps, with bands, by group of gender and race."""
    rows = _Rows.of(explanation, "faithfulness")
    figure = Figure(figsize=(11, rows.height + 1.6), layout="constrained")
    for axis, (score, name) in zip(figure.subplots(1, len(SCORES), sharey=True), SCORES.items(), strict=True):
        rows.draw(axis, score, "difference")
        axis.axvline(0, color="#444444", linewidth=0.9)
        better = "right of 0 is better" if HIGHER_IS_BETTER[score] else "left of 0 is better"
        axis.set_title(f"{name}: {better}", fontsize=9.5)
        axis.set_xlabel("difference in probability", fontsize=8.5)
    handles = rows.handles()
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), fontsize=8)
    figure.suptitle(
        f"Faithfulness of {explanation.method} minus that of random maps, with bands that hold over the models",
        fontsize=10,
    )
    return figure


@dataclass(frozen=True)
class _Rows:
    """A row per group of gender and race, in which every model has a point with its interval."""

    table: pd.DataFrame
    groups: list[tuple[str, str]]
    labels: list[str]

    @classmethod
    def of(cls, explanation: Explanation, name: str) -> "_Rows":
        table = explanation.tables[name]
        table = table[table["attribute"].isin(["all", "gender", "race"])]
        groups = list(table[["attribute", "group"]].drop_duplicates().itertuples(index=False, name=None))
        return cls(table, groups, list(explanation.models))

    @property
    def height(self) -> float:
        """Inches."""
        return ROW * len(self.groups) * (len(self.labels) + 0.8)

    def draw(self, axis, measure: str, value: str) -> None:
        """One measure; value: the column of the point, between the columns lower and upper."""
        shown = self.table[self.table["measure"].eq(measure)].set_index(["attribute", "group", "model"])
        for line, (attribute, group) in enumerate(self.groups):
            for number, label in enumerate(self.labels):
                place = line + (number - (len(self.labels) - 1) / 2) * 0.8 / len(self.labels)
                _point(axis, shown.loc[(attribute, group, label)], value, place, PALETTE[number % len(PALETTE)])
        axis.set(ylim=(len(self.groups) - 0.5, -0.5), yticks=range(len(self.groups)))
        names = (group if name == "all" else f"{name_of(name)}: {group}" for name, group in self.groups)
        axis.set_yticklabels(names, fontsize=8)
        axis.tick_params(axis="x", labelsize=7.5)
        axis.grid(axis="x", **GRID)

    def handles(self) -> list[Line2D]:
        """Of the legend, one a model."""
        return [
            Line2D([], [], marker="o", linestyle="", color=PALETTE[number % len(PALETTE)], label=f"model {label}")
            for number, label in enumerate(self.labels)
        ]


def _point(axis, row: pd.Series, value: str, place: float, colour: str) -> None:
    if not np.isfinite(row[value]):
        return
    axis.hlines(place, row["lower"], row["upper"], color=colour, linewidth=1.3)
    fill = colour if row.get("evidence", SUFFICIENT) == SUFFICIENT else "white"
    axis.scatter(row[value], place, s=18, facecolor=fill, edgecolor=colour, zorder=3)


def randomisation_figure(explanation: Explanation) -> Figure:
    """Rank correlation of the maps with those of ever more randomised networks, one line a model."""
    table = explanation.tables["similarity"]
    parts = list(dict.fromkeys(table["randomised"]))
    figure = Figure(figsize=(max(6.5, 1.25 * len(parts) + 2), 4.0), layout="constrained")
    axis = figure.subplots()
    labels = list(explanation.models)
    for number, label in enumerate(labels):
        rows = table[table["model"].eq(label)].set_index("randomised").loc[parts]
        colour = PALETTE[number % len(PALETTE)]
        places = np.arange(len(parts)) + (number - (len(labels) - 1) / 2) * 0.5 / len(labels)
        axis.vlines(places, rows["lower"], rows["upper"], color=colour, linewidth=1.3)
        axis.plot(
            places, rows["similarity"], color=colour, marker="o", markersize=4, linewidth=1, label=f"model {label}"
        )
    axis.axhline(THRESHOLD, color="#b42318", linestyle="--", linewidth=1)
    axis.text(len(parts) - 0.5, THRESHOLD + 0.02, "above: flagged", color="#b42318", fontsize=8, ha="right")
    axis.axhline(0, color="#777777", linewidth=0.8)
    steps = [part if part in ("head", "everything") else f"down to {part}" for part in parts]
    axis.set(xticks=range(len(parts)), xlim=(-0.5, len(parts) - 0.4), ylim=(-0.5, 1.05))
    axis.set_xticklabels(steps, fontsize=8.5)
    axis.set_xlabel("weights that were randomised", fontsize=9)
    axis.set_ylabel("rank correlation with the\nmodel's own maps", fontsize=9)
    axis.set_title("Maps after weights were randomised: near 0 is as it should be", fontsize=10)
    axis.legend(fontsize=8)
    axis.grid(axis="y", **GRID)
    return figure
