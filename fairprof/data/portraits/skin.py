"""Skin: its colour in light and shadow, its soft shading, and the furrows that age draws into it."""

import numpy as np

from fairprof.data.portraits.canvas import Canvas, tint
from fairprof.data.portraits.colours import lit, mix
from fairprof.data.portraits.looks import Looks
from fairprof.data.portraits.outlines import both, curve, ribbon

# How far the skin's L* moves in the light, in the shadow, and in a furrow: by the same steps on every tone.
SHINE, SHADOW, FURROW = 13.0, -26.0, -31.0


def in_light(skin: np.ndarray) -> np.ndarray:
    """The colour (3,) of the skin in the light."""
    return lit(skin, SHINE)


def in_shadow(skin: np.ndarray) -> np.ndarray:
    """The colour (3,) of the skin in the shadow, which is warm."""
    return lit(skin, SHADOW, red=6, yellow=4)


def in_furrow(skin: np.ndarray) -> np.ndarray:
    """The colour (3,) at the bottom of a furrow, or of a nostril."""
    return lit(skin, FURROW, red=6, yellow=4)


def skin_paint(canvas: Canvas, looks: Looks, front_hair: list[np.ndarray]) -> np.ndarray:
    """(64, 64, 3) float32 colour of the skin under the light, with everything soft: hollows, cheeks, bags."""
    shadow, shine = in_shadow(looks.skin), in_light(looks.skin)
    eye, mouth, width, light = looks.eye_line, looks.mouth_line, looks.width, looks.light
    sag = looks.sag * looks.visibility
    nose, eye_x, eye_width = eye + looks.nose_length, looks.eye_distance, looks.eye_size
    paint = canvas.flat(looks.skin)
    rim = np.clip((canvas.x / width) ** 2 * 0.75 + np.clip(canvas.y, 0, 1.2) ** 4 * 0.35, 0, 1.2)
    away = np.clip(-canvas.x * light / width, 0, 1)
    glow, pair = canvas.glow, canvas.pair
    tint(paint, shine, 0.25 * glow(0.3 * light, 0.0, 0.6, 0.9))
    tint(paint, shadow, np.clip(0.5 * rim**1.5 + 0.45 * away**1.5, 0, 0.85))
    tint(paint, shine, 0.42 * glow(0.25 * light, -0.48, 0.5, 0.3))
    tint(paint, shine, 0.38 * pair(0.52 * width, eye + 0.24, 0.17, 0.11))
    tint(paint, shine, 0.3 * glow(0.05 * light, 0.9, 0.14, 0.08))
    flush = 0.75 * looks.rosy * looks.visibility
    tint(paint, lit(looks.skin, -10, red=24, yellow=6), flush * pair(0.6 * width, nose, 0.2, 0.16))
    tint(paint, shadow, (0.22 + 0.35 * sag) * pair(eye_x * 0.86, eye - 0.04, eye_width * 1.15, 0.12))
    tint(paint, shadow, 0.3 * pair(looks.nose_width * 0.62, nose - 0.2, 0.05, 0.2) * (0.5 + away))
    tint(paint, shine, 0.5 * glow(0.02 * light, (eye + nose) / 2, 0.045, looks.nose_length * 0.5))
    tint(paint, shadow, 0.42 * glow(-0.02 * light, nose + 0.075, looks.nose_width, 0.045))
    tint(paint, shadow, 0.3 * glow(0, mouth + 0.15, 0.16, 0.045))
    if sag:  # bags under the eyes, hollow cheeks, jowls beside the chin
        tint(paint, shadow, 0.6 * sag * pair(eye_x, eye + eye_width * 0.85, eye_width * 0.95, 0.045))
        tint(paint, shadow, 0.5 * sag * pair(0.72 * width, 0.42, 0.11, 0.2))
        tint(paint, shadow, 0.65 * sag * pair(0.4 * width, mouth + 0.16, 0.055, 0.15))
        tint(paint, shine, 0.3 * sag * pair(0.56 * width, mouth + 0.1, 0.08, 0.12))
    if looks.beard == "stubble":
        ring = np.clip(np.hypot(canvas.x / width, (canvas.y - mouth + 0.05) * 1.3) * 2.2 - 0.3, 0, 1)
        stubble = ring * np.clip((canvas.y - mouth + 0.35) * 4, 0, 1)
        tint(paint, mix(looks.hair.colour, looks.skin, 0.35), 0.5 * stubble)
    cast = canvas.coarse_mask([outline + (-0.03 * light, 0.07) for outline in front_hair], 1.6)
    tint(paint, shadow, 0.6 * cast)
    return paint


def furrows(looks: Looks) -> list[tuple[np.ndarray, float]]:
    """Every line of age as (outline, strength in 0..1); which of them show at all depends on `wrinkles`."""
    eye, mouth, width, grade = looks.eye_line, looks.mouth_line, looks.width, looks.wrinkles
    nose, eye_x, eye_width = eye + looks.nose_length, looks.eye_distance, looks.eye_size
    outer = eye_x + eye_width * 1.08
    sides = [
        # Nasolabial fold, bag, frown, marionette line, cheek; then crow's feet.
        (
            [(looks.nose_width * 0.9, nose - 0.06), (0.45 * width, nose + 0.1), (0.48 * width, mouth + 0.04)],
            0.06,
            0.1 + grade,
        ),
        (
            [(eye_x - eye_width, eye + 0.1), (eye_x, eye + eye_width * 0.95), (eye_x + eye_width, eye + 0.08)],
            0.035,
            1.15 * grade - 0.1,
        ),
        ([(0.06, eye - 0.28), (0.045, eye - 0.2), (0.06, eye - 0.12)], 0.03, 1.3 * grade - 0.25),
        (
            [(0.5 * width, mouth + 0.06), (0.46 * width, mouth + 0.18), (0.4 * width, mouth + 0.27)],
            0.045,
            1.2 * grade - 0.35,
        ),
        ([(0.66 * width, 0.2), (0.74 * width, 0.4), (0.66 * width, 0.62)], 0.03, 1.2 * grade - 0.6),
    ]
    for rise in (-0.1, -0.03, 0.05, 0.12):
        foot = [(outer, eye + rise * 0.4), (outer + 0.07, eye + rise), (outer + 0.13, eye + rise * 1.9)]
        sides.append((foot, 0.026, 1.5 * grade - 0.3))
    lines = [
        (part, min(strength, 1.0) * looks.visibility)
        for points, breadth, strength in sides
        if strength > 0
        for part in both(ribbon(curve(points, 9), breadth))
    ]
    for number, y in enumerate((-0.37, -0.48, -0.58, -0.67)):
        strength, reach = 1.35 * grade - 0.16 * number, (0.48 - 0.05 * number) * width
        if strength > 0:
            course = [
                (-reach, y + 0.02),
                (-reach / 2, y - 0.02),
                (0, y + 0.015),
                (reach / 2, y - 0.02),
                (reach, y + 0.02),
            ]
            lines.append((ribbon(curve(course, 16), 0.032), min(strength, 1.0) * looks.visibility))
    return lines
