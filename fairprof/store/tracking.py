"""Runs in MLflow: starting and finding them, their settings, inputs, metrics and artifacts."""

import io
import logging
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import safetensors.numpy
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_PROJECT_ENTRY_POINT,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
)
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import MAX_METRICS_PER_BATCH
from PIL import Image

from fairprof.errors import UserError
from fairprof.plain_text import shortened, unhidden, visible
from fairprof.runtime.files import without_folders
from fairprof.store import opening, pages, server
from fairprof.store.experiment import EXPERIMENT
from fairprof.store.liveness import PROCESS, has_ended, heartbeat, is_carried, process_tags

CLOSED = "fairprof.closed"
NAMES = ("gender", "race", "age", "profession")  # columns of tables that hold what a data set calls its groups
LONGEST_ANSWER = 400  # letters
MOST_METRICS = 30  # of a run: MLflow's pages show all of them, and more hide those that matter
VALUES = "metrics/values.csv"  # every value of a run, of which a few are metrics
ANSWER, NO_ANSWER, SHORT = "answer", "none yet", ("design", "seed", "data")  # tags
RESOLVED = "resolved/"  # before the name of a parameter whose first text, which MLflow keeps, was the call as given
STARTING = 180.0  # seconds that the process of `mlflow run` may take to name itself
LOCAL_SERVER = "http://127.0.0.1:5000"  # of `mlflow ui`
PROJECT = Path(__file__).resolve().parents[2]
MLFLOW_EXPERIMENT_KIND = "mlflow.experimentKind"  # known to the UI; mlflow exports no name for them
MODEL_DEVELOPMENT = "custom_model_development"
# MLflow's own progress bars, and its copy of this project's uv.lock, which is not what a model needs
QUIET = ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "MLFLOW_UV_AUTO_DETECT", "MLFLOW_LOG_UV_FILES")

opening.guard()  # before anything is asked of MLflow

_values: dict[str, dict[str, float]] = {}  # of the runs that are open here, by id: name to value


@contextmanager
def started_run(
    name: str, tags: dict[str, str], parent: str | None = None, system_metrics: bool | None = None
) -> Iterator[str]:
    """Starts a run, or takes over the one that `mlflow run` has started, and yields its id.

    Within the block of another run it becomes a child of that. parent: the id of a run, of another process, whose child
    it becomes. system_metrics: whether MLflow logs what the machine and its GPUs do meanwhile; None: as the user has
    set it for MLflow.

    Runs that a killed process left open are closed first. An error in the block becomes the
    run's tag `fairprof.error` and its status FAILED.
    """
    keep_quiet()
    name, tags = visible(name), _shown(_short_tags(tags) | tags | process_tags())
    with server.needed(), _mlflow_run(name, tags, parent, system_metrics) as run:
        _furnish(run.info.experiment_id)
        close_abandoned_runs()
        try:
            with heartbeat(run.info.run_id):
                yield run.info.run_id
                _log_table_of_values(run.info.run_id)
            _keep_open(run.info.run_id)
        except BaseException as error:
            if server.is_away(error):
                server.wait_no_more()
            else:
                mlflow.set_tag("fairprof.error", visible(f"{type(error).__name__}: {error}")[:500])
                _log_table_of_values(run.info.run_id)
            raise


def _mlflow_run(name: str, tags: dict[str, str], parent: str | None, system_metrics: bool | None) -> mlflow.ActiveRun:
    if parent is not None:  # which has taken over the run of `mlflow run`, if there is one
        os.environ.pop("MLFLOW_RUN_ID", None)
    if "MLFLOW_RUN_ID" in os.environ:
        run = mlflow.start_run(log_system_metrics=system_metrics)
        mlflow.set_tags(tags | {"mlflow.runName": name})
        return run
    # with all its tags from the start: whenever its process is killed, it can be found and closed
    return mlflow.start_run(
        experiment_id=_experiment(),
        run_name=name,
        nested=True,
        parent_run_id=parent,
        tags=tags,
        log_system_metrics=system_metrics,
    )


