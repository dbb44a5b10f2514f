"""Several workers on one study, on a real tracking server with a real PostgreSQL: each run is trained once."""

import json
import os
import subprocess
import sys
from collections import Counter

import mlflow
import pandas as pd
import pytest

from fairprof.commands.study import processes
from fairprof.commands.study.run import run_study
from fairprof.config import StudySettings
from fairprof.store import tracking
from fairprof.store.studies import STUDY_RUNS
from tests.entrypoints.runs import MLFLOW_WARNS, QUICK
from tests.places import ROOT, mlflow_in
from tests.servers import mlflow_server

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]
STUDY = {**QUICK, "experiments": "A,B", "seeds": "2", "train_size": "matched", "finetune": "head"}


def started_together(folder, studies: list[dict], killed: int = -1) -> str:
    """Starts a worker for each of the settings, on the tracking server of this process; what they have said."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.commands.study.many_workers", json.dumps(studies), str(killed)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def gaps_of(study) -> pd.DataFrame:
    """What the study's comparison has found, by names that other starts have as well."""
    return tracking.load_table(study.run_id, "comparison/gaps.csv")


def test_four_workers_of_which_one_is_killed_train_every_run_once_and_find_what_one_finds(
    tmp_path, synthetic_cache, postgresql, monkeypatch
):
    settings, elsewhere = {"cache_dir": str(synthetic_cache), **STUDY}, tmp_path / "elsewhere"
    elsewhere.mkdir()
    with mlflow_in(tmp_path):
        alone = run_study(StudySettings(**settings))
        expected = gaps_of(tracking.get_run(alone))
    with mlflow_server(tmp_path, postgresql) as address, mlflow_in(elsewhere):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        said = started_together(tmp_path, [settings] * 4, killed=1)
        trained = tracking.find_runs({"fairprof.role": "run"})
        studies = tracking.find_runs({"fairprof.role": "study"}, finished=False)
        compared = [study for study in studies if study.tags.get("fairprof.compared") == "true"]
        tables = [tracking.load_table(study.run_id, STUDY_RUNS) for study in studies if study.status == "FINISHED"]
        open_runs = tracking.find_runs({"fairprof.role": "run"}, finished=False)
        versions = mlflow.MlflowClient().search_model_versions()
        found = gaps_of(compared[0])
    assert Counter(run.tags["fairprof.run_key"] for run in trained).most_common(1)[0][1] == 1
    assert sorted(run.name for run in trained) == [
        "A-seed0-matched",
        "A-seed1-matched",
        "B-seed0-matched",
        "B-seed1-matched",
    ]
    assert Counter(study.status for study in studies) == {"FINISHED": 3, "KILLED": 1}
    assert {run.status for run in open_runs} == {"FINISHED", "KILLED"}
    assert len(compared) == 1 and "compared by another worker" in said
    assert all(set(table["run_id"]) == {run.run_id for run in trained} for table in tables) and len(tables) == 3
    assert sorted(version.name for version in versions) == ["fairprof-A", "fairprof-B"]
    assert {version.run_id for version in versions} <= {run.run_id for run in trained}
    pd.testing.assert_frame_equal(found, expected)


def test_two_studies_at_once_share_the_runs_that_they_have_in_common(tmp_path, synthetic_cache):
    studies = [
        {"cache_dir": str(synthetic_cache), **STUDY, "seeds": "1", "experiments": designs} for designs in ("A,B", "B,C")
    ]
    with mlflow_in(tmp_path):
        started_together(tmp_path, studies)
        trained = tracking.find_runs({"fairprof.role": "run"}, finished=False)
        ended = tracking.find_runs({"fairprof.role": "study"})
        compared = {study.name: set(gaps_of(study)["design"]) for study in ended}
    assert sorted(run.name for run in trained) == ["A-seed0-matched", "B-seed0-matched", "C-seed0-matched"]
    assert {run.status for run in trained} == {"FINISHED"}
    assert compared == {"study-AB": {"A", "B"}, "study-BC": {"B", "C"}}


def test_workers_of_study_are_processes_that_share_its_runs(tmp_path, synthetic_cache):
    settings = {"cache_dir": str(synthetic_cache), **STUDY, "workers_of_study": 2}
    with mlflow_in(tmp_path):
        study_id = run_study(StudySettings(**settings))
        trained, studies = (tracking.find_runs({"fairprof.role": role}) for role in ("run", "study"))
        parents = {mlflow.MlflowClient().get_run(run.run_id).data.tags["mlflow.parentRunId"] for run in trained}
    assert Counter(run.tags["fairprof.run_key"] for run in trained).most_common(1)[0][1] == 1 and len(trained) == 4
    assert len(studies) == 2 and study_id in parents <= {study.run_id for study in studies}
    assert sum("fairprof.compared" in study.tags for study in studies) == 1


@pytest.mark.parametrize(
    ("visible", "number", "own"), [("0,1", 1, "1"), ("3, 5", 0, "3"), ("7", 2, "7"), (None, 1, None), ("", 1, "")]
)
def test_each_worker_has_a_gpu_where_there_are_some(visible, number, own, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "of this process")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    environment = processes._environment(number, 3)
    assert environment.get("CUDA_VISIBLE_DEVICES") == own
    assert environment["OMP_NUM_THREADS"] == "3" and "MLFLOW_RUN_ID" not in environment
