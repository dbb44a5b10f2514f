"""The path of one run: from settings to a trained, measured, explained and registered model."""

from dataclasses import replace

import numpy as np

from fairprof.commands.train.fitting import by_selection, first_epochs, fitted, nobody_told
from fairprof.commands.train.folder import folder_of, training_folder
from fairprof.commands.train.hyperparameters import with_hyperparameters
from fairprof.commands.train.identity import run_name, run_tags
from fairprof.commands.train.recording import Recording, recorded
from fairprof.commands.train.subject import RunSubject
from fairprof.config import BASELINES, Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.drawable import require_drawable
from fairprof.data.pool import Pool, load_pool, screened_rows
from fairprof.measurement.measures import scores_and_gaps
from fairprof.measurement.memory import require_memory
from fairprof.mitigation.methods import METHODS, require_applicable_methods
from fairprof.network.architectures import require_fitting
from fairprof.network.baselines import head_kind_of
from fairprof.network.checkpoints import can_resume
from fairprof.network.classifier import build_classifier
from fairprof.network.images import ImageInputs, augmentation
from fairprof.network.predictions import predict
from fairprof.network.prefix import cached_inputs, cached_work
from fairprof.network.records import Training, distance_to_ideal, other_selections
from fairprof.network.refitting import refitted, require_refittable
from fairprof.network.weight_sources import find_weights, preprocessing_with
from fairprof.runtime.beside import HERE, Executor
from fairprof.runtime.hardware import keep_freed_memory, on_gpu
from fairprof.runtime.processes import ALONE, Processes, process_group


def run_experiment(settings: Settings, recorder: Executor = HERE) -> str | None:
    """Trains, measures, explains and registers one experiment; returns the id of its MLflow run.

    recorder: logs the run. Of several processes that torchrun has started, the leading one alone has that run; the
    others return None. Raises `UserError` for anything in settings or data that the user can put right.
    """
    keep_freed_memory()
    settings = with_hyperparameters(settings)
    gpu = on_gpu(settings.accelerator)
    with process_group(gpu) as processes:
        if not processes.leads:
            train(settings, _pool(settings, processes), None, processes)
            return None
        with recorded(recorder, run_name(settings), run_tags(settings), gpu) as recording:
            train(settings, _pool(settings, processes), recording, processes, alone=True)
        return recording.run_id()


def _pool(settings: Settings, processes: Processes) -> Pool:
    require_fitting(settings.architecture, settings.image_size)
    with processes.leader_first():  # it may download the weights, and fills the pixel cache
        if settings.weights != "auto":  # what cannot be had is answered before images are decoded
            find_weights(settings.architecture, settings.weights)
        seen = settings.image_size, preprocessing_with(settings.architecture, settings.weights)
        pool = load_pool(settings, *seen)
    require_drawable(settings, pool, lambda: screened_rows(settings, *seen))
    return pool


