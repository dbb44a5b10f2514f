"""What attempts begin with: worlds that have been made once, and undisturbed starts to compare with."""

import functools
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mlflow

from tests.faults.windows import OF_SEARCHES, OF_STORES, OF_STUDIES, TARGETS, count_calls
from tests.faults.worlds import (
    World,
    copied,
    empty_world,
    require_nothing_left,
    require_whole,
    search,
    study,
    train,
    write_predictions,
)

PACKAGES = (
    "mlflow",
    "sqlalchemy",
    "alembic",
    "matplotlib",
    "PIL",
    "torch",
    "lightning",
    "pandas",
    "fairprof",
    "optuna",
)


@dataclass(frozen=True)
class Reference:
    """An undisturbed start of a command: the world before it, what its runs have predicted by design and seed, with
    those that were there before; how long it took, in seconds, and how often it called each target of windows."""

    before: World
    command: Callable[[World], None]
    predictions: dict[str, str]
    seconds: float
    calls: dict[str, int]


def again(world: World, reference: Reference, what: str = "the start afterwards") -> None:
    """Starts the reference's command and raises `Failed` unless it ends as the undisturbed start did."""

    def start() -> None:
        reference.command(world)
        require_whole(world, reference.predictions)

    world.start(start, "again.log").succeed(what)
    require_nothing_left(world)


class Stage:
    """Makes each thing when it is first asked for, in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def bare(self) -> World:
        """Pictures alone."""
        return empty_world(self.folder / "bare")

    @cached_property
    def begun(self) -> World:
        """A store that is empty."""
        world = copied(self.bare, self.folder / "begun")
        world.start(lambda: mlflow.MlflowClient().search_experiments()).succeed("the making of a store")
        return world

    @cached_property
    def used(self) -> World:
        """A store and caches in which design D was trained."""
        world = copied(self.begun, self.folder / "used")
        world.start(lambda: train(world, experiment="D")).succeed("the training of design D")
        return world

    @cached_property
    def first_training(self) -> Reference:
        """One for which there is no store yet."""
        return self._undisturbed("first_training", self.bare, train, OF_STORES)

    @cached_property
    def training(self) -> Reference:
        return self._undisturbed("training", self.begun, train, TARGETS)

    @cached_property
    def another_training(self) -> Reference:
        """One where there has been another."""
        return self._undisturbed("another_training", self.used, train, TARGETS)

    @cached_property
    def alone(self) -> dict[str, dict[str, str]]:
        """What the designs A, C and D predict, by design, where nothing disturbs them."""
        designs = {
            design: self._undisturbed(f"design_{design}", self.begun, functools.partial(train, experiment=design), {})
            for design in "AD"
        }
        return {design: reference.predictions for design, reference in (designs | {"C": self.training}).items()}

    @cached_property
    def study(self) -> Reference:
        return self._undisturbed("study", self.begun, study, OF_STUDIES)

    @cached_property
    def search(self) -> Reference:
        return self._undisturbed("search", self.begun, search, OF_SEARCHES)

    def _undisturbed(
        self, name: str, before: World, command: Callable[[World], None], targets: dict[str, str]
    ) -> Reference:
        world = copied(before, self.folder / name)
        calls, predictions, modules = (world.folder / name for name in ("calls", "predictions", "modules"))

        def counted() -> None:
            count_calls(targets, calls)
            command(world)
            write_predictions(world, predictions)
            modules.write_text(json.dumps([name for name in sys.modules if name.split(".")[0] in PACKAGES]))

        started = time.monotonic()
        world.start(counted).succeed(f"the undisturbed start ({name})")
        seconds = time.monotonic() - started
        for module in json.loads(modules.read_text()):  # so that no later process has to
            importlib.import_module(module)
        counts = json.loads(calls.read_text()) if targets else {}
        reference = Reference(before, command, json.loads(predictions.read_text()), seconds, counts)
        if missing := sorted(what for what, target in targets.items() if target not in reference.calls):
            print(f"never reached by {name}: {', '.join(missing)}", flush=True)
        return reference
