"""The runs of a study, shared by all workers that were started with it: each is trained once, whoever trains it.

A worker is a process that walks the study; so is one that was started alone. Runs are told apart by their `run_key`,
so that studies which have some runs in common share these as well.
"""

import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from fairprof.commands.study.plan import FAILED, WAITING, PlannedRun, after, distinct_runs
from fairprof.commands.train.identity import run_tags
from fairprof.commands.train.recording import Recording
from fairprof.commands.train.run import train
from fairprof.data.pool import Pool
from fairprof.errors import ServerAway, UserError
from fairprof.network.weight_sources import preprocessing_with
from fairprof.plain_text import plain_names
from fairprof.reporting.wording import counted
from fairprof.runtime.beside import Executor
from fairprof.runtime.hardware import on_gpu
from fairprof.runtime.progress import begun, note, whole
from fairprof.serving import Preprocessing
from fairprof.store import claims, tracking
from fairprof.store.registry import RUN_KEY_TAG
from fairprof.store.studies import FINISHED, REUSED

PAUSE = 2.0  # seconds, on average, between looks at what other workers have finished
PLAN, COMPARED, COMPARED_IN = "fairprof.study_plan", "fairprof.compared", "fairprof.compared_in"

Outcome = TypeVar("Outcome")
PoolSeenBy = Callable[[Preprocessing], Pool]


def train_all(
    runs: list[PlannedRun], pool_seen_by: PoolSeenBy, log: Callable[[Sequence[PlannedRun]], None], recorder: Executor
) -> list[PlannedRun]:
    """The runs once all have ended, here or in other processes; `log` is called whenever one has.

    pool_seen_by: the pool, with the pixels that are kept for a network's preprocessing.

    While a run trains, the one before it may still be logged by the recorder. A run whose process dies is trained by
    another one.
    """
    trained: list[TrainedRun] = []  # and not recorded yet
    told = 0
    with whole("study", {run.key: run.images for run in _waiting(runs)}, "runs") as line:
        while left := _waiting(runs):
            begun = {each.run.key for each in trained}
            rest = [run for run in left if run.key not in begun]
            ended = (
                _next_recorded(trained, wait=False)
                or _next_ended(rest, pool_seen_by, recorder)
                or _next_recorded(trained, wait=True)
            )
            if isinstance(ended, TrainedRun):
                trained.append(ended)
            elif ended is not None:
                runs = after(runs, ended)
                log(runs)
                _tell(ended)
                line.ended(ended.key)
            else:
                if told != len(left):
                    told = len(left)
                    note(f"waiting for {counted(told, 'run')} that other processes are training")
                time.sleep(random.uniform(0, 2 * PAUSE))  # not of the study's seeds: it decides nothing
                tracking.close_abandoned_runs()
    return runs


@dataclass(frozen=True)
class TrainedRun:
    """A run that has been trained here and is still being recorded."""

    run: PlannedRun
    recording: Recording


def _waiting(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in distinct_runs(runs) if run.status == WAITING]


def _next_recorded(trained: list[TrainedRun], wait: bool) -> PlannedRun | None:
    """The first of the trained runs, which are recorded in their order, once it is; it is taken off the list."""
    if not trained or not (wait or trained[0].recording.is_recorded()):
        return None
    first = trained.pop(0)
    return _unless_it_fails(first.run, lambda: replace(first.run, status=FINISHED, run_id=first.recording.wait()))


def _next_ended(
    left: Sequence[PlannedRun], pool_seen_by: PoolSeenBy, recorder: Executor
) -> PlannedRun | TrainedRun | None:
    """One of the runs that has ended meanwhile, or is trained now; None where others are training all of them."""
    taken = claims.of_others()
    for run in left:
        finished = found(run)
        if finished.status != WAITING:
            return finished
        if _claim_of(run) in taken or tracking.is_open_elsewhere({RUN_KEY_TAG: run.key}):
            continue
        if not claims.announced(_claim_of(run)):
            time.sleep(random.uniform(0, claims.FIRST_PAUSE))
            continue
        try:
            finished = found(run)  # by whoever held the claim until now
            if finished.status != WAITING:
                return finished
            begun(run.name)
            return _unless_it_fails(run, partial(_trained, run, pool_seen_by, recorder))
        finally:
            claims.withdraw()
    return None


def _claim_of(run: PlannedRun) -> str:
    return f"training {run.key}"


def found(run: PlannedRun) -> PlannedRun:
    """The run, taken over from where it has finished, if it has."""
    earlier = tracking.find_runs({RUN_KEY_TAG: run.key})
    if not earlier:
        return run
    newest = earlier[0]
    if tracking.parent_was_interrupted(newest):
        tracking.adopt(newest)
    return replace(run, status=REUSED, run_id=newest.run_id)


def _trained(run: PlannedRun, pool_seen_by: PoolSeenBy, recorder: Executor) -> TrainedRun:
    settings = run.settings
    tags = run_tags(settings) | {RUN_KEY_TAG: run.key}
    recording = Recording(recorder, run.name, tags, tracking.active_run_id(), on_gpu(settings.accelerator))
    try:
        train(settings, pool_seen_by(preprocessing_with(settings.architecture, settings.weights)), recording)
        recording.close()
        recording.run_id()  # until then only the claim tells others that it is being trained
    except BaseException as failure:
        recording.fail(failure)
        raise
    return TrainedRun(run, recording)


def _unless_it_fails(run: PlannedRun, work: Callable[[], Outcome]) -> Outcome | PlannedRun:
    """What the work gives; the run as failed, which is said, where it does not."""
    try:
        return work()
    except ServerAway:
        raise  # it would be away for all others too
    except Exception as error:  # whatever it is, it is this run's: it is reported, and the others go on
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, UserError):
            file = plain_names([run.name])[run.name]
            tracking.log_text("".join(traceback.format_exception(error)), f"study/errors/{file}.txt")
            reason = f"{type(error).__name__}: {reason}"
        return replace(run, status=FAILED, reason=reason)


def _tell(ended: PlannedRun) -> None:
    """Says what has come of a run."""
    if ended.status == FAILED:
        note(f"{ended.name} failed: {ended.reason}")
        return
    run = tracking.get_run(ended.run_id)
    elsewhere = " (trained by another process)" if ended.status == REUSED else ""
    note(f"{ended.name}{elsewhere}: {run.tags.get(tracking.ANSWER, tracking.NO_ANSWER)}")


def compared_before(key: str) -> frozenset[str]:
    """The studies with this `plan_key` that have been compared so far, by their ids."""
    return frozenset(run.run_id for run in tracking.find_runs({PLAN: key, COMPARED: "true"}, finished=False))


def compare_once(key: str, before: frozenset[str], compare: Callable[[], None], timeout: float) -> None:
    """Lets one of the workers of a study compare, which is the last; the others wait for it and say where it is.

    key: the study's `plan_key`. before: `compared_before`, when this worker began. timeout: seconds.
    """
    with claims.held(f"comparison {key}", timeout):
        others = compared_before(key) - before
        if not others:
            compare()
            tracking.set_tags({COMPARED: "true"})
            return
    other = tracking.get_run(min(others))
    tracking.set_tags({COMPARED_IN: other.run_id})
    tracking.set_description(
        f"A worker of this study: what it has trained is below it. The comparison is in the run **{other.name}** "
        f"(`{other.run_id}`) of the worker that was the last."
    )
    note(f"compared by another worker of this study, in its run {other.run_id}")
