"""The model registry in a real store: versions, the champion, what is kept, and loading it elsewhere."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image

from fairprof.config import Settings
from fairprof.network.classifier import build_classifier
from fairprof.network.weights import arrays_of
from fairprof.serving import IMAGENET, ExplainedLayer, decode_image, square_pixels
from fairprof.store import registry, tracking
from fairprof.store.models import StoredModel, link_to_model, load_stored, model_settings, tag_model
from tests.models import register_in_active_run
from tests.places import ROOT, mlflow_in

CLASSES = ("cook", "driver", "nurse")
IMAGE_SIZE = 32

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


@pytest.fixture
def client(store) -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


@pytest.fixture(scope="module")
def network():
    return build_classifier("mobilenet_v2", "random", "layer2", len(CLASSES), seed=0).network.eval()


def registered(
    network,
    macro_f1: float,
    pool: str = "pool-1",
    experiment: str = "B",
    classes: tuple[str, ...] = CLASSES,
    degenerate: str | None = None,
    run_key: str = "key",
) -> registry.RegisteredVersion:
    settings = Settings(experiment=experiment, architecture="mobilenet_v2", image_size=IMAGE_SIZE)
    headline = {"test/accuracy": 0.4321, "test/demographic_parity_difference/race": 0.25, "best_val/macro_f1": macro_f1}
    with tracking.started_run(f"{experiment}-seed0", {}):
        return register_in_active_run(
            network.state_dict(), ExplainedLayer("features.18"), settings, classes, headline, pool, run_key, degenerate
        )


@pytest.fixture(scope="module")
def versions(store, network) -> dict[str, registry.RegisteredVersion]:
    """The versions of fairprof-B, in the order in which they were registered."""
    scores = {
        "first": (0.50004, "pool-1"),
        "equal": (0.50004, "pool-1"),
        "worse": (0.4, "pool-1"),
        "better": (0.6, "pool-1"),
        "other data": (0.1, "pool-2"),
        "better on other data": (0.2, "pool-2"),
    }
    return {name: registered(network, score, pool) for name, (score, pool) in scores.items()}


def test_versions_are_numbered_in_their_order(versions):
    assert [(version.name, version.version) for version in versions.values()] == [
        ("fairprof-B", str(number)) for number in range(1, 7)
    ]


def test_champion_moves_to_the_first_version_a_better_one_and_other_data(versions):
    assert {name: version.champion for name, version in versions.items()} == {
        "first": True,
        "equal": False,
        "worse": False,
        "better": True,
        "other data": True,
        "better on other data": True,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("first", ["0.5000", "the first version"]),
        ("equal", ["0.5000 is not more than 0.5000 of champion version 1"]),
        ("worse", ["0.4000 is not more than 0.5000 of champion version 1"]),
        ("better", ["0.6000 is more than 0.5000 of champion version 1"]),
        ("other data", ["0.1000", "version 4, trained on other data"]),
        ("better on other data", ["0.2000 is more than 0.1000 of champion version 5"]),
    ],
)
def test_reason_of_every_decision_is_a_tag_of_the_version(name, words, versions, client):
    version = versions[name]
    reason = client.get_model_version(version.name, version.version).tags["fairprof.champion"]
    assert reason == version.reason
    assert reason.startswith("rule val_macro_f1: ") and all(word in reason for word in words)


def test_version_that_was_replaced_says_by_which_and_why(versions, client):
    replaced = {}
    for name, version in versions.items():
        tags = client.get_model_version(version.name, version.version).tags
        if "fairprof.replaced_by" in tags:
            replaced[name] = tags["fairprof.replaced_by"]
    assert replaced == {
        "first": f"version 4, {versions['better'].reason}",
        "better": f"version 5, {versions['other data'].reason}",
        "other data": f"version 6, {versions['better on other data'].reason}",
    }


def test_page_of_the_model_has_the_newest_reason(versions, client):
    newest = versions["better on other data"]
    tags = client.get_registered_model("fairprof-B").tags
    assert tags["fairprof.champion"] == f"version 6, {newest.reason}"
    assert set(tags) == {"fairprof.champion", "fairprof.description"}


def test_a_champion_of_another_rule_gives_way_and_the_reason_says_so(store, network, client):
    registered(network, 0.6, experiment="A")
    client.delete_model_version_tag("fairprof-A", "1", "best_val.macro_f1")
    client.set_model_version_tag("fairprof-A", "1", "best_val.accuracy", "0.9000")
    second = registered(network, 0.3, experiment="A")
    assert second.champion
    assert second.reason == (
        "rule val_macro_f1: 0.3000; champion before was version 1, chosen by another rule, so that it has no score to "
        "compare with and the newer version counts"
    )
    assert client.get_model_version("fairprof-A", "2").tags["fairprof.champion"] == second.reason
    assert not registered(network, 0.3, experiment="A").champion  # it is compared again


def test_a_degenerate_version_never_replaces_one_that_tells_images_apart(store, network, client):
    first = registered(network, 0.2, experiment="D", degenerate="cook")
    assert first.champion  # there is no other
    tags = client.get_model_version("fairprof-D", "1")
    assert tags.tags["fairprof.degenerate"] == "cook"
    assert tags.description.startswith("**Degenerate**: it answers cook for every test image.")
    second = registered(network, 0.1, experiment="D")
    assert second.champion and "version 1, which answers cook for every test image" in second.reason
    for pool in ("pool-1", "pool-2"):
        third = registered(network, 0.9, pool, experiment="D", degenerate="nurse")
        assert not third.champion
        assert third.reason.endswith("it answers nurse for every test image, which champion version 2 does not")


def test_alias_names_the_last_champion(versions, client):
    assert str(client.get_model_version_by_alias("fairprof-B", "champion").version) == "6"
    assert {name: str(number) for name, number in client.get_registered_model("fairprof-B").aliases.items()} == {
        "champion": "6"
    }


def test_description_and_tags_hold_the_headline_metrics(versions, client):
    version = client.get_model_version("fairprof-B", versions["better"].version)
    assert "| test/accuracy | 0.4321 |" in version.description
    assert "| test/demographic_parity_difference/race | 0.2500 |" in version.description
    assert "Design B, seed 0, data `synthetic`" in version.description
    assert version.tags["DP_race"] == "0.250" and "EO_race" not in version.tags
    assert version.tags["best_val.macro_f1"] == "0.6000"
    assert version.tags["fairprof.pool"] == "pool-1"


def test_the_model_says_what_it_is_and_how_it_is_loaded(versions, client):
    description = client.get_registered_model("fairprof-B").description
    assert "**design B**: images balanced over gender x profession" in description
    assert "cook, driver, nurse" in description and 'load_model("models:/fairprof-B@champion")' in description


def test_what_the_model_says_is_written_anew_until_somebody_edits_it(store, network, client):
    said = []
    for classes in (CLASSES, ("baker", "clerk", "pilot"), ("actor", "judge", "smith"), CLASSES):
        registered(network, 0.5, experiment="D", classes=classes)
        said.append(client.get_registered_model("fairprof-D").description)
        if len(said) == 3:
            client.update_registered_model("fairprof-D", f"{said[-1]} Ask Ada before you use it.")
    assert [text.split(", trained on")[0] for text in said] == [
        "Classifies faces as cook, driver, nurse",
        "Classifies faces as baker, clerk, pilot",
        "Classifies faces as actor, judge, smith",
        "Classifies faces as actor, judge, smith",
    ]
    assert said[3].endswith("Ask Ada before you use it.")


@pytest.fixture
def own_store(tmp_path):
    with mlflow_in(tmp_path) as folder:
        yield folder


class Killed(BaseException):
    """What a run meets where a signal would have ended it."""


def interrupted(network, at: str, monkeypatch, **given) -> str:
    """A registration that ends where `at` of the registry begins; the id of its run."""

    def end(*_, **__):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(registry, at, end)
        registered(network, **given)
    return mlflow.MlflowClient().search_runs(["1"], max_results=1)[0].info.run_id


def numbers_of(name: str) -> set[str]:
    return {str(version.version) for version in mlflow.MlflowClient().search_model_versions(f"name = '{name}'")}


def models_of(run_key: str) -> list[str]:
    return [
        model.model_id
        for model in mlflow.MlflowClient().search_logged_models(["1"], f"tags.`fairprof.run_key` = '{run_key}'")
    ]


def test_a_version_is_complete_from_its_first_moment(own_store, network, monkeypatch):
    """What a kill right after registration leaves."""
    run_id = interrupted(network, "_describe_model", monkeypatch, macro_f1=0.5, experiment="C", run_key="first moment")
    (left,) = mlflow.MlflowClient().search_model_versions("name = 'fairprof-C'")
    assert left.run_id == run_id and "| test/accuracy | 0.4321 |" in left.description
    assert {"fairprof.run_key": "first moment", "fairprof.pool": "pool-1", "best_val.macro_f1": "0.5000"}.items() <= (
        left.tags.items()
    )


@pytest.mark.parametrize("at", ["_describe_model", "tell_of_champion", "_delete_superseded"])
def test_a_registration_that_was_interrupted_is_replaced_by_the_next_one(at, own_store, network, monkeypatch, capsys):
    name, key = "fairprof-C", f"interrupted {at}"
    registered(network, 0.3, experiment="C", run_key=f"another {at}")
    interrupted(network, at, monkeypatch, macro_f1=0.9, experiment="C", run_key=key)
    (left,) = mlflow.MlflowClient().search_model_versions(f"name = '{name}' and tags.`fairprof.run_key` = '{key}'")
    version = registered(network, 0.9, experiment="C", run_key=key)
    assert f"{name} version {left.version} is deleted" in capsys.readouterr().err
    assert str(left.version) not in numbers_of(name) and version.version in numbers_of(name)
    assert version.champion
    assert str(mlflow.MlflowClient().get_model_version_by_alias(name, "champion").version) == version.version
    assert models_of(key) == [load_stored(f"{name}/{version.version}").version.model_id]
    if at != "_describe_model":  # it had become champion
        assert f"the place of champion version {left.version}, whose run of the same training" in version.reason


def test_a_model_that_was_logged_but_never_registered_is_deleted_by_the_next_one(own_store, network, monkeypatch):
    interrupted(network, "_version_tags", monkeypatch, macro_f1=0.5, experiment="C", run_key="logged")
    assert len(models_of("logged")) == 1
    version = registered(network, 0.5, experiment="C", run_key="logged")
    assert version.version == "1"
    assert models_of("logged") == [load_stored("fairprof-C/1").version.model_id]


def test_the_same_training_twice_is_two_versions(own_store, network):
    assert [registered(network, 0.5, experiment="C", run_key="twice").version for _ in range(2)] == ["1", "2"]
    assert numbers_of("fairprof-C") == {"1", "2"} and len(models_of("twice")) == 2


def test_a_version_whose_run_is_open_stays(own_store, network, monkeypatch):
    run_id = interrupted(network, "_describe_model", monkeypatch, macro_f1=0.5, experiment="C", run_key="open")
    mlflow.MlflowClient().update_run(run_id, status="RUNNING")  # its process, this one, lives
    registered(network, 0.5, experiment="C", run_key="open")
    assert numbers_of("fairprof-C") == {"1", "2"}
    mlflow.MlflowClient().set_terminated(run_id, "KILLED")


def test_what_the_same_run_registered_twice_is_one_version(own_store, network, monkeypatch):
    """As when the answer to a call is lost and MLflow's client sends it again."""
    create = mlflow.MlflowClient.create_model_version

    def twice(*given, **named):
        create(*given, **named)
        return create(*given, **named)

    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", twice)
    version = registered(network, 0.5, experiment="C", run_key="sent twice")
    assert numbers_of("fairprof-C") == {version.version} == {"2"}
    assert len(models_of("sent twice")) == 1


