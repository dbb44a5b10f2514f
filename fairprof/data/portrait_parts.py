"""How a generated portrait is painted: a small painter's kit on numpy and OpenCV, and a portrait's parts.

Coordinates are those of the head: x to the viewer's right, y down, the skull's top at y = -1, the chin at
y = 1. Smooth shading is computed on a coarse grid and enlarged, crisp shapes are antialiased polygons; that
keeps a portrait at a few milliseconds. Nothing here draws a random number: chance is in `Looks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import cv2
import numpy as np

BACKGROUND, FACE, HAIR = 0, 1, 2
COARSE_SIDE = 64            # side of the grid on which smooth shading is computed
SUBPIXEL_BITS = 4           # OpenCV's fixed-point polygon coordinates
SUBPIXEL = 1 << SUBPIXEL_BITS
SHEET_SAMPLES = 49          # points along each edge of a sheet of hair
STRAND_SAMPLES = 9          # points along a strand of hair
Window = tuple[slice, slice]     # rows and columns of the picture

_TURN = np.linspace(0, 2 * np.pi, 24, endpoint=False)
CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)
BOW_WING = ((0, 0), (0.16, -0.15), (0.3, -0.08), (0.3, 0.1), (0.16, 0.12))

BLACK = np.array([18, 14, 14], np.float32)
WHITE = np.array([255, 255, 255], np.float32)
SCLERA = np.array([244, 240, 236], np.float32)
ROSE = np.array([205, 84, 88], np.float32)
LIP_RED = np.array([176, 52, 66], np.float32)
WARM_SHADOW = np.array([96, 42, 34], np.float32)
SHADOW_TINT = np.array([0.66, 0.55, 0.5], np.float32)
SHINE_TINT = np.array([0.32, 0.27, 0.22], np.float32)
TEETH = np.array([246, 242, 234], np.float32)
PEARL = np.array([236, 226, 206], np.float32)
GOLD = np.array([214, 176, 84], np.float32)
GREY_HAIR = np.array([158, 157, 158], np.float32)
WHITE_HAIR = np.array([232, 231, 228], np.float32)


@dataclass(frozen=True)
class Hair:
    """A hair style; lengths in head units, strengths and the numbers that place the strands in 0..1."""

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


def both(points: np.ndarray) -> list[np.ndarray]:
    """The points and their mirror image."""
    return [points, mirrored(points)]


@lru_cache(maxsize=64)
def _spline_basis(count: int, samples: int, closed: bool) -> np.ndarray:
    """(samples, count) weights of a uniform Catmull-Rom spline through `count` control points."""
    position = np.linspace(0, count if closed else count - 1, samples, endpoint=not closed)
    segment = np.minimum(position.astype(int), count - 1 if closed else count - 2)
    t = position - segment
    weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    basis = np.zeros((samples, count))
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
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
        return cv2.resize(coarse, (self.side, self.side), interpolation=cv2.INTER_LINEAR)

    def lay(self, paint: np.ndarray, outlines: list[np.ndarray], region: int, opacity: float = 1.0,
            blur: float = 0.0) -> None:
        """Blends a (side, side, 3) uint8 paint through the union of the outlines and marks their region."""
        mask, window = self._mask(outlines, blur)
        self.regions[window][mask > 127] = region
        self._blend(paint[window], mask, window, opacity)

    def fill(self, outlines: list[np.ndarray], colour: np.ndarray, opacity: float = 1.0,
             blur: float = 0.0) -> None:
        """Glazes one flat colour through the outlines, their edges softened by `blur` (head units)."""
        if blur:
            mask, window = self._mask(outlines, blur)
            self._blend(np.full((*mask.shape, 3), _rgb(colour), np.uint8), mask, window, opacity)
        else:
            self.fill_inside([], [(outline, colour) for outline in outlines], opacity)

    def fill_inside(self, clips: list[np.ndarray], shapes: list[tuple[np.ndarray, np.ndarray]],
                    opacity: float = 1.0) -> None:
        """Paints (outline, colour) shapes over each other, seen only through the clips, if there are any."""
        if clips:
            mask, window = self._mask(clips)
            fixed, _ = self._placed([outline for outline, _ in shapes], window=window)
        else:
            fixed, window = self._placed([outline for outline, _ in shapes], margin=2)
        below = self.image[window]
        patch = below.copy()
        for outline, (_, colour) in zip(fixed, shapes, strict=True):
            _fill(patch, outline, _rgb(colour))
        if clips:
            self._blend(patch, mask, window, opacity)
        elif patch.size:
            self.image[window] = cv2.addWeighted(patch, opacity, below, 1 - opacity, 0)

    def engrave(self, strokes: list[tuple[np.ndarray, float]], dark: np.ndarray, bright: np.ndarray) -> None:
        """Carves (outline, strength in 0..1) furrows: dark, each with a bright ridge below it."""
        fixed, window = self._placed([outline for outline, _ in strokes], margin=2 + int(0.07 * self.unit))
        mask = np.zeros(self.regions[window].shape, np.uint8)
        for outline, (_, strength) in zip(fixed, strokes, strict=True):
            _fill(mask, outline, int(255 * min(strength, 1.0)))
        mask = cv2.GaussianBlur(mask, (0, 0), 0.010 * self.unit)
        ridge = np.zeros_like(mask)
        shift = max(1, round(0.035 * self.unit))
        ridge[shift:] = mask[:-shift]
        self._blend(np.full((*mask.shape, 3), _rgb(bright), np.uint8), ridge, window, 0.5)
        self._blend(np.full((*mask.shape, 3), _rgb(dark), np.uint8), mask, window, 0.85)

    def lines(self, paint: np.ndarray, lines: np.ndarray, colour: np.ndarray) -> None:
        """Draws (count, points, 2) fine lines into a paint."""
        thickness = max(1, round(self.side / 256))
        cv2.polylines(paint, list(self._fixed(lines)), False, _rgb(colour), thickness, cv2.LINE_AA,
                      SUBPIXEL_BITS)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.rint(points @ self._matrix + self._offset).astype(np.int32)

    def _placed(self, outlines: list[np.ndarray], margin: int = 0,
                window: Window | None = None) -> tuple[list[np.ndarray], Window]:
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
        mask = np.zeros(self.regions[window].shape, np.uint8)
        for outline in fixed:
            _fill(mask, outline, 255)
        if blur and mask.size:
            mask = cv2.GaussianBlur(mask, (0, 0), blur * self.unit)
        return mask, window

    def _blend(self, patch: np.ndarray, mask: np.ndarray, window: Window, opacity: float) -> None:
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


# Background, body ----------------------------------------------------------------------------------


def paint_backdrop(canvas: Canvas, looks: Looks) -> None:
    """A soft gradient with a lighter halo behind the head."""
    across, down = np.cos(looks.backdrop_angle), np.sin(looks.backdrop_angle)
    slope = across * (canvas.frame_x - 0.5) + down * (canvas.frame_y - 0.5)
    paint = mix(looks.backdrop[0], looks.backdrop[1], np.clip(0.5 + slope * 0.8, 0, 1)[..., None])
    _tint(paint, WHITE, 0.22 * canvas.glow(0.5 * looks.light, -0.2, 1.3, 1.3))
    canvas.image = canvas.enlarge(paint)


def paint_body(canvas: Canvas, looks: Looks) -> None:
    """Neck and clothed shoulders; both count as background."""
    shadow, shine = _skin_extremes(looks.skin)
    neck = looks.neck
    side = curve([(neck, 0.3), (neck * 0.98, 0.85), (neck * 1.03, 1.1), (neck * 1.5, 1.28),
                  (neck * 2.3, 1.5)], 16)
    paint = canvas.flat(looks.skin)
    _tint(paint, shadow, np.clip(0.25 + 0.5 * canvas.glow(0, 0.85, 0.9, 0.35) + 0.2 * (canvas.x / neck) ** 2,
                                 0, 0.8))
    _tint(paint, shine, 0.18 * canvas.glow(0.12 * looks.light, 1.3, 0.25, 0.18))
    canvas.lay(canvas.enlarge(paint), [np.concatenate([side, mirrored(side)])], BACKGROUND)
    rings = [curve([(-neck * 0.8, y - 0.05), (0, y), (neck * 0.8, y - 0.05)], 10) for y in (1.06, 1.17)]
    canvas.fill([ribbon(ring, 0.03) for ring in rings], shadow, 0.15 + 0.6 * looks.wrinkles)
    if looks.sag > 0.3:
        cord = curve([(0.35 * neck, 0.95), (0.28 * neck, 1.2), (0.18 * neck, 1.36)], 8)
        canvas.fill(both(ribbon(cord, 0.05)), shadow, 0.5 * looks.sag, blur=0.012)
    _paint_garment(canvas, looks)


def _paint_garment(canvas: Canvas, looks: Looks) -> None:
    neck, reach, cloth = looks.neck, looks.shoulders, looks.cloth
    depth = 1.42 if looks.garment in ("shirt", "jacket", "cardigan") else 1.34
    edge = curve([(0, depth), (neck * 0.75, depth / 2 + 0.63), (neck * 1.22, 1.18)], 8)
    side = curve([(neck * 1.22, 1.18), (reach * 0.62, 1.34), (reach * 0.93, 1.52), (reach * 1.08, 2.0),
                  (reach * 1.1, 2.6)], 12)
    paint = canvas.flat(cloth)
    if looks.garment == "stripes":
        _tint(paint, looks.cloth_accent, np.clip(0.5 + 2 * np.sin(canvas.y * 30 + canvas.x**2), 0, 0.9))
    elif looks.garment == "knit":
        weave = (1 + np.sin(canvas.x * 30)) * (1 + np.sin(canvas.y * 16))
        _tint(paint, mix(cloth, WHITE, 0.5), 0.12 * weave)
    _tint(paint, cloth * 0.45, 0.5 * np.clip(-canvas.x * np.sign(looks.light) / reach, 0, 1))
    _tint(paint, cloth * 0.4, 0.45 * canvas.glow(0, 1.15, neck * 2.0, 0.2))
    _tint(paint, mix(cloth, WHITE, 0.5), 0.3 * canvas.glow(0.7 * looks.light * reach, 1.45, 0.4, 0.2))
    outline = np.concatenate([edge, side, mirrored(side), mirrored(edge)])
    canvas.lay(canvas.enlarge(paint), [outline], BACKGROUND)
    folds = [curve([(x * reach, 1.55), ((x - 0.04) * reach, 1.8), ((x + 0.05) * reach, 2.3)],
                   8) for x in (0.45, 0.75)]
    canvas.fill([part for fold in folds for part in both(ribbon(fold, 0.05))], cloth * 0.5, 0.35)
    _paint_collar(canvas, looks, edge)


def _paint_collar(canvas: Canvas, looks: Looks, edge: np.ndarray) -> None:
    neck, cloth, accent = looks.neck, looks.cloth, looks.cloth_accent
    if looks.garment in ("shirt", "jacket", "cardigan"):
        _paint_shirt_collar(canvas, looks)
    elif looks.garment == "hoodie":
        hood = curve([(neck * 1.15, 1.02), (neck * 1.75, 1.16), (neck * 1.3, 1.42), (0, 1.56), (0, 1.38),
                      (neck * 0.9, 1.26)], 20, closed=True)
        cord = curve([(neck * 0.5, 1.48), (neck * 0.55, 1.7), (neck * 0.48, 1.9)], 6)
        canvas.fill(both(hood), mix(cloth, BLACK, 0.22))
        canvas.fill(both(ribbon(cord, 0.04, taper=0.2)), mix(cloth, WHITE, 0.8))
    elif looks.garment == "bib":
        bib = curve([(-neck * 1.2, 1.16), (0, 1.34), (neck * 1.2, 1.16), (neck * 1.7, 1.5), (0, 1.85),
                     (-neck * 1.7, 1.5)], 30, closed=True)
        canvas.fill([bib], mix(accent, WHITE, 0.75))
        canvas.fill([ribbon(np.concatenate([bib, bib[:1]]), 0.035, taper=0.0)], accent)
    else:
        hem = np.concatenate([mirrored(edge), edge[1:]])
        canvas.fill([ribbon(hem, 0.07, taper=0.1)], cloth * 0.62, 0.8)
    if looks.necklace:
        beads = curve([(-neck * 1.05, 1.14), (-neck * 0.55, 1.33), (0, 1.4), (neck * 0.55, 1.33),
                       (neck * 1.05, 1.14)], 13)
        canvas.fill([CIRCLE * 0.035 + bead for bead in beads], PEARL)


def _paint_shirt_collar(canvas: Canvas, looks: Looks) -> None:
    neck, cloth = looks.neck, looks.cloth
    shirt = cloth if looks.garment == "shirt" else mix(looks.cloth_accent, WHITE, 0.65)
    if looks.garment != "shirt":
        front = [(neck * 1.15, 1.2), (neck * 0.55, 1.7), (0, 2.1), (-neck * 0.55, 1.7), (-neck * 1.15, 1.2),
                 (0, 1.4)]
        canvas.fill([np.array(front)], shirt * 0.94)
    if looks.garment == "jacket":
        tie = [(-0.07, 1.4), (0.07, 1.4), (0.05, 1.5), (0.12, 2.2), (-0.12, 2.2), (-0.05, 1.5)]
        canvas.fill([np.array(tie)], looks.cloth_accent * 0.75)
    wing = np.array([(neck * 1.24, 1.13), (neck * 0.98, 1.12), (0.03, 1.42), (neck * 0.62, 1.62),
                     (neck * 1.45, 1.26)])
    canvas.fill(both(wing + (0, 0.025)), BLACK, 0.3, blur=0.012)
    canvas.fill(both(wing), mix(shirt, WHITE, 0.18))
    if looks.garment == "jacket":
        lapel = np.array([(neck * 1.3, 1.17), (neck * 1.75, 1.4), (neck * 1.35, 1.62), (0.08, 2.15),
                          (neck * 0.62, 1.64)])
        canvas.fill(both(lapel), cloth * 0.62)
        canvas.fill(both(lapel * (0.97, 1) + (0, 0.01)), cloth * 0.82)


# Face ----------------------------------------------------------------------------------------------


def head_outline(looks: Looks) -> np.ndarray:
    """(56, 2) closed outline of skull and jaw."""
    w, crown, sag = looks.width, looks.crown * looks.width, looks.sag
    jaw = (looks.jaw * w * (1 + 0.03 * sag), 0.6 + 0.04 * sag)
    right = [(0, -1.0), (0.52 * crown, -0.88), (0.87 * crown, -0.57), (w, -0.1), (0.985 * w, 0.25), jaw,
             (looks.chin * w * (1 + 0.1 * sag), 0.9)]
    left = [(-x, y) for x, y in right[:0:-1]]
    return curve([*right, (0, 1.0), *left], 56, closed=True)


def _skin_extremes(skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The skin in shadow and in light. Dark skin gets its depth from the light, pale skin from the shadow, so
    that the cues of age stay about as visible on every tone."""
    shadow = mix(skin * SHADOW_TINT, WARM_SHADOW * (skin.mean() / 190), 0.25)
    shine = skin + (255 - skin) * SHINE_TINT + 6
    return shadow, shine


