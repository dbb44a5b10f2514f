"""Several images of a person: what is said of groups, corruption and shift where nothing differs."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmarks.simulations.groups import ATTRIBUTE, answers, predictions_of
from benchmarks.simulations.simulation import LEAST_COVERED, MOST_FALSE, Simulation
from fairprof.commands.evaluate.robustness import (
    ALL_CORRUPTIONS,
    CLEAN,
    accuracy_under_corruption,
    drop_gaps,
)
from fairprof.inference.intervals import with_intervals
from fairprof.inference.levels import ALPHA
from fairprof.inference.selective_prediction import kept_against_refused, rate_gap, rate_units
from fairprof.inference.shift import category_shift, confidence_shift
from fairprof.metrics.fairness import rates_by_group

PERMUTATIONS = 199
SHARES = (0.6, 0.3, 0.1)  # of the persons in three groups
ALIKE = 0.6  # the share of an answer's variance that is the person's
RATE, KEPT, LOST, WON = 0.7, 0.6, 0.3, 0.05
NUMBERS = {  # how many images a person has
    "120 persons x 5": (120, (5, 5)),
    "40 persons with 1 to 12": (40, (1, 12)),
}


def owners(generator: np.random.Generator, persons: int, images: tuple[int, int]) -> np.ndarray:
    """(N,) int: whose each image is, of persons with between so many images each."""
    return np.repeat(np.arange(persons), generator.integers(images[0], images[1] + 1, persons))


def groups_of(generator: np.random.Generator, person: np.ndarray) -> np.ndarray:
    """(N,) int: each image's group, its person's, among three."""
    sizes = np.round(np.multiply(SHARES, person.max() + 1)).astype(int)
    return generator.permutation(np.repeat(np.arange(len(SHARES)), sizes))[person]


def alike(generator: np.random.Generator, person: np.ndarray) -> np.ndarray:
    """(N,) standard normal scores, of which the person has a share of the variance."""
    of_person = generator.standard_normal(person.max() + 1)[person]
    return np.sqrt(ALIKE) * of_person + np.sqrt(1 - ALIKE) * generator.standard_normal(len(person))


def happens(generator: np.random.Generator, person: np.ndarray, rate: float) -> np.ndarray:
    """(N,) bool, each with this probability, alike for images of one person."""
    return norm.cdf(alike(generator, person)) < rate


# Intervals.


def rates_covered(
    generator: np.random.Generator, persons: int, images: tuple[int, int], rate: float
) -> dict[str, bool]:
    """Whether the interval of each group's true positive rate contains it."""
    person = owners(generator, persons, images)
    group, true = groups_of(generator, person), generator.integers(2, size=len(person))
    shared = [(generator.standard_normal(persons)[person], ALIKE)]
    predicted = answers(generator, true, np.full(len(person), rate), 2, shared)
    table = predictions_of(group, true, predicted, 2, person)
    found = with_intervals(rates_by_group(table, attributes=[ATTRIBUTE]), table)
    found = found[found["rate"].eq("true_positive_rate") & found["class"].eq("c0")]
    return {
        f"covered: {share:.0%} of the persons": row.lower <= rate <= row.upper
        for share, row in zip(SHARES, found.itertuples(), strict=True)
    }


def drops_covered(generator: np.random.Generator, persons: int, images: tuple[int, int]) -> dict[str, bool]:
    """Whether the interval of each group's drop of accuracy contains it."""
    found = accuracy_under_corruption(outcomes(generator, persons, images), attributes=[ATTRIBUTE])
    found = found[found["severity"].eq(1) & found["attribute"].eq(ATTRIBUTE)]
    return {
        f"covered: {share:.0%} of the persons": row.drop_lower <= RATE * LOST - (1 - RATE) * WON <= row.drop_upper
        for share, row in zip(SHARES, found.itertuples(), strict=True)
    }


def outcomes(generator: np.random.Generator, persons: int, images: tuple[int, int]) -> pd.DataFrame:
    """Images, clean and under one corruption, which costs no group more than another."""
    person = owners(generator, persons, images)
    clean = happens(generator, person, RATE)
    kept, won = happens(generator, person, 1 - LOST), happens(generator, person, WON)
    table = pd.DataFrame(
        {
            "image": np.arange(len(person)),
            ATTRIBUTE: groups_of(generator, person),
            "person": person.astype(str),
            "y_true": "a",
        }
    )
    levels = {(CLEAN, 0): clean, ("noise", 1): np.where(clean, kept, won)}
    return pd.concat(
        [
            table.assign(corruption=name, severity=severity, correct=right, y_pred=np.where(right, "a", "b"))
            for (name, severity), right in levels.items()
        ],
        ignore_index=True,
    )


