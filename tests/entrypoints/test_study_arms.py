"""Studies whose runs are shared between arms, or fail."""

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.study.run import run_study
from fairprof.commands.train.recording import Recording
from fairprof.commands.train.run import train
from fairprof.config import Settings, StudySettings
from fairprof.data.pool import Pool
from tests.entrypoints.runs import MLFLOW_WARNS, QUICK, artifact, compare, with_role
from tests.places import mlflow_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]


def test_a_run_that_two_arms_share_is_trained_once_and_counts_in_both(tmp_path, synthetic_cache, capsys):
    settings = {"cache_dir": str(synthetic_cache), **QUICK, "experiments": "A,B", "seeds": 1}
    with mlflow_in(tmp_path):
        run_study(StudySettings(**settings))
        assert "4 runs in the arms matched and natural: 1 of them would draw the same" in capsys.readouterr().out
        trained = with_role(tmp_path, "run")
        assert [run.info.run_name for run in trained] == ["A-seed0-matched", "B-seed0-matched", "B-seed0"]
        study = with_role(tmp_path, "study")[-1]
        listed = pd.read_csv(artifact(tmp_path, study, "study/runs.csv")).set_index("name")
        assert listed["status"].to_dict() == {
            "A-seed0-matched": "finished",
            "B-seed0-matched": "finished",
            "A-seed0": "shared",
            "B-seed0": "finished",
        }
        assert listed.loc["A-seed0", "run_id"] == trained[0].info.run_id
        gaps = pd.read_csv(artifact(tmp_path, study, "comparison/gaps.csv"))
        compare(tmp_path, runs=",".join(run.info.run_id for run in trained))
    assert list(gaps["arm"].unique()) == ["matched", "natural"]
    assert set(gaps.loc[gaps["family"].eq("confirmatory"), "arm"]) == {"matched"}
    of_a = gaps[gaps["design"].eq("A")]
    matched, natural = (of_a.loc[of_a["arm"].eq(arm), "value"].tolist() for arm in ("matched", "natural"))
    assert matched == natural
    again = pd.read_csv(artifact(tmp_path, with_role(tmp_path, "comparison")[-1], "comparison/gaps.csv"))
    pd.testing.assert_frame_equal(again[again["arm"].eq("matched")], gaps[gaps["arm"].eq("matched")])
    assert len(again) == len(gaps)


def test_a_run_that_fails_is_reported_and_the_others_go_on(tmp_path, synthetic_cache, refused, monkeypatch):
    def failing(settings: Settings, pool: Pool, recording: Recording) -> None:
        if settings.experiment == "A":
            raise RuntimeError("the machine is on fire")
        train(settings, pool, recording)

    monkeypatch.setattr("fairprof.commands.study.workers.train", failing)
    settings = {"cache_dir": str(synthetic_cache), **QUICK, "experiments": "A,B", "seeds": 1, "train_size": 300}
    with mlflow_in(tmp_path), refused("1 of 2 runs failed (A-seed0-300)", "RuntimeError: the machine is on fire"):
        run_study(StudySettings(**settings))
    failed = with_role(tmp_path, "study")[-1]
    assert failed.info.status == "FAILED"
    listed = pd.read_csv(artifact(tmp_path, failed, "study/runs.csv")).set_index("name")
    assert listed["status"].to_dict() == {"A-seed0-300": "failed", "B-seed0-300": "finished"}
    page = artifact(tmp_path, failed, "report.md").read_text()
    assert "A-seed0-300" in page
    assert np.isfinite(failed.data.metrics["B/macro_f1"])


def test_a_study_without_all_its_designs_is_refused_before_it_trains_unless_it_asks_for_them_alone(
    tmp_path, synthetic_cache, refused, capsys
):
    """Design A has too few images for this size, B has enough."""
    settings = {"cache_dir": str(synthetic_cache), **QUICK, "seeds": 1, "train_size": 500}
    with mlflow_in(tmp_path):
        with refused("train_size=500: design A can take at most 384", "with -P train_size=384 all"):
            run_study(StudySettings(**settings, experiments="A,B"))
        assert with_role(tmp_path, "run") == []
        run_study(StudySettings(**settings, experiments="B"))
    said = capsys.readouterr().out
    assert "no reference A was asked for: designs are compared with B" in said
    assert "trained before" not in said and "1 run to train" in said
    (trained,) = with_role(tmp_path, "run")
    assert trained.info.run_name == "B-seed0-500" and trained.data.params["merge"] == "none"
