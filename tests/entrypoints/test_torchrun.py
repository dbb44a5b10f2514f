"""`torchrun`: several processes train as one would, and what they leave is one run."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from fairprof.commands.train.run import run_experiment
from fairprof.config import Settings
from fairprof.data.pool import load_pool
from tests.conftest import TORCHRUN
from tests.entrypoints.runs import MLFLOW_WARNS, SMALL, artifact, environment, runs_in, values
from tests.places import ROOT, mlflow_in
from tests.servers import free_port

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

HEAD = {**SMALL, "experiment": "B", "finetune": "head", "train_size": 200}
# the entry point in a process that writes down, in order, at what it has met the others
OBSERVED = """
import entrypoints
import json, os, runpy
from datetime import timedelta
from torch import distributed
from fairprof.runtime import processes

met = []

def observe(name):
    collective = getattr(distributed, name)
    def observed(*arguments, **named):
        met.append(name)
        return collective(*arguments, **named)
    setattr(distributed, name, observed)

for name in ("all_gather", "all_gather_object", "all_reduce", "barrier", "broadcast", "broadcast_object_list"):
    observe(name)
processes.PATIENCE = timedelta(minutes=2)  # whoever waits for nobody ends
if __name__ == "__main__":  # and not in the recorder that it starts
    runpy.run_module("entrypoints.train", run_name="__main__")
    with open(f"met-{os.environ['RANK']}.json", "w") as file:
        json.dump(met, file)
"""


def started(folder: Path, settings: dict, options: list[str], program: tuple) -> subprocess.Popen:
    """A torchrun, which says everything to the file `log`."""
    arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    with open(folder / "log", "a") as log:
        return subprocess.Popen(
            [*TORCHRUN, *options, *program, *arguments],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=environment(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"),
        )


def start_together(folder: Path, settings: dict) -> subprocess.Popen:
    """A training of two processes on one machine."""
    return started(folder, settings, ["--standalone", "--nproc_per_node=2"], ("-m", "entrypoints.train"))


def train_together(folder: Path, settings: dict) -> None:
    with start_together(folder, settings) as process:
        assert process.wait(timeout=300) == 0, (folder / "log").read_text()[-3000:]


def train_on_two_machines(folder: Path, settings: dict, program: tuple) -> None:
    """As two machines do that share folder and cache: each has a torchrun, with one process."""
    options = ["--nnodes=2", "--nproc_per_node=1", "--rdzv-backend=c10d", "--rdzv-id=fairprof"]
    options += [f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--local-addr=127.0.0.1"]
    with started(folder, settings, options, program) as first, started(folder, settings, options, program) as second:
        ended = [process.wait(timeout=300) for process in (first, second)]
    assert ended == [0, 0], (folder / "log").read_text()[-3000:]


def kill(process: subprocess.Popen) -> None:
    """Kills torchrun and all that it has started, at once."""
    children = psutil.Process(process.pid).children(recursive=True)
    for member in (process, *children):
        member.kill()
    process.wait(timeout=30)
    psutil.wait_procs(children, timeout=30)


@pytest.fixture(scope="module")
def together(tmp_path_factory, synthetic_cache):
    """A folder in which two processes have trained together, on a machine each, and the run."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "observed.py").write_text(OBSERVED)
    train_on_two_machines(folder, {**HEAD, "cache_dir": synthetic_cache}, ("observed.py",))
    (run,) = runs_in(folder)  # one process alone talks to MLflow
    return folder, run


def trained_values(folder, run) -> dict[str, float]:
    """Everything that follows from the training alone."""
    return {
        name: value
        for name, value in (values(folder, run) | run.data.metrics).items()
        if name.startswith(("test/", "val/", "best_val/", "data/", "train/loss", "best_epoch"))
    }


def test_two_processes_leave_the_run_that_one_would(together, tmp_path, synthetic_cache):
    with mlflow_in(tmp_path):
        run_experiment(Settings(**HEAD, cache_dir=str(synthetic_cache)))
    (alone,) = runs_in(tmp_path)
    folder, run = together
    assert run.info.status == "FINISHED" and run.info.run_name == "B-seed0-200"
    assert len(trained_values(tmp_path, alone)) > 50
    assert trained_values(folder, run) == pytest.approx(trained_values(tmp_path, alone), abs=1e-4)
    curves = [pd.read_csv(artifact(*place, "training/history.csv")) for place in ((tmp_path, alone), (folder, run))]
    pd.testing.assert_frame_equal(*curves, atol=1e-4, rtol=0)
    assert run.data.params == alone.data.params
    assert run.data.tags["fairprof.study_key"] == alone.data.tags["fairprof.study_key"]


