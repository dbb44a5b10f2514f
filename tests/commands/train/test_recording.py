"""A run that is handed over piece by piece, in a real store: what is kept of it, and what a failure leaves."""

import mlflow
import pytest

from fairprof.commands.train.recording import Recording, recorded
from fairprof.errors import UserError
from fairprof.runtime.beside import HERE, Beside
from fairprof.store import tracking

LOGS = "fairprof.store.tracking.log_metrics"


@pytest.fixture(scope="module")
def beside(store):
    process = Beside(["fairprof.commands.train.recorder"])
    yield process
    process.close()


@pytest.fixture(params=["here", "beside"])
def recorder(request):
    return HERE if request.param == "here" else request.getfixturevalue("beside")


def kept(run_id: str):
    return mlflow.MlflowClient().get_run(run_id)


def newest():
    (run,) = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("fairprof").experiment_id], max_results=1)
    return run


def test_what_is_handed_over_is_kept_and_the_run_has_finished(recorder):
    with recorded(recorder, "B-seed0", {"fairprof.design": "B"}) as recording:
        recording.work({"prefix/computed_images": 280})
        recording.epoch(1, {"val/loss": 0.5, "val/macro_f1": float("nan")})
        recording.tags({"fairprof.resumed": "true"})
        assert kept(recording.run_id()).info.status == "RUNNING"
    run = kept(recording.run_id())
    assert (run.info.run_name, run.info.status) == ("B-seed0", "FINISHED")
    assert run.data.metrics == {"val/loss": 0.5} and tracking.load_values(run.info.run_id) == {
        "prefix/computed_images": 280
    }
    assert run.data.tags["fairprof.design"] == "B" and run.data.tags["fairprof.resumed"] == "true"


def test_an_error_while_it_trains_ends_the_run_as_failed_with_its_name(recorder, refused):
    left = []
    with refused("epochs=0"), recorded(recorder, "B-seed1", {}) as recording:
        recording.until_recorded.push(lambda *error: left.append(error[0]))
        raise UserError("epochs=0: give more")
    run = newest()
    assert (run.info.run_name, run.info.status) == ("B-seed1", "FAILED")
    assert run.data.tags["fairprof.error"] == "UserError: epochs=0: give more"
    assert left == [UserError]


def test_a_piece_that_cannot_be_logged_ends_it_as_failed_and_later_pieces_are_left_out(recorder, refused):
    with refused("run nobody: no such thing"), recorded(recorder, "B-seed2", {}) as recording:
        recording.epoch(1, {"val/loss": 1})
        recording._log(f"{__name__}.refuse")
        recording.epoch(1, {"train/loss": 2})
    run = newest()
    assert (run.info.run_name, run.info.status) == ("B-seed2", "FAILED")
    assert run.data.metrics == {"val/loss": 1} and "no such thing" in run.data.tags["fairprof.error"]


def refuse() -> None:
    raise UserError("run nobody: no such thing")


def test_of_two_runs_handed_over_at_once_each_has_its_own_and_both_are_of_their_parent(beside):
    with tracking.started_run("study-AB", {}) as study_id:
        recordings = [Recording(beside, name, {}, study_id) for name in ("A-seed0",)]
        recordings[0].epoch(1, {"val/loss": 1})
        recordings[0].close()
        recordings.append(Recording(beside, "B-seed0", {}, study_id))
        recordings[1].epoch(1, {"val/loss": 2})
        recordings[1].close()
        runs = [kept(recording.wait()) for recording in recordings]
    assert [run.data.metrics["val/loss"] for run in runs] == [1, 2]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {study_id}
    assert all(recording.is_recorded() for recording in recordings)
    assert kept(study_id).data.metrics == {}


def test_a_failure_of_one_run_leaves_the_next_alone(beside):
    with tracking.started_run("study-AB", {}) as study_id:
        first = Recording(beside, "A-seed0", {}, study_id)
        beside.do("fairprof.commands.train.recorder.log", f"{__name__}.refuse")
        first._pieces.clear()  # as if it had been handed over before anything was logged
        first.close()
        second = Recording(beside, "B-seed0", {}, study_id)
        second.epoch(1, {"val/loss": 2})
        second.close()
        with pytest.raises(UserError, match="no such thing"):
            first.wait()
        assert kept(second.wait()).info.status == "FINISHED"
        assert kept(first.run_id()).info.status == "FAILED"


def test_of_a_training_on_a_gpu_the_machine_is_watched(beside, monkeypatch):
    beside.do("mlflow.set_system_metrics_sampling_interval", 0.2).result()
    with recorded(beside, "B-seed0", {}, gpu=True) as recording:
        beside.do("time.sleep", 1.5).result()
    watched = [name for name in kept(recording.run_id()).data.metrics if name.startswith("system/")]
    assert "system/cpu_utilization_percentage" in watched
