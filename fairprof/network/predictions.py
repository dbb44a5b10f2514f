"""The predictions table: a row per evaluated image, the output on which every metric and report rests."""

import numpy as np
import pandas as pd
import torch

from fairprof.config import Settings
from fairprof.data.pool import Pool
from fairprof.network.batches import Inputs, evaluation_batches
from fairprof.network.classifier import Classifier
from fairprof.runtime.hardware import channels_last
from fairprof.runtime.processes import ALONE, Processes
from fairprof.runtime.progress import progress_bar

PROBABILITY_PREFIX = "probability_"


def predict(
    classifier: Classifier,
    inputs: Inputs,
    pool: Pool,
    rows: np.ndarray,
    settings: Settings,
    description: str,
    processes: Processes = ALONE,
) -> pd.DataFrame:
    """Predictions of a classifier for rows of the pool, as `predictions_table` describes them.

    Several processes predict a share each, and all of them return the whole table.
    """
    network = classifier.part_behind(inputs.boundary)
    device = next(network.parameters()).device
    network.eval()
    own, parts = processes.share(rows), [torch.empty(0, len(pool.professions), device=device)]
    with torch.inference_mode(), progress_bar(description, len(own), "images") as bar:
        for entering, _, _ in evaluation_batches(pool, own, inputs, settings):
            parts.append(network(channels_last(entering.to(device).float())).float())
            bar.update(len(entering))
    logits = processes.gathered(torch.cat(parts), len(rows))
    return predictions_table(pool, rows, logits.softmax(dim=1).double().cpu().numpy())


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
