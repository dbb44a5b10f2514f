"""The search for one set of hyperparameters that all designs share, or for the values of methods, on validation data
alone."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import pandas as pd
import yaml
from optuna.trial import FrozenTrial

from fairprof.commands.train.hyperparameters import (
    METHOD_SEARCH,
    METHOD_WINNERS,
    SEARCHED_ATTRIBUTE,
    SEARCHED_DATA,
    SEARCHED_METHODS,
    WINNER,
    data_key,
)
from fairprof.commands.tune.method_results import method_findings, trials_of_method, values_of_methods, winners
from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.commands.tune.report import findings
from fairprof.commands.tune.results import (
    numbers_of,
    pictures_of,
    scores_by_design,
    sensitivity_table,
    winner_of,
)
from fairprof.commands.tune.trials import opened_study, scored, storage_of, take_over_earlier_runs, work
from fairprof.config import (
    BASELINES,
    METHOD_ALONE,
    NO_MITIGATION,
    ONE_METHOD,
    PUBLISHED,
    Identifies,
    Settings,
    TrainingSettings,
    TuneSettings,
    shared_settings,
)
from fairprof.data.drawable import require_drawable
from fairprof.data.pool import Pool, load_pool, screened_rows, without_test
from fairprof.errors import UserError
from fairprof.network.architectures import require_fitting
from fairprof.network.records import Weights
from fairprof.network.weight_sources import find_weights, preprocessing_with
from fairprof.reporting.findings import log_findings
from fairprof.runtime.hardware import keep_freed_memory
from fairprof.runtime.progress import note
from fairprof.runtime.ranks import Rank
from fairprof.store import tracking


def run_search(settings: TuneSettings) -> str:
    """Runs trials until there are as many as asked, with whatever other workers there are; returns the MLflow run's id.

    A search is known by its settings, data and weights: killed and started again, or started on another machine
    with the same storage, it goes on. Raises `UserError` for anything that the user can put right.
    """
    if Rank.of_environment().count > 1:
        raise UserError("a search runs its trainings in one process: start it without torchrun, once for every worker")
    keep_freed_memory()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    of_methods = _searches_methods(settings)
    tags = {"fairprof.role": METHOD_SEARCH if of_methods else "search", SEARCHED_DATA: data_key(settings)}
    name = f"search-{'methods' if of_methods else settings.objective}"
    with tracking.started_run(name, tags) as search_id:
        require_fitting(settings.architecture, settings.image_size)
        weights, _ = find_weights(settings.architecture, settings.weights)
        settings = settings.model_copy(update={"weights": weights.name})
        seen = settings.image_size, preprocessing_with(settings.architecture, settings.weights)
        whole = load_pool(settings, *seen)
        require_drawable(settings, whole, lambda: screened_rows(settings, *seen))
        pool = without_test(whole)
        if of_methods:
            _search_methods(settings, pool, weights)
        else:
            _search_hyperparameters(settings, pool, weights)
    return search_id


def _searches_methods(settings: TuneSettings) -> bool:
    """Whether the values of methods are searched; raises `UserError` where hyperparameters are to be searched with a
    method, with which they are shared as well, or of a baseline, which has none."""
    with_methods = settings.methods() != (NO_MITIGATION,)
    if with_methods and settings.search not in ("all", METHOD_ALONE):
        raise UserError(
            f"search={settings.search}: hyperparameters are shared by all methods and searched without one: leave out "
            f"mitigations and mitigation, or search={METHOD_ALONE}, the methods' own values"
        )
    of_methods = with_methods or settings.search == METHOD_ALONE
    if settings.finetune in BASELINES and not of_methods:
        raise UserError(
            f"finetune={settings.finetune} has no hyperparameters to search: it is fitted at once in every run; train "
            "it as it is, or search the hyperparameters of finetune=head or another part of the network"
        )
    return of_methods


@contextmanager
def _worked(settings: TuneSettings, pool: Pool, weights: Weights) -> Iterator[optuna.Study]:
    """Optuna's study of the settings, all of whose trials have ended."""
    with opened_study(settings, search_name(settings, pool, weights.identity)) as (study, exclusive):
        take_over_earlier_runs(study)
        work(study, exclusive, lambda trial: scored(trial, settings, pool))
        yield study


def _search_hyperparameters(settings: TuneSettings, pool: Pool, weights: Weights) -> None:
    name = search_name(settings, pool, weights.identity)
    shown = {"storage": str(storage_of(settings, name)), "search_name": name, "pool_fingerprint": pool.fingerprint}
    tracking.log_settings(settings.model_dump() | shown)
    with _worked(settings, pool, weights) as study:
        _log_results(study, settings)


def _search_methods(settings: TuneSettings, pool: Pool, weights: Weights) -> None:
    """Searches the own values of every method, one after another, with the same number of trials each."""
    tracking.log_settings(settings.model_dump() | {"pool_fingerprint": pool.fingerprint})
    tracking.set_tags({SEARCHED_ATTRIBUTE: settings.mitigate, SEARCHED_METHODS: ",".join(settings.methods())})
    found = []
    for method in settings.methods():
        of_method = {"mitigation": method, "mitigations": ONE_METHOD, "search": METHOD_ALONE}
        one = settings.model_copy(update=of_method | {"mitigation_values": PUBLISHED})
        note(f"method {method}")
        with _worked(one, pool, weights) as study:
            found.append(trials_of_method(study, method))
    trials = pd.concat(found, ignore_index=True)
    best = winners(trials, OBJECTIVES[settings.objective])
    tracking.log_text(yaml.safe_dump(values_of_methods(best), sort_keys=False), METHOD_WINNERS)
    log_findings(method_findings(trials, best, settings))


def _log_results(study: optuna.Study, settings: TuneSettings) -> None:
    winner, scores = winner_of(study), scores_by_design(study, settings)
    sensitivity = sensitivity_table(scores, winner.number, OBJECTIVES[settings.objective][0][1])
    pictures = pictures_of(study, settings, scores, sensitivity)
    tracking.log_metrics(numbers_of(study, settings, winner, sensitivity))
    _log_winner(winner, settings)
    log_findings(findings(study, settings, winner, scores, sensitivity, pictures))


def _log_winner(winner: FrozenTrial, settings: TuneSettings) -> None:
    """The winner's hyperparameters as the file that `hparams=tuned` reads, and as tags."""
    values = hyperparameters_of(winner, settings)
    tracking.log_text(yaml.safe_dump(values, sort_keys=False), WINNER)
    tracking.set_tags(
        {
            "fairprof.hyperparameters": Settings(**values).hyperparameters_hash(),
            "fairprof.winner": str(winner.number),
            **{f"fairprof.best.{name}": str(value) for name, value in winner.params.items()},
        }
    )


def search_name(settings: TuneSettings, pool: Pool, weights: str) -> str:
    """Equal for searches of the same space on the same data for the same objective."""
    kinds = [Identifies.RUN, Identifies.STUDY, Identifies.SHARED]
    if settings.search == METHOD_ALONE:
        kinds.append(Identifies.METHOD)
    # whose data, and with which groups, the pool's fingerprint says; every method has a search of its own
    said = settings.model_dump(include=set(settings.identifying(*kinds)) - {"data", "merge", "exclude", "mitigations"})
    text = "\x1f".join(map(str, (sorted(said.items()), pool.fingerprint, weights)))
    return f"fairprof-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def hyperparameters_of(trial: FrozenTrial, settings: TrainingSettings) -> dict:
    """All shared hyperparameters of a trial, name to value: those searched, and the others as they were set."""
    return {name: trial.params.get(name, getattr(settings, name)) for name in shared_settings()}
