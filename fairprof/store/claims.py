"""Mutual exclusion among all processes of this project that use one tracking server, on whatever machines.

MLflow has no locks, but who writes a tag and then searches finds whatever had been written before. So a process first
announces its claim, as a tag of its run, and then looks for claims of the same: of two at once, at least one sees the
other (as in the algorithms of Dekker and Lamport). Whoever sees one withdraws and tries again after a pause that is
drawn at random and grows from try to try, as on an Ethernet. A claim ends with its run: a process that dies loses it
when `liveness` says so.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.entities import ViewType

from fairprof.errors import UserError
from fairprof.store import liveness, tracking

CLAIM = "fairprof.claim"
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0  # seconds before the next try, at most


@contextmanager
def held(what: str, timeout: float) -> Iterator[None]:
    """Holds `what` for the block, as the active run; waits for whoever else holds it.

    what: a name without quotation marks. timeout: seconds. Raises `UserError` where it is still held after them.
    """
    deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
    while not announced(what):
        if time.monotonic() > deadline:
            raise UserError(
                f"another run holds the {what} for more than {timeout:g} s: see which runs are open in `mlflow ui`, "
                "or wait for them and start again"
            )
        time.sleep(random.uniform(0, pause))  # not of the run's seeds: it decides nothing but who waits
        pause = min(2 * pause, LONGEST_PAUSE)
    try:
        yield
    finally:
        withdraw()


def announced(what: str) -> bool:
    """Tries once to claim `what` for the active run; whoever gets it has to `withdraw`. A run has one claim at a time.

    what: a name without quotation marks.
    """
    if what in of_others():  # who would not get it anyway disturbs nobody
        return False
    tracking.set_tags({CLAIM: what})
    if what in of_others():
        withdraw()
        return False
    return True


def withdraw() -> None:
    """Gives up what the active run has claimed."""
    mlflow.MlflowClient().delete_tag(tracking.active_run_id(), CLAIM)


def of_others() -> frozenset[str]:
    """What open runs other than the active one have claimed, but for those whose process is gone."""
    client = mlflow.MlflowClient()
    found = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments(ViewType.ALL)],
        filter_string=f"attributes.status = 'RUNNING' and tags.`{CLAIM}` LIKE '%'",
    )
    own = tracking.active_run_id()
    # MLflow reads the tags after it has found the runs: who has withdrawn in between is found without
    alive = (run for run in found if run.info.run_id != own and not liveness.has_ended(run))
    return frozenset(run.data.tags[CLAIM] for run in alive if CLAIM in run.data.tags)
