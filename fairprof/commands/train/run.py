"""The path of one run: from settings to a trained, measured, explained and registered model."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from fairprof.commands.train import pictures
from fairprof.commands.train.hyperparameters import with_hyperparameters
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, Draw, composition, draw
from fairprof.data.pool import Pool, load_pool
from fairprof.data.predictions_table import predictions_table
from fairprof.data.sample import balanced_sample
from fairprof.documents.datasheet import datasheet, datasheet_facts
from fairprof.measurement.ceilings import HEADLINE_GAPS, ceilings
from fairprof.measurement.measures import log_measurements, measured
from fairprof.metrics import fairness, performance
from fairprof.network.batches import Inputs, InputsOfRows
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.images import ImageInputs, pixels_seen
from fairprof.network.predictions import predict
from fairprof.network.prefix import PrefixInputs, cached_inputs, explained_inputs
from fairprof.network.training import SELECTION_RULES, Measure, Trained, fit
from fairprof.network.weights import Weights
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.style import png_of
from fairprof.runtime.files import cache_folder, locked, require_room
from fairprof.runtime.hardware import keep_freed_memory, on_gpu
from fairprof.runtime.processes import ALONE, Processes, process_group
from fairprof.saliency.gradcam import mean_maps, saliency_maps
from fairprof.saliency.panels import contact_sheet, mean_map_panel
from fairprof.store import registry, tracking

CONTACT_SHEET_IMAGES = 16
CHECKPOINT_COPIES = 8  # weights and AdamW's two moments, old and new file, and the best weights, old and new
HEADLINE = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "test/macro_f1_of_ceiling",
    *(f"test/{gap}" for gap in HEADLINE_GAPS),
    "test/worst_group_accuracy/gender_x_race",
    "best_val/macro_f1",
)


def run_experiment(settings: Settings) -> str | None:
    """Trains, measures, explains and registers one experiment; returns the id of its MLflow run.

    Of several processes that torchrun has started, the leading one does all this; the others train and predict with
    it, and return None. Raises `UserError` for anything in settings or data that the user can put right.
    """
    keep_freed_memory()
    settings = with_hyperparameters(settings)
    with process_group(on_gpu(settings.accelerator)) as processes:
        if not processes.leads:
            return _assist(settings, processes)
        with tracking.started_run(run_name(settings), run_tags(settings)) as run_id:
            train_and_register(settings, load_pool(settings), processes)
        return run_id


def run_name(settings: Settings) -> str:
    """The name of an experiment's run, for example `B-seed0` or `B-seed0-matched`."""
    size = "" if settings.train_size == "natural" else f"-{settings.train_size}"
    share = "" if settings.fraction == 1 else f"-fraction{settings.fraction:g}"
    return f"{settings.experiment}-seed{settings.seed}{size}{share}"


def run_tags(settings: Settings) -> dict[str, str]:
    """What an experiment's run can be found by before anything is loaded."""
    return {
        "fairprof.role": "run",
        "fairprof.design": settings.experiment,
        "fairprof.seed": str(settings.seed),
        "fairprof.data": settings.data.partition(":")[0],
        "fairprof.hyperparameters": settings.hyperparameters_hash(),
    }


def train_and_register(settings: Settings, pool: Pool, processes: Processes = ALONE) -> None:
    """The path of one run, logged to the MLflow run that is active; pool: of these settings."""
    drawn, classifier = _prepared(settings, pool)
    log_inputs(settings, pool, drawn, classifier)
    with training_folder(settings, pool, drawn, classifier) as folder:
        inputs = entering(settings, pool, drawn, classifier)
        processes.wait_for_all()
        trained = train(settings, pool, drawn, classifier, inputs, folder, processes)
        values, predictions = evaluate(settings, pool, drawn, classifier, inputs, processes)
        explain(settings, pool, drawn, classifier, inputs, predictions)
        register(settings, pool, classifier, trained, values)


