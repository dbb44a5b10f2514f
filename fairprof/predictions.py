"""The predictions table: a row per evaluated image, the output on which every metric and report rests."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from fairprof.data.images import evaluation_batches
from fairprof.data.pool import Pool
from fairprof.progress import progress_bar

PROBABILITY_PREFIX = "probability_"


def predict(network: nn.Module, pool: Pool, rows: np.ndarray, image_size: int, description: str) -> pd.DataFrame:
    """Predictions of a network for rows of the pool, as `predictions_table` describes them."""
    device = next(network.parameters()).device
    network.eval()
    parts = []
    with torch.inference_mode(), progress_bar(description, len(rows), "images") as bar:
        for images, _, _ in evaluation_batches(pool, rows, image_size):
            images = images.to(device, memory_format=torch.channels_last)
            parts.append(network(images).softmax(dim=1).double().cpu().numpy())
            bar.update(len(images))
    return predictions_table(pool, rows, np.concatenate(parts))


def predictions_table(pool: Pool, rows: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """A row per image: image, partition, y_true, y_pred (class names), probability_<class> (float64, in class order,
    sum 1), gender, race, age (categoricals). probabilities: (N, K) in the order of `rows`."""
    table = pool.table.iloc[rows].reset_index(drop=True)
    professions = np.array(pool.professions)
    columns = {f"{PROBABILITY_PREFIX}{name}": probabilities[:, number] for number, name in enumerate(professions)}
    return pd.DataFrame(
        {
            "image": table["image"],
            "partition": table["partition"],
            "y_true": table["profession"].astype(str),
            "y_pred": professions[probabilities.argmax(axis=1)],
            **columns,
            "gender": table["gender"],
            "race": table["race"],
            "age": table["age"],
        }
    )
