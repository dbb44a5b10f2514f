"""Scores and gaps of the same images again and again: validation after every epoch."""

import numpy as np

from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.metrics.fairness import (
    ATTRIBUTES,
    balanced_weights,
    count_codes,
    empty_cells,
    group_labels,
    summary_of_counts,
)
from fairprof.metrics.performance import label_codes, performance_of_codes
from fairprof.network.records import distance_to_ideal


class ValidationMeasure:
    """`scores_and_gaps` of predictions for the same rows of a pool, to the last bit, without a table of them; and how
    far macro-F1 and the equal opportunity difference of an attribute are from the ideal.

    Labels, groups and weights are the same in every epoch and coded once. What changes is counted.
    """

    def __init__(self, pool: Pool, rows: np.ndarray, min_support: int, mitigate: str):
        """rows: (N,) row numbers of the pool, at least one. mitigate: the attribute."""
        self.classes, self.min_support, self.mitigate = len(pool.professions), min_support, mitigate
        table = predictions_table(pool, rows, np.zeros((len(rows), self.classes)))  # whatever is predicted
        groups = {attribute: group_labels(table, attribute) for attribute in ATTRIBUTES}
        self.true = label_codes(table, "y_true")
        self.groups = {name: len(labels.cat.categories) for name, labels in groups.items()}
        self.group = {name: labels.cat.codes.to_numpy() for name, labels in groups.items()}
        self.unweighted, self.weights = np.ones(len(rows)), balanced_weights(table).to_numpy()
        self.empty_cells = empty_cells(table)

    def __call__(self, probabilities: np.ndarray) -> dict[str, float]:
        """The values by name. probabilities: (N, K) float64 in the order of the rows, each row sums to 1."""
        probabilities = np.asfortranarray(probabilities)  # as the columns of a table lie, which decides on rounding
        predicted = probabilities.argmax(axis=1)
        scores = performance_of_codes(
            self.true, predicted, probabilities / probabilities.sum(axis=1)[:, None], self.unweighted
        )
        natural, balanced = (
            {
                name: count_codes(group, self.true, predicted, self.groups[name], self.classes, weights)
                for name, group in self.group.items()
            }
            for weights in (self.unweighted, self.weights)
        )
        values = scores | summary_of_counts(natural, balanced, self.empty_cells, self.min_support)
        gap = values[f"equal_opportunity_difference/{self.mitigate}"]
        return values | {"distance_to_ideal": distance_to_ideal(values["macro_f1"], gap)}