def _short_tags(tags: dict[str, str]) -> dict[str, str]:
    """What the pages of runs show before all other tags, in their order: plain words that a column has room for."""
    return {ANSWER: NO_ANSWER} | {name: tags[f"fairprof.{name}"] for name in SHORT if f"fairprof.{name}" in tags}


def keep_quiet() -> None:
    """Switches off what MLflow would do and say without being asked; a user's own choice stands."""
    for switch in QUIET:
        os.environ.setdefault(switch, "false")
    # that there is no pip to be named among the requirements of a model, at every model
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)


def _experiment() -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    return os.environ.get("MLFLOW_EXPERIMENT_ID") or mlflow.set_experiment(name).experiment_id


def _furnish(experiment_id: str) -> None:
    """Opens the experiment's pages on its runs, with the columns that matter; what somebody has set there stays.

    Without a kind, they open on traces of chats.
    """
    client = mlflow.MlflowClient()
    wanted = {MLFLOW_EXPERIMENT_KIND: MODEL_DEVELOPMENT} | pages.experiment_tags(
        experiment_id, round(time.time() * 1000)
    )
    present = client.get_experiment(experiment_id).tags
    for name, value in wanted.items():
        if name not in present:
            try:
                client.set_experiment_tag(experiment_id, name, value)
            except MlflowException:  # two that insert one tag at once: MLflow lets one of them fail
                if name not in client.get_experiment(experiment_id).tags:
                    raise


def server_address() -> tuple[str, bool]:
    """Where MLflow's pages are, without a slash at the end, and whether a server is known to be there: otherwise it is
    where `mlflow ui` would be."""
    place = re.sub("//[^/@]*@", "//", mlflow.get_tracking_uri())  # names of users and passwords stay out
    return (place.rstrip("/"), True) if place.startswith("http") else (LOCAL_SERVER, False)


def experiment_of(run_id: str) -> str:
    """The id of the experiment of a run."""
    return mlflow.MlflowClient().get_run(run_id).info.experiment_id


def places(report: str, model: tuple[str, str] | None = None) -> tuple[str, ...]:
    """Where the active run, its report and its model are seen in a browser, a line each.

    report: its artifact's path. model: name and number of a version.
    """
    info, (server, certain) = _active_run().info, server_address()
    addresses = {
        "run": pages.run_address(info.experiment_id, info.run_id),
        "report": pages.run_address(info.experiment_id, info.run_id, report),
    }
    if model is not None:
        addresses["model"] = pages.version_address(*model)
    lines = [f"{name}: {server}{address}" for name, address in addresses.items()]
    return (*lines, *([] if certain else ["(while `mlflow ui` runs here)"]))


def address_of(artifact: str) -> str:
    """An artifact of the active run, as the address that a description links to."""
    info = _active_run().info
    return pages.run_address(info.experiment_id, info.run_id, artifact)[1:]


def close_abandoned_runs() -> None:
    """Sets runs of the active one's experiment to KILLED whose process no longer exists."""
    client = mlflow.MlflowClient()
    own = _active_run().info
    is_open = "attributes.status = 'RUNNING'"
    for run in client.search_runs([own.experiment_id], filter_string=is_open, max_results=1000):
        if run.info.run_id != own.run_id and _is_abandoned(run) and _is_still_open(run):
            client.set_tag(run.info.run_id, CLOSED, "its process ended without closing the run")
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _is_still_open(run: Run) -> bool:
    """Whether a run whose process is gone was left open: it may have finished after it was found, and before the look
    for its process."""
    return mlflow.MlflowClient().get_run(run.info.run_id).info.status == "RUNNING"


def _keep_open(run_id: str) -> None:
    """Takes back that a run was closed, which can only have been done in error: its process is this one."""
    client = mlflow.MlflowClient()
    if CLOSED in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, CLOSED)


