"""Shapes as (count, 2) arrays of points: smooth curves, brush strokes, mirror images."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_TURN = np.linspace(0, 2 * np.pi, 24, endpoint=False)
CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)  # (24, 2), of radius 1


def mirrored(points: np.ndarray) -> np.ndarray:
    """The points on the other side of the face, in reverse order, so that outlines stay closed."""
    return points[::-1] * (-1.0, 1.0)


def both(points: np.ndarray) -> list[np.ndarray]:
    """The points and their mirror image."""
    return [points, mirrored(points)]


def curve(points: Sequence | np.ndarray, samples: int = 24, closed: bool = False) -> np.ndarray:
    """(samples, 2) points on the smooth curve through the control points."""
    return _spline_basis(len(points), samples, closed) @ np.array(points)


def ribbon(line: np.ndarray, width: float, taper: float = 1.0, peak: float = 0.5) -> np.ndarray:
    """The outline of a brush stroke along `line`, widest at `peak`, thinned to (1 - taper) at its ends."""
    tangent = np.empty_like(line)
    tangent[1:-1] = line[2:] - line[:-2]
    tangent[0], tangent[-1] = line[1] - line[0], line[-1] - line[-2]
    length = np.sqrt(tangent[:, :1] ** 2 + tangent[:, 1:] ** 2) + 1e-9
    reach = tangent[:, ::-1] * (-1.0, 1.0) / length * (stroke_profile(len(line), taper, peak) * width)
    return np.concatenate([line + reach, (line - reach)[::-1]])


@lru_cache(maxsize=64)
def stroke_profile(samples: int, taper: float, peak: float) -> np.ndarray:
    """(samples, 1) half widths along a stroke of width 1, widest at `peak`."""
    along = np.linspace(0, 1, samples)
    rise = np.minimum(along / peak, (1 - along) / (1 - peak))
    return (1 - taper * (1 - np.sqrt(rise)))[:, None] / 2


@lru_cache(maxsize=64)
def _spline_basis(count: int, samples: int, closed: bool) -> np.ndarray:
    """(samples, count) weights of a uniform Catmull-Rom spline through `count` control points."""
    position = np.linspace(0, count if closed else count - 1, samples, endpoint=not closed)
    segment = np.minimum(position.astype(int), count - 1 if closed else count - 2)
    rest = position - segment
    weights = (
        -rest + 2 * rest**2 - rest**3,
        2 - 5 * rest**2 + 3 * rest**3,
        rest + 4 * rest**2 - 3 * rest**3,
        rest**3 - rest**2,
    )
    basis = np.zeros((samples, count))
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        index = (segment + offset) % count if closed else np.clip(segment + offset, 0, count - 1)
        np.add.at(basis, (np.arange(samples), index), weight / 2)
    return basis
