"""Tables of a comparison as a reader sees them: titles, and numbers as text."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.names import CLASS_NAMES, metric_name, name_of
from fairprof.reporting.wording import (
    NOTHING,
    bare_p_value,
    count,
    is_figure,
    number,
    percent,
    short,
    signed,
)

COUNTED = "images of "  # begins the title of a column with counts of a class
# columns whose values have names
IDENTIFIERS = {"metric", "measure", "rate", "attribute", "evidence", "status", "corruption", "selection"}
TITLES = {
    "lower": "lower end",
    "upper": "upper end",
    "seed_sd": "SD between seeds",
    "image_se": "SE over test images",
    "share_of_ceiling": "share of the ceiling",
    "share_above_chance": "share above chance",
    "null_mean": "noise floor (null mean)",
    "null_q95": "95 % quantile of the null",
    "p_value": "p",
    "smallest_p": "smallest p of sign flips",
    "p_adjusted": "adjusted p",
    "p_holm": "adjusted p (Holm)",
    "p_sign_flip": "p, sign flips",
    "p_sign_flip_adjusted": "adjusted p, sign flips",
    "uncorrected": "as measured",
    "undefined_cells": "undefined rates",
    "insufficient_cells": "rates on few images",
    "support": "images",
    "rest_support": "the rest's images",
    "y_true": "true class",
    "y_pred": "predicted class",
    "run_id": "run",
    "run_name": "name",
    "train_size": "training set",
    "reference_accuracy": "accuracy of the reference",
    "reference_value": "reference's",
    "selection": "epoch chosen by",
    "differs": "differs from the rest",
    "design_without": "design without a method",
    "design_with": "design with the method",
    "accuracy_without": "accuracy without it",
    "gap_without": "gap without it",
    "share": "share replaced",
    "macro_f1_of_replacement": "macro-F1 of replacement",
}
CHOSEN = {"fraction", "delta"}  # numbers that somebody has set
PROBABILITIES = {"p_value", "smallest_p", "p_adjusted", "p_holm", "p_sign_flip", "p_sign_flip_adjusted"}
CONSTANT = ("arm", "reference", "delta")  # told in the title where all rows agree


def table_of(title: str, frame: pd.DataFrame, differences: Collection[str] = ()) -> Table:
    """Every row of a frame as text; the columns in `differences` with their sign."""
    constant = [name for name in CONSTANT if name in frame and frame[name].nunique(dropna=False) == 1]
    told = ", ".join(f"{name} {_cells(name, frame[name].head(1), False)[0].text}" for name in constant)
    shown = frame.drop(columns=constant)
    columns = [_cells(name, shown[name], name in differences) for name in shown.columns]
    if "run_id" in shown:
        for name in {"run_id", "run_name"} & set(shown.columns):
            place = list(shown.columns).index(name)
            columns[place] = [
                replace(cell, page=f"runs/{run_id}")
                for cell, run_id in zip(columns[place], shown["run_id"], strict=True)
            ]
    numeric = (all(is_figure(cell.text) for cell in cells) for cells in columns)
    return Table(
        f"{title} ({told})" if told else title,
        tuple(map(Column, map(column_title, shown.columns), numeric)),
        tuple(zip(*columns, strict=True)),
    )


def column_title(name: str) -> str:
    # the names that a data set gives its classes stand after a word, as in "images of blue_collar"
    return TITLES.get(name, name if " " in name else metric_name(name))


def _cells(name: str, values: pd.Series, is_difference: bool) -> list[Cell]:
    if name == "verdict":
        return [Cell("", verdict=value) for value in values]
    return list(map(Cell, map(_writing(name, values.dtype, is_difference), values)))


def _writing(name: str, dtype, is_difference: bool) -> Callable[[Any], str]:
    """How the values of a column are written."""
    if name in PROBABILITIES:
        return lambda value: value if isinstance(value, str) else bare_p_value(value)
    if name in ("share_of_ceiling", "share_above_chance"):
        return percent
    if pd.api.types.is_bool_dtype(dtype):
        return lambda value: "yes" if value else "no"
    if name in ("seed", "epoch", "train_size"):
        return str
    if name in CHOSEN:
        return short
    if pd.api.types.is_integer_dtype(dtype):
        return "{:,}".format
    if name == "training_images" or name.startswith(COUNTED):
        return count
    if pd.api.types.is_float_dtype(dtype):
        return signed if is_difference else number
    return lambda value: NOTHING if value == "" else _name(name, str(value))


def _name(column: str, value: str) -> str:
    """What a value of a column is called; classes and groups of a data set have their own names."""
    if column == "class":
        return CLASS_NAMES.get(value, value)
    return name_of(value) if column in IDENTIFIERS else value


def properties(title: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """A table of names and values."""
    rows = tuple((Cell(name), Cell(value)) for name, value in pairs)
    return Table(title, (Column("what"), Column("value")), rows)
