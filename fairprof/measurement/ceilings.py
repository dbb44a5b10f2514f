"""What is expected of the best rule on a test set, how near predictions come to it, and which gaps lie in the data."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd

from fairprof.data.pool import Pool
from fairprof.metrics import fairness
from fairprof.metrics.best_rules import best_scores, kinds, masses, share_above_chance
from fairprof.metrics.gap_ranges import SHARES, gap_range
from fairprof.metrics.performance import chance_scores, confusion_table, scores_from_counts
from fairprof.reporting.findings import finite

HEADLINE_GAPS = tuple(f"{gap}/{attribute}" for gap in fairness.PARITY_DIFFERENCES for attribute in fairness.ATTRIBUTES)


def ceilings(pool: Pool, rows: np.ndarray) -> dict[str, float]:
    """The scores that are expected of the best rules, which know each label's probabilities, and the smallest and the
    largest gaps of rules that are nearly as good; by name, empty where labels are no pseudo-professions.

    See `best_scores` and `gap_range`. `ceiling/balanced_view/...` are scores where professions are equally frequent.
    """
    if pool.label_probabilities is None:
        return {}
    table = pool.table.iloc[rows]
    groups = (
        (attribute, fairness.group_labels(table, attribute).cat.codes.to_numpy(np.int64).tobytes())
        for attribute in fairness.ATTRIBUTES
    )
    return dict(_ceilings(pool.label_probabilities[rows].astype(np.float64).tobytes(), len(rows), tuple(groups)))


@lru_cache(maxsize=4)  # all runs of a study have the same test images
def _ceilings(label_probabilities: bytes, images: int, groups: tuple[tuple[str, bytes], ...]) -> dict[str, float]:
    """label_probabilities: (images, K) float64. groups: by attribute, (images,) int64."""
    probabilities = np.frombuffer(label_probabilities).reshape(images, -1)
    totals = probabilities.sum(axis=0)
    equalised = np.broadcast_to(
        np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0), probabilities.shape
    )
    balanced = {f"balanced_view/{name}": value for name, value in best_scores(probabilities, equalised).items()}
    codes = {attribute: np.frombuffer(found, np.int64) for attribute, found in groups}
    values = best_scores(probabilities) | balanced | dict(_gap_ranges(probabilities, codes))
    return {f"ceiling/{name}": value for name, value in finite(values).items()}


def _gap_ranges(probabilities: np.ndarray, groups: dict[str, np.ndarray]) -> Iterator[tuple[str, float]]:
    present = probabilities.sum(axis=0) > 0
    joint, kind = masses(probabilities)[:, present], kinds(probabilities)
    for attribute, group in groups.items():
        by_group = np.zeros((group.max() + 1, *joint.shape))
        np.add.at(by_group, (group, kind), probabilities[:, present])
        for gap, shares in SHARES.items():
            found = gap_range(joint, shares(by_group))
            yield f"lowest_{gap}/{attribute}", found.lowest
            yield f"highest_{gap}/{attribute}", found.highest


def expected_rates(pool: Pool, rows: np.ndarray, predictions: pd.DataFrame) -> pd.DataFrame | None:
    """True and false positive rates by group in expectation over the draw of the labels, given the predictions of these
    rows: TPR(g, c) = sum of P(c) of the images of g predicted c, over the sum of P(c) of all images of g.

    Columns: attribute, group, class, rate, value, numerator and denominator (expected numbers of images). None where
    labels are no pseudo-professions.
    """
    if pool.label_probabilities is None:
        return None
    probabilities, classes = pool.label_probabilities[rows], len(pool.professions)
    # every image once as each class, which weighs as much as the class is probable
    every = predictions.loc[predictions.index.repeat(classes)].reset_index(drop=True)
    every["y_true"] = np.tile(pool.professions, len(predictions))
    found = fairness.rates_by_group(every, weights=probabilities.ravel()).drop(columns=["support", "evidence"])
    return found[found["rate"].ne("selection_rate")].reset_index(drop=True)


def shares_of_ceiling(predictions: pd.DataFrame, ceilings: dict[str, float]) -> dict[str, float]:
    """The scores that predictions would have by chance, and their shares of the ceiling of macro-F1, plain and above
    chance; by name, empty where there are no ceilings (of their images).

    See `chance_scores` and `share_above_chance`.
    """
    if not ceilings:
        return {}
    counts, ceiling = confusion_table(predictions).to_numpy(), ceilings["ceiling/macro_f1"]
    score, chance = float(scores_from_counts(counts)["macro_f1"]), chance_scores(counts)
    shares = {
        "test/macro_f1_of_ceiling": score / ceiling,
        "test/macro_f1_share_above_chance": share_above_chance(score, float(chance["macro_f1"]), ceiling),
    }
    return finite({f"chance/{name}": float(value) for name, value in chance.items()} | shares)
