"""What all tests share: the folder of real data, settings with a cache of their own, small data sets."""

import entrypoints  # noqa: F401, I001  (how OpenMP waits is said before torch is imported)

import ctypes
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairprof.runtime.cache import Cache
from fairprof.config import Settings
from fairprof.data.sources import synthetic
from fairprof.errors import UserError
from tests.browsers import browser  # noqa: F401  (one for all: it is started once in a process)
from tests.places import mlflow_in
from tests.places import ROOT
from tests.servers import postgresql_server

SHARED = ROOT.parent / "shared"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
NEW_MOUNTS = 0x00020000  # CLONE_NEWNS of unshare(2)
HOLD = """
import sys, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """The garbage collector leaves alone what is there by now: a million objects of libraries and tests."""
    gc.freeze()


def pytest_unconfigure():
    gc.unfreeze()


def pytest_configure(config):
    # MLflow's remark about its own classes, when it is imported
    config.addinivalue_line("filterwarnings", "ignore:.*Any type hint is inferred as AnyType:UserWarning")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """One thread computes small tensors many times faster than two whose cores other processes keep busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data for development, which lies beside the project and is no part of it."""
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared with real data beside the project")
    return SHARED


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory) -> Path:
    """A folder of all processes that run tests: who makes something there for the others does so under a lock."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def synthetic_cache(common_folder, tmp_path_factory) -> Path:
    """A cache folder, of this process's tests, in which the embedded data set is drawn."""
    drawn = common_folder / "drawn"
    synthetic.read(Cache(drawn, size_limit=2**30, lock_timeout=300.0))
    folder = tmp_path_factory.mktemp("synthetic") / "cache"
    shutil.copytree(drawn / synthetic.VERSION, folder / synthetic.VERSION)
    return folder


@pytest.fixture
def cache(tmp_path) -> Cache:
    """An empty cache of the test's own, which may grow to 1 GiB."""
    return Cache(tmp_path / "cache", size_limit=2**30, lock_timeout=5.0)


@pytest.fixture
def make_settings(tmp_path):
    """Settings whose cache is the test's own folder."""
    return lambda **values: Settings(**{"cache_dir": str(tmp_path / "cache"), "lock_timeout": 5.0, **values})


@pytest.fixture(scope="session")
def write_image():
    """Writes a picture of noise, coarse more than fine as in photographs, different for every seed."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (48, 48)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(seed)
        layers = [
            Image.fromarray(generator.integers(0, 256, (edge, edge, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
            for edge in (4, 8, 16, 32)
        ]
        mean = np.average([np.asarray(layer) for layer in layers], axis=0, weights=(8, 4, 3, 2))
        Image.fromarray(mean.astype(np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def write_manifest(tmp_path):
    """Writes rows (dictionaries with equal keys) as a CSV file and returns the value of `data` that names it."""

    def write(rows: list[dict], name: str = "faces.csv") -> str:
        pd.DataFrame(rows).to_csv(tmp_path / name, index=False)
        return f"manifest:{tmp_path / name}"

    return write


@pytest.fixture(scope="session")
def refused():
    """A context whose block must raise a `UserError` of one line that contains every given text."""

    @contextmanager
    def expect(*texts: str):
        with pytest.raises(UserError) as refusal:
            yield
        message = str(refusal.value)
        assert "\n" not in message
        assert [text for text in texts if str(text) not in message] == [], message

    return expect


@pytest.fixture(scope="session")
def held():
    """A context during which another process holds a lock file; what it yields gives the lock free."""

    @contextmanager
    def hold(path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout.readline() == "held\n"
            yield holder.stdin.close

    return hold


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Path]:
    """A store of its own in a folder of its own, which is the working directory meanwhile."""
    with mlflow_in(tmp_path_factory.mktemp("store")) as folder:
        yield folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of an empty database of a server that is this session's."""
    with postgresql_server() as url:
        yield url


@pytest.fixture
def on_small_disk(tmp_path):
    """Runs a function with a folder that is a file system of its own, of a few bytes. It is mounted in a mount
    namespace of one thread, so that nobody else sees it and nothing of it outlives the test."""

    def run(size: int, work):
        disk = tmp_path / "disk"
        disk.mkdir()
        outcome: list = []

        def in_own_namespace():
            try:
                if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS) != 0:
                    raise PermissionError(ctypes.get_errno(), "unshare")
                for command in (
                    ["mount", "--make-rprivate", "/"],
                    ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)],
                ):
                    subprocess.run(command, check=True, capture_output=True)
            except (OSError, AttributeError, subprocess.CalledProcessError) as error:
                outcome.append(pytest.skip.Exception(f"no file system can be mounted here: {error}"))
                return
            try:
                outcome.append(work(disk))
            except BaseException as error:  # carried to the test's thread
                outcome.append(error)

        thread = threading.Thread(target=in_own_namespace)
        thread.start()
        thread.join()
        assert list(disk.iterdir()) == []  # this thread sees the folder without the file system
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    return run


@pytest.fixture(scope="session")
def torchrun(tmp_path_factory):
    """Runs a script in several processes that torchrun starts. The script gets a folder as its argument, in which
    process R leaves R.json. Returns their contents in order, and all that was said."""

    def run(script: str, count: int) -> tuple[list[dict], str]:
        folder = tmp_path_factory.mktemp("torchrun")
        (folder / "script.py").write_text(script)
        done = subprocess.run(
            [*TORCHRUN, "--standalone", f"--nproc_per_node={count}", str(folder / "script.py"), str(folder)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)], done.stdout

    return run


@pytest.fixture(scope="session")
def sections_of():
    """Splits a document at its headings: heading to what stands under it, up to the next heading of any level."""

    def split(document: str) -> dict[str, str]:
        parts = re.split(r"^(#+ .+)$", document, flags=re.MULTILINE)
        return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}

    return split


@pytest.fixture(scope="session")
def row_of():
    """The cells of the only table row that begins with given cells, in a section of a document or in all of it."""

    def find(document: str, *first: str, section: str = "") -> list[str]:
        if section:
            document = re.split(r"^#", document.split(f"\n{section}")[1], flags=re.MULTILINE)[0]
        lines = [line for line in document.split("\n") if line.startswith("| ")]
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        (row,) = [row for row in rows if row[: len(first)] == list(first)]
        return row

    return find
