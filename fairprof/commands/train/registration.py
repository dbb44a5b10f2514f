"""The model of a run as the next version of its registered model: right after its training, or whenever it is asked
for."""

from fairprof.commands.train.headline import headline_metrics, registered, unregistered
from fairprof.store import registry, tracking
from fairprof.store.models import StoredModel
from fairprof.store.registry import RegisteredVersion


def register(model: StoredModel) -> RegisteredVersion:
    """Registers the model of a run as the next version of `fairprof-<design>`, and says so on the run's page."""
    version = registry.register_model(model, headline_metrics(model.run.metrics))
    tracking.change_description(model.run.run_id, unregistered(model.run.run_id), registered(version))
    return version
