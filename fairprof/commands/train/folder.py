"""The folder of a training: what it needs to go on after it was killed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairprof.commands.train.identity import run_key
from fairprof.network.records import Training
from fairprof.runtime.files import cache_folder, locked, make_folder, require_room
from fairprof.runtime.processes import Processes
from fairprof.store import tracking

CHECKPOINT_COPIES = 8  # weights and AdamW's two moments, old and new file, and the best weights, old and new


@contextmanager
def training_folder(training: Training, processes: Processes) -> Iterator[Path]:
    """The folder of this very training: kept when it is killed, found again by the same settings, removed at the end.

    The leading process makes and removes it, and waits for another one that runs the same training. Raises `UserError`
    where that takes longer than `lock_timeout`.
    """
    key = run_key(training.settings, training.pool, training.drawn, training.classifier.weights)
    folder = cache_folder(training.settings.cache_dir) / "trainings" / key
    if not processes.leads:
        yield folder
        return
    with locked(folder.with_suffix(".lock"), "the checkpoint of this very training", training.settings.lock_timeout):
        if (folder / "resume.ckpt").exists():
            tracking.set_tags({"fairprof.resumed": "true"})
        make_folder(folder, "the checkpoint of this very training")
        size = sum(tensor.nbytes for tensor in training.classifier.network.state_dict().values())
        require_room(folder, CHECKPOINT_COPIES * size, "the training's checkpoints")
        yield folder
        shutil.rmtree(folder)
