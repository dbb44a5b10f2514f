"""What a run is called and found by: its name, its tags, and the keys that say which runs are alike."""

import hashlib

from fairprof.config import NO_MITIGATION, Settings, TrainingSettings
from fairprof.data.designs import DESIGNS, Draw, draw
from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.network.records import Weights


def run_name(settings: Settings, backbone: str = "") -> str:
    """The name of an experiment's run, for example `B-seed0`, `B-seed0-matched` or `B-seed0-group_dro`.

    backbone: title of its backbone, where a study has several: `B-seed0-resnet18`.
    """
    network = f"-{backbone}" if backbone else ""
    size = "" if settings.train_size == "natural" else f"-{settings.train_size}"
    share = "" if settings.fraction == 1 else f"-fraction{settings.fraction:g}"
    method = "" if settings.mitigation == NO_MITIGATION else f"-{settings.mitigation}"
    return f"{settings.experiment}-seed{settings.seed}{network}{method}{size}{share}"


def run_tags(settings: Settings) -> dict[str, str]:
    """What an experiment's run can be found by before anything is loaded."""
    return {
        "fairprof.role": "run",
        "fairprof.design": settings.experiment,
        "fairprof.seed": str(settings.seed),
        "fairprof.data": settings.data.partition(":")[0],
        "fairprof.hyperparameters": settings.hyperparameters_hash(),
        "fairprof.mitigation": settings.mitigation,
        "fairprof.method_hash": settings.method_hash(),
    }


def study_key(settings: TrainingSettings, pool: Pool, test_fingerprint: str, weights: Weights) -> str:
    """Equal for runs that may be compared: same hyperparameters, data, test set, weights to start from and, where these
    state it, preprocessing."""
    return _digest(settings.hyperparameters_hash(), pool.fingerprint, test_fingerprint, weights.identity)


def run_key(settings: Settings, pool: Pool, drawn: Draw, weights: Weights) -> str:
    """Equal for runs that train the same: same study key, design, seed, draw and method."""
    of_study = study_key(settings, pool, drawn.test_fingerprint, weights)
    method = [] if settings.mitigation == NO_MITIGATION else [settings.method_hash()]
    if settings.selection == "val_distance_to_ideal":  # of this attribute, without a method too
        method.append(settings.mitigate)
    return _digest(of_study, settings.experiment, settings.seed, drawn.fingerprint, *method)


def train_sizes(settings: Settings, pool: Pool, drawn: Draw) -> tuple[str, ...]:
    """`train_size` of the settings first, and those of matched and natural with which the same rows are drawn.

    Where several are, one run counts in the arms of all.
    """
    others = [size for size in ("matched", "natural") if size != settings.train_size]
    return (str(settings.train_size), *(size for size in others if _draws_the_same(settings, size, pool, drawn)))


def _draws_the_same(settings: Settings, size: str, pool: Pool, drawn: Draw) -> bool:
    try:
        other = draw(pool, DESIGNS[settings.experiment], settings.model_copy(update={"train_size": size}))
    except UserError:  # another design may be impossible, to which this one would be matched
        return False
    return other.fingerprint == drawn.fingerprint


def _digest(*parts: str | int) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]
