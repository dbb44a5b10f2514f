"""What enters a network, made from pixels: centre crops for evaluation, augmented views for training."""

import numpy as np
import torch
from torch import nn
from torchvision.transforms import v2

from fairprof.data.pool import Pool
from fairprof.runtime.hardware import one_thread
from fairprof.seeds import derive_seed
from fairprof.serving import IMAGENET, Preprocessing, middle_of

VIEW_SEED = 0  # a numbered view of an image is the same for all designs and seeds, so that they can share its outputs


def augmentation(image_size: int, preprocessing: Preprocessing = IMAGENET) -> nn.Module:
    """The study's augmentation, (3, S, S) uint8 -> (3, image_size, image_size) float32, normalised.

    Random resized crop (90-100 % of the area), horizontal flip, colour jitter (p .3), blur (p .1), erasing (p .1).
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(image_size, scale=(0.9, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02)], p=0.3),
            v2.RandomApply([v2.GaussianBlur(kernel_size=3)], p=0.1),
            v2.Lambda(preprocessing.normalise),
            v2.RandomErasing(p=0.1),
        ]
    )


def pixels_seen(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """What a network sees of stored pixels, (N, S, S, 3) uint8, before it is normalised: their centre, (N, H, H, 3)."""
    middle = middle_of(pixels.shape[1], image_size)
    return np.ascontiguousarray(pixels[:, middle, middle])


class ImageInputs:
    """Images of a pool as a network's input, (N, 3, image_size, image_size) float32, normalised.

    views: how many augmented versions every image has; they are numbered, and epochs take them in turn. None: a new
    one every epoch. seed: of the run; it decides which view comes first, or all that is random where views is None.
    augment: (3, S, S) uint8 -> (3, image_size, image_size) float32, normalised; the study's augmentation unless given.
    preprocessing: of the network; the pool's pixels are kept for it.
    """

    boundary = None

    def __init__(
        self,
        pool: Pool,
        image_size: int,
        views: int | None,
        seed: int,
        augment: nn.Module | None = None,
        preprocessing: Preprocessing = IMAGENET,
    ):
        self.pixels = pool.pixel_cache.array
        self.pixel_rows = pool.table["pixel"].to_numpy()
        self.image_size, self.views, self.seed = image_size, views, seed
        self.preprocessing = preprocessing
        self.augment = augment or augmentation(image_size, preprocessing)

    def view_numbers(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        """Which augmented view of every row an epoch takes, (N,) int in [0, views)."""
        return (self.pixel_rows[rows] + epoch + self.seed) % self.views

    def training(self, rows: np.ndarray, epoch: int) -> torch.Tensor:
        """The rows, augmented for an epoch (from 0); every image depends on its own row, epoch and seed alone."""
        if self.views is None:
            seeds = [derive_seed(self.seed, "augmentation", epoch, int(row)) for row in rows]
            return self._augmented(self.pixel_rows[rows], seeds)
        return self.view(self.pixel_rows[rows], self.view_numbers(rows, epoch))

    def view(self, pixel_rows: np.ndarray, numbers: np.ndarray) -> torch.Tensor:
        """Numbered views of rows of the pixel cache."""
        seeds = [
            derive_seed(VIEW_SEED, "augmented view", int(number), int(row))
            for row, number in zip(pixel_rows, numbers, strict=True)
        ]
        return self._augmented(pixel_rows, seeds)

    def evaluation(self, rows: np.ndarray) -> torch.Tensor:
        """The rows, centre-cropped."""
        return self.centre_crops(self.pixel_rows[rows])

    def centre_crops(self, pixel_rows: np.ndarray) -> torch.Tensor:
        """Centre crops of rows of the pixel cache."""
        return self.preprocessing.evaluation_input(self.pixels[pixel_rows], self.image_size)

    def _augmented(self, pixel_rows: np.ndarray, seeds: list[int]) -> torch.Tensor:
        images = torch.from_numpy(np.array(self.pixels[pixel_rows])).movedim(-1, 1)
        augmented = torch.empty(len(images), 3, self.image_size, self.image_size)
        with torch.random.fork_rng(devices=[]), one_thread():
            for place, (image, seed) in enumerate(zip(images, seeds, strict=True)):
                augmented[place] = self._augment_one(image, seed)
        return augmented

    def _augment_one(self, image: torch.Tensor, seed: int) -> torch.Tensor:
        torch.default_generator.manual_seed(seed)
        return self.augment(image)
