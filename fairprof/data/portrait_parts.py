"""How a generated portrait is painted: a small painter's kit on numpy and OpenCV, and the parts of a portrait.

Coordinates are those of the head: x to the viewer's right, y down, the skull's top at y = -1, the chin at
y = 1. Smooth shading is computed on a coarse grid and enlarged, crisp shapes are antialiased polygons; that is
what keeps a portrait at a few milliseconds. Nothing here draws a random number: chance is in `Looks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

BACKGROUND, FACE, HAIR = 0, 1, 2
COARSE_SIDE = 64            # side of the grid on which smooth shading is computed
SUBPIXEL_BITS = 4           # OpenCV's fixed-point polygon coordinates
SUBPIXEL = 1 << SUBPIXEL_BITS
SHEET_SAMPLES = 33          # points along each edge of a sheet of hair
STRAND_SAMPLES = 9          # points along a strand of hair
CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 25)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 25)[:-1])], 1)

BLACK = np.array([18, 14, 14], np.float32)
WHITE = np.array([255, 255, 255], np.float32)
SCLERA = np.array([244, 240, 236], np.float32)
ROSE = np.array([205, 84, 88], np.float32)
LIP_RED = np.array([176, 52, 66], np.float32)
WARM_SHADOW = np.array([96, 42, 34], np.float32)
GREY_HAIR = np.array([158, 157, 158], np.float32)
WHITE_HAIR = np.array([232, 231, 228], np.float32)


@dataclass(frozen=True)
class Hair:
    """A hair style: lengths in head units, `recession` and `wave` in 0..1, strands as (count,) arrays in 0..1."""

    volume: float
    sides: float
    hairline: float
    recession: float
    part: float
    locks: float
    back: float
    wave: float
    coils: bool
    tied: str               # "", "bun", "tails"
    top: float              # 1 a full cap, 0 a bare crown, between them thin hair
    colour: np.ndarray
    temple_colour: np.ndarray
    strand_grey: float
    strands: np.ndarray     # (count, 4) float


@dataclass(frozen=True)
class Looks:
    """All that is drawn of one person; lengths in head units, strengths in 0..1, colours (3,) float RGB."""

    centre: tuple[float, float]     # of the head, in frame sides
    scale: float                    # half the head's height, in frame sides
    tilt: float                     # radians
    light: float                    # -1 from the left .. 1 from the right
    width: float
    crown: float
    jaw: float
    chin: float
    eye_line: float
    eye_size: float
    eye_open: float
    eye_distance: float
    eye_slant: float
    iris: float
    nose_length: float
    nose_width: float
    mouth_line: float
    mouth_width: float
    lip_fullness: float
    lip_colour: float
    smile: float
    teeth: bool
    brow_thickness: float
    brow_height: float
    brow_arch: float
    lashes: float
    ear: float
    neck: float
    shoulders: float
    rosy: float
    wrinkles: float
    sag: float
    freckles: np.ndarray            # (count, 3) float: x, y, radius
    freckle_strength: float
    beard: str                      # "", "stubble", "moustache", "full"
    glasses: str                    # "", "round", "square"
    earrings: bool
    bow: bool
    necklace: bool
    garment: str
    skin: np.ndarray
    eye_colour: np.ndarray
    cloth: np.ndarray
    cloth_accent: np.ndarray
    backdrop: np.ndarray            # (2, 3) float: colours of the gradient
    backdrop_angle: float
    hair: Hair


def mix(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The colour `share` of the way from `first` to `second`."""
    return first + (second - first) * share


def mirrored(points: np.ndarray) -> np.ndarray:
    """The points on the other side of the face, in reverse order, so that outlines stay closed."""
    return points[::-1] * (-1.0, 1.0)


@lru_cache(maxsize=64)
def _spline_basis(count: int, samples: int, closed: bool) -> np.ndarray:
    """(samples, count) weights of a uniform Catmull-Rom spline through `count` control points."""
    position = np.linspace(0, count if closed else count - 1, samples, endpoint=not closed)
    segment = np.minimum(position.astype(int), count - 1 if closed else count - 2)
    t = position - segment
    weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    basis = np.zeros((samples, count))
    for offset, weight in zip((-1, 0, 1, 2), weights):
        index = (segment + offset) % count if closed else np.clip(segment + offset, 0, count - 1)
        np.add.at(basis, (np.arange(samples), index), weight / 2)
    return basis


def curve(points: Sequence, samples: int = 24, closed: bool = False) -> np.ndarray:
    """(samples, 2) points on the smooth curve through the control points."""
    return _spline_basis(len(points), samples, closed) @ np.array(points)


@lru_cache(maxsize=64)
def _stroke_profile(samples: int, taper: float, peak: float) -> np.ndarray:
    """(samples, 1) half widths along a stroke of width 1, widest at `peak`."""
    along = np.linspace(0, 1, samples)
    rise = np.minimum(along / peak, (1 - along) / (1 - peak))
    return (1 - taper * (1 - np.sqrt(rise)))[:, None] / 2


