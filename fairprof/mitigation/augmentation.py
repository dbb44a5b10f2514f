"""Stronger augmentation, before the study's own."""

from collections.abc import Mapping

import torch
from torch import nn
from torchvision.transforms import v2

from fairprof.seeds import derive_seed

DISTORTIONS = 2  # of every distorted image


class DistortedFirst(nn.Module):
    """Distorts an image, (3, S, S) uint8, with a probability, and then augments it.

    Distortions draw from a seed that is derived from the image's own, with which the augmentation then begins: it draws
    the same random numbers as without them.
    """

    def __init__(self, distortion: v2.Transform, probability: float, augment: nn.Module):
        super().__init__()
        self.distortion, self.probability, self.augment = distortion, probability, augment

    def extra_repr(self) -> str:
        """What is kept of augmented images is found by this text."""
        return f"probability={self.probability!r}"

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        seed = torch.default_generator.initial_seed()
        torch.default_generator.manual_seed(derive_seed(seed, "distortion"))
        if torch.rand(1).item() < self.probability:
            image = self.distortion(image)
        torch.default_generator.manual_seed(seed)
        return self.augment(image)


def strengthened(augment: nn.Module, values: Mapping[str, float]) -> nn.Module:
    """With `probability`, RandAugment (Cubuk et al. 2020) with two distortions of `magnitude`, of 31 steps, goes
    before the augmentation."""
    distortion = v2.RandAugment(DISTORTIONS, magnitude=int(values["magnitude"]))
    return DistortedFirst(distortion, values["probability"], augment)
