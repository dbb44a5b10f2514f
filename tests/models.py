"""Models that tests register without training them."""

import torch

from fairprof.commands.train.identity import run_tags
from fairprof.config import Settings
from fairprof.network.weights import arrays_of
from fairprof.store import registry, tracking
from fairprof.store.champion import DEGENERATE_TAG
from fairprof.store.models import StoredModel, model_settings
from fairprof.store.registry import RUN_KEY_TAG, RegisteredVersion


def register_in_active_run(
    weights: dict[str, torch.Tensor],
    gradcam_layer: str,
    settings: Settings,
    classes: tuple[str, ...],
    headline: dict[str, float],
    pool: str = "pool",
    run_key: str = "key",
    degenerate: str | None = None,
) -> RegisteredVersion:
    """Registers a state dict as the model of the active run, which says of itself what a training's says.

    pool: the fingerprint of the pool that it is said to be trained on.
    """
    tracking.set_tags(run_tags(settings) | {RUN_KEY_TAG: run_key})
    if degenerate is not None:
        tracking.set_tags({DEGENERATE_TAG: degenerate})
    tracking.log_settings({"pool_fingerprint": pool})
    run = tracking.get_run(tracking.active_run_id())
    return registry.register_model(
        StoredModel(run, model_settings(settings, classes, gradcam_layer), arrays_of(weights)), headline
    )
