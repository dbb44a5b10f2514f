"""Designs that are compared over seeds on one test set: how often verdicts and intervals about them are right.

A run answers image i rightly where the normal score a u_i + b v_(i, design) + c w_(i, design, seed), scaled to variance
1, is under its recall: a makes images hard for all runs, b for all runs of a design, c for a single run. With b, what
all seeds of a design show is partly luck of the test images.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from benchmarks.simulations.simulation import LEAST_COVERED, MOST_FALSE, Simulation
from fairprof.inference.differences import DesignRuns, design_runs, judged_differences, paired_differences
from fairprof.inference.levelling_down import group_changes, levelled_down
from fairprof.inference.levels import ALPHA
from fairprof.inference.over_runs import gap_tests_over_runs, image_replicates
from fairprof.inference.over_seeds_and_images import estimates
from fairprof.inference.verdicts import CONFIRMATORY_GAPS, ESTABLISHED, NOT_ESTABLISHED

CLASSES = np.array(["retired", "student", "teacher", "worker"])
DESIGNS = "ABCD"
QUANTITIES = [f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS]
CLAIMED, BY_SIGN_FLIPS = "established (new seeds and new images)", "by sign flips (this test set)"
REPLICATES, PERMUTATIONS = 200, 99
EQUAL_RACES = np.full(7, 1 / 7)
TINY_RACES = np.array([0.4, 0.3, 0.2, 0.08, 0.013, 0.007])


def runs_of_designs(
    generator: np.random.Generator,
    shares: tuple[float, float, float],
    images: int,
    recalls: ArrayLike,
    seeds: int,
    races: np.ndarray = EQUAL_RACES,
    seed_effect: float = 0.0,
) -> dict[str, list[pd.DataFrame]]:
    """A predictions table for every seed of each design; shares: a, b and c; recalls: of each design.

    seed_effect: the SD of what a seed adds to the recall of the first gender.
    """
    gender, race = generator.integers(2, size=images), generator.choice(len(races), size=images, p=races)
    true = generator.integers(len(CLASSES), size=images)
    wrong = (true + generator.integers(1, len(CLASSES), size=images)) % len(CLASSES)
    of_images = {
        "image": np.arange(images),
        "gender": np.array(["Female", "Male"])[gender],
        "race": np.array([f"race {number}" for number in range(len(races))])[race],
        "y_true": CLASSES[true],
    } | {f"probability_{name}": np.full(images, 1 / len(CLASSES)) for name in CLASSES}
    weights = np.array(shares) / np.linalg.norm(shares)
    hard = weights[0] * generator.normal(size=images)
    tables: dict[str, list[pd.DataFrame]] = {}
    for design, recall in zip(DESIGNS, np.asarray(recalls), strict=True):
        of_design = hard + weights[1] * generator.normal(size=images)
        tables[design] = []
        for effect in seed_effect * generator.normal(size=seeds):
            score = of_design + weights[2] * generator.normal(size=images)
            right = norm.cdf(score) < recall + effect * (gender == 0)
            tables[design].append(pd.DataFrame(of_images | {"y_pred": CLASSES[np.where(right, true, wrong)]}))
    return tables


def differences_of(
    tables: dict[str, list[pd.DataFrame]], generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The confirmatory differences, judged as a comparison judges them, and the designs that levelled down."""
    seeds = len(tables["A"])
    attributes = ["gender", "race"]
    every = [table for of_design in tables.values() for table in of_design]
    replicates = image_replicates(every, REPLICATES, generator, attributes)
    designs = {}
    for number, (design, of_design) in enumerate(tables.items()):
        rows = range(number * seeds, (number + 1) * seeds)
        tests = gap_tests_over_runs(of_design, PERMUTATIONS, generator, attributes)
        gaps = tests.assign(undefined_cells=0, verdict=NOT_ESTABLISHED)  # which no test of a difference asks for
        designs[design] = design_runs(replicates, rows, QUANTITIES, gaps)
    found = paired_differences(QUANTITIES, designs, range(seeds), "A", QUANTITIES)
    table = judged_differences(found.table, delta=0.05)
    groups = [(name.split("/")[1], name.split("/")[2]) for name in replicates.names if name.startswith("accuracy/")]
    places = [number for number, name in enumerate(replicates.names) if name.startswith("accuracy/")]
    of_designs = {
        design: (replicates.observed[rows][:, places], replicates.values[:, rows][..., places])
        for design, rows in zip(tables, np.arange(len(every)).reshape(len(tables), seeds), strict=True)
    }
    changes = [group_changes(groups, of_designs[name], of_designs["A"]).assign(design=name) for name in DESIGNS[1:]]
    return table, levelled_down(table, pd.concat(changes, ignore_index=True))


CASES: dict[str, dict[str, Any]] = {
    ".7, 0, .7; 600": dict(shares=(0.7, 0, 0.7), images=600),
    ".7, .3, .6; 600": dict(shares=(0.7, 0.3, 0.6), images=600),
    ".6, .5, .6; 600": dict(shares=(0.6, 0.5, 0.6), images=600),
    ".7, .3, .6; 3000": dict(shares=(0.7, 0.3, 0.6), images=3000),
    ".8, .5, .25; 600": dict(shares=(0.8, 0.5, 0.25), images=600),
    ".8, .5, .1; 2000": dict(shares=(0.8, 0.5, 0.1), images=2000),
    ".7, .3, .6; 600, accuracies .55 to .70": dict(shares=(0.7, 0.3, 0.6), images=600, recalls=(0.55, 0.6, 0.65, 0.7)),
    ".8, .5, .25; 600, races of 4 and 8 images": dict(shares=(0.8, 0.5, 0.25), images=600, races=TINY_RACES),
    ".7, .3, .6; 600, seeds that favour a gender": dict(shares=(0.7, 0.3, 0.6), images=600, seed_effect=0.1),
}


