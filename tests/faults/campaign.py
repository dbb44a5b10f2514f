"""The campaign: kinds of faults that share the time and the cores, what is tried, what holds, what fails."""

import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairprof.runtime.progress import progress_bar
from tests.faults.attempts import Attempt, Failed, Tally

LEAST_MINUTES = 20  # within which every kind has had its least, on two cores


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    least: how many things are tried in `LEAST_MINUTES`. draw: from the number of an attempt and a generator to a name
    and the work, which gets a folder and returns how many things it has tried, or what it has found of each.
    patience: seconds after which an attempt is given up.
    """

    name: str
    least: int
    draw: Callable[[int, np.random.Generator], tuple[str, Callable[[Path], int | list[str]]]]
    patience: float = 600.0


def generator_of(seed: int, kind: str, number: int) -> np.random.Generator:
    """The same for the same attempt of the same campaign, whatever else was tried."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), number])


def run_campaign(
    kinds: Sequence[Kind], minutes: float, seed: int, workers: int, only: int | None = None
) -> dict[str, Tally]:
    """Tries faults of all kinds until the time is over; a kind that lags behind its least comes first.

    only: the number of the one attempt that is tried, of each kind.
    """
    tallies = {kind.name: Tally() for kind in kinds}
    numbers = dict.fromkeys(tallies, only or 0)
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    running: dict[Attempt, Kind] = {}
    started, seconds, told = time.monotonic(), minutes * 60, 0.0
    try:
        with progress_bar("faults", round(seconds), "s") as bar:
            while True:
                over = time.monotonic() - started > seconds
                while not over and len(running) < workers and (kind := _next(kinds, tallies, running, only, numbers)):
                    try:
                        running[_started(kind, numbers[kind.name], seed, root)] = kind
                    except Failed as failure:  # of what all its attempts begin with
                        tallies[kind.name].add(Tally(1, [f"--kinds {kind.name}: {failure}"], "nothing to begin with"))
                    numbers[kind.name] += 1
                if not running:
                    return tallies
                for attempt in list(running):
                    if (tally := attempt.ended()) is not None:
                        tallies[running.pop(attempt).name].add(tally)
                        shutil.rmtree(attempt.folder, ignore_errors=True)
                elapsed = min(time.monotonic() - started, seconds)
                bar.update(round(elapsed) - round(told))
                told = elapsed
                time.sleep(0.05)
    finally:
        for attempt in running:
            attempt.end()
        shutil.rmtree(root, ignore_errors=True)


def _next(
    kinds: Sequence[Kind], tallies: dict[str, Tally], running: dict[Attempt, Kind], only: int | None, numbers: dict
) -> Kind | None:
    """The kind that has had the smallest part of its least; one that tries many things at once waits for them."""
    if only is not None:
        kinds = [kind for kind in kinds if numbers[kind.name] == only]
    open_kinds = [kind for kind in kinds if not tallies[kind.name].skipped]
    at_work = [kind.name for kind in running.values()]
    return min(
        open_kinds, key=lambda kind: (tallies[kind.name].tried + at_work.count(kind.name)) / kind.least, default=None
    )


def _started(kind: Kind, number: int, seed: int, root: Path) -> Attempt:
    name, work = kind.draw(number, generator_of(seed, kind.name, number))
    repeat = f"--seed {seed} --kinds {kind.name} --only {number} ({name})"
    return Attempt(repeat, root / f"{kind.name}-{number}", work, kind.patience)


def told(kinds: Sequence[Kind], tallies: dict[str, Tally]) -> str:
    """The campaign as a table, then a line for each failure."""
    rows = [("kind", "tried", "held", "failed", f"least in {LEAST_MINUTES} min", "core seconds")]
    for kind in kinds:
        tally = tallies[kind.name]
        counts = (tally.tried, tally.held, len(tally.failures), kind.least, round(tally.seconds))
        rows.append((kind.name, *map(str, counts)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines += [f"skipped: {kind.name}: {tallies[kind.name].skipped}" for kind in kinds if tallies[kind.name].skipped]
    lines += [f"failed: {failure}" for kind in kinds for failure in tallies[kind.name].failures]
    return "\n".join(lines)
