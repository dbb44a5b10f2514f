"""What MLflow keeps of a run, in a real store: tags, parameters, inputs, and runs that were abandoned."""

import errno
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import safetensors.numpy
from matplotlib.figure import Figure
from mlflow.entities import Metric, Run
from PIL import Image

from fairprof.config import Settings
from fairprof.errors import UserError
from fairprof.reporting.style import png_of
from fairprof.store import liveness, tracking
from tests.places import ROOT

CLASSES = ("cook", "driver", "nurse")
IMAGE_SIZE = 32

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


@pytest.fixture
def client(store) -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def kept(run_id: str) -> Run:
    return mlflow.MlflowClient().get_run(run_id)


def listed(run_id: str, folder: str) -> set[str]:
    return {entry.path for entry in mlflow.MlflowClient().list_artifacts(run_id, folder)}


# --- runs -------------------------------------------------------------------------------------------------------


def test_run_has_its_name_and_tags_and_ends_as_finished(store):
    with tracking.started_run("B-seed3", {"fairprof.role": "run", "fairprof.design": "B"}) as run_id:
        assert kept(run_id).info.status == "RUNNING"
    run = kept(run_id)
    assert run.info.run_name == "B-seed3" and run.info.status == "FINISHED"
    assert run.data.tags["fairprof.role"] == "run" and run.data.tags["fairprof.design"] == "B"
    assert run.data.tags["fairprof.host"] == platform.node()
    assert run.data.tags["fairprof.process"].startswith(f"{os.getpid()}:")
    assert "fairprof.error" not in run.data.tags
    assert mlflow.get_experiment(run.info.experiment_id).name == "fairprof"


def test_run_that_mlflow_run_has_started_is_taken_over(client, monkeypatch):
    experiment = mlflow.set_experiment("fairprof").experiment_id
    waiting = client.create_run(experiment, run_name="bold-bee-7").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    with tracking.started_run("A-seed0", {}) as run_id:
        pass
    assert run_id == waiting
    assert kept(run_id).info.run_name == "A-seed0" and kept(run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("data=faces is not a data source"), "UserError: data=faces is not a data source"),
        (KeyboardInterrupt(), "KeyboardInterrupt:"),
        (ValueError("x" * 9000), "ValueError: " + "x" * 488),
    ],
    ids=["user error", "interrupt", "long"],
)
def test_error_is_the_tag_of_a_failed_run_and_goes_on(store, error, text):
    with pytest.raises(type(error)) as caught:
        with tracking.started_run("A-seed0", {}) as run_id:
            raise error
    assert caught.value is error
    run = kept(run_id)
    assert run.info.status == "FAILED" and run.data.tags["fairprof.error"] == text
    assert mlflow.active_run() is None


# --- abandoned runs ---------------------------------------------------------------------------------------------


def left_open(client: mlflow.MlflowClient, host: str, process: str) -> str:
    experiment = mlflow.set_experiment("fairprof").experiment_id
    return client.create_run(experiment, tags={"fairprof.host": host, "fairprof.process": process}).info.run_id


def named(process: psutil.Process) -> str:
    namespace = liveness.process_tags()["fairprof.process"].split(":")[2]
    return f"{process.pid}:{process.create_time():.2f}:{namespace}"


def test_runs_of_dead_processes_of_this_machine_are_closed_and_no_others(client):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ended = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    dead_process, live_process = (named(psutil.Process(child.pid)) for child in (ended, sleeper))
    ended.kill()
    ended.wait()
    try:
        here, elsewhere = platform.node(), "another-machine"
        dead = left_open(client, here, dead_process)
        number_used_again = left_open(client, here, f"{sleeper.pid}:12345.67")
        alive = left_open(client, here, live_process)
        far_away = left_open(client, elsewhere, dead_process)
        finished = left_open(client, here, dead_process)
        client.set_terminated(finished)
        with tracking.started_run("A-seed1", {}) as own:
            assert kept(own).info.status == "RUNNING"
            statuses = {run: kept(run).info.status for run in (dead, number_used_again, alive, far_away, finished)}
    finally:
        sleeper.kill()
        sleeper.wait()
    assert statuses == {
        dead: "KILLED",
        number_used_again: "KILLED",
        alive: "RUNNING",
        far_away: "RUNNING",
        finished: "FINISHED",
    }
    assert "its process ended" in kept(dead).data.tags["fairprof.closed"]
    assert "fairprof.closed" not in kept(alive).data.tags and "fairprof.closed" not in kept(finished).data.tags
    with tracking.started_run("A-seed2", {}):
        assert kept(alive).info.status == "KILLED"  # its process is gone by now


