"""FairFace: the official label files, and Parquet files with embedded images."""

import collections
import csv

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from fairprof.data import encoded_images
from fairprof.data.attributes import AGE_BINS, FAIRFACE_RACES
from fairprof.data.sources import fairface
from fairprof.runtime.files import UnreadableFile

LABEL_FILES = ("fairface_label_train.csv", "fairface_label_val.csv")


@pytest.fixture(scope="module")
def official(shared):
    return fairface.read(shared / "data" / "fairface")


def test_the_label_files_hold_all_rows_and_their_partition(official):
    assert len(official.rows) == 97_698 == len(official.images) and official.quarantine.empty
    assert official.rows["partition"].value_counts().to_dict() == {"train": 86_744, "test": 10_954}
    assert official.rows["image"].is_unique
    assert official.rows.groupby("partition")["line"].agg(["min", "max"]).T.to_dict("list") == {
        "train": [2, 86_745],
        "test": [2, 10_955],
    }
    assert set(official.rows["race"]) == set(FAIRFACE_RACES) and official.races == FAIRFACE_RACES


def test_ages_that_a_spreadsheet_mangled_are_repaired_and_counted(official, shared):
    written = collections.Counter()
    for name in LABEL_FILES:
        with open(shared / "data" / "fairface" / name, newline="") as file:
            written.update(row["age"] for row in csv.DictReader(file))
    assert official.mangled_ages == 22_048 == written["9-Mar"] + written["19-Oct"]
    renamed = {"9-Mar": "3-9", "19-Oct": "10-19", "more than 70": "70+"}
    expected = {renamed.get(age, age): count for age, count in written.items()}
    assert official.rows["age"].value_counts().to_dict() == expected
    assert set(expected) == set(AGE_BINS)


def write_labels(folder, **files: str):
    for name, default in zip(
        LABEL_FILES, ("train/1.jpg,3-9,Male,White,T", "val/1.jpg,9-Mar,Female,Black,T"), strict=True
    ):
        lines = files.get(name.split("_")[-1].split(".")[0], default)
        (folder / name).write_text(f"file,age,gender,race,service_test\n{lines}\n")
    return folder


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("train/2.jpg,elderly,Male,White,T", "unknown age: elderly"),
        ("train/2.jpg,3-9,male?,White,T", "unknown gender: male?"),
        ("train/2.jpg,3-9,Male,Martian,T", "unknown race: Martian"),
        ("train/2.jpg,3-9,,White,T", "unknown gender: "),
        ("train/2.jpg,3-9,Male", "malformed line: 3 cells instead of 5"),
    ],
)
def test_a_bad_label_is_quarantined_with_its_line(tmp_path, line, reason):
    listing = fairface.read(write_labels(tmp_path, train=f"train/1.jpg,3-9,Male,White,T\n{line}"))
    assert listing.rows["image"].tolist() == ["train/1.jpg", "val/1.jpg"]
    (row,) = listing.quarantine.to_dict("records")
    assert (row["line"], row["reason"]) == (3, reason)
    assert row["image"] == ("fairface_label_train.csv" if reason.startswith("malformed") else "train/2.jpg")


def test_images_of_label_files_lie_beside_them(tmp_path):
    listing = fairface.read(write_labels(tmp_path))
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "1.jpg").write_bytes(b"second")
    assert listing.images.read(1) == b"second"
    with pytest.raises(UnreadableFile, match="no such file"):
        listing.images.read(0)


def test_folders_that_are_not_fairface_are_refused(tmp_path, refused):
    with refused("fairface", str(tmp_path / "nowhere")):
        fairface.read(tmp_path / "nowhere")
    with refused("fairface_label_train.csv", str(tmp_path)):
        fairface.read(tmp_path)
    write_labels(tmp_path)
    (tmp_path / LABEL_FILES[1]).unlink()
    with refused("fairface_label_val.csv", str(tmp_path)):
        fairface.read(tmp_path)
    (tmp_path / LABEL_FILES[1]).write_text("file,age,gender\nval/1.jpg,3-9,Male\n")
    with refused(LABEL_FILES[1], "missing column race"):
        fairface.read(tmp_path)


# --- Parquet ----------------------------------------------------------------------------------------------------


def struct_of(names) -> pyarrow.Array:
    return pyarrow.array([{"bytes": f"bytes of {name}".encode(), "path": name} for name in names])


