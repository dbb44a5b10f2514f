"""MLflow's model registry: registering a trained classifier as one version, and reading a registered one again."""

import base64
import hashlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import mlflow
import pandas as pd
import safetensors
import safetensors.torch
import torch
from mlflow.entities import LoggedModelInput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS
from PIL import Image

from fairprof import serving
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS
from fairprof.errors import UserError
from fairprof.plain_text import unhidden
from fairprof.store import claims, pages, server, tracking
from fairprof.store.champion import (
    CHAMPION,
    CHAMPION_METRIC,
    CHAMPION_TAG,
    DEGENERATE_TAG,
    leave_champion_unsettled,
    settle_champion,
    tell_of_champion,
)
from fairprof.store.tracking import LoggedRun

DESCRIPTION_TAG = "fairprof.description"  # of a model: the digest of the description as it was written here
RUN_KEY_TAG = "fairprof.run_key"  # equal for versions of the same training, as for runs
PATIENCE = 300.0  # seconds that a finished training waits for others that decide on the same champion
TRIES, PAUSE = 5, 0.5  # of a write to the registry that somebody else's disturbs, and seconds before the next one
MODEL_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pyarrow", "safetensors", "torch", "torchvision")

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry, whether it is the champion now, and why."""

    name: str
    version: str
    champion: bool
    reason: str


def register_model(
    tensors: dict[str, torch.Tensor],
    gradcam_layer: str,
    settings: Settings,
    classes: tuple[str, ...],
    pool_fingerprint: str,
    run_key: str,
    headline: dict[str, float],
    degenerate: str | None = None,
) -> RegisteredVersion:
    """Logs the classifier as an MLflow model and registers it as the next version of `fairprof-<experiment>`.

    run_key: equal for runs that train the same; versions that such a run has left without finishing are deleted.

    The model needs no code of this project and unpickles nothing. gradcam_layer: path of the block of the network
    whose maps explain it. headline: metrics for the version's description and tags; `best_val/macro_f1` among them
    decides whether the alias `champion` moves here. degenerate: the class that it answers for every test image, if it
    does; it then never replaces a champion that tells images apart.
    """
    name = f"fairprof-{settings.experiment}"
    model = {
        "architecture": settings.architecture,
        "classes": list(classes),
        "image_size": settings.image_size,
        "gradcam_layer": gradcam_layer,
    }
    with tempfile.TemporaryDirectory() as folder:
        weights, description = Path(folder) / "weights.safetensors", Path(folder) / "settings.json"
        # `save_file` has an error of its own for a full disk
        weights.write_bytes(safetensors.torch.save({key: value.contiguous() for key, value in tensors.items()}))
        description.write_text(json.dumps(model | {"settings": settings.model_dump()}, indent=2), encoding="utf-8")
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=serving.__file__,
            signature=_signature(classes),
            input_example=_example_input(),
            artifacts={"weights": str(weights), "settings": str(description)},
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in MODEL_REQUIREMENTS],
            tags={RUN_KEY_TAG: run_key},
        )
    tags = pages.version_tags(headline) | {CHAMPION_TAG: f"{headline[CHAMPION_METRIC]:.4f}"}
    tags |= {
        RUN_KEY_TAG: run_key,
        "fairprof.pool": pool_fingerprint,
        "fairprof.hyperparameters": settings.hyperparameters_hash(),
    }
    if degenerate is not None:
        tags[DEGENERATE_TAG] = unhidden(degenerate)
    model_id = str(info.model_id)
    number = _create_version(name, model_id, tags, _version_description(settings, headline, degenerate))
    try:
        with claims.held(f"champion of {name}", PATIENCE):
            _again(lambda: _describe_model(name, settings.experiment, classes))
            superseded = _superseded_versions(name, number, run_key)
            champion, reason, before = _again(lambda: settle_champion(name, number, tags, superseded))
            _again(lambda: tell_of_champion(name, number, champion, reason, before))
            _again(lambda: _delete_superseded(name, number, run_key, model_id))
    except (MlflowException, UserError) as error:  # of others' making: the training has ended well
        if server.is_away(error):
            raise
        champion, reason = leave_champion_unsettled(name, number, error)
    return RegisteredVersion(name, number, champion, reason)


@dataclass(frozen=True)
class StoredModel:
    """What the registry keeps of one version: its settings (architecture, classes, image_size, and the training's own
    under `settings`), its state dict, its tags, and the run that trained it."""

    name: str
    version: str
    model_id: str
    run: LoggedRun
    tags: dict[str, str]
    settings: dict
    weights: dict[str, torch.Tensor]

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


def load_registered(reference: str) -> StoredModel:
    """The version that a reference names; nothing of it is executed.

    reference: `B` or `fairprof-B` (the champion), `fairprof-B@alias`, `B/3`, `fairprof-B/latest`, each with or without
    `models:/` before it. Raises `UserError` where there is none, or it is not a model of this project.
    """
    tracking.keep_quiet()
    version = _find_version(reference)
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{version.name}/{version.version}", dst_path=folder
                )
            )
            settings = json.loads((files / "artifacts" / "settings.json").read_text(encoding="utf-8"))
            weights = safetensors.torch.load_file(files / "artifacts" / "weights.safetensors")
        except (MlflowException, OSError, ValueError, safetensors.SafetensorError) as error:
            raise UserError(
                f"{version.name} version {version.version} cannot be read as a model of fairprof "
                f"({' '.join(str(error).split())[:100]}): name another version, or train it again"
            ) from None
    run = tracking.get_run(str(version.run_id))
    # the registry of MLflow 3.17 leaves `model_id` empty in databases; the version's source names the model
    model_id = version.model_id or str(version.source).removeprefix("models:/")
    return StoredModel(version.name, str(version.version), model_id, run, version.tags, settings, weights)


def version_of_run(run: LoggedRun) -> str:
    """A reference to the newest version that a run has registered; raises `UserError` where there is none."""
    versions = mlflow.MlflowClient().search_model_versions(f"run_id='{run.run_id}'")
    if not versions:
        raise UserError(f"{run.name} ({run.run_id}) has no registered model: it was deleted; train it again")
    newest = max(versions, key=lambda found: int(found.version))
    return f"{newest.name}/{newest.version}"


@server.needed()
def _find_version(reference: str) -> ModelVersion:
    name, _, number = reference.strip().removeprefix("models:/").partition("/")
    name, _, alias = name.partition("@")
    name = f"fairprof-{name.upper()}" if len(name) == 1 else name
    client = mlflow.MlflowClient()
    try:
        if number == "latest":
            return max(client.search_model_versions(f"name='{name}'"), key=lambda found: int(found.version))
        if number:
            return client.get_model_version(name, number)
        return client.get_model_version_by_alias(name, alias or CHAMPION)
    except (MlflowException, ValueError):
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise UserError(
            f"there is no registered model {reference} in {mlflow.get_registry_uri()} (registered are: {known}): name "
            "one as fairprof-B, fairprof-B@champion or fairprof-B/3, or train it first with `mlflow run . -P "
            "experiment=B`"
        ) from None


def link_to_model(model: StoredModel, metrics: dict[str, float]) -> None:
    """Makes a model the input of the active run, and shows metrics of the run on the model's own page, beside the data
    set that the run has logged."""
    run_id = tracking.active_run_id()
    client = mlflow.MlflowClient()
    client.log_inputs(run_id, models=[LoggedModelInput(model.model_id)])
    inputs = client.get_run(run_id).inputs
    datasets = inputs.dataset_inputs if inputs else []
    mlflow.log_metrics(
        {name: float(value) for name, value in metrics.items()},
        model_id=model.model_id,
        dataset=datasets[0].dataset if datasets else None,
    )


def tag_version(model: StoredModel, tags: dict[str, str]) -> None:
    """Tags of a registered version."""
    for name, value in tags.items():
        mlflow.MlflowClient().set_model_version_tag(model.name, model.version, name, value)


def _signature(classes: tuple[str, ...]) -> ModelSignature:
    outputs: list[ColSpec | TensorSpec] = [ColSpec("string", "profession"), ColSpec("double", "probability")]
    outputs += [ColSpec("double", f"probability_{name}") for name in classes]
    outputs += [ColSpec("binary", "gradcam", required=False), ColSpec("string", "error", required=False)]
    params = [ParamSpec("explain", "boolean", False), ParamSpec("invalid_rows", "string", "refuse")]
    # without a name, or MLflow would refuse plain lists; of any type, or it would make arrays of texts that are all as
    # wide as the longest: the model itself checks names and values
    inputs = Schema([ColSpec(AnyType())])
    return ModelSignature(inputs=inputs, outputs=Schema(outputs), params=ParamSchema(params))


def _example_input() -> pd.DataFrame:
    """One grey picture as base64 text, as a client would send it."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(buffer, "PNG")
    return pd.DataFrame({"image": [base64.b64encode(buffer.getvalue()).decode()]})


