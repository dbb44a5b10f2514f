"""The study: every design with every seed under one set of hyperparameters, then compared."""

from collections.abc import Sequence
from functools import cache

import pandas as pd

from fairprof.commands.compare.claims import seeds_told
from fairprof.commands.compare.run import compare_and_log
from fairprof.commands.compare.seed_record import log_seeds, record_name, recorded_plan
from fairprof.commands.study.backbones import FoundBackbone, FoundBackbones, backbone_of_settings, with_weights
from fairprof.commands.study.outlook import designs_told, tell_outlook
from fairprof.commands.study.plan import (
    FAILED,
    WAITING,
    PlannedRun,
    after,
    distinct_runs,
    main_arm,
    plan,
    plan_key,
    table_rows,
    told_beforehand,
)
from fairprof.commands.study.processes import other_workers
from fairprof.commands.study.registration import register_chosen
from fairprof.commands.study.workers import PLAN, compare_once, compared_before, found, train_all
from fairprof.commands.train.hyperparameters import with_hyperparameters
from fairprof.commands.train.identity import run_key, study_key
from fairprof.config import BASELINES, Settings, StudySettings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.drawable import require_drawable
from fairprof.data.pool import Pool, load_pool, screened_rows
from fairprof.errors import UserError
from fairprof.inference.planning import SeedPlan
from fairprof.measurement.memory import require_memory
from fairprof.network.architectures import require_fitting
from fairprof.network.weight_sources import preprocessing_with
from fairprof.runtime.beside import HERE, Executor
from fairprof.runtime.hardware import keep_freed_memory
from fairprof.runtime.progress import note
from fairprof.runtime.ranks import Rank
from fairprof.store import tracking
from fairprof.store.studies import STUDY_RUNS, runs_of_study


def run_study(settings: StudySettings, recorder: Executor = HERE) -> str:
    """Trains what has not been trained yet, compares all, and returns the id of the study's MLflow run.

    recorder: logs the runs.

    Started several times at once, on any machines with one tracking server, it is one study whose runs are shared, and
    which the last worker compares. A run that finished in an earlier, interrupted start of the same study is taken
    over; one that finished elsewhere in this MLflow experiment is reused where it is. A run that fails is reported and
    the others go on. Of each design the model of one seed is registered, which validation data choose.
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
        for backbone in settings.listed_backbones():
            require_fitting(backbone.architecture, settings.image_size)
        settings, backbones = with_weights(settings)
        # but for its pixels it is the same for every backbone
        pool_seen_by = cache(lambda preprocessing: load_pool(settings, settings.image_size, preprocessing))
        first = settings.listed_backbones()[0]
        reference = preprocessing_with(first.architecture, first.weights)
        pool = pool_seen_by(reference)
        require_drawable(settings, pool, lambda: screened_rows(settings, settings.image_size, reference))
        require_memory(settings, pool, len(settings.listed("experiments")), len(settings.listed("seeds")))
        _describe(settings, pool, backbones)
        planned = plan(settings)
        seeds = _recorded_seeds(planned, pool, backbones)
        runs = _planned_runs(planned, pool, backbones)
        key = plan_key(runs, settings)
        before = compared_before(key)
        tracking.set_tags({PLAN: key})
        _log_runs(runs, seeds)
        for sentence in (*designs_told(settings, pool), *told_beforehand(runs)):
            note(sentence)
        if any(run.status == WAITING for run in runs):
            tell_outlook(settings, pool, [tracking.get_run(run.run_id) for run in main_arm(runs) if run.run_id])
        with other_workers(settings):
            runs = train_all(runs, pool_seen_by, lambda ended: _log_runs(ended, seeds), recorder)
            register_chosen(main_arm(runs))
            failed = [run for run in runs if run.status == FAILED]
            if len(failed) < len(runs):
                reasons = tuple((run.name, run.reason) for run in failed)
                compare_once(
                    key,
                    before,
                    lambda: compare_and_log(runs_of_study(tracking.get_run(study_id)), settings, reasons),
                    settings.lock_timeout,
                )
        if failed:
            raise UserError(
                f"{len(failed)} of {len(runs)} runs failed ({', '.join(run.name for run in failed)}); "
                f"the first: {failed[0].reason}. Start the same study again to train only these"
            )
    return study_id


def _describe(settings: StudySettings, pool: Pool, backbones: FoundBackbones) -> None:
    weights = next(iter(backbones.values())).weights
    tracking.log_settings(
        settings.model_dump()
        | {"hyperparameters_hash": settings.hyperparameters_hash(), "pool_fingerprint": pool.fingerprint}
    )
    tracking.set_tags(
        {
            "fairprof.hyperparameters": settings.hyperparameters_hash(),
            **weights.tags(),
        }
    )


def _recorded_seeds(runs: Sequence[Settings], pool: Pool, backbones: FoundBackbones) -> SeedPlan:
    """What was planned for the reference backbone, as an earlier look at this study has recorded it or, where there was
    none, as it is recorded now; told where seeds have been added. It is recorded for every backbone."""
    test_fingerprint = pool.fingerprint_of(pool.rows_of("test"))
    keys = dict.fromkeys(
        study_key(run, pool, test_fingerprint, backbones[backbone_of_settings(run)].weights) for run in runs
    )
    records = [record_name(key, (str(run.imbalance) for run in runs)) for key in keys]
    seeds, *_ = [recorded_plan(record, (run.seed for run in runs)) for record in records]
    log_seeds(records, seeds.compared)
    tracking.log_settings({"planned_seeds": ",".join(map(str, seeds.planned))})
    if seeds_told(seeds):
        note(seeds_told(seeds))
    return seeds


def _planned_runs(settings: Sequence[Settings], pool: Pool, backbones: FoundBackbones) -> list[PlannedRun]:
    """Every run of these settings, found, shared or waiting."""
    runs = [_planned_run(each, pool, backbones[backbone_of_settings(each)]) for each in settings]
    for run in distinct_runs(runs):
        runs = after(runs, run)
    return runs


def _planned_run(settings: Settings, pool: Pool, backbone: FoundBackbone) -> PlannedRun:
    """The run, taken over from an earlier start where it has finished there; failed where nothing can be drawn."""
    try:
        drawn = draw(pool, DESIGNS[settings.experiment], settings)
    except UserError as error:
        return PlannedRun(settings, status=FAILED, reason=str(error), backbone=backbone.title)
    epochs = 1 if settings.finetune in BASELINES else settings.epochs
    images = (len(drawn.train) + len(drawn.val)) * epochs + len(drawn.test)
    key = run_key(settings, pool, drawn, backbone.weights)
    return found(PlannedRun(settings, key, images=images, backbone=backbone.title))


def _log_runs(runs: Sequence[PlannedRun], seeds: SeedPlan) -> None:
    tracking.log_table(pd.DataFrame(table_rows(runs, seeds)), STUDY_RUNS)
    tracking.set_tags({"fairprof.runs": str(len(runs))})
