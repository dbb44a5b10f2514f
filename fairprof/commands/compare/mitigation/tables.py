"""The tables of a comparison of methods: every one a function of the runs' prediction tables.

Resampled images are the same for all designs and methods, so that every difference is one on the same images. The runs
of one method are resampled at a time.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from fairprof.commands.compare.cells import (
    Cells,
    Scored,
    by_design,
    cells_of,
    generator_for,
    scored,
    table_of_cells,
)
from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.tables import COMPARED
from fairprof.inference.cells import SCORE
from fairprof.inference.mitigation import NONE, Study, effects, interactions, substitutions, targets
from fairprof.inference.mitigation_verdicts import mitigation_verdicts
from fairprof.inference.random_replacement import Chance, chance_replicates, random_replacement, replacement_lines
from fairprof.metrics.fairness import performance_by_group

SELECTION_COLUMNS = ("design", "method", "selection", "verdict", SCORE)


def mitigation_tables(
    results: Mapping[str, Sequence[RunResults]],
    study: MitigationStudy,
    selections: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table by its name: cells, effects, group_effects, verdicts, interactions, substitutions,
    random_replacement, replacement_line, selections.

    results: a method's runs in the main arm, which share their test images with all others, at most one of every
    design and seed. selections: by run id, what its test images were predicted to be under every rule by which the
    training can be selected: image, selection, y_pred; of the runs that have recorded it.
    """
    protocol = study.protocol
    runs_of = {method: scored(runs) for method, runs in results.items()}
    cells = _cells(runs_of, study)
    compared, chances = _compared(cells, study), _chances(runs_of[NONE], study)
    of_quantities, of_groups = effects(compared, protocol.delta)
    support = performance_by_group(results[NONE][0].test)[["attribute", "group", "support"]]
    return {
        "cells": _table_of_cells(cells, results, study),
        "effects": of_quantities,
        "group_effects": of_groups.merge(support, on=["attribute", "group"], how="left", validate="m:1"),
        "verdicts": mitigation_verdicts(of_quantities, of_groups, study.mitigate, protocol.delta),
        "interactions": interactions(compared, protocol.reference, protocol.delta),
        "substitutions": substitutions(compared, protocol.delta),
        "random_replacement": random_replacement(compared, chances),
        "replacement_line": replacement_lines(compared, chances),
        "selections": _selections(results, study, selections or {}),
    }


# From predictions to cells.


def _cells(runs_of: Mapping[str, Sequence[Scored]], study: MitigationStudy) -> Cells:
    return cells_of({method: runs_of[method] for method in study.methods if runs_of.get(method)}, study.protocol)


def _compared(cells: Cells, study: MitigationStudy) -> Study:
    return Study(COMPARED, cells.groups, cells.by_place, study.mitigate)


def _table_of_cells(cells: Cells, results: Mapping[str, Sequence[RunResults]], study: MitigationStudy) -> pd.DataFrame:
    return table_of_cells(cells, results, "method", [study.mitigate])


def _chances(without: Sequence[Scored], study: MitigationStudy) -> dict[str, Chance]:
    """By design, what its runs without a method come to by chance."""
    runs, numbers = by_design(without)
    generator = generator_for("test images", study.protocol)
    chance = chance_replicates([run.test for run in runs], study.protocol.replicates, generator)
    return {design: Chance(chance.observed[chosen], chance.values[:, chosen]) for design, chosen in numbers.items()}


def _selections(
    results: Mapping[str, Sequence[RunResults]], study: MitigationStudy, selections: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The verdict of every cell under every rule by which trainings can be selected, the runs without a method by the
    same one. Every rule is a family of its own."""
    corrected = [f"corrected/{name}" for name in targets(study.mitigate)]
    rules = list(dict.fromkeys(rule for table in selections.values() for rule in table["selection"].unique()))
    tables = []
    for rule in rules:
        runs_of = {
            method: [
                Scored(run.design, run.seed, _predicted(run.test, selections[run.run.run_id], rule))
                for run in runs
                if run.run.run_id in selections and selections[run.run.run_id]["selection"].eq(rule).any()
            ]
            for method, runs in results.items()
        }
        if not runs_of.get(NONE):
            continue
        cells = _cells(runs_of, study)
        compared = _compared(cells, study)
        found = mitigation_verdicts(*effects(compared, study.protocol.delta), study.mitigate, study.protocol.delta)
        shown = _table_of_cells(cells, results, study)[["design", "method", SCORE, *corrected]]
        table = shown.merge(found[["design", "method", "verdict"]], on=["design", "method"], how="left")
        tables.append(table[table["method"].eq(NONE) | table["verdict"].notna()].assign(selection=rule))
    columns = [*SELECTION_COLUMNS, *corrected]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _predicted(test: pd.DataFrame, by_selection: pd.DataFrame, rule: str) -> pd.DataFrame:
    """The test predictions as the training selected by this rule makes them."""
    chosen = by_selection[by_selection["selection"].eq(rule)].set_index("image")["y_pred"]
    predicted = test["image"].map(chosen)
    if predicted.isna().any():
        missing = test.loc[predicted.isna(), "image"].iloc[0]
        raise ValueError(f"selection {rule!r} has no prediction for image {missing!r}; give one for each test image")
    return test.assign(y_pred=pd.Categorical(predicted, test["y_pred"].cat.categories))
