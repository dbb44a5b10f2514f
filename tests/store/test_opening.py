"""MLflow's store as it comes into being: by many processes at once, by processes that are killed, on a real server."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
import sqlalchemy
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from fairprof.store import opening
from tests.places import ROOT, mlflow_in

AT_ONCE = 8
# processes are forked, so that they import MLflow once and start within the same millisecond
STARTS = """
import contextlib, io, json, logging, multiprocessing, os, signal, sqlite3, sys, time
from pathlib import Path
import mlflow
from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store as unguarded
from fairprof.store import opening, tracking

logging.disable(logging.CRITICAL)
forked = multiprocessing.get_context("fork")
folder = Path(sys.argv[1])
answers = forked.Queue()


def start(uri, barrier=None):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        os.environ["MLFLOW_TRACKING_URI"] = uri
        barrier and barrier.wait()
        try:
            with tracking.started_run("start", {}):
                tracking.set_tags({"who": str(os.getpid())})
            answer = "logged"
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
    answers.put((answer, said.getvalue()))


def at_once(uri, count):
    barrier = forked.Barrier(count)
    processes = [forked.Process(target=start, args=(uri, barrier)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=240) for _ in processes]
    for process in processes:
        process.join()
    return [answer for answer, _ in found], "".join(said for _, said in found)


def killed(work, moment):
    '''Kills a process that works as soon as the moment has come.'''
    process = forked.Process(target=work)
    process.start()
    while process.is_alive() and not moment():
        time.sleep(0.01)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def place(name):
    (folder / name).mkdir()
    os.chdir(folder / name)
    return f"sqlite:///{folder / name}/mlflow.db"


def has_tables(pattern, count):
    '''Whether a database in this folder whose name fits the pattern has that many tables already.'''
    for file in Path.cwd().glob(pattern):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file)) as database:
            (tables,) = database.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()
            return tables >= count
    return False


def report(uri, count=1, **more):
    logged, said = at_once(uri, count)
    return {"logged": logged, "said": said, "files": sorted(os.listdir()), **more}

"""
SCENARIOS = (
    STARTS
    + """
found = {}
found["fresh"] = report(place("fresh"), int(sys.argv[2]))

uri = place("killed")
alive = killed(lambda: start(uri), lambda: has_tables(".mlflow.db-*/mlflow.db", 20))
found["killed"] = report(uri, 2, alive=alive, left=sorted(os.listdir()))

uri = place("killed in the last step")
backup = sqlite3.connect(":memory:")


class Killed(sqlite3.Connection):
    def backup(self, target):
        super().backup(target, pages=40, progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))


def start_and_be_killed():
    connect = sqlite3.connect
    opening.sqlite3.connect = lambda *args, **more: connect(*args, **{"factory": Killed, **more})
    start(uri)


alive = killed(start_and_be_killed, lambda: False)
found["killed in the last step"] = report(uri, left=sorted(os.listdir()))

opening.QUIET_TIME = 0.5
uri = place("killed without the lock")
alive = killed(lambda: unguarded(uri, None), lambda: has_tables("mlflow.db", 20))
found["killed without the lock"] = report(uri, 3, alive=alive)

opening.QUIET_TIME = 30
uri = place("made without the lock")
other = forked.Process(target=unguarded, args=(uri, None))
other.start()
while not has_tables("mlflow.db", 10):
    time.sleep(0.01)
