"""What the regions call background: the backdrop, and before it the neck and the clothed shoulders."""

import numpy as np

from fairprof.data.portraits.canvas import BACKGROUND, Canvas, tint
from fairprof.data.portraits.colours import BLACK, WHITE, mix
from fairprof.data.portraits.looks import Looks
from fairprof.data.portraits.outlines import both, curve, mirrored, ribbon
from fairprof.data.portraits.skin import in_light, in_shadow

COLLARED = ("shirt", "jacket", "cardigan")


def paint_backdrop(canvas: Canvas, looks: Looks) -> None:
    """A soft gradient with a lighter halo behind the head."""
    across, down = np.cos(looks.backdrop_angle), np.sin(looks.backdrop_angle)
    slope = across * (canvas.frame_x - 0.5) + down * (canvas.frame_y - 0.5)
    paint = mix(looks.backdrop[0], looks.backdrop[1], np.clip(0.5 + slope * 0.8, 0, 1)[..., None])
    tint(paint, WHITE, 0.22 * canvas.glow(0.5 * looks.light, -0.2, 1.3, 1.3))
    canvas.image = canvas.enlarge(paint)


def paint_body(canvas: Canvas, looks: Looks) -> None:
    """Neck and clothed shoulders."""
    shadow, shine = in_shadow(looks.skin), in_light(looks.skin)
    neck = looks.neck
    side = curve([(neck, 0.3), (neck * 0.98, 0.85), (neck * 1.03, 1.1), (neck * 1.5, 1.28), (neck * 2.3, 1.5)], 16)
    paint = canvas.flat(looks.skin)
    tint(paint, shadow, np.clip(0.25 + 0.5 * canvas.glow(0, 0.85, 0.9, 0.35) + 0.2 * (canvas.x / neck) ** 2, 0, 0.8))
    tint(paint, shine, 0.18 * canvas.glow(0.12 * looks.light, 1.3, 0.25, 0.18))
    canvas.lay(canvas.enlarge(paint), [np.concatenate([side, mirrored(side)])], BACKGROUND)
    rings = [curve([(-neck * 0.8, y - 0.05), (0, y), (neck * 0.8, y - 0.05)], 10) for y in (1.06, 1.17)]
    canvas.fill([ribbon(ring, 0.03) for ring in rings], shadow, 0.15 + 0.6 * looks.wrinkles * looks.visibility)
    if looks.sag > 0.3:
        cord = curve([(0.35 * neck, 0.95), (0.28 * neck, 1.2), (0.18 * neck, 1.36)], 8)
        canvas.fill(both(ribbon(cord, 0.05)), shadow, 0.5 * looks.sag * looks.visibility, blur=0.012)
    _paint_garment(canvas, looks)


def _paint_garment(canvas: Canvas, looks: Looks) -> None:
    neck, reach, cloth = looks.neck, looks.shoulders, looks.cloth
    depth = 1.42 if looks.garment in COLLARED else 1.34
    edge = curve([(0, depth), (neck * 0.75, depth / 2 + 0.63), (neck * 1.22, 1.18)], 8)
    side = curve(
        [(neck * 1.22, 1.18), (reach * 0.62, 1.34), (reach * 0.93, 1.52), (reach * 1.08, 2.0), (reach * 1.1, 2.6)], 12
    )
    paint = canvas.flat(cloth)
    if looks.garment == "stripes":
        tint(paint, looks.cloth_accent, np.clip(0.5 + 2 * np.sin(canvas.y * 30 + canvas.x**2), 0, 0.9))
    elif looks.garment == "knit":
        weave = (1 + np.sin(canvas.x * 30)) * (1 + np.sin(canvas.y * 16))
        tint(paint, mix(cloth, WHITE, 0.5), 0.12 * weave)
    tint(paint, cloth * 0.45, 0.5 * np.clip(-canvas.x * np.sign(looks.light) / reach, 0, 1))
    tint(paint, cloth * 0.4, 0.45 * canvas.glow(0, 1.15, neck * 2.0, 0.2))
    tint(paint, mix(cloth, WHITE, 0.5), 0.3 * canvas.glow(0.7 * looks.light * reach, 1.45, 0.4, 0.2))
    outline = np.concatenate([edge, side, mirrored(side), mirrored(edge)])
    canvas.lay(canvas.enlarge(paint), [outline], BACKGROUND)
    folds = [curve([(x * reach, 1.55), ((x - 0.04) * reach, 1.8), ((x + 0.05) * reach, 2.3)], 8) for x in (0.45, 0.75)]
    canvas.fill([part for fold in folds for part in both(ribbon(fold, 0.05))], cloth * 0.5, 0.35)
    _paint_collar(canvas, looks, edge)


