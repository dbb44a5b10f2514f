"""Tables of a comparison as a reader sees them: titles, and numbers as text."""

from collections.abc import Callable, Collection, Iterable

import pandas as pd

from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.names import CLASS_NAMES, METRIC_NAMES, VERDICT_NAMES
from fairprof.reporting.wording import (
    NOTHING,
    attribute_name,
    bare_p_value,
    count,
    is_figure,
    number,
    percent,
    short,
    signed,
)

COUNTED = "images of "  # begins the title of a column with counts of a class


NAMES = {
    "metric": METRIC_NAMES,
    "class": CLASS_NAMES,
    "verdict": VERDICT_NAMES,
    "rate": {name: name.replace("_", " ") for name in ("selection_rate", "true_positive_rate", "false_positive_rate")},
    "attribute": {"gender_x_race": "gender x race"},
    "evidence": {"insufficient_evidence": "insufficient evidence"},
}
TITLES = {
    "lower": "lower end",
    "upper": "upper end",
    "seed_sd": "SD between seeds",
    "image_se": "SE over test images",
    "standard_error": "standard error",
    "share_of_ceiling": "share of the ceiling",
    "null_mean": "noise floor (null mean)",
    "null_q95": "95 % quantile of the null",
    "p_value": "p",
    "smallest_p": "smallest possible p",
    "p_adjusted": "adjusted p",
    "p_holm": "adjusted p (Holm)",
    "undefined_cells": "undefined rates",
    "insufficient_cells": "rates on few images",
    "support": "images",
    "y_true": "true class",
    "y_pred": "predicted class",
    "macro_f1": "macro-F1",
    "run_id": "run",
    "run_name": "name",
    "best_epoch": "best epoch",
    "train_size": "training set",
    "training_images": "training images",
    "reference_accuracy": "accuracy of the reference",
    "differs": "differs from the rest",
}
CHOSEN = {"fraction", "delta"}  # numbers that somebody has set
PROBABILITIES = {"p_value", "smallest_p", "p_adjusted", "p_holm"}
CONSTANT = ("arm", "reference", "delta")  # told in the title where all rows agree


def table_of(title: str, frame: pd.DataFrame, differences: Collection[str] = ()) -> Table:
    """Every row of a frame as text; the columns in `differences` with their sign."""
    constant = [name for name in CONSTANT if name in frame and frame[name].nunique(dropna=False) == 1]
    told = ", ".join(f"{name} {_cells(name, frame[name].head(1), False)[0].text}" for name in constant)
    shown = frame.drop(columns=constant)
    columns = [_cells(name, shown[name], name in differences) for name in shown.columns]
    numeric = (all(is_figure(cell.text) for cell in cells) for cells in columns)
    return Table(
        f"{title} ({told})" if told else title,
        tuple(map(Column, map(column_title, shown.columns), numeric)),
        tuple(zip(*columns, strict=True)),
    )


def column_title(name: str) -> str:
    metric, _, attribute = name.partition("/")
    if metric in METRIC_NAMES:
        return f"{METRIC_NAMES[metric]} by {attribute_name(attribute)}" if attribute else METRIC_NAMES[metric]
    return TITLES.get(name, name)


def _cells(name: str, values: pd.Series, is_difference: bool) -> list[Cell]:
    if name == "verdict":
        return [Cell("", verdict=value) for value in values]
    return list(map(Cell, map(_writing(name, values.dtype, is_difference), values)))


def _writing(name: str, dtype, is_difference: bool) -> Callable[[object], str]:
    """How the values of a column are written."""
    if name in PROBABILITIES:
        return lambda value: value if isinstance(value, str) else bare_p_value(value)
    if name == "share_of_ceiling":
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
    return lambda value: NAMES.get(name, {}).get(value, NOTHING if value == "" else str(value))


def properties(title: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """A table of names and values."""
    rows = tuple((Cell(name), Cell(value)) for name, value in pairs)
    return Table(title, (Column("what"), Column("value")), rows)