def paint_face(canvas: Canvas, looks: Looks, front_hair: list[np.ndarray]) -> None:
    """Ears, skin with its soft shading, then the features."""
    shadow, shine = _skin_extremes(looks.skin)
    skin = canvas.enlarge(_skin_paint(canvas, looks, front_hair))
    ear = _ear(looks)
    canvas.lay(skin, both(ear), FACE)
    canvas.fill(both((ear - ear.mean(0)) * (0.5, 0.62) + ear.mean(0)), shadow, 0.6)
    canvas.lay(skin, [head_outline(looks)], FACE)
    if looks.freckle_strength:
        spots = [CIRCLE[::3] * radius + (x * looks.width, y) for x, y, radius in looks.freckles]
        canvas.fill(spots, shadow, looks.freckle_strength)
    canvas.engrave(_furrows(looks), shadow * 0.85, shine)
    _paint_nose(canvas, looks, shadow, shine)
    if looks.beard in ("full", "moustache"):
        _paint_beard(canvas, looks)
    _paint_mouth(canvas, looks, shadow)
    _paint_eyes(canvas, looks, shadow)
    _paint_brows(canvas, looks)
    if looks.glasses:
        _paint_glasses(canvas, looks)


def _ear(looks: Looks) -> np.ndarray:
    shape = np.array([(0.0, -0.5), (0.45, -0.95), (0.95, -0.7), (0.95, 0.0), (0.6, 0.6), (0.25, 1.0),
                      (-0.1, 0.7)])
    place = (looks.width * 0.96, looks.eye_line + 0.12)
    return curve(shape * looks.ear * (0.75, 1.0), 24, closed=True) + place


