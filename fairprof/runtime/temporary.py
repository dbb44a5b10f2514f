"""Temporary files of this program lie in folders of their own, and none outlives its process for long."""

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "lock"  # in a process's folder: held while it lives
COMPILED = "TORCHINDUCTOR_CACHE_DIR"  # what PyTorch keeps among temporary files to find it again


@contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Has temporary files of the block, its libraries' too, made in a folder that is removed when the process ends.

    It lies in a folder of the user's among the system's temporary ones. What processes that were killed have left
    there is removed now. Where no such folder can be had, temporary files are made where they always are.
    """
    before = tempfile.tempdir
    tempfile.tempdir = _own_folder() or before
    try:
        yield
    finally:
        tempfile.tempdir = before


def _own_folder() -> str | None:
    """A new folder for this process, None where it cannot be had."""
    try:
        folder = _folder_of_user()
        with FileLock(folder / "folders.lock"):  # nobody takes a folder for abandoned that is not yet locked
            _remove_abandoned(folder)
            own = Path(tempfile.mkdtemp(dir=folder))
            lock = FileLock(own / LOCK)
            lock.acquire(timeout=0)
    except (OSError, Timeout):
        return None
    os.environ.setdefault(COMPILED, f"{folder}-{COMPILED.partition('_')[0].lower()}")
    process = os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # and not one that was forked from it
            lock.release()
            shutil.rmtree(own, ignore_errors=True)

    atexit.register(remove)  # before those of libraries, which are called first
    return str(own)


def _folder_of_user() -> Path:
    """The folder of this user's processes; raises OSError where it cannot be had, or is somebody else's."""
    user = os.getuid() if hasattr(os, "getuid") else None  # elsewhere every user has temporary folders of their own
    folder = Path(tempfile.gettempdir(), "fairprof" if user is None else f"fairprof-{user}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or (user is not None and status.st_uid != user):
        raise NotADirectoryError(folder)
    return folder


def _remove_abandoned(folder: Path) -> None:
    """Removes the folders whose process no longer lives: the operating system has given their lock free."""
    for other in folder.iterdir():
        if other.is_dir() and not other.is_symlink():
            with suppress(OSError, Timeout), FileLock(other / LOCK).acquire(timeout=0):
                shutil.rmtree(other, ignore_errors=True)
