"""Batches for the network: augmentation, MixUp and a resumable order, all from derived seeds.

A batch is `(images, classes, rows)`: (N, 3, H, W) float32 ImageNet-normalised, (N,) int64 class numbers, and
(N,) int64 row numbers of the pool's table.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from fairprof.data.pool import Pool
from fairprof.seeds import derive_seed, numpy_generator
from fairprof.serving import evaluation_input, normalise

EVALUATION_BATCH = 64


def augmentation(image_size: int) -> v2.Transform:
    """The study's augmentation, (3, S, S) uint8 -> (3, image_size, image_size) float32, normalised.

    Random resized crop (90-100 % of the area), horizontal flip, colour jitter (p .3), blur (p .1), erasing (p .1).
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(image_size, scale=(0.9, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02)], p=0.3),
            v2.RandomApply([v2.GaussianBlur(kernel_size=3)], p=0.1),
            v2.Lambda(normalise),
            v2.RandomErasing(p=0.1),
        ]
    )


class AugmentedImages(Dataset):
    """Training images; an item is asked for as (epoch, place) and depends on seed, epoch and row alone."""

    def __init__(self, pool: Pool, rows: np.ndarray, image_size: int, seed: int):
        self.pixels = pool.pixels.array
        self.rows = rows
        self.pixel_rows = pool.table["pixel"].to_numpy()[rows]
        self.classes = pool.table["profession"].cat.codes.to_numpy()[rows]
        self.augment = augmentation(image_size)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int, int]:
        epoch, place = key
        pixels = torch.from_numpy(self.pixels[self.pixel_rows[place]].copy()).movedim(-1, 0)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, "augmentation", epoch, int(self.rows[place])))
            image = self.augment(pixels)
        return image, int(self.classes[place]), int(self.rows[place])


class EvaluationImages(Dataset):
    """Validation or test images, centre-cropped."""

    def __init__(self, pool: Pool, rows: np.ndarray, image_size: int):
        self.pixels = pool.pixels.array
        self.rows = rows
        self.pixel_rows = pool.table["pixel"].to_numpy()[rows]
        self.classes = pool.table["profession"].cat.codes.to_numpy()[rows]
        self.image_size = image_size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int, int]:
        image = evaluation_input(self.pixels[self.pixel_rows[place]], self.image_size)
        return image, int(self.classes[place]), int(self.rows[place])


class EpochOrder(Sampler):
    """A new order every epoch, from seed and epoch alone, as (epoch, place) keys, so that it can be resumed."""

    def __init__(self, length: int, seed: int):
        self.length = length
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = numpy_generator(self.seed, "order", self.epoch).permutation(self.length)
        return ((self.epoch, int(place)) for place in order)


def training_batches(
    pool: Pool, rows: np.ndarray, image_size: int, batch_size: int, seed: int, epoch: int, workers: int
) -> DataLoader:
    """Augmented batches of one epoch. A last batch of one image, which batch norm cannot take, is left out."""
    order = EpochOrder(len(rows), seed)
    order.set_epoch(epoch)
    return DataLoader(
        AugmentedImages(pool, rows, image_size, seed),
        batch_size=batch_size,
        sampler=order,
        drop_last=len(rows) > batch_size and len(rows) % batch_size == 1,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(derive_seed(seed, "workers", epoch)),
    )


def evaluation_batches(pool: Pool, rows: np.ndarray, image_size: int, workers: int = 0) -> DataLoader:
    """Batches without augmentation, in the order of `rows`."""
    return DataLoader(
        EvaluationImages(pool, rows, image_size),
        batch_size=EVALUATION_BATCH,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


def mixup(
    images: torch.Tensor, alpha: float, probability: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """MixUp of a batch (Zhang et al. 2018): images, partner of each, and the share of the image itself.

    With `probability`, every image becomes share * image + (1 - share) * partner, share ~ Beta(alpha, alpha);
    otherwise, or with alpha 0, images are returned as they are with share 1. images: (N, 3, H, W); partners:
    (N,) int64.
    """
    mixed = alpha > 0 and generator.random() < probability
    share = float(generator.beta(alpha, alpha)) if mixed else 1.0
    partners = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    return (share * images + (1 - share) * images[partners] if mixed else images), partners, share
