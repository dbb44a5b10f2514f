"""Moments at which a process kills itself: the entry or the exit of a function that is patched from outside."""

import functools
import importlib
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TRACKING = "mlflow.store.tracking.sqlalchemy_store:SqlAlchemyStore"
_REGISTRY = "mlflow.store.model_registry.sqlalchemy_store:SqlAlchemyStore"
TARGETS = {  # what happens there, and the function in which it does
    "the run is started": "mlflow:start_run",
    "the run is created": f"{_TRACKING}.create_run",
    "a tag is set": f"{_TRACKING}.set_tag",
    "parameters, tags or metrics are logged": f"{_TRACKING}.log_batch",
    "the settings are logged": "fairprof.store.tracking:log_settings",
    "the data set is logged": f"{_TRACKING}.log_inputs",
    "an artifact is written": "mlflow.store.artifact.local_artifact_repo:LocalArtifactRepository.log_artifact",
    "a file takes its place": "os:replace",
    "room in the cache is made": "fairprof.runtime.cache:Cache.make_room",
    "a checkpoint is written": "torch:save",
    "weights are written": "safetensors.numpy:save",
    "an epoch is measured": "fairprof.measurement.validation:ValidationMeasure.__call__",
    "the training is fitted": "fairprof.commands.train.run:fitted",
    "the training is logged": "fairprof.commands.train.outcome:log_training",
    "maps are logged": "fairprof.commands.train.outcome:log_maps",
    "the model is registered": "fairprof.store.registry:register_model",
    "the model is logged": "fairprof.store.registry:_log_model",
    "the logged model is created": f"{_TRACKING}.create_logged_model",
    "the logged model is finished": f"{_TRACKING}.finalize_logged_model",
    "the registered model is created": f"{_REGISTRY}.create_registered_model",
    "the version is created": f"{_REGISTRY}.create_model_version",
    "the version is tagged": f"{_REGISTRY}.set_model_version_tag",
    "the model is tagged": f"{_REGISTRY}.set_registered_model_tag",
    "the champion moves": f"{_REGISTRY}.set_registered_model_alias",
    "a folder is removed": "shutil:rmtree",
    "the run is closed": f"{_TRACKING}.update_run_info",
}
OF_STORES = {
    "tables are made": "mlflow.store.db.utils:_initialize_tables",
    "tables are brought up to date": "alembic.command:upgrade",
    "the experiment is created": f"{_TRACKING}.create_experiment",
}
OF_STUDIES = {
    "a run of the study is trained": "fairprof.commands.study.workers:train",
    "a seed is registered": "fairprof.store.registry:register_model",
    "the version is created": f"{_REGISTRY}.create_model_version",
    "the version is tagged": f"{_REGISTRY}.set_model_version_tag",
    "the champion moves": f"{_REGISTRY}.set_registered_model_alias",
    "the runs are compared": "fairprof.commands.study.run:compare_and_log",
    "a table is logged": "fairprof.store.tracking:log_table",
    "the study's settings are logged": "fairprof.store.tracking:log_settings",
    "the run is closed": f"{_TRACKING}.update_run_info",
}
OF_SEARCHES = {
    "a trial is trained": "fairprof.commands.tune.trials:validation_scores",
    "an epoch of a trial is measured": "fairprof.measurement.validation:ValidationMeasure.__call__",
    "the results are logged": "fairprof.commands.tune.run:log_findings",
    "a checkpoint is written": "torch:save",
}


@dataclass(frozen=True)
class Window:
    """The entry or the exit of a call of a function, counted from 1."""

    what: str
    target: str
    at_exit: bool
    call: int

    def __str__(self) -> str:
        return f"{'after' if self.at_exit else 'before'} {self.what} ({self.target}, call {self.call})"

    def arm(self) -> None:
        """Lets this process kill itself there."""
        calls = Counter[str]()

        def around(function: Callable, *args, **kwargs):
            calls[self.target] += 1
            here = calls[self.target] == self.call
            if here and not self.at_exit:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        _patch(self.target, around)


def count_calls(targets: dict[str, str], file: Path) -> None:
    """Has this process write how often each target is called, at every call."""
    calls = Counter[str]()
    for target in targets.values():

        def around(function: Callable, *args, target=target, **kwargs):
            calls[target] += 1
            file.write_text(json.dumps(calls))
            return function(*args, **kwargs)

        _patch(target, around)


def _patch(target: str, around: Callable) -> None:
    """Replaces a function, wherever it is a name of a module of this project."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    function = getattr(owner, name)

    @functools.wraps(function)
    def replaced(*args, **kwargs):
        return around(function, *args, **kwargs)

    setattr(owner, name, replaced)