def _is_abandoned(run: Run) -> bool:
    if PROCESS in run.data.tags:
        return has_ended(run)
    # `mlflow run` was killed before the process that it starts could name itself
    age = time.time() - run.info.start_time / 1000
    return _is_of_this_project(run) and (_store_is_local() or age > STARTING) and not is_carried(run, ("mlflow",))


def _is_of_this_project(run: Run) -> bool:
    """Whether `mlflow run` has created a run for this project: runs of others are none of our business."""
    sources = {str(PROJECT), _active_run().data.tags.get(MLFLOW_SOURCE_NAME)}
    source = run.data.tags.get(MLFLOW_SOURCE_NAME, "").partition("#")[0].removeprefix("file://")
    return MLFLOW_PROJECT_ENTRY_POINT in run.data.tags and source in sources


def _store_is_local() -> bool:
    """Whether the store is a file, which only processes of this machine write to."""
    return mlflow.get_tracking_uri().startswith(("sqlite:", "file:", "/"))


@dataclass(frozen=True)
class LoggedRun:
    """What is known of a run: parameters as they were resolved, tags, and metrics at their last step."""

    run_id: str
    name: str
    status: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]


def find_runs(tags: dict[str, str], finished: bool = True) -> list[LoggedRun]:
    """The runs of the experiment that new runs go to which carry all the tags, the newest first."""
    return [_logged_run(run) for run in _found(tags, "FINISHED" if finished else "")]


def is_open_elsewhere(tags: dict[str, str]) -> bool:
    """Whether a run that carries all the tags is open in that experiment, other than the active one, and its process
    lives."""
    own = active_run_id()
    return any(run.info.run_id != own and not _is_abandoned(run) for run in _found(tags, "RUNNING"))


def _shown(tags: dict[str, str]) -> dict[str, str]:
    """Tags with the texts that are logged, and found again: databases do not hold all that data may contain."""
    return {name: unhidden(value) for name, value in tags.items()}


@server.needed()
def _found(tags: dict[str, str], status: str) -> list[Run]:
    tags = _shown(tags)
    # MLflow cannot be asked for an apostrophe
    conditions = [f"tags.`{name}` = '{value}'" for name, value in tags.items() if "'" not in value]
    conditions += [f"attributes.status = '{status}'"] if status else []
    client = mlflow.MlflowClient()
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [_experiment()],
            filter_string=" and ".join(conditions),
            order_by=["attributes.start_time DESC"],
            max_results=1000,
            page_token=token,
        )
        found += [run for run in page if tags.items() <= run.data.tags.items()]
        token = page.token
        if not token:
            return found


def get_run(run_id: str) -> LoggedRun:
    """The run with this id; raises `UserError` where there is none."""
    try:
        with server.needed():
            return _logged_run(mlflow.MlflowClient().get_run(run_id))
    except MlflowException:
        raise UserError(
            f"there is no run {run_id} in {mlflow.get_tracking_uri()}: see `mlflow ui` for its id"
        ) from None


def find_run(run_id: str) -> LoggedRun | None:
    """The run with this id, None where this tracking server does not know it."""
    try:
        return get_run(run_id)
    except UserError:
        return None


def _logged_run(run: Run) -> LoggedRun:
    params = run.data.params
    resolved = {name.removeprefix(RESOLVED): value for name, value in params.items() if name.startswith(RESOLVED)}
    info = run.info
    return LoggedRun(info.run_id, info.run_name, info.status, params | resolved, run.data.tags, run.data.metrics)


def parent_was_interrupted(run: LoggedRun) -> bool:
    """Whether a run is the child of one that was killed or failed."""
    parent = run.tags.get(MLFLOW_PARENT_RUN_ID)
    return parent is not None and get_run(parent).status in ("KILLED", "FAILED")


