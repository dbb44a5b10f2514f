"""The cache stays within its limit whoever fills it, what was used least recently goes first, and that is said."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from fairprof.config import Settings
from fairprof.runtime.cache import Cache
from fairprof.runtime.checksums import CHECKSUMS
from fairprof.runtime.files import atomic_folder, remove_folder
from tests.damages import DAMAGES
from tests.places import ROOT

MIB = 2**20


def fill(cache: Cache, room: str, key: str, size: int, used: datetime | None = None, description: str = "") -> Path:
    """Makes an entry of `size` bytes as its users do; most of it takes no blocks of the disk."""
    entry = cache.entry(room, key)
    with cache.locked(entry, "the entry"):
        with atomic_folder(entry) as unfinished:
            cache.make_room(entry, size, "the entry")
            if description:
                (unfinished / "description.txt").write_text(description)
            (unfinished / "data").touch()
            os.truncate(unfinished / "data", size - len(description))
        if used:
            os.utime(entry, (used.timestamp(), used.timestamp()))
    return entry


@pytest.fixture
def three(cache):
    """Entries of 300 MiB each in both rooms, used on the first three days of November, the third one first."""
    return [
        fill(cache, "prefix", "first", 300 * MIB, datetime(2026, 11, 2), "outputs at layer3 of resnet50"),
        fill(cache, "pixels", "second", 300 * MIB, datetime(2026, 11, 3)),
        fill(cache, "pixels", "third", 300 * MIB, datetime(2026, 11, 1)),
    ]


def existing(entries: list[Path]) -> list[str]:
    return [entry.name for entry in entries if entry.exists()]


def test_a_cache_is_the_one_of_the_settings(tmp_path):
    cache = Cache.of(Settings(cache_dir=str(tmp_path), cache_gib=0.5, lock_timeout=7))
    assert cache == Cache(tmp_path, 512 * MIB, 7.0)
    assert cache.entry("pixels", "abc") == tmp_path / "pixels" / "abc"


def test_the_least_recently_used_go_first_whatever_their_room_and_no_more_than_must(cache, three, capfd):
    assert existing(three) == ["first", "second", "third"] and capfd.readouterr().out == ""
    fourth = fill(cache, "prefix", "fourth", 124 * MIB)  # to the byte
    assert existing([*three, fourth]) == ["first", "second", "third", "fourth"]
    fill(cache, "prefix", "fifth", 301 * MIB)
    assert existing([*three, fourth]) == ["second", "fourth"]


def test_every_removal_is_one_line_that_names_what_when_and_how_large(cache, three, capfd):
    fill(cache, "pixels", "fourth", 700 * MIB)
    assert capfd.readouterr().out.splitlines() == [
        "fairprof: the cache is full (cache_gib=1): removed pixels third, last used 2026-11-01 (300.0 MiB)",
        "fairprof: the cache is full (cache_gib=1): removed outputs at layer3 of resnet50, last used 2026-11-02 "
        "(300.0 MiB)",
    ]


def test_what_is_touched_is_used(cache, three):
    with cache.locked(three[2], "the entry"):
        cache.touch(three[2])
    fill(cache, "prefix", "fourth", 300 * MIB)
    assert existing(three) == ["second", "third"]


def test_an_entry_that_grows_makes_room_for_what_is_added_and_never_removes_itself(cache, three, capfd):
    oldest = three[2]
    with cache.locked(oldest, "the entry"):
        cache.make_room(oldest, 124 * MIB, "the entry")
        assert existing(three) == ["first", "second", "third"]
        cache.make_room(oldest, 125 * MIB, "the entry")
        assert existing(three) == ["second", "third"]
        cache.make_room(oldest, 724 * MIB, "the entry")
        assert existing(three) == ["third"]
        assert not cache.fits(725 * MIB, oldest)
        capfd.readouterr()
        cache.make_room(oldest, 725 * MIB, "the entry")
        said = capfd.readouterr().out
        assert said == "fairprof: cache_gib=1 is exceeded: the entry takes 1.0 GiB, entries in use 0.0 MiB\n"


def test_an_entry_fits_if_it_does_alone_or_beside_those_that_must_stay(cache, three):
    assert cache.fits(1024 * MIB) and not cache.fits(1024 * MIB + 1)
    assert cache.fits(724 * MIB, three[0]) and not cache.fits(724 * MIB + 1, three[0])
    assert cache.fits(424 * MIB, *three[:2]) and not cache.fits(424 * MIB + 1, *three[:2])
    assert cache.fits(1024 * MIB, cache.entry("pixels", "of nobody"))


def test_an_entry_in_use_is_passed_over_and_goes_once_it_is_free(cache, three, held, capfd):
    with held(cache.entry("pixels", "third.lock")):
        fourth = fill(cache, "pixels", "fourth", 300 * MIB)
        assert existing([*three, fourth]) == ["second", "third", "fourth"]
        with held(cache.entry("pixels", "second.lock")):
            capfd.readouterr()
            fifth = fill(cache, "pixels", "fifth", 600 * MIB)
            assert existing([*three, fourth, fifth]) == ["second", "third", "fifth"]
            assert capfd.readouterr().out.splitlines()[1:] == [
                "fairprof: cache_gib=1 is exceeded: the entry takes 600.0 MiB, entries in use 600.0 MiB"
            ]
    fill(cache, "pixels", "sixth", 400 * MIB)
    assert existing([*three, fourth, fifth]) == ["fifth"]


def test_one_thread_may_fill_an_entry_while_it_holds_another(cache, three):
    with cache.locked(three[2], "the entry"):
        fill(cache, "prefix", "fourth", 300 * MIB)
    assert existing(three) == ["second", "third"]


def test_room_that_somebody_has_asked_for_and_not_yet_filled_is_taken(cache, held):
    """Two processes that begin at the same time must not both think that the free half is theirs."""
    first = cache.entry("prefix", "first")
    old = fill(cache, "pixels", "old", 300 * MIB)
    with cache.locked(first, "the entry"):
        cache.make_room(first, 600 * MIB, "the entry")
        first.mkdir()
        assert old.exists()
        with ThreadPoolExecutor(1) as executor:
            second = executor.submit(fill, cache, "prefix", "second", 400 * MIB).result()
        assert not old.exists() and second.exists()
    fill(cache, "pixels", "third", 600 * MIB)  # the first was given up
    assert second.exists()


def test_processes_make_room_one_after_another(cache, three, held):
    with held(cache.folder / "rooms.lock") as give_free, ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(fill, cache, "pixels", "fourth", 300 * MIB)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        assert existing(three) == ["first", "second", "third"]
        give_free()
        waiting.result(timeout=30)
    assert existing(three) == ["first", "second"]


KILLED = """
import sys
from pathlib import Path
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import atomic_folder
cache = Cache(Path(sys.argv[1]), 2**30, 5.0)
entry = cache.entry("pixels", "killed")
with cache.locked(entry, "the entry"), atomic_folder(entry) as unfinished:
    cache.make_room(entry, 900 * 2**20, "the entry")
    (unfinished / "data").write_bytes(bytes(1000))
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_writer_left_counts_while_it_lives_and_vanishes_afterwards(cache):
    old = fill(cache, "pixels", "old", 100 * MIB)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, cache.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        assert writer.stdout.readline() == "writing\n"
        new = fill(cache, "pixels", "new", 100 * MIB)
        assert not old.exists()  # 900 of 1024 MiB are the writer's, though it has written a thousand bytes
        writer.send_signal(signal.SIGKILL)
        writer.wait(30)
    left = {path.name.split("-")[0] for path in (cache.folder / "pixels").iterdir()}
    assert {".killed", "killed.reserved"} <= left
    fill(cache, "pixels", "newer", 900 * MIB)
    assert new.exists()
    names = {path.name for path in (cache.folder / "pixels").iterdir()}
    assert names == {"killed.lock", "new", "new.lock", "newer", "newer.lock", "old.lock"}


