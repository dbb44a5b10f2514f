"""Pseudo-professions: labels drawn at random given the age bin, so that the best possible result is known.

No real occupation of anybody is known or inferred. The table, and the three modes of label bias, are those of
the study that fairprof repeats.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from fairprof.data.attributes import AGE_BINS, BIASED_GENDERS, BIASED_RACES
from fairprof.errors import UserError
from fairprof.seeds import uniforms

PROFESSIONS = ("student", "blue_collar", "white_collar", "retired")

# P(profession given age bin): a row per bin of AGE_BINS, a column per profession.
PROFESSION_GIVEN_AGE = np.array(
    [
        [0.90, 0.05, 0.03, 0.02],
        [0.95, 0.02, 0.02, 0.01],
        [0.85, 0.05, 0.08, 0.02],
        [0.15, 0.35, 0.45, 0.05],
        [0.05, 0.30, 0.60, 0.05],
        [0.02, 0.30, 0.63, 0.05],
        [0.01, 0.35, 0.55, 0.09],
        [0.01, 0.25, 0.40, 0.34],
        [0.00, 0.10, 0.15, 0.75],
    ]
)


@dataclass(frozen=True)
class LabelBias:
    """Who is disadvantaged (`none`, `gender`, `race` or `intersectional`: women of those races), and how much."""

    mode: str = "none"
    strength: float = 0.15

    def affects(self, genders: pd.Series, races: pd.Series) -> np.ndarray:
        """(N,) bool: whose P(white_collar) is lowered.

        Raises `UserError` where the mode needs a group that the data set does not have.
        """
        if self.mode == "none":
            return np.zeros(len(genders), dtype=bool)
        women = genders.astype(str).str.casefold().isin(BIASED_GENDERS).to_numpy()
        biased_races = races.astype(str).isin(BIASED_RACES).to_numpy()
        affected = {"gender": women, "race": biased_races, "intersectional": women & biased_races}[self.mode]
        if not affected.any():
            raise UserError(
                f"label_bias={self.mode} affects nobody: it needs one of the genders {sorted(BIASED_GENDERS)} "
                f"or races {sorted(BIASED_RACES)}; the data set has {sorted(set(genders.astype(str)))} and "
                f"{sorted(set(races.astype(str)))}"
            )
        return affected


def profession_probabilities(
    ages: pd.Series, genders: pd.Series, races: pd.Series, bias: LabelBias = LabelBias()
) -> np.ndarray:
    """P(profession) of every row, (N, 4) float64, rows sum to 1.

    `ages` are names of AGE_BINS. A bias of strength s multiplies P(white_collar) by 1 - s and P(blue_collar)
    by 1 + s for those whom it affects, and scales the row to sum 1 again.
    """
    probabilities = PROFESSION_GIVEN_AGE[pd.Categorical(ages, categories=AGE_BINS).codes].copy()
    affected = bias.affects(genders, races)
    probabilities[affected, PROFESSIONS.index("white_collar")] *= 1 - bias.strength
    probabilities[affected, PROFESSIONS.index("blue_collar")] *= 1 + bias.strength
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def draw_professions(images: pd.Series, probabilities: np.ndarray, label_seed: int) -> np.ndarray:
    """A profession per row, (N,) str: the inverse distribution function at a number that depends on the image's
    name and the label seed alone, so that adding or removing rows changes no other row's label."""
    cumulative = np.cumsum(probabilities, axis=1)
    below = uniforms(images, label_seed, "profession")[:, None] >= cumulative[:, :-1]
    return np.array(PROFESSIONS)[below.sum(axis=1)]


def bayes_ceiling(probabilities: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """The best expected accuracy, balanced accuracy and macro-F1 of any classifier that knows each row's
    P(class), which is to say its age bin (and, under label bias, its group).

    probabilities: (N, K), rows sum to 1. weights: (N, K) weight of row n *if* its class is k (default 1), which
    expresses another class mix than the natural one. All values in [0, 1]. Accuracy is reached by the most
    probable class, balanced accuracy by the most probable class after equalising the class totals; macro-F1
    by the deterministic rule that `_best_macro_f1` finds.
    """
    mass = probabilities if weights is None else probabilities * weights
    kinds, kind_of_row = np.unique(probabilities.round(12), axis=0, return_inverse=True)
    joint = np.zeros((len(kinds), probabilities.shape[1]))
    np.add.at(joint, kind_of_row.ravel(), mass)
    joint /= joint.sum()
    present = joint.sum(axis=0) > 0
    equalised = joint[:, present] / joint[:, present].sum(axis=0) / present.sum()
    return {
        "accuracy": float(joint.max(axis=1).sum()),
        "balanced_accuracy": float(equalised.max(axis=1).sum()),
        "macro_f1": _best_macro_f1(joint[:, present]),
    }


def ceiling_rule(probabilities: np.ndarray) -> np.ndarray:
    """(N,) int: the class of every row that reaches the ceiling of balanced accuracy, by P(class) (N, K) alone.

    It is the most probable class after the totals of the classes are equalised. What gaps this rule shows between
    groups lies in the data: groups differ in age, and no classifier that is this good can avoid it.
    """
    totals = probabilities.sum(axis=0)
    return np.divide(probabilities, totals, out=np.zeros_like(probabilities), where=totals > 0).argmax(axis=1)


def _macro_f1(joint: np.ndarray, rule: np.ndarray) -> float:
    """Macro-F1 of predicting class rule[i] for kind i; joint (I, K) is P(kind, class)."""
    predicted = np.zeros(joint.shape[1])
    np.add.at(predicted, rule, joint.sum(axis=1))
    hits = np.zeros(joint.shape[1])
    np.add.at(hits, rule, joint[np.arange(len(rule)), rule])
    return float(np.mean(2 * hits / (predicted + joint.sum(axis=0))))


def _best_macro_f1(joint: np.ndarray) -> float:
    """The largest macro-F1 of a deterministic rule kind -> class: coordinate ascent from several class weightings.

    The rule that maximises macro-F1 is the most probable class under some weighting of the classes (Narasimhan
    et al. 2015, ICML), so weighted starts lie near the optimum; a test compares with exhaustive search.
    """
    totals = joint.sum(axis=0)
    weightings = [
        np.array(factors) / totals**power
        for factors in product((1.0, 2.0), repeat=joint.shape[1])
        for power in (0.0, 0.5, 1.0)
    ]
    starts = {tuple((joint * weighting).argmax(axis=1)) for weighting in weightings}
    return max(_climb(joint, np.array(start)) for start in starts)


def _climb(joint: np.ndarray, rule: np.ndarray) -> float:
    best = _macro_f1(joint, rule)
    while True:
        changed = [
            np.concatenate((rule[:kind], [label], rule[kind + 1 :]))
            for kind in range(len(rule))
            for label in range(joint.shape[1])
            if label != rule[kind]
        ]
        scores = [_macro_f1(joint, candidate) for candidate in changed]
        if max(scores, default=0.0) <= best + 1e-12:
            return best
        best, rule = max(scores), changed[int(np.argmax(scores))]
