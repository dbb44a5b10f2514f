"""The predictions table: a row per evaluated image, from which every metric, picture and test follows."""

import numpy as np
import pandas as pd

from fairprof.data.pool import Pool
from fairprof.metrics.performance import PROBABILITY_PREFIX


def predictions_table(
    pool: Pool, rows: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray | None = None
) -> pd.DataFrame:
    """A row per image: image, partition, y_true, y_pred (class names), probability_<class> (float64, in class order,
    sum 1), gender, race, age (categoricals) and, where the pool knows persons, person (str, empty where unknown).

    probabilities: (N, K) in the order of `rows`. predicted: (N,) int, the classes that are decided on; None where they
    are the most probable ones.
    """
    table = pool.table.iloc[rows].reset_index(drop=True)
    professions = np.array(pool.professions)
    columns = {f"{PROBABILITY_PREFIX}{name}": probabilities[:, number] for number, name in enumerate(professions)}
    return pd.DataFrame(
        {
            "image": table["image"],
            "partition": table["partition"],
            "y_true": table["profession"].astype(str),
            "y_pred": professions[probabilities.argmax(axis=1) if predicted is None else predicted],
            **columns,
            "gender": table["gender"],
            "race": table["race"],
            "age": table["age"],
            **({"person": table["person"]} if "person" in table else {}),
        }
    )
