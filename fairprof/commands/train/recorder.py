"""The side that logs: one run at a time is open in MLflow, and what is handed over is logged to it, in order."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from fairprof.runtime.beside import function_at
from fairprof.store import tracking


@dataclass
class _Run:
    """An open run; failure: why a piece of it could not be logged, or what went wrong elsewhere."""

    until_closed: ExitStack = field(default_factory=ExitStack)
    failure: BaseException | None = None

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self.until_closed.__exit__(type(failure), failure, failure.__traceback__)


_runs: list[_Run] = []  # the open one


def open_run(name: str, tags: dict[str, str], parent: str | None, system_metrics: bool | None) -> str:
    """Opens the run to which the pieces after it are logged, as `tracking.started_run` does; returns its id."""
    run = _Run()
    run_id = run.until_closed.enter_context(tracking.started_run(name, tags, parent, system_metrics))
    _runs.append(run)
    return run_id


def log(function: str, *arguments: object) -> None:
    """Logs a piece: calls a function, named by its dotted path. After a failure the rest of the run is left out."""
    run = _runs[-1]
    if run.failure is not None:
        return
    try:
        function_at(function)(*arguments)
    except BaseException as failure:  # the run's, whatever it is
        run.fail(failure)
        raise


def close_run() -> None:
    """Ends the run; raises what went wrong in it, if anything did."""
    run = _runs.pop()
    if run.failure is not None:
        raise run.failure
    run.until_closed.close()


def fail_run(failure: BaseException) -> None:
    """Ends the run as failed, unless it has ended so already."""
    if _runs:
        run = _runs.pop()
        if run.failure is None:
            run.fail(failure)
