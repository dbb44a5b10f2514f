"""The processes of one training, as torchrun starts them: how they wait for each other and share what they compute."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from fairprof.runtime.ranks import Rank

PATIENCE = timedelta(days=1)  # one process may fill a cache for hours while the others wait for it
FAILED = "fairprof/failed"  # a key in the store that torchrun keeps for its processes
LAST_WORDS = 5.0  # seconds that a failed leading process has to say why: torchrun ends it as soon as another one ends


@dataclass(frozen=True)
class Processes(Rank):
    """The processes that train together, as this one of them sees them: how they put together what each computes."""

    def gathered(self, values: torch.Tensor, total: int) -> torch.Tensor:
        """What all processes computed for their `share` of `total` rows, in the order of the rows, (total, ...)."""
        if self.count == 1:
            return values
        longest = -(-total // self.count)
        padded = torch.zeros(longest, *values.shape[1:], dtype=values.dtype, device=values.device)
        padded[: len(values)] = values
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(parts, padded)
        return torch.stack(parts, dim=1).flatten(0, 1)[:total]

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a value over all processes; not differentiable."""
        if self.count > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def wait_for_all(self) -> None:
        if self.count > 1:
            distributed.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Lets the others into the block once the leading process has gone through it."""
        if not self.leads:
            self.wait_for_all()
        yield
        if self.leads:
            self.wait_for_all()


ALONE = Processes()


@contextmanager
def process_group(on_gpu: bool) -> Iterator[Processes]:
    """Joins the other processes, over NCCL on GPUs and gloo on CPUs, for the block; yields who this one is.

    Where the leading process leaves the block with an error, the others end without a word, whatever they wait for.
    """
    processes = Processes.of_environment()
    if processes.count == 1:
        yield processes
        return
    if on_gpu:
        torch.cuda.set_device(processes.local_rank)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    store = distributed.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    watcher = threading.Thread(target=_end_with_the_leader, args=(store,), daemon=True)
    if not processes.leads:
        watcher.start()
    try:
        yield processes
    except Exception:
        if processes.leads:
            store.set(FAILED, "")
        else:
            watcher.join(LAST_WORDS + 1)  # a connection that the leading process has closed is no error of this one
        raise
    finally:
        distributed.destroy_process_group()


def _end_with_the_leader(store: distributed.Store) -> None:
    try:
        store.wait([FAILED], timedelta.max)
    except distributed.DistError:  # the store has gone, at the end of all
        return
    time.sleep(LAST_WORDS)
    os._exit(1)
