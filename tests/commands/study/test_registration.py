"""Which models of a study are registered, and that each is once."""

import mlflow
import pytest

from fairprof.commands.study.plan import FAILED, FINISHED, PlannedRun
from fairprof.commands.study.registration import chosen_told, register_chosen
from fairprof.config import Settings
from fairprof.network.classifier import build_classifier
from fairprof.store import registry, tracking
from fairprof.store.champion import best_of
from tests.models import finished_run
from tests.places import mlflow_in

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")
CLASSES = ("cook", "nurse")


@pytest.fixture
def own_store(tmp_path):
    with mlflow_in(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="module")
def classifier():
    return build_classifier("mobilenet_v2", "random", "head", 2, seed=0)


def planned(classifier, design: str, scores: list[float], degenerate: set[int] = frozenset()) -> list[PlannedRun]:
    """Finished runs of a design, one for every score on validation data; degenerate: the seeds of those that are."""
    runs = []
    for seed, score in enumerate(scores):
        settings = Settings(experiment=design, seed=seed, architecture="mobilenet_v2", image_size=32)
        only = "cook" if seed in degenerate else None
        run_id = finished_run(classifier, settings, CLASSES, score, only)
        runs.append(PlannedRun(settings, f"key {design}{seed}", FINISHED, run_id))
    return runs


def registered_runs() -> dict[str, str]:
    return {f"{v.name}/{v.version}": v.run_id for v in mlflow.MlflowClient().search_model_versions()}


def test_the_best_seed_of_every_design_is_registered_once_and_the_study_says_why(own_store, classifier, capsys):
    runs_of_a = planned(classifier, "A", [0.3, 0.50004, 0.50001])
    runs_of_b = planned(classifier, "B", [0.9, 0.4], degenerate={0})
    failed = PlannedRun(Settings(experiment="C"), "key C0", FAILED, reason="out of memory")
    with tracking.started_run("study", {"fairprof.role": "study"}) as study:
        register_chosen([*runs_of_a, *runs_of_b, failed])
    said = capsys.readouterr().out
    best = {"fairprof-A/1": runs_of_a[1].run_id, "fairprof-B/1": runs_of_b[1].run_id}
    assert registered_runs() == best
    why = "seed 1 of the study's 3 seeds, by rule val_macro_f1: 0.5000 on validation data is the most"
    assert f"fairprof-A version 1: {why}" in said
    assert "0.4000 on validation data is the most of those that tell images apart" in said
    assert "no model of design C is registered: C-seed0, which failed, might be the best" in said
    table = tracking.load_table(study, "study/registered.csv")
    assert dict(zip(table["model"], table["run_id"], strict=True)) == best
    version = mlflow.MlflowClient().get_model_version("fairprof-A", "1")
    assert version.tags["fairprof.chosen"] == why == table["why"][0]
    assert "`. It is seed 1 of the study's 3 seeds, by rule val_macro_f1" in version.description
    pages = [mlflow.get_run(run.run_id).data.tags["mlflow.note.content"] for run in runs_of_a]
    assert pages[1].startswith("**Design A**. **[fairprof-A version 1](#/models/fairprof-A/versions/1)**, the champion")
    assert all(
        f"it is named `run:{run.run_id}`" in page
        for run, page in zip(runs_of_a, pages, strict=True)
        if run != runs_of_a[1]
    )
    with tracking.started_run("study again", {"fairprof.role": "study"}):
        register_chosen([*runs_of_a, *runs_of_b])
    assert registered_runs() == best


def test_of_models_that_all_answer_one_class_the_best_is_registered(own_store, classifier):
    runs = planned(classifier, "A", [0.1, 0.2], degenerate={0, 1})
    with tracking.started_run("study", {"fairprof.role": "study"}):
        register_chosen(runs)
    (version,) = mlflow.MlflowClient().search_model_versions()
    assert version.run_id == runs[1].run_id
    assert version.tags["fairprof.chosen"].endswith(
        "is the most, of models which all answer one class for every test image"
    )


def test_of_equal_seeds_the_lowest_is_registered_and_of_one_nothing_is_said_of_a_rule(own_store, classifier):
    runs = [tracking.get_run(run.run_id) for run in planned(classifier, "D", [0.5, 0.50001])]
    assert best_of(runs) == runs[0]
    runs = runs[:1]
    assert chosen_told(runs[0], runs) == ("seed 0, the only one of the study, with macro-F1 0.5000 on validation data")


class Killed(BaseException):
    """What a study meets where a signal would have ended it."""


def test_a_study_that_was_killed_while_it_registered_registers_once_when_it_is_started_again(
    own_store, classifier, monkeypatch
):
    runs = planned(classifier, "A", [0.5, 0.4])

    def end(*_):
        raise Killed

    for place in ("_version_tags", "settle_champion", "tell_why"):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(registry, place, end)
            with tracking.started_run("study", {"fairprof.role": "study"}):
                register_chosen(runs)
    with tracking.started_run("study", {"fairprof.role": "study"}):
        register_chosen(runs)
    assert registered_runs() == {"fairprof-A/1": runs[0].run_id}
    version = registry.version_of_run(runs[0].run_id)
    assert version.champion
    assert len(mlflow.search_logged_models(experiment_ids=["1"], output_format="list")) == 1


def test_a_model_whose_weights_are_gone_costs_no_comparison(own_store, classifier, monkeypatch, capsys):
    (run,) = planned(classifier, "A", [0.5])
    for file in (own_store / "mlruns").rglob("best.safetensors"):
        file.unlink()
    with tracking.started_run("study", {"fairprof.role": "study"}):
        register_chosen([run])
    assert "no model of design A is registered: run" in capsys.readouterr().out
    assert registered_runs() == {}
