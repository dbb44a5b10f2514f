"""What tests of the store share."""

import tomllib
from pathlib import Path

import pytest

from tests.places import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that makes Python take the project for installed, with the plugins that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = tmp_path_factory.mktemp("installed")
    described = folder / "fairprof-0.1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: fairprof\nVersion: 0.1.0\n")
    lines = []
    for group, plugins in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in plugins.items())]
    (described / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
