"""What a test set and a study can show, and seeds that are added until something is established.

Differences between designs by seed and image, in normal numbers, are tested for new seeds and new images at the level
of twelve comparisons.
"""

from functools import cache, partial

import numpy as np
import pandas as pd

from benchmarks.simulations.simulation import MOST_FALSE, Simulation
from fairprof.commands.prepare.noise_floors import FIRST_STEP, expected_noise_floors
from fairprof.inference.multiplicity import sidak_level
from fairprof.inference.over_seeds_and_images import estimates
from fairprof.inference.permutation import gap_tests
from fairprof.inference.planning import LEAST_SEEDS, ErrorParts, Look, detectable_difference, seed_plan
from fairprof.metrics.fairness import MAX_OVER_CLASSES

EQUAL_OPPORTUNITY = "equal_opportunity_difference"
CLASSES, RECALL = ("driver", "nurse", "teacher"), 0.7
MOST_SEEDS, PILOT = 15, 2
DESIGNS, GAPS = 3, 4  # designs beside the reference
IMAGES, REPLICATES = 200, 300


def _established(by_image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(M,): which of the differences are, of (S, N, M) by seed and image."""
    weights = generator.multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), size=REPLICATES) / IMAGES
    found = estimates(by_image.mean(axis=1), np.einsum("bi,sim->bsm", weights, by_image, optimize=True))
    return found.p_value <= sidak_level(DESIGNS * GAPS)


def _shown(generator: np.random.Generator, seeds: int, of_seeds: float, of_images: float, of_both: float) -> dict:
    """Whether a shift of the size that is told beforehand is established; the parts as standard deviations."""
    parts = ErrorParts(of_seeds**2, of_images**2 / IMAGES, of_both**2 / IMAGES)
    shift = detectable_difference(parts, seeds, DESIGNS * GAPS, REPLICATES)
    by_image = of_seeds * generator.normal(size=(seeds, 1)) + of_images * generator.normal(size=IMAGES)
    by_image = shift + by_image + of_both * generator.normal(size=(seeds, IMAGES))
    return {"found": bool(_established(by_image[..., None], generator)[0])}


def _gap(generator: np.random.Generator, races: tuple[int, ...], pair: tuple[int, int], found_at: str) -> dict:
    """Whether a gap in equal opportunity by race of the size that an audit tells is found at Holm's first step.

    races: images of each and of each class; the gap lies in the first of three classes between two of them.
    """
    rows, gap = _images(races), _told_gap(races, found_at)
    race, true = rows["race"].cat.codes.to_numpy(), rows["profession"].cat.codes.to_numpy()
    recall = np.full(len(rows), RECALL)
    for group, rate in zip(pair, (RECALL - gap / 2, RECALL + gap / 2), strict=True):
        recall[(race == group) & (true == 0)] = rate
    wrong = (true + generator.integers(1, len(CLASSES), len(rows))) % len(CLASSES)
    predicted = np.where(generator.random(len(rows)) < recall, true, wrong)
    predictions = rows.assign(
        image=np.arange(len(rows)).astype(str),
        y_true=np.array(CLASSES)[true],
        y_pred=np.array(CLASSES)[predicted],
        **dict.fromkeys((f"probability_{name}" for name in CLASSES), 1 / len(CLASSES)),
    )
    tests = gap_tests(predictions, 499, generator, ["race"]).set_index(["metric", "class"])["p_value"]
    return {"found": bool(tests[EQUAL_OPPORTUNITY, MAX_OVER_CLASSES] <= FIRST_STEP)}


@cache
def _images(races: tuple[int, ...]) -> pd.DataFrame:
    rows = [("f", f"race {race}", name) for race, count in enumerate(races) for name in CLASSES for _ in range(count)]
    return pd.DataFrame(rows, columns=["gender", "race", "profession"]).astype("category")


@cache
def _told_gap(races: tuple[int, ...], found_at: str) -> float:
    confusion = np.full((len(CLASSES), len(CLASSES)), (1 - RECALL) / (len(CLASSES) - 1))
    np.fill_diagonal(confusion, RECALL)
    floors = expected_noise_floors(_images(races), confusion, 100, np.random.default_rng(0), min_support=30)
    gap = floors["attribute"].eq("race") & floors["metric"].eq(EQUAL_OPPORTUNITY)
    return float(floors.loc[gap & floors["class"].eq(MAX_OVER_CLASSES), found_at].iloc[0])


def _added_seeds(generator: np.random.Generator, recorded: bool) -> dict[str, bool]:
    """Whether anything is ever established between equal designs. recorded: with the record of the planned seeds."""
    of_seeds, _, of_both = CASES["seeds mainly"]
    runs = of_seeds * generator.normal(size=(MOST_SEEDS, 1, DESIGNS + 1, GAPS))
    runs = runs + of_both * generator.normal(size=(MOST_SEEDS, IMAGES, DESIGNS + 1, GAPS))
    by_image = (runs[:, :, 1:] - runs[:, :, :1]).reshape(MOST_SEEDS, IMAGES, -1)
    looks = [_look(PILOT)]
    for seeds in range(LEAST_SEEDS, MOST_SEEDS + 1):
        tested = seed_plan(looks if recorded else [], range(seeds)).tested
        if _established(by_image[list(tested)], np.random.default_rng(0)).any():
            return {"established": True}
        looks.append(_look(seeds))
    return {"established": False}


def _look(seeds: int) -> Look:
    return Look(tuple(range(seeds)), frozenset(range(seeds)))


CASES = {
    "seeds and images": (0.03, 0.3, 0.6),
    "seeds mainly": (0.1, 0.1, 0.3),
    "images mainly": (0.01, 1.0, 0.5),
}

SIMULATIONS = (
    *(
        Simulation(
            f"a difference of the size told beforehand, {seeds} seeds, {case}",
            partial(_shown, seeds=seeds, of_seeds=parts[0], of_images=parts[1], of_both=parts[2]),
            at_least=0.75,
            at_most=0.85,
        )
        for seeds in (6, 10, 20)
        for case, parts in CASES.items()
    ),
    *(
        Simulation(
            f"a gap of the size told beforehand, {case}",
            partial(_gap, races=races, pair=pair, found_at=f"detectable_{groups}"),
            at_least=0.75,
            at_most=0.85,
            quick_data_sets=20,
        )
        for case, races, pair, groups in (
            ("4 equal groups", (100,) * 4, (2, 3), "largest"),
            ("60 to 200, the largest", (60, 90, 140, 200), (2, 3), "largest"),
            ("60 to 200, the smallest", (60, 90, 140, 200), (0, 1), "smallest"),
            ("two large and two tiny", (8, 20, 300, 300), (2, 3), "largest"),
        )
    ),
    Simulation(
        f"seeds are added, from {LEAST_SEEDS} to {MOST_SEEDS}, until something is established",
        partial(_added_seeds, recorded=True),
        at_most=MOST_FALSE,
        data_sets=1000,
        quick_data_sets=20,
    ),
    Simulation(
        "the same without a record of what was planned",
        partial(_added_seeds, recorded=False),
        data_sets=1000,
        quick_data_sets=4,
    ),
)
