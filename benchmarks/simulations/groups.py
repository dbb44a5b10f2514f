"""Gaps between groups: tests of them, and who is said to differ, with groups down to three images."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmarks.simulations.simulation import LEAST_FOUND, MOST_FALSE, Simulation
from fairprof.inference.levels import ALPHA
from fairprof.inference.over_runs import gaps_and_groups_over_runs
from fairprof.metrics.fairness import DIFFERENCES, MAX_OVER_CLASSES, PARITY_DIFFERENCES

PERMUTATIONS = 199
ATTRIBUTE = "race"
EXAMPLE = (300, 300, 300, 300, 60, 8, 3)
MANY = (*(200,) * 4, *(3,) * 10)
VERY_MANY = (*(200,) * 2, *(3,) * 38)


def predictions_of(
    group: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: int, person: np.ndarray | None = None
) -> pd.DataFrame:
    """A predictions table of images with the codes (N,) of group, true and predicted class, and person."""
    names = np.array([f"c{number}" for number in range(classes)])
    table = {"image": np.arange(len(group)), ATTRIBUTE: group, "y_true": names[true], "y_pred": names[predicted]}
    if person is not None:
        table["person"] = [f"p{number}" for number in person]
    return pd.DataFrame(table | {f"probability_{name}": (names[predicted] == name).astype(float) for name in names})


def table_of_counts(counts: np.ndarray) -> pd.DataFrame:
    """A predictions table with so many images (G, K, K) by group, true and predicted class."""
    codes = np.repeat(np.argwhere(np.ones(counts.shape)), counts.astype(int).ravel(), axis=0).T
    return predictions_of(codes[0], codes[1], codes[2], counts.shape[-1])


def answers(
    generator: np.random.Generator,
    true: np.ndarray,
    recall: np.ndarray,
    classes: int,
    parts: Sequence[tuple[np.ndarray, float]] = (),
) -> np.ndarray:
    """(N,) predicted codes, right with the probability `recall` (N,), otherwise any other class.

    parts: what images share, standard normal scores (N,) with the share of an answer's variance that is theirs.
    """
    own = 1 - sum(share for _, share in parts)
    score = sum(np.sqrt(share) * part for part, share in parts) + np.sqrt(own) * generator.standard_normal(len(true))
    other = (true + generator.integers(1, classes, len(true))) % classes
    return np.where(norm.cdf(score) < recall, true, other)


def judged(tables: Sequence[pd.DataFrame], generator: np.random.Generator) -> tuple[dict[str, bool], pd.DataFrame]:
    """Whether each gap, the largest over classes, is found; and the table of who differs."""
    gaps, groups = gaps_and_groups_over_runs(tables, PERMUTATIONS, generator, [ATTRIBUTE])
    largest = gaps[gaps["class"].eq(MAX_OVER_CLASSES)].set_index("metric")["p_value"]
    return {f"found: {metric}": bool(p_value <= ALPHA) for metric, p_value in largest.items()}, groups


def of_groups(
    generator: np.random.Generator,
    sizes: tuple[int, ...],
    recalls: tuple[float, ...],
    classes: int = 2,
    runs: int = 1,
    alike: float = 0.5,
    only_class: int | None = None,
    asked: tuple[str, ...] = PARITY_DIFFERENCES[1:],
) -> dict[str, bool]:
    """Groups of so many images of each class, recognised that often: in one class alone, if one is given.

    alike: the share of an answer's variance that all runs have in common. With one class alone it is asked as well
    whether a group is said to differ in another class.
    """
    group = np.repeat(np.arange(len(sizes)), np.multiply(sizes, classes))
    true = np.concatenate([np.repeat(np.arange(classes), size) for size in sizes])
    recall = np.asarray(recalls)[group]
    if only_class is not None:
        recall = np.where(true == only_class, recall, max(recalls))
    shared = [(generator.standard_normal(len(group)), alike if runs > 1 else 0.0)]
    tables = [
        predictions_of(group, true, answers(generator, true, recall, classes, shared), classes) for _ in range(runs)
    ]
    found, groups = judged(tables, generator)
    found = {f"found: {metric}": found[f"found: {metric}"] for metric in asked}
    if only_class is None:
        return found
    elsewhere = groups["rate"].eq("true_positive_rate") & groups["class"].ne(f"c{only_class}")
    return {"named in a class without a gap": bool((groups.loc[elsewhere, "p_adjusted"] <= ALPHA).any())}


def people_at_random(
    generator: np.random.Generator, persons: int, images: tuple[int, int], groups_a_person: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of persons and of three groups of images (N,): between so many images each, of one group or of several."""
    person = np.repeat(np.arange(persons), generator.integers(images[0], images[1] + 1, persons))
    group = generator.choice(3, persons, p=[0.6, 0.3, 0.1])[person]
    return person, (group + generator.integers(groups_a_person, size=len(person))) % 3


