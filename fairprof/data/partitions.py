"""Which rows are for training, validation and test: the data set's own partition, or a split by a hash of names."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fairprof.errors import UserError
from fairprof.seeds import uniforms

TEST_SHARE = 0.20
VALIDATION_SHARE = 0.15  # of all images where the pool is split here
VALIDATION_SHARE_OF_TRAINING = 0.10  # where the data set has a test partition of its own
PARTITION_SEED = 0  # partitions belong to the pool: no setting changes them

PARTITIONS = ("train", "val", "test")
CELL = ("gender", "race", "profession")
MOST_MOVES = 5  # of groups, to bring a partition into a cell
MOST_TRIES = 20_000  # of moves, for one cell and partition: persons under many labels could be tried for ever

Need = tuple[int, int]  # a cell's number, and that of a partition, in PARTITIONS, which it should have


def partitions(table: pd.DataFrame, given: pd.Series, groups: pd.Series) -> pd.Series:
    """train, val or test for every row: the data set's own where it has them, the rest split off by `_split`."""
    if given.isna().all():
        return _split(table, groups, {"test": TEST_SHARE, "val": VALIDATION_SHARE})
    if not given.eq("test").any():
        raise UserError("the column partition names no test row: add some, or leave the column out")
    if given.eq("val").any():
        return given
    training = given.eq("train")
    split = _split(table[training], groups[training], {"val": VALIDATION_SHARE_OF_TRAINING})
    return given.where(~training, split)


def _split(table: pd.DataFrame, groups: pd.Series, shares: dict[str, float]) -> pd.Series:
    """Splits shares off the rows, stratified by gender x race x profession, whole groups together.

    Every stratum gives its share of groups, taken in the order of a hash of the group's name: the split depends
    on nothing but the pool. Then as few groups as possible are moved, so that a cell of one group trains, one of two
    is validated as well, and one of three or more has some in every partition.
    """
    group_numbers, order = _numbered(groups)
    cells = table.groupby(list(CELL), observed=True).ngroup().to_numpy()
    leaders = np.flatnonzero(np.diff(np.maximum.accumulate(group_numbers), prepend=-1))
    quantile = _quantiles(cells[leaders], order)
    partition = np.full(len(leaders), PARTITIONS.index("train"), dtype=np.int8)
    start = 0.0
    for name, share in shares.items():
        partition[(quantile >= start) & (quantile < start + share)] = PARTITIONS.index(name)
        start += share
    wanted = [number for number, name in enumerate(PARTITIONS) if name in ("train", *shares)]
    _Cells(cells, group_numbers, order, partition, wanted).fill()
    named = pd.Categorical.from_codes(partition[group_numbers], PARTITIONS)
    return pd.Series(named, index=groups.index).astype(str)


