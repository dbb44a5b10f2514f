"""Whether the images that are evaluated are like those of the training: composition and predictions.

Two samples of the same population differ, too. So every distance stands beside what chance alone gives at these numbers
of images: permuting which sample an image belongs to or, where persons have several images, drawing how persons
deviate. Groups that are named by different words cannot be compared at all, and are a shift of their own kind.
"""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

from fairprof.inference.intervals import design_effect_of, wilson_interval
from fairprof.inference.levels import ALPHA, TIE, check_number
from fairprof.inference.multiplicity import holm
from fairprof.inference.units import chunks, in_order, permuted_tables
from fairprof.inference.verdicts import ESTABLISHED, NOT_ESTABLISHED

COMPARABLE = "comparable"
DIFFERENT_VOCABULARY = "different_vocabulary"
NOT_RECORDED = "not_recorded"
LOW, HIGH = (1 - 5**0.5) / 2, (1 + 5**0.5) / 2  # Mammen's weights: mean 0, variance and skewness 1
CHANCE_OF_LOW = (5**0.5 + 1) / (2 * 5**0.5)


class CategoryShift(NamedTuple):
    """Two samples over the same categories.

    total_variation: half the sum of |p - q|, [0, 1], ideal 0. jensen_shannon: the Jensen-Shannon distance, base 2,
    [0, 1], ideal 0 (Lin 1991). null_mean, null_q95: of the total variation by chance; p_value: how often it is as much
    then. chi_square, chi_square_p: Pearson's test of homogeneity, NaN where a single category occurs, and where persons
    have several images, since it takes each image for independent evidence.
    """

    total_variation: float
    jensen_shannon: float
    null_mean: float
    null_q95: float
    p_value: float
    chi_square: float
    chi_square_p: float


def category_shift(
    reference: ArrayLike, evaluated: ArrayLike, permutations: int, generator: np.random.Generator
) -> CategoryShift:
    """The distance between two samples over the same C categories, and its test.

    reference, evaluated: (C,) counts of images, each of another person, or (P, C) counts of the images of P persons.

    Which sample an image belongs to is permuted. Persons cannot be exchanged so where those of one sample have more
    images than those of the other: of them, each one's deviation from the shares of all others, in both samples, gets a
    random weight (wild bootstrap, Mammen 1993), so that each sample varies as its own persons do, and more where they
    are few. Raises ValueError where a sample has no rows.
    """
    check_number(permutations, "permutations")
    samples = [np.asarray(sample, dtype=np.int64) for sample in (reference, evaluated)]
    table = np.array([np.atleast_2d(sample).sum(axis=0) for sample in samples])
    if (table.sum(axis=1) == 0).any():
        raise ValueError("a sample has no rows; give counts of two samples that have some")
    occurs = np.flatnonzero(table.any(axis=0))
    squares = sum((sample**2).sum(axis=0) for sample in map(np.atleast_2d, samples))
    # an order that the names of the categories do not influence
    order = occurs[np.lexsort((squares[occurs], *table[:, occurs]))]
    table, samples = table[:, order], [sample[..., order] for sample in samples]
    shares = table / table.sum(axis=1, keepdims=True)
    value = float(np.abs(shares[0] - shares[1]).sum() / 2)
    persons = max(sample.ndim for sample in samples) == 2
    if persons:
        drawn = np.stack([_deviations(sample, table, permutations, generator) for sample in samples], axis=1)
    else:
        drawn = permuted_tables(table.sum(axis=1), table.sum(axis=0), permutations, generator)
        drawn = drawn / table.sum(axis=1)[:, None]
    null = np.minimum(np.abs(drawn[:, 0] - drawn[:, 1]).sum(axis=-1) / 2, 1)
    tested = chi2_contingency(table, correction=False) if table.shape[1] > 1 and not persons else None
    return CategoryShift(
        value,
        # of equal shares, rounding would make it the root of a number below 0
        float(np.nan_to_num(jensenshannon(shares[0], shares[1], base=2))),
        float(null.mean()),
        float(np.quantile(null, 0.95)),
        float((1 + (null >= value - TIE).sum()) / (permutations + 1)),
        float(tested.statistic) if tested else np.nan,
        float(tested.pvalue) if tested else np.nan,
    )


