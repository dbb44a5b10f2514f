"""Work that is done piece by piece, in its order: in this process, or in one beside it, on a core that is spare."""

import copy
import importlib
import multiprocessing
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.util import Finalize
from typing import Any, Protocol

from fairprof.runtime.leaving import leave
from fairprof.runtime.ranks import Rank


class Executor(Protocol):
    """Does one piece of work after another."""

    def do(self, function: str, *arguments: Any) -> Future:
        """Hands over a piece of work: the dotted path of a function, and what it is called with."""


class Here:
    """Does every piece at once, in this process; what goes wrong in it is raised by `do`."""

    def do(self, function: str, *arguments: Any) -> Future:
        done: Future = Future()
        done.set_result(function_at(function)(*arguments))
        return done


class Beside:
    """Does the pieces in a process of its own, which imports what it needs at once, and ends with this one.

    imports: modules, by their dotted paths. What is handed over, and what comes back, is pickled.
    """

    def __init__(self, imports: Sequence[str]):
        self._executor = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(tempfile.gettempdir(), imports)
        )
        self._executor.submit(os.getpid)  # which starts the process

    def do(self, function: str, *arguments: Any) -> Future:
        return self._executor.submit(_done, function, arguments)

    def close(self) -> None:
        """Ends the process once it has done what it has begun; what it has not is dropped."""
        self._executor.shutdown(cancel_futures=True)


HERE = Here()


def has_spare_core() -> bool:
    """Whether this process leads, and those that train on this machine leave a core to one beside them."""
    rank = Rank.of_environment()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return rank.leads and cores > rank.local_count


def function_at(path: str) -> Any:
    """The function that a dotted path names; its module is imported."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _begin(temporary_folder: str, imports: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that hands over
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Finalize(None, leave, exitpriority=0)
    tempfile.tempdir = temporary_folder
    for module in imports:
        importlib.import_module(module)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _done(function: str, arguments: tuple) -> Any:
    try:
        return function_at(function)(*arguments)
    except Exception as error:
        raise as_told(error) from None


def as_told(error: BaseException) -> BaseException:
    """An error as another process can be told of it: itself where it can be made anew there, else its traceback."""
    try:
        if type(copy.copy(error)) is type(error):
            return error
    except TypeError:  # its class takes other arguments than those that it keeps
        pass
    return RuntimeError("".join(traceback.format_exception(error)))
