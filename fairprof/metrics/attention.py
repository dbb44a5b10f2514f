"""Numbers about saliency maps: where the attention lies, and how concentrated it is.

A map is turned into shares of its own total first, so that these numbers do not depend on the scale of a model's
logits; only `strength` does. A map of zeros has no shares: its numbers are NaN, are left out of the means, and counted.
"""

import numpy as np
import pandas as pd

from fairprof.metrics.performance import divide, mean_of_defined


def enlargement(fields: int, size: int) -> np.ndarray:
    """(size, fields) weights of bilinear interpolation along one axis, pixel centres at half, edges repeated.

    As `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` and OpenCV's INTER_LINEAR enlarge.
    """
    place = ((np.arange(size) + 0.5) * fields / size - 0.5).clip(0, fields - 1)
    left = np.minimum(place.astype(int), max(fields - 2, 0))
    share = place - left
    weights = np.zeros((size, fields))
    weights[np.arange(size), left] += 1 - share
    weights[np.arange(size), np.minimum(left + 1, fields - 1)] += share
    return weights


def enlarged(maps: np.ndarray, size: int) -> np.ndarray:
    """Maps (N, h, w), enlarged bilinearly to (N, size, size)."""
    rows, columns = enlargement(maps.shape[1], size), enlargement(maps.shape[2], size)
    return rows @ maps @ columns.T


def attention_shares(maps: np.ndarray, masks: np.ndarray, regions: int) -> np.ndarray:
    """(N, R): the share of each map, enlarged to the input's size, that lies in each region; range [0, 1], sum 1.

    maps: (N, h, w) >= 0. masks: (N, S, S) int, the region of every pixel; values outside 0..R-1 belong to none, and
    the image's shares are NaN if there are any. NaN, too, for a map of zeros. It is the energy-based pointing game of
    Wang et al. 2020 (Score-CAM) with a region in place of a bounding box.
    """
    rows, columns = enlargement(maps.shape[1], masks.shape[1]), enlargement(maps.shape[2], masks.shape[2])
    # the sum of an enlarged map over a region is that of the map weighted by the reduced region: R small arrays
    inside = np.stack(
        [((rows.T @ (masks == region) @ columns) * maps).sum(axis=(1, 2)) for region in range(regions)], axis=1
    )
    total = (np.outer(rows.sum(axis=0), columns.sum(axis=0)) * maps).sum(axis=(1, 2))
    shares = divide(inside, total[:, None])
    shares[(masks >= regions).any(axis=(1, 2))] = np.nan
    return shares


def area_shares(masks: np.ndarray, regions: int) -> np.ndarray:
    """(N, R): the share of each image's pixels that belongs to each region; NaN for an image without a mask."""
    areas = np.stack([(masks == region).mean(axis=(1, 2)) for region in range(regions)], axis=1)
    areas[(masks >= regions).any(axis=(1, 2))] = np.nan
    return areas


def gini(maps: np.ndarray) -> np.ndarray:
    """(N,): the Gini index of each map's fields, 0 (all equal) to 1 - 1/(h w) (one field has all); NaN for zeros.

    With the fields sorted ascending, 1 - 2 sum_k share_k (n - k + 1/2) / n. Hurley, Rickard 2009; as a measure of how
    sparse an explanation is, Chalasani et al. 2020.
    """
    fields = np.sort(maps.reshape(len(maps), -1), axis=1).astype(float)
    count = fields.shape[1]
    weights = (count - np.arange(1, count + 1) + 0.5) / count
    return 1 - 2 * divide((fields * weights).sum(axis=1), fields.sum(axis=1))


def effective_area(maps: np.ndarray) -> np.ndarray:
    """(N,): the share of the image over which an even map of the same entropy would spread; 1/(h w) to 1.

    exp(-sum share ln share) / (h w), NaN for a map of zeros. The perplexity of the map (Jost 2006: effective number).
    """
    shares = normalised(maps).reshape(len(maps), -1)
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.exp(-(shares * logarithms).sum(axis=1)) / shares.shape[1]


def normalised(maps: np.ndarray) -> np.ndarray:
    """(N, h, w) float64: every map divided by its sum; NaN for a map of zeros."""
    return divide(maps.astype(float), maps.sum(axis=(1, 2), dtype=float)[:, None, None])


def measures(maps: np.ndarray, masks: np.ndarray, regions: tuple[str, ...]) -> pd.DataFrame:
    """A row per map: attention_<region> and density_<region> (the share of attention over the region's share of the
    image; 1: as much as its area; NaN where the image has none of it), gini, effective_area, strength (the map's
    mean, in its own units; 0 for a map of zeros)."""
    shares, areas = attention_shares(maps, masks, len(regions)), area_shares(masks, len(regions))
    densities = divide(shares, areas)
    columns = {f"attention_{name}": shares[:, number] for number, name in enumerate(regions)}
    columns |= {f"density_{name}": densities[:, number] for number, name in enumerate(regions)}
    columns |= {
        "gini": gini(maps),
        "effective_area": effective_area(maps),
        "strength": maps.mean(axis=(1, 2), dtype=float),
    }
    return pd.DataFrame(columns)


def mean_measures(several: list[np.ndarray], masks: np.ndarray, regions: tuple[str, ...]) -> pd.DataFrame:
    """`measures` of several maps of every image, each (N, h, w): their means, without maps that are zero; NaN where
    all are."""
    tables = [measures(maps, masks, regions) for maps in several]
    means = mean_of_defined(np.stack([table.to_numpy() for table in tables], axis=-1))
    return pd.DataFrame(means, columns=tables[0].columns)


def mean_maps(maps: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """The mean raw map, (h, w) float32, of every group; groups: (N,) group names."""
    return {str(group): maps[groups == group].mean(axis=0) for group in sorted(set(groups))}
