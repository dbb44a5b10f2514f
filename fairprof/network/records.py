"""What a training starts from and what it leaves, and the rules by which its best epoch is chosen.

PyTorch is not loaded for them: what a training leaves is logged by a process that does without it.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fairprof.config import Settings
from fairprof.data.designs import Draw
from fairprof.data.pool import Pool
from fairprof.reporting.wording import enumerated
from fairprof.runtime.files import without_folders

if TYPE_CHECKING:
    from fairprof.mitigation.halves import Halves
    from fairprof.network.batches import Inputs
    from fairprof.network.classifier import Classifier
    from fairprof.serving import DecisionRule, Preprocessing


NOT_STATED = "not stated"  # a licence
SHOWN_NAMES = 3  # of tensors, in a sentence


@dataclass(frozen=True)
class LoadedTensors:
    """What a file of weights has given a backbone.

    count: tensors that were loaded. share: of the backbone's parameters that they fill, [0, 1]. missing: names of the
    backbone's tensors that the file does not have, which start as initialised. unused: names of the file's tensors that
    the backbone does not have, such as those of a head.
    """

    count: int
    share: float
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        whole = self.count + len(self.missing)
        if self.missing:
            filled = math.floor(1000 * self.share) / 10  # never more than there is
            told = (
                f"{self.count:,} of the backbone's {whole:,} tensors ({filled:g} % of its parameters) were loaded; "
                f"{few_names(self.missing)} {'starts' if len(self.missing) == 1 else 'start'} as initialised"
            )
        else:
            told = f"all {whole:,} tensors of the backbone were loaded"
        return told + (f"; of the file, {few_names(self.unused)} had no place in it" if self.unused else "")


def few_names(names: Sequence[str]) -> str:
    """Names of tensors in a sentence: the first, and how many there are besides."""
    more = [f"{len(names) - SHOWN_NAMES:,} more"] if len(names) > SHOWN_NAMES else []
    return enumerated([*(f"{name:.100}" for name in names[:SHOWN_NAMES]), *more])


@dataclass(frozen=True)
class Weights:
    """Which weights the backbone starts from.

    name: imagenet, pretrained, random, a file, local-dir:FOLDER or hf-hub:OWNER/NAME@REVISION. sha256: of the file; ""
    for random. licence: as the weights state it. origin: where they were published, with the revision. Both are ""
    where nobody says. loaded: what they have given a backbone, None before they are loaded. preprocessing: of the
    images that they were made with, as config.json beside them states it; None where none does, or it is the
    architecture's.
    damage: why that file states nothing, where it is damaged.
    """

    name: str
    sha256: str
    licence: str = ""
    origin: str = ""
    loaded: LoadedTensors | None = None
    preprocessing: "Preprocessing | None" = None
    damage: str = ""

    @property
    def identity(self) -> str:
        """Equal for weights that a training starts from alike: their digest, and what becomes of the images for them
        where that is not the architecture's."""
        return self.sha256 if self.preprocessing is None else f"{self.sha256} {self.preprocessing}"

    @property
    def fill_backbone(self) -> bool:
        """Whether they give all of a backbone: what training leaves of it as it was can be had again from them."""
        return self.name != "random" and not (self.loaded and self.loaded.missing)

    def told(self) -> str:
        """What they are and what they have given, in sentences; "" for random ones and for torchvision's."""
        if self.name == "random" or (self.name == "imagenet" and self.fill_backbone):
            return ""
        published = f", published as {self.origin}" if self.origin else ""
        licence = f"The licence that they state is {self.licence}." if self.licence else "They state no licence."
        return (
            f"Training began with the weights {without_folders(self.name)}{published} (SHA-256 {self.sha256[:12]}): "
            f"{self.loaded or 'they were loaded'}. {licence}{self.told_of_images()}"
        )

    def told_of_images(self) -> str:
        """What becomes of images for these weights, in a sentence after others; "" where nothing beside them says it,
        or it is the architecture's."""
        if self.damage:
            return (
                f" Their config.json is damaged ({self.damage}): mean, standard deviation and crop of the images are "
                "the architecture's."
            )
        if self.preprocessing is None:
            return ""
        mean, deviation = (
            ", ".join(f"{value:g}" for value in values)
            for values in (self.preprocessing.mean, self.preprocessing.standard_deviation)
        )
        return (
            f" Images are seen as the config.json of these weights states it: mean {mean}, standard deviation "
            f"{deviation}, crop {self.preprocessing.crop:g}."
        )

    def tags(self) -> dict[str, str]:
        """What a run or study is told apart by, and may be used for."""
        told = {"licence": self.licence or NOT_STATED, "origin": self.origin, "loaded": str(self.loaded or "")}
        return {"fairprof.weights_sha256": self.sha256 or "none"} | (
            {f"fairprof.weights_{name}": text for name, text in told.items() if text} if self.sha256 else {}
        )