def _skin_paint(canvas: Canvas, looks: Looks, front_hair: list[np.ndarray]) -> np.ndarray:
    """(64, 64, 3) float32 colour of the skin under the light, with everything soft: hollows, cheeks, bags."""
    shadow, shine = _skin_extremes(looks.skin)
    eye, mouth, w, light, sag = looks.eye_line, looks.mouth_line, looks.width, looks.light, looks.sag
    nose, eye_x, eye_width = eye + looks.nose_length, looks.eye_distance, looks.eye_size
    paint = canvas.flat(looks.skin)
    rim = np.clip((canvas.x / w) ** 2 * 0.75 + np.clip(canvas.y, 0, 1.2) ** 4 * 0.35, 0, 1.2)
    away = np.clip(-canvas.x * light / w, 0, 1)
    glow, pair = canvas.glow, canvas.pair
    # Pale skin is near white already: the key light is for the dark.
    _tint(paint, shine, 0.36 * (1 - looks.skin.mean() / 300) * glow(0.3 * light, 0.0, 0.6, 0.9))
    _tint(paint, shadow, np.clip(0.5 * rim**1.5 + 0.45 * away**1.5, 0, 0.85))
    _tint(paint, shine, 0.42 * glow(0.25 * light, -0.48, 0.5, 0.3))
    _tint(paint, shine, 0.38 * pair(0.52 * w, eye + 0.24, 0.17, 0.11))
    _tint(paint, shine, 0.3 * glow(0.05 * light, 0.9, 0.14, 0.08))
    _tint(paint, mix(looks.skin, ROSE, 0.45), 0.75 * looks.rosy * pair(0.6 * w, nose, 0.2, 0.16))
    _tint(paint, shadow, (0.22 + 0.35 * sag) * pair(eye_x * 0.86, eye - 0.04, eye_width * 1.15, 0.12))
    _tint(paint, shadow, 0.3 * pair(looks.nose_width * 0.62, nose - 0.2, 0.05, 0.2) * (0.5 + away))
    _tint(paint, shine, 0.5 * glow(0.02 * light, (eye + nose) / 2, 0.045, looks.nose_length * 0.5))
    _tint(paint, shadow, 0.42 * glow(-0.02 * light, nose + 0.075, looks.nose_width, 0.045))
    _tint(paint, shadow, 0.3 * glow(0, mouth + 0.15, 0.16, 0.045))
    if sag:     # bags under the eyes, hollow cheeks, jowls beside the chin
        _tint(paint, shadow, 0.6 * sag * pair(eye_x, eye + eye_width * 0.85, eye_width * 0.95, 0.045))
        _tint(paint, shadow, 0.5 * sag * pair(0.72 * w, 0.42, 0.11, 0.2))
        _tint(paint, shadow, 0.65 * sag * pair(0.4 * w, mouth + 0.16, 0.055, 0.15))
        _tint(paint, shine, 0.3 * sag * pair(0.56 * w, mouth + 0.1, 0.08, 0.12))
    if looks.beard == "stubble":
        ring = np.clip(np.hypot(canvas.x / w, (canvas.y - mouth + 0.05) * 1.3) * 2.2 - 0.3, 0, 1)
        stubble = ring * np.clip((canvas.y - mouth + 0.35) * 4, 0, 1)
        _tint(paint, mix(looks.hair.colour, looks.skin, 0.35), 0.5 * stubble)
    cast = canvas.coarse_mask([outline + (-0.03 * light, 0.07) for outline in front_hair], 1.6)
    _tint(paint, shadow, 0.6 * cast)
    return paint


