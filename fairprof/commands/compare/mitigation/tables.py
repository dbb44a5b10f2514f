"""The tables of a comparison of methods: every one a function of the runs' prediction tables.

Resampled images are the same for all designs and methods, so that every difference is one on the same images. The runs
of one method are resampled at a time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.tables import COMPARED, RESAMPLING_SEED
from fairprof.inference.mitigation import (
    NONE,
    SCORE,
    Cell,
    Study,
    cell_of,
    effects,
    groups_of,
    interactions,
    substitutions,
    targets,
)
from fairprof.inference.mitigation_verdicts import mitigation_verdicts
from fairprof.inference.over_runs import image_replicates
from fairprof.inference.permutation import gap_floors
from fairprof.inference.random_replacement import (
    Chance,
    chance_replicates,
    random_replacement,
    replacement_lines,
)
from fairprof.metrics.fairness import (
    MAX_OVER_CLASSES,
    gaps,
    performance_by_group,
    rates_by_group,
)
from fairprof.metrics.performance import predicts_one_class
from fairprof.seeds import numpy_generator

SELECTION_COLUMNS = ("design", "method", "selection", "verdict", SCORE)


class Scored(NamedTuple):
    """A run's test predictions, `in_categories`."""

    design: str
    seed: int
    test: pd.DataFrame


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
    scored = {method: [Scored(run.design, run.seed, run.test) for run in runs] for method, runs in results.items()}
    compared, chances = _compared(scored, study), _chances(scored[NONE], study)
    of_quantities, of_groups = effects(compared, protocol.delta)
    support = performance_by_group(scored[NONE][0].test)[["attribute", "group", "support"]]
    return {
        "cells": _cells(compared, results),
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


def _compared(scored: Mapping[str, Sequence[Scored]], study: MitigationStudy) -> Study:
    """The cells of a study."""
    undefined = _undefined_cells(scored[NONE][0].test)
    cells: dict[tuple[str, str], Cell] = {}
    groups: list[tuple[str, str]] = []
    for method in (name for name in study.methods if scored.get(name)):
        runs, numbers = _by_design(scored[method])
        tables = [run.test for run in runs]
        replicates = image_replicates(tables, study.protocol.replicates, _generator("test images", study))
        groups = groups_of(replicates)
        for design, chosen in numbers.items():
            floors = gap_floors(
                [tables[number] for number in chosen], study.protocol.permutations, _generator("floors", study)
            )
            seeds = tuple(runs[number].seed for number in chosen)
            degenerate = any(predicts_one_class(tables[number]) for number in chosen)
            cells[design, method] = cell_of(replicates, chosen, seeds, COMPARED, floors, undefined, degenerate)
    in_order = sorted(cells, key=lambda place: (place[0], study.methods.index(place[1])))
    return Study(COMPARED, groups, {place: cells[place] for place in in_order}, study.mitigate)


def _chances(without: Sequence[Scored], study: MitigationStudy) -> dict[str, Chance]:
    """By design, what its runs without a method come to by chance."""
    runs, numbers = _by_design(without)
    chance = chance_replicates([run.test for run in runs], study.protocol.replicates, _generator("test images", study))
    return {design: Chance(chance.observed[chosen], chance.values[:, chosen]) for design, chosen in numbers.items()}


def _by_design(scored: Sequence[Scored]) -> tuple[list[Scored], dict[str, list[int]]]:
    """The runs by design and seed, and the numbers of each design's among them."""
    runs = sorted(scored, key=lambda run: (run.design, run.seed))
    numbers: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        numbers.setdefault(run.design, []).append(number)
    return runs, numbers


def _generator(purpose: str, study: MitigationStudy) -> np.random.Generator:
    """The same for every method: images are resampled, and groups permuted, alike."""
    return numpy_generator(RESAMPLING_SEED, purpose, study.protocol.main_arm)


def _undefined_cells(predictions: pd.DataFrame) -> dict[str, int]:
    """By "<difference>/<attribute>", how many rates the largest difference over the classes leaves out: these rest on
    labels and groups, which all runs share."""
    table = gaps(rates_by_group(predictions))
    largest = table[table["class"].eq(MAX_OVER_CLASSES)]
    return dict(zip(largest["metric"] + "/" + largest["attribute"], largest["undefined_cells"], strict=True))


# What stands beside the tests.


def _cells(compared: Study, results: Mapping[str, Sequence[RunResults]]) -> pd.DataFrame:
    rows = []
    for (design, method), cell in compared.cells.items():
        means = dict(zip(compared.names, cell.quantities.observed.mean(axis=0), strict=True))
        floors = dict(zip(compared.names, cell.quantities.floors, strict=True))
        named_gaps = [name for name in compared.names if "/" in name]
        of_groups = [number for number, (name, _) in enumerate(compared.groups) if name == compared.mitigate]
        images = [_training_images(run) for run in results[method] if run.design == design]
        rows.append(
            {
                "design": design,
                "method": method,
                "seeds": len(cell.seeds),
                **{score: means[score] for score in compared.names if score not in named_gaps},
                "worst_group_accuracy": cell.accuracies.observed[:, of_groups].min(axis=1).mean(),
                **{name: means[name] for name in named_gaps},
                **{f"floor/{name}": floors[name] for name in named_gaps},
                **{f"corrected/{name}": means[name] - floors[name] for name in named_gaps},
                "degenerate": cell.quantities.degenerate,
                "training_images": float(np.mean(images)),
            }
        )
    return pd.DataFrame(rows)


def _training_images(run: RunResults) -> int:
    return int(run.composition.loc[run.composition["partition"].eq("train"), "count"].sum())


def _selections(
    results: Mapping[str, Sequence[RunResults]], study: MitigationStudy, selections: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The verdict of every cell under every rule by which trainings can be selected, the runs without a method by the
    same one. Every rule is a family of its own."""
    corrected = [f"corrected/{name}" for name in targets(study.mitigate)]
    rules = list(dict.fromkeys(rule for table in selections.values() for rule in table["selection"].unique()))
    tables = []
    for rule in rules:
        scored = {
            method: [
                Scored(run.design, run.seed, _predicted(run.test, selections[run.run.run_id], rule))
                for run in runs
                if run.run.run_id in selections and selections[run.run.run_id]["selection"].eq(rule).any()
            ]
            for method, runs in results.items()
        }
        if not scored.get(NONE):
            continue
        compared = _compared(scored, study)
        found = mitigation_verdicts(*effects(compared, study.protocol.delta), study.mitigate, study.protocol.delta)
        cells = _cells(compared, results)[["design", "method", SCORE, *corrected]]
        table = cells.merge(found[["design", "method", "verdict"]], on=["design", "method"], how="left")
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
