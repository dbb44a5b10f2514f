"""What must not drift apart: pins, MLproject and settings, the direction of imports."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from fairprof.config import Choice, Settings, search_laws
from fairprof.documents.settings import ENTRY_POINTS as SETTINGS
from tests.places import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS = (ROOT / "requirements.txt").read_text().split("\n")[:-1]
MLPROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
ENTRY_POINTS = {name: entry for name, entry in MLPROJECT["entry_points"].items()}


def test_every_requirement_is_pinned_to_one_version_and_names_no_address():
    for line in REQUIREMENTS:
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", line), line


def test_direct_dependencies_have_the_versions_of_the_requirements():
    pinned = {line.split(" ;")[0] for line in REQUIREMENTS}
    assert set(PYPROJECT["project"]["dependencies"]) <= pinned


def test_uv_is_held_to_the_same_pins_as_pip():
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == REQUIREMENTS


def test_the_project_is_installed_by_a_pinned_requirement_with_what_mlflow_looks_for():
    assert PYPROJECT["tool"]["uv"]["package"] is True
    assert set(PYPROJECT["build-system"]["requires"]) <= {line.split(" ;")[0] for line in REQUIREMENTS}
    plugins = {group: set(named) for group, named in PYPROJECT["project"]["entry-points"].items()}
    assert plugins == {
        "mlflow.tracking_store": {"sqlite", "postgresql"},
        "mlflow.model_registry_store": {"sqlite", "postgresql"},
        "mlflow.default_experiment_provider": {"fairprof"},
    }


def test_the_conda_environment_installs_the_requirements_on_a_supported_python():
    python, _, packages = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    assert packages == {"pip": ["-r requirements.txt"]}
    assert PYPROJECT["project"]["requires-python"] == f">={python.removeprefix('python=')}"
    assert MLPROJECT["conda_env"] == "conda.yaml"


def test_the_fixed_packages_are_dependencies():
    names = {dependency.split("==")[0] for dependency in PYPROJECT["project"]["dependencies"]}
    assert names >= {
        "mlflow",
        "torch",
        "torchvision",
        "scikit-learn",
        "fairlearn",
        "grad-cam",
        "pandas",
        "matplotlib",
        "optuna",
    }


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_declared_parameter_is_used_by_its_command_once_under_its_own_name(name):
    entry = ENTRY_POINTS[name]
    command = entry["command"].split()
    module = command[command.index("-m") + 1]
    assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
    options = command[command.index(module) + 1 :]
    assert options == [word for parameter in entry["parameters"] for word in (f"--{parameter}", f"{{{parameter}}}")]


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_declared_parameters_have_the_defaults_of_the_settings(name):
    settings, declared = SETTINGS[name], ENTRY_POINTS[name]["parameters"]
    arguments = [word for name, entry in declared.items() for word in (f"--{name}", str(entry["default"]))]
    assert settings.from_arguments(arguments) == settings()
    assert set(declared) <= set(settings.model_fields)


def test_every_setting_has_a_help_text_and_search_laws_stay_within_bounds():
    for settings in SETTINGS.values():
        for name, field in settings.model_fields.items():
            assert field.description, name
    for name, law in search_laws().items():
        ends = law.options if isinstance(law, Choice) else (law.low, law.high)
        for value in ends:
            assert getattr(Settings(**{name: value}), name) == value


def imported_modules(file: Path) -> set[str]:
    """Modules that a file imports anywhere, relative imports excluded (there are none)."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_any(file: Path, *packages: str) -> set[str]:
    return {
        module
        for module in imported_modules(file)
        for package in packages
        if module == package or module.startswith(f"{package}.")
    }


def modules(pattern: str) -> list[Path]:
    return sorted((ROOT / "fairprof").glob(pattern))


@pytest.mark.parametrize("file", modules("**/*.py"), ids=str)
def test_only_the_store_and_the_served_model_talk_to_mlflow(file):
    if file.parent.name != "store" and file.name != "serving.py":
        assert not imports_any(file, "mlflow")


@pytest.mark.parametrize("file", modules("metrics/*.py"), ids=str)
def test_metrics_are_functions_of_tables(file):
    assert not imports_any(file, "torch", "mlflow", "fairprof.data", "fairprof.model", "fairprof.config")


# the rooms of fairprof/, each of which may import those before it; the modules beside them are everybody's
ROOMS = (
    *("runtime", "metrics", "inference", "data", "store", "reporting", "interface", "mitigation", "network"),
    *("saliency", "measurement", "documents", "commands"),
)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_downward(room):
    files = modules(f"{room}/**/*.py")
    above = [f"fairprof.{name}" for name in ROOMS[ROOMS.index(room) + 1 :]]
    assert files
    assert not {(file.name, found) for file in files for found in imports_any(file, *above)}


def test_the_root_holds_rooms_and_six_modules():
    root = ROOT / "fairprof"
    assert {file.stem for file in root.glob("*.py")} == {
        "__init__",
        "config",
        "errors",
        "plain_text",
        "seeds",
        "serving",
    }
    assert {folder.name for folder in root.iterdir() if list(folder.glob("*.py"))} == set(ROOMS)
    others = [file for file in root.glob("*.py") if file.stem != "__init__"]
    assert not {found for file in others for found in imports_any(file, *(f"fairprof.{r}" for r in ROOMS))}


def test_the_package_offers_the_interface_alone():
    rooms = [f"fairprof.{room}" for room in ROOMS if room != "interface"]
    assert not imports_any(ROOT / "fairprof" / "__init__.py", *rooms)


@pytest.mark.parametrize("file", modules("interface/*.py"), ids=str)
def test_what_is_called_from_python_needs_neither_torch_nor_runs(file):
    assert not imports_any(file, "torch", "matplotlib", "fairprof.data", "fairprof.store", "fairprof.config")


def test_the_served_model_needs_nothing_of_the_project():
    assert not imports_any(ROOT / "fairprof" / "serving.py", "fairprof")


@pytest.mark.parametrize(
    "file",
    [file for folder in ("fairprof", "entrypoints", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))],
    ids=str,
)
def test_no_bare_except_and_nothing_unpickled(file):
    tree = ast.parse(file.read_text())
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type is None]
    assert not imports_any(file, "pickle", "cloudpickle", "joblib", "dill")
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]
    assert all("weights_only=True" in ast.unparse(call) for call in loads)
