"""The pixel cache: built once, keyed by content and size, whole or absent, with a reason for every bad image."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from fairprof.data.encoded_images import ImageFiles, ParquetImages
from fairprof.data.pixels import _decode_all, cached_pixels, perceptual_bits
from fairprof.files import atomic_folder, sha256_of

SIZE = 56  # an input of 56 is stored at 64 pixels
HOLD = """
import sys, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
NEW_MOUNTS = 0x00020000  # CLONE_NEWNS of unshare(2)


@pytest.fixture
def images(tmp_path, write_image):
    """More images than a task of the decoder holds."""
    return ImageFiles([write_image(tmp_path / f"{number}.png", number) for number in range(40)])


def folders(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "pixels").iterdir() if path.suffix != ".lock")


def test_pixels_and_records_are_those_of_the_files(tmp_path, images):
    pixels = cached_pixels(images, SIZE, tmp_path / "cache", 5.0)
    assert pixels.array.shape == (40, 64, 64, 3) and pixels.array.dtype == np.uint8
    assert isinstance(pixels.array, np.memmap) and not pixels.array.flags.writeable
    assert pixels.records["reason"].eq("").all()
    for row in (0, 31, 32, 39):
        expected = Image.open(images.paths[row]).resize((64, 64), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels.array[row], expected)
        assert pixels.records["sha256"][row] == sha256_of(images.paths[row])
        bits = imagehash.phash(expected, hash_size=16).hash.ravel()
        packed = perceptual_bits(pixels.records["perceptual_hash"])[row]
        np.testing.assert_array_equal(np.unpackbits(packed).astype(bool), bits)


def test_a_second_call_opens_what_the_first_decoded(tmp_path, images):
    cache = tmp_path / "cache"
    first = cached_pixels(images, SIZE, cache, 5.0)
    (folder,) = folders(cache)
    before = [(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.iterdir())]
    second = cached_pixels(ImageFiles(list(images.paths)), SIZE, cache, 5.0)
    assert folders(cache) == [folder]
    assert before == [(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.iterdir())]
    np.testing.assert_array_equal(first.array, second.array)
    pd.testing.assert_frame_equal(first.records, second.records)


def test_another_size_other_content_and_another_order_have_a_cache_of_their_own(tmp_path, images, write_image):
    cache = tmp_path / "cache"
    original = cached_pixels(images, SIZE, cache, 5.0)
    assert cached_pixels(images, 32, cache, 5.0).array.shape == (40, 37, 37, 3)
    reverse = cached_pixels(ImageFiles(images.paths[::-1]), SIZE, cache, 5.0)
    np.testing.assert_array_equal(reverse.array, original.array[::-1])
    write_image(images.paths[0], seed=1000)
    changed = cached_pixels(images, SIZE, cache, 5.0)
    assert (changed.array[0] != original.array[0]).any()
    np.testing.assert_array_equal(changed.array[1:], original.array[1:])
    assert len(folders(cache)) == 4


