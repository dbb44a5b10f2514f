"""The picture of what a draw or a data set is composed of."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.reporting.style import GRID, PALETTE


def composition_figure(composition: pd.DataFrame, title: str) -> Figure:
    """Images per race x gender, stacked by profession, a panel for each partition."""
    partitions = list(composition["partition"].cat.categories)
    groups = len(composition[["race", "gender"]].drop_duplicates())
    figure = Figure(figsize=(11, max(4.2, 1.4 + 0.3 * groups)), layout="constrained")
    for axis, partition in zip(figure.subplots(1, len(partitions)), partitions, strict=True):
        counts = composition[composition["partition"].eq(partition)].pivot_table(
            index=["race", "gender"], columns="profession", values="count", observed=False, aggfunc="sum"
        )
        names = [f"{race}\n{gender}" for race, gender in counts.index]
        left = np.zeros(len(counts))
        for colour, profession in zip(itertools.cycle(PALETTE), counts.columns, strict=False):
            axis.barh(names, counts[profession], left=left, color=colour, label=profession, height=0.75)
            left += counts[profession].to_numpy()
        axis.invert_yaxis()
        axis.set_title(f"{partition}: {int(left.sum()):,} images", fontsize=10)
        axis.tick_params(labelsize=7)
        axis.grid(axis="x", **GRID)
        axis.set_axisbelow(True)
    figure.axes[0].legend(fontsize=7, loc="lower right")
    figure.supxlabel("images", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure
