"""The smallest differences between designs that a study of so many seeds and these test images can show.

Without a pilot, how often a classifier is right, and with what it confuses a class, is assumed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.data.pool import Pool
from fairprof.inference.multiplicity import CONFIRMATORY_ATTRIBUTES
from fairprof.inference.planning import (
    GAP_SEED_SD,
    IMAGE_SHARES,
    LEAST_SEEDS,
    POWER,
    RECOMMENDED_SEEDS,
    ErrorParts,
    assumed_parts,
    detectable_difference,
)
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics.best_rules import best_balanced_rule
from fairprof.metrics.fairness import PARITY_DIFFERENCES, group_labels
from fairprof.reporting.names import short_gap_name
from fairprof.reporting.wording import counted, enumerated, number, percent

ASSUMED_ACCURACY = 0.7  # where nothing is known of what can be learned


@dataclass(frozen=True)
class AssumedClassifier:
    """confusion: (K, K) P(predicted class given true class), rows sum to 1. description: of it, a sentence."""

    confusion: np.ndarray
    description: str


def assumed_classifier(pool: Pool, accuracy: str | float) -> AssumedClassifier:
    """How a classifier of the pool's classes may confuse them.

    accuracy: its share of right predictions in every class, errors spread evenly over the others; or `auto`. Then it
    confuses classes as the best prediction does where labels are pseudo-professions (`best_balanced_rule`, expected
    over the test images), and has ASSUMED_ACCURACY elsewhere.
    """
    if accuracy == "auto" and pool.label_probabilities is not None:
        confusion = _of_the_best_rule(pool.label_probabilities[pool.rows_of("test")])
        return AssumedClassifier(
            confusion,
            "They confuse classes as the best possible prediction does, which has a balanced accuracy of "
            f"{number(np.diag(confusion).mean())}.",
        )
    right, why = (float(accuracy), "") if accuracy != "auto" else (ASSUMED_ACCURACY, ", an assumption")
    classes = len(pool.professions)
    confusion = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(confusion, right)
    return AssumedClassifier(
        confusion,
        f"In every class they are right with a probability of {number(right)}{why}, and errors spread evenly over the "
        "other classes.",
    )


def _of_the_best_rule(probabilities: np.ndarray) -> np.ndarray:
    classes = probabilities.shape[1]
    expected = probabilities.T @ np.eye(classes)[best_balanced_rule(probabilities)]
    totals = expected.sum(axis=1, keepdims=True)
    return np.divide(expected, totals, out=np.full(expected.shape, 1 / classes), where=totals > 0)


def class_counts(rows: pd.DataFrame, attribute: str) -> tuple[np.ndarray, list[str]]:
    """(G, K) int images by group and class, and the groups' names; rows: gender, race and profession."""
    groups = group_labels(rows, attribute)
    professions = rows["profession"].cat
    shape = (len(groups.cat.categories), len(professions.categories))
    cells = groups.cat.codes.to_numpy().astype(int) * shape[1] + professions.codes.to_numpy()
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape), list(groups.cat.categories)


NUMBERS_OF_SEEDS = (LEAST_SEEDS, RECOMMENDED_SEEDS, 20)
SELECTION = PARITY_DIFFERENCES[0]


def assumed_differences(
    rows: pd.DataFrame, confusion: np.ndarray, designs: int, seeds: Iterable[int] = NUMBERS_OF_SEEDS
) -> pd.DataFrame:
    """What a study of so many designs can show on test images of these groups and classes, before anything is trained.

    rows: gender, race and profession of the test images; confusion: (K, K) P(predicted class given true class). A row
    per number of seeds and confirmatory gap; columns: seeds, metric, attribute, detectable (of the class in which it is
    largest, between the two largest groups, see `assumed_parts`; NaN where no class has two groups).
    """
    counts = {attribute: class_counts(rows, attribute)[0] for attribute in CONFIRMATORY_ATTRIBUTES}
    parts = {
        (metric, attribute): list(_parts_of_classes(metric, counts[attribute], confusion))
        for metric, attribute in CONFIRMATORY_GAPS
    }
    return detectable_table(parts, designs, seeds)


def _parts_of_classes(metric: str, counts: np.ndarray, confusion: np.ndarray) -> Iterable[ErrorParts]:
    for place in range(len(confusion)):
        if metric == SELECTION:
            images, rate = counts.sum(axis=1), float(counts.sum(axis=0) @ confusion[:, place] / counts.sum())
        else:
            images, rate = counts[:, place], float(confusion[place, place])
        largest = np.sort(images)[-2:]
        if len(largest) == 2 and largest[0] > 0 and 0 < rate < 1:
            yield assumed_parts(rate, largest.tolist())


def detectable_table(
    parts: Mapping[tuple[str, str], Sequence[ErrorParts]], designs: int, seeds: Iterable[int]
) -> pd.DataFrame:
    """The columns of `assumed_differences`. parts: of every (metric, attribute), of which the largest difference
    counts."""
    tests = len(parts) * (designs - 1)
    rows = [
        {"seeds": number_of_seeds, "metric": metric, "attribute": attribute}
        | {
            "detectable": max(
                (detectable_difference(part, number_of_seeds, tests) for part in of_gap), default=float("nan")
            )
        }
        for number_of_seeds in seeds
        for (metric, attribute), of_gap in parts.items()
    ]
    return pd.DataFrame(rows)


def detectable_told(table: pd.DataFrame, designs: int, test_images: int) -> str:
    """A table of `assumed_differences` or `detectable_table` in a sentence."""
    seeds = list(table["seeds"].unique())
    gaps = table.groupby(["metric", "attribute"], sort=False)["detectable"]
    found = "; ".join(f"{short_gap_name(*gap)} {enumerated(map(_from, values))}" for gap, values in gaps)
    return (
        f"Smallest true differences between two of {designs} designs that a study with {enumerated(map(str, seeds))} "
        f"seeds and these {counted(test_images, 'test image')} establishes with a probability of {percent(POWER, 'g')} "
        f"(adjusted over {counted(len(gaps) * (designs - 1), 'comparison')}): {found}."
    )


def _from(value: float) -> str:
    return number(value) if value <= 1 else "none"


SEEDS_TOLD = f"{RECOMMENDED_SEEDS} seeds are recommended, {LEAST_SEEDS} are the least for any claim between designs."
_OF_ALL, _OF_DESIGN, _OF_RUN = (percent(share, ".0f") for share in IMAGE_SHARES)
ASSUMED = (
    "Nothing has been trained, so this is assumed: differences lie between the two largest groups; of what makes an "
    f"image hard, {_OF_ALL} is the same for all runs, {_OF_DESIGN} for the runs of a design, {_OF_RUN} of a single "
    f"run; beyond that, a gap varies by {number(GAP_SEED_SD)} between seeds. Train two seeds first, and the study "
    "tells it from these."
)
