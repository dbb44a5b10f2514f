"""Checksums by which files tell whether they are as they were written.

CRC-32 finds every flipped bit and all but one in 2**32 of other accidents, at gigabytes a second and thread; it is no
protection against people.
"""

import json
import os
import stat
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHECKSUMS = "checksums"  # in a sealed folder: a checksum of what follows, and what follows: those of the other files
PIECE = 2**22  # bytes that have a checksum of their own, so that threads share a large file


def seal(folder: Path) -> None:
    """Writes down how long every file of a folder and its sub-folders is, and its checksums."""
    files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    text = json.dumps({name: [files[name], checksums] for name, checksums in _checksums(folder, files).items()})
    (folder / CHECKSUMS).write_text(f"{zlib.crc32(text.encode()):08x}\n{text}", encoding="utf-8")


def damage_of(folder: Path) -> str:
    """How a folder differs from what `seal` has seen, in words that name the file; "" where all is as it was."""
    if folder.is_symlink() or not folder.is_dir():
        return "no folder"
    try:
        sealed = _sealed(folder)
        if sealed is None:
            return f"{CHECKSUMS}: not as it was written"
        for name, (size, _) in sealed.items():
            found = regular_size(folder / name)
            if found != size:
                return f"{name}: {found:,} bytes of {size:,}"
        for name, checksums in _checksums(folder, {name: size for name, (size, _) in sealed.items()}).items():
            if checksums != sealed[name][1]:
                return f"{name}: not as it was written"
    except FileNotFoundError as error:
        return f"{os.path.relpath(error.filename, folder)}: missing"
    except OSError as error:
        return f"{os.path.relpath(error.filename or folder, folder)}: {error.strerror}"
    return ""


def regular_size(path: Path) -> int:
    """A file's length in bytes; raises OSError where there is none, or something else: a folder, a link, a pipe."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "no regular file", str(path))
    return status.st_size


def _sealed(folder: Path) -> dict[str, tuple[int, list[int]]] | None:
    """What `seal` has written down, None where that has changed; raises OSError where it cannot be read."""
    regular_size(folder / CHECKSUMS)
    checksum, _, text = (folder / CHECKSUMS).read_bytes().partition(b"\n")
    return json.loads(text) if checksum == f"{zlib.crc32(text):08x}".encode() else None


def _checksums(folder: Path, sizes: dict[str, int]) -> dict[str, list[int]]:
    """The checksum of every piece of every file; sizes: bytes by the file's name."""
    pieces = [(name, start) for name, size in sizes.items() for start in range(0, size, PIECE)]
    threads = os.cpu_count() or 1
    shares = [pieces[first::threads] for first in range(threads)]

    def checksums(share: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
        return [(name, start, _checksum(folder / name, start)) for name, start in share]

    found: dict[str, list[int]] = {name: [] for name in sizes}
    with ThreadPoolExecutor(threads) as executor:
        for name, _, checksum in sorted(piece for done in executor.map(checksums, shares) for piece in done):
            found[name].append(checksum)
    return found


def _checksum(path: Path, start: int) -> int:
    with open(path, "rb") as file:
        file.seek(start)
        return zlib.crc32(file.read(PIECE))
