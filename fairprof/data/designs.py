"""Data set designs A-D and the draw of training and validation rows from the pool."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.config import Settings
from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.seeds import numpy_generator

AXES = ("gender", "race", "profession")
DRAWN = ("train", "val")  # partitions of which a design takes a part: the test images are the pool's


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


class Undrawable(UserError):
    """A design that cannot be drawn from a pool. fact: what is missing, without what could be done about it. cell: axis
    to group of the cell that is short."""

    def __init__(self, fact: str, remedy: str, cell: dict[str, str] | None = None):
        super().__init__(f"{fact}: {remedy}")
        self.fact = fact
        self.cell = cell or {}


@dataclass(frozen=True)
class Draw:
    """Row numbers of the pool's table that a design takes for a seed, ascending; (N,) int each.

    matched_to: the design whose size it was cut to, empty where sizes are not matched.
    """

    design: Design
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    fingerprint: str
    test_fingerprint: str
    matched_to: str = ""

    def rows(self, partition: str) -> np.ndarray:
        return getattr(self, partition)


def draw(pool: Pool, design: Design, settings: Settings) -> Draw:
    """The training, validation and test rows of a design.

    From every cell of the balanced axes the same number of rows is taken at random without replacement: the
    smallest cell's. `train_size` is `natural` (that), `matched` (each design as large as the smallest one that can be
    drawn) or a number of training images, rounded down to equal cells. `imbalance=r` gives the natural axis geometric
    shares with ratio r between its largest and smallest group. `fraction` keeps a share of the training rows; smaller
    fractions are subsets of larger ones. The test rows are the pool's, whatever the settings; a sealed pool has none.

    Raises `Undrawable` where a cell is empty or too small; it names the cell and its count.
    """
    quotas = quotas_drawn(pool, design, settings)
    train, val = (_rows_of(pool, partition, quotas[partition], settings.seed) for partition in DRAWN)
    test = pool.rows_of("test")
    return Draw(
        design,
        train,
        val,
        test,
        pool.fingerprint_of(np.concatenate((train, val))),
        pool.fingerprint_of(test),
        smallest_design(pool, settings.imbalance, "train") if settings.train_size == "matched" else "",
    )


def quotas_drawn(pool: Pool, design: Design, settings: Settings) -> dict[str, pd.Series]:
    """How many training and validation rows a design takes of every cell, by partition; nothing is drawn.

    Raises `Undrawable` where there are none of a cell, or there is no test row.
    """
    train = _quotas_of_size(pool, "train", design, settings, settings.train_size, settings.fraction)
    val_size = "matched" if settings.train_size == "matched" else "natural"
    val = _quotas_of_size(pool, "val", design, settings, val_size, 1.0)
    if not len(pool.rows_of("test")) and not pool.sealed:
        raise Undrawable(f"{settings.data}: the test partition is empty", "the data set is too small: add images")
    return {"train": train, "val": val}


def _quotas_of_size(
    pool: Pool, partition: str, design: Design, settings: Settings, size: str | int, fraction: float
) -> pd.Series:
    quotas = _quotas(pool, design, settings.imbalance, partition)
    if size == "matched":
        other = DESIGNS[smallest_design(pool, settings.imbalance, partition)]
        quotas = scaled(quotas, _quotas(pool, other, other.imbalance(settings.imbalance), partition).sum())
    elif isinstance(size, int):
        if size > quotas.sum():
            cell, short = _smallest_cell(pool, partition, quotas.index.names)
            raise Undrawable(
                f"train_size={size}: design {design.name} can take at most {quotas.sum()} training images ({short})",
                "lower train_size, or add images",
                cell,
            )
        quotas = scaled(quotas, size)
    quotas = scaled(quotas, fraction * quotas.sum())
    if quotas.min() < 1:
        cell, short = _smallest_cell(pool, partition, quotas.index.names)
        raise Undrawable(
            f"design {design.name}: no image would be left in some cells of the {partition} partition ({short})",
            "raise train_size or fraction, lower imbalance, or add images",
            cell,
        )
    return quotas


def smallest_design(pool: Pool, imbalance: str | float, partition: str) -> str:
    """The name of the design that has the fewest rows of a partition, of those that can be drawn, whose training and
    validation images are in all of their cells; imbalance: that of the designs that leave an axis natural."""
    sizes: dict[str, int] = {}
    for design in DESIGNS.values():
        try:
            quotas = {name: _quotas(pool, design, design.imbalance(imbalance), name) for name in DRAWN}
        except Undrawable:
            continue
        if all(found.min() > 0 for found in quotas.values()):
            sizes[design.name] = int(quotas[partition].sum())
    if not sizes:
        raise Undrawable("train_size=matched: no design can be drawn", "add images, or merge groups")
    return min(sizes, key=lambda name: sizes[name])


def _rows_of(pool: Pool, partition: str, quotas: pd.Series, seed: int) -> np.ndarray:
    """As many rows of every cell as its quota says, ascending."""
    rows = pool.rows_of(partition)
    labels = pool.table[list(quotas.index.names)].iloc[rows]
    # the random order is the same for all designs and sizes of a seed, so that draws are nested and paired
    order = numpy_generator(seed, "draw", partition).permutation(len(labels))
    axes = [labels[axis].cat for axis in quotas.index.names]
    shape = [len(axis.categories) for axis in axes]
    cells = np.ravel_multi_index([axis.codes.to_numpy() for axis in axes], shape)  # numbered as quotas are
    cells = cells.astype(np.min_scalar_type(len(quotas)))  # NumPy sorts two bytes many times as fast
    by_cell = order[np.argsort(cells[order], kind="stable")]
    sizes = np.bincount(cells, minlength=len(quotas))
    places = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = np.zeros(len(rows), dtype=bool)
    taken[by_cell[places < np.repeat(quotas.to_numpy(), sizes)]] = True
    return rows[taken]


def _quotas(pool: Pool, design: Design, imbalance: str | float, partition: str) -> pd.Series:
    """How many rows to take from every cell, indexed by the axes that form the cells.

    Without `imbalance` the cells are those of the balanced axes; with it, those of all three.
    """
    counts = pool.cell_counts[partition]
    cells = design_cells(counts, design)
    if cells["count"].min() == 0:
        cell, short = _smallest_cell(pool, partition, design.balanced)
        raise Undrawable(
            f"design {design.name}: empty cell in the {partition} partition: {short}",
            f"add such images, merge groups, or choose a design that does not balance {' x '.join(design.balanced)}",
            cell,
        )
    if imbalance != "natural":
        if design.natural is None:
            raise Undrawable(f"imbalance={imbalance:g}: design {design.name} leaves no axis natural", "use B, C or D")
        cells = design_cells(counts, design, imbalance)
        if cells["count"].min() == 0:
            cell, short = _smallest_cell(pool, partition, cells.index.names)
            raise Undrawable(
                f"imbalance={imbalance:g}: design {design.name}: empty cell in the {partition} partition: {short}",
                "add such images, merge groups, or use imbalance=natural",
                cell,
            )
    return quotas_of(cells, (cells["count"] / cells["share"]).min())


def design_cells(counts: pd.Series, design: Design, imbalance: str | float = "natural") -> pd.DataFrame:
    """The cells that a design fills, one row each, indexed by their axes: count (rows there are, maybe none) and share
    (of the largest quota that the cell gets).

    counts: rows of every gender x race x profession, of one partition. Without `imbalance` the cells are those of the
    balanced axes, and all shares are 1. With it they are those of all axes, with geometric shares on the natural one,
    from its most frequent group down to 1/imbalance of it.
    """
    if imbalance == "natural":
        return _summed(counts, design.balanced).to_frame("count").assign(share=1.0)
    natural = str(design.natural)
    of_groups = _summed(counts, (natural,))
    groups = of_groups.sort_values(ascending=False, kind="stable").index  # most frequent first
    steps = np.arange(len(groups)) / max(len(groups) - 1, 1)
    shares = pd.Series(float(imbalance) ** -steps, index=groups.get_level_values(0).astype(str))
    cells = _summed(counts, (*design.balanced, natural)).to_frame("count")
    return cells.assign(share=shares[cells.index.get_level_values(natural).astype(str)].to_numpy())


def _summed(counts: pd.Series, axes: Sequence[str]) -> pd.Series:
    """Counts of all cells of gender x race x profession, summed over all axes but these: `groupby` takes ten times as
    long, and a study's plan asks for hundreds."""
    levels = dict(zip(AXES, counts.index.levels, strict=True))
    grid = counts.to_numpy().reshape([len(level) for level in levels.values()])
    grid = grid.transpose([AXES.index(axis) for axis in (*axes, *(axis for axis in AXES if axis not in axes))])
    index = pd.MultiIndex.from_product([levels[axis] for axis in axes], names=list(axes))
    return pd.Series(grid.reshape(len(index), -1).sum(axis=1), index=index)


