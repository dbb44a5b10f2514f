"""Workers of studies as processes of their own, which one process that has imported everything forks.

`python -m tests.commands.study.many_workers SETTINGS KILLED`: SETTINGS: a JSON list, those of each worker; KILLED: the
number of the worker that is killed within its first training, -1 for none. Exits with 0 if all others do.
"""

import json
import os
import signal
import sys
import traceback

import torch

from fairprof.commands.study.run import run_study
from fairprof.commands.train import outcome
from fairprof.config import StudySettings


def killed_in_training() -> None:
    """The first epoch of this process is its last."""
    outcome.log_epoch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def worker(number: int, killed: int, settings: StudySettings) -> int:
    torch.set_num_threads(1)
    if number == killed:
        killed_in_training()
    try:
        run_study(settings)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    studies, killed = [StudySettings(**settings) for settings in json.loads(sys.argv[1])], int(sys.argv[2])
    children = []
    for number, settings in enumerate(studies):
        child = os.fork()
        if child == 0:
            os._exit(worker(number, killed, settings))
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    expected = [-signal.SIGKILL if number == killed else 0 for number in range(len(studies))]
    sys.exit(None if codes == expected else f"the workers ended with {codes}")
