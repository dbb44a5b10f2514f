"""The search's plan, workers and retries, on real storages; what a trial computes is a formula here."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from fairprof.commands.tune import trials as search
from fairprof.commands.tune.run import hyperparameters_of, run_search, search_name
from fairprof.commands.tune.trials import counted_trials, opened_study, settings_of, suggested, work
from fairprof.config import BASELINES, Settings, TuneSettings
from tests.places import ROOT

SEARCH = "learning_rate,weight_decay,batch_size"
# For every line, seconds, grace and settings: forks a worker for each of the settings, whose trials take that long.
WORKERS = """
import json, os, sys, time
import optuna
from fairprof.config import TuneSettings
from fairprof.commands.tune import trials as search
search.HEARTBEAT = 1
optuna.logging.set_verbosity(optuna.logging.WARNING)

def work(settings, seconds):
    def objective(trial):
        values = search.suggested(trial, settings)
        print("began", trial.number, flush=True)
        time.sleep(seconds)
        return values["learning_rate"]
    with search.opened_study(settings, "test") as (study, exclusive):
        search.work(study, exclusive, objective)

for line in sys.stdin:
    seconds, search.GRACE, several = json.loads(line)
    workers = []
    for values in several:
        workers.append(os.fork())
        if workers[-1] == 0:
            work(TuneSettings(**values), seconds)
            os._exit(0)
    print("pids", *workers, flush=True)
    print("ended", *[os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers], flush=True)
