"""MLflow's model registry: a trained model becomes one version, once."""

import base64
import hashlib
import io
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS
from PIL import Image

from fairprof import serving
from fairprof.data.designs import DESIGNS
from fairprof.errors import UserError
from fairprof.plain_text import in_markdown
from fairprof.serving import OF_TIMM, DecisionRule
from fairprof.store import claims, pages, server, tracking
from fairprof.store.champion import (
    CHAMPION,
    CHAMPION_METRIC,
    CHAMPION_REASON_TAG,
    CHAMPION_TAG,
    DEGENERATE_TAG,
    MITIGATION_TAG,
    leave_champion_unsettled,
    settle_champion,
    tell_of_champion,
    tell_why,
)
from fairprof.store.models import FROZEN_TAG, StoredModel, model_id_of
from fairprof.store.tracking import LoggedRun

DESCRIPTION_TAG = "fairprof.description"  # of a model: the digest of the description as it was written here
RUN_KEY_TAG = "fairprof.run_key"  # equal for runs and versions of the same training
WEIGHTS_TAGS = ("fairprof.weights_sha256", "fairprof.weights_licence")  # of a run and of a version: what it began with
CHOSEN_TAG = "fairprof.chosen"  # of a version: why it and none of the study's other seeds is registered
PATIENCE = 300.0  # seconds that a finished training waits for others that decide on the same champion
NOT_IN_NAMES = re.compile("[/:.%\"']")  # what MLflow refuses in the name of a model that a run has logged
NEEDS_TAG = "fairprof.needs"  # of a version with a mitigation: of which images it has to know the group
TRIES, PAUSE = 5, 0.5  # of a write to the registry that somebody else's disturbs, and seconds before the next one
MODEL_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pyarrow", "safetensors", "torch", "torchvision")

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class ToldMethod:
    """The method against unfairness that a model was made with. needs: of which images it has to know the group, such
    as "validation, prediction". description: of it, Markdown, a paragraph."""

    name: str
    needs: str
    description: str


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry, whether it is the champion now, and why."""

    name: str
    version: str
    champion: bool
    reason: str


def register_model(
    model: StoredModel, headline: dict[str, float], chosen: str = "", method: ToldMethod | None = None
) -> RegisteredVersion:
    """Logs a trained model, with all its weights, as an MLflow model of its run, registers it as the next version of
    `fairprof-<experiment>`, and decides whether it is the champion. What has been done before is not done again: where
    a process was killed, the next call goes on.

    The MLflow model needs no code of this project and unpickles nothing. headline: metrics for the version's
    description and tags; `best_val/macro_f1` among them decides whether the alias `champion` moves here. A model that
    answers one class for every test image never replaces a champion that tells images apart. Versions that runs of the
    same training have left without finishing are deleted. chosen: why this one of several runs is registered.
    method: with which it was made, if with any; such a version never becomes champion.
    """
    run, design = model.run, model.settings["settings"]["experiment"]
    name = f"fairprof-{design}"
    with claims.held(f"registration of {run.run_id}", PATIENCE):
        version = _newest_version(run.run_id) or _create_version(name, model, headline, chosen, method)
    number = str(version.version)
    try:
        with claims.held(f"champion of {name}", PATIENCE):
            version = mlflow.MlflowClient().get_model_version(name, number)  # another process may have settled it
            if CHAMPION_REASON_TAG in version.tags:
                return _as_settled(version)
            _again(lambda: _describe_model(name, design, tuple(model.settings["classes"])))
            superseded = _superseded_versions(name, number, run)
            champion, reason, before = _again(lambda: settle_champion(name, number, version.tags, superseded))
            _again(lambda: tell_of_champion(name, number, champion, reason, before))
            _again(lambda: _delete_superseded(name, version, run))
            _again(lambda: tell_why(name, number, reason))
    except (MlflowException, UserError) as error:  # of others' making: the training has ended well
        if server.is_away(error):
            raise
        champion, reason = leave_champion_unsettled(name, number, error)
    return RegisteredVersion(name, number, champion, reason)


def version_of_run(run_id: str) -> RegisteredVersion | None:
    """The newest version that a run has registered to the end; None where there is none."""
    version = _newest_version(run_id)
    return None if version is None or CHAMPION_REASON_TAG not in version.tags else _as_settled(version)


def _newest_version(run_id: str) -> ModelVersion | None:
    versions = mlflow.MlflowClient().search_model_versions(f"run_id='{run_id}'")
    return max(versions, key=lambda found: int(found.version), default=None)


def _as_settled(version: ModelVersion) -> RegisteredVersion:
    """A version that has been registered before, as it stands now."""
    alias = mlflow.MlflowClient().get_registered_model(version.name).aliases.get(CHAMPION)
    number = str(version.version)
    return RegisteredVersion(version.name, number, str(alias) == number, version.tags[CHAMPION_REASON_TAG])


class _Untried:
    """MLflow's pyfunc as the flavor of a model that is not loaded once more, with PyTorch and all its weights, to see
    whether it takes its example."""

    @staticmethod
    def save_model(validate_serving_input: bool, **arguments: Any) -> None:
        mlflow.pyfunc.save_model(**arguments)


def _log_model(model: StoredModel) -> str:
    """The trained model as an MLflow model of its run; returns its id."""
    with tempfile.TemporaryDirectory() as folder:
        weights, description = Path(folder) / "weights.safetensors", Path(folder) / "settings.json"
        weights.write_bytes(tracking.as_safetensors(model.weights))
        description.write_text(json.dumps(model.settings, indent=2), encoding="utf-8")
        # `mlflow.pyfunc.log_model` would make it one of the active run, which may only register it
        info = Model.log(
            None,
            _Untried,
            name=NOT_IN_NAMES.sub("_", model.run.name),
            run_id=model.run.run_id,
            flavor_name="pyfunc.ModelFromCode",
            python_model=serving.__file__,
            signature=_signature(tuple(model.settings["classes"]), model.rule),
            input_example=_example_input(model.rule),
            artifacts={"weights": str(weights), "settings": str(description)},
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in _requirements(model)],
            tags={RUN_KEY_TAG: model.run.tags[RUN_KEY_TAG]},
            validate_serving_input=False,
        )
    return str(info.model_id)


def _requirements(model: StoredModel) -> tuple[str, ...]:
    """The packages that a model needs where it is served."""
    return (*MODEL_REQUIREMENTS, "timm") if model.settings["architecture"].startswith(OF_TIMM) else MODEL_REQUIREMENTS


def _version_tags(run: LoggedRun, headline: dict[str, float], method: ToldMethod | None) -> dict[str, str]:
    """Tags of the version that a run registers."""
    of_run = {
        name: run.tags[name]
        for name in (RUN_KEY_TAG, "fairprof.hyperparameters", FROZEN_TAG, DEGENERATE_TAG, *WEIGHTS_TAGS)
        if name in run.tags
    }
    return (
        pages.version_tags(headline)
        | of_run
        | ({} if method is None else {MITIGATION_TAG: method.name, NEEDS_TAG: method.needs})
        | {
            CHAMPION_TAG: f"{headline[CHAMPION_METRIC]:.4f}",
            "fairprof.pool": run.params["pool_fingerprint"],
        }
    )


def _signature(classes: tuple[str, ...], rule: DecisionRule | None) -> ModelSignature:
    outputs: list[ColSpec | TensorSpec] = [ColSpec("string", "profession"), ColSpec("double", "probability")]
    outputs += [ColSpec("double", f"probability_{name}") for name in classes]
    outputs += [ColSpec("binary", "gradcam", required=False), ColSpec("string", "error", required=False)]
    params = [ParamSpec("explain", "boolean", False), ParamSpec("invalid_rows", "string", "refuse")]
    if rule is not None and rule.attributes:
        # not required, or MLflow would refuse what lacks it, in its own words and not for every way of asking
        groups: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), name, required=False) for name in rule.attributes]
        inputs = Schema([ColSpec(AnyType(), "image"), *groups])
        return ModelSignature(inputs=inputs, outputs=Schema(outputs), params=ParamSchema(params))
    # without a name, or MLflow would refuse plain lists; of any type, or it would make arrays of texts that are all as
    # wide as the longest: the model itself checks names and values
    inputs = Schema([ColSpec(AnyType())])
    return ModelSignature(inputs=inputs, outputs=Schema(outputs), params=ParamSchema(params))


def _example_input(rule: DecisionRule | None) -> pd.DataFrame:
    """One grey picture as base64 text, as a client would send it, with a group where the model decides by it."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(buffer, "PNG")
    groups = dict(zip(rule.attributes, rule.groups[0], strict=True)) if rule is not None and rule.attributes else {}
    return pd.DataFrame({"image": [base64.b64encode(buffer.getvalue()).decode()], **groups})


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


