"""Where the project is, and where a test's runs go."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def mlflow_in(folder: Path) -> Iterator[Path]:
    """Within the block MLflow is, in this process, what it is to a process that is started in the folder."""
    if not (folder / "mlflow.db").exists():
        _begin_store(folder)
    with _mlflow_as_started_in(folder):
        yield folder


@contextmanager
def _mlflow_as_started_in(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
            patch.setenv(name, "")  # so that what mlflow sets there is undone afterwards
            patch.delenv(name)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        yield


def _begin_store(folder: Path) -> None:
    """Writes an empty store to the folder; a process that a test starts in a folder without one makes it itself."""
    (folder / "mlflow.db").write_bytes(_empty_store())
    with closing(sqlite3.connect(folder / "mlflow.db")) as store, store:
        store.execute("UPDATE experiments SET artifact_location = ?", (str(folder / "mlruns" / "0"),))


@cache
def _empty_store() -> bytes:
    """What MLflow makes where there is no store, once in a process: its tables take seconds."""
    import mlflow  # not above: nobody ignores its remark that early

    with TemporaryDirectory() as name, _mlflow_as_started_in(Path(name)):
        mlflow.MlflowClient().search_experiments()
        return Path(name, "mlflow.db").read_bytes()
