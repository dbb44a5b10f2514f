"""What a run is called and found by: its name, its tags, and the keys that say which runs are alike."""

import hashlib

from fairprof.config import Settings
from fairprof.data.designs import Draw
from fairprof.data.pool import Pool
from fairprof.network.weights import Weights


def run_name(settings: Settings) -> str:
    """The name of an experiment's run, for example `B-seed0` or `B-seed0-matched`."""
    size = "" if settings.train_size == "natural" else f"-{settings.train_size}"
    share = "" if settings.fraction == 1 else f"-fraction{settings.fraction:g}"
    return f"{settings.experiment}-seed{settings.seed}{size}{share}"


def run_tags(settings: Settings) -> dict[str, str]:
    """What an experiment's run can be found by before anything is loaded."""
    return {
        "fairprof.role": "run",
        "fairprof.design": settings.experiment,
        "fairprof.seed": str(settings.seed),
        "fairprof.data": settings.data.partition(":")[0],
        "fairprof.hyperparameters": settings.hyperparameters_hash(),
    }


def study_key(settings: Settings, pool: Pool, drawn: Draw, weights: Weights) -> str:
    """Equal for runs that may be compared: same hyperparameters, data, test set and weights to start from."""
    return _digest(settings.hyperparameters_hash(), pool.fingerprint, drawn.test_fingerprint, weights.sha256)


def run_key(settings: Settings, pool: Pool, drawn: Draw, weights: Weights) -> str:
    """Equal for runs that train the same: same study key, design, seed and draw."""
    return _digest(study_key(settings, pool, drawn, weights), settings.experiment, settings.seed, drawn.fingerprint)


def _digest(*parts: str | int) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]
