"""Real trainings of seconds: killed, twice at once, on real faces, and of the head alone, whose inputs are cached."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fairprof.commands.evaluate.run import run_evaluation
from fairprof.commands.explain.run import run_explanation
from fairprof.commands.study.run import run_study
from fairprof.commands.train.folder import training_folder
from fairprof.commands.train.run import prepared, run_experiment
from fairprof.config import EvaluateSettings, ExplainSettings, Settings, StudySettings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pool import load_pool
from tests.entrypoints.runs import BRIEF, MLFLOW_WARNS, SMALL, artifact, client, kill_when, runs_in, values
from tests.places import mlflow_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

TRAINED_METRICS = (
    "test/macro_f1",
    "test/accuracy",
    "test/calibration_error",
    "best_val/macro_f1",
    "val/loss",
    "train/loss",
    "test/demographic_parity_difference/race",
    "test/equal_opportunity_difference/gender",
)


def train(folder: Path, settings: dict) -> None:
    """Trains in this process what `mlflow run` would in another."""
    with mlflow_in(folder):
        run_experiment(Settings(**settings))


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


def test_the_same_training_twice_at_once_waits_for_lock_timeout_seconds(tmp_path, synthetic_cache, refused):
    settings = Settings(experiment="D", cache_dir=str(synthetic_cache), lock_timeout=0.5, **BRIEF)
    training = prepared(settings, load_pool(settings, settings.image_size))
    with mlflow_in(tmp_path):
        with training_folder(training), refused("this very training is in use by another process"):
            run_experiment(settings)
    assert [run.info.status for run in runs_in(tmp_path)] == ["FAILED"]


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
    settings = Settings(**OF_HEADS, cache_dir=str(cache_dir))
    pool = load_pool(settings, settings.image_size)
    drawn, image = draw(pool, DESIGNS[experiment], settings), pool.table["pixel"].to_numpy()
    # four views of every image, of which three epochs take three
    augmented = {((number + epoch + 7) % 4, number) for number in image[drawn.train].tolist() for epoch in range(3)}
    return augmented | {(-1, number) for number in image[np.concatenate((drawn.val, drawn.test))].tolist()}


def test_runs_compute_of_the_frozen_part_what_no_run_before_them_has(of_heads, synthetic_cache):
    folder, runs = of_heads
    first, second = (outputs_needed(experiment, synthetic_cache) for experiment in "BA")
    found = [values(folder, run) for run in runs]
    counts = [(of_run["prefix/computed_images"], of_run["prefix/reused_images"]) for of_run in found]
    assert counts == [(len(first), 0), (len(second - first), len(second & first)), (0, len(first))]
    seconds = [of_run["prefix/seconds"] for of_run in found]
    assert seconds[0] > 0 and seconds[2] == 0


def test_a_run_that_computes_nothing_ends_like_the_one_before_it(of_heads):
    _, (first, _, again) = of_heads
    assert {name: again.data.metrics[name] for name in TRAINED_METRICS} == {
        name: first.data.metrics[name] for name in TRAINED_METRICS
    }


def test_the_registered_model_sees_in_images_what_the_run_saw_in_cached_outputs(of_heads, synthetic_cache):
    folder, (run, _, _) = of_heads
    serves_what_it_predicted(folder, run, synthetic_cache)


def serves_what_it_predicted(folder: Path, run, synthetic_cache: Path, atol: float = 2e-3) -> None:
    """Asserts that the version that a run has registered answers as the run did, but for rounding."""
    predictions = pd.read_parquet(artifact(folder, run, "predictions/test.parquet")).head(80)
    (labels,) = synthetic_cache.glob("synthetic-*/labels.csv")
    images = [(labels.parent / image).read_bytes() for image in predictions["image"]]
    (version,) = client(folder).search_model_versions(f"run_id='{run.info.run_id}'")
    model = mlflow.pyfunc.load_model(client(folder).get_model_version_download_uri(version.name, version.version))
    served = model.predict(pd.DataFrame({"image": images}))
    names = [name for name in predictions if name.startswith("probability_")]
    np.testing.assert_allclose(served[names], predictions[names], atol=atol, rtol=0)
    best = np.sort(predictions[names].to_numpy(), axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * atol
    assert clear.sum() > 10
    assert served["profession"][clear].tolist() == predictions["y_pred"][clear].tolist()


# --- baselines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finetune", "atol"), [("linear_probe", 0.02), ("knn", 0.1)])  # a neighbour may be another one
def test_a_baseline_is_registered_served_evaluated_and_explained_as_any_model(
    finetune, atol, tmp_path, synthetic_cache
):
    settings = {**OF_HEADS, "finetune": finetune, "experiment": "B", "cache_dir": str(synthetic_cache)}
    train(tmp_path, settings)
    train(tmp_path, settings)
    first, again = runs_in(tmp_path)
    assert {name: again.data.metrics[name] for name in TRAINED_METRICS if name != "train/loss"} == {
        name: first.data.metrics[name] for name in TRAINED_METRICS if name != "train/loss"
    }
    assert values(tmp_path, again)["prefix/computed_images"] == 0
    serves_what_it_predicted(tmp_path, first, synthetic_cache, atol)
    data = {"cache_dir": str(synthetic_cache), "permutations": 99, "replicates": 100}
    of_run = f"run:{again.info.run_id}"
    with mlflow_in(tmp_path):
        run_evaluation(EvaluateSettings(model=of_run, robustness_images=0, **data))
        run_explanation(ExplainSettings(models=f"B,{of_run}", gradcam_images=16, faithfulness_images=8, **data))
    *_, evaluation, explanation = runs_in(tmp_path)
    assert evaluation.data.metrics["test/macro_f1"] == pytest.approx(again.data.metrics["test/macro_f1"], abs=0.02)
    assert explanation.info.status == "FINISHED"
