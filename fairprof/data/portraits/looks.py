"""What one person looks like: everything the painters need to know, and no chance in it.

Coordinates are those of the head: x to the viewer's right, y down, the skull's top at y = -1, the chin at y = 1.
"""

from dataclasses import dataclass

import numpy as np


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
    tied: str  # "", "bun", "tails"
    top: float  # 1 a full cap, under it thin hair
    colour: np.ndarray
    temple_colour: np.ndarray
    strand_grey: float
    strands: np.ndarray  # (count, 4) float


@dataclass(frozen=True)
class Looks:
    """All that is drawn of one person; lengths in head units, strengths in 0..1, colours (3,) float RGB."""

    centre: tuple[float, float]  # of the head, in frame sides
    scale: float  # half the head's height, in frame sides
    tilt: float  # radians
    light: float  # -1 from the left .. 1 from the right
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
    visibility: float  # of the cues of age: 1 in full, 0 not at all
    freckles: np.ndarray  # (count, 3) float: x, y, radius
    freckle_strength: float
    beard: str  # "", "stubble", "moustache", "full"
    glasses: str  # "", "round", "square"
    earrings: bool
    bow: bool
    necklace: bool
    garment: str
    skin: np.ndarray
    eye_colour: np.ndarray
    cloth: np.ndarray
    cloth_accent: np.ndarray
    backdrop: np.ndarray  # (2, 3) float: colours of the gradient
    backdrop_angle: float
    hair: Hair
