"""Kills, at random moments and at named windows: the same start afterwards ends as an undisturbed one does."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.entrypoints.runs import environment
from tests.faults.attempts import Failed
from tests.faults.campaign import Kind
from tests.faults.stage import Reference, Stage, again
from tests.faults.windows import OF_SEARCHES, OF_STORES, OF_STUDIES, TARGETS, Window
from tests.faults.worlds import copied
from tests.places import ROOT

MLFLOW_RUN_SECONDS = 30.0  # within which `mlflow run` imports, starts its process, and this one imports and begins


def kinds(stage: Stage) -> list[Kind]:
    """Two hundred kills: of trainings, of the making of a store, of studies, of searches, of `mlflow run`."""

    def of_training(number: int, generator: np.random.Generator):
        return _drawn(stage.training if number % 2 else stage.another_training, TARGETS, number, generator)

    return [
        Kind("kills", 154, of_training),
        Kind("kills-store", 16, lambda number, generator: _drawn(stage.first_training, OF_STORES, number, generator)),
        Kind("kills-study", 10, lambda number, generator: _drawn(stage.study, OF_STUDIES, number, generator)),
        Kind("kills-search", 16, lambda number, generator: _drawn(stage.search, OF_SEARCHES, number, generator)),
        Kind("kills-mlflow-run", 4, functools.partial(_of_mlflow_run, stage)),
    ]


def _drawn(reference: Reference, targets: dict[str, str], number: int, generator: np.random.Generator):
    """A kill of the reference's command: two of three at a window, all of them in turn, the others at random."""
    windows = [(what, name, at_exit) for what, name in targets.items() for at_exit in (False, True)]
    reached = [window for window in windows if window[1] in reference.calls]
    if number % 3 == 2:
        after = float(generator.uniform(0, reference.seconds))
        return f"killed after {after:.2f} s", functools.partial(_killed, reference, after)
    what, name, at_exit = reached[(number - number // 3) % len(reached)]
    window = Window(what, name, at_exit, int(generator.integers(reference.calls[name])) + 1)
    return f"killed {window}", functools.partial(_killed, reference, window)


def _killed(reference: Reference, moment: float | Window, folder: Path) -> int:
    """Kills a start and starts again; 0 where it ended before it was killed."""
    world = copied(reference.before, folder / "world")

    def victim() -> None:
        if isinstance(moment, Window):
            moment.arm()
        reference.command(world)

    process = world.start(victim, "killed.log")
    if not isinstance(moment, Window):
        time.sleep(moment)
        process.kill()
    status = process.wait()
    if status > 0:
        raise Failed(f"the start that was to be killed failed: {process.last_line()}")
    again(world, reference)
    return int(status < 0)


def _of_mlflow_run(stage: Stage, number: int, generator: np.random.Generator):
    after = float(generator.uniform(1, MLFLOW_RUN_SECONDS))
    return f"`mlflow run` killed after {after:.2f} s", functools.partial(_mlflow_run_killed, stage.training, after)


def _mlflow_run_killed(reference: Reference, after: float, folder: Path) -> int:
    world = copied(reference.before, folder / "world")
    settings = world.shared(experiment="C")
    parameters = [word for name, value in settings.items() for word in ("-P", f"{name}={value}")]
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), *parameters, "--env-manager", "local"]
    command += ["--experiment-name", "fairprof"]
    with open(world.folder / "killed.log", "w") as log:
        process = subprocess.Popen(
            command,
            cwd=world.folder,
            env=environment(**world.environment),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for empty in (world.folder / "temporary").glob("tmp*"):  # that `mlflow` makes itself, for parameters that are files
        empty.rmdir()
    again(world, reference)
    return int(process.returncode < 0)
