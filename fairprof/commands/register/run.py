"""The path of a registration: from a run that has finished to the next version of its registered model."""

from fairprof.commands.train.registration import register
from fairprof.config import NEWEST, OF_RUN, RegisterSettings
from fairprof.errors import UserError
from fairprof.network.loaded import load_model
from fairprof.store import registry, tracking
from fairprof.store.models import run_reference
from fairprof.store.tracking import LoggedRun


def run_registration(settings: RegisterSettings) -> str:
    """Registers the model of a run as its training would have; returns the id of the registration's MLflow run.

    Raises `UserError` where there is no such run, it has trained no model to the end, or it has registered it already.
    """
    run_id = _newest_training().run_id if settings.run == NEWEST else settings.run.strip().removeprefix(OF_RUN)
    model = load_model(run_reference(run_id))
    earlier = registry.version_of_run(run_id)
    if earlier is not None:
        raise UserError(
            f"run {run_id} ({model.run.name}) is registered already, as {earlier.name} version {earlier.version}: load "
            f"it as models:/{earlier.name}/{earlier.version}, or name another run"
        )
    tags = {"fairprof.role": "registration", "fairprof.model": run_reference(run_id)}
    with tracking.started_run(f"register-{model.run.name}", tags) as registration:
        version = register(model.stored)
        tracking.set_tags({"fairprof.version": f"{version.name}/{version.version}"})
    print(
        f"{model.run.name} is registered as {version.name} version {version.version} ({version.reason}): load it with "
        f'mlflow.pyfunc.load_model("models:/{version.name}/{version.version}")',
        flush=True,
    )
    return registration


def _newest_training() -> LoggedRun:
    runs = tracking.find_runs({"fairprof.role": "run"})
    if not runs:
        raise UserError("run=newest: no training has finished yet: start `mlflow run . -P experiment=B` first")
    return runs[0]