# Tests.


def rate_differs(generator: np.random.Generator, persons: int, images: tuple[int, int]) -> dict[str, bool]:
    """Whether a rate is said to differ between groups."""
    person = owners(generator, persons, images)
    return _rate_differs(generator, groups_of(generator, person), person)


def rate_differs_where_numbers_do(generator: np.random.Generator) -> dict[str, bool]:
    """The same of 20 persons with ten images in one group and 100 with two in the other."""
    person = np.repeat(np.arange(120), [10] * 20 + [2] * 100)
    return _rate_differs(generator, (person >= 20).astype(int), person)


def _rate_differs(generator: np.random.Generator, group: np.ndarray, person: np.ndarray) -> dict[str, bool]:
    units = rate_units(happens(generator, person, RATE), group, group.max() + 1, person)
    return {"rejected": rate_gap(units, PERMUTATIONS, generator)["p_value"] <= ALPHA}


def refusing_helps(generator: np.random.Generator, persons: int, images: tuple[int, int]) -> dict[str, bool]:
    """Whether what is kept is said to be right more or less often than what is refused."""
    person = owners(generator, persons, images)
    right, kept = happens(generator, person, RATE), happens(generator, person, KEPT)
    return {"rejected": kept_against_refused(right, kept, person) <= ALPHA}


def drop_differs(generator: np.random.Generator, persons: int, images: tuple[int, int]) -> dict[str, bool]:
    """Whether corruption is said to cost one group more."""
    found = drop_gaps(outcomes(generator, persons, images), PERMUTATIONS, generator, attributes=[ATTRIBUTE])
    return {"rejected": found.loc[found["corruption"].eq(ALL_CORRUPTIONS), "p_value"].item() <= ALPHA}


def shifted(
    generator: np.random.Generator, persons: int, images: tuple[int, int], reference: tuple[int, tuple[int, int]]
) -> dict[str, bool]:
    """Whether samples of one population are said to differ in two categories, in twelve, and in confidence.

    reference: persons and images each of the other sample. Categories are those of persons, confidences are alike.
    """
    before, after = owners(generator, *reference), owners(generator, persons, images)
    found = {}
    for categories in (2, 12):
        counts = [_counts_by_person(generator, person, categories) for person in (before, after)]
        p_value = category_shift(counts[0], counts[1], PERMUTATIONS, generator).p_value
        found[f"rejected: {categories} categories"] = p_value <= ALPHA
    confidences = [norm.cdf(alike(generator, person)).round(6) for person in (before, after)]
    p_value = confidence_shift(confidences[0], confidences[1], (before, after), PERMUTATIONS, generator).p_value
    return found | {"rejected: confidence": p_value <= ALPHA}


def _counts_by_person(generator: np.random.Generator, person: np.ndarray, categories: int) -> np.ndarray:
    """(P, C) int: images of persons, each of whom is of one category; the last is the most frequent."""
    frequency = np.arange(1, categories + 1)
    of_person = generator.choice(categories, person.max() + 1, p=frequency / frequency.sum())
    counts = np.zeros((len(of_person), categories), dtype=int)
    np.add.at(counts, (person, of_person[person]), 1)
    return counts


def _each(what: str, of: Callable[..., dict[str, bool]], **wanted) -> tuple[Simulation, ...]:
    return tuple(
        Simulation(f"{what}, {name}", partial(of, persons=persons, images=images), **wanted)
        for name, (persons, images) in NUMBERS.items()
    )


SIMULATIONS: tuple[Simulation, ...] = (
    *(
        simulation
        for rate in (0.5, 0.9)
        for simulation in _each(
            f"intervals of rates of {rate}", partial(rates_covered, rate=rate), at_least=LEAST_COVERED
        )
    ),
    *_each("intervals of drops", drops_covered, at_least=LEAST_COVERED),
    *_each("rates of groups, equal", rate_differs, at_most=MOST_FALSE),
    Simulation("rates of groups, equal, 20 persons x 10, 100 x 2", rate_differs_where_numbers_do, at_most=MOST_FALSE),
    *_each("refusing without effect", refusing_helps, at_most=MOST_FALSE),
    *_each("corruption, equal drops", drop_differs, at_most=MOST_FALSE),
    *_each("no shift, against 120 persons x 5", partial(shifted, reference=(120, (5, 5))), at_most=MOST_FALSE),
    *_each("no shift, against 600 persons x 1", partial(shifted, reference=(600, (1, 1))), at_most=MOST_FALSE),
)
