"""Near-duplicates and persons of real files: who belongs together, whose labels disagree, and where they lie."""

import pytest
from PIL import Image

from fairprof.commands.prepare.duplicates import near_duplicates, persons, summary
from fairprof.commands.prepare.sheets import cell_sheets, duplicates_sheet


@pytest.fixture
def copied(pictured, tmp_path):
    """Five images in each of eight cells, a near-duplicate of 0000 under another gender, two of 0009, and one identical
    file."""
    rows = pictured(5, person="")
    for name, of, changes in (
        ("copy-a.jpg", 0, {"gender": "f"}),
        ("copy-b.jpg", 9, {}),
        ("copy-c.jpg", 9, {}),
    ):
        Image.open(tmp_path / rows[of]["image"]).save(tmp_path / name, quality=95 if name < "copy-c" else 90)
        rows.append({**rows[of], "image": name, **changes})
    (tmp_path / "same.png").write_bytes((tmp_path / "0003.png").read_bytes())
    rows.append({**rows[3], "image": "same.png"})
    rows[10]["person"] = rows[11]["person"] = "Ada"  # of one gender each
    rows[12]["person"] = "Grace"
    return rows


def test_groups_of_near_duplicates_with_their_labels_and_partition(copied, screened_of, pool_of):
    screened, pool = screened_of(copied, True), pool_of(copied, True)
    found = near_duplicates(screened, pool)
    assert found["image"].tolist() == ["0009.png", "copy-b.jpg", "copy-c.jpg", "0000.png", "copy-a.jpg"]
    assert found["group"].tolist() == [1, 1, 1, 2, 2] and found["size"].tolist() == [3, 3, 3, 2, 2]
    assert found["conflicts"].tolist() == ["", "", "", "gender", "gender"]
    assert found.groupby("group")["partition"].nunique().eq(1).all() and found["partition"].ne("").all()
    assert summary(found) == {
        "groups": 2,
        "images": 5,
        "largest": 3,
        "conflicts_gender": 1,
        "conflicts_race": 0,
        "conflicts_age": 0,
        "split": 0,
        "put_aside": 0,
    }


def test_persons_are_told_apart_from_pictures(copied, screened_of, pool_of):
    found = persons(screened_of(copied, True), pool_of(copied, True))
    assert found["image"].tolist() == ["0010.png", "0011.png"] and found["person"].tolist() == ["Ada", "Ada"]
    assert found["conflicts"].eq("profession").all() and found["partition"].nunique() == 1


def test_images_beside_a_test_image_are_put_aside_and_said_to_be(pictured, screened_of, pool_of, tmp_path):
    rows = [row | {"partition": ("train", "val", "test")[number // 8]} for number, row in enumerate(pictured(3))]
    Image.open(tmp_path / "0020.png").save(tmp_path / "copy.jpg", quality=95)
    rows.append({**rows[20], "image": "copy.jpg", "partition": "train"})
    found = near_duplicates(screened_of(rows, True), pool_of(rows, True))
    assert found["image"].tolist() == ["0020.png", "copy.jpg"] and found["partition"].tolist() == ["test", ""]
    assert summary(found)["put_aside"] == 1 and summary(found)["split"] == 0


def test_where_no_two_pictures_are_alike_there_is_no_group(pictured, screened_of, pool_of):
    rows = pictured(2)
    found = near_duplicates(screened_of(rows, True), pool_of(rows, True))
    assert found.empty and summary(found)["groups"] == summary(found)["put_aside"] == 0


def test_labels_alone_have_no_near_duplicates(copied, screened_of):
    found = near_duplicates(screened_of(copied), None)
    assert found.empty and summary(found)["groups"] == summary(found)["largest"] == 0


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_the_sheet_of_near_duplicates_shows_every_image_with_its_labels(copied, screened_of, pool_of):
    screened = screened_of(copied, True)
    figure = duplicates_sheet(near_duplicates(screened, pool_of(copied, True)), screened.pixels)
    found = texts(figure)
    assert found[0] == "group 2: 2 images\ndisagree: gender"  # conflicts come first
    assert found[1].startswith("group 1: 3 images")
    assert sorted(found[2:4]) == ["f\nx", "m\nx"] and len(found) == 2 + 5 + 1
    assert "2 of 2 groups" in found[-1]


def test_sheets_have_every_cell_and_the_same_images_every_time(pictured, pool_of):
    rows = [row for row in pictured(3) if not (row["race"], row["gender"], row["profession"]) == ("y", "f", "nurse")]
    pool = pool_of(rows, True)
    pages = dict(cell_sheets(pool, 2, seed=0))
    assert list(pages) == ["x", "y"]
    assert texts(pages["y"])[:4] == [
        "cook\nf\n2 of 3 images",
        "cook\nm\n2 of 3 images",
        "nurse\nf\n0 of 0 images",
        "nurse\nm\n2 of 3 images",
    ]
    mosaics = [dict(cell_sheets(pool, 2, seed))["x"].axes[0].images[0].get_array() for seed in (0, 0, 1)]
    assert mosaics[0].tolist() == mosaics[1].tolist() != mosaics[2].tolist()
    assert len(dict(cell_sheets(pool, 100, seed=0))) == 2  # no more lines than there are images
