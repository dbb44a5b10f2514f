"""Generated portraits: the embedded data set, drawn on the spot and free of anybody's face.

Skin is the Monk Skin Tone scale (Monk 2019, https://skintone.google, the ten published colours). Age is told
redundantly: by proportions (large low-set eyes and a small round face in the young), hair line, greying,
wrinkles, sagging skin, glasses and, loosely, clothes. Gender and skin tone vary independently of age.
This module decides who a person is; `portrait_parts` knows how that is painted.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fairprof.data import portrait_parts as parts

REGIONS = ("background", "face", "hair")      # value in the mask is the index here

GENDERS = ("Male", "Female")
OLDEST_AGE = 100
SMALLEST_SIZE = 32
DRAWING_SIDE = 256              # smaller portraits are drawn at this side and averaged down

MONK_TONES = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a",
              "292420")

# How a face changes over a life: values at AGE_KNOTS (years), linear between. Lengths in half head heights.
AGE_KNOTS = (0, 2.5, 6, 10, 15, 20, 30, 40, 50, 60, 70, 85)
AGE_CURVES = {
    "scale": (.262, .272, .284, .296, .308, .316, .320, .324, .328, .332, .336, .336),
    "height": (.520, .515, .505, .495, .480, .472, .470, .468, .466, .464, .462, .462),
    "width": (.93, .91, .87, .83, .775, .745, .74, .75, .765, .78, .785, .77),
    "crown": (1.05, 1.04, 1.03, 1.02, 1.0, 1.0, 1.0, 1.0, 1.0, .99, .98, .97),
    "jaw": (.80, .80, .80, .80, .79, .78, .79, .80, .82, .83, .84, .83),
    "chin": (.42, .40, .38, .38, .38, .38, .39, .41, .43, .45, .46, .45),
    "eye_line": (.24, .20, .15, .11, .05, .02, .0, -.01, -.02, -.02, -.02, -.02),
    "eye_size": (.235, .228, .215, .20, .185, .175, .166, .157, .149, .140, .130, .122),
    "eye_open": (1.22, 1.18, 1.1, 1.03, .96, .91, .86, .80, .73, .66, .60, .56),
    "iris": (.125, .120, .112, .105, .096, .09, .086, .082, .078, .074, .070, .066),
    "nose_length": (.225, .245, .29, .33, .38, .41, .425, .44, .455, .47, .485, .495),
    "nose_width": (.135, .14, .15, .155, .16, .165, .17, .18, .19, .20, .21, .215),
    "mouth_line": (.66, .66, .655, .655, .66, .665, .67, .68, .69, .70, .71, .715),
    "mouth_width": (.17, .19, .215, .235, .25, .262, .27, .275, .28, .283, .285, .28),
    "lips": (.92, .92, .9, .92, 1.0, 1.05, 1.0, .9, .78, .66, .54, .44),
    "brow": (.022, .028, .035, .042, .055, .062, .064, .066, .066, .064, .06, .056),
    "ear": (.19, .20, .205, .21, .215, .215, .22, .225, .235, .25, .265, .275),
    "neck": (.34, .35, .36, .37, .40, .43, .44, .445, .45, .45, .44, .42),
    "shoulders": (1.0, 1.05, 1.12, 1.2, 1.34, 1.44, 1.48, 1.5, 1.5, 1.48, 1.44, 1.38),
    "rosy": (1.0, .95, .85, .72, .55, .42, .30, .24, .2, .16, .12, .1),
    "wrinkles": (.0, .0, .0, .0, .0, .01, .13, .30, .52, .74, .93, 1.0),
    "sag": (.0, .0, .0, .0, .0, .0, .08, .22, .42, .66, .88, 1.0),
    "grey": (.0, .0, .0, .0, .0, .0, .03, .20, .52, .84, 1.0, 1.0),
    "white": (.0, .0, .0, .0, .0, .0, .0, .0, .05, .28, .75, 1.0),
    "volume": (.02, .08, .13, .15, .17, .17, .15, .125, .10, .08, .06, .05),
    "glasses": (.0, .01, .06, .10, .14, .14, .16, .22, .42, .58, .68, .72),
    "recession": (.3, .05, .0, .0, .0, .04, .20, .40, .58, .74, .86, .92),
    "vivid": (.35, .5, .85, .85, .75, .7, .6, .5, .42, .34, .28, .25),
}

# Natural hair and eye colours (RGB) with weights for the tones 1-4, 5-7 and 8-10; they overlap on purpose.
HAIR_COLOURS = {
    (226, 190, 122): (.24, .03, .0), (190, 142, 84): (.20, .06, .0), (150, 74, 40): (.12, .04, .01),
    (112, 72, 44): (.22, .20, .07), (70, 44, 30): (.16, .34, .27), (34, 26, 25): (.06, .33, .65),
}
EYE_COLOURS = {
    (96, 140, 178): (.36, .06, .01), (98, 132, 88): (.20, .10, .03), (128, 92, 50): (.22, .30, .18),
    (88, 56, 34): (.16, .36, .42), (52, 34, 26): (.06, .18, .36),
}

# Weights of styles by stage of life; a stage begins at the age given.
STAGES = (0, 3, 10, 20, 35, 50, 65)
HAIR_STYLES = {
    "Male": {
        "fuzz": (1, 0, 0, 0, 0, 0, 0), "crop": (0, .6, .3, .3, .4, .5, .5),
        "quiff": (0, .0, .3, .3, .15, .05, .0),
        "fringe": (0, .3, .25, .1, .0, .0, .0), "side": (0, .1, .15, .3, .45, .45, .5),
    },
    "Female": {
        "fuzz": (1, 0, 0, 0, 0, 0, 0), "tails": (0, .4, .05, .0, .0, .0, .0),
        "long": (0, .25, .5, .45, .25, .05, .0),
        "wavy": (0, .1, .25, .3, .25, .1, .05), "bob": (0, .25, .12, .15, .35, .35, .2),
        "bun": (0, .0, .08, .1, .1, .15, .25), "short": (0, .0, .0, .0, .05, .35, .5),
    },
}
GARMENTS = {
    "bib": (.7, .02, .0, .0, .0, .0, .0), "stripes": (.2, .45, .2, .1, .05, .03, .02),
    "crew": (.1, .4, .25, .35, .25, .2, .15), "hoodie": (.0, .1, .45, .2, .08, .02, .0),
    "shirt": (.0, .03, .1, .25, .27, .25, .2), "jacket": (.0, .0, .0, .1, .3, .3, .13),
    "cardigan": (.0, .0, .0, .0, .05, .2, .3), "knit": (.0, .0, .0, .0, .0, .0, .2),
}
BEARDS = {
    "": (1, 1, 1, .55, .6, .65, .7), "stubble": (0, 0, 0, .25, .15, .08, .03),
    "moustache": (0, 0, 0, .03, .05, .07, .07), "full": (0, 0, 0, .17, .2, .2, .2),
}
COILED_SHARE = (.06, .2, .75)      # of hair in tight coils, for the tones 1-4, 5-7 and 8-10
STRAND_COUNT = 120
FRECKLE_COUNT = 16


@dataclass(frozen=True)
class Person:
    """Whom to draw; the rest of a portrait is chance."""

    age: int            # years, 0..100
    gender: str         # "Male" | "Female"
    skin_tone: int      # Monk scale, 1 (lightest) .. 10 (darkest)


def draw_portrait(person: Person, generator: np.random.Generator,
                  size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Draws one portrait and says what is where.

    Returns the image, (size, size, 3) uint8 RGB, and its regions, (size, size) uint8 with values indexing
    `REGIONS`: "face" is the skin of the face with features, ears and beard; neck and clothes are background.
    The same person and an equally seeded generator give the same bytes, and the same face at every size.
    Raises ValueError for an age outside 0..100, an unknown gender or tone, or a size under 32.
    """
    _check(person, size)
    looks = sample_looks(person, generator)
    canvas = parts.Canvas(max(size, DRAWING_SIDE), looks)
    front = parts.front_sheets(looks)
    parts.paint_backdrop(canvas, looks)
    parts.paint_hair(canvas, looks, parts.back_sheets(looks), depth=0.72)
    parts.paint_body(canvas, looks)
    parts.paint_face(canvas, looks, [sheet.outline for sheet in front])
    parts.paint_hair(canvas, looks, front, depth=1.0)
    parts.paint_trinkets(canvas, looks)
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


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB (3,) float32 in 0..255 from hue, saturation and value in 0..1."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (255 * value * (1 - saturation + saturation * wheel)).astype(np.float32)


