"""Progress bars with the time left: live on a terminal, a line now and then in a log."""

import sys

from tqdm import tqdm

from fairprof.plain_text import visible
from fairprof.runtime.ranks import Rank

LOG_INTERVAL = 15.0  # seconds between lines where standard error is not a terminal


class _LogLines:
    """Standard error for a bar that cannot redraw itself: every state is a line of its own."""

    def write(self, text: str) -> None:
        state = text.strip("\r\n ")
        if state:
            sys.stderr.write(f"{state}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def note(text: str) -> None:
    """A line for the user; of several processes, only the leading one says it."""
    if Rank.of_environment().leads:
        print(f"fairprof: {visible(text)}", flush=True)


def progress_bar(description: str, total: int, unit: str) -> tqdm:
    """A bar on standard error; call `update(n)` as work gets done and use it as a context manager.

    Of several processes, only the leading one shows it.
    """
    if not Rank.of_environment().leads:
        return tqdm(disable=True)
    if sys.stderr.isatty():
        return tqdm(desc=description, total=total, unit=f" {unit}", dynamic_ncols=True, mininterval=0.2)
    return tqdm(
        desc=description,
        total=total,
        unit=f" {unit}",
        file=_LogLines(),
        ncols=110,
        ascii=" =",
        mininterval=LOG_INTERVAL,
        maxinterval=LOG_INTERVAL,
        delay=1.0,
    )
