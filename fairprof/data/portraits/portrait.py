"""A portrait, put together from back to front."""

import cv2
import numpy as np

from fairprof.data.portraits.accessories import paint_bow, paint_earrings, paint_glasses, paint_necklace
from fairprof.data.portraits.body import paint_backdrop, paint_body
from fairprof.data.portraits.canvas import Canvas
from fairprof.data.portraits.colours import MONK_TONES
from fairprof.data.portraits.face import paint_face
from fairprof.data.portraits.hair import back_sheets, front_sheets, paint_hair
from fairprof.data.portraits.people import GENDERS, OLDEST_AGE, Person, sample_looks

SMALLEST_SIZE = 32
DRAWING_SIDE = 256  # smaller portraits are drawn at this side and averaged down


def draw_portrait(
    person: Person, generator: np.random.Generator, size: int = 256, cue_gap: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one portrait and says what is where.

    cue_gap: by how much less the cues of age contrast on the darkest tone than on the lightest, 0 (equal) to 1 (gone);
    on the tones between, in proportion to their L*. It changes no outline.

    Returns the image, (size, size, 3) uint8 RGB, and its regions, (size, size) uint8 with values indexing
    `REGIONS`: "face" is the skin of the face with features, ears and beard; neck and clothes are background.
    The same person and an equally seeded generator give the same bytes, and the same face at every size.
    Raises ValueError for an age outside 0..100, an unknown gender or tone, or a size under 32.
    """
    _check(person, size)
    looks = sample_looks(person, generator, cue_gap)
    canvas = Canvas(max(size, DRAWING_SIDE), looks)
    front = front_sheets(looks)
    paint_backdrop(canvas, looks)
    paint_hair(canvas, looks, back_sheets(looks), depth=0.72)
    paint_body(canvas, looks)
    if looks.necklace:
        paint_necklace(canvas, looks)
    paint_face(canvas, looks, [sheet.outline for sheet in front])
    if looks.glasses:
        paint_glasses(canvas, looks)
    paint_hair(canvas, looks, front, depth=1.0)
    if looks.earrings:
        paint_earrings(canvas, looks)
    if looks.bow:
        paint_bow(canvas, looks)
    if size >= DRAWING_SIDE:
        return canvas.image, canvas.regions
    image = cv2.resize(canvas.image, (size, size), interpolation=cv2.INTER_AREA)
    return image, cv2.resize(canvas.regions, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)


def _check(person: Person, size: int) -> None:
    if not 0 <= person.age <= OLDEST_AGE:
        raise ValueError(f"age must be 0..{OLDEST_AGE}, got {person.age!r}")
    if person.gender not in GENDERS:
        raise ValueError(f"gender must be one of {GENDERS}, got {person.gender!r}")
    if not 1 <= person.skin_tone <= len(MONK_TONES):
        raise ValueError(f"skin_tone must be 1..{len(MONK_TONES)}, got {person.skin_tone!r}")
    if size < SMALLEST_SIZE:
        raise ValueError(f"size must be at least {SMALLEST_SIZE}, got {size!r}")
