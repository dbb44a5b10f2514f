"""Methods within designs, compared over seeds on one test set: how often what is said of them is right.

A run answers image i rightly where the normal score a u_i + b v_(i, design) + c x_(i, design, seed) + e w_(i, run),
scaled to variance 1, is under the recall of its group: a makes images hard for all runs, b for all runs of a design, c
for the runs of a seed with and without a method, which start from the same draw, e for a single run.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from benchmarks.simulations.designs import CLASSES, EQUAL_RACES, normal_seeds, skewed_seeds
from benchmarks.simulations.simulation import LEAST_COVERED, MOST_FALSE, Simulation
from fairprof.inference.cells import CONFIRMATORY_EFFECTS, Cell, cell_of, groups_of
from fairprof.inference.differences import DesignRuns, quantities
from fairprof.inference.mitigation import (
    NONE,
    Study,
    effects,
    interactions,
    judged_attributes,
    substitutions,
)
from fairprof.inference.mitigation_verdicts import (
    FAIRER_WITHOUT_HARM,
    NOTHING_ESTABLISHED,
    mitigation_verdicts,
)
from fairprof.inference.over_runs import image_replicates
from fairprof.inference.permutation import gap_floors
from fairprof.inference.random_replacement import UNDER_THE_LINE, Chance, chance_replicates, random_replacement
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.metrics.fairness import in_categories
from fairprof.metrics.performance import predicts_one_class
from fairprof.seeds import derive_seed

DESIGNS = "ABCD"
METHODS = (NONE, "first", "second", "third", "fourth")
ATTRIBUTES = ["gender", "race"]
NAMES = quantities(ATTRIBUTES)
REPLICATES, PERMUTATIONS, DELTA, SEEDS = 200, 20, 0.05, 6
TINY_RACES = np.array([0.4, 0.3, 0.2, 0.08, 0.014, 0.006])  # of 600 images 8 and 3 or 4
EQUAL = (0.62, 0.62)  # recalls of the two genders
CREDIT, INTERACTION, SUBSTITUTION = "any verdict on a method", "interaction", "substitution, chosen pair too"
UNDER, HARMLESS, FOUND, COVERED = "under the line", FAIRER_WITHOUT_HARM, "smaller gap", "all groups' changes covered"


class DrawnImages(NamedTuple):
    """N test images. table: their true classes and groups. gender: (N,) int. true, wrong: (N,) int, the class of each
    and the one that a run answers that is not right."""

    table: pd.DataFrame
    gender: np.ndarray
    true: np.ndarray
    wrong: np.ndarray

    def answered(self, right: np.ndarray) -> list[pd.DataFrame]:
        """A predictions table for each row of `right`, (R, N) bool."""
        categories = self.table["y_pred"].cat.categories
        return [
            self.table.assign(y_pred=pd.Categorical.from_codes(row, categories))
            for row in np.where(right, self.true, self.wrong)
        ]


def drawn_images(generator: np.random.Generator, images: int, races: np.ndarray) -> DrawnImages:
    gender, race = generator.integers(2, size=images), generator.choice(len(races), size=images, p=races)
    true = generator.integers(len(CLASSES), size=images)
    wrong = (true + generator.integers(1, len(CLASSES), size=images)) % len(CLASSES)
    columns = {
        "image": np.arange(images),
        "gender": np.array(["Female", "Male"])[gender],
        "race": np.array([f"race {number}" for number in range(len(races))])[race],
        "y_true": CLASSES[true],
        "y_pred": CLASSES[true],
    } | {f"probability_{name}": np.full(images, 1 / len(CLASSES)) for name in CLASSES}
    return DrawnImages(in_categories(pd.DataFrame(columns)), gender, true, wrong)


def cells_of_runs(
    tables: Sequence[pd.DataFrame], designs: Sequence[str], seeds: int, generator: np.random.Generator, resampling: int
) -> tuple[dict[str, Cell], list[tuple[str, str]]]:
    """By design, the cell of its runs, which stand in the order of designs and seeds; and the groups that cells know.

    resampling: the seed of the images' resampling, which is the same for all methods, or backbones.
    """
    replicates = image_replicates(tables, REPLICATES, np.random.default_rng(resampling), ATTRIBUTES)
    cells = {}
    for number, design in enumerate(designs):
        rows = list(range(number * seeds, (number + 1) * seeds))
        chosen = [tables[row] for row in rows]
        floors = gap_floors(chosen, PERMUTATIONS, generator, ATTRIBUTES)
        degenerate = any(map(predicts_one_class, chosen))
        cells[design] = cell_of(replicates, rows, range(seeds), NAMES, floors, {}, degenerate)
    return cells, groups_of(replicates)


def made_study(
    generator: np.random.Generator,
    shares: tuple[float, float, float, float],
    images: int = 600,
    races: np.ndarray = EQUAL_RACES,
    without: ArrayLike = EQUAL,
    first: ArrayLike = EQUAL,
    seed_effect: float = 0.0,
    skewed: bool = False,
    mitigate: str = "gender",
) -> tuple[Study, dict[str, Chance]]:
    """The cells of a study, and what its runs without a method come to by chance.

    shares: a, b, c and e. without, first: recalls of both genders without a method, which all others have, too, and
    with the first method. seed_effect: the SD of what a run adds to the recall of the first gender; skewed:
    exponential.
    """
    drawn = drawn_images(generator, images, races)
    weights = np.array(shares) / np.linalg.norm(shares)
    hard = weights[0] * generator.normal(size=images)
    hard_for = [hard + weights[1] * generator.normal(size=images) for _ in DESIGNS]
    of_seeds = [of_design + weights[2] * generator.normal(size=(SEEDS, images)) for of_design in hard_for]
    cells: dict[tuple[str, str], Cell] = {}
    chances: dict[str, Chance] = {}
    groups: list[tuple[str, str]] = []
    resampling = derive_seed(int(generator.integers(2**31)), "test images")
    for method in METHODS:
        recalls = np.asarray(first if method == "first" else without)[drawn.gender]
        scores = norm.cdf(np.concatenate(of_seeds) + weights[3] * generator.normal(size=(len(DESIGNS) * SEEDS, images)))
        noise = generator.exponential(size=len(scores)) - 1 if skewed else generator.normal(size=len(scores))
        right = scores < recalls + seed_effect * noise[:, None] * (drawn.gender == 0)
        tables = drawn.answered(right)
        of_designs, groups = cells_of_runs(tables, DESIGNS, SEEDS, generator, resampling)
        cells |= {(design, method): cell for design, cell in of_designs.items()}
        if method == NONE:
            chance = chance_replicates(tables, REPLICATES, np.random.default_rng(resampling))
            by_design = np.arange(len(tables)).reshape(len(DESIGNS), SEEDS)
            for design, rows in zip(DESIGNS, by_design, strict=True):
                chances[design] = Chance(chance.observed[rows], chance.values[:, rows])
    return Study(NAMES, groups, cells, mitigate), chances


NULLS: dict[str, dict[str, Any]] = {
    ".6, .3, .5, .5; 600": dict(shares=(0.6, 0.3, 0.5, 0.5)),
    ".6, .3, .5, .1; 600": dict(shares=(0.6, 0.3, 0.5, 0.1)),
    ".6, .3, .5, .5; 600, races of 8 and 3 images, mitigated": dict(
        shares=(0.6, 0.3, 0.5, 0.5), races=TINY_RACES, mitigate="race"
    ),
    ".6, .3, .5, .3; 600, seeds that favour a gender": dict(shares=(0.6, 0.3, 0.5, 0.3), seed_effect=0.1),
    ".6, .3, .5, .3; 600, seeds that favour a gender, skewed": dict(
        shares=(0.6, 0.3, 0.5, 0.3), seed_effect=0.1, skewed=True
    ),
    ".6, .3, .5, .3; 600, recalls .5 and .7": dict(shares=(0.6, 0.3, 0.5, 0.3), without=(0.5, 0.7), first=(0.5, 0.7)),
}


def _nothing_done(generator: np.random.Generator, **settings: Any) -> dict[str, bool]:
    """Whether anything is said of methods that change nothing in the population."""
    study, chances = made_study(generator, **settings)
    under = random_replacement(study, chances)["verdict"].eq(UNDER_THE_LINE)
    return _said(study) | {UNDER: bool(under.any())}


def _said(study: Study) -> dict[str, bool]:
    """Whether anything is said in answer to each of the three questions."""
    verdicts = mitigation_verdicts(*effects(study, DELTA), study.mitigate, DELTA)
    return {
        CREDIT: bool(verdicts["verdict"].ne(NOTHING_ESTABLISHED).any()),
        INTERACTION: bool(interactions(study, "A", DELTA)["verdict"].eq(ESTABLISHED).any()),
        SUBSTITUTION: bool(substitutions(study, DELTA)["verdict"].eq(ESTABLISHED).any()),
    }


def _first_works(generator: np.random.Generator, **settings: Any) -> dict[str, bool]:
    """What is said of a method that makes both genders as good as each other, and of the others, in the first design;
    whether it holds that no group loses, and whether all intervals of groups hold the truth."""
    study, _ = made_study(generator, **settings)
    of_quantities, of_groups = effects(study, DELTA)
    verdicts = mitigation_verdicts(of_quantities, of_groups, study.mitigate, DELTA)
    change = dict(zip(["Female", "Male"], np.subtract(settings["first"], settings["without"]), strict=True))
    judged = of_groups[of_groups["attribute"].isin(judged_attributes(study.mitigate))]
    truth = judged["group"].map(change).where(judged["method"].eq("first"), 0.0)
    by_first = verdicts[verdicts["method"].eq("first")]
    return {
        FOUND: "equal_opportunity_difference/gender" in by_first["reduced"].iloc[0],
        HARMLESS: bool(by_first["verdict"].iloc[0] == FAIRER_WITHOUT_HARM),
        COVERED: bool(((judged["lower"] <= truth) & (truth <= judged["upper"])).all()),
        CREDIT + ", of the others": bool(
            verdicts.loc[verdicts["method"].ne("first"), "verdict"].ne(NOTHING_ESTABLISHED).any()
        ),
    }


# Runs that differ by seed alone, without the images behind them: as many methods as there are, many data sets.


def study_by_seed(
    generator: np.random.Generator, noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
) -> Study:
    """Fourteen methods that change nothing, in four designs: the seeds of a cell vary by `noise`, images by a tenth of
    it."""
    names, groups = list(CONFIRMATORY_EFFECTS), [("gender", "Female"), ("gender", "Male")]

    def runs(number: int) -> DesignRuns:
        observed = 0.02 * noise(generator, (SEEDS, number))
        images = 0.002 * generator.normal(size=(REPLICATES, 1, number))
        return DesignRuns(observed, observed + images, np.zeros(number), np.zeros(number, dtype=int))

    methods = (NONE, *(f"method {number}" for number in range(14)))
    cells = {
        (design, method): Cell(tuple(range(SEEDS)), runs(len(names)), runs(len(groups)))
        for design in DESIGNS
        for method in methods
    }
    return Study(names, groups, cells, "gender")


def heavy_tailed_seeds(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_t(3, size=shape)


def _nothing_by_seed(
    generator: np.random.Generator, noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
) -> dict[str, bool]:
    return _said(study_by_seed(generator, noise))


SHARES: dict[str, Any] = dict(shares=(0.6, 0.3, 0.5, 0.3))
SIMULATIONS = (
    *(
        Simulation(
            f"4 methods that do nothing in 4 designs, 6 seeds: {case}",
            partial(_nothing_done, **settings),
            at_most=MOST_FALSE,
            data_sets=200,
            quick_data_sets=2,
        )
        for case, settings in NULLS.items()
    ),
    *(
        Simulation(
            f"a gap of {gap:g} closed, {images} images: {case}",
            partial(_first_works, images=images, without=(0.7 - gap, 0.7), first=recalls, **SHARES),
            at_least=LEAST_COVERED,
            for_information=(FOUND, HARMLESS, CREDIT + ", of the others"),
            data_sets=200,
            quick_data_sets=2,
        )
        for gap, images in ((0.2, 600), (0.2, 1300), (0.4, 1300))
        for case, recalls in {"no group loses": (0.7, 0.7), "one loses .05": (0.65, 0.65)}.items()
    ),
    *(
        Simulation(
            f"14 methods that do nothing in 4 designs, 6 seeds, {shape} noise of seeds, images a tenth of it",
            partial(_nothing_by_seed, noise=noise),
            at_most=MOST_FALSE,
            data_sets=400,
            quick_data_sets=4,
        )
        for shape, noise in {
            "normal": normal_seeds,
            "skewed": skewed_seeds,
            "heavy-tailed": heavy_tailed_seeds,
        }.items()
    ),
)
