"""One verdict for a method within a design, from what it surely changes: gaps, groups and the macro-F1."""

import numpy as np
import pandas as pd

from fairprof.inference.cells import SCORE
from fairprof.inference.differences import NO_CLAIM_POSSIBLE
from fairprof.inference.levelling_down import levelled_down
from fairprof.inference.mitigation import judged_attributes, targets
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.inference.verdicts import DEGENERATE, ESTABLISHED

FAIRER_WITHOUT_HARM = "fairer_without_harm"
FAIRER_HARM_NOT_RULED_OUT = "fairer_harm_not_ruled_out"
LEVELLED_DOWN = "levelled_down"
TRADE_OFF = "trade_off"
WORSE = "worse"
NOTHING_ESTABLISHED = "nothing_established"
VERDICT_COLUMNS = ("design", "method", "verdict", "reduced", "enlarged", "harmed", "lost", "lowest", "margin")


def mitigation_verdicts(
    effects: pd.DataFrame, group_effects: pd.DataFrame, mitigate: str, margin: float
) -> pd.DataFrame:
    """One verdict for every design and method, from the tables of `fairprof.inference.mitigation.effects`.

    Smaller and larger gaps are those of demographic parity and equal opportunity by gender and by race, groups those
    of `judged_attributes`; all of it is established within one family, for new seeds and new images. The first that
    holds:

    - degenerate: a run with or without the method predicts one class only, so that its gaps are 0 whatever it sees,
    - no_claim_possible: fewer seeds than a claim takes,
    - fairer_without_harm: a gap of `targets` is smaller, none is larger, the macro-F1 is not lower, and the lower end
      of every group's change in accuracy lies above -margin: each group is non-inferior, all of them together,
    - levelled_down: a gap of `targets` has levelled down (`fairprof.inference.levelling_down.levelled_down`),
    - trade_off: a gap is smaller, and another one larger, a group's accuracy lower, or the macro-F1 lower,
    - fairer_harm_not_ruled_out: a gap is smaller, and neither harm nor its absence is established,
    - worse: no gap is smaller, and a gap is larger, a group's accuracy or the macro-F1 lower,
    - nothing_established.

    Columns: design, method, verdict, reduced and enlarged (gaps, "<difference>/<attribute>"), harmed (groups,
    "<attribute>/<group>") and lost (whether the macro-F1 is lower), as far as established; lowest, the lowest of the
    groups' lower ends (NaN where a group's change is unknown); margin. Several names are separated by ", ".
    """
    judged = group_effects[group_effects["attribute"].isin(judged_attributes(mitigate))]
    levelled = _levelled_down(effects, group_effects, mitigate)
    rows = []
    for (design, method), of_cell in effects.groupby(["design", "method"], sort=False):
        confirmatory = of_cell[of_cell["family"].eq(CONFIRMATORY)]
        established = confirmatory[confirmatory["verdict"].eq(ESTABLISHED)]
        gaps = established[established["attribute"].ne("")]
        names = gaps["metric"] + "/" + gaps["attribute"]
        groups = judged[judged["design"].eq(design) & judged["method"].eq(method)]
        lower = groups[groups["verdict"].eq(ESTABLISHED) & groups["change"].lt(0)]
        row = {
            "design": design,
            "method": method,
            "reduced": list(names[gaps["value"].lt(0)]),
            "enlarged": list(names[gaps["value"].gt(0)]),
            "harmed": list(lower["attribute"] + "/" + lower["group"]),
            "lost": bool((established["metric"].eq(SCORE) & established["value"].lt(0)).any()),
            "lowest": groups["lower"].min(skipna=False) if len(groups) else np.nan,
            "margin": margin,
        }
        said = set(confirmatory["verdict"])
        row["verdict"] = _verdict(row, said, mitigate, (design, method) in levelled)
        rows.append(row | {name: ", ".join(row[name]) for name in ("reduced", "enlarged", "harmed")})
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def _verdict(row: dict, said: set[str], mitigate: str, levelled: bool) -> str:
    worse = bool(row["enlarged"] or row["harmed"] or row["lost"])
    aimed = any(name in targets(mitigate) for name in row["reduced"])
    if DEGENERATE in said:
        return DEGENERATE
    if NO_CLAIM_POSSIBLE in said:
        return NO_CLAIM_POSSIBLE
    if aimed and not row["enlarged"] and not row["lost"] and row["lowest"] > -row["margin"]:
        return FAIRER_WITHOUT_HARM
    if levelled:
        return LEVELLED_DOWN
    if row["reduced"]:
        return TRADE_OFF if worse else FAIRER_HARM_NOT_RULED_OUT
    return WORSE if worse else NOTHING_ESTABLISHED


def _levelled_down(effects: pd.DataFrame, group_effects: pd.DataFrame, mitigate: str) -> set[tuple[str, str]]:
    """Design and method of the cells in which a gap of `targets` has levelled down."""
    aimed = (effects["metric"] + "/" + effects["attribute"]).isin(targets(mitigate))
    found = set()
    for place, of_cell in effects[aimed].groupby(["design", "method"], sort=False):
        groups = group_effects[group_effects["design"].eq(place[0]) & group_effects["method"].eq(place[1])]
        if len(levelled_down(of_cell.assign(reference=place[0]), groups)):
            found.add(place)
    return found
