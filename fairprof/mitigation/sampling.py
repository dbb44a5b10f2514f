"""How often and with which weight images are trained on, and with which ones they are mixed."""

from collections.abc import Mapping

import numpy as np

from fairprof.mitigation.rows import GroupedRows


def reweighted(rows: GroupedRows, values: Mapping[str, float]) -> np.ndarray:
    """The weight of every row beside that of its class, (N,) float64, 1 on average in every class (Kamiran and Calders
    2012).

    Of n_k images of class k in G_k groups, one of the n_gk of group g weighs (n_k / (G_k n_gk)) ** power: with power 1
    groups of a class count alike, with 0.5 they do by half. Where they are as large already, all weigh exactly 1.
    """
    weights = _evenness(rows)[rows.groups, rows.classes] ** values["power"]
    of_class = np.bincount(rows.classes, weights, rows.class_count) / np.maximum(rows.counts.sum(axis=0), 1)
    return weights / of_class[rows.classes]


def upweighted_mistakes(rows: GroupedRows, values: Mapping[str, float]) -> np.ndarray:
    """The weight of every row, (N,) float64, 1 on average: what a first training got wrong weighs `weight` times as
    much as the rest (Liu et al. 2021)."""
    assert rows.wrong is not None
    weights = np.where(rows.wrong, values["weight"], 1.0)
    return weights / weights.mean()


def resampled(rows: GroupedRows, values: Mapping[str, float], generator: np.random.Generator) -> np.ndarray:
    """Places in the rows, (N,) int ascending, of which every class has as many as before: a group's share of its class
    grows with n_gk ** (1 - power) (Kamiran and Calders 2012).

    With power 1 groups of a class are drawn equally often. Every row of a group is drawn as often as another, or once
    more; which are, and which group gets what does not divide evenly, is random. Where groups are as large already,
    every place occurs once.
    """
    counts = rows.counts
    shares = np.where(counts > 0, np.maximum(counts, 1) * _evenness(rows) ** values["power"], 0.0)
    wanted = counts.sum(axis=0) * shares / np.maximum(shares.sum(axis=0), 1e-300)
    times = np.zeros(len(rows.rows), dtype=np.int64)
    for group, kind in np.argwhere(counts > 0):
        if group == np.flatnonzero(counts[:, kind])[0]:
            wanted[:, kind] = _whole(wanted[:, kind], counts[:, kind].sum(), generator)
        members = np.flatnonzero((rows.groups == group) & (rows.classes == kind))
        every, more = divmod(int(wanted[group, kind]), len(members))
        times[members] = every
        times[generator.permutation(members)[:more]] += 1
    return np.repeat(np.arange(len(times)), times)


def _evenness(rows: GroupedRows) -> np.ndarray:
    """n_k / (G_k n_gk) of every group and class, (G, K) float64; 1 where there is no row."""
    counts = rows.counts
    even = counts.sum(axis=0) / np.maximum((counts > 0).sum(axis=0), 1)
    return np.divide(even, counts, out=np.ones(counts.shape), where=counts > 0)


def _whole(wanted: np.ndarray, total: int, generator: np.random.Generator) -> np.ndarray:
    """Whole numbers that sum to `total`: the largest remainders are rounded up, of equal ones random ones."""
    floors = np.floor(wanted + 1e-9)
    order = np.lexsort((generator.random(len(wanted)), -np.round(wanted - floors, 9)))
    floors[order[: int(total - floors.sum())]] += 1
    return floors


def partners_across_groups(
    rows: GroupedRows, places: np.ndarray, values: Mapping[str, float], generator: np.random.Generator
) -> tuple[np.ndarray, float] | None:
    """The partners with which a batch is mixed, places in the rows, (B,) int, and the share of the images themselves,
    ~ Beta(alpha, alpha); None, with probability 1 - `probability`, where the batch is not mixed so.

    A partner is a random image of the same class from another group (Yao et al. 2022, selection by label); where the
    class has no other group, the image is its own. places: of the batch's images in the rows, (B,) int.
    """
    if generator.random() >= values["probability"]:
        return None
    partners = places.copy()
    for cell in np.unique(rows.cells[places]):
        group, kind = divmod(int(cell), rows.class_count)
        others = np.flatnonzero((rows.classes == kind) & (rows.groups != group))
        if len(others):
            members = rows.cells[places] == cell
            partners[members] = generator.choice(others, members.sum())
    return partners, float(generator.beta(values["alpha"], values["alpha"]))
