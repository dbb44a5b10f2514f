"""The model of a run as the next version of its registered model: right after its training, or whenever it is asked
for."""

import numpy as np

from fairprof.commands.train.headline import headline_metrics, registered, tell, unregistered
from fairprof.commands.train.subject import RunSubject
from fairprof.store import registry, tracking
from fairprof.store.models import StoredModel, model_settings
from fairprof.store.registry import RegisteredVersion


def register_trained(subject: RunSubject, weights: dict[str, np.ndarray]) -> None:
    """Registers the model of the active run, which has logged all else that it leaves, and says so."""
    run = tracking.get_run(tracking.active_run_id())
    described = model_settings(subject.settings, subject.pool.professions, subject.gradcam_layer)
    tell(run, register(StoredModel(run, described, weights)))


def leave_unregistered() -> None:
    """Says what the active run has come to, and how its model is named without a version."""
    tell(tracking.get_run(tracking.active_run_id()), None)


def register(model: StoredModel, chosen: str = "") -> RegisteredVersion:
    """Registers the model of a run as the next version of `fairprof-<design>`, and says so on the run's page.

    chosen: why this one of several runs is registered.
    """
    version = registry.register_model(model, headline_metrics(model.run.metrics), chosen)
    tracking.change_description(model.run.run_id, unregistered(model.run.run_id), registered(version))
    return version
