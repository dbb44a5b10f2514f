"""Pictures of saliency maps: the contact sheet of single images, and the mean map per group."""

import itertools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure

from fairprof.reporting.chart import LETTERS, drawn, largest_of, left_out
from fairprof.reporting.style import INK, LARGE, NORMAL, RIGHT, SMALL, TINY, UNKNOWN, WRONG, Ticks
from fairprof.reporting.wording import UNDEFINED, counted
from fairprof.saliency.outline import FacePlace, draw_outline

SIDE_BY_SIDE_IMAGES = 8  # of which a run keeps the pixels with its maps, and which a comparison shows
EDGE, SMALL_EDGE = 1.35, 1.3  # inches of an image in a panel, and of one among many
CAPTION = 16  # letters of a name beside another
ALL_IMAGES = None  # where a group is asked for; no name is it
MOST_COLUMNS = 16  # of groups in a panel
LINE = 0.13  # inches a line of a caption
BAR, LONGEST_BAR = 0.9, 3.5  # inches for a colour bar beside pictures, and of its length
COLOURS = matplotlib.colormaps["inferno"]
OVERLAY = 0.7  # share of the map where it is strongest; where there is nothing, all of the image is left
LAID_OVER = ListedColormap([(*COLOURS(strength)[:3], OVERLAY * strength) for strength in np.linspace(0, 1, 256)])
SIGNED = matplotlib.colormaps["RdBu_r"].with_extremes(bad=UNKNOWN)
MEANS = COLOURS.with_extremes(bad=UNKNOWN)
OUTLINE = (140, 255, 235)  # of regions; no colour of a map or a face
ON_MEANS, ON_DIFFERENCES = "#e8f6f3", "#5f6b7a"  # the outline of a face, over the colours of each


def overlay(pixels: np.ndarray, saliency: np.ndarray, largest: float) -> np.ndarray:
    """An image with its map laid over it, (S, S, 3) uint8: the stronger the map, the less of the image is left, and
    where it is 0 all of it.

    pixels: (S, S, 3) uint8. saliency: (h, w) float, >= 0, shown on the scale 0 to `largest`, which its square root
    takes in equal steps: maps of one sheet differ in strength by a hundred times, and where the weak ones lie is to be
    seen as well.
    """
    size = pixels.shape[0]
    strength = cv2.resize(saliency.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC).clip(0)
    strength = np.sqrt(strength / largest).clip(0, 1) if largest > 0 else np.zeros_like(strength)
    share = OVERLAY * strength[..., None]
    return ((1 - share) * pixels + share * 255 * COLOURS(strength)[..., :3]).round().astype(np.uint8)


def looked_at(layer: str, maps: np.ndarray) -> str:
    """ "at layer4.2, 7 x 7 fields": where in the network maps (..., h, w) come from, and how coarse they are."""
    return f"at {layer}, {maps.shape[-2]} x {maps.shape[-1]} fields"


