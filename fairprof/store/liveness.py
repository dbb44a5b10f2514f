"""Which runs still have a process, on this machine or another.

A run names its process by two tags; while it is open, the process writes a third, its heartbeat, again and again. What
a process of this machine does is asked of the operating system. Of another machine's, a heartbeat that does not change
for `LEASE` seconds says that it is gone: it is the one who asks that measures them, so that clocks need not agree.
"""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import mlflow
import psutil
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

HOST, PROCESS, HEARTBEAT = "fairprof.host", "fairprof.process", "fairprof.heartbeat"
BEAT = 10.0  # seconds between heartbeats
LEASE = 180.0  # seconds; more than MLflow's client may sleep (120) before it tries again to reach its server
LONG_AGO = 3600.0  # seconds; who meets an open run for the first time believes a clock that is so much behind
CLOCK_TOLERANCE = 5.0  # seconds by which a process's start may seem to move when the clock is set

_seen: dict[str, tuple[str, float]] = {}  # heartbeats of other machines' runs, and since when they have been the same


def process_tags() -> dict[str, str]:
    """The tags by which a run names this process."""
    process = psutil.Process()
    return {HOST: platform.node(), PROCESS: f"{process.pid}:{process.create_time():.2f}:{_process_namespace()}"}


@contextmanager
def heartbeat(run_id: str) -> Iterator[None]:
    """Says every `BEAT` seconds of the block, from a thread of its own, that the run's process is alive."""
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(mlflow.MlflowClient(), run_id, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _beat(client: mlflow.MlflowClient, run_id: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(MlflowException):  # the server may come back; if it does not, the run itself will say so
            client.set_tag(run_id, HEARTBEAT, f"{time.time():.0f}")


def has_ended(run: Run) -> bool:
    """Whether the process of an open run, which has `process_tags`, is known to exist no more."""
    tags = run.data.tags
    number, created, *namespace = tags[PROCESS].split(":")
    if tags[HOST] == platform.node() and namespace in ([], [_process_namespace()]):  # earlier versions named none
        return not _exists(int(number), float(created))
    beat, now = tags.get(HEARTBEAT, ""), time.monotonic()
    if run.info.run_id not in _seen or _seen[run.info.run_id][0] != beat:
        _seen[run.info.run_id] = (beat, now)
    silent_since = _seen[run.info.run_id][1]
    return now - silent_since > LEASE or time.time() - float(beat or run.info.start_time / 1000) > LONG_AGO


def is_carried(run: Run, commands: tuple[str, ...]) -> bool:
    """Whether a process of this machine will take over an open run that names no process yet.

    `mlflow run` creates the run, then starts the process that takes it over, which says so once it has imported what
    it needs. commands: names of programs that create runs and then start a process for each.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("MLFLOW_RUN_ID") == run.info.run_id:
                return True
            if process.create_time() * 1000 <= run.info.start_time and _prepares(process, commands):
                return True
    return False


def _prepares(process: psutil.Process, commands: tuple[str, ...]) -> bool:
    """Whether a process is one of the commands and has not started the process for its run yet."""
    words = {os.path.basename(word) for word in process.cmdline()[:3]}
    if not words & set(commands) or "run" not in process.cmdline():
        return False
    return not any("MLFLOW_RUN_ID" in child.environ() for child in process.children(recursive=True))


def _exists(number: int, created: float) -> bool:
    try:
        process = psutil.Process(number)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - created) < CLOCK_TOLERANCE
    except psutil.NoSuchProcess:
        return False


def _process_namespace() -> str:
    """What tells containers apart that have one name: numbers of processes mean something within it alone."""
    try:
        return os.readlink("/proc/self/ns/pid").removeprefix("pid:").strip("[]")
    except OSError:  # another operating system
        return ""
