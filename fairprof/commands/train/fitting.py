"""Trains as the method of the settings asks for: once, twice, or not at all where that very training was just made or
a baseline takes its place."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fairprof.commands.train.identity import run_key
from fairprof.config import BASELINES, NO_MITIGATION, Settings
from fairprof.measurement.validation import ValidationMeasure
from fairprof.mitigation.methods import METHODS
from fairprof.network.baselines import fit_baseline
from fairprof.network.predictions import predict
from fairprof.network.records import Report, Trained, Training, other_selections
from fairprof.network.refitting import refitted
from fairprof.network.weights import arrays_of, tensors_of
from fairprof.runtime.hardware import device_of
from fairprof.runtime.processes import ALONE, Processes

FIRST_TRAINING = "first"  # a folder in the training's, with the checkpoints of the first of two


@dataclass(frozen=True)
class _Made:
    """A training without a method, and what it was of."""

    key: tuple
    trained: Trained


_made: list[_Made] = []  # the last one of this process: methods that refit start from it


def fitted(training: Training, report: Report, folder: Path, processes: Processes = ALONE) -> Trained:
    """Trains the classifier as `fit` does, measured on validation data after every epoch.

    A method that refits begins with the training without a method. Where this process has made that last, it is taken
    over: the same weights and values, to the last bit.
    """
    method = METHODS[training.settings.mitigation]
    if method.trains_twice:
        return _fit(replace(training, wrong=_mistakes(training, folder, processes)), report, folder, processes)
    if method.name != NO_MITIGATION and not method.refits:
        return _fit(training, report, folder, processes)
    key = _key(training)
    if [made.key for made in _made] == [key]:
        return _taken_over(training, _made[0].trained, report, processes)
    trained = _fit(training, report, folder, processes)
    _made[:] = [_Made(key, trained)]
    return trained


def _key(training: Training) -> tuple:
    """Equal for trainings that leave the same weights and values, whatever is made of them afterwards."""
    settings = training.settings.model_copy(update={"mitigation": NO_MITIGATION})
    key = run_key(settings, training.pool, training.drawn, training.classifier.weights)
    measured = (settings.min_support, settings.mitigate, settings.scored_selections)
    return key, *measured, device_of(settings.accelerator), training.inputs.boundary, settings.compile


def _taken_over(training: Training, trained: Trained, report: Report, processes: Processes) -> Trained:
    network = training.classifier.network
    network.load_state_dict(tensors_of(trained.best_weights))
    network.to(device_of(training.settings.accelerator)).eval()
    if processes.leads:
        for epoch, values in enumerate(trained.history, start=1):
            report(epoch, values)
    return trained


def _fit(training: Training, report: Report, folder: Path, processes: Processes) -> Trained:
    settings = training.settings
    measure = ValidationMeasure(training.pool, training.drawn.val, settings.min_support, settings.mitigate)
    if settings.finetune in BASELINES:
        return fit_baseline(training, measure, report, processes)
    from fairprof.network.training import fit  # Lightning, which nothing needs before

    return fit(training, measure, report, folder, processes)


# --- two trainings ----------------------------------------------------------------------------------------------


def first_epochs(settings: Settings) -> int:
    """Epochs of the first of two trainings."""
    return int(settings.method_values()["identification_epochs"])


def _mistakes(training: Training, folder: Path, processes: Processes) -> np.ndarray:
    """Which training images a first training without a method gets wrong after its last epoch, (N,) bool; the
    classifier is left as it was. Killed, that training goes on in its own folder."""
    network, epochs = training.classifier.network, first_epochs(training.settings)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    alone = {"mitigation": NO_MITIGATION, "epochs": epochs, "patience": epochs, "scored_selections": "chosen"}
    first = replace(training, settings=training.settings.model_copy(update=alone))
    last = _fit(first, nobody_told, folder / FIRST_TRAINING, processes).last_weights
    network.load_state_dict(tensors_of(last))
    rows, settings = training.drawn.train, training.settings
    table = predict(training.classifier, training.inputs, training.pool, rows, settings, "finding mistakes", processes)
    network.load_state_dict(start)
    return (table["y_pred"] != table["y_true"]).to_numpy(dtype=bool)


def nobody_told(epoch: int, values: dict[str, float]) -> None:
    """Takes the values of trainings whose epochs are not a run's, or are reported by another process."""


# --- selection rules --------------------------------------------------------------------------------------------


def by_selection(training: Training, trained: Trained, test: pd.DataFrame, processes: Processes) -> pd.DataFrame:
    """Predictions of test images by the epoch that every selection rule chooses, a row per rule and image: image,
    selection, y_pred; empty where the settings ask for the chosen rule alone.

    test: those of the chosen rule. What rules with the same epoch predict is predicted once. The classifier is left
    with the weights of the chosen one.
    """
    if not other_selections(training.settings):
        return pd.DataFrame()
    tables = {trained.best_epoch: test}
    for selected in trained.selected.values():
        if selected.epoch not in tables:
            tables[selected.epoch] = _predicted_with(training, trained, selected.weights, processes)
    training.classifier.network.load_state_dict(tensors_of(trained.best_weights))
    epochs: dict[str, int] = {training.settings.selection: trained.best_epoch}
    epochs |= {name: selected.epoch for name, selected in trained.selected.items()}
    parts = [tables[epoch][["image", "y_pred"]].assign(selection=name) for name, epoch in epochs.items()]
    return pd.concat(parts, ignore_index=True)[["image", "selection", "y_pred"]].astype({"y_pred": "str"})


def _predicted_with(
    training: Training, trained: Trained, weights: dict[str, np.ndarray], processes: Processes
) -> pd.DataFrame:
    """Predictions of test images with other weights of what was trained, on which a method that refits does so too."""
    network = training.classifier.network
    network.load_state_dict(tensors_of(arrays_of(network.state_dict()) | weights))
    training, _ = refitted(training, trained, processes)
    rows, settings = training.drawn.test, training.settings
    return predict(training.classifier, training.inputs, training.pool, rows, settings, "predicting test", processes)
