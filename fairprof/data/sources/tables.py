"""Label files as tables of text, every record with its line, nothing dropped."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from fairprof.errors import UserError

LINE_BREAK = re.compile(r"[\r\n]")


def read_table(path: Path, required: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of a CSV (UTF-8, header first) or Parquet file as text, and the malformed ones.

    Empty cells are "". Column `line` is the line of a CSV file (1 is the header) or the row of a Parquet file.
    Malformed records, which have more or fewer cells than the header, come as quarantine rows. Raises
    `UserError` where the file cannot be read as a table, lacks a required column or holds no record.
    """
    try:
        table, malformed = (_parquet if path.suffix.lower() == ".parquet" else _csv)(path, required)
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable table of UTF-8 text: {reason}") from None
    if table.empty and malformed.empty:
        raise UserError(f"{path}: no rows under the header")
    return table, malformed


def require_columns(columns: list[str], required: tuple[str, ...], path: Path) -> None:
    """Raises `UserError` that names the first missing or repeated column."""
    repeated = [name for name in columns if columns.count(name) > 1]
    if repeated:
        raise UserError(f"{path}: the column {repeated[0]} occurs twice")
    for name in required:
        if name not in columns:
            raise UserError(f"{path}: missing column {name} (it has {', '.join(columns)})")


def _parquet(path: Path, required: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    # integers stay integers beside an empty cell
    table = pyarrow.parquet.read_table(path).to_pandas(integer_object_nulls=True)
    require_columns(list(table.columns), required, path)
    table = table.astype(object).where(table.notna(), "").astype(str)
    return table.assign(line=range(1, len(table) + 1)), pd.DataFrame({"line": [], "reason": []})


def _csv(path: Path, required: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    malformed: dict[int, str] = {}
    over_lines: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        over_lines.extend([row.number] if LINE_BREAK.search(row.text) else [])
        malformed[row.number] = f"malformed line: {row.actual_columns} cells instead of {row.expected_columns}"
        return "skip"

    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),  # row numbers are known to one thread only
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(default_column_type=pyarrow.string()),
    ).to_pandas()
    require_columns(list(table.columns), required, path)
    lines = np.delete(np.arange(2, len(table) + len(malformed) + 2), np.array(list(malformed), dtype=int) - 2)
    # such a cell may have swallowed many records, and the numbers of the lines below it would be wrong
    over_lines += list(lines[table.apply(lambda column: column.str.contains(LINE_BREAK)).any(axis=1)])
    if over_lines:
        raise UserError(
            f"{path}, line {min(over_lines)}: a cell runs over several lines: is a quotation mark not closed?"
        )
    blank = table.eq("").all(axis=1)
    return (
        table.assign(line=lines)[~blank].reset_index(drop=True),
        pd.DataFrame({"line": list(malformed), "reason": list(malformed.values())}),
    )
