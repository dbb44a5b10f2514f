"""Files: guarded reading of those that a user or a data set names, atomic writing, locks, room on the disk, digests."""

import errno
import glob
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from fairprof.config import HUB
from fairprof.errors import UserError, reason_of

# Nobody is waited for at the other end of a pipe, and no terminal becomes this process's own
OPENING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
# What is no fault of the folder in which something is to be kept
NOT_OF_A_FOLDER = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
UNTOLD_WAIT = 5.0  # seconds for a lock, after which the user is told
KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def path_of(text: str, setting: str) -> Path:
    """The absolute path that a setting names, `~` and `~name` expanded; raises `UserError` where that is nobody's."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        user = text.partition("/")[0]
        raise UserError(f"{setting}={text}: this machine has no home folder of {user}: write the path out") from None
    except FileNotFoundError:  # of a relative path
        raise UserError(f"{setting}={text}: the folder that this was started in is gone: start from another") from None


def without_folders(text: str) -> str:
    """A setting that is a path, or a kind of data and a path, as others may read it: `utkface:faces` for
    `utkface:/home/me/faces`. What is no path stays as it is."""
    if text.startswith(HUB):
        return text
    kind, colon, path = text.partition(":")
    if not colon or "/" in kind:
        kind, colon, path = "", "", text
    return f"{kind}{colon}{Path(path).name or path}"


def cache_folder(setting: str) -> Path:
    """The folder for what can be made again; `auto` is the user's cache folder of the operating system."""
    return user_cache_path("fairprof") if setting == "auto" else path_of(setting, "cache_dir")


class UnreadableFile(Exception):
    """A file that cannot or must not be read; the message is the reason in plain words, which do not name the file.

    missing: whether there is no such file.
    """

    def __init__(self, reason: str, missing: bool = False):
        super().__init__(reason)
        self.missing = missing

    def about(self, path: Path) -> str:
        """What is wrong with the file, which is named."""
        return f"no file {path}" if self.missing else f"{path} cannot be read ({self})"


def open_file(path: str | Path, limit: int | None = None) -> BufferedReader:
    """Opens a file that a user or a data set names, for reading.

    limit: bytes that it may have at most, None for any number. Raises `UnreadableFile` for whatever is no regular file:
    pipes, devices and sockets are neither waited for nor read; and for whatever the operating system refuses.
    """
    try:
        _require_regular(os.stat(path), limit)  # merely to open a device can do something
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | OPENING))
    except (OSError, ValueError) as error:
        missing = isinstance(error, (FileNotFoundError, ValueError))  # there can be no file of an impossible name
        raise UnreadableFile(reason_of(error), missing) from None
    try:
        _require_regular(os.fstat(file.fileno()), limit)  # of what was opened, whatever has the name by now
    except UnreadableFile:
        file.close()
        raise
    return file


def _require_regular(status: os.stat_result, limit: int | None) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableFile("a folder and not a file")
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for of_kind, kind in KINDS if of_kind(status.st_mode)), "something else")
        raise UnreadableFile(f"{kind} and not a regular file")
    if limit is not None and status.st_size > limit:
        raise _too_large(status.st_size, limit)


def _too_large(size: int, limit: int) -> UnreadableFile:
    return UnreadableFile(f"file of {size:,} bytes, more than {limit:,}")


def read_file(path: str | Path, limit: int) -> bytes:
    """The content of a file that a user or a data set names, of which at most `limit` bytes and one are read.

    Raises `UnreadableFile` as `open_file` does, for a file that grows beyond the limit meanwhile, and where reading
    fails.
    """
    with open_file(path, limit) as file:
        try:
            size = min(os.fstat(file.fileno()).st_size, limit)
            content = file.read(size + 1) or b""
            if len(content) > size:  # it grows, or has no size, as in /proc
                content += file.read(limit - size) or b""
        except OSError as error:
            raise UnreadableFile(reason_of(error)) from None
    if len(content) > limit:
        raise _too_large(len(content), limit)
    return content


@dataclass(frozen=True)
class FoundFiles:
    """What lies in a folder and its sub-folders.

    paths: files, sorted; relative to the folder. unread: sub-folders that were not looked into, and why not.
    """

    paths: list[str]
    unread: dict[str, str]


