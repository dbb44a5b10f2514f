"""How a process ends whose work is done: what it has loaded is not taken apart, which takes PyTorch two seconds."""

import atexit
import os
import sys
import threading
from typing import NoReturn


def is_idle() -> bool:
    """Whether no thread works but this one, and those that end with it."""
    return all(thread.daemon or thread is threading.current_thread() for thread in threading.enumerate())


def leave(status: int = 0) -> NoReturn:
    """Ends this process once what libraries have registered for its end is done."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
