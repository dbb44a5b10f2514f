"""What the best possible classifier would reach, and which gaps lie in the data."""

import numpy as np

from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.data.professions import bayes_ceiling, ceiling_rule
from fairprof.metrics import fairness

HEADLINE_GAPS = tuple(f"{gap}/{attribute}" for gap in fairness.PARITY_DIFFERENCES for attribute in fairness.ATTRIBUTES)


def ceilings(pool: Pool, rows: np.ndarray, macro_f1: float) -> dict[str, float]:
    """What the best possible classifier would reach on the test set, where labels are pseudo-professions, and which
    gaps a classifier shows that knows each label's probabilities and nothing else."""
    if pool.label_probabilities is None:
        return {}
    probabilities = pool.label_probabilities[rows]
    totals = probabilities.sum(axis=0)
    equalised = np.broadcast_to(
        np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0), probabilities.shape
    )
    natural, balanced = bayes_ceiling(probabilities), bayes_ceiling(probabilities, equalised)
    chosen = np.eye(len(pool.professions))[ceiling_rule(probabilities)]
    gaps = fairness.summary(predictions_table(pool, rows, chosen))
    return (
        {f"ceiling/{name}": value for name, value in natural.items()}
        | {f"ceiling/balanced_view/{name}": value for name, value in balanced.items()}
        | {f"ceiling/{name}": value for name, value in gaps.items() if name in HEADLINE_GAPS and np.isfinite(value)}
        | {"test/macro_f1_of_ceiling": macro_f1 / natural["macro_f1"]}
    )