def people_of_groups(_: np.random.Generator, groups: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Codes of persons and groups of images (N,): so many persons in each group, with so many images each."""
    persons, images = np.transpose(groups)
    number = np.repeat(images, persons)
    return np.repeat(np.arange(len(number)), number), np.repeat(np.arange(len(groups)), persons * images)


def of_persons(
    generator: np.random.Generator,
    people: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]],
    runs: int = 1,
    classes: int = 3,
    one_class_a_person: bool = False,
    recalls: tuple[float, ...] = (0.6, 0.6, 0.6),
) -> dict[str, bool]:
    """People with several images each, of the groups' recalls; a person's images are of one class or of several.

    Of an answer's variance .6 is the person's.
    """
    person, group = people(generator)
    persons = person.max() + 1
    true = generator.integers(classes, size=persons)[person]
    if not one_class_a_person:
        true = generator.integers(classes, size=len(person))
    of_person = generator.standard_normal(persons)[person], 0.6
    # also the wrong class is often the same for a person: without it parity would not notice
    favourite = generator.integers(classes, size=persons)[person]
    tables = []
    for _ in range(runs):
        predicted = answers(generator, true, np.asarray(recalls)[group], classes, [of_person])
        predicted = np.where(predicted == true, true, favourite)
        tables.append(predictions_of(group, true, predicted, classes, person))
    found, _ = judged(tables, generator)
    return found


def _equal(name: str, of=of_groups, for_information: tuple[str, ...] = (), **truth) -> Simulation:
    asked = tuple(f"found: {metric}" for metric in for_information)
    return Simulation(
        f"groups, equal: {name}",
        partial(of, **truth),
        at_most=MOST_FALSE,
        for_information=asked,
        quick_data_sets=40,
    )


def _unequal(name: str, least: float, **truth) -> Simulation:
    return Simulation(
        f"groups, unequal: {name}", partial(of_groups, **truth), at_least=least, data_sets=400, quick_data_sets=20
    )


def _but_first(rate: float, others: float, groups: int) -> tuple[float, ...]:
    return (rate, *(others,) * (groups - 1))


FIVE_EACH = partial(people_at_random, persons=120, images=(5, 5))

SIMULATIONS: tuple[Simulation, ...] = (
    _equal("300 x 4, 60, 8, 3, rates .7", sizes=EXAMPLE, recalls=(0.7,) * 7, asked=PARITY_DIFFERENCES),
    _equal("the same, rates .97", sizes=EXAMPLE, recalls=(0.97,) * 7, asked=PARITY_DIFFERENCES),
    _equal("200 x 4 and ten of 3, four classes, .95", sizes=MANY, recalls=(0.95,) * 14, classes=4),
    _equal("200 x 2 and 38 of 3, .95", sizes=VERY_MANY, recalls=(0.95,) * 40),
    _equal("three groups of 3, .7", sizes=(3, 3, 3), recalls=(0.7,) * 3),
    _equal("100, 12, .9", sizes=(100, 12), recalls=(0.9,) * 2),
    _equal("300 x 4, 60, 8, 3, three runs alike", sizes=EXAMPLE, recalls=(0.8,) * 7, runs=3, alike=0.9),
    _equal("300 x 4, 60, 8, 3, six runs unlike", sizes=EXAMPLE, recalls=(0.8,) * 7, runs=6, alike=0.3),
    _equal("one class differs", sizes=EXAMPLE, recalls=_but_first(0.5, 0.7, 7), only_class=0),
    _equal("120 persons x 5", of_persons, people=FIVE_EACH),
    _equal("120 persons x 5, of one class each", of_persons, people=FIVE_EACH, one_class_a_person=True),
    _equal("40 persons with 1 to 12", of_persons, people=partial(people_at_random, persons=40, images=(1, 12))),
    _equal("120 persons x 5, three runs", of_persons, people=FIVE_EACH, runs=3),
    _equal(
        "120 persons x 5 in two groups each",
        of_persons,
        people=partial(people_at_random, persons=120, images=(5, 5), groups_a_person=2),
    ),
    # few persons with many images each: skewed answers are too few for tests of cells, of which most are rare
    _equal(
        "20 persons x 10, 100 x 2",
        of_persons,
        for_information=DIFFERENCES[2:],
        people=partial(people_of_groups, groups=((20, 10), (100, 2))),
    ),
    _equal(
        "100 persons x 2, 20 x 10, 3 x 4",
        of_persons,
        for_information=DIFFERENCES[2:],
        people=partial(people_of_groups, groups=((100, 2), (20, 10), (3, 4))),
    ),
    _equal(
        "10 persons x 20, 300 x 1, two classes",
        of_persons,
        for_information=DIFFERENCES[1:],
        people=partial(people_of_groups, groups=((10, 20), (300, 1))),
        classes=2,
    ),
    Simulation(
        "groups, unequal: 60 persons x 5 each, .8 and .5",
        partial(of_persons, people=partial(people_of_groups, groups=((60, 5), (60, 5))), classes=2, recalls=(0.8, 0.5)),
        at_least=0.8,
        for_information=("found: demographic_parity_difference",),  # both classes are missed as often
        data_sets=400,
        quick_data_sets=20,
    ),
    _unequal("300 x 4, 60, 8, 3, one .5 of .7", LEAST_FOUND, sizes=EXAMPLE, recalls=_but_first(0.5, 0.7, 7)),
    _unequal("the same, one .9 of .97", LEAST_FOUND, sizes=EXAMPLE, recalls=_but_first(0.9, 0.97, 7)),
    _unequal(
        "200 x 4 and ten of 3, four classes", LEAST_FOUND, sizes=MANY, recalls=_but_first(0.85, 0.95, 14), classes=4
    ),
    _unequal("200 x 2 and 38 of 3", LEAST_FOUND, sizes=VERY_MANY, recalls=_but_first(0.82, 0.95, 40)),
    _unequal("six runs", LEAST_FOUND, sizes=EXAMPLE, recalls=_but_first(0.6, 0.7, 7), runs=6, alike=0.3),
    _unequal("two of 100, .9 and .7", 0.93, sizes=(100, 100), recalls=(0.9, 0.7)),
    _unequal("two of 100, .8 and .6", 0.85, sizes=(100, 100), recalls=(0.8, 0.6)),
    _unequal("two of 100, .6 and .4", 0.8, sizes=(100, 100), recalls=(0.6, 0.4)),
)
