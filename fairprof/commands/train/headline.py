"""What is said of a run first: its headline metrics, in the registry and on the screen."""

from collections.abc import Iterable

from fairprof.measurement.ceilings import HEADLINE_GAPS
from fairprof.plain_text import in_markdown
from fairprof.reporting.findings import REPORT
from fairprof.runtime.progress import conclude
from fairprof.store import tracking
from fairprof.store.pages import SHORT_NAMES, version_address
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
CONTACT_SHEET = "gradcam/contact_sheet.png"
# metrics, of which MLflow's page of compared runs opens on the first; the other values of an epoch are in
# training/history.csv
BY_EPOCH = (
    "val/macro_f1",
    "train/loss",
    "val/loss",
    "val/demographic_parity_difference/gender",
    "val/demographic_parity_difference/race",
)
SHOWN = (  # the values of a run that are metrics
    *HEADLINE,
    *SHORT_NAMES,
    "test/calibration_error",
    "ceiling/macro_f1",
    "best_epoch",
)


def headline_metrics(values: dict[str, float]) -> dict[str, float]:
    """Those of a run's metrics that are shown first, in that order; absent ones are left out."""
    return {name: values[name] for name in HEADLINE if name in values}


def unregistered(run_id: str) -> str:
    """How the model of a run that has not registered it is named, Markdown."""
    return f"Its model is not registered: it is named `run:{run_id}`, which `-e register -P run={run_id}` registers."


def registered(version: RegisteredVersion) -> str:
    """As which version the model of a run is registered, Markdown."""
    champion = ", the champion" if version.champion else ""
    address = version_address(version.name, version.version)[1:]
    return (
        f"**[{version.name} version {version.version}]({address})**{champion} "
        f"({in_markdown(version.reason)}): load it as `models:/{version.name}/{version.version}`."
    )


def tell(run: LoggedRun, version: RegisteredVersion, sentences: Iterable[str]) -> None:
    """Says on the screen what a run has come to, and where it, its report and its model are."""
    conclude(
        (
            f"{run.name}: {' '.join(sentences)}",
            *tracking.places(REPORT, (version.name, version.version)),
            f'load the model with mlflow.pyfunc.load_model("models:/{version.name}/{version.version}")',
        )
    )
