"""The cache: what can be made again, in rooms that are bounded together; what was used least recently goes first."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from fairprof.config import DataSettings
from fairprof.errors import UserError
from fairprof.plain_text import visible
from fairprof.runtime.checksums import damage_of, regular_size, seal
from fairprof.runtime.files import (
    atomic_folder,
    cache_folder,
    discard,
    lock_file,
    locked,
    make_folder,
    remove_folder,
    require_room,
    unfinished_folders,
)

ROOMS = ("pixels", "prefix", "trainings")
DESCRIPTION = "description.txt"  # in an entry: what it holds, in a line
SHORTEST_WAIT = 60.0  # seconds for the lock that a process holds only while it looks for old entries and removes them


@dataclass(frozen=True)
class Cache:
    """Entries are folders, whole or absent, named by what they were made from; a lock file lies beside each.

    folder: where everything lies. size_limit: bytes that the entries of all rooms may take together.
    lock_timeout: seconds to wait for an entry that another process fills.
    """

    folder: Path
    size_limit: int
    lock_timeout: float

    @classmethod
    def of(cls, settings: DataSettings) -> "Cache":
        return cls(cache_folder(settings.cache_dir), int(settings.cache_gib * 2**30), settings.lock_timeout)

    def entry(self, room: str, key: str) -> Path:
        """The folder of an entry, which need not exist."""
        return self.folder / room / key

    @contextmanager
    def locked(self, entry: Path, what: str) -> Iterator[None]:
        """Holds an entry's lock for the block: nobody else fills or removes the entry meanwhile.

        What the block opened or memory-mapped stays readable after it: POSIX keeps a removed file for those who have
        it open, and Windows refuses to remove it. Raises `UserError` where another process holds the lock for more
        than `lock_timeout` seconds, or the folder cannot be had.
        """
        with locked(_beside(entry, "lock"), what, self.lock_timeout):
            try:
                yield
            finally:
                discard(_beside(entry, "reserved"))

    @contextmanager
    def written(self, entry: Path) -> Iterator[Path]:
        """Yields an empty folder, which becomes the entry in one step, with checksums, if the block succeeds.

        The caller holds the entry's lock. What had its name before, damaged or not, stays there until then.
        """
        with atomic_folder(entry) as unfinished:
            yield unfinished
            seal(unfinished)

    def is_whole(self, entry: Path, what: str) -> bool:
        """Whether an entry is there as `written` has left it; a damaged one is told of, and the caller makes it again.

        The caller holds the entry's lock. Every byte is read, by several threads.
        """
        damage = damage_of(entry) if os.path.lexists(entry) else ""
        if damage:
            self.tell_of_damage(entry, what, damage)
        return os.path.lexists(entry) and not damage

    def tell_of_damage(self, entry: Path, what: str, damage: str) -> None:
        """Says what is wrong with an entry, and that the caller makes again what is lost by it."""
        _say(f"{what} in {entry} is damaged ({damage}): what is lost is made again")

    def remove(self, entry: Path, what: str) -> None:
        """Removes what has an entry's name, whatever it is; the caller holds its lock.

        Raises `UserError` where that is refused.
        """
        if os.path.lexists(entry):
            try:
                remove_folder(entry)
            except PermissionError as error:
                raise UserError(
                    f"{what} in {entry} cannot be made again ({error.strerror}): remove it, or set cache_dir to "
                    "another folder"
                ) from None

    def has_folder(self, entry: Path, what: str) -> None:
        """Makes the folder of an entry that grows, unless it is there; the caller holds its lock.

        What a process left that was killed while it removed the entry goes.
        """
        _clear(entry)
        if os.path.lexists(entry) and (entry.is_symlink() or not entry.is_dir()):
            self.tell_of_damage(entry, what, "no folder")
            self.remove(entry, what)
        make_folder(entry, what)

    def describe(self, entry: Path, description: str) -> None:
        """Says, in a line, what an entry that grows holds."""
        path = entry / DESCRIPTION
        if path.is_symlink() or not path.is_file():
            discard(path)
        path.write_text(description, encoding="utf-8")

    def fits(self, size: int, *beside: Path) -> bool:
        """Whether an entry of `size` bytes can be had while the entries `beside` stay; all others may have to go."""
        return size + sum(map(_size, beside)) <= self.size_limit

    def touch(self, entry: Path) -> None:
        """Marks an entry as used now; the caller holds its lock."""
        os.utime(entry)

    def make_room(self, entry: Path, size: int, what: str) -> None:
        """Removes other entries, the least recently used first, until `size` more bytes fit; says so on stdout.

        The caller holds the lock of `entry`, and keeps it until they are written. It has asked `fits` before. Entries
        whose lock somebody else holds stay: where they leave too little, the limit is exceeded for now, which is
        said. Raises `UserError` where the disk has no room.
        """
        with locked(self.folder / "rooms.lock", "the cache", max(self.lock_timeout, SHORTEST_WAIT)):
            needed = _size(entry) + size
            taken = {other: _taken(other) for other in self._entries() if other != entry}
            for other in sorted(taken, key=_last_used):
                if needed + sum(taken.values()) > self.size_limit and self._removed(other, taken[other]):
                    taken[other] = 0
            left = sum(taken.values())
            if needed + left > self.size_limit:
                _say(f"{self._limit} is exceeded: {what} takes {readable(needed)}, entries in use {readable(left)}")
            discard(_beside(entry, "reserved"))
            _beside(entry, "reserved").write_text(str(needed))
        require_room(entry.parent, size, what)

    @property
    def _limit(self) -> str:
        return f"cache_gib={self.size_limit / 2**30:g}"

    def _entries(self) -> list[Path]:
        """Every entry that is there, is being filled, or was left unfinished."""
        paths = [path for room in ROOMS for path in (self.folder / room).glob("*")]
        return sorted({path.with_name(name) for path in paths if (name := _key_of(path))})

    def _removed(self, entry: Path, size: int) -> bool:
        """Removes an entry and says so, unless it is in use."""
        with _tried(entry) as free:
            if not free or not entry.exists():
                return False
            description, last_used = _description(entry), datetime.fromtimestamp(_last_used(entry))
            try:
                remove_folder(entry)
            except PermissionError:  # another user's
                return False
        _say(
            f"the cache is full ({self._limit}): removed {description}, last used {last_used:%Y-%m-%d} "
            f"({readable(size)})"
        )
        return True


def _say(text: str) -> None:
    """A line for the user: of processes that train together, whichever fills the entry is the only one to say it."""
    print(f"fairprof: {visible(text)}", flush=True)


def _beside(entry: Path, suffix: str) -> Path:
    return entry.with_name(f"{entry.name}.{suffix}")


def _key_of(path: Path) -> str:
    """The key of the entry to which a folder, an unfinished folder (``.key-abcdefgh``) or a reservation belongs."""
    if path.suffix in (".reserved", ".lock"):
        return path.stem if path.suffix == ".reserved" else ""
    if not path.is_dir():
        return ""
    return path.name[1:].rpartition("-")[0] if path.name.startswith(".") else path.name


@contextmanager
def _tried(entry: Path) -> Iterator[bool]:
    """Whether the entry's lock was free; if so, it is held for the block."""
    lock = lock_file(_beside(entry, "lock"))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):  # in use, another user's, or no file
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _taken(entry: Path) -> int:
    """Bytes that an entry takes or, while somebody fills it, will take. What a killed process left is removed."""
    if os.path.lexists(_beside(entry, "reserved")) or unfinished_folders(entry):
        with _tried(entry) as free:
            if not free:
                return max(_reserved(entry), _size(entry))
            _clear(entry)
            discard(_beside(entry, "reserved"))
    return _size(entry)


