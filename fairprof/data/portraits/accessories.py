"""What a person wears besides clothes: necklace, glasses, earrings and a bow in the hair."""

import numpy as np

from fairprof.data.portraits.canvas import Canvas
from fairprof.data.portraits.colours import BLACK, GOLD, PEARL, WHITE, mix
from fairprof.data.portraits.looks import Looks
from fairprof.data.portraits.outlines import CIRCLE, both, curve, ribbon

BOW_WING = ((0, 0), (0.16, -0.15), (0.3, -0.08), (0.3, 0.1), (0.16, 0.12))


def paint_necklace(canvas: Canvas, looks: Looks) -> None:
    """A string of pearls."""
    neck = looks.neck
    beads = curve([(-neck * 1.05, 1.14), (-neck * 0.55, 1.33), (0, 1.4), (neck * 0.55, 1.33), (neck * 1.05, 1.14)], 13)
    canvas.fill([CIRCLE * 0.035 + bead for bead in beads], PEARL)


def paint_glasses(canvas: Canvas, looks: Looks) -> None:
    """Round or square glasses."""
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


def paint_earrings(canvas: Canvas, looks: Looks) -> None:
    """A golden bead below either ear."""
    spot = (looks.width + 0.05, looks.eye_line + 0.12 + looks.ear * 1.05)
    canvas.fill(both(CIRCLE * 0.045 + spot), GOLD)
    canvas.fill(both(CIRCLE * 0.015 + spot - (0.012, 0.012)), WHITE, 0.9)


def paint_bow(canvas: Canvas, looks: Looks) -> None:
    """A bow on one side of the hair."""
    middle, wing = (0.5 * looks.width, -0.92), curve(BOW_WING, 16, closed=True)
    canvas.fill([part + middle for part in both(wing)], looks.cloth_accent)
    canvas.fill([part + middle for part in both(wing * 0.45 + (0.06, 0))], looks.cloth_accent * 0.7, 0.8)
    canvas.fill([CIRCLE * 0.06 + middle], looks.cloth_accent * 0.8)