found["made without the lock"] = report(uri, 2)
other.join()
found["made without the lock"]["status"] = other.exitcode
print("FOUND " + json.dumps(found))
"""
)


def run(script: str, *arguments: str, timeout: float = 400) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("FOUND ")[1])


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, dict]:
    """By name of what was tried: what the processes have said, and which files lie there."""
    return run(SCENARIOS, str(tmp_path_factory.mktemp("starts")), str(AT_ONCE))


FILES = ["mlflow.db", "mlflow.db.lock"]


@pytest.mark.slow
def test_eight_starts_at_once_on_a_fresh_store_all_log_their_run(found):
    assert found["fresh"] == {"logged": ["logged"] * AT_ONCE, "said": "", "files": FILES}


@pytest.mark.slow
def test_a_start_that_is_killed_while_it_makes_the_store_leaves_nothing_to_the_next_two(found):
    after = found["killed"]
    assert after["alive"]
    assert [name for name in after["left"] if name.startswith(".mlflow.db-unfinished-")]
    assert (after["logged"], after["said"], after["files"]) == (["logged"] * 2, "", FILES)


@pytest.mark.slow
def test_a_start_that_is_killed_while_the_store_takes_its_place_is_as_if_it_had_never_been(found):
    after = found["killed in the last step"]
    assert "mlflow.db-journal" in after["left"]  # the copy had begun
    assert (after["logged"], after["said"], after["files"]) == (["logged"], "", FILES)


@pytest.mark.slow
def test_a_store_that_was_left_half_made_without_the_lock_is_set_aside_and_made_anew(found):
    after = found["killed without the lock"]
    assert after["alive"]
    assert after["logged"] == ["logged"] * 3
    (aside,) = [name for name in after["files"] if ".unfinished-" in name and not name.endswith("-journal")]
    assert after["said"].count("\n") == 1 and aside in after["said"] and "holds no run" in after["said"]
    assert not [name for name in after["files"] if name.startswith(".")]


@pytest.mark.slow
def test_a_store_that_somebody_makes_without_the_lock_is_waited_for(found):
    after = found["made without the lock"]
    assert (after["logged"], after["said"], after["status"]) == (["logged"] * 2, "", 0)
    assert after["files"] == FILES


@pytest.fixture
def store_of(tmp_path):
    """A store of MLflow in a file, changed by SQL statements; its URI."""

    def make(*statements: str) -> str:
        with mlflow_in(tmp_path):
            pass
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
            for statement in statements:
                database.execute(statement)
        return f"sqlite:///{tmp_path}/mlflow.db"

    return make


A_RUN = "INSERT INTO runs (run_uuid, status, lifecycle_stage, experiment_id) VALUES ('1', 'FINISHED', 'active', 0)"


def test_a_store_that_is_complete_is_opened_without_a_lock(store_of, tmp_path):
    opening.tracking_store(store_of(A_RUN))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize(
    ("revision", "remedy"), [("0a8213491aaa", "mlflow db upgrade sqlite:///"), ("ffffffffffff", "newer MLflow")]
)
def test_runs_of_another_version_of_mlflow_are_left_alone(revision, remedy, store_of, tmp_path, refused):
    uri = store_of(A_RUN, f"UPDATE alembic_version SET version_num = '{revision}'")
    before = (tmp_path / "mlflow.db").read_bytes()
    for build in (opening.tracking_store, opening.registry_store):
        with refused("another version of MLflow", revision, mlflow.__version__, remedy):
            build(uri)
    assert (tmp_path / "mlflow.db").read_bytes() == before


@pytest.mark.parametrize("table", ["registered_models", "experiments"])
def test_what_holds_models_or_experiments_is_not_set_aside_either(table, store_of, tmp_path, refused):
    values = {
        "registered_models": "INSERT INTO registered_models (name, workspace) VALUES ('model', 'default')",
        "experiments": "INSERT INTO experiments (experiment_id, name, workspace) VALUES (1, 'own', 'default')",
    }
    uri = store_of(values[table], "UPDATE alembic_version SET version_num = '0a8213491aaa'")
    with refused("mlflow db upgrade"):
        opening.tracking_store(uri)
    assert (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"runs of last year", "is no database"), (opening.SQLITE_FILE + b"x" * 5000, "database")]
)
def test_what_is_no_database_is_not_written_over(content, words, tmp_path, refused):
    (tmp_path / "mlflow.db").write_bytes(content)
    with refused(f"{tmp_path}/mlflow.db", words, "MLFLOW_TRACKING_URI"):
        opening.tracking_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").read_bytes() == content


def test_a_place_that_cannot_be_had_is_one_line(tmp_path, refused):
    (tmp_path / "file").write_text("")
    with refused(f"{tmp_path}/file/mlflow.db", "MLFLOW_TRACKING_URI"):
        opening.tracking_store(f"sqlite:///{tmp_path}/file/mlflow.db")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """Folders in which a store was made: by MLflow alone, and here, from an empty file."""
    folders = {name: tmp_path_factory.mktemp(name.replace(" ", "-")) / "a folder" for name in ("alone", "here")}
    for name, folder in folders.items():
        folder.mkdir()
        (folder / "mlflow.db").touch()
        uri = f"sqlite:///{folder}/mlflow.db"
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            store = TrackingStore(uri, "./mlruns") if name == "alone" else opening.tracking_store(uri)
        assert type(store) is TrackingStore and store.artifact_root_uri == str(folder / "mlruns")
        store.engine.dispose()
    return folders


def test_the_store_is_what_mlflow_makes(made):
    held = {}
    for name, folder in made.items():
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            columns = database.execute(
                "SELECT t.name, c.name, c.type FROM sqlite_master AS t, pragma_table_info(t.name) AS c"
            ).fetchall()
            experiments = database.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
            held[name] = set(columns), [(key, text, place.replace(str(folder), "")) for key, text, place in experiments]
    assert held["here"] == held["alone"]
    assert held["here"][1] == [(0, "Default", "/mlruns/0")] and len(held["here"][0]) > 200


def test_the_registry_alone_leaves_the_first_experiment_to_the_store_of_runs(tmp_path):
    store = opening.registry_store(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert type(store) is RegistryStore
    runs = opening.tracking_store(f"sqlite:///{tmp_path}/new/mlflow.db", "mlflow-artifacts:/")
    assert runs.get_experiment("0").artifact_location == "mlflow-artifacts:/0"


def test_a_store_in_memory_is_mlflows_own_matter():
    assert opening.tracking_store("sqlite://").get_experiment("0").name == "Default"


@pytest.mark.slow
def test_starts_at_once_on_a_fresh_postgresql_all_log_their_run(postgresql, tmp_path):
    url = sqlalchemy.make_url(postgresql)
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE runs"))
    uri = url.set(database="runs").render_as_string(hide_password=False)
    script = STARTS + f"place('here')\nprint('FOUND ' + json.dumps(report({uri!r}, 4)))"
    assert run(script, str(tmp_path))["logged"] == ["logged"] * 4


OPENED = """
import json, sys
import mlflow
from mlflow.tracking._model_registry.utils import _get_store_registry
from mlflow.tracking._tracking_service.utils import _tracking_store_registry
builders = [
    registry.get_store_builder(uri)
    for registry in (_tracking_store_registry, _get_store_registry())
    for uri in ("sqlite:///mlflow.db", "postgresql+psycopg://host/runs")
]
named = [f"{builder.__module__}.{builder.__name__}" for builder in builders]
rooms = sorted(name for name in sys.modules if name.startswith("fairprof"))
print("FOUND " + json.dumps({"named": named, "rooms": rooms, "torch": "torch" in sys.modules}))
"""


def test_mlflow_opens_its_stores_with_the_plugins_and_loads_little_for_it(installed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{ROOT}")
    assert run(OPENED) == {
        "named": [f"fairprof.store.opening.{kind}_store" for kind in ("tracking", "registry") for _ in range(2)],
        "rooms": [
            *("fairprof", "fairprof.errors", "fairprof.plain_text", "fairprof.store"),
            *("fairprof.store.experiment", "fairprof.store.opening"),
        ],
        "torch": False,
    }


@pytest.mark.slow
def test_mlflows_own_command_started_twice_at_once_makes_one_store(installed, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{ROOT}")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    command = [str(Path(sys.executable).with_name("mlflow")), "experiments", "search"]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        said, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-2000:]
        assert "Default" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    (tmp_path / "mlflow.db").write_text("no database")
    refusal = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert refusal.returncode == 1 and refusal.stderr.startswith("Error: ") and "Traceback" not in refusal.stderr
