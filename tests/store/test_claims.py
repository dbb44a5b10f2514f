"""Mutual exclusion through a tracking server, between real processes on a real store."""

import os
import platform
import subprocess
import sys

import mlflow
import pytest

from fairprof.store import claims, liveness, tracking
from tests.places import ROOT

WHAT = "champion of fairprof-B"

CONTENDERS = """
import os, random, sys, time, traceback
from fairprof.store import claims, tracking

def contend(number):
    random.seed(number)
    overlaps = 0
    with tracking.started_run(f"contender {number}", {}):
        for _ in range(5):
            with claims.held("comparison of contenders", 120):
                try:
                    os.close(os.open("inside", os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    overlaps += 1
                time.sleep(random.uniform(0, 0.01))
                os.unlink("inside")
    return overlaps

children = []
for number in range(5):
    child = os.fork()
    if child == 0:
        try:
            overlaps = contend(number)
        except BaseException:
            traceback.print_exc()
            overlaps = 99
        os._exit(overlaps)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def claimed_by(process: str, host: str = platform.node()) -> str:
    experiment = mlflow.set_experiment("fairprof").experiment_id
    tags = {liveness.HOST: host, liveness.PROCESS: process, claims.CLAIM: WHAT}
    return mlflow.MlflowClient().create_run(experiment, tags=tags).info.run_id


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def named(number: int) -> str:
    created = liveness.psutil.Process(number).create_time()
    return f"{number}:{created:.2f}:{liveness.process_tags()[liveness.PROCESS].split(':')[2]}"


def test_what_a_living_process_holds_is_not_had_and_is_had_once_it_was_killed(store, sleeper, refused):
    claimed_by(named(sleeper.pid))
    with tracking.started_run("mine", {}) as own:
        assert not claims.announced(WHAT)
        assert claims.announced("champion of fairprof-C")
        claims.withdraw()
        with refused(WHAT, "more than 0.2 s", "mlflow ui"), claims.held(WHAT, 0.2):
            pass
        assert claims.CLAIM not in mlflow.get_run(own).data.tags
        sleeper.kill()
        sleeper.wait()
        with claims.held(WHAT, 5):
            assert mlflow.get_run(own).data.tags[claims.CLAIM] == WHAT
        assert claims.CLAIM not in mlflow.get_run(own).data.tags


def test_claim_ends_with_its_run(store, sleeper):
    held = claimed_by(named(sleeper.pid))
    with tracking.started_run("mine", {}):
        mlflow.MlflowClient().set_terminated(held)
        assert claims.announced(WHAT)


def test_claim_of_another_machine_lasts_as_long_as_its_heart_beats(store, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(liveness.time, "monotonic", lambda: clock[0])
    held, client = claimed_by("1:1.00:4", "far-away"), mlflow.MlflowClient()
    with tracking.started_run("mine", {}):
        for beat in range(5):
            clock[0] += liveness.LEASE - 1
            client.set_tag(held, liveness.HEARTBEAT, f"{liveness.time.time() + beat:.0f}")
            assert not claims.announced(WHAT)
        clock[0] += liveness.LEASE - 1
        assert not claims.announced(WHAT)
        clock[0] += 2
        assert claims.announced(WHAT)
        tracking.close_abandoned_runs()
    assert client.get_run(held).info.status == "KILLED"


def test_process_of_another_container_with_the_same_name_is_no_process_of_this_one(store):
    claimed_by(f"{os.getpid()}:1.00:4")  # the number is in use here, by a process of another start
    with tracking.started_run("mine", {}):
        assert not claims.announced(WHAT)


@pytest.mark.slow
def test_never_two_processes_hold_the_same(store):
    contest = subprocess.run(
        [sys.executable, "-c", CONTENDERS],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert contest.stdout.strip().endswith("[0, 0, 0, 0, 0]"), contest.stdout[-1000:] + contest.stderr[-3000:]
