"""Errors that a user can act on, and how an entry point shows any error."""

import errno
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path


class UserError(Exception):
    """Something the user can put right: one line that names file, line or value, and what to do."""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _write_traceback(log_folder: Path, error: BaseException) -> Path:
    try:
        log_folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        log_folder = Path(tempfile.gettempdir())
    log_file = log_folder / f"error-{datetime.now():%Y%m%d-%H%M%S-%f}.log"
    handler = logging.FileHandler(log_file, encoding="utf-8", delay=True)
    record = logging.LogRecord("fairprof", logging.ERROR, __file__, 0, "unexpected error", (), None)
    record.exc_info = (type(error), error, error.__traceback__)
    handler.handle(record)
    handler.close()
    return log_file


@contextmanager
def shown_in_one_line(log_folder: Path) -> Iterator[None]:
    """Turns every exception of the block into one line on standard error and exit status 1.

    What a user can put right (`UserError`, a full disk) is said as it is. Anything else is a fault of the
    program: its traceback goes to a file under `log_folder`, which the line names. An interrupt exits with 130.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f"fairprof: error: {_one_line(error)}")
    except KeyboardInterrupt:
        print("fairprof: interrupted: start again with the same settings to go on", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            _exit_with_log(log_folder, error)
        sys.exit(
            f"fairprof: error: no space left on the device while writing {error.filename or 'a file'}: "
            "free some space and start again, nothing half-written is kept"
        )
    except Exception as error:  # the last place that can say anything to the user
        _exit_with_log(log_folder, error)


def _exit_with_log(log_folder: Path, error: BaseException) -> None:
    log_file = _write_traceback(log_folder, error)
    sys.exit(
        f"fairprof: unexpected error: {type(error).__name__}: {_one_line(error)[:300]} "
        f"(traceback in {log_file}; please report it)"
    )
