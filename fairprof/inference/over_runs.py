"""Gaps, contrasts and scores of several runs on the same images: permutations and resamples of the images.

Runs of one design differ by seed, and all of them share the test images. So there are two sources of chance, which are
kept apart: the seeds (`over_seeds`) and the test images, of which a permutation or a resample is always the same one
for all runs.

Rows are sorted by image first: neither their order nor the names of the groups changes any number.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from fairprof.inference.bands import (
    Bands,
    contrast_bands,
    contrast_table,
    contrasts_with_tests,
    largest_gaps,
    table_of_bounds,
    with_bounds,
)
from fairprof.inference.levels import CONFIDENCE, check_number
from fairprof.inference.permutation import gap_table, gaps_and_aggregates, group_table, permuted_runs
from fairprof.inference.same_images import (
    Runs,
    resampled_counts_of_runs,
    resampled_sums,
    runs_on_the_same_images,
)
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MIN_SUPPORT, rates, rates_by_group
from fairprof.metrics.performance import predicts_one_class, scores_from_counts

# Gaps against chance.


def gap_tests_over_runs(
    tables: Sequence[pd.DataFrame],
    permutations: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """As `fairprof.inference.permutation.gap_tests`, of the mean of each gap over runs on the same images.

    A permutation moves the groups of the images for all runs alike. The columns are those of `gap_tests`, and
    seed_sd, the standard deviation of the gap between the runs (NaN for one run). ValueError where images, true
    classes, groups, persons or classes differ between the tables.
    """
    return gaps_and_groups_over_runs(tables, permutations, generator, attributes)[0]


def gaps_and_groups_over_runs(
    tables: Sequence[pd.DataFrame],
    permutations: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of `gap_tests_over_runs` and of `fairprof.inference.permutation.group_table`, from the same
    permutations."""
    return _gaps_and_groups(runs_on_the_same_images(tables, attributes), permutations, generator)


