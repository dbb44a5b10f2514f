"""Evaluations of a model that a real training has registered, started as a user starts them."""

import json

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.evaluate.run import run_evaluation
from fairprof.config import EvaluateSettings
from fairprof.metrics.performance import calibration_error, performance
from tests.entrypoints.runs import MLFLOW_WARNS, artifact, client, python, values, with_role
from tests.places import mlflow_in
from tests.reporting.pages import needs_nothing_else

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

QUICK = {"permutations": 199, "replicates": 100, "accelerator": "cpu"}
CORRUPTED = 24
FILES = (
    *("report.html", "predictions/evaluation.parquet", "data/quarantine.csv"),
    *("metrics/by_group.csv", "metrics/gaps.csv", "metrics/scores.csv", "metrics/contrasts.csv"),
    *("calibration/by_group.csv", "calibration/gaps.csv", "calibration/reliability.png"),
    *("selective/scores.csv", "selective/by_group.csv", "selective/gaps.csv", "selective/curves.png"),
    *("robustness/accuracy.csv", "robustness/gaps.csv", "robustness/predictions.parquet", "robustness/race.png"),
    *("robustness/gender.png", "robustness/corruptions.png"),
    *("shift/data.csv", "shift/training.csv", "shift/expected_accuracy.csv", "shift/composition.png"),
    "speed/times.csv",
)


@pytest.fixture(scope="module")
def evaluated(trained, synthetic_cache):
    """The champion evaluated on the data that it was trained on: the folder, the run, and what was said."""
    settings = {"model": "fairprof-B@champion", "cache_dir": synthetic_cache, "robustness_images": CORRUPTED, **QUICK}
    done = python(trained, ["-m", "entrypoints.evaluate"], settings)
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = with_role(trained, "evaluation")
    return trained, run, done


@pytest.fixture(scope="module")
def table(evaluated):
    folder, run, _ = evaluated

    def read(path: str) -> pd.DataFrame:
        file = artifact(folder, run, path)
        return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)

    return read


def test_a_run_is_evaluated_as_the_version_that_it_has_registered(evaluated, synthetic_cache, table):
    folder, _, _ = evaluated
    trained = next(run for run in with_role(folder, "run") if run.data.tags["fairprof.design"] == "B")
    settings = {"cache_dir": str(synthetic_cache), "robustness_images": 0, **QUICK}
    with mlflow_in(folder):
        run_id = run_evaluation(EvaluateSettings(model=f"run:{trained.info.run_id}", **settings))
    run = client(folder).get_run(run_id)
    assert run.info.run_name == "evaluate-B-seed0-on-synthetic"
    assert run.data.tags["fairprof.model"] == f"run:{trained.info.run_id}" and run.inputs.model_inputs == []
    assert run.data.tags["mlflow.note.content"].startswith("**B-seed0** evaluated on `synthetic` (test).")
    predictions = pd.read_parquet(artifact(folder, run, "predictions/evaluation.parquet"))
    pd.testing.assert_frame_equal(predictions, table("predictions/evaluation.parquet"))
    tags = client(folder).get_run(trained.info.run_id).data.tags
    assert tags["fairprof.evaluation.synthetic"] == run_id


def test_the_run_is_named_tagged_and_linked_to_the_version(evaluated):
    folder, run, _ = evaluated
    assert run.info.run_name == "evaluate-fairprof-B-1-on-synthetic" and run.info.status == "FINISHED"
    names = ("role", "model", "design", "data", "shift")
    assert [run.data.tags[f"fairprof.{name}"] for name in names] == [
        *("evaluation", "fairprof-B/1", "B", "synthetic", "none found")
    ]
    store = client(folder)
    (used,) = store.get_run(run.info.run_id).inputs.model_inputs  # a search of runs leaves them out
    shown = {m.key: m.value for m in store.get_logged_model(used.model_id).metrics if m.run_id == run.info.run_id}
    assert shown["test/macro_f1"] == run.data.metrics["test/macro_f1"]
    assert {"calibration/temperature", "robustness/mean_corruption_accuracy"} <= set(shown)
    version = store.get_model_version("fairprof-B", "1")
    assert version.tags["fairprof.evaluation.synthetic"] == run.info.run_id
    assert {used.dataset.name for used in run.inputs.dataset_inputs} == {"synthetic[test]"}


def test_predictions_and_metrics_are_those_of_the_training_run_on_the_same_images(evaluated, table):
    folder, run, _ = evaluated
    own_run = next(run for run in with_role(folder, "run") if run.data.tags["fairprof.design"] == "B")
    own = pd.read_parquet(artifact(folder, own_run, "predictions/test.parquet"))
    predictions = table("predictions/evaluation.parquet")
    assert predictions["image"].tolist() == own["image"].tolist()
    assert predictions["y_pred"].tolist() == own["y_pred"].tolist()
    found, expected = values(folder, run), values(folder, own_run)
    for name in ("macro_f1", "log_loss", "demographic_parity_difference/race", "worst_group_accuracy/gender"):
        assert found[f"test/{name}"] == pytest.approx(expected[f"test/{name}"], abs=1e-6)
    assert found["ceiling/macro_f1"] == expected["ceiling/macro_f1"]
    assert len(run.data.metrics) <= 30 and run.data.metrics["macro_F1"] == round(found["test/macro_f1"], 3)