def _version_description(model: StoredModel, headline: dict[str, float], chosen: str, method: ToldMethod | None) -> str:
    run, rule = model.run, model.rule
    first = pages.degenerate_warning(run.tags[DEGENERATE_TAG]) if DEGENERATE_TAG in run.tags else ""
    told = "" if method is None else f"{method.description}\n\n"
    takes = "Takes encoded images, bytes or base64 text, as a list or as a data frame's column `image`."
    if rule is not None and rule.attributes:
        columns = " and ".join(f"`{name}`" for name in rule.attributes)
        takes = (
            f"Takes a data frame with the column `image`, encoded images as bytes or base64 text, and {columns}, by "
            "which it decides."
        )
    rows = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in headline.items())
    return (
        f"{first}Design {run.tags['fairprof.design']}, seed {run.tags['fairprof.seed']}, data "
        f"`{run.tags['fairprof.data']}`, hyperparameters `{run.tags['fairprof.hyperparameters']}`."
        f"{f' It is {in_markdown(chosen)}.' if chosen else ''}\n\n"
        f"{told}| metric | value |\n|---|---|\n{rows}\n\n"
        f"{takes} Adds `gradcam` "
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


def _create_version(
    name: str, model: StoredModel, headline: dict[str, float], chosen: str, method: ToldMethod | None
) -> ModelVersion:
    """Logs a model and registers it as the next version of `name`, complete in one step."""
    client = mlflow.MlflowClient()
    model_id = _log_model(model)
    _link_to_test_set(model_id, model.run.run_id, headline)

    def create() -> ModelVersion:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        return client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=model.run.run_id,
            tags=_version_tags(model.run, headline, method) | ({CHOSEN_TAG: chosen} if chosen else {}),
            description=_version_description(model, headline, chosen, method),
            model_id=model_id,
        )

    created = _again(create)
    versions = json.dumps([{"name": name, "version": created.version}])
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: versions})  # the model's page shows it by them
    return created


