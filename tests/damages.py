"""What may happen to a file between two starts."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def flip_bit(path: Path, place: int) -> None:
    """Flips a bit of the byte at a place, counted from the end if it is negative."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << (place % 8)
    path.write_bytes(content)


def _flipped(path: Path) -> None:
    flip_bit(path, path.stat().st_size // 2)


def _garbage(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def _longer(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(bytes(1))


def _folder(path: Path) -> None:
    path.unlink()
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_text("x")


def _link(path: Path) -> None:
    """To a copy, which is whole: nobody says for how long."""
    moved = path.rename(path.with_name("elsewhere"))
    path.symlink_to(moved)


def _circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "emptied": _emptied,
    "one bit flipped": _flipped,
    "garbage": _garbage,
    "longer": _longer,
    "missing": Path.unlink,
    "a folder": _folder,
    "a link": _link,
    "a link to itself": _circle,
    "a named pipe": _pipe,
}
