"""The small world of an attempt: a data set, a store and a cache in one folder, and what must hold there."""

import json
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import matplotlib.layout_engine
import mlflow
import numpy as np
import pandas as pd
from PIL import Image

import entrypoints
from fairprof.config import CommandSettings, Settings, StudySettings, TuneSettings
from tests.faults.attempts import Failed, Forked

SHARED = {
    "architecture": "shufflenet_v2_x0_5",  # three megabytes
    "weights": "random",
    "finetune": "head",  # the frozen part is cached
    "image_size": 32,
    "epochs": 2,
    "gradcam_images": 16,
    "permutations": 99,
    "replicates": 100,
    "lock_timeout": 200.0,
    "recorder": "here",  # whatever is done is done in the process that is watched
}
VERSION_TAGS = {"fairprof.pool", "fairprof.champion", "fairprof.hyperparameters", "best_val.macro_f1"}


@dataclass(frozen=True)
class World:
    """A folder in which commands are started."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "TMPDIR": str(self.folder / "temporary"),
            "XDG_CACHE_HOME": str(self.folder / "home"),
        }

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def start(self, function: Callable[[], object], log: str = "log", **environment: str) -> Forked:
        return Forked(function, self.folder / log, self.environment | environment, self.folder)

    def shared(self, **values) -> dict:
        data = f"manifest:{self.folder / 'faces.csv'}"
        return {**SHARED, "data": data, "cache_dir": str(self.cache), **values}


def train(world: World, **values) -> None:
    _entered(Settings, "train.run.run_experiment", world.shared(**{"experiment": "C"} | values))


def study(world: World) -> None:
    given = world.shared(experiments="A,C", seeds="2", train_size="natural", epochs=1)
    _entered(StudySettings, "study.run.run_study", given)


def search(world: World) -> None:
    given = world.shared(experiments="C", trials=2, search="learning_rate", train_size="natural", epochs=1)
    _entered(TuneSettings, "tune.run.run_search", given)


def _entered(settings: type[CommandSettings], command: str, given: dict) -> None:
    """What the entry point does in a process of its own; pictures, a third of its time, are not drawn."""
    matplotlib.layout_engine.ConstrainedLayoutEngine.execute = lambda engine, figure: None
    matplotlib.figure.Figure.savefig = lambda figure, file, **options: Image.new("RGB", (1, 1)).save(file, "PNG")
    sys.argv = ["", *(word for name, value in given.items() for word in (f"--{name}", str(value)))]
    entrypoints.start(settings, f"fairprof.commands.{command}")


def empty_world(folder: Path) -> World:
    """A data set of 96 pictures without store and cache."""
    (folder / "temporary").mkdir(parents=True)
    (folder / "faces").mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for number in range(96):
        profession = ("cook", "nurse")[number % 2]
        coarse = generator.normal(90 if profession == "cook" else 160, 40, (4, 4, 3)).clip(0, 255).astype(np.uint8)
        image = f"faces/{number}.png"
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(folder / image)
        gender, race = ("Female", "Male")[number // 2 % 2], ("North", "South")[number // 4 % 2]
        rows.append({"image": image, "gender": gender, "race": race, "age": 20 + number % 50, "profession": profession})
    pd.DataFrame(rows).to_csv(folder / "faces.csv", index=False)
    return World(folder)


def copied(template: World, folder: Path) -> World:
    """A world like another one, at another place."""
    shutil.copytree(template.folder, folder, dirs_exist_ok=True)
    store = folder / "mlflow.db"
    if store.exists():
        with closing(sqlite3.connect(store)) as database, database:
            for table, column in _columns_with_places(database):
                database.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(template.folder), str(folder))
                )
    return World(folder)


def _columns_with_places(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Where MLflow writes where artifacts are."""
    named = ("artifact_location", "artifact_uri", "source", "storage_location")
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, column)
        for table in tables
        for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall()
        if column in named and table != "datasets"
    ]


# --- what must hold ---------------------------------------------------------------------------------------------


