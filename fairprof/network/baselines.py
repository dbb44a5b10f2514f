"""Baselines that train no network: a logistic regression on its features, and the nearest training images.

They look at the centre crops of the training images once: there are no epochs, no augmentation and no order, and what
comes out does not depend on the run's seed but through its draw.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from fairprof.errors import UserError
from fairprof.metrics.performance import scores_from_counts
from fairprof.mitigation.logistic import linear, regression
from fairprof.mitigation.losses import class_weights, mean_loss
from fairprof.network.predictions import network_outputs
from fairprof.network.records import Baseline, Measure, Report, SelectedEpoch, Trained, Training, other_selections
from fairprof.network.weights import arrays_of
from fairprof.runtime.hardware import device_of
from fairprof.runtime.processes import ALONE, Processes
from fairprof.runtime.progress import note
from fairprof.serving import LEAST_SHARE, STUDYS_HEAD, HeadKind, last_layer

STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # scikit-learn's C: the larger, the weaker
NEIGHBOURS, TEMPERATURE = 20, 0.07  # as in DINO (Caron et al. 2021) and InstDisc (Wu et al. 2018)


class Images(NamedTuple):
    """Images of which some are fitted on and others choose: features, (N, D) float64, and classes, (N,) int, of those
    of the training and of the validation. class_count: K."""

    features: np.ndarray
    classes: np.ndarray
    val_features: np.ndarray
    val_classes: np.ndarray
    class_count: int


def head_kind_of(finetune: str, images: int) -> HeadKind:
    """The head that a value of `finetune` asks for; images: of the training."""
    if finetune == "knn":
        return HeadKind("knn", images, min(NEIGHBOURS, images), TEMPERATURE)
    return HeadKind("linear_probe") if finetune == "linear_probe" else STUDYS_HEAD


def fit_baseline(training: Training, measure: Measure, report: Report, processes: Processes = ALONE) -> Trained:
    """Fits the head of the classifier on the features of the draw's training images, and measures it on its validation
    images.

    Of several processes each computes the features of a share and all fit alike; the leading one alone reports. What is
    left counts as the best epoch by every selection rule. Raises `UserError` where the training images are all of one
    class.
    """
    settings, pool, drawn, classifier = training.settings, training.pool, training.drawn, training.classifier
    if processes.leads:
        _tell(settings.finetune)
    classifier.network.to(device_of(settings.accelerator)).eval()
    rows = np.concatenate((drawn.train, drawn.val))
    _, features = network_outputs(classifier, training.inputs, pool, rows, settings, "computing features", processes)
    classes, count = pool.table["profession"].cat.codes.to_numpy(np.int64)[rows], len(drawn.train)
    images = Images(features[:count], classes[:count], features[count:], classes[count:], len(pool.professions))
    baseline = FITS[settings.finetune](classifier.network.get_submodule(classifier.head), images)
    probabilities, _ = network_outputs(
        classifier, training.inputs, pool, drawn.val, settings, "predicting val", processes, with_features=False
    )
    logits = torch.from_numpy(probabilities).clamp(min=torch.finfo(torch.float32).tiny).log()
    weights = class_weights(pool, drawn.train).double()
    values = {
        "val/loss": mean_loss(logits, torch.from_numpy(images.val_classes), weights, settings.label_smoothing).item()
    }
    values |= {f"val/{name}": float(value) for name, value in measure(probabilities).items()}
    if processes.leads:
        report(1, values)
    state = {name: value.copy() for name, value in arrays_of(classifier.network.state_dict()).items()}
    fitted = SelectedEpoch(1, {name: state[name] for name in classifier.changed_by_training()})
    selected = dict.fromkeys(other_selections(settings), fitted)
    return Trained([values], 1, state, state, selected, baseline=baseline)


@functools.cache
def _tell(finetune: str) -> None:
    """Says once a process which settings have no effect."""
    note(
        f"finetune={finetune} fits at once, on centre crops: epochs, patience, selection, augmented_views, batch_size, "
        "and what else belongs to a training have no effect"
    )


def _linear_probe(head: nn.Module, images: Images) -> Baseline:
    """Fits a linear layer: multinomial logistic regression with an L2 penalty on standardised features, every class
    with the same weight, by scikit-learn. The strength of the penalty is the one of STRENGTHS with the highest macro-F1
    on the validation images, of equal ones the strongest penalty."""
    scaler = StandardScaler().fit(images.features)
    weights = [_probe(images, scaler, strength) for strength in STRENGTHS]
    scores = [_macro_f1(images, linear(each, images.val_features).argmax(axis=1)) for each in weights]
    best = int(np.argmax(scores))
    layer = last_layer(head)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights[best][:, :-1]))
        layer.bias.copy_(torch.from_numpy(weights[best][:, -1]))
    tried = tuple({"strength": c, "val/macro_f1": score} for c, score in zip(STRENGTHS, scores, strict=True))
    return Baseline({"strength": STRENGTHS[best], "features": images.features.shape[1]}, tried)


def _probe(images: Images, scaler: StandardScaler, strength: float) -> np.ndarray:
    """The weights of a linear layer for features as they are, (K, D + 1) float64, the last column the intercept. A
    class without training images has the share LEAST_SHARE of an image whose other logits are all equal."""
    present, labels = np.unique(images.classes, return_inverse=True)
    if len(present) < 2:
        raise UserError(
            "finetune=linear_probe needs training images of two classes or more: raise train_size or fraction"
        )
    weights = np.zeros((images.class_count, images.features.shape[1] + 1))
    weights[:, -1] = np.log(LEAST_SHARE)
    weights[present] = regression(images.features, labels, scaler, C=strength, class_weight="balanced")
    return weights


def _macro_f1(images: Images, predicted: np.ndarray) -> float:
    counts = np.zeros((images.class_count, images.class_count))
    np.add.at(counts, (images.val_classes, predicted), 1)
    return float(scores_from_counts(counts)["macro_f1"])


def _nearest_neighbours(head: nn.Module, images: Images) -> Baseline:
    """Gives the head the features of the training images, which have length 1 already, and their classes."""
    layer, kept = last_layer(head), head.get_buffer("classes")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(images.features))
        kept.copy_(torch.from_numpy(images.classes))
    values = {"neighbours": min(NEIGHBOURS, len(images.classes)), "temperature": TEMPERATURE}
    return Baseline(values | {"features": images.features.shape[1]})


FITS: dict[str, Callable[[nn.Module, Images], Baseline]] = {
    "linear_probe": _linear_probe,
    "knn": _nearest_neighbours,
}
