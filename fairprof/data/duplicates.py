"""Images that are the same picture: identical files, and near-duplicates by perceptual hash."""

from collections.abc import Iterable, Iterator
from itertools import combinations, islice

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAR_DISTANCE = 16  # of 256 bits: re-encoded and rescaled copies stay below, other faces far above
BATCH = 2**20  # pairs compared at a time: enough for NumPy, little for the memory

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]  # row numbers, first and second of every pair, in portions


def near_duplicate_groups(hashes: np.ndarray, distance: int = NEAR_DISTANCE) -> np.ndarray:
    """A group number per image, (N,) int: images are joined when their hashes differ in at most `distance` bits.

    hashes: (N, B) uint8, packed bits. Exact: by the pigeonhole principle, two hashes that differ in at most d bits
    agree in at least two of d + 2 disjoint bands, so only images that share two bands are compared. Sharing one of
    d + 1 bands would be exact, too, but faces have much in common: ten times as many pairs do.
    """
    if not len(hashes):
        return np.zeros(0, dtype=int)
    numbers = _numbered(hashes)
    _, representatives = np.unique(numbers, return_index=True)
    return _joined(hashes[representatives], distance)[numbers]


class _Groups:
    """Rows that were found to belong together. of: (N,) group number of every row. order: rows sorted by group."""

    def __init__(self, size: int):
        self.of = np.arange(size)
        self.order = np.arange(size)

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Joins the group of every `first` with that of its `second`."""
        links = coo_array((np.ones(len(first)), (self.of[first], self.of[second])), shape=(len(self.of),) * 2)
        self.of = connected_components(links, directed=False)[1][self.of]
        self.order = np.argsort(self.of, kind="stable")


def _joined(hashes: np.ndarray, distance: int) -> np.ndarray:
    words = _as_words(hashes)
    groups = _Groups(len(hashes))
    bands = _bands(hashes, distance + 2)
    for candidates in (_neighbours(bands, groups), _sharing_two(bands, groups)):
        for first, second in _batches(candidates):
            apart = groups.of[first] != groups.of[second]
            first, second = first[apart], second[apart]
            near = np.bitwise_count(words.take(first, axis=0) ^ words.take(second, axis=0)).sum(axis=1) <= distance
            if near.any():
                groups.join(first[near], second[near])
    return groups.of


def _bands(hashes: np.ndarray, count: int) -> list[np.ndarray]:
    """So many disjoint bands of the bits; rows that agree in a band have equal numbers there, (N,) unsigned."""
    bands = np.array_split(np.unpackbits(hashes, axis=1), count, axis=1)
    return [_numbered(np.packbits(band, axis=1)) for band in bands]


def _neighbours(bands: list[np.ndarray], groups: _Groups) -> Pairs:
    """Rows that follow each other in a band. They join what is one large cluster, before its pairs are counted."""
    for band in bands:
        yield from islice(_sharing(band, band, groups), 1)


def _sharing_two(bands: list[np.ndarray], groups: _Groups) -> Pairs:
    for band, other in combinations(bands, 2):
        yield from _sharing(band, other, groups)


def _sharing(band: np.ndarray, other: np.ndarray, groups: _Groups) -> Pairs:
    """Every pair of rows of two groups that agree in two bands, in portions no longer than the bands."""
    order = groups.order[np.lexsort((band[groups.order], other[groups.order]))]  # stable: groups stay sorted
    band, other, group = band[order], other[order], groups.of[order]
    differs = (band[1:] != band[:-1]) | (other[1:] != other[:-1])
    end = _ends_of_runs(differs)
    places, partners = np.arange(len(order)), _ends_of_runs(differs | (group[1:] != group[:-1]))
    while True:
        sharing = partners < end[places]
        places, partners = places[sharing], partners[sharing]
        if not len(places):
            return
        yield order[places], order[partners]
        partners = partners + 1


def _ends_of_runs(changes: np.ndarray) -> np.ndarray:
    """For each place, the one after the last of its run, (N,) int; changes: (N - 1,) bool, a run ends here."""
    ends = np.flatnonzero(np.append(changes, True)) + 1
    return np.repeat(ends, np.diff(ends, prepend=0))


def _batches(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Pairs:
    """The same pairs in portions of at least BATCH, the last one excepted."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    size = 0
    for portion in pairs:
        waiting.append(portion)
        size += len(portion[0])
        if size >= BATCH:
            yield _together(waiting)
            waiting, size = [], 0
    if waiting:
        yield _together(waiting)


def _together(portions: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    rows, partners = (np.concatenate(parts) for parts in zip(*portions, strict=True))
    return rows, partners


def _numbered(rows: np.ndarray) -> np.ndarray:
    """Numbers from 0, equal for equal rows, (N,) of the smallest unsigned type. rows: (N, B) uint8."""
    words = _as_words(rows)
    order = np.lexsort(words.T)
    ordered = words[order]
    changes = (ordered[1:] != ordered[:-1]).any(axis=1)
    numbers = np.concatenate(([0], np.cumsum(changes)))
    numbered = np.empty(len(rows), dtype=np.min_scalar_type(numbers[-1]))  # NumPy sorts two bytes six times as fast
    numbered[order] = numbers
    return numbered


def _as_words(rows: np.ndarray) -> np.ndarray:
    """Rows of bytes as rows of words, padded with zeros, (N, W) uint64."""
    padding = -rows.shape[1] % 8
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, padding)))).view(np.uint64)