def files_under(folder: Path, suffixes: frozenset[str]) -> FoundFiles:
    """The files with one of `suffixes`, in any case, of a folder and its sub-folders, however deep.

    Links to folders are not followed, since they may lead in circles or out of the data: they are among `unread`, and
    so are folders that the operating system refuses. Raises `UnreadableFile` where it refuses `folder` itself.
    """
    paths, unread, waiting = [], {}, [""]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(folder / here) as entries:
                for entry in entries:
                    name = f"{here}/{entry.name}" if here else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
                    elif entry.is_symlink() and _is_folder(entry):
                        unread[name] = "a link to a folder, which is not followed"
                    elif os.path.splitext(entry.name)[1].lower() in suffixes:
                        paths.append(name)
        except (OSError, ValueError) as error:
            if not here:
                raise UnreadableFile(reason_of(error), isinstance(error, FileNotFoundError)) from None
            unread[here] = reason_of(error)
    return FoundFiles(sorted(paths), unread)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside `folder`, which takes its name in one step if the block succeeds.

    The caller holds the lock of `folder`: what an earlier process left unfinished is removed, and at the end what has
    its name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in unfinished_folders(folder):
        shutil.rmtree(abandoned)
    with _hidden_folder(folder) as parts:
        unfinished = parts / folder.name
        unfinished.mkdir()
        yield unfinished
        if os.path.lexists(folder):
            remove_folder(folder)
        os.replace(unfinished, folder)


def remove_folder(folder: Path) -> None:
    """Removes `folder`, which disappears in one step for all who look for it; the caller holds its lock."""
    with _hidden_folder(folder) as parts:
        os.replace(folder, parts / folder.name)


def discard(path: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unfinished_folders(folder: Path) -> list[Path]:
    """What `atomic_folder` is filling for `folder`, or a killed process left half filled or half removed."""
    return sorted(folder.parent.glob(f".{glob.escape(folder.name)}-*"))


@contextmanager
def _hidden_folder(folder: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as parts:
        yield Path(parts)


def make_folder(folder: Path, what: str) -> None:
    """Makes a folder of the cache, in which `what` is kept, unless it is there; raises `UserError` where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _not_kept(what, folder, error) from None


def _not_kept(what: str, folder: Path, error: OSError | ValueError) -> Exception:
    if isinstance(error, OSError) and error.errno in NOT_OF_A_FOLDER:
        return error
    reason = "something that is no folder is in its place" if isinstance(error, FileExistsError) else reason_of(error)
    return UserError(f"{what} cannot be kept in {folder} ({reason}): set cache_dir to a folder that can be written")


def lock_file(path: Path) -> FileLock:
    """A lock that is a file; a folder in its place is damage, locks nothing, and makes way."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)  # a file that another process has put there meanwhile stays
    return FileLock(path)


@contextmanager
def locked(path: Path, what: str, timeout: float) -> Iterator[None]:
    """Holds the lock file `path` for the block; says so where another process lets it wait.

    Raises `UserError` where that one still holds it after `timeout` seconds, or its folder cannot be had.
    """
    make_folder(path.parent, what)
    lock = lock_file(path)
    try:
        _acquire(lock, what, timeout)
    except Timeout:
        raise UserError(
            f"{what} is in use by another process, which holds {path} for more than "
            f"{timeout:g} s: wait for it to end, or give this run its own cache_dir"
        ) from None
    except OSError as error:
        raise _not_kept(what, path.parent, error) from None
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, what: str, timeout: float) -> None:
    if 0 <= timeout <= UNTOLD_WAIT:
        lock.acquire(timeout=timeout)
        return
    try:
        lock.acquire(timeout=UNTOLD_WAIT)
    except Timeout:
        from fairprof.runtime.progress import note  # tqdm and NumPy, which a refused setting does without

        note(f"waiting for {what}, which another process is using")
        lock.acquire(timeout=timeout if timeout < 0 else timeout - UNTOLD_WAIT)


def require_room(folder: Path, size: int, what: str) -> None:
    """Raises `UserError` where `folder`'s file system has less than `size` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(
            f"no space left: {what} needs {size / 2**20:,.0f} MiB in {folder}, which has "
            f"{free / 2**20:,.0f} MiB free: free some space or set cache_dir to another disk"
        )


def sha256_of(path: Path, limit: int | None = None) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits. Raises `UnreadableFile` as `open_file` does."""
    with open_file(path, limit) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UnreadableFile(reason_of(error)) from None
