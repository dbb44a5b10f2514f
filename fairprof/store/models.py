"""Trained models as the store keeps them: a version of the registry, or a run that has none."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import safetensors
import safetensors.numpy
from mlflow.entities import LoggedModelInput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fairprof.config import OF_RUN, PATHS, Settings
from fairprof.errors import UserError
from fairprof.runtime.files import without_folders
from fairprof.serving import IMAGENET, STUDYS_HEAD, DecisionRule, ExplainedLayer, HeadKind, Preprocessing, head_in
from fairprof.store import server, tracking
from fairprof.store.champion import CHAMPION
from fairprof.store.tracking import LoggedRun

BEST_WEIGHTS, LAST_WEIGHTS = "training/best.safetensors", "training/last.safetensors"
MODEL_SETTINGS = "training/model.json"
MODEL_KEYS = {"architecture", "classes", "image_size", "gradcam_layer", "settings"}  # of `model_settings`
FROZEN_TAG = "fairprof.frozen"  # of a run and of a version: the digest of the weights that its run does not keep


@dataclass(frozen=True)
class StoredVersion:
    """A version in the registry, and the id of the MLflow model that it is."""

    name: str
    number: str
    model_id: str


@dataclass(frozen=True)
class StoredModel:
    """What is kept of a trained model: its settings (as `model_settings` makes them), its state dict, the run that
    trained it, and the version that it was loaded from; None where it is the run's own."""

    run: LoggedRun
    settings: dict
    weights: dict[str, np.ndarray]
    version: StoredVersion | None = None

    @property
    def reference(self) -> str:
        """What it is loaded by: `fairprof-B/3` or `run:ID`."""
        return run_reference(self.run.run_id) if self.version is None else f"{self.version.name}/{self.version.number}"

    @property
    def short_name(self) -> str:
        """What a run about it is called after: `fairprof-B-3` or `B-seed3`."""
        return self.run.name if self.version is None else f"{self.version.name}-{self.version.number}"

    @property
    def rule(self) -> DecisionRule | None:
        """By which classes are decided on; None: the most probable one. Raises KeyError, TypeError or ValueError where
        it is damaged."""
        return rule_in(self.settings)

    @property
    def head(self) -> HeadKind:
        """What computes logits from the features of its network. Raises TypeError where it is damaged."""
        return head_in(self.settings)

    @property
    def pool_fingerprint(self) -> str:
        """Of the pool that its training images were drawn from."""
        return self.run.params["pool_fingerprint"]

    def __str__(self) -> str:
        return self.run.name if self.version is None else f"{self.version.name} version {self.version.number}"


def run_reference(run_id: str) -> str:
    """What the model of a run is loaded by, whether it is registered or not."""
    return f"{OF_RUN}{run_id}"


def model_settings(
    settings: Settings,
    classes: tuple[str, ...],
    explained_layer: ExplainedLayer,
    rule: DecisionRule | None = None,
    fit: Mapping[str, float] | None = None,
    preprocessing: Preprocessing = IMAGENET,
    head: HeadKind = STUDYS_HEAD,
    baseline: Mapping[str, float] | None = None,
) -> dict:
    """What a model is beside its weights, as JSON holds it; settings: of its training, without where files lie, which
    the run's parameters say. explained_layer, preprocessing: of the network. rule: by which classes are decided on,
    where they are not the most probable ones. fit: numbers by name of what a method has fitted on validation images.
    head: what computes logits from the network's features. baseline: numbers by name of what a baseline has fitted."""
    of_training = settings.model_dump(exclude={"cache_dir"})
    return (
        {
            "architecture": settings.architecture,
            "classes": list(classes),
            "image_size": settings.image_size,
            **explained_layer.as_json(),
            "settings": of_training
            | {name: without_folders(of_training[name]) for name in PATHS if name in of_training},
        }
        | ({} if preprocessing == IMAGENET else {"preprocessing": preprocessing.as_json()})
        | ({} if rule is None else {"rule": rule.as_json()})
        | ({"fit": dict(fit)} if fit else {})
        | ({} if head == STUDYS_HEAD else {"head": head.as_json()})
        | ({"baseline": dict(baseline)} if baseline else {})
    )


def rule_in(described: dict) -> DecisionRule | None:
    """The rule in what `model_settings` makes; None where there is none. Raises KeyError, TypeError or ValueError where
    it is damaged."""
    return DecisionRule.of_json(described["rule"]) if "rule" in described else None


def load_stored(reference: str) -> StoredModel:
    """The model that a reference names; nothing of it is executed.

    reference: `B` or `fairprof-B` (the champion), `fairprof-B@alias`, `B/3`, `fairprof-B/latest`, each with or without
    `models:/` before it; or `run:ID`, the model of a run, of whose weights there are those that its file holds. Raises
    `UserError` where there is none, or it is not a model of this project.
    """
    tracking.keep_quiet()
    if reference.strip().startswith(OF_RUN):
        return _model_of_run(finished_training(reference.strip().removeprefix(OF_RUN)))
    return _model_of_version(_find_version(reference))


