"""The search's plan, workers and retries, on real storages; what a trial computes is a formula here."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from fairprof.commands.tune import run as search
from fairprof.commands.tune.run import counted_trials, hyperparameters_of, opened_study, search_name, suggested, work
from fairprof.config import Settings, TuneSettings
from tests.places import ROOT

SEARCH = "learning_rate,weight_decay,batch_size"
WORKER = """
import os, sys, time
import optuna
from fairprof.config import TuneSettings
from fairprof.commands.tune import run as search
search.HEARTBEAT, search.GRACE = 1, 3
optuna.logging.set_verbosity(optuna.logging.WARNING)
settings = TuneSettings.from_arguments(sys.argv[2:])

def objective(trial):
    values = search.suggested(trial, settings)
    trial.set_user_attr("worker", os.getpid())
    print("began", trial.number, flush=True)
    time.sleep(float(sys.argv[1]))
    return values["learning_rate"]

with search.opened_study(settings, "test") as (study, exclusive):
    search.work(study, exclusive, objective)
"""


@pytest.fixture
def settings(tmp_path):
    return lambda **values: TuneSettings(**{"cache_dir": str(tmp_path), "trials": 6, "search": SEARCH, **values})


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def worker(settings: TuneSettings, seconds: float) -> subprocess.Popen:
    arguments = ["--cache_dir", settings.cache_dir, "--trials", str(settings.trials), "--search", settings.search]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(seconds), *arguments, "--storage", settings.storage],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors[-3000:]
    return output


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


def check_two_workers(settings: TuneSettings) -> None:
    workers = [worker(settings, 0.05) for _ in range(2)]
    began = [line.split()[1] for process in workers for line in finish(process).splitlines() if "began" in line]
    assert sorted(map(int, began)) == list(range(settings.trials))  # each once
    assert [state for state, _, _ in results(settings)] == [TrialState.COMPLETE] * settings.trials


def test_two_workers_run_every_trial_once(settings):
    check_two_workers(settings(trials=12))


def test_two_workers_on_postgresql_run_every_trial_once(settings, postgresql):
    check_two_workers(settings(trials=12, storage=postgresql))


def test_killed_in_a_trial_and_started_again_it_keeps_what_ended_and_retries_the_rest(settings, monkeypatch):
    process = worker(settings(), 0.3)
    for line in process.stdout:
        if line.split() == ["began", "5"]:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = [trial for trial in results(settings()) if trial[0] == TrialState.COMPLETE]
    assert len(before) == 5
    monkeypatch.setattr(search, "HEARTBEAT", 1)
    monkeypatch.setattr(search, "GRACE", 3)
    time.sleep(0.1)
    finish(worker(settings(), 0.05))
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
        ({}, "fairprof-e0b17f08cd3ba405"),
        # more of the same search, or elsewhere
        ({"trials": 3, "storage": "sqlite:///x", "permutations": 99, "gradcam_images": 8}, "fairprof-e0b17f08cd3ba405"),
        ({"workers": 2, "cache_dir": "x", "data": "utkface:faces"}, "fairprof-e0b17f08cd3ba405"),
        (
            {"seed": 1, "search": "learning_rate", "objective": "pareto", "experiments": "A,B", "train_size": "matched"}
            | {"imbalance": 4.0, "max_quarantined_share": 0.2},
            "fairprof-b635091d22a6111e",
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