def _clear(entry: Path) -> None:
    """Removes what killed processes left half filled or half removed; the caller holds the entry's lock."""
    for abandoned in unfinished_folders(entry):
        shutil.rmtree(abandoned, ignore_errors=True)


def _reserved(entry: Path) -> int:
    """Bytes that an entry will take once the process that fills it is done; 0 where none does."""
    try:
        return int(_text(_beside(entry, "reserved")) or 0)
    except (OSError, ValueError):  # there is none, or it is damaged
        return 0


def _text(path: Path) -> str:
    """What a small file says; raises OSError where there is none, or a pipe, whose other end would be waited for."""
    regular_size(path)
    return path.read_text(encoding="utf-8", errors="replace")


def _size(entry: Path) -> int:
    """Bytes of an entry's files, unfinished ones too."""
    total = 0
    for top in (entry, *unfinished_folders(entry)):
        for folder, _, names in os.walk(top):
            for name in names:
                with suppress(FileNotFoundError):  # its writer renames or removes it at this moment
                    total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _last_used(entry: Path) -> float:
    """When an entry was touched last, seconds since 1970; 0 where there is none."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _description(entry: Path) -> str:
    try:
        return " ".join(_text(entry / DESCRIPTION).split())
    except OSError:  # there is none, or it is no file
        return f"{entry.parent.name} {entry.name}"


def readable(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
