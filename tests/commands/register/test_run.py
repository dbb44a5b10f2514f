"""Runs that have registered no model, registered afterwards, or refused."""

import mlflow
import pytest

from fairprof.commands.register.run import run_registration
from fairprof.config import RegisterSettings, Settings
from fairprof.network.classifier import build_classifier
from fairprof.store import tracking
from tests.models import finished_run
from tests.places import mlflow_in

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")
CLASSES = ("cook", "nurse")


@pytest.fixture(scope="module")
def run_id(store) -> str:
    classifier = build_classifier("resnet18", "random", "layer4", 2, seed=0)
    return finished_run(classifier, Settings(experiment="C", seed=3, architecture="resnet18", image_size=32), CLASSES)


@pytest.fixture(scope="module")
def registration(run_id) -> str:
    return run_registration(RegisterSettings())  # the newest


def test_it_becomes_the_next_version_with_all_that_a_training_says_of_it(run_id, registration):
    (version,) = mlflow.MlflowClient().search_model_versions("name = 'fairprof-C'")
    assert version.run_id == run_id
    assert "Design C, seed 3" in version.description and "| best_val/macro_f1 | 0.5000 |" in version.description
    assert version.tags["fairprof.champion"] == "rule val_macro_f1: 0.5000, the first version"
    assert version.tags["fairprof.run_key"] == "key of C-seed3"
    told = mlflow.get_run(registration)
    assert (told.info.run_name, told.data.tags["fairprof.version"]) == ("register-C-seed3", "fairprof-C/1")
    assert told.data.tags["fairprof.model"] == f"run:{run_id}"


def test_the_run_says_so_on_its_page(run_id, registration):
    assert mlflow.get_run(run_id).data.tags["mlflow.note.content"] == (
        "**Design C**. **[fairprof-C version 1](#/models/fairprof-C/versions/1)**, the champion (rule val_macro_f1: "
        "0.5000, the first version): load it as `models:/fairprof-C/1`."
    )


def test_once(run_id, registration, refused):
    for named in (run_id, f"run:{run_id}"):
        with refused(f"run {run_id} (C-seed3) is registered already, as fairprof-C version 1", "models:/fairprof-C/1"):
            run_registration(RegisterSettings(run=named))


def test_what_is_no_finished_training_is_refused(run_id, registration, refused):
    with refused("there is no run abc in", "mlflow ui"):
        run_registration(RegisterSettings(run="abc"))
    with refused(f"run {registration} (register-C-seed3) has trained no model, it is a registration"):
        run_registration(RegisterSettings(run=registration))
    with tracking.started_run("C-seed4", {"fairprof.role": "run"}) as unfinished:
        pass
    mlflow.MlflowClient().update_run(unfinished, status="FAILED")
    with refused(f"run {unfinished} (C-seed4) has not finished, its status is FAILED", "train it again"):
        run_registration(RegisterSettings(run=unfinished))


def test_the_newest_of_none_is_refused(tmp_path, refused):
    with mlflow_in(tmp_path), refused("run=newest: no training has finished yet", "mlflow run . -P experiment=B"):
        run_registration(RegisterSettings())
