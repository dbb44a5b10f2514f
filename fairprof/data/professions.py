"""Pseudo-professions: labels drawn at random given the age bin, so that what is expected of the best rule is known.

No real occupation of anybody is known or inferred. The table, and the three modes of label bias, are those of
the study that fairprof repeats.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.data.attributes import AGE_BINS, BIASED_GENDERS, BIASED_RACES, categorical
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
    bins = categorical(ages, AGE_BINS)
    probabilities = PROFESSION_GIVEN_AGE[[AGE_BINS.index(name) for name in bins.categories]][bins.codes]
    affected = bias.affects(genders, races)
    probabilities[affected, PROFESSIONS.index("white_collar")] *= 1 - bias.strength
    probabilities[affected, PROFESSIONS.index("blue_collar")] *= 1 + bias.strength
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities


def draw_professions(images: pd.Series, probabilities: np.ndarray, label_seed: int) -> pd.Categorical:
    """A profession per row, (N,) of PROFESSIONS: the inverse distribution function at a number that depends on the
    image's name and the label seed alone, so that adding or removing rows changes no other row's label."""
    cumulative = np.cumsum(probabilities, axis=1)
    below = uniforms(images, label_seed, "profession")[:, None] >= cumulative[:, :-1]
    return pd.Categorical.from_codes(below.sum(axis=1, dtype=np.int8), PROFESSIONS)
