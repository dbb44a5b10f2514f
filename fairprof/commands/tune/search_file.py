"""The file in which Optuna keeps a search: whether all of it can be read."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy
from optuna.storages import RDBStorage

from fairprof.runtime.checksums import regular_size
from fairprof.runtime.files import discard
from fairprof.runtime.progress import note

BUSY_SECONDS = 120  # that a worker waits for another one's write to the file
OUT_OF_REACH = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
)
BESIDE_DATABASE = ("-journal", "-wal", "-shm")  # what SQLite may keep there


def put_aside_if_damaged(database: Path, name: str) -> None:
    """Renames the file of a search to `<file>.damaged` where SQLite or Optuna cannot read all of it; says so.

    The caller holds the lock of its workers. A bit that flips within a number is not found: SQLite has no checksums.
    """
    beside = [database.with_name(f"{database.name}{ending}") for ending in BESIDE_DATABASE]
    for path in beside:
        if path.is_symlink() or path.is_dir():
            discard(path)
    damage = _damage_of(database, name)
    if damage:
        aside = database.with_name(f"{database.name}.damaged")
        discard(aside)
        os.replace(database, aside)
        note(f"the search in {database} is damaged ({damage}): it is kept as {aside.name}, and the search begins anew")
        for path in beside:  # what SQLite would undo or do belongs to the file that was put aside
            discard(path)


def _damage_of(database: Path, name: str) -> str:
    if not os.path.lexists(database):
        return ""
    try:
        if not regular_size(database):
            return "empty"
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as opened:
            opened.text_factory = lambda text: text.decode(errors="replace")  # it may quote what is damaged
            (answer,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
        return _optunas_trouble(database, name) if answer == "ok" else _in_a_line(answer)
    except OSError as error:
        return str(error.strerror)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return "" if _is_out_of_reach(error) else _in_a_line(error)


def _optunas_trouble(database: Path, name: str) -> str:
    """Why Optuna cannot read every trial; "" where it can."""
    try:
        url = sqlalchemy.URL.create("sqlite", database=str(database)).render_as_string()
        storage = RDBStorage(url, {"connect_args": {"timeout": BUSY_SECONDS}})
        try:
            studies = storage.get_all_studies()
            for study in studies:
                storage.get_all_trials(study._study_id)
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except Exception as error:  # whatever Optuna, SQLAlchemy and the parsers of JSON and dates make of a damaged text
        return "" if _is_out_of_reach(error) else _in_a_line(f"{type(error).__name__}: {error}")
    return "" if [study.study_name for study in studies] in ([], [name]) else "another search"


def _in_a_line(message: object) -> str:
    """The beginning of a message, which may quote what is damaged."""
    line = " ".join(str(message).split())[:100]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _is_out_of_reach(error: BaseException | None) -> bool:
    """Whether SQLite says that a file is locked or cannot be opened now, which is not known to be damage."""
    while error is not None:
        if isinstance(error, sqlite3.OperationalError):
            return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in OUT_OF_REACH
        error = error.__cause__
    return False
