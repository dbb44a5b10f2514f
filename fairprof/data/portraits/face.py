"""The face: head and ears under their skin, then nose, mouth, eyes, brows and beard."""

import numpy as np

from fairprof.data.portraits.canvas import FACE, Canvas
from fairprof.data.portraits.colours import BLACK, SCLERA, TEETH, WHITE, lit, mix
from fairprof.data.portraits.looks import Looks
from fairprof.data.portraits.outlines import CIRCLE, both, curve, mirrored, ribbon, stroke_profile
from fairprof.data.portraits.skin import furrows, in_furrow, in_light, in_shadow, skin_paint


def paint_face(canvas: Canvas, looks: Looks, front_hair: list[np.ndarray]) -> None:
    """Ears, skin with its soft shading, then the features."""
    shadow, shine, furrow = in_shadow(looks.skin), in_light(looks.skin), in_furrow(looks.skin)
    skin = canvas.enlarge(skin_paint(canvas, looks, front_hair))
    ear = _ear(looks)
    canvas.lay(skin, both(ear), FACE)
    canvas.fill(both((ear - ear.mean(0)) * (0.5, 0.62) + ear.mean(0)), shadow, 0.6)
    canvas.lay(skin, [_head_outline(looks)], FACE)
    if looks.freckle_strength:
        spots = [CIRCLE[::3] * radius + (x * looks.width, y) for x, y, radius in looks.freckles]
        canvas.fill(spots, shadow, looks.freckle_strength * looks.visibility)
    canvas.engrave(furrows(looks), furrow, shine)
    _paint_nose(canvas, looks)
    if looks.beard in ("full", "moustache"):
        _paint_beard(canvas, looks)
    _paint_mouth(canvas, looks)
    _paint_eyes(canvas, looks)
    _paint_brows(canvas, looks)


def _head_outline(looks: Looks) -> np.ndarray:
    """(56, 2) closed outline of skull and jaw."""
    width, crown, sag = looks.width, looks.crown * looks.width, looks.sag
    jaw = (looks.jaw * width * (1 + 0.03 * sag), 0.6 + 0.04 * sag)
    right = [
        (0, -1.0),
        (0.52 * crown, -0.88),
        (0.87 * crown, -0.57),
        (width, -0.1),
        (0.985 * width, 0.25),
        jaw,
        (looks.chin * width * (1 + 0.1 * sag), 0.9),
    ]
    left = [(-x, y) for x, y in right[:0:-1]]
    return curve([*right, (0, 1.0), *left], 56, closed=True)


def _ear(looks: Looks) -> np.ndarray:
    shape = np.array([(0.0, -0.5), (0.45, -0.95), (0.95, -0.7), (0.95, 0.0), (0.6, 0.6), (0.25, 1.0), (-0.1, 0.7)])
    place = (looks.width * 0.96, looks.eye_line + 0.12)
    return curve(shape * looks.ear * (0.75, 1.0), 24, closed=True) + place


def _paint_nose(canvas: Canvas, looks: Looks) -> None:
    base, half = looks.eye_line + looks.nose_length, looks.nose_width
    gleam = CIRCLE * (half * 0.32, half * 0.26) + (0.03 * looks.light, base - 0.06)
    canvas.fill([gleam], in_light(looks.skin), 0.55, blur=0.025)
    wing = curve(
        [(half * 0.78, base - 0.11), (half * 1.0, base - 0.045), (half * 0.86, base + 0.02), (half * 0.6, base + 0.01)],
        10,
    )
    tip = curve([(-half * 0.3, base + 0.015), (0, base + 0.04), (half * 0.3, base + 0.015)], 8)
    canvas.fill([*both(ribbon(wing, 0.032)), ribbon(tip, 0.028)], in_shadow(looks.skin), 0.7)
    canvas.fill(both(CIRCLE * (half * 0.23, 0.022) + (half * 0.42, base + 0.008)), in_furrow(looks.skin), 0.9)


def _paint_mouth(canvas: Canvas, looks: Looks) -> None:
    y, half, full, smile = looks.mouth_line, looks.mouth_width, looks.lip_fullness, looks.smile
    left, right = (-half, y - 0.055 * smile), (half, y - 0.055 * smile)
    red = 22 + 22 * looks.lip_colour
    colour, upper, edge, dark = (lit(looks.skin, change, red, yellow=6) for change in (-14, -18, -22, -28))
    gap = 0.06 * smile if looks.teeth else 0.0
    seam = curve([left, (-half * 0.45, y + 0.006), (0, y + 0.012), (half * 0.45, y + 0.006), right], 20)
    opening = seam + (0, gap) * stroke_profile(20, 1.0, 0.5) * 2
    bow = curve(
        [
            left,
            (-half * 0.5, y - 0.055 * full - 0.01),
            (-half * 0.16, y - 0.085 * full),
            (0, y - 0.065 * full),
            (half * 0.16, y - 0.085 * full),
            (half * 0.5, y - 0.055 * full - 0.01),
            right,
        ],
        26,
    )
    below = y + gap
    lip = curve(
        [
            left,
            (-half * 0.5, below + 0.075 * full),
            (0, below + 0.115 * full),
            (half * 0.5, below + 0.075 * full),
            right,
        ],
        22,
    )
    shapes = [(np.concatenate([bow, seam[::-1]]), upper), (np.concatenate([lip, opening[::-1]]), colour)]
    if gap > 0.01:
        shapes.append((np.concatenate([seam, opening[::-1]]), TEETH))
        shapes.append((ribbon(opening, 0.012), edge))
    canvas.fill_inside([], [*shapes, (ribbon(seam, 0.026, taper=0.5), dark)])
    gloss = CIRCLE * (half * 0.3, 0.02 * full) + (half * 0.1 * looks.light, below + 0.06 * full)
    canvas.fill([gloss], WHITE, 0.28, blur=0.014)
    canvas.fill(both(CIRCLE * (0.03, 0.028) + (right[0] * 1.03, right[1])), in_shadow(looks.skin), 0.55, blur=0.012)


