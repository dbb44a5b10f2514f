"""UTKFace: a folder of images whose names hold the labels, ``age_gender_race_time.jpg.chip.jpg``."""

from pathlib import Path

import pandas as pd

from fairprof.data.attributes import GENDERS, UTKFACE_RACES, age_bins, decoded
from fairprof.data.encoded_images import ImageFiles
from fairprof.data.sources.listing import (
    Listing,
    files_of,
    first_reason,
    printable,
    split_by_reason,
    with_unread,
)
from fairprof.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def read(folder: Path) -> Listing:
    """The images of `folder` and its sub-folders.

    Raises `UserError` where the folder is missing or holds no image. Names that lack a field, hold an unknown
    code or an impossible age are quarantined, and so are sub-folders that cannot be looked into.
    """
    found = files_of(folder, SUFFIXES, "utkface", "give the folder that holds the image files")
    if not found.paths:
        unread = "".join(f"; {printable(name)}: {reason}" for name, reason in list(found.unread.items())[:1])
        raise UserError(f"utkface: no {'/'.join(sorted(SUFFIXES))} file in {folder.absolute()}{unread}")
    names = {printable(name): name for name in found.paths}
    records = _records(list(names))
    rows, quarantine = split_by_reason(records, records.pop("reason"))
    images = ImageFiles(folder, [names[text] for text in rows["image"]])
    return Listing("utkface", rows, with_unread(quarantine, found), images, races=UTKFACE_RACES)


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
