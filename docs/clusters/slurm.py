"""A study on SLURM: an array of workers, each of which trains runs of the study that no other one has trained.

    python docs/clusters/slurm.py --workers 8 --partition gpu --gpus 1 -- --experiments A,B --seeds 6

What follows `--` are settings of the study. Every worker is the same command, `python -m entrypoints.study`, started in
this folder with this Python and these environment variables. A job that is preempted or out of time is queued again,
and goes on from the last finished epoch.
"""

import argparse
import os
import shutil
import subprocess
import sys

import submitit
from submitit.helpers import Checkpointable

from fairprof.config import StudySettings
from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder


class Worker(Checkpointable):  # which is called again as it was, where SLURM ends it before its time
    """A worker of the study whose settings it is called with; raises CalledProcessError where it fails."""

    def __call__(self, settings: list[str]) -> None:
        subprocess.run([sys.executable, "-m", "entrypoints.study", *settings], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, required=True, help="size of the array")
    parser.add_argument(
        "--cluster", default="slurm", choices=("slurm", "local"), help="local: processes of this machine"
    )
    parser.add_argument("--folder", default="submitit", help="of logs; every machine reaches it")
    parser.add_argument("--partition", help="SLURM's")
    parser.add_argument("--hours", type=float, default=24, help="of a job, which is queued again when they are over")
    parser.add_argument("--gpus", type=int, default=0, help="of a worker")
    parser.add_argument("--cpus", type=int, default=4, help="of a worker")
    parser.add_argument("--memory", type=float, default=16, help="of a worker, GiB")
    parser.add_argument(
        "--wait", action="store_true", help="end when the study does, with status 1 where a worker failed"
    )
    parser.add_argument("settings", nargs="*", help="of the study, after --")
    arguments = parser.parse_args()
    if arguments.cluster == "slurm" and not shutil.which("srun"):
        parser.error(
            "there is no srun here: start it on a machine from which SLURM takes jobs, or with --cluster local"
        )
    if arguments.cluster == "slurm" and "MLFLOW_TRACKING_URI" not in os.environ:
        parser.error("set MLFLOW_TRACKING_URI to the address of a tracking server that every machine reaches")
    StudySettings.from_arguments(arguments.settings)  # a wrong one is answered here, and not by every job

    executor = submitit.AutoExecutor(arguments.folder, cluster=arguments.cluster)
    executor.update_parameters(
        name="fairprof",
        timeout_min=round(60 * arguments.hours),
        gpus_per_node=arguments.gpus,
        cpus_per_task=arguments.cpus,
        mem_gb=arguments.memory,
        slurm_partition=arguments.partition,
    )
    jobs = executor.map_array(Worker(), [arguments.settings] * arguments.workers)
    print("\n".join(f"{job.job_id}: {job.paths.stdout}" for job in jobs), flush=True)
    if arguments.wait:
        for job in jobs:
            job.result()


if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        main()
