"""How MLflow's store comes into being: complete or not at all, however many processes start at once.

MLflow makes its tables and then changes them in some eighty steps, without a lock. Two processes that start at once, or
one that is killed meanwhile, leave a database that no later start can use. Here one process at a time makes a store,
and in a file it appears in one step.

`mlflow run` opens the store before anything of this project runs. So these functions are plugins of MLflow, named in
pyproject.toml, and imported whenever MLflow is where the project is installed: what they need is imported when they are
called. Processes where it is not installed call `guard`.
"""

import glob
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from fairprof.errors import UserError

if TYPE_CHECKING:
    import sqlalchemy

SCHEMES = ("sqlite", "postgresql")
SQLITE_FILE = b"SQLite format 3\x00"  # what a file with at least one page begins with
DATABASE_PATIENCE = 60  # seconds that a look into a file waits for whoever writes to it
QUIET_TIME = 15.0  # seconds without a write after which whoever was making a store without the lock counts as gone
LOOK_AGAIN = 1.0  # seconds between looks at one that is being made
CONTENT = {  # what is never there by MLflow's own doing
    "runs": "",
    "experiments": "WHERE experiment_id <> 0",
    "registered_models": "",
    "logged_models": "",
    "trace_info": "",
}

Store = Any  # of runs or of models; MLflow is not imported for its name
State = Literal["empty", "unfinished", "complete"]


def guard() -> None:
    """Has MLflow open the stores of this process with the functions below."""
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    for scheme in SCHEMES:
        _tracking_store_registry.register(scheme, tracking_store)
        _get_store_registry().register(scheme, registry_store)


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Store:
    """MLflow's store of runs in a database, as MLflow itself would open it; made before if there is none."""
    from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store

    builder = _get_sqlalchemy_store
    if artifact_uri is not None and "mlflow.server.handlers" in sys.modules:  # MLflow's server reads from a replica
        builder = sys.modules["mlflow.server.handlers"].TrackingStoreRegistryWrapper._get_sqlalchemy_store
    return _opened(store_uri, lambda uri: builder(uri, artifact_uri))


def registry_store(store_uri: str) -> Store:
    """MLflow's store of models in a database, as MLflow itself would open it; made before if there is none."""
    from mlflow.tracking._model_registry.utils import _get_sqlalchemy_store

    builder = _get_sqlalchemy_store
    if "mlflow.server.handlers" in sys.modules:
        builder = sys.modules["mlflow.server.handlers"].ModelRegistryStoreRegistryWrapper._get_sqlalchemy_store
    return _opened(store_uri, builder)


def _opened(store_uri: str, build: Callable[[str], Store]) -> Store:
    """What `build` makes of the URI, once its database is complete.

    Raises `UserError` where there is no place for one, or another version of MLflow has filled it; for a command of
    MLflow, as its own error of one line.
    """
    import click
    import sqlalchemy

    from fairprof.runtime.databases import is_file

    url = sqlalchemy.make_url(store_uri)
    try:
        if not is_file(url):
            return _opened_on_server(url, build)
        if url.database and url.database != ":memory:" and not url.database.startswith("file:"):
            _complete_file(url.set(database=os.path.realpath(url.database)), build)
    except UserError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from None
    return build(store_uri)


# --- on a server --------------------------------------------------------------------------------------------------


def _opened_on_server(url: "sqlalchemy.URL", build: Callable[[str], Store]) -> Store:
    """The store in PostgreSQL, which changes tables all or not at all: what was interrupted begins again."""
    from mlflow.store.db.utils import create_sqlalchemy_engine_with_retry

    from fairprof.runtime.databases import exclusive

    uri = url.render_as_string(hide_password=False)
    engine = create_sqlalchemy_engine_with_retry(uri)
    try:
        if _state(engine) == "complete":
            return build(uri)
    finally:
        engine.dispose()
    with exclusive(url, "MLflow's store"):
        return build(uri)


# --- in a file ----------------------------------------------------------------------------------------------------


def _complete_file(url: "sqlalchemy.URL", build: Callable[[str], Store]) -> None:
    """Sees that the file holds a complete store; where it is, nothing is locked and nothing written."""
    from sqlalchemy.exc import DBAPIError

    from fairprof.runtime.databases import exclusive

    path = Path(str(url.database))
    try:
        if _state_of_file(url) == "complete":
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(url, "MLflow's store"):
            while (state := _state_of_file(url)) == "unfinished" and _is_being_written(path):
                time.sleep(LOOK_AGAIN)
            if state == "unfinished":
                _set_aside(path)
            if state != "complete":
                _make(url, build)
    except (OSError, sqlite3.Error, DBAPIError) as error:
        raise UserError(
            f"the runs cannot be kept in {path} ({' '.join(str(error).split())[:150]}): free its place, or name "
            "another with MLFLOW_TRACKING_URI=sqlite:////folder/mlflow.db"
        ) from None