def _pick(table: dict, column: int, generator: np.random.Generator) -> Any:
    """A key of the table, drawn by the weights in the column."""
    heights = np.cumsum([row[column] for row in table.values()])
    return list(table)[int(np.searchsorted(heights, generator.random() * heights[-1], side="right"))]


def _natural_colour(table: dict, tone_group: int, generator: np.random.Generator) -> np.ndarray:
    shade = np.float32(generator.uniform(0.88, 1.12))
    return np.array(_pick(table, tone_group, generator), np.float32) * shade


def _style(table: dict, age: int, generator: np.random.Generator) -> str:
    return _pick(table, int(np.searchsorted(STAGES, age, side="right")) - 1, generator)


def _curves_at(age: int) -> dict[str, float]:
    """`AGE_CURVES` read off at one age."""
    low = min(int(np.searchsorted(AGE_KNOTS, age, side="right")) - 1, len(AGE_KNOTS) - 2)
    rest = min((age - AGE_KNOTS[low]) / (AGE_KNOTS[low + 1] - AGE_KNOTS[low]), 1.0)
    return {name: values[low] + (values[low + 1] - values[low]) * rest for name, values in AGE_CURVES.items()}


def sample_looks(person: Person, generator: np.random.Generator) -> parts.Looks:
    """Everything about one portrait that chance decides, given who the person is."""
    at_age = _curves_at(person.age)
    male, grown = person.gender == "Male", float(np.clip((person.age - 9) / 9, 0, 1))
    tone_group = int(np.searchsorted((4, 7), person.skin_tone))

    def vary(name: str, spread: float) -> float:
        return at_age[name] * (1 + spread * min(max(float(generator.normal()), -2.0), 2.0))

    def between(low: float, high: float) -> float:
        return float(generator.uniform(low, high))

    def happens(chance: float) -> bool:
        return bool(generator.random() < chance)

    light = between(0.45, 1.0) * (1 if happens(0.5) else -1)
    hue, accent_hue, wall_hue = generator.random(3)
    dress = _style(GARMENTS, person.age, generator)
    skin = np.array([int(MONK_TONES[person.skin_tone - 1][i:i + 2], 16) for i in (0, 2, 4)], np.float32)
    width = vary("width", 0.03) * (1 + 0.02 * grown * (1 if male else -1))
    spotted = person.age > 58 or happens(0.15)
    return parts.Looks(
        centre=(0.5 + between(-0.03, 0.03), at_age["height"] + between(-0.015, 0.015)),
        scale=vary("scale", 0.02),
        tilt=between(-0.09, 0.09), light=light, width=width, crown=vary("crown", 0.01),
        jaw=vary("jaw", 0.025) * (1 + grown * (0.04 if male else -0.05)),
        chin=vary("chin", 0.06) * (1 + grown * (0.14 if male else -0.1)),
        eye_line=at_age["eye_line"] + between(-0.015, 0.015),
        eye_size=vary("eye_size", 0.03) * (0.97 if male else 1.03),
        eye_open=vary("eye_open", 0.05), eye_distance=width * between(0.435, 0.465),
        eye_slant=between(-0.05, 0.2),
        iris=vary("iris", 0.02), nose_length=vary("nose_length", 0.03),
        nose_width=vary("nose_width", 0.07) * (1 + 0.1 * grown * male), mouth_line=vary("mouth_line", 0.012),
        mouth_width=vary("mouth_width", 0.06),
        lip_fullness=vary("lips", 0.1) * (1 if male else 1 + 0.12 * grown),
        lip_colour=0.0 if male else grown * between(0.1, 0.6), smile=between(-0.1, 1.0),
        teeth=happens(0.3) and person.age > 1,
        brow_thickness=vary("brow", 0.1) * (1 + grown * (0.3 if male else -0.25)),
        brow_height=at_age["eye_size"] * at_age["eye_open"] * 0.62 + between(0.10, 0.14),
        brow_arch=between(0.0, 0.02) if male else between(0.015, 0.05),
        lashes=0.1 if male else 0.25 + grown * between(0.2, 0.75),
        ear=vary("ear", 0.05), neck=vary("neck", 0.04) * (1 + grown * (0.1 if male else -0.1)),
        shoulders=vary("shoulders", 0.03) * (1 + grown * (0.09 if male else -0.08)), rosy=vary("rosy", 0.15),
        wrinkles=vary("wrinkles", 0.08), sag=vary("sag", 0.08),
        freckles=generator.uniform((-0.8, -0.5, 0.012), (0.8, 0.6, 0.03), (FRECKLE_COUNT, 3)),
        freckle_strength=(0.15 + 0.012 * max(person.age - 50, 0)) * between(0.5, 1) if spotted else 0.0,
        beard=_style(BEARDS, person.age if male else 0, generator),
        glasses=("round" if happens(0.5) else "square") if happens(at_age["glasses"]) else "",
        earrings=happens(0.45 * grown) and not male, bow=happens(0.45) and not male and person.age < 10,
        necklace=happens(0.006 * person.age) and not male and dress in ("crew", "knit"), garment=dress,
        skin=skin,
        eye_colour=_natural_colour(EYE_COLOURS, tone_group, generator),
        cloth=_hsv(hue, at_age["vivid"] * between(0.6, 1), between(0.4, 0.9) - 0.2 * (person.age > 30)),
        cloth_accent=_hsv(accent_hue, at_age["vivid"] * between(0.7, 1), between(0.6, 0.95)),
        backdrop=np.stack([_hsv(wall_hue, between(0.04, 0.2), between(0.72, 0.95)),
                           _hsv(wall_hue + between(-0.1, 0.1), between(0.08, 0.3), between(0.4, 0.7))]),
        backdrop_angle=between(0, 2 * np.pi), hair=_sample_hair(person, at_age, tone_group, generator))


