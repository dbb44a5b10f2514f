"""How long a prediction takes here, what memory it needs, and how large the model is: measured where it runs."""

import io
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from PIL import Image
from torch import nn

from fairprof.runtime.hardware import channels_last
from fairprof.serving import IMAGENET, Preprocessing, decode_image, square_pixels

BATCHES = (1, 32)
WARM_UPS = 2
FEWEST_REPEATS, MOST_REPEATS = 8, 50
SECONDS = 2.0  # of repeats, where they allow more than the fewest
SAMPLING_INTERVAL = 0.002  # seconds between two looks at the memory
MIB = 2**20
PROCESSOR_FILE = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """Where something was measured."""

    processor: str
    cores: int
    threads: int
    accelerator: str
    torch: str

    def __str__(self) -> str:
        where = "" if self.accelerator == "none" else f", on {self.accelerator}"
        return f"{self.processor}, {self.cores} cores, {self.threads} threads{where}, PyTorch {self.torch}"


def machine(device: torch.device) -> Machine:
    """The machine that this process runs on. device: where the network computes."""
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else "none"
    return Machine(_processor(), os.cpu_count() or 1, torch.get_num_threads(), accelerator, torch.__version__)


def _processor() -> str:
    if PROCESSOR_FILE.exists():
        for line in PROCESSOR_FILE.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Speed:
    """What was measured.

    times: the table of `measured_speed`. parameters: of the network. weights_mib: bytes of parameters and buffers.
    resident_mib: the process's resident memory, at its peak while batches of 32 were predicted. working_mib: how much
    of that came with it; on a GPU, the peak of what PyTorch has allocated there.
    """

    times: pd.DataFrame
    parameters: int
    weights_mib: float
    resident_mib: float
    working_mib: float
    machine: Machine


def measured_speed(
    network: nn.Module, image_size: int, pixels: np.ndarray, preprocessing: Preprocessing = IMAGENET
) -> Speed:
    """Latency and throughput of a network, and of decoding and preprocessing, at batches of 1 and 32.

    pixels: (32, S, S, 3) uint8, stored pixels. The table has a row per part (network; decoding: from a JPEG of the
    stored size to the network's input, in one thread) and batch: part, batch, repeats, median_ms, p95_ms (of a batch,
    milliseconds) and images_per_second (by the median). After WARM_UPS, at least FEWEST_REPEATS are taken.
    """
    device = next(network.parameters()).device
    network.eval()
    rows, memory = [], (0.0, 0.0)
    for batch in BATCHES:
        images = channels_last(preprocessing.evaluation_input(pixels[:batch], image_size).to(device))

        def forward(images=images):
            with torch.inference_mode():
                network(images)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        with _watched_memory(device) as watched:
            forward()
            forward()
        memory = watched.peak_mib, watched.added_mib
        rows.append({"part": "network", "batch": batch, **_times(forward, batch)})
    encoded = [_jpeg(image) for image in pixels]
    for batch in BATCHES:
        decode = partial(_decoded, encoded[:batch], image_size, preprocessing)
        rows.append({"part": "decoding", "batch": batch, **_times(decode, batch)})
    tensors = [*network.parameters(), *network.buffers()]
    return Speed(
        pd.DataFrame(rows),
        sum(parameter.numel() for parameter in network.parameters()),
        sum(tensor.nbytes for tensor in tensors) / MIB,
        *memory,
        machine(device),
    )


def _times(work: Callable[[], object], batch: int) -> dict[str, float]:
    for _ in range(WARM_UPS):
        work()
    seconds: list[float] = []
    while len(seconds) < FEWEST_REPEATS or (len(seconds) < MOST_REPEATS and sum(seconds) < SECONDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds))
    return {
        "repeats": len(seconds),
        "median_ms": 1000 * median,
        "p95_ms": 1000 * float(np.quantile(seconds, 0.95)),
        "images_per_second": batch / median,
    }


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _decoded(encoded: list[bytes], image_size: int, preprocessing: Preprocessing) -> torch.Tensor:
    size = preprocessing.stored_size(image_size)
    pixels = np.stack([square_pixels(decode_image(content), size) for content in encoded])
    return preprocessing.evaluation_input(pixels, image_size)


class _Memory:
    peak_mib = 0.0
    added_mib = 0.0


@contextmanager
def _watched_memory(device: torch.device) -> Iterator[_Memory]:
    """Looks at this process's memory again and again while the block runs."""
    process, watched, over = psutil.Process(), _Memory(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not over.wait(SAMPLING_INTERVAL):
            peak = max(peak, process.memory_info().rss)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        over.set()
        thread.join()
        peak = max(peak, process.memory_info().rss)
        watched.peak_mib, watched.added_mib = peak / MIB, (peak - before) / MIB
        if device.type == "cuda":
            watched.added_mib = torch.cuda.max_memory_allocated(device) / MIB