def contact_sheet(rows: pd.DataFrame, pixels: np.ndarray, maps: np.ndarray, title: str, layer: str) -> Figure:
    """Every image above its Grad-CAM overlay, captioned with group, true and predicted class, on one colour scale.

    rows: a predictions table's rows. pixels: (N, S, S, 3) uint8. maps: (N, h, w) raw, of the block at the path `layer`.
    """
    columns = min(8, len(rows))
    shown = list(rows.itertuples(index=False))
    above, below = [_of_whom(row) for row in shown], [_answered(row) for row in shown]
    caption = _height_of([*above, *below])
    figure, axes = _fixed_grid(
        2 * -(-len(rows) // columns),
        columns,
        SMALL_EDGE,
        below=caption,
        margins=(0.1, BAR, 0.05 - caption, 0.5 + caption),
    )
    largest = _strong(maps)
    for place, row in enumerate(shown):
        line, column = divmod(place, columns)
        image, explained = axes[2 * line, column], axes[2 * line + 1, column]
        image.imshow(pixels[place], interpolation="bicubic")
        image.set_title(above[place], fontsize=TINY)
        explained.imshow(overlay(_enlarged(pixels[place]), maps[place], largest))
        explained.set_title(below[place], fontsize=TINY, color=RIGHT if row.y_true == row.y_pred else WRONG)
    _bar_of_overlays(figure, maps, "Grad-CAM (logit units)")
    _entitled(
        figure,
        f"{title}\nbelow each image: Grad-CAM {looked_at(layer, maps)}, for the predicted class; "
        "true class, then predicted class",
    )
    return figure


def _strong(maps: np.ndarray) -> float:
    """What maps (..., h, w) of single images are shown up to: what a tenth of the images exceed somewhere is as strong
    as can be."""
    return float(np.quantile(maps.max(axis=(-2, -1)), 0.9))


def _bar_of_overlays(figure: Figure, maps: np.ndarray, label: str) -> None:
    """The colour bar of overlays, which stand on white here, up to `_strong`."""
    scale = ScalarMappable(PowerNorm(0.5, 0, _strong(maps) or 1), LAID_OVER)
    _colour_bar(figure, scale, f"{label}, over white", 0.15, 0.7, extend="max" if maps.max() > _strong(maps) else None)


def _of_whom(row: Any) -> str:
    """Group and age of a predictions table's row, a line each."""
    gender, race = (drawn(name, CAPTION) for name in (row.gender, row.race))
    labels = [f"{gender}, {race}", row.age] if isinstance(row.age, str) else [gender, race]
    return _in_lines(labels, SMALL_EDGE)


def _answered(row: Any) -> str:
    """True and predicted class of a predictions table's row, a line each."""
    return _in_lines([drawn(row.y_true), f"{'=' if row.y_true == row.y_pred else '→'} {drawn(row.y_pred)}"], SMALL_EDGE)


def _in_lines(texts: Iterable[str], edge: float) -> str:
    """Texts below each other, in lines that are no wider than a picture of `edge` inches."""
    return "\n".join(textwrap.fill(text, int(edge * 17)) for text in texts)


def _height_of(captions: Iterable[str]) -> float:
    """Inches that the longest of these captions needs above a picture."""
    return LINE * (1 + max(caption.count("\n") + 1 for caption in captions))


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """At least 224 pixels, so that a coarse map is drawn smoothly over a small image."""
    return cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_CUBIC) if pixels.shape[0] < 224 else pixels


def mean_map_panel(
    means: dict[str, dict[str, np.ndarray]],
    counts: dict[str, dict[str, int]],
    place: FacePlace | None,
    title: str,
    layer: str,
) -> Figure:
    """A row per attribute, a column per group: the group's mean raw map, on one colour scale, under the outline of a
    face that is the same for all; of many groups only the largest.

    means: attribute -> group -> (h, w), of the block at the path `layer`. counts: images behind each. place: where
    faces are in the images, of `face_place`.
    """
    there = sum(map(len, means.values()))
    means = {
        attribute: {name: groups[name] for name in largest_of(pd.Series(counts[attribute])[list(groups)], MOST_COLUMNS)}
        for attribute, groups in means.items()
    }
    columns = max(len(groups) for groups in means.values())
    edge = float(np.clip(10.6 / columns - 0.08, 0.92, EDGE))
    headings = {
        attribute: {
            name: f"{heading}\n{counted(counts[attribute][name], 'image')}"
            for name, heading in zip(groups, _headings(list(groups), edge).values(), strict=True)
        }
        for attribute, groups in means.items()
    }
    caption = _height_of(heading for of_groups in headings.values() for heading in of_groups.values())
    figure, axes = _fixed_grid(
        len(means), columns, edge, below=caption, margins=(0.1, 1.2, 0.05 - caption, 0.5 + caption)
    )
    scale = Normalize(0, _largest(means))
    for line, (attribute, groups) in zip(axes, means.items(), strict=True):
        for axis, (name, mean) in zip(line, groups.items(), strict=False):
            _shown_map(axis, mean, MEANS, scale, place, ON_MEANS)
            axis.set_title(headings[attribute][name], fontsize=TINY)
    _colour_bar(figure, ScalarMappable(scale, COLOURS), "mean Grad-CAM (logit units)", 0.15, 0.6)
    left = left_out(sum(map(len, means.values())), there, "groups")
    at = looked_at(layer, next(iter(next(iter(means.values())).values())))
    _entitled(figure, f"{title}{left}\n{at}; {outlined(place)}")
    return figure


def outlined(place: FacePlace | None) -> str:
    """What a title says of the outline."""
    return (
        "the outline is drawn where faces are on average"
        if place is not None
        else "without an outline: faces have no place in common"
    )


