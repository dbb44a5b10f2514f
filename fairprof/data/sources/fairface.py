"""FairFace: the two official label files beside their image folders, or Parquet files with embedded images.

Karkkainen and Joo 2021, WACV. Its own partition is kept: the validation file is the test set.
"""

import os
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from fairprof.data.attributes import AGE_BINS, FAIRFACE_RACES, GENDERS, age_bins, count_mangled_ages, decoded
from fairprof.data.encoded_images import ImageFiles, ParquetImages
from fairprof.data.sources.listing import (
    Listing,
    files_of,
    first_reason,
    split_by_reason,
    with_malformed,
    with_unread,
)
from fairprof.data.sources.tables import read_table, require_columns, require_moderate_number
from fairprof.errors import UserError
from fairprof.runtime.files import FoundFiles, UnreadableFile, open_file

LABEL_FILES = {"fairface_label_train.csv": "train", "fairface_label_val.csv": "test"}
PARQUET_PARTITIONS = {"train": "train", "validation": "test", "val": "test", "test": "test"}


def read(folder: Path) -> Listing:
    """FairFace in `folder`.

    Raises `UserError` where the folder is missing, holds neither form, or a file lacks a column. Rows with an
    unknown label are quarantined; ages that a spreadsheet turned into dates (9-Mar for 3-9) are repaired and counted.
    """
    wanted = f"give the folder that holds {' and '.join(LABEL_FILES)}, or the Parquet files"
    found = files_of(folder, frozenset({".parquet"}), "fairface", wanted)
    return _from_parquet(folder, found) if found.paths else _from_label_files(folder)


def _from_label_files(folder: Path) -> Listing:
    missing = [name for name in LABEL_FILES if not os.path.lexists(folder / name)]
    if missing:
        raise UserError(f"fairface: no {missing[0]} and no Parquet file in {folder.absolute()}")
    tables, malformed = [], []
    for name, partition in LABEL_FILES.items():
        table, malformed_lines = read_table(folder / name, ("file", "age", "gender", "race"))
        tables.append(table.rename(columns={"file": "image"}).assign(partition=partition))
        malformed.append(malformed_lines.assign(image=name))
    records, reasons, mangled_ages = _records(pd.concat(tables, ignore_index=True))
    rows, quarantine = split_by_reason(records, reasons)
    quarantine = with_malformed(quarantine, pd.concat(malformed))
    return Listing(
        "fairface",
        rows,
        quarantine,
        ImageFiles(folder, rows["image"].array),
        races=FAIRFACE_RACES,
        mangled_ages=mangled_ages,
    )


def _from_parquet(folder: Path, found: FoundFiles) -> Listing:
    tables = [_labels_of(folder / path) for path in found.paths]
    records, reasons, mangled_ages = _records(pd.concat(tables, ignore_index=True))
    rows, quarantine = split_by_reason(records, reasons)
    places = list(zip(rows.pop("file"), rows.pop("group"), rows.pop("place"), strict=True))
    return Listing(
        "fairface",
        rows,
        with_unread(quarantine, found),
        ParquetImages(places),
        races=FAIRFACE_RACES,
        mangled_ages=mangled_ages,
    )


def _labels_of(path: Path) -> pd.DataFrame:
    """Labels of a Parquet file, with the place of every image in it; the image bytes are not read."""
    partition = PARQUET_PARTITIONS.get(path.stem.split("-")[0])
    if partition is None:
        raise UserError(
            f"fairface: {path.name} names no partition: its name should begin with "
            f"{', '.join(f'{name}-' for name in PARQUET_PARTITIONS)}"
        )
    try:
        with open_file(path) as opened:
            groups = _label_groups(pyarrow.parquet.ParquetFile(opened), path)
    except UnreadableFile as error:
        raise UserError(f"{path}: {error}: put the Parquet file there") from None
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: not a readable Parquet file: {' '.join(str(error).split())}") from None
    if not any(len(labels) for labels in groups):
        raise UserError(f"{path}: no rows")
    table = pd.concat(
        [labels.assign(group=number, place=range(len(labels))) for number, labels in enumerate(groups)],
        ignore_index=True,
    )
    names = [cell.get("path") if isinstance(cell, dict) else None for cell in table["image"]]
    table["image"] = [f"{partition}/{name}" if name else f"{path.stem}/{row}" for row, name in enumerate(names)]
    return table.assign(line=table.index + 1, partition=partition, file=path)


def _label_groups(file: pyarrow.parquet.ParquetFile, path: Path) -> list[pd.DataFrame]:
    """The labels of every row group, with the names of its images."""
    require_columns(file.schema_arrow.names, ("image", "age", "gender", "race"), path)
    image = file.schema_arrow.field("image").type
    if not pyarrow.types.is_struct(image) or {"bytes", "path"} - set(image.names):
        raise UserError(f"{path}: the column image is {image}, it should be a struct of bytes and path")
    require_moderate_number(file, path)
    return [
        file.read_row_group(group, columns=["image.path", "age", "gender", "race"]).to_pandas(
            integer_object_nulls=True, ignore_metadata=True
        )  # one missing label would turn all codes into floats
        for group in range(file.num_row_groups)
    ]


def _records(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, int]:
    texts = table[["age", "gender", "race"]].astype(str).fillna("")
    # The Parquet form codes ages by the bin's number, and a number that is no code is no age in years either.
    ages = texts["age"]
    if "file" in table:
        ages = decoded(ages, AGE_BINS).fillna(ages.mask(ages.str.isdigit(), ""))
    records = table.assign(
        age=age_bins(ages), gender=decoded(texts["gender"], GENDERS), race=decoded(texts["race"], FAIRFACE_RACES)
    )
    reasons = first_reason(
        records.index,
        (records["age"].isna(), "unknown age: " + texts["age"]),
        (records["gender"].isna(), "unknown gender: " + texts["gender"]),
        (records["race"].isna(), "unknown race: " + texts["race"]),
    )
    return records, reasons, count_mangled_ages(ages)
