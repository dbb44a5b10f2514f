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
LABELS = ("image", "gender", "race", "age", "profession", "person", "partition", "regions")  # that a table may hold
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
    schema = parquet.schema_arrow
    require_columns(schema.names, required, path)
    for name in {*required, *LABELS} & set(schema.names):
        if not _is_plain(schema.field(name).type):
            raise UserError(
                f"{path}: the column {name} is of type {schema.field(name).type}, not of texts, numbers or dates: "
                "give a column with one text in each row"
            )
    read = parquet.read([field.name for field in schema if _is_plain(field.type)])
    # an index that pandas has written is a column as any other
    table = read.cast(_as_texts(read.schema)).to_pandas(ignore_metadata=True)
    others = table.select_dtypes(exclude="str")
    table[others.columns] = others.astype(object).where(others.notna(), "").astype(str)
    return table.fillna("").assign(line=np.arange(1, len(table) + 1)), pd.DataFrame({"line": [], "reason": []})


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


def _is_plain(of_column: pyarrow.DataType) -> bool:
    """Whether a row of a column is one text, number or date."""
    if isinstance(of_column, pyarrow.BaseExtensionType):
        return _is_plain(of_column.storage_type)
    if pyarrow.types.is_dictionary(of_column):
        return _is_plain(of_column.value_type)
    kinds = ("string", "large_string", "string_view", "integer", "floating", "boolean", "decimal", "temporal", "null")
    return any(getattr(pyarrow.types, f"is_{kind}")(of_column) for kind in kinds)


def _as_texts(schema: pyarrow.Schema) -> pyarrow.Schema:
    """The schema in which dates and times, of which pandas holds fewer than a file, and whole numbers, of which pandas
    makes floating ones beside an empty cell, are texts."""
    for number, field in enumerate(schema):
        if pyarrow.types.is_temporal(field.type) or pyarrow.types.is_integer(field.type):
            schema = schema.set(number, field.with_type(pyarrow.string()))
    return schema


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