def test_every_table_and_picture_is_there(evaluated):
    folder, run, _ = evaluated
    for path in FILES:
        assert artifact(folder, run, path).stat().st_size > 0, path


def test_calibration_is_that_of_the_predictions(evaluated, table):
    found = values(*evaluated[:2])
    predictions = table("predictions/evaluation.parquet")
    assert found["calibration/before/calibration_error"] == pytest.approx(calibration_error(predictions))
    assert found["calibration/before/log_loss"] == pytest.approx(performance(predictions)["log_loss"])
    assert 0.05 <= found["calibration/temperature"] <= 20
    by_group = table("calibration/by_group.csv")
    assert set(by_group["stage"]) == {"before", "after"}
    race = by_group[by_group["attribute"].eq("race") & by_group["metric"].eq("calibration_error")]
    assert race["images"].nunique() == 1 and race["images"].iloc[0] == race["support"].min()


def test_curves_are_logged_by_coverage_and_by_severity(evaluated, table):
    folder, run, _ = evaluated
    history = client(folder).get_metric_history(run.info.run_id, "selective/accuracy")
    assert sorted(point.step for point in history) == list(range(10, 101, 10))
    assert {point.step: point.value for point in history}[100] == pytest.approx(run.data.metrics["test/accuracy"])
    history = client(folder).get_metric_history(run.info.run_id, "robustness/accuracy/noise")
    assert sorted(point.step for point in history) == list(range(6))
    assert values(folder, run)["robustness/images"] == CORRUPTED


def test_corrupted_images_are_balanced_and_clean_ones_predicted_as_in_the_evaluation(table):
    corrupted, predictions = table("robustness/predictions.parquet"), table("predictions/evaluation.parquet")
    assert len(corrupted) == 31 * CORRUPTED
    clean = corrupted[corrupted["corruption"].eq("clean")]
    assert clean.groupby(["gender", "race"], observed=True).size().nunique() == 1
    own = predictions.set_index("image").loc[clean["image"], "y_pred"]
    assert clean["y_pred"].tolist() == own.tolist()


def test_the_same_data_show_no_shift_and_the_design_is_told(evaluated, table):
    data = table("shift/data.csv")
    assert set(data["verdict"]) == {"not_established"} and set(data["status"]) == {"comparable"}
    training = table("shift/training.csv").set_index("attribute")
    assert training["balanced"].to_dict() == {
        "gender": True,
        "race": False,
        "age": False,
        "profession": True,
        "gender x race x profession": True,
    }
    assert training.loc["profession", "reference_images"] == training.loc["gender", "reference_images"]


def test_the_answer_is_said_described_and_at_the_top_of_a_report_that_needs_nothing_else(evaluated):
    folder, run, done = evaluated
    page = artifact(folder, run, "report.html").read_text()
    note = run.data.tags["mlflow.note.content"]
    for text in (
        "How good: On ",
        "No shift is established between the model's own test images",
        "images a second in batches of 32",
    ):
        assert text in page.replace("&#39;", "'")
    assert " of synthetic (test), accuracy is ." in done.stdout and "On these images, after temperature" in done.stdout
    assert note.startswith("**fairprof-B version 1** evaluated on `synthetic` (test).")
    assert page.count("data:image/png;base64,") == 7
    assert needs_nothing_else(page)
    assert "nan" not in page.split("<main>")[1].split("data:image")[0].lower().replace("finance", "").split()


def test_other_faces_are_a_shift_and_all_of_them_may_be_evaluated(
    evaluated, synthetic_cache, write_image, tmp_path, capsys
):
    folder = evaluated[0]
    for number in range(96):
        age, gender, race = (5, 25, 45, 80)[number % 4], number // 4 % 2, number // 8 % 3
        write_image(tmp_path / "faces" / f"{age}_{gender}_{race}_2017{number:05}.jpg.chip.jpg", number)
    data = f"utkface:{tmp_path / 'faces'}"
    settings = {"model": "B", "data": data, "partition": "all", "robustness_images": 0, **QUICK}
    with mlflow_in(folder):
        run_evaluation(EvaluateSettings(**settings, cache_dir=str(synthetic_cache)))
    run = with_role(folder, "evaluation")[-1]
    assert run.data.tags["fairprof.shift"] == "established"
    data = pd.read_csv(artifact(folder, run, "shift/data.csv")).set_index("attribute")
    assert data.loc["race", "status"] == "different_vocabulary" and np.isnan(data.loc["race", "value"])
    assert data.loc["age", "verdict"] == "established"
    assert "shift from the model's own test images established" in capsys.readouterr().out
    page = artifact(folder, run, "report.html").read_text()
    assert "different vocabulary (training data: Monk" in page
    assert "robustness/corruptions" not in page  # images of people, and none was corrupted
    found = values(folder, run)
    assert found["data/evaluated"] == 96 and "robustness/mean_corruption_accuracy" not in found
    predictions = pd.read_parquet(artifact(folder, run, "predictions/evaluation.parquet"))
    assert set(predictions["partition"]) == {"train", "val", "test"}


def test_settings_are_parameters(evaluated):
    parameters = evaluated[1].data.params
    assert parameters["partition"] == "test" and parameters["robustness_images"] == str(CORRUPTED)
    assert "fairprof-B/1" in (parameters["model"], parameters.get("resolved/model"))
    assert json.loads(parameters["permutations"]) == 199
