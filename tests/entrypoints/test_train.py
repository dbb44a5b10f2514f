"""Real runs, started as a user starts them, in folders of their own."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fairprof.commands.study.run import run_study
from fairprof.commands.train.maps import CONTACT_SHEET_IMAGES
from fairprof.commands.train.run import run_experiment
from fairprof.config import Settings, StudySettings
from tests.entrypoints.runs import (
    BRIEF,
    MLFLOW_WARNS,
    SMALL,
    artifact,
    client,
    environment,
    kill_when,
    mlflow_run,
    runs_in,
)
from tests.places import ROOT, mlflow_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

TRAINED_METRICS = (
    "test/macro_f1",
    "test/accuracy",
    "test/log_loss",
    "best_val/macro_f1",
    "val/loss",
    "train/loss",
    "test/demographic_parity_difference/race",
    "test/equal_opportunity_difference/gender",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, synthetic_cache):
    """A folder in which the main job, `mlflow run` with its defaults, has trained design B on the embedded data."""
    folder = tmp_path_factory.mktemp("user")
    done = mlflow_run(folder, str(ROOT), {"experiment": "B", "weights": "random", "cache_dir": synthetic_cache})
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = runs_in(folder)
    return folder, run


def train(folder: Path, settings: dict) -> None:
    """Trains in this process what `mlflow run` would in another."""
    with mlflow_in(folder):
        run_experiment(Settings(**settings))


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
    assert tags["mlflow.note.content"].startswith("**Design B** (balanced over gender x profession): test macro-F1 .")


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
    measured = run.data.metrics
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
        "training/last.safetensors",
        "training/best.safetensors",
    ):
        assert artifact(folder, run, path).stat().st_size > 0
    with np.load(artifact(folder, run, "gradcam/maps.npz")) as maps:
        assert maps["maps"].shape == (240, 2, 2)  # layer4 of a 64-pixel image
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


PREDICT_ELSEWHERE = """
import importlib.util, json, sys
import mlflow, pandas as pd
assert importlib.util.find_spec("fairprof") is None
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


def test_killed_in_an_epoch_and_started_again_it_ends_like_an_undisturbed_run(tmp_path, synthetic_cache):
    settings = {"experiment": "C", "cache_dir": str(synthetic_cache), **SMALL, "epochs": 4, "train_size": 200}
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    train(undisturbed, settings)
    trainings = synthetic_cache / "trainings"
    kill_when(killed, "entrypoints.train", settings, lambda: list(trainings.glob("*/resume.ckpt")))
    (started,) = runs_in(killed)
    assert started.info.status == "RUNNING"  # a killed process can close nothing
    train(killed, settings)
    closed, resumed = runs_in(killed)
    assert (closed.info.status, resumed.info.status) == ("KILLED", "FINISHED")
    assert resumed.data.tags["fairprof.resumed"] == "true"
    (expected,) = runs_in(undisturbed)
    assert {name: resumed.data.metrics[name] for name in TRAINED_METRICS} == {
        name: expected.data.metrics[name] for name in TRAINED_METRICS
    }
    history = [
        pd.read_csv(artifact(folder, run, "training/history.csv"))
        for folder, run in ((undisturbed, expected), (killed, resumed))
    ]
    pd.testing.assert_frame_equal(*history, check_exact=True)
    assert not list(trainings.glob("*/resume.ckpt"))


def test_all_designs_run_on_real_faces_and_the_malformed_names_are_quarantined(tmp_path, shared):
    with mlflow_in(tmp_path):
        data, cache = f"utkface:{shared / 'data' / 'utkface'}", str(tmp_path / "cache")
        run_study(StudySettings(seeds=1, data=data, cache_dir=cache, **BRIEF))
    study, *runs = runs_in(tmp_path)
    assert study.info.status == "FINISHED"
    assert [(run.info.run_name, run.info.status) for run in runs] == [
        (f"{experiment}-seed0-60", "FINISHED") for experiment in "ABCD"
    ]
    assert len({run.data.params["test_fingerprint"] for run in runs}) == 1
    assert len({run.data.params["hyperparameters_hash"] for run in runs}) == 1
    assert len({run.data.tags["fairprof.study_key"] for run in runs}) == 1
    quarantine = pd.read_csv(artifact(tmp_path, runs[0], "data/quarantine.csv"))
    malformed = quarantine[quarantine["reason"].str.startswith("malformed name")]
    assert sorted(malformed["image"]) == ["61_1_20170109142408075.jpg.chip.jpg", "61_3_20170109150557335.jpg.chip.jpg"]
    assert set(client(tmp_path).search_registered_models()[0].aliases) == {"champion"}
    assert {model.name for model in client(tmp_path).search_registered_models()} == {
        f"fairprof-{experiment}" for experiment in "ABCD"
    }


