"""UTKFace: a folder of images whose names hold the labels, ``age_gender_race_time.jpg.chip.jpg``."""

from pathlib import Path

import pandas as pd

from fairprof.data.attributes import GENDERS, UTKFACE_RACES, age_bins, decoded
from fairprof.data.encoded_images import ImageFiles
from fairprof.data.sources.listing import Listing, first_reason, split_by_reason
from fairprof.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png"}


def read(folder: Path) -> Listing:
    """The images of `folder` and its sub-folders.

    Raises `UserError` where the folder is missing or holds no image. Names that lack a field, hold an unknown
    code or an impossible age are quarantined.
    """
    if not folder.is_dir():
        raise UserError(f"utkface: no folder {folder.absolute()}: give the folder that holds the image files")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"utkface: no {'/'.join(sorted(SUFFIXES))} file in {folder.absolute()}")
    names = {_text(name): name for name in (path.relative_to(folder).as_posix() for path in paths)}
    records = _records(list(names))
    rows, quarantine = split_by_reason(records, records.pop("reason"))
    images = ImageFiles(folder, [names[text] for text in rows["image"]])
    return Listing("utkface", rows, quarantine, images, races=UTKFACE_RACES)


def _text(name: str) -> str:
    """A file name as text that any table can hold: bytes that are no UTF-8 appear as in ``\\xff``."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _records(names: list[str]) -> pd.DataFrame:
    fields = [name.rsplit("/", 1)[-1].split("_") for name in names]
    well_formed = pd.Series([len(parts) == 4 for parts in fields])
    codes = pd.DataFrame(
        [parts[:3] if len(parts) == 4 else ["", "", ""] for parts in fields],
        columns=["age", "gender", "race"],
        dtype=str,
    )
    records = pd.DataFrame(
        {
            "image": pd.Series(names, dtype=str),
            "line": 0,
            "gender": decoded(codes["gender"], GENDERS),
            "race": decoded(codes["race"], UTKFACE_RACES),
            "age": age_bins(codes["age"]),
        }
    )
    records["reason"] = first_reason(
        records.index,
        (~well_formed, "malformed name: not age_gender_race_time"),
        (records["age"].isna(), "unknown age: " + codes["age"]),
        (records["gender"].isna(), "unknown gender: " + codes["gender"]),
        (records["race"].isna(), "unknown race: " + codes["race"]),
    )
    return records
