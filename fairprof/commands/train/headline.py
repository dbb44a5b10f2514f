"""What is said of a run first: its headline metrics, in the registry and on the screen."""

from collections.abc import Iterable

from fairprof.measurement.ceilings import HEADLINE_GAPS
from fairprof.plain_text import in_markdown, visible
from fairprof.reporting.findings import WHERE_THE_REPORT_IS
from fairprof.store import tracking
from fairprof.store.models import run_reference
from fairprof.store.registry import RegisteredVersion
from fairprof.store.tracking import LoggedRun

HEADLINE = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "test/macro_f1_of_ceiling",
    "test/macro_f1_share_above_chance",
    *(f"test/{gap}" for gap in HEADLINE_GAPS),
    "test/worst_group_accuracy/gender_x_race",
    "best_val/macro_f1",
)


def headline_metrics(values: dict[str, float]) -> dict[str, float]:
    """Those of a run's metrics that are shown first, in that order; absent ones are left out."""
    return {name: values[name] for name in HEADLINE if name in values}


def unregistered(run_id: str) -> str:
    """How the model of a run that has not registered it is named, Markdown."""
    return f"Not registered: it is named `run:{run_id}`; `mlflow run . -e register -P run={run_id}` registers it."


def registered(version: RegisteredVersion) -> str:
    """As which version the model of a run is registered, Markdown."""
    champion = ", the champion" if version.champion else ""
    return f"Registered as `models:/{version.name}/{version.version}`{champion} ({in_markdown(version.reason)})."


def tell(run: LoggedRun, version: RegisteredVersion | None, sentences: Iterable[str]) -> None:
    """Says on the screen what a run has come to and how its model is loaded; version: as which it is registered."""
    said = visible(" ".join(sentences))
    if version is None:
        print(f"\n{run.name}: {said}\nits model is named {run_reference(run.run_id)}", flush=True)
        return
    print(
        f"\n{version.name} version {version.version}: {said}\n"
        f'load it with mlflow.pyfunc.load_model("models:/{version.name}/{version.version}")\n'
        f"browse the runs at {tracking.runs_page()}; {WHERE_THE_REPORT_IS}",
        flush=True,
    )
