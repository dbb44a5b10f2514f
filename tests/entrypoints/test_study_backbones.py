"""A study of several backbones, and what it leaves."""

import pandas as pd
import pytest

from fairprof.commands.compare.run import run_comparison
from fairprof.commands.explain.models import chosen_models
from fairprof.commands.study.run import run_study
from fairprof.config import CompareSettings, ExplainSettings, StudySettings, shared_settings
from tests.entrypoints.runs import MLFLOW_WARNS, QUICK, artifact, client, with_role
from tests.places import mlflow_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

NAMES = [
    f"{design}-seed{seed}-{title}-matched" for seed in (0, 1) for title in ("resnet18", "resnet10t") for design in "AB"
]


def test_backbones_are_crossed_with_designs_and_seeds_and_the_report_is_of_them(tmp_path, synthetic_cache):
    settings = {
        **{"cache_dir": str(synthetic_cache), **QUICK, "experiments": "A,B", "seeds": 2, "train_size": "matched"},
        "backbones": "resnet18,timm:resnet10t@random",  # which sees another share of an image
    }
    with mlflow_in(tmp_path):
        run_study(StudySettings(**settings))
        run_study(StudySettings(**settings))
        run_comparison(CompareSettings(permutations=199, replicates=200))
        explained = chosen_models(ExplainSettings(models="study:newest"))
    trained = with_role(tmp_path, "run")
    first, again = with_role(tmp_path, "study")
    (compared,) = with_role(tmp_path, "comparison")
    assert [run.info.run_name for run in trained] == NAMES
    by_name = {run.info.run_name: run for run in trained}
    assert {run.data.tags["fairprof.backbone"] for run in trained[2:4]} == {"timm:resnet10t@random"}
    shared = [{name: run.data.params[name] for name in shared_settings() if name != "architecture"} for run in trained]
    assert all(each == shared[0] for each in shared)
    assert len({run.data.tags["fairprof.study_key"] for run in trained}) == 2
    of_reference = {name for name in NAMES if "resnet18" in name}
    registered = {version.run_id for version in client(tmp_path).search_model_versions()}
    assert len(registered) == 2 and registered <= {by_name[name].info.run_id for name in of_reference}
    assert set(explained.references.values()) == {f"run:{by_name[name].info.run_id}" for name in of_reference}

    cells = pd.read_csv(artifact(tmp_path, first, "backbones/cells.csv"))
    assert [tuple(cell) for cell in cells[["design", "backbone"]].to_numpy()] == [
        (design, backbone) for design in "AB" for backbone in ("resnet18@random", "timm:resnet10t@random")
    ]
    assert cells["seeds"].tolist() == [2, 2, 2, 2]
    assert "Does the backbone or the composition move more?" in artifact(tmp_path, first, "report.html").read_text()
    designs = pd.read_csv(artifact(tmp_path, first, "comparison/runs.csv"))
    assert set(designs["run_name"]) == of_reference
    assert artifact(tmp_path, first, "comparison.html").stat().st_size > 10_000
    for run in (again, compared):
        tables = [pd.read_csv(artifact(tmp_path, each, "backbones/moves.csv")) for each in (first, run)]
        pd.testing.assert_frame_equal(*tables)
