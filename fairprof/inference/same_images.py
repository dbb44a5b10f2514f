"""Several runs evaluated on the same images: one record of them, and resamples that are the same for all."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from fairprof.inference.units import PERSON, Units, chunks, patterns_of, person_codes, units_of
from fairprof.metrics.fairness import ATTRIBUTES, group_labels
from fairprof.metrics.performance import checked_column, class_names, label_codes


class Runs(NamedTuple):
    """R runs on N images, in the order of the images' names.

    true: (N,) int. predicted: (R, N) int. person: (N,) int, equal for images of one person, or None where every
    image is of another one. cell: (N,) int in [0, cells), the image's combination of groups.
    groups: attribute to group names. members: attribute to (G, cells) float, 1 where the combination
    belongs to the group.
    """

    classes: list[str]
    true: np.ndarray
    predicted: np.ndarray
    person: np.ndarray | None
    cell: np.ndarray
    cells: int
    groups: dict[str, list[str]]
    members: dict[str, np.ndarray]

    @property
    def resampled(self) -> np.ndarray:
        """(N,) int codes, equal for images that are drawn together: those of one person."""
        return np.arange(len(self.true)) if self.person is None else np.unique(self.person, return_inverse=True)[1]

    def units(self) -> dict[str, Units]:
        """By attribute, what is permuted together between its groups."""
        patterns = patterns_of(self.true, self.predicted, len(self.classes))
        return {
            attribute: units_of(patterns, members.argmax(axis=0)[self.cell], self.person, len(members))
            for attribute, members in self.members.items()
        }

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
    return _runs(tables, attributes)


def one_run(predictions: pd.DataFrame, attributes: Iterable[str]) -> Runs:
    """One run, whose images need no names and keep their order unless some are of one person."""
    if person_codes(predictions) is None:
        return _runs([predictions], list(attributes))
    return runs_on_the_same_images([predictions], attributes)


def _runs(tables: Sequence[pd.DataFrame], attributes: list[str]) -> Runs:
    columns = {attribute: group_labels(tables[0], attribute) for attribute in attributes if attribute in tables[0]}
    first = tables[0].assign(**columns)  # once: intersections are made of them
    labels = [group_labels(first, attribute) for attribute in attributes]
    names = [list(label.cat.categories) for label in labels]
    codes = [label.cat.codes.to_numpy(dtype=int) for label in labels]
    cell = np.zeros(len(first), dtype=int)
    for of_attribute, groups in zip(codes, names, strict=True):
        image, cell = np.unique(cell * len(groups) + of_attribute, return_index=True, return_inverse=True)[1:]
    members = [
        (np.arange(len(groups))[:, None] == of_attribute[image]).astype(float)
        for groups, of_attribute in zip(names, codes, strict=True)
    ]
    return Runs(
        class_names(first),
        label_codes(first, "y_true"),
        np.stack([label_codes(table, "y_pred") for table in tables]),
        person_codes(first),
        cell,
        len(image),
        dict(zip(attributes, names, strict=True)),
        dict(zip(attributes, members, strict=True)),
    )


def _by_image(table: pd.DataFrame) -> pd.DataFrame:
    images = checked_column(table, "image")
    repeated = images.duplicated()
    if repeated.any():
        raise ValueError(f"image {images[repeated].iloc[0]!r} occurs twice in predictions; keep one row for each image")
    in_order = images.is_monotonic_increasing
    return table.reset_index(drop=True) if in_order else table.sort_values("image", ignore_index=True)


def _check_same(first: pd.DataFrame, other: pd.DataFrame, number: int, attributes: list[str]) -> None:
    shared = [name for name in dict.fromkeys(["image", "y_true", PERSON, *ATTRIBUTES, *attributes]) if name in first]
    alike = set(shared) <= set(other.columns) and first[shared].equals(other[shared])
    if class_names(first) != class_names(other):
        raise ValueError(
            f"predictions 1 have classes {class_names(first)}, predictions {number} {class_names(other)};"
            " compare runs with the same classes"
        )
    if alike:
        return
    only_one = np.setxor1d(first["image"].to_numpy(object), other["image"].to_numpy(object))
    if len(only_one):
        raise ValueError(
            f"image {only_one[0]!r} is in only one of predictions 1 and {number}; evaluate both on the same images"
        )
    columns = {"y_true": (checked_column(first, "y_true"), checked_column(other, "y_true"))}
    columns |= {
        name: (first[name].astype(object).fillna(""), other[name].astype(object).fillna(""))
        for name in [PERSON]
        if name in first.columns and name in other.columns
    }
    columns |= {name: (group_labels(first, name), group_labels(other, name)) for name in attributes}
    for name, (one, two) in columns.items():
        differs = one.to_numpy(object) != two.to_numpy(object)
        if differs.any():
            row = differs.argmax()
            raise ValueError(
                f"{name} of image {first['image'][row]!r} is {one[row]!r} in predictions 1 and {two[row]!r} in"
                f" predictions {number}; evaluate both on the same labels"
            )


def resampled_counts_of_runs(
    runs: Runs, replicates: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (R, cells, K, K), and (B, R, cells, K, K) on resampled images, those of a person together."""
    count, resampled = len(runs.predicted), runs.resampled
    shape = (count, runs.cells, len(runs.classes), len(runs.classes))
    index = (np.arange(count)[:, None], runs.cell, runs.true, runs.predicted)
    position = np.ravel_multi_index(np.broadcast_arrays(*index), shape).ravel()
    number = resampled.max() + 1
    indicator = csr_array((np.ones(len(position)), (position, np.tile(resampled, count))), (np.prod(shape), number))
    (drawn,) = resampled_sums([indicator], number, replicates, generator)
    return indicator.sum(axis=1).reshape(shape), drawn.reshape(replicates, *shape)


def resampled_sums(
    matrices: list[csr_array], number: int, replicates: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """(B, rows) of each matrix (rows, N): its rows summed over N columns drawn with replacement, the same for all."""
    products: list[list[np.ndarray]] = [[] for _ in matrices]
    for size in chunks(replicates, number):
        drawn = generator.integers(number, size=(size, number)) + np.arange(size)[:, None] * number
        times = np.bincount(drawn.ravel(), minlength=size * number).reshape(size, number)
        weights = np.ascontiguousarray(times.T, dtype=float)
        for product, matrix in zip(products, matrices, strict=True):
            product.append((matrix @ weights).T)
    return [np.concatenate(product) for product in products]