def test_the_same_training_twice_at_once_is_refused(tmp_path, synthetic_cache, refused, held):
    settings = Settings(experiment="D", cache_dir=str(synthetic_cache), **BRIEF)
    with mlflow_in(tmp_path):
        run_experiment(settings)
        locks = sorted((synthetic_cache / "trainings").glob("*.lock"), key=lambda path: path.stat().st_mtime)
        with held(locks[-1]), refused("this very training is in use by another process"):
            run_experiment(settings)
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED", "FAILED"]


# --- the frozen part of the network ------------------------------------------------------------------------------


OF_HEADS = {**SMALL, "finetune": "head", "seed": 7, "train_size": 200}


@pytest.fixture(scope="module")
def of_heads(tmp_path_factory, synthetic_cache):
    """A folder in which designs B and A and B again were trained one after the other, of each the head alone."""
    folder = tmp_path_factory.mktemp("heads")
    for experiment in "BAB":
        train(folder, {**OF_HEADS, "experiment": experiment, "cache_dir": str(synthetic_cache)})
    return folder, runs_in(folder)


def outputs_needed(experiment: str, cache_dir: Path) -> set[tuple[int, int]]:
    """Numbers of the view (-1: none) and image of all that a run of `of_heads` trains on and predicts."""
    from fairprof.config import Settings
    from fairprof.data.designs import DESIGNS, draw
    from fairprof.data.pool import load_pool

    settings = Settings(**OF_HEADS, cache_dir=str(cache_dir))
    pool = load_pool(settings, settings.image_size)
    drawn, image = draw(pool, DESIGNS[experiment], settings), pool.table["pixel"].to_numpy()
    # four views of every image, of which three epochs take three
    augmented = {((number + epoch + 7) % 4, number) for number in image[drawn.train].tolist() for epoch in range(3)}
    return augmented | {(-1, number) for number in image[np.concatenate((drawn.val, drawn.test))].tolist()}


def test_runs_compute_of_the_frozen_part_what_no_run_before_them_has(of_heads, synthetic_cache):
    _, runs = of_heads
    first, second = (outputs_needed(experiment, synthetic_cache) for experiment in "BA")
    counts = [(run.data.metrics["prefix/computed_images"], run.data.metrics["prefix/reused_images"]) for run in runs]
    assert counts == [(len(first), 0), (len(second - first), len(second & first)), (0, len(first))]
    seconds = [run.data.metrics["prefix/seconds"] for run in runs]
    assert seconds[0] > 0 and seconds[2] == 0


def test_a_run_that_computes_nothing_ends_like_the_one_before_it(of_heads):
    _, (first, _, again) = of_heads
    assert {name: again.data.metrics[name] for name in TRAINED_METRICS} == {
        name: first.data.metrics[name] for name in TRAINED_METRICS
    }


def test_the_registered_model_sees_in_images_what_the_run_saw_in_cached_outputs(of_heads, synthetic_cache):
    folder, (run, _, _) = of_heads
    predictions = pd.read_parquet(artifact(folder, run, "predictions/test.parquet")).head(80)
    (labels,) = synthetic_cache.glob("synthetic-*/labels.csv")
    images = [(labels.parent / image).read_bytes() for image in predictions["image"]]
    (version,) = client(folder).search_model_versions(f"run_id='{run.info.run_id}'")
    model = mlflow.pyfunc.load_model(client(folder).get_model_version_download_uri(version.name, version.version))
    served = model.predict(pd.DataFrame({"image": images}))
    names = [name for name in predictions if name.startswith("probability_")]
    np.testing.assert_allclose(served[names], predictions[names], atol=2e-3, rtol=0)
    best = np.sort(predictions[names].to_numpy(), axis=1)
    clear = best[:, -1] - best[:, -2] > 4e-3
    assert clear.sum() > 40
    assert served["profession"][clear].tolist() == predictions["y_pred"][clear].tolist()
