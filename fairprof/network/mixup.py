"""MixUp of a batch."""

import numpy as np


def mixup(count: int, alpha: float, probability: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """MixUp of a batch (Zhang et al. 2018): the partner of each of `count` images, (count,) int, and the share of the
    image itself.

    With `probability`, every image becomes share * image + (1 - share) * partner, share ~ Beta(alpha, alpha);
    otherwise, or with alpha 0, everyone is its own partner and the share is 1.
    """
    if alpha <= 0 or generator.random() >= probability:
        return np.arange(count), 1.0
    share = float(generator.beta(alpha, alpha))
    return generator.permutation(count), share
