"""The search for one set of hyperparameters that all designs share, judged on validation data alone."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import sqlalchemy
import yaml
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from fairprof.commands.train.headline import BY_EPOCH
from fairprof.commands.train.hyperparameters import SEARCHED_DATA, WINNER, data_key
from fairprof.commands.train.run import validation_scores
from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.commands.tune.remarks import without_remarks
from fairprof.commands.tune.report import findings
from fairprof.commands.tune.results import (
    numbers_of,
    pictures_of,
    scores_by_design,
    sensitivity_table,
    winner_of,
)
from fairprof.commands.tune.search_file import BUSY_SECONDS, put_aside_if_damaged
from fairprof.config import (
    Choice,
    Identifies,
    LogUniform,
    SearchLaw,
    Settings,
    TrainingSettings,
    TuneSettings,
    shared_settings,
)
from fairprof.data.designs import DESIGNS
from fairprof.data.drawable import require_drawable
from fairprof.data.pool import Pool, load_pool, screened_rows, without_test
from fairprof.errors import ServerAway, UserError
from fairprof.network.weights import find_weights
from fairprof.reporting.findings import log_findings
from fairprof.runtime import databases
from fairprof.runtime.files import cache_folder, make_folder
from fairprof.runtime.hardware import keep_freed_memory
from fairprof.runtime.progress import begun, whole
from fairprof.runtime.ranks import Rank
from fairprof.seeds import derive_seed
from fairprof.store import tracking

# seconds: how often a worker says that it is alive, and after how long a silent one counts as dead
HEARTBEAT, GRACE = 10, 40
RETRIES = 3
STARTUP_TRIALS = 5  # random ones, before the sampler learns from those that have ended
WAIT = 1.0  # seconds between looks at the trials of other workers
RUN_ID = "mlflow_run_id"


def run_search(settings: TuneSettings) -> str:
    """Runs trials until there are as many as asked, with whatever other workers there are; returns the MLflow run's id.

    A search is known by its settings, data and weights: killed and started again, or started on another machine
    with the same storage, it goes on. Raises `UserError` for anything that the user can put right.
    """
    if Rank.of_environment().count > 1:
        raise UserError("a search runs its trainings in one process: start it without torchrun, once for every worker")
    keep_freed_memory()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tags = {"fairprof.role": "search", SEARCHED_DATA: data_key(settings)}
    with tracking.started_run(f"search-{settings.objective}", tags) as search_id:
        whole = load_pool(settings, settings.image_size)
        require_drawable(settings, whole, lambda: screened_rows(settings, settings.image_size))
        pool = without_test(whole)
        weights, _ = find_weights(settings.architecture, settings.weights)
        settings = settings.model_copy(update={"weights": weights.name})
        name = search_name(settings, pool, weights.sha256)
        shown = {"storage": str(_url(settings, name)), "search_name": name, "pool_fingerprint": pool.fingerprint}
        tracking.log_settings(settings.model_dump() | shown)
        with opened_study(settings, name) as (study, exclusive):
            _take_over_earlier_runs(study)
            work(study, exclusive, lambda trial: _trained(trial, settings, pool))
            _log_results(study, settings)
    return search_id


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


def search_name(settings: TuneSettings, pool: Pool, weights_sha256: str) -> str:
    """Equal for searches of the same space on the same data for the same objective."""
    names = settings.identifying(Identifies.RUN, Identifies.STUDY, Identifies.SHARED)
    # whose data, and with which groups, the pool's fingerprint says
    said = settings.model_dump(include=set(names) - {"data", "merge", "exclude"})
    text = "\x1f".join(map(str, (sorted(said.items()), pool.fingerprint, weights_sha256)))
    return f"fairprof-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def hyperparameters_of(trial: FrozenTrial, settings: TrainingSettings) -> dict:
    """All shared hyperparameters of a trial, name to value: those searched, and the others as they were set."""
    return {name: trial.params.get(name, getattr(settings, name)) for name in shared_settings()}


# --- the study and its storage ----------------------------------------------------------------------------------


Exclusive = Callable[[], AbstractContextManager]
Objective = Callable[[optuna.Trial], float | Sequence[float]]


@contextmanager
def opened_study(settings: TuneSettings, name: str) -> Iterator[tuple[optuna.Study, Exclusive]]:
    """Optuna's study, with all its trials planned, and a lock that all its workers share, as a context manager.

    A damaged file in the cache is put aside, which is said, and the search begins anew. Raises `UserError`
    where the storage cannot be reached.
    """
    url = _url(settings, name)
    try:
        exclusive = partial(databases.exclusive, url, name)
        with exclusive(), without_remarks():  # two workers that make the same tables at once would fail
            if settings.storage == "auto":
                put_aside_if_damaged(Path(str(url.database)), name)
            storage = RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}} if databases.is_file(url) else None,
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
            )
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=[direction for _, direction in OBJECTIVES[settings.objective]],
                pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
                load_if_exists=True,
            )
            _plan(study, settings)
    except (SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise UserError(
            f"storage={url} cannot be used ({' '.join(str(error).split())[:150]}): give auto or the URL of a database "
            "that runs, with its driver installed"
        ) from None
    try:
        yield study, exclusive
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _url(settings: TuneSettings, name: str) -> sqlalchemy.URL:
    """The address of the storage, whose password is not shown when it is printed."""
    if settings.storage == "auto":
        folder = cache_folder(settings.cache_dir) / "searches"
        make_folder(folder, "the search")
        return sqlalchemy.URL.create("sqlite", database=str(folder / f"{name}.db"))
    try:
        return sqlalchemy.make_url(settings.storage)
    except ArgumentError:
        raise UserError(
            f"storage={settings.storage} is no URL of a database: give auto, or such as "
            "postgresql+psycopg://user@host/database"
        ) from None


def _plan(study: optuna.Study, settings: TuneSettings) -> None:
    """Enqueues what is missing of the trials asked for: planned ones can be counted before they run.

    The first has the defaults; the sampler chooses the others when they begin.
    """
    planned = len(counted_trials(study))
    for number in range(planned, settings.trials):
        values = {name: getattr(settings, name) for name in settings.searched()} if number == 0 else {}
        study.enqueue_trial(values)


def counted_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Every trial once: one whose worker died is represented by its retry."""
    trials = study.get_trials(deepcopy=False)
    retried = {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}
    return [trial for trial in trials if trial.number not in retried]


