"""Pixels in shards: the pool that they were written from, read by row, and damage that is named."""

import io
import os
import tarfile

import numpy as np
import pandas as pd
import pytest

from fairprof.config import Settings
from fairprof.data import shards
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pixels import StreamedPixels
from fairprof.data.pool import load_pool, screened_rows
from fairprof.data.shards import require_new, write_shards
from fairprof.serving import Preprocessing
from tests.damages import flip_bit

SIZE = 56  # an input of 56 is stored at 64 pixels
ROOM = 10.0


@pytest.fixture
def faces_of(tmp_path, write_image, write_manifest):
    """A manifest of 48 images, of which one is no image and one a copy under another age; a row has no race."""

    def make(**columns) -> str:
        rows = []
        for number in range(48):
            write_image(tmp_path / f"{number:02d}.png", number % 47)
            cell = {"gender": "mf"[number % 2], "race": "xy"[number // 2 % 2], "age": str(number)}
            rows.append({"image": f"{number:02d}.png", **cell, **columns})
        (tmp_path / "05.png").write_bytes(b"no image")
        return write_manifest([*rows, rows[0] | {"image": "49.png", "race": ""}])

    return make


@pytest.fixture
def written(faces_of, make_settings, tmp_path, monkeypatch):
    """Settings of the faces, and of their shards of twenty images."""
    monkeypatch.setattr(shards, "IMAGES", 20)
    settings = make_settings(data=faces_of())
    screened = screened_rows(settings, SIZE)
    write_shards(tmp_path / "shards", screened.listing, screened.pixels, ROOM)
    return settings, make_settings(data=f"shards:{tmp_path / 'shards'}")


def test_the_pool_of_shards_is_the_one_that_they_were_written_from(written):
    pools = [load_pool(settings, SIZE) for settings in written]
    pd.testing.assert_frame_equal(pools[0].table, pools[1].table)
    texts = [pool.quarantine.fillna("").astype(str) for pool in pools]
    pd.testing.assert_frame_equal(*texts)
    assert pools[0].fingerprint == pools[1].fingerprint
    assert pools[0].pixel_cache.key == pools[1].pixel_cache.key  # outputs of a frozen network are shared as well
    assert sorted(pools[1].quarantine["image"]) == ["00.png", "05.png", "47.png", "49.png"]
    draws = [draw(pool, DESIGNS["D"], written[0]) for pool in pools]
    assert draws[0].fingerprint == draws[1].fingerprint
    np.testing.assert_array_equal(pools[0].pixel_cache.array[:], pools[1].pixel_cache.array[:])


@pytest.mark.parametrize("rows", [3, 47, slice(18, 42), np.array([41, 0, 19, 20, 0]), np.array([], dtype=int)], ids=str)
def test_rows_are_indexed_as_those_of_an_array(rows, written):
    array, stored = (load_pool(settings, SIZE).pixel_cache.array for settings in written)
    np.testing.assert_array_equal(stored[rows], array[rows])
    assert stored[rows].shape == array[rows].shape and stored[rows].dtype == np.uint8 and len(stored) == 48


def test_a_draw_needs_the_table_alone(written, tmp_path):
    expected = [load_pool(settings, None).fingerprint for settings in written]
    for path in (tmp_path / "shards").glob("*"):
        if path.name not in ("rows.parquet", "quarantine.parquet", "shards.json"):
            path.unlink()
    pool = load_pool(written[1], None)
    assert [pool.fingerprint] * 2 == expected
    assert len(draw(pool, DESIGNS["D"], written[1]).train)


def test_shards_are_tar_files_of_arrays(written, tmp_path):
    stored = load_pool(written[1], SIZE).pixel_cache.array
    seen = []
    for path in sorted((tmp_path / "shards").glob("*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                image = np.load(io.BytesIO(shard.extractfile(member).read()), allow_pickle=False)
                np.testing.assert_array_equal(image, stored[int(member.name.removesuffix(".npy"))])
                seen.append(member.name)
    assert seen == [f"{row:09d}.npy" for row in range(48)]


def test_pixels_that_no_cache_holds_are_written_as_well(faces_of, make_settings, tmp_path):
    settings = make_settings(data=faces_of(), cache_gib=0.0001)
    screened = screened_rows(settings, SIZE)
    assert isinstance(screened.pixels.array, StreamedPixels)
    write_shards(tmp_path / "shards", screened.listing, screened.pixels, ROOM)
    stored = load_pool(make_settings(data=f"shards:{tmp_path / 'shards'}"), SIZE).pixel_cache.array
    np.testing.assert_array_equal(stored[:], screened.pixels.array[:])


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def exchange(path):
    path.write_bytes(path.with_name("shard-000001.tar").read_bytes())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: flip_bit(path, 2000), "000000000.npy is not as it was written"),
        (exchange, "000000000.npy is not as it was written"),
        (cut, "shard-000000.tar ends before 000000010.npy"),
        (lambda path: path.unlink(), "no file"),
        (lambda path: path.write_bytes(b""), "shard-000000.tar"),
    ],
    ids=["flipped", "exchanged", "cut", "removed", "empty"],
)
def test_a_damaged_shard_is_named_at_the_first_row_that_is_read_of_it(damage, said, written, tmp_path, refused):
    pool = load_pool(written[1], SIZE)
    path = tmp_path / "shards" / "shard-000000.tar"
    damage(path)
    with refused(str(path), said):
        pool.pixel_cache.array[:]
    assert pool.pixel_cache.array[30].any()  # other shards are read as before


@pytest.mark.parametrize("name", ["rows.parquet", "records.parquet", "quarantine.parquet", "shards.json"])
@pytest.mark.parametrize(
    "damage", [lambda path: flip_bit(path, 100), lambda path: path.unlink()], ids=["flipped", "no"]
)
def test_a_damaged_table_is_named(name, damage, written, tmp_path, refused):
    path = tmp_path / "shards" / name
    damage(path)
    with refused(str(path)):
        load_pool(written[1], SIZE)


def test_another_size_than_that_of_the_network_is_refused(written, refused):
    with refused("its images are 64 px", "image_size=112 needs 128 px", "image_size=56"):
        load_pool(written[1], 112)


@pytest.mark.parametrize(
    ("crop", "said"),
    [
        (0.95, "needs 59 px for the crop of this architecture: write shards with image_size=52"),
        (56 / 68, "needs 68 px for the crop of this architecture, which no shards have"),
    ],
)
def test_shards_of_another_crop_are_refused_with_the_size_to_write(crop, said, written, refused):
    with refused(said):
        load_pool(written[1], 56, Preprocessing(crop=crop))


def test_nothing_is_written_over_what_is_there(written, tmp_path, refused):
    with refused("there is such a folder already: give a new one"):
        require_new(tmp_path / "shards")


def test_a_folder_without_shards_is_refused(make_settings, tmp_path, refused):
    with refused(f"no file {tmp_path / 'shards.json'}", "prepare"):
        load_pool(make_settings(data=f"shards:{tmp_path}"), SIZE)


def test_a_training_setting_takes_shards():
    assert Settings(data="shards:faces").data == "shards:faces"


def test_no_word_of_the_description_can_change_unseen(written, tmp_path, refused):
    path = tmp_path / "shards" / "shards.json"
    text = path.read_text().replace(": ", ":")
    for found, changed in (
        ('"mangled_ages":0', '"mangled_ages":1'),
        ('"key":"', '"key":"0'),
        ('"manifest"', '"utkface"'),
    ):
        assert found in text
        path.write_text(text.replace(found, changed))
        with refused(str(path), "not as it was written"):
            load_pool(written[1], None)
    path.write_text(text)
    assert len(load_pool(written[1], None).table)
