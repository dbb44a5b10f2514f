"""The study: every design with every seed under one set of hyperparameters, then compared."""

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pandas as pd

from fairprof.commands.compare.claims import seeds_told
from fairprof.commands.compare.run import compare_and_log
from fairprof.commands.compare.seed_record import log_seeds, record_name, recorded_plan
from fairprof.commands.study.outlook import tell_outlook
from fairprof.commands.train.hyperparameters import with_hyperparameters
from fairprof.commands.train.identity import run_key, run_name, run_tags, study_key
from fairprof.commands.train.run import train_and_register
from fairprof.config import Settings, StudySettings, TrainingSettings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pool import Pool, fingerprint, load_pool
from fairprof.errors import UserError
from fairprof.inference.planning import SeedPlan
from fairprof.measurement.measures import require_memory
from fairprof.network.weights import Weights, find_weights
from fairprof.reporting.wording import counted, enumerated
from fairprof.runtime.hardware import keep_freed_memory
from fairprof.runtime.progress import note, progress_bar
from fairprof.runtime.ranks import Rank
from fairprof.store import tracking
from fairprof.store.studies import FINISHED, REUSED, SHARED, STUDY_RUNS, main_arm_first, runs_of_study
from fairprof.store.tracking import LoggedRun

WAITING, FAILED = "waiting", "failed"


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study: its settings, what has become of it, its id, and why.

    status: waiting, finished, reused, shared or failed. key: its `run_key`; runs of several arms that have the same
    one are one run. Empty where nothing can be drawn.
    """

    settings: Settings
    key: str = ""
    status: str = WAITING
    run_id: str = ""
    reason: str = ""


def plan(settings: StudySettings) -> list[Settings]:
    """The settings of every run, in the order in which they are trained.

    Arms come one after another, the main arm first; within an arm all designs of a seed, then the next seed, so that
    a study that is stopped early holds whole pairs. `imbalance` is for the designs that leave an axis natural.
    """
    shared = {name: getattr(settings, name) for name in TrainingSettings.model_fields}
    arms = product(main_arm_first(settings.listed("train_size")), sorted(settings.listed("fractions"), reverse=True))
    return [
        Settings(
            **shared | {"imbalance": DESIGNS[design].imbalance(settings.imbalance)},
            experiment=design,
            seed=seed,
            train_size=size,
            fraction=fraction,
        )
        for size, fraction in arms
        for seed in settings.listed("seeds")
        for design in settings.listed("experiments")
    ]


def run_study(settings: StudySettings) -> str:
    """Trains what has not been trained yet, compares all, and returns the id of the study's MLflow run.

    A run that finished in an earlier, interrupted start of the same study is taken over; one that finished
    elsewhere in this MLflow experiment is reused where it is. A run that fails is reported and the others go on.
    Raises `UserError` at the end where runs failed, and at once for anything that would fail them all.
    """
    if Rank.of_environment().count > 1:
        raise UserError(
            "a study trains one run after another in one process: start it without torchrun, or train its runs by "
            "entrypoints.train under torchrun first; the study finds them and compares"
        )
    keep_freed_memory()
    settings = with_hyperparameters(settings)
    tags = {"fairprof.role": "study", "fairprof.data": settings.data.partition(":")[0]}
    with tracking.started_run(f"study-{settings.experiments.replace(',', '')}", tags) as study_id:
        pool = load_pool(settings, settings.image_size)
        require_memory(settings, pool, len(settings.listed("experiments")), len(settings.listed("seeds")))
        weights, _ = find_weights(settings.architecture, settings.weights)
        # found once: every run starts from the same weights, even where a download would work later
        settings = settings.model_copy(update={"weights": weights.name})
        _describe(settings, pool, weights)
        planned = plan(settings)
        seeds = _recorded_seeds(planned, pool, weights)
        runs = _planned_runs(planned, pool, weights)
        _log_runs(runs, seeds)
        for sentence in told_beforehand(runs):
            note(sentence)
        if any(run.status == WAITING for run in runs):
            tell_outlook(settings, pool, _trained_before(runs))
        runs = _train_all(runs, seeds, pool)
        failed = [run for run in runs if run.status == FAILED]
        if len(failed) < len(runs):
            compare_and_log(
                runs_of_study(tracking.get_run(study_id)),
                settings,
                tuple((run_name(run.settings), run.reason) for run in failed),
            )
        if failed:
            raise UserError(
                f"{len(failed)} of {len(runs)} runs failed ({', '.join(run_name(run.settings) for run in failed)}); "
                f"the first: {failed[0].reason}. Start the same study again to train only these"
            )
    return study_id


def _describe(settings: StudySettings, pool: Pool, weights: Weights) -> None:
    tracking.log_settings(
        settings.model_dump()
        | {"hyperparameters_hash": settings.hyperparameters_hash(), "pool_fingerprint": pool.fingerprint}
    )
    tracking.set_tags(
        {
            "fairprof.hyperparameters": settings.hyperparameters_hash(),
            "fairprof.weights_sha256": weights.sha256 or "none",
        }
    )


def _recorded_seeds(runs: Sequence[Settings], pool: Pool, weights: Weights) -> SeedPlan:
    """What was planned, as an earlier look at this study has recorded it or, where there was none, as it is recorded
    now; told where seeds have been added."""
    test_fingerprint = fingerprint(pool.table.iloc[pool.rows_of("test")])
    key = study_key(runs[0], pool, test_fingerprint, weights)
    record = record_name(key, (str(run.imbalance) for run in runs))
    seeds = recorded_plan(record, (run.seed for run in runs))
    log_seeds(record, seeds.compared)
    tracking.log_settings({"planned_seeds": ",".join(map(str, seeds.planned))})
    if seeds_told(seeds):
        note(seeds_told(seeds))
    return seeds


def _planned_runs(settings: Sequence[Settings], pool: Pool, weights: Weights) -> list[PlannedRun]:
    """Every run of these settings, found, shared or waiting."""
    runs = [_found(each, pool, weights) for each in settings]
    for run in _distinct(runs):
        runs = _after(runs, run)
    return runs


def _trained_before(runs: Sequence[PlannedRun]) -> list[LoggedRun]:
    """Those of the main arm, which comes first."""
    main = runs[0].settings
    return [
        tracking.get_run(run.run_id)
        for run in runs
        if run.run_id and (run.settings.train_size, run.settings.fraction) == (main.train_size, main.fraction)
    ]


def _train_all(runs: list[PlannedRun], seeds: SeedPlan, pool: Pool) -> list[PlannedRun]:
    """The runs once all have ended; the table of runs among the study's artifacts is kept up to date."""
    distinct = _distinct(runs)
    waiting = [place for place, run in enumerate(distinct, 1) if run.status == WAITING]
    with progress_bar("study", len(waiting), "runs") as bar:
        for place in waiting:
            run = distinct[place - 1]
            note(f"run {place} of {len(distinct)}: {run_name(run.settings)}")
            runs = _after(runs, _trained(run, pool))
            _log_runs(runs, seeds)
            bar.update()
    return runs


