"""What a person wears besides clothes: necklace, glasses, earrings and a bow in the hair.

Of what tells age, glasses and pearls have a light and a dark side, which shows on every skin.
"""

import numpy as np

from fairprof.data.portraits.canvas import Canvas
from fairprof.data.portraits.colours import BLACK, GOLD, PEARL, SILVER, WHITE, mix
from fairprof.data.portraits.looks import Looks
from fairprof.data.portraits.outlines import CIRCLE, both, curve, ribbon
from fairprof.data.portraits.skin import in_light

BOW_WING = ((0, 0), (0.16, -0.15), (0.3, -0.08), (0.3, 0.1), (0.16, 0.12))


def paint_necklace(canvas: Canvas, looks: Looks) -> None:
    """A string of pearls."""
    neck = looks.neck
    beads = curve([(-neck * 1.05, 1.14), (-neck * 0.55, 1.33), (0, 1.4), (neck * 0.55, 1.33), (neck * 1.05, 1.14)], 13)
    canvas.fill([CIRCLE * 0.05 + bead for bead in beads], BLACK, 0.8)
    canvas.fill([CIRCLE * 0.035 + bead for bead in beads], PEARL)


def paint_glasses(canvas: Canvas, looks: Looks) -> None:
    """Round or square glasses with a light line along a dark frame."""
    x, y = looks.eye_distance * 1.02, looks.eye_line + 0.03
    size = np.array([min(x * 0.86, 0.3), 0.2])
    power = 1.0 if looks.glasses == "round" else 0.55
    rim = np.sign(CIRCLE) * np.abs(CIRCLE) ** power * size + (x, y)
    reflex = np.array([(-0.5, -0.7), (-0.2, -0.7), (-0.55, 0.3), (-0.75, 0.1)]) * size
    arm = np.array([(x + size[0], y - 0.06), (looks.width, y - 0.05)])
    bridge = curve([(size[0] - x, y - 0.05), (0, y - 0.09), (x - size[0], y - 0.05)], 8)
    closed = np.concatenate([rim, rim[:2]])
    ring, glint = ribbon(closed, 0.06, taper=0.0), ribbon(closed, 0.024, taper=0.0)
    canvas.fill([reflex + (-x, y), reflex + (x, y)], in_light(looks.skin), 0.5 * looks.visibility)
    frame = [*both(ring), *both(ribbon(arm, 0.06, taper=0.0)), ribbon(bridge, 0.06, taper=0.0)]
    canvas.fill(frame, mix(BLACK, looks.cloth_accent, 0.2), looks.visibility)
    line = [*both(glint), *both(ribbon(arm - (0, 0.01), 0.02, taper=0.0)), ribbon(bridge - (0, 0.01), 0.02, taper=0.0)]
    canvas.fill(line, SILVER, looks.visibility)


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