def test_a_run_that_finished_while_it_was_looked_for_stays_finished(client, monkeypatch):
    ended = left_open(client, platform.node(), "1:12345.67")  # of a process that is gone
    looked_for = tracking.has_ended

    def finished_meanwhile(run):
        client.set_terminated(run.info.run_id)
        return looked_for(run)

    monkeypatch.setattr(tracking, "has_ended", finished_meanwhile)
    with tracking.started_run("A-seed1", {}):
        pass
    assert kept(ended).info.status == "FINISHED" and "fairprof.closed" not in kept(ended).data.tags


KILLED_RUN = """
import os, signal
from fairprof.store import liveness, tracking
with tracking.started_run("A-seed0", {"fairprof.role": "run"}) as run_id:
    print(run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_run_of_a_process_that_was_really_killed_is_closed_by_the_next_one(store):
    with tracking.started_run("creates the experiment", {}):
        pass
    process = subprocess.run(
        [sys.executable, "-c", KILLED_RUN],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == -9, process.stderr[-2000:]
    killed = process.stdout.split()[-1]
    assert kept(killed).info.status == "RUNNING"
    with tracking.started_run("A-seed1", {}):
        pass
    assert kept(killed).info.status == "KILLED"


@pytest.mark.slow
def test_run_that_mlflow_run_has_created_is_closed_where_its_process_never_came(store, client):
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager", "local", "--experiment-name", "Default"],
        cwd=store,
        env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_EXPERIMENT")}
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    experiment = client.get_experiment_by_name("Default").experiment_id
    other = client.create_run(experiment, tags={"mlflow.source.name": "file:///elsewhere"}).info.run_id
    while not (waiting := [run for run in client.search_runs([experiment]) if run.info.run_id != other]):
        assert process.poll() is None
        time.sleep(0.05)
    (created,) = (run.info.run_id for run in waiting)
    with tracking_in("Default") as close:
        close()
        assert kept(created).info.status == "RUNNING"  # it may come yet
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 60
        while kept(created).info.status == "RUNNING" and time.monotonic() < deadline:
            close()  # unless another test's `mlflow run`, which may be the one, is about to start its process
            time.sleep(0.5)
    assert kept(created).info.status == "KILLED" and "fairprof.closed" in kept(created).data.tags
    assert kept(other).info.status == "RUNNING"


@contextmanager
def tracking_in(experiment: str):
    """Closes abandoned runs as a run of this experiment does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
        patch.setenv("MLFLOW_EXPERIMENT_NAME", experiment)
        with tracking.started_run("A-seed1", {}):
            yield tracking.close_abandoned_runs


# --- parameters, metrics, inputs, artifacts ---------------------------------------------------------------------


def test_settings_that_were_logged_in_another_spelling_are_resolved_beside_them(store):
    with tracking.started_run("A-seed0", {}) as run_id:
        mlflow.log_params({"learning_rate": "1e-3", "weights": "auto", "seed": "0", "data": "''"})
        resolved = {"learning_rate": 0.001, "weights": "random", "seed": 0, "data": "synthetic"}
        tracking.log_settings(resolved | {"epochs": 8})
    assert kept(run_id).data.params == {
        "learning_rate": "1e-3",
        "resolved/learning_rate": "0.001",
        "weights": "auto",
        "resolved/weights": "random",
        "data": "''",
        "resolved/data": "synthetic",
        "seed": "0",
        "epochs": "8",
    }


def test_every_setting_is_a_parameter(store):
    settings = Settings(experiment="C", label_bias="race")
    with tracking.started_run("C-seed0", {}) as run_id:
        tracking.log_settings(settings.model_dump())
        tracking.log_settings(settings.model_dump())  # a resumed run logs them again
    assert kept(run_id).data.params == {name: str(value) for name, value in settings.model_dump().items()}


def faces(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": [f"{number}.jpg" for number in range(count)],
            "gender": pd.Categorical(["man"] * count),
            "race": pd.Categorical(["north"] * count),
            "age": pd.Categorical([None] * count, categories=["0-2"]),
            "profession": pd.Categorical(["cook"] * count),
        }
    )


def test_training_validation_and_test_data_are_all_kept_as_inputs(store):
    contexts = {"train": ("d" * 16, 5), "validation": ("d" * 16, 3), "test": ("e" * 16, 2)}
    with tracking.started_run("A-seed0", {}) as run_id:
        for context, (digest, count) in contexts.items():
            tracking.log_input(faces(count), "manifest:faces.csv", context, digest)
    inputs = kept(run_id).inputs.dataset_inputs
    assert len(inputs) == 3
    for entry in inputs:
        (context,) = (tag.value for tag in entry.tags if tag.key == "mlflow.data.context")
        digest, count = contexts.pop(context)
        assert (entry.dataset.name, entry.dataset.digest) == (f"manifest[{context}]", digest)
        assert json.loads(entry.dataset.profile)["num_rows"] == count
        assert "manifest:" in entry.dataset.source and "faces.csv" in entry.dataset.source
    assert contexts == {}


