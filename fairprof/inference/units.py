"""What is permuted and resampled together: an image, or all images of a person; and tables of permuted groups."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import random_table

PERSON = "person"  # optional column of a predictions table
CHUNK = 2**22  # numbers held at a time


def person_codes(predictions: pd.DataFrame) -> np.ndarray | None:
    """(N,) int, equal for images of one person: of the column `person`; None where every image is of another one.

    A row without a person is a person of its own.
    """
    if PERSON not in predictions.columns:
        return None
    persons = predictions[PERSON].astype(object)
    codes, names = pd.factorize(persons.where(persons.ne("")))
    if len(names) == (codes >= 0).sum():
        return None
    return np.where(codes < 0, np.arange(len(codes)) + len(names), codes)


class Units(NamedTuple):
    """Units of U kinds in G groups, R runs, T true classes and K predicted classes; units of a kind are the same.

    tables: (U, R, T, K) float, the counts of one unit of each kind. members: (G, U) int, how many units of each kind a
    group has. stratum: (U,) int; groups are permuted within each.
    """

    tables: np.ndarray
    members: np.ndarray
    stratum: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(R, G, T, K) float: the counts of each group."""
        return np.einsum("gu,urtk->rgtk", self.members, self.tables)

    def in_order(self, groups: np.ndarray) -> "Units":
        """The same units with their groups in another order."""
        return self._replace(members=self.members[groups])

    def name_free_order(self) -> np.ndarray:
        """(G,) an order of the groups that depends on their units alone; ties are exchangeable."""
        return np.lexsort(self.members.T)

    def of_predictions(self) -> "Units":
        """The same units where only the prediction counts: (U, R, 1, K), in one stratum."""
        tables, kind = np.unique(self.tables.sum(axis=-2, keepdims=True), axis=0, return_inverse=True)
        members = np.zeros((len(self.members), len(tables)), dtype=int)
        np.add.at(members.T, kind.ravel(), self.members.T)
        return Units(tables, members, np.zeros(len(tables), dtype=int))


class Patterns(NamedTuple):
    """Images that all runs answer alike. tables: (P, R, K, K), the counts of one image of each pattern. true: (P,) int.
    of_image: (N,) int."""

    tables: np.ndarray
    true: np.ndarray
    of_image: np.ndarray


def patterns_of(true: np.ndarray, predicted: np.ndarray, classes: int) -> Patterns:
    """The patterns of N images with the codes `true` (N,) and `predicted` (R, N), in the order of classes."""
    pattern = true
    for of_run in predicted:
        first, pattern = np.unique(pattern * classes + of_run, return_index=True, return_inverse=True)[1:]
    tables = np.zeros((len(first), len(predicted), classes, classes))
    tables[np.arange(len(first))[:, None], np.arange(len(predicted)), true[first, None], predicted[:, first].T] = 1
    return Patterns(tables, true[first], pattern)


def units_of(patterns: Patterns, group: np.ndarray, person: np.ndarray | None, groups: int) -> Units:
    """The units of N images with codes of groups and persons (N,).

    A unit is all images of a person in one group: where a person's images carry several groups, there are as many
    units, and the counts of every group stay what they are. Its stratum is the true class of most of its images, the
    first of equals; so images that are units on their own are permuted within their true class.
    """
    number = len(patterns.tables)
    if person is None:
        members = np.bincount(group * number + patterns.of_image, minlength=groups * number)
        return Units(patterns.tables, members.reshape(groups, -1), patterns.true)
    (_, of_unit), unit = np.unique([person, group], axis=1, return_inverse=True)
    made_of = np.zeros((len(of_unit), number))
    np.add.at(made_of, (unit.ravel(), patterns.of_image), 1)
    kinds, kind = np.unique(made_of, axis=0, return_inverse=True)
    members = np.zeros((groups, len(kinds)), dtype=int)
    np.add.at(members, (of_unit, kind.ravel()), 1)
    tables = np.tensordot(kinds, patterns.tables, axes=1)
    return Units(tables, members, tables[:, 0].sum(axis=-1).argmax(axis=-1))


def in_order(keys: Sequence[np.ndarray], person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int each: the order of images by keys (N,), the first one first, and in that order whose they are, from 0.

    Images of equal keys follow each other by how many images their persons have, and where these lie: persons are
    numbered by their images, so that neither their names nor the order of rows changes which of them is drawn.
    """
    code = np.unique(person, return_inverse=True)[1]
    rank = np.unique(np.column_stack(keys), axis=0, return_inverse=True)[1].ravel()
    images, places = np.bincount(code), np.bincount(code, rank)
    order = np.lexsort((places[code], images[code], rank))
    return order, pd.factorize(code[order])[0]


def permuted_tables(rows: np.ndarray, columns: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """(B, R, C) int: tables with these sums of rows (R,) and of columns (C,), as permutations make them.

    Patefield 1981. With one row or one column there is one such table; SciPy draws negative counts for it.
    """
    if min(len(rows), len(columns)) == 1:
        only = np.outer(rows, columns) // max(np.sum(rows), 1)
        return np.broadcast_to(only, (number, *only.shape))
    return random_table(rows, columns, seed=generator).rvs(number)


def permuted_counts(
    units: Units, permutations: int, generator: np.random.Generator, values: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """After permuting the groups of the units within each stratum: the groups' counts, (B, R, G, T, K), and the sums
    over each group's units of their values (U, C), (B, G, C); C is 0 where no values are given."""
    (groups, kinds), (runs, true_classes, classes) = units.members.shape, units.tables.shape[1:]
    values = np.zeros((kinds, 0)) if values is None else values
    counts = np.zeros((permutations, runs, groups, true_classes, classes))
    sums = np.zeros((permutations, groups, values.shape[1]))
    done = 0
    for size in chunks(permutations, groups * kinds):
        rows = slice(done, done + size)
        for stratum in np.unique(units.stratum):
            here = units.stratum == stratum
            members, tables = units.members[:, here], units.tables[here]
            true = np.flatnonzero(tables.any(axis=(0, 1, 3)))  # of images that are units only the stratum's own class
            drawn = permuted_tables(members.sum(axis=1), members.sum(axis=0), size, generator)
            columns = np.concatenate([tables[:, :, true].reshape(len(tables), -1), values[here]], axis=1)
            moved = drawn.reshape(-1, drawn.shape[-1]) @ columns
            moved, added = np.split(moved, [columns.shape[1] - values.shape[1]], axis=1)
            counts[rows, ..., true, :] += moved.reshape(size, groups, runs, len(true), classes).swapaxes(1, 2)
            sums[rows] += added.reshape(size, groups, -1)
        done += size
    return counts, sums


def flipped_sums(units: Units, values: np.ndarray, flips: int, generator: np.random.Generator) -> np.ndarray:
    """(B, G, C): sums over each group's units of their values (U, C), every unit's with a sign of its own by chance."""
    members = units.members
    sums = np.zeros((flips, len(members), values.shape[1]))
    done = 0
    for size in chunks(flips, members.size):
        signs = 2 * generator.binomial(members, 0.5, size=(size, *members.shape)) - members
        sums[done : done + size] = signs @ values
        done += size
    return sums


def chunks(number: int, each: int) -> Iterator[int]:
    """Sizes that sum to `number`, so that a chunk of things of `each` numbers stays within `CHUNK` numbers."""
    size = max(CHUNK // each, 1)
    for start in range(0, number, size):
        yield min(size, number - start)
