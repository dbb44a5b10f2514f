"""Real runs, started as a user starts them, in folders of their own, and what they leave there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from fairprof.commands.compare.run import run_comparison
from fairprof.config import CompareSettings
from tests.places import ROOT, mlflow_in

# of MLflow's own calls of pandas
MLFLOW_WARNS = (
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
    pytest.mark.filterwarnings("ignore:For backward compatibility, 'str' dtypes are included"),
)
# a training of seconds, of which little is resampled; one of which it only counts that there is a model, which may
# answer one class for every image; and one whose model tells images apart, as three seeds of A and of B did by far
SMALL = {
    "architecture": "resnet18",
    "image_size": 32,
    "epochs": 3,
    "weights": "random",
    "gradcam_images": 16,
    "permutations": 99,
    "replicates": 100,
}
BRIEF = {**SMALL, "epochs": 1, "train_size": 60}
QUICK = {**SMALL, "epochs": 1, "permutations": 199, "replicates": 200}  # for studies, whose tests need some
TELLING = {**SMALL, "epochs": 1, "image_size": 64}


def environment(**extra: str) -> dict[str, str]:
    names = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return names | {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", "PATH": path} | extra


def mlflow_run(
    folder: Path, project: str, settings: dict, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess:
    parameters = [word for name, value in settings.items() for word in ("-P", f"{name}={value}")]
    return subprocess.run(
        [sys.executable, "-m", "mlflow", "run", project, *options, *parameters, "--env-manager", "local"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )


def python(folder: Path, program: list[str], settings: dict) -> subprocess.CompletedProcess:
    arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(ROOT)),
        timeout=900,
    )


def kill_when(folder: Path, module: str, settings: dict, reached: Callable[[], object]) -> None:
    """Starts a module, which says everything to the file `log`, and kills it and its children as soon as `reached`."""
    arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=environment(PYTHONPATH=str(ROOT)),
            start_new_session=True,
        )
        deadline = time.monotonic() + 300
        while not reached():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def client(folder: Path) -> mlflow.MlflowClient:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_in(folder: Path) -> list:
    store = client(folder)
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    return store.search_runs(experiments, order_by=["attributes.start_time ASC"])


def artifact(folder: Path, run, path: str) -> Path:
    return Path(client(folder).download_artifacts(run.info.run_id, path, str(folder)))


def values(folder: Path, run) -> dict[str, float]:
    """All that was measured in a run, which is more than its metrics."""
    table = pd.read_csv(artifact(folder, run, "metrics/values.csv"))
    return dict(zip(table["name"], table["value"], strict=True))


def with_role(folder, role):
    return [run for run in runs_in(folder) if run.data.tags.get("fairprof.role") == role]


def compare(folder, **settings):
    with mlflow_in(folder):
        run_comparison(CompareSettings(**{"permutations": 199, "replicates": 200} | settings))