def _sample_hair(person: Person, at_age: dict[str, float], tone_group: int,
                 generator: np.random.Generator) -> parts.Hair:
    male = person.gender == "Male"
    style = _style(HAIR_STYLES[person.gender], person.age, generator)
    nature = _natural_colour(HAIR_COLOURS, tone_group, generator)
    jitter = np.clip(generator.normal(size=4), -2, 2)
    grey = float(np.clip(at_age["grey"] + 0.07 * jitter[0] * (0 < at_age["grey"] < 1), 0, 1))
    temple_grey = float(np.clip(grey * 1.6, 0, 1))
    old = parts.mix(parts.GREY_HAIR, parts.WHITE_HAIR, at_age["white"])
    recedes = male and person.age >= 20
    recession = float(np.clip(at_age["recession"] + 0.12 * jitter[1], 0, 1)) if recedes else 0.0
    coils = bool(generator.random() < COILED_SHARE[tone_group])
    part = float(generator.choice((0.5, 0.36, 0.64)))
    long = float(generator.uniform(0.95, 1.45))
    # Volume, sides, hairline and the rest by style; the young have fuller hair.
    volume = at_age["volume"] * (1 + 0.1 * jitter[2]) + (0.05 if coils else 0.0)
    shape = {"volume": volume, "sides": 0.05 + volume * 0.25, "hairline": -0.62, "part": part, "locks": 0.0,
             "back": 0.0, "wave": 0.0, "tied": "", "top": 1.0}
    shape |= {
        "fuzz": {"volume": 0.015, "sides": 0.005, "hairline": -0.74, "top": 0.25 + 0.25 * min(person.age, 2)},
        "crop": {"volume": volume * 0.7, "sides": 0.03, "part": 0.5},
        "quiff": {"volume": volume + 0.09, "sides": 0.03},
        "fringe": {"hairline": -0.34, "part": 0.5, "sides": 0.08},
        "side": {"part": 0.36 if part == 0.5 else part},
        "tails": {"tied": "tails", "hairline": -0.5, "part": 0.5},
        "long": {"locks": long, "back": long, "sides": 0.08},
        "wavy": {"locks": long, "back": long, "sides": 0.11, "wave": 1.0},
        "bob": {"locks": 0.72, "back": 0.7, "sides": 0.11, "hairline": -0.42 if part == 0.5 else -0.58},
        "bun": {"tied": "bun", "sides": 0.04},
        "short": {"volume": volume + 0.05, "sides": 0.1, "hairline": -0.52},
    }[style]
    if male and recession > 0.8 and jitter[3] > -0.3:
        shape["top"] = 0.0
    if coils and style in ("long", "wavy", "bob", "short"):
        shape |= {"volume": volume + 0.13, "sides": 0.2, "locks": min(shape["locks"], 0.7),
                  "back": min(shape["back"], 0.7)}
    return parts.Hair(
        recession=recession, coils=coils, colour=parts.mix(nature, old, grey),
        temple_colour=parts.mix(nature, old, temple_grey),
        strand_grey=grey, strands=generator.random((STRAND_COUNT, 4)), **shape)
