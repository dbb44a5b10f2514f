"""Models that tests keep and register without training them."""

from types import SimpleNamespace

import torch

from fairprof.commands.train.headline import unregistered
from fairprof.commands.train.identity import run_name, run_tags
from fairprof.commands.train.outcome import log_model
from fairprof.commands.train.subject import RunSubject
from fairprof.config import Settings
from fairprof.network.classifier import Classifier
from fairprof.network.records import Trained
from fairprof.network.weights import arrays_of
from fairprof.serving import IMAGENET, DecisionRule, ExplainedLayer, Preprocessing
from fairprof.store import registry, tracking
from fairprof.store.champion import DEGENERATE_TAG
from fairprof.store.models import StoredModel, model_settings
from fairprof.store.registry import RUN_KEY_TAG, RegisteredVersion, ToldMethod


def register_in_active_run(
    weights: dict[str, torch.Tensor],
    explained_layer: ExplainedLayer,
    settings: Settings,
    classes: tuple[str, ...],
    headline: dict[str, float],
    pool: str = "pool",
    run_key: str = "key",
    degenerate: str | None = None,
    rule: DecisionRule | None = None,
    method: ToldMethod | None = None,
    preprocessing: Preprocessing = IMAGENET,
) -> RegisteredVersion:
    """Registers a state dict as the model of the active run, which says of itself what a training's says.

    pool: the fingerprint of the pool that it is said to be trained on. rule: by which it decides. method: with which it
    was made. preprocessing: of the network.
    """
    tracking.set_tags(run_tags(settings) | {RUN_KEY_TAG: run_key})
    if degenerate is not None:
        tracking.set_tags({DEGENERATE_TAG: degenerate})
    tracking.log_settings({"data": settings.data, "pool_fingerprint": pool})
    run = tracking.get_run(tracking.active_run_id())
    described = model_settings(settings, classes, explained_layer, rule, preprocessing=preprocessing)
    return registry.register_model(StoredModel(run, described, arrays_of(weights)), headline, method=method)


def finished_run(
    classifier: Classifier,
    settings: Settings,
    classes: tuple[str, ...],
    macro_f1: float = 0.5,
    degenerate: str | None = None,
    last: dict[str, torch.Tensor] | None = None,
) -> str:
    """A run that has finished and keeps the classifier as its model, which it has not registered; returns its id.

    last: the state dict of an epoch after the best one.
    """
    with tracking.started_run(run_name(settings), run_tags(settings)) as run_id:
        tracking.set_tags(
            {
                RUN_KEY_TAG: f"key of {run_name(settings)}",
                "fairprof.weights": classifier.weights.name,
                "fairprof.weights_sha256": classifier.weights.sha256 or "none",
            }
        )
        if degenerate is not None:
            tracking.set_tags({DEGENERATE_TAG: degenerate})
        tracking.log_settings({"data": settings.data, "pool_fingerprint": "pool", "weights": classifier.weights.name})
        tracking.log_metrics({"best_val/macro_f1": macro_f1, "test/macro_f1": 0.25})
        tracking.set_description(f"**Design {settings.experiment}**. {unregistered(run_id)}")
        pool, changed = SimpleNamespace(professions=classes), classifier.changed_by_training()
        subject = RunSubject(settings, pool, None, classifier.weights, changed, classifier.explained_layer)
        best = classifier.network.state_dict()
        epochs = [{}] if last is None else [{}, {}]
        log_model(subject, Trained(epochs, 1, arrays_of(best), arrays_of(last or best)))
    return run_id
