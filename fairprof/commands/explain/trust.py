"""Whether maps can be trusted, said before anything is read from them; where not, what they show is withheld."""

import numpy as np
import pandas as pd

from fairprof.inference.group_means import ALL
from fairprof.saliency.faithfulness import HIGHER_IS_BETTER, SCORES
from fairprof.saliency.randomisation import CHANGED, EVERYTHING, FLAGGED, HEAD

BETTER, WORSE, ALIKE = "better", "worse", "not distinguished"  # from random maps
LEAST_BETTER = 2  # of the three scores of faithfulness
TRUSTED, NOT_TRUSTED, NOT_MEASURED = "trusted", "not trusted", "not measured"
TOLD, WITHHELD = "told", "withheld"
COLUMNS = ("model", *SCORES, HEAD, EVERYTHING, "trust")


def trust_of(labels: tuple[str, ...], faithful: pd.DataFrame, similarity: pd.DataFrame) -> pd.DataFrame:
    """A row per model: COLUMNS, each score against random maps, what became of the maps when weights were randomised,
    and the verdict.

    Maps are trusted where at least two of the three scores are established better than those of random maps and none
    worse, where they change when everything is randomised, and are not flagged when the head is. faithful, similarity:
    the tables of these names; without `faithful` nothing is known.
    """
    return pd.DataFrame([_row(label, faithful, similarity) for label in labels], columns=list(COLUMNS))


def _row(label: str, faithful: pd.DataFrame, similarity: pd.DataFrame) -> dict[str, str]:
    parts = similarity[similarity["model"].eq(label)].set_index("randomised")["verdict"]
    checks = {part: str(parts[part]) for part in (HEAD, EVERYTHING)}
    whole = faithful[faithful["model"].eq(label) & faithful["attribute"].eq(ALL)].set_index("measure")
    scores = {score: _compared(whole.loc[score], score) if len(whole) else NOT_MEASURED for score in SCORES}
    found = list(scores.values())
    faithful_enough = found.count(BETTER) >= LEAST_BETTER and WORSE not in found
    sane = checks[EVERYTHING] == CHANGED and checks[HEAD] != FLAGGED
    verdict = TRUSTED if faithful_enough and sane else NOT_TRUSTED
    return {"model": label} | scores | checks | {"trust": verdict if len(whole) or not sane else NOT_MEASURED}


def _compared(row: pd.Series, score: str) -> str:
    if not row["differs"]:
        return ALIKE
    return BETTER if (row["difference"] > 0) == HIGHER_IS_BETTER[score] else WORSE


def marked(table: pd.DataFrame, trust: pd.DataFrame, designs: dict[str, dict[int, str]]) -> pd.DataFrame:
    """A table of what maps show, with a column `reported`: told where the maps of its model or design, and of the one
    that it is compared with, are trusted, otherwise withheld. Those of a design are where those of all its seeds are;
    designs: as in `ChosenModels`."""
    untold = set(trust[trust["trust"].ne(TRUSTED)]["model"])
    untold |= {design for design, of_seeds in designs.items() if untold.intersection(of_seeds.values())}
    withheld = table[[name for name in ("model", "design", "reference") if name in table]].isin(untold).any(axis=1)
    return table.assign(reported=np.where(withheld, WITHHELD, TOLD))
