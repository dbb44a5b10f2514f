"""Data set designs A-D and the draw of training and validation rows from the pool."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.config import Settings
from fairprof.data.pool import Pool, fingerprint
from fairprof.errors import UserError
from fairprof.seeds import numpy_generator

AXES = ("gender", "race", "profession")


@dataclass(frozen=True)
class Design:
    """Which axes are balanced: every cell of them gets the same number of rows; the others stay natural."""

    name: str
    balanced: tuple[str, ...]

    @property
    def natural(self) -> str | None:
        """The axis that is left natural, None where all are balanced."""
        return next((axis for axis in AXES if axis not in self.balanced), None)

    def imbalance(self, asked: str | float) -> str | float:
        """The setting `imbalance` for this design in a study of several: natural where no axis is left to shape."""
        return asked if self.natural else "natural"


DESIGNS = {
    design.name: design
    for design in (
        Design("A", ("gender", "race", "profession")),
        Design("B", ("gender", "profession")),
        Design("C", ("race", "profession")),
        Design("D", ("gender", "race")),
    )
}


@dataclass(frozen=True)
class Draw:
    """Row numbers of the pool's table that a design takes for a seed, ascending; (N,) int each."""

    design: Design
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    fingerprint: str
    test_fingerprint: str

    def rows(self, partition: str) -> np.ndarray:
        return getattr(self, partition)


def draw(pool: Pool, design: Design, settings: Settings) -> Draw:
    """The training, validation and test rows of a design.

    From every cell of the balanced axes the same number of rows is taken at random without replacement: the
    smallest cell's. `train_size` is `natural` (that), `matched` (each design as large as the smallest one) or a
    number of training images, rounded down to equal cells. `imbalance=r` gives the natural axis geometric shares
    with ratio r between its largest and smallest group. `fraction` keeps a share of the training rows; smaller
    fractions are subsets of larger ones. The test rows are the pool's, whatever the settings; a sealed pool has none.

    Raises `UserError` where a cell is empty or too small; it names the cell and its count.
    """
    train = _balanced_rows(pool, "train", design, settings, settings.train_size, settings.fraction)
    val_size = "matched" if settings.train_size == "matched" else "natural"
    val = _balanced_rows(pool, "val", design, settings, val_size, 1.0)
    test = pool.rows_of("test")
    if not len(test) and not pool.sealed:
        raise UserError(f"{settings.data}: the test partition is empty: the data set is too small")
    drawn = pool.table.iloc[np.concatenate((train, val))].assign(partition=["train"] * len(train) + ["val"] * len(val))
    return Draw(design, train, val, test, fingerprint(drawn), fingerprint(pool.table.iloc[test]))


def _balanced_rows(
    pool: Pool, partition: str, design: Design, settings: Settings, size: str | int, fraction: float
) -> np.ndarray:
    rows = pool.rows_of(partition)
    labels = pool.table.iloc[rows]
    quotas = _quotas(labels, design, settings.imbalance, partition)
    if size == "matched":
        smallest = min(
            _quotas(labels, other, settings.imbalance if other.natural else "natural", partition).sum()
            for other in DESIGNS.values()
        )
        quotas = scaled(quotas, smallest)
    elif isinstance(size, int):
        if size > quotas.sum():
            raise UserError(
                f"train_size={size}: design {design.name} can take at most {quotas.sum()} training images "
                f"({_smallest_cell(labels, quotas.index.names)})"
            )
        quotas = scaled(quotas, size)
    quotas = scaled(quotas, fraction * quotas.sum())
    if quotas.min() < 1:
        raise UserError(
            f"design {design.name}: no image would be left in some cells of the {partition} partition "
            f"({_smallest_cell(labels, quotas.index.names)}): raise train_size or fraction, lower imbalance, "
            "or add images"
        )
    # the random order is the same for all designs and sizes of a seed, so that draws are nested and paired
    order = numpy_generator(settings.seed, "draw", partition).permutation(len(labels))
    cells = labels[list(quotas.index.names)].iloc[order]
    place = cells.groupby(list(quotas.index.names), observed=True).cumcount().to_numpy()
    quota = quotas.reindex(pd.MultiIndex.from_frame(cells)).to_numpy()
    return np.sort(rows[order[place < quota]])


def _quotas(labels: pd.DataFrame, design: Design, imbalance: str | float, partition: str) -> pd.Series:
    """How many rows to take from every cell, indexed by the axes that form the cells.

    Without `imbalance` the cells are those of the balanced axes; with it, those of all three.
    """
    cells = design_cells(labels, design)
    if cells["count"].min() == 0:
        raise UserError(
            f"design {design.name}: empty cell in the {partition} partition: "
            f"{_smallest_cell(labels, design.balanced)}: add such images, or choose a design that does not "
            f"balance {' x '.join(design.balanced)}"
        )
    if imbalance != "natural":
        if design.natural is None:
            raise UserError(f"imbalance={imbalance:g}: design {design.name} leaves no axis natural: use B, C or D")
        cells = design_cells(labels, design, imbalance)
        if cells["count"].min() == 0:
            raise UserError(
                f"imbalance={imbalance:g}: design {design.name}: empty cell in the {partition} partition: "
                f"{_smallest_cell(labels, cells.index.names)}: add such images, or use imbalance=natural"
            )
    return quotas_of(cells, (cells["count"] / cells["share"]).min())


def design_cells(labels: pd.DataFrame, design: Design, imbalance: str | float = "natural") -> pd.DataFrame:
    """The cells that a design fills, one row each, indexed by their axes: count (rows there are, maybe none) and share
    (of the largest quota that the cell gets).

    Without `imbalance` the cells are those of the balanced axes, and all shares are 1. With it they are those of all
    axes, with geometric shares on the natural one, from its most frequent group down to 1/imbalance of it.
    """
    if imbalance == "natural":
        return labels.groupby(list(design.balanced), observed=False).size().to_frame("count").assign(share=1.0)
    groups = labels[design.natural].value_counts().index  # most frequent first
    steps = np.arange(len(groups)) / max(len(groups) - 1, 1)
    shares = pd.Series(float(imbalance) ** -steps, index=groups.astype(str))
    cells = labels.groupby([*design.balanced, design.natural], observed=False).size().to_frame("count")
    return cells.assign(share=shares[cells.index.get_level_values(design.natural).astype(str)].to_numpy())


def quotas_of(cells: pd.DataFrame, largest: float) -> pd.Series:
    """Rows that every one of `design_cells` gives where the largest quota is `largest`, rounded down."""
    return np.floor(cells["share"] * largest + 1e-9).astype(int)


def scaled(quotas: pd.Series, size: float) -> pd.Series:
    """Quotas scaled down to at most `size` rows in all, equal ones staying equal."""
    scale = min(1.0, size / max(quotas.sum(), 1))
    return np.floor(quotas * scale + 1e-9).astype(int)


def _smallest_cell(labels: pd.DataFrame, axes: Sequence[str]) -> str:
    counts = labels.groupby(list(axes), observed=False).size()
    return f"the smallest cell, {' x '.join(map(str, counts.idxmin()))}, has {counts.min()}"


def composition(pool: Pool, drawn: Draw) -> pd.DataFrame:
    """Counts by partition x profession x race x gender, one row each; empty cells are rows with count 0."""
    table = pd.concat([pool.table.iloc[drawn.rows(name)].assign(partition=name) for name in ("train", "val", "test")])
    table["partition"] = pd.Categorical(table["partition"], ["train", "val", "test"])
    return table.groupby(["partition", "profession", "race", "gender"], observed=False).size().reset_index(name="count")
