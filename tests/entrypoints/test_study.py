"""Studies and comparisons, started as a user starts them."""

import shutil

import pandas as pd
import pytest

from fairprof.commands.study.run import run_study
from fairprof.commands.train.run import run_experiment
from fairprof.config import Settings, StudySettings
from fairprof.errors import UserError
from tests.entrypoints.runs import (
    MLFLOW_WARNS,
    QUICK,
    artifact,
    client,
    compare,
    kill_when,
    mlflow_run,
    values,
    with_role,
)
from tests.places import ROOT, mlflow_in
from tests.reporting.pages import needs_nothing_else

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

STUDY = {**QUICK, "experiments": "A,B", "seeds": 2, "train_size": "natural"}


@pytest.fixture(scope="module")
def studied(tmp_path_factory, synthetic_cache):
    """A folder in which a study was killed by SIGKILL after its first run, and started again by `mlflow run`."""
    folder = tmp_path_factory.mktemp("study")
    settings = {"cache_dir": synthetic_cache, **STUDY}

    def finished():
        return [run for run in with_role(folder, "run") if run.info.status == "FINISHED"]

    # a run is recorded while the next one trains
    kill_when(folder, "entrypoints.study", settings, lambda: "1/4 runs" in (folder / "log").read_text() and finished())
    first = finished()
    assert [run.info.run_name for run in first] == ["A-seed0"]
    # into the experiment to which runs go that `mlflow run` has not started
    done = mlflow_run(folder, str(ROOT), settings, ("-e", "study", "--experiment-name", "fairprof"))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, first[0], done


def test_an_interrupted_study_goes_on_and_repeats_nothing_that_finished(studied):
    folder, first, done = studied
    killed, finished = with_role(folder, "study")
    assert (killed.info.status, finished.info.status) == ("KILLED", "FINISHED")
    children = [run for run in with_role(folder, "run") if run.info.status == "FINISHED"]
    assert sorted(run.info.run_name for run in children) == ["A-seed0", "A-seed1", "B-seed0", "B-seed1"]
    assert first.info.run_id in [run.info.run_id for run in children]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {finished.info.run_id}
    assert "1 of 4 runs have been trained before" in done.stdout
    listed = pd.read_csv(artifact(folder, finished, "study/runs.csv"))
    assert listed["name"].tolist() == ["A-seed0", "B-seed0", "A-seed1", "B-seed1"]  # whole pairs come first
    assert listed["status"].tolist() == ["reused", "finished", "finished", "finished"]


def test_of_each_design_one_seed_is_registered_and_any_other_is_when_it_is_named(studied):
    folder, _, done = studied
    finished = with_role(folder, "study")[1]
    children = {run.info.run_id: run for run in with_role(folder, "run") if run.info.status == "FINISHED"}
    listed = pd.read_csv(artifact(folder, finished, "study/registered.csv")).set_index("design")
    assert listed.index.tolist() == ["A", "B"]
    for design, row in listed.iterrows():
        (version,) = client(folder).search_model_versions(f"name = 'fairprof-{design}'")
        assert version.run_id == row["run_id"] and version.tags["fairprof.chosen"] == row["why"]
        assert f"fairprof-{design} version 1: {row['why']}" in done.stdout
        scores = {
            run_id: ("fairprof.degenerate" not in run.data.tags, run.data.metrics["best_val/macro_f1"])
            for run_id, run in children.items()
            if run.data.tags["fairprof.design"] == design
        }
        assert len(scores) == 2 and scores[row["run_id"]] == max(scores.values())
    other = next(run_id for run_id in children if run_id not in set(listed["run_id"]))
    assert f"it is named `run:{other}`" in children[other].data.tags["mlflow.note.content"]
    design = children[other].data.tags["fairprof.design"]
    registration = mlflow_run(folder, str(ROOT), {"run": other}, ("-e", "register", "--experiment-name", "fairprof"))
    assert registration.returncode == 0, registration.stderr[-3000:]
    assert f"is registered as fairprof-{design} version 2" in registration.stdout
    assert client(folder).get_model_version(f"fairprof-{design}", "2").run_id == other


def test_the_same_study_again_trains_nothing(studied, synthetic_cache, capsys):
    folder, _, _ = studied
    before = len(with_role(folder, "run"))
    with mlflow_in(folder):
        run_study(StudySettings(cache_dir=str(synthetic_cache), **STUDY))
    assert "4 of 4 runs have been trained before" in capsys.readouterr().out
    assert len(with_role(folder, "run")) == before


def test_runs_of_a_study_are_trained_alike_and_paired_by_seed(studied):
    folder, _, _ = studied
    children = [run for run in with_role(folder, "run") if run.info.status == "FINISHED"]
    for same in ("hyperparameters_hash", "pool_fingerprint", "test_fingerprint"):
        assert len({run.data.params[same] for run in children}) == 1
    assert len({run.data.tags["fairprof.study_key"] for run in children}) == 1
    assert len({run.data.params["draw_fingerprint"] for run in children}) == 4


