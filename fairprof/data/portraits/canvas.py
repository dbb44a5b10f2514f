"""The painter's kit: a picture with its regions, on which outlines are filled, blurred, glazed and engraved.

Smooth shading is computed on a coarse grid and enlarged, crisp shapes are antialiased polygons; that keeps a
portrait at a few milliseconds.
"""

from itertools import accumulate

import cv2
import numpy as np

from fairprof.data.portraits.looks import Looks

REGIONS = ("background", "face", "hair")  # value in the mask is the index here
BACKGROUND, FACE, HAIR = range(len(REGIONS))

COARSE_SIDE = 64  # side of the grid on which smooth shading is computed
SUBPIXEL_BITS = 4  # OpenCV's fixed-point polygon coordinates
SUBPIXEL = 1 << SUBPIXEL_BITS
Window = tuple[slice, slice]  # rows and columns of the picture


class Canvas:
    """A square RGB picture with its region mask, addressed in head coordinates."""

    def __init__(self, side: int, looks: Looks):
        self.side = side
        self.image = np.zeros((side, side, 3), np.uint8)
        self.regions = np.zeros((side, side), np.uint8)
        self.unit = looks.scale * side
        cosine, sine = np.cos(looks.tilt), np.sin(looks.tilt)
        # Head coordinates to fixed-point pixels, in which a pixel's centre is a whole number.
        self._matrix = np.array([[cosine, sine], [-sine, cosine]]) * self.unit * SUBPIXEL
        self._offset = (np.array(looks.centre) * side - 0.5) * SUBPIXEL
        frame = ((np.arange(COARSE_SIDE) + 0.5) / COARSE_SIDE).astype(np.float32)
        self.frame_x, self.frame_y = np.meshgrid(frame, frame)
        offset_x = (self.frame_x - looks.centre[0]) / looks.scale
        offset_y = (self.frame_y - looks.centre[1]) / looks.scale
        # Smooth shading is a function of these (64, 64) head coordinates.
        self.x = (cosine * offset_x + sine * offset_y).astype(np.float32)
        self.y = (cosine * offset_y - sine * offset_x).astype(np.float32)

    def glow(self, x: float, y: float, width: float, height: float) -> np.ndarray:
        """(64, 64) float32 soft spot, 1 at (x, y)."""
        return np.exp(-(((self.x - x) / width) ** 2) - ((self.y - y) / height) ** 2)

    def pair(self, x: float, y: float, width: float, height: float) -> np.ndarray:
        """(64, 64) float32 two soft spots, mirror images of each other."""
        return np.exp(-(((np.abs(self.x) - x) / width) ** 2) - ((self.y - y) / height) ** 2)

    def flat(self, colour: np.ndarray) -> np.ndarray:
        """(64, 64, 3) float32 coarse paint of one colour, to be shaded."""
        return np.broadcast_to(colour, (COARSE_SIDE, COARSE_SIDE, 3)).astype(np.float32)

    def coarse_mask(self, outlines: list[np.ndarray], blur: float) -> np.ndarray:
        """(64, 64) float32 in 0..1, the outlines filled and blurred: a cast shadow."""
        mask = np.zeros((COARSE_SIDE, COARSE_SIDE), np.uint8)
        for outline in outlines:
            _fill(mask, (self._fixed(outline) * (COARSE_SIDE / self.side)).astype(np.int32), 255)
        return cv2.GaussianBlur(mask, (0, 0), blur).astype(np.float32) / 255

    def enlarge(self, paint: np.ndarray) -> np.ndarray:
        """A coarse (64, 64, 3) float paint as (side, side, 3) uint8."""
        coarse = np.clip(paint, 0, 255).astype(np.uint8)
        return cv2.resize(coarse, (self.side, self.side), interpolation=cv2.INTER_LINEAR)

    def lay(
        self, paint: np.ndarray, outlines: list[np.ndarray], region: int, opacity: float = 1.0, blur: float = 0.0
    ) -> None:
        """Blends a (side, side, 3) uint8 paint through the union of the outlines and marks their region."""
        mask, window = self._mask(outlines, blur)
        self.regions[window][mask > 127] = region
        self._blend(paint[window], mask, window, opacity)

    def fill(self, outlines: list[np.ndarray], colour: np.ndarray, opacity: float = 1.0, blur: float = 0.0) -> None:
        """Glazes one flat colour through the outlines, their edges softened by `blur` (head units)."""
        if blur:
            mask, window = self._mask(outlines, blur)
            self._blend(np.full((*mask.shape, 3), _channels(colour), np.uint8), mask, window, opacity)
        else:
            self.fill_inside([], [(outline, colour) for outline in outlines], opacity)

    def fill_inside(
        self, clips: list[np.ndarray], shapes: list[tuple[np.ndarray, np.ndarray]], opacity: float = 1.0
    ) -> None:
        """Paints (outline, colour) shapes over each other, seen only through the clips, if there are any."""
        if clips:
            mask, window = self._mask(clips)
            fixed, _ = self._placed([outline for outline, _ in shapes], window=window)
        else:
            fixed, window = self._placed([outline for outline, _ in shapes], margin=2)
        below = self.image[window]
        patch = below.copy()
        for outline, (_, colour) in zip(fixed, shapes, strict=True):
            _fill(patch, outline, _channels(colour))
        if clips:
            self._blend(patch, mask, window, opacity)
        elif patch.size:
            self.image[window] = cv2.addWeighted(patch, opacity, below, 1 - opacity, 0)

    def engrave(self, strokes: list[tuple[np.ndarray, float]], dark: np.ndarray, bright: np.ndarray) -> None:
        """Carves (outline, strength in 0..1) furrows: dark, each with a bright ridge below it."""
        fixed, window = self._placed([outline for outline, _ in strokes], margin=2 + int(0.07 * self.unit))
        mask: np.ndarray = np.zeros(self.regions[window].shape, np.uint8)
        for outline, (_, strength) in zip(fixed, strokes, strict=True):
            _fill(mask, outline, int(255 * strength))
        mask = cv2.GaussianBlur(mask, (0, 0), 0.010 * self.unit)
        ridge = np.zeros_like(mask)
        shift = max(1, round(0.035 * self.unit))
        ridge[shift:] = mask[:-shift]
        self._blend(np.full((*mask.shape, 3), _channels(bright), np.uint8), ridge, window, 0.5)
        self._blend(np.full((*mask.shape, 3), _channels(dark), np.uint8), mask, window, 0.85)

    def lines(self, paint: np.ndarray, lines: np.ndarray, colour: np.ndarray) -> None:
        """Draws (count, points, 2) fine lines into a paint."""
        thickness = max(1, round(self.side / 256))
        cv2.polylines(paint, list(self._fixed(lines)), False, _channels(colour), thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.rint(points @ self._matrix + self._offset).astype(np.int32)

    def _placed(
        self, outlines: list[np.ndarray], margin: int = 0, window: Window | None = None
    ) -> tuple[list[np.ndarray], Window]:
        """The outlines in fixed-point pixels of a window of the picture, by default the one holding them."""
        fixed = self._fixed(np.concatenate(outlines))
        if window is None:
            x, y, width, height = cv2.boundingRect(fixed)
            window = self._span(y, height, margin), self._span(x, width, margin)
        fixed -= np.array((window[1].start * SUBPIXEL, window[0].start * SUBPIXEL), np.int32)
        ends = list(accumulate(len(outline) for outline in outlines))
        return [fixed[start:end] for start, end in zip([0, *ends], ends, strict=False)], window

    def _span(self, start: int, length: int, margin: int) -> slice:
        low, high = start // SUBPIXEL - margin, (start + length) // SUBPIXEL + margin + 1
        return slice(min(max(low, 0), self.side), min(max(high, 0), self.side))

    def _mask(self, outlines: list[np.ndarray], blur: float = 0.0) -> tuple[np.ndarray, Window]:
        fixed, window = self._placed(outlines, margin=2 + int(3 * blur * self.unit))
        mask: np.ndarray = np.zeros(self.regions[window].shape, np.uint8)
        for outline in fixed:
            _fill(mask, outline, 255)
        if blur and mask.size:
            mask = cv2.GaussianBlur(mask, (0, 0), blur * self.unit)
        return mask, window

    def _blend(self, patch: np.ndarray, mask: np.ndarray, window: Window, opacity: float) -> None:
        if not mask.size:  # all of it fell outside the frame
            return
        weight = mask * np.float32(opacity / 255)
        self.image[window] = cv2.blendLinear(patch, self.image[window], weight, 1 - weight)


def tint(paint: np.ndarray, colour: np.ndarray, weight: np.ndarray) -> None:
    """Moves a coarse paint towards a colour, in place, by a (64, 64) weight."""
    paint += (colour - paint) * weight[..., None]


def _fill(picture: np.ndarray, fixed: np.ndarray, colour: int | tuple[int, int, int]) -> None:
    if picture.size:
        cv2.fillPoly(picture, [fixed], colour, cv2.LINE_AA, SUBPIXEL_BITS)


def _channels(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = colour.tolist()
    return min(max(int(red), 0), 255), min(max(int(green), 0), 255), min(max(int(blue), 0), 255)
