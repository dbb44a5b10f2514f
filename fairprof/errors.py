"""Errors that a user can act on, and how an entry point shows any error."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from fairprof.plain_text import unhidden, visible

# What the operating system says of a file, in plain words
REASONS = {
    errno.ENOENT: "no such file or folder",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENAMETOOLONG: "its name or path is too long",
    errno.ELOOP: "its links lead in a circle",
    errno.ENOTDIR: "a part of its path is a file and not a folder",
    errno.EISDIR: "it is a folder",
    errno.EROFS: "its file system can only be read",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "no space left on the device: the quota is used up",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open on this machine",
    errno.EIO: "input/output error of its disk or network",
    errno.ESTALE: "its network file system has lost it (stale file handle)",
}
# What to do about those that are of the machine's making or the user's, wherever they occur. A file that is not there
# is not among them, as it may be the program that looks for the wrong one, unless its folder is gone
REMEDIES = {
    errno.EACCES: "give yourself the right to it, or name another place",
    errno.EPERM: "give yourself the right to it, or name another place",
    errno.ENAMETOOLONG: "give it a shorter one",
    errno.ELOOP: "mend the links, or name another place",
    errno.ENOTDIR: "move that file, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.EMFILE: "raise the limit with `ulimit -n 4096`, and start again",
    errno.ENFILE: "end other programs, and start again",
    errno.EIO: "look after the disk or the connection, and start again",
    errno.ESTALE: "mount that file system anew, and start again",
}


class UserError(Exception):
    """Something the user can put right: one line that names file, line or value, and what to do."""


def reason_of(error: OSError | ValueError) -> str:
    """Why a file or folder cannot be had, in plain words that do not name it."""
    if isinstance(error, OSError):
        return REASONS.get(error.errno or 0) or error.strerror or " ".join(str(error).split()) or type(error).__name__
    return "its name holds a character that no file's name can have"  # a zero byte, half of a surrogate pair


class ServerAway(Exception):
    """The tracking server has not answered for as long as it is waited for: one line that says what to do."""


def _logged(log_folder: Path, error: BaseException) -> str:
    """Where the error's traceback was written. What can be written nowhere goes to standard error."""
    text = "".join(traceback.format_exception(error))
    for folder in (log_folder, Path(tempfile.gettempdir())):
        log_file = folder / f"error-{datetime.now():%Y%m%d-%H%M%S-%f}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(log_file, "x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return str(log_file)
    print("\n".join(map(unhidden, text.split("\n"))), file=sys.stderr)
    return "the lines above"


@contextmanager
def shown_in_one_line(log_folder: Path) -> Iterator[None]:
    """Turns every exception of the block into one line on standard error and exit status 1.

    What a user can put right (`UserError`, a full disk, a file that may not be written) is said as it is. Anything
    else is a fault of the program. Where it may be one, the line names a file under `log_folder` with the traceback.
    An interrupt exits with 130.
    """
    try:
        yield
    except (UserError, ServerAway) as error:
        sys.exit(f"fairprof: error: {visible(error)}")
    except KeyboardInterrupt:
        print("fairprof: interrupted: start again with the same settings to go on", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(_of_a_file(error, log_folder))
    except Exception as error:  # the last place that can say anything to the user
        sys.exit(_unexpected(error, log_folder))


def _of_a_file(error: OSError, log_folder: Path) -> str:
    file = error.filename if error.filename2 is None else error.filename2
    path = os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else ""
    place = visible(path) or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"fairprof: error: no space left on the device while writing {place}: "
            "free some space and start again, nothing half-written is kept"
        )
    remedy = REMEDIES.get(error.errno or 0)
    if error.errno == errno.ENOENT and file is not None and not os.path.isdir(os.path.dirname(path) or "."):
        remedy = "its folder was removed or unmounted: put it back, and start again"
    if remedy is None:
        return _unexpected(error, log_folder)
    return f"fairprof: error: {place}: {reason_of(error)}: {remedy} (where it happened: {_logged(log_folder, error)})"


def _unexpected(error: BaseException, log_folder: Path) -> str:
    return (
        f"fairprof: unexpected error: {type(error).__name__}: {visible(error)[:300]} "
        f"(traceback in {_logged(log_folder, error)}; please report it)"
    )
