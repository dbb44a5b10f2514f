"""Formatter, linter and type checker find nothing."""

import subprocess
import sys

import pytest

from tests.places import ROOT


def said(*arguments: str) -> str:
    """What a module says of the project, empty where it finds nothing."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("format", "--check"), ("check", "--output-format=concise")])
def test_ruff_finds_nothing(arguments):
    assert said("ruff", *arguments) == ""


@pytest.mark.slow
def test_mypy_finds_nothing():
    assert said("mypy") == ""