def test_two_processes_predict_every_test_image_once_and_in_order(together, synthetic_cache):
    folder, run = together
    predictions = pd.read_parquet(artifact(folder, run, "predictions/test.parquet"))
    pool = load_pool(Settings(cache_dir=str(synthetic_cache)), image_size=32)
    assert predictions["image"].is_unique
    assert predictions["image"].tolist() == pool.table["image"].iloc[pool.rows_of("test")].tolist()
    probabilities = predictions.filter(like="probability_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (
        np.array(pool.professions)[probabilities.to_numpy().argmax(axis=1)].tolist() == predictions["y_pred"].tolist()
    )


def test_one_of_two_processes_talks(together):
    # the torchrun that ends second may find that the store of the first is gone already, which it says
    said = "\n".join(line for line in (together[0] / "log").read_text().split("\n") if "endezvous" not in line)
    assert said.count("B-seed0-200: Trained on") == 1
    assert "Traceback" not in said and "rror" not in said


def test_two_processes_meet_at_the_same_places_in_the_same_order(together):
    first, second = (json.loads((together[0] / f"met-{rank}.json").read_text()) for rank in range(2))
    assert first == second
    # one wait for each of pool, weights and prefix cache; validation of every epoch, and the two sets of predictions
    assert first[:3] == ["barrier"] * 3
    assert first.count("all_gather") >= 2 * SMALL["epochs"] + 2


def test_killed_and_started_again_two_processes_go_on(together, tmp_path, synthetic_cache):
    settings = {**HEAD, "cache_dir": synthetic_cache}
    process = start_together(tmp_path, settings)
    trainings, deadline = synthetic_cache / "trainings", time.monotonic() + 300
    while not list(trainings.glob("*/resume.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(process)
    assert process.returncode == -signal.SIGKILL
    assert list(trainings.glob("*/resume.ckpt"))
    (started,) = runs_in(tmp_path)
    assert started.info.status == "RUNNING"
    train_together(tmp_path, settings)
    closed, resumed = runs_in(tmp_path)
    assert (closed.info.status, resumed.info.status) == ("KILLED", "FINISHED")
    assert resumed.data.tags["fairprof.resumed"] == "true"
    assert trained_values(tmp_path, resumed) == pytest.approx(trained_values(*together), abs=1e-6)
    assert not list(trainings.glob("*/resume.ckpt"))


TRAINING = """
import json, os, sys
from pathlib import Path
import torch
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.network.images import ImageInputs
from fairprof.data.pool import load_pool
from fairprof.network.classifier import build_classifier
from fairprof.runtime.processes import process_group
from fairprof.network.records import Training
from fairprof.network.training import fit

def trained(settings, folder):
    with process_group(on_gpu=False) as processes:
        pool = load_pool(settings, settings.image_size)
        classifier = build_classifier(settings.architecture, "random", settings.finetune, len(pool.professions), 0)
        images, reports = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed), []
        outcome = fit(
            Training(settings, pool, draw(pool, DESIGNS["B"], settings), classifier, images),
            lambda *_: {"macro_f1": 0.0}, lambda *report: reports.append(report), Path(folder) / "training", processes,
        )
        state = {name: value.tolist() for name, value in outcome.last_weights.items() if name.startswith("layer4.1.bn")}
        return {"history": outcome.history, "reports": reports, "state": state}

if __name__ == "__main__":
    torch.set_num_threads(1)
    result = trained(Settings(**json.loads(os.environ["SETTINGS"])), sys.argv[1])
    Path(sys.argv[1], f"{os.environ['RANK']}.json").write_text(json.dumps(result))
"""


def test_two_processes_that_train_batch_norm_and_dropout_compute_what_one_does(
    torchrun, monkeypatch, tmp_path, synthetic_cache
):
    """Two steps: after more of them, Adam has made differences of rounding large."""
    values = {"architecture": "resnet18", "image_size": 32, "finetune": "layer2", "train_size": 62, "epochs": 1}
    values |= {"batch_size": 31, "mixup_probability": 1.0, "accelerator": "cpu", "cache_dir": str(synthetic_cache)}
    monkeypatch.setenv("SETTINGS", json.dumps(values))
    seen, _ = torchrun(TRAINING, 2)  # of 31 images 16 and 15
    script: dict = {"__name__": "here"}
    exec(TRAINING, script)
    alone = script["trained"](Settings(**values), tmp_path)
    (expected,) = alone["history"]
    for one in seen:
        (history,) = one["history"]
        assert history == pytest.approx(expected, abs=1e-4)
        assert history == seen[0]["history"][0]
        assert one["state"].keys() == alone["state"].keys() and len(alone["state"]) == 10
        for name, value in one["state"].items():
            np.testing.assert_allclose(value, alone["state"][name], rtol=1e-3, atol=1e-3)