def _gaps_and_groups(
    runs: Runs, permutations: int, generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    permuted = permuted_runs(runs, permutations, generator)
    return gap_table(permuted), group_table(permuted)


# Resampled images.


def contrasts_over_runs(
    tables: Sequence[pd.DataFrame],
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
    attributes: Iterable[str] = ATTRIBUTES,
    min_support: int = MIN_SUPPORT,
) -> pd.DataFrame:
    """As `fairprof.inference.bands.contrasts`, of the rates' means over runs on the same images.

    Images, those of a person together, are resampled, the same ones for all runs: the bands are those of the sampling
    of the images, the runs being what they are. The columns are those of `contrasts`.
    """
    check_number(replicates, "replicates")
    bands = _bands_over_runs(runs_on_the_same_images(tables, attributes), replicates, generator, confidence)
    return contrast_table(rates_by_group(tables[0], min_support, attributes=list(bands)), list(bands.values()))


def _bands_over_runs(
    runs: Runs, replicates: int, generator: np.random.Generator, confidence: float = CONFIDENCE
) -> dict[str, dict[str, Bands]]:
    """By attribute, the bands of each rate's mean over the runs."""
    votes = np.stack([(runs.predicted == c).sum(axis=0) for c in range(len(runs.classes))], axis=1)
    image, predicted = votes.nonzero()
    number = votes[image, predicted].astype(float)
    shape = (runs.cells, len(runs.classes), len(runs.classes))
    position = np.ravel_multi_index((runs.cell[image], runs.true[image], predicted), shape)
    resampled = runs.resampled
    together, size = resampled[image], resampled.max() + 1
    sums = [csr_array((value, (position, together)), shape=(np.prod(shape), size)) for value in (number, number**2)]
    observed = [matrix.sum(axis=1).reshape(shape) for matrix in sums]
    drawn = resampled_sums(sums, size, replicates, generator)
    drawn = [table.reshape(replicates, *shape) for table in drawn]
    bands = {}
    for attribute in runs.groups:
        found, squares, drawn_found, drawn_squares = (runs.by_group(table, attribute) for table in (*observed, *drawn))
        bands[attribute] = contrast_bands(found, squares, drawn_found, drawn_squares, len(runs.predicted), confidence)
    return bands


def gap_upper_bounds_over_runs(
    tables: Sequence[pd.DataFrame],
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """As `fairprof.inference.bands.gap_upper_bounds`, of the mean of each gap over runs on the same images.

    The mean of gaps is larger than the gap of mean rates, which the bands of `contrasts_over_runs` would bound. So
    here bands hold together over the runs, too, and the bound is the mean over the runs of each run's bound:
    valid whatever the runs have in common, and wider than it need be. Columns: attribute, metric, class, upper.
    """
    check_number(replicates, "replicates")
    return _upper_bounds(runs_on_the_same_images(tables, attributes), replicates, generator, confidence)


def _upper_bounds(
    runs: Runs, replicates: int, generator: np.random.Generator, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    counts, drawn = resampled_counts_of_runs(runs, replicates, generator)
    bounds = []
    for attribute in runs.groups:
        observed, resampled = runs.by_group(counts, attribute), runs.by_group(drawn, attribute)
        bands = contrast_bands(observed, observed, resampled, resampled, confidence=confidence)
        largest = largest_gaps({rate: (band.lower, band.upper) for rate, band in bands.items()}, observed)
        mean = {metric: bound.mean(axis=0) for metric, bound in largest.items()}
        bounds.append(table_of_bounds(attribute, runs.classes, mean))
    return pd.concat(bounds, ignore_index=True)


def gaps_and_contrasts_over_runs(
    tables: Sequence[pd.DataFrame],
    permutations: int,
    replicates: int,
    generator: Callable[[str], np.random.Generator],
    attributes: Iterable[str] = ATTRIBUTES,
    min_support: int = MIN_SUPPORT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every gap of the mean over runs on the same images, not yet judged, and which groups differ from the rest.

    generator: one for a purpose. gaps: the columns of `gap_tests_over_runs`, upper (of `gap_upper_bounds_over_runs`),
    undefined_cells and insufficient_cells, seeds (the number of runs) and degenerate (whether one of them predicts one
    class only), as `fairprof.inference.verdicts.judged` takes them. contrasts: of `contrasts_with_tests`.
    """
    check_number(replicates, "replicates")
    attributes = list(attributes)
    runs = runs_on_the_same_images(tables, attributes)
    bands = _bands_over_runs(runs, replicates, generator("contrasts"))
    tested, groups = _gaps_and_groups(runs, permutations, generator("groups"))
    upper = _upper_bounds(runs, replicates, generator("upper bounds"))
    # rates rest on labels and groups, which all runs share
    of_labels = rates_by_group(tables[0], min_support, attributes=attributes)
    table = with_bounds(tested, upper, of_labels)
    degenerate = any(predicts_one_class(predictions) for predictions in tables)
    contrasts = contrast_table(of_labels, list(bands.values()))
    return table.assign(seeds=len(tables), degenerate=degenerate), contrasts_with_tests(contrasts, groups)


class Replicates(NamedTuple):
    """names: of the M quantities. observed: (R, M) of each run. values: (B, R, M) of each run on resampled images."""

    names: list[str]
    observed: np.ndarray
    values: np.ndarray


def image_replicates(
    tables: Sequence[pd.DataFrame],
    replicates: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> Replicates:
    """Scores and gaps of runs on the same images, observed and on images resampled alike for all runs.

    The quantities are accuracy, balanced_accuracy and macro_f1; for each attribute the three differences,
    maximum over classes, named "<difference>/<attribute>"; and the accuracy of each group, named
    "accuracy/<attribute>/<group>". NaN where undefined, such as in a replicate without rows of a group.
    """
    check_number(replicates, "replicates")
    runs = runs_on_the_same_images(tables, attributes)
    counts, drawn = resampled_counts_of_runs(runs, replicates, generator)
    names, observed = zip(*_quantities(runs, counts).items(), strict=True)
    values = _quantities(runs, drawn).values()
    return Replicates(list(names), np.stack(observed, axis=-1), np.stack(list(values), axis=-1))


def _quantities(runs: Runs, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each quantity (...) of `image_replicates`, of counts (..., cells, K, K)."""
    by_group = {attribute: runs.by_group(counts, attribute) for attribute in runs.groups}
    found = scores_from_counts(counts.sum(axis=-3))
    for attribute, table in by_group.items():
        gap = gaps_and_aggregates(rates(table))
        found |= {f"{metric}/{attribute}": gap[metric][..., -2] for metric in DIFFERENCES}
    for attribute, table in by_group.items():
        accuracy = scores_from_counts(table)["accuracy"]
        for number, group in enumerate(runs.groups[attribute]):
            found[f"accuracy/{attribute}/{group}"] = accuracy[..., number]
    return found
