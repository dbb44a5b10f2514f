"""Files are whole or absent, locks are told from another process, and room is asked for first."""

from pathlib import Path

import pytest

from fairprof.runtime.files import (
    atomic_folder,
    cache_folder,
    locked,
    remove_folder,
    require_room,
    sha256_of,
    unfinished_folders,
)


def test_a_folder_takes_its_name_when_the_block_ends(tmp_path):
    with atomic_folder(tmp_path / "deep" / "made") as unfinished:
        (unfinished / "file").write_text("x")
        assert not (tmp_path / "deep" / "made").exists()
    assert (tmp_path / "deep" / "made" / "file").read_text() == "x"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["made"]


def test_a_failed_block_leaves_neither_the_folder_nor_its_parts(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "made") as unfinished:
        (unfinished / "file").write_text("x")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_found_and_is_gone_once_the_folder_is_made(tmp_path):
    for left in (".made-abcdefgh", ".made*-abcdefgh", ".other-abcdefgh"):
        (tmp_path / left / "made").mkdir(parents=True)
    assert unfinished_folders(tmp_path / "made") == [tmp_path / ".made-abcdefgh"]
    assert unfinished_folders(tmp_path / "made*") == [tmp_path / ".made*-abcdefgh"]
    with atomic_folder(tmp_path / "made") as unfinished:
        assert unfinished_folders(tmp_path / "made") == [unfinished.parent]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".made*-abcdefgh", ".other-abcdefgh", "made"]


def test_a_removed_folder_is_gone_with_all_that_is_in_it_and_stays_readable_for_those_who_have_it_open(tmp_path):
    (tmp_path / "made" / "deep").mkdir(parents=True)
    (tmp_path / "made" / "deep" / "file").write_text("x")
    with open(tmp_path / "made" / "deep" / "file") as file:
        remove_folder(tmp_path / "made")
        assert list(tmp_path.iterdir()) == [] and file.read() == "x"


def test_a_lock_that_another_process_holds_is_an_error_after_the_timeout_and_free_afterwards(tmp_path, refused, held):
    path = tmp_path / "deep" / "thing.lock"
    with held(path) as give_free:
        with refused("the thing", str(path), "0.2 s", "cache_dir"), locked(path, "the thing", 0.2):
            pass
        give_free()
        with locked(path, "the thing", 30.0):
            pass


def test_a_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock", "the thing", 0.0):
        raise ZeroDivisionError
    with locked(tmp_path / "lock", "the thing", 0.0):
        pass


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_lock_under_a_file_is_the_user_s_to_put_right(tmp_path, refused, below):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / below
    with refused("the thing", str(folder), "cache_dir"), locked(folder / "lock", "the thing", 0.0):
        pass


def test_room_is_refused_with_what_is_needed_and_what_is_free(tmp_path, refused):
    require_room(tmp_path, 1, "a crumb")
    with refused("no space left", "the moon", "1,099,511,627,776 MiB", str(tmp_path), "cache_dir"):
        require_room(tmp_path, 2**60, "the moon")


def test_the_digest_is_that_of_the_standard(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_cache_is_the_user_s_or_the_named_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("here") == tmp_path / "here"
    assert cache_folder("~/there") == tmp_path / "home" / "there"
    assert cache_folder("auto").is_absolute() and "fairprof" in Path(cache_folder("auto")).parts
