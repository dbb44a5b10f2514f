"""How fair one model's predictions are: one table in, an answer with its tables out."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real

import pandas as pd

from fairprof.inference.calibration_by_group import calibration_gaps, calibration_table
from fairprof.inference.intervals import bootstrap_scores, with_intervals
from fairprof.inference.units import PERSON
from fairprof.inference.verdicts import gaps_and_contrasts
from fairprof.interface.audit_page import page, summary
from fairprof.interface.audit_sentences import answer
from fairprof.interface.user_tables import (
    IMAGE,
    PREDICTED,
    TRUE,
    Attribute,
    Probabilities,
    TableError,
    UserTable,
    columns,
    user_tables,
)
from fairprof.metrics import fairness
from fairprof.plain_text import visible
from fairprof.seeds import numpy_generator

TABLE = "predictions"


@dataclass(frozen=True, repr=False, eq=False)
class Audit:
    """What an audit has found. Attributes, classes and groups are called as in the table that was given, as text.

    gaps: a row for every attribute, metric and class, and for the largest (of a ratio the smallest) and the mean over
    the classes: value, highest_group, lowest_group, null_mean, null_q95, excess, spread, p_value, upper,
    undefined_cells, insufficient_cells, delta, family, p_adjusted, verdict, below_delta, scope
    (`fairprof.inference.verdicts.gaps_and_contrasts`; ratios are not tested).
    contrasts: who differs: each group's rates against those of all other rows, with simultaneous bands and tests
    (`fairprof.inference.bands.contrasts_with_tests`).
    rates: each group's rates with numerator, denominator, support, evidence, and Wilson's intervals, which
    grow with the design effect of several images of one person (`fairprof.inference.intervals.with_intervals`).
    scores: accuracy, balanced accuracy and macro-F1 with intervals; scores_by_group: of each group's rows.
    calibration, calibration_gaps: by group, and whether confidence exceeds accuracy by more in one group than in
    another; without rows where no probabilities were given (`fairprof.inference.calibration_by_group`).
    answer: sentences, the answer first; each follows its verdict.
    """

    gaps: pd.DataFrame
    contrasts: pd.DataFrame
    rates: pd.DataFrame
    scores: pd.DataFrame
    scores_by_group: pd.DataFrame
    calibration: pd.DataFrame
    calibration_gaps: pd.DataFrame
    answer: tuple[str, ...]
    rows: int
    min_support: int

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        return page(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer and the main table."""
        return summary(self)

    def __repr__(self) -> str:
        return "\n".join(map(visible, self.answer))


def audit(
    predictions: pd.DataFrame,
    groups: Attribute | Iterable[Attribute],
    y_true: Hashable = TRUE,
    y_pred: Hashable = PREDICTED,
    probabilities: Probabilities = None,
    person: Hashable | None = None,
    image: Hashable | None = None,
    seed: int = 0,
    delta: float = 0.05,
    min_support: int = fairness.MIN_SUPPORT,
    permutations: int = 999,
    replicates: int = 1000,
) -> Audit:
    """Whether a classifier's predictions differ between groups, by how much, for whom, and how surely.

        fairprof.audit(predictions, groups=["gender", "race"], y_true="label", y_pred="prediction")

    predictions: a table with a row per image (or whatever is classified), none of which the model was trained on, with
    any number of classes and groups, of any type.
    groups: the column of each attribute; a tuple of columns, such as ("gender", "race"), is their intersection. The
    largest demographic parity and equal opportunity differences of the single attributes are the confirmatory family,
    told by Holm's adjusted p-values; all else is exploratory. Of two classes each is tested as the other's complement:
    the equal opportunity difference over both is the larger of those of the true positive and the true negative rate.
    y_true, y_pred: the columns of the true and the predicted class.
    probabilities: for the calibration: what the columns' names begin with, before the class; or a mapping of class to
    column (of two classes one is enough); or the columns in the order of the classes.
    person: the column that says of whom an image is; images of one person are no independent evidence.
    image: the column that names the images, "image" by default where there is one; no image may occur twice.
    seed: of permutations and bootstraps: the same seed and rows give the same numbers in any order of rows.
    delta: a gap that is surely smaller is called equivalent, in (0, 1). min_support: a rate on fewer rows is marked.
    permutations, replicates: behind p-values and noise floors, and behind intervals; at least 99 and 100.

    Raises `TableError`, a ValueError, with one line that names column, row and remedy.
    """
    check_settings(seed, delta, min_support, permutations, replicates)
    given = columns(groups, y_true, y_pred, probabilities, person, image)
    user_table = user_tables({TABLE: predictions}, given)[TABLE]
    table = _in_one_order(user_table)
    attributes = list(user_table.attributes)
    gaps, contrasts = gaps_and_contrasts(
        table,
        permutations,
        replicates,
        delta,
        numpy_generator(seed, "noise floor"),
        attributes,
        min_support,
        user_table.confirmatory,
    )
    rates = with_intervals(fairness.rates_by_group(table, min_support, attributes=attributes), table)
    described = fairness.gaps(rates)[["attribute", "metric", "class", "value", "highest_group", "lowest_group"]]
    scores = bootstrap_scores(table, replicates, numpy_generator(seed, "scores"))
    by_group = fairness.performance_by_group(table, min_support, attributes)
    calibration, differences = pd.DataFrame(), pd.DataFrame()
    if probabilities is not None:
        generator = numpy_generator(seed, "calibration")
        calibration = calibration_table(table, replicates, generator, min_support, attributes)
        differences = calibration_gaps(table, permutations, generator, min_support, attributes, user_table.confirmatory)
    named = user_table.named
    gaps = described.merge(gaps.drop(columns="value"), how="left", on=["attribute", "metric", "class"], validate="1:1")
    found = {
        "gaps": named(gaps),
        "contrasts": named(contrasts),
        "rates": named(rates),
        "scores": scores,
        "scores_by_group": named(by_group),
        "calibration": named(calibration) if len(calibration) else calibration,
        "calibration_gaps": named(differences) if len(differences) else differences,
    }
    return Audit(**found, answer=answer(found, table, min_support), rows=len(table), min_support=min_support)


def check_settings(seed: int, delta: float, min_support: int, permutations: int, replicates: int) -> None:
    """Raises `TableError` where a setting is of no use."""
    least = {
        "seed": (seed, 0),
        "min_support": (min_support, 1),
        "permutations": (permutations, 99),
        "replicates": (replicates, 100),
    }
    for name, (value, smallest) in least.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < smallest:
            raise TableError(f"{name} is {value!r}; give a whole number, at least {smallest}")
    if isinstance(delta, bool) or not isinstance(delta, Real) or not 0 < delta < 1:
        raise TableError(f"delta is {delta!r}; give a number between 0 and 1, such as 0.05")


def _in_one_order(given: UserTable) -> pd.DataFrame:
    """The rows in an order that does not depend on theirs, as persons are drawn in it."""
    keys = [name for name in (PERSON, TRUE, PREDICTED, *given.attributes) if name in given.table]
    keys += [name for name in given.table.columns if name not in (IMAGE, *keys)]
    order = given.table.assign(**{PERSON: given.table[PERSON].astype(str)} if PERSON in keys else {})
    return order.sort_values(keys, kind="stable", ignore_index=True).assign(image=range(len(order)))