def _paint_eyes(canvas: Canvas, looks: Looks) -> None:
    half, height, sag = looks.eye_size, looks.eye_size * looks.eye_open, looks.sag
    up, down, slant = height * 0.6, height * 0.4, looks.eye_slant * looks.eye_size
    upper = curve(
        [
            (-half, 0.1 * half),
            (-0.55 * half, -0.72 * up),
            (0.05 * half, -up),
            (0.62 * half, (0.3 * sag - 0.72) * up),
            (half, -slant),
        ],
        16,
    )
    lower = curve(
        [
            (half, -slant),
            (0.5 * half, 0.85 * down),
            (-0.15 * half, down),
            (-0.65 * half, 0.6 * down),
            (-half, 0.1 * half),
        ],
        14,
    )

    def place(points: np.ndarray) -> list[np.ndarray]:
        return both(points + (looks.eye_distance, looks.eye_line))

    centre, iris = np.array([0.02 * half, -0.08 * up]), looks.iris
    opening = np.concatenate([upper, lower[1:-1]])
    shapes = [
        (opening, SCLERA * (1 - 0.06 * sag)),
        (ribbon(upper, up * 0.7, 0.3), SCLERA * 0.78),
        (CIRCLE * iris * 1.06 + centre, mix(looks.eye_colour * 0.3, BLACK, 0.4)),
        (CIRCLE * iris * 0.9 + centre, looks.eye_colour * 0.8),
        (CIRCLE * iris * (0.62, 0.5) + centre + (0, iris * 0.3), looks.eye_colour * 1.25 + 12),
        (CIRCLE * iris * 0.46 + centre, BLACK),
    ]
    canvas.fill_inside(place(opening), [(part, colour) for shape, colour in shapes for part in place(shape)])
    glint = CIRCLE * iris * 0.25 + (looks.eye_distance, looks.eye_line) + centre - (0, 0.38 * iris)
    canvas.fill([part + (0.35 * looks.light * iris, 0) for part in both(glint)], WHITE, 0.95)
    crease = upper * (1.02, 1.0) - (0, 0.045 + 0.12 * up) + np.linspace((0, 0), (0, 0.07 * sag), 16)
    canvas.fill(place(ribbon(lower, 0.016)) + place(ribbon(crease, 0.024 + 0.02 * sag)), in_furrow(looks.skin), 0.7)
    lash = np.concatenate([upper, [(half * (1 + 0.18 * looks.lashes), -slant - 0.16 * half * looks.lashes)]])
    thickness = 0.028 + 0.022 * looks.lashes
    canvas.fill(place(ribbon(lash, thickness, taper=0.6, peak=0.7)), BLACK, 0.95)


def _paint_brows(canvas: Canvas, looks: Looks) -> None:
    half, x, y = looks.eye_size, looks.eye_distance, looks.eye_line - looks.brow_height
    line = curve(
        [
            (x - half, y + 0.03),
            (x - 0.2 * half, y - 0.02 - looks.brow_arch * 0.6),
            (x + 0.55 * half, y - 0.025 - looks.brow_arch),
            (x + 1.3 * half, y + 0.05),
        ],
        14,
    )
    colour = mix(looks.hair.colour * 0.8, looks.skin, 0.12)
    opacity = min(1.0, 0.35 + looks.brow_thickness * 9)
    canvas.fill(both(ribbon(line, looks.brow_thickness, taper=0.75, peak=0.35)), colour, opacity, blur=0.008)


def _paint_beard(canvas: Canvas, looks: Looks) -> None:
    width, mouth, half = looks.width, looks.mouth_line, looks.mouth_width
    nose, colour = looks.eye_line + looks.nose_length, looks.hair.colour * 0.92
    moustache = curve(
        [
            (0, nose + 0.07),
            (half * 0.7, nose + 0.09),
            (half * 1.2, mouth + 0.05),
            (half * 0.6, mouth - 0.02),
            (0, mouth - 0.035),
        ],
        18,
    )
    outlines = [np.concatenate([moustache, mirrored(moustache)])]
    hairs = []
    if looks.beard == "full":
        head = _head_outline(looks) * (0.995, 1.0) + (0, 0.02)
        jaw = head[head[:, 1] > 0.14]
        right = [
            (0, mouth + 0.15),
            (half * 0.5, mouth + 0.17),
            (half * 1.15, mouth + 0.1),
            (half * 1.35, mouth - 0.08),
            (0.72 * width, 0.4),
            (0.82 * width, 0.12),
        ]
        left = [(-x, y) for x, y in right[:0:-1]]
        outlines.append(np.concatenate([jaw, curve([*left, *right], 30)]))
        for x in np.linspace(-0.75, 0.75, 13):
            end = 1.0 - 0.5 * abs(x) ** 2.2
            line = curve([(x * width * 0.78, end - 0.2), (x * width * 0.76, end - 0.1), (x * width * 0.7, end)], 5)
            hairs.append(ribbon(line, 0.02))
    canvas.fill(outlines, colour, 0.92, blur=0.015)
    if hairs:
        canvas.fill(hairs, mix(colour, WHITE, 0.25), 0.5)
