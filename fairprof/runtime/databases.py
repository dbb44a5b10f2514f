"""Databases that several processes use, in files and on servers."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from fairprof.runtime.files import lock_file


def is_file(url: sqlalchemy.URL) -> bool:
    """Whether a database is a file of this machine."""
    return url.get_backend_name() == "sqlite"


@contextmanager
def exclusive(url: sqlalchemy.URL, name: str) -> Iterator[None]:
    """Holds a lock of the database for the block: one at a time of all processes that use it and say the same name.

    A lock beside a file, or of PostgreSQL itself: processes on many machines share nothing else. Other databases have
    none, and nothing is held. The lock ends with its holder, however that ends.
    """
    if is_file(url):
        with lock_file(Path(f"{url.database}.lock")):
            yield
    elif url.get_backend_name() == "postgresql":
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        key = {"key": int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)}
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), key)
            yield
    else:
        yield
