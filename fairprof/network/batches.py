"""Batches of what enters a network: their order, MixUp and each process's share of them, from derived seeds alone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from fairprof.config import DataSettings, Settings
from fairprof.data.pool import Pool
from fairprof.mitigation.methods import METHODS
from fairprof.mitigation.rows import GroupedRows
from fairprof.network.mixup import mixup
from fairprof.network.parts import Boundary
from fairprof.runtime.hardware import on_gpu
from fairprof.runtime.processes import Processes
from fairprof.seeds import derive_seed, numpy_generator

EVALUATION_BATCH = 64
MOST_WORKERS = 16
PREFETCHED_BATCHES = 4  # by every worker


class Inputs(Protocol):
    """Where what enters a network comes from: pixels, or what its frozen prefix made of them.

    boundary: where in the network it enters; None for images, which enter at the front.
    """

    @property
    def boundary(self) -> Boundary | None: ...

    def training(self, rows: np.ndarray, epoch: int) -> torch.Tensor:
        """Rows of the pool's table, augmented for an epoch (from 0); (N, ...)."""

    def evaluation(self, rows: np.ndarray) -> torch.Tensor:
        """Rows of the pool's table as they are evaluated; (N, ...)."""


class TrainingBatch(NamedTuple):
    """One step's inputs, (L, ...), with their classes and groups, (L,) int64 each, and weights, (L,) float32.

    A process trains on `own` of them, (N,) int64, each mixed with its partner, `partners` (N,) int64: share * own +
    (1 - share) * partner. `size` is the number of images of the step in all processes, of which the process's own
    ones begin at `first`.
    """

    inputs: torch.Tensor
    classes: torch.Tensor
    groups: torch.Tensor
    weights: torch.Tensor
    own: torch.Tensor
    partners: torch.Tensor
    share: float
    first: int
    size: int


@dataclass(frozen=True)
class BatchPlan:
    """What a process loads for a step: places in the draw, and the fields of `TrainingBatch` that say what for."""

    epoch: int
    places: np.ndarray
    own: np.ndarray
    partners: np.ndarray
    share: float
    first: int
    size: int


