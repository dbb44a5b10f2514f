"""Hair: sheets between two edges, behind the head and before it, with shine and strands."""

from dataclasses import dataclass

import cv2
import numpy as np

from fairprof.data.portraits.canvas import HAIR, Canvas, tint
from fairprof.data.portraits.colours import WHITE, WHITE_HAIR, mix
from fairprof.data.portraits.looks import Hair, Looks
from fairprof.data.portraits.outlines import curve

SHEET_SAMPLES = 49  # points along each edge of a sheet of hair
STRAND_SAMPLES = 9  # points along a strand of hair


@dataclass(frozen=True)
class Sheet:
    """A sheet of hair between two edges, each (SHEET_SAMPLES, 2); strands run over it."""

    outer: np.ndarray
    inner: np.ndarray
    combed: bool = False  # from the part to the inner edge; otherwise along the edges

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


def front_sheets(looks: Looks) -> list[Sheet]:
    """The hair before the face: the cap, and the locks that fall over the shoulders."""
    return [_cap(looks)] + (_locks(looks) if looks.hair.locks > 0 else [])


def back_sheets(looks: Looks) -> list[Sheet]:
    """The hair behind head and neck, with bun or tails."""
    hair, width, sides = looks.hair, looks.width, looks.hair.sides
    sheets = []
    if hair.back > 0:
        right = curve(
            [
                (0.1, -0.95),
                (width * 0.9 + sides, -0.5),
                (width * 1.03 + sides, 0.0),
                (width * 1.04 + sides * 1.3, hair.back * 0.6),
                (width * 0.9 + sides, hair.back),
            ],
            SHEET_SAMPLES,
        )
        sheets.append(Sheet(right * (-1, 1), right))
    if hair.tied == "bun":
        turn = np.linspace(0, np.pi, SHEET_SAMPLES)
        ring = np.stack([np.cos(turn), np.sin(turn)], 1) * (0.34, 0.28)
        middle = (0, -1.1 - hair.volume)
        sheets.append(Sheet(ring * (1, -1) + middle, ring + middle))
    if hair.tied == "tails":
        outer = curve(
            [
                (width * 0.95, -0.62),
                (width * 1.42, -0.62),
                (width * 1.55, -0.1),
                (width * 1.4, 0.55),
                (width * 1.25, 0.75),
            ],
            SHEET_SAMPLES,
        )
        inner = curve(
            [
                (width * 0.9, -0.35),
                (width * 1.08, -0.25),
                (width * 1.12, 0.05),
                (width * 1.12, 0.45),
                (width * 1.22, 0.78),
            ],
            SHEET_SAMPLES,
        )
        sheets += _mirrored_sheets(outer, inner)
    return sheets


def paint_hair(canvas: Canvas, looks: Looks, sheets: list[Sheet], depth: float) -> None:
    """Sheets of hair with a band of shine and strands; `depth` under 1 darkens the hair behind the head."""
    if not sheets:
        return
    hair, light = looks.hair, looks.light
    soft = canvas.flat(hair.colour)
    tint(soft, hair.temple_colour, 0.9 * canvas.pair(looks.width, -0.15, 0.3, 0.4))
    band = np.exp(-(((np.hypot(canvas.x, canvas.y + 0.1) - 0.93) / 0.12) ** 2))
    lit = np.clip(0.55 + 0.6 * canvas.x * light - 0.4 * canvas.y, 0, 1)
    tint(soft, mix(hair.colour, WHITE, 0.42) + 10, 0.5 * band * lit)
    dim = np.clip(0.35 * (canvas.y + 0.2), 0, 0.5) + 0.25 * np.clip(-canvas.x * light, 0, 1)
    tint(soft, hair.colour * 0.45, dim)
    paint = canvas.enlarge(soft * depth)
    combed = paint.copy()
    for sheet, strands in zip(sheets, np.array_split(hair.strands, len(sheets)), strict=True):
        _draw_strands(canvas, combed, sheet, strands, hair, depth)
    cv2.addWeighted(paint, 0.45, combed, 0.55, 0, dst=paint)
    blur = 0.008 if hair.top == 1 else 0.05
    canvas.lay(paint, [sheet.outline for sheet in sheets], HAIR, hair.top, blur)


def _cap(looks: Looks) -> Sheet:
    hair, width, crown = looks.hair, looks.width, looks.crown * looks.width
    volume, sides, ear, back = hair.volume, hair.sides, looks.eye_line + 0.02, hair.recession
    right = [
        (0.51 * crown + sides * 0.6, -0.885 - volume * 0.8),
        (0.88 * crown + sides, -0.58 - 0.3 * volume),
        (width * 0.98 + sides, -0.2),
        (width * 0.965 + sides * 0.6, ear),
    ]
    left = [(-x, y) for x, y in right[::-1]]
    outer = curve([*left, (0.06 * (hair.part - 0.5), -1.0 - volume), *right], SHEET_SAMPLES)
    if hair.coils:
        bumps = 0.018 * np.sin(np.arange(SHEET_SAMPLES) * 1.3)[:, None]
        outer = outer + bumps * outer / np.linalg.norm(outer, axis=1, keepdims=True)
    peak = (hair.part - 0.5) * 1.2 * width
    temple, corner = hair.hairline + 0.16 - 0.18 * back, hair.hairline + 0.02 - 0.34 * back
    middle = hair.hairline - 0.06 * (hair.part != 0.5) - 0.12 * back
    reach = width * (0.8 - 0.1 * back)
    inner = curve(
        [
            (-width * 0.93, ear),
            (-width * 0.9, -0.22),
            (-reach, temple),
            (0.3 * peak - width * 0.5, corner),
            (peak, middle),
            (0.3 * peak + width * 0.5, corner),
            (reach, temple),
            (width * 0.9, -0.22),
            (width * 0.93, ear),
        ],
        SHEET_SAMPLES,
    )
    # A hair line is never quite straight.
    inner[4:-4, 1] += 0.03 * (hair.strands[4 : SHEET_SAMPLES - 4, 0] - 0.5)
    inner[:, 1] = np.maximum(inner[:, 1], outer[:, 1] + 0.02)
    return Sheet(outer, inner, combed=True)


def _locks(looks: Looks) -> list[Sheet]:
    width, end, sides = looks.width, looks.hair.locks, looks.hair.sides
    ease = np.linspace(0, 1, SHEET_SAMPLES)
    sway = 0.06 * looks.hair.wave * np.sin(ease * 13) * ease
    outer = curve(
        [
            (width * 0.92 + sides, -0.4),
            (width * 1.03 + sides * 1.2, 0.1),
            (width * 1.06 + sides * 1.5, end * 0.55),
            (width * 0.98 + sides * 1.3, end),
        ],
        SHEET_SAMPLES,
    )
    inner = curve(
        [
            (width * 0.82, -0.35),
            (width * 0.93, 0.05),
            (width * 0.93, end * 0.5),
            (width * 0.72 + sides * 0.3, end + 0.06),
        ],
        SHEET_SAMPLES,
    )
    outer[:, 0] += sway
    inner[:, 0] += sway * 0.7
    return _mirrored_sheets(outer, inner)


def _mirrored_sheets(outer: np.ndarray, inner: np.ndarray) -> list[Sheet]:
    return [Sheet(outer, inner), Sheet(outer * (-1, 1), inner * (-1, 1))]


def _draw_strands(
    canvas: Canvas, paint: np.ndarray, sheet: Sheet, strands: np.ndarray, hair: Hair, depth: float
) -> None:
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