def _furrows(looks: Looks) -> list[tuple[np.ndarray, float]]:
    """Every line of age as (outline, strength in 0..1); which of them show at all depends on `wrinkles`."""
    eye, mouth, w, grade = looks.eye_line, looks.mouth_line, looks.width, looks.wrinkles
    nose, eye_x, eye_width = eye + looks.nose_length, looks.eye_distance, looks.eye_size
    outer = eye_x + eye_width * 1.08
    sides = [
        # Nasolabial fold, bag, frown, marionette line, cheek; then crow's feet.
        ([(looks.nose_width * 0.9, nose - 0.06), (0.45 * w, nose + 0.1), (0.48 * w, mouth + 0.04)], 0.06,
         0.1 + grade),
        ([(eye_x - eye_width, eye + 0.1), (eye_x, eye + eye_width * 0.95), (eye_x + eye_width, eye + 0.08)],
         0.035, 1.15 * grade - 0.1),
        ([(0.06, eye - 0.28), (0.045, eye - 0.2), (0.06, eye - 0.12)], 0.03, 1.3 * grade - 0.25),
        ([(0.5 * w, mouth + 0.06), (0.46 * w, mouth + 0.18), (0.4 * w, mouth + 0.27)], 0.045,
         1.2 * grade - 0.35),
        ([(0.66 * w, 0.2), (0.74 * w, 0.4), (0.66 * w, 0.62)], 0.03, 1.2 * grade - 0.6)]
    for rise in (-0.1, -0.03, 0.05, 0.12):
        foot = [(outer, eye + rise * 0.4), (outer + 0.07, eye + rise), (outer + 0.13, eye + rise * 1.9)]
        sides.append((foot, 0.026, 1.5 * grade - 0.3))
    furrows = [(part, strength) for points, width, strength in sides if strength > 0
               for part in both(ribbon(curve(points, 9), width))]
    for number, y in enumerate((-0.37, -0.48, -0.58, -0.67)):
        strength, reach = 1.35 * grade - 0.16 * number, (0.48 - 0.05 * number) * w
        if strength > 0:
            line = [(-reach, y + 0.02), (-reach / 2, y - 0.02), (0, y + 0.015), (reach / 2, y - 0.02),
                    (reach, y + 0.02)]
            furrows.append((ribbon(curve(line, 16), 0.032), strength))
    return furrows


