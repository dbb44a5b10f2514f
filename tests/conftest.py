"""What all tests share: the folder of real data, settings with a cache of their own, small data sets."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairprof.config import Settings

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data for development, which lies beside the project and is no part of it."""
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared with real data beside the project")
    return SHARED


@pytest.fixture
def make_settings(tmp_path):
    """Settings whose cache is the test's own folder."""
    return lambda **values: Settings(**{"cache_dir": str(tmp_path / "cache"), "lock_timeout": 5.0, **values})


@pytest.fixture
def write_image():
    """Writes a picture of noise, different for every seed."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (48, 48)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
        return path

    return write
