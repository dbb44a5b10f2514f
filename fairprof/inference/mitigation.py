"""What methods change, alone and with the design of the data: comparisons of cells, a design with a method each.

Three questions, each of them one family of tests: what a method changes within a design, whether method and design add
up, and whether a design with a method does what another design does without one.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.inference.cells import (
    COMPARED_COLUMNS,
    CONFIRMATORY_EFFECTS,
    OF_GROUPS,
    SCORE,
    Cell,
    at_common_seeds,
    contrasted_in_parts,
    judged_family,
    judged_in_parts,
    signed_sum,
)
from fairprof.inference.differences import named, placed
from fairprof.inference.multiplicity import CONFIRMATORY_ATTRIBUTES
from fairprof.metrics.fairness import PARITY_DIFFERENCES

NONE = "none"  # the method of a cell without one
EFFECT_COLUMNS = ("design", "method", *COMPARED_COLUMNS)
INTERACTION_COLUMNS = ("design", "reference", "method", *COMPARED_COLUMNS)
SUBSTITUTION_COLUMNS = ("design_without", "design_with", "method", *COMPARED_COLUMNS, "chosen")


class Study(NamedTuple):
    """names: of the M quantities, as `fairprof.inference.differences.quantities` names them. groups: attribute and
    name of each of the G groups. cells: by design and method; those that have no runs are left out. mitigate: the
    attribute between whose groups the methods mitigate: gender, race or gender_x_race."""

    names: Sequence[str]
    groups: Sequence[tuple[str, str]]
    cells: Mapping[tuple[str, str], Cell]
    mitigate: str

    @property
    def mitigated(self) -> list[tuple[str, str]]:
        """The cells with a method whose design has one without, in their order."""
        return [place for place in self.cells if place[1] != NONE and (place[0], NONE) in self.cells]

    @property
    def designs(self) -> list[str]:
        return list(dict.fromkeys(design for design, _ in self.cells))


def targets(mitigate: str) -> tuple[str, ...]:
    """The gaps that methods for this attribute are to bring down: demographic parity and equal opportunity by it; of
    gender_x_race those by gender and by race."""
    attributes = (mitigate,) if mitigate in CONFIRMATORY_ATTRIBUTES else CONFIRMATORY_ATTRIBUTES
    return tuple(f"{metric}/{attribute}" for metric in PARITY_DIFFERENCES for attribute in attributes)


def judged_attributes(mitigate: str) -> tuple[str, ...]:
    """The attributes whose groups must not be harmed: that of the methods; of gender_x_race all three."""
    return (mitigate,) if mitigate in CONFIRMATORY_ATTRIBUTES else (*CONFIRMATORY_ATTRIBUTES, mitigate)


def effects(study: Study, delta: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What every method changes within every design, against the runs of the design without a method.

    Two tables, of quantities and of the accuracies of groups, both judged as one family (`judged_differences`): the
    macro-F1, demographic parity and equal opportunity by gender and by race, and the accuracies of the groups of
    `judged_attributes`, of all designs and methods. Their intervals hold together; all else is exploratory.

    The first has EFFECT_COLUMNS. The second has a row for each group: design, method, attribute, group, seeds,
    accuracy and accuracy_without (means over the seeds), change (their difference), lower, upper, p_value, p_adjusted,
    family, verdict and scope.
    """
    tables = []
    for design, method in study.mitigated:
        compared = at_common_seeds([(1, study.cells[design, method]), (-1, study.cells[design, NONE])])
        if not compared:
            continue
        of_quantities = contrasted_in_parts(
            study.names, [(sign, cell.quantities) for sign, cell in compared], CONFIRMATORY_EFFECTS
        )
        tables.append(_at(design, method, named(study.names), of_quantities))
        judged = judged_attributes(study.mitigate)
        names = [f"{OF_GROUPS}/{attribute}/{group}" for attribute, group in study.groups]
        confirmatory = [name for name, (attribute, _) in zip(names, study.groups, strict=True) if attribute in judged]
        accuracies = [(sign, cell.accuracies) for sign, cell in compared]
        of_groups = contrasted_in_parts(names, accuracies, confirmatory)
        place = pd.DataFrame(study.groups, columns=["attribute", "class"]).assign(metric=OF_GROUPS)
        means = [runs.observed.mean(axis=0) for _, runs in accuracies]
        tables.append(
            _at(design, method, place, of_groups.assign(accuracy=means[0], accuracy_without=means[1], degenerate=False))
        )
    if not tables:
        return pd.DataFrame(columns=list(EFFECT_COLUMNS)), pd.DataFrame(columns=list(GROUP_EFFECT_COLUMNS))
    judged_table = judged_in_parts(pd.concat(tables, ignore_index=True), delta)
    of_groups = judged_table["metric"].eq(OF_GROUPS) & judged_table["attribute"].ne("")
    groups = judged_table[of_groups].rename(columns={"class": "group", "value": "change"})
    return (
        judged_table.loc[~of_groups, list(EFFECT_COLUMNS)].reset_index(drop=True),
        groups[list(GROUP_EFFECT_COLUMNS)].reset_index(drop=True),
    )


