"""What every entry point is: settings from the command line, answered early where they are wrong, and one command."""

import json
import runpy
import subprocess
import sys

import pytest

from fairprof import config
from tests.places import ROOT

COMMANDS = {
    "train": (config.Settings, "run_experiment"),
    "study": (config.StudySettings, "run_study"),
    "tune": (config.TuneSettings, "run_search"),
    "compare": (config.CompareSettings, "run_comparison"),
    "evaluate": (config.EvaluateSettings, "run_evaluation"),
    "explain": (config.ExplainSettings, "run_explanation"),
    "prepare": (config.PrepareSettings, "run_preparation"),
}
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
    assert {file.stem for file in (ROOT / "entrypoints").glob("*.py")} == {"__init__", *COMMANDS}


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
    given = []
    monkeypatch.setattr(f"fairprof.commands.{name}.run.{function}", given.append)
    monkeypatch.setattr(sys, "argv", [name, "--delta", "0.07"])
    runpy.run_module(f"entrypoints.{name}", run_name="__main__")
    assert given == [settings(delta=0.07)] and type(given[0]) is settings