@pytest.mark.parametrize(
    "at", ["_log_model", "_version_tags", "_describe_model", "tell_of_champion", "_delete_superseded", "tell_why"]
)
def test_a_registration_that_was_killed_goes_on_where_it_was_when_it_is_asked_for_again(
    at, own_store, network, monkeypatch
):
    """That of a run which has finished."""
    run_id = interrupted(network, at, monkeypatch, macro_f1=0.5, experiment="C", run_key="again")
    mlflow.MlflowClient().set_terminated(run_id, "FINISHED")
    run = tracking.get_run(run_id)
    assert registry.version_of_run(run_id) is None
    settings = Settings(experiment="C", architecture="mobilenet_v2", image_size=IMAGE_SIZE)
    described = model_settings(settings, CLASSES, ExplainedLayer("features.18"))
    model = StoredModel(run, described, arrays_of(network.state_dict()))
    with tracking.started_run("registration", {}) as other:
        versions = [registry.register_model(model, {"best_val/macro_f1": 0.5}) for _ in range(2)]
        assert versions[0] == versions[1] == registry.version_of_run(run_id)
    assert numbers_of("fairprof-C") == {"1"} and len(models_of("again")) == 1
    assert versions[0].version == "1" and versions[0].champion
    (of_run,) = mlflow.MlflowClient().search_model_versions("name = 'fairprof-C'")
    assert of_run.run_id == run_id != other
    assert mlflow.get_logged_model(models_of("again")[0]).source_run_id == run_id
    tags = mlflow.MlflowClient().get_registered_model("fairprof-C").tags
    assert tags["fairprof.champion"] == f"version 1, {of_run.tags['fairprof.champion']}"
    assert "fairprof.replaced_by" not in of_run.tags