def _paint_nose(canvas: Canvas, looks: Looks, shadow: np.ndarray, shine: np.ndarray) -> None:
    base, half = looks.eye_line + looks.nose_length, looks.nose_width
    canvas.fill([CIRCLE * (half * 0.32, half * 0.26) + (0.03 * looks.light, base - 0.06)], shine, 0.55,
                blur=0.025)
    wing = curve([(half * 0.78, base - 0.11), (half * 1.0, base - 0.045), (half * 0.86, base + 0.02),
                  (half * 0.6, base + 0.01)], 10)
    tip = curve([(-half * 0.3, base + 0.015), (0, base + 0.04), (half * 0.3, base + 0.015)], 8)
    canvas.fill([*both(ribbon(wing, 0.032)), ribbon(tip, 0.028)], shadow, 0.7)
    canvas.fill(both(CIRCLE * (half * 0.23, 0.022) + (half * 0.42, base + 0.008)), shadow * 0.55, 0.75)


def _paint_mouth(canvas: Canvas, looks: Looks, shadow: np.ndarray) -> None:
    y, half, full, smile = looks.mouth_line, looks.mouth_width, looks.lip_fullness, looks.smile
    left, right = (-half, y - 0.055 * smile), (half, y - 0.055 * smile)
    natural = mix(looks.skin, ROSE * (0.35 + 0.65 * looks.skin.mean() / 230), 0.5)
    colour = mix(natural, LIP_RED, looks.lip_colour)
    gap = 0.06 * smile if looks.teeth else 0.0
    seam = curve([left, (-half * 0.45, y + 0.006), (0, y + 0.012), (half * 0.45, y + 0.006), right], 20)
    opening = seam + (0, gap) * _stroke_profile(20, 1.0, 0.5) * 2
    bow = curve([left, (-half * 0.5, y - 0.055 * full - 0.01), (-half * 0.16, y - 0.085 * full),
                 (0, y - 0.065 * full),
                 (half * 0.16, y - 0.085 * full), (half * 0.5, y - 0.055 * full - 0.01), right], 26)
    below = y + gap
    lip = curve([left, (-half * 0.5, below + 0.075 * full), (0, below + 0.115 * full),
                 (half * 0.5, below + 0.075 * full), right], 22)
    shapes = [(np.concatenate([bow, seam[::-1]]), colour * 0.86),
              (np.concatenate([lip, opening[::-1]]), colour)]
    if gap > 0.01:
        shapes.append((np.concatenate([seam, opening[::-1]]), TEETH))
        shapes.append((ribbon(opening, 0.012), colour * 0.7))
    canvas.fill_inside([], [*shapes, (ribbon(seam, 0.026, taper=0.5), colour * 0.45)])
    gloss = CIRCLE * (half * 0.3, 0.02 * full) + (half * 0.1 * looks.light, below + 0.06 * full)
    canvas.fill([gloss], WHITE, 0.28, blur=0.014)
    canvas.fill(both(CIRCLE * (0.03, 0.028) + (right[0] * 1.03, right[1])), shadow, 0.55, blur=0.012)


