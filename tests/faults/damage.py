"""Files of the cache that are damaged between two starts: the second ends as the first did."""

import functools
from pathlib import Path

import numpy as np

from tests.faults.attempts import Failed
from tests.faults.campaign import Kind
from tests.faults.stage import Stage, again
from tests.faults.windows import Window
from tests.faults.worlds import copied

CHECKPOINT = Window("the training is logged", "fairprof.commands.train.outcome:log_training", False, 1)


def kinds(stage: Stage) -> list[Kind]:
    return [Kind("damage", 24, functools.partial(_drawn, stage))]


def _drawn(stage: Stage, number: int, generator: np.random.Generator):
    """Of the caches that a training has left; every other time, of a killed one's checkpoint too."""
    stage.training  # noqa: B018  (made here, and not in every attempt)
    how = ("flipped", "cut", "emptied", "overwritten")[number // 2 % 4]
    name = f"a file {how} after {'a training' if number % 2 else 'a kill'}"
    return name, functools.partial(_damaged, stage, how, bool(number % 2), generator)


def _damaged(stage: Stage, how: str, whole: bool, generator: np.random.Generator, folder: Path) -> int:
    reference = stage.training
    world = copied(reference.before, folder / "world")

    def first() -> None:
        if not whole:
            CHECKPOINT.arm()
        reference.command(world)

    process = world.start(first, "first.log")
    if (process.wait() == 0) != whole:
        raise Failed(f"the first start: {process.last_line()}")
    files = sorted(path for path in world.cache.rglob("*") if path.is_file() and path.suffix != ".lock")
    trained = [path for path in files if "trainings" in path.parts]
    file = (files if whole or not trained else trained)[int(generator.integers(len(files if whole else trained)))]
    damage(file, how, generator)
    again(world, reference, f"the start after {file.relative_to(world.cache)} was {how}")
    return 1


def damage(file: Path, how: str, generator: np.random.Generator) -> None:
    """Changes a file as a failing disk does, or whoever writes to the wrong one."""
    content = bytearray(file.read_bytes())
    place = int(generator.integers(max(len(content), 1)))
    if how == "flipped" and content:
        content[place] ^= 1 << int(generator.integers(8))
    elif how == "cut":
        del content[place:]
    elif how == "emptied":
        content.clear()
    else:
        content = bytearray(generator.bytes(len(content)))
    file.write_bytes(content)
