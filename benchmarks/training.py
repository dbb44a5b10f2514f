"""Images per second of a training step: the plain loop, fairprof, and fairprof on a batch that is in memory already."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.scale import Scale
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, Draw, draw
from fairprof.data.pool import Pool
from fairprof.network.batches import Inputs
from fairprof.network.classifier import build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.records import Training
from fairprof.network.training import fit
from fairprof.runtime.hardware import keep_freed_memory

PLAIN_WORKERS = 2  # as tutorials have it
WARM_UP = 2  # steps that are not counted


class TimedInputs:
    """Inputs that note when each training batch is asked for: with no workers, a step lies between two of them."""

    boundary = None

    def __init__(self, inputs: Inputs):
        self.inputs = inputs
        self.asked: list[float] = []

    def training(self, rows: np.ndarray, epoch: int) -> torch.Tensor:
        self.asked.append(time.perf_counter())
        return self.inputs.training(rows, epoch)

    def evaluation(self, rows: np.ndarray) -> torch.Tensor:
        self.asked.append(time.perf_counter())
        return self.inputs.evaluation(rows)


class InputsInMemory:
    """The same finished images in every batch: a training step without any work on data."""

    boundary = None

    def __init__(self, inputs: Inputs, rows: np.ndarray):
        self.images = inputs.training(rows, 0)

    def training(self, rows: np.ndarray, epoch: int) -> torch.Tensor:
        return self.images[: len(rows)]

    def evaluation(self, rows: np.ndarray) -> torch.Tensor:
        return self.images[:1].expand(len(rows), -1, -1, -1)


def measure_training(scale: Scale, settings: Settings, pool: Pool, folder: Path) -> dict[str, float]:
    """Images per second, the median over steps, of four loops in turn, for several rounds.

    `plain` and `plain_workers`: the plain loop, without worker processes (PyTorch's default) and with two; `fairprof`;
    `in_memory`: fairprof without any work on data.
    """
    keep_freed_memory()
    rows = draw(pool, DESIGNS["B"], settings)
    count = (scale.steps + WARM_UP) * scale.batch_size
    few = Draw(rows.design, np.resize(rows.train, count), rows.val[: scale.batch_size], rows.test, "few", "few")
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)
    kinds: dict[str, Inputs] = {"fairprof": images, "in_memory": InputsInMemory(images, rows.train[: scale.batch_size])}
    seconds: dict[str, list[float]] = {"plain": [], "plain_workers": [], **{kind: [] for kind in kinds}}
    for _ in range(scale.rounds):
        seconds["plain"] += plain_step_seconds(scale, settings.finetune, folder)
        seconds["plain_workers"] += plain_step_seconds(scale, settings.finetune, folder, PLAIN_WORKERS)
        for kind, inputs in kinds.items():
            seconds[kind] += step_seconds(settings, pool, few, inputs, scale)
    return {kind: scale.batch_size / statistics.median(steps) for kind, steps in seconds.items()}


def step_seconds(settings: Settings, pool: Pool, drawn: Draw, inputs: Inputs, scale: Scale) -> list[float]:
    """Seconds of training steps on these inputs, the first ones left out."""
    settings = settings.model_copy(update={"epochs": 1, "workers": 0})
    classifier = build_classifier(settings.architecture, "random", settings.finetune, len(pool.professions), 0)
    timed = TimedInputs(inputs)
    with TemporaryDirectory() as folder:
        fit(
            Training(settings, pool, drawn, classifier, timed),
            lambda *_: {"macro_f1": 0.0},
            lambda *_: None,
            Path(folder),
        )
    return np.diff(timed.asked[WARM_UP : WARM_UP + scale.steps + 1]).tolist()


def plain_step_seconds(scale: Scale, finetune: str, folder: Path, workers: int = 0) -> list[float]:
    """Seconds of the plain loop's steps, the first ones left out, in a process with PyTorch's own defaults."""
    arguments = {
        "folder": folder,
        "architecture": scale.architecture,
        "finetune": finetune,
        "size": scale.image_size,
        "batch": scale.batch_size,
        "steps": scale.steps + WARM_UP,
        "workers": workers,
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("plain_loop.py"))]
        + [str(word) for name, value in arguments.items() for word in (f"--{name}", value)],
        env={name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)[WARM_UP:]


def measure_gpu(scale: Scale, settings: Settings, pool: Pool) -> dict[str, float]:
    """Images per second of whole epochs on a GPU: from the pixel cache, and on finished images that are in memory.

    The second epoch is measured, from report to report: validation on a few images and the checkpoint are in it.
    """
    rows = draw(pool, DESIGNS["B"], settings)
    few = Draw(rows.design, np.resize(rows.train, 20_000), rows.val[: scale.batch_size], rows.test, "few", "few")
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)
    kinds: dict[str, Inputs] = {
        "fairprof": images,
        "in_memory": InputsInMemory(images, rows.train[: settings.batch_size]),
    }
    return {kind: _epoch_rate(settings, pool, few, inputs) for kind, inputs in kinds.items()}


def _epoch_rate(settings: Settings, pool: Pool, drawn: Draw, inputs: Inputs) -> float:
    ended: list[float] = []
    classifier = build_classifier(settings.architecture, "random", settings.finetune, len(pool.professions), 0)

    def report(epoch: int, values: dict) -> None:
        ended.append(time.perf_counter())

    settings = settings.model_copy(update={"epochs": 2})
    with TemporaryDirectory() as folder:
        fit(Training(settings, pool, drawn, classifier, inputs), lambda *_: {"macro_f1": 0.0}, report, Path(folder))
    return len(drawn.train) / (ended[1] - ended[0])
