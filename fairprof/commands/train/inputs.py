"""What goes into a run, logged before it trains: settings, fingerprints, the rows drawn, the data set's faults."""

from fairprof.commands.train.identity import run_key, study_key, train_sizes
from fairprof.commands.train.subject import RunSubject
from fairprof.data.designs import composition
from fairprof.documents.datasheet import datasheet, datasheet_facts
from fairprof.measurement.ceilings import ceilings
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.style import png_of
from fairprof.runtime.files import without_folders
from fairprof.store import tracking
from fairprof.store.studies import backbone_name


def log_inputs(subject: RunSubject) -> None:
    """Logs what goes into a training: settings, fingerprints, data sets, composition, datasheet, quarantine; and what
    is expected of the best rule on the test images, whatever is trained."""
    _log_identity(subject)
    _log_rows(subject)
    _log_quarantine(subject)
    pool, drawn = subject.pool, subject.drawn
    tracking.log_values(
        {
            "data/pool": len(pool.table),
            "data/quarantined": len(pool.quarantine),
            "data/repaired_ages": pool.mangled_ages,
            "data/train": len(drawn.train),
            "data/val": len(drawn.val),
            "data/test": len(drawn.test),
        }
        | ceilings(pool, drawn.test),
        shown=(),  # MLflow's page of compared runs opens on the first metric of a run: that is to be a score
    )


def _log_identity(subject: RunSubject) -> None:
    settings, pool, drawn, weights = subject.settings, subject.pool, subject.drawn, subject.weights
    tracking.log_settings(
        settings.model_dump()
        | {
            "weights": weights.name,
            "hyperparameters_hash": settings.hyperparameters_hash(),
            "method_hash": settings.method_hash(),
            "pool_fingerprint": pool.fingerprint,
            "draw_fingerprint": drawn.fingerprint,
            "test_fingerprint": drawn.test_fingerprint,
            **({"matched_to": drawn.matched_to} if drawn.matched_to else {}),
        }
    )
    tracking.set_tags(
        {
            "fairprof.weights": without_folders(weights.name),
            "fairprof.backbone": backbone_name(settings.architecture, weights.name),
            **weights.tags(),
            "fairprof.study_key": study_key(settings, pool, drawn.test_fingerprint, weights),
            "fairprof.run_key": run_key(settings, pool, drawn, weights),
            "fairprof.train_sizes": ",".join(train_sizes(settings, pool, drawn)),
        }
    )


def _log_rows(subject: RunSubject) -> None:
    settings, pool, drawn = subject.settings, subject.pool, subject.drawn
    for partition in ("train", "val", "test"):
        rows = pool.table.iloc[drawn.rows(partition)]
        digest = drawn.test_fingerprint if partition == "test" else drawn.fingerprint
        tracking.log_input(rows, settings.data, {"val": "validation"}.get(partition, partition), digest)
    counts = composition(pool, drawn)
    title = f"Design {settings.experiment}: balanced over {' x '.join(drawn.design.balanced)}"
    tracking.log_table(counts, "data/composition.csv")
    tracking.log_bytes(png_of(composition_figure(counts, title)), "data/composition.png")
    tracking.log_text(datasheet(datasheet_facts(pool, drawn, settings)), "data/datasheet.md")


def _log_quarantine(subject: RunSubject) -> None:
    quarantine = subject.pool.quarantine
    tracking.log_table(quarantine, "data/quarantine.csv")
    by_group = quarantine.fillna("unknown").groupby(["reason", "gender", "race"]).size()
    tracking.log_table(by_group.reset_index(name="count"), "data/quarantine_by_group.csv")
