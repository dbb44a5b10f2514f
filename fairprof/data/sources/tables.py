"""Label files as tables of text, every record with its line, nothing dropped."""

import codecs
import re
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from fairprof.errors import UserError
from fairprof.runtime.files import UnreadableFile, open_file

MAX_BYTES = 2 * 2**30  # of a label file, and of what a Parquet file holds
MAX_COLUMNS = 10_000  # of a CSV file
MAX_ROWS = 20_000_000  # of a Parquet file, in which a kilobyte can stand for any number of equal rows
NAMED_COLUMNS = 20  # in one message
LINE_BREAK = re.compile(r"[\r\n]")


def read_table(path: Path, required: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of a CSV (UTF-8, header first) or Parquet file as text, and the malformed ones.

    Empty cells are "". Column `line` is the line of a CSV file (1 is the header) or the row of a Parquet file.
    Malformed records, which have more or fewer cells than the header, come as quarantine rows. Raises
    `UserError` where the file cannot be read as a table, lacks a required column, holds no record or is too large.
    """
    read = _parquet if path.suffix.lower() == ".parquet" else _csv
    try:
        with open_file(path, MAX_BYTES) as file:
            table, malformed = read(file, required, path)
    except UnreadableFile as error:
        raise UserError(f"{path}: {error}: give a CSV or Parquet file") from None
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable table of UTF-8 text: {reason}") from None
    if table.empty and malformed.empty:
        raise UserError(f"{path}: no rows under the header")
    return table, malformed


def require_columns(columns: list[str], required: tuple[str, ...], path: Path) -> None:
    """Raises `UserError` that names the first missing or repeated column."""
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    if repeated:
        raise UserError(f"{path}: the column {repeated[0]} occurs twice")
    named = ", ".join(columns[:NAMED_COLUMNS]) + (", ..." if len(columns) > NAMED_COLUMNS else "")
    for name in required:
        if name not in columns:
            raise UserError(f"{path}: missing column {name} (it has {named})")


def require_moderate_number(file: pyarrow.parquet.ParquetFile, path: Path) -> None:
    """Raises `UserError` where a Parquet file holds too many rows; of equal ones it holds any number in a kilobyte."""
    rows = file.metadata.num_rows
    if rows > MAX_ROWS:
        raise UserError(f"{path}: it holds {rows:,} rows, more than {MAX_ROWS:,}: split it")


def _parquet(file: BinaryIO, required: tuple[str, ...], path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    parquet = pyarrow.parquet.ParquetFile(file)
    require_moderate_number(parquet, path)
    size = sum(parquet.metadata.row_group(number).total_byte_size for number in range(parquet.num_row_groups))
    if size > MAX_BYTES:
        raise UserError(
            f"{path}: it holds {size:,} bytes, more than {MAX_BYTES:,}: leave out columns that are not used"
        )
    # integers stay integers beside an empty cell
    table = parquet.read().to_pandas(integer_object_nulls=True)
    require_columns(list(table.columns), required, path)
    table = table.astype(object).where(table.notna(), "").astype(str)
    return table.assign(line=range(1, len(table) + 1)), pd.DataFrame({"line": [], "reason": []})


def _require_text(file: BinaryIO, path: Path) -> None:
    """Raises `UserError` that names the first line which is no UTF-8, or for a header of too many columns; the file is
    at its start again. pyarrow would print a traceback for the one and take gigabytes for the other."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, header = 1, b""
    while chunk := file.read(2**20):
        if lines == 1 and (header := header + chunk.partition(b"\n")[0]).count(b",") >= MAX_COLUMNS:
            raise UserError(f"{path}: the header has more than {MAX_COLUMNS:,} columns: leave out those not used")
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            line = lines + error.object[: error.start].count(b"\n")
            raise UserError(f"{path}, line {line}: not a readable table of UTF-8 text: save it as UTF-8") from None
        lines += chunk.count(b"\n")
    file.seek(0)


def _csv(file: BinaryIO, required: tuple[str, ...], path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    _require_text(file, path)
    malformed: dict[int, str] = {}
    over_lines: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        over_lines.extend([row.number] if LINE_BREAK.search(row.text) else [])
        malformed[row.number] = f"malformed line: {row.actual_columns} cells instead of {row.expected_columns}"
        return "skip"

    table = pyarrow.csv.read_csv(
        file,
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