def _equal_designs(
    generator: np.random.Generator, recalls: ArrayLike = (0.62,) * 4, seeds: int = 6, **settings
) -> dict[str, bool]:
    """Whether anything is said to differ between designs that are equal in the population."""
    tables = runs_of_designs(generator, recalls=recalls, seeds=seeds, **settings)
    table, levelled = differences_of(tables, generator)
    return {
        "levelling down": bool(len(levelled)),
        CLAIMED: bool(table["verdict"].eq(ESTABLISHED).any()),
        BY_SIGN_FLIPS: bool((table["p_sign_flip_adjusted"] <= ALPHA).any()),
    }


# Differences by seed alone, without the images behind them.


def normal_seeds(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.normal(size=shape)


def skewed_seeds(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.exponential(size=shape) - 1


def differences_by_seed(
    generator: np.random.Generator,
    seeds: int,
    shift: float = 0.0,
    reference: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] = normal_seeds,
    noise: float = 1.0,
) -> pd.DataFrame:
    """Twelve judged differences, of three designs in four quantities.

    The seeds of the reference vary by 1, the others by `noise`, images by a hundredth. `shift`: of the first
    difference, in standard deviations of the paired differences.
    """
    shape = (seeds, len(QUANTITIES))
    runs = {
        design: reference(generator, shape) if design == "A" else noise * generator.normal(size=shape)
        for design in DESIGNS
    }
    runs["B"][:, 0] += shift * np.hypot(1, noise)
    designs = {
        design: DesignRuns(
            observed,
            observed + 0.01 * generator.normal(size=(REPLICATES, 1, shape[1])),
            np.zeros(shape[1]),
            np.zeros(shape[1], dtype=int),
        )
        for design, observed in runs.items()
    }
    found = paired_differences(QUANTITIES, designs, range(seeds), "A", QUANTITIES)
    return judged_differences(found.table, delta=0.05)


def _found_shift(generator: np.random.Generator, seeds: int, shift: float) -> dict[str, bool]:
    table = differences_by_seed(generator, seeds, shift)
    return {
        CLAIMED: bool(table["verdict"].iloc[0] == ESTABLISHED),
        BY_SIGN_FLIPS: bool(table["p_sign_flip_adjusted"].iloc[0] <= ALPHA),
    }


def _skewed(generator: np.random.Generator, seeds: int, noise: float) -> dict[str, bool]:
    table = differences_by_seed(generator, seeds, reference=skewed_seeds, noise=noise)
    return {
        CLAIMED: bool(table["verdict"].eq(ESTABLISHED).any()),
        BY_SIGN_FLIPS: bool((table["p_sign_flip_adjusted"] <= ALPHA).any()),
    }


# Intervals, one at a time.


def _covered(
    generator: np.random.Generator, seeds: int, seed_sd: float, image_sd: float, both_sd: float
) -> dict[str, bool]:
    """Whether the interval of a mean difference over seeds and 300 images holds the truth, 0."""
    images = 300
    of_images = image_sd * generator.normal(size=images) + both_sd * generator.normal(size=(seeds, images))
    differences = seed_sd * generator.normal(size=(seeds, 1)) + of_images
    weights = generator.multinomial(images, np.full(images, 1 / images), size=REPLICATES) / images
    found = estimates(differences.mean(axis=1)[:, None], (weights @ differences.T)[..., None])
    lower, upper = found.interval()
    return {"covered": bool(lower[0] <= 0 <= upper[0])}


SIMULATIONS = (
    *(
        Simulation(
            f"4 equal designs, 6 seeds: {case}",
            partial(_equal_designs, **settings),
            at_most=MOST_FALSE,
            for_information=(BY_SIGN_FLIPS,),
            data_sets=400,
            quick_data_sets=4,
        )
        for case, settings in CASES.items()
    ),
    *(
        Simulation(
            f"one of 12 differences of {shift} SD, {seeds} seeds", partial(_found_shift, seeds=seeds, shift=shift)
        )
        for seeds in (6, 10)
        for shift in (1, 2, 3)
    ),
    *(
        Simulation(
            f"skewed reference, other designs' noise {noise:g} of it, {seeds} seeds",
            partial(_skewed, seeds=seeds, noise=noise),
        )
        for seeds in (6, 10, 20)
        for noise in (1, 0.3)
    ),
    *(
        Simulation(
            f"mean difference, {seeds} seeds, SD of seeds, images, both: {', '.join(map(str, components))}",
            partial(_covered, seeds=seeds, seed_sd=components[0], image_sd=components[1], both_sd=components[2]),
            at_least=LEAST_COVERED,
            data_sets=2000,
        )
        for seeds in (3, 6, 10)
        for components in ((0.1, 0.01, 0.01), (0.05, 1, 1), (0.02, 0.3, 1), (0, 0, 1), (0, 1, 0.1))
    ),
)
