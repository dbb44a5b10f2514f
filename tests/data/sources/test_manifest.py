"""Manifests: any vocabulary, and every bad line with its reason."""

import os

import pandas as pd
import pytest

from fairprof.data.pool import load_pool
from fairprof.data.sources import manifest

GOOD = {"image": "a.jpg", "gender": "m", "race": "w", "profession": "nurse"}


@pytest.fixture
def listing_of(write_manifest):
    return lambda *rows: manifest.read(manifest.Path(write_manifest(list(rows)).removeprefix("manifest:")))


def test_any_vocabulary_is_taken_as_it_is_and_paths_are_relative_to_the_file(tmp_path, listing_of):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ä 1.jpg").write_bytes(b"relative")
    (tmp_path / "absolute.jpg").write_bytes(b"absolute")
    listing = listing_of(
        {"image": "in/ä 1.jpg", "gender": " 女 ", "race": "Sámi, other", "profession": "0", "person": "p1"},
        {"image": str(tmp_path / "absolute.jpg"), "gender": "x", "race": "y", "profession": "nan", "person": ""},
    )
    assert listing.quarantine.empty
    assert listing.rows[["gender", "race", "profession", "person"]].values.tolist() == [
        ["女", "Sámi, other", "0", "p1"],
        ["x", "y", "nan", ""],
    ]
    assert [listing.images.read(row) for row in range(2)] == [b"relative", b"absolute"]


def test_ages_become_bins_in_every_spelling(listing_of):
    ages = ["34", "3-9", "9-Mar", "more than 70", "101"]
    rows = [{"image": f"{age}.jpg", "gender": "m", "race": "w", "age": age} for age in ages]
    listing = listing_of(*rows)
    assert listing.rows["age"].tolist() == ["30-39", "3-9", "3-9", "70+", "70+"] and listing.mangled_ages == 1


def test_an_age_beside_a_profession_is_kept_where_it_is_one(listing_of):
    listing = listing_of({**GOOD, "age": "34"}, {**GOOD, "image": "b.jpg", "age": "unknown"})
    assert listing.quarantine.empty and listing.rows["age"].fillna("none").tolist() == ["30-39", "none"]


def test_partitions_have_their_usual_spellings(listing_of):
    names = ["train", "Validation", "VAL", "test "]
    listing = listing_of(*({**GOOD, "image": f"{name}.jpg", "partition": name} for name in names))
    assert listing.rows["partition"].tolist() == ["train", "val", "val", "test"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"gender": ""}, "empty cell: gender"),
        ({"race": "  "}, "empty cell: race"),
        ({"profession": ""}, "empty cell: profession"),
        ({"image": "", "gender": "x"}, "empty cell: image"),
        ({"partition": ""}, "empty cell: partition"),
        ({"partition": "holdout"}, "unknown partition: holdout"),
    ],
)
def test_a_bad_cell_is_quarantined_with_its_line(listing_of, bad, reason):
    good = {**GOOD, "partition": "train"}
    listing = listing_of(good, {**good, "image": "b.jpg", **bad}, {**good, "image": "c.jpg"})
    assert listing.rows["image"].tolist() == ["a.jpg", "c.jpg"] and len(listing.images) == 2
    (row,) = listing.quarantine.to_dict("records")
    assert (row["line"], row["reason"]) == (3, reason) and isinstance(row["line"], int)


def test_an_impossible_age_is_quarantined_where_the_profession_is_drawn_from_it(listing_of):
    row = {"image": "a.jpg", "gender": "m", "race": "w", "age": "34"}
    listing = listing_of(row, {**row, "image": "b.jpg", "age": "340"}, {**row, "image": "c.jpg", "age": ""})
    assert listing.quarantine[["image", "line", "reason"]].values.tolist() == [
        ["b.jpg", 3, "unknown age: 340"],
        ["c.jpg", 4, "empty cell: age"],
    ]


