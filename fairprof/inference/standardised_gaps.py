"""Differences of selection rates split into what ages make and what remains, with intervals over resampled images."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from fairprof.inference.bands import name_free_order
from fairprof.inference.levels import CONFIDENCE, check_confidence, check_number
from fairprof.inference.units import person_codes
from fairprof.metrics.fairness import ATTRIBUTES, group_labels
from fairprof.metrics.performance import class_names, divide, label_codes
from fairprof.metrics.standardised import empty_strata, of_the_rest, rates_of_strata, split

COLUMNS = (
    *("attribute", "class", "group", "images", "difference"),
    *("composition", "composition_lower", "composition_upper", "remaining", "remaining_lower", "remaining_upper"),
    *("empty_strata", "without_age"),
)


def standardised_gaps(
    runs: Sequence[pd.DataFrame],
    replicates: int,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """The difference of each group's selection rate and that of all others, the mean over runs, and its parts: what the
    composition of the groups by age makes, and what remains at equal ages. See `split`.

    runs: predictions of the same images, each once, with a column age. Images without age are left out and
    counted; a part is NaN where an age occurs in the group or in the rest alone, which is counted too.

    Intervals are for these runs, each by itself: a part -+ z times its standard deviation over resamples of the images,
    or of the persons, whose images stay together, where there is a column person. Where a resample leaves an age empty,
    the observed rate stands in. As resamples do not vary where a rate is 0 or 1, the variance of every rate is
    raised to that with one image more of the overall rate.

    Columns: COLUMNS; images: of the group, with an age; empty_strata: ages on one side only.
    """
    check_number(replicates, "replicates")
    check_confidence(confidence)
    if len(runs) > 1:
        runs = [run.sort_values("image", kind="stable") for run in runs]
    known = runs[0]["age"].notna().to_numpy() if "age" in runs[0] else np.zeros(len(runs[0]), dtype=bool)
    if not known.any():
        return pd.DataFrame(columns=list(COLUMNS))
    dated = [run[known] for run in runs]
    tables = [_of_attribute(dated, name, replicates, generator, norm.ppf((1 + confidence) / 2)) for name in attributes]
    return pd.concat(tables, ignore_index=True).assign(without_age=int((~known).sum()))


def _of_attribute(
    runs: list[pd.DataFrame], attribute: str, replicates: int, generator: np.random.Generator, z: float
) -> pd.DataFrame:
    labels, classes = group_labels(runs[0], attribute), class_names(runs[0])
    groups = list(labels.cat.categories)
    kinds, kind_of_row = _kinds_of_rows(runs, labels.cat.codes.to_numpy())
    votes = _votes(kinds, np.bincount(kind_of_row)[None], len(groups), len(classes))[0]
    drawn = _resampled(runs[0], kind_of_row, replicates, generator)
    resampled = split(_votes(kinds, drawn, len(groups), len(classes)), rates_of_strata(votes))
    observed = split(votes)
    half = {
        part: z * np.sqrt(getattr(resampled, part).var(axis=0, ddof=1) + _unseen(votes, part))
        for part in ("composition", "remaining")
    }
    ends = {
        f"{part}_{end}": (getattr(observed, part) + sign * half[part]).clip(-1, 1).ravel()
        for part in half
        for end, sign in (("lower", -1), ("upper", 1))
    }
    table = pd.DataFrame(
        {
            "attribute": attribute,
            "class": np.tile(classes, len(groups)),
            "group": np.repeat(groups, len(classes)),
            "images": np.repeat(votes.sum(axis=(1, 2)).round().astype(int), len(classes)),
            **{part: getattr(observed, part).ravel() for part in observed._fields},
            **ends,
            "empty_strata": np.repeat(empty_strata(votes), len(classes)),
        }
    )
    return table[[name for name in COLUMNS if name in table]]


def _kinds_of_rows(runs: list[pd.DataFrame], group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 2 + K) distinct rows of group, age and share of the runs that predict each class, and (N,) the row of each
    image; in an order in which the names of the groups have no part."""
    age = runs[0]["age"].astype("category").cat.remove_unused_categories().cat.codes.to_numpy()
    predicted = np.stack([label_codes(run, "y_pred") for run in runs])
    shares = np.eye(len(class_names(runs[0])))[predicted].sum(axis=0) / len(runs)
    cells = np.zeros((group.max() + 1, age.max() + 1, shares.shape[1]))
    np.add.at(cells, (group, age), shares)
    place = np.argsort(name_free_order(cells.round(9)))
    kinds, kind_of_row = np.unique(np.column_stack((place[group], age, shares)), axis=0, return_inverse=True)
    kinds[:, 0] = np.argsort(place)[kinds[:, 0].astype(int)]
    return kinds, kind_of_row.ravel()


def _votes(kinds: np.ndarray, counts: np.ndarray, groups: int, classes: int) -> np.ndarray:
    """(B, G, A, K) votes of counts (B, T) of the kinds of rows."""
    ages = int(kinds[:, 1].max()) + 1
    of_kind = np.zeros((len(kinds), groups, ages, classes))
    of_kind[np.arange(len(kinds)), kinds[:, 0].astype(int), kinds[:, 1].astype(int)] = kinds[:, 2:]
    return (counts @ of_kind.reshape(len(kinds), -1)).reshape(len(counts), groups, ages, classes)


def _resampled(
    predictions: pd.DataFrame, kind_of_row: np.ndarray, replicates: int, generator: np.random.Generator
) -> np.ndarray:
    """(B, T) how often each kind of row occurs when images are resampled, or persons with all their images."""
    counts = np.bincount(kind_of_row)
    person = person_codes(predictions)
    if person is None:
        return generator.multinomial(len(kind_of_row), counts / len(kind_of_row), size=replicates)
    code = np.unique(person, return_inverse=True)[1]
    of_person = np.zeros((code.max() + 1, len(counts)), dtype=np.int32)
    np.add.at(of_person, (code, kind_of_row), 1)
    alike, numbers = np.unique(of_person, axis=0, return_counts=True)
    return generator.multinomial(len(of_person), numbers / len(of_person), size=replicates) @ alike


def _unseen(votes: np.ndarray, part: str) -> np.ndarray:
    """(G, K) what the variance of a part lacks where rates lie at 0 or 1: the sum over ages of what one image more of
    the overall rate adds to the variance of each rate, by the square of its weight in the part."""
    overall = votes.sum(axis=(0, 1)) / votes.sum()
    sizes = [each.sum(axis=-1, keepdims=True) for each in (votes, of_the_rest(votes))]
    of_group, of_rest = (divide(size, size.sum(axis=-2, keepdims=True)) for size in sizes)
    weights = (of_group - of_rest) / 2 if part == "composition" else (of_group + of_rest) / 2
    lacking = np.zeros_like(votes)
    for rate, size in zip(rates_of_strata(votes), sizes, strict=True):
        smoothed = divide(rate * size + overall, size + 1)
        lacking += np.nan_to_num(divide(smoothed * (1 - smoothed) - rate * (1 - rate), size))
    return (weights**2 * lacking).sum(axis=-2).clip(min=0)
