"""What it costs to measure, draw and compare what has been trained: processor seconds, beside the training of a run."""

from collections.abc import Callable, Hashable
from time import process_time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import fairprof
from benchmarks.scale import Scale
from fairprof.config import Settings
from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.measurement.measures import measure, pictures_of, scores_and_gaps
from fairprof.measurement.validation import ValidationMeasure
from fairprof.metrics.attention import mean_maps
from fairprof.metrics.fairness import ATTRIBUTES, group_labels
from fairprof.reporting.style import png_of
from fairprof.saliency.outline import face_place
from fairprof.saliency.panels import contact_sheet, mean_map_panel
from fairprof.seeds import numpy_generator

ROUNDS = 3
SHEET, EXPLAINED = 16, 240  # images


def measure_recording(scale: Scale, settings: Settings, pool: Pool) -> dict[str, float]:
    """Processor seconds of one thread, the least of a few rounds, for predictions by chance of the pool's images.

    Returns `epoch_seconds` and `table_seconds` (the same numbers of a validation, on counts and from a table),
    `measure_seconds` (all that is measured on the test images of a run), `picture_seconds` (drawing it, and maps of
    images of noise), `comparison_seconds` (of the predictions of all designs and seeds), and how many `runs` those are.
    """
    val, test = pool.rows_of("val"), pool.rows_of("test")
    probabilities = _by_chance(pool, val, 0)
    epoch = ValidationMeasure(pool, val, settings.min_support, settings.mitigate)
    predictions = predictions_table(pool, test, _by_chance(pool, test, 1))
    with threadpool_limits(1):
        measurements = measure(predictions, settings, 0)
        return {
            "epoch_seconds": _seconds(lambda: epoch(probabilities)),
            "table_seconds": _seconds(
                lambda: scores_and_gaps(predictions_table(pool, val, probabilities), settings.min_support)
            ),
            "measure_seconds": _seconds(lambda: measure(predictions, settings, 0)),
            "picture_seconds": _seconds(lambda: (pictures_of(measurements, "natural", "B"), _maps(predictions))),
            "comparison_seconds": _seconds(lambda: _compared(scale, settings, pool, test), 1),
            "runs": len(scale.designs) * scale.seeds,
        }


def _seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        start = process_time()
        work()
        taken.append(process_time() - start)
    return min(taken)


def _by_chance(pool: Pool, rows: np.ndarray, number: int) -> np.ndarray:
    """(N, K) probabilities of a run that knows nothing."""
    return numpy_generator(number, "predictions").dirichlet(np.ones(len(pool.professions)), len(rows))


def _maps(predictions: pd.DataFrame) -> tuple[bytes, bytes]:
    """The pictures of maps of a run, of images of noise."""
    rows, generator = predictions.head(EXPLAINED), numpy_generator(0, "maps")
    pixels = generator.integers(256, size=(len(rows), 224, 224, 3), dtype=np.uint8)
    maps = generator.random((len(rows), 7, 7), dtype=np.float32)
    groups = {name: group_labels(rows, name).astype(str).to_numpy() for name in ATTRIBUTES}
    panel = mean_map_panel(
        {name: mean_maps(maps, labels) for name, labels in groups.items()},
        {name: pd.Series(labels).value_counts().to_dict() for name, labels in groups.items()},
        face_place(pixels),
        "Mean maps",
        "layer4.2",
    )
    return png_of(contact_sheet(rows[:SHEET], pixels[:SHEET], maps[:SHEET], "Maps", "layer4.2")), png_of(panel)


def _compared(scale: Scale, settings: Settings, pool: Pool, rows: np.ndarray) -> str:
    runs: dict[Hashable, list[pd.DataFrame]] = {
        design: [
            predictions_table(pool, rows, _by_chance(pool, rows, 1000 * place + seed)) for seed in range(scale.seeds)
        ]
        for place, design in enumerate(scale.designs)
    }
    compared = fairprof.compare(
        runs, ["gender", "race"], permutations=settings.permutations, replicates=settings.replicates
    )
    return compared.to_html()
