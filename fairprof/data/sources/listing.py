"""What every source turns its files into: labelled rows, rejected rows, and access to the encoded images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fairprof.data.encoded_images import EncodedImages
from fairprof.errors import UserError
from fairprof.runtime.files import FoundFiles, UnreadableFile, files_under

ROW_COLUMNS = ("image", "line", "gender", "race", "age", "profession", "partition", "person")
QUARANTINE_COLUMNS = ("image", "line", "reason", "gender", "race")


@dataclass(frozen=True)
class RegionFiles:
    """Region masks that are files: pictures of one channel, as large as the upright image, whose pixels are indices of
    REGIONS (0 background, 1 face, 2 hair). `fairprof.data.regions` reads them.

    images: the images they belong to. folder: that of the masks. names: paths relative to it or absolute, "" where
    an image has none. places: where each is named, for messages ("faces.csv, line 7").
    """

    images: EncodedImages
    folder: Path
    names: Sequence[str]
    places: Sequence[str]


@dataclass(frozen=True)
class Listing:
    """A data set before any pixel was read.

    rows: a row per usable label record with the columns ROW_COLUMNS, all text; `age` (name of a bin) and
    `profession` may be missing as a pair's half, `partition` and `person` where the source knows none. `line` is
    the place in the label file (0: the file name itself holds the labels).
    quarantine: the label records that cannot be used, with the columns QUARANTINE_COLUMNS.
    images: the encoded images, in the order of `rows`.
    races: the vocabulary's usual order. mangled_ages: how many ages were repaired. regions: the region masks in the
    order of `rows`, None where the source has none.
    """

    name: str
    rows: pd.DataFrame
    quarantine: pd.DataFrame
    images: EncodedImages
    races: tuple[str, ...] = field(default=())
    mangled_ages: int = 0
    regions: RegionFiles | None = None


def files_of(folder: Path, suffixes: frozenset[str], source: str, remedy: str) -> FoundFiles:
    """The files of a data set that is a folder; raises `UserError` where it cannot be looked into."""
    try:
        return files_under(folder, suffixes)
    except UnreadableFile as error:
        reason = f"no folder {folder}" if error.missing else f"{folder} cannot be looked into ({error})"
        raise UserError(f"{source}: {reason}: {remedy}") from None


def printable(name: str) -> str:
    """A file name as text that any table can hold: bytes that are no UTF-8 appear as in ``\\xff``."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def split_by_reason(records: pd.DataFrame, reasons: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records without a reason, as rows of a listing, and those with one, as quarantine."""
    rejected = reasons.ne("")
    unknown = {name: None for name in ROW_COLUMNS if name not in records}
    rows = records[~rejected].assign(**unknown).astype(dict.fromkeys(unknown, str))
    rows = rows[[*ROW_COLUMNS, *records.columns.difference(ROW_COLUMNS)]]
    quarantine = records.assign(reason=reasons)[rejected].reindex(columns=QUARANTINE_COLUMNS)
    return rows.reset_index(drop=True), quarantine.reset_index(drop=True)


def first_reason(index: pd.Index, *checks: tuple[pd.Series, pd.Series | str]) -> pd.Series:
    """For each row, the message of the first check that fails, "" if none; a check is (failed, message)."""
    reasons = pd.Series("", index=index, dtype=str)
    for failed, message in checks:
        if not failed.any():
            continue
        here = failed & reasons.eq("")
        reasons[here] = message[here] if isinstance(message, pd.Series) else message
    return reasons


def with_malformed(quarantine: pd.DataFrame, malformed: pd.DataFrame) -> pd.DataFrame:
    """Quarantine with the lines of a label file that were no records at all."""
    both = pd.concat([quarantine, malformed.reindex(columns=QUARANTINE_COLUMNS)], ignore_index=True)
    return both.astype({"line": int})


def with_unread(quarantine: pd.DataFrame, found: FoundFiles) -> pd.DataFrame:
    """Quarantine with the sub-folders that could not be looked into, whatever they hold."""
    unread = pd.DataFrame(
        {
            "image": [printable(name) for name in found.unread],
            "reason": [f"folder that is not read: {reason}" for reason in found.unread.values()],
            "line": 0,
        }
    )
    return with_malformed(quarantine, unread)
