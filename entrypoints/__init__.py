"""The entry points of MLproject: a file for each, a call of `start`.

OpenMP's threads sleep while they wait for each other. Their default is to spin, which costs a training step a
factor of ten and more as soon as any other process uses the same cores. This has to be said before torch is
imported, as how much MLflow says has to be before MLflow is, and a user's own choice stands.
"""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairprof.config import CommandSettings, DataSettings, TrainingSettings
from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder
from fairprof.runtime.leaving import is_idle, leave
from fairprof.runtime.temporary import own_temporary_folder

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # it says of every step that it has taken it

HELP = {"-h", "--help"}
# of a run
LOGGED_BY = (
    *(f"fairprof.commands.train.{name}" for name in ("recorder", "inputs", "outcome", "registration")),
    *("mlflow.pyfunc", "sklearn.metrics"),  # which would be imported once there is something to log
)


def start(settings: type[CommandSettings], command: str, logged_by: Sequence[str] = ()) -> None:
    """Runs a command, the dotted path of a function, with the settings on the command line.

    torch and MLflow take long to import: a wrong setting is answered before the command's module is, and so is what
    is wrong with the data, as far as labels show it. logged_by: modules that log what the command hands over to a
    recorder, which has imported them.
    """
    try:
        with shown_in_one_line(cache_folder("auto") / "logs"):
            if HELP & set(sys.argv[1:]):
                print(importlib.import_module("fairprof.documents.usage").usage(settings))
                return
            given = settings.from_arguments()
            with own_temporary_folder(), _recorder(given, logged_by) as recorder:
                if isinstance(given, DataSettings):
                    importlib.import_module("fairprof.commands.first_look").look(given)
                _loaded(command)(given, **recorder)
    except SystemExit as end:
        if not _is_all():
            raise
        _end(end.code)
    if _is_all():
        leave()


@contextmanager
def _recorder(settings: CommandSettings, logged_by: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The argument `recorder` of a command that takes one."""
    if not (logged_by and isinstance(settings, TrainingSettings)):
        yield {}
        return
    beside = importlib.import_module("fairprof.runtime.beside")
    if settings.recorder == "here" or (settings.recorder == "auto" and not beside.has_spare_core()):
        yield {"recorder": beside.HERE}
        return
    process = beside.Beside(logged_by)
    try:
        yield {"recorder": process}
    finally:
        process.close()


def _loaded(command: str) -> Callable:
    """The function with this dotted path. What is imported stays: to look for what could go would take a second."""
    module, _, name = command.rpartition(".")
    gc.disable()
    function = getattr(importlib.import_module(module), name)
    if _is_entry_point():  # which never takes it apart
        gc.freeze()
    gc.enable()
    return function


def _end(code: str | int | None) -> None:
    """Ends the process as Python does at this exit code: a text goes to standard error, and is status 1."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    leave(1 if isinstance(code, str) else code or 0)


def _is_all() -> bool:
    """Whether an entry point is all that this process was started for, and nothing in it still works."""
    return _is_entry_point() and is_idle()


def _is_entry_point() -> bool:
    started = getattr(sys.modules["__main__"], "__spec__", None)
    return started is not None and started.name.startswith(f"{__name__}.")
