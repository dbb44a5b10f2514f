"""What it costs to open pixels that are cached, every byte of which is compared with a checksum."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd

from fairprof.config import Settings
from fairprof.data.pixels import ARRAY, RECORDS, cached_pixels
from fairprof.data.sources.kinds import open_source
from fairprof.runtime.cache import Cache


def measure_opening(settings: Settings) -> dict[str, float]:
    """The pixels of all images of `data`: decoded, opened, and mapped without a look at what is in them, in seconds.

    Returns `images`, `bytes`, `decode_seconds`, `open_seconds` and `map_seconds`.
    """
    shared = Cache.of(settings)
    images = open_source(settings.data, shared).images
    cache = replace(shared, folder=shared.folder / "opening")
    started = perf_counter()
    pixels = cached_pixels(images, settings.image_size, cache)
    decoded = perf_counter()
    cached_pixels(images, settings.image_size, cache)
    opened = perf_counter()
    entry = cache.entry("pixels", pixels.key)
    np.load(entry / ARRAY, mmap_mode="r")
    pd.read_parquet(entry / RECORDS)
    return {
        "images": len(images),
        "bytes": (entry / ARRAY).stat().st_size,
        "decode_seconds": decoded - started,
        "open_seconds": opened - decoded,
        "map_seconds": perf_counter() - opened,
    }
