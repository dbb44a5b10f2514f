"""What the real runs share: models that are trained once for the whole suite."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from fairprof.config import Settings
from tests.places import mlflow_in


@pytest.fixture(scope="session")
def trained_once(common_folder, synthetic_cache) -> Path:
    """A folder in which designs A and B were trained on the embedded data at 64 pixels, by one process for all.

    Their models tell images apart: what is evaluated, explained and served is not degenerate.
    """
    # not above: nobody ignores MLflow's remark that early
    import mlflow

    from fairprof.commands.train.run import run_experiment
    from fairprof.store.champion import DEGENERATE_TAG
    from tests.entrypoints.runs import TELLING

    folder = common_folder / "trained"
    folder.mkdir(exist_ok=True)
    settings = TELLING | {"cache_dir": str(synthetic_cache)}
    with FileLock(folder / "lock"), mlflow_in(folder):
        if not (folder / "done").exists():
            for experiment in ("A", "B"):
                run_id = run_experiment(Settings(experiment=experiment, **settings))
                assert DEGENERATE_TAG not in mlflow.get_run(run_id).data.tags
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="module")
def trained(trained_once, tmp_path_factory) -> Path:
    """A folder with a store of the module's own that begins with the runs and the models of `trained_once`."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(trained_once / "mlflow.db", folder)  # artifacts are read where they were written
    return folder