def _numbered(groups: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The number of every row's group, (N,) int, as they appear, and a hash of every group's name, (G,) float."""
    numbers, names = pd.factorize(groups)
    return numbers, uniforms(names, PARTITION_SEED, "partition")


def _quantiles(strata: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Where each value of `order` lies among those of its stratum, (N,) float in (0, 1); strata: (N,) int from 0."""
    sizes = np.bincount(strata)
    starts = np.cumsum(sizes) - sizes
    quantiles = np.empty(len(order))
    by_stratum = np.lexsort((order, strata))
    ordered = strata[by_stratum]
    quantiles[by_stratum] = (np.arange(len(order)) - starts[ordered] + 0.5) / sizes[ordered]
    return quantiles


def _by_name(need: Need) -> tuple[int, str]:
    return need[0], PARTITIONS[need[1]]


class _Cells:
    """Which groups have images in which cells, and in which partition each group is; `fill` moves groups.

    A group may lie in several cells: one person whose images are labelled differently.
    """

    def __init__(
        self, cells: np.ndarray, groups: np.ndarray, order: np.ndarray, partition: np.ndarray, wanted: list[int]
    ):
        """cells, groups: (N,) int, those of every row. order: (G,) float, by which groups are moved. partition: (G,)
        int, changed in place. wanted: the partitions that a cell should have, the most important first: as many of
        them as it has groups."""
        count = int(cells.max(initial=-1)) + 1
        pairs = np.sort(groups * count + cells)  # of a group and a cell, by group
        self.groups, self.cells = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], count)
        places = self.cells * len(PARTITIONS) + partition[self.groups]
        # of a cell's groups, how many are in each partition
        self.counts = np.bincount(places, minlength=count * len(PARTITIONS)).reshape(count, len(PARTITIONS))
        self.sizes = self.counts.sum(axis=1).tolist()
        self.order = order
        self._members: dict[int, list[int]] = {}
        self.partition = partition
        self.wanted = wanted
        self.tries = 0  # that are left

    def members(self, cell: int) -> list[int]:
        """The groups of a cell, in the order in which they are moved: found when they are asked for, of few cells."""
        if cell not in self._members:
            members = self.groups[self.cells == cell]
            self._members[cell] = members[np.argsort(self.order[members], kind="stable")].tolist()
        return self._members[cell]

    def cells_of(self, group: int) -> list[int]:
        start, end = np.searchsorted(self.groups, (group, group + 1))
        return self.cells[start:end].tolist()

    def put(self, group: int, partition: int) -> None:
        for cell in self.cells_of(group):
            self.counts[cell, self.partition[group]] -= 1
            self.counts[cell, partition] += 1
        self.partition[group] = partition

    def fill(self) -> None:
        """Moves groups until every cell has what it should, as far as no other cell loses its last for it."""
        unmet = [need for cell in range(len(self.sizes)) for need in self.unmet_in(cell)]
        while True:
            for need in unmet:
                if need in self.unmet_in(need[0]):  # a move for another cell may have met it
                    self.meet(need)
            before, unmet = unmet, [need for need in unmet if need in self.unmet_in(need[0])]
            if len(unmet) == len(before) or not unmet:
                return

    def unmet_in(self, cell: int) -> list[Need]:
        """The partitions that a cell should have and has not."""
        return [(cell, number) for number in self.wanted[: self.sizes[cell]] if not self.counts[cell, number]]

    def meet(self, need: Need) -> None:
        """Moves as few groups as possible so that a need is met, and every need that is met now still is."""
        self.tries = MOST_TRIES
        for moves in range(1, MOST_MOVES + 1):
            found = max(self.ways([need], moves, frozenset()), key=self.gain_of, default=None)
            if found is not None:
                self.move(found)
                return

    def ways(self, needs: list[Need], moves: int, moved: frozenset[int]) -> Iterator[dict[int, int]]:
        """Every way to meet needs with so many moves, of groups in the order of their hash, none twice.

        A move that takes a cell's last makes a need of it, which the moves after it have to meet.
        """
        (cell, wanted), rest = needs[0], needs[1:]
        for group in self.members(cell):
            if group in moved or not self.tries:
                continue
            self.tries -= 1
            before = self.partition[group]
            known = {unmet for place in self.cells_of(group) for unmet in self.unmet_in(place)}
            self.put(group, wanted)
            unmet = {unmet for place in self.cells_of(group) for unmet in self.unmet_in(place)}
            left = [other for other in rest if other not in known - unmet] + sorted(unmet - known, key=_by_name)
            if not left:
                yield {group: wanted}
            elif moves > 1:
                for others in self.ways(left, moves - 1, moved | {group}):
                    yield {group: wanted} | others
            self.put(group, before)

    def gain_of(self, moves: dict[int, int]) -> int:
        """How many more needs are met after these moves."""
        cells = {cell for group in moves for cell in self.cells_of(group)}
        before = sum(len(self.unmet_in(cell)) for cell in cells)
        kept = {group: self.partition[group] for group in moves}
        self.move(moves)
        after = sum(len(self.unmet_in(cell)) for cell in cells)
        self.move(kept)
        return before - after

    def move(self, moves: dict[int, int]) -> None:
        for group, partition in moves.items():
            self.put(group, partition)
