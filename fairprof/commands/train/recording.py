"""What a run leaves in MLflow, handed over piece by piece while it trains.

An executor logs the pieces in their order, in this process or beside it. What they are logged with is loaded there: who
only trains does without MLflow and matplotlib.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pandas as pd

from fairprof.commands.train.subject import Explained, RunSubject
from fairprof.config import Settings
from fairprof.network.records import Trained
from fairprof.runtime.beside import Executor, as_told

RECORDER = "fairprof.commands.train.recorder"


class Recording:
    """A run that an executor logs.

    A piece that cannot be logged ends the run as failed; the next call, or `wait`, raises why. until_recorded: what is
    done once the run is closed, and is told of its failure.
    """

    def __init__(
        self, executor: Executor, name: str, tags: dict[str, str], parent: str | None = None, gpu: bool = False
    ):
        """parent: the id of the run to which this one belongs. gpu: whether it trains on one; then MLflow logs what the
        GPUs and the rest of the machine do meanwhile."""
        self._executor = executor
        self._pieces: list[Future] = []
        self._closed: Future | None = None
        self.until_recorded = ExitStack()
        self._opened = self._do("open_run", name, tags, parent, True if gpu else None)

    def run_id(self) -> str:
        """The id of the MLflow run; waits until that is open."""
        return self._opened.result()

    def tags(self, tags: dict[str, str]) -> None:
        self._log("fairprof.store.tracking.set_tags", tags)

    def work(self, values: dict[str, float]) -> None:
        """What the cache has spared, values by name, none of which is a metric."""
        self._log("fairprof.store.tracking.log_values", values, ())

    def inputs(self, subject: RunSubject) -> None:
        """What goes into the training."""
        self._log("fairprof.commands.train.inputs.log_inputs", subject)

    def epoch(self, epoch: int, values: dict[str, float]) -> None:
        """The values of an epoch, from 1."""
        self._log("fairprof.commands.train.outcome.log_epoch", epoch, values)

    def training(self, subject: RunSubject, trained: Trained) -> None:
        """What a training leaves."""
        self._log("fairprof.commands.train.outcome.log_training", subject, trained)

    def predictions(self, subject: RunSubject, val: pd.DataFrame, test: pd.DataFrame) -> None:
        """Predictions of validation and test images, and all that is measured on them."""
        self._log("fairprof.commands.train.outcome.log_predictions", subject, val, test)

    def selections(self, selected: pd.DataFrame) -> None:
        """Predictions of test images by every selection rule, as `by_selection` returns them."""
        self._log("fairprof.store.tracking.log_table", selected, "predictions/test_by_selection.parquet")

    def maps(self, explained: Explained, drawn: dict[str, bytes]) -> None:
        """What the network looks at in test images, with the pictures that `map_pictures` has drawn."""
        self._log("fairprof.commands.train.outcome.log_maps", explained, drawn)

    def undrawn_maps(self, subject: RunSubject, explained: Explained) -> None:
        """What the network looks at in test images; whoever logs it draws it."""
        self._log("fairprof.commands.train.outcome.draw_and_log_maps", subject, explained)

    def registration(self, subject: RunSubject, trained: Trained) -> None:
        """The run's model as the next version of its registered model, and the run's report."""
        self._log("fairprof.commands.train.registration.register_trained", subject, trained)

    def report(self, subject: RunSubject) -> None:
        """The run's report, where its model is not registered."""
        self._log("fairprof.commands.train.registration.report", subject, None)

    def end_of_training(self, settings: Settings, folder: Path) -> None:
        """That nothing is left to be gone on with: the training's folder goes, before the run counts as finished."""
        self._log("fairprof.commands.train.folder.remove_folder", settings, folder)

    def close(self) -> None:
        """Hands over the run's end: it has finished once all that was handed over before is logged."""
        self._closed = self._do("close_run")

    def is_recorded(self) -> bool:
        """Whether all has been logged, or could not be."""
        return self._closed is not None and self._closed.done()

    def wait(self) -> str:
        """Waits until the run is closed and returns its id; raises what went wrong in it."""
        assert self._closed is not None
        with self.until_recorded:
            self._closed.result()
        return self.run_id()

    def fail(self, failure: BaseException) -> None:
        """Ends the run as failed, unless it has ended so already; waits until that is done."""
        with suppress(Exception):  # of the recorder's making; what is wrong is known already
            self._executor.do(f"{RECORDER}.fail_run", as_told(failure)).result()
        self.until_recorded.__exit__(type(failure), failure, failure.__traceback__)

    def _log(self, function: str, *arguments: object) -> None:
        self._do("log", function, *arguments)

    def _do(self, function: str, *arguments: object) -> Future:
        for piece in self._pieces:
            if piece.done():
                piece.result()  # raises what went wrong
        self._pieces = [piece for piece in self._pieces if not piece.done()]
        self._pieces.append(self._executor.do(f"{RECORDER}.{function}", *arguments))
        return self._pieces[-1]


@contextmanager
def recorded(recorder: Executor, name: str, tags: dict[str, str], gpu: bool = False) -> Iterator[Recording]:
    """A run that is recorded when the block ends; an error in the block ends it as failed."""
    recording = Recording(recorder, name, tags, gpu=gpu)
    try:
        yield recording
        recording.close()
        recording.wait()
    except BaseException as failure:
        recording.fail(failure)
        raise
