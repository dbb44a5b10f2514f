"""The audit of a data set: everything that can be known of it before anything is trained, as tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.commands.prepare import counts, duplicates, quarantine
from fairprof.commands.prepare.noise_floors import (
    AssumedClassifier,
    assumed_classifier,
    expected_noise_floors,
    supports,
)
from fairprof.commands.prepare.sizes import design_sizes
from fairprof.config import PrepareSettings
from fairprof.data.pool import Pool, ScreenedRows
from fairprof.data.predictions_table import predictions_table
from fairprof.inference.independence import associations, given_a_third
from fairprof.inference.multiplicity import holm
from fairprof.measurement.ceilings import ceilings
from fairprof.metrics import fairness
from fairprof.metrics.fairness import PARITY_DIFFERENCES
from fairprof.seeds import numpy_generator

PAIRS = (
    ("profession", "gender"),
    ("profession", "race"),
    ("profession", "age"),
    ("gender", "race"),
    ("gender", "age"),
    ("race", "age"),
)
PERFECT, BEST = "perfect prediction", "best prediction"


@dataclass(frozen=True)
class Audit:
    """What is known of a data set.

    refusal: why nothing can be trained on it as it is; empty where it can. rows: records in all. pool: of the usable
    ones, None where they make none. classifier: the one that noise floors assume, None without a pool. near_duplicates
    and persons: `duplicates.summary` of their tables. tables: by name, those that need a pool missing without one:

    - quarantine, quarantine_by_reason, quarantine_by_group, near_duplicates, persons
    - counts, marginals, two_way, cells: of `fairprof.commands.prepare.counts`
    - associations: of `PAIRS`, and of those with the profession what of it goes through the age
    - sizes: of `design_sizes`
    - noise_floors, supports: of the test images
    - gaps_in_the_data: gaps of a perfect prediction and, where labels are pseudo-professions, of the best
    """

    settings: PrepareSettings
    refusal: str
    rows: int
    pool: Pool | None
    images_read: bool
    classifier: AssumedClassifier | None
    near_duplicates: dict[str, int]
    persons: dict[str, int]
    tables: dict[str, pd.DataFrame]

    @property
    def quarantined(self) -> int:
        return len(self.tables["quarantine"])

    @property
    def usable(self) -> int:
        return self.rows - self.quarantined

    @property
    def test_images(self) -> int:
        return len(self.pool.rows_of("test")) if self.pool else 0

    @property
    def data_kind(self) -> str:
        return self.settings.data.partition(":")[0]


def audited(screened: ScreenedRows, pool: Pool | None, refusal: str, settings: PrepareSettings) -> Audit:
    """The audit of screened rows and the pool of the usable ones, which there may not be."""
    tables = {
        "quarantine": screened.quarantine,
        "quarantine_by_reason": quarantine.by_reason(screened.quarantine),
        "quarantine_by_group": quarantine.by_group(
            screened, settings.permutations, numpy_generator(settings.seed, "quarantine by group")
        ),
        "near_duplicates": duplicates.near_duplicates(screened, pool),
        "persons": duplicates.persons(screened, pool),
    }
    classifier = None
    if pool is not None:
        tables |= _tables_of_counts(pool, settings)
        if len(pool.rows_of("test")):
            classifier = assumed_classifier(pool, settings.assumed_accuracy)
            tables |= _tables_of_gaps(pool, classifier, settings)
    return Audit(
        settings=settings,
        refusal=refusal,
        rows=int(screened.usable.sum()) + len(screened.quarantine),
        pool=pool,
        images_read=screened.pixels is not None,
        classifier=classifier,
        near_duplicates=duplicates.summary(tables["near_duplicates"]),
        persons=duplicates.summary(tables["persons"]),
        tables=tables,
    )


def _tables_of_counts(pool: Pool, settings: PrepareSettings) -> dict[str, pd.DataFrame]:
    labels = counts.labels_of(pool.table)
    return {
        "counts": counts.cross_table(labels),
        "marginals": counts.marginals(labels),
        "two_way": counts.two_way(labels),
        "cells": counts.cells(labels, settings.min_support),
        "associations": _associations(pool.table, settings),
        "sizes": design_sizes(pool, settings.imbalance),
    }


def _associations(table: pd.DataFrame, settings: PrepareSettings) -> pd.DataFrame:
    """`associations` of PAIRS, and of profession with gender and race also through_age (uncorrected Cramer's V) and
    p_given_age (of independence given the age, adjusted by Holm); these are NaN elsewhere and where ages are missing.
    """
    generator = numpy_generator(settings.seed, "associations")
    found = associations(table, PAIRS, settings.replicates, generator)
    through = pd.DataFrame(
        [
            given_a_third(table[first], table[second], table["age"], settings.permutations, generator)
            if first == "profession" and second != "age"
            else {"through": np.nan, "p_value": np.nan}
            for first, second in PAIRS
        ]
    )
    return found.assign(through_age=through["through"], p_given_age=holm(through["p_value"]))


def _tables_of_gaps(pool: Pool, classifier: AssumedClassifier, settings: PrepareSettings) -> dict[str, pd.DataFrame]:
    rows = pool.table.iloc[pool.rows_of("test")]
    return {
        "noise_floors": expected_noise_floors(
            rows,
            classifier.confusion,
            settings.replicates,
            numpy_generator(settings.seed, "expected noise floors"),
            settings.min_support,
        ),
        "supports": supports(rows, settings.min_support),
        "gaps_in_the_data": gaps_in_the_data(pool),
    }


def gaps_in_the_data(pool: Pool) -> pd.DataFrame:
    """The gaps, largest over the classes, that predictions of the test images show which are as good as can be.

    Columns: prediction, metric, attribute, value. A perfect prediction has the demographic parity difference of the
    labels themselves. The best prediction knows each label's probabilities, which is to say the age (and, under label
    bias, whose labels are biased), and nothing else: see `ceiling_rule`. It is known where labels are
    pseudo-professions. No gap of either is a fault of a classifier.
    """
    rows = pool.rows_of("test")
    true = np.eye(len(pool.professions))[pool.table["profession"].cat.codes.to_numpy()[rows]]
    values = {PERFECT: fairness.summary(predictions_table(pool, rows, true))}
    best = {name.removeprefix("ceiling/"): value for name, value in ceilings(pool, rows, np.nan).items()}
    if best:
        values[BEST] = best
    return pd.DataFrame(
        [
            {"prediction": prediction, "metric": metric, "attribute": attribute, "value": value}
            for prediction, found in values.items()
            for metric in PARITY_DIFFERENCES
            for attribute in fairness.ATTRIBUTES
            if np.isfinite(value := found.get(f"{metric}/{attribute}", np.nan))
        ]
    )
