"""Any data set: a CSV or Parquet file with `image`, `gender`, `race` and `profession` or `age`, any vocabulary."""

from pathlib import Path

import pandas as pd

from fairprof.data.attributes import age_bins, count_mangled_ages
from fairprof.data.encoded_images import ImageFiles
from fairprof.data.sources.listing import Listing, RegionFiles, first_reason, split_by_reason, with_malformed
from fairprof.data.sources.tables import read_table
from fairprof.errors import UserError

REQUIRED = ("image", "gender", "race")
PARTITIONS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


def read(path: Path) -> Listing:
    """The manifest `path`; image paths are relative to it, `person`, `partition` and `regions` are optional.

    regions: the path of the image's region mask, which is read when it is needed; empty where there is none.

    Raises `UserError` where the file is missing or malformed, or lacks a column. Rows with an empty cell, an
    impossible age or an unknown partition are quarantined.
    """
    table, malformed = read_table(path, REQUIRED)
    if not {"profession", "age"} & set(table.columns):
        raise UserError(f"{path}: missing column profession (or age, from which a pseudo-profession is drawn)")
    label = "profession" if "profession" in table else "age"
    used = [*REQUIRED, label, *(name for name in ("partition",) if name in table)]
    texts = table[used].apply(lambda column: column.str.strip())
    records = table.assign(**texts)
    reasons = [(texts[name].eq(""), f"empty cell: {name}") for name in used]
    mangled_ages = 0
    if "age" in table:
        ages = table["age"].str.strip()
        mangled_ages = count_mangled_ages(ages)
        records["age"] = age_bins(ages)
        if label == "age":
            reasons.append((records["age"].isna(), "unknown age: " + ages))
    if "partition" in used:
        records["partition"] = texts["partition"].str.lower().map(PARTITIONS)
        reasons.append((records["partition"].isna(), "unknown partition: " + texts["partition"]))
    rows, quarantine = split_by_reason(records, first_reason(records.index, *reasons))
    quarantine = with_malformed(quarantine, malformed.assign(image=path.name))
    images = ImageFiles(path.parent, rows["image"].array)
    regions = _regions(path, rows, images)
    return Listing("manifest", rows, quarantine, images, mangled_ages=mangled_ages, regions=regions)


def _regions(path: Path, rows: pd.DataFrame, images: ImageFiles) -> RegionFiles | None:
    if "regions" not in rows:
        return None
    places = f"{path}, {'row' if path.suffix.lower() == '.parquet' else 'line'} " + rows["line"].astype(str)
    return RegionFiles(images, path.parent, rows["regions"].str.strip().array, places.array)