def _shown_map(
    axis: Axes, values: np.ndarray, colours: Any, scale: Normalize, place: FacePlace | None, outline: str
) -> None:
    axis.imshow(values, colours, norm=scale, interpolation="bilinear")
    if place is not None:
        draw_outline(axis, place, outline)


@dataclass(frozen=True)
class Wording:
    """How a panel calls what it shows. compared: what the columns or rows are, design or model. method: of the maps.
    unit: of their values. explained: the class, predicted or true; "" where maps are the same for all. at: of
    `looked_at`."""

    compared: str = "design"
    method: str = "Grad-CAM"
    unit: str = "logit units"
    explained: str = "predicted"
    at: str = ""

    @property
    def maps(self) -> str:
        """The method, and where it looks."""
        return f"{self.method} {self.at}".rstrip()


OF_DESIGNS = Wording()


def side_by_side_panel(
    predictions: dict[str, pd.DataFrame],
    pixels: np.ndarray,
    maps: dict[str, np.ndarray],
    title: str,
    wording: Wording = OF_DESIGNS,
    masks: np.ndarray | None = None,
) -> Figure:
    """A row per image: the image, then the overlay of every design, all on one colour scale.

    predictions: design to the predictions of the same images, in the same order. pixels: (N, S, S, 3) uint8. maps:
    design to (N, h, w) raw maps for the class that is explained, >= 0. masks: (N, S, S) int, regions whose outlines
    are drawn. Below an overlay stands what the design predicted, with a tick where that is the true class and a cross
    where it is not.

    Raises `ValueError` where the designs' images differ.
    """
    designs = sorted(predictions)
    first = predictions[designs[0]]
    for design in designs[1:]:
        if list(predictions[design]["image"]) != list(first["image"]):
            raise ValueError(f"designs {designs[0]} and {design} show other images; give predictions of the same ones")
    captions = [_wrapped(f"true: {drawn(true, 3 * LETTERS)}") for true in first["y_true"]]
    heights = LINE * (2 + max(caption.count("\n") for caption in captions))
    figure, axes = _fixed_grid(len(first), 1 + len(designs), EDGE, below=heights + 0.08, margins=(0.15, BAR, 0.1, 0.75))
    everything = np.concatenate([maps[design] for design in designs])
    largest = _strong(everything)
    for place, (line, row) in enumerate(zip(axes, first.itertuples(index=False), strict=True)):
        age = f", {row.age}" if isinstance(row.age, str) else ""
        mask = None if masks is None else masks[place]
        line[0].imshow(
            pixels[place] if mask is None else _outlined(_enlarged(pixels[place]), mask), interpolation="bicubic"
        )
        _caption(line[0], f"{drawn(row.gender, CAPTION)}, {drawn(row.race, CAPTION)}{age}\n{captions[place]}")
        for axis, design in zip(line[1:], designs, strict=True):
            predicted = predictions[design]["y_pred"].iloc[place]
            right = predicted == row.y_true
            axis.imshow(_outlined(overlay(_enlarged(pixels[place]), maps[design][place], largest), mask))
            answer = f"{'✓' if right else '✗'} {drawn(predicted, 3 * LETTERS)}"
            _caption(axis, _wrapped(answer), RIGHT if right else WRONG)
    for axis, heading in zip(axes[0], ["image", *(f"{wording.compared} {design}" for design in designs)], strict=True):
        axis.set_title(heading, fontsize=NORMAL, fontweight="bold")
    _bar_of_overlays(figure, everything, f"{wording.method} ({wording.unit})")
    of_class = f", for the {wording.explained} class" if wording.explained else ""
    _entitled(figure, f"{title}\n{wording.maps}{of_class}; ✓ is right, ✗ is wrong")
    return figure


