"""What goes into a run, logged before it trains: settings, fingerprints, the rows drawn, the data set's faults."""

from fairprof.commands.train.identity import run_key, study_key, train_sizes
from fairprof.data.designs import composition
from fairprof.documents.datasheet import datasheet, datasheet_facts
from fairprof.network.batches import Inputs
from fairprof.network.prefix import PrefixInputs
from fairprof.network.records import Training
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.style import png_of
from fairprof.store import tracking


def log_inputs(training: Training) -> None:
    """Logs what goes into the training: settings, fingerprints, data sets, composition, datasheet, quarantine."""
    _log_identity(training)
    _log_rows(training)
    _log_quarantine(training)
    pool, drawn = training.pool, training.drawn
    tracking.log_metrics(
        {
            "data/pool": len(pool.table),
            "data/quarantined": len(pool.quarantine),
            "data/repaired_ages": pool.mangled_ages,
            "data/train": len(drawn.train),
            "data/val": len(drawn.val),
            "data/test": len(drawn.test),
        }
    )


def log_cached_work(inputs: Inputs, name: str) -> None:
    """Logs how much of what enters the network this run had to compute, and how much it found in the cache."""
    if isinstance(inputs, PrefixInputs):
        cache = inputs.cache
        tracking.log_metrics(
            {
                f"{name}/computed_images": cache.computed,
                f"{name}/reused_images": cache.reused,
                f"{name}/seconds": cache.seconds,
            }
        )


def _log_identity(training: Training) -> None:
    settings, pool, drawn, weights = training.settings, training.pool, training.drawn, training.classifier.weights
    tracking.log_settings(
        settings.model_dump()
        | {
            "weights": weights.name,
            "hyperparameters_hash": settings.hyperparameters_hash(),
            "pool_fingerprint": pool.fingerprint,
            "draw_fingerprint": drawn.fingerprint,
            "test_fingerprint": drawn.test_fingerprint,
            **({"matched_to": drawn.matched_to} if drawn.matched_to else {}),
        }
    )
    tracking.set_tags(
        {
            "fairprof.weights": weights.name,
            "fairprof.weights_sha256": weights.sha256 or "none",
            "fairprof.study_key": study_key(settings, pool, drawn.test_fingerprint, weights),
            "fairprof.run_key": run_key(settings, pool, drawn, weights),
            "fairprof.train_sizes": ",".join(train_sizes(settings, pool, drawn)),
        }
    )


def _log_rows(training: Training) -> None:
    settings, pool, drawn = training.settings, training.pool, training.drawn
    for partition in ("train", "val", "test"):
        rows = pool.table.iloc[drawn.rows(partition)]
        digest = drawn.test_fingerprint if partition == "test" else drawn.fingerprint
        tracking.log_input(rows, settings.data, {"val": "validation"}.get(partition, partition), digest)
    counts = composition(pool, drawn)
    title = f"Design {settings.experiment}: balanced over {' x '.join(drawn.design.balanced)}"
    tracking.log_table(counts, "data/composition.csv")
    tracking.log_bytes(png_of(composition_figure(counts, title)), "data/composition.png")
    tracking.log_text(datasheet(datasheet_facts(pool, drawn, settings)), "data/datasheet.md")


def _log_quarantine(training: Training) -> None:
    quarantine = training.pool.quarantine
    tracking.log_table(quarantine, "data/quarantine.csv")
    by_group = quarantine.fillna("unknown").groupby(["reason", "gender", "race"]).size()
    tracking.log_table(by_group.reset_index(name="count"), "data/quarantine_by_group.csv")