def registered_with(tag: str, value: str) -> Iterator[StoredModel]:
    """The registered versions with a tag that can be read, the newest first."""
    found = mlflow.MlflowClient().search_model_versions(
        f"tags.`{tag}` = '{value}'", order_by=["last_updated_timestamp DESC"]
    )
    for version in found:
        with suppress(UserError):
            yield _model_of_version(version)


def finished_training(run_id: str) -> LoggedRun:
    """The run with this id; raises `UserError` where there is none, or it has not trained a model to the end."""
    run = tracking.get_run(run_id)
    role = run.tags.get("fairprof.role", "run of something else")
    if role != "run":
        raise UserError(f"run {run_id} ({run.name}) has trained no model, it is a {role}: name the run of a training")
    if run.status != "FINISHED":
        raise UserError(
            f"run {run_id} ({run.name}) has not finished, its status is {run.status}: wait for it, or train it again"
        )
    return run


def _model_of_run(run: LoggedRun) -> StoredModel:
    try:
        settings = json.loads(tracking.load_text(run.run_id, MODEL_SETTINGS))
        if not MODEL_KEYS <= set(settings):
            raise ValueError("incomplete")
    except (TypeError, ValueError):
        raise UserError(f"run {run.run_id} ({run.name}): {MODEL_SETTINGS} is damaged: train it again") from None
    return StoredModel(run, settings, tracking.load_weights(run.run_id, BEST_WEIGHTS))


def _model_of_version(version: ModelVersion) -> StoredModel:
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{version.name}/{version.version}", dst_path=folder
                )
            )
            settings = json.loads((files / "artifacts" / "settings.json").read_text(encoding="utf-8"))
            weights = safetensors.numpy.load_file(files / "artifacts" / "weights.safetensors")
        except (MlflowException, OSError, ValueError, safetensors.SafetensorError) as error:
            raise UserError(
                f"{version.name} version {version.version} cannot be read as a model of fairprof "
                f"({' '.join(str(error).split())[:100]}): name another version, or train it again"
            ) from None
    named = StoredVersion(version.name, str(version.version), model_id_of(version))
    return StoredModel(tracking.get_run(str(version.run_id)), settings, weights, named)


def model_id_of(version: ModelVersion) -> str:
    """The id of the MLflow model that a version is."""
    # the registry of MLflow 3.17 leaves `model_id` empty in databases; the version's source names the model
    return version.model_id or str(version.source).removeprefix("models:/")


@server.needed()
def _find_version(reference: str) -> ModelVersion:
    name, _, number = reference.strip().removeprefix("models:/").partition("/")
    name, _, alias = name.partition("@")
    name = f"fairprof-{name.upper()}" if len(name) == 1 else name
    client = mlflow.MlflowClient()
    try:
        if not number and not alias and CHAMPION not in client.get_registered_model(name).aliases:
            raise UserError(
                f"{name} has no champion, since all its versions come from models with a mitigation or the alias was "
                f"taken away: name a version by its number, as in {name}/1"
            )
        if number == "latest":
            return max(client.search_model_versions(f"name='{name}'"), key=lambda found: int(found.version))
        if number:
            return client.get_model_version(name, number)
        return client.get_model_version_by_alias(name, alias or CHAMPION)
    except (MlflowException, ValueError):
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise UserError(
            f"there is no registered model {reference} in {mlflow.get_registry_uri()} (registered are: {known}): name "
            "one as fairprof-B, fairprof-B@champion or fairprof-B/3, a run as run:ID, or train it first with "
            "`mlflow run . -P experiment=B`"
        ) from None


def link_to_model(model: StoredModel, metrics: dict[str, float]) -> None:
    """Makes a registered model the input of the active run, and shows metrics of the run on the model's own page,
    beside the data set that the run has logged; the model of a run has no page."""
    if model.version is None:
        return
    run_id = tracking.active_run_id()
    client = mlflow.MlflowClient()
    client.log_inputs(run_id, models=[LoggedModelInput(model.version.model_id)])
    inputs = client.get_run(run_id).inputs
    datasets = inputs.dataset_inputs if inputs else []
    mlflow.log_metrics(
        {name: float(value) for name, value in metrics.items()},
        model_id=model.version.model_id,
        dataset=datasets[0].dataset if datasets else None,
    )


def tag_model(model: StoredModel, tags: dict[str, str]) -> None:
    """Tags of a registered version; of a run that is a model by itself, the run's."""
    client = mlflow.MlflowClient()
    for name, value in tags.items():
        if model.version is None:
            client.set_tag(model.run.run_id, name, value)
        else:
            client.set_model_version_tag(model.version.name, model.version.number, name, value)
