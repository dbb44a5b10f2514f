"""How large a benchmark is, and which faces it uses."""

from dataclasses import dataclass
from pathlib import Path

from fairprof.config import Settings
from fairprof.data.sources import synthetic
from fairprof.data.sources.kinds import open_source
from fairprof.runtime.cache import Cache


@dataclass(frozen=True)
class Scale:
    """architecture, image size (pixels), images per step, measured steps; epochs, training images, designs and seeds of
    the study, and how often its predictions are permuted and resampled; images explained; rows of the generated
    manifests, as CSV and as Parquet."""

    architecture: str
    image_size: int
    batch_size: int
    steps: int
    rounds: int
    epochs: int
    train_size: str
    designs: str
    seeds: int
    permutations: int
    replicates: int
    gradcam_images: int
    pool_rows: tuple[int, ...]
    parquet_rows: int


FULL = Scale("resnet50", 224, 32, 6, 2, 20, "natural", "BACD", 6, 999, 1000, 64, (97_698, 1_000_000), 10_000_000)
QUICK = Scale("resnet18", 32, 16, 3, 1, 2, "60", "BA", 1, 99, 100, 8, (2_000,), 3_000)


def settings_of(scale: Scale, data: str, weights: str, cache: Path, **values) -> Settings:
    """Settings of the benchmark's size; values: further settings."""
    return Settings(
        data=data,
        weights=weights,
        architecture=scale.architecture,
        image_size=scale.image_size,
        batch_size=scale.batch_size,
        epochs=scale.epochs,
        train_size=scale.train_size,
        permutations=scale.permutations,
        replicates=scale.replicates,
        patience=1000,
        cache_dir=str(cache),
        **values,
    )


def image_folder(settings: Settings, cache: Cache) -> Path:
    """The folder with the image files of `data`, for the plain loop."""
    if settings.data == "synthetic":
        open_source(settings.data, cache)
        return cache.folder / synthetic.VERSION / "images"
    path = Path(settings.data.partition(":")[2])
    return path.parent if path.is_file() else path  # beside a manifest
