"""Every colour with a name: the Monk Skin Tone scale, natural hair and eyes, and the painters' palette."""

import cv2
import numpy as np

# Monk 2019, https://skintone.google: the ten published colours.
MONK_TONES = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")

# The lightness (CIELAB L*) at which the darkest and the lightest tone are painted: the scale's 14 to 94, under a
# light that leaves every tone room for the same shadows and the same shine; and how far that light varies.
SKIN_LIGHTNESS = (40.0, 82.0)
LIGHT_SPREAD = 4.0
CONE_OFFSET = 16.0  # of L* = 116 f(Y) - 16: with more light on it, a surface's L* + 16, a* and b* grow by one factor

# Natural hair and eye colours (RGB) with their weights, on every tone the same: grey hair differs from what was there
# before equally on all.
HAIR_COLOURS = {
    (158, 112, 64): 0.10,
    (128, 66, 38): 0.12,
    (112, 72, 44): 0.26,
    (70, 44, 30): 0.28,
    (34, 26, 25): 0.24,
}
EYE_COLOURS = {
    (98, 132, 128): 0.08,
    (128, 92, 50): 0.22,
    (88, 56, 34): 0.40,
    (52, 34, 26): 0.30,
}

BLACK = np.array([18, 14, 14], np.float32)
WHITE = np.array([255, 255, 255], np.float32)
SCLERA = np.array([244, 240, 236], np.float32)
TEETH = np.array([246, 242, 234], np.float32)
PEARL = np.array([236, 226, 206], np.float32)
GOLD = np.array([214, 176, 84], np.float32)
SILVER = np.array([222, 222, 226], np.float32)
GREY_HAIR = np.array([146, 145, 146], np.float32)
WHITE_HAIR = np.array([216, 215, 212], np.float32)


def skin_colour(skin_tone: int) -> np.ndarray:
    """The RGB colour (3,) float32 in which a tone of the Monk scale, 1..10, is painted."""
    published = _published(skin_tone)
    darkest, lightest = SKIN_LIGHTNESS
    return lit(published, lightest + (darkest - lightest) * tone_depth(skin_tone) - lightness(published))


def tone_depth(skin_tone: int) -> float:
    """How dark a tone of the Monk scale is by its L*, from 0 (the lightest) to 1 (the darkest)."""
    lightest, tone, darkest = (lightness(_published(number)) for number in (1, skin_tone, len(MONK_TONES)))
    return (lightest - tone) / (lightest - darkest)


def lightness(colour: np.ndarray) -> float:
    """CIELAB L*, 0..100, of an RGB colour (3,)."""
    return float(_lab(colour)[0])


def lit(colour: np.ndarray, change: float, red: float = 0.0, yellow: float = 0.0) -> np.ndarray:
    """An RGB colour (3,) float32 under more or less light, by which its L* changes by `change`; then redder and
    yellower by so much a* and b*. The same changes are as visible on every skin."""
    lab = _lab(colour)
    factor = (lab[0] + change + CONE_OFFSET) / (lab[0] + CONE_OFFSET)
    painted = np.array([lab[0] + change, lab[1] * factor + red, lab[2] * factor + yellow], np.float32)
    return np.clip(cv2.cvtColor(painted[None, None], cv2.COLOR_LAB2RGB)[0, 0], 0, 1) * 255


def _published(skin_tone: int) -> np.ndarray:
    return np.array([int(MONK_TONES[skin_tone - 1][start : start + 2], 16) for start in (0, 2, 4)], np.float32)


def _lab(colour: np.ndarray) -> np.ndarray:
    """CIELAB (3,) float32 of an RGB colour (3,) in 0..255."""
    return cv2.cvtColor((colour / 255).astype(np.float32)[None, None], cv2.COLOR_RGB2LAB)[0, 0]


def colour_of_hue(hue: float, saturation: float, value: float) -> np.ndarray:
    """The RGB colour (3,) float32 in 0..255 of hue, saturation and value in 0..1."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (255 * value * (1 - saturation + saturation * wheel)).astype(np.float32)


def mix(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The colour `share` of the way from `first` to `second`."""
    return first + (second - first) * share