def _paint_collar(canvas: Canvas, looks: Looks, edge: np.ndarray) -> None:
    neck, cloth, accent = looks.neck, looks.cloth, looks.cloth_accent
    if looks.garment in COLLARED:
        _paint_shirt_collar(canvas, looks)
    elif looks.garment == "hoodie":
        hood = curve(
            [(neck * 1.15, 1.02), (neck * 1.75, 1.16), (neck * 1.3, 1.42), (0, 1.56), (0, 1.38), (neck * 0.9, 1.26)],
            20,
            closed=True,
        )
        cord = curve([(neck * 0.5, 1.48), (neck * 0.55, 1.7), (neck * 0.48, 1.9)], 6)
        canvas.fill(both(hood), mix(cloth, BLACK, 0.22))
        canvas.fill(both(ribbon(cord, 0.04, taper=0.2)), mix(cloth, WHITE, 0.8))
    elif looks.garment == "bib":
        bib = curve(
            [(-neck * 1.2, 1.16), (0, 1.34), (neck * 1.2, 1.16), (neck * 1.7, 1.5), (0, 1.85), (-neck * 1.7, 1.5)],
            30,
            closed=True,
        )
        canvas.fill([bib], mix(accent, WHITE, 0.75))
        canvas.fill([ribbon(np.concatenate([bib, bib[:1]]), 0.035, taper=0.0)], accent)
    else:
        hem = np.concatenate([mirrored(edge), edge[1:]])
        canvas.fill([ribbon(hem, 0.07, taper=0.1)], cloth * 0.62, 0.8)


def _paint_shirt_collar(canvas: Canvas, looks: Looks) -> None:
    neck, cloth = looks.neck, looks.cloth
    shirt = cloth if looks.garment == "shirt" else mix(looks.cloth_accent, WHITE, 0.65)
    if looks.garment != "shirt":
        front = [(neck * 1.15, 1.2), (neck * 0.55, 1.7), (0, 2.1), (-neck * 0.55, 1.7), (-neck * 1.15, 1.2), (0, 1.4)]
        canvas.fill([np.array(front)], shirt * 0.94)
    if looks.garment == "jacket":
        tie = [(-0.07, 1.4), (0.07, 1.4), (0.05, 1.5), (0.12, 2.2), (-0.12, 2.2), (-0.05, 1.5)]
        canvas.fill([np.array(tie)], looks.cloth_accent * 0.75)
    wing = np.array([(neck * 1.24, 1.13), (neck * 0.98, 1.12), (0.03, 1.42), (neck * 0.62, 1.62), (neck * 1.45, 1.26)])
    canvas.fill(both(wing + (0, 0.025)), BLACK, 0.3, blur=0.012)
    canvas.fill(both(wing), mix(shirt, WHITE, 0.18))
    if looks.garment == "jacket":
        lapel = np.array(
            [(neck * 1.3, 1.17), (neck * 1.75, 1.4), (neck * 1.35, 1.62), (0.08, 2.15), (neck * 0.62, 1.64)]
        )
        canvas.fill(both(lapel), cloth * 0.62)
        canvas.fill(both(lapel * (0.97, 1) + (0, 0.01)), cloth * 0.82)
