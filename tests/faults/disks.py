"""A disk that is full: one line that says so, nothing half-written, and the same start goes on when there is room."""

import functools
from pathlib import Path

import numpy as np

from tests.faults.attempts import Failed, enlarge_disk, mount_small_disk
from tests.faults.campaign import Kind
from tests.faults.stage import Stage, again
from tests.faults.worlds import copied

ROOM = 2**30  # bytes, for all that a training writes


def kinds(stage: Stage) -> list[Kind]:
    return [Kind("disk", 12, functools.partial(_drawn, stage))]


def _drawn(stage: Stage, number: int, generator: np.random.Generator):
    """The disk of the cache, of temporary files, of the store, or of all, with room for a part of what is written."""
    stage.training  # noqa: B018  (made here, and not in every attempt)
    where = ("cache", "temporary", ".", "mlruns")[number % 4]
    size = int(2 ** generator.uniform(12, 25))
    return f"a disk of {size:,} bytes at {where}", functools.partial(_full, stage, where, size)


def _full(stage: Stage, where: str, size: int, folder: Path) -> int:
    reference = stage.training
    disk = folder / "disk"
    disk.mkdir()
    if where == ".":  # what is there has room, and a part of what is written
        size += sum(path.stat().st_size for path in reference.before.folder.rglob("*") if path.is_file()) * 2
        mount_small_disk(disk, size)
        world = copied(reference.before, disk)
    else:
        world = copied(reference.before, folder / "world")
        (world.folder / where).mkdir(exist_ok=True)
        disk = world.folder / where
        mount_small_disk(disk, size)
    process = world.start(lambda: reference.command(world), "full.log")
    status = process.wait()
    if status < 0 or "unexpected error" in process.said() or "Traceback" in process.said():
        raise Failed(f"with a full disk it ended with {status}: {process.last_line()}")
    enlarge_disk(disk, ROOM)
    again(world, reference, "the start with room again")
    return 1
