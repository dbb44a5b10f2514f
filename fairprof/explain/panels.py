"""Pictures of saliency maps: the contact sheet of single images, and the mean map per group."""

import cv2
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

CELL = 1.75  # inches an image in a panel
COLOURS = matplotlib.colormaps["inferno"]
OVERLAY = 0.5  # share of the map where it is strongest


def overlay(pixels: np.ndarray, saliency: np.ndarray, largest: float) -> np.ndarray:
    """An image with its map laid over it, (S, S, 3) uint8: the stronger the map, the less of the image is left.

    pixels: (S, S, 3) uint8. saliency: (h, w) float, >= 0, shown on the scale 0 to `largest`.
    """
    size = pixels.shape[0]
    strength = cv2.resize(saliency.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC).clip(0)
    strength = (strength / largest).clip(0, 1) if largest > 0 else np.zeros_like(strength)
    share = OVERLAY * np.sqrt(strength)[..., None]
    return ((1 - share) * pixels + share * 255 * COLOURS(strength)[..., :3]).round().astype(np.uint8)


def contact_sheet(rows: pd.DataFrame, pixels: np.ndarray, maps: np.ndarray, title: str) -> Figure:
    """Every image above its Grad-CAM overlay, captioned with group, true and predicted class, on one colour scale.

    rows: a predictions table's rows. pixels: (N, S, S, 3) uint8. maps: (N, h, w) raw.
    """
    columns = min(8, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(CELL * columns, (2 * CELL + 0.75) * lines + 0.7), layout="constrained")
    axes = np.atleast_2d(figure.subplots(2 * lines, columns, squeeze=False))
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])  # laid out even where they are not shown, which takes seconds
        axis.axis("off")
    largest = float(np.quantile(maps, 0.995))
    for place, row in enumerate(rows.itertuples(index=False)):
        line, column = divmod(place, columns)
        above, below = axes[2 * line, column], axes[2 * line + 1, column]
        above.imshow(pixels[place], interpolation="lanczos")
        above.set_title(
            f"{row.gender}, {row.race}\n{row.age}" if isinstance(row.age, str) else f"{row.gender}\n{row.race}",
            fontsize=7.5,
        )
        below.imshow(overlay(_enlarged(pixels[place]), maps[place], largest))
        right = row.y_true == row.y_pred
        below.set_title(
            f"{row.y_true}\n{'=' if right else '→'} {row.y_pred}", fontsize=7.5, color="#1a7f37" if right else "#b42318"
        )
    figure.suptitle(
        f"{title}\nbelow each image: Grad-CAM for the predicted class; true class, then predicted class", fontsize=10
    )
    return figure


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """At least 224 pixels, so that a coarse map is drawn smoothly over a small image."""
    return cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_CUBIC) if pixels.shape[0] < 224 else pixels


def mean_map_panel(
    means: dict[str, dict[str, np.ndarray]],
    counts: dict[str, dict[str, int]],
    faces: dict[str, dict[str, np.ndarray]],
    title: str,
) -> Figure:
    """A row per attribute, a column per group: the group's mean raw map over its mean image, on one colour scale.

    means: attribute -> group -> (h, w). counts: images behind each. faces: mean images, (S, S, 3) uint8.
    """
    columns = max(len(groups) for groups in means.values())
    figure = Figure(figsize=(max(CELL * columns * 1.15, 6.0), (CELL + 0.65) * len(means) + 0.6), layout="constrained")
    axes = figure.subplots(len(means), columns, squeeze=False)
    largest = max(float(group.max()) for groups in means.values() for group in groups.values())
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.axis("off")
    for line, (attribute, groups) in zip(axes, means.items(), strict=True):
        for axis, (name, mean) in zip(line, groups.items(), strict=False):
            axis.imshow(overlay(_enlarged(faces[attribute][name]), mean, largest))
            axis.set_title(f"{name}\n{counts[attribute][name]} images", fontsize=7.5)
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, largest), COLOURS)
    figure.colorbar(scale, ax=axes, shrink=0.7, label="mean Grad-CAM (logit units)")
    figure.suptitle(title, fontsize=10)
    return figure
