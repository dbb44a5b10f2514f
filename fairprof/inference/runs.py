"""Several runs evaluated on the same images: what differs between them, and by how much at least by chance.

Runs of one design differ by seed, and all of them share the test images. So there are two sources of
chance, which are kept apart: the seeds (`seed_sd`, `sign_flip_tests`) and the test images
(`gap_tests_over_runs`, `contrasts_over_runs`, `image_replicates`), of which a permutation or a resample is always
the same one for all runs. `two_level_bootstrap` puts both together.

Rows are sorted by image first: neither their order nor the names of the groups changes any number.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from fairprof.inference.groups import (
    CONFIDENCE,
    TIE,
    check_confidence,
    check_number,
    contrast_bands,
    contrast_table,
    gaps_and_aggregates,
    largest_gaps,
    table_of_bounds,
    table_of_tests,
)
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MIN_SUPPORT, count_codes, group_labels, rates
from fairprof.metrics.performance import checked_column, class_names, label_codes, scores_from_counts

MOST_SEEDS = 20  # of the exact sign-flip test: 2^19 patterns
CHUNK = 2**22  # numbers held at a time


# The same images.


class _Runs(NamedTuple):
    """R runs on N images, in the order of the images' names.

    true: (N,) int. predicted: (R, N) int. cell: (N,) int in [0, cells), the image's combination of groups.
    groups: attribute to group names. members: attribute to (G, cells) float, 1 where the combination
    belongs to the group.
    """

    classes: list[str]
    true: np.ndarray
    predicted: np.ndarray
    cell: np.ndarray
    cells: int
    groups: dict[str, list[str]]
    members: dict[str, np.ndarray]

    def by_group(self, counts: np.ndarray, attribute: str) -> np.ndarray:
        """(..., G, K, K): counts (..., cells, K, K) summed over the combinations of each group."""
        table = counts.reshape(*counts.shape[:-2], -1)
        return (self.members[attribute] @ table).reshape(*counts.shape[:-3], -1, *counts.shape[-2:])


def _runs(tables: Sequence[pd.DataFrame], attributes: Iterable[str]) -> _Runs:
    if len(tables) == 0:
        raise ValueError("no predictions tables; give one for each run")
    tables = [_by_image(table) for table in tables]
    first, attributes = tables[0], list(attributes)
    for number, table in enumerate(tables[1:], start=2):
        _check_same(first, table, number, attributes)
    labels = [group_labels(first, attribute) for attribute in attributes]
    combinations, cell = np.unique([label.cat.codes for label in labels], axis=1, return_inverse=True)
    names = [list(label.cat.categories) for label in labels]
    members = [
        (np.arange(len(groups))[:, None] == of_cell).astype(float)
        for groups, of_cell in zip(names, combinations, strict=True)
    ]
    return _Runs(
        class_names(first),
        label_codes(first, "y_true"),
        np.stack([label_codes(table, "y_pred") for table in tables]),
        cell,
        combinations.shape[1],
        dict(zip(attributes, names, strict=True)),
        dict(zip(attributes, members, strict=True)),
    )


def _by_image(table: pd.DataFrame) -> pd.DataFrame:
    images = checked_column(table, "image")
    repeated = images.duplicated()
    if repeated.any():
        raise ValueError(f"image {images[repeated].iloc[0]!r} occurs twice in predictions; keep one row for each image")
    return table.sort_values("image", ignore_index=True)


def _check_same(first: pd.DataFrame, other: pd.DataFrame, number: int, attributes: list[str]) -> None:
    if class_names(first) != class_names(other):
        raise ValueError(
            f"predictions 1 have classes {class_names(first)}, predictions {number} {class_names(other)};"
            " compare runs with the same classes"
        )
    only_one = np.setxor1d(first["image"].to_numpy(object), other["image"].to_numpy(object))
    if len(only_one):
        raise ValueError(
            f"image {only_one[0]!r} is in only one of predictions 1 and {number}; evaluate both on the same images"
        )
    columns = {"y_true": (checked_column(first, "y_true"), checked_column(other, "y_true"))}
    columns |= {name: (group_labels(first, name), group_labels(other, name)) for name in attributes}
    for name, (one, two) in columns.items():
        differs = one.to_numpy(object) != two.to_numpy(object)
        if differs.any():
            row = differs.argmax()
            raise ValueError(
                f"{name} of image {first['image'][row]!r} is {one[row]!r} in predictions 1 and {two[row]!r} in"
                f" predictions {number}; evaluate both on the same labels"
            )


# Gaps against chance.


def gap_tests_over_runs(
    tables: Sequence[pd.DataFrame],
    permutations: int,
    generator: np.random.Generator,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """As `fairprof.inference.groups.gap_tests`, of the mean of each gap over runs on the same images.

    A permutation moves the groups of the images, all attributes together and for all runs alike: among all
    images for demographic parity, among those of a true class for the others. The columns are those of `gap_tests`,
    and seed_sd, the standard deviation of the gap between the runs (NaN for one run). ValueError where images,
    true classes, groups or classes differ between the tables.
    """
    check_number(permutations, "permutations")
    runs = _runs(tables, attributes)
    counts = count_codes(runs.cell, runs.true, runs.predicted, runs.cells, len(runs.classes))
    permuted = {attribute: [] for attribute in runs.groups}
    for selected, within in _permuted_counts(runs, permutations, generator):
        for attribute, found in permuted.items():
            rate = rates(runs.by_group(within, attribute)) | _selection_rate(runs.by_group(selected, attribute))
            found.append({metric: gap.mean(axis=1) for metric, gap in gaps_and_aggregates(rate).items()})
    tables_of_attributes = []
    for attribute, found in permuted.items():
        observed = gaps_and_aggregates(rates(runs.by_group(counts, attribute)))
        table = table_of_tests(
            attribute,
            runs.classes,
            {metric: gap.mean(axis=0) for metric, gap in observed.items()},
            {metric: np.concatenate([chunk[metric] for chunk in found]) for metric in observed},
        )
        table["seed_sd"] = np.concatenate([seed_sd(gap) for gap in observed.values()])
        tables_of_attributes.append(table)
    return pd.concat(tables_of_attributes, ignore_index=True)


def _selection_rate(selected: np.ndarray) -> dict[str, np.ndarray]:
    return {"selection_rate": rates(selected)["selection_rate"]}


def _permuted_counts(
    runs: _Runs, permutations: int, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks of two (B, R, cells, K, K): counts after permuting the combinations of groups among all images, and
    among the images of each true class."""
    of_class = [np.flatnonzero(runs.true == c) for c in range(len(runs.classes))]
    said = np.eye(len(runs.classes), dtype=np.float32)[runs.predicted]  # (R, N, K)
    for size in _chunks(permutations, runs.cells * len(runs.cell)):
        among = generator.permuted(np.tile(runs.cell, (size, 1)), axis=1)
        within = np.tile(runs.cell, (size, 1))
        for rows in of_class:
            within[:, rows] = generator.permuted(within[:, rows], axis=1)
        yield tuple(
            np.stack([_products(cell[:, rows], said[:, rows], runs.cells) for rows in of_class], axis=-2)
            for cell in (among, within)
        )