def work(study: optuna.Study, exclusive: Exclusive, objective: Objective) -> None:
    """Runs planned trials until none is left, waiting for those of other workers: one may die and leave its trial."""
    total, finished = len(counted_trials(study)), _finished(study)
    with whole("search", {str(place): 1.0 for place in range(finished, total)}, "trials") as line:
        while True:
            with without_remarks():
                fail_stale_trials(study)
            finished = _finished(study)
            for place in range(finished):
                line.ended(str(place))
            if finished == total:
                return
            if not _run_one(study, exclusive, objective):
                time.sleep(WAIT)


def _finished(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in counted_trials(study))


def _run_one(study: optuna.Study, exclusive: Exclusive, objective: Objective) -> bool:
    """Runs a planned trial; False where none is left to be begun.

    The lock is held from the look at the plan until the trial has begun, so that no worker begins one too many.
    """
    away: list[ServerAway] = []
    with ExitStack() as lock:
        lock.enter_context(exclusive())

        def begun(trial: optuna.Trial) -> float | Sequence[float]:
            lock.close()
            try:
                return objective(trial)
            except ServerAway as error:
                away.append(error)
                raise

        if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return False
        with without_remarks():
            study.optimize(begun, n_trials=1, catch=(Exception,))
        if away:  # the trials that are left would fail too
            raise away[0]
        return True


# --- a trial ----------------------------------------------------------------------------------------------------


def _take_over_earlier_runs(study: optuna.Study) -> None:
    """Makes trials of interrupted starts children of this search's run."""
    for trial in study.get_trials(deepcopy=False):
        if RUN_ID in trial.user_attrs:
            run = tracking.find_run(trial.user_attrs[RUN_ID])
            if run is not None and tracking.parent_was_interrupted(run):
                tracking.adopt(run)


def suggested(trial: optuna.Trial, settings: TuneSettings) -> dict:
    """A value for every hyperparameter that is searched, by its search law.

    The sampler's randomness depends on seed and trial alone, not on which worker runs it or was killed.
    """
    seed = derive_seed(settings.seed, "search", trial.number) % 2**32
    with without_remarks():
        trial.study.sampler = TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)
    return {name: _suggestion(trial, name, law) for name, law in settings.searched().items()}


def _suggestion(trial: optuna.Trial, name: str, law: SearchLaw) -> float | int | str:
    if isinstance(law, Choice):
        return trial.suggest_categorical(name, law.options)
    return trial.suggest_float(name, law.low, law.high, log=isinstance(law, LogUniform))


def _trained(trial: optuna.Trial, settings: TuneSettings, pool: Pool) -> float | tuple[float, ...]:
    """Trains every design with the trial's hyperparameters; the means over the designs of what is optimised.

    After each design the mean so far is reported, so that a hopeless trial ends early.
    """
    objectives = OBJECTIVES[settings.objective]
    tags = {"fairprof.role": "trial", "fairprof.trial": str(trial.number)}
    with tracking.started_run(f"trial-{trial.number:03d}", tags) as run_id:
        trial.set_user_attr(RUN_ID, run_id)
        values = suggested(trial, settings)
        common = {name: getattr(settings, name) for name in TrainingSettings.model_fields} | values
        shared = Settings(**common, seed=settings.seed, train_size=settings.train_size)
        tracking.log_settings(shared.hyperparameters() | {"hyperparameters_hash": shared.hyperparameters_hash()})
        tracking.set_tags({"fairprof.hyperparameters": shared.hyperparameters_hash()})
        # what stays if the trial fails or its worker dies
        tracking.set_tags({"fairprof.trial_state": "failed"})
        scores = []
        for step, design in enumerate(settings.designs()):
            begun(f"trial {trial.number}, design {design}")
            of_design = {"experiment": design, "imbalance": DESIGNS[design].imbalance(settings.imbalance)}
            best_epoch = validation_scores(shared.model_copy(update=of_design), pool)
            scores.append([best_epoch[metric] for metric, _ in objectives])
            trial.set_user_attr(design, scores[-1])
            tracking.log_values(
                {f"{design}/{name}": value for name, value in best_epoch.items()},
                {f"{design}/{name}" for name in BY_EPOCH},
            )
            if len(objectives) == 1 and _is_hopeless(trial, float(np.mean(scores)), step, settings):
                tracking.set_tags({"fairprof.trial_state": "pruned"})
                break
        else:
            means = np.mean(scores, axis=0)
            tracking.log_metrics({metric: value for (metric, _), value in zip(objectives, means, strict=True)})
            tracking.set_tags({"fairprof.trial_state": "complete"})
            return tuple(means.tolist())
    # outside the run, which has ended as it should
    raise optuna.TrialPruned


def _is_hopeless(trial: optuna.Trial, mean: float, step: int, settings: TuneSettings) -> bool:
    trial.report(mean, step)
    return step + 1 < len(settings.designs()) and trial.should_prune()
