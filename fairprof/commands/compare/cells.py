"""From predictions to cells: the runs of a design with a method or a backbone each, in the main arm.

Resampled images are the same for all cells, so that every difference is one on the same images. The runs of one method
or backbone are resampled at a time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.tables import COMPARED, RESAMPLING_SEED
from fairprof.inference.cells import Cell, cell_of, groups_of
from fairprof.inference.over_runs import image_replicates
from fairprof.inference.permutation import gap_floors
from fairprof.metrics.fairness import MAX_OVER_CLASSES, gaps, rates_by_group
from fairprof.metrics.performance import predicts_one_class
from fairprof.seeds import numpy_generator


class Scored(NamedTuple):
    """A run's test predictions, `in_categories`."""

    design: str
    seed: int
    test: pd.DataFrame


class Cells(NamedTuple):
    """by_place: by design and method, or backbone, in the quantities COMPARED. groups: attribute and name of each group
    whose accuracy a cell knows."""

    by_place: dict[tuple[str, str], Cell]
    groups: list[tuple[str, str]]


def scored(runs: Sequence[RunResults]) -> list[Scored]:
    return [Scored(run.design, run.seed, run.test) for run in runs]


def cells_of(runs_of: Mapping[str, Sequence[Scored]], protocol: Protocol) -> Cells:
    """The cells of the runs of each method, or backbone; in the order of designs, and within a design in that of the
    mapping."""
    undefined = _undefined_cells(next(iter(runs_of.values()))[0].test)
    found: dict[tuple[str, str], Cell] = {}
    groups: list[tuple[str, str]] = []
    for name, of_name in runs_of.items():
        runs, numbers = by_design(of_name)
        tables = [run.test for run in runs]
        replicates = image_replicates(tables, protocol.replicates, generator_for("test images", protocol))
        groups = groups_of(replicates)
        for design, chosen in numbers.items():
            of_design = [tables[number] for number in chosen]
            floors = gap_floors(of_design, protocol.permutations, generator_for("floors", protocol))
            seeds = tuple(runs[number].seed for number in chosen)
            degenerate = any(map(predicts_one_class, of_design))
            found[design, name] = cell_of(replicates, chosen, seeds, COMPARED, floors, undefined, degenerate)
    names = list(runs_of)
    in_order = sorted(found, key=lambda place: (place[0], names.index(place[1])))
    return Cells({place: found[place] for place in in_order}, groups)


def by_design(of_name: Sequence[Scored]) -> tuple[list[Scored], dict[str, list[int]]]:
    """The runs by design and seed, and the numbers of each design's among them."""
    runs = sorted(of_name, key=lambda run: (run.design, run.seed))
    numbers: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        numbers.setdefault(run.design, []).append(number)
    return runs, numbers


def generator_for(purpose: str, protocol: Protocol) -> np.random.Generator:
    """The same for every cell: images are resampled, and groups permuted, alike."""
    return numpy_generator(RESAMPLING_SEED, purpose, protocol.main_arm)


def _undefined_cells(predictions: pd.DataFrame) -> dict[str, int]:
    """By "<difference>/<attribute>", how many rates the largest difference over the classes leaves out: these rest on
    labels and groups, which all runs share."""
    table = gaps(rates_by_group(predictions))
    largest = table[table["class"].eq(MAX_OVER_CLASSES)]
    return dict(zip(largest["metric"] + "/" + largest["attribute"], largest["undefined_cells"], strict=True))


def table_of_cells(
    cells: Cells, results: Mapping[str, Sequence[RunResults]], column: str, attributes: Collection[str]
) -> pd.DataFrame:
    """A row for each cell: design, `column` (method or backbone), seeds, means over the seeds of scores and gaps,
    `floor/<gap>`, `corrected/<gap>` (less its floor), degenerate, training_images (mean).

    worst_group_accuracy: of the groups of these attributes the least accurate of every run, mean over the seeds.
    """
    rows = []
    named_gaps = [name for name in COMPARED if "/" in name]
    of_groups = [number for number, (attribute, _) in enumerate(cells.groups) if attribute in attributes]
    for (design, name), cell in cells.by_place.items():
        means = dict(zip(COMPARED, cell.quantities.observed.mean(axis=0), strict=True))
        floors = dict(zip(COMPARED, cell.quantities.floors, strict=True))
        images = [_training_images(run) for run in results[name] if run.design == design]
        rows.append(
            {
                "design": design,
                column: name,
                "seeds": len(cell.seeds),
                **{score: means[score] for score in COMPARED if score not in named_gaps},
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