"""


@dataclass(frozen=True)
class Workers:
    """Searches in processes of their own, which one process forks: libraries are imported only once."""

    starter: subprocess.Popen

    def start(self, *settings: TuneSettings, seconds: float, grace: int) -> None:
        """A worker for each of the settings, whose trials take so many seconds, and one that is silent for as long as
        `grace` is given up."""
        values = [each.model_dump() for each in settings]
        print(json.dumps([seconds, grace, values]), file=self.starter.stdin, flush=True)

    def said(self) -> Iterator[tuple[str, list[int]]]:
        """Word by word until all have ended: the `pids` of the workers, the number of a trial that `began`, and the
        exit statuses of those that have `ended`."""
        for line in self.starter.stdout:
            word, *numbers = line.split()
            yield word, [int(number) for number in numbers]
            if word == "ended":
                return


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with subprocess.Popen(
        [sys.executable, "-c", WORKERS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        yield Workers(starter)
        starter.stdin.close()


@pytest.fixture
def settings(tmp_path):
    return lambda **values: TuneSettings(**{"cache_dir": str(tmp_path), "trials": 6, "search": SEARCH, **values})


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def results(settings: TuneSettings) -> list[tuple]:
    with opened_study(settings, "test") as (study, _):
        return [(trial.state, trial.value, trial.params) for trial in counted_trials(study)]


def learn(settings: TuneSettings) -> None:
    with opened_study(settings, "test") as (study, exclusive):
        work(study, exclusive, lambda trial: suggested(trial, settings)["learning_rate"])


def test_there_are_as_many_trials_as_asked_and_the_first_is_the_defaults(settings):
    learn(settings())
    found = results(settings())
    assert [state for state, _, _ in found] == [TrialState.COMPLETE] * 6
    assert found[0][2] == {name: getattr(Settings(), name) for name in SEARCH.split(",")}
    assert len({value for _, value, _ in found}) == 6


def test_a_seed_makes_the_search_reproducible_even_when_it_is_interrupted(settings, tmp_path):
    learn(settings(cache_dir=str(tmp_path / "one")))
    for trials in (2, 6):
        learn(settings(cache_dir=str(tmp_path / "two"), trials=trials))
    learn(settings(cache_dir=str(tmp_path / "other"), seed=1))
    once, again, other = (results(settings(cache_dir=str(tmp_path / name))) for name in ("one", "two", "other"))
    assert once == again
    assert once != other


def test_values_stay_within_their_search_laws(settings):
    learn(settings(trials=10))
    laws = settings().searched()
    assert set(laws) == set(SEARCH.split(","))
    for _, _, params in results(settings(trials=10)):
        assert laws["learning_rate"].low <= params["learning_rate"] <= laws["learning_rate"].high
        assert params["batch_size"] in laws["batch_size"].options


def test_more_trials_continue_and_fewer_take_none_away(settings):
    learn(settings(trials=3))
    learn(settings(trials=5))
    learn(settings(trials=2))
    assert len(results(settings(trials=5))) == 5


def test_a_trial_that_fails_counts_and_the_others_go_on(settings):
    def objective(trial):
        if trial.number == 2:
            raise RuntimeError("on purpose")
        return suggested(trial, settings())["learning_rate"]

    with opened_study(settings(), "test") as (study, exclusive):
        work(study, exclusive, objective)
    states = [state for state, _, _ in results(settings())]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.FAIL] + [TrialState.COMPLETE] * 3


def check_two_workers(workers: Workers, settings: TuneSettings) -> None:
    workers.start(settings, settings, seconds=0.05, grace=60)
    said = list(workers.said())
    assert sorted(number for word, (number, *_) in said if word == "began") == list(range(settings.trials))  # each once
    assert said[-1] == ("ended", [0, 0])
    assert [state for state, _, _ in results(settings)] == [TrialState.COMPLETE] * settings.trials


@pytest.mark.slow
def test_two_workers_run_every_trial_once(settings, workers):
    check_two_workers(workers, settings(trials=12))


@pytest.mark.slow
def test_two_workers_on_postgresql_run_every_trial_once(settings, workers, postgresql):
    check_two_workers(workers, settings(trials=12, storage=postgresql))


@pytest.mark.slow
def test_killed_in_a_trial_and_started_again_it_keeps_what_ended_and_retries_the_rest(settings, workers, monkeypatch):
    workers.start(settings(), seconds=0.3, grace=3)
    for word, numbers in workers.said():
        if word == "pids":
            (pid,) = numbers
        elif (word, numbers) == ("began", [5]):
            os.kill(pid, signal.SIGKILL)
    assert (word, numbers) == ("ended", [-signal.SIGKILL])
    before = [trial for trial in results(settings()) if trial[0] == TrialState.COMPLETE]
    assert len(before) == 5
    monkeypatch.setattr(search, "HEARTBEAT", 1)
    monkeypatch.setattr(search, "GRACE", 3)
    workers.start(settings(), seconds=0.05, grace=3)
    assert list(workers.said())[-1] == ("ended", [0])
    after = results(settings())
    assert [state for state, _, _ in after] == [TrialState.COMPLETE] * 6
    assert after[:5] == before


def test_a_storage_that_cannot_be_reached_is_said_in_a_line(settings, refused):
    # nothing listens there; a password is not printed
    with refused("storage=postgresql+psycopg://nobody:***@127.0.0.1:9/none cannot be used", "give auto or the URL"):
        learn(settings(storage="postgresql+psycopg://nobody:secret@127.0.0.1:9/none"))
    with refused("storage=nonsense is no URL of a database"):
        learn(settings(storage="nonsense"))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "fairprof-70f94a1e049a0fb0"),
        # more of the same search, or elsewhere
        ({"trials": 3, "storage": "sqlite:///x", "permutations": 99, "gradcam_images": 8}, "fairprof-70f94a1e049a0fb0"),
        ({"workers": 2, "cache_dir": "x", "data": "utkface:faces"}, "fairprof-70f94a1e049a0fb0"),
        (
            {"seed": 1, "search": "learning_rate", "objective": "pareto", "experiments": "A,B", "train_size": "matched"}
            | {"imbalance": 4.0, "max_quarantined_share": 0.2},
            "fairprof-c741f3709dd9e587",
        ),
    ],
)
def test_a_search_keeps_its_name_by_which_it_goes_on(values, name):
    pool = SimpleNamespace(fingerprint="0123456789abcdef")
    assert search_name(TuneSettings(**values), pool, "5" * 64) == name


def test_the_winner_s_hyperparameters_are_a_whole_set(settings):
    learn(settings())
    with opened_study(settings(), "test") as (study, _):
        values = hyperparameters_of(study.best_trial, settings())
    assert set(values) == set(Settings().hyperparameters())
    assert values["learning_rate"] == study.best_trial.params["learning_rate"]
    assert values["epochs"] == Settings().epochs


def of_method(method: str, **values) -> TuneSettings:
    return TuneSettings(**{"mitigation": method, "search": "method", "seed": 3, **values})


def test_a_method_s_search_begins_with_its_published_values_and_leaves_the_shared_ones(settings):
    one = settings(mitigation="jtt", search="method", trials=4)
    with opened_study(one, "test") as (study, exclusive):
        work(study, exclusive, lambda trial: suggested(trial, one)["weight"])
        first, second, *_ = counted_trials(study)
    assert first.params == {"weight": 50.0, "identification_epochs": 1.0}
    assert 1 <= second.params["weight"] <= 100
    trained = settings_of(2, second.params, one)
    assert trained.method_values() == second.params
    assert trained.seed == one.seed
    assert trained.hyperparameters_hash() == Settings().hyperparameters_hash()


def test_what_has_no_values_is_trained_from_as_many_seeds_as_there_are_trials():
    found = [settings_of(number, {}, of_method("none")) for number in range(3)]
    assert [each.seed for each in found] == [3, 4, 5]
    assert {each.mitigation_values for each in found} == {"default"}


@pytest.mark.parametrize("finetune", BASELINES)
def test_baselines_have_no_hyperparameters_to_search(finetune, refused):
    with refused(f"finetune={finetune} has no hyperparameters to search"):
        run_search(TuneSettings(finetune=finetune))


def test_hyperparameters_are_not_searched_with_a_method(refused):
    with refused("search=epochs", "leave out mitigations"):
        run_search(
            TuneSettings.model_construct(**TuneSettings(mitigations="none,jtt").model_dump() | {"search": "epochs"})
        )
