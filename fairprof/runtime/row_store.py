"""Arrays of one shape, one per row number, appended to a file that other processes read."""

import os
from pathlib import Path

import numpy as np


class RowStore:
    """Half-precision arrays by row number: a file of records, and a file that says whose each record is.

    A record counts once its row number is written, which is after its data have reached the disk: a process may be
    killed at any moment. One process at a time may append; the caller holds a lock.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...]):
        """shape: of one record, float16. Files `<name>.data` and `<name>.rows` need not exist yet."""
        self.data_path, self.rows_path = folder / f"{name}.data", folder / f"{name}.rows"
        self.shape = shape
        self.record_size = int(np.prod(shape)) * np.dtype(np.float16).itemsize
        self._reload()

    def _reload(self) -> None:
        rows = np.fromfile(self.rows_path, dtype=np.int64) if self.rows_path.exists() else np.empty(0, np.int64)
        size = self.data_path.stat().st_size if self.data_path.exists() else 0
        rows = rows[: size // self.record_size]
        self.count = len(rows)
        self.places = np.full(rows.max(initial=-1) + 1, -1)
        self.places[rows] = np.arange(len(rows))
        shape = (self.count, *self.shape)
        # kept open: it stays readable when another process makes room and removes the file
        self.records = np.memmap(self.data_path, np.float16, "r", shape=shape) if self.count else np.empty(shape)

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
        with open(self.data_path, "r+b" if self.data_path.exists() else "wb") as data:
            data.truncate(self.count * self.record_size)  # what a killed process left behind the last record
            data.seek(0, os.SEEK_END)
            data.write(np.ascontiguousarray(values, np.float16).data)
            data.flush()
            os.fsync(data.fileno())
        with open(self.rows_path, "r+b" if self.rows_path.exists() else "wb") as index:
            index.truncate(self.count * np.dtype(np.int64).itemsize)
            index.seek(0, os.SEEK_END)
            index.write(np.ascontiguousarray(rows, np.int64).data)
        self.count += len(rows)

    def close_writing(self) -> None:
        """Makes appended records readable."""
        self._reload()

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The records of row numbers, (N, *shape) float16. Raises KeyError for a row without one."""
        places = self._places_of(rows)
        if (places < 0).any():
            raise KeyError(f"row {rows[places < 0][0]} of {self.data_path} was never computed")
        return self.records[places]
