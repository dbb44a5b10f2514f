"""UTKFace: labels in file names."""

import os

import pytest

from fairprof.data.sources import utkface
from fairprof.data.sources.kinds import open_source
from fairprof.runtime.files import UnreadableFile


@pytest.fixture
def listing_of(tmp_path):
    def read(*names: str | bytes):
        for name in names:
            path = os.path.join(os.fsencode(tmp_path / "faces"), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(os.path.basename(path))
        return utkface.read(tmp_path / "faces")

    return read


def test_the_real_folder_has_two_malformed_names_and_no_other_bad_row(shared):
    listing = utkface.read(shared / "data" / "utkface")
    assert len(listing.rows) == 6438 == len(listing.images)
    assert listing.quarantine["reason"].tolist() == ["malformed name: not age_gender_race_time"] * 2
    missing_a_field = [name for name in os.listdir(shared / "data" / "utkface") if name.count("_") != 3]
    assert sorted(listing.quarantine["image"]) == sorted(missing_a_field)
    assert listing.rows["image"].is_unique and listing.rows[["gender", "race", "age"]].notna().all(axis=None)
    first = listing.rows.set_index("image").loc["100_1_0_20170110183726390.jpg.chip.jpg"]
    assert first[["age", "gender", "race"]].tolist() == ["70+", "Female", "White"]
    assert listing.images.read(0)[:2] == b"\xff\xd8"


def test_names_are_labels_and_images_come_in_the_order_of_the_rows(listing_of):
    listing = listing_of("9_0_0_x.jpg", "sub/30_1_4_x.PNG", "70_1_2_x.jpg.chip.jpg", "1_0_3_x.jpeg", "notes.txt")
    labels = listing.rows.set_index("image")[["age", "gender", "race"]]
    assert labels.T.to_dict("list") == {
        "9_0_0_x.jpg": ["3-9", "Male", "White"],
        "sub/30_1_4_x.PNG": ["30-39", "Female", "Others"],
        "70_1_2_x.jpg.chip.jpg": ["70+", "Female", "Asian"],
        "1_0_3_x.jpeg": ["0-2", "Male", "Indian"],
    }
    contents = [listing.images.read(row).decode() for row in range(len(listing.images))]
    assert contents == [name.rsplit("/")[-1] for name in listing.rows["image"]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("25_0_x.jpg", "malformed name"),
        ("25_0_0_1_x.jpg", "malformed name"),
        ("face.jpg", "malformed name"),
        ("25_2_0_x.jpg", "unknown gender: 2"),
        ("25_0_5_x.jpg", "unknown race: 5"),
        ("131_0_0_x.jpg", "unknown age: 131"),
        ("-1_0_0_x.jpg", "unknown age: -1"),
        ("_0_0_x.jpg", "unknown age: "),
        ("25__0_x.jpg", "unknown gender: "),
    ],
)
def test_a_name_that_is_no_label_is_quarantined_with_its_reason(listing_of, name, reason):
    listing = listing_of(name, "25_0_0_x.jpg")
    assert listing.rows["image"].tolist() == ["25_0_0_x.jpg"] and listing.images.read(0) == b"25_0_0_x.jpg"
    (row,) = listing.quarantine.to_dict("records")
    assert row["image"] == name and row["reason"].startswith(reason)


def test_a_name_that_is_no_utf8_can_still_be_listed_and_read(listing_of):
    listing = listing_of(b"25_0_0_\xff.jpg")
    assert listing.rows["image"].tolist() == ["25_0_0_\\xff.jpg"]
    assert listing.images.read(0) == b"25_0_0_\xff.jpg"


def test_folders_that_are_not_looked_into_are_in_quarantine_and_links_end_nowhere(tmp_path, listing_of):
    faces = tmp_path / "faces"
    listing_of("25_0_0_a.jpg", "sub/30_0_0_b.jpg")
    (faces / "sub" / "loop").symlink_to(faces)
    (faces / "circle").symlink_to("circle")
    (faces / "40_0_0_linked.jpg").symlink_to(faces / "25_0_0_a.jpg")
    (faces / "50_0_0_circle.jpg").symlink_to("50_0_0_circle.jpg")
    (faces / "60_0_0_folder.jpg").mkdir()
    os.mkfifo(faces / "70_0_0_pipe.jpg")
    here = os.open(faces, os.O_RDONLY)
    for _ in range(25):  # deeper than a path of 4,096 bytes can say
        os.mkdir("deep" * 50, dir_fd=here)
        deeper = os.open("deep" * 50, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    listing = listing_of()
    assert sorted(listing.rows["image"]) == [
        *("25_0_0_a.jpg", "40_0_0_linked.jpg", "50_0_0_circle.jpg", "70_0_0_pipe.jpg", "sub/30_0_0_b.jpg")
    ]
    (deep, loop) = listing.quarantine.sort_values("image").to_dict("records")
    assert loop["image"] == "sub/loop" and "a link to a folder, which is not followed" in loop["reason"]
    assert deep["image"].count("/") in (18, 19, 20) and "path is too long" in deep["reason"]
    for name in ("50_0_0_circle.jpg", "70_0_0_pipe.jpg"):
        with pytest.raises(UnreadableFile):
            listing.images.read(listing.rows["image"].tolist().index(name))


def test_missing_and_empty_folders_are_refused(tmp_path, cache, refused):
    with refused("utkface", str(tmp_path / "nowhere")):
        open_source(f"utkface:{tmp_path / 'nowhere'}", cache)
    (tmp_path / "notes.txt").write_text("")
    for odd, reason in ((tmp_path / "notes.txt", "a file and not a folder"), (tmp_path / ("n" * 300), "too long")):
        with refused("utkface", str(odd), reason):
            open_source(f"utkface:{odd}", cache)
    (tmp_path / "linked").symlink_to("/")
    with refused("utkface", ".jpg", "linked: a link to a folder"):
        open_source(f"utkface:{tmp_path}", cache)
    with refused("data=~nosuchuser/faces", "~nosuchuser"):
        open_source("utkface:~nosuchuser/faces", cache)
    with refused("utkface", str(tmp_path), ".jpg"):
        open_source(f"utkface:{tmp_path}", cache)


@pytest.mark.parametrize("data", ["", "utkface", "utkface:", "celeba:x", "synthetic:x", "faces.csv"])
def test_what_is_no_source_is_refused_with_the_ones_there_are(cache, refused, data):
    with refused(f"data={data} ", "synthetic", "utkface:PATH", "fairface:PATH", "manifest:PATH"):
        open_source(data, cache)
