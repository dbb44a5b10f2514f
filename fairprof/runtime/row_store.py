"""Arrays of one shape, one per row number, appended to a file that other processes read."""

import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fairprof.runtime.checksums import regular_size
from fairprof.runtime.files import discard

DAMAGED, GIVEN_UP = -2, -1  # instead of a record's row: its checksum is wrong; it was wrong, and that has been told
CHUNK = 2**22  # bytes that a thread reads at a time
CLOCK_TICK = 2.0  # seconds within which a file system may give two changes the same time


# Files that this process has read through, in which state, and what it found: until they change, not again
_read: dict[Path, tuple[tuple, np.ndarray]] = {}


class RowStore:
    """Half-precision arrays by row number, in a file of records: a checksum, the row number, the array.

    A record counts if its checksum is right: a process may be killed, and the file be damaged, at any moment. Rows and
    arrays are never moved or overwritten: whoever has mapped the file goes on reading what was there. One process at a
    time may open or append; the caller holds a lock.

    damage: what was found damaged when the store was opened, in words, and is lost; "" where nothing was.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...]):
        """shape: of one record, float16. The file, `view-0.64x7x7.records`, need not be there; every byte is read, but
        only once in a process while the file stays as it is."""
        self.path = folder / f"{name}.{'x'.join(map(str, shape))}.records"
        self.shape = shape
        self.record = np.dtype([("checksum", "<u4"), ("row", "<i8"), ("values", "<f2", shape)])
        self.seed = zlib.crc32(f"{folder.name}/{name}".encode())  # the file of another store is none of this one
        self.damage = ""
        self.rows = self._opened()
        self._map()

    def _opened(self) -> np.ndarray:
        """The row of every record in the file, (N,) int64, or GIVEN_UP. What a killed process left half is none."""
        try:
            rows = self._verified(regular_size(self.path) // self.record.itemsize)
        except FileNotFoundError:
            return np.empty(0, np.int64)
        except OSError as error:
            self.damage = f"{self.path.name}: {error.strerror}"
            discard(self.path)
            return np.empty(0, np.int64)
        damaged = np.flatnonzero(rows == DAMAGED)
        if len(damaged):
            self.damage = f"{self.path.name}: {len(damaged):,} of {len(rows):,} records"
            self._give_up(damaged)
        if (rows < 0).all():  # it would only take room
            discard(self.path)
            return np.empty(0, np.int64)
        return np.maximum(rows, GIVEN_UP)

    def _verified(self, count: int) -> np.ndarray:
        """The row of each of the file's records, (N,) int64, or DAMAGED."""
        status = os.stat(self.path)
        state = (self.seed, status.st_ino, status.st_size, status.st_mtime_ns)
        if self.path in _read and _read[self.path][0] == state:
            return _read[self.path][1]
        rows = self._read_through(count)
        if time.time() - status.st_mtime > CLOCK_TICK:  # or another change might not show
            _read[self.path] = (state, rows)
        return rows

    def _read_through(self, count: int) -> np.ndarray:
        length = max(1, CHUNK // self.record.itemsize)

        def verified(start: int) -> np.ndarray:
            records = self._records(start, min(length, count - start))
            return np.where(records["checksum"] == self._checksums(records), records["row"], DAMAGED)

        with ThreadPoolExecutor(os.cpu_count()) as executor:
            return np.concatenate([np.empty(0, np.int64), *executor.map(verified, range(0, count, length))])

    def _records(self, start: int, count: int) -> np.ndarray:
        return np.fromfile(self.path, self.record, count, offset=start * self.record.itemsize)

    def _checksums(self, records: np.ndarray) -> np.ndarray:
        """The checksums that records should have, (N,) uint32: of row and array."""
        lines = records.view(np.uint8).reshape(len(records), self.record.itemsize)
        after = self.record["checksum"].itemsize
        return np.fromiter((zlib.crc32(line[after:].data, self.seed) for line in lines), np.uint32, len(records))

    def _give_up(self, places: np.ndarray) -> None:
        """Makes damaged records nobody's, so that they are told of once; their arrays stay as they are."""
        header = self.record["checksum"].itemsize + self.record["row"].itemsize
        with open(self.path, "r+b") as file:
            for place in places.tolist():
                records = self._records(place, 1)
                records["row"] = GIVEN_UP
                records["checksum"] = self._checksums(records)
                file.seek(place * self.record.itemsize)
                file.write(records.tobytes()[:header])

    def _map(self) -> None:
        owned = np.flatnonzero(self.rows >= 0)
        self.places = np.full(self.rows.max(initial=-1) + 1, -1)
        self.places[self.rows[owned]] = owned
        # kept open: it stays readable when another process makes room and removes the file
        records = np.memmap(self.path, self.record, "r", shape=len(self.rows)) if len(self.rows) else None
        self.values = np.empty((0, *self.shape), np.float16) if records is None else records["values"]

    def _places_of(self, rows: np.ndarray) -> np.ndarray:
        known = rows < len(self.places)
        return (
            np.where(known, self.places[np.where(known, rows, 0)], -1) if len(self.places) else np.full(len(rows), -1)
        )

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of the row numbers, (N,) int >= 0, that have no record, ascending."""
        return np.unique(rows[self._places_of(rows) < 0])

    def append(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Adds a record for each row number; values: (N, *shape) float16. Read them after `close_writing`."""
        records = np.empty(len(rows), self.record)
        records["row"], records["values"] = rows, values
        records["checksum"] = self._checksums(records)
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.seek(len(self.rows) * self.record.itemsize)  # over what a killed process left behind the last record
            file.write(records.data)
        self.rows = np.concatenate([self.rows, records["row"]])

    def close_writing(self) -> None:
        """Makes appended records readable."""
        self._map()

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The records of row numbers, (N, *shape) float16. Raises KeyError for a row without one."""
        places = self._places_of(rows)
        if (places < 0).any():
            raise KeyError(f"row {rows[places < 0][0]} of {self.path} was never computed")
        return self.values[places]