def _outlined(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The image, (S, S, 3) uint8, with a light line where regions meet."""
    if mask is None:
        return image
    size = image.shape[0]
    regions = cv2.resize(mask.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
    edge = cv2.morphologyEx(regions, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    return np.where(edge[..., None], np.array(OUTLINE, np.uint8), image)


def mean_map_difference_panel(
    mean_maps: dict[str, dict[str, np.ndarray]],
    counts: dict[str, int],
    place: FacePlace | None,
    title: str,
    wording: Wording = OF_DESIGNS,
) -> Figure:
    """Two rows per design, a column per group: the group's mean raw map, and its difference from all other images.

    mean_maps: design to group to (h, w). counts: group to the images behind its maps, in the order of the columns.
    The difference is signed: the group's mean minus the mean over the images of all the other groups, in the maps'
    units. All means share one scale from 0, all differences one that is symmetric about 0. What is undefined, because
    a group has no images or there is no other group, is grey. Of many groups only the largest have a column. place:
    where faces are in the images, of `face_place`; the outline of a face lies there over every map.
    """
    designs, groups = sorted(mean_maps), largest_of(pd.Series(counts), MOST_COLUMNS)
    differences = {design: _from_the_others(mean_maps[design], counts) for design in designs}
    scales = (
        (mean_maps, MEANS, Normalize(0, _largest(mean_maps)), ON_MEANS),
        (differences, SIGNED, Normalize(-_largest(differences), _largest(differences)), ON_DIFFERENCES),
    )
    edge = float(np.clip(8.4 / len(groups) - 0.1, 0.62, 1.2))
    names = _headings(groups, edge)
    top = 0.85 + LINE * (1 + max(name.count("\n") + 1 for name in names.values()))
    figure, axes = _fixed_grid(2 * len(designs), len(groups), edge, below=0.02, margins=(1.1, 1.2, 0.1, top))
    for number, (design, row) in enumerate(itertools.product(designs, range(2))):
        maps, colours, scale, outline = scales[row]
        for axis, group in zip(axes[number], groups, strict=True):
            undefined = np.isnan(maps[design][group]).all()
            _shown_map(axis, maps[design][group], colours, scale, None if undefined else place, outline)
            if undefined:
                axis.text(0.5, 0.5, UNDEFINED, transform=axis.transAxes, ha="center", va="center", fontsize=TINY)
        name = f"{wording.compared} {design}\n{('mean map', 'minus all others')[row]}"
        _beside(axes[number, 0], name)
    for axis, group in zip(axes[0], groups, strict=True):
        axis.set_title(f"{names[group]}\n{counted(counts[group], 'image')}", fontsize=TINY)
    for (_, colours, scale, _), label, bottom in zip(
        scales, (f"mean {wording.method}", "difference"), (0.5, 0.05), strict=True
    ):
        _colour_bar(figure, ScalarMappable(scale, colours), f"{label} ({wording.unit})", bottom, 0.33)
    title += left_out(len(groups), len(counts), "groups")
    _entitled(
        figure,
        f"{title}\nbelow each: red is stronger than in the images of all other groups, blue is weaker\n"
        f"{wording.at}; {outlined(place)}".replace("\n; ", "\n"),
    )
    return figure


def reference_difference_panel(
    mean_maps: dict[str, dict[str | None, np.ndarray]],
    counts: dict[str | None, int],
    reference: str,
    place: FacePlace | None,
    title: str,
    wording: Wording = OF_DESIGNS,
) -> Figure:
    """A row per model but the reference, a column per group: the model's mean map minus the reference's, on one colour
    scale that is symmetric about 0.

    mean_maps: model to group to (h, w), the mean of *normalised* maps, whose fields sum to 1: otherwise a model with
    larger logits would be stronger everywhere. Differences are in percentage points of the attention. counts: group to
    its images. ALL_IMAGES may stand in place of a group. Of many groups only the largest have a column. place: where
    faces are in the images, of `face_place`.
    """
    others = [model for model in sorted(mean_maps) if model != reference]
    differences = {
        model: {group: 100 * (mean_maps[model][group] - mean_maps[reference][group]) for group in counts}
        for model in others
    }
    named = {group: count for group, count in counts.items() if group is not ALL_IMAGES}
    shown = largest_of(pd.Series(named), MOST_COLUMNS)
    groups: list[str | None] = [*(group for group in counts if group is ALL_IMAGES), *shown]
    edge = float(np.clip(8.4 / len(groups) - 0.1, 0.62, 1.2))
    names = _headings(groups, edge)
    top = 0.65 + LINE * (1 + max(name.count("\n") + 1 for name in names.values()))
    figure, axes = _fixed_grid(len(others), len(groups), edge, below=0.02, margins=(1.1, 1.2, 0.1, top))
    scale = Normalize(-_largest(differences), _largest(differences))
    for line, model in zip(axes, others, strict=True):
        for axis, group in zip(line, groups, strict=True):
            _shown_map(axis, differences[model][group], SIGNED, scale, place, ON_DIFFERENCES)
        name = f"{wording.compared} {model}\nminus {reference}"
        _beside(line[0], name)
    for axis, group in zip(axes[0], groups, strict=True):
        axis.set_title(f"{names[group]}\n{counted(counts[group], 'image')}", fontsize=TINY)
    _colour_bar(figure, ScalarMappable(scale, SIGNED), "percentage points", 0.1, 0.6)
    title += left_out(len(shown), len(named), "groups")
    _entitled(
        figure,
        f"{title}\nin percentage points of the attention; red: more of it lies there than {wording.compared} "
        f"{reference}'s, blue: less",
    )
    return figure


def _from_the_others(means: dict[str, np.ndarray], counts: dict[str, int]) -> dict[str, np.ndarray]:
    """Group to its mean map minus the mean over the images of all other groups, (h, w); NaN where there are none."""
    differences = {}
    for group, count in counts.items():
        others = [other for other in counts if other != group and counts[other] > 0]
        if count == 0 or not others:
            differences[group] = np.full(means[group].shape, np.nan)
            continue
        rest = np.average([means[other] for other in others], axis=0, weights=[counts[other] for other in others])
        differences[group] = means[group] - rest
    return differences


def _largest(maps: Mapping[str, Mapping[Any, np.ndarray]]) -> float:
    """The largest absolute value that is defined; 1 where all are 0, since a scale needs two ends."""
    values = np.abs(np.concatenate([group.ravel() for design in maps.values() for group in design.values()]))
    return float(values.max(initial=0, where=np.isfinite(values))) or 1.0


def _headings(groups: Sequence[str | None], edge: float) -> dict[str | None, str]:
    """The name of every group in lines that are no wider than a picture of `edge` inches."""
    names = {group: "all images" if group is ALL_IMAGES else drawn(group, 3 * LETTERS) for group in groups}
    letters = int(edge * 17)
    return {group: textwrap.fill(name, letters, max_lines=8, placeholder=" …") for group, name in names.items()}


def _fixed_grid(
    lines: int, columns: int, edge: float, below: float, margins: tuple[float, float, float, float]
) -> tuple[Figure, np.ndarray]:
    """A figure and (lines, columns) axes of `edge` inches without frames: a layout that is computed takes seconds.

    below: inches for the caption of each. margins: left, right, bottom and top, in inches.
    """
    left, right, bottom, top = margins
    width = left + right + columns * (edge + 0.08)
    surplus = max(0.0, 9.2 - width)  # a title needs room
    width, height = width + surplus, top + bottom + lines * (edge + below + 0.06)
    figure = Figure(figsize=(width, height))
    axes = np.empty((lines, columns), dtype=object)
    for line, column in np.ndindex(lines, columns):
        x = left + surplus / 2 + column * (edge + 0.08)
        y = height - top - line * (edge + below + 0.06) - edge
        axis = figure.add_axes((x / width, y / height, edge / width, edge / height), xticks=[], yticks=[])
        axis.axis("off")
        axes[line, column] = axis
    return figure, axes


def _colour_bar(
    figure: Figure, scale: ScalarMappable, label: str, bottom: float, height: float, extend: Any = None
) -> None:
    """A colour bar at the right of a figure; bottom, height: as shares of its height, at most LONGEST_BAR."""
    width, top = figure.get_figwidth(), bottom + height
    height = min(height, LONGEST_BAR / figure.get_figheight())
    axis = figure.add_axes((1 - 0.75 / width, top - height, 0.13 / width, height))
    bar = figure.colorbar(scale, cax=axis, format=Ticks(), extend=extend)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=TINY)


def _entitled(figure: Figure, title: str) -> None:
    figure.suptitle(title, fontsize=LARGE, y=1 - 0.1 / figure.get_figheight(), va="top")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, int(19 * EDGE), max_lines=3, placeholder=" …")


def _beside(axis: Axes, text: str) -> None:
    axis.text(-0.08, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=SMALL)


def _caption(axis: Axes, text: str, colour: str = INK) -> None:
    axis.text(0.5, -0.03, text, transform=axis.transAxes, ha="center", va="top", fontsize=TINY, color=colour)
