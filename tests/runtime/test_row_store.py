"""Rows on disk are right or absent, whenever their writer dies."""

import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from fairprof.runtime.row_store import RowStore
from tests.damages import DAMAGES, flip_bit
from tests.places import ROOT

SHAPE = (3, 2)
RECORD = 4 + 8 + 3 * 2 * 2  # bytes of a record: checksum, row number, six numbers in half precision


def record_of(row: int) -> np.ndarray:
    """What these tests store for a row: six numbers that no other row has, exact in half precision."""
    return (np.arange(6).reshape(SHAPE) + 8 * (row % 200)).astype(np.float16)


def records_of(*rows: int) -> np.ndarray:
    return np.stack([record_of(row) for row in rows])


def stored(folder: Path, *rows: int) -> RowStore:
    """A store that was written by somebody else, row by row."""
    store = RowStore(folder, "view-0", SHAPE)
    for row in rows:
        store.append(np.array([row]), records_of(row))
    return RowStore(folder, "view-0", SHAPE)


def assert_holds(folder: Path, *rows: int) -> None:
    """The store, opened anew, holds exactly these rows, each with its own values."""
    store = RowStore(folder, "view-0", SHAPE)
    assert store.missing(np.arange(max(rows) + 10)).tolist() == sorted(set(range(max(rows) + 10)) - set(rows))
    np.testing.assert_array_equal(store.read(np.array(rows)), records_of(*rows))


def test_a_new_store_has_no_row(tmp_path):
    store = RowStore(tmp_path, "view-0", SHAPE)
    assert store.missing(np.array([5, 0, 5])).tolist() == [0, 5]
    assert list(tmp_path.iterdir()) == []


def test_what_is_appended_is_read_in_any_order_and_as_often_as_asked(tmp_path):
    store = stored(tmp_path, 7, 2, 40)
    values = store.read(np.array([40, 7, 40, 2]))
    assert values.dtype == np.float16
    np.testing.assert_array_equal(values, records_of(40, 7, 40, 2))
    assert store.read(np.array([], dtype=int)).shape == (0, 3, 2)


def test_missing_are_the_rows_without_a_record_ascending_and_each_once(tmp_path):
    store = stored(tmp_path, 7, 2, 40)
    assert store.missing(np.array([41, 7, 3, 0, 3, 40, 10_000])).tolist() == [0, 3, 41, 10_000]
    assert store.missing(np.array([2, 7])).tolist() == []


@pytest.mark.parametrize("row", [3, 41, 10**9])
def test_a_row_that_was_never_stored_is_a_key_error_that_names_it(row, tmp_path):
    with pytest.raises(KeyError, match=f"row {row} of .*view-0.3x2.records was never computed"):
        stored(tmp_path, 7, 2, 40).read(np.array([7, row]))


def test_appended_records_are_read_after_closing_and_by_others(tmp_path):
    store = stored(tmp_path, 7)
    store.append(np.array([9]), records_of(9))
    store.close_writing()
    np.testing.assert_array_equal(store.read(np.array([9, 7])), records_of(9, 7))
    assert_holds(tmp_path, 7, 9)


def test_stores_of_one_folder_are_apart(tmp_path):
    stored(tmp_path, 7, 2)
    assert RowStore(tmp_path, "view-1", SHAPE).missing(np.array([2, 7])).tolist() == [2, 7]


def add_bytes(path: Path, count: int) -> None:
    with open(path, "ab") as file:
        file.write(b"\x7b" * count)


