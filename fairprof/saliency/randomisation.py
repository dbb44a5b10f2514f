"""The parameter-randomisation sanity check: a map that stays when the weights are randomised explains nothing.

Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, arXiv:1810.03292: weights are initialised anew from the head
backwards, and the maps compared with those of the trained network by rank correlation.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from torch import nn

from fairprof.inference.group_means import resampled_weights
from fairprof.inference.levels import CONFIDENCE
from fairprof.metrics.performance import divide, mean_of_defined

THRESHOLD = 0.5  # mean rank correlation: a map that keeps more is flagged
HEAD, EVERYTHING = "head", "everything"
FLAGGED, CHANGED, UNCERTAIN = "flagged", "changed", "uncertain"


def randomised_networks(
    network: nn.Module, fresh: nn.Module, head: str, steps: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, nn.Module]]:
    """Name and copy of the network with ever more of it initialised anew: the head, then also the last block, and so
    on (`layer4`: head and layer4), at last everything.

    fresh: the same architecture, freshly initialised. head: its path. steps: in order, names of the steps of the
    cascade and the paths that belong to each. The network itself is left as it is.
    """
    randomised = deepcopy(network)
    state = fresh.state_dict()
    cascade = {HEAD: (head,)} | dict(reversed(steps.items()))
    for name, paths in cascade.items():
        chosen = tuple(f"{path}." for path in paths)
        anew = {key: value for key, value in state.items() if key.startswith(chosen)}
        randomised.load_state_dict(anew, strict=False)
        yield name, randomised
    randomised.load_state_dict(state)
    yield EVERYTHING, randomised


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N,): Spearman's rank correlation of the fields of every pair of maps (N, h, w), -1 to 1; ties have their mean
    rank; NaN where either map is constant."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    return divide((one * other).sum(axis=1), np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1)))


def similarity(
    correlations: np.ndarray, replicates: int, generator: np.random.Generator, confidence: float = CONFIDENCE
) -> dict[str, float | int | str]:
    """The mean of rank correlations (N,) with its percentile-bootstrap interval, and the verdict.

    "flagged" where the whole interval lies above THRESHOLD (the maps do not change, so they do not show what was
    learned), "changed" where it lies below, otherwise "uncertain". Keys: similarity, lower, upper, images, undefined
    (pairs with a constant map, which are left out), verdict.
    """
    defined = correlations[~np.isnan(correlations)]
    found = {"images": len(defined), "undefined": len(correlations) - len(defined)}
    if len(defined) == 0:
        return {"similarity": np.nan, "lower": np.nan, "upper": np.nan} | found | {"verdict": UNCERTAIN}
    drawn = resampled_weights(len(defined), replicates, generator) @ defined / len(defined)
    lower, upper = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    verdict = FLAGGED if lower > THRESHOLD else CHANGED if upper < THRESHOLD else UNCERTAIN
    mean = {"similarity": defined.mean(), "lower": lower, "upper": upper}
    return {name: float(value) for name, value in mean.items()} | found | {"verdict": verdict}


def similarities(
    maps: dict[str, np.ndarray], randomised: dict[str, dict[str, list[np.ndarray]]], replicates: int, seed_of: Callable
) -> pd.DataFrame:
    """A row per model and randomised part: model, randomised, and the keys of `similarity`.

    maps: model to (N, h, w). randomised: model to part to the maps of one or more randomised networks, whose
    correlations are averaged image by image. seed_of: a generator for the given words.
    """
    rows = []
    for model, parts in randomised.items():
        for name, several in parts.items():
            correlations = np.stack([rank_correlations(maps[model], other) for other in several], axis=1)
            found = similarity(mean_of_defined(correlations), replicates, seed_of("similarity", model, name))
            rows.append({"model": model, "randomised": name, "networks": len(several)} | found)
    return pd.DataFrame(rows)
