"""Files are whole or absent, locks are told from another process, and room is asked for first."""

import errno
import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from fairprof.runtime.files import (
    UnreadableFile,
    atomic_folder,
    cache_folder,
    discard,
    locked,
    open_file,
    path_of,
    read_file,
    remove_folder,
    require_room,
    sha256_of,
    unfinished_folders,
    without_folders,
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


def test_who_waits_long_for_a_lock_is_told(tmp_path, refused, held, monkeypatch, capsys):
    monkeypatch.setattr("fairprof.runtime.files.UNTOLD_WAIT", 0.1)
    with held(tmp_path / "lock"):
        with refused("the cache is in use"), locked(tmp_path / "lock", "the cache", 0.1):
            pass
        assert capsys.readouterr().out == ""
        with refused("the cache is in use", "0.2 s"), locked(tmp_path / "lock", "the cache", 0.2):
            pass
        assert capsys.readouterr().out == "fairprof: waiting for the cache, which another process is using\n"


def test_a_folder_in_the_place_of_a_lock_makes_way_and_a_file_stays(tmp_path, refused, held):
    (tmp_path / "lock" / "deep").mkdir(parents=True)
    with locked(tmp_path / "lock", "the thing", 0.0):
        assert (tmp_path / "lock").is_file()


def test_whatever_has_a_folder_s_name_is_replaced_by_it_and_can_be_discarded(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    makers = {
        "file": Path.touch,
        "folder": lambda path: (path / "deep").mkdir(parents=True),
        "link": lambda path: path.symlink_to(tmp_path / "elsewhere"),
        "dangling": lambda path: path.symlink_to(tmp_path / "none"),
    }
    for name, make in makers.items():
        make(tmp_path / name)
        with atomic_folder(tmp_path / name) as unfinished:
            (unfinished / "new").touch()
            assert os.path.lexists(tmp_path / name)
        assert [path.name for path in (tmp_path / name).iterdir()] == ["new"] and not (tmp_path / name).is_symlink()
        discard(tmp_path / name)
        make(tmp_path / name)
        discard(tmp_path / name)
        discard(tmp_path / name)
        assert not os.path.lexists(tmp_path / name)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock", "the thing", 0.0):
        raise ZeroDivisionError
    with locked(tmp_path / "lock", "the thing", 0.0):
        pass


@pytest.fixture
def odd_files(tmp_path):
    """Paths that are no readable file, and why not."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket"))
    return {
        tmp_path / "pipe": "a named pipe",
        tmp_path / "loop": "circle",
        tmp_path / "zero": "a device",
        Path("/dev/full"): "a device",
        tmp_path / "socket": "a socket",
        tmp_path: "a folder",
        tmp_path / "nowhere": "no such file",
        tmp_path / ("n" * 300): "too long",
        tmp_path / "pipe" / "below": "a part of its path is a file",
        tmp_path / "zero\0": "no file's name",
        tmp_path / "\ud800": "no file's name",
    }


@pytest.fixture
def odd_places(tmp_path):
    """Places where nothing can be kept, and why not."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "file" / "nowhere")
    return {
        tmp_path / "file": "something that is no folder is in its place",
        tmp_path / "file" / "sub": "a part of its path is a file",
        tmp_path / "loop" / "sub": "circle",
        tmp_path / "dangling": "something that is no folder is in its place",
        tmp_path / ("n" * 300): "too long",
        tmp_path / "/".join(["n"] * 3000): "too long",
        Path("/proc/nowhere"): "no such file or folder",
        Path("/dev/null/sub"): "a part of its path is a file",
        tmp_path / "zero\0": "no file's name",
    }


def test_a_lock_that_cannot_be_had_is_the_user_s_to_put_right(odd_places, refused):
    for folder, reason in odd_places.items():
        with refused("the thing", str(folder), reason, "cache_dir"), locked(folder / "lock", "the thing", 0.0):
            pass


def test_a_lock_on_a_read_only_file_system_is_the_user_s_to_put_right(tmp_path, on_small_disk, refused):
    def fill(disk: Path) -> None:
        (disk / "there").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for folder in (disk / "new", disk / "there"):
            with refused("the thing", str(folder), "can only be read", "cache_dir"):
                with locked(folder / "lock", "the thing", 0.0):
                    pass

    on_small_disk(2**20, fill)


def test_too_many_open_files_are_no_fault_of_the_folder(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(OSError) as error:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with locked(tmp_path / "lock", "the thing", 0.0):
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert error.value.errno == errno.EMFILE


# --- files that somebody else names -----------------------------------------------------------------------------


def test_a_regular_file_is_read_up_to_the_limit_and_not_beyond(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(UnreadableFile, match="file of 5 bytes, more than 4"):
        read_file(path, 4)
    (tmp_path / "link").symlink_to(path)
    assert read_file(tmp_path / "link", 5) == b"12345"
    assert read_file("/proc/self/stat", 10_000).startswith(str(os.getpid()).encode())  # says that it has no bytes
    with pytest.raises(UnreadableFile, match="more than 10"):
        read_file("/proc/self/stat", 10)


def test_a_file_that_grows_while_it_is_read_is_refused_at_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    fstat = os.fstat

    def before_it_grows(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        with open(path, "ab") as file:
            file.write(bytes(1000))
        return status

    monkeypatch.setattr(os, "fstat", before_it_grows)
    with pytest.raises(UnreadableFile, match="file of 9 bytes, more than 8"):
        read_file(path, 8)


@pytest.mark.parametrize("read", [lambda path: read_file(path, 10), open_file, sha256_of])
def test_what_is_no_regular_file_is_neither_waited_for_nor_read(read, tmp_path, odd_files):
    for path, reason in odd_files.items():
        with pytest.raises(UnreadableFile, match=reason):
            read(path)
    assert not {f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")} & set(map(str, odd_files))


def test_a_pipe_that_takes_the_place_of_a_file_at_the_last_moment_is_not_waited_for(tmp_path, monkeypatch):
    path, stat = tmp_path / "file", os.stat
    path.write_bytes(b"x")

    def then_a_pipe(name, **how) -> os.stat_result:
        status = stat(name, **how)
        if name == path:
            path.unlink()
            os.mkfifo(path)
        return status

    monkeypatch.setattr(os, "stat", then_a_pipe)
    with pytest.raises(UnreadableFile, match="a named pipe"):
        read_file(path, 10)


def test_a_path_of_nobody_s_home_is_refused_and_others_are_absolute(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert path_of("a/b", "weights") == tmp_path / "a" / "b" and path_of("~/b", "weights") == Path("/home/somebody/b")
    with refused("weights=~nosuchuser/b", "~nosuchuser", "write the path out"):
        path_of("~nosuchuser/b", "weights")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with refused("cache_dir=here", "gone"):
        cache_folder("here")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("utkface:/home/somebody/faces/", "utkface:faces"),
        ("manifest:~/data/my faces.csv", "manifest:my faces.csv"),
        ("utkface:.", "utkface:."),
        ("/home/a:b/weights.pth", "weights.pth"),
        ("synthetic", "synthetic"),
        ("imagenet", "imagenet"),
    ],
)
def test_others_read_a_name_and_not_the_folders_before_it(text, shown):
    assert without_folders(text) == shown


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
