"""What all tests share: the folder of real data, settings with a cache of their own, small data sets."""

import entrypoints  # noqa: F401, I001  (how OpenMP waits is said before torch is imported)

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairprof.config import Settings
from fairprof.data.sources import synthetic
from fairprof.errors import UserError

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
def synthetic_cache(tmp_path_factory) -> Path:
    """A cache folder in which the embedded data set is drawn; once for all tests."""
    cache = tmp_path_factory.mktemp("synthetic") / "cache"
    synthetic.read(cache, lock_timeout=5.0)
    return cache


@pytest.fixture
def make_settings(tmp_path):
    """Settings whose cache is the test's own folder."""
    return lambda **values: Settings(**{"cache_dir": str(tmp_path / "cache"), "lock_timeout": 5.0, **values})


@pytest.fixture
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