def _describe_model(name: str, design: str, classes: tuple[str, ...]) -> None:
    """Writes the model's description anew, unless somebody else has written the one that is there."""
    client = mlflow.MlflowClient()
    model = client.get_registered_model(name)
    if model.description and model.tags.get(DESCRIPTION_TAG) != _digest(model.description):
        return
    text = pages.model_description(name, design, DESIGNS[design].balanced, classes)
    client.update_registered_model(name, text)
    client.set_registered_model_tag(name, DESCRIPTION_TAG, _digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version_description(settings: Settings, headline: dict[str, float], degenerate: str | None) -> str:
    first = pages.degenerate_warning(degenerate) if degenerate is not None else ""
    rows = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in headline.items())
    return (
        f"{first}Design {settings.experiment}, seed {settings.seed}, data `{settings.data.partition(':')[0]}`, "
        f"hyperparameters `{settings.hyperparameters_hash()}`.\n\n| metric | value |\n|---|---|\n{rows}\n\n"
        "Takes encoded images, bytes or base64 text, as a list or as a data frame's column `image`. Adds `gradcam` "
        'with `params={"explain": true}` and `error` with `params={"invalid_rows": "report"}`.\n\n'
        "For research on data set composition; not for decisions about people."
    )


def _again(work: Callable[[], Outcome]) -> Outcome:
    """Does work that others may disturb who write to the registry at the same moment; several times at most."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except MlflowException as error:
            if server.is_away(error):
                raise
            time.sleep(PAUSE)
    return work()


# --- one version a run --------------------------------------------------------------------------------------------


def _create_version(name: str, model_id: str, tags: dict[str, str], description: str) -> str:
    """Registers a logged model as the next version of `name`, complete in one step, and returns its number."""
    client = mlflow.MlflowClient()

    def create() -> ModelVersion:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        return client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=tracking.active_run_id(),
            tags=tags,
            description=description,
            model_id=model_id,
        )

    created = _again(create)
    versions = json.dumps([{"name": name, "version": created.version}])
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: versions})  # the model's page shows it by them
    return str(created.version)


def _superseded_versions(name: str, number: str, run_key: str) -> list[str]:
    """Other versions of the same training, by their numbers, that are left over."""
    tracking.close_abandoned_runs()
    found = mlflow.MlflowClient().search_model_versions(
        f"name = '{name}' and tags.`{RUN_KEY_TAG}` = '{run_key}'", max_results=1000
    )
    numbers = [str(version.version) for version in found if _is_left_over(version.run_id)]
    return sorted(set(numbers) - {number}, key=int)


def _is_left_over(run_id: str | None) -> bool:
    """Whether what a run has registered is the active run's to replace: it did not finish, or is the active one, whose
    call was sent twice when the answer to the first got lost."""
    if run_id == tracking.active_run_id():
        return True
    run = tracking.find_run(str(run_id))
    return run is not None and run.status in ("KILLED", "FAILED")


def _delete_superseded(name: str, number: str, run_key: str, model_id: str) -> None:
    """Deletes what is left over of the same training, and says so; models that were never registered as well, which
    would look finished."""
    client = mlflow.MlflowClient()
    for other in _superseded_versions(name, number, run_key):
        client.delete_model_version(name, other)
        print(
            f"{name} version {other} is deleted: the run of the same training that registered it did not finish",
            file=sys.stderr,
            flush=True,
        )
    experiment = client.get_run(tracking.active_run_id()).info.experiment_id
    for model in client.search_logged_models([experiment], f"tags.`{RUN_KEY_TAG}` = '{run_key}'"):
        if model.model_id != model_id and _is_left_over(model.source_run_id):
            client.delete_logged_model(model.model_id)
