"""Several runs evaluated on the same images: one record of them, and resamples that are the same for all."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from fairprof.metrics.fairness import group_labels
from fairprof.metrics.performance import checked_column, class_names, label_codes

CHUNK = 2**22  # numbers held at a time


class Runs(NamedTuple):
    """R runs on N images, in the order of the images' names.

    true: (N,) int. predicted: (R, N) int. cell: (N,) int in [0, cells), the image's combination of groups.
    groups: attribute to group names. members: attribute to (G, cells) float, 1 where the combination
    belongs to the group.
    """

    classes: list[str]
    true: np.ndarray
    predicted: np.ndarray
    cell: np.ndarray
    cells: int
    groups: dict[str, list[str]]
    members: dict[str, np.ndarray]

    def by_group(self, counts: np.ndarray, attribute: str) -> np.ndarray:
        """(..., G, K, K): counts (..., cells, K, K) summed over the combinations of each group."""
        table = counts.reshape(*counts.shape[:-2], -1)
        return (self.members[attribute] @ table).reshape(*counts.shape[:-3], -1, *counts.shape[-2:])


def runs_on_the_same_images(tables: Sequence[pd.DataFrame], attributes: Iterable[str]) -> Runs:
    if len(tables) == 0:
        raise ValueError("no predictions tables; give one for each run")
    tables = [_by_image(table) for table in tables]
    first, attributes = tables[0], list(attributes)
    for number, table in enumerate(tables[1:], start=2):
        _check_same(first, table, number, attributes)
    labels = [group_labels(first, attribute) for attribute in attributes]
    combinations, cell = np.unique([label.cat.codes for label in labels], axis=1, return_inverse=True)
    names = [list(label.cat.categories) for label in labels]
    members = [
        (np.arange(len(groups))[:, None] == of_cell).astype(float)
        for groups, of_cell in zip(names, combinations, strict=True)
    ]
    return Runs(
        class_names(first),
        label_codes(first, "y_true"),
        np.stack([label_codes(table, "y_pred") for table in tables]),
        cell,
        combinations.shape[1],
        dict(zip(attributes, names, strict=True)),
        dict(zip(attributes, members, strict=True)),
    )


def _by_image(table: pd.DataFrame) -> pd.DataFrame:
    images = checked_column(table, "image")
    repeated = images.duplicated()
    if repeated.any():
        raise ValueError(f"image {images[repeated].iloc[0]!r} occurs twice in predictions; keep one row for each image")
    return table.sort_values("image", ignore_index=True)


def _check_same(first: pd.DataFrame, other: pd.DataFrame, number: int, attributes: list[str]) -> None:
    if class_names(first) != class_names(other):
        raise ValueError(
            f"predictions 1 have classes {class_names(first)}, predictions {number} {class_names(other)};"
            " compare runs with the same classes"
        )
    only_one = np.setxor1d(first["image"].to_numpy(object), other["image"].to_numpy(object))
    if len(only_one):
        raise ValueError(
            f"image {only_one[0]!r} is in only one of predictions 1 and {number}; evaluate both on the same images"
        )
    columns = {"y_true": (checked_column(first, "y_true"), checked_column(other, "y_true"))}
    columns |= {name: (group_labels(first, name), group_labels(other, name)) for name in attributes}
    for name, (one, two) in columns.items():
        differs = one.to_numpy(object) != two.to_numpy(object)
        if differs.any():
            row = differs.argmax()
            raise ValueError(
                f"{name} of image {first['image'][row]!r} is {one[row]!r} in predictions 1 and {two[row]!r} in"
                f" predictions {number}; evaluate both on the same labels"
            )


def chunks(number: int, each: int) -> Iterator[int]:
    """Sizes that sum to `number`, so that a chunk of things of `each` numbers stays within `CHUNK` numbers."""
    size = max(CHUNK // each, 1)
    for start in range(0, number, size):
        yield min(size, number - start)


def resampled_counts_of_runs(
    runs: Runs, replicates: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (R, cells, K, K), and (B, R, cells, K, K) on resampled images."""
    count, images = runs.predicted.shape
    shape = (count, runs.cells, len(runs.classes), len(runs.classes))
    index = (np.arange(count)[:, None], runs.cell, runs.true, runs.predicted)
    position = np.ravel_multi_index(np.broadcast_arrays(*index), shape).ravel()
    image = np.tile(np.arange(images), count)
    indicator = csr_array((np.ones(len(image)), (position, image)), shape=(np.prod(shape), images))
    (drawn,) = resampled_sums([indicator], images, replicates, generator)
    return indicator.sum(axis=1).reshape(shape), drawn.reshape(replicates, *shape)


def resampled_sums(
    matrices: list[csr_array], images: int, replicates: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """(B, rows) of each matrix (rows, N): its rows summed over N images drawn with replacement, the same for all."""
    products: list[list[np.ndarray]] = [[] for _ in matrices]
    for size in chunks(replicates, images):
        drawn = generator.integers(images, size=(size, images)) + np.arange(size)[:, None] * images
        times = np.bincount(drawn.ravel(), minlength=size * images).reshape(size, images)
        weights = np.ascontiguousarray(times.T, dtype=float)
        for product, matrix in zip(products, matrices, strict=True):
            product.append((matrix @ weights).T)
    return [np.concatenate(product) for product in products]
