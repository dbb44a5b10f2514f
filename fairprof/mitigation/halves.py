"""Validation images in two halves: what is fitted on the one is chosen on the other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.inference.units import person_codes
from fairprof.metrics.fairness import joint_name
from fairprof.seeds import numpy_generator

JOINED = {"gender_x_race": ("gender", "race")}  # the attributes of one that is made of several
ON_CELLS = ("dfr", "equal_opportunity")  # what is fitted on the images of every group of a class, not of every group


@dataclass(frozen=True)
class Groups:
    """The groups of an attribute in a pool. attributes: the columns that it is made of. names: of every group, its
    value in each of them. codes: (N,) int, the group of every row of the pool's table."""

    attributes: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    codes: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, attribute: str) -> "Groups":
        """Of a pool's table, those that occur, in the order of their categories."""
        attributes = JOINED.get(attribute, (attribute,))
        columns = [table[name].cat for name in attributes]
        shape = [len(column.categories) for column in columns]
        cells = np.ravel_multi_index([column.codes.to_numpy(np.int64) for column in columns], shape)
        occurring, codes = np.unique(cells, return_inverse=True)
        places = zip(*np.unravel_index(occurring, shape), strict=True)
        names = (tuple(str(column.categories[k]) for column, k in zip(columns, place, strict=True)) for place in places)
        return cls(attributes, tuple(names), codes)


@dataclass(frozen=True)
class Halves:
    """Places among the validation rows of a draw, ascending; (N,) int each, which together are all of them: those that
    a method is fitted on, and those by which it is chosen."""

    fit: np.ndarray
    choose: np.ndarray


def halved(table: pd.DataFrame, cells: np.ndarray, seed: int) -> Halves:
    """The rows of a table in two halves, with all images of a person in the same one.

    table: with the column `person` where persons are known, else every image is a person's of its own. cells: (N,) int,
    the cell of every row, of which both halves get as many as persons allow; of an odd number the first gets one more.
    """
    persons = person_codes(table)
    persons = np.arange(len(table)) if persons is None else pd.factorize(persons)[0]
    images = np.zeros((persons.max(initial=-1) + 1, cells.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(images, (persons, cells), 1)
    order = numpy_generator(seed, "halves").permutation(len(images))
    first = np.zeros(len(images), dtype=bool)
    surplus = np.zeros(images.shape[1], dtype=np.int64)  # of the first half, by cell
    for person in order[np.argsort(-images[order].sum(axis=1), kind="stable")]:  # those of many images first
        first[person] = surplus @ images[person] <= 0
        surplus += images[person] if first[person] else -images[person]
    return Halves(np.flatnonzero(first[persons]), np.flatnonzero(~first[persons]))


def validation_halves(pool: Pool, val: np.ndarray, groups: Groups, seed: int) -> Halves:
    """The validation rows of a draw in two halves, by person, alike in every group of a class."""
    table = pool.table.iloc[val]
    cells = groups.codes[val] * len(pool.professions) + table["profession"].cat.codes.to_numpy()
    return halved(table, cells, seed)


def require_fittable(method: str, criterion: str, pool: Pool, val: np.ndarray, groups: Groups, seed: int) -> None:
    """Raises `UserError` where the half of the validation images that a method is fitted on lacks what it needs: images
    of every group of the pool or, for `ON_CELLS`, of every group of every class. criterion: that of the method, or "".
    """
    halves = validation_halves(pool, val, groups, seed)
    classes = pool.table["profession"].cat.codes.to_numpy()[val]
    counts = np.zeros((len(groups.names), len(pool.professions)), dtype=np.int64)
    np.add.at(counts, (groups.codes[val][halves.fit], classes[halves.fit]), 1)
    remedy = "add such images, merge or exclude groups, mitigate another attribute, or use another method"
    if not len(halves.choose):
        raise UserError(f"mitigation={method}: the draw has {len(val)} validation images, which make no two halves")
    if method in ON_CELLS or criterion in ON_CELLS:
        for group, profession in np.argwhere(counts == 0)[:1]:
            raise UserError(
                f"mitigation={method}: the half of the validation images that it is fitted on has none of "
                f"{joint_name(groups.names[group])} with the profession {pool.professions[profession]}: {remedy}"
            )
    for group in np.flatnonzero(counts.sum(axis=1) == 0)[:1]:
        raise UserError(
            f"mitigation={method}: the half of the validation images that it is fitted on has none of "
            f"{joint_name(groups.names[group])}: {remedy}"
        )
