"""Whether a map shows what the network goes by: pixels are removed or inserted in the map's order, and the probability
of the explained class is watched.

- ROAD (Rong et al. 2022, arXiv:2202.00449): a share of the pixels is removed by noisy linear imputation, which leaves
  no trace of where they were. (probability without the least relevant - without the most relevant) / 2, mean over
  PERCENTILES, as pytorch-grad-cam's ROADCombined. Higher is better, a map that means nothing gives about 0.
- deletion (Petsiuk, Das, Saenko 2018, arXiv:1806.07421): the most relevant pixels are set to the mean colour first;
  area under the curve of the probability. Lower is better.
- insertion (the same): the most relevant pixels are put back first into the blurred image; area under the curve.
  Higher is better.

Every number stands beside that of random maps of the same resolution. Ties in a map, such as its flat edges, are
broken at random, so that exactly the share that is meant is removed.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms.v2 import functional as transforms

from fairprof.metrics.attention import enlarged
from fairprof.runtime.hardware import channels_last
from fairprof.runtime.progress import progress_bar
from fairprof.saliency.gradcam import Entering
from fairprof.seeds import derive_seed, numpy_generator

PERCENTILES = (20, 40, 60, 80)  # of the pixels that are removed
SHARES = np.linspace(0, 1, 11)  # of the pixels, along the curves of deletion and insertion
BATCH = 16  # images imputed at once
NOISE = 0.01  # of the imputation, in units of the normalised image, as in ROAD
TOLERANCE = NOISE / 100  # residual of the imputation's linear system: leaves a mean error of a third of the noise
COARSEST = 4  # pixels of the smallest image of the cascade
MOST_ITERATIONS = 1000
BLUR = 1 / 16  # standard deviation of the blur, as a share of the image's edge
SCORES = ("road", "deletion", "insertion")
HIGHER_IS_BETTER = {"road": True, "deletion": False, "insertion": True}
SAVED = 1e-30  # against a division of 0 by 0 where the system is solved


def faithfulness(
    networks: dict[str, nn.Module],
    entering: Entering,
    maps: np.ndarray,
    classes: dict[str, np.ndarray],
    images: np.ndarray,
    seed: int,
    description: str,
) -> dict[str, pd.DataFrame]:
    """How faithful maps are to each network: a table per network, a row per image, with the columns road [-.5, .5],
    deletion [0, 1] and insertion [0, 1]; NaN for a map of zeros.

    networks: in evaluation mode; they share the perturbed images, whose making takes most of the time. entering: N
    normalised images, (N, 3, S, S) float32, sliced one at a time. maps: (N, h, w) >= 0. classes: network to (N,) int,
    what is explained. images: (N,) names, from which and `seed` ties and noise are drawn.
    """
    defined = np.flatnonzero(maps.max(axis=(1, 2)) > 0)
    found = {name: np.full((len(maps), len(SCORES)), np.nan) for name in networks}
    device = next(next(iter(networks.values())).parameters()).device
    with torch.inference_mode(), progress_bar(description, len(defined), "images") as bar:
        for start in range(0, len(defined), BATCH):
            places = defined[start : start + BATCH]
            batch = torch.cat([entering[place : place + 1] for place in places]).to(device).float()
            perturbed = _perturbed(batch, maps[places], images[places], seed)
            probabilities = {
                name: [_probability(network, some, classes[name][places]) for some in perturbed]
                for name, network in networks.items()
            }
            for name, of_network in probabilities.items():
                found[name][places] = _scores(np.stack(of_network))
            bar.update(len(places))
    return {name: pd.DataFrame(values, columns=list(SCORES)) for name, values in found.items()}


def random_maps(shape: tuple[int, int], images: np.ndarray, seed: int) -> np.ndarray:
    """Maps that mean nothing, (N, h, w) float32, uniform on (0, 1], which depend on the image's name and the seed."""
    return np.stack([1 - numpy_generator(seed, "random map", name).random(shape, dtype=np.float32) for name in images])


def removal_ranks(maps: np.ndarray, size: int, images: np.ndarray, seed: int) -> np.ndarray:
    """(N, S, S) float32 in [0, 1): the share of the pixels that are more relevant than this one, or tie with it and
    come first by lot."""
    lots = np.stack([numpy_generator(seed, "ties", name).random(size * size) for name in images])
    values = enlarged(maps, size).reshape(len(maps), -1)
    order = np.lexsort((lots, -values.round(12)), axis=1)
    ranks = np.empty(order.shape, dtype=np.float32)
    np.put_along_axis(ranks, order, np.arange(size * size, dtype=np.float32)[None, :], axis=1)
    return (ranks / size**2).reshape(len(maps), size, size)


def _noise(name: str, seed: int, shape: torch.Size) -> torch.Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, "imputation", str(name)))
    return NOISE * torch.randn(shape, generator=generator)


