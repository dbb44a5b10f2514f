"""The pixel cache: built once, keyed by content and size, whole or absent, with a reason for every bad image."""

import dataclasses
import errno
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from fairprof import serving
from fairprof.data import encoded_images
from fairprof.data.encoded_images import ImageFiles, ParquetImages
from fairprof.data.pixels import ARRAY, RECORDS, StreamedPixels, _decode_all, cached_pixels, perceptual_bits
from fairprof.runtime.cache import DESCRIPTION, Cache
from fairprof.runtime.checksums import CHECKSUMS
from fairprof.runtime.files import atomic_folder, sha256_of
from tests.damages import DAMAGES, flip_bit

SIZE = 56  # an input of 56 is stored at 64 pixels


@pytest.fixture
def images(tmp_path, write_image):
    """More images than a task of the decoder holds."""
    for number in range(40):
        write_image(tmp_path / f"{number}.png", number)
    return ImageFiles(tmp_path, [f"{number}.png" for number in range(40)])


class CountedImages(ImageFiles):
    """Images that remember which of them were read."""

    def __init__(self, images: ImageFiles):
        super().__init__(images.folder, images.names)
        self.read_rows: list[int] = []

    def read(self, row):
        self.read_rows.append(row)
        return super().read(row)


def folders(cache: Cache) -> list[Path]:
    return sorted(path for path in (cache.folder / "pixels").iterdir() if path.is_dir())


def test_pixels_and_records_are_those_of_the_files(cache, images):
    pixels = cached_pixels(images, SIZE, cache)
    assert pixels.array.shape == (40, 64, 64, 3) and pixels.array.dtype == np.uint8
    assert isinstance(pixels.array, np.memmap) and not pixels.array.flags.writeable
    assert pixels.records["reason"].eq("").all()
    for row in (0, 31, 32, 39):
        expected = Image.open(images.path(row)).resize((64, 64), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels.array[row], expected)
        assert pixels.records["sha256"][row] == sha256_of(images.path(row))
        bits = imagehash.phash(expected, hash_size=16).hash.ravel()
        packed = perceptual_bits(pixels.records["perceptual_hash"])[row]
        np.testing.assert_array_equal(np.unpackbits(packed).astype(bool), bits)


def test_a_second_call_opens_what_the_first_decoded_and_marks_it_as_used(cache, images):
    first = cached_pixels(images, SIZE, cache)
    (folder,) = folders(cache)
    before = [(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.iterdir())]
    os.utime(folder, (1, 1))
    second = cached_pixels(ImageFiles(images.folder, list(images.names)), SIZE, cache)
    assert folders(cache) == [folder] and folder.stat().st_mtime > 1
    assert before == [(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.iterdir())]
    np.testing.assert_array_equal(first.array, second.array)
    pd.testing.assert_frame_equal(first.records, second.records)
    assert first.key == second.key == folder.name


def test_another_size_other_content_and_another_order_have_a_cache_of_their_own(cache, images, write_image):
    original = cached_pixels(images, SIZE, cache)
    small = cached_pixels(images, 32, cache)
    assert small.array.shape == (40, 37, 37, 3)
    reverse = cached_pixels(ImageFiles(images.folder, images.names[::-1]), SIZE, cache)
    np.testing.assert_array_equal(reverse.array, original.array[::-1])
    write_image(images.path(0), seed=1000)
    changed = cached_pixels(images, SIZE, cache)
    assert (changed.array[0] != original.array[0]).any()
    np.testing.assert_array_equal(changed.array[1:], original.array[1:])
    assert {path.name for path in folders(cache)} == {original.key, small.key, reverse.key, changed.key}