def validation_scores(settings: Settings, pool: Pool) -> dict[str, float]:
    """Trains one experiment and returns the values of its best epoch on validation data; nothing else is measured.

    The pool may lack its test rows. Killed and called again, it goes on with the last finished epoch.
    """
    drawn, classifier = _prepared(settings, pool)
    with training_folder(settings, pool, drawn, classifier) as folder:
        inputs = entering(settings, pool, drawn, classifier)
        trained = fit(classifier, inputs, pool, drawn, settings, _measure(pool, settings), lambda *_: None, folder)
    return trained.history[trained.best_epoch - 1]


def _assist(settings: Settings, processes: Processes) -> None:
    """What the processes do that do not lead: the same training and predictions, and nothing is logged.

    They begin once the leading one has filled the caches.
    """
    processes.wait_for_all()
    pool = load_pool(settings)
    drawn, classifier = _prepared(settings, pool)
    inputs = entering(settings, pool, drawn, classifier)
    folder = _training_folder(settings, pool, drawn, classifier)
    fit(classifier, inputs, pool, drawn, settings, _measure(pool, settings), lambda *_: None, folder, processes)
    for rows in (drawn.val, drawn.test):
        predict(classifier, inputs, pool, rows, settings, "predicting", processes)


def _prepared(settings: Settings, pool: Pool) -> tuple[Draw, Classifier]:
    drawn = draw(pool, DESIGNS[settings.experiment], settings)
    classifier = build_classifier(
        settings.architecture, settings.weights, settings.finetune, len(pool.professions), settings.seed
    )
    return drawn, classifier


def entering(settings: Settings, pool: Pool, drawn: Draw, classifier: Classifier) -> Inputs:
    """What the network is fed with: outputs of its frozen prefix where they are cached, images otherwise."""
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)
    held_out = np.concatenate((drawn.val, drawn.test))
    return cached_inputs(classifier, images, pool, settings, drawn.train, held_out) or images


def log_inputs(settings: Settings, pool: Pool, drawn: Draw, classifier: Classifier) -> None:
    """What goes into the training, before it starts: settings, fingerprints, composition, quarantine, data sets."""
    weights = classifier.weights
    tracking.log_settings(
        settings.model_dump()
        | {
            "weights": weights.name,
            "hyperparameters_hash": settings.hyperparameters_hash(),
            "pool_fingerprint": pool.fingerprint,
            "draw_fingerprint": drawn.fingerprint,
            "test_fingerprint": drawn.test_fingerprint,
        }
    )
    tracking.set_tags(
        {
            "fairprof.weights": weights.name,
            "fairprof.weights_sha256": weights.sha256 or "none",
            "fairprof.study_key": study_key(settings, pool, drawn, weights),
            "fairprof.run_key": run_key(settings, pool, drawn, weights),
        }
    )
    for partition in ("train", "val", "test"):
        rows = pool.table.iloc[drawn.rows(partition)]
        digest = drawn.test_fingerprint if partition == "test" else drawn.fingerprint
        tracking.log_input(rows, settings.data, {"val": "validation"}.get(partition, partition), digest)
    counts = composition(pool, drawn)
    tracking.log_table(counts, "data/composition.csv")
    tracking.log_bytes(
        png_of(
            composition_figure(
                counts, f"Design {settings.experiment}: balanced over {' x '.join(drawn.design.balanced)}"
            )
        ),
        "data/composition.png",
    )
    tracking.log_text(datasheet(datasheet_facts(pool, drawn, settings)), "data/datasheet.md")
    tracking.log_table(pool.quarantine, "data/quarantine.csv")
    quarantined = pool.quarantine.fillna("unknown").groupby(["reason", "gender", "race"]).size()
    tracking.log_table(quarantined.reset_index(name="count"), "data/quarantine_by_group.csv")
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


def study_key(settings: Settings, pool: Pool, drawn: Draw, weights: Weights) -> str:
    """Equal for runs that may be compared: same hyperparameters, data, test set and weights to start from."""
    return _digest(settings.hyperparameters_hash(), pool.fingerprint, drawn.test_fingerprint, weights.sha256)


def run_key(settings: Settings, pool: Pool, drawn: Draw, weights: Weights) -> str:
    """Equal for runs that train the same: same study key, design, seed and draw."""
    return _digest(study_key(settings, pool, drawn, weights), settings.experiment, settings.seed, drawn.fingerprint)


