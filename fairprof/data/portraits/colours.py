"""Every colour with a name: the Monk Skin Tone scale, natural hair and eyes, and the painters' palette."""

import numpy as np

# Monk 2019, https://skintone.google: the ten published colours.
MONK_TONES = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")

# Natural hair and eye colours (RGB) with weights for the tones 1-4, 5-7 and 8-10; they overlap on purpose.
HAIR_COLOURS = {
    (226, 190, 122): (0.24, 0.03, 0.0),
    (190, 142, 84): (0.20, 0.06, 0.0),
    (150, 74, 40): (0.12, 0.04, 0.01),
    (112, 72, 44): (0.22, 0.20, 0.07),
    (70, 44, 30): (0.16, 0.34, 0.27),
    (34, 26, 25): (0.06, 0.33, 0.65),
}
EYE_COLOURS = {
    (96, 140, 178): (0.36, 0.06, 0.01),
    (98, 132, 88): (0.20, 0.10, 0.03),
    (128, 92, 50): (0.22, 0.30, 0.18),
    (88, 56, 34): (0.16, 0.36, 0.42),
    (52, 34, 26): (0.06, 0.18, 0.36),
}

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


def skin_colour(skin_tone: int) -> np.ndarray:
    """The RGB colour (3,) float32 of a tone of the Monk scale, 1..10."""
    return np.array([int(MONK_TONES[skin_tone - 1][start : start + 2], 16) for start in (0, 2, 4)], np.float32)


def colour_of_hue(hue: float, saturation: float, value: float) -> np.ndarray:
    """The RGB colour (3,) float32 in 0..255 of hue, saturation and value in 0..1."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (255 * value * (1 - saturation + saturation * wheel)).astype(np.float32)


def mix(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The colour `share` of the way from `first` to `second`."""
    return first + (second - first) * share
