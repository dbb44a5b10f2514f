"""The picture of what a draw or a data set is composed of."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.reporting.chart import finished, plain, shortened
from fairprof.reporting.style import NORMAL, PALETTE, SMALL, TINY, WIDTH
from fairprof.reporting.wording import counted


def composition_figure(composition: pd.DataFrame, title: str) -> Figure:
    """Images per race x gender, stacked by profession, a panel for each partition."""
    partitions = list(composition["partition"].cat.categories)
    groups = len(composition[["race", "gender"]].drop_duplicates())
    figure = Figure(figsize=(WIDTH, max(4.2, 1.4 + 0.3 * groups)), layout="constrained")
    for axis, partition in zip(figure.subplots(1, len(partitions)), partitions, strict=True):
        counts = composition[composition["partition"].eq(partition)].pivot_table(
            index=["race", "gender"], columns="profession", values="count", observed=False, aggfunc="sum"
        )
        names = [f"{race}\n{gender}" for race, gender in counts.index]
        left = np.zeros(len(counts))
        for colour, profession in zip(itertools.cycle(PALETTE), counts.columns, strict=False):
            axis.barh(names, counts[profession], left=left, color=colour, label=shortened(profession, 26), height=0.75)
            left += counts[profession].to_numpy()
        axis.invert_yaxis()
        axis.set_title(f"{partition}: {counted(int(left.sum()), 'image')}", fontsize=NORMAL)
        plain(axis, "x")
        axis.tick_params(labelsize=TINY)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("images", fontsize=SMALL)
    return finished(figure, title, figure.axes[0].get_legend_handles_labels()[0])
