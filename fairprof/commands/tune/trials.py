"""The trials of a search: planned in Optuna's storage, shared by all its workers, each trained and scored once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import sqlalchemy
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from fairprof.commands.train.headline import BY_EPOCH
from fairprof.commands.train.run import validation_scores
from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.commands.tune.remarks import without_remarks
from fairprof.commands.tune.search_file import BUSY_SECONDS, put_aside_if_damaged
from fairprof.config import (
    METHOD_ALONE,
    MITIGATIONS,
    Choice,
    LogUniform,
    SearchLaw,
    Settings,
    TrainingSettings,
    TuneSettings,
    method_values_text,
)
from fairprof.data.designs import DESIGNS
from fairprof.data.pool import Pool
from fairprof.errors import ServerAway, UserError
from fairprof.runtime import databases
from fairprof.runtime.files import cache_folder, make_folder
from fairprof.runtime.progress import begun, whole
from fairprof.seeds import derive_seed
from fairprof.store import tracking

# seconds: how often a worker says that it is alive, and after how long a silent one counts as dead
HEARTBEAT, GRACE = 10, 40
RETRIES = 3
STARTUP_TRIALS = 5  # random ones, before the sampler learns from those that have ended
WAIT = 1.0  # seconds between looks at the trials of other workers
RUN_ID = "mlflow_run_id"
MOST_SEEDS = 2**32


# --- the study and its storage ----------------------------------------------------------------------------------


Exclusive = Callable[[], AbstractContextManager]
Objective = Callable[[optuna.Trial], float | Sequence[float]]


@contextmanager
def opened_study(settings: TuneSettings, name: str) -> Iterator[tuple[optuna.Study, Exclusive]]:
    """Optuna's study, with all its trials planned, and a lock that all its workers share, as a context manager.

    A damaged file in the cache is put aside, which is said, and the search begins anew. Raises `UserError`
    where the storage cannot be reached.
    """
    url = storage_of(settings, name)
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


def storage_of(settings: TuneSettings, name: str) -> sqlalchemy.URL:
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
        study.enqueue_trial(_first_values(settings) if number == 0 else {})


def _first_values(settings: TuneSettings) -> dict:
    """What the first trial has: a method's own values as published, or the hyperparameters as they are set."""
    if settings.search == METHOD_ALONE:
        return {name: value.default for name, value in MITIGATIONS[settings.mitigation].items()}
    return {name: getattr(settings, name) for name in settings.searched()}


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


def take_over_earlier_runs(study: optuna.Study) -> None:
    """Makes trials of interrupted starts children of this search's run."""
    for trial in study.get_trials(deepcopy=False):
        if RUN_ID in trial.user_attrs:
            run = tracking.find_run(trial.user_attrs[RUN_ID])
            if run is not None and tracking.parent_was_interrupted(run):
                tracking.adopt(run)


def suggested(trial: optuna.Trial, settings: TuneSettings) -> dict:
    """A value for everything that is searched, by its search law.

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


def scored(trial: optuna.Trial, settings: TuneSettings, pool: Pool) -> float | tuple[float, ...]:
    """Trains every design with the trial's hyperparameters; the means over the designs of what is optimised.

    After each design the mean so far is reported, so that a hopeless trial ends early.
    """
    objectives = OBJECTIVES[settings.objective]
    tags = {"fairprof.role": "trial", "fairprof.trial": str(trial.number)}
    with tracking.started_run(f"trial-{trial.number:03d}", tags) as run_id:
        trial.set_user_attr(RUN_ID, run_id)
        shared = settings_of(trial.number, suggested(trial, settings), settings)
        of_method = {name: getattr(shared, name) for name in ("mitigation", "mitigate", "mitigation_values", "seed")}
        hashes = {"hyperparameters_hash": shared.hyperparameters_hash(), "method_hash": shared.method_hash()}
        tracking.log_settings(shared.hyperparameters() | of_method | hashes)
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


def settings_of(number: int, values: dict, settings: TuneSettings) -> Settings:
    """The settings of a trial, but for the design: with the values that it was given.

    Of a method, these are its own. Where it has none, every trial trains the same from another seed, the first from
    the search's: it gets as many chances to look good on validation data as a method with values to choose from.
    """
    common = {name: getattr(settings, name) for name in TrainingSettings.model_fields}
    seed = settings.seed
    if settings.search == METHOD_ALONE:
        common["mitigation_values"] = method_values_text(settings.mitigation, values)
        seed = settings.seed if values else (settings.seed + number) % MOST_SEEDS
    else:
        common |= values
    return Settings(**common, seed=seed, train_size=settings.train_size)


def _is_hopeless(trial: optuna.Trial, mean: float, step: int, settings: TuneSettings) -> bool:
    trial.report(mean, step)
    return step + 1 < len(settings.designs()) and trial.should_prune()
