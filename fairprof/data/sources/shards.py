"""Shards: a data set whose decoded pixels and labels `prepare` has written to a folder."""

from pathlib import Path

import pandas as pd

from fairprof.data.shards import QUARANTINE, ROWS, Description, PixelShards, read_description, verified_table
from fairprof.data.sources.listing import QUARANTINE_COLUMNS, ROW_COLUMNS, Listing
from fairprof.errors import UserError

STORED = tuple("source_line" if name == "line" else name for name in ROW_COLUMNS)


def read(folder: Path) -> Listing:
    """The listing that was written to `folder`; no shard is opened.

    Raises `UserError` where the folder holds no shards, or a table is not as it was written.
    """
    description = read_description(folder)
    rows = verified_table(folder, ROWS, STORED, description)
    if len(rows) != description.images:
        raise UserError(
            f"{folder / ROWS}: {len(rows):,} rows for {description.images:,} images: write the shards again"
        )
    return Listing(
        description.name,
        _restored(rows, ROW_COLUMNS),
        _quarantine(folder, description),
        PixelShards(folder, description),
        description.races,
        description.mangled_ages,
    )


def _quarantine(folder: Path, description: Description) -> pd.DataFrame:
    if QUARANTINE not in description.checksums:
        return pd.DataFrame(columns=list(QUARANTINE_COLUMNS)).astype({"line": int})
    return _restored(verified_table(folder, QUARANTINE, ("source_line",), description), QUARANTINE_COLUMNS)


def _restored(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Columns of a listing, of which an empty cell is a missing one; lines are numbers again."""
    texts = table.mask(table.eq("")).assign(line=table["source_line"].astype(int))
    return texts[list(columns)]
