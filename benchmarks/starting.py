"""Commands as processes of their own, from start to end: a refusal, a run whose outputs are cached, a study; seconds
and bytes beside what training alone takes."""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale import Scale
from fairprof.commands.train.run import fitted, prepared, with_cached_prefix
from fairprof.config import Settings
from fairprof.data.pool import Pool

PROJECT = Path(__file__).resolve().parents[1]
DESIGN, EPOCHS, IMAGES = "B", 14, 140  # of the run


def measure_starting(scale: Scale, settings: Settings, pool: Pool, folder: Path) -> dict:
    """Wall-clock seconds and bytes; settings: of a training of the head, with epochs, images and a cache.

    `refusal_seconds`: a wrong setting. `run`: a run of `images` images whose prefix outputs are cached, in a store that
    is there: `seconds`, `bytes` that it leaves, and `training_seconds` of the same training alone. `study`: every
    design with every seed: `seconds` (with the comparison), `bytes`, `runs`, and `training_seconds` of all trainings
    alone.
    """
    # another part may have named an experiment of another store
    own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_EXPERIMENT")}
    environment = own | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": str(PROJECT),
    }

    def started(command: str, status: int = 0, **values: object) -> tuple[float, int]:
        words = [word for name, value in values.items() for word in (f"--{name}", str(value))]
        before, start = _bytes(folder), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", f"entrypoints.{command}", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != status:
            raise RuntimeError(f"entrypoints.{command} ended with {done.returncode}: {done.stderr[-1000:]}")
        return time.perf_counter() - start, _bytes(folder) - before

    shared = {name: getattr(settings, name) for name in SHARED}
    images = IMAGES if scale.train_size == "natural" else int(scale.train_size)
    of_run = shared | {"experiment": DESIGN, "epochs": min(EPOCHS, scale.epochs), "train_size": images}
    of_study = shared | {"experiments": ",".join(scale.designs), "seeds": scale.seeds, "train_size": scale.train_size}
    refusal, _ = started("train", status=1, epochs=0)
    started("train", **of_run)  # fills the cache and makes the store
    run_seconds, run_bytes = started("train", **of_run)
    started("study", **of_study)
    with TemporaryDirectory(dir=folder) as again:  # where nothing has been trained, but everything is cached
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(again) / 'mlflow.db'}"
        study_seconds, study_bytes = started("study", **of_study)
    trainings = [(design, seed) for seed in range(scale.seeds) for design in scale.designs]
    return {
        "refusal_seconds": refusal,
        "run": {
            "images": images,
            "seconds": run_seconds,
            "bytes": run_bytes,
            "training_seconds": _training_seconds(Settings(**of_run), pool),
        },
        "study": {
            "runs": len(trainings),
            "seconds": study_seconds,
            "bytes": study_bytes,
            "training_seconds": sum(
                _training_seconds(settings.model_copy(update={"experiment": design, "seed": seed}), pool)
                for design, seed in trainings
            ),
        },
    }


SHARED = (
    *("data", "weights", "architecture", "image_size", "batch_size", "epochs", "learning_rate", "finetune", "patience"),
    *("permutations", "replicates", "cache_dir"),
)


def _training_seconds(settings: Settings, pool: Pool) -> float:
    training = with_cached_prefix(prepared(settings, pool))
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        fitted(training, lambda *_: None, Path(folder))
        return time.perf_counter() - start


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
