"""What MLflow's kubernetes backend would give to a cluster, made by MLflow and compared with Kubernetes' own schema."""

import json
import tomllib

import kubernetes_validate
import pytest
import yaml
from mlflow.projects import _parse_kubernetes_config, kubernetes
from mlflow.projects.docker import validate_docker_env
from mlflow.projects.utils import get_entry_point_command, get_run_env_vars, load_project

from fairprof.config import Settings, StudySettings
from tests.places import ROOT

FOLDER = ROOT / "docs" / "clusters" / "kubernetes"
SETTINGS = {"main": Settings, "study": StudySettings}
GIVEN = {
    "main": {"experiment": "B", "data": "utkface:/data/utkface", "epochs": "20"},
    "study": {"experiments": "A,B", "seeds": "6", "cache_dir": "/cache"},
}


def job_of(entry_point: str, parameters: dict[str, str], monkeypatch, tmp_path) -> dict:
    """The manifest of a job, as `mlflow run docs/clusters/kubernetes --backend kubernetes` makes it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBE_MLFLOW_TRACKING_URI", "http://mlflow:5000")
    project = load_project(FOLDER)
    validate_docker_env(project)
    backend = _parse_kubernetes_config(json.loads((FOLDER / "backend.json").read_text()))
    command = get_entry_point_command(project, entry_point, parameters, str(tmp_path))
    return kubernetes._get_kubernetes_job_definition(
        project.name,
        backend["repository-uri"],
        f"sha256:{'0' * 64}",
        kubernetes._get_run_command(command),
        get_run_env_vars("0123456789abcdef", "1"),
        backend["kube-job-template"],
    )


@pytest.mark.parametrize("entry_point", GIVEN)
def test_the_job_is_one_by_the_schema_of_kubernetes(entry_point, monkeypatch, tmp_path):
    job = job_of(entry_point, GIVEN[entry_point], monkeypatch, tmp_path)
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):  # which looks as deep as that
        job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["path"] = "/cache"
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("entry_point", GIVEN)
def test_the_container_starts_the_entry_point_with_the_settings_that_were_given(entry_point, monkeypatch, tmp_path):
    job = job_of(entry_point, GIVEN[entry_point], monkeypatch, tmp_path)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    python, option, module, *arguments = container["command"]
    assert (python, option) == ("python", "-m")
    project = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert f"python -m {module} " in project[entry_point]["command"]
    given = SETTINGS[entry_point].from_arguments(arguments)
    assert given == SETTINGS[entry_point](**GIVEN[entry_point])


def test_a_pod_that_is_lost_is_followed_by_one_with_the_same_run_and_cache(monkeypatch, tmp_path):
    job = job_of("main", {}, monkeypatch, tmp_path)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert job["spec"]["backoffLimit"] > 0 and pod["restartPolicy"] == "Never"
    assert variables["MLFLOW_RUN_ID"] == "0123456789abcdef"
    assert variables["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    claims = {volume["name"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume}
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounted[variables["XDG_CACHE_HOME"]] in claims


def test_the_image_has_what_the_project_installs():
    copied = [
        word
        for line in (FOLDER / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages | {"requirements.txt", "pyproject.toml", project["project"]["readme"], "LICENSE"} <= set(copied)
