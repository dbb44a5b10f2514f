"""Progress bars with the time left: live on a terminal, a line now and then in a log."""

import sys

from tqdm import tqdm

LOG_INTERVAL = 10.0  # seconds between lines where standard error is not a terminal


def progress_bar(description: str, total: int, unit: str) -> tqdm:
    """A bar on standard error; call `update(n)` as work gets done and use it as a context manager."""
    live = sys.stderr.isatty()
    return tqdm(
        desc=description,
        total=total,
        unit=f" {unit}",
        file=sys.stderr,
        dynamic_ncols=live,
        ncols=None if live else 100,
        mininterval=0.2 if live else LOG_INTERVAL,
        leave=True,
    )
