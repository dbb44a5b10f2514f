"""Predictions of a classifier for rows of a pool."""

import numpy as np
import pandas as pd
import torch

from fairprof.config import DataSettings
from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.network.batches import Inputs, evaluation_batches
from fairprof.network.classifier import Classifier
from fairprof.runtime.hardware import channels_last
from fairprof.runtime.processes import ALONE, Processes
from fairprof.runtime.progress import progress_bar


def predict(
    classifier: Classifier,
    inputs: Inputs,
    pool: Pool,
    rows: np.ndarray,
    settings: DataSettings,
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
