"""Cells, a design with a method or a backbone each, and signed sums of them at the seeds that they have in common.

All differences are between runs of the same seeds on the same images; those of gaps are of gaps less their floors.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.inference.differences import DesignRuns, contrasted, judged_differences, named, placed
from fairprof.inference.over_runs import Replicates
from fairprof.inference.over_seeds_and_images import EstimatesInParts, estimates_in_parts
from fairprof.inference.verdicts import CONFIRMATORY_GAPS

SCORE = "macro_f1"
CONFIRMATORY_EFFECTS = (SCORE, *(f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS))
OF_GROUPS = "accuracy"  # what is compared of single groups
COMPARED_COLUMNS = (
    *("metric", "attribute", "class", "seeds", "value", "lower", "upper", "uncorrected", "standard_error"),
    *("degrees_of_freedom", "seed_sd", "image_se", "p_value", "undefined_cells", "family", "p_adjusted", "verdict"),
    "scope",
)


class Cell(NamedTuple):
    """The S runs of a design with a method, or a backbone.

    seeds: (S,), in order. quantities: of the runs, in the M quantities of a study. accuracies: of the runs, in each of
    its G groups; without floors.
    """

    seeds: tuple[int, ...]
    quantities: DesignRuns
    accuracies: DesignRuns

    def corrected(self) -> np.ndarray:
        """(M,): means over the seeds, of gaps less their floors."""
        return self.quantities.observed.mean(axis=0) - self.quantities.floors


def groups_of(replicates: Replicates) -> list[tuple[str, str]]:
    """Attribute and name of every group whose accuracy is among the replicates; it may have a slash in its name."""
    of_groups = [name.removeprefix(f"{OF_GROUPS}/") for name in replicates.names if name.startswith(f"{OF_GROUPS}/")]
    parts = [name.partition("/") for name in of_groups]
    return [(attribute, group) for attribute, _, group in parts]


def cell_of(
    replicates: Replicates,
    runs: Sequence[int],
    seeds: Sequence[int],
    names: Sequence[str],
    floors: Mapping[str, float],
    undefined_cells: Mapping[str, int],
    degenerate: bool,
) -> Cell:
    """The cell of these runs, by their numbers among the replicates and in the order of their seeds.

    names: of the study's quantities. floors, undefined_cells: of gaps, by name; what has none has 0. degenerate:
    whether one of the runs predicts one class only.
    """
    of_groups = [f"{OF_GROUPS}/{attribute}/{group}" for attribute, group in groups_of(replicates)]
    quantities, accuracies = (
        DesignRuns(
            replicates.observed[runs][:, places],
            replicates.values[:, runs][..., places],
            np.nan_to_num([floors.get(name, 0.0) for name in asked]),
            np.array([undefined_cells.get(name, 0) for name in asked]),
            degenerate,
        )
        for asked in (names, of_groups)
        for places in [[replicates.names.index(name) for name in asked]]
    )
    return Cell(tuple(seeds), quantities, accuracies)


def at_common_seeds(signed: Sequence[tuple[int, Cell]]) -> list[tuple[int, Cell]]:
    """The cells' runs at the seeds that all of them have; none where there is no such seed."""
    seeds = sorted(set.intersection(*(set(cell.seeds) for _, cell in signed)))
    return [(sign, _at_seeds(cell, seeds)) for sign, cell in signed] if seeds else []


def _at_seeds(cell: Cell, seeds: Sequence[int]) -> Cell:
    places = [cell.seeds.index(seed) for seed in seeds]
    if len(places) == len(cell.seeds):
        return cell
    quantities, accuracies = (
        runs._replace(observed=runs.observed[places], values=runs.values[:, places])
        for runs in (cell.quantities, cell.accuracies)
    )
    return Cell(tuple(seeds), quantities, accuracies)


def signed_sum(
    names: Sequence[str], signed: Sequence[tuple[int, Cell]], asked: Sequence[str], **keys: str
) -> Iterator[pd.DataFrame]:
    """A signed sum of cells at their common seeds, a row for each quantity that is asked, all of one family, with
    constant columns of `keys` before; none where the cells have no seed in common.

    names: of the cells' quantities.
    """
    compared = at_common_seeds(signed)
    if not compared:
        return
    columns = [list(names).index(name) for name in asked]
    parts = [(sign, in_columns(cell.quantities, columns)) for sign, cell in compared]
    yield placed(pd.concat([named(asked), contrasted_in_parts(asked, parts, asked)], axis=1), **keys)


def in_columns(runs: DesignRuns, columns: list[int]) -> DesignRuns:
    """The runs in some of their quantities."""
    return runs._replace(
        observed=runs.observed[:, columns],
        values=runs.values[..., columns],
        floors=runs.floors[columns],
        undefined_cells=runs.undefined_cells[columns],
    )


def contrasted_in_parts(
    names: Sequence[str], parts: Sequence[tuple[int, DesignRuns]], confirmatory: Collection[str]
) -> pd.DataFrame:
    """As `contrasted`, tested by `estimates_in_parts`: families of hundreds of tests need levels of .0001."""
    table, observed, values = contrasted(names, parts, confirmatory)
    found = estimates_in_parts(observed, values)
    return table.drop(columns="p_value").assign(
        of_seeds=found.of_seeds, of_images=found.of_images, replicates=len(values)
    )


def judged_in_parts(table: pd.DataFrame, delta: float, farthest: float = 1) -> pd.DataFrame:
    """Rows of `contrasted_in_parts` by `judged_differences`, for new seeds and new images alone: signs of seeds are not
    flipped, since a claim about one test set says nothing of a method or a backbone."""
    found = EstimatesInParts(*(table[name].to_numpy(float) for name in EstimatesInParts._fields))
    table = table.assign(p_value=found.p_value, p_sign_flip=np.nan, p_sign_flip_adjusted=np.nan)
    return judged_differences(table, delta, farthest=farthest, found=found)


def judged_family(
    tables: Collection[pd.DataFrame], columns: Iterable[str], delta: float, farthest: float = 1
) -> pd.DataFrame:
    """The rows of all tables, judged as one family, in these columns; none of no tables."""
    columns = list(columns)
    if not tables:
        return pd.DataFrame(columns=columns)
    return judged_in_parts(pd.concat(tables, ignore_index=True), delta, farthest)[columns]
