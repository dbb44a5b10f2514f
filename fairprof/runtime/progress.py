"""Progress with the time left, in one line: live on a terminal, a line now and then in a log; and what is said between
and at the end."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm

from fairprof.plain_text import visible
from fairprof.runtime.ranks import Rank

LOG_INTERVAL = 15.0  # seconds between lines where standard error is not a terminal
REDRAW = 0.2  # seconds between two states of a line on a terminal

_wholes: list["Whole"] = []  # the one that is open, if any: bars show themselves in its line


class _LogLines:
    """Standard error for a bar that cannot redraw itself: every state is a line of its own."""

    def write(self, text: str) -> None:
        state = text.strip("\r\n ")
        if state:
            sys.stderr.write(f"{state}\n")

    def flush(self) -> None:
        sys.stderr.flush()


class Whole:
    """The line of work in parts, such as the runs of a study: how many have ended, what is done now, and about how long
    the rest takes.

    Parts differ in size, so that the time left is told by their weights: of all that has not ended, at the speed of
    what has.
    """

    def __init__(self, description: str, weights: Mapping[str, float], unit: str):
        """weights: of the parts that are waiting, by name, each proportional to the time that it takes."""
        self._waiting = dict(weights)
        self._done = 0.0
        self._description, self._name = description, ""
        self._began = self._told = time.monotonic()
        self._left: float | None = None  # seconds, when the last part ended
        self._live = sys.stderr.isatty()
        self._drawn = 0.0
        self.bar = tqdm(
            desc=description,
            total=len(weights),
            unit=f" {unit}",
            file=sys.stderr if self._live else _LogLines(),
            disable=not Rank.of_environment().leads,
            dynamic_ncols=self._live,
            ncols=None if self._live else 110,
            ascii=None if self._live else " =",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}{postfix}]",
            mininterval=0,
            miniters=1,
            delay=0 if self._live else 1e-9,  # a log begins with the first part that has ended,
            leave=self._live,  # and does not say its last line twice
        )

    def ended(self, part: str) -> None:
        """One of the parts has ended, here or elsewhere; what has ended before ends once."""
        if part not in self._waiting:
            return
        self._done += self._waiting.pop(part)
        self._told = time.monotonic()
        if self._done:
            self._left = (self._told - self._began) / self._done * sum(self._waiting.values())
        self._set_time_left()
        self.bar.update()

    def begun(self, name: str) -> None:
        """What is worked at from now on, such as `B-seed0`."""
        self._name = name

    def shows(self, doing: str) -> None:
        """What is done of it now, such as `training 45 %`; seen on a terminal alone."""
        now = time.monotonic()
        if self._live and now - self._drawn > REDRAW:
            self._drawn = now
            self._set_time_left()
            self.bar.set_description_str(", ".join(filter(None, (self._description, self._name, visible(doing)))))

    def _set_time_left(self) -> None:
        if self._left is not None:
            left = max(self._left - (time.monotonic() - self._told), 0)
            self.bar.set_postfix_str(f"about {tqdm.format_interval(left)} left" if self._waiting else "", refresh=False)


class _Part(tqdm):
    """A bar of work within a whole, which draws nothing itself."""

    def __init__(self, whole: Whole, description: str, total: int):
        super().__init__(disable=True)
        self._whole, self._description, self.total, self.n = whole, description, total, 0

    def update(self, n: float | None = 1) -> None:
        self.n += n or 0
        share = self.n / self.total if self.total else 1.0
        self._whole.shows(f"{self._description} {min(share, 1):.0%}")

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """What the bar says at its end has no room in the line."""


@contextmanager
def whole(description: str, weights: Mapping[str, float], unit: str) -> Iterator[Whole]:
    """The one line of work in parts, as `Whole` describes it; bars within the block show themselves in it."""
    opened = Whole(description, weights, unit)
    _wholes.append(opened)
    try:
        yield opened
    finally:
        _wholes.remove(opened)
        opened.bar.close()


def begun(name: str) -> None:
    """What the open whole works at from now on, such as `B-seed0`."""
    if _wholes:
        _wholes[-1].begun(name)


def progress_bar(description: str, total: int, unit: str) -> tqdm:
    """A bar on standard error; call `update(n)` as work gets done and use it as a context manager.

    On a terminal it is gone once the work is done, so that the next one takes its line. Of several processes, only the
    leading one shows it.
    """
    if not Rank.of_environment().leads:
        return tqdm(disable=True)
    if _wholes:
        return _Part(_wholes[-1], description, total)
    if sys.stderr.isatty():
        return tqdm(desc=description, total=total, unit=f" {unit}", dynamic_ncols=True, mininterval=REDRAW, leave=False)
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


def note(text: str) -> None:
    """A line for the user, above the progress; of several processes, only the leading one says it."""
    if Rank.of_environment().leads:
        tqdm.write(f"fairprof: {visible(text)}", file=sys.stdout)
        sys.stdout.flush()


def conclude(lines: tuple[str, ...]) -> None:
    """Says what has come of it, the answer first; set off by a blank line on a terminal."""
    blank = [""] if sys.stdout.isatty() else []
    print("\n".join((*blank, *map(visible, lines))), flush=True)
