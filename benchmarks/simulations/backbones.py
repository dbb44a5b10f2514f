"""Backbones crossed with designs over seeds on one test set: how often what is said of them is right.

A run answers image i rightly where the normal score a u_i + b v_(i, backbone) + c w_(i, design) + d x_(i, cell)
+ e y_(i, seed) + f z_(i, run), scaled to variance 1, is under the recall of its gender in its cell: a makes images hard
for all runs, b and c for all runs of a backbone and of a design, d for those of both, e for the runs of a seed, which
start from the same draw, and f for a single run.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmarks.simulations.designs import EQUAL_RACES, normal_seeds, skewed_seeds
from benchmarks.simulations.mitigation import (
    DELTA,
    NAMES,
    REPLICATES,
    TINY_RACES,
    cells_of_runs,
    drawn_images,
    heavy_tailed_seeds,
)
from benchmarks.simulations.simulation import MOST_FALSE, Simulation
from fairprof.inference.backbones import (
    BACKBONE_MOVES_MORE,
    COMPOSITION_MOVES_MORE,
    Crossed,
    contrasts,
    interactions,
    moves,
)
from fairprof.inference.cells import CONFIRMATORY_EFFECTS, SCORE, Cell
from fairprof.inference.differences import DesignRuns
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.seeds import derive_seed

BACKBONES = ("small", "large", "pretrained", "other")
DESIGNS = "ABCD"
SHARES = (0.6, 0.4, 0.2, 0.2, 0.2, 0.5)
CONTRAST, INTERACTION = "any main effect", "any interaction"
EO = "equal_opportunity_difference/gender"
FOUND = tuple(
    f"{factor} found, {what}" for factor in ("backbone", "composition") for what in ("macro-F1", "EO by gender")
)
CONTRARY = "the contrary said"
BACKBONE, COMPOSITION, EITHER = "backbone moves any more", "composition moves any more", "either"


def made_study(
    generator: np.random.Generator,
    women: np.ndarray,
    men: float = 0.7,
    shares: Sequence[float] = SHARES,
    images: int = 600,
    seeds: int = 6,
    races: np.ndarray = EQUAL_RACES,
    seed_effect: float = 0.0,
    noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] = normal_seeds,
) -> Crossed:
    """women: (backbones, designs), their recall; men: theirs. shares: a to f. seed_effect: the SD of what a run adds
    to the recall of women, by `noise`."""
    backbones, designs = BACKBONES[: len(women)], DESIGNS[: len(women[0])]
    drawn = drawn_images(generator, images, races)
    a, b, c, d, e, f = np.array(shares) / np.linalg.norm(shares)
    hard = a * generator.normal(size=images)
    of_designs = c * generator.normal(size=(len(designs), 1, images))
    of_seeds = e * generator.normal(size=(seeds, images))
    resampling = derive_seed(int(generator.integers(2**31)), "test images")
    cells: dict[tuple[str, str], Cell] = {}
    for backbone, of_backbone in zip(backbones, women, strict=True):
        shape = (len(designs), seeds, images)
        score = hard + b * generator.normal(size=images) + of_designs + of_seeds
        score = score + d * generator.normal(size=(len(designs), 1, images)) + f * generator.normal(size=shape)
        shift = seed_effect * noise(generator, (len(designs), seeds, 1))
        recalls = np.where(drawn.gender == 0, of_backbone[:, None, None] + shift, men)
        tables = drawn.answered((norm.cdf(score) < recalls).reshape(-1, images))
        of_designs_cells, _ = cells_of_runs(tables, designs, seeds, generator, resampling)
        cells |= {(design, backbone): cell for design, cell in of_designs_cells.items()}
    return Crossed(NAMES, {place: cells[place] for place in sorted(cells)}, backbones)


def _said(study: Crossed) -> dict[str, bool]:
    """Whether anything is said in answer to each of the three questions."""
    main = contrasts(study, DELTA)
    main = main[main["family"].eq(CONFIRMATORY)]
    return {
        CONTRAST: bool(main["verdict"].eq(ESTABLISHED).any()),
        INTERACTION: bool(interactions(study, DESIGNS[0], DELTA)["verdict"].eq(ESTABLISHED).any()),
    } | _moved(moves(study))


def _moved(table: pd.DataFrame) -> dict[str, bool]:
    return {
        BACKBONE: bool(table["verdict"].eq(BACKBONE_MOVES_MORE).any()),
        COMPOSITION: bool(table["verdict"].eq(COMPOSITION_MOVES_MORE).any()),
        EITHER: bool(table["verdict"].isin([BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE]).any()),
    }


def _nothing_moves(generator: np.random.Generator, backbones: int = 2, **settings: Any) -> dict[str, bool]:
    return _said(made_study(generator, np.full((backbones, 4), 0.7), **settings))


def recalls_of(of_backbone: float, of_composition: float) -> np.ndarray:
    """The recall of women with two backbones in four designs: lower with the second one, and lower in the last two
    designs. Both factors have as many levels of either kind, so that equal effects make equal ranges of any number."""
    return 0.7 - of_backbone * np.array([[0], [1]]) - of_composition * np.array([0, 0, 1, 1])


def _both_move(
    generator: np.random.Generator, of_backbone: float, of_composition: float, **settings: Any
) -> dict[str, bool]:
    return _moved(moves(made_study(generator, recalls_of(of_backbone, of_composition), **settings)))


def _one_moves(generator: np.random.Generator, effect: float, **settings: Any) -> dict[str, bool]:
    """The backbone alone lowers the recall, and the composition alone: whether that is found, or the contrary said."""
    said: dict[str, bool] = {}
    contrary = False
    for factor, verdict, other, of_factors in (
        ("backbone", BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE, (effect, 0.0)),
        ("composition", COMPOSITION_MOVES_MORE, BACKBONE_MOVES_MORE, (0.0, effect)),
    ):
        table = moves(made_study(generator, recalls_of(*of_factors), **settings))
        found = table[table["verdict"].eq(verdict)]
        said |= {
            f"{factor} found, macro-F1": bool(found["metric"].eq(SCORE).any()),
            f"{factor} found, EO by gender": bool((found["metric"] + "/" + found["attribute"]).eq(EO).any()),
        }
        contrary |= bool(table["verdict"].eq(other).any())
    return said | {CONTRARY: contrary}


# Runs that differ by seed alone, without the images behind them: many levels, many data sets.


def study_by_seed(
    generator: np.random.Generator,
    of_backbones: Sequence[float],
    of_designs: Sequence[float],
    noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray],
    noises: Sequence[float],
    seeds: int = 6,
    images: float = 0.1,
) -> Crossed:
    """of_backbones, of_designs: main effects, of all quantities alike. noises: of each backbone, what its seeds vary
    by, of the distribution `noise`; the images vary by `images` of .02, independently in every cell."""
    names = list(CONFIRMATORY_EFFECTS)
    nobody = DesignRuns(np.zeros((seeds, 0)), np.zeros((REPLICATES, seeds, 0)), np.zeros(0), np.zeros(0, dtype=int))
    cells = {}
    for design, of_design in zip(DESIGNS, of_designs, strict=False):
        for backbone, of_backbone, scale in zip(BACKBONES, of_backbones, noises, strict=False):
            of_images = 0.02 * images * generator.normal(size=(1 + REPLICATES, 1, len(names)))
            mean = of_backbone + of_design + of_images[0]
            observed = mean + scale * noise(generator, (seeds, len(names)))
            quantities = DesignRuns(observed, observed + of_images[1:], np.zeros(5), np.zeros(5, dtype=int))
            cells[design, backbone] = Cell(tuple(range(seeds)), quantities, nobody)
    return Crossed(names, cells, BACKBONES[: len(of_backbones)])


def _by_seed(
    generator: np.random.Generator, of_backbones: Sequence[float], of_designs: Sequence[float], **settings: Any
) -> dict[str, bool]:
    """Whether either is said to move anything more, though both move it alike."""
    return _moved(moves(study_by_seed(generator, of_backbones, of_designs, **settings)))


NULLS: dict[str, dict[str, Any]] = {
    "600 images": {},
    "600 images, 3 backbones": dict(backbones=3),
    "600 images, races of 8 and 3": dict(races=TINY_RACES),
    "600 images, seeds that favour a gender": dict(seed_effect=0.1),
    "600 images, seeds that favour a gender, skewed": dict(seed_effect=0.1, noise=skewed_seeds),
}
POWER: dict[str, dict[str, Any]] = {
    f"one factor alone lowers a recall by {effect:g}, 1300 images, {seeds} seeds": dict(
        effect=effect, images=1300, seeds=seeds
    )
    for effect, seeds in ((0.05, 6), (0.05, 10), (0.1, 6), (0.1, 10), (0.2, 6), (0.2, 10))
}
BOTH: dict[str, dict[str, Any]] = {
    "": {},
    ", races of 17 and 9": dict(races=TINY_RACES),
    ", seeds that favour a gender, skewed": dict(seed_effect=0.1, noise=skewed_seeds),
}
EQUAL_RANGES: dict[str, dict[str, Any]] = {
    "2 backbones, 2 designs, both 0": dict(of_backbones=(0, 0), of_designs=(0, 0)),
    "2 backbones, 2 designs, both .1": dict(of_backbones=(0, 0.1), of_designs=(0, 0.1)),
    "2 backbones, 4 designs, both .1": dict(of_backbones=(0, 0.1), of_designs=(0, 0.1, 0.1, 0)),
    "4 backbones, 4 designs, both .1": dict(of_backbones=(0, 0.1, 0.05, 0.1), of_designs=(0.1, 0.02, 0, 0)),
}
LIKE_NOISE = (0.02, 0.02, 0.02, 0.02)
UNLIKE_NOISE = (0.02, 0.08, 0.02, 0.02)
SKEWED_AND_UNLIKE = "skewed, of the second backbone four times as much"
NOISES: dict[str, dict[str, Any]] = {
    "normal": dict(noise=normal_seeds, noises=LIKE_NOISE),
    "normal, of the second backbone four times as much": dict(noise=normal_seeds, noises=UNLIKE_NOISE),
    "heavy-tailed": dict(noise=heavy_tailed_seeds, noises=LIKE_NOISE),
    "skewed": dict(noise=skewed_seeds, noises=LIKE_NOISE),
    SKEWED_AND_UNLIKE: dict(noise=skewed_seeds, noises=UNLIKE_NOISE),
}
SIMULATIONS = (
    *(
        Simulation(
            f"backbones and designs that change nothing, 6 seeds: {case}",
            partial(_nothing_moves, **settings),
            at_most=MOST_FALSE,
            data_sets=200,
            quick_data_sets=2,
        )
        for case, settings in NULLS.items()
    ),
    *(
        Simulation(
            f"both lower a recall by .2, 1300 images, 6 seeds{case}",
            partial(_both_move, of_backbone=0.2, of_composition=0.2, images=1300, **settings),
            at_most=MOST_FALSE,
            data_sets=200,
            quick_data_sets=2,
        )
        for case, settings in BOTH.items()
    ),
    *(
        Simulation(
            case,
            partial(_one_moves, **settings),
            at_most=MOST_FALSE,
            for_information=FOUND,
            data_sets=200,
            quick_data_sets=2,
        )
        for case, settings in POWER.items()
    ),
    *(
        Simulation(
            f"equal ranges, {case}, 6 seeds, noise {noise}",
            partial(_by_seed, **levels, **settings),
            at_most=MOST_FALSE,
            for_information=(COMPOSITION, EITHER) if noise == SKEWED_AND_UNLIKE else (),
            data_sets=1000,
            quick_data_sets=10,
        )
        for case, levels in EQUAL_RANGES.items()
        for noise, settings in NOISES.items()
    ),
)