def train(
    settings: Settings,
    pool: Pool,
    recording: Recording | None,
    processes: Processes = ALONE,
    alone: bool = False,
) -> None:
    """The path of one run, handed over to its recording, which the leading process alone has; pool: of these settings.

    alone: whether the run is no study's. Its model is registered, and this process, which has nothing else to do, draws
    what the network looks at while the recorder measures. All processes of a torchrun walk the path. What the leading
    one does alone is not told of the others, and so cannot wait for them.
    """
    require_memory(settings, pool)
    with processes.leader_first():  # it may download the weights
        training = prepared(settings, pool)
    subject = RunSubject.of(training)
    if recording is None:
        folder = folder_of(training)
    else:
        recording.inputs(subject)
        folder = recording.until_recorded.enter_context(training_folder(training))
        if can_resume(folder, other_selections(settings)):
            recording.tags({"fairprof.resumed": "true"})
    with processes.leader_first():  # it fills the prefix cache
        training = with_cached_prefix(training)
    if recording is not None:
        recording.run_id()  # whatever ends the training from here on has a run that says so
    trained = fitted(training, recording.epoch if recording else nobody_told, folder, processes)
    training, trained = refitted(training, trained, processes)
    val, test = (
        predict(training.classifier, training.inputs, pool, rows, settings, f"predicting {name}", processes)
        for name, rows in (("val", training.drawn.val), ("test", training.drawn.test))
    )
    selected = by_selection(training, trained, test, processes)
    if recording is None:
        return
    from fairprof.commands.train.maps import explained  # pytorch-grad-cam, which nothing needs before

    recording.work(cached_work(training.inputs, "prefix"))
    recording.training(subject, replace(trained, selected={}))
    recording.predictions(subject, val, test)
    if len(selected):
        recording.selections(selected)
    images, explained_from = explained(training, test)
    recording.work(cached_work(explained_from, "gradcam") if explained_from is not training.inputs else {})
    if alone:
        from fairprof.commands.train.pictures import map_pictures  # matplotlib

        recording.maps(images, map_pictures(subject, images))
        recording.registration(subject, trained)
    else:
        recording.undrawn_maps(subject, images)
        recording.report(subject)
    recording.end_of_training(settings, folder)


def validation_scores(settings: Settings, pool: Pool) -> dict[str, float]:
    """Trains one experiment and returns the values of its best epoch on validation data; nothing else is measured.
    What a method fits on one half of the validation images is measured on the other.

    The pool may lack its test rows. Killed and called again, it goes on with the last finished epoch.
    """
    training = prepared(settings, pool)
    with training_folder(training) as folder:
        training = with_cached_prefix(training)
        training, trained = refitted(training, fitted(training, nobody_told, folder))
    values = trained.history[trained.best_epoch - 1]
    if trained.refit is None:
        return values
    rows = training.drawn.val[trained.refit.halves.choose]
    table = predict(training.classifier, training.inputs, pool, rows, settings, "predicting val")
    scores = scores_and_gaps(table, settings.min_support)
    gap = scores[f"equal_opportunity_difference/{settings.mitigate}"]
    scores["distance_to_ideal"] = distance_to_ideal(scores["macro_f1"], gap)
    return values | {f"val/{name}": value for name, value in scores.items()}


def prepared(settings: Settings, pool: Pool) -> Training:
    """The training that the settings ask for: rows drawn from the pool, a new classifier, which is fed with images."""
    drawn = draw(pool, DESIGNS[settings.experiment], settings)
    require_applicable_methods(settings)
    require_refittable(settings, pool, drawn)
    classifier = build_classifier(
        settings.architecture,
        settings.weights,
        settings.finetune,
        len(pool.professions),
        settings.seed,
        settings.image_size,
        head_kind_of(settings.finetune, len(drawn.train)),
    )
    preprocessing = classifier.preprocessing
    augment = augmentation(settings.image_size, preprocessing)
    strengthened = METHODS[settings.mitigation].hook("augmentation")
    if strengthened:
        augment = strengthened(augment, settings.method_values())
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed, augment, preprocessing)
    return Training(settings, pool, drawn, classifier, images)


def with_cached_prefix(training: Training) -> Training:
    """The training, fed with the outputs of its network's frozen prefix where they are cached."""
    settings, pool, drawn, images = training.settings, training.pool, training.drawn, training.inputs
    if not isinstance(images, ImageInputs):
        return training
    augmented, evaluated, epochs = drawn.train, np.concatenate((drawn.val, drawn.test)), settings.epochs
    if settings.finetune in BASELINES:
        augmented, evaluated = drawn.train[:0], np.concatenate((evaluated, drawn.train))
    elif METHODS[settings.mitigation].trains_twice:
        evaluated, epochs = np.concatenate((evaluated, drawn.train)), max(epochs, first_epochs(settings))
    asked = settings.model_copy(update={"epochs": epochs})
    outputs = cached_inputs(training.classifier, images, pool, asked, augmented, evaluated)
    return training if outputs is None else replace(training, inputs=outputs)