def ribbon(line: np.ndarray, width: float, taper: float = 1.0, peak: float = 0.5) -> np.ndarray:
    """The outline of a brush stroke along `line`, widest at `peak`, thinned to (1 - taper) at its ends."""
    tangent = np.empty_like(line)
    tangent[1:-1] = line[2:] - line[:-2]
    tangent[0], tangent[-1] = line[1] - line[0], line[-1] - line[-2]
    length = np.sqrt(tangent[:, :1] ** 2 + tangent[:, 1:] ** 2) + 1e-9
    reach = tangent[:, ::-1] * (-1.0, 1.0) / length * (_stroke_profile(len(line), taper, peak) * width)
    return np.concatenate([line + reach, (line - reach)[::-1]])


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
        return cv2.resize(coarse, (self.side, self.side), interpolation=cv2.INTER_CUBIC)

    def lay(self, paint: np.ndarray, outlines: list[np.ndarray], region: int, opacity: float = 1.0,
            blur: float = 0.0) -> None:
        """Blends a (side, side, 3) uint8 paint through the union of the outlines and marks their region."""
        mask, window = self._mask(outlines, blur)
        self.regions[window][mask > 127] = region
        self._blend(paint[window], mask, window, opacity)

    def fill(self, outlines: list[np.ndarray], colour: np.ndarray, opacity: float = 1.0, blur: float = 0.0) -> None:
        """Glazes one flat colour through the outlines, their edges softened by `blur` (head units)."""
        if blur:
            mask, window = self._mask(outlines, blur)
            self._blend(np.full((*mask.shape, 3), _rgb(colour), np.uint8), mask, window, opacity)
        else:
            self.fill_inside([], [(outline, colour) for outline in outlines], opacity)

    def fill_inside(self, clips: list[np.ndarray], shapes: list[tuple[np.ndarray, np.ndarray]],
                    opacity: float = 1.0) -> None:
        """Paints (outline, colour) shapes over each other, seen only through the clips, if there are any."""
        fixed = [(self._fixed(outline), _rgb(colour)) for outline, colour in shapes]
        if clips:
            mask, window = self._mask(clips)
        else:
            window = self._window(np.concatenate([outline for outline, _ in fixed]), 2)
        origin = (window[1].start * SUBPIXEL, window[0].start * SUBPIXEL)
        below = self.image[window]
        patch = below.copy()
        for outline, colour in fixed:
            _fill(patch, outline - origin, colour)
        if clips:
            self._blend(patch, mask, window, opacity)
        elif opacity < 1 and patch.size:
            cv2.addWeighted(patch, opacity, below.copy(), 1 - opacity, 0, dst=patch)
            self.image[window] = patch
        else:
            self.image[window] = patch

    def engrave(self, strokes: list[tuple[np.ndarray, float]], dark: np.ndarray, bright: np.ndarray) -> None:
        """Carves (outline, strength in 0..1) furrows: dark, each with a bright ridge below it."""
        fixed = [(self._fixed(outline), int(255 * min(strength, 1.0))) for outline, strength in strokes]
        window = self._window(np.concatenate([outline for outline, _ in fixed]), 8)
        mask = np.zeros(self.image[window].shape[:2], np.uint8)
        for outline, value in fixed:
            _fill(mask, outline - (window[1].start * SUBPIXEL, window[0].start * SUBPIXEL), value)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.010 * self.unit)
        ridge = np.zeros_like(mask)
        shift = max(1, round(0.035 * self.unit))
        ridge[shift:] = mask[:-shift]
        self._blend(np.full((*mask.shape, 3), _rgb(bright), np.uint8), ridge, window, 0.5)
        self._blend(np.full((*mask.shape, 3), _rgb(dark), np.uint8), mask, window, 0.85)

    def lines(self, paint: np.ndarray, lines: np.ndarray, colour: np.ndarray) -> None:
        """Draws (count, points, 2) fine lines into a paint."""
        thickness = max(1, round(self.side / 256))
        cv2.polylines(paint, list(self._fixed(lines)), False, _rgb(colour), thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.rint(points @ self._matrix + self._offset).astype(np.int32)

    def _window(self, fixed: np.ndarray, margin: int) -> tuple[slice, slice]:
        """The part of the picture that holds the points, as (rows, columns)."""
        x, y, width, height = cv2.boundingRect(fixed)
        spans = ((y, height), (x, width))
        low = [min(max(start // SUBPIXEL - margin, 0), self.side) for start, _ in spans]
        high = [min(max((start + length) // SUBPIXEL + margin + 1, 0), self.side) for start, length in spans]
        return slice(low[0], high[0]), slice(low[1], high[1])

    def _mask(self, outlines: list[np.ndarray], blur: float = 0.0) -> tuple[np.ndarray, tuple[slice, slice]]:
        fixed = [self._fixed(outline) for outline in outlines]
        window = self._window(np.concatenate(fixed), 2 + int(3 * blur * self.unit))
        mask = np.zeros(self.regions[window].shape, np.uint8)
        for outline in fixed:
            _fill(mask, outline - (window[1].start * SUBPIXEL, window[0].start * SUBPIXEL), 255)
        if blur and mask.size:
            mask = cv2.GaussianBlur(mask, (0, 0), blur * self.unit)
        return mask, window

    def _blend(self, patch: np.ndarray, mask: np.ndarray, window: tuple[slice, slice], opacity: float) -> None:
        if not mask.size:       # all of it fell outside the frame
            return
        weight = mask * np.float32(opacity / 255)
        self.image[window] = cv2.blendLinear(patch, self.image[window], weight, 1 - weight)


def _fill(picture: np.ndarray, fixed: np.ndarray, colour: int | tuple[int, int, int]) -> None:
    if picture.size:
        cv2.fillPoly(picture, [fixed], colour, cv2.LINE_AA, SUBPIXEL_BITS)


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = colour.tolist()
    return min(max(int(red), 0), 255), min(max(int(green), 0), 255), min(max(int(blue), 0), 255)


def _tint(paint: np.ndarray, colour: np.ndarray, weight: np.ndarray) -> None:
    """Moves a coarse paint towards a colour, in place, by a (64, 64) weight."""
    paint += (colour - paint) * weight[..., None]


# Background, body ----------------------------------------------------------------------------------------------


def paint_backdrop(canvas: Canvas, looks: Looks) -> None:
    """A soft gradient with a lighter halo behind the head."""
    slope = np.cos(looks.backdrop_angle) * (canvas.frame_x - 0.5) + np.sin(looks.backdrop_angle) * (canvas.frame_y - 0.5)
    paint = mix(looks.backdrop[0], looks.backdrop[1], np.clip(0.5 + slope * 0.8, 0, 1)[..., None])
    _tint(paint, WHITE, 0.22 * canvas.glow(0.5 * looks.light, -0.2, 1.3, 1.3))
    canvas.image[:] = canvas.enlarge(paint)


def paint_body(canvas: Canvas, looks: Looks) -> None:
    """Neck and clothed shoulders; both count as background."""
    shadow, shine = _skin_extremes(looks.skin)
    neck = looks.neck
    side = curve([(neck, 0.3), (neck * 0.98, 0.85), (neck * 1.03, 1.1), (neck * 1.5, 1.28), (neck * 2.3, 1.5)], 16)
    paint = np.broadcast_to(looks.skin, (COARSE_SIDE, COARSE_SIDE, 3)).astype(np.float32)
    _tint(paint, shadow, np.clip(0.25 + 0.5 * canvas.glow(0, 0.85, 0.9, 0.35) + 0.5 * (canvas.x / neck) ** 2 * 0.4, 0, 0.8))
    _tint(paint, shine, 0.18 * canvas.glow(0.12 * looks.light, 1.3, 0.25, 0.18))
    canvas.lay(canvas.enlarge(paint), [np.concatenate([side, mirrored(side)])], BACKGROUND)
    for depth in (1.06, 1.17):      # rings of the neck
        line = curve([(-neck * 0.8, depth - 0.05), (0, depth), (neck * 0.8, depth - 0.05)], 10)
        canvas.stroke(line, 0.03, shadow, 0.15 + 0.6 * looks.wrinkles, blur=0.006)
    if looks.sag > 0.4:             # cords of an old neck
        for x in (-0.35, 0.35):
            line = curve([(x * neck, 0.95), (x * neck * 0.8, 1.2), (x * neck * 0.5, 1.36)], 8)
            canvas.stroke(line, 0.05, shadow, 0.5 * looks.sag, blur=0.012)
    _paint_garment(canvas, looks)


def _paint_garment(canvas: Canvas, looks: Looks) -> None:
    neck, reach = looks.neck, looks.shoulders
    depth = {"shirt": 1.42, "jacket": 1.5, "cardigan": 1.5, "blouse": 1.5}.get(looks.garment, 1.34)
    edge = curve([(0, depth), (neck * 0.75, (depth + 1.22) / 2 + 0.02), (neck * 1.22, 1.18)], 8)
    side = curve([(neck * 1.22, 1.18), (reach * 0.62, 1.34), (reach * 0.93, 1.52), (reach * 1.08, 2.0), (reach * 1.1, 2.6)], 12)
    outline = np.concatenate([edge, side, mirrored(side), mirrored(edge)])
    paint = np.broadcast_to(looks.cloth, (COARSE_SIDE, COARSE_SIDE, 3)).astype(np.float32)
    if looks.garment == "stripes":
        _tint(paint, looks.cloth_accent, 0.85 * (np.sin(canvas.y * 34) > 0.1))
    elif looks.garment == "knit":
        _tint(paint, looks.cloth_accent, 0.25 * (0.5 + 0.5 * np.sin(canvas.x * 40)) * (0.5 + 0.5 * np.sin(canvas.y * 16)))
    _tint(paint, looks.cloth * 0.45, 0.5 * (canvas.x * looks.light < 0) * np.abs(canvas.x / reach))
    _tint(paint, looks.cloth * 0.4, 0.45 * canvas.glow(0, 1.15, neck * 2.0, 0.2))
    _tint(paint, mix(looks.cloth, WHITE, 0.5), 0.3 * canvas.glow(0.7 * looks.light * reach, 1.45, 0.4, 0.2))
    canvas.lay(canvas.enlarge(paint), [outline], BACKGROUND)
    for fold in (0.45, 0.75):       # sleeves and chest
        for sign in (-1, 1):
            line = curve([(sign * fold * reach, 1.55), (sign * (fold - 0.04) * reach, 1.8), (sign * (fold + 0.05) * reach, 2.3)], 8)
            canvas.stroke(line, 0.05, looks.cloth * 0.5, 0.35, blur=0.012)
    _paint_collar(canvas, looks, edge)


def _paint_collar(canvas: Canvas, looks: Looks, edge: np.ndarray) -> None:
    neck = looks.neck
    full_edge = np.concatenate([mirrored(edge), edge[1:]])
    dark, pale = looks.cloth * 0.62, mix(looks.cloth_accent, WHITE, 0.65)
    if looks.garment in ("shirt", "jacket", "cardigan"):
        shirt = looks.cloth if looks.garment == "shirt" else pale
        if looks.garment != "shirt":
            front = np.array([(-neck * 1.15, 1.2), (0, 1.4), (neck * 1.15, 1.2), (neck * 0.55, 1.7), (0, 2.1), (-neck * 0.55, 1.7)])
            canvas.fill(front, shirt * 0.94)
        if looks.garment == "jacket":
            tie = np.array([(-0.07, 1.4), (0.07, 1.4), (0.05, 1.5), (0.12, 2.2), (-0.12, 2.2), (-0.05, 1.5)])
            canvas.fill(tie, looks.cloth_accent * 0.75)
        for sign in (-1, 1):
            wing = np.array([(neck * 1.24, 1.13), (neck * 0.98, 1.12), (0.03, 1.42), (neck * 0.62, 1.62), (neck * 1.45, 1.26)])
            canvas.fill(wing * (sign, 1) + (0, 0.025), BLACK, 0.3, blur=0.012)
            canvas.fill(wing * (sign, 1), mix(shirt, WHITE, 0.18))
            if looks.garment == "jacket":
                lapel = np.array([(neck * 1.3, 1.17), (neck * 1.75, 1.4), (neck * 1.35, 1.62), (0.08, 2.15), (neck * 0.62, 1.64)])
                canvas.fill(lapel * (sign, 1), dark)
                canvas.fill(lapel * (sign, 1) * (0.97, 1) + (0, 0.01), looks.cloth * 0.82)
    elif looks.garment == "hoodie":
        for sign in (-1, 1):
            hood = curve([(neck * 1.15, 1.02), (neck * 1.75, 1.16), (neck * 1.3, 1.42), (0, 1.56), (0, 1.38), (neck * 0.9, 1.26)], 20, True)
            canvas.fill(hood * (sign, 1), mix(looks.cloth, BLACK, 0.22))
            cord = curve([(sign * neck * 0.5, 1.48), (sign * neck * 0.55, 1.7), (sign * neck * 0.48, 1.9)], 6)
            canvas.stroke(cord, 0.04, mix(looks.cloth, WHITE, 0.8), taper=0.2)
    elif looks.garment == "bib":
        bib = curve([(-neck * 1.2, 1.16), (0, 1.34), (neck * 1.2, 1.16), (neck * 1.7, 1.5), (0, 1.85), (-neck * 1.7, 1.5)], 30, True)
        canvas.fill(bib, mix(looks.cloth_accent, WHITE, 0.75))
        canvas.stroke(np.concatenate([bib, bib[:1]]), 0.035, looks.cloth_accent, taper=0)
    else:
        canvas.stroke(full_edge, 0.07, dark, 0.8, taper=0.1)
    if looks.necklace:
        for bead in curve([(-neck * 1.05, 1.14), (-neck * 0.55, 1.33), (0, 1.4), (neck * 0.55, 1.33), (neck * 1.05, 1.14)], 13):
            canvas.fill(CIRCLE * 0.035 + bead, np.array([236, 226, 206]))


# Face ----------------------------------------------------------------------------------------------------------


def head_outline(looks: Looks) -> np.ndarray:
    """(56, 2) closed outline of skull and jaw."""
    w, sag = looks.width, looks.sag
    right = [(0, -1.0), (looks.crown * 0.56 * w, -0.93), (looks.crown * 0.93 * w, -0.58), (w, -0.1), (0.985 * w, 0.25),
             (looks.jaw * w * (1 + 0.05 * sag), 0.6 + 0.05 * sag), (looks.chin * w * (1 + 0.12 * sag), 0.9)]
    left = [(-x, y) for x, y in right[:0:-1]]
    return curve([*right, (0, 1.0), *left], 56, closed=True)


def _skin_extremes(skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The skin in shadow and in light. Dark skin gets its depth from the light, pale skin from the shadow, so
    that the cues of age stay about as visible on every tone."""
    shadow = mix(skin * np.array([0.66, 0.55, 0.5], np.float32), WARM_SHADOW * (skin.mean() / 190), 0.25)
    shine = skin + (255 - skin) * np.array([0.32, 0.27, 0.22], np.float32) + 6
    return shadow, shine


def paint_face(canvas: Canvas, looks: Looks, front_hair: list[np.ndarray]) -> None:
    """Ears, skin with its soft shading, then the features."""
    head = head_outline(looks)
    ears = _ears(looks)
    paint = _skin_paint(canvas, looks, front_hair)
    canvas.lay(canvas.enlarge(paint * 0.93), ears, FACE)
    shadow, shine = _skin_extremes(looks.skin)
    for ear in ears:
        canvas.fill((ear - ear.mean(0)) * (0.5, 0.62) + ear.mean(0), shadow, 0.55, blur=0.02)
    canvas.lay(canvas.enlarge(paint), [head], FACE)
    for x, y, radius in looks.freckles:
        canvas.fill(CIRCLE[::3] * radius + (x * looks.width, y), shadow, looks.freckle_strength, blur=0.006)
    _paint_wrinkles(canvas, looks, shadow, shine)
    _paint_nose(canvas, looks, shadow, shine)
    if looks.beard in ("full", "moustache"):
        _paint_beard(canvas, looks)
    _paint_mouth(canvas, looks, shadow)
    for sign in (-1, 1):
        _paint_eye(canvas, looks, sign, shadow)
        _paint_brow(canvas, looks, sign)
    if looks.glasses:
        _paint_glasses(canvas, looks)


def _ears(looks: Looks) -> list[np.ndarray]:
    shape = np.array([(0.0, -0.5), (0.45, -0.95), (0.95, -0.7), (0.95, 0.0), (0.6, 0.6), (0.25, 1.0), (-0.1, 0.7)])
    ear = curve(shape * looks.ear * (0.75, 1.0), 24, closed=True) + (looks.width * 0.96, looks.eye_line + 0.12)
    return [ear, mirrored(ear)]


def _skin_paint(canvas: Canvas, looks: Looks, front_hair: list[np.ndarray]) -> np.ndarray:
    """(64, 64, 3) float32 colour of the skin under the light, with everything soft: hollows, cheeks, bags."""
    shadow, shine = _skin_extremes(looks.skin)
    eye, mouth, w = looks.eye_line, looks.mouth_line, looks.width
    nose = eye + looks.nose_length
    paint = np.broadcast_to(looks.skin, (COARSE_SIDE, COARSE_SIDE, 3)).astype(np.float32)
    rim = np.clip((canvas.x / w) ** 2 * 0.75 + np.clip(canvas.y, 0, 1.2) ** 4 * 0.35, 0, 1.2)
    away = np.clip(-canvas.x * looks.light / w, 0, 1)
    _tint(paint, shadow, np.clip(0.5 * rim**1.5 + 0.45 * away**1.5, 0, 0.85))
    _tint(paint, shine, 0.42 * canvas.glow(0.25 * looks.light, -0.48, 0.5, 0.3))
    _tint(paint, shine, 0.38 * canvas.pair(0.52 * w, eye + 0.24, 0.17, 0.11))
    _tint(paint, shine, 0.3 * canvas.glow(0.05 * looks.light, 0.9, 0.14, 0.08))
    _tint(paint, mix(looks.skin, ROSE, 0.45), 0.75 * looks.rosy * canvas.pair(0.6 * w, nose + 0.0, 0.2, 0.16))
    _tint(paint, shadow, (0.22 + 0.35 * looks.sag) * canvas.pair(looks.eye_distance * 0.86, eye - 0.04, looks.eye_size * 1.15, 0.12))
    _tint(paint, shadow, 0.3 * canvas.pair(looks.nose_width * 0.62, nose - 0.2, 0.05, 0.2) * (0.5 + away))
    _tint(paint, shine, 0.5 * canvas.glow(0.02 * looks.light, (eye + nose) / 2, 0.045, looks.nose_length * 0.5))
    _tint(paint, shadow, 0.42 * canvas.glow(-0.02 * looks.light, nose + 0.075, looks.nose_width, 0.045))
    _tint(paint, shadow, 0.3 * canvas.glow(0, mouth + 0.15, 0.16, 0.045))
    # Age: hollow cheeks and temples, bags under the eyes, jowls beside the chin.
    _tint(paint, shadow, 0.6 * looks.sag * canvas.pair(looks.eye_distance, eye + looks.eye_size * 0.85, looks.eye_size * 0.95, 0.045))
    _tint(paint, shadow, 0.5 * looks.sag * canvas.pair(0.72 * w, 0.42, 0.11, 0.2))
    _tint(paint, shadow, 0.65 * looks.sag * canvas.pair(0.4 * w, mouth + 0.16, 0.055, 0.15))
    _tint(paint, shine, 0.3 * looks.sag * canvas.pair(0.56 * w, mouth + 0.1, 0.08, 0.12))
    if looks.beard == "stubble":
        jaw = np.clip((canvas.y - mouth + 0.35) * 4, 0, 1) * np.clip(np.hypot(canvas.x / w, (canvas.y - mouth + 0.05) * 1.3) * 2.2 - 0.3, 0, 1)
        _tint(paint, mix(looks.hair.colour, looks.skin, 0.35), 0.5 * jaw)
    lower = canvas.coarse_mask([outline + (-0.03 * looks.light, 0.07) for outline in front_hair], 1.6)
    _tint(paint, shadow, 0.6 * lower)
    return paint


def _paint_wrinkles(canvas: Canvas, looks: Looks, shadow: np.ndarray, shine: np.ndarray) -> None:
    """Every line of age in one mask: a dark furrow with a lit ridge below it."""
    eye, mouth, w = looks.eye_line, looks.mouth_line, looks.width
    nose = eye + looks.nose_length
    grade = looks.wrinkles
    furrows = [(curve([(looks.nose_width * 0.9, nose - 0.06), (0.45 * w, nose + 0.1), (0.48 * w, mouth + 0.04)], 10), 0.06, 0.12 + grade)]
    outer = looks.eye_distance + looks.eye_size * 1.08
    for rise in (-0.1, -0.03, 0.05, 0.12):
        line = curve([(outer, eye + rise * 0.4), (outer + 0.07, eye + rise), (outer + 0.13, eye + rise * 1.9)], 6)
        furrows.append((line, 0.026, 1.5 * grade - 0.3))
    bag = curve([(looks.eye_distance - looks.eye_size, eye + 0.1), (looks.eye_distance, eye + looks.eye_size * 0.95),
                 (looks.eye_distance + looks.eye_size, eye + 0.08)], 10)
    furrows.append((bag, 0.035, 1.15 * grade - 0.1))
    furrows.append((curve([(0.06, eye - 0.28), (0.045, eye - 0.2), (0.06, eye - 0.12)], 6), 0.03, 1.3 * grade - 0.25))
    furrows.append((curve([(0.5 * w, mouth + 0.06), (0.46 * w, mouth + 0.18), (0.4 * w, mouth + 0.27)], 6), 0.045, 1.2 * grade - 0.35))
    furrows.append((curve([(0.66 * w, 0.2), (0.74 * w, 0.4), (0.66 * w, 0.62)], 8), 0.03, 1.2 * grade - 0.6))
    furrows = [(side, width, strength) for line, width, strength in furrows for side, strength in ((line, strength), (mirrored(line), strength))]
    for number, height in enumerate((-0.37, -0.48, -0.58, -0.67)):
        reach = (0.48 - 0.05 * number) * w
        line = curve([(-reach, height + 0.02), (-reach / 2, height - 0.02), (0, height + 0.015), (reach / 2, height - 0.02), (reach, height + 0.02)], 16)
        furrows.append((line, 0.032, 1.35 * grade - 0.16 * number))
    mask = np.zeros((canvas.side, canvas.side), np.uint8)
    for line, width, strength in furrows:
        if strength > 0.02:
            cv2.fillPoly(mask, [_fixed(canvas.pixels(ribbon(line, width)))], int(255 * min(strength, 1)), cv2.LINE_AA, SUBPIXEL_BITS)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.010 * canvas.unit)
    everything = (0, 0, canvas.side, canvas.side)
    ridge = cv2.warpAffine(mask, np.float32([[1, 0, 0], [0, 1, 0.035 * canvas.unit]]), mask.shape[::-1])
    canvas._blend(np.full_like(canvas.image, np.clip(shine, 0, 255)), ridge, everything, 0.45)
    canvas._blend(np.full_like(canvas.image, np.clip(shadow * 0.85, 0, 255)), mask, everything, 0.85)


def _paint_nose(canvas: Canvas, looks: Looks, shadow: np.ndarray, shine: np.ndarray) -> None:
    base, half = looks.eye_line + looks.nose_length, looks.nose_width
    canvas.fill(CIRCLE * (half * 0.32, half * 0.26) + (0.03 * looks.light, base - 0.06), shine, 0.55, blur=0.025)
    for sign in (-1, 1):
        wing = curve([(half * 0.78, base - 0.11), (half * 1.0, base - 0.045), (half * 0.86, base + 0.02), (half * 0.6, base + 0.01)], 10)
        canvas.stroke(wing * (sign, 1), 0.032, shadow, 0.75, blur=0.006)
        canvas.fill(CIRCLE * (half * 0.23, 0.022) + (sign * half * 0.42, base + 0.008), shadow * 0.55, 0.8, blur=0.008)
    canvas.stroke(curve([(-half * 0.3, base + 0.015), (0, base + 0.04), (half * 0.3, base + 0.015)], 8), 0.028, shadow, 0.7, blur=0.006)


def _paint_mouth(canvas: Canvas, looks: Looks, shadow: np.ndarray) -> None:
    y, half, full, smile = looks.mouth_line, looks.mouth_width, looks.lip_fullness, looks.smile
    corner = y - 0.055 * smile
    colour = mix(mix(looks.skin, ROSE * (0.35 + 0.65 * looks.skin.mean() / 230), 0.5), LIP_RED, looks.lip_colour)
    gap = 0.06 * smile if looks.teeth else 0.0
    seam_top = curve([(-half, corner), (-half * 0.45, y + 0.006), (0, y + 0.012), (half * 0.45, y + 0.006), (half, corner)], 20)
    seam_low = seam_top + np.stack([np.zeros(20), gap * np.sqrt(np.clip(np.sin(np.linspace(0, np.pi, 20)), 0, 1))], 1)
    bow = curve([(-half, corner), (-half * 0.5, y - 0.055 * full - 0.01), (-half * 0.16, y - 0.085 * full), (0, y - 0.065 * full),
                 (half * 0.16, y - 0.085 * full), (half * 0.5, y - 0.055 * full - 0.01), (half, corner)], 26)
    low = curve([(-half, corner), (-half * 0.5, y + gap + 0.075 * full), (0, y + gap + 0.115 * full), (half * 0.5, y + gap + 0.075 * full), (half, corner)], 22)
    canvas.fill(np.concatenate([bow, seam_top[::-1]]), colour * 0.86)
    canvas.fill(np.concatenate([low, seam_low[::-1]]), colour)
    canvas.fill(CIRCLE * (half * 0.3, 0.02 * full) + (half * 0.1 * looks.light, y + gap + 0.06 * full), WHITE, 0.28, blur=0.014)
    if gap > 0.01:
        canvas.fill(np.concatenate([seam_top, seam_low[::-1]]), np.array([246, 242, 234]))
        canvas.stroke(seam_low, 0.016, colour * 0.5, 0.6)
    canvas.stroke(seam_top, 0.026, colour * 0.42, 0.9, taper=0.5)
    for sign in (-1, 1):
        canvas.fill(CIRCLE * (0.03, 0.028) + (sign * half * 1.03, corner), shadow, 0.55, blur=0.012)


def _paint_eye(canvas: Canvas, looks: Looks, sign: int, shadow: np.ndarray) -> None:
    e, height = looks.eye_size, looks.eye_size * looks.eye_open
    up, down, slant = height * 0.6, height * 0.4, looks.eye_slant * e
    droop = 0.3 * looks.sag * up

    def place(points):
        return np.asarray(points) * (sign, 1) + (sign * looks.eye_distance, looks.eye_line)

    upper = curve([(-e, 0.1 * e), (-0.55 * e, -0.72 * up), (0.05 * e, -up), (0.62 * e, -0.72 * up + droop), (e, -slant)], 16)
    lower = curve([(e, -slant), (0.5 * e, 0.85 * down), (-0.15 * e, down), (-0.65 * e, 0.6 * down), (-e, 0.1 * e)], 14)
    outline = place(np.concatenate([upper, lower[1:-1]]))
    iris, centre = looks.iris, np.array([0.02 * e, -0.08 * up])
    dark = mix(looks.eye_colour * 0.3, BLACK, 0.4)
    shade = ribbon(upper + (0, 0.02), up * 0.6, 0.3)
    canvas.fill_inside(outline, [
        (outline, SCLERA * (1 - 0.06 * looks.sag)), (place(CIRCLE * iris * 1.06 + centre), dark),
        (place(CIRCLE * iris * 0.9 + centre), looks.eye_colour * 0.8),
        (place(CIRCLE * iris * (0.62, 0.5) + centre + (0, iris * 0.3)), looks.eye_colour * 1.25 + 12),
        (place(CIRCLE * iris * 0.46 + centre), BLACK)])
    canvas.fill(place(shade), shadow * 0.5, 0.35, blur=0.012)
    glint = np.array([0.35 * looks.light * sign, -0.38]) * iris
    canvas.fill(place(CIRCLE * iris * 0.24 + centre + glint), WHITE, 0.95)
    canvas.stroke(place(lower + (0, 0.004)), 0.016, shadow * 0.7, 0.7)
    lid = mix(BLACK, shadow, 0.25)
    wing = np.concatenate([upper, [(e * (1 + 0.18 * looks.lashes), -slant - 0.16 * e * looks.lashes)]])
    canvas.stroke(place(wing), 0.028 + 0.022 * looks.lashes, lid, 0.95, taper=0.6, peak=0.7)
    crease = upper * (1.02, 1.0) + (0.0, -0.045 - 0.12 * up) + np.stack([np.zeros(16), np.linspace(0, 0.07 * looks.sag, 16)], 1)
    canvas.stroke(place(crease), 0.024 + 0.02 * looks.sag, shadow, 0.75, blur=0.006)


def _paint_brow(canvas: Canvas, looks: Looks, sign: int) -> None:
    e, x, y = looks.eye_size, looks.eye_distance, looks.eye_line - looks.brow_height
    line = curve([(x - 1.0 * e, y + 0.03), (x - 0.2 * e, y - 0.02 - looks.brow_arch * 0.6), (x + 0.55 * e, y - 0.025 - looks.brow_arch),
                  (x + 1.3 * e, y + 0.05)], 14) * (sign, 1)
    colour = mix(looks.hair.colour * 0.8, looks.skin, 0.12)
    canvas.stroke(line, looks.brow_thickness, colour, min(1.0, 0.35 + looks.brow_thickness * 9), taper=0.75, peak=0.35, blur=0.007)


def _paint_glasses(canvas: Canvas, looks: Looks) -> None:
    frame = mix(BLACK, looks.cloth_accent, 0.3)
    x, y = looks.eye_distance * 1.02, looks.eye_line + 0.03
    width, height = min(x * 0.86, 0.3), 0.2
    power = 1.0 if looks.glasses == "round" else 0.55
    lens = np.sign(CIRCLE) * np.abs(CIRCLE) ** power * (width, height)
    for sign in (-1, 1):
        rim = lens + (sign * x, y)
        canvas.fill(rim, WHITE, 0.10)
        canvas.fill(np.array([(-0.5, -0.7), (-0.2, -0.7), (-0.55, 0.3), (-0.75, 0.1)]) * (width, height) + (sign * x, y), WHITE, 0.16)
        canvas.stroke(np.concatenate([rim, rim[:2]]), 0.036, frame, taper=0)
        canvas.stroke(np.array([(sign * (x + width), y - 0.06), (sign * looks.width * 1.0, y - 0.05)]), 0.036, frame, taper=0)
    bridge = x - width
    canvas.stroke(curve([(-bridge, y - 0.05), (0, y - 0.09), (bridge, y - 0.05)], 8), 0.032, frame, taper=0)


# Hair ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A sheet of hair between two edges, each (SHEET_SAMPLES, 2); strands run over it."""

    outer: np.ndarray
    inner: np.ndarray
    combed: bool            # from the part towards the inner edge; otherwise along the edges

    @property
    def outline(self) -> np.ndarray:
        return np.concatenate([self.outer, self.inner[::-1]])

    def points(self, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Points at the two coordinates, both in 0..1: along the edges, across from outer to inner."""
        index = np.clip(along, 0, 1) * (SHEET_SAMPLES - 1)
        low = np.minimum(index.astype(int), SHEET_SAMPLES - 2)
        rest = (index - low)[..., None]
        across = np.clip(across, 0, 1)[..., None]
        outer = self.outer[low] * (1 - rest) + self.outer[low + 1] * rest
        inner = self.inner[low] * (1 - rest) + self.inner[low + 1] * rest
        return outer * (1 - across) + inner * across


def front_sheets(looks: Looks) -> list[Sheet]:
    """The hair before the face: the cap, and the locks that fall over the shoulders."""
    hair = looks.hair
    sheets = [_cap(looks)] if hair.top > 0 else _side_patches(looks)
    if hair.locks > 0:
        sheets += _locks(looks)
    return sheets


def _cap(looks: Looks) -> Sheet:
    hair, w, crown = looks.hair, looks.width, looks.crown * looks.width
    ear = looks.eye_line + 0.02
    v, s = hair.volume, hair.sides
    right = [(0.56 * crown + s * 0.5, -0.94 - v * 0.85), (0.93 * crown + s, -0.60 - 0.3 * v), (w * 0.98 + s, -0.2), (w * 0.965 + s * 0.6, ear)]
    left = [(-x, y) for x, y in right[::-1]]
    lift = 0.06 * (hair.part - 0.5)
    outer = curve([*left, (lift, -1.0 - v), *right], SHEET_SAMPLES)
    if hair.coils:
        wobble = 0.022 * np.sin(np.arange(SHEET_SAMPLES) * 2.4)[:, None]
        outer = outer + wobble * outer / np.linalg.norm(outer, axis=1, keepdims=True)
    line, back = hair.hairline, hair.recession
    peak = (hair.part - 0.5) * 1.2 * w
    inner = curve([(-w * 0.93, ear), (-w * 0.9, -0.22), (-w * (0.8 - 0.1 * back), line + 0.16 - 0.18 * back), (-w * 0.5 + 0.3 * peak, line + 0.02 - 0.34 * back),
                   (peak, line - 0.06 * (hair.part != 0.5) - 0.12 * back), (w * 0.5 + 0.3 * peak, line + 0.02 - 0.34 * back),
                   (w * (0.8 - 0.1 * back), line + 0.16 - 0.18 * back), (w * 0.9, -0.22), (w * 0.93, ear)], SHEET_SAMPLES)
    inner[:, 1] = np.maximum(inner[:, 1], outer[:, 1] + 0.02)
    return Sheet(outer, inner, combed=True)


def _side_patches(looks: Looks) -> list[Sheet]:
    w, s, ear = looks.width, looks.hair.sides + 0.03, looks.eye_line + 0.1
    outer = curve([(w * 0.74, -0.72), (w * 0.95 + s, -0.5), (w * 1.0 + s, -0.15), (w * 0.98 + s * 0.5, ear)], SHEET_SAMPLES)
    inner = curve([(w * 0.76, -0.70), (w * 0.84, -0.45), (w * 0.86, -0.2), (w * 0.93, ear)], SHEET_SAMPLES)
    return [Sheet(outer, inner, False), Sheet(outer * (-1, 1), inner * (-1, 1), False)]


def _locks(looks: Looks) -> list[Sheet]:
    hair, w = looks.hair, looks.width
    end, s = hair.locks, hair.sides
    ease = np.linspace(0, 1, SHEET_SAMPLES)
    sway = 0.06 * hair.wave * np.sin(ease * 13) * ease
    outer = curve([(w * 0.96 + s, -0.35), (w * 1.04 + s * 1.2, 0.1), (w * 1.08 + s * 1.5, end * 0.55), (w * 1.02 + s * 1.4, end)], SHEET_SAMPLES)
    inner = curve([(w * 0.82, -0.35), (w * 0.93, 0.05), (w * 0.93, end * 0.5), (w * 0.72 + s * 0.3, end + 0.06)], SHEET_SAMPLES)
    outer[:, 0] += sway
    inner[:, 0] += sway * 0.7
    return [Sheet(outer, inner, False), Sheet(outer * (-1, 1), inner * (-1, 1), False)]


def back_sheets(looks: Looks) -> list[Sheet]:
    """The hair behind head and neck, with bun or tails."""
    hair, w = looks.hair, looks.width
    sheets = []
    if hair.back > 0:
        s = hair.sides
        right = curve([(0.1, -0.95), (w * 0.9 + s, -0.5), (w * 1.03 + s, 0.0), (w * 1.06 + s * 1.3, hair.back * 0.6), (w * 0.9 + s, hair.back)], SHEET_SAMPLES)
        sheets.append(Sheet(right * (-1, 1), right, False))
    if hair.tied == "bun":
        turn = np.linspace(0, np.pi, SHEET_SAMPLES)
        ring = np.stack([np.cos(turn), np.sin(turn)], 1) * (0.34, 0.28)
        middle = (0, -1.12 - hair.volume)
        sheets.append(Sheet(ring * (1, -1) + middle, ring + middle, False))
    if hair.tied == "tails":
        outer = curve([(w * 0.95, -0.62), (w * 1.42, -0.62), (w * 1.55, -0.1), (w * 1.4, 0.55), (w * 1.25, 0.75)], SHEET_SAMPLES)
        inner = curve([(w * 0.9, -0.35), (w * 1.08, -0.25), (w * 1.12, 0.05), (w * 1.12, 0.45), (w * 1.22, 0.78)], SHEET_SAMPLES)
        sheets += [Sheet(outer, inner, False), Sheet(outer * (-1, 1), inner * (-1, 1), False)]
    return sheets


def paint_hair(canvas: Canvas, looks: Looks, sheets: list[Sheet], depth: float) -> None:
    """Sheets of hair with a band of shine and strands; `depth` darkens the hair behind the head."""
    if not sheets:
        return
    hair = looks.hair
    paint = np.broadcast_to(hair.colour, (COARSE_SIDE, COARSE_SIDE, 3)).astype(np.float32)
    _tint(paint, hair.temple_colour, 0.9 * canvas.pair(looks.width, -0.15, 0.3, 0.4))
    radius = np.hypot(canvas.x, canvas.y + 0.1)
    shine = mix(hair.colour, WHITE, 0.42) + 10
    _tint(paint, shine, 0.5 * np.exp(-(((radius - 0.93) / 0.12) ** 2)) * np.clip(0.55 + 0.6 * canvas.x * looks.light - 0.4 * canvas.y, 0, 1))
    _tint(paint, hair.colour * 0.45, np.clip(0.35 * (canvas.y + 0.2), 0, 0.5) + 0.25 * np.clip(-canvas.x * looks.light, 0, 1))
    paint = canvas.enlarge(paint * depth)
    opacity = 1.0
    if 0 < hair.top < 1:
        opacity = hair.top
    overlay = paint.copy()
    for sheet, strands in zip(sheets, np.array_split(hair.strands, len(sheets))):
        _draw_strands(canvas, overlay, sheet, strands, hair, depth)
    paint = cv2.addWeighted(paint, 0.45, overlay, 0.55, 0)
    canvas.lay(paint, [sheet.outline for sheet in sheets], HAIR, opacity)


def _draw_strands(canvas: Canvas, paint: np.ndarray, sheet: Sheet, strands: np.ndarray, hair: Hair, depth: float) -> None:
    start, spread, kind, length = strands.T[..., None]
    step = np.linspace(0, 1, STRAND_SAMPLES)
    if hair.coils:
        turn = step * 4.2 + spread * 6
        lines = sheet.points(start, spread)[:, :1] + 0.035 * np.stack([np.cos(turn), np.sin(turn)], -1)
    elif sheet.combed:
        root = hair.part + (start - hair.part) * (0.3 + 0.4 * spread)
        lines = sheet.points(root + (start - root) * step**0.8, -0.1 + step * (0.75 + 0.4 * length))
    else:
        begin = length * 0.5
        lines = sheet.points(begin + step * (1 - begin), start + 0.25 * (spread - 0.5) * step)
    tones = (hair.colour * 0.55, hair.colour * 0.8, mix(hair.colour, WHITE, 0.22) + 8, mix(hair.colour, WHITE_HAIR, 0.75 * hair.strand_grey + 0.08))
    group = (kind[:, 0] * len(tones)).astype(int)
    for number, tone in enumerate(tones):
        if np.any(group == number):
            canvas.lines(paint, lines[group == number], tone * depth)


def _paint_beard(canvas: Canvas, looks: Looks) -> None:
    w, mouth = looks.width, looks.mouth_line
    nose = looks.eye_line + looks.nose_length
    colour = looks.hair.colour * 0.95
    half = looks.mouth_width
    moustache = curve([(0, nose + 0.07), (half * 0.7, nose + 0.09), (half * 1.2, mouth + 0.05), (half * 0.6, mouth - 0.02), (0, mouth - 0.035)], 18)
    canvas.fill(np.concatenate([moustache, mirrored(moustache)]), colour, 0.9, blur=0.016)
    if looks.beard == "full":
        head = head_outline(looks) * (0.995, 1.0) + (0, 0.02)
        jaw = head[(head[:, 1] > 0.14)]
        inner = curve([(-0.82 * w, 0.12), (-0.72 * w, 0.4), (-half * 1.35, mouth - 0.08), (-half * 1.15, mouth + 0.1), (-half * 0.5, mouth + 0.17), (0, mouth + 0.15),
                       (half * 0.5, mouth + 0.17), (half * 1.15, mouth + 0.1), (half * 1.35, mouth - 0.08), (0.72 * w, 0.4), (0.82 * w, 0.12)], 30)
        outline = np.concatenate([jaw, inner])
        canvas.fill(outline, colour * 0.9, 0.92, blur=0.014)
        for x in np.linspace(-0.75, 0.75, 13):
            y = 1.0 - 0.5 * np.abs(x) ** 2.2
            line = curve([(x * w * 0.78, y - 0.2), (x * w * 0.76, y - 0.1), (x * w * 0.7, y)], 5)
            canvas.stroke(line, 0.02, mix(colour, WHITE, 0.25), 0.5)


def paint_trinkets(canvas: Canvas, looks: Looks) -> None:
    """Earrings and the hair bow."""
    if looks.earrings:
        for sign in (-1, 1):
            spot = (sign * (looks.width + 0.05), looks.eye_line + 0.12 + looks.ear * 1.05)
            canvas.fill(CIRCLE * 0.045 + spot, np.array([214, 176, 84]))
            canvas.fill(CIRCLE * 0.015 + spot + np.array([-0.012, -0.012]), WHITE, 0.9)
    if looks.bow:
        middle = np.array([0.5 * looks.width, -0.92])
        for sign in (-1, 1):
            wing = curve(np.array([(0, 0), (0.16, -0.15), (0.3, -0.08), (0.3, 0.1), (0.16, 0.12)]) * (sign, 1), 16, True)
            canvas.fill(wing + middle, looks.cloth_accent)
            canvas.fill(wing * 0.45 + middle + (sign * 0.06, 0), looks.cloth_accent * 0.7, 0.8, blur=0.01)
        canvas.fill(CIRCLE * 0.06 + middle, looks.cloth_accent * 0.8)
