"""A damaged file of a search is put aside, in one line, and one that is not damaged never is."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from fairprof.commands.tune.search_file import put_aside_if_damaged
from fairprof.commands.tune.trials import opened_study
from fairprof.config import TuneSettings
from tests.damages import DAMAGES

NAME = "test"


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> bytes:
    """The file of a search of three trials."""
    path = tmp_path_factory.mktemp("searched") / "test.db"
    storage = RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name=NAME)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study.optimize(lambda trial: trial.suggest_float("rate", 0.1, 0.9) + trial.suggest_int("size", 1, 9), n_trials=3)
    storage.remove_session()
    storage.engine.dispose()
    return path.read_bytes()


def trials_in(path: Path) -> list[tuple]:
    storage = RDBStorage(f"sqlite:///{path}")
    (study,) = storage.get_all_studies()
    found = [(trial.state, trial.params.keys()) for trial in storage.get_all_trials(study._study_id)]
    storage.remove_session()
    storage.engine.dispose()
    return found


def test_a_whole_file_and_none_stay_as_they_are(searched, tmp_path, capfd):
    path = tmp_path / "test.db"
    put_aside_if_damaged(path, NAME)
    path.write_bytes(searched)
    put_aside_if_damaged(path, NAME)
    assert path.read_bytes() == searched and capfd.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["test.db"]


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"one bit flipped", "longer"}))
def test_every_damage_puts_it_aside_and_the_search_begins_anew(damage, searched, tmp_path, capfd):
    settings = TuneSettings(cache_dir=str(tmp_path), trials=2)
    path = tmp_path / "searches" / "test.db"
    path.parent.mkdir()
    path.write_bytes(searched)
    DAMAGES[damage](path)
    with opened_study(settings, NAME) as (study, _):
        assert [trial.state for trial in study.get_trials()] == [TrialState.WAITING] * 2
    said = capfd.readouterr().out
    if damage == "missing":
        assert said == ""
    else:
        assert said.startswith(f"fairprof: the search in {path} is damaged (") and said.count("\n") == 1
        assert path.with_name("test.db.damaged").is_symlink() or path.with_name("test.db.damaged").exists()


def test_bits_that_flip_are_found_or_leave_all_trials_readable(searched, tmp_path, capfd):
    """SQLite has no checksums: a number may change. Nothing may stop the search, in this start or the next."""
    generator, path = random.Random(0), tmp_path / "test.db"
    places = [place for place, byte in enumerate(searched) if byte]
    found = 0
    for _ in range(40):
        content = bytearray(searched)
        content[generator.choice(places)] ^= 1 << generator.randrange(8)
        path.write_bytes(content)
        put_aside_if_damaged(path, NAME)
        if path.exists():
            assert len(trials_in(path)) == 3
        else:
            found += 1
    assert found > 20 and capfd.readouterr().out.count("\n") == found


def test_a_file_that_another_worker_writes_is_not_taken_for_damaged(searched, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("fairprof.commands.tune.search_file.BUSY_SECONDS", 0.1)
    path = tmp_path / "test.db"
    path.write_bytes(searched)
    with closing(sqlite3.connect(path)) as worker:
        worker.execute("BEGIN EXCLUSIVE")
        put_aside_if_damaged(path, NAME)
    assert path.read_bytes() == searched and capfd.readouterr().out == ""


def test_what_sqlite_kept_beside_a_damaged_file_is_not_applied_to_its_successor(searched, tmp_path):
    path = tmp_path / "test.db"
    path.write_bytes(bytes(len(searched)))
    (tmp_path / "test.db-journal").write_bytes(bytes(10))
    (tmp_path / "test.db-wal").mkdir()
    put_aside_if_damaged(path, NAME)
    assert [path.name for path in tmp_path.iterdir()] == ["test.db.damaged"]
