"""Who this process is among those that torchrun has started together; known before PyTorch is loaded."""

import os
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Rank:
    """This process's number among those that train together, and how many run on this machine.

    A single process has rank 0 of count 1. The process of rank 0 leads: it alone talks to MLflow.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @classmethod
    def of_environment(cls) -> Self:
        """What torchrun says in the environment; a single process where it did not start this one."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        return cls(*(int(os.environ[name]) for name in names)) if all(name in os.environ for name in names) else cls()

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Every `count`-th of the rows, beginning with this process's own."""
        return rows[self.rank :: self.count]
