"""What MLflow keeps of a run, in a real store: tags, parameters, inputs, abandoned runs, and the model registry."""

import base64
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from matplotlib.figure import Figure
from mlflow.entities import Metric, Run
from PIL import Image

from fairprof import tracking
from fairprof.config import Settings
from fairprof.errors import UserError
from fairprof.model import build_classifier
from fairprof.serving import decode_image, evaluation_input, square_pixels, stored_size

PROJECT = Path(__file__).resolve().parents[1]
CLASSES = ("cook", "driver", "nurse")
IMAGE_SIZE = 32

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of its own in a folder of its own, which is the working directory meanwhile."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
            patch.setenv(name, "")  # so that what mlflow sets there is undone afterwards
            patch.delenv(name)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        yield folder


@pytest.fixture
def client(store) -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def kept(run_id: str) -> Run:
    return mlflow.MlflowClient().get_run(run_id)


def listed(run_id: str, folder: str) -> set[str]:
    return {entry.path for entry in mlflow.MlflowClient().list_artifacts(run_id, folder)}


# --- runs -------------------------------------------------------------------------------------------------------


def test_run_has_its_name_and_tags_and_ends_as_finished(store):
    with tracking.started_run("B-seed3", {"fairprof.role": "run", "fairprof.design": "B"}) as run_id:
        assert kept(run_id).info.status == "RUNNING"
    run = kept(run_id)
    assert run.info.run_name == "B-seed3" and run.info.status == "FINISHED"
    assert run.data.tags["fairprof.role"] == "run" and run.data.tags["fairprof.design"] == "B"
    assert run.data.tags["fairprof.host"] == platform.node()
    assert run.data.tags["fairprof.process"].startswith(f"{os.getpid()}:")
    assert "fairprof.error" not in run.data.tags
    assert mlflow.get_experiment(run.info.experiment_id).name == "fairprof"


def test_run_that_mlflow_run_has_started_is_taken_over(client, monkeypatch):
    experiment = mlflow.set_experiment("fairprof").experiment_id
    waiting = client.create_run(experiment, run_name="bold-bee-7").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    with tracking.started_run("A-seed0", {}) as run_id:
        pass
    assert run_id == waiting
    assert kept(run_id).info.run_name == "A-seed0" and kept(run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("data=faces is not a data source"), "UserError: data=faces is not a data source"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (ValueError("x" * 9000), "ValueError: " + "x" * 488),
    ],
    ids=["user error", "interrupt", "long"],
)
def test_error_is_the_tag_of_a_failed_run_and_goes_on(store, error, text):
    with pytest.raises(type(error)) as caught:
        with tracking.started_run("A-seed0", {}) as run_id:
            raise error
    assert caught.value is error
    run = kept(run_id)
    assert run.info.status == "FAILED" and run.data.tags["fairprof.error"] == text
    assert mlflow.active_run() is None


# --- abandoned runs ---------------------------------------------------------------------------------------------


def left_open(client: mlflow.MlflowClient, host: str, process: str) -> str:
    experiment = mlflow.set_experiment("fairprof").experiment_id
    return client.create_run(experiment, tags={"fairprof.host": host, "fairprof.process": process}).info.run_id


def named(process: psutil.Process) -> str:
    return f"{process.pid}:{process.create_time():.2f}"


def test_runs_of_dead_processes_of_this_machine_are_closed_and_no_others(client):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ended = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    dead_process, live_process = (named(psutil.Process(child.pid)) for child in (ended, sleeper))
    ended.kill()
    ended.wait()
    try:
        here, elsewhere = platform.node(), "another-machine"
        dead = left_open(client, here, dead_process)
        number_used_again = left_open(client, here, f"{sleeper.pid}:12345.67")
        alive = left_open(client, here, live_process)
        far_away = left_open(client, elsewhere, dead_process)
        finished = left_open(client, here, dead_process)
        client.set_terminated(finished)
        with tracking.started_run("A-seed1", {}) as own:
            assert kept(own).info.status == "RUNNING"
            statuses = {run: kept(run).info.status for run in (dead, number_used_again, alive, far_away, finished)}
    finally:
        sleeper.kill()
        sleeper.wait()
    assert statuses == {
        dead: "KILLED",
        number_used_again: "KILLED",
        alive: "RUNNING",
        far_away: "RUNNING",
        finished: "FINISHED",
    }
    assert "its process ended" in kept(dead).data.tags["fairprof.closed"]
    assert "fairprof.closed" not in kept(alive).data.tags and "fairprof.closed" not in kept(finished).data.tags
    with tracking.started_run("A-seed2", {}):
        assert kept(alive).info.status == "KILLED"  # its process is gone by now


