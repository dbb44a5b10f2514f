"""Which test images are explained: the same for every design, and balanced over the groups."""

import numpy as np
import pandas as pd

from fairprof.seeds import uniforms

SEED = 0  # no setting changes which images are shown


def balanced_sample(table: pd.DataFrame, count: int) -> np.ndarray:
    """Row numbers of `count` images, (count,) int, or of all if there are fewer.

    One image of every gender x race x profession cell in turn, in an order that depends on the images' names alone.
    table: image, gender, race, profession.
    """
    order = pd.Series(uniforms(table["image"], SEED, "explained images"))
    cells = [table[name].astype(str).to_numpy() for name in ("gender", "race", "profession")]
    turn = order.groupby(cells).rank(method="first")
    return np.lexsort((order, turn))[:count]
