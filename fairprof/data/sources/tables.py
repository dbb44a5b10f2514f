"""Label files as tables of text, every record with its line, nothing dropped."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv

from fairprof.errors import UserError


def read_table(path: Path, required: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of a CSV (UTF-8, header first) or Parquet file as text, and the malformed ones.

    Empty cells are "". Column `line` is the line of a CSV file (1 is the header) or the row of a Parquet file.
    Malformed records, which have more or fewer cells than the header, come as quarantine rows. Raises
    `UserError` where the file cannot be read as a table, lacks a required column or holds no record.
    """
    try:
        table, malformed = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except (pyarrow.ArrowInvalid, UnicodeError) as error:
        raise UserError(f"{path}: not a readable table of UTF-8 text: {error}") from None
    require_columns(list(table.columns), required, path)
    if table.empty and malformed.empty:
        raise UserError(f"{path}: no rows under the header")
    return table, malformed


def require_columns(columns: list[str], required: tuple[str, ...], path: Path) -> None:
    """Raises `UserError` that names the first missing column."""
    for name in required:
        if name not in columns:
            raise UserError(f"{path}: missing column {name} (it has {', '.join(columns)})")


def _parquet(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_parquet(path)
    table = table.astype(object).where(table.notna(), "").astype(str)
    return table.assign(line=range(1, len(table) + 1)), pd.DataFrame({"line": [], "reason": []})


def _csv(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    malformed: dict[int, str] = {}

    def note(row: pyarrow.csv.InvalidRow) -> str:
        malformed[row.number] = f"malformed line: {row.actual_columns} cells instead of {row.expected_columns}"
        return "skip"

    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),  # row numbers are known to one thread only
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(default_column_type=pyarrow.string()),
    ).to_pandas()
    lines = np.setdiff1d(np.arange(2, len(table) + len(malformed) + 2), list(malformed))
    blank = table.eq("").all(axis=1)
    return (table.assign(line=lines)[~blank].reset_index(drop=True),
            pd.DataFrame({"line": list(malformed), "reason": list(malformed.values())}))
