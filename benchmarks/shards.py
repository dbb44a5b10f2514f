"""Pixels from shards against the local cache: images per second of what enters the network, and of a training."""

import statistics
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.scale import Scale
from benchmarks.training import WARM_UP, step_seconds
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, Draw, draw
from fairprof.data.pool import Pool, load_pool, screened_rows
from fairprof.data.shards import write_shards
from fairprof.network.images import ImageInputs

BATCHES = 8  # of the input pipeline, in every round
MORE_ROUNDS = 3  # than elsewhere: what is compared differs by little


def measure_shards(scale: Scale, settings: Settings, pool: Pool, folder: Path) -> dict[str, float]:
    """Images per second from the pixel cache and from shards, in turns, the same rows: `..._inputs` are augmented
    batches, `..._training` whole steps of training; the median of all. `write_seconds`: of writing the shards."""
    screened = screened_rows(settings, settings.image_size)
    started = perf_counter()
    write_shards(folder / "shards", screened.listing, pool.pixel_cache, settings.lock_timeout)
    written = perf_counter() - started
    stored = settings.model_copy(update={"data": f"shards:{folder / 'shards'}"})
    pools = {"cache": pool, "shards": load_pool(stored, settings.image_size)}
    rows = draw(pool, DESIGNS["B"], settings)
    count = (scale.steps + WARM_UP) * scale.batch_size
    few = Draw(rows.design, np.resize(rows.train, count), rows.val[: scale.batch_size], rows.test, "few", "few")
    for row in pools["shards"].table["pixel"].to_numpy()[rows.train]:
        pools["shards"].pixel_cache.array[row]  # the cache was read through when it was opened
    seconds: dict[str, list[float]] = {}
    for _ in range(scale.rounds + MORE_ROUNDS):
        for name, source in pools.items():
            inputs = ImageInputs(source, settings.image_size, settings.view_count(), settings.seed)
            seconds.setdefault(f"{name}_inputs", []).extend(_input_seconds(inputs, rows.train, scale.batch_size))
            seconds.setdefault(f"{name}_training", []).extend(step_seconds(settings, source, few, inputs, scale))
    rates = {name: scale.batch_size / statistics.median(times) for name, times in seconds.items()}
    return rates | {"images": len(pool.pixel_cache.records), "write_seconds": written}


def _input_seconds(inputs: ImageInputs, rows: np.ndarray, batch: int) -> list[float]:
    shuffled = np.random.default_rng(0).permutation(rows)
    seconds = []
    for number in range(BATCHES):
        started = perf_counter()
        inputs.training(np.take(shuffled, range(number * batch, (number + 1) * batch), mode="wrap"), number)
        seconds.append(perf_counter() - started)
    return seconds