def test_a_failed_writer_leaves_only_its_lock(cache):
    entry = cache.entry("pixels", "failed")
    with pytest.raises(ZeroDivisionError), cache.locked(entry, "the entry"), atomic_folder(entry):
        cache.make_room(entry, 900 * MIB, "the entry")
        raise ZeroDivisionError
    assert [path.name for path in entry.parent.iterdir()] == ["failed.lock"]


def test_a_half_removed_entry_is_none(cache, three):
    """As a process leaves it that is killed while it makes room."""
    hidden = three[0].parent / ".first-a1b2c3d4"
    hidden.mkdir()
    os.replace(three[0], hidden / "first")
    fill(cache, "pixels", "fourth", 424 * MIB)
    assert not hidden.exists() and existing(three) == ["second", "third"]


def test_what_is_no_entry_is_left_alone(cache, three):
    (cache.folder / "pixels" / ".DS_Store").write_bytes(bytes(10))
    (cache.folder / "pixels" / ".snapshot").mkdir()
    (cache.folder / "searches").mkdir()
    (cache.folder / "searches" / "abc.db").touch()
    os.truncate(cache.folder / "searches" / "abc.db", 900 * MIB)
    fill(cache, "pixels", "fourth", 124 * MIB)
    assert existing(three) == ["first", "second", "third"]
    fill(cache, "pixels", "fifth", 1024 * MIB)
    assert existing(three) == [] and (cache.folder / "searches" / "abc.db").exists()
    assert (cache.folder / "pixels" / ".DS_Store").exists() and (cache.folder / "pixels" / ".snapshot").exists()


