"""Registered models as classifiers: what was registered is what is loaded, and what they must not be evaluated on."""

from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from fairprof.commands.train.registration import register
from fairprof.config import EvaluateSettings, Settings
from fairprof.data.pool import load_pool
from fairprof.network.classifier import build_classifier
from fairprof.network.loaded import load_model, pool_for, require_unseen, trained_on, with_groups_of
from fairprof.store import tracking
from fairprof.store.models import link_to_model, tag_model
from tests.models import finished_run, register_in_active_run
from tests.places import mlflow_in

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


def faces(folder, professions: tuple[str, str], partition: bool) -> str:
    """A manifest of 24 pictures; data are its value of the setting `data`."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    rows = []
    for number in range(24):
        Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
        rows.append(
            {
                "image": f"{number:02}.png",
                "gender": ("Female", "Male")[number % 2],
                "race": ("one", "two")[number // 2 % 2],
                "profession": professions[number // 4 % 2],
            }
            | ({"partition": ("train", "val", "test")[number % 3]} if partition else {})
        )
    pd.DataFrame(rows).to_csv(folder / "faces.csv", index=False)
    return f"manifest:{folder / 'faces.csv'}"


@pytest.fixture(scope="module")
def model(store):
    """A registered network with random weights, and the settings of the data that it is said to be trained on."""
    data = faces(store / "trained", ("cook", "nurse"), partition=False)
    cache = str(store / "cache")
    settings = Settings(experiment="C", architecture="resnet18", image_size=32, data=data, cache_dir=cache)
    classifier = build_classifier("resnet18", "random", "all", 2, 0, settings.image_size)
    pool = load_pool(settings, settings.image_size)
    with tracking.started_run("C-seed0", {"fairprof.role": "run"}):
        register_in_active_run(
            classifier.network.state_dict(),
            classifier.explained_layer,
            settings,
            pool.professions,
            {"best_val/macro_f1": 0.5},
            pool.fingerprint,
        )
    return load_model("C"), classifier, EvaluateSettings(model="C", data=data, cache_dir=cache)


def test_what_is_loaded_is_what_was_registered(model):
    loaded, classifier, _ = model
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(loaded.classifier.network(images), classifier.network.eval()(images))
    assert loaded.classifier.explained_layer == classifier.explained_layer
    assert (loaded.classes, loaded.image_size, str(loaded)) == (("cook", "nurse"), 32, "fairprof-C version 1")
    assert loaded.run.name == "C-seed0" and loaded.settings.experiment == "C"


@pytest.mark.parametrize(
    "reference", ["c", "fairprof-C", "models:/fairprof-C/1", "fairprof-C/latest", "fairprof-C@champion"]
)
def test_every_way_to_name_a_version_finds_it(model, reference):
    assert str(load_model(reference)) == "fairprof-C version 1"


@pytest.mark.parametrize("reference", ["B", "fairprof-C/7", "fairprof-C@staging", "models:/other/1"])
def test_an_unknown_model_is_refused_with_those_there_are(model, refused, reference):
    with refused(f"no registered model {reference}", "registered are: fairprof-C"):
        load_model(reference)


def test_its_own_data_have_unseen_test_images_and_no_others(model, refused):
    loaded, _, settings = model
    pool = pool_for(loaded, settings)
    assert trained_on(loaded, pool)
    require_unseen(loaded, pool, settings, "test")
    with refused("partition=all", "fairprof-C version 1 was trained on images of manifest:", "partition=test"):
        require_unseen(loaded, pool, settings, "all")


def test_other_data_are_unseen_and_other_professions_refused(model, store, refused):
    loaded, _, settings = model
    other = settings.model_copy(update={"data": faces(store / "other", ("cook", "nurse"), partition=True)})
    pool = pool_for(loaded, other)
    assert not trained_on(loaded, pool)
    require_unseen(loaded, pool, other, "all")
    strange = settings.model_copy(update={"data": faces(store / "strange", ("cook", "pilot"), partition=True)})
    with refused("professions cook, pilot", "fairprof-C version 1 predicts cook, nurse"):
        pool_for(loaded, strange)


def test_the_same_data_with_other_rows_may_hold_training_images(model, store, refused):
    loaded, _, settings = model
    path = store / "trained" / "faces.csv"
    rows = pd.read_csv(path)
    rows.iloc[:-1].to_csv(path, index=False)
    try:
        pool = pool_for(loaded, settings)
        assert not trained_on(loaded, pool)
        with refused("partition=all", "had other rows, labels or pictures then", "cue_gap=0"):
            require_unseen(loaded, pool, settings, "all")
    finally:
        rows.to_csv(path, index=False)


def test_the_model_and_metrics_of_an_evaluation_are_linked(model, store):
    loaded, _, settings = model
    pool = pool_for(loaded, settings)
    with tracking.started_run("evaluation", {}) as run_id:
        tracking.log_input(pool.table.iloc[pool.rows_of("test")], settings.data, "test", pool.fingerprint)
        link_to_model(loaded.stored, {"test/accuracy": 0.5})
        tag_model(loaded.stored, {"fairprof.evaluation.manifest": run_id})
        assert tracking.active_run_id() == run_id
    client = mlflow.MlflowClient()
    (used,) = client.get_run(run_id).inputs.model_inputs
    assert used.model_id == loaded.stored.version.model_id
    shown = client.get_logged_model(used.model_id).metrics
    assert [(m.key, m.value, m.run_id, m.dataset_name) for m in shown if m.run_id == run_id] == [
        ("test/accuracy", 0.5, run_id, "manifest[test]")
    ]
    assert client.get_model_version("fairprof-C", "1").tags["fairprof.evaluation.manifest"] == run_id


def test_groups_are_those_of_the_training_on_the_same_data_and_everybody_s_elsewhere(model):
    loaded, _, settings = model
    groups = {"merge": "race:x+y", "exclude": "gender:z"}
    trained = replace(loaded, settings=loaded.settings.model_copy(update=groups))
    found = with_groups_of(trained, settings)
    assert (found.merge, found.exclude) == ("race:x+y", "gender:z")
    named = with_groups_of(trained, settings.model_copy(update={"merge": "none"}))
    assert (named.merge, named.exclude) == ("none", "gender:z")
    elsewhere = with_groups_of(trained, settings.model_copy(update={"data": "utkface:elsewhere"}))
    assert (elsewhere.merge, elsewhere.exclude) == ("none", "none")


# --- runs ---------------------------------------------------------------------------------------------------------

CLASSES = ("cook", "nurse")


@pytest.fixture
def weights(tmp_path):
    """A file of weights for a training to start from."""
    torch.save(build_classifier("resnet18", "random", "all", 2, seed=1).network.state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


@pytest.fixture
def run(tmp_path, weights):
    """The id of a run of design B which trained layer4 and the head, and its classifier."""
    with mlflow_in(tmp_path):
        classifier = build_classifier("resnet18", str(weights), "layer4", 2, seed=3)
        settings = Settings(experiment="B", seed=3, architecture="resnet18", image_size=32, finetune="layer4")
        yield finished_run(classifier, settings, CLASSES), classifier


def assert_loads(run) -> None:
    run_id, classifier = run
    loaded = load_model(f"run:{run_id}")
    state = loaded.classifier.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in classifier.network.state_dict().items())
    assert (str(loaded), loaded.stored.reference, loaded.stored.version) == ("B-seed3", f"run:{run_id}", None)
    assert (loaded.classes, loaded.image_size, loaded.settings.seed) == (CLASSES, 32, 3)


def test_a_run_is_loaded_from_what_it_keeps_and_the_weights_that_it_started_from(run):
    assert_loads(run)


def test_where_the_weights_are_gone_or_others_a_registered_version_gives_them(run, weights):
    """One of another run that started from them."""
    other = build_classifier("resnet18", str(weights), "layer4", 2, seed=5)
    other_run = finished_run(other, Settings(experiment="A", architecture="resnet18", image_size=32), CLASSES)
    with tracking.started_run("registration", {}):
        register(load_model(f"run:{other_run}").stored)
    torch.save(build_classifier("resnet18", "random", "all", 2, seed=2).network.state_dict(), weights)
    assert_loads(run)
    weights.unlink()
    assert_loads(run)


def test_a_run_whose_weights_are_nowhere_is_refused_with_what_to_do(run, weights, refused):
    run_id, classifier = run
    named = (f"B-seed3 (run:{run_id})", str(weights), classifier.weights.sha256, "put that file there again")
    torch.save(build_classifier("resnet18", "random", "all", 2, seed=2).network.state_dict(), weights)
    with refused(*named, "are others now"):
        load_model(f"run:{run_id}")
    weights.unlink()
    with refused(*named, "cannot be had (weights="):
        load_model(f"run:{run_id}")


@pytest.mark.parametrize(
    ("artifact", "content"), [("best.safetensors", b"no weights"), ("model.json", b"{"), ("model.json", b"{}")]
)
def test_a_run_with_a_damaged_file_is_refused(run, tmp_path, refused, artifact, content):
    (file,) = (tmp_path / "mlruns").rglob(artifact)
    file.write_bytes(content)
    with refused("train it again"):
        load_model(f"run:{run[0]}")


def test_what_an_evaluation_says_of_a_run_is_on_its_page(run):
    stored = load_model(f"run:{run[0]}").stored
    with tracking.started_run("evaluation", {}) as evaluation:
        link_to_model(stored, {"test/accuracy": 0.5})
        tag_model(stored, {"fairprof.evaluation.manifest": evaluation})
    assert mlflow.get_run(evaluation).inputs.model_inputs == []
    assert mlflow.get_run(run[0]).data.tags["fairprof.evaluation.manifest"] == evaluation