def quotas_of(cells: pd.DataFrame, largest: float) -> pd.Series:
    """Rows that every one of `design_cells` gives where the largest quota is `largest`, rounded down."""
    return np.floor(cells["share"] * largest + 1e-9).astype(int)


def scaled(quotas: pd.Series, size: float) -> pd.Series:
    """Quotas scaled down to at most `size` rows in all, equal ones staying equal."""
    scale = min(1.0, size / max(quotas.sum(), 1))
    return np.floor(quotas * scale + 1e-9).astype(int)


def _smallest_cell(pool: Pool, partition: str, axes: Sequence[str]) -> tuple[dict[str, str], str]:
    """The cell with the fewest rows of a partition, and it in words, with its counts there and in the whole pool."""
    counts = _summed(pool.cell_counts[partition], axes)
    in_all = _summed(pool.cell_counts.sum(axis=1), axes)
    smallest = counts.idxmin()
    cell = dict(zip(axes, map(str, smallest), strict=True))
    named = " x ".join(cell.values())
    return cell, f"the smallest cell, {named}, has {counts.min()} there and {in_all[smallest]} in all"


def composition(pool: Pool, drawn: Draw) -> pd.DataFrame:
    """Counts by partition x profession x race x gender, one row each; empty cells are rows with count 0."""
    table = pd.concat([pool.table.iloc[drawn.rows(name)].assign(partition=name) for name in ("train", "val", "test")])
    table["partition"] = pd.Categorical(table["partition"], ["train", "val", "test"])
    return table.groupby(["partition", "profession", "race", "gender"], observed=False).size().reset_index(name="count")
