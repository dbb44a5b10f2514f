"""The memory that resampling takes, reckoned beforehand and measured."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from fairprof.inference import bands, over_runs, permutation
from fairprof.inference.memory import resampling_bytes

COUNTS = 2 * 7 * 4 * 4  # gender x race, true and predicted of four classes


def predictions(seed: int) -> pd.DataFrame:
    """600 test images in 14 groups with four classes; seed: of what is predicted for them."""
    images, said = np.random.default_rng(0), np.random.default_rng(seed)
    labels = list("abcd")
    table = pd.DataFrame(
        {
            "image": [f"{number:03d}" for number in range(600)],
            "gender": pd.Categorical(images.choice(list("mf"), 600)),
            "race": pd.Categorical(images.choice(list("stuvwxy"), 600)),
            "age": pd.Categorical(images.choice(["0-19", "20-99"], 600)),
            "y_true": pd.Categorical(images.choice(labels, 600), labels),
            "y_pred": pd.Categorical(said.choice(labels, 600), labels),
        }
    )
    return table.assign(**{f"probability_{label}": table["y_pred"].eq(label).astype(float) for label in labels})


def growth(work, fewer: int, more: int) -> float:
    """By how many bytes the peak of `work` rises from `fewer` replicates to `more`."""
    peaks = []
    for number in (fewer, more):
        tracemalloc.start()
        work(number)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peaks[1] - peaks[0]


def test_it_is_that_of_the_largest_step():
    assert resampling_bytes(100, permutations=999, replicates=1000) == 8 * 100 * 12 * 1000
    assert resampling_bytes(100, permutations=9999, replicates=1000) == 8 * 100 * 12 * 9999
    assert resampling_bytes(100, permutations=999, replicates=1000, designs=4, seeds=6) == 8 * 100 * 6 * 24 * 1000
    assert resampling_bytes(100, permutations=999, replicates=1000, designs=1, seeds=6) == 8 * 100 * 12 * 6 * 1000


@pytest.mark.parametrize("attribute", ["permutations", "replicates"])
def test_what_one_run_takes_is_reckoned(attribute):
    table, generator = predictions(0), np.random.default_rng(1)
    work = {
        "permutations": lambda number: permutation.gap_tests(table, number, generator),
        "replicates": lambda number: bands.contrasts(table, number, generator),
    }[attribute]
    reckoned = resampling_bytes(COUNTS, **{"permutations": 0, "replicates": 0, attribute: 4000})
    assert 0.5 < growth(work, 1000, 5000) / reckoned < 1.1


@pytest.mark.parametrize("designs", [1, 4])
def test_what_a_comparison_of_runs_takes_is_reckoned(designs):
    tables, generator = [predictions(seed) for seed in range(2)], np.random.default_rng(1)
    work = {
        1: lambda number: over_runs.gap_upper_bounds_over_runs(tables, number, generator),
        4: lambda number: over_runs.image_replicates(tables * 4, number, generator),
    }[designs]
    reckoned = resampling_bytes(COUNTS, permutations=0, replicates=1000, designs=designs, seeds=2)
    assert 0.5 < growth(work, 500, 1500) / reckoned < 1.1
