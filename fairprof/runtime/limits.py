"""How much memory a block may take that reads what somebody else has made."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memory_limited(extra: int) -> Iterator[None]:
    """Lets this process take at most `extra` bytes more in the block; what would take more raises `MemoryError`.

    Address space is what is counted, and of all threads. Without effect where the operating system is not Linux.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as counts:
        limit = int(counts.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + extra
    if resource.RLIM_INFINITY not in (soft, hard):
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
