"""Who a person is, and everything that chance decides about a portrait; no other module draws a random number."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fairprof.data.portraits.ageing import BEARDS, GARMENTS, HAIR_STYLES, curves_at, stage_of
from fairprof.data.portraits.colours import (
    EYE_COLOURS,
    GREY_HAIR,
    HAIR_COLOURS,
    LIGHT_SPREAD,
    WHITE_HAIR,
    colour_of_hue,
    lit,
    mix,
    skin_colour,
    tone_depth,
)
from fairprof.data.portraits.looks import Hair, Looks

GENDERS = ("Male", "Female")
OLDEST_AGE = 100
COILED_SHARE = 0.3  # of hair in tight coils, on every tone
STRAND_COUNT = 120
FRECKLE_COUNT = 16


@dataclass(frozen=True)
class Person:
    """Whom to draw; the rest of a portrait is chance."""

    age: int  # years, 0..100
    gender: str  # "Male" | "Female"
    skin_tone: int  # Monk scale, 1 (lightest) .. 10 (darkest)


def sample_looks(person: Person, generator: np.random.Generator, cue_gap: float) -> Looks:
    """Everything about one portrait that chance decides, given who the person is.

    cue_gap: by how much less age shows on the darkest tone than on the lightest, 0..1; but for that, nothing depends
    on the skin's tone but its colour.
    """
    at_age = curves_at(person.age)
    male, grown = person.gender == "Male", float(np.clip((person.age - 9) / 9, 0, 1))
    visibility = 1 - cue_gap * tone_depth(person.skin_tone)

    def vary(name: str, spread: float) -> float:
        return at_age[name] * (1 + spread * min(max(float(generator.normal()), -2.0), 2.0))

    def between(low: float, high: float) -> float:
        return float(generator.uniform(low, high))

    def happens(chance: float) -> bool:
        return bool(generator.random() < chance)

    light = between(0.45, 1.0) * (1 if happens(0.5) else -1)
    hue, accent_hue, wall_hue = generator.random(3)
    dress = _style(GARMENTS, person.age, generator)
    width = vary("width", 0.03) * (1 + 0.02 * grown * (1 if male else -1))
    spotted = person.age > 58 or happens(0.15)
    return Looks(
        centre=(0.5 + between(-0.03, 0.03), at_age["height"] + between(-0.015, 0.015)),
        scale=vary("scale", 0.02),
        tilt=between(-0.09, 0.09),
        light=light,
        width=width,
        crown=vary("crown", 0.01),
        jaw=vary("jaw", 0.025) * (1 + grown * (0.04 if male else -0.05)),
        chin=vary("chin", 0.06) * (1 + grown * (0.14 if male else -0.1)),
        eye_line=at_age["eye_line"] + between(-0.015, 0.015),
        eye_size=vary("eye_size", 0.03) * (0.97 if male else 1.03),
        eye_open=vary("eye_open", 0.05),
        eye_distance=width * between(0.435, 0.465),
        eye_slant=between(-0.05, 0.2),
        iris=vary("iris", 0.02),
        nose_length=vary("nose_length", 0.03),
        nose_width=vary("nose_width", 0.07) * (1 + 0.1 * grown * male),
        mouth_line=vary("mouth_line", 0.012),
        mouth_width=vary("mouth_width", 0.06),
        lip_fullness=vary("lips", 0.1) * (1 if male else 1 + 0.12 * grown),
        lip_colour=0.0 if male else grown * between(0.1, 0.6),
        smile=between(-0.1, 1.0),
        teeth=happens(0.3) and person.age > 1,
        brow_thickness=vary("brow", 0.1) * (1 + grown * (0.3 if male else -0.25)),
        brow_height=at_age["eye_size"] * at_age["eye_open"] * 0.62 + between(0.10, 0.14),
        brow_arch=between(0.0, 0.02) if male else between(0.015, 0.05),
        lashes=0.1 if male else 0.25 + grown * between(0.2, 0.75),
        ear=vary("ear", 0.05),
        neck=vary("neck", 0.04) * (1 + grown * (0.1 if male else -0.1)),
        shoulders=vary("shoulders", 0.03) * (1 + grown * (0.09 if male else -0.08)),
        rosy=vary("rosy", 0.15),
        wrinkles=vary("wrinkles", 0.08),
        sag=vary("sag", 0.08),
        visibility=visibility,
        freckles=generator.uniform((-0.8, -0.5, 0.012), (0.8, 0.6, 0.03), (FRECKLE_COUNT, 3)),
        freckle_strength=(0.15 + 0.012 * max(person.age - 50, 0)) * between(0.5, 1) if spotted else 0.0,
        beard=_style(BEARDS, person.age if male else 0, generator),
        glasses=("round" if happens(0.5) else "square") if happens(at_age["glasses"]) else "",
        earrings=happens(0.45 * grown) and not male,
        bow=happens(0.45) and not male and person.age < 10,
        necklace=happens(0.006 * person.age) and not male and dress in ("crew", "knit"),
        garment=dress,
        skin=lit(skin_colour(person.skin_tone), between(-LIGHT_SPREAD, LIGHT_SPREAD)),
        eye_colour=_natural_colour(EYE_COLOURS, generator),
        cloth=colour_of_hue(hue, at_age["vivid"] * between(0.6, 1), between(0.4, 0.9) - 0.2 * (person.age > 30)),
        cloth_accent=colour_of_hue(accent_hue, at_age["vivid"] * between(0.7, 1), between(0.6, 0.95)),
        backdrop=np.stack(
            [
                colour_of_hue(wall_hue, between(0.04, 0.2), between(0.72, 0.95)),
                colour_of_hue(wall_hue + between(-0.1, 0.1), between(0.08, 0.3), between(0.4, 0.7)),
            ]
        ),
        backdrop_angle=between(0, 2 * np.pi),
        hair=_sample_hair(person, at_age, visibility, generator),
    )


def _sample_hair(person: Person, at_age: dict[str, float], visibility: float, generator: np.random.Generator) -> Hair:
    male = person.gender == "Male"
    style = _style(HAIR_STYLES[person.gender], person.age, generator)
    nature = _natural_colour(HAIR_COLOURS, generator)
    jitter = np.clip(generator.normal(size=3), -2, 2)
    grey = float(np.clip(at_age["grey"] + 0.07 * jitter[0] * (0 < at_age["grey"] < 1), 0, 1))
    temple_grey = float(np.clip(grey * 1.6, 0, 1)) * visibility
    grey *= visibility
    old = mix(GREY_HAIR, WHITE_HAIR, at_age["white"])
    recedes = male and person.age >= 20
    # No baldness of age: bare skin beside hair contrasts differently on every tone.
    recession = float(np.clip(0.25 + 0.15 * jitter[1], 0, 1)) if recedes else 0.0
    coils = bool(generator.random() < COILED_SHARE)
    part = float(generator.choice((0.5, 0.36, 0.64)))
    long = float(generator.uniform(0.95, 1.45))
    # Volume, sides, hairline and the rest by style; the young have fuller hair.
    volume = at_age["volume"] * (1 + 0.1 * jitter[2]) + (0.05 if coils else 0.0)
    shape = {
        "volume": volume,
        "sides": 0.05 + volume * 0.25,
        "hairline": -0.62,
        "part": part,
        "locks": 0.0,
        "back": 0.0,
        "wave": 0.0,
        "tied": "",
        "top": 1.0,
    }
    shape |= {
        "fuzz": {"volume": 0.015, "sides": 0.005, "hairline": -0.74, "top": 0.4 + 0.2 * min(person.age, 2)},
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
    if coils and style in ("long", "wavy", "bob", "short"):
        shape |= {
            "volume": volume + 0.13,
            "sides": 0.2,
            "locks": min(shape["locks"], 0.7),
            "back": min(shape["back"], 0.7),
        }
    return Hair(
        recession=recession,
        coils=coils,
        colour=mix(nature, old, grey),
        temple_colour=mix(nature, old, temple_grey),
        strand_grey=grey,
        strands=generator.random((STRAND_COUNT, 4)),
        **shape,
    )


def _pick(weights: dict, generator: np.random.Generator) -> Any:
    """A key of the table, drawn by the weights."""
    heights = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(heights, generator.random() * heights[-1], side="right"))]


def _natural_colour(weights: dict, generator: np.random.Generator) -> np.ndarray:
    shade = np.float32(generator.uniform(0.88, 1.12))
    return np.array(_pick(weights, generator), np.float32) * shade


def _style(table: dict, age: int, generator: np.random.Generator) -> str:
    return _pick({style: weights[stage_of(age)] for style, weights in table.items()}, generator)
