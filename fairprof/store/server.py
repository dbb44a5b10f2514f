"""MLflow's server when it goes away: how long it is waited for, and what is said when it stays away.

MLflow's client tries a request again that was refused, reset, or answered with 429 or 5xx: seven times in four minutes,
with pauses that double up to two minutes. A server that returns meanwhile is never noticed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES
from mlflow.exceptions import MlflowException

from fairprof.errors import ServerAway

UNANSWERED = re.compile(r"API request to \S+ failed with (timeout )?exception")  # MLflow has no code for it
SURROUNDING = "\"'()"  # what exceptions within exceptions leave around the last one's words


def is_away(error: BaseException) -> bool:
    """Whether an error says that the tracking server did not answer."""
    return isinstance(error, ServerAway) or (
        isinstance(error, MlflowException) and UNANSWERED.match(error.message) is not None
    )


def wait_no_more() -> None:
    """Has MLflow's client try each request once: the run of a server that is away cannot be closed either."""
    os.environ[MLFLOW_HTTP_REQUEST_MAX_RETRIES.name] = "0"


@contextmanager
def needed() -> Iterator[None]:
    """Raises `ServerAway` where the tracking server does not answer in the block."""
    try:
        yield
    except MlflowException as error:
        if not is_away(error):
            raise
        reason = error.message.rsplit(": ", 1)[-1].strip(SURROUNDING)
        raise ServerAway(
            f"the tracking server {mlflow.get_tracking_uri()} does not answer ({reason}): see that it runs, then start "
            "again with the same settings to go on; what has been trained is kept"
        ) from None
