"""A study as an array of workers: on this machine by submitit's local executor, and what SLURM would be given."""

import os
import subprocess
import sys

import pytest

from tests.entrypoints.runs import QUICK, environment, with_role
from tests.places import ROOT

STUDY = {**QUICK, "experiments": "A,B", "seeds": "1", "train_size": "60", "finetune": "head"}
SERVER = {"MLFLOW_TRACKING_URI": "http://tracking:5000"}


def submit(folder, options: list[str], settings: dict, **variables: str) -> subprocess.CompletedProcess:
    arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return subprocess.run(
        [sys.executable, str(ROOT / "docs" / "clusters" / "slurm.py"), *options, "--", *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)) | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_two_workers_of_an_array_train_each_run_once_and_one_of_them_compares(tmp_path, synthetic_cache):
    options = ["--workers", "2", "--cluster", "local", "--wait"]
    ended = submit(tmp_path, options, {**STUDY, "cache_dir": synthetic_cache})
    assert ended.returncode == 0, ended.stderr[-3000:]
    trained = with_role(tmp_path, "run")
    assert sorted(run.info.run_name for run in trained) == ["A-seed0-60", "B-seed0-60"]
    studies = with_role(tmp_path, "study")
    assert [run.info.status for run in (*trained, *studies)] == ["FINISHED"] * 4
    assert [run.data.tags.get("fairprof.compared") for run in studies].count("true") == 1
    assert len(list((tmp_path / "submitit").glob("*_log.out"))) == 2


@pytest.fixture
def slurm_programs(tmp_path) -> dict[str, str]:
    """A PATH on which `sbatch` only keeps what it is given, as the file `given`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in (("sbatch", f'cp "$1" {tmp_path}/given\necho Submitted batch job 7'), ("srun", "exit 1")):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{environment()['PATH']}"}


def test_slurm_is_given_an_array_of_workers_with_what_each_needs(tmp_path, slurm_programs):
    options = ["--workers", "3", "--partition", "long", "--gpus", "1", "--hours", "2", "--memory", "20"]
    ended = submit(tmp_path, options, STUDY, **slurm_programs, **SERVER)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == ["7_0", "7_1", "7_2"]
    asked = {line.removeprefix("#SBATCH --") for line in (tmp_path / "given").read_text().splitlines()}
    assert {"array=0-2%3", "partition=long", "gpus-per-node=1", "cpus-per-task=4", "mem=20GB", "time=120"} <= asked


@pytest.mark.parametrize(
    ("settings", "variables", "said"),
    [
        ({"seeds": "1"}, {}, "set MLFLOW_TRACKING_URI to the address of a tracking server"),
        ({"seeds": "none"}, SERVER, "seeds=none"),
        ({"seeds": "1"}, SERVER | {"PATH": "/nowhere"}, "there is no srun here"),
    ],
)
def test_what_no_job_could_use_is_refused_before_one_is_submitted(settings, variables, said, tmp_path, slurm_programs):
    ended = submit(tmp_path, ["--workers", "2"], settings, **(slurm_programs | variables))
    assert ended.returncode != 0 and said in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "submitit").exists()