GROUP_EFFECT_COLUMNS = (
    *("design", "method", "attribute", "group", "seeds", "accuracy", "accuracy_without", "change", "lower", "upper"),
    *("p_value", "p_adjusted", "family", "verdict", "scope"),
)


def interactions(study: Study, reference: str, delta: float) -> pd.DataFrame:
    """Whether methods and designs add up: what a method changes in a design less what it changes in the reference.

    value: (m, d) - (none, d) - [(m, reference) - (none, reference)] of the macro-F1 and the gaps of `targets`, at the
    seeds of all four; 0 where they add up. All rows are one family (`judged_differences`): established is that they do
    not add up, equivalent that they do within `delta`. INTERACTION_COLUMNS.
    """
    tables: list[pd.DataFrame] = []
    for design, method in study.mitigated:
        places = [(1, (design, method)), (-1, (design, NONE)), (-1, (reference, method)), (1, (reference, NONE))]
        if design == reference or not all(place in study.cells for _, place in places):
            continue
        signed = [(sign, study.cells[place]) for sign, place in places]
        keys = dict(design=design, reference=reference, method=method)
        tables += signed_sum(study.names, signed, _asked(study), **keys)
    return judged_family(tables, INTERACTION_COLUMNS, delta, farthest=2.0)


def substitutions(study: Study, delta: float) -> pd.DataFrame:
    """Designs without a method against other designs with one: whether composing the data does what a method does.

    value: (m, design_with) - (none, design_without) of the macro-F1 and the gaps of `targets`, for every pair of
    designs and every method. All rows are one family (`judged_differences`), so that intervals hold for pairs that are
    chosen by the same runs, too. chosen: for every quantity the pair in which the best design without a method meets
    the worst one with its best method, by means less floors; degenerate cells are not chosen. SUBSTITUTION_COLUMNS.
    """
    tables: list[pd.DataFrame] = []
    for design_with, method in study.mitigated:
        for without in study.designs:
            if without == design_with or (without, NONE) not in study.cells:
                continue
            signed = [(1, study.cells[design_with, method]), (-1, study.cells[without, NONE])]
            keys = dict(design_without=without, design_with=design_with, method=method)
            tables += signed_sum(study.names, signed, _asked(study), **keys)
    table = judged_family(tables, SUBSTITUTION_COLUMNS[:-1], delta)
    chosen = {(*pair, name) for name in _asked(study) if (pair := _chosen(study, name))}
    of_rows = zip(
        *(table[name] for name in ("design_without", "design_with", "method")),
        table["metric"] + ("/" + table["attribute"]).where(table["attribute"].ne(""), ""),
        strict=True,
    )
    return table.assign(chosen=np.array([row in chosen for row in of_rows], dtype=bool))


def _chosen(study: Study, name: str) -> tuple[str, str, str] | None:
    """Best design without a method, worst one, and the worst one's best method; None without two designs."""
    column = list(study.names).index(name)
    better = 1 if name == SCORE else -1
    goodness = {
        place: better * cell.corrected()[column]
        for place, cell in study.cells.items()
        if not cell.quantities.degenerate and not np.isnan(cell.corrected()[column])
    }
    without = {design: value for (design, method), value in goodness.items() if method == NONE}
    if len(without) < 2:
        return None
    worst = min(sorted(without), key=without.__getitem__)
    best = max(sorted(without.keys() - {worst}), key=without.__getitem__)
    methods = {method: value for (design, method), value in goodness.items() if design == worst and method != NONE}
    return (best, worst, max(sorted(methods), key=methods.__getitem__)) if methods else None


def _asked(study: Study) -> list[str]:
    """The quantities of interactions and substitutions."""
    return [name for name in study.names if name in (SCORE, *targets(study.mitigate))]


def _at(design: str, method: str, place: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    return placed(pd.concat([place, table], axis=1), design=design, method=method)
