"""Cells of which it is known what they differ by."""

import numpy as np

from fairprof.inference.cells import Cell
from fairprof.inference.differences import DesignRuns


def runs(observed: np.ndarray, floors: tuple[float, ...] | None = None, degenerate: bool = False) -> DesignRuns:
    """Runs whose images do not vary."""
    number = observed.shape[1]
    values = np.broadcast_to(observed, (20, *observed.shape))
    return DesignRuns(observed, values, np.array(floors or (0.0,) * number), np.zeros(number, dtype=int), degenerate)


def cell(quantities, accuracies=(0.5, 0.5), floors=None, noise: int | None = None, seeds=range(6), degenerate=False):
    """A cell with these means; noise: the seed of what its runs vary by."""
    generator = np.random.default_rng(noise)
    scale = 0.0 if noise is None else 0.01
    of_seeds = [
        np.asarray(means) + scale * generator.normal(size=(len(seeds), len(means)))
        for means in (quantities, accuracies)
    ]
    return Cell(tuple(seeds), runs(of_seeds[0], floors, degenerate), runs(of_seeds[1], degenerate=degenerate))
