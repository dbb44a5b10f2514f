"""The campaign itself, on faults that are made up; and its short form, on those of the program."""

import re
import subprocess
import sys

import pytest

from tests.entrypoints.runs import environment
from tests.places import ROOT

MADE_UP = """
import os, sys, time
from pathlib import Path
from tests.faults.attempts import Failed, Forked, Skipped
from tests.faults.campaign import Kind, run_campaign, told
from tests.faults.windows import Window

def replaced(folder, window):
    def victim():
        window.arm()
        for name in "abc":
            (folder / "new").write_text(name)
            os.replace(folder / "new", folder / "old")
    return Forked(victim, folder / "log", {}, folder).wait(), (folder / "old").read_text()

def window(what, at_exit, call):
    return Window(what, "os:replace", at_exit, call)

def at_windows(folder):
    status, left = replaced(folder, window("a file takes its place", False, 2))
    after, then = replaced(folder, window("a file takes its place", True, 2))
    return ["" if (status, left, after, then) == (-9, "a", -9, "b") else f"{status} {left} {after} {then}"]

def fails(folder):
    raise Failed("two\\nlines")

def skipped(folder):
    raise Skipped("there is no such machine")

def wrong(folder):
    return 1 // 0

KINDS = [
    Kind("windows", 1, lambda number, generator: ("both", at_windows)),
    Kind("numbers", 4, lambda number, generator: (f"drew {generator.integers(1000)}", lambda folder: [f"{number}"])),
    Kind("fails", 1, lambda number, generator: ("always", fails)),
    Kind("skipped", 1, lambda number, generator: ("always", skipped)),
    Kind("wrong", 1, lambda number, generator: ("always", wrong)),
    Kind("hangs", 1, lambda number, generator: ("always", lambda folder: time.sleep(60)), patience=0.5),
    Kind("dies", 1, lambda number, generator: ("always", lambda folder: os._exit(3))),
]
only = int(sys.argv[2]) if len(sys.argv) > 2 else None
print(told(KINDS, run_campaign(KINDS, float(sys.argv[1]), 7, 2, only)))
"""


def python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=900
    )


def counts(table: str) -> dict[str, tuple[int, int, int]]:
    """Tried, held and failed of each kind."""
    rows = re.findall(r"^(\S+) +(\d+) +(\d+) +(\d+) +\d+ +\d+$", table, re.MULTILINE)
    return {name: (int(tried), int(held), int(failed)) for name, tried, held, failed in rows}


def test_what_fails_is_counted_and_told_with_how_to_repeat_it():
    done = python("-c", MADE_UP, "0.05")
    assert done.returncode == 0, done.stderr[-2000:]
    found = counts(done.stdout)
    tried, held, failed = found["windows"]
    assert tried == held > 0 == failed
    assert found["skipped"] == (0, 0, 0) and "skipped: skipped: there is no such machine" in done.stdout
    for kind, words in {
        "fails": "two lines",
        "wrong": "ZeroDivisionError",
        "hangs": "it was not finished",
        "dies": "it was not finished, or ended the campaign's own process",
    }.items():
        tried, held, failed = found[kind]
        assert tried == failed > 0 == held
        assert re.search(rf"^failed: --seed 7 --kinds {kind} --only 0 \(always\): .*{words}", done.stdout, re.MULTILINE)


def test_an_attempt_is_repeated_by_its_number():
    first, again = (counts_of_numbers(python("-c", MADE_UP, *more).stdout) for more in (("0.05",), ("1", "2")))
    assert again == {2: first[2]}


def counts_of_numbers(table: str) -> dict[int, str]:
    found = re.findall(r"^failed: --seed 7 --kinds numbers --only (\d+) \((.*)\): \1$", table, re.MULTILINE)
    return {int(number): drawn for number, drawn in found}


@pytest.mark.slow
def test_hostile_files_manifests_and_requests_are_taken_or_refused():
    done = python("-m", "tests.faults", "--minutes", "0.5", "--seed", "1", "--kinds", "files,manifests,requests")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert all(tried == held > 0 for tried, held, _ in counts(done.stdout).values())


@pytest.mark.slow
def test_killed_damaged_and_crowded_starts_lose_nothing():
    done = python("-m", "tests.faults", "--minutes", "0.7", "--seed", "1", "--kinds", "kills,damage,starts,disk")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert all(tried == held for tried, held, _ in counts(done.stdout).values())
