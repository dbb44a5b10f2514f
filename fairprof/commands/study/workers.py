"""The runs of a study, shared by all workers that were started with it: each is trained once, whoever trains it.

A worker is a process that walks the study; so is one that was started alone. Runs are told apart by their `run_key`,
so that studies which have some runs in common share these as well.
"""

import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from fairprof.commands.study.plan import FAILED, WAITING, PlannedRun, after, distinct_runs
from fairprof.commands.train.headline import tell
from fairprof.commands.train.identity import run_name, run_tags
from fairprof.commands.train.registration import register
from fairprof.commands.train.run import train_and_record
from fairprof.data.pool import Pool
from fairprof.errors import ServerAway, UserError
from fairprof.reporting.wording import counted
from fairprof.runtime.progress import note, progress_bar
from fairprof.store import claims, tracking
from fairprof.store.studies import FINISHED, REUSED

PAUSE = 2.0  # seconds, on average, between looks at what other workers have finished
PLAN, COMPARED, COMPARED_IN = "fairprof.study_plan", "fairprof.compared", "fairprof.compared_in"


def train_all(runs: list[PlannedRun], pool: Pool, log: Callable[[Sequence[PlannedRun]], None]) -> list[PlannedRun]:
    """The runs once all have ended, here or in other workers; `log` is called whenever one has.

    A run whose worker dies is trained by another one.
    """
    places = {run.key: place for place, run in enumerate(distinct_runs(runs), 1)}
    left = _waiting(runs)
    told = 0
    with progress_bar("study", len(left), "runs") as bar:
        while left:
            ended = _next_ended(left, pool, places)
            if ended is None:
                if told != len(left):
                    told = len(left)
                    note(f"waiting for {counted(told, 'run')} that other processes are training")
                time.sleep(random.uniform(0, 2 * PAUSE))  # not of the study's seeds: it decides nothing
                tracking.close_abandoned_runs()
                continue
            runs = after(runs, ended)
            left = _waiting(runs)
            log(runs)
            bar.update()
    return runs


def _waiting(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in distinct_runs(runs) if run.status == WAITING]


def _next_ended(left: Sequence[PlannedRun], pool: Pool, places: dict[str, int]) -> PlannedRun | None:
    """One of the runs that has ended meanwhile, or is trained now; None where others are training all of them."""
    taken = claims.of_others()
    for run in left:
        finished = found(run)
        if finished.status != WAITING:
            note(f"{run_name(run.settings)} was trained by another process")
            return finished
        if _claim_of(run) in taken or tracking.is_open_elsewhere({"fairprof.run_key": run.key}):
            continue
        if not claims.announced(_claim_of(run)):
            time.sleep(random.uniform(0, claims.FIRST_PAUSE))
            continue
        try:
            finished = found(run)  # by whoever held the claim until now
            if finished.status != WAITING:
                return finished
            note(f"run {places[run.key]} of {len(places)}: {run_name(run.settings)}")
            return _trained(run, pool)
        finally:
            claims.withdraw()
    return None


def _claim_of(run: PlannedRun) -> str:
    return f"training {run.key}"


def found(run: PlannedRun) -> PlannedRun:
    """The run, taken over from where it has finished, if it has."""
    earlier = tracking.find_runs({"fairprof.run_key": run.key})
    if not earlier:
        return run
    newest = earlier[0]
    if tracking.parent_was_interrupted(newest):
        tracking.adopt(newest)
    return replace(run, status=REUSED, run_id=newest.run_id)


def _trained(run: PlannedRun, pool: Pool) -> PlannedRun:
    settings = run.settings
    try:
        with tracking.started_run(run_name(settings), run_tags(settings)) as run_id:
            model = train_and_record(settings, pool)
            if model is not None:
                tell(model.run, register(model))
    except ServerAway:
        raise  # it would be away for all others too
    except Exception as error:  # whatever it is, it is this run's: it is reported, and the others go on
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, UserError):
            tracking.log_text(traceback.format_exc(), f"study/errors/{run_name(settings)}.txt")
            reason = f"{type(error).__name__}: {reason}"
        note(f"{run_name(settings)} failed: {reason}")
        return replace(run, status=FAILED, reason=reason)
    return replace(run, status=FINISHED, run_id=run_id)


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
