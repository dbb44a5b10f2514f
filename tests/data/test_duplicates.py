"""Near-duplicate groups are exactly the connected components of "few bits differ"."""

import numpy as np
import pytest

from fairprof.data import duplicates
from fairprof.data.duplicates import near_duplicate_groups


def brute_force(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Group numbers by comparing every pair and handing the smaller number on until nothing changes."""
    bits = np.unpackbits(hashes, axis=1).astype(float)
    near = bits @ (1 - bits).T + (1 - bits) @ bits.T <= distance
    groups = np.arange(len(hashes))
    while True:
        smallest = np.where(near, groups[None], len(groups)).min(axis=1)
        if (smallest == groups).all():
            return groups
        groups = smallest


def same_partition(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first[:, None] == first[None], second[:, None] == second[None])


def flipped(hashed: np.ndarray, places) -> np.ndarray:
    bits = np.unpackbits(hashed)
    bits[places] ^= 1
    return np.packbits(bits)


@pytest.mark.parametrize(("width", "distance", "flips"), [(32, 16, 18), (32, 16, 40), (4, 3, 5), (2, 0, 3), (8, 7, 9)])
def test_groups_are_those_of_brute_force(width, distance, flips):
    for seed in range(5):
        generator = np.random.default_rng(seed)
        hashes = generator.integers(0, 256, (12, width), dtype=np.uint8)
        for _ in range(90):  # a family tree of ever more different copies
            parent = hashes[generator.integers(len(hashes))]
            places = generator.choice(8 * width, generator.integers(0, min(flips, 8 * width)), replace=False)
            hashes = np.vstack([hashes, flipped(parent, places)])
        groups = near_duplicate_groups(hashes, distance)
        assert same_partition(groups, brute_force(hashes, distance))
        order = generator.permutation(len(hashes))
        assert same_partition(near_duplicate_groups(hashes[order], distance), groups[order])


def test_the_distance_is_included_wherever_the_bits_lie():
    base = np.random.default_rng(0).integers(0, 256, 32, dtype=np.uint8)
    spread = np.arange(0, 256, 15)  # a bit in each of 17 bands, and the last
    assert len(spread) >= 17
    for count, joined in ((16, True), (17, False)):
        for places in (spread[:count], np.arange(count), np.arange(256 - count, 256)):
            groups = near_duplicate_groups(np.stack([base, flipped(base, places)]), 16)
            assert (groups[0] == groups[1]) == joined


def test_equal_hashes_share_a_group_and_one_image_is_a_group():
    hashes = np.zeros((3, 32), dtype=np.uint8)
    hashes[1] = 255
    assert same_partition(near_duplicate_groups(hashes), np.array([0, 1, 0]))
    assert near_duplicate_groups(hashes[:1]).shape == (1,)
    assert near_duplicate_groups(hashes[:0]).shape == (0,)


@pytest.mark.parametrize("batch", [1, 1000, duplicates.BATCH])
@pytest.mark.parametrize("shared", [0, 13, 26, 30])
def test_hashes_that_have_much_in_common_are_grouped_as_by_brute_force(monkeypatch, shared, batch):
    """Bands that are the same for many images, clusters that are near throughout, and chains of small steps."""
    monkeypatch.setattr(duplicates, "BATCH", batch)
    generator = np.random.default_rng(shared)
    hashes = generator.integers(0, 256, (700, 32), dtype=np.uint8)
    hashes[:500, :shared] = hashes[0, :shared]
    cluster = [flipped(hashes[0], generator.choice(256, 6)) for _ in range(150)]
    chain = [hashes[600]]
    for _ in range(50):
        chain.append(flipped(chain[-1], generator.choice(256, 16, replace=False)))
    hashes = generator.permutation(np.vstack([hashes, cluster, chain]))
    groups = near_duplicate_groups(hashes)
    assert same_partition(groups, brute_force(hashes, 16))
    assert len(np.unique(groups)) <= 700 < len(hashes)


@pytest.mark.slow
def test_two_hundred_thousand_hashes_are_grouped_in_seconds_exactly_as_they_were_made():
    generator = np.random.default_rng(7)
    originals = generator.integers(0, 256, (100_000, 32), dtype=np.uint8)
    families = np.concatenate([np.arange(100_000), generator.integers(0, 100_000, 100_000)])
    hashes = originals[families]
    for _ in range(8):  # two copies of one original differ in at most 16 bits
        copies = np.arange(100_000, 200_000)
        places = generator.integers(0, 256, 100_000)
        hashes[copies, places // 8] ^= (1 << (places % 8)).astype(np.uint8)
    groups = near_duplicate_groups(hashes)
    # random originals differ in 128 +- 8 bits: none of them are near each other
    assert len(np.unique(groups)) == 100_000
    assert len(set(zip(groups.tolist(), families.tolist(), strict=True))) == 100_000
