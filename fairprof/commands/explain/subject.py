"""What the models are asked about: images, what is predicted for them, and the class that is explained."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import nn

from fairprof.config import ExplainSettings
from fairprof.data.pool import Pool
from fairprof.data.regions import RegionMasks, region_masks
from fairprof.data.sample import balanced_sample
from fairprof.network.batches import InputsOfRows
from fairprof.network.images import ImageInputs, pixels_seen
from fairprof.network.loaded import LoadedModel
from fairprof.network.predictions import predict
from fairprof.saliency.gradcam import saliency_maps


@dataclass(frozen=True)
class Subject:
    """What the models are asked about. models: by label. rows: of the pool's table, (N,) int. entering: their images.
    pixels: (N, S, S, 3) uint8, what the networks see. masks: their regions. predictions: label to a table of the same
    images. classes: label to (N,) int, the class that is explained. designs: as in `ChosenModels`."""

    models: dict[str, LoadedModel]
    pool: Pool
    rows: np.ndarray
    entering: InputsOfRows
    pixels: np.ndarray
    masks: RegionMasks
    predictions: dict[str, pd.DataFrame]
    classes: dict[str, np.ndarray]
    designs: dict[str, dict[int, str]]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.models)

    @property
    def images(self) -> pd.DataFrame:
        """image, gender, race, y_true of every row, and the rest of a predictions table."""
        return self.predictions[self.labels[0]]

    @property
    def names(self) -> np.ndarray:
        return self.images["image"].to_numpy(dtype=str)

    def network(self, label: str) -> nn.Module:
        return self.models[label].classifier.network

    def maps(self, label: str, method: str, count: int | None = None, network: nn.Module | None = None) -> np.ndarray:
        """Saliency maps of the first `count` images, of a network with the model's layers if not of its own."""
        return saliency_maps(
            network or self.network(label),
            self.models[label].classifier.explained_layer,
            self.entering,
            self.classes[label][:count],
            method=method,
        )


def subject_of(
    settings: ExplainSettings, models: dict[str, LoadedModel], pool: Pool, designs: dict[str, dict[int, str]]
) -> Subject:
    """A balanced sample of the pool's test images, with every model's predictions."""
    test = pool.rows_of("test")
    rows = test[balanced_sample(pool.table.iloc[test], settings.gradcam_images)]
    first = next(iter(models.values()))
    image_size, preprocessing = first.image_size, first.classifier.preprocessing
    inputs = ImageInputs(pool, image_size, None, settings.seed, preprocessing=preprocessing)
    predictions = {
        label: predict(model.classifier, inputs, pool, rows, settings, f"predicting, {label}")
        for label, model in models.items()
    }
    column = "y_pred" if settings.explained == "predicted" else "y_true"
    classes = {
        label: table[column].map(pool.professions.index).to_numpy(dtype=int) for label, table in predictions.items()
    }
    return Subject(
        models,
        pool,
        rows,
        InputsOfRows(inputs, rows),
        pixels_seen(pool.pixel_cache.array[pool.table["pixel"].to_numpy()[rows]], image_size),
        region_masks(pool.regions, pool.table["pixel"].to_numpy()[rows], image_size, preprocessing),
        predictions,
        classes,
        designs,
    )