def test_images_that_fail_have_their_reason_and_the_others_their_pixels(tmp_path, write_image):
    good = write_image(tmp_path / "good.png")
    (tmp_path / "zero.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:1000])
    (tmp_path / "text.png").write_text("not found")
    (tmp_path / "folder.png").mkdir()
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png", compress_level=1)
    names = ["missing", "zero", "cut", "text", "folder", "huge", "good"]
    pixels = cached_pixels(ImageFiles([tmp_path / f"{name}.png" for name in names]), SIZE, tmp_path / "cache", 5.0)
    reasons = dict(zip(names, pixels.records["reason"], strict=True))
    assert reasons.pop("cut").startswith("truncated or damaged image")
    assert reasons == {
        "missing": "missing image",
        "zero": "empty file",
        "text": "not an image in a known format",
        "folder": "unreadable file (Is a directory)",
        "huge": "more than 50,000,000 pixels",
        "good": "",
    }
    assert not pixels.array[:-1].any() and pixels.array[-1].any()


def test_an_image_that_was_missing_is_decoded_once_it_is_there(tmp_path, write_image):
    images = ImageFiles([write_image(tmp_path / "early.png"), tmp_path / "late.png"])
    assert cached_pixels(images, SIZE, tmp_path / "cache", 5.0).records["reason"].tolist() == ["", "missing image"]
    write_image(tmp_path / "late.png", seed=1)
    assert cached_pixels(images, SIZE, tmp_path / "cache", 5.0).records["reason"].tolist() == ["", ""]


def test_images_none_of_which_exists_are_refused_with_the_first_place(tmp_path, refused):
    images = ImageFiles([tmp_path / "one.png", tmp_path / "two.png"])
    with refused("none of the 2 images", str(tmp_path / "one.png")):
        cached_pixels(images, SIZE, tmp_path / "cache", 5.0)


def test_a_lock_that_another_process_holds_is_an_error_after_the_timeout(tmp_path, images, refused):
    cache = tmp_path / "cache"
    cached_pixels(images, SIZE, cache, 5.0)
    lock = folders(cache)[0].with_suffix(".lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with refused("the pixel cache is in use", str(lock), "0.2 s", "cache_dir"):
            cached_pixels(images, SIZE, cache, 0.2)
        holder.stdin.close()


def test_threads_that_need_the_same_cache_decode_it_once(tmp_path, images):
    class CountedImages(ImageFiles):
        read_rows: list[int] = []

        def read(self, row):
            self.read_rows.append(row)
            return super().read(row)

    with ThreadPoolExecutor(3) as executor:
        jobs = [
            executor.submit(cached_pixels, CountedImages(images.paths), SIZE, tmp_path / "cache", 30.0)
            for _ in range(3)
        ]
        arrays = [job.result().array for job in jobs]
    assert sorted(CountedImages.read_rows) == list(range(40))
    assert all(np.array_equal(array, arrays[0]) for array in arrays)


def test_parquet_images_have_the_pixels_of_the_files_and_every_row_group_is_read_once(tmp_path, images):
    column = [{"bytes": path.read_bytes(), "path": path.name} for path in images.paths]
    pyarrow.parquet.write_table(pyarrow.table({"image": column}), tmp_path / "a.parquet", row_group_size=2)
    embedded = ParquetImages([(tmp_path / "a.parquet", row // 2, row % 2) for row in range(40)])
    pixels = cached_pixels(embedded, SIZE, tmp_path / "cache", 5.0)
    np.testing.assert_array_equal(pixels.array, cached_pixels(images, SIZE, tmp_path / "cache", 5.0).array)
    assert embedded._contents.cache_info().misses == 20  # however the threads take turns


def test_a_failure_leaves_nothing_half_written_and_the_next_call_succeeds(tmp_path, images):
    class InterruptedImages(ImageFiles):
        def read(self, row):
            if row == 35:
                raise ZeroDivisionError
            return super().read(row)

    with pytest.raises(ZeroDivisionError):
        cached_pixels(InterruptedImages(images.paths), SIZE, tmp_path / "cache", 5.0)
    assert folders(tmp_path / "cache") == []
    assert cached_pixels(images, SIZE, tmp_path / "cache", 5.0).records["reason"].eq("").all()


@pytest.fixture
def on_small_disk(tmp_path):
    """Runs a function with a folder that is a file system of its own, of a few bytes. It is mounted in a mount
    namespace of one thread, so that nobody else sees it and nothing of it outlives the test."""

    def run(size: int, work):
        disk = tmp_path / "disk"
        disk.mkdir()
        outcome: list = []

        def in_own_namespace():
            try:
                if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS) != 0:
                    raise PermissionError(ctypes.get_errno(), "unshare")
                for command in (
                    ["mount", "--make-rprivate", "/"],
                    ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)],
                ):
                    subprocess.run(command, check=True, capture_output=True)
            except (OSError, AttributeError, subprocess.CalledProcessError) as error:
                outcome.append(pytest.skip.Exception(f"no file system can be mounted here: {error}"))
                return
            try:
                outcome.append(work(disk))
            except BaseException as error:  # carried to the test's thread
                outcome.append(error)

        thread = threading.Thread(target=in_own_namespace)
        thread.start()
        thread.join()
        assert list(disk.iterdir()) == []  # this thread sees the folder without the file system
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    return run


def test_a_disk_that_is_too_small_is_refused_before_anything_is_decoded(on_small_disk, images, refused):
    def work(disk):
        with refused("no space left", "the pixel cache", str(disk), "cache_dir"):
            cached_pixels(images, SIZE, disk, 5.0)
        return folders(disk)

    assert on_small_disk(40 * 64 * 64 * 3 - 4096, work) == []


def test_pixels_that_do_not_fit_are_an_error_and_no_crash_of_a_sparse_memory_map(on_small_disk, images):
    def decode(disk):
        with pytest.raises(OSError) as failure, atomic_folder(disk / "made") as unfinished:
            _decode_all(images, 64, unfinished)
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
            cached_pixels(FillingImages(images.paths), SIZE, disk, 5.0)
        assert failure.value.errno == errno.ENOSPC
        left = folders(disk)
        os.remove(disk / "somebody else's")
        return left, cached_pixels(images, SIZE, disk, 5.0).records["reason"].tolist()

    assert on_small_disk(2**20, somebody_else_writes) == ([], [""] * 40)