def _make(url: "sqlalchemy.URL", build: Callable[[str], Store]) -> None:
    """Has MLflow make a store in a file beside the one that is wanted, and copies it there in one transaction.

    A killed process leaves an empty file, and a folder beside it that the next one removes.
    """
    path = Path(str(url.database))
    prefix = f".{path.name}-unfinished-"
    for abandoned in path.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(abandoned)
    with TemporaryDirectory(prefix=prefix, dir=path.parent, ignore_cleanup_errors=True) as folder:
        beside = url.set(database=str(Path(folder, path.name)))
        build(beside.render_as_string(hide_password=False)).engine.dispose()
        with closing(sqlite3.connect(str(beside.database))) as made, closing(sqlite3.connect(path)) as wanted:
            made.backup(wanted)


def _is_being_written(path: Path) -> bool:
    """Whether somebody who knows nothing of the lock may be making a store there now."""
    return abs(time.time() - path.stat().st_mtime) < QUIET_TIME


def _set_aside(path: Path) -> None:
    """Renames the file of a store, with what SQLite keeps beside it."""
    aside = f"{path}.unfinished-{datetime.now():%Y%m%d-%H%M%S-%f}"
    for ending in ("", "-journal", "-wal", "-shm"):
        if os.path.exists(f"{path}{ending}"):
            os.rename(f"{path}{ending}", f"{aside}{ending}")
    print(
        f"{path} was never finished, since a start was killed or two of them made it at once, and holds no run: it is "
        f"now {aside}, which can be deleted, and a new one is made",
        file=sys.stderr,
        flush=True,
    )


def _state_of_file(url: "sqlalchemy.URL") -> State:
    import sqlalchemy

    path = Path(str(url.database))
    if not path.exists() or path.stat().st_size == 0:
        return "empty"
    with open(path, "rb") as file:
        if file.read(len(SQLITE_FILE)) != SQLITE_FILE:
            raise UserError(
                f"{path} is no database, but the runs are to be kept in it: move it away, or name another file with "
                "MLFLOW_TRACKING_URI=sqlite:////folder/mlflow.db"
            )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args={"timeout": DATABASE_PATIENCE})
    return _state(engine)


# --- in either ----------------------------------------------------------------------------------------------------


def _state(engine: "sqlalchemy.Engine") -> State:
    """What a database is to the installed MLflow; raises `UserError` where another version has filled it."""
    import mlflow
    import sqlalchemy
    from mlflow.store.db.utils import _get_latest_schema_revision

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":  # whose driver would let tables go between two looks
            connection.exec_driver_sql("BEGIN")
        tables = set(sqlalchemy.inspect(connection).get_table_names())
        if not tables & {"experiments", "alembic_version"}:  # nothing, or something of other programs
            return "empty" if not tables else "complete"
        revision = (
            connection.scalar(sqlalchemy.text("SELECT version_num FROM alembic_version"))
            if "alembic_version" in tables
            else None
        )
        is_used = any(
            connection.execute(sqlalchemy.text(f"SELECT 1 FROM {table} {condition} LIMIT 1")).first()
            for table, condition in CONTENT.items()
            if table in tables
        )
    if revision == _get_latest_schema_revision():
        half_way = any(table.startswith("_alembic_tmp_") for table in tables)
        return "unfinished" if half_way and not is_used else "complete"
    if not is_used:
        return "unfinished"
    uri = engine.url.render_as_string()
    needed = _get_latest_schema_revision()
    remedy = (
        f"copy it, then start `mlflow db upgrade {uri}`"
        if revision is None or revision in _known_revisions()
        else "use the newer MLflow that has filled it"
    )
    raise UserError(
        f"{uri} holds what another version of MLflow has left (its tables are at {revision}, MLflow "
        f"{mlflow.__version__} needs {needed}): {remedy}, or name another place with MLFLOW_TRACKING_URI"
    )


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    return {step.revision for step in ScriptDirectory.from_config(_get_alembic_config("")).walk_revisions()}