def adopt(run: LoggedRun) -> None:
    """Makes a run a child of the active one."""
    mlflow.MlflowClient().set_tag(run.run_id, MLFLOW_PARENT_RUN_ID, active_run_id())


def load_table(run_id: str, path: str) -> pd.DataFrame:
    """A table among a run's artifacts, CSV or Parquet; raises `UserError` where the run has none."""
    with _artifact(run_id, path) as file:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        # a group may be called NA, None, True or 1: only what is empty is missing, and names are text
        return pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(NAMES, str))


def load_text(run_id: str, path: str) -> str:
    """A text among a run's artifacts; raises `UserError` where the run has none."""
    with _artifact(run_id, path) as file:
        return file.read_text(encoding="utf-8")


def load_bytes(run_id: str, path: str) -> bytes:
    """A file among a run's artifacts; raises `UserError` where the run has none."""
    with _artifact(run_id, path) as file:
        return file.read_bytes()


def load_arrays(run_id: str, path: str) -> dict[str, np.ndarray]:
    """What `log_arrays` has logged; raises `UserError` where the run has none."""
    with _artifact(run_id, path) as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def load_weights(run_id: str, path: str) -> dict[str, np.ndarray]:
    """What `log_weights` has logged; raises `UserError` where the run has none."""
    with _artifact(run_id, path) as file:
        try:
            return safetensors.numpy.load_file(file)
        except safetensors.SafetensorError as error:
            raise UserError(f"run {run_id}: {path} is damaged ({error}): train it again") from None


@contextmanager
def _artifact(run_id: str, path: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            address = append_to_uri_path(_artifacts_of(run_id), path)
            file = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=folder))
        except (MlflowException, OSError) as error:
            raise UserError(
                f"run {run_id} has no readable artifact {path} ({' '.join(str(error).split())[:100]}): "
                "train it again, or leave it out"
            ) from None
        yield file


@cache
def _artifacts_of(run_id: str) -> str:
    """Where a run's artifacts are, which stays the same: asked once, and not three times for every one of them."""
    return mlflow.MlflowClient().get_run(run_id).info.artifact_uri


def git_commit(run: LoggedRun) -> str:
    """The commit of the project that a run was started from, `unknown` where it was not under git."""
    return run.tags.get(MLFLOW_GIT_COMMIT, "unknown")


def active_run_id() -> str:
    """The id of the run that is active."""
    return _active_run().info.run_id


def _active_run() -> Run:
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("no run is active")
    return run


def log_settings(values: dict) -> None:
    """Logs parameters by name; where `mlflow run` has logged another text for one, under `resolved/` as well.

    MLflow keeps a parameter's first text, which is the call as given (`auto`, `1e-3`).
    """
    texts = {name: str(value) for name, value in values.items()}
    given = mlflow.MlflowClient().get_run(active_run_id()).data.params
    mlflow.log_params(
        {
            name if name not in given else f"{RESOLVED}{name}": text
            for name, text in texts.items()
            if given.get(name) != text
        }
    )


def set_tags(tags: dict[str, str]) -> None:
    """Tags of the active run."""
    mlflow.set_tags(_shown(tags))


def set_answer(sentence: str) -> None:
    """What has come of the active run, where lists of runs show it."""
    mlflow.set_tag(ANSWER, shortened(visible(sentence), LONGEST_ANSWER))


def set_description(markdown: str) -> None:
    """The run's description, shown at the top of its page."""
    mlflow.set_tag(MLFLOW_RUN_NOTE, markdown)


def change_description(run_id: str, before: str, now: str) -> None:
    """Changes a passage in the description of any run; one that somebody has written anew, without it, stays."""
    client = mlflow.MlflowClient()
    written = client.get_run(run_id).data.tags.get(MLFLOW_RUN_NOTE, "")
    if before in written:
        client.set_tag(run_id, MLFLOW_RUN_NOTE, written.replace(before, now))