def test_every_run_has_the_floor_beside_its_gaps(studied):
    folder, first, _ = studied
    gap = "test/equal_opportunity_difference"
    measured = values(folder, first)
    for attribute in ("gender", "race", "gender_x_race"):
        assert 1 / 200 <= measured[f"{gap}_p_value/{attribute}"] <= 1
        assert measured[f"{gap}_excess/{attribute}"] == pytest.approx(
            measured[f"{gap}/{attribute}"] - measured[f"{gap}_null_mean/{attribute}"]
        )
        assert 0 < measured[f"{gap}_null_mean/{attribute}"] < measured[f"{gap}_null_q95/{attribute}"]
    contrasts = pd.read_csv(artifact(folder, first, "metrics/contrasts.csv"))
    defined = contrasts.dropna(subset=["contrast"])
    assert (defined["lower"] <= defined["contrast"]).all() and (defined["contrast"] <= defined["upper"]).all()
    datasheet = artifact(folder, first, "data/datasheet.md").read_text()
    assert "PROVIDER INPUT REQUIRED" in datasheet
    assert "Decoded upright to RGB" in datasheet and "only labels were read" not in datasheet


@pytest.fixture(scope="module")
def report(studied):
    """The study's run and a function that reads its tables."""
    folder, _, _ = studied
    run = next(run for run in with_role(folder, "study") if run.info.status == "FINISHED")
    return run, lambda name: pd.read_csv(artifact(folder, run, f"comparison/{name}.csv"))


def test_tables_follow_from_the_runs(studied, report):
    folder, _, _ = studied
    _, table = report
    children = {run.info.run_id: run for run in with_role(folder, "run")}
    runs = table("runs")
    assert len(runs) == 4
    for row in runs.to_dict("records"):
        logged = children[row["run_id"]].data.metrics
        for name in ("macro_f1", "demographic_parity_difference/race", "equal_opportunity_difference/gender_x_race"):
            assert row[name] == pytest.approx(logged[f"test/{name}"], abs=1e-9)
    means = table("performance").set_index(["design", "metric"])["value"]
    for design, of_design in runs.groupby("design"):
        assert means[design, "macro_f1"] == pytest.approx(of_design["macro_f1"].mean())
    differences = table("differences").set_index(["metric", "attribute"], drop=False).fillna({"attribute": ""})
    row = differences[differences["metric"].eq("macro_f1")].iloc[0]
    wide = runs.pivot(index="seed", columns="design", values="macro_f1")
    assert row["value"] == pytest.approx((wide["B"] - wide["A"]).mean())
    assert row["lower"] <= row["value"] <= row["upper"]


def test_two_seeds_allow_no_claim_between_designs_and_the_report_says_so(studied, report):
    folder, _, _ = studied
    run, table = report
    assert set(table("differences")["verdict"].dropna()) == {"no_claim_possible"}
    text = artifact(folder, run, "report.md").read_text()
    assert "no claim between designs is possible" in text.replace("\n", " ")


def test_the_report_is_one_file_with_everything(studied, report):
    folder, _, _ = studied
    run, _ = report
    page = artifact(folder, run, "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 10
    assert needs_nothing_else(page)
    for name in ("documents/model_card_A.md", "documents/model_card_B.md", "documents/annex_iv.md"):
        assert len(artifact(folder, run, name).read_text()) > 1000
    assert "not a conformity assessment" in artifact(folder, run, "documents/annex_iv.md").read_text()


def test_seeds_that_are_added_after_a_look_are_marked(studied, tmp_path, synthetic_cache, capsys):
    shutil.copy(studied[0] / "mlflow.db", tmp_path)  # artifacts are read where they were written
    look = next(run for run in with_role(tmp_path, "study") if run.info.status == "FINISHED")
    assert "was added" not in artifact(tmp_path, look, "report.md").read_text()
    with mlflow_in(tmp_path):
        run_study(StudySettings(**STUDY | {"cache_dir": str(synthetic_cache), "experiments": "A", "seeds": 3}))
        banner = "Seed 2 was added after 2 seeds had been looked at. So few allow no claim"
        assert banner in capsys.readouterr().out
        compare(tmp_path)
    added = with_role(tmp_path, "study")[-1]
    assert [run.data.params["planned_seeds"] for run in (look, added)] == ["0,1", "0,1"]
    listed = pd.read_csv(artifact(tmp_path, added, "study/runs.csv"))
    assert listed["planned"].tolist() == [True, True, False]
    for run in (added, with_role(tmp_path, "comparison")[-1]):
        assert banner in artifact(tmp_path, run, "report.md").read_text().replace("\n", " ")


def test_runs_that_were_trained_otherwise_are_refused_by_name_and_without_them_tables_are_the_study_s(
    studied, report, synthetic_cache
):
    folder, _, _ = studied
    other = {"cache_dir": str(synthetic_cache), **QUICK, "learning_rate": 0.001, "experiment": "B", "seed": 1}
    with mlflow_in(folder):
        run_experiment(Settings(**other))
    with pytest.raises(UserError) as refusal:
        compare(folder, runs="newest_runs")
    message = str(refusal.value)
    assert "learning_rate is" in message and "0.001 in B-seed1" in message
    assert "macro_f1" not in message and "epochs" not in message
    client(folder).delete_run(with_role(folder, "run")[-1].info.run_id)
    compare(folder, runs="newest_runs")
    comparison = with_role(folder, "comparison")[-1]
    assert comparison.info.status == "FINISHED"
    for name in ("performance", "gaps", "differences"):
        again = pd.read_csv(artifact(folder, comparison, f"comparison/{name}.csv"))
        pd.testing.assert_frame_equal(again, report[1](name))
