"""Temporary files of killed processes go with the next start; those of living ones stay."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairprof.runtime.temporary import own_temporary_folder
from tests.places import ROOT

WORKING = """
import multiprocessing, os, sys, tempfile
from fairprof.runtime.temporary import own_temporary_folder

with own_temporary_folder():
    tempfile.mkdtemp(prefix="kept-")
    forked = multiprocessing.get_context("fork").Process(target=os.getpid)
    forked.start()
    forked.join()
    if os.fork() == 0:
        sys.exit()  # with all that is to be done at the end of a process
    os.wait()
    print(tempfile.gettempdir(), flush=True)
    sys.stdin.read()
print(tempfile.gettempdir(), flush=True)
"""


@contextmanager
def working(folder: Path):
    """Another process that has a temporary folder of its own among those in `folder`, and that temporary folder."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKING],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, Path(process.stdout.readline().strip())
        process.stdin.close()


@pytest.fixture
def system_folder(tmp_path, monkeypatch) -> Path:
    """What the operating system's temporary folder is here."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    return tmp_path


def folders_in(system_folder: Path) -> set[str]:
    return {path.name for path in (system_folder / f"fairprof-{os.getuid()}").iterdir() if path.is_dir()}


def test_a_process_that_ends_leaves_nothing(system_folder):
    with working(system_folder) as (process, own):
        assert own.parent == system_folder / f"fairprof-{os.getuid()}" and own.parent.stat().st_mode & 0o777 == 0o700
        assert len(list(own.glob("kept-*"))) == 1
        process.stdin.close()
        assert process.stdout.readline() == f"{system_folder}\n"  # outside the block
        assert process.wait(30) == 0
    assert not own.exists() and folders_in(system_folder) == set()


def test_what_a_killed_process_left_goes_with_the_next_start_and_what_a_living_one_needs_stays(system_folder):
    with working(system_folder) as (killed, abandoned), working(system_folder) as (_, used):
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
        assert list(abandoned.glob("kept-*"))
        with working(system_folder) as (_, new):
            assert folders_in(system_folder) == {used.name, new.name}
            assert list(used.glob("kept-*"))
    assert folders_in(system_folder) == set()


def test_what_torch_compiles_is_found_again_by_the_next_process(system_folder, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "the user's own")
    with own_temporary_folder():
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "the user's own"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    with own_temporary_folder():
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(system_folder / f"fairprof-{os.getuid()}-torchinductor")


@pytest.mark.parametrize("what", ["a file", "a link", "its lock is a folder"])
def test_where_no_folder_can_be_had_temporary_files_are_where_they_always_are(what, system_folder, tmp_path):
    place = system_folder / f"fairprof-{os.getuid()}"
    if what == "a file":
        place.write_text("x")
    elif what == "a link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        (place / "folders.lock").mkdir(parents=True)
    with own_temporary_folder():
        assert tempfile.gettempdir() == str(system_folder)
