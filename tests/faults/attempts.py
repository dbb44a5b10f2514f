"""One attempt of the campaign: forked processes that begin with everything imported, and what they come to."""

import atexit
import ctypes
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

NEW_MOUNTS = 0x00020000  # CLONE_NEWNS of unshare(2)
PATIENCE = 240.0  # seconds for one start, on a machine that does other things as well


class Failed(Exception):
    """What must hold does not; the message is a line."""


class Skipped(Exception):
    """The machine cannot do what the attempt needs; the message says what."""


@dataclass
class Tally:
    """What attempts of a kind have come to. failures: how to repeat each, and what was found. seconds: of a core."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    def add(self, other: "Tally") -> None:
        self.tried += other.tried
        self.failures += other.failures
        self.skipped = self.skipped or other.skipped
        self.seconds += other.seconds

    @property
    def held(self) -> int:
        return self.tried - len(self.failures)


class Forked:
    """A function that runs in a process of its own, a fork of this one. All that it says goes to the file `log`."""

    def __init__(self, function: Callable[[], object], log: Path, environment: dict[str, str], folder: Path):
        self.log = log
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _become(log, environment, folder)
                function()
                atexit._run_exitfuncs()
                _leave(0)
            except Failed as failure:
                print(f"error: {failure}", file=sys.stderr)
                _leave(1)
            except SystemExit as end:
                atexit._run_exitfuncs()
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
                _leave(end.code if isinstance(end.code, int) else 1)
            except BaseException:
                traceback.print_exc()
                _leave(1)

    def kill(self) -> None:
        """Ends the process, and all that it has started, at once."""
        for process in [*_children(self.pid), psutil.Process(self.pid)]:
            process.kill()

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit status, negative where a signal has ended it; raises `Failed` where it takes longer."""
        deadline = time.monotonic() + patience
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                self.kill()
                os.waitpid(self.pid, 0)
                raise Failed(f"it had not ended after {patience:g} s: {self.last_line()}")
            time.sleep(0.02)

    def succeed(self, what: str) -> None:
        """Waits for the process and raises `Failed` unless it ends well."""
        status = self.wait()
        if status != 0 or "unexpected error" in self.said() or "Traceback" in self.said():
            raise Failed(f"{what} ended with status {status}: {self.last_line()}")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def last_line(self) -> str:
        lines = [line for line in self.said().splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines or ["it said nothing"])[-1][:300]


def _become(log: Path, environment: dict[str, str], folder: Path) -> None:
    os.setsid()
    atexit._clear()  # what the campaign's own process does at its end is not for its forks
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ.update(environment)
    tempfile.tempdir = None
    os.chdir(folder)


def _leave(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def mount_small_disk(folder: Path, size: int) -> None:
    """Makes a folder a file system of a few bytes, for this process and its children alone."""
    library = ctypes.CDLL(None, use_errno=True)
    options = f"size={size}".encode()
    if library.unshare(NEW_MOUNTS) != 0 or library.mount(b"none", b"/", None, 0x44000, None) != 0:  # private, all
        raise Skipped(f"no file system can be mounted here: {os.strerror(ctypes.get_errno())}")
    if library.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options) != 0:
        raise Skipped(f"no file system can be mounted here: {os.strerror(ctypes.get_errno())}")


def enlarge_disk(folder: Path, size: int) -> None:
    """Gives the file system of `mount_small_disk` more room."""
    if ctypes.CDLL(None).mount(b"tmpfs", bytes(folder), b"tmpfs", 0x20, f"size={size}".encode()) != 0:  # remounted
        raise OSError(ctypes.get_errno(), "remount")


class Attempt:
    """Work in a forked process, which returns or raises what it has found; it has a folder of its own."""

    def __init__(self, repeat: str, folder: Path, work: Callable[[Path], int | list[str]], patience: float):
        """repeat: how to repeat it. work: returns how many things it has tried, or all of these, which were none of
        `Failed`, as empty texts, and as what was found otherwise."""
        self.repeat, self.folder, self.started = repeat, folder, time.monotonic()
        self.deadline = self.started + patience
        folder.mkdir()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            (folder / "outcome.json").write_text(json.dumps(_outcome_of(work, folder)))
            _leave(0)

    def ended(self) -> Tally | None:
        """What it has come to; None where it goes on."""
        pid, _, used = os.wait4(self.pid, os.WNOHANG)
        if not pid and time.monotonic() < self.deadline:
            return None
        if not pid:
            self.end()
        try:
            outcome = json.loads((self.folder / "outcome.json").read_text())
        except (FileNotFoundError, ValueError):
            outcome = {"tried": 1, "failures": ["it was not finished, or ended the campaign's own process"]}
        failures = [f"{self.repeat}: {' '.join(found.split())}" for found in outcome.get("failures", [])]
        return Tally(outcome.get("tried", 0), failures, outcome.get("skipped", ""), used.ru_utime + used.ru_stime)

    def end(self) -> None:
        """Ends it, and all that it has started."""
        for process in [*_children(self.pid), psutil.Process(self.pid)]:
            process.kill()
        os.waitpid(self.pid, 0)


def _outcome_of(work: Callable[[Path], int | list[str]], folder: Path) -> dict:
    try:
        found = work(folder)
    except Skipped as reason:
        return {"skipped": str(reason)}
    except Failed as failure:
        return {"tried": 1, "failures": [str(failure)]}
    except Exception as error:  # of the campaign itself: it counts as a failure, and says where
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "tried": 1,
            "failures": [f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"],
        }
    if isinstance(found, int):
        return {"tried": found}
    return {"tried": len(found), "failures": [text for text in found if text]}