def write_parquet(path, ages, genders, races, images=None, group=3, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = struct_of(f"{number}.jpg" for number in range(len(ages))) if images is None else images
    table = pyarrow.table(
        {"image": images, "age": ages, "gender": genders, "race": races, "service_test": [False] * len(ages)}
    )
    pyarrow.parquet.write_table(table, path, row_group_size=group, **options)


def test_parquet_codes_are_decoded_and_images_found_in_their_row_groups(tmp_path):
    write_parquet(
        tmp_path / "data" / "train-00000-of-00002.parquet",
        range(9),
        [0, 1] * 4 + [0],
        [0, 1, 2, 3, 4, 5, 6, 0, 0],
        group=2,
    )
    write_parquet(tmp_path / "data" / "train-00001-of-00002.parquet", [4], [1], [5], struct_of(["9.jpg"]))
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", [8, 0], [0, 0], [6, 6])
    listing = fairface.read(tmp_path)
    rows = listing.rows
    assert rows["partition"].tolist() == ["train"] * 10 + ["test"] * 2 and listing.quarantine.empty
    assert rows["age"].tolist() == [*AGE_BINS, "30-39", "70+", "0-2"]
    assert rows["gender"].tolist() == ["Male", "Female"] * 4 + ["Male", "Female", "Male", "Male"]
    assert rows["race"].tolist() == [*FAIRFACE_RACES, *["East Asian"] * 2, "Latino_Hispanic", *["Southeast Asian"] * 2]
    assert rows["image"].is_unique and rows["line"].tolist() == [*range(1, 10), 1, 1, 2]
    names = [f"{number}.jpg" for number in (*range(10), 0, 1)]
    for row in np.random.default_rng(0).permutation(12):
        assert listing.images.read(row) == f"bytes of {names[row]}".encode()


def test_parquet_names_mean_what_they_mean_in_label_files(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", ["9-Mar", "more than 70", "30-39"], ["Female"] * 3, ["Black"] * 3)
    listing = fairface.read(tmp_path)
    assert listing.rows["age"].tolist() == ["3-9", "70+", "30-39"] and listing.mangled_ages == 1


def test_a_bad_label_in_parquet_is_quarantined_and_the_other_images_stay_in_their_places(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", [0, 9, 2, 3, 4], [0, 1, None, 1, 5], [0, 0, 0, 0, 0], group=2)
    listing = fairface.read(tmp_path)
    assert listing.quarantine[["image", "line", "reason"]].values.tolist() == [
        ["train/1.jpg", 2, "unknown age: 9"],
        ["train/2.jpg", 3, "unknown gender: "],
        ["train/4.jpg", 5, "unknown gender: 5"],
    ]
    assert [listing.images.read(row) for row in range(2)] == [b"bytes of 0.jpg", b"bytes of 3.jpg"]


def test_images_without_bytes_or_a_path_are_empty_or_named_by_their_row(tmp_path):
    images = pyarrow.array(
        [None, {"bytes": None, "path": "a"}, {"bytes": b"b", "path": None}],
        pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}),
    )
    write_parquet(tmp_path / "train-0.parquet", [0] * 3, [0] * 3, [0] * 3, images)
    listing = fairface.read(tmp_path)
    assert listing.rows["image"].tolist() == ["train-0/0", "train/a", "train-0/2"]
    assert [listing.images.read(row) for row in range(3)] == [b"", b"", b"b"]


def test_a_damaged_row_group_is_an_unreadable_file_and_the_others_are_read(tmp_path):
    path = tmp_path / "train-0.parquet"
    write_parquet(path, [0] * 4, [0] * 4, [0] * 4, group=2, compression="snappy")
    start = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    first = start.dictionary_page_offset or start.data_page_offset
    content[first : first + start.total_compressed_size] = b"\xff" * start.total_compressed_size
    path.write_bytes(content)
    listing = fairface.read(tmp_path)
    with pytest.raises(UnreadableFile, match="damaged row group 0 of train-0.parquet"):
        listing.images.read(0)
    assert listing.images.read(3) == b"bytes of 3.jpg"


def test_a_row_group_of_many_bytes_in_a_small_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_images, "MAX_GROUP_BYTES", 2**20)
    path = tmp_path / "train-0.parquet"
    images = [{"bytes": bytes(2**20), "path": "0.jpg"}, {"bytes": b"second", "path": "1.jpg"}]
    table = pyarrow.table({"image": images, "age": [0, 1], "gender": [0, 1], "race": [0, 1]})
    pyarrow.parquet.write_table(table, path, row_group_size=1, compression="zstd")
    assert path.stat().st_size < 10_000
    listing = fairface.read(tmp_path)
    with pytest.raises(UnreadableFile, match="row group 0 holds 1,04.* bytes, more than 1,048,576"):
        listing.images.read(0)
    assert listing.images.read(1) == b"second"


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (pyarrow.array([b"x"]), "binary"),
        (pyarrow.array([{"path": "x"}]), "struct<path: string>"),
        (pyarrow.array([{"bytes": b"x"}]), "struct<bytes: binary>"),
    ],
)
def test_a_parquet_column_image_of_another_form_is_refused(tmp_path, refused, images, what):
    write_parquet(tmp_path / "train-0.parquet", [0], [0], [0], images)
    with refused("train-0.parquet", f"image is {what}"):
        fairface.read(tmp_path)


def test_parquet_files_that_cannot_be_fairface_are_refused_with_their_name(tmp_path, refused):
    write_parquet(tmp_path / "a" / "extra-0.parquet", [0], [0], [0])
    with refused("extra-0.parquet", "train-", "validation-"):
        fairface.read(tmp_path / "a")
    write_parquet(
        tmp_path / "b" / "train-0.parquet",
        [],
        [],
        [],
        pyarrow.array([], pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
    )
    with refused("train-0.parquet", "no rows"):
        fairface.read(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "train-0.parquet").write_bytes(b"PAR1 no")
    with refused("train-0.parquet", "not a readable Parquet file"):
        fairface.read(tmp_path / "c")
    (tmp_path / "d").mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"image": struct_of(["a"])}), tmp_path / "d" / "train-0.parquet")
    with refused("train-0.parquet", "missing column age"):
        fairface.read(tmp_path / "d")
