"""What methods know of the images that are trained on: their classes and groups."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fairprof.data.pool import Pool
from fairprof.metrics.fairness import group_labels


@dataclass(frozen=True)
class GroupedRows:
    """Rows of a pool's table, (N,) int, with their classes and groups, (N,) int64 codes.

    group_names: the groups that occur, in the order of their codes. class_count: K, whether all occur or not. wrong:
    which of them a first training got wrong, (N,) bool, where there was one.
    """

    rows: np.ndarray
    classes: np.ndarray
    groups: np.ndarray
    class_count: int
    group_names: tuple[str, ...]
    wrong: np.ndarray | None = None

    @classmethod
    def of(cls, pool: Pool, rows: np.ndarray, attribute: str, wrong: np.ndarray | None = None) -> Self:
        """attribute: gender, race or gender_x_race, whose groups are meant."""
        labels = group_labels(pool.table[["gender", "race"]].iloc[rows], attribute)
        return cls(
            rows,
            pool.table["profession"].cat.codes.to_numpy(np.int64)[rows],
            labels.cat.codes.to_numpy(np.int64),
            len(pool.professions),
            tuple(map(str, labels.cat.categories)),
            wrong,
        )

    @property
    def cells(self) -> np.ndarray:
        """The group and class of every row as one number: group * K + class, (N,) int64."""
        return self.groups * self.class_count + self.classes

    @property
    def counts(self) -> np.ndarray:
        """Rows of every group and class, (G, K) int64."""
        shape = (len(self.group_names), self.class_count)
        return np.bincount(self.cells, minlength=shape[0] * shape[1]).reshape(shape)