@dataclass(frozen=True)
class SelectionRule:
    """The validation metric that chooses the best epoch, and stops training when it no longer improves."""

    metric: str
    mode: str  # "min" or "max"

    def better(self, value: float, than: float) -> bool:
        """Whether a value of the metric beats another one."""
        return value < than if self.mode == "min" else value > than


SELECTION_RULES = {
    "val_loss": SelectionRule("val/loss", "min"),
    "val_macro_f1": SelectionRule("val/macro_f1", "max"),
    "val_worst_group": SelectionRule("val/worst_group_accuracy/gender_x_race", "max"),
    "val_distance_to_ideal": SelectionRule("val/distance_to_ideal", "min"),
}


def other_selections(settings: Settings) -> tuple[str, ...]:
    """The selection rules beside the chosen one whose epochs are kept too."""
    if settings.scored_selections == "chosen":
        return ()
    return tuple(name for name in SELECTION_RULES if name != settings.selection)


def distance_to_ideal(macro_f1: float, equal_opportunity_difference: float) -> float:
    """How far a classifier is from macro-F1 1 and a difference of 0, in the plane of both, [0, sqrt(2)].

    A difference that is undefined, since no two groups have images of a class, keeps it as far as macro-F1 does.
    """
    gap = 0.0 if math.isnan(equal_opportunity_difference) else equal_opportunity_difference
    return math.hypot(1 - macro_f1, gap)


# What is measured on validation data every epoch: probabilities (N, K) of the validation rows to named values.
Measure = Callable[[np.ndarray], dict[str, float]]


# Who is told the values of an epoch: epoch (from 1) and values by name.
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Training:
    """A training that can begin: the settings of its run, the pool and the rows drawn from it, and the classifier as it
    starts. inputs: what enters the classifier's network, or its trainable part. wrong: which training images an earlier
    training got wrong, (N,) bool, where the method asks for one."""

    settings: Settings
    pool: Pool
    drawn: Draw
    classifier: "Classifier"
    inputs: "Inputs"
    wrong: np.ndarray | None = None


@dataclass(frozen=True)
class SelectedEpoch:
    """The epoch that a selection rule chooses, from 1, and the weights of what was trained of the network in it."""

    epoch: int
    weights: dict[str, np.ndarray]


@dataclass(frozen=True)
class Refit:
    """What a method has fitted on validation images after a training.

    rule: by which classes are decided on; None where the last layer was fitted. halves: of the validation rows, the one
    that it was fitted on and the one that it was chosen by. values: numbers of the fit by name.
    """

    rule: "DecisionRule | None"
    halves: "Halves"
    values: dict[str, float]


@dataclass(frozen=True)
class Baseline:
    """What a baseline, which trains no network, has fitted. values: numbers of the fit by name. tried: of every
    strength of its penalty that was tried, what came out, numbers by name; empty for one that has none."""

    values: dict[str, float]
    tried: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Trained:
    """What a training leaves: values by name of every epoch (a list, epoch 1 first), and the best epoch (from 1).

    The classifier's network holds the weights of the best epoch. best_weights, last_weights: the state dicts of the
    best and the last epoch, as arrays; they share what was not trained. selected: what the rules that were not chosen
    choose, by name, where the settings ask for all. refit: what was fitted afterwards, with which the weights of the
    best epoch are used. baseline: what was fitted instead of a training; it counts as one epoch.
    """

    history: list[dict[str, float]]
    best_epoch: int
    best_weights: dict[str, np.ndarray]
    last_weights: dict[str, np.ndarray]
    selected: dict[str, SelectedEpoch] = field(default_factory=dict)
    refit: Refit | None = None
    baseline: Baseline | None = None


def digest_of(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names and values of a state dict, or of a part of one, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()
