"""Whole runs with `finetune=head`: what the prefix cache saves one run, a second design, and a study."""

import os
import time
from pathlib import Path
from statistics import median

import mlflow

from benchmarks.scale import Scale
from benchmarks.training import plain_step_seconds
from fairprof.commands.train.run import run_experiment
from fairprof.config import Settings
from fairprof.runtime.row_store import RowStore
from fairprof.store import tracking


def measure_prefix(scale: Scale, settings: Settings, images: Path) -> dict:
    """Trains every design with every seed by `run_experiment`, everything logged to MLflow beside the cache.

    Returns seconds of all runs together (`study_seconds`) and of the computing of the cache in them (`fill_seconds`);
    outputs computed in all runs (`computed`), and how many distinct ones lie in the cache (`distinct`); outputs that
    the second design computed and reused. `cached_runs`: each design's first run again, where nothing is left to
    compute, in `seconds`, beside those of the plain loop for the same training images and epochs (`plain_seconds`, from
    a sample of steps, without validation).
    """
    _log_to(Path(settings.cache_dir).parent)
    plain = median(plain_step_seconds(scale, "head", images)) / scale.batch_size
    start = time.perf_counter()
    metrics = [
        _run(settings.model_copy(update={"experiment": design, "seed": seed}))
        for seed in range(scale.seeds)
        for design in scale.designs
    ]
    return {
        "runs": len(metrics),
        "study_seconds": time.perf_counter() - start,
        "fill_seconds": _sum(metrics, "seconds"),
        "computed": _sum(metrics, "computed_images"),
        "distinct": _stored(Path(settings.cache_dir)),
        "second_computed": metrics[1]["prefix/computed_images"],
        "second_reused": metrics[1]["prefix/reused_images"],
        "cached_runs": {
            design: _cached_run(settings.model_copy(update={"experiment": design}), plain) for design in scale.designs
        },
    }


def _log_to(folder: Path) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    # artifacts would lie in the current folder
    artifacts = (folder / "artifacts").as_uri()
    os.environ["MLFLOW_EXPERIMENT_ID"] = mlflow.create_experiment("benchmarks", artifact_location=artifacts)


def _cached_run(settings: Settings, plain_seconds_an_image: float) -> dict[str, float]:
    start = time.perf_counter()
    metrics = _run(settings)
    return {
        "seconds": time.perf_counter() - start,
        "plain_seconds": plain_seconds_an_image * metrics["data/train"] * settings.epochs,
        "images": metrics["data/train"],
        "computed": metrics["prefix/computed_images"],
        "test_macro_f1_of_ceiling": metrics.get("test/macro_f1_of_ceiling", float("nan")),
    }


def _sum(metrics: list[dict[str, float]], name: str) -> float:
    """Over all runs, for what training and what Grad-CAM takes from the cache."""
    return sum(values[f"{part}/{name}"] for values in metrics for part in ("prefix", "gradcam"))


def _run(settings: Settings) -> dict[str, float]:
    run_id = run_experiment(settings)
    assert run_id is not None  # a single process leads
    return tracking.load_values(run_id)


def _stored(cache: Path) -> int:
    """Outputs in all entries of the prefix cache."""
    stored = 0
    for path in (cache / "prefix").rglob("*.records"):
        name, shape, _ = path.name.split(".")
        stored += int((RowStore(path.parent, name, tuple(map(int, shape.split("x")))).rows >= 0).sum())
    return stored