def test_runs_that_name_the_same_rows_at_once_all_keep_them(store):
    def log(number: int) -> str:
        with tracking.started_run(f"A-seed{number}", {}) as run_id:
            barrier.wait(60)
            tracking.log_input(faces(3), "manifest:faces.csv", "train", "f" * 16)
        return run_id

    count = 8
    barrier = threading.Barrier(count)
    with ThreadPoolExecutor(count) as threads:
        runs = list(threads.map(log, range(count)))
    assert [len(kept(run).inputs.dataset_inputs) for run in runs] == [1] * count


def test_weights_for_which_there_is_no_room_are_a_full_disk(store, on_small_disk, monkeypatch):
    def log(disk: Path) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(OSError) as full, tracking.started_run("A-seed0", {}):
            tracking.log_weights({"weight": np.zeros(10**6, np.float32)}, "training/last.safetensors")
        assert full.value.errno == errno.ENOSPC

    on_small_disk(2**16, log)


def test_metrics_keep_their_steps_and_numbers_of_any_type(client):
    with tracking.started_run("A-seed0", {}) as run_id:
        for step in (1, 2):
            tracking.log_metrics({"val/loss": np.float32(0.5) / step, "data/train": 12}, step=step)
    history: list[Metric] = client.get_metric_history(run_id, "val/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert kept(run_id).data.metrics["data/train"] == 12


def test_groups_called_na_or_none_are_groups_and_what_is_empty_is_missing(store):
    table = pd.DataFrame({"race": ["NA", "None", "null", "nan"], "value": [0.5, np.nan, 1.0, 2.0]})
    with tracking.started_run("A-seed0", {}) as run_id:
        tracking.log_table(table, "data/composition.csv")
    pd.testing.assert_frame_equal(tracking.load_table(run_id, "data/composition.csv"), table)


def test_artifacts_are_read_back_as_they_were(store):
    table = pd.DataFrame({"group": ["a", "b"], "value": [0.5, np.nan]})
    arrays = {"maps": np.arange(8, dtype=np.float32).reshape(2, 2, 2), "image": np.array(["a.jpg", "b.jpg"])}
    weights = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3).T}  # not contiguous
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([1, 2])
    with tracking.started_run("A-seed0", {}) as run_id:
        tracking.log_table(table, "metrics/by_group.csv")
        tracking.log_table(table, "predictions/test.parquet")
        tracking.log_arrays(arrays, "gradcam/maps.npz")
        tracking.log_weights(weights, "training/last.safetensors")
        tracking.log_bytes(png_of(figure), "training/curves.png")
        tracking.set_description("**Design A**")
        tracking.set_tags({"fairprof.weights": "random"})
    load = mlflow.artifacts.download_artifacts
    pd.testing.assert_frame_equal(pd.read_csv(load(run_id=run_id, artifact_path="metrics/by_group.csv")), table)
    pd.testing.assert_frame_equal(pd.read_parquet(load(run_id=run_id, artifact_path="predictions/test.parquet")), table)
    with np.load(load(run_id=run_id, artifact_path="gradcam/maps.npz"), allow_pickle=False) as again:
        assert all(np.array_equal(again[name], value) for name, value in arrays.items())
    read = safetensors.numpy.load_file(load(run_id=run_id, artifact_path="training/last.safetensors"))
    assert np.array_equal(read["weight"], weights["weight"])
    assert np.array_equal(tracking.load_weights(run_id, "training/last.safetensors")["weight"], weights["weight"])
    assert listed(run_id, "training") == {"training/last.safetensors", "training/curves.png"}
    with Image.open(load(run_id=run_id, artifact_path="training/curves.png")) as picture:
        assert picture.size == (440, 330)
    assert kept(run_id).data.tags["mlflow.note.content"] == "**Design A**"
    assert kept(run_id).data.tags["fairprof.weights"] == "random"


def test_the_experiment_s_page_opens_on_scores_and_gaps_and_what_a_user_set_stays(store, client):
    with tracking.started_run("first", {}) as run_id:
        told = tracking.places("report.html", ("fairprof-B", "3"))
    experiment = client.get_experiment(kept(run_id).info.experiment_id)
    of_run = f"http://127.0.0.1:5000/#/experiments/{experiment.experiment_id}/runs/{run_id}"
    assert told == (
        f"run: {of_run}?workflowType=machine_learning",
        f"report: {of_run}/artifacts/report.html?workflowType=machine_learning",
        "model: http://127.0.0.1:5000/#/models/fairprof-B/versions/3",
        "(while `mlflow ui` runs here)",
    )
    for key in ("fairprof", "reports"):
        assert json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])["state"]
        assert f"?viewStateShareKey={key}" in experiment.tags["mlflow.note.content"]
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "mine")
    with tracking.started_run("second", {}):
        pass
    assert client.get_experiment(experiment.experiment_id).tags["mlflow.note.content"] == "mine"
