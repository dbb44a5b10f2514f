"""The folder of a training: what it needs to go on after it was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairprof.commands.train.identity import run_key, run_name
from fairprof.config import Settings
from fairprof.network.records import Training
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import require_room

WHAT = "the checkpoint of this very training"
CHECKPOINT_COPIES = 8  # weights and AdamW's two moments, old and new file, and the best weights, old and new


def folder_of(training: Training) -> Path:
    """Where the folder of this very training is: the same for the same settings."""
    key = run_key(training.settings, training.pool, training.drawn, training.classifier.weights)
    return Cache.of(training.settings).entry("trainings", key)


def remove_folder(settings: Settings, folder: Path) -> None:
    """Removes the folder of a training, of which all that it leaves is logged; some process holds its lock."""
    Cache.of(settings).remove(folder, WHAT)


@contextmanager
def training_folder(training: Training) -> Iterator[Path]:
    """The folder of this very training: kept when it is killed, found again by the same settings, removed at the end.

    Of several processes the leading one makes and removes it. It waits for another that runs the same training, and
    raises `UserError` where that takes longer than `lock_timeout`. An entry of the cache: abandoned, it goes once it is
    the least recently used.
    """
    cache, folder = Cache.of(training.settings), folder_of(training)
    with cache.locked(folder, WHAT):
        cache.has_folder(folder, WHAT)
        cache.describe(folder, f"the unfinished training {run_name(training.settings)}")
        size = sum(tensor.nbytes for tensor in training.classifier.network.state_dict().values())
        require_room(folder, CHECKPOINT_COPIES * size, "the training's checkpoints")
        yield folder
        cache.remove(folder, WHAT)
