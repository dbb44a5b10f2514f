"""The other workers of a study on this machine: processes of their own, one a GPU."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fairprof.config import StudySettings
from fairprof.reporting.wording import counted
from fairprof.runtime.progress import note
from fairprof.store.tracking import PROJECT

OF_MLFLOW_RUN = "MLFLOW_RUN_ID"  # names the run of `mlflow run`, which is this process's


@contextmanager
def other_workers(settings: StudySettings) -> Iterator[None]:
    """Starts the study's other workers (`workers_of_study`, less this process) for the block, and waits for them.

    Each has its share of the processor's cores and, where there are GPUs, one of them. They are ended where the block
    ends with an error; that one of them has is said, for its runs are trained by the others.
    """
    count = settings.workers_of_study
    if count == 1:
        yield
        return
    threads = max(1, torch.get_num_threads() // count)
    torch.set_num_threads(threads)
    others = [subprocess.Popen(_command(settings), env=_environment(number, threads)) for number in range(1, count)]
    try:
        yield
        failed = sum(other.wait() != 0 for other in others)
    finally:
        for other in others:
            other.terminate()
            other.wait()
    if failed:
        note(f"{counted(failed, 'worker')} of {count} ended with an error, which is said above")


def _command(settings: StudySettings) -> list[str]:
    """The study again, as a worker that starts no others."""
    given = settings.model_dump() | {"workers_of_study": 1}
    return [
        *(sys.executable, "-m", "entrypoints.study"),
        *(word for name, value in given.items() for word in (f"--{name}", str(value))),
    ]


def _environment(number: int, threads: int) -> dict[str, str]:
    """That of a worker; number: from 0, which is this process."""
    environment = {name: value for name, value in os.environ.items() if name != OF_MLFLOW_RUN}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), environment.get("PYTHONPATH"))))
    environment["OMP_NUM_THREADS"] = str(threads)
    devices = _devices()
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return environment


def _devices() -> list[str]:
    """The GPUs of this process, as CUDA_VISIBLE_DEVICES names them; this process itself takes the first."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [device.strip() for device in named.split(",") if device.strip()]
    return [str(device) for device in range(torch.cuda.device_count())]