@pytest.fixture
def damaged_images(tmp_path, write_image):
    """One good image after one of every kind that cannot be decoded."""
    good = write_image(tmp_path / "good.png")
    (tmp_path / "zero.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:1000])
    (tmp_path / "text.png").write_text("not found")
    (tmp_path / "folder.png").mkdir()
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png", compress_level=1)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "sparse.png").touch()
    os.truncate(tmp_path / "sparse.png", 40 * 2**30)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket.png"))
    odd = ("pipe", "device", "loop", "sparse", "socket", "n" * 300)
    names = ("missing", "\0", "zero", "cut", "text", "folder", *odd, "huge", "good")
    return ImageFiles(tmp_path, [f"{name}.png" for name in names])


def test_images_that_fail_have_their_reason_and_the_others_their_pixels(cache, damaged_images):
    pixels = cached_pixels(damaged_images, SIZE, cache)
    reasons = dict(zip(damaged_images.names, pixels.records["reason"], strict=True))
    assert reasons.pop("cut.png").startswith("truncated or damaged image")
    assert reasons == {
        "missing.png": "missing image",
        "\0.png": "missing image",
        "zero.png": "empty file",
        "text.png": "not an image in a known format",
        "folder.png": "unreadable file (a folder and not a file)",
        "pipe.png": "unreadable file (a named pipe and not a regular file)",
        "device.png": "unreadable file (a device and not a regular file)",
        "loop.png": "unreadable file (its links lead in a circle)",
        "sparse.png": "unreadable file (file of 42,949,672,960 bytes, more than 67,108,864)",
        "socket.png": "unreadable file (a socket and not a regular file)",
        f"{'n' * 300}.png": "unreadable file (its name or path is too long)",
        "huge.png": "more than 50,000,000 pixels",
        "good.png": "",
    }
    assert not pixels.array[:-1].any() and pixels.array[-1].any()


def test_files_are_read_up_to_what_the_served_model_takes():
    assert encoded_images.MAX_BYTES == serving.MAX_BYTES


def test_an_image_that_was_missing_is_decoded_once_it_is_there(tmp_path, cache, write_image):
    write_image(tmp_path / "early.png")
    images = ImageFiles(tmp_path, ["early.png", "late.png"])
    assert cached_pixels(images, SIZE, cache).records["reason"].tolist() == ["", "missing image"]
    write_image(tmp_path / "late.png", seed=1)
    assert cached_pixels(images, SIZE, cache).records["reason"].tolist() == ["", ""]


def test_images_none_of_which_exists_are_refused_with_the_first_place(tmp_path, cache, refused):
    images = ImageFiles(tmp_path, ["one.png", "two.png"])
    with refused("none of the 2 images", str(tmp_path / "one.png")):
        cached_pixels(images, SIZE, cache)


def test_a_lock_that_another_process_holds_is_an_error_after_the_timeout(cache, images, refused, held):
    lock = cache.entry("pixels", f"{cached_pixels(images, SIZE, cache).key}.lock")
    with held(lock), refused("the pixel cache is in use", str(lock), "0.2 s", "cache_dir"):
        cached_pixels(images, SIZE, dataclasses.replace(cache, lock_timeout=0.2))


def test_threads_that_need_the_same_cache_decode_it_once(cache, images):
    patient = dataclasses.replace(cache, lock_timeout=30.0)
    counted = CountedImages(images)
    with ThreadPoolExecutor(3) as executor:
        jobs = [executor.submit(cached_pixels, counted, SIZE, patient) for _ in range(3)]
        arrays = [job.result().array for job in jobs]
    assert sorted(counted.read_rows) == list(range(40))
    assert all(np.array_equal(array, arrays[0]) for array in arrays)


@pytest.fixture
def embedded_images(tmp_path, images):
    """The same images in the row groups of a Parquet file."""
    column = [{"bytes": images.read(row), "path": name} for row, name in enumerate(images.names)]
    pyarrow.parquet.write_table(pyarrow.table({"image": column}), tmp_path / "a.parquet", row_group_size=4)
    return ParquetImages([(tmp_path / "a.parquet", row // 4, row % 4) for row in range(40)])


def test_parquet_images_have_the_pixels_of_the_files_and_every_row_group_is_read_once(cache, images, embedded_images):
    pixels = cached_pixels(embedded_images, SIZE, cache)
    np.testing.assert_array_equal(pixels.array, cached_pixels(images, SIZE, cache).array)
    # however the threads take turns: of ten groups eight are kept, and none is that far behind
    assert embedded_images._contents.cache_info().misses == 10


def test_a_failure_leaves_nothing_half_written_and_the_next_call_succeeds(cache, images):
    class InterruptedImages(ImageFiles):
        def read(self, row):
            if row == 35:
                raise ZeroDivisionError
            return super().read(row)

    with pytest.raises(ZeroDivisionError):
        cached_pixels(InterruptedImages(images.folder, images.names), SIZE, cache)
    assert folders(cache) == []
    assert cached_pixels(images, SIZE, cache).records["reason"].eq("").all()


# --- damage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [ARRAY, RECORDS, DESCRIPTION, CHECKSUMS, ""])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_decoded_again_and_a_line_says_so(name, damage, cache, images, capfd):
    before = cached_pixels(images, SIZE, cache)
    expected = before.array[:].copy()
    (folder,) = folders(cache)
    if name:
        DAMAGES[damage](folder / name)
    else:
        folder.rename(cache.folder / "moved")
        folder.write_bytes(bytes(10))
        DAMAGES[damage](folder)
    capfd.readouterr()
    counted = CountedImages(images)
    again = cached_pixels(counted, SIZE, cache)
    said = [line for line in capfd.readouterr().out.splitlines() if "the pixel cache in" in line]
    assert sorted(counted.read_rows) == list(range(40))
    assert len(said) == ((name, damage) != ("", "missing")) and all(str(folder) in line for line in said)
    np.testing.assert_array_equal(again.array, expected)
    pd.testing.assert_frame_equal(again.records, before.records)
    capfd.readouterr()
    cached_pixels(counted, SIZE, cache)
    assert len(counted.read_rows) == 40 and capfd.readouterr().out == ""


def test_who_has_mapped_pixels_keeps_them_when_another_process_makes_them_again(cache, images):
    before = cached_pixels(images, SIZE, cache)
    expected = before.array[:].copy()
    flip_bit(folders(cache)[0] / RECORDS, 100)
    again = cached_pixels(images, SIZE, cache)
    np.testing.assert_array_equal(before.array, expected)
    np.testing.assert_array_equal(again.array, expected)


def test_damaged_records_of_pixels_that_are_not_kept_are_made_again(small_cache, images, capfd):
    before = cached_pixels(images, SIZE, small_cache)
    flip_bit(folders(small_cache)[0] / RECORDS, 100)
    capfd.readouterr()
    again = cached_pixels(images, SIZE, small_cache)
    assert "the pixel cache in" in capfd.readouterr().out
    assert isinstance(again.array, StreamedPixels)
    pd.testing.assert_frame_equal(again.records, before.records)


# --- pixels that the cache cannot hold --------------------------------------------------------------------------

PIXEL_BYTES = 40 * 64 * 64 * 3


@pytest.fixture
def small_cache(tmp_path):
    return Cache(tmp_path / "small", size_limit=PIXEL_BYTES, lock_timeout=5.0)  # nothing is left for the records


@pytest.mark.parametrize("source", ["images", "embedded_images"])
def test_streamed_pixels_are_those_of_the_memory_map_however_they_are_indexed(cache, small_cache, request, source):
    images = request.getfixturevalue(source)
    mapped, streamed = cached_pixels(images, SIZE, cache), cached_pixels(images, SIZE, small_cache)
    assert isinstance(mapped.array, np.memmap) and isinstance(streamed.array, StreamedPixels)
    for rows in (
        0,
        -1,
        np.int64(33),
        slice(None),
        slice(5, 30, 7),
        slice(30, 5, -9),
        slice(3, 3),
        np.array([39, 0, 0, 17]),
        np.array([2]),
        np.array([], dtype=int),
        np.array([[1, 2, 3], [30, 20, 10]]),
        [4, -4],
        pd.Series([8, 9], index=[1, 0]),
    ):
        expected = mapped.array[rows]
        found = streamed.array[rows]
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)
    for rows in (40, -41, np.array([3, 40])):
        with pytest.raises(IndexError):
            streamed.array[rows]
    pd.testing.assert_frame_equal(mapped.records, streamed.records)
    assert mapped.key == streamed.key


class BatchesOfPixels(Dataset):
    """Of two images each, as sums that tell them from all others."""

    def __init__(self, array):
        self.array = array

    def __len__(self) -> int:
        return 20

    def __getitem__(self, place: int) -> torch.Tensor:
        return torch.from_numpy(self.array[np.array([place, place + 20])].astype(int).sum(axis=(1, 2, 3)))


@pytest.mark.parametrize("source", ["images", "embedded_images"])
def test_streamed_pixels_can_be_read_in_forked_workers(cache, small_cache, request, source):
    images = request.getfixturevalue(source)
    streamed = cached_pixels(images, SIZE, small_cache).array
    assert streamed[np.arange(9)].any()  # threads have run in this process before it is forked
    sums = np.asarray(cached_pixels(images, SIZE, cache).array, dtype=int).sum(axis=(1, 2, 3))
    batches = DataLoader(BatchesOfPixels(streamed), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert len(set(sums)) == 40
    assert torch.stack(list(batches)).T.flatten().tolist() == sums.tolist()


def test_what_is_streamed_is_said_and_its_records_are_made_once(small_cache, images, capfd):
    counted = CountedImages(images)
    first = cached_pixels(counted, SIZE, small_cache)
    assert sorted(counted.read_rows) == list(range(40))
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith("fairprof: 40 images at 64 px take 0.5 MiB, more than cache_gib=0.000457")
    second = cached_pixels(counted, SIZE, small_cache)
    assert len(counted.read_rows) == 40 and capfd.readouterr().out == f"{line}\n"
    pd.testing.assert_frame_equal(first.records, second.records)
    (folder,) = folders(small_cache)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000


def test_pixels_are_kept_as_soon_as_the_cache_may_hold_them_and_then_stay(cache, small_cache, images):
    streamed = cached_pixels(images, SIZE, small_cache)
    raised = dataclasses.replace(small_cache, size_limit=cache.size_limit)
    mapped = cached_pixels(images, SIZE, raised)
    assert isinstance(mapped.array, np.memmap) and mapped.key == streamed.key
    np.testing.assert_array_equal(mapped.array, streamed.array[:])
    assert isinstance(cached_pixels(images, SIZE, small_cache).array, np.memmap)  # no reason to decode them again


def test_images_that_failed_are_zeros_and_are_not_read_again(small_cache, damaged_images):
    counted = CountedImages(damaged_images)
    pixels = cached_pixels(counted, 1000, small_cache)
    assert isinstance(pixels.array, StreamedPixels)
    counted.read_rows.clear()
    found = pixels.array[:]
    assert not found[:-1].any() and found[-1].any()
    assert counted.read_rows == [len(damaged_images) - 1]


def test_an_image_that_can_no_longer_be_decoded_is_no_black_picture_but_an_error(small_cache, images, refused):
    array = cached_pixels(images, SIZE, small_cache).array
    images.path(7).unlink()
    images.path(8).write_bytes(b"no image")
    with refused("image 8 of the data set", "missing image"):
        array[7]
    with refused("image 9 of the data set", "not an image in a known format"):
        array[np.array([1, 8, 30])]
    assert array[9].any()


def test_pixels_that_were_removed_to_make_room_stay_readable_and_are_decoded_again_when_asked_for(
    tmp_path, images, capfd
):
    narrow = Cache(tmp_path / "narrow", size_limit=int(1.5 * PIXEL_BYTES), lock_timeout=5.0)
    first = cached_pixels(images, SIZE, narrow)
    before = first.array[:].copy()
    reverse = cached_pixels(ImageFiles(images.folder, images.names[::-1]), SIZE, narrow)
    assert [path.name for path in folders(narrow)] == [reverse.key]
    (line,) = capfd.readouterr().out.splitlines()
    assert "cache is full" in line and "removed pixels of 40 images at 64 px, last used" in line
    np.testing.assert_array_equal(first.array, before)
    np.testing.assert_array_equal(cached_pixels(images, SIZE, narrow).array, before)
    assert [path.name for path in folders(narrow)] == [first.key]


# --- full disks -------------------------------------------------------------------------------------------------


def cache_on(disk: Path) -> Cache:
    return Cache(disk, size_limit=2**30, lock_timeout=5.0)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_decoded(on_small_disk, images, refused):
    def work(disk):
        with refused("no space left", "the pixel cache", str(disk), "cache_dir"):
            cached_pixels(images, SIZE, cache_on(disk))
        return folders(cache_on(disk))

    assert on_small_disk(40 * 64 * 64 * 3 - 4096, work) == []


def test_pixels_that_do_not_fit_are_an_error_and_no_crash_of_a_sparse_memory_map(on_small_disk, images):
    def decode(disk):
        with pytest.raises(OSError) as failure, atomic_folder(disk / "made") as unfinished:
            _decode_all(images, 64, 64, unfinished, kept=True)
        return failure.value.errno, list(disk.iterdir())

    assert on_small_disk(20 * 64 * 64 * 3, decode) == (errno.ENOSPC, [])


def test_a_disk_that_somebody_else_fills_meanwhile_is_an_error_that_leaves_nothing_half_written(on_small_disk, images):
    def somebody_else_writes(disk):
        class FillingImages(ImageFiles):
            def read(self, row):
                if row == 0:
                    free = shutil.disk_usage(disk).free
                    (disk / "somebody else's").write_bytes(bytes(free))
                return super().read(row)

        with pytest.raises(OSError) as failure:
            cached_pixels(FillingImages(images.folder, images.names), SIZE, cache_on(disk))
        assert failure.value.errno == errno.ENOSPC
        left = folders(cache_on(disk))
        os.remove(disk / "somebody else's")
        return left, cached_pixels(images, SIZE, cache_on(disk)).records["reason"].tolist()

    assert on_small_disk(2**20, somebody_else_writes) == ([], [""] * 40)