def test_the_model_names_its_version_on_its_page(versions):
    model = mlflow.MlflowClient().get_logged_model(load_stored("fairprof-B/2").version.model_id)
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "fairprof-B", "version": 2}]


def test_a_registry_that_cannot_be_written_never_costs_the_training(own_store, network, capsys):
    first = registered(network, 0.4, experiment="C")
    with closing(sqlite3.connect(own_store / "mlflow.db")) as database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON registered_model_aliases BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        second = registered(network, 0.5, experiment="C")
        database.execute("DROP TRIGGER refuse")
    assert (second.version, second.champion) == ("2", False)
    assert "not settled" in second.reason and "refused" in second.reason
    assert mlflow.MlflowClient().get_model_version("fairprof-C", "2").tags["fairprof.champion"] == second.reason
    assert f"fairprof-C version 2: {second.reason}\n" in capsys.readouterr().err
    assert (
        mlflow.MlflowClient().get_run(mlflow.MlflowClient().get_model_version("fairprof-C", "2").run_id).info.status
        == "FINISHED"
    )
    assert str(mlflow.MlflowClient().get_model_version_by_alias("fairprof-C", "champion").version) == first.version
    assert registered(network, 0.6, experiment="C").champion  # and the next one can


WRITERS = """
import logging, multiprocessing, os, sys
import torch
torch.set_num_threads(1)
import mlflow
from mlflow.exceptions import MlflowException
from fairprof.config import Settings
from fairprof.network.classifier import build_classifier
from fairprof.serving import ExplainedLayer
from fairprof.store import registry, tracking
from tests.models import register_in_active_run

logging.disable(logging.CRITICAL)
forked = multiprocessing.get_context("fork")
network = build_classifier("mobilenet_v2", "random", "layer2", 3, seed=0).network.eval()
settings = Settings(experiment="C", architecture="mobilenet_v2", image_size=32)
client = mlflow.MlflowClient


def train(score, barrier):
    with tracking.started_run("C", {}):
        log_model = registry._log_model

        def log_and_wait(model):
            logged = log_model(model)
            barrier.wait()
            return logged

        registry._log_model = log_and_wait
        register_in_active_run(
            network.state_dict(), ExplainedLayer("features.18"), settings, ("a", "b", "c"),
            {"best_val/macro_f1": score}, run_key=f"key {score}",
        )


def meddle(ended):
    while not ended.is_set():
        try:
            client().set_registered_model_alias("fairprof-C", "champion", "1")
        except MlflowException:
            pass


for meddled in (False, True):
    scores = [0.1, 0.2] if meddled else [0.5, 0.6, 0.7, 0.8]
    ended, barrier = forked.Event(), forked.Barrier(len(scores))
    writers = [forked.Process(target=train, args=(score, barrier)) for score in scores]
    other = forked.Process(target=meddle, args=(ended,))
    for process in writers + [other] * meddled:
        process.start()
    for process in writers:
        process.join()
    ended.set()
    if meddled:
        other.join()
    else:
        alias = client().get_model_version_by_alias("fairprof-C", "champion")
        assert alias.tags["best_val.macro_f1"] == "0.8000", alias
    assert [process.exitcode for process in writers] == [0] * len(scores)
    print("held")
"""


