"""The experiment of runs that `mlflow run` starts: of this project, and of no other."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from fairprof.store.experiment import is_this_project
from tests.places import ROOT

MLPROJECT = 'name: {name}\nentry_points:\n  main:\n    command: "true"\n'


@pytest.fixture
def projects(tmp_path) -> Path:
    for name in ("fairprof", "other"):
        folder = tmp_path / f"folder of {name}"
        folder.mkdir()
        (folder / "MLproject").write_text(MLPROJECT.format(name=name))
    (tmp_path / "without").mkdir()
    return tmp_path


def test_a_folder_is_this_project_by_the_name_in_its_mlproject(projects, monkeypatch):
    assert is_this_project(str(ROOT)) and is_this_project(f"file://{ROOT}")
    assert is_this_project(str(projects / "folder of fairprof"))
    assert is_this_project(f"{projects}#folder of fairprof")
    monkeypatch.chdir(projects / "folder of fairprof")
    assert is_this_project(".")
    for address in ("folder of other", "without", "none", "without#folder of fairprof"):
        assert not is_this_project(str(projects / address))


def test_a_repository_is_this_project_by_its_name():
    assert is_this_project("https://git.example/anybody/fairprof.git")
    assert is_this_project("git@git.example:fairprof")
    for address in ("https://git.example/fairprof/other", "https://git.example/a/not-fairprof", "https://a/fairprof#b"):
        assert not is_this_project(address)


def test_under_mlflow_run_only_this_project_has_the_experiment_unless_another_is_named(projects, installed):
    for project, options, variables in (
        ("folder of fairprof", (), {}),
        ("folder of other", (), {}),
        ("folder of fairprof", ("--experiment-name", "mine"), {}),
        ("folder of fairprof", (), {"MLFLOW_EXPERIMENT_NAME": "mine too"}),
    ):
        names = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        done = subprocess.run(
            [sys.executable, "-m", "mlflow", "run", project, *options, "--env-manager", "local"],
            cwd=projects,
            env=names | {"PYTHONPATH": f"{installed}:{ROOT}"} | variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    client = mlflow.MlflowClient(f"sqlite:///{projects / 'mlflow.db'}")
    runs = {each.name: len(client.search_runs([each.experiment_id])) for each in client.search_experiments()}
    assert runs == {"Default": 1, "fairprof": 1, "mine": 1, "mine too": 1}
