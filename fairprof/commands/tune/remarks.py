"""What Optuna remarks about itself."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna


@contextmanager
def without_remarks() -> Iterator[None]:
    """Keeps Optuna from warning, in the block, that heartbeats and plots are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