@pytest.mark.slow
def test_four_writers_at_once_and_somebody_else_lose_no_training(tmp_path):
    with mlflow_in(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", WRITERS],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0 and done.stdout.count("held") == 2, done.stderr[-3000:]
        client = mlflow.MlflowClient()
        versions = client.search_model_versions("name = 'fairprof-C'")
        assert sorted(int(version.version) for version in versions) == list(range(1, 7))
        assert not [version for version in versions if "not settled" in version.tags["fairprof.champion"]]
        assert {client.get_run(version.run_id).info.status for version in versions} == {"FINISHED"}


@pytest.mark.parametrize(
    ("reference", "number"),
    [
        ("B", "6"),
        ("b", "6"),
        ("fairprof-B", "6"),
        ("models:/fairprof-B@champion", "6"),
        ("fairprof-B@champion", "6"),
        ("fairprof-B/4", "4"),
        ("b/4", "4"),
        ("models:/fairprof-B/latest", "6"),
    ],
)
def test_a_reference_names_a_version(reference, number, versions, network):
    stored = load_stored(reference)
    assert (stored.reference, str(stored)) == (f"fairprof-B/{number}", f"fairprof-B version {number}")
    assert stored.settings["classes"] == list(CLASSES)
    assert all(np.array_equal(value, stored.weights[name]) for name, value in arrays_of(network.state_dict()).items())


@pytest.mark.parametrize("reference", ["C", "fairprof-B/7", "fairprof-B@best", "fairprof-X/latest", "a b", ""])
def test_a_reference_to_nothing_is_refused_with_what_there_is(reference, versions, refused):
    with refused(f"there is no registered model {reference} in", "fairprof-B", "mlflow run . -P experiment=B"):
        load_stored(reference)


def test_what_is_logged_of_a_model_is_on_its_page(versions, client):
    stored = load_stored("fairprof-B/2")
    with tracking.started_run("evaluation", {}) as run_id:
        link_to_model(stored, {"test/accuracy": 0.5})
    tag_model(stored, {"fairprof.evaluation": run_id})
    assert {metric.key: metric.value for metric in client.get_logged_model(stored.version.model_id).metrics} == {
        "test/accuracy": 0.5
    }
    assert mlflow.get_run(run_id).data.metrics == {"test/accuracy": 0.5}
    assert [model.model_id for model in mlflow.get_run(run_id).inputs.model_inputs] == [stored.version.model_id]
    assert client.get_model_version("fairprof-B", "2").tags["fairprof.evaluation"] == run_id


def test_version_keeps_plain_weights_and_settings(versions, network):
    folder = Path(mlflow.artifacts.download_artifacts("models:/fairprof-B/1"))
    weights = safetensors.torch.load_file(next(folder.rglob("weights.safetensors")))
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    settings = json.loads(next(folder.rglob("settings.json")).read_text())
    assert settings["classes"] == list(CLASSES) and settings["settings"]["experiment"] == "B"
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pth", ".pt")]


LOADED_ELSEWHERE = """
import base64, importlib.util, json, sys
from pathlib import Path
sys.path = [place for place in sys.path if not Path(place, "fairprof").is_dir()]  # where the project is installed
assert importlib.util.find_spec("fairprof") is None, "the project is importable here"
import mlflow, pandas as pd
names = ["models:/fairprof-B@champion", "models:/fairprof-B/latest", "models:/fairprof-B/1"]
models = {name: mlflow.pyfunc.load_model(name) for name in names}
contents = [Path(name).read_bytes() for name in sys.argv[1:]]
texts = [base64.b64encode(content).decode() for content in contents]
frame = lambda values: pd.DataFrame({"image": values})
answers = {name: model.predict(frame(contents)).to_dict("list") for name, model in models.items()}
model = models[names[0]]
answers["text"] = model.predict(frame(texts)).to_dict("list")
answers["singly"] = [model.predict(frame([text])).to_dict("list") for text in texts]
refused = {}
bad = {"damaged": contents[1][:90], "no base64": "%%%", "path": sys.argv[1], "address": "file://" + sys.argv[1]}
for name, value in bad.items():
    try:
        refused[name] = str(model.predict(frame([texts[0], texts[1], value])))
    except Exception as error:
        refused[name] = f"{type(error).__name__}: {error}"
answers["refused"] = refused
answers["modules"] = [name for name in sys.modules if name.split(".")[0] == "fairprof"]
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    paths = []
    for number, size in enumerate([(48, 48), (60, 40), (33, 70)]):
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        path = folder / f"{number}.{('png', 'jpg', 'webp')[number]}"
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def elsewhere(versions, photographs, tmp_path_factory) -> dict:
    """What a process says that loads the model by name in another folder, without the project and without pickle."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "client.py").write_text(LOADED_ELSEWHERE)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-I", str(folder / "client.py"), *map(str, photographs)],
        cwd=folder,
        env=environment | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.split("ANSWERS ")[1])


