"""Images that are the same picture: identical files, and near-duplicates by perceptual hash."""

from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAR_DISTANCE = 16  # of 256 bits: re-encoded and rescaled copies stay below, other faces far above


def near_duplicate_groups(hashes: np.ndarray, distance: int = NEAR_DISTANCE) -> np.ndarray:
    """A group number per image, (N,) int: images are joined when their hashes differ in at most `distance` bits.

    hashes: (N, B) uint8, packed bits. Exact: by the pigeonhole principle, two hashes that differ in at most d
    bits agree in at least one of d + 1 disjoint bands, so only images that share a band are compared.
    """
    distinct, copies = np.unique(hashes, axis=0, return_inverse=True)
    return _joined(distinct, distance)[copies.ravel()]


def _joined(hashes: np.ndarray, distance: int) -> np.ndarray:
    bits = np.unpackbits(hashes, axis=1)
    pairs = {
        pair for band in np.array_split(bits, distance + 1, axis=1) for pair in _sharing(np.packbits(band, axis=1))
    }
    if not pairs:
        return np.arange(len(hashes))
    first, second = np.array(sorted(pairs)).T
    near = np.bitwise_count(hashes[first] ^ hashes[second]).sum(axis=1) <= distance
    links = coo_array((np.ones(near.sum()), (first[near], second[near])), shape=(len(hashes),) * 2)
    return connected_components(links, directed=False)[1]


def _sharing(keys: np.ndarray):
    """Every pair of rows with equal keys."""
    _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    for members in np.split(order, np.cumsum(counts)[:-1]):
        yield from combinations(members.tolist(), 2)
