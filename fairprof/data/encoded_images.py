"""Encoded images in the row order of a listing, wherever their bytes lie."""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow.parquet


class EncodedImages(Protocol):
    """Random access to encoded images, cheap in row order, from any thread."""

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes:
        """The file's bytes; raises OSError where they cannot be read."""

    def identities(self) -> Iterator[str]:
        """A text per row that changes when the bytes do, without reading them."""


class ImageFiles:
    """Images that are files."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int) -> bytes:
        return self.paths[row].read_bytes()

    def identities(self) -> Iterator[str]:
        for path in self.paths:
            try:
                status = os.stat(path)
                yield f"{path}:{status.st_size}:{status.st_mtime_ns}"
            except OSError:
                yield f"{path}:missing"


class ParquetImages:
    """Images in the column `image` (struct of `bytes` and `path`) of Parquet files, read a row group at a time."""

    def __init__(self, places: Sequence[tuple[Path, int, int]]):
        """places: file, row group and row in the group, of every image."""
        self.places = places
        self._group: tuple[Path, int] | None = None
        self._contents: list[bytes | None] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.places)

    def read(self, row: int) -> bytes:
        path, group, place = self.places[row]
        with self._lock:
            if self._group != (path, group):
                column = pyarrow.parquet.ParquetFile(path).read_row_group(group, columns=["image"])["image"]
                self._contents = [cell and cell["bytes"] for cell in column.to_pylist()]
                self._group = path, group
            content = self._contents[place]
        return content or b""

    def identities(self) -> Iterator[str]:
        status = {path: os.stat(path) for path in {place[0] for place in self.places}}
        for path, group, place in self.places:
            yield f"{path}:{status[path].st_size}:{status[path].st_mtime_ns}:{group}:{place}"
