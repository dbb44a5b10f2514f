"""How often the intervals of scores cover what is true, where a class has few images."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.simulations.simulation import LEAST_COVERED, Simulation
from fairprof.inference.intervals import bootstrap_scores
from fairprof.metrics.performance import scores_from_counts

REPLICATES = 400
ROUNDING = 1e-9


def covered(
    totals: Sequence[int], recalls: Sequence[float], persons: int, generator: np.random.Generator
) -> dict[str, bool]:
    """Whether each score's interval contains its truth.

    totals, recalls: images of every class, and their chance of being right; what is wrong is spread evenly over the
    other classes. persons: how many images in a row are one person's, all of one class and all right or all wrong
    alike; 0 for a person each.
    """
    classes, each = len(totals), max(persons, 1)
    chances = np.full((classes, classes), (1 - np.array(recalls))[:, None] / (classes - 1))
    np.fill_diagonal(chances, recalls)
    counts = np.stack([generator.multinomial(total // each, row) for total, row in zip(totals, chances, strict=True)])
    truth = scores_from_counts(np.array(totals)[:, None] * chances)
    true, predicted = (np.repeat(codes.ravel(), counts.ravel()) for codes in np.indices(counts.shape))
    table = pd.DataFrame(
        {
            "y_true": true.astype(str),
            "y_pred": predicted.astype(str),
            **{f"probability_{name}": (predicted == name).astype(float) for name in range(classes)},
        }
    )
    if persons:
        table = table.assign(person=np.arange(len(table))).loc[table.index.repeat(each)].reset_index(drop=True)
    found = bootstrap_scores(table, REPLICATES, generator)
    return {
        f"covered: {row.metric}": row.lower - ROUNDING <= truth[row.metric] <= row.upper + ROUNDING
        for row in found.itertuples()
    }


SIMULATIONS: tuple[Simulation, ...] = tuple(
    Simulation(name, partial(covered, totals, recalls, persons), at_least=LEAST_COVERED)
    for name, totals, recalls, persons in (
        ("a class of 5 in 100, recalls .8", (50, 45, 5), (0.8, 0.8, 0.8), 0),
        ("a class of 5 in 100, recalls .9, .9, .5", (50, 45, 5), (0.9, 0.9, 0.5), 0),
        ("a class of 5 in 100, recalls .98", (50, 45, 5), (0.98, 0.98, 0.98), 0),
        ("a class of 5 in 100, two classes", (95, 5), (0.9, 0.7), 0),
        ("a class of 2 in 100, recalls .8, .8, .6", (50, 48, 2), (0.8, 0.8, 0.6), 0),
        ("a class of 2 in 100, two classes", (98, 2), (0.9, 0.6), 0),
        ("a class of 5 in 100 that is never right", (50, 45, 5), (0.8, 0.8, 0.0), 0),
        ("a class of 5 in 100 that is seldom right", (50, 45, 5), (0.8, 0.8, 0.1), 0),
        ("all right", (50, 45, 5), (1.0, 1.0, 1.0), 0),
        ("six classes of 5 to 30, recalls .7", (30, 25, 20, 10, 10, 5), (0.7,) * 6, 0),
        ("six classes of 5 to 30, recalls .9", (30, 25, 20, 10, 10, 5), (0.9,) * 6, 0),
        ("1,000 images, recalls .9, .7, .3", (400, 400, 200), (0.9, 0.7, 0.3), 0),
        ("100 persons, five images each", (200, 200, 100), (0.8, 0.8, 0.6), 5),
    )
)
