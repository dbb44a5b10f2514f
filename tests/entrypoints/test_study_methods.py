"""A study of several methods, and what it leaves."""

import pandas as pd
import pytest

from fairprof.commands.study.run import run_study
from fairprof.config import StudySettings
from tests.entrypoints.runs import MLFLOW_WARNS, QUICK, artifact, with_role
from tests.places import mlflow_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

METHODS = ("none", "group_dro", "linear_post")  # as reports have them


def test_methods_are_crossed_with_designs_and_seeds_and_the_report_is_of_them(tmp_path, synthetic_cache):
    settings = {
        **{"cache_dir": str(synthetic_cache), **QUICK, "epochs": 2, "experiments": "A,B", "seeds": 2},
        **{"train_size": "matched", "mitigations": "group_dro,none,linear_post", "mitigate": "gender"},
        "mitigation_values": "group_dro.eta=0.5",
    }
    with mlflow_in(tmp_path):
        run_study(StudySettings(**settings))
        trained = with_role(tmp_path, "run")
        (study,) = with_role(tmp_path, "study")
    assert [run.info.run_name for run in trained[:3]] == [
        "A-seed0-matched",
        "A-seed0-linear_post-matched",
        "A-seed0-group_dro-matched",
    ]
    assert len(trained) == 12
    by_name = {run.info.run_name: run for run in trained}
    assert {run.data.params["hyperparameters_hash"] for run in trained} == {
        trained[0].data.params["hyperparameters_hash"]
    }
    assert len({run.data.params["method_hash"] for run in trained}) == 3
    history, taken_over = (
        artifact(tmp_path, by_name[name], "training/history.csv").read_text()
        for name in ("A-seed0-matched", "A-seed0-linear_post-matched")
    )
    assert history == taken_over
    rules = pd.read_parquet(
        artifact(tmp_path, by_name["B-seed1-linear_post-matched"], "predictions/test_by_selection.parquet")
    )
    assert {"val_loss", "val_macro_f1", "val_worst_group", "val_distance_to_ideal"} == set(rules["selection"])

    cells = pd.read_csv(artifact(tmp_path, study, "mitigation/cells.csv"))
    assert [tuple(cell) for cell in cells[["design", "method"]].to_numpy()] == [
        (design, method) for design in "AB" for method in METHODS
    ]
    assert "Does mitigation add to composition?" in artifact(tmp_path, study, "report.html").read_text()
    designs = pd.read_csv(artifact(tmp_path, study, "comparison/runs.csv"))
    assert designs["run_name"].tolist() == [f"{design}-seed{seed}-matched" for seed in (0, 1) for design in "AB"]
    assert artifact(tmp_path, study, "comparison.html").stat().st_size > 10_000