def _digest(*parts: str | int) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]


@contextmanager
def training_folder(settings: Settings, pool: Pool, drawn: Draw, classifier: Classifier) -> Iterator[Path]:
    """The folder of this very training: kept when it is killed, found again by the same settings, removed at the end.

    Raises `UserError` where another process runs the same training.
    """
    folder = _training_folder(settings, pool, drawn, classifier)
    with locked(folder.with_suffix(".lock"), "the checkpoint of this very training", timeout=0):
        if (folder / "resume.ckpt").exists():
            tracking.set_tags({"fairprof.resumed": "true"})
        folder.mkdir(exist_ok=True)
        size = sum(tensor.nbytes for tensor in classifier.network.state_dict().values())
        require_room(folder, CHECKPOINT_COPIES * size, "the training's checkpoints")
        yield folder
        shutil.rmtree(folder)


def _log_cached_work(inputs: Inputs, name: str) -> None:
    """How much of what enters the network this run had to compute, and how much it found in the cache."""
    if isinstance(inputs, PrefixInputs):
        cache = inputs.cache
        tracking.log_metrics(
            {
                f"{name}/computed_images": cache.computed,
                f"{name}/reused_images": cache.reused,
                f"{name}/seconds": cache.seconds,
            }
        )


def _training_folder(settings: Settings, pool: Pool, drawn: Draw, classifier: Classifier) -> Path:
    return cache_folder(settings.cache_dir) / "trainings" / run_key(settings, pool, drawn, classifier.weights)


def train(
    settings: Settings,
    pool: Pool,
    drawn: Draw,
    classifier: Classifier,
    inputs: Inputs,
    folder: Path,
    processes: Processes,
) -> Trained:
    """Fits the classifier; logs every epoch, the curves, and the weights of the last and the best epoch."""
    _log_cached_work(inputs, "prefix")

    def report(epoch: int, values: dict[str, float]) -> None:
        tracking.log_metrics({name: value for name, value in values.items() if np.isfinite(value)}, step=epoch)

    trained = fit(classifier, inputs, pool, drawn, settings, _measure(pool, settings), report, folder, processes)
    tracking.log_metrics({"best_epoch": trained.best_epoch})
    tracking.log_table(
        pd.DataFrame(trained.history, index=pd.RangeIndex(1, len(trained.history) + 1, name="epoch")),
        "training/history.csv",
        index=True,
    )
    tracking.log_bytes(png_of(pictures.training_figure(trained.history, trained.best_epoch)), "training/curves.png")
    tracking.log_weights(trained.last_weights, "training/last.safetensors")
    tracking.log_weights(classifier.network.state_dict(), "training/best.safetensors")
    return trained


def _measure(pool: Pool, settings: Settings) -> Measure:
    return lambda rows, probabilities: measured(predictions_table(pool, rows, probabilities), settings.min_support)


def evaluate(
    settings: Settings, pool: Pool, drawn: Draw, classifier: Classifier, inputs: Inputs, processes: Processes
) -> tuple[dict[str, float], pd.DataFrame]:
    """Predictions, performance and fairness on validation and, once, on test data; returns the metrics logged and
    the test predictions."""
    val = predict(classifier, inputs, pool, drawn.val, settings, "predicting val", processes)
    test = predict(classifier, inputs, pool, drawn.test, settings, "predicting test", processes)
    tracking.log_table(val, "predictions/val.parquet")
    tracking.log_table(test, "predictions/test.parquet")
    values = {f"best_val/{name}": value for name, value in performance.performance(val).items()}
    values |= log_measurements(test, settings, settings.seed, arm=settings.train_size, design=settings.experiment)
    values |= ceilings(pool, drawn.test, values["test/macro_f1"])
    tracking.log_metrics(values)
    return values, test


