"""How large the designs would be, what limits each, and what would make it larger. Nothing is drawn."""

import numpy as np
import pandas as pd

from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, Design, Undrawable, design_cells, quotas_drawn, quotas_of
from fairprof.data.pool import Pool

PARTITIONS = ("train", "val")  # those that a design draws: the test images are the pool's


def design_sizes(pool: Pool, imbalance: str | float = "natural") -> pd.DataFrame:
    """A row per imbalance (natural, and the one that is asked for), design and partition (train, val), whether or not
    the design is possible.

    Columns: imbalance, design, partition, axes (whose cells are filled), cells (their number), images (that the
    design takes; 0 where it is impossible) and matched (of `train_size=matched`; missing where it is
    impossible); of what limits it: limiting_cell (name), limiting_count (its images), limiting_cells (how many limit
    as much), next_cell, images_if_filled (once these have as many as the next one needs), missing_images (in the
    partition), missing_in_the_data (about so many in the whole data set, as it splits now), all four missing where
    every cell limits; empty_cells, possible and reason (why not, otherwise empty).
    """
    asked = ("natural",) if imbalance == "natural" else ("natural", imbalance)
    rows = [
        {"imbalance": imbalance_name(given), "design": design.name, "partition": partition}
        | _size(pool, partition, design, design.imbalance(given))
        for given in asked
        for design in DESIGNS.values()
        for partition in PARTITIONS
    ]
    return pd.DataFrame(rows)


def imbalance_name(imbalance: str | float) -> str:
    """ "natural", "4"."""
    return imbalance if isinstance(imbalance, str) else f"{imbalance:g}"


def _size(pool: Pool, partition: str, design: Design, imbalance: str | float) -> dict:
    counts = pool.cell_counts[partition]
    cells, images = design_cells(counts, design, imbalance), int(counts.sum())
    quotas = _quotas(cells)
    empty = int(cells["count"].eq(0).sum())
    possible = bool(quotas.min() > 0)
    limit = _limit(cells)
    missing = limit["missing_images"]
    return {
        "axes": " x ".join(cells.index.names),
        "cells": len(cells),
        "images": int(quotas.sum()) if possible else 0,
        "matched": _matched(pool, partition, design, imbalance),
        **limit,
        "missing_in_the_data": np.ceil(missing * len(pool.table) / images) if images else np.nan,
        "empty_cells": empty,
        "possible": possible,
        "reason": _reason(cells, limit, empty, possible, partition),
    }


def _quotas(cells: pd.DataFrame) -> pd.Series:
    return quotas_of(cells, (cells["count"] / cells["share"]).min())


def _limit(cells: pd.DataFrame) -> dict:
    """What holds the largest quota down: the cells with the fewest images for the share that they have to give."""
    allowed = cells["count"] / cells["share"]
    limiting = allowed <= allowed.min() * (1 + 1e-12)
    smallest = allowed.idxmin()
    limit = {
        "limiting_cell": _named(smallest),
        "limiting_count": int(cells["count"][smallest]),
        "limiting_cells": int(limiting.sum()),
    }
    if limiting.all():
        return limit | {"next_cell": "", "images_if_filled": np.nan, "missing_images": np.nan}
    following = allowed[~limiting]
    filled, missing = quotas_of(cells, following.min()), cells["share"] * following.min() - cells["count"]
    return limit | {
        "next_cell": _named(following.idxmin()),
        "images_if_filled": float(filled.sum()) if filled.min() > 0 else 0.0,
        "missing_images": float(np.ceil(missing[limiting] - 1e-9).sum()),
    }


def _reason(cells: pd.DataFrame, limit: dict, empty: int, possible: bool, partition: str) -> str:
    if possible:
        return ""
    if empty:
        return f"{empty:,} of {len(cells):,} cells have no {partition} image, such as {limit['limiting_cell']}"
    return f"the smallest share of {limit['limiting_cell']} would be less than one {partition} image"


def _named(cell: tuple) -> str:
    return " x ".join(map(str, cell))


def _matched(pool: Pool, partition: str, design: Design, imbalance: str | float) -> float:
    """Images of `train_size=matched`: as many as the smallest design has that can be drawn, rounded down to equal
    cells; NaN where this one cannot. imbalance: that of the design's own runs, by which `draw` sizes the others."""
    settings = Settings(experiment=design.name, imbalance=imbalance, train_size="matched")
    try:
        return float(quotas_drawn(pool, design, settings)[partition].sum())
    except Undrawable:
        return np.nan
