"""The checkpoints of a training: written in one step, with a checksum; what is read is plain tensors and numbers."""

import io
import os
import zlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fairprof.runtime.checksums import regular_size
from fairprof.runtime.files import discard
from fairprof.runtime.progress import note

RESUME, BEST = "resume.ckpt", "best.ckpt"  # of the last epoch, complete; the weights of the best one so far
# raise the number when what a checkpoint holds changes; what other libraries have written is not gone on from exactly
KIND = "fairprof checkpoint"
LAYOUT = f"{KIND} 1, torch {version('torch')}, lightning {version('lightning')}"
LONGEST_LINE = 200  # bytes


class DamagedCheckpoint(Exception):
    """A checkpoint that is not as it was written, or not of this version; the message says which file and why."""


def write(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a line with the layout and a checksum, and what PyTorch saves; the file takes its name in one step."""
    saved = io.BytesIO()
    torch.save(checkpoint, saved)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with open(unfinished, "wb") as file:
        file.write(_first_line(saved.getbuffer()))
        file.write(saved.getbuffer())
    os.replace(unfinished, path)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, its tensors on the CPU; raises `DamagedCheckpoint` where it is not as it was written."""
    return torch.load(io.BytesIO(_saved(path)), map_location="cpu", weights_only=True)


def best_by(rule: str) -> str:
    """The file with the weights of the best epoch so far by a selection rule that is not the chosen one."""
    return f"best-{rule}.ckpt"


def can_resume(folder: Path, other_rules: Iterable[str] = ()) -> bool:
    """Whether a training can go on in its folder; other_rules: selection rules beside the chosen one, whose best
    weights it keeps. Where a checkpoint is damaged or missing, all are removed, which is said."""
    try:
        if os.path.lexists(folder / RESUME):
            for name in (RESUME, BEST, *map(best_by, other_rules)):
                _saved(folder / name)
            return True
    except DamagedCheckpoint as damage:
        note(f"the checkpoint of this training in {folder} is damaged ({damage}): it begins anew")
    for path in folder.glob("*.ckpt*"):
        discard(path)
    return False


def _first_line(saved: memoryview) -> bytes:
    return f"{LAYOUT}, CRC-32 {zlib.crc32(saved):08x}\n".encode()


def _saved(path: Path) -> memoryview:
    """What PyTorch has saved."""
    try:
        regular_size(path)
        content = path.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"{path.name}: {error.strerror}") from None
    length = content[:LONGEST_LINE].find(b"\n") + 1
    saved = memoryview(content)[length:]
    if content[:length] != _first_line(saved):
        of_another = content.startswith(KIND.encode()) and not content.startswith(LAYOUT.encode())
        raise DamagedCheckpoint(f"{path.name}: {'of another version' if of_another else 'not as it was written'}")
    return saved