def _link_to_test_set(model_id: str, run_id: str, headline: dict[str, float]) -> None:
    """Shows the scores of a logged model on its own page, beside the data set that they were measured on."""
    inputs = mlflow.MlflowClient().get_run(run_id).inputs
    used = [each for each in (inputs.dataset_inputs if inputs else ()) if any(tag.value == "test" for tag in each.tags)]
    if used:
        scores = {name: value for name, value in headline.items() if name.startswith("test/")}
        mlflow.log_metrics(scores, run_id=run_id, model_id=model_id, dataset=used[0].dataset)


def _superseded_versions(name: str, number: str, run: LoggedRun) -> list[str]:
    """Other versions of the same training as that of a run, by their numbers, that are left over."""
    tracking.close_abandoned_runs()
    found = mlflow.MlflowClient().search_model_versions(
        f"name = '{name}' and tags.`{RUN_KEY_TAG}` = '{run.tags[RUN_KEY_TAG]}'", max_results=1000
    )
    numbers = [str(version.version) for version in found if _is_left_over(version.run_id, run)]
    return sorted(set(numbers) - {number}, key=int)


def _is_left_over(run_id: str | None, run: LoggedRun) -> bool:
    """Whether what a run has registered is for another one to replace: it did not finish, or is the same one, whose
    call was sent twice when the answer to the first got lost, or whose registration was killed."""
    if run_id == run.run_id:
        return True
    other = tracking.find_run(str(run_id))
    return other is not None and other.status in ("KILLED", "FAILED")


def _delete_superseded(name: str, version: ModelVersion, run: LoggedRun) -> None:
    """Deletes what is left over of the same training, and says so; models that were never registered as well, which
    would look finished."""
    client = mlflow.MlflowClient()
    for other in _superseded_versions(name, str(version.version), run):
        client.delete_model_version(name, other)
        print(
            f"{name} version {other} is deleted: the run of the same training that registered it did not finish",
            file=sys.stderr,
            flush=True,
        )
    experiment = client.get_run(tracking.active_run_id()).info.experiment_id
    for model in client.search_logged_models([experiment], f"tags.`{RUN_KEY_TAG}` = '{run.tags[RUN_KEY_TAG]}'"):
        if model.model_id != model_id_of(version) and _is_left_over(model.source_run_id, run):
            client.delete_logged_model(model.model_id)