KILLED_RUN = """
import os, signal
from fairprof import tracking
with tracking.started_run("A-seed0", {"fairprof.role": "run"}) as run_id:
    print(run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_run_of_a_process_that_was_really_killed_is_closed_by_the_next_one(store):
    with tracking.started_run("creates the experiment", {}):
        pass
    process = subprocess.run(
        [sys.executable, "-c", KILLED_RUN],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == -9, process.stderr[-2000:]
    killed = process.stdout.split()[-1]
    assert kept(killed).info.status == "RUNNING"
    with tracking.started_run("A-seed1", {}):
        pass
    assert kept(killed).info.status == "KILLED"


# --- parameters, metrics, inputs, artifacts ---------------------------------------------------------------------


def test_settings_that_were_logged_in_another_spelling_are_resolved_beside_them(store):
    with tracking.started_run("A-seed0", {}) as run_id:
        mlflow.log_params({"learning_rate": "1e-3", "weights": "auto", "seed": "0", "data": "''"})
        resolved = {"learning_rate": 0.001, "weights": "random", "seed": 0, "data": "synthetic"}
        tracking.log_settings(resolved | {"epochs": 8})
    assert kept(run_id).data.params == {
        "learning_rate": "1e-3",
        "resolved/learning_rate": "0.001",
        "weights": "auto",
        "resolved/weights": "random",
        "data": "''",
        "resolved/data": "synthetic",
        "seed": "0",
        "epochs": "8",
    }


def test_every_setting_is_a_parameter(store):
    settings = Settings(experiment="C", label_bias="race")
    with tracking.started_run("C-seed0", {}) as run_id:
        tracking.log_settings(settings.model_dump())
        tracking.log_settings(settings.model_dump())  # a resumed run logs them again
    assert kept(run_id).data.params == {name: str(value) for name, value in settings.model_dump().items()}


def faces(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": [f"{number}.jpg" for number in range(count)],
            "gender": pd.Categorical(["man"] * count),
            "race": pd.Categorical(["north"] * count),
            "age": pd.Categorical([None] * count, categories=["0-2"]),
            "profession": pd.Categorical(["cook"] * count),
        }
    )


def test_training_validation_and_test_data_are_all_kept_as_inputs(store):
    contexts = {"train": ("d" * 16, 5), "validation": ("d" * 16, 3), "test": ("e" * 16, 2)}
    with tracking.started_run("A-seed0", {}) as run_id:
        for context, (digest, count) in contexts.items():
            tracking.log_input(faces(count), "manifest:faces.csv", context, digest)
    inputs = kept(run_id).inputs.dataset_inputs
    assert len(inputs) == 3
    for entry in inputs:
        (context,) = (tag.value for tag in entry.tags if tag.key == "mlflow.data.context")
        digest, count = contexts.pop(context)
        assert (entry.dataset.name, entry.dataset.digest) == (f"manifest[{context}]", digest)
        assert json.loads(entry.dataset.profile)["num_rows"] == count
        assert "manifest:" in entry.dataset.source and "faces.csv" in entry.dataset.source
    assert contexts == {}


def test_metrics_keep_their_steps_and_numbers_of_any_type(client):
    with tracking.started_run("A-seed0", {}) as run_id:
        for step in (1, 2):
            tracking.log_metrics({"val/loss": np.float32(0.5) / step, "data/train": 12}, step=step)
    history: list[Metric] = client.get_metric_history(run_id, "val/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert kept(run_id).data.metrics["data/train"] == 12


def test_artifacts_are_read_back_as_they_were(store):
    table = pd.DataFrame({"group": ["a", "b"], "value": [0.5, np.nan]})
    arrays = {"maps": np.arange(8, dtype=np.float32).reshape(2, 2, 2), "image": np.array(["a.jpg", "b.jpg"])}
    tensors = {"weight": torch.arange(6.0).reshape(2, 3).T}  # not contiguous
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([1, 2])
    with tracking.started_run("A-seed0", {}) as run_id:
        tracking.log_table(table, "metrics/by_group.csv")
        tracking.log_table(table, "predictions/test.parquet")
        tracking.log_arrays(arrays, "gradcam/maps.npz")
        tracking.log_weights(tensors, "training/last.safetensors")
        tracking.log_figure(figure, "training/curves.png")
        tracking.set_description("**Design A**")
        tracking.set_tags({"fairprof.weights": "random"})
    load = mlflow.artifacts.download_artifacts
    pd.testing.assert_frame_equal(pd.read_csv(load(run_id=run_id, artifact_path="metrics/by_group.csv")), table)
    pd.testing.assert_frame_equal(pd.read_parquet(load(run_id=run_id, artifact_path="predictions/test.parquet")), table)
    with np.load(load(run_id=run_id, artifact_path="gradcam/maps.npz"), allow_pickle=False) as again:
        assert all(np.array_equal(again[name], value) for name, value in arrays.items())
    weights = tracking.safetensors.torch.load_file(load(run_id=run_id, artifact_path="training/last.safetensors"))
    assert torch.equal(weights["weight"], tensors["weight"])
    assert listed(run_id, "training") == {"training/last.safetensors", "training/curves.png"}
    with Image.open(load(run_id=run_id, artifact_path="training/curves.png")) as picture:
        assert picture.size == (440, 330)
    assert kept(run_id).data.tags["mlflow.note.content"] == "**Design A**"
    assert kept(run_id).data.tags["fairprof.weights"] == "random"


def test_the_experiment_s_page_opens_on_scores_and_gaps_and_what_a_user_set_stays(store, client):
    with tracking.started_run("first", {}) as run_id:
        address = tracking.runs_page()
    experiment = client.get_experiment(kept(run_id).info.experiment_id)
    assert f"/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=fairprof" in address
    view = json.loads(experiment.tags["mlflow.sharedViewState.fairprof"])
    columns = json.loads(view["state"])["selectedColumns"]
    assert view["name"] == "Scores and gaps" and "metrics.`test/macro_f1`" in columns
    assert address.split("#")[1].split(" ")[0] in experiment.tags["mlflow.note.content"]
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "mine")
    with tracking.started_run("second", {}):
        pass
    assert client.get_experiment(experiment.experiment_id).tags["mlflow.note.content"] == "mine"


# --- registry ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return build_classifier("mobilenet_v2", "random", "layer2", len(CLASSES), seed=0).network.eval()


def registered(network, macro_f1: float, pool: str = "pool-1", experiment: str = "B") -> tracking.RegisteredVersion:
    settings = Settings(experiment=experiment, architecture="mobilenet_v2", image_size=IMAGE_SIZE)
    headline = {"test/accuracy": 0.4321, "test/demographic_parity_difference/race": 0.25, "best_val/macro_f1": macro_f1}
    with tracking.started_run(f"{experiment}-seed0", {}):
        return tracking.register_model(network.state_dict(), "features.18", settings, CLASSES, pool, headline)


@pytest.fixture(scope="module")
def versions(store, network) -> dict[str, tracking.RegisteredVersion]:
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
    assert client.get_registered_model("fairprof-B").tags == {"fairprof.champion": f"version 6, {newest.reason}"}


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
    assert version.tags["DP by race"] == "0.2500" and "EO by race" not in version.tags
    assert version.tags["best_val.macro_f1"] == "0.6000"
    assert version.tags["fairprof.pool"] == "pool-1"


def test_the_model_says_what_it_is_and_how_it_is_loaded(versions, client):
    description = client.get_registered_model("fairprof-B").description
    assert "**design B**: images balanced over gender x profession" in description
    assert "cook, driver, nurse" in description and 'load_model("models:/fairprof-B@champion")' in description


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
    stored = tracking.load_registered(reference)
    assert (stored.name, stored.version, str(stored)) == ("fairprof-B", number, f"fairprof-B version {number}")
    assert stored.settings["classes"] == list(CLASSES)
    assert all(torch.equal(value, stored.weights[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("reference", ["C", "fairprof-B/7", "fairprof-B@best", "fairprof-X/latest", "a b", ""])
def test_a_reference_to_nothing_is_refused_with_what_there_is(reference, versions, refused):
    with refused(f"there is no registered model {reference} in", "fairprof-B", "mlflow run . -P experiment=B"):
        tracking.load_registered(reference)


def test_what_is_logged_of_a_model_is_on_its_page(versions, client):
    stored = tracking.load_registered("fairprof-B/2")
    with tracking.started_run("evaluation", {}) as run_id:
        tracking.link_to_model(stored, {"test/accuracy": 0.5})
    tracking.tag_version(stored, {"fairprof.evaluation": run_id})
    assert {metric.key: metric.value for metric in client.get_logged_model(stored.model_id).metrics} == {
        "test/accuracy": 0.5
    }
    assert kept(run_id).data.metrics == {"test/accuracy": 0.5}
    assert [model.model_id for model in kept(run_id).inputs.model_inputs] == [stored.model_id]
    assert client.get_model_version("fairprof-B", "2").tags["fairprof.evaluation"] == run_id


def test_version_keeps_plain_weights_and_settings(versions, network):
    folder = Path(mlflow.artifacts.download_artifacts("models:/fairprof-B/1"))
    weights = tracking.safetensors.torch.load_file(next(folder.rglob("weights.safetensors")))
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    settings = json.loads(next(folder.rglob("settings.json")).read_text())
    assert settings["classes"] == list(CLASSES) and settings["settings"]["experiment"] == "B"
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pth", ".pt")]


LOADED_ELSEWHERE = """
import base64, importlib.util, json, sys
from pathlib import Path
import mlflow, pandas as pd
assert importlib.util.find_spec("fairprof") is None, "the project is importable here"
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
    pixels = np.stack([square_pixels(decode_image(path.read_bytes()), stored_size(IMAGE_SIZE)) for path in photographs])
    with torch.inference_mode():
        return network(evaluation_input(pixels, IMAGE_SIZE)).softmax(dim=1).double().numpy()


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
