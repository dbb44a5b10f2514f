"""MLflow's model registry: registering a trained classifier, its champion, and reading a registered one again."""

import base64
import hashlib
import io
import json
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
import safetensors
import safetensors.torch
import torch
from mlflow.entities import LoggedModelInput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from PIL import Image

from fairprof import serving
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS
from fairprof.errors import UserError
from fairprof.store import pages, tracking
from fairprof.store.tracking import LoggedRun

CHAMPION = "champion"
CHAMPION_RULE = "val_macro_f1"
CHAMPION_METRIC = "best_val/macro_f1"
CHAMPION_TAG = "best_val.macro_f1"
DEGENERATE_TAG = "fairprof.degenerate"  # of a run and of a version: the class that it answers for every test image
DESCRIPTION_TAG = "fairprof.description"  # of a model: the digest of the description as it was written here
MODEL_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pyarrow", "safetensors", "torch", "torchvision")


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
    headline: dict[str, float],
    degenerate: str | None = None,
) -> RegisteredVersion:
    """Logs the classifier as an MLflow model and registers it as the next version of `fairprof-<experiment>`.

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
        safetensors.torch.save_file({key: value.contiguous() for key, value in tensors.items()}, weights)
        description.write_text(json.dumps(model | {"settings": settings.model_dump()}, indent=2), encoding="utf-8")
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=serving.__file__,
            signature=_signature(classes),
            input_example=_example_input(),
            artifacts={"weights": str(weights), "settings": str(description)},
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in MODEL_REQUIREMENTS],
            registered_model_name=name,
        )
    _describe_model(name, settings.experiment, classes)
    number = str(info.registered_model_version)
    return _describe_version(name, number, settings, pool_fingerprint, headline, degenerate)


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


def _describe_version(
    name: str,
    number: str,
    settings: Settings,
    pool_fingerprint: str,
    headline: dict[str, float],
    degenerate: str | None,
) -> RegisteredVersion:
    client = mlflow.MlflowClient()
    first = f"**Degenerate**: it answers {degenerate} for every test image.\n\n" if degenerate is not None else ""
    rows = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in headline.items())
    client.update_model_version(
        name,
        number,
        description=(
            f"{first}Design {settings.experiment}, seed {settings.seed}, data `{settings.data.partition(':')[0]}`, "
            f"hyperparameters `{settings.hyperparameters_hash()}`.\n\n| metric | value |\n|---|---|\n{rows}\n\n"
            "Takes encoded images, bytes or base64 text, as a list or as a data frame's column `image`. Adds `gradcam` "
            'with `params={"explain": true}` and `error` with `params={"invalid_rows": "report"}`.\n\n'
            "For research on data set composition; not for decisions about people."
        ),
    )
    tags = pages.version_tags(headline) | {CHAMPION_TAG: f"{headline[CHAMPION_METRIC]:.4f}"}
    tags |= {
        "fairprof.pool": pool_fingerprint,
        "fairprof.hyperparameters": settings.hyperparameters_hash(),
    }
    if degenerate is not None:
        tags[DEGENERATE_TAG] = degenerate
    champion, reason = _champion_decision(client, name, pool_fingerprint, headline[CHAMPION_METRIC], degenerate)
    for key, value in (tags | {"fairprof.champion": reason}).items():
        client.set_model_version_tag(name, number, key, value)
    if champion:
        _move_champion(client, name, number, reason)
    return RegisteredVersion(name, number, champion, reason)


def _move_champion(client: mlflow.MlflowClient, name: str, number: str, reason: str) -> None:
    """Moves the alias; the version that had it says who has it now and why, and the model's page says so too."""
    before = client.get_registered_model(name).aliases.get(CHAMPION)
    client.set_registered_model_alias(name, CHAMPION, number)
    move = f"version {number}, {reason}"
    if before is not None:
        client.set_model_version_tag(name, str(before), "fairprof.replaced_by", move)
    client.set_registered_model_tag(name, "fairprof.champion", move)


def _champion_decision(
    client: mlflow.MlflowClient, name: str, pool_fingerprint: str, score: float, degenerate: str | None
) -> tuple[bool, str]:
    """Whether a new version becomes champion by the rule `val_macro_f1`, and the reason as a sentence.

    Before the rule: a version that answers one class for every image never replaces one that does not, and always
    gives way to one that does not.
    """
    aliases = client.get_registered_model(name).aliases
    if CHAMPION not in aliases:
        return True, f"rule {CHAMPION_RULE}: {score:.4f}, the first version"
    number = str(aliases[CHAMPION])
    tags = client.get_model_version(name, number).tags
    if degenerate is not None and DEGENERATE_TAG not in tags:
        return False, (
            f"rule {CHAMPION_RULE}: {score:.4f}, but it answers {degenerate} for every test image, which champion "
            f"version {number} does not"
        )
    if degenerate is None and DEGENERATE_TAG in tags:
        return True, (
            f"rule {CHAMPION_RULE}: {score:.4f}; champion before was version {number}, which answers "
            f"{tags[DEGENERATE_TAG]} for every test image"
        )
    if tags.get("fairprof.pool") != pool_fingerprint:
        return True, (
            f"rule {CHAMPION_RULE}: {score:.4f}; champion before was version {number}, trained on other data, "
            "so that the two scores cannot be compared and the newer data count"
        )
    if CHAMPION_TAG not in tags:
        return True, (
            f"rule {CHAMPION_RULE}: {score:.4f}; champion before was version {number}, chosen by another rule, "
            "so that it has no score to compare with and the newer version counts"
        )
    other = float(tags[CHAMPION_TAG])  # four digits, so the new score counts with four as well
    better = float(f"{score:.4f}") > other
    verdict = "more" if better else "not more"
    return (
        better,
        f"rule {CHAMPION_RULE}: {score:.4f} is {verdict} than {other:.4f} of champion version {number}",
    )
