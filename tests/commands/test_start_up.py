"""How little a command loads before it begins: what takes seconds to import waits until it is needed."""

import json
import subprocess
import sys

import pytest

from tests.places import ROOT

pytestmark = pytest.mark.slow

COMMANDS = {  # what each of them begins without, in an order in which nothing is loaded for the one before
    "compare": {"torch", "torchvision", "lightning", "pytorch_grad_cam", "optuna", "matplotlib.pyplot"},
    "prepare": {"torch", "torchvision", "lightning", "pytorch_grad_cam", "optuna", "matplotlib.pyplot"},
    "train": {"lightning", "torchmetrics", "pytorch_grad_cam", "optuna", "matplotlib.pyplot"},
    "study": {"lightning", "torchmetrics", "pytorch_grad_cam", "optuna", "matplotlib.pyplot"},
    "register": {"lightning", "torchmetrics", "pytorch_grad_cam", "optuna", "matplotlib.pyplot"},
    "evaluate": {"lightning", "torchmetrics", "pytorch_grad_cam", "optuna", "matplotlib.pyplot"},
    "tune": {"lightning", "torchmetrics", "pytorch_grad_cam"},
}
IMPORTING = """
import importlib, json, sys
loaded = {}
for name in sys.argv[1:]:
    importlib.import_module(f"fairprof.commands.{name}.run")
    loaded[name] = sorted(sys.modules)
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The modules in a process that has imported the commands in their order, by the last of them."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, *COMMANDS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name: set(modules) for name, modules in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_begins_without_what_it_does_not_need_yet(name, loaded):
    assert f"fairprof.commands.{name}.run" in loaded[name]
    assert not COMMANDS[name] & loaded[name]


def test_the_packages_that_are_waited_for_are_those_that_commands_load(loaded):
    assert {"torch", "torchvision", "optuna"} <= loaded["tune"]
