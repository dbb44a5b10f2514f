"""How long labels take from a file to a draw, and how much memory: a generated manifest, and FairFace's label files."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SEED = 0


def measure_pool(rows: int, suffix: str = ".csv") -> dict[str, float]:
    """A generated manifest of so many rows, CSV or Parquet by `suffix`, loaded and drawn from by all four designs.

    Returns `rows`, `load_seconds`, `draw_seconds` (four designs together) and `peak_gib`, the largest resident
    memory of a process that does nothing else, libraries included.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"manifest{suffix}"
        _write_manifest(path, rows)
        return _in_a_process_of_its_own(f"manifest:{path}")


def measure_fairface(folder: Path) -> dict[str, float]:
    """The same as `measure_pool` for the two official label files in `folder`; no image is needed."""
    return _in_a_process_of_its_own(f"fairface:{folder.absolute()}")


def _write_manifest(path: Path, rows: int) -> None:
    generator = np.random.default_rng(SEED)
    table = pd.DataFrame(
        {
            "image": [f"images/{number:08d}.jpg" for number in range(rows)],
            "gender": generator.choice(["Female", "Male"], rows),
            "race": generator.choice([f"race {number}" for number in range(7)], rows),
            "age": generator.integers(0, 100, rows).astype(str),
        }
    )
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)


def _in_a_process_of_its_own(data: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.pool", data]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measured(data: str) -> dict[str, float]:
    from fairprof.config import Settings  # torch, which the pool's pixels import, is no part of what is timed
    from fairprof.data.designs import DESIGNS, draw
    from fairprof.data.pool import load_pool

    settings = Settings(data=data)
    started = perf_counter()
    pool = load_pool(settings, image_size=None)
    loaded = perf_counter()
    for design in DESIGNS.values():
        draw(pool, design, settings)
    return {
        "rows": len(pool.table),
        "load_seconds": loaded - started,
        "draw_seconds": perf_counter() - loaded,
        "peak_gib": _peak_gib(),
    }


def _peak_gib() -> float:
    """The process's largest resident memory so far, GiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage would count the process that started this one, too
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1])))