def test_a_ragged_line_is_quarantined_under_the_name_of_the_file(tmp_path):
    (tmp_path / "m.csv").write_text("image,gender,race,profession\n\na,m,w,x\nb,m,w\n\nc,m,w,x,y\nd,m,w,x\n")
    listing = manifest.read(tmp_path / "m.csv")
    assert listing.rows[["image", "line"]].values.tolist() == [["a", 3], ["d", 7]]
    assert listing.quarantine[["image", "line", "reason"]].values.tolist() == [
        ["m.csv", 4, "malformed line: 3 cells instead of 4"],
        ["m.csv", 6, "malformed line: 5 cells instead of 4"],
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    (tmp_path / "m.csv").write_text("image,gender,race,profession\na,m,w,x\n", encoding="utf-8-sig")
    assert manifest.read(tmp_path / "m.csv").rows["image"].tolist() == ["a"]


def test_parquet_says_the_same_as_csv(tmp_path, listing_of):
    rows = [{**GOOD, "image": f"{number}.jpg", "partition": "test", "age": number} for number in range(4)]
    rows[2]["race"] = ""
    from_csv = listing_of(*rows)
    pd.DataFrame(rows).to_parquet(tmp_path / "m.parquet")
    from_parquet = manifest.read(tmp_path / "m.parquet")
    pd.testing.assert_frame_equal(from_parquet.rows.drop(columns="line"), from_csv.rows.drop(columns="line"))
    assert from_parquet.quarantine["line"].tolist() == [3] and from_csv.quarantine["line"].tolist() == [4]


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("gender,race,profession", ["missing column image"]),
        ("image,race,profession", ["missing column gender"]),
        ("image,gender,profession", ["missing column race"]),
        ("image,gender,race", ["profession", "age"]),
    ],
)
def test_a_missing_column_is_named_with_its_file(tmp_path, refused, header, texts):
    (tmp_path / "m.csv").write_text(f"{header}\n{','.join('x' for _ in header.split(','))}\n")
    with refused(str(tmp_path / "m.csv"), *texts):
        manifest.read(tmp_path / "m.csv")


def test_missing_files_folders_and_other_encodings_are_refused(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "sparse.csv").touch()
    os.truncate(tmp_path / "sparse.csv", 40 * 2**30)
    for path, reason in (
        (tmp_path, "a folder and not a file"),
        (tmp_path / "nowhere.csv", "no such file"),
        (tmp_path / "pipe.csv", "a named pipe"),
        (tmp_path / "sparse.csv", "42,949,672,960 bytes"),
        (tmp_path / ("n" * 300), "too long"),
        (manifest.Path("/dev/zero"), "a device"),
    ):
        with refused(str(path), reason, "give a CSV or Parquet file"):
            manifest.read(path)
    (tmp_path / "m.csv").write_bytes("image,gender,race,profession\na,m,Métis,x\n".encode("latin-1"))
    with refused("m.csv", "UTF-8"):
        manifest.read(tmp_path / "m.csv")


def test_names_of_300_letters_and_other_impossible_ones_go_to_quarantine(tmp_path, write_image, make_settings):
    rows = []
    for number in range(20):
        write_image(tmp_path / f"{number}.png", seed=number)
        rows.append(
            {"image": f"{number}.png", "gender": "mw"[number % 2], "race": "x", "profession": "ab"[number // 10]}
        )
    names = [
        "n" * 300,
        "d/" * 3000 + "e.png",
        "0.png/1.png",
        "pipe.png",
        "loop.png",
        "\x1b[31m\x07.png",
        "zero\x00.png",
    ]
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    rows += [{**rows[0], "image": name} for name in names]
    pd.DataFrame(rows).to_parquet(tmp_path / "m.parquet")
    settings = make_settings(data=f"manifest:{tmp_path / 'm.parquet'}", max_quarantined_share=0.5)
    pool = load_pool(settings, 32)
    assert len(pool.table) == 20
    reasons = dict(zip(pool.quarantine["image"], pool.quarantine["reason"], strict=True))
    assert reasons == {
        names[0]: "unreadable file (its name or path is too long)",
        names[1]: "unreadable file (its name or path is too long)",
        names[2]: "unreadable file (a part of its path is a file and not a folder)",
        names[3]: "unreadable file (a named pipe and not a regular file)",
        names[4]: "unreadable file (its links lead in a circle)",
        names[5]: "missing image",
        names[6]: "missing image",
    }
