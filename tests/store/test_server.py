"""A real tracking server that goes away while a run is open."""

import os
import threading
from contextlib import ExitStack

import mlflow
import pytest

from fairprof.errors import ServerAway, shown_in_one_line
from fairprof.store import tracking
from tests.servers import free_port, mlflow_server


@pytest.mark.slow
def test_a_run_outlives_a_server_that_goes_and_returns_and_says_in_one_line_that_it_stays_away(
    tmp_path, monkeypatch, capsys
):
    port, store = free_port(), f"sqlite:///{tmp_path}/mlflow.db"
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    run = tracking.started_run("outlives", {})
    with mlflow_server(tmp_path, store, port):
        run_id = run.__enter__()
        tracking.log_metrics({"before": 1.0})
    with ExitStack() as again:
        returning = threading.Timer(2.0, lambda: again.enter_context(mlflow_server(tmp_path, store, port)))
        returning.start()
        tracking.log_metrics({"meanwhile": 2.0})  # waits for the server
        returning.join()
        run.__exit__(None, None, None)
        logged = mlflow.get_run(run_id)
        assert logged.data.metrics == {"before": 1.0, "meanwhile": 2.0} and logged.info.status == "FINISHED"
        away = tracking.started_run("stays away", {})
        away.__enter__()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(SystemExit) as shown, shown_in_one_line(tmp_path):
        try:
            tracking.log_metrics({"lost": 3.0})
        except Exception as error:
            away.__exit__(type(error), error, error.__traceback__)
    assert str(shown.value).startswith(
        f"fairprof: error: the tracking server http://127.0.0.1:{port} does not answer ([Errno 111] Connection refused)"
    )
    assert isinstance(shown.value.__context__, ServerAway) and os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert not list(tmp_path.glob("error-*.log"))