def _distinct(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs that can be drawn; of those that are one run, the first."""
    first: dict[str, PlannedRun] = {}
    for run in runs:
        if run.key:
            first.setdefault(run.key, run)
    return list(first.values())


def _after(runs: Sequence[PlannedRun], ended: PlannedRun) -> list[PlannedRun]:
    """The runs once it is known what has become of one: in the other arms in which it counts, it is shared."""
    status = SHARED if ended.status in (FINISHED, REUSED) else ended.status
    return [
        run
        if run.key != ended.key
        else ended
        if run.settings == ended.settings
        else replace(run, status=status, run_id=ended.run_id, reason=ended.reason)
        for run in runs
    ]


def told_beforehand(runs: Sequence[PlannedRun]) -> Iterator[str]:
    """How many runs a study has, and how many of them it has to train, a sentence each."""
    distinct = _distinct(runs)
    shared = sum(bool(run.key) for run in runs) - len(distinct)
    arms = dict.fromkeys(run.settings.train_size for run in runs)
    if shared:
        yield (
            f"{counted(len(runs), 'run')} in the arms {enumerated(map(str, arms))}: {shared:,} of them would draw the "
            f"same images in a second arm and {'is' if shared == 1 else 'are'} trained once"
        )
    found = sum(run.status == REUSED for run in distinct)
    if found:
        yield f"{found:,} of {counted(len(distinct), 'run')} have been trained before and are not repeated"
    yield f"{counted(len(distinct) - found, 'run')} to train"


def _found(settings: Settings, pool: Pool, weights: Weights) -> PlannedRun:
    """The run, taken over from an earlier start where it has finished there; failed where nothing can be drawn."""
    try:
        drawn = draw(pool, DESIGNS[settings.experiment], settings)
    except UserError as error:
        return PlannedRun(settings, status=FAILED, reason=str(error))
    key = run_key(settings, pool, drawn, weights)
    earlier = tracking.find_runs({"fairprof.run_key": key})
    if not earlier:
        return PlannedRun(settings, key)
    newest = earlier[0]
    if tracking.parent_was_interrupted(newest):
        tracking.adopt(newest)
    return PlannedRun(settings, key, REUSED, newest.run_id)


def _trained(run: PlannedRun, pool: Pool) -> PlannedRun:
    settings = run.settings
    try:
        with tracking.started_run(run_name(settings), run_tags(settings)) as run_id:
            train_and_register(settings, pool)
    except Exception as error:  # whatever it is, it is this run's: it is reported, and the others go on
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, UserError):
            tracking.log_text(traceback.format_exc(), f"study/errors/{run_name(settings)}.txt")
            reason = f"{type(error).__name__}: {reason}"
        note(f"{run_name(settings)} failed: {reason}")
        return replace(run, status=FAILED, reason=reason)
    return replace(run, status=FINISHED, run_id=run_id)


def _log_runs(runs: Sequence[PlannedRun], seeds: SeedPlan) -> None:
    tracking.log_table(pd.DataFrame(_rows(runs, seeds)), STUDY_RUNS)
    tracking.set_tags({"fairprof.runs": str(len(runs))})


def _rows(runs: Sequence[PlannedRun], seeds: SeedPlan) -> Iterator[dict]:
    for run in runs:
        settings = run.settings
        yield {
            "name": run_name(settings),
            "design": settings.experiment,
            "seed": settings.seed,
            "planned": settings.seed in seeds.planned,
            "train_size": settings.train_size,
            "fraction": settings.fraction,
            "status": run.status,
            "run_id": run.run_id,
            "reason": run.reason,
        }