def explain(
    settings: Settings, pool: Pool, drawn: Draw, classifier: Classifier, inputs: Inputs, predictions: pd.DataFrame
) -> None:
    """Grad-CAM of the predicted class for test images that are the same for every design: a contact sheet of the
    first, the mean map per group of all, and the raw maps. predictions: those of the whole test set."""
    test = pool.table.iloc[drawn.test]
    chosen = balanced_sample(test, max(settings.gradcam_images, CONTACT_SHEET_IMAGES))
    pixels = pool.pixels.array[test["pixel"].to_numpy()[chosen]]
    predictions = predictions.iloc[chosen].reset_index(drop=True)
    targets = predictions["y_pred"].map(pool.professions.index).to_numpy()
    explained = explained_inputs(classifier, inputs, pool, settings, drawn.test[chosen])
    if explained is not inputs:
        _log_cached_work(explained, "gradcam")
    maps = saliency_maps(
        classifier.network,
        classifier.gradcam_layer,
        InputsOfRows(explained, drawn.test[chosen]),
        targets,
        explained.boundary,
    )
    cropped = pixels_seen(pixels, settings.image_size)
    title = f"Design {settings.experiment}, seed {settings.seed}"
    shown = slice(0, CONTACT_SHEET_IMAGES)
    tracking.log_bytes(
        png_of(contact_sheet(predictions[shown], cropped[shown], maps[shown], title)), "gradcam/contact_sheet.png"
    )
    groups = {
        attribute: fairness.group_labels(predictions, attribute).astype(str).to_numpy()
        for attribute in fairness.ATTRIBUTES
    }
    tracking.log_bytes(
        png_of(
            mean_map_panel(
                {attribute: mean_maps(maps, names) for attribute, names in groups.items()},
                {attribute: pd.Series(names).value_counts().to_dict() for attribute, names in groups.items()},
                {
                    attribute: {name: cropped[names == name].mean(axis=0).astype(np.uint8) for name in set(names)}
                    for attribute, names in groups.items()
                },
                f"{title}: mean Grad-CAM of the predicted class, by group",
            )
        ),
        "gradcam/mean_by_group.png",
    )
    tracking.log_arrays(
        {
            "maps": maps,
            "pixels": cropped[shown],
            "image": predictions["image"].to_numpy(dtype=str),
            "target": predictions["y_pred"].to_numpy(dtype=str),
        },
        "gradcam/maps.npz",
    )


def register(
    settings: Settings, pool: Pool, classifier: Classifier, trained: Trained, values: dict[str, float]
) -> None:
    """Registers the model and describes the run by its headline metrics."""
    headline = {name: values[name] for name in HEADLINE if name in values}
    version = registry.register_model(
        classifier.network.state_dict(),
        classifier.gradcam_layer,
        settings,
        pool.professions,
        pool.fingerprint,
        headline,
    )
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in headline.items())
    rule = SELECTION_RULES[settings.selection]
    tracking.set_description(
        f"**Design {settings.experiment}** (balanced over {' x '.join(DESIGNS[settings.experiment].balanced)}): "
        f"{_headline_sentence(values)}.\n\n"
        f"Seed {settings.seed}, data `{settings.data.partition(':')[0]}`, weights `{classifier.weights.name}`, "
        f"best epoch {trained.best_epoch} of {len(trained.history)} by {rule.metric}. "
        f"Registered as `models:/{version.name}/{version.version}`"
        f"{', the champion' if version.champion else ''} ({version.reason}).\n\n"
        f"| metric | value |\n|---|---|\n{rows}\n\n"
        "Gaps of single runs are biased upward; see how to read them in the README before comparing designs."
    )
    print(
        f"\n{version.name} version {version.version}: {_headline_sentence(values)}\n"
        f'load it with mlflow.pyfunc.load_model("models:/{version.name}/{version.version}")\n'
        f"browse the runs at {tracking.runs_page()}",
        flush=True,
    )


def _headline_sentence(values: dict[str, float]) -> str:
    share = values.get("test/macro_f1_of_ceiling")
    of_ceiling = f" ({share:.0%} of the ceiling)" if share is not None else ""
    gaps = (
        f"DP {values[f'test/demographic_parity_difference/{attribute}']:.3f} and "
        f"EO {values[f'test/equal_opportunity_difference/{attribute}']:.3f} by {attribute}"
        for attribute in ("gender", "race")
    )
    return f"test macro-F1 {values['test/macro_f1']:.3f}{of_ceiling}, {', '.join(gaps)}"