@pytest.fixture(scope="module")
def expected(network, photographs) -> np.ndarray:
    """The network's own probabilities, (3, K)."""
    pixels = np.stack(
        [square_pixels(decode_image(path.read_bytes()), IMAGENET.stored_size(IMAGE_SIZE)) for path in photographs]
    )
    with torch.inference_mode():
        return network(IMAGENET.evaluation_input(pixels, IMAGE_SIZE)).softmax(dim=1).double().numpy()


def probabilities_of(answer: dict) -> np.ndarray:
    return np.column_stack([answer[f"probability_{name}"] for name in CLASSES])


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["models:/fairprof-B@champion", "models:/fairprof-B/latest", "models:/fairprof-B/1", "text"]
)
def test_model_loaded_elsewhere_says_what_the_network_says(way, elsewhere, expected):
    answer = elsewhere[way]
    np.testing.assert_allclose(probabilities_of(answer), expected, atol=1e-6)
    np.testing.assert_allclose(answer["probability"], expected.max(axis=1), atol=1e-6)
    assert answer["profession"] == [CLASSES[best] for best in expected.argmax(axis=1)]
    assert list(answer) == ["profession", "probability", *(f"probability_{name}" for name in CLASSES)]
    assert elsewhere["modules"] == []


@pytest.mark.slow
def test_single_images_are_answered_as_in_a_batch(elsewhere, expected):
    answers = np.concatenate([probabilities_of(answer) for answer in elsewhere["singly"]])
    np.testing.assert_allclose(answers, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("bad", ["damaged", "no base64", "path", "address"])
def test_bad_row_is_an_error_that_names_it(bad, elsewhere):
    message = elsewhere["refused"][bad]
    assert message.startswith("RefusedRequest: 1 of 3 rows cannot be used") and "row 2: " in message


def test_model_is_served_from_text_in_this_process_too(versions, photographs, expected):
    model = mlflow.pyfunc.load_model("models:/fairprof-B@champion")
    text = base64.b64encode(photographs[0].read_bytes()).decode()
    answer = model.predict(pd.DataFrame({"image": [text]}))
    np.testing.assert_allclose(answer[[f"probability_{name}" for name in CLASSES]].to_numpy(), expected[:1], atol=1e-6)
