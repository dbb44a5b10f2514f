"""Four starts at once, on a fresh and on a used store: each ends as it does alone."""

import functools
import time
from pathlib import Path

import numpy as np

from tests.faults.attempts import Failed
from tests.faults.campaign import Kind
from tests.faults.stage import Stage
from tests.faults.worlds import World, copied, require_whole, train

STARTS = 4


def kinds(stage: Stage) -> list[Kind]:
    return [Kind("starts", 52, functools.partial(_drawn, stage))]


def _drawn(stage: Stage, number: int, generator: np.random.Generator):
    """On a world without a store, with an empty one, and with a used one, in turn; the same training or others."""
    named = ("bare", "begun", "used")[number % 3]
    pauses = generator.uniform(0, 0.5, STARTS) * generator.integers(2)
    equal = bool(number // 3 % 2)
    designs = "CCCC" if equal else "CADC"
    expected = {
        key: value
        for design in {*designs, *("D" if named == "used" else "")}
        for key, value in stage.alone[design].items()
    }
    name = f"{STARTS} starts of designs {designs} where the store is {named}"
    return name, functools.partial(_at_once, getattr(stage, named), designs, pauses.tolist(), expected)


def _at_once(before: World, designs: str, pauses: list[float], expected: dict[str, str], folder: Path) -> list[str]:
    world = copied(before, folder / "world")

    def start(number: int) -> None:
        time.sleep(pauses[number])
        train(world, experiment=designs[number])

    processes = [world.start(functools.partial(start, number), f"log{number}") for number in range(STARTS)]
    found = []
    for number, process in enumerate(processes):
        try:
            process.succeed(f"start {number} of design {designs[number]}")
            found.append("")
        except Failed as failure:
            found.append(str(failure))
    if not any(found):
        world.start(lambda: require_whole(world, expected), "whole.log").succeed("what must hold afterwards")
    return found
