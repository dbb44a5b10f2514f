"""A drawing of a face, ours and nobody's, laid where faces are in images: what mean maps are shown under, so that no
skin shines through them."""

from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

SEEN = 64  # pixels of an edge at which faces are looked for
EYES_APART = np.arange(0.16, 0.56, 0.02)  # as shares of the image's edge
FROM_THE_MIDDLE = 0.15  # of the image, at most, is the point between the eyes beside its middle
MOST_IMAGES = 64  # of which the edges are averaged: more change nothing
LEAST_LIKENESS = 0.35  # correlation of edges with those that the drawing has


@dataclass(frozen=True)
class FacePlace:
    """Where a face is: the point between the eyes, and how far they are apart, all as shares of the image's edge."""

    x: float
    y: float
    eyes_apart: float


def face_place(pixels: np.ndarray) -> FacePlace | None:
    """Where faces are on average in images, (N, S, S, 3) uint8; None where they have no place in common.

    The mean strength of edges, at which no single face is left, is compared with that of the drawing at every place and
    size: features lie alike in all faces, wherever a data set has them.
    """
    edges = np.mean([_edges(picture) for picture in pixels[:MOST_IMAGES]], axis=0)
    found = max((_likeness(edges, eyes_apart) for eyes_apart in EYES_APART), key=lambda one: one[0])
    return found[1] if found[0] >= LEAST_LIKENESS else None


def _edges(picture: np.ndarray) -> np.ndarray:
    """(SEEN, SEEN) float32: how strongly brightness changes, relative to the strongest change in this picture."""
    grey = cv2.cvtColor(cv2.resize(picture, (SEEN, SEEN), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength = cv2.magnitude(across, down)
    return strength / max(float(strength.max()), 1.0)


def _likeness(edges: np.ndarray, eyes_apart: float) -> tuple[float, FacePlace]:
    """The largest correlation of edges with eyes, brows, nose and mouth of a drawing of this size, and its place."""
    half_width, above, below = 0.9, 0.55, 1.3  # of the features, in distances of the eyes
    scale = eyes_apart * SEEN
    drawing = np.zeros((round((above + below) * scale), round(2 * half_width * scale)), np.float32)
    for stroke in FEATURES:
        points = np.round((stroke + (half_width, above)) * scale * 16).astype(np.int32)
        cv2.polylines(drawing, [points], False, 1.0, thickness=max(1, round(0.07 * scale)), shift=4)
    if drawing.shape[0] > SEEN or drawing.shape[1] > SEEN:
        return -1.0, FacePlace(0.5, 0.5, eyes_apart)
    expected = cv2.GaussianBlur(drawing, (0, 0), 0.08 * scale)
    likeness = cv2.matchTemplate(edges, expected, cv2.TM_CCOEFF_NORMED)
    middles = (np.arange(likeness.shape[1]) + half_width * scale) / SEEN
    likeness[:, np.abs(middles - 0.5) > FROM_THE_MIDDLE] = -1.0
    line, column = np.unravel_index(likeness.argmax(), likeness.shape)
    place = FacePlace(float(middles[column]), float((line + above * scale) / SEEN), float(eyes_apart))
    return float(likeness[line, column]), place


def draw_outline(axis: Axes, place: FacePlace, colour: str) -> None:
    """Draws the face over an image that fills the axis."""
    strokes = [stroke * place.eyes_apart + (place.x, place.y) for stroke in (*FEATURES, *HEAD)]
    for points in strokes:
        points[:, 1] = 1 - points[:, 1]
    axis.add_collection(
        LineCollection(strokes, colors=colour, linewidths=0.7, transform=axis.transAxes, zorder=3), autolim=False
    )


# The drawing: strokes, (points, 2), from the point between the eyes, right and down, in distances of the eyes.


def _arc(x: float, y: float, width: float, height: float, start: float, stop: float) -> np.ndarray:
    """Points of an ellipse with these half axes, between two angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, 25))
    return np.column_stack([x + width * np.cos(angles), y + height * np.sin(angles)])


FEATURES = (
    *(_arc(side * 0.5, 0, 0.21, 0.1, 0, 360) for side in (-1, 1)),
    *(_arc(side * 0.5, -0.08, 0.3, 0.22, 205, 335) for side in (-1, 1)),
    np.array([(-0.08, 0.1), (-0.1, 0.42), (-0.2, 0.6), (0, 0.68), (0.2, 0.6)]),
    _arc(0, 0.97, 0.37, 0.1, 0, 180),
    _arc(0, 0.97, 0.37, 0.06, 180, 360),
)
HEAD = (_arc(0, 0.12, 1.07, 1.35, 0, 360),)