class TrainingPlan(Sampler):
    """The batches of one epoch for one process, from seed and epoch alone, so that training can be resumed.

    All processes together train on the batches of a single one: each on its contiguous share of every batch. A last
    batch of one image, which batch norm cannot take, is left out. The method of the settings may have its own sample of
    the rows and its own partners.
    """

    def __init__(self, rows: GroupedRows, settings: Settings, epoch: int, processes: Processes):
        self.rows, self.settings, self.epoch, self.processes = rows, settings, epoch, processes
        self.method, self.values = METHODS[settings.mitigation], settings.method_values()
        sampled = self.method.hook("sample")
        generator = numpy_generator(settings.seed, "sample", epoch)
        self.sample = sampled(rows, self.values, generator) if sampled else np.arange(len(rows.rows))

    def __len__(self) -> int:
        size, length = self.settings.batch_size, len(self.sample)
        return length // size + (length % size > (1 if length > size else 0))

    def __iter__(self) -> Iterator[BatchPlan]:
        order = numpy_generator(self.settings.seed, "order", self.epoch).permutation(len(self.sample))
        size = self.settings.batch_size
        places = self.sample[order]
        return (self._plan(number, places[number * size : (number + 1) * size]) for number in range(len(self)))

    def _plan(self, number: int, batch: np.ndarray) -> BatchPlan:
        places, partners, share = self._mixed(number, batch)
        own = np.array_split(np.arange(len(batch)), self.processes.count)[self.processes.rank]
        first = int(own[0]) if len(own) else 0
        # partners may be another process's images, and have to be loaded here too
        loaded = np.union1d(own, partners[own])
        return BatchPlan(
            self.epoch,
            places[loaded],
            np.searchsorted(loaded, own),
            np.searchsorted(loaded, partners[own]),
            share,
            first,
            len(batch),
        )

    def _mixed(self, number: int, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """The places of the batch and of all partners, the partner of every image among them, and the images' share."""
        choose = self.method.hook("partners")
        generator = numpy_generator(self.settings.seed, "partners", self.epoch, number)
        chosen = choose(self.rows, batch, self.values, generator) if choose else None
        if chosen is not None:
            return np.concatenate((batch, chosen[0])), len(batch) + np.arange(len(batch)), chosen[1]
        generator = numpy_generator(self.settings.seed, "mixup", self.epoch, number)
        return batch, *mixup(len(batch), self.settings.mixup_alpha, self.settings.mixup_probability, generator)


class Examples(Dataset):
    """Some rows of a pool: what enters the network for them, and their classes, (N,) int64."""

    def __init__(self, pool: Pool, rows: np.ndarray, inputs: Inputs):
        self.rows, self.inputs = rows, inputs
        self.classes = torch.from_numpy(pool.table["profession"].cat.codes.to_numpy(np.int64)[rows])


class TrainingExamples(Examples):
    """Training batches of some rows of a pool; an item is asked for by its `BatchPlan`."""

    def __init__(self, pool: Pool, rows: GroupedRows, inputs: Inputs, settings: Settings):
        super().__init__(pool, rows.rows, inputs)
        self.groups = torch.from_numpy(rows.groups)
        weighted = METHODS[settings.mitigation].hook("weights")
        weights = weighted(rows, settings.method_values()) if weighted else np.ones(len(rows.rows))
        self.weights = torch.from_numpy(weights).float()

    def __getitem__(self, plan: BatchPlan) -> TrainingBatch:
        return TrainingBatch(
            self.inputs.training(self.rows[plan.places], plan.epoch),
            self.classes[plan.places],
            self.groups[plan.places],
            self.weights[plan.places],
            torch.from_numpy(plan.own),
            torch.from_numpy(plan.partners),
            plan.share,
            plan.first,
            plan.size,
        )


class EvaluationExamples(Examples):
    """Validation or test batches: inputs, classes (N,) int64 and rows of the pool's table (N,) int64."""

    def __getitem__(self, places: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = self.rows[places]
        return self.inputs.evaluation(rows), self.classes[places], torch.from_numpy(rows)


@dataclass(frozen=True)
class InputsOfRows:
    """What enters the network for some rows of a pool's table, a slice of them at a time."""

    inputs: Inputs
    rows: np.ndarray

    def __getitem__(self, places: slice) -> torch.Tensor:
        return self.inputs.evaluation(self.rows[places])


def training_batches(
    pool: Pool, rows: GroupedRows, inputs: Inputs, settings: Settings, epoch: int, processes: Processes
) -> DataLoader:
    """This process's `TrainingBatch`es of one epoch (from 0)."""
    return _loader(
        TrainingExamples(pool, rows, inputs, settings),
        TrainingPlan(rows, settings, epoch, processes),
        settings,
        derive_seed(settings.seed, "workers", epoch),
    )


def evaluation_batches(pool: Pool, rows: np.ndarray, inputs: Inputs, settings: DataSettings) -> DataLoader:
    """Batches without augmentation, in the order of `rows`."""
    slices = [slice(start, start + EVALUATION_BATCH) for start in range(0, len(rows), EVALUATION_BATCH)]
    # nothing of an evaluation is random; without a seed the loader would draw one from PyTorch's own generator
    return _loader(EvaluationExamples(pool, rows, inputs), slices, settings, seed=0)


def _loader(examples: Dataset, sampler, settings: DataSettings, seed: int) -> DataLoader:
    workers = worker_count(settings)
    return DataLoader(
        examples,
        sampler=sampler,
        batch_size=None,  # an item is a batch
        num_workers=workers,
        prefetch_factor=PREFETCHED_BATCHES if workers else None,
        pin_memory=on_gpu(settings.accelerator),
        generator=torch.Generator().manual_seed(seed),
    )


def worker_count(settings: DataSettings) -> int:
    """Worker processes that prepare batches."""
    if settings.workers != "auto":
        return settings.workers
    if not on_gpu(settings.accelerator):
        return 0
    return min(MOST_WORKERS, (os.cpu_count() or 1) // torch.cuda.device_count())
