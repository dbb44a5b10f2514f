"""The model of a run as the next version of its registered model: right after its training, or whenever it is asked
for."""

from fairprof.commands.train.headline import CONTACT_SHEET, headline_metrics, registered, tell, unregistered
from fairprof.commands.train.method import told_method
from fairprof.commands.train.outcome import described_model
from fairprof.commands.train.report import findings, outcome_of
from fairprof.commands.train.subject import RunSubject
from fairprof.config import NO_MITIGATION
from fairprof.network.records import Trained
from fairprof.reporting.findings import REPORT
from fairprof.store import registry, tracking
from fairprof.store.models import StoredModel
from fairprof.store.registry import RegisteredVersion


def register_trained(subject: RunSubject, trained: Trained) -> None:
    """Registers the model of the active run, which has logged all else that it leaves; then reports."""
    run = tracking.get_run(tracking.active_run_id())
    described = described_model(subject, trained)
    report(subject, register(StoredModel(run, described, trained.best_weights)))


def report(subject: RunSubject, version: RegisteredVersion | None) -> None:
    """Logs the page and the description of the active run, which has logged all else, and says what it has come to.

    version: as which its model is registered; None where it is not, in a study, which says it itself.
    """
    found = findings(outcome_of(subject, version))
    tracking.log_text(found.html(), REPORT)
    run_id = tracking.active_run_id()
    tracking.set_description(
        f"**[Report]({tracking.address_of(REPORT)})** - **[Grad-CAM]({tracking.address_of(CONTACT_SHEET)})** - "
        f"{unregistered(run_id) if version is None else registered(version)}\n\n{found.description}"
    )
    tracking.set_answer(" ".join(found.printed))
    if version is not None:
        tell(tracking.get_run(run_id), version, found.printed)


def register(model: StoredModel, chosen: str = "") -> RegisteredVersion:
    """Registers the model of a run as the next version of `fairprof-<design>`, and says so on the run's page.

    chosen: why this one of several runs is registered.
    """
    trained_with = model.settings["settings"]
    method = told_method(trained_with.get("mitigation", NO_MITIGATION), trained_with.get("mitigate", ""))
    version = registry.register_model(model, headline_metrics(model.run.metrics), chosen, method)
    tracking.change_description(model.run.run_id, unregistered(model.run.run_id), registered(version))
    return version
