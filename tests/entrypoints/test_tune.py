"""Searches, started as a user starts them, and runs that use what was found."""

import pandas as pd
import pytest
import yaml

from fairprof.commands.train.run import run_experiment
from fairprof.config import Settings
from fairprof.errors import UserError
from tests.entrypoints.runs import MLFLOW_WARNS, artifact, compare, mlflow_run, with_role
from tests.places import ROOT, mlflow_in
from tests.reporting.pages import needs_nothing_else, rows_of

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

QUICK = {"architecture": "resnet18", "image_size": 32, "epochs": 1, "weights": "random", "train_size": 60}
SEARCH = {**QUICK, "experiments": "A,B", "trials": 5, "search": "learning_rate,label_smoothing"}
# architecture, image size and epochs are left at their defaults: the winner's are taken
RUN = {"hparams": "tuned", "weights": "random", "train_size": 100, "gradcam_images": 16, "permutations": 99}


@pytest.fixture(scope="module")
def searched(tmp_path_factory, synthetic_cache):
    """A folder in which `mlflow run -e tune` has searched, and the search's run."""
    folder = tmp_path_factory.mktemp("tune")
    settings = {"cache_dir": synthetic_cache, **SEARCH}
    done = mlflow_run(folder, str(ROOT), settings, ("-e", "tune", "--experiment-name", "fairprof"))
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = with_role(folder, "search")
    return folder, run


def test_every_trial_is_a_child_with_values_scores_and_state(searched):
    folder, search = searched
    trials = with_role(folder, "trial")
    assert [run.info.run_name for run in trials] == [f"trial-{number:03d}" for number in range(5)]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {search.info.run_id}
    assert {run.info.status for run in trials} == {"FINISHED"}
    for run in trials:
        assert run.data.tags["fairprof.trial_state"] in ("complete", "pruned")
        assert "A/val/macro_f1" in run.data.metrics and len(run.data.metrics) <= 30
        assert set(Settings().hyperparameters()) <= set(run.data.params)
    assert trials[0].data.params["learning_rate"] == str(Settings().learning_rate)


def test_nothing_of_the_test_set_is_measured(searched):
    folder, search = searched
    names = {name for run in [search, *with_role(folder, "trial")] for name in run.data.metrics}
    assert names and not [name for name in names if "test" in name or "ceiling" in name]


def test_the_winner_is_at_least_as_good_as_the_defaults(searched):
    _, search = searched
    assert search.data.metrics["winner/val/macro_f1"] >= search.data.metrics["defaults/val/macro_f1"]


def test_the_search_leaves_its_tables_and_pictures(searched):
    folder, search = searched
    assert len(pd.read_csv(artifact(folder, search, "search/trials.csv"))) == 5
    sensitivity = pd.read_csv(artifact(folder, search, "search/sensitivity.csv"))
    assert sensitivity["design"].tolist() == ["A", "B"] and (sensitivity["regret"] >= 0).all()
    for name in ("history", "parallel_coordinate", "sensitivity"):
        assert artifact(folder, search, f"search/{name}.png").stat().st_size > 5000
    page = artifact(folder, search, "report.html").read_text()
    assert needs_nothing_else(page) and page.count("<figure>") >= 3
    assert [row[0] for row in rows_of(page, "What was searched")[1:]] == ["learning_rate", "label_smoothing"]
    values = yaml.safe_load(artifact(folder, search, "best_hparams.yaml").read_text())
    assert Settings(**values).hyperparameters_hash() == search.data.tags["fairprof.hyperparameters"]


def test_tuned_runs_are_the_winner_s_and_another_value_is_refused_by_name(searched, synthetic_cache):
    folder, search = searched
    base = {"cache_dir": str(synthetic_cache), **RUN, "replicates": 100}
    with mlflow_in(folder):
        run_experiment(Settings(experiment="A", **base))
    (run,) = with_role(folder, "run")
    assert run.data.tags["fairprof.hyperparameters"] == search.data.tags["fairprof.hyperparameters"]
    assert run.data.params["architecture"] == "resnet18"
    with mlflow_in(folder):
        run_experiment(Settings(experiment="B", seed=1, weight_decay=0.03, **base))
    with pytest.raises(UserError) as refusal:
        compare(folder, runs="newest_runs")
    message = str(refusal.value)
    assert "weight_decay is" in message and "0.03 in B-seed1" in message and "learning_rate" not in message
