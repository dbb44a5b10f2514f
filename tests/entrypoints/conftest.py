"""What the real runs share: models that are trained once for the whole suite."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from fairprof.config import Settings
from tests.places import mlflow_in


@pytest.fixture(scope="session")
def trained_once(common_folder, synthetic_cache) -> Path:
    """A folder in which designs A and B were trained on the embedded data at 64 pixels, by one process for all."""
    # not above: they import MLflow, whose remark nobody ignores that early
    from fairprof.commands.train.run import run_experiment
    from tests.entrypoints.runs import BRIEF

    folder = common_folder / "trained"
    folder.mkdir(exist_ok=True)
    settings = BRIEF | {"image_size": 64, "cache_dir": str(synthetic_cache)}
    with FileLock(folder / "lock"), mlflow_in(folder):
        if not (folder / "done").exists():
            for experiment in ("A", "B"):
                run_experiment(Settings(experiment=experiment, **settings))
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="module")
def trained(trained_once, tmp_path_factory) -> Path:
    """A folder with a store of the module's own that begins with the runs and the models of `trained_once`."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(trained_once / "mlflow.db", folder)  # artifacts are read where they were written
    return folder