def _perturbed(batch: torch.Tensor, maps: np.ndarray, images: np.ndarray, seed: int) -> list[torch.Tensor]:
    """The batch without its least relevant pixels, at each percentile; without the most relevant; along the curve of
    deletion; and along that of insertion."""
    ranks = torch.from_numpy(removal_ranks(maps, batch.shape[-1], images, seed)).to(batch.device)
    noise = torch.stack([_noise(name, seed, batch.shape[1:]) for name in images]).to(batch.device)
    size = batch.shape[-1]
    blurred = transforms.gaussian_blur(batch, [2 * int(2 * BLUR * size) + 1] * 2, [BLUR * size] * 2)
    kept = [ranks < 1 - percentile / 100 for percentile in PERCENTILES]
    kept += [ranks >= percentile / 100 for percentile in PERCENTILES]
    deleted = [batch * (ranks >= share)[:, None] for share in SHARES]
    inserted = [torch.where((ranks < share)[:, None], batch, blurred) for share in SHARES]
    return [imputed(batch, known, noise) for known in kept] + deleted + inserted


def _probability(network: nn.Module, images: torch.Tensor, classes: np.ndarray) -> np.ndarray:
    """(N,): of each image's class."""
    probabilities = network(channels_last(images)).float().softmax(dim=1).double().cpu().numpy()
    return probabilities[np.arange(len(classes)), classes]


def _scores(probabilities: np.ndarray) -> np.ndarray:
    """(N, 3): ROAD, deletion and insertion, of the probabilities (P, N) of what `_perturbed` gives."""
    count = len(PERCENTILES)
    road = (probabilities[:count] - probabilities[count : 2 * count]).mean(axis=0) / 2
    curves = probabilities[2 * count :].reshape(2, len(SHARES), -1)
    return np.stack([road, *np.trapezoid(curves, SHARES, axis=1)], axis=1)


# Noisy linear imputation.


def imputed(images: torch.Tensor, known: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) whose unknown pixels are the weighted mean of their eight neighbours, plus noise.

    known: (N, H, W) bool, at least one True an image. noise: (N, C, H, W), added to the unknown pixels. It is the
    linear system of pytorch-grad-cam's `NoisyLinearImputer`, which factorises it image by image: seconds for each at
    224 pixels. Here all are solved at once, by the cascadic multigrid method of Bornemann and Deuflhard 1996:
    conjugate gradients, starting from the solution for the image of half the size.
    """
    kept = known[:, None].float()
    return kept * images + (1 - kept) * (_solved(kept * images, kept) + noise)


def _solved(images: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The imputed values of the pixels that are not kept; images are 0 there."""
    start = _start(images, kept)
    unknown = 1 - kept
    # at the image's border the weights of the neighbours that exist
    diagonal = _summed(torch.ones_like(kept[:1]))

    def system(values: torch.Tensor) -> torch.Tensor:
        return unknown * (diagonal * values - _summed(unknown * values))

    return _conjugate_gradients(system, unknown * _summed(images), unknown * start, diagonal)


def _start(images: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    if min(images.shape[-2:]) <= COARSEST:
        share = kept.mean(dim=(2, 3), keepdim=True).clamp(min=SAVED)
        return (images.mean(dim=(2, 3), keepdim=True) / share).expand_as(images)
    share = functional.avg_pool2d(kept, 2, ceil_mode=True)
    coarse = functional.avg_pool2d(images, 2, ceil_mode=True) / share.clamp(min=SAVED)
    found = (share > 0).float()
    filled = found * coarse + (1 - found) * _solved(found * coarse, found)
    return functional.interpolate(filled, images.shape[-2:], mode="bilinear", align_corners=False)


def _summed(values: torch.Tensor) -> torch.Tensor:
    """The weighted sum over the eight neighbours of every pixel: 1/6 of each beside it, 1/12 of each across."""
    padded = functional.pad(values, (1, 1, 1, 1))
    rows = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return (rows[..., :-2, :] + 2 * rows[..., 1:-1, :] + rows[..., 2:, :]) / 12 - values / 3


def _conjugate_gradients(
    system: Callable[[torch.Tensor], torch.Tensor],
    right_side: torch.Tensor,
    start: torch.Tensor,
    diagonal: torch.Tensor,
) -> torch.Tensor:
    """Every image and channel is a system of its own, which ends when no residual is larger than TOLERANCE."""
    values = start
    residual = right_side - system(values)
    direction = residual / diagonal
    product = _inner(residual, direction)
    for _ in range(MOST_ITERATIONS):
        # one that has ended stays: no image's result depends on the others
        active = residual.abs().amax(dim=(2, 3), keepdim=True) >= TOLERANCE
        if not active.any():
            break
        image = system(direction)
        step = active * product / _inner(direction, image).clamp(min=SAVED)
        values = values + step * direction
        residual = residual - step * image
        conditioned = residual / diagonal
        product, before = _inner(residual, conditioned), product
        direction = conditioned + product / before.clamp(min=SAVED) * direction
    return values


def _inner(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first * second).sum(dim=(2, 3), keepdim=True)
