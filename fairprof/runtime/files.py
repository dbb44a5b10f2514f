"""Files that other processes may read at any moment: atomic writing, locks, room on the disk, digests."""

import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from fairprof.errors import UserError


def cache_folder(setting: str) -> Path:
    """The folder for what can be made again; `auto` is the user's cache folder of the operating system."""
    return user_cache_path("fairprof") if setting == "auto" else Path(setting).expanduser().absolute()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside `folder`, which takes its name in one step if the block succeeds.

    The caller holds the lock of `folder`: what an earlier process left unfinished is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in unfinished_folders(folder):
        shutil.rmtree(abandoned)
    with _hidden_folder(folder) as parts:
        unfinished = parts / folder.name
        unfinished.mkdir()
        yield unfinished
        os.replace(unfinished, folder)


def remove_folder(folder: Path) -> None:
    """Removes `folder`, which disappears in one step for all who look for it; the caller holds its lock."""
    with _hidden_folder(folder) as parts:
        os.replace(folder, parts / folder.name)


def unfinished_folders(folder: Path) -> list[Path]:
    """What `atomic_folder` is filling for `folder`, or a killed process left half filled or half removed."""
    return sorted(folder.parent.glob(f".{glob.escape(folder.name)}-*"))


@contextmanager
def _hidden_folder(folder: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as parts:
        yield Path(parts)


@contextmanager
def locked(path: Path, what: str, timeout: float) -> Iterator[None]:
    """Holds the lock file `path` for the block.

    Raises `UserError` where another process still holds it after `timeout` seconds, or its folder cannot be had.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(
            f"{what} cannot be kept in {path.parent} ({error.strerror}): set cache_dir to a folder that can be written"
        ) from None
    except Timeout:
        raise UserError(
            f"{what} is in use by another process, which holds {path} for more than "
            f"{timeout:g} s: wait for it to end, or give this run its own cache_dir"
        ) from None
    try:
        yield
    finally:
        lock.release()


def require_room(folder: Path, size: int, what: str) -> None:
    """Raises `UserError` where `folder`'s file system has less than `size` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(
            f"no space left: {what} needs {size / 2**20:,.0f} MiB in {folder}, which has "
            f"{free / 2**20:,.0f} MiB free: free some space or set cache_dir to another disk"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
