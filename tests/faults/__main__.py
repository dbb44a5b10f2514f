"""`python -m tests.faults --minutes 20`: the fault campaign."""

import entrypoints  # noqa: F401, I001  (how OpenMP waits is said before torch is imported)

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

import torch

from tests.faults import damage, disks, fuzz, hostile, kills, servers, starts
from tests.faults.campaign import Kind, run_campaign, told
from tests.faults.stage import Stage

MODULES = (kills, starts, damage, disks, servers, hostile, fuzz)


def kinds_of(stage: Stage) -> list[Kind]:
    """All kinds of faults."""
    return [kind for module in MODULES for kind in module.kinds(stage)]


def main() -> int:
    """Runs the campaign that the command line asks for; 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long it tries; attempts at work then end")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of everything drawn at random")
    parser.add_argument("--workers", type=int, default=2, help="attempts at once: the cores that are free")
    parser.add_argument("--kinds", default="", help="names of kinds, with commas; all where none is given")
    parser.add_argument("--only", type=int, help="the number of the one attempt of these kinds to repeat")
    given = parser.parse_args()
    torch.set_num_threads(1)  # a fork has no other threads
    with tempfile.TemporaryDirectory(prefix="faults-stage-") as folder:
        kinds = kinds_of(Stage(Path(folder)))
        chosen = [kind for kind in kinds if not given.kinds or kind.name in given.kinds.split(",")]
        if not chosen:
            parser.error(f"--kinds must be of {', '.join(kind.name for kind in kinds)}")
        print(f"seed {given.seed}", flush=True)
        tallies = run_campaign(chosen, given.minutes, given.seed, given.workers, given.only)
    print(told(chosen, tallies))
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