def _products(cell: np.ndarray, said: np.ndarray, cells: int) -> np.ndarray:
    """(B, R, cells, K) float64: rows by cell and prediction, of cell (B, N) and one-hot predictions (R, N, K)."""
    indicator = (cell[:, None, :] == np.arange(cells)[:, None]).astype(np.float32)
    # sums of ones in single precision are exact below 2^24 images
    product = indicator @ said.transpose(1, 0, 2).reshape(said.shape[1], -1)
    return product.reshape(*product.shape[:2], len(said), -1).swapaxes(1, 2).astype(float)


def _chunks(number: int, each: int) -> Iterator[int]:
    """Sizes that sum to `number`, so that a chunk of things of `each` numbers stays within `CHUNK` numbers."""
    size = max(CHUNK // each, 1)
    for start in range(0, number, size):
        yield min(size, number - start)


# Resampled images.


def contrasts_over_runs(
    tables: Sequence[pd.DataFrame],
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
    attributes: Iterable[str] = ATTRIBUTES,
    min_support: int = MIN_SUPPORT,
) -> pd.DataFrame:
    """As `fairprof.inference.groups.contrasts`, of the rates' means over runs on the same images.

    Images are resampled, the same ones for all runs: the bands are those of the sampling of the images, the
    runs being what they are. The columns are those of `contrasts`.
    """
    check_number(replicates, "replicates")
    runs = _runs(tables, attributes)
    votes = np.stack([(runs.predicted == c).sum(axis=0) for c in range(len(runs.classes))], axis=1)
    image, predicted = votes.nonzero()
    number = votes[image, predicted].astype(float)
    shape = (runs.cells, len(runs.classes), len(runs.classes))
    position = np.ravel_multi_index((runs.cell[image], runs.true[image], predicted), shape)
    sums = [csr_array((value, (position, image)), shape=(np.prod(shape), len(votes))) for value in (number, number**2)]
    observed = [matrix.sum(axis=1).reshape(shape) for matrix in sums]
    drawn = _resampled(sums, len(votes), replicates, generator)
    drawn = [table.reshape(replicates, *shape) for table in drawn]
    bands = []
    for attribute in runs.groups:
        given = [runs.by_group(table, attribute) for table in (*observed, *drawn)]
        bands.append(contrast_bands(*given, len(tables), confidence))
    return contrast_table(tables[0], bands, list(runs.groups), min_support)


def gap_upper_bounds_over_runs(
    tables: Sequence[pd.DataFrame],
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """As `fairprof.inference.groups.gap_upper_bounds`, of the mean of each gap over runs on the same images.

    The mean of gaps is larger than the gap of mean rates, which the bands of `contrasts_over_runs` would bound. So
    here bands hold together over the runs, too, and the bound is the mean over the runs of each run's bound:
    valid whatever the runs have in common, and wider than it need be. Columns: attribute, metric, class, upper.
    """
    check_number(replicates, "replicates")
    runs = _runs(tables, attributes)
    counts, drawn = _resampled_counts(runs, replicates, generator)
    bounds = []
    for attribute in runs.groups:
        observed, resampled = runs.by_group(counts, attribute), runs.by_group(drawn, attribute)
        bands = contrast_bands(observed, observed, resampled, resampled, confidence=confidence)
        largest = largest_gaps({rate: (band.lower, band.upper) for rate, band in bands.items()}, observed)
        mean = {metric: bound.mean(axis=0) for metric, bound in largest.items()}
        bounds.append(table_of_bounds(attribute, runs.classes, mean))
    return pd.concat(bounds, ignore_index=True)


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
    runs = _runs(tables, attributes)
    counts, drawn = _resampled_counts(runs, replicates, generator)
    names, observed = zip(*_quantities(runs, counts).items(), strict=True)
    values = _quantities(runs, drawn).values()
    return Replicates(list(names), np.stack(observed, axis=-1), np.stack(list(values), axis=-1))


def _quantities(runs: _Runs, counts: np.ndarray) -> dict[str, np.ndarray]:
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


def _resampled_counts(runs: _Runs, replicates: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Counts (R, cells, K, K), and (B, R, cells, K, K) on resampled images."""
    count, images = runs.predicted.shape
    shape = (count, runs.cells, len(runs.classes), len(runs.classes))
    index = (np.arange(count)[:, None], runs.cell, runs.true, runs.predicted)
    position = np.ravel_multi_index(np.broadcast_arrays(*index), shape).ravel()
    image = np.tile(np.arange(images), count)
    indicator = csr_array((np.ones(len(image)), (position, image)), shape=(np.prod(shape), images))
    (drawn,) = _resampled([indicator], images, replicates, generator)
    return indicator.sum(axis=1).reshape(shape), drawn.reshape(replicates, *shape)


def _resampled(
    matrices: list[csr_array], images: int, replicates: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """(B, rows) of each matrix (rows, N): its rows summed over N images drawn with replacement, the same for all."""
    products = [[] for _ in matrices]
    for size in _chunks(replicates, images):
        drawn = generator.integers(images, size=(size, images)) + np.arange(size)[:, None] * images
        times = np.bincount(drawn.ravel(), minlength=size * images).reshape(size, images)
        weights = np.ascontiguousarray(times.T, dtype=float)
        for product, matrix in zip(products, matrices, strict=True):
            product.append((matrix @ weights).T)
    return [np.concatenate(product) for product in products]


# Seeds.


class SignFlipTests(NamedTuple):
    """p_value (M,): of each hypothesis alone. p_max_t (M,): adjusted for all. smallest_p: what S seeds admit."""

    p_value: np.ndarray
    p_max_t: np.ndarray
    smallest_p: float


def sign_flip_tests(differences: np.ndarray) -> SignFlipTests:
    """Exact two-sided tests that paired differences (S, M) of S seeds are symmetric about 0, for M hypotheses.

    All 2^S patterns of signs are tried, the same one for all hypotheses. p_value: the share of patterns whose |mean| is
    at least the observed one. p_max_t: the share whose largest |t| over the hypotheses is at least
    the observed |t| of the hypothesis; it is adjusted in one step for all M (Westfall, Young 1993). |t| is
    taken as |mean| / root mean square, which rises with it and needs no special case: a flip leaves the
    root mean square as it is, so that p_value is the same. smallest_p is 2 / 2^S, 1 at one seed.

    Differences that are all 0 have p 1. A hypothesis with a NaN has p NaN and does not count. Fisher 1935.
    """
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 2 or not 1 <= len(differences) <= MOST_SEEDS:
        raise ValueError(
            f"differences have shape {differences.shape}; give (seeds, hypotheses) with 1 to {MOST_SEEDS} seeds,"
            " which is what all patterns of signs can be tried for"
        )
    seeds = len(differences)
    defined = ~np.isnan(differences).any(axis=0)
    scale = np.sqrt((differences[:, defined] ** 2).mean(axis=0))
    scaled = differences[:, defined] / np.where(scale > 0, scale, 1)
    observed = np.abs(scaled.mean(axis=0))
    alone, largest = np.zeros((2, len(observed)))
    for signs in _sign_patterns(seeds, max(seeds, len(observed))):
        statistic = np.abs(signs @ scaled) / seeds
        alone += (statistic >= observed - TIE).sum(axis=0)
        largest += (statistic.max(axis=1, initial=0)[:, None] >= observed - TIE).sum(axis=0)
    p_value, p_max_t = np.full((2, differences.shape[1]), np.nan)
    p_value[defined], p_max_t[defined] = alone / 2 ** (seeds - 1), largest / 2 ** (seeds - 1)
    return SignFlipTests(p_value, p_max_t, 2.0 ** (1 - seeds))


def _sign_patterns(seeds: int, each: int) -> Iterator[np.ndarray]:
    """Chunks of (patterns, S) of +-1. The first seed keeps its sign: the other half mirrors this one."""
    start = 0
    for size in _chunks(2 ** (seeds - 1), each):
        bits = np.arange(start, start + size)[:, None] >> np.arange(seeds - 1)
        yield np.hstack([np.ones((size, 1)), 1.0 - 2.0 * (bits & 1)])
        start += size


def seed_sd(observed: np.ndarray) -> np.ndarray:
    """(..., M): the standard deviation between S seeds of observed (..., S, M), by S - 1; NaN for one seed."""
    if observed.shape[-2] == 1:
        return np.full(observed[..., 0, :].shape, np.nan)
    return observed.std(axis=-2, ddof=1)


# Seeds and images.


def image_se(values: np.ndarray) -> np.ndarray:
    """(..., M): the bootstrap standard error, over test images, of the mean over seeds.

    `values` are (B, ..., S, M) replicates; it is the standard deviation over those in which the quantity is defined.
    """
    return _over_replicates(lambda means: np.nanstd(means, axis=0, ddof=1), values.mean(axis=-2))


def two_level_bootstrap(observed: np.ndarray, values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(B, D, M) draws of the mean over seeds for D designs, with seeds and images resampled.

    `observed` (D, S, M) are quantities of each run, `values` (B, D, S, M) those of the image replicates. Draw b takes S
    seeds with replacement, the same ones for all designs, and the images of replicate b: it is the mean of
    observed, plus the mean of the seeds drawn less that mean, times sqrt(S / (S - 1)), plus the mean over the
    seeds drawn of how far replicate b lies from the mean of the replicates. The factor makes up for
    resampling S things only (Rao, Wu 1988), so that the draws vary by seed_sd^2 / S between seeds. With one seed
    only the images vary. With few seeds intervals are short for what t would give; the sign-flip test decides.
    """
    designs, seeds, quantities = observed.shape
    if values.shape[1:] != observed.shape:
        raise ValueError(f"values have shape {values.shape}; give (replicates, *{observed.shape}), that of observed")
    drawn = generator.integers(seeds, size=(len(values), seeds))
    mean = observed.mean(axis=-2)
    of_seeds = observed[:, drawn].mean(axis=-2).swapaxes(0, 1) - mean  # (B, D, M)
    deviation = values - _over_replicates(lambda replicates: np.nanmean(replicates, axis=0), values)
    of_images = np.take_along_axis(deviation, drawn[:, None, :, None], axis=2).mean(axis=-2)
    return mean + np.sqrt(seeds / max(seeds - 1, 1)) * of_seeds + of_images


def interval(draws: np.ndarray, observed: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end (...) of the centred percentile interval: observed + quantiles of (draws - their mean).

    `draws` are (B, ...), `observed` (...). Gaps of resampled images are biased upward, those of the images by
    chance and once more by resampling, so the draws lie too high and are moved back onto what was observed. Draws in
    which a quantity is undefined are left out; NaN where none or `observed` is defined.
    """
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    centre = _over_replicates(lambda values: np.nanmean(values, axis=0), draws)
    lower, upper = (
        observed + _over_replicates(lambda values, q=q: np.nanquantile(values, q, axis=0), draws) - centre
        for q in (tail, 1 - tail)
    )
    return lower, upper


def _over_replicates(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """(...): a function, which leaves NaN out, of values (B, ...); NaN where no replicate is defined."""
    columns = values.reshape(len(values), -1)
    some = ~np.isnan(columns).all(axis=0)
    found = np.full(len(some), np.nan)
    found[some] = function(columns[:, some])
    return found.reshape(values.shape[1:])
