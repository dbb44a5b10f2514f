"""Encoded images in the row order of a listing, wherever their bytes lie."""

import functools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow.parquet

from fairprof.runtime.files import UnreadableFile, open_file, read_file

MAX_BYTES = 64 * 2**20  # of an encoded image, as the served model has it, which takes long to import
MAX_GROUP_BYTES = 4 * 2**30  # of a row group, which is read as a whole, and of which a kilobyte may hold any number
KEPT_GROUPS = 8  # row groups in memory: threads that decode neighbouring rows may be in several at a time
MISSING = ":missing"  # how the identity of an image ends that is not there


class EncodedImages(Protocol):
    """Random access to encoded images, cheap in row order, from any thread."""

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes:
        """The file's bytes; raises `UnreadableFile` where they cannot or must not be read."""

    def identities(self) -> Iterator[str]:
        """A text per row that changes when the bytes do, without reading them; MISSING ends that of an absent file."""


class ImageFiles:
    """Images that are files."""

    def __init__(self, folder: Path, names: Sequence[str]):
        """names: paths, relative to the folder or absolute; a million of them take much less memory than as objects."""
        self.folder = folder
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def path(self, row: int) -> Path:
        return self.folder / self.names[row]

    def read(self, row: int) -> bytes:
        return read_file(self.path(row), MAX_BYTES)

    def identities(self) -> Iterator[str]:
        for name in self.names:
            yield _identity(os.path.join(self.folder, name))


class ParquetImages:
    """Images in the column `image` (struct of `bytes` and `path`) of Parquet files, read a row group at a time."""

    def __init__(self, places: Sequence[tuple[Path, int, int]]):
        """places: file, row group and row in the group, of every image."""
        self.places = places
        self._contents = functools.lru_cache(maxsize=KEPT_GROUPS)(self._read_group)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.places)

    def read(self, row: int) -> bytes:
        path, group, place = self.places[row]
        with self._lock:
            return self._contents(path, group)[place] or b""

    def _read_group(self, path: Path, group: int) -> list[bytes | None]:
        with open_file(path) as file:
            try:
                parquet = pyarrow.parquet.ParquetFile(file)
                if (size := parquet.metadata.row_group(group).total_byte_size) > MAX_GROUP_BYTES:
                    raise UnreadableFile(f"row group {group} holds {size:,} bytes, more than {MAX_GROUP_BYTES:,}")
                column = parquet.read_row_group(group, columns=["image"])["image"]
            except (pyarrow.ArrowException, OSError, ValueError, OverflowError):
                raise UnreadableFile(f"damaged row group {group} of {path.name}") from None
        return [cell and cell["bytes"] for cell in column.to_pylist()]

    def identities(self) -> Iterator[str]:
        files = {path: _identity(path) for path in {place[0] for place in self.places}}
        for path, group, place in self.places:
            yield files[path] if files[path].endswith(MISSING) else f"{files[path]}:{group}:{place}"


def _identity(path: str | Path) -> str:
    try:
        status = os.stat(path)
        return f"{path}:{status.st_size}:{status.st_mtime_ns}"
    except (OSError, ValueError):
        return f"{path}{MISSING}"
