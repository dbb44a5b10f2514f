"""Ceilings, chance, and gaps split by age, where the labels' probabilities are known."""

from functools import partial

import numpy as np
import pandas as pd

from benchmarks.simulations.simulation import LEAST_COVERED, Simulation
from fairprof.data.attributes import AGE_BINS
from fairprof.data.professions import PROFESSION_GIVEN_AGE, PROFESSIONS, LabelBias, profession_probabilities
from fairprof.inference.standardised_gaps import standardised_gaps
from fairprof.metrics.best_rules import best_rule, macro_f1, share_above_chance
from fairprof.metrics.performance import PROBABILITY_PREFIX, chance_scores, scores_from_counts
from fairprof.metrics.standardised import Split, split

AGES_OF_MEN = np.array([0.02, 0.05, 0.10, 0.30, 0.20, 0.13, 0.10, 0.07, 0.03])
AGES_OF_WOMEN = np.array([0.04, 0.10, 0.12, 0.20, 0.15, 0.12, 0.10, 0.10, 0.07])
GENDERS = ("Female", "Male")
REPLICATES = 400


def _confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    counts = np.zeros((len(PROFESSIONS), len(PROFESSIONS)))
    np.add.at(counts, (truth, predicted), 1)
    return counts


def _drawn(probabilities: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(N,) int: a column of each row, drawn with its probability."""
    below = generator.random(len(probabilities))[:, None] >= np.cumsum(probabilities, axis=1)[:, :-1]
    return below.sum(axis=1)


def labels_of_the_best_rule(generator: np.random.Generator, images: int) -> dict[str, bool]:
    """One draw of labels and of the best rule's predictions, against what is expected of them."""
    age = np.sort(generator.choice(len(AGE_BINS), images, p=AGES_OF_MEN))
    joint = np.zeros(PROFESSION_GIVEN_AGE.shape)
    np.add.at(joint, age, PROFESSION_GIVEN_AGE[age])
    joint = joint[joint.sum(axis=1) > 0] / images
    best = best_rule(joint)
    truth, predicted = _drawn(PROFESSION_GIVEN_AGE[age], generator), best.rule[np.unique(age, return_inverse=True)[1]]
    counts = _confusion(truth, _drawn(predicted, generator))
    shuffled = _confusion(truth, generator.permutation(_drawn(predicted, generator)))
    above = share_above_chance(
        float(scores_from_counts(shuffled)["macro_f1"]), float(chance_scores(shuffled)["macro_f1"]), best.macro_f1
    )
    deterministic = np.eye(len(PROFESSIONS))[best.rule.argmax(axis=1)]
    return {
        "one draw of labels gives the best rule more than the ceiling": bool(
            scores_from_counts(counts)["macro_f1"] > best.macro_f1
        ),
        "shuffled predictions have a share above chance over 0": above > 0,
        "the nearest deterministic rule is expected to score less": macro_f1(joint, deterministic)
        < best.macro_f1 - 1e-6,
    }


def people(images: int, bias: LabelBias, generator: np.random.Generator) -> pd.DataFrame:
    """Predictions with the probabilities of the labels: whoever repeats them repeats their bias, and nothing else."""
    gender = generator.integers(0, 2, images)
    age = np.where(
        gender == 0,
        generator.choice(len(AGE_BINS), images, p=AGES_OF_WOMEN),
        generator.choice(len(AGE_BINS), images, p=AGES_OF_MEN),
    )
    table = pd.DataFrame(
        {
            "image": [f"{number}" for number in range(images)],
            "gender": pd.Categorical.from_codes(gender, GENDERS),
            "race": pd.Categorical(["x"] * images),
            "age": pd.Categorical.from_codes(age, AGE_BINS),
        }
    )
    probabilities = profession_probabilities(table["age"], table["gender"], table["race"], bias)
    table["y_pred"] = np.array(PROFESSIONS)[_drawn(probabilities, generator)]
    return table.assign(**{f"{PROBABILITY_PREFIX}{name}": 0.25 for name in PROFESSIONS})


def true_split(bias: LabelBias) -> Split:
    """Of the population of `people`."""
    shares = np.array([AGES_OF_WOMEN, AGES_OF_MEN]) / 2
    ages, races = pd.Series(AGE_BINS * 2), pd.Series(["x"] * 2 * len(AGE_BINS))
    genders = pd.Series(np.repeat(GENDERS, len(AGE_BINS)))
    probabilities = profession_probabilities(ages, genders, races, bias).reshape(2, len(AGE_BINS), -1)
    return split(shares[:, :, None] * probabilities)


def gap_split_by_age(generator: np.random.Generator, images: int, bias: LabelBias) -> dict[str, bool]:
    """Whether both parts of the difference, where they are defined, lie in their intervals, class by class."""
    found = standardised_gaps([people(images, bias, generator)], REPLICATES, generator, attributes=["gender"])
    women, truth = found[found["group"].eq(GENDERS[0])].reset_index(drop=True), true_split(bias)
    outcome: dict[str, bool] = {}
    for part in ("composition", "remaining"):
        inside = women[f"{part}_lower"].le(getattr(truth, part)[0]) & women[f"{part}_upper"].ge(getattr(truth, part)[0])
        defined = women[part].notna()
        outcome |= {
            f"interval covers: {part}, {row}": bool(inside[place])
            for place, row in enumerate(women["class"])
            if defined[place]
        }
    return outcome


def _split(images: int, strength: float) -> Simulation:
    bias = LabelBias("gender", strength) if strength else LabelBias()
    planted = f"label bias of {strength:g} by gender" if strength else "no label bias, groups of different ages"
    return Simulation(
        f"gap split by age: {planted}, {images:,} images",
        partial(gap_split_by_age, images=images, bias=bias),
        at_least=LEAST_COVERED,
        data_sets=500,
        quick_data_sets=25,
    )


def _best_rule(images: int) -> Simulation:
    return Simulation(
        f"labels drawn for the best rule: {images:,} images",
        partial(labels_of_the_best_rule, images=images),
        data_sets=2000,
        quick_data_sets=100,
    )


SIMULATIONS = (
    _best_rule(500),
    _best_rule(3000),
    _split(600, 0.0),
    _split(3000, 0.0),
    _split(600, 0.25),
    _split(3000, 0.25),
)