# what a killed process may leave: a change to the file, and the rows that are lost by it
LEFT_BEHIND = {
    "a checksum and half a row number": (lambda path: add_bytes(path, 8), []),
    "half a record": (lambda path: add_bytes(path, RECORD // 2), []),
    "a last record cut short, as after a power failure": (lambda path: os.truncate(path, 2 * RECORD + 5), [40]),
    "a file without records": (lambda path: os.truncate(path, 0), [7, 2, 40]),
    "no file": (Path.unlink, [7, 2, 40]),
}


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_only_unfinished_records_are_lost_and_the_next_append_repairs_the_file(what, tmp_path):
    change, lost = LEFT_BEHIND[what]
    path = stored(tmp_path, 7, 2, 40).path
    change(path)
    kept = [row for row in (7, 2, 40) if row not in lost]
    store = RowStore(tmp_path, "view-0", SHAPE)
    assert store.damage == ""  # that a process was killed is no news
    assert store.missing(np.array([7, 2, 40])).tolist() == sorted(lost)
    if kept:
        np.testing.assert_array_equal(store.read(np.array(kept)), records_of(*kept))
    store.append(np.array([50, 51]), records_of(50, 51))
    assert_holds(tmp_path, *kept, 50, 51)
    assert path.stat().st_size == (len(kept) + 2) * RECORD


def test_a_checksum_is_crc_32_of_row_and_array_seeded_by_the_names_of_folder_and_store(tmp_path):
    content = stored(tmp_path, 7).path.read_bytes()
    row, values = (7).to_bytes(8, "little"), record_of(7).astype("<f2").tobytes()
    checksum = zlib.crc32(row + values, zlib.crc32(f"{tmp_path.name}/view-0".encode()))
    assert content == checksum.to_bytes(4, "little") + row + values


@pytest.mark.parametrize("place", [0, 3, 4, 11, 12, RECORD - 1])
def test_a_flipped_bit_costs_its_record_and_is_told_of_once(place, tmp_path):
    path = stored(tmp_path, 7, 2, 40).path
    flip_bit(path, RECORD + place)
    store = RowStore(tmp_path, "view-0", SHAPE)
    assert store.damage == "view-0.3x2.records: 1 of 3 records"
    assert store.missing(np.arange(41)).tolist() == sorted(set(range(41)) - {7, 40})
    assert RowStore(tmp_path, "view-0", SHAPE).damage == ""
    store.append(np.array([2]), records_of(2))
    store.close_writing()
    np.testing.assert_array_equal(store.read(np.array([2, 40, 7])), records_of(2, 40, 7))
    assert_holds(tmp_path, 2, 7, 40)


# records of the rows 7, 2, 40 and 9 that are lost by what happens to their file
LOST = {
    "cut": [9, 40],
    "one bit flipped": [40],  # the byte in the middle is the first of the third record
    "longer": [],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_happens_to_the_file_what_is_there_is_right_and_the_rest_is_missing(damage, tmp_path):
    path = stored(tmp_path, 7, 2, 40, 9).path
    DAMAGES[damage](path)
    lost = LOST.get(damage, [2, 7, 9, 40])
    store = RowStore(tmp_path, "view-0", SHAPE)
    assert store.missing(np.array([7, 2, 40, 9])).tolist() == lost
    assert bool(store.damage) == (damage not in ("cut", "emptied", "longer", "missing"))
    store.append(np.array(lost, dtype=int), records_of(*lost) if lost else np.empty((0, *SHAPE)))
    assert_holds(tmp_path, 2, 7, 9, 40)
    assert RowStore(tmp_path, "view-0", SHAPE).damage == ""


def test_garbage_takes_no_room(tmp_path):
    path = stored(tmp_path, 7, 2, 40).path
    DAMAGES["garbage"](path)
    assert RowStore(tmp_path, "view-0", SHAPE).missing(np.array([7])).tolist() == [7] and not path.exists()


@pytest.mark.parametrize(("folder", "name"), [("one", "view-1"), ("two", "view-0")])
def test_the_file_of_another_store_is_not_taken_for_this_one(folder, name, tmp_path):
    for each in ("one", "two"):
        (tmp_path / each).mkdir()
    stored(tmp_path / "one", 7, 2).path.rename(tmp_path / folder / f"{name}.3x2.records")
    assert RowStore(tmp_path / folder, name, SHAPE).missing(np.array([2, 7])).tolist() == [2, 7]


def test_who_has_mapped_a_file_keeps_what_was_there_whatever_others_find_and_append(tmp_path):
    """Another process's memory map would change, or end it by a signal, if records were moved or cut off."""
    reader = stored(tmp_path, 7, 2, 40)
    for damage in (lambda path: flip_bit(path, 0), lambda path: flip_bit(path, 2 * RECORD)):  # of the checksums
        damage(reader.path)
        other = RowStore(tmp_path, "view-0", SHAPE)
        other.append(np.array([50]), records_of(50))
    np.testing.assert_array_equal(reader.read(np.array([7, 2, 40])), records_of(7, 2, 40))


def test_a_store_stays_readable_when_somebody_removes_its_files(tmp_path):
    store = stored(tmp_path, 7, 2, 40)
    store.path.unlink()
    np.testing.assert_array_equal(store.read(np.array([40, 2, 7])), records_of(40, 2, 7))


def test_a_reader_is_not_disturbed_by_what_is_appended_meanwhile(tmp_path):
    reader = stored(tmp_path, 7, 2)
    RowStore(tmp_path, "view-0", SHAPE).append(np.array([40]), records_of(40))
    np.testing.assert_array_equal(reader.read(np.array([2, 7])), records_of(2, 7))
    assert reader.missing(np.array([40])).tolist() == [40]


APPENDING = """
import sys
from pathlib import Path
import numpy as np
from fairprof.runtime.row_store import RowStore
store = RowStore(Path(sys.argv[1]), "view-0", (3, 2))
missing = store.missing(np.arange(100_000))
for start in range(0, len(missing), 3):
    rows = missing[start : start + 3]
    store.append(rows, np.arange(6).reshape(3, 2) + 8 * (rows % 200)[:, None, None])
    if start == 0:
        print("appended", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_right_records_and_the_next_one_goes_on(tmp_path):
    counts = [0]
    for delay in (0.003, 0.011, 0.037, 0.071, 0.13, 0.23):
        with subprocess.Popen(
            [sys.executable, "-c", APPENDING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout.readline() == "appended\n"
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(delay)
            writer.kill()
        assert writer.returncode == -signal.SIGKILL
        store = RowStore(tmp_path, "view-0", SHAPE)
        count = len(store.rows)
        counts.append(count)
        # rows are appended in ascending order: what is there is all that was appended so far
        assert store.missing(np.arange(count + 3)).tolist() == [count, count + 1, count + 2] and store.damage == ""
        np.testing.assert_array_equal(store.read(np.arange(count)), records_of(*range(count)))
    assert counts == sorted(counts) and counts[-1] > counts[1] > 0
