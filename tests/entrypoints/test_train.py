"""Real runs, started as a user starts them, in folders of their own."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.train.headline import BY_EPOCH
from fairprof.commands.train.maps import CONTACT_SHEET_IMAGES
from fairprof.config import Settings
from fairprof.reporting.names import GAP_NAMES, VERDICT_NAMES
from fairprof.reporting.wording import number
from tests.entrypoints.runs import (
    MLFLOW_WARNS,
    artifact,
    client,
    environment,
    mlflow_run,
    runs_in,
    values,
)
from tests.places import ROOT
from tests.reporting.pages import needs_nothing_else, plain_text, rows_of

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, synthetic_cache):
    """A folder in which the main job, `mlflow run` with its defaults, has trained design B on the embedded data."""
    folder = tmp_path_factory.mktemp("user")
    done = mlflow_run(folder, str(ROOT), {"experiment": "B", "weights": "random", "cache_dir": synthetic_cache})
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = runs_in(folder)
    return folder, run


def test_a_run_is_finished_named_and_tagged(finished):
    _, run = finished
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "B-seed0"
    tags = run.data.tags
    assert {name: tags[f"fairprof.{name}"] for name in ("role", "design", "seed", "weights", "weights_sha256")} == {
        "role": "run",
        "design": "B",
        "seed": "0",
        "weights": "random",
        "weights_sha256": "none",
    }
    links, described, *_ = tags["mlflow.note.content"].split("\n\n")
    of_run = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts"
    for address in (f"{of_run}/report.html", f"{of_run}/gradcam/contact_sheet.png", "#/models/fairprof-B/versions/1"):
        assert f"]({address}" in links
    assert described.startswith("**Design B** (balanced over gender x profession): Trained on ")
    assert (tags["design"], tags["seed"], tags["data"]) == ("B", "0", "synthetic")
    assert tags["answer"].startswith("Trained on ")


def test_the_main_job_with_its_defaults_reaches_three_fifths_of_the_ceiling(finished):
    assert finished[1].data.metrics["test/macro_f1_of_ceiling"] >= 0.6


def test_every_setting_is_a_parameter_and_undeclared_ones_arrive(finished, synthetic_cache):
    parameters = finished[1].data.params
    assert set(Settings.model_fields) <= set(parameters)
    assert parameters["cache_dir"] == str(synthetic_cache)  # not declared in MLproject
    assert {"hyperparameters_hash", "pool_fingerprint", "draw_fingerprint", "test_fingerprint"} <= set(parameters)


def test_the_three_partitions_are_logged_as_data_sets(finished):
    contexts = {tag.value for used in finished[1].inputs.dataset_inputs for tag in used.tags}
    assert contexts == {"train", "validation", "test"}
    assert {used.dataset.name for used in finished[1].inputs.dataset_inputs} == {
        "synthetic[train]",
        "synthetic[validation]",
        "synthetic[test]",
    }


def test_headline_metrics_agree_with_the_logged_predictions(finished):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    folder, run = finished
    table = pd.read_parquet(artifact(folder, run, "predictions/test.parquet"))
    measured = values(folder, run)
    assert measured["test/accuracy"] == pytest.approx(accuracy_score(table["y_true"], table["y_pred"]))
    assert measured["test/balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(table["y_true"], table["y_pred"])
    )
    assert measured["test/macro_f1"] == pytest.approx(f1_score(table["y_true"], table["y_pred"], average="macro"))
    assert measured["test/macro_f1_of_ceiling"] == pytest.approx(
        measured["test/macro_f1"] / measured["ceiling/macro_f1"]
    )
    assert measured["test/macro_f1_share_above_chance"] < measured["test/macro_f1_of_ceiling"]
    selected = table.assign(selected=table["y_pred"].eq("retired")).groupby("race", observed=True)["selected"].mean()
    gaps = pd.read_csv(artifact(folder, run, "metrics/gaps.csv")).set_index(["view", "attribute", "metric", "class"])
    logged = gaps.loc[("natural", "race", "demographic_parity_difference", "retired"), "value"]
    assert logged == pytest.approx(selected.max() - selected.min())


def test_few_values_are_metrics_and_the_headline_stands_under_short_names_too(finished):
    folder, run = finished
    shown, every = run.data.metrics, values(folder, run)
    assert len(shown) <= 30 < len(every)
    assert shown.items() - every.items() == {(name, shown[name]) for name in BY_EPOCH}
    for short, name in (
        ("macro_F1", "test/macro_f1"),
        ("DP_gender", "test/demographic_parity_difference/gender"),
        ("DP_race", "test/demographic_parity_difference/race"),
        ("EO_gender", "test/equal_opportunity_difference/gender"),
        ("EO_race", "test/equal_opportunity_difference/race"),
    ):
        assert shown[short] == round(shown[name], 3)


def test_every_epoch_is_a_step_of_the_curves(finished):
    folder, run = finished
    for name in ("train/loss", "val/loss", "val/macro_f1", "val/demographic_parity_difference/gender"):
        steps = [point.step for point in client(folder).get_metric_history(run.info.run_id, name)]
        assert steps == [1, 2, 3, 4, 5, 6]


def test_the_artifacts_of_the_design_are_there_and_readable(finished):
    folder, run = finished
    for path in (
        "data/composition.csv",
        "data/composition.png",
        "data/quarantine.csv",
        "predictions/val.parquet",
        "metrics/by_group.csv",
        "gradcam/contact_sheet.png",
        "gradcam/mean_by_group.png",
        "training/curves.png",
        "training/history.csv",
        "training/model.json",
        "training/best.safetensors",
    ):
        assert artifact(folder, run, path).stat().st_size > 0
    kept = {file.path for file in client(folder).list_artifacts(run.info.run_id, "training")}
    assert ("training/last.safetensors" in kept) == (run.data.metrics["best_epoch"] < 6)
    with np.load(artifact(folder, run, "gradcam/maps.npz")) as maps:
        assert maps["maps"].shape == (240, 8, 8)  # layer2 of a 64-pixel image
        assert maps["maps"].min() >= 0
    counts = pd.read_csv(artifact(folder, run, "data/composition.csv"))
    balanced = counts[counts["partition"].eq("train")].groupby(["gender", "profession"])["count"].sum()
    assert balanced.nunique() == 1


def test_the_contact_sheet_shows_the_same_test_images_for_every_design(finished, trained):
    other = next(run for run in runs_in(trained) if run.info.run_name.startswith("A-seed0"))
    shown = [
        np.load(artifact(folder, run, "gradcam/maps.npz"))["image"][:CONTACT_SHEET_IMAGES].tolist()
        for folder, run in (finished, (trained, other))
    ]
    assert shown[0] == shown[1]
    assert finished[1].data.params["test_fingerprint"] == other.data.params["test_fingerprint"]
    assert finished[1].data.params["draw_fingerprint"] != other.data.params["draw_fingerprint"]


def test_the_run_ends_with_a_page_whose_numbers_are_those_of_its_tables(finished):
    folder, run = finished
    file = artifact(folder, run, "report.html")
    page = file.read_text()
    assert needs_nothing_else(page) and file.stat().st_size < 400_000
    scores = pd.read_csv(artifact(folder, run, "metrics/scores.csv"))
    assert [row[1] for row in rows_of(page, "Scores")[1:]] == [
        f"{number(row.value)} [{number(row.lower)}, {number(row.upper)}]" for row in scores.itertuples()
    ]
    gaps = pd.read_csv(artifact(folder, run, "metrics/gaps.csv"))
    shown = gaps[gaps["view"].eq("natural") & gaps["class"].eq("max_over_classes") & gaps["metric"].isin(GAP_NAMES)]
    shown = shown[shown["metric"].ne("equalized_odds_difference")]
    assert [row[2] for row in rows_of(page, "Verdicts")[1:]] == [
        f"{number(row.value)} chance {number(row.null_mean)}, {number(row.null_q95)} {VERDICT_NAMES[row.verdict]}"
        for row in shown.itertuples()
    ]
    counts = pd.read_csv(artifact(folder, run, "data/composition.csv"))
    of_race = counts[counts["partition"].eq("train")].groupby("race", sort=False)["count"].sum()
    assert [row[1] for row in rows_of(page, f"{of_race.sum():,} training images")[1:]] == [f"{n:,}" for n in of_race]
    said = plain_text(page)
    assert "random weights" in said and 'load_model("models:/fairprof-B/1")' in said
    answer = run.data.tags["mlflow.note.content"].split("\n\n")[1].partition("): ")[2]
    assert answer in said


PREDICT_ELSEWHERE = """
import importlib.util, json, sys
from pathlib import Path
sys.path = [place for place in sys.path if not Path(place, "fairprof").is_dir()]  # where the project is installed
assert importlib.util.find_spec("fairprof") is None
import mlflow, pandas as pd
labels = json.load(open("expected.json"))
model = mlflow.pyfunc.load_model("models:/fairprof-B/latest")
images = [open(label["file"], "rb").read() for label in labels]
table = model.predict(pd.DataFrame({"image": images}))
assert table["profession"].tolist() == [label["profession"] for label in labels], table
largest = max(abs(a - b["probability"]) for a, b in zip(table["probability"], labels))
assert largest < 1e-5, largest
assert mlflow.pyfunc.load_model("models:/fairprof-B@champion").metadata.run_id == model.metadata.run_id
print("agrees", len(table))
"""


def test_another_process_without_the_project_predicts_what_was_logged(finished, tmp_path, synthetic_cache):
    folder, run = finished
    table = pd.read_parquet(artifact(folder, run, "predictions/test.parquet")).head(80)
    (portraits,) = synthetic_cache.glob("synthetic-*/labels.csv")
    probabilities = table.filter(like="probability_").max(axis=1)
    (tmp_path / "expected.json").write_text(
        json.dumps(
            [
                {"file": str(portraits.parent / image), "profession": profession, "probability": probability}
                for image, profession, probability in zip(table["image"], table["y_pred"], probabilities, strict=True)
            ]
        )
    )
    (tmp_path / "elsewhere.py").write_text(PREDICT_ELSEWHERE)
    done = subprocess.run(
        [sys.executable, "elsewhere.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(
            MLFLOW_TRACKING_URI=f"sqlite:///{folder / 'mlflow.db'}", MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false"
        ),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "agrees 80" in done.stdout
