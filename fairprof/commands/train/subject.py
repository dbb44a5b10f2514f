"""What a run is about: all that is logged, measured and registered refers to it."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from fairprof.config import Settings
from fairprof.data.designs import Draw
from fairprof.data.pool import Pool
from fairprof.network.records import Training, Weights
from fairprof.serving import IMAGENET, STUDYS_HEAD, ExplainedLayer, HeadKind, Preprocessing

CONTACT_SHEET_IMAGES = 16  # at least so many are explained


@dataclass(frozen=True)
class RunSubject:
    """Settings, pool (without its images), the rows drawn from it, the weights that the network starts from, the names
    of those that training may change, the layer of the network that explains it, its preprocessing and its head."""

    settings: Settings
    pool: Pool
    drawn: Draw
    weights: Weights
    changed: tuple[str, ...]
    explained_layer: ExplainedLayer
    preprocessing: Preprocessing = IMAGENET
    head_kind: HeadKind = STUDYS_HEAD

    @classmethod
    def of(cls, training: Training) -> Self:
        classifier = training.classifier
        return cls(
            training.settings,
            replace(training.pool, pixels=training.pool.pixel_cache.without_images()),
            training.drawn,
            classifier.weights,
            classifier.changed_by_training(),
            classifier.explained_layer,
            classifier.preprocessing,
            classifier.head_kind,
        )


@dataclass(frozen=True)
class Explained:
    """Test images whose predicted class is explained, a row each: their predictions, what the network sees of them, (N,
    H, H, 3) uint8, and their maps, (N, h, w) float32."""

    predictions: pd.DataFrame
    pixels: np.ndarray
    maps: np.ndarray
