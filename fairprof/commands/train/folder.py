"""The folder of a training: what it needs to go on after it was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairprof.commands.train.identity import run_key, run_name
from fairprof.network.checkpoints import can_resume
from fairprof.network.records import Training
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import require_room
from fairprof.runtime.processes import Processes
from fairprof.store import tracking

WHAT = "the checkpoint of this very training"
CHECKPOINT_COPIES = 8  # weights and AdamW's two moments, old and new file, and the best weights, old and new


@contextmanager
def training_folder(training: Training, processes: Processes) -> Iterator[Path]:
    """The folder of this very training: kept when it is killed, found again by the same settings, removed at the end.

    The leading process makes and removes it, and waits for another one that runs the same training. Raises `UserError`
    where that takes longer than `lock_timeout`. An entry of the cache: abandoned, it goes once it is the
    least recently used.
    """
    cache = Cache.of(training.settings)
    key = run_key(training.settings, training.pool, training.drawn, training.classifier.weights)
    folder = cache.entry("trainings", key)
    if not processes.leads:
        yield folder
        return
    with cache.locked(folder, WHAT):
        cache.has_folder(folder, WHAT)
        if can_resume(folder):
            tracking.set_tags({"fairprof.resumed": "true"})
        cache.describe(folder, f"the unfinished training {run_name(training.settings)}")
        size = sum(tensor.nbytes for tensor in training.classifier.network.state_dict().values())
        require_room(folder, CHECKPOINT_COPIES * size, "the training's checkpoints")
        yield folder
        cache.remove(folder, WHAT)
