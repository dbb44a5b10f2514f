"""Tables as people have them, with columns of any names and types, as the predictions tables of this project.

Everything that can be wrong with a table is said here, in one line that names table, column, row and remedy.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fairprof.errors import UserError
from fairprof.inference.units import PERSON
from fairprof.metrics.fairness import OVER_CLASSES, intersection
from fairprof.metrics.performance import PROBABILITY_PREFIX, class_probabilities

IMAGE, TRUE, PREDICTED = "image", "y_true", "y_pred"
MOST_CLASSES = 200  # more are no classes: an identifier or a score was given

Attribute = Hashable | tuple[Hashable, ...]  # the column of an attribute, or several, of which it is the intersection
Probabilities = str | Mapping[Any, Hashable] | Sequence[Hashable] | None


class TableError(UserError, ValueError):
    """What is wrong with a table or an argument that was given, and what to do about it."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what.

    groups: a column for each attribute; a tuple of columns is their intersection. probabilities: what the columns'
    names begin with, before the class; or the column of each class; or the columns in the order of the classes; in a
    mapping the column of one class of two is enough. person: of whom a row is, if known. image: by which the rows of
    several tables are matched, and which may occur once; None: "image" where every table has such a column, otherwise,
    where there are several tables, the index.
    """

    groups: tuple[Attribute, ...]
    y_true: Hashable = TRUE
    y_pred: Hashable = PREDICTED
    probabilities: Probabilities = None
    person: Hashable | None = None
    image: Hashable | None = None


@dataclass(frozen=True)
class UserTable:
    """A table in the form that metrics and inference take.

    table: image, y_true and y_pred (categoricals of the classes' names), where given probability_<class> and person,
    and a categorical for each attribute. attributes: the column of each attribute there, and what it is called.
    confirmatory: the columns of attributes that are no intersections.
    """

    table: pd.DataFrame
    attributes: dict[str, str]
    confirmatory: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        return list(self.table[TRUE].cat.categories)

    def named(self, found: pd.DataFrame) -> pd.DataFrame:
        """A table of results with the attributes as they are called."""
        return found.assign(attribute=found["attribute"].replace(self.attributes))


def columns(
    groups: Attribute | Iterable[Attribute],
    y_true: Hashable,
    y_pred: Hashable,
    probabilities: Probabilities = None,
    person: Hashable | None = None,
    image: Hashable | None = None,
) -> Columns:
    """The columns as people give them: one attribute may stand for a list of one."""
    listed = (groups,) if isinstance(groups, str) or not isinstance(groups, Iterable) else tuple(groups)
    if not listed:
        raise TableError('groups is empty; name at least one column, such as groups=["gender"]')
    names = [_attribute_name(attribute) for attribute in listed]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise TableError(f"groups names {repeated[0]!r} twice; name each attribute once")
    for attribute in listed:
        if isinstance(attribute, tuple) and len(attribute) < 2:
            raise TableError(f"groups has {attribute!r}; an intersection takes at least two columns")
    return Columns(listed, y_true, y_pred, probabilities, person, image)


def _attribute_name(attribute: Attribute) -> str:
    return "_x_".join(map(str, attribute)) if isinstance(attribute, tuple) else str(attribute)


def user_tables(tables: Mapping[str, pd.DataFrame], given: Columns) -> dict[str, UserTable]:
    """Tables that share classes and groups, by what each is called in errors. Raises `TableError`."""
    for name, table in tables.items():
        _check_form(table, name)
    if given.image is None and all(IMAGE in table.columns for table in tables.values()):
        given = replace(given, image=IMAGE)
    for name, table in tables.items():
        _check_columns(table, name, given)
    labels = {
        f"column {column!r} of {name}": table[column]
        for name, table in tables.items()
        for column in (given.y_true, given.y_pred)
    }
    classes = _classes(labels, given.probabilities)
    if isinstance(given.probabilities, str):
        classes |= {name: name for name in _further_classes(tables.values(), given) if name not in classes.values()}
    return {name: _user_table(table, name, given, classes, matched=len(tables) > 1) for name, table in tables.items()}


# What may be wrong.


def _check_form(table: object, name: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TableError(f"{name} is of type {type(table).__name__}; give a pandas DataFrame, a row per image")
    if len(table) == 0:
        raise TableError(f"{name} has no rows; give at least one prediction")


def _check_columns(table: pd.DataFrame, name: str, given: Columns) -> None:
    named = {"y_true": given.y_true, "y_pred": given.y_pred} | {
        f"groups ({column!r})": column
        for attribute in given.groups
        for column in (attribute if isinstance(attribute, tuple) else (attribute,))
    }
    named |= {"person": given.person} if given.person is not None else {}
    named |= {"image": given.image} if given.image is not None else {}
    for argument, column in named.items():
        _check_column(table, name, column, argument.partition(" ")[0])
        if argument != "person":
            _check_values(table, name, column)


def _check_column(table: pd.DataFrame, name: str, column: Hashable, argument: str) -> None:
    number = sum(1 for other in table.columns if other == column)
    if number == 0:
        there = ", ".join(repr(other) for other in list(table.columns)[:20])
        raise TableError(f"{name} has no column {column!r} but {there}; say with {argument}= which column it is")
    if number > 1:
        raise TableError(f"{name} has {number} columns {column!r}; keep one")


def _check_values(table: pd.DataFrame, name: str, column: Hashable) -> None:
    missing = table[column].isna().to_numpy()
    if missing.any():
        raise TableError(
            f"column {column!r} of {name} has no value in {_row(table, missing)} ({missing.sum():,} in all); "
            "fill it or drop the row"
        )


def _row(table: pd.DataFrame, marked: np.ndarray) -> str:
    return f"row {table.index[marked.argmax()]!r}"


# Labels and groups of any type.


def _names(values: Mapping[str, pd.Series], what: str) -> dict[Any, str]:
    """The name of each value that occurs, in an order that the order of the rows does not change.

    Values that are equal, such as 1, 1.0 and True, are one and have the first one's name. The order is that of the
    categories of the first categorical, then that of the values.
    """
    first: list = []
    occurring: dict[Any, str] = {}
    for column, series in values.items():
        if not first and isinstance(series.dtype, pd.CategoricalDtype):
            first = list(series.cat.categories)
        try:
            found = list(dict.fromkeys(series.drop_duplicates().astype(object)))
        except (TypeError, NotImplementedError) as error:  # of Python's objects, and of Arrow's columns
            raise TableError(f"{column} holds {what} that are lists or tables; give text or numbers") from error
        for value in found:
            occurring.setdefault(value, column)
    ordered = [value for value in first if value in occurring] + _sorted(set(occurring) - set(first))
    names = {value: _name(value) for value in ordered}
    of_name: dict[str, Any] = {}
    for value, name in names.items():
        if name in of_name:
            raise TableError(
                f"{occurring[value]} holds {value!r} and {occurring[of_name[name]]} {of_name[name]!r}, which have the "
                "same name; make them one type"
            )
        of_name[name] = value
    return names


def _sorted(values: Iterable) -> list:
    """Numbers by size, and what cannot be compared by name."""
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=_name)


def _name(value: object) -> str:
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value) if is_whole else value)  # type: ignore[call-overload]


def _coded(values: pd.Series, names: Mapping[Any, str]) -> pd.Categorical:
    codes = {value: number for number, value in enumerate(names)}
    return pd.Categorical.from_codes([codes[value] for value in values.astype(object)], list(names.values()))


def _classes(labels: Mapping[str, pd.Series], probabilities: Probabilities) -> dict[Any, str]:
    for column, values in labels.items():
        if pd.api.types.is_float_dtype(values.dtype):
            broken = ~values.mod(1).eq(0).to_numpy()
            if broken.any():
                raise TableError(
                    f"{column} is {values.iloc[broken.argmax()]} in row {values.index[broken.argmax()]!r}, which is a "
                    "score and no class; give the class, such as (score >= .5)"
                )
    if isinstance(probabilities, Mapping):
        labels = {**labels, "probabilities": pd.Series(list(probabilities), dtype=object)}
    classes = _names(labels, "classes")
    if len(classes) < 2:
        raise TableError(f"{' and '.join(labels)} hold one class alone, {next(iter(classes))!r}; two are the least")
    for value, name in classes.items():
        if name in OVER_CLASSES:
            raise TableError(
                f"{' and '.join(list(labels)[:2])} hold the class {value!r}, which stands in place of a class in the "
                "tables of an audit; give it another name"
            )
    if len(classes) > MOST_CLASSES:
        raise TableError(
            f"{' and '.join(list(labels)[:2])} hold {len(classes):,} classes, more than {MOST_CLASSES}; give classes "
            "and no identifiers or measurements"
        )
    return classes


def _further_classes(tables: Iterable[pd.DataFrame], given: Columns) -> Iterable[str]:
    """The classes that have a column of probabilities, by its prefix, and may occur in no row."""
    prefix = str(given.probabilities)
    for table in tables:
        for column in table.columns.difference([given.y_true, given.y_pred], sort=False):
            if isinstance(column, str) and column.startswith(prefix) and pd.api.types.is_numeric_dtype(table[column]):
                yield column.removeprefix(prefix)


def _user_table(table: pd.DataFrame, name: str, given: Columns, classes: dict[Any, str], matched: bool) -> UserTable:
    by_name = matched or given.image is not None
    made = {
        IMAGE: _images(table, name, given.image) if by_name else np.arange(len(table)),
        TRUE: _coded(table[given.y_true], classes),
        PREDICTED: _coded(table[given.y_pred], classes),
    }
    attributes, confirmatory = {}, []
    for number, attribute in enumerate(given.groups):
        column = f"attribute {number}"
        attributes[column] = _attribute_name(attribute)
        if not isinstance(attribute, tuple):
            confirmatory.append(column)
        made[column] = _groups(table, name, attribute)
    if given.person is not None:
        made[PERSON] = table[given.person].astype(object).where(table[given.person].notna(), "").to_numpy()
    made |= _probabilities(table, name, given.probabilities, classes)
    frame = pd.DataFrame(made)
    if given.probabilities is not None:
        _check_probabilities(frame.set_axis(table.index), name)
    return UserTable(frame, attributes, tuple(confirmatory))


def _images(table: pd.DataFrame, name: str, image: Hashable | None) -> np.ndarray:
    images = table.index.to_series() if image is None else table[image]
    repeated = images.duplicated().to_numpy()
    if repeated.any():
        where = "the index" if image is None else f"column {image!r}"
        raise TableError(
            f"{where} of {name} has {images.iloc[repeated.argmax()]!r} twice; keep one row for each image, or name the "
            "column that tells them apart with image="
        )
    return images.to_numpy()


def _groups(table: pd.DataFrame, name: str, attribute: Attribute) -> pd.Categorical:
    singles = attribute if isinstance(attribute, tuple) else (attribute,)
    coded = [
        pd.Series(_coded(table[column], _names({f"column {column!r} of {name}": table[column]}, "groups")), name=column)
        for column in singles
    ]
    groups = coded[0] if len(coded) == 1 else intersection(coded)
    if len(groups.cat.categories) < 2:
        raise TableError(
            f"{_attribute_name(attribute)!r} has one group alone in {name}, {groups.cat.categories[0]!r}; leave it out "
            "or give rows of a second group"
        )
    return groups.array


# Probabilities.


def _probabilities(
    table: pd.DataFrame, name: str, probabilities: Probabilities, classes: dict[Any, str]
) -> dict[str, np.ndarray]:
    if probabilities is None:
        return {}
    names = list(classes.values())
    by_class = _column_of_each_class(table, name, probabilities, classes)
    for column in by_class.values():
        _check_column(table, name, column, "probabilities")
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise TableError(f"column {column!r} of {name} is of type {table[column].dtype}; give numbers")
        _check_values(table, name, column)
    values = {one: table[column].to_numpy(dtype=float) for one, column in by_class.items()}
    if len(names) == 2 and len(values) == 1:
        (one,) = values
        (other,) = set(names) - {one}
        values[other] = 1 - values[one]
    missing = [one for one in names if one not in values]
    if missing:
        raise TableError(f"probabilities names no column for the class {missing[0]!r}; give one for each of {names}")
    return {f"{PROBABILITY_PREFIX}{one}": values[one] for one in names}


def _column_of_each_class(
    table: pd.DataFrame, name: str, probabilities: Probabilities, classes: dict[Any, str]
) -> dict[str, Hashable]:
    if isinstance(probabilities, str):
        found = {one: f"{probabilities}{one}" for one in classes.values()}
        for one, column in found.items():
            if column not in table.columns:
                raise TableError(
                    f"{name} has no column {column!r} with the probability of the class {one!r}; give the columns by "
                    "class, such as probabilities={class: column}"
                )
        return dict(found)
    if isinstance(probabilities, Mapping):
        return {classes[one]: column for one, column in probabilities.items()}
    listed = list(probabilities or ())
    if len(listed) != len(classes):
        raise TableError(
            f"probabilities names {len(listed)} columns for {len(classes)} classes; give one for each of "
            f"{list(classes.values())}, in this order"
        )
    return dict(zip(classes.values(), listed, strict=True))


def _check_probabilities(table: pd.DataFrame, name: str) -> None:
    try:
        class_probabilities(table)
    except ValueError as error:
        raise TableError(f"probabilities of {name}: {error}") from error