def _paint_eyes(canvas: Canvas, looks: Looks, shadow: np.ndarray) -> None:
    e, height, sag = looks.eye_size, looks.eye_size * looks.eye_open, looks.sag
    up, down, slant = height * 0.6, height * 0.4, looks.eye_slant * looks.eye_size
    upper = curve([(-e, 0.1 * e), (-0.55 * e, -0.72 * up), (0.05 * e, -up),
                   (0.62 * e, (0.3 * sag - 0.72) * up),
                   (e, -slant)], 16)
    lower = curve([(e, -slant), (0.5 * e, 0.85 * down), (-0.15 * e, down), (-0.65 * e, 0.6 * down),
                   (-e, 0.1 * e)], 14)

    def place(points: np.ndarray) -> list[np.ndarray]:
        return both(points + (looks.eye_distance, looks.eye_line))

    centre, iris = np.array([0.02 * e, -0.08 * up]), looks.iris
    opening = np.concatenate([upper, lower[1:-1]])
    shapes = [(opening, SCLERA * (1 - 0.06 * sag)), (ribbon(upper, up * 0.7, 0.3), SCLERA * 0.78),
              (CIRCLE * iris * 1.06 + centre, mix(looks.eye_colour * 0.3, BLACK, 0.4)),
              (CIRCLE * iris * 0.9 + centre, looks.eye_colour * 0.8),
              (CIRCLE * iris * (0.62, 0.5) + centre + (0, iris * 0.3), looks.eye_colour * 1.25 + 12),
              (CIRCLE * iris * 0.46 + centre, BLACK)]
    canvas.fill_inside(place(opening), [(part, colour) for shape, colour in shapes for part in place(shape)])
    glint = CIRCLE * iris * 0.25 + (looks.eye_distance, looks.eye_line) + centre - (0, 0.38 * iris)
    canvas.fill([part + (0.35 * looks.light * iris, 0) for part in both(glint)], WHITE, 0.95)
    crease = upper * (1.02, 1.0) - (0, 0.045 + 0.12 * up) + np.linspace((0, 0), (0, 0.07 * sag), 16)
    canvas.fill(place(ribbon(lower, 0.016)) + place(ribbon(crease, 0.024 + 0.02 * sag)), shadow * 0.9, 0.7)
    lash = np.concatenate([upper, [(e * (1 + 0.18 * looks.lashes), -slant - 0.16 * e * looks.lashes)]])
    thickness = 0.028 + 0.022 * looks.lashes
    canvas.fill(place(ribbon(lash, thickness, taper=0.6, peak=0.7)), mix(BLACK, shadow, 0.25), 0.95)


def _paint_brows(canvas: Canvas, looks: Looks) -> None:
    e, x, y = looks.eye_size, looks.eye_distance, looks.eye_line - looks.brow_height
    line = curve([(x - e, y + 0.03), (x - 0.2 * e, y - 0.02 - looks.brow_arch * 0.6),
                  (x + 0.55 * e, y - 0.025 - looks.brow_arch), (x + 1.3 * e, y + 0.05)], 14)
    colour = mix(looks.hair.colour * 0.8, looks.skin, 0.12)
    opacity = min(1.0, 0.35 + looks.brow_thickness * 9)
    canvas.fill(both(ribbon(line, looks.brow_thickness, taper=0.75, peak=0.35)), colour, opacity, blur=0.008)


def _paint_glasses(canvas: Canvas, looks: Looks) -> None:
    x, y = looks.eye_distance * 1.02, looks.eye_line + 0.03
    size = np.array([min(x * 0.86, 0.3), 0.2])
    power = 1.0 if looks.glasses == "round" else 0.55
    rim = np.sign(CIRCLE) * np.abs(CIRCLE) ** power * size + (x, y)
    reflex = np.array([(-0.5, -0.7), (-0.2, -0.7), (-0.55, 0.3), (-0.75, 0.1)]) * size
    arm = np.array([(x + size[0], y - 0.06), (looks.width, y - 0.05)])
    bridge = curve([(size[0] - x, y - 0.05), (0, y - 0.09), (x - size[0], y - 0.05)], 8)
    ring = ribbon(np.concatenate([rim, rim[:2]]), 0.036, taper=0.0)
    canvas.fill(both(rim), WHITE, 0.10)
    canvas.fill([reflex + (-x, y), reflex + (x, y)], WHITE, 0.16)
    frame = [*both(ring), *both(ribbon(arm, 0.036, taper=0.0)), ribbon(bridge, 0.032, taper=0.0)]
    canvas.fill(frame, mix(BLACK, looks.cloth_accent, 0.3))


def _paint_beard(canvas: Canvas, looks: Looks) -> None:
    w, mouth, half = looks.width, looks.mouth_line, looks.mouth_width
    nose, colour = looks.eye_line + looks.nose_length, looks.hair.colour * 0.92
    moustache = curve([(0, nose + 0.07), (half * 0.7, nose + 0.09), (half * 1.2, mouth + 0.05),
                       (half * 0.6, mouth - 0.02), (0, mouth - 0.035)], 18)
    outlines = [np.concatenate([moustache, mirrored(moustache)])]
    hairs = []
    if looks.beard == "full":
        head = head_outline(looks) * (0.995, 1.0) + (0, 0.02)
        jaw = head[head[:, 1] > 0.14]
        right = [(0, mouth + 0.15), (half * 0.5, mouth + 0.17), (half * 1.15, mouth + 0.1),
                 (half * 1.35, mouth - 0.08),
                 (0.72 * w, 0.4), (0.82 * w, 0.12)]
        left = [(-x, y) for x, y in right[:0:-1]]
        outlines.append(np.concatenate([jaw, curve([*left, *right], 30)]))
        for x in np.linspace(-0.75, 0.75, 13):
            end = 1.0 - 0.5 * abs(x) ** 2.2
            line = curve([(x * w * 0.78, end - 0.2), (x * w * 0.76, end - 0.1), (x * w * 0.7, end)], 5)
            hairs.append(ribbon(line, 0.02))
    canvas.fill(outlines, colour, 0.92, blur=0.015)
    if hairs:
        canvas.fill(hairs, mix(colour, WHITE, 0.25), 0.5)


