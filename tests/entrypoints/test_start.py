"""What every entry point is: settings from the command line, answered early where they are wrong, and one command."""

import json
import runpy
import subprocess
import sys

import pytest

from fairprof import config
from fairprof.runtime.beside import HERE
from tests.entrypoints.runs import python
from tests.places import ROOT, mlflow_in

COMMANDS = {
    "train": (config.Settings, "run_experiment"),
    "study": (config.StudySettings, "run_study"),
    "tune": (config.TuneSettings, "run_search"),
    "compare": (config.CompareSettings, "run_comparison"),
    "evaluate": (config.EvaluateSettings, "run_evaluation"),
    "explain": (config.ExplainSettings, "run_explanation"),
    "prepare": (config.PrepareSettings, "run_preparation"),
}
RECORDED = ("train", "study")
WRONG = """
import json, runpy, sys
answers = {}
for name in sys.argv[1].split(","):
    sys.argv = [name, "--min_support", "0"]
    try:
        runpy.run_module(f"entrypoints.{name}", run_name="__main__")
    except SystemExit as end:
        answers[name] = end.code
print(json.dumps({"answers": answers, "imported": sorted(sys.modules)}))
"""


def test_there_is_one_for_every_command():
    assert {file.stem for file in (ROOT / "entrypoints").glob("*.py")} == {"__init__", *COMMANDS, "register"}


def test_registering_judges_nothing_and_takes_its_own_setting_alone(monkeypatch):
    given = []
    monkeypatch.setattr("fairprof.commands.register.run.run_registration", given.append)
    monkeypatch.setattr(sys, "argv", ["register", "--run", f"run:{'0' * 32}"])
    runpy.run_module("entrypoints.register", run_name="__main__")
    assert given == [config.RegisterSettings(run=f"run:{'0' * 32}")]


def test_a_wrong_setting_is_answered_before_anything_heavy_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", WRONG, ",".join(COMMANDS)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    message = "fairprof: error: min_support=0 is not valid, it should be greater than or equal to 1"
    assert said["answers"] == dict.fromkeys(COMMANDS, message)
    assert "pydantic" in said["imported"]
    assert not {"torch", "mlflow", "pandas", "numpy", "matplotlib", "sklearn"} & set(said["imported"])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_is_run_with_the_settings_that_were_given(name, monkeypatch):
    settings, function = COMMANDS[name]
    here = {"recorder": "here"} if name in RECORDED else {}  # and no process beside this one
    given = []
    command = f"fairprof.commands.{name}.run.{function}"
    monkeypatch.setattr(command, lambda settings, recorder=None: given.append((settings, recorder)))
    arguments = [word for setting, value in here.items() for word in (f"--{setting}", value)]
    monkeypatch.setattr(sys, "argv", [name, "--delta", "0.07", *arguments])
    runpy.run_module(f"entrypoints.{name}", run_name="__main__")
    assert given == [(settings(delta=0.07, **here), HERE if here else None)] and type(given[0][0]) is settings


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("train", {"experiment": "E"}, "experiment=E is not valid"),
        ("train", {"epochs": -1}, "epochs=-1 is not valid"),
        ("train", {"epoch": 3}, "unknown setting epoch: did you mean epochs?"),
        ("train", {"data": "manifest:faces.csv"}, "faces.csv: missing column gender"),
        ("study", {"seeds": 0}, "seeds=0 is not valid"),
        ("study", {"fractions": "0.5,2"}, "fractions=0.5,2 is not valid"),
        ("tune", {"search": "momentum"}, "search=momentum is not valid"),
        ("tune", {"trials": 0}, "trials=0 is not valid"),
        ("compare", {"run": "x"}, "unknown setting run: did you mean runs?"),
    ],
)
def test_bad_input_is_one_line(name, settings, message, tmp_path, monkeypatch):
    (tmp_path / "faces.csv").write_text("image,race,age\na.jpg,White,3\n")
    arguments = [word for setting, value in settings.items() for word in (f"--{setting}", str(value))]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with mlflow_in(tmp_path), pytest.raises(SystemExit) as end:
        runpy.run_module(f"entrypoints.{name}", run_name="__main__")
    assert end.value.code.startswith("fairprof: error: ") and "\n" not in end.value.code
    assert message in end.value.code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("train", {"experiment": "E"}, "experiment=E is not valid"),
        ("compare", {}, "there is no finished run to compare"),
        ("explain", {"models": "nobody"}, "no registered model nobody"),
    ],
)
def test_a_process_ends_with_that_line_and_no_traceback(name, settings, message, tmp_path):
    done = python(tmp_path, ["-m", f"entrypoints.{name}"], settings)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fairprof: ")]
    assert line.startswith("fairprof: error: ") and message in line
