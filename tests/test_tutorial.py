"""docs/tutorial.ipynb runs from top to bottom, and is committed without what it prints."""

import json
import re

import nbclient
import nbformat
import pytest

from tests.places import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
TRAINED_LESS = {
    "experiments": "A,C",
    "seeds": 1,
    "epochs": 1,
    "architecture": "resnet18",
    "finetune": "head",
    "train_size": 60,
    "permutations": 99,
    "replicates": 100,
    "gradcam_images": 8,
}


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_valid_and_committed_without_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count is not None]


def test_every_link_leads_to_a_page(notebook):
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    targets = [target for text in texts for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    assert targets
    for target in targets:
        assert (NOTEBOOK.parent / target.partition("#")[0]).is_file(), target


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(notebook, tmp_path, synthetic_cache, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("FAIRPROF_TUTORIAL", json.dumps(TRAINED_LESS | {"cache_dir": str(synthetic_cache)}))
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "docs")}}
    )
    client.execute()
    shown = {cell.id: nbformat.writes(nbformat.v4.new_notebook(cells=[cell])) for cell in notebook.cells}
    audited, compared = (
        next(text for text in shown.values() if call in text) for call in ("audit = ", "comparison = ")
    )
    assert "1 is established (n = 1,271): equal opportunity difference by region" in audited
    assert "is established for new seeds and new images" in compared
