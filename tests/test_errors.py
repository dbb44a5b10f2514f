"""How an entry point shows an error: one line, and a log only where the program is at fault."""

import errno
import tempfile

import pytest

from fairprof.errors import UserError, shown_in_one_line


def message_of(error: BaseException, log_folder) -> str:
    with pytest.raises(SystemExit) as end, shown_in_one_line(log_folder):
        raise error
    assert isinstance(end.value.code, str) and "\n" not in end.value.code  # a text: exit status 1
    return end.value.code


def test_a_user_error_is_shown_as_it_is_and_leaves_no_log(tmp_path):
    assert message_of(UserError("faces.csv:\n  no   rows"), tmp_path) == "fairprof: error: faces.csv: no rows"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_the_user_s_to_put_right(tmp_path, code):
    message = message_of(OSError(code, "No space left on device", "pixels.npy"), tmp_path)
    assert message.startswith("fairprof: error: no space left") and "pixels.npy" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EACCES, "permission denied: give yourself the right"),
        (errno.EROFS, "can only be read: name a place"),
        (errno.ENAMETOOLONG, "too long: give it a shorter"),
        (errno.ELOOP, "circle: mend the links"),
        (errno.ENOTDIR, "is a file and not a folder: move that file"),
        (errno.EMFILE, "too many files are open: raise the limit"),
        (errno.EIO, "input/output error"),
        (errno.ESTALE, "stale"),
    ],
)
@pytest.mark.parametrize(
    ("names", "place"), [(["pixels\n.npy"], "pixels .npy"), ([b"a", None, b"b"], "b"), ([], "a file")]
)
def test_what_the_operating_system_refuses_is_one_line_with_file_and_remedy(tmp_path, code, reason, names, place):
    message = message_of(OSError(code, "the system's words", *names), tmp_path)
    (log,) = tmp_path.iterdir()
    assert message.startswith(f"fairprof: error: {place}: ") and reason in message and str(log) in message
    assert "Traceback" in log.read_text()


def test_a_file_whose_folder_is_gone_is_the_user_s_to_put_right(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        open(tmp_path / "cache" / "pixels.npy", "wb")
    message = message_of(error.value, tmp_path / "logs")
    assert (
        message.startswith(f"fairprof: error: {tmp_path / 'cache' / 'pixels.npy'}: no such file")
        and "put it back" in message
    )


def test_a_number_in_place_of_a_file_s_name_is_no_name(tmp_path):
    assert message_of(OSError(errno.EIO, "input/output error", 7), tmp_path).startswith(
        "fairprof: error: a file: input"
    )


@pytest.mark.parametrize("error", [ZeroDivisionError("one\ntwo"), FileNotFoundError(errno.ENOENT, "none", "x")])
def test_a_fault_of_the_program_is_one_line_and_a_traceback_in_a_new_file(tmp_path, error):
    folder = tmp_path / "not" / "there"
    message = message_of(error, folder)
    (log,) = folder.iterdir()
    assert type(error).__name__ in message and str(log) in message
    text = log.read_text()
    assert "Traceback" in text and "message_of" in text and f"{type(error).__name__}" in text
    message_of(error, folder)
    assert len(list(folder.iterdir())) == 2


def test_the_log_goes_to_the_temporary_folder_where_its_own_cannot_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "a file").write_text("")
    message = message_of(KeyError("x"), tmp_path / "a file" / "logs")
    (log,) = tmp_path.glob("error-*.log")
    assert str(log) in message


def test_the_traceback_goes_to_the_screen_where_no_folder_can_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a file" / "temporary"))
    message = message_of(KeyError("\udcff"), tmp_path / "a file" / "logs")
    assert message.startswith("fairprof: unexpected error: KeyError") and "the lines above" in message
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_without_a_traceback_and_says_how_to_go_on(tmp_path, capsys):
    with pytest.raises(SystemExit) as end, shown_in_one_line(tmp_path):
        raise KeyboardInterrupt
    assert end.value.code == 130  # 128 + SIGINT, as shells have it
    (line,) = capsys.readouterr().err.splitlines()
    assert "interrupted" in line and list(tmp_path.iterdir()) == []


def test_success_and_a_wanted_exit_pass_through(tmp_path):
    with shown_in_one_line(tmp_path):
        pass
    with pytest.raises(SystemExit) as end, shown_in_one_line(tmp_path):
        raise SystemExit(3)
    assert end.value.code == 3 and list(tmp_path.iterdir()) == []
