"""Whether groups are said to be calibrated differently when they are not, and when they are."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from benchmarks.simulations.simulation import MOST_FALSE, Simulation
from fairprof.inference.calibration_by_group import calibration_gaps

PERMUTATIONS = 199
DATA_SETS = 4000  # each takes little time, and there are many of these simulations
UNSURE, SURE, MIXED = (0.3, 0.6), (0.85, 0.99), (0.5, 0.95)  # from where to where confidences lie
Recalibration = Callable[[np.ndarray], np.ndarray]


def calibrated(confidence: np.ndarray) -> np.ndarray:
    """The chance of being right: what the classifier says."""
    return confidence


def overconfident(confidence: np.ndarray) -> np.ndarray:
    """The chance of being right: .1 less than the classifier says."""
    return confidence - 0.1


def too_sharp(confidence: np.ndarray) -> np.ndarray:
    """The chance of being right: what a temperature of 1.6 would make of what the classifier says."""
    return expit(logit(confidence) / 1.6)


def hardly_informative(confidence: np.ndarray) -> np.ndarray:
    """The chance of being right: on average what the classifier says, but nearly the same for every image."""
    return np.mean(MIXED) + 0.1 * (confidence - np.mean(MIXED))


def predictions(
    sizes: Sequence[int],
    confidences: Sequence[tuple[float, float]],
    chances: Sequence[Recalibration],
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Predictions of two classes by groups of these sizes, confidences (uniform) and chances of being right.

    What is predicted is always the first class, so that confidences under one half occur as with more classes.
    """
    race = np.repeat(np.arange(len(sizes)), sizes)
    confidence = np.concatenate([generator.uniform(*ends, size) for ends, size in zip(confidences, sizes, strict=True)])
    chance = np.concatenate([of(confidence[race == group]) for group, of in enumerate(chances)])
    right = generator.random(len(race)) < chance
    return pd.DataFrame(
        {
            "image": np.arange(len(race)).astype(str),
            "y_true": np.where(right, "cook", "nurse"),
            "y_pred": "cook",
            "probability_cook": confidence,
            "probability_nurse": 1 - confidence,
            "gender": "Female",
            "race": race.astype(str),
        }
    )


def differs(
    sizes: Sequence[int],
    confidences: Sequence[tuple[float, float]],
    chances: Sequence[Recalibration],
    generator: np.random.Generator,
) -> dict[str, bool]:
    """Whether calibration is said to differ between groups of such predictions."""
    table = predictions(sizes, confidences, chances, generator)
    found = calibration_gaps(table, PERMUTATIONS, generator, attributes=["race"]).iloc[0]
    return {"calibration differs": found["p_value"] <= 0.05}


def several_each(generator: np.random.Generator) -> dict[str, bool]:
    """The same of 120 calibrated persons with five images each, of which all are right or none."""
    table = predictions([60, 60], [UNSURE, SURE], [calibrated] * 2, generator)
    table = table.loc[table.index.repeat(5)].assign(person=lambda rows: rows["image"]).reset_index(drop=True)
    found = calibration_gaps(table, PERMUTATIONS, generator, attributes=["race"]).iloc[0]
    return {"calibration differs": found["p_value"] <= 0.05}


def _groups(
    name: str,
    sizes: Sequence[int],
    confidences: Sequence[tuple[float, float]],
    chances: Sequence[Recalibration],
    at_most: float = 1.0,
    at_least: float = 0.0,
) -> Simulation:
    return Simulation(
        name, partial(differs, sizes, confidences, chances), at_most=at_most, at_least=at_least, data_sets=DATA_SETS
    )


LEVEL = tuple(
    _groups(f"{name}, {sizes[0]} against {sizes[1]}", sizes, confidences, [chance] * 2, at_most=MOST_FALSE)
    for sizes in ((300, 300), (30, 600), (600, 30))
    for name, confidences, chance in (
        ("both calibrated, confidences .3-.6 and .85-.99", (UNSURE, SURE), calibrated),
        ("both overconfident by .1, equal confidences", (MIXED, MIXED), overconfident),
        ("both overconfident by .1, confidences .3-.6 and .85-.99", (UNSURE, SURE), overconfident),
        ("both of temperature 1.6, equal confidences", (MIXED, MIXED), too_sharp),
    )
)
POWER = tuple(
    _groups(f"{name}, {sizes[0]} against {sizes[1]}", sizes, confidences, [calibrated, chance], at_least=at_least)
    for sizes, at_least in (((30, 600), 0.0), ((300, 300), 0.0), ((1000, 1000), 0.95))
    for name, confidences, chance in (
        ("one overconfident by .1, equal confidences", (MIXED, MIXED), overconfident),
        ("one overconfident by .1, confidences .3-.6 and .85-.99", (UNSURE, SURE), overconfident),
        ("one right alike where sure and where not", (MIXED, MIXED), hardly_informative),
    )
)
SEVEN = (600, 300, 100, 60, 40, 30, 30)
SIMULATIONS: tuple[Simulation, ...] = (
    *LEVEL,
    _groups(
        "seven calibrated groups of 30 to 600",
        *(SEVEN, [MIXED, UNSURE, SURE, MIXED, UNSURE, SURE, (0.97, 0.999)], [calibrated] * 7),
        at_most=MOST_FALSE,
    ),
    Simulation("both calibrated, five images of each of 120 persons", several_each, at_most=MOST_FALSE),
    *POWER,
)
