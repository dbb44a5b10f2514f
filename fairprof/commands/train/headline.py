"""What is said of a run first: its headline metrics, in the registry, in its description and on the screen."""

from fairprof.commands.train.subject import RunSubject
from fairprof.data.designs import DESIGNS
from fairprof.measurement.ceilings import HEADLINE_GAPS
from fairprof.network.records import SELECTION_RULES
from fairprof.plain_text import in_code, in_markdown, visible
from fairprof.reporting.names import GAP_ABBREVIATIONS
from fairprof.reporting.wording import enumerated, number, of_ceiling
from fairprof.runtime.files import without_folders
from fairprof.store import tracking
from fairprof.store.champion import DEGENERATE_TAG
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


def describe(subject: RunSubject, best_epoch: int, epochs: int) -> None:
    """Describes the active run, which has logged its metrics and not registered its model, on its page."""
    settings, run = subject.settings, tracking.get_run(tracking.active_run_id())
    values = run.metrics
    sentence = headline_sentence(values, run.tags.get(DEGENERATE_TAG))
    rows = "\n".join(f"| {name} | {number(value)} |" for name, value in headline_metrics(values).items())
    tracking.set_description(
        f"**Design {settings.experiment}** (balanced over {' x '.join(DESIGNS[settings.experiment].balanced)}): "
        f"{in_markdown(sentence)}.\n\n"
        f"Seed {settings.seed}, data {in_code(settings.data.partition(':')[0])}, "
        f"weights {in_code(without_folders(subject.weights.name))}, "
        f"best epoch {best_epoch} of {epochs} by {SELECTION_RULES[settings.selection].metric}. "
        f"{unregistered(run.run_id)}\n\n"
        f"| metric | value |\n|---|---|\n{rows}\n\n"
        "Gaps of single runs are biased upward; see how to read them in docs/metrics.md before comparing designs."
    )


def unregistered(run_id: str) -> str:
    """How the model of a run that has not registered it is named, Markdown."""
    return f"Not registered: it is named `run:{run_id}`; `mlflow run . -e register -P run={run_id}` registers it."


def registered(version: RegisteredVersion) -> str:
    """As which version the model of a run is registered, Markdown."""
    champion = ", the champion" if version.champion else ""
    return f"Registered as `models:/{version.name}/{version.version}`{champion} ({in_markdown(version.reason)})."


def tell(run: LoggedRun, version: RegisteredVersion | None) -> None:
    """Says on the screen what a run has come to and how its model is loaded; version: as which it is registered."""
    sentence = visible(headline_sentence(run.metrics, run.tags.get(DEGENERATE_TAG)))
    if version is None:
        print(f"\n{run.name}: {sentence}\nits model is named {run_reference(run.run_id)}", flush=True)
        return
    print(
        f"\n{version.name} version {version.version}: {sentence}\n"
        f'load it with mlflow.pyfunc.load_model("models:/{version.name}/{version.version}")\n'
        f"browse the runs at {tracking.runs_page()}",
        flush=True,
    )


def headline_sentence(values: dict[str, float], degenerate: str | None) -> str:
    """What a run has come to; that it answers one class for every image comes before its gaps, and instead of them."""
    share, above_chance = (
        values.get(f"test/macro_f1_{name}", float("nan")) for name in ("of_ceiling", "share_above_chance")
    )
    told = f" ({of_ceiling(share, above_chance)})" if of_ceiling(share, above_chance) else ""
    score = f"test macro-F1 {number(values['test/macro_f1'])}{told}"
    if degenerate is not None:
        return f"degenerate: it answers {degenerate} for every test image, so that no gap says anything; {score}"
    return f"{score}, {_gaps(values, 'gender')}, {_gaps(values, 'race')}"


def _gaps(values: dict[str, float], attribute: str) -> str:
    gaps = (f"{name} {number(values[f'test/{metric}/{attribute}'])}" for metric, name in GAP_ABBREVIATIONS.items())
    return f"{enumerated(gaps)} by {attribute}"