def log_input(rows: pd.DataFrame, data: str, context: str, digest: str) -> None:
    """The rows of a partition as an MLflow data set; rows: image, gender, race, age, profession."""
    texts = rows[["image", "gender", "race", "age", "profession"]].astype(object).fillna("").astype(str)
    dataset = from_pandas(
        texts,
        source=CodeDatasetSource({"data": without_folders(data)}),
        name=f"{data.partition(':')[0]}[{context}]",
        targets="profession",
        digest=digest,
    )
    try:
        mlflow.log_input(dataset, context=context)
    except MlflowException as error:  # of two runs that name the same rows at once, MLflow lets one fail
        if server.is_away(error):
            raise
        mlflow.log_input(dataset, context=context)


def log_metrics(metrics: dict[str, float], step: int | None = None) -> None:
    """Logs named values, in as few calls as MLflow takes them in."""
    values = [(name, float(value)) for name, value in metrics.items()]
    for start in range(0, len(values), MAX_METRICS_PER_BATCH):
        mlflow.log_metrics(dict(values[start : start + MAX_METRICS_PER_BATCH]), step=step)


def log_values(values: dict[str, float], shown: Collection[str]) -> None:
    """Logs named values of the active run: those named in `shown` that are finite as its metrics, and all of them in
    the table `VALUES` once the run ends. Of all that a run logs, `MOST_METRICS` at most are to be shown.
    """
    _values.setdefault(active_run_id(), {}).update(values)
    log_metrics({name: value for name, value in values.items() if name in shown and np.isfinite(value)})


def _log_table_of_values(run_id: str) -> None:
    values = _values.pop(run_id, {})
    if values:
        log_table(pd.DataFrame(values.items(), columns=["name", "value"]), VALUES)


def load_values(run_id: str) -> dict[str, float]:
    """Every value of a run that has ended, by name, NaN where undefined; raises `UserError` where it has left none."""
    table = load_table(run_id, VALUES)
    return dict(zip(table["name"], table["value"].astype(float), strict=True))


def log_text(text: str, path: str) -> None:
    """A text, Markdown or HTML among the run's artifacts."""
    mlflow.log_text(text, path)


def log_table(table: pd.DataFrame, path: str, index: bool = False) -> None:
    """A table among the run's artifacts, CSV or Parquet by the name's ending."""
    with _new_artifact(path) as file:
        if file.suffix == ".parquet":
            table.to_parquet(file, index=index)
        else:
            table.to_csv(file, index=index)


def log_browsable_table(table: pd.DataFrame, path: str) -> None:
    """A table that the UI shows as one, in runs side by side too; path ends in .json."""
    mlflow.log_table(table, path)


def log_bytes(content: bytes, path: str) -> None:
    """A finished file among the run's artifacts."""
    with _new_artifact(path) as file:
        file.write_bytes(content)


def log_image(png: bytes, name: str) -> None:
    """A picture that MLflow's charts show side by side with those of other runs, under this name: letters, digits, _, -
    and spaces."""
    with Image.open(io.BytesIO(png)) as image:
        mlflow.log_image(image, key=name, step=0, synchronous=True)


def log_arrays(arrays: dict[str, np.ndarray], path: str) -> None:
    """Arrays by name in one compressed NumPy file, which loads without pickle."""
    with _new_artifact(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def log_weights(weights: dict[str, np.ndarray], path: str) -> None:
    """A state dict as a safetensors file."""
    with _new_artifact(path) as file:
        file.write_bytes(as_safetensors(weights))


def as_safetensors(weights: dict[str, np.ndarray]) -> bytes:
    """A state dict as the content of a safetensors file; `save_file` has an error of its own for a full disk."""
    # what lies in memory in another order would be mixed up
    return safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in weights.items()})


@contextmanager
def _new_artifact(path: str) -> Iterator[Path]:
    """Yields a file to write, which is logged under `path` when the block succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / Path(path).name
        yield file
        mlflow.log_artifact(str(file), str(Path(path).parent))
