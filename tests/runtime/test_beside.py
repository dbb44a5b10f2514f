"""Work in a process beside this one: its order, its errors, and how the two end together."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

from fairprof.errors import UserError
from fairprof.runtime.beside import HERE, Beside, has_spare_core
from tests.places import ROOT

THIS = "tests.runtime.test_beside"
PARENT = """
import os, time
from fairprof.runtime.beside import Beside

if __name__ == "__main__":
    print(Beside(()).do("os.getpid").result(), flush=True)
    time.sleep(600)
"""


class Unrepeatable(Exception):
    """Takes two arguments and keeps one, so that nobody can make it anew."""

    def __init__(self, first: str, second: str):
        super().__init__(first + second)


def note(path: str, text: str) -> None:
    time.sleep(0.2 if text == "a" else 0)
    with open(path, "a") as file:
        file.write(text)


def refuse() -> None:
    raise UserError("epochs=0: give 1 or more")


def break_down() -> None:
    raise Unrepeatable("the machine ", "is on fire")


def loaded(module: str) -> bool:
    return module in sys.modules


@pytest.fixture(scope="module")
def beside():
    process = Beside(["colorsys"])
    yield process
    process.close()


def test_pieces_are_done_in_their_order_in_one_other_process(beside, tmp_path):
    pieces = [beside.do(f"{THIS}.note", str(tmp_path / "noted"), letter) for letter in "abc"]
    assert not pieces[2].done()
    assert [piece.result() for piece in pieces] == [None] * 3
    assert (tmp_path / "noted").read_text() == "abc"
    assert beside.do("os.getpid").result() == beside.do("os.getpid").result() != os.getpid()


def test_it_imports_what_it_was_told_to(beside):
    assert beside.do(f"{THIS}.loaded", "colorsys").result()


def test_an_error_is_told_as_what_it_is_and_the_next_piece_is_done(beside):
    with pytest.raises(UserError, match="epochs=0: give 1 or more"):
        beside.do(f"{THIS}.refuse").result()
    assert beside.do("operator.add", 1, 2).result() == 3


def test_an_error_that_nobody_can_make_anew_is_told_as_its_traceback(beside):
    with pytest.raises(RuntimeError, match="(?s)in break_down.*Unrepeatable: the machine is on fire"):
        beside.do(f"{THIS}.break_down").result()


def test_an_interrupt_is_not_for_it(beside):
    os.kill(beside.do("os.getpid").result(), signal.SIGINT)
    assert beside.do("operator.add", 1, 2).result() == 3


def test_its_temporary_files_are_where_ours_are(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    process = Beside(())
    assert process.do("tempfile.gettempdir").result() == str(tmp_path)
    process.close()


def test_that_it_was_killed_is_an_error():
    process = Beside(())
    os.kill(process.do("os.getpid").result(), signal.SIGKILL)
    with pytest.raises(BrokenProcessPool):
        process.do("time.sleep", 60).result()
    process.close()


def test_it_ends_with_the_process_that_started_it(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as parent:
        other = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert not psutil.wait_procs([other], timeout=30)[1]


def test_here_it_is_done_at_once_and_its_error_is_raised_at_once():
    assert HERE.do("os.getpid").result() == os.getpid()
    with pytest.raises(UserError):
        HERE.do(f"{THIS}.refuse")


@pytest.mark.parametrize(
    ("cores", "ranks", "spare"),
    [(1, None, False), (2, None, True), (2, (0, 2), False), (3, (0, 2), True), (8, (1, 2), False)],
)
def test_a_core_is_spare_where_no_process_trains_on_it(cores, ranks, spare, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    if ranks:
        for name, value in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"), (*ranks, *ranks), strict=True):
            monkeypatch.setenv(name, str(value))
    assert has_spare_core() is spare


def test_leaving_does_what_is_registered_and_says_what_was_written(tmp_path):
    script = (
        "import atexit, sys; from fairprof.runtime.leaving import leave\n"
        f"atexit.register(lambda: open({str(tmp_path / 'left')!r}, 'w').close())\n"
        "sys.stdout.write('written'); leave()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "written") and Path(tmp_path / "left").exists()