# Hair ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A sheet of hair between two edges, each (SHEET_SAMPLES, 2); strands run over it."""

    outer: np.ndarray
    inner: np.ndarray
    combed: bool = False    # from the part to the inner edge; otherwise along the edges

    @property
    def outline(self) -> np.ndarray:
        """Closed outline of the sheet."""
        return np.concatenate([self.outer, self.inner[::-1]])

    def points(self, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Points at the two coordinates, both in 0..1: along the edges, across from outer to inner."""
        index = np.clip(along, 0, 1) * (SHEET_SAMPLES - 1)
        low = np.minimum(index.astype(int), SHEET_SAMPLES - 2)
        rest, across = (index - low)[..., None], np.clip(across, 0, 1)[..., None]
        outer = self.outer[low] * (1 - rest) + self.outer[low + 1] * rest
        inner = self.inner[low] * (1 - rest) + self.inner[low + 1] * rest
        return outer * (1 - across) + inner * across


def _sheets(outer: np.ndarray, inner: np.ndarray) -> list[Sheet]:
    return [Sheet(outer, inner), Sheet(outer * (-1, 1), inner * (-1, 1))]


def front_sheets(looks: Looks) -> list[Sheet]:
    """The hair before the face: the cap, and the locks that fall over the shoulders."""
    sheets = [_cap(looks)] if looks.hair.top > 0 else _side_patches(looks)
    return sheets + (_locks(looks) if looks.hair.locks > 0 else [])


def _cap(looks: Looks) -> Sheet:
    hair, w, crown = looks.hair, looks.width, looks.crown * looks.width
    v, s, ear, back = hair.volume, hair.sides, looks.eye_line + 0.02, hair.recession
    right = [(0.51 * crown + s * 0.6, -0.885 - v * 0.8), (0.88 * crown + s, -0.58 - 0.3 * v),
             (w * 0.98 + s, -0.2),
             (w * 0.965 + s * 0.6, ear)]
    left = [(-x, y) for x, y in right[::-1]]
    outer = curve([*left, (0.06 * (hair.part - 0.5), -1.0 - v), *right], SHEET_SAMPLES)
    if hair.coils:
        bumps = 0.018 * np.sin(np.arange(SHEET_SAMPLES) * 1.3)[:, None]
        outer = outer + bumps * outer / np.linalg.norm(outer, axis=1, keepdims=True)
    peak = (hair.part - 0.5) * 1.2 * w
    temple, corner = hair.hairline + 0.16 - 0.18 * back, hair.hairline + 0.02 - 0.34 * back
    middle = hair.hairline - 0.06 * (hair.part != 0.5) - 0.12 * back
    reach = w * (0.8 - 0.1 * back)
    inner = curve([(-w * 0.93, ear), (-w * 0.9, -0.22), (-reach, temple), (0.3 * peak - w * 0.5, corner),
                   (peak, middle),
                   (0.3 * peak + w * 0.5, corner), (reach, temple), (w * 0.9, -0.22), (w * 0.93, ear)],
                   SHEET_SAMPLES)
    # A hair line is never quite straight.
    inner[4:-4, 1] += 0.03 * (hair.strands[4:SHEET_SAMPLES - 4, 0] - 0.5)
    inner[:, 1] = np.maximum(inner[:, 1], outer[:, 1] + 0.02)
    return Sheet(outer, inner, combed=True)


def _side_patches(looks: Looks) -> list[Sheet]:
    w, s, ear = looks.width, looks.hair.sides + 0.03, looks.eye_line + 0.1
    outer = curve([(w * 0.74, -0.72), (w * 0.95 + s, -0.5), (w + s, -0.15), (w * 0.98 + s * 0.5, ear)],
                  SHEET_SAMPLES)
    inner = curve([(w * 0.76, -0.70), (w * 0.84, -0.45), (w * 0.86, -0.2), (w * 0.93, ear)], SHEET_SAMPLES)
    return _sheets(outer, inner)


def _locks(looks: Looks) -> list[Sheet]:
    w, end, s = looks.width, looks.hair.locks, looks.hair.sides
    ease = np.linspace(0, 1, SHEET_SAMPLES)
    sway = 0.06 * looks.hair.wave * np.sin(ease * 13) * ease
    outer = curve([(w * 0.92 + s, -0.4), (w * 1.03 + s * 1.2, 0.1), (w * 1.06 + s * 1.5, end * 0.55),
                   (w * 0.98 + s * 1.3, end)], SHEET_SAMPLES)
    inner = curve([(w * 0.82, -0.35), (w * 0.93, 0.05), (w * 0.93, end * 0.5),
                   (w * 0.72 + s * 0.3, end + 0.06)],
                  SHEET_SAMPLES)
    outer[:, 0] += sway
    inner[:, 0] += sway * 0.7
    return _sheets(outer, inner)


def back_sheets(looks: Looks) -> list[Sheet]:
    """The hair behind head and neck, with bun or tails."""
    hair, w, s = looks.hair, looks.width, looks.hair.sides
    sheets = []
    if hair.back > 0:
        right = curve([(0.1, -0.95), (w * 0.9 + s, -0.5), (w * 1.03 + s, 0.0),
                       (w * 1.04 + s * 1.3, hair.back * 0.6),
                       (w * 0.9 + s, hair.back)], SHEET_SAMPLES)
        sheets.append(Sheet(right * (-1, 1), right))
    if hair.tied == "bun":
        turn = np.linspace(0, np.pi, SHEET_SAMPLES)
        ring = np.stack([np.cos(turn), np.sin(turn)], 1) * (0.34, 0.28)
        middle = (0, -1.1 - hair.volume)
        sheets.append(Sheet(ring * (1, -1) + middle, ring + middle))
    if hair.tied == "tails":
        outer = curve([(w * 0.95, -0.62), (w * 1.42, -0.62), (w * 1.55, -0.1), (w * 1.4, 0.55),
                       (w * 1.25, 0.75)],
                      SHEET_SAMPLES)
        inner = curve([(w * 0.9, -0.35), (w * 1.08, -0.25), (w * 1.12, 0.05), (w * 1.12, 0.45),
                       (w * 1.22, 0.78)],
                      SHEET_SAMPLES)
        sheets += _sheets(outer, inner)
    return sheets


def paint_hair(canvas: Canvas, looks: Looks, sheets: list[Sheet], depth: float) -> None:
    """Sheets of hair with a band of shine and strands; `depth` under 1 darkens the hair behind the head."""
    if not sheets:
        return
    hair, light = looks.hair, looks.light
    soft = canvas.flat(hair.colour)
    _tint(soft, hair.temple_colour, 0.9 * canvas.pair(looks.width, -0.15, 0.3, 0.4))
    band = np.exp(-(((np.hypot(canvas.x, canvas.y + 0.1) - 0.93) / 0.12) ** 2))
    lit = np.clip(0.55 + 0.6 * canvas.x * light - 0.4 * canvas.y, 0, 1)
    _tint(soft, mix(hair.colour, WHITE, 0.42) + 10, 0.5 * band * lit)
    dim = np.clip(0.35 * (canvas.y + 0.2), 0, 0.5) + 0.25 * np.clip(-canvas.x * light, 0, 1)
    _tint(soft, hair.colour * 0.45, dim)
    paint = canvas.enlarge(soft * depth)
    combed = paint.copy()
    for sheet, strands in zip(sheets, np.array_split(hair.strands, len(sheets)), strict=True):
        _draw_strands(canvas, combed, sheet, strands, hair, depth)
    cv2.addWeighted(paint, 0.45, combed, 0.55, 0, dst=paint)
    blur = 0.008 if hair.top in (0, 1) else 0.05
    canvas.lay(paint, [sheet.outline for sheet in sheets], HAIR, hair.top or 1.0, blur)


def _draw_strands(canvas: Canvas, paint: np.ndarray, sheet: Sheet, strands: np.ndarray, hair: Hair,
                  depth: float) -> None:
    start, spread, kind, length = strands.T[..., None]
    step = np.linspace(0, 1, STRAND_SAMPLES)
    if hair.coils:
        turn = step * 4.2 + spread * 6
        lines = sheet.points(start, spread) + 0.035 * np.stack([np.cos(turn), np.sin(turn)], -1)
    elif sheet.combed:
        root = hair.part + (start - hair.part) * (0.3 + 0.4 * spread)
        lines = sheet.points(root + (start - root) * step**0.8, -0.1 + step * (0.75 + 0.4 * length))
    else:
        lines = sheet.points(length * 0.5 + step * (1 - length * 0.5), start + 0.25 * (spread - 0.5) * step)
    pale = mix(hair.colour, WHITE_HAIR, 0.75 * hair.strand_grey + 0.08)
    tones = (hair.colour * 0.55, hair.colour * 0.8, mix(hair.colour, WHITE, 0.22) + 8, pale)
    group = (kind[:, 0] * len(tones)).astype(int)
    for number, tone in enumerate(tones):
        if np.any(group == number):
            canvas.lines(paint, lines[group == number], tone * depth)


def paint_trinkets(canvas: Canvas, looks: Looks) -> None:
    """Earrings and the hair bow."""
    if looks.earrings:
        spot = (looks.width + 0.05, looks.eye_line + 0.12 + looks.ear * 1.05)
        canvas.fill(both(CIRCLE * 0.045 + spot), GOLD)
        canvas.fill(both(CIRCLE * 0.015 + spot - (0.012, 0.012)), WHITE, 0.9)
    if looks.bow:
        middle, wing = (0.5 * looks.width, -0.92), curve(BOW_WING, 16, closed=True)
        canvas.fill([part + middle for part in both(wing)], looks.cloth_accent)
        canvas.fill([part + middle for part in both(wing * 0.45 + (0.06, 0))], looks.cloth_accent * 0.7, 0.8)
        canvas.fill([CIRCLE * 0.06 + middle], looks.cloth_accent * 0.8)