def test_a_training_that_was_abandoned_counts_and_goes_unless_it_is_in_use(cache, three, held, capfd):
    folder = fill(cache, "trainings", "abc", 100 * MIB, datetime(2026, 10, 1), "the unfinished training B-seed0")
    with held(cache.entry("trainings", "abc.lock")):
        fill(cache, "pixels", "fourth", 100 * MIB)
        assert folder.exists() and existing(three) == ["first", "second"]
    capfd.readouterr()
    fill(cache, "pixels", "fifth", 300 * MIB)
    assert not folder.exists() and existing(three) == ["first", "second"]
    assert "removed the unfinished training B-seed0, last used 2026-10-01" in capfd.readouterr().out


# --- damage -----------------------------------------------------------------------------------------------------


def written(cache: Cache, key: str) -> Path:
    entry = cache.entry("pixels", key)
    with cache.locked(entry, "the entry"), cache.written(entry) as unfinished:
        (unfinished / "data").write_bytes(b"right" * 100)
    return entry


@pytest.mark.parametrize("name", ["", "data", CHECKSUMS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_told_of_in_one_line_and_may_be_written_again(name, damage, cache, capfd):
    entry = written(cache, "abc")
    assert cache.is_whole(entry, "the entry") and capfd.readouterr().out == ""
    if name:
        DAMAGES[damage](entry / name)
    else:
        remove_folder(entry)
        entry.write_bytes(bytes(10))
        DAMAGES[damage](entry)
    assert not cache.is_whole(entry, "the entry")
    said = capfd.readouterr().out
    if (name, damage) == ("", "missing"):
        assert said == ""
    else:
        assert said.startswith(f"fairprof: the entry in {entry} is damaged (") and said.count("\n") == 1
    written(cache, "abc")
    assert cache.is_whole(entry, "the entry") and (entry / "data").read_bytes() == b"right" * 100
    assert {path.name for path in entry.parent.iterdir()} - {"elsewhere"} == {"abc", "abc.lock"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_entry_that_grows_gets_a_folder_whatever_has_its_name(damage, cache, capfd):
    entry = cache.entry("prefix", "abc")
    with cache.locked(entry, "the entry"):
        entry.write_bytes(bytes(10))
        DAMAGES[damage](entry)
        cache.has_folder(entry, "the entry")
        cache.describe(entry, "what it holds")
    assert entry.is_dir() and not entry.is_symlink()
    assert bool(capfd.readouterr().out) == (damage not in ("missing", "a folder"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_left_of_a_reservation_a_description_or_a_lock_stops_nobody(damage, cache, three):
    (three[0] / "description.txt").unlink()
    for path in (three[0] / "description.txt", three[0].with_suffix(".reserved"), three[2].with_suffix(".reserved")):
        path.write_text("12")
        DAMAGES[damage](path)
    os.utime(three[0], (datetime(2026, 11, 2).timestamp(),) * 2)
    if damage == "a folder":
        DAMAGES[damage](three[1].with_suffix(".lock"))
        DAMAGES[damage](cache.folder / "rooms.lock")
    fourth = fill(cache, "pixels", "fourth", 700 * MIB)
    assert existing([*three, fourth]) == ["second", "fourth"]
    with cache.locked(three[1], "the entry"):
        cache.describe(three[1], "what it holds")
    assert (three[1] / "description.txt").read_text() == "what it holds"
    assert not list(cache.folder.glob("*/*.reserved"))


def test_a_disk_without_room_is_refused_and_what_is_kept_makes_room_within_the_limit(on_small_disk, refused):
    def work(disk):
        cache = Cache(disk, size_limit=2 * MIB, lock_timeout=5.0)
        for key, size in (("old", MIB), ("new", MIB)):
            entry = cache.entry("pixels", key)
            with cache.locked(entry, "the entry"), atomic_folder(entry) as unfinished:
                cache.make_room(entry, size, "the entry")
                (unfinished / "data").write_bytes(bytes(size))
        with refused("no space left", "the entry needs 2 MiB", str(disk), "cache_dir"):
            fill(Cache(disk, size_limit=4 * MIB, lock_timeout=5.0), "prefix", "next", 2 * MIB)
        fill(cache, "prefix", "next", 2 * MIB)
        return sorted(path.name for room in ("pixels", "prefix") for path in (disk / room).iterdir() if path.is_dir())

    assert on_small_disk(3 * MIB, work) == ["next"]


BUSY = """
import sys
import numpy as np
from pathlib import Path
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import atomic_folder

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
cache = Cache(folder, 2**20, 60.0)
generator = np.random.default_rng(seed)
made = found = 0
for _ in range(150):
    number = int(generator.integers(8))
    entry = cache.entry(["pixels", "prefix"][number % 2], f"key{number}")
    size = 40_000 * (number + 1)
    with cache.locked(entry, "the entry"):
        if entry.exists():
            found += 1
        else:
            made += 1
            with atomic_folder(entry) as unfinished:
                cache.make_room(entry, size, "the entry")
                (unfinished / "data").write_bytes(bytes([number]) * size)
        cache.touch(entry)
        content = np.memmap(entry / "data", mode="r")
    assert len(content) == size and (content == number).all()
print(made, found)
"""


def test_processes_that_fill_and_evict_at_once_find_whole_entries_and_end_within_the_limit(tmp_path):
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, tmp_path, str(seed)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(2)
    ]
    outputs = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    removals = [line for output, _ in outputs for line in output.splitlines() if line.startswith("fairprof")]
    made, found = np.array([output.splitlines()[-1].split() for output, _ in outputs], dtype=int).sum(axis=0)
    entries = [path for room in ("pixels", "prefix") for path in (tmp_path / room).glob("key?")]
    assert made + found == 300 and made > 20 and found > 20
    assert len(removals) == made - len(entries) and all("the cache is full" in line for line in removals)
    assert sum((entry / "data").stat().st_size for entry in entries) <= 2**20
    left = {path for room in ("pixels", "prefix") for path in (tmp_path / room).iterdir()} - set(entries)
    assert all(path.suffix == ".lock" for path in left)


def test_what_a_killed_removal_left_goes_when_the_entry_is_made_again(cache):
    entry = cache.entry("trainings", "key")
    left = entry.with_name(".key-abcdefgh")
    (left / "key").mkdir(parents=True)
    cache.has_folder(entry, "the training")
    assert entry.is_dir() and not left.exists()
