"""The picture of what a draw or a data set is composed of."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.reporting.chart import MOST_CLASSES, MOST_ROWS, drawn, finished, largest_of, left_out, plain
from fairprof.reporting.style import NORMAL, PALE, PALETTE, SMALL, TINY, WIDTH
from fairprof.reporting.wording import counted


def composition_figure(composition: pd.DataFrame, title: str) -> Figure:
    """Images per race x gender, stacked by profession, a panel for each partition; of many only the largest."""
    partitions = list(composition["partition"].cat.categories)
    axes = {"rows": ["race", "gender"], "stacked": ["profession"]}
    sizes = {name: composition.groupby(columns, observed=False)["count"].sum() for name, columns in axes.items()}
    groups = largest_of(sizes["rows"], 2 * MOST_ROWS)
    professions = largest_of(sizes["stacked"], MOST_CLASSES)
    others = len(sizes["stacked"]) - len(professions)
    figure = Figure(figsize=(WIDTH, max(4.2, 1.4 + 0.3 * len(groups))), layout="constrained")
    for axis, partition in zip(figure.subplots(1, len(partitions)), partitions, strict=True):
        counts = composition[composition["partition"].eq(partition)].pivot_table(
            index=["race", "gender"], columns="profession", values="count", observed=False, aggfunc="sum"
        )
        shown, places = counts.loc[groups], np.arange(len(groups))
        left = np.zeros(len(groups))
        for colour, profession in zip(itertools.cycle(PALETTE), professions, strict=False):
            axis.barh(places, shown[profession], left=left, color=colour, label=drawn(profession), height=0.75)
            left += shown[profession].to_numpy()
        if others:
            rest = shown.sum(axis=1).to_numpy() - left
            axis.barh(places, rest, left=left, color=PALE, label=f"{others:,} others", height=0.75)
        axis.set_ylim(len(groups) - 0.4, -0.6)
        axis.set_title(f"{partition}: {counted(int(counts.to_numpy().sum()), 'image')}", fontsize=NORMAL)
        plain(axis, "x")
        axis.set_yticks(places, [f"{drawn(race)}\n{drawn(gender)}" for race, gender in groups])
        axis.tick_params(labelsize=TINY)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("images", fontsize=SMALL)
    title += left_out(len(groups), len(sizes["rows"]), "groups")
    return finished(figure, title, figure.axes[0].get_legend_handles_labels()[0])