def predictions_of(world: World) -> dict[str, str]:
    """What the newest finished run of each design and seed has predicted, as a text that equal predictions share."""
    client = mlflow.MlflowClient()
    found = {}
    for run in sorted(_runs(client), key=lambda run: run.info.start_time):
        if run.info.status == "FINISHED" and run.data.tags.get("fairprof.role") == "run":
            with tempfile.TemporaryDirectory() as folder:
                file = client.download_artifacts(run.info.run_id, "predictions/test.parquet", folder)
                found[_key(run)] = pd.read_parquet(file).to_csv(index=False)
    return found


def _runs(client: mlflow.MlflowClient) -> list:
    return client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])


def _key(run) -> str:
    return f"{run.data.tags['fairprof.design']}-seed{run.data.tags['fairprof.seed']}"


def require_whole(world: World, expected: dict[str, str]) -> None:
    """Raises `Failed` unless nothing is lost and nothing left over; in a process of which MLflow is the world's.

    expected: predictions as `predictions_of` gives them.
    """
    client = mlflow.MlflowClient()
    runs = {run.info.run_id: run for run in _runs(client)}
    found = [
        *(
            f"run {run.info.run_name} is {run.info.status}"
            for run in runs.values()
            if run.info.status in ("RUNNING", "SCHEDULED")
        ),
        *_of_predictions(predictions_of(world), expected),
        *_of_versions(client, runs),
    ]
    if found:
        raise Failed("; ".join(found))


def _of_predictions(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    if set(found) != set(expected):
        return [
            f"there are finished runs of {', '.join(sorted(found)) or 'nothing'}, not of {', '.join(sorted(expected))}"
        ]
    return [f"{key} predicts otherwise than undisturbed" for key in expected if found[key] != expected[key]]


def _of_versions(client: mlflow.MlflowClient, runs: dict) -> list[str]:
    """A finished run has one version, with all that it says, or of a study one of the runs of each design; no other run
    has any."""
    versions = client.search_model_versions()
    counts = Counter(version.run_id for version in versions)
    trained = {name: run for name, run in runs.items() if run.data.tags.get("fairprof.role") == "run"}
    of_studies = {name for name, run in trained.items() if "mlflow.parentRunId" in run.data.tags}
    found = []
    for design in {trained[name].data.tags["fairprof.design"] for name in of_studies}:
        registered = sum(counts[name] for name in of_studies if trained[name].data.tags["fairprof.design"] == design)
        if registered != 1:
            found.append(f"of design {design} the study has registered {registered} runs")
    for name in sorted(trained.keys() | counts.keys()):
        due = int(name in trained and trained[name].info.status == "FINISHED")
        if counts[name] != due and not (name in of_studies and counts[name] < due):
            told = f"{_key(trained[name])}, {trained[name].info.status}," if name in trained else f"{name}, unknown,"
            found.append(f"a run of {told} has {counts[name]} versions")
    for version in versions:
        name = f"{version.name}/{version.version}"
        if missing := VERSION_TAGS - set(version.tags):
            found.append(f"{name} is without {', '.join(sorted(missing))}")
        if not version.description:
            found.append(f"{name} is without description")
    for model in client.search_registered_models():
        numbers = {str(version.version) for version in versions if version.name == model.name}
        if str(model.aliases.get("champion")) not in numbers:
            found.append(f"{model.name} has no champion among its {len(numbers)} versions")
    return found


def require_nothing_left(world: World) -> None:
    """Raises `Failed` where there are temporary files, or parts of cache entries; no process works in the world."""
    left = [path.name for path in (world.folder / "temporary").rglob("*") if not path.match("*.lock")]
    left = [name for name in left if not name.startswith("fairprof-")]  # where they lie
    cached = [path.relative_to(world.cache) for path in world.cache.rglob("*")]
    left += [str(path) for path in cached if path.match(".*-*") or path.match("*.reserved")]
    left += [str(path) for path in cached if "trainings" in path.parts[:-1] and path.suffix != ".lock"]
    if left:
        raise Failed(f"left over: {', '.join(sorted(left)[:5])}")


def write_predictions(world: World, file: Path) -> None:
    file.write_text(json.dumps(predictions_of(world)))