def _deviations(sample: np.ndarray, table: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """(B, C): how far shares of a sample (C,) or (P, C), of two with the images `table` (2, C), deviate by chance."""
    kinds, number = (np.eye(len(sample)), sample) if sample.ndim == 1 else np.unique(sample, axis=0, return_counts=True)
    images, everyone = kinds.sum(axis=1, keepdims=True), table.sum()
    residual = (kinds - images * table.sum(axis=0) / everyone) / (1 - images / everyone)
    low = generator.binomial(number, CHANCE_OF_LOW, size=(draws, len(number)))  # of the persons of a kind
    weights = (low * LOW + (number - low) * HIGH) * _for_few_persons(np.repeat(images[:, 0], number))
    return weights @ residual / (number @ images)


def _for_few_persons(images: np.ndarray) -> float:
    """The root of P / (P - 1), P being how many persons count (Kish 1965) of those with these numbers of images."""
    persons = images.sum() ** 2 / (images**2).sum()
    return float(np.sqrt(persons / max(persons - 1, TIE)))


def composition_shift(
    reference: dict[str, pd.Series | pd.DataFrame | None],
    evaluated: dict[str, pd.Series | pd.DataFrame | None],
    permutations: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """The composition of two samples by one attribute after the other, a row each.

    reference, evaluated: attribute to counts of images, indexed by the categories' names or, where persons have several
    images, a data frame of such counts with a column for each person; None where it is not recorded. Samples are
    comparable unless each has categories that the other has not: then the words differ ("Monk 1-4" and "White"), and no
    distance between them means anything.

    Columns: attribute, status (comparable, different_vocabulary, not_recorded), those of `CategoryShift` (NaN unless
    comparable), reference_images, evaluated_images, only_reference and only_evaluated (the categories that
    one sample alone has, separated by commas).
    """
    records = []
    for attribute in reference:
        first, second = _present(reference[attribute]), _present(evaluated.get(attribute))
        record = {"attribute": attribute, "status": NOT_RECORDED, "only_reference": "", "only_evaluated": ""}
        if len(first) and len(second):
            only = [name for name in first.index if name not in second.index]
            new = [name for name in second.index if name not in first.index]
            record |= {"only_reference": ", ".join(only), "only_evaluated": ", ".join(new)}
            record["status"] = DIFFERENT_VOCABULARY if only and new else COMPARABLE
        if record["status"] == COMPARABLE:
            names = first.index.union(second.index)
            before, after = (sample.reindex(names, fill_value=0).to_numpy().T for sample in (first, second))
            record |= category_shift(before, after, permutations, generator)._asdict()
        images = {"reference_images": int(first.to_numpy().sum()), "evaluated_images": int(second.to_numpy().sum())}
        records.append(record | images)
    columns = ["attribute", "status", *CategoryShift._fields, "reference_images", "evaluated_images"]
    table = pd.DataFrame(records).reindex(columns=[*columns, "only_reference", "only_evaluated"])
    return table.astype({name: float for name in CategoryShift._fields})


def _present(counts: pd.Series | pd.DataFrame | None) -> pd.Series | pd.DataFrame:
    if counts is None:
        return pd.Series(dtype=np.int64)
    counts = counts.set_axis(counts.index.astype(str))
    return counts[(counts if counts.ndim == 1 else counts.sum(axis=1)) > 0]


class ConfidenceShift(NamedTuple):
    """Two samples of confidences: the two-sample Kolmogorov-Smirnov statistic, [0, 1], its p-value, and the means."""

    statistic: float
    p_value: float
    reference_mean: float
    evaluated_mean: float


def confidence_shift(
    reference: np.ndarray,
    evaluated: np.ndarray,
    persons: tuple[np.ndarray | None, np.ndarray | None],
    draws: int,
    generator: np.random.Generator,
) -> ConfidenceShift:
    """The largest distance between the distribution functions of two samples of confidences (Smirnov 1948).

    persons: codes (N,) of whose images they are, of each sample; None where each is of another person. Where all are,
    the p-value is that of the Kolmogorov-Smirnov test; otherwise it is of the wild bootstrap of `category_shift`, which
    weights each person's deviation from the distribution function of all others, `draws` times.
    """
    with warnings.catch_warnings():
        # where SciPy's exact distribution loses its precision, the asymptotic one takes its place
        warnings.filterwarnings("ignore", message="ks_2samp: Exact calculation unsuccessful")
        found = ks_2samp(reference, evaluated)
    statistic, p_value = float(found.statistic), float(found.pvalue)
    if any(codes is not None for codes in persons):
        null = _largest_deviations((reference, evaluated), persons, draws, generator)
        p_value = float((1 + (null >= statistic - TIE).sum()) / (draws + 1))
    return ConfidenceShift(statistic, p_value, float(np.mean(reference)), float(np.mean(evaluated)))


def _largest_deviations(
    samples: tuple[np.ndarray, np.ndarray],
    persons: tuple[np.ndarray | None, np.ndarray | None],
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """(B,): largest distances between distribution functions of samples that differ by chance alone."""
    values, sizes = np.concatenate(samples), [len(sample) for sample in samples]
    codes = [np.arange(size) if of is None else of for of, size in zip(persons, sizes, strict=True)]
    person = np.unique([np.concatenate(codes), np.repeat([0, 1], sizes)], axis=1, return_inverse=True)[1].ravel()
    order, person = in_order([values], person)
    few = [_for_few_persons(np.unique(of, return_counts=True)[1]) for of in codes]
    share = np.repeat([few[0] / sizes[0], -few[1] / sizes[1]], sizes)[order]
    share /= 1 - np.bincount(person)[person] / len(values)
    last = np.flatnonzero(np.diff(values[order], append=np.inf))  # of images of equal confidence
    common = (last + 1) / len(values)
    largest = []
    for size in chunks(draws, len(values)):
        weights = np.where(generator.random((size, person.max() + 1)) < CHANCE_OF_LOW, LOW, HIGH)
        deviation = (weights[:, person] * share).cumsum(axis=1)
        largest.append(np.abs(deviation[:, last] - deviation[:, -1:] * common).max(axis=1))
    return np.concatenate(largest)


class ExpectedAccuracy(NamedTuple):
    """expected: the mean confidence; observed: the accuracy with its Wilson interval, with the design effect of several
    images of one person; difference: expected - observed, above 0 where the classifier promises more than it holds."""

    expected: float
    observed: float
    lower: float
    upper: float
    difference: float


def expected_accuracy(
    confidence: np.ndarray, correct: np.ndarray, person: np.ndarray | None = None
) -> ExpectedAccuracy:
    """The accuracy that calibrated confidences (N,) promise against the one that is found (correct: (N,) bool).

    person: (N,), whose images they are, where one may have several.

    A classifier that was calibrated on the training data and is not here has met a shift (Garg et al. 2022,
    arXiv:2201.04234, "average confidence").
    """
    lower, upper = wilson_interval(correct.sum(), len(correct), design_effect=design_effect_of(correct, person))
    expected, observed = float(confidence.mean()), float(correct.mean())
    return ExpectedAccuracy(expected, observed, float(lower), float(upper), expected - observed)


def judged_shift(table: pd.DataFrame, alpha: float = ALPHA) -> pd.DataFrame:
    """`table` (with status and p_value) and two more columns.

    p_adjusted: `holm` over the table; verdict: "established" where p_adjusted <= alpha or the vocabularies differ,
    otherwise "not_established". Not rejecting does not show that there is no shift.
    """
    adjusted = holm(table["p_value"])
    shifted = (adjusted <= alpha) | table["status"].eq(DIFFERENT_VOCABULARY).to_numpy()
    return table.assign(p_adjusted=adjusted, verdict=np.where(shifted, ESTABLISHED, NOT_ESTABLISHED))
