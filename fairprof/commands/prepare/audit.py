"""The audit of a data set: everything that can be known of it before anything is trained, as tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.commands.prepare import counts, duplicates, quarantine
from fairprof.commands.prepare.counts import EMPTY, SMALL
from fairprof.commands.prepare.noise_floors import (
    expected_noise_floors,
    supports,
)
from fairprof.commands.prepare.sizes import design_sizes, imbalance_name
from fairprof.config import DataSettings, PrepareSettings, StudySettings
from fairprof.data.designs import DESIGNS
from fairprof.data.drawable import Change, obstacles, remedy
from fairprof.data.pool import Pool, ScreenedRows
from fairprof.data.predictions_table import predictions_table
from fairprof.inference.independence import associations, given_a_third
from fairprof.inference.multiplicity import holm
from fairprof.measurement.ceilings import ceilings
from fairprof.measurement.detectable import AssumedClassifier, assumed_classifier, assumed_differences
from fairprof.metrics import fairness
from fairprof.metrics.fairness import MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.reporting.findings import finite
from fairprof.seeds import numpy_generator

PAIRS = (
    ("profession", "gender"),
    ("profession", "race"),
    ("profession", "age"),
    ("gender", "race"),
    ("gender", "age"),
    ("race", "age"),
)
FOLDER = "data/"  # of tables and pictures among the artifacts
BROWSABLE_ROWS = 2_000  # of a table that the UI shows; the CSV file has all
CONTEXTS = {"train": "train", "val": "validation", "test": "test"}  # what MLflow calls the partitions
SHOWN = (  # the values of an audit that are metrics
    *(f"data/{name}" for name in ("rows", "quarantined", "quarantined_share", "left_out", "pool", *CONTEXTS)),
    *(f"data/{name}" for name in ("near_duplicate_groups", "persons_with_several_images")),
    *(f"data/{name}" for name in ("empty_cells", "small_cells")),
    *(f"data/train_images/{design}" for design in DESIGNS),
    *(
        f"data/{gap}_{figure}/{attribute}"
        for gap in PARITY_DIFFERENCES
        for figure in ("null_q95", "detectable_largest")
        for attribute in ("gender", "race")
    ),
    "ceiling/macro_f1",
)
PERFECT = "perfect prediction"
SMALLEST, LARGEST = "nearly best, smallest gap", "nearly best, largest gap"


@dataclass(frozen=True)
class Audit:
    """What is known of a data set.

    refusal: why nothing can be trained on it as it is; empty where it can. rows: records in all. pool: of the usable
    ones, None where they make none. classifier: the one that noise floors assume, None without a pool. near_duplicates
    and persons: `duplicates.summary` of their tables. tables: by name, those that need a pool missing without one:

    - left_out: gender, race (as labelled) and count of the images that `exclude` leaves out
    - quarantine, quarantine_by_reason, quarantine_by_group, near_duplicates, persons
    - counts, marginals, two_way, cells: of `fairprof.commands.prepare.counts`
    - associations: of `PAIRS`, and of those with the profession what of it goes through the age
    - sizes: of `design_sizes`
    - noise_floors, supports: of the test images
    - gaps_in_the_data: gaps of a perfect prediction and, where labels are pseudo-professions, of nearly the best

    remedy: settings with which a study of all designs can be drawn; empty where it can as it is, or nothing helps.
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
    remedy: Change

    @property
    def quarantined(self) -> int:
        return len(self.tables["quarantine"])

    @property
    def left_out(self) -> int:
        """Images that `exclude` leaves out; they are not among the rows."""
        return int(self.tables["left_out"]["count"].sum())

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
        "left_out": screened.left_out,
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
        remedy={} if pool is None else _remedy(settings, pool, screened),
    )


def _remedy(settings: PrepareSettings, pool: Pool, screened: ScreenedRows) -> Change:
    shared = {name: getattr(settings, name) for name in (*DataSettings.model_fields, "imbalance")}
    study = StudySettings(**shared)
    return (remedy(study, pool, screened) or {}) if obstacles(study, pool) else {}


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
    observed = associations(table, PAIRS, settings.replicates, generator)
    through = pd.DataFrame(
        [
            given_a_third(table[first], table[second], table["age"], settings.permutations, generator)
            if first == "profession" and second != "age"
            else {"through": np.nan, "p_value": np.nan}
            for first, second in PAIRS
        ]
    )
    return observed.assign(through_age=through["through"], p_given_age=holm(through["p_value"]))


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
        "detectable_differences": assumed_differences(rows, classifier.confusion, len(DESIGNS)),
        "gaps_in_the_data": gaps_in_the_data(pool),
    }


def gaps_in_the_data(pool: Pool) -> pd.DataFrame:
    """The gaps, largest over the classes, that predictions of the test images show which are as good as can be.

    Columns: prediction, metric, attribute, value. A perfect prediction has the demographic parity difference of the
    labels themselves. Where labels are pseudo-professions, the smallest and the largest gap are given of predictions
    that know each label's probabilities, which is to say the age (and, under label bias, whose labels are biased), and
    are nearly the best: see `gap_range`. No such gap is a fault of a classifier.
    """
    rows = pool.rows_of("test")
    true = np.eye(len(pool.professions))[pool.table["profession"].cat.codes.to_numpy()[rows]]
    values = {PERFECT: fairness.summary(predictions_table(pool, rows, true))}
    allowed = ceilings(pool, rows)
    for prediction, prefix in ((SMALLEST, "ceiling/lowest_"), (LARGEST, "ceiling/highest_")):
        values[prediction] = {name.removeprefix(prefix): value for name, value in allowed.items() if prefix in name}
    return pd.DataFrame(
        [
            {"prediction": prediction, "metric": metric, "attribute": attribute, "value": value}
            for prediction, gaps in values.items()
            for metric in PARITY_DIFFERENCES
            for attribute in fairness.ATTRIBUTES
            if np.isfinite(value := gaps.get(f"{metric}/{attribute}", np.nan))
        ]
    )


# What is logged of it.


def tables_of(audit: Audit) -> dict[str, pd.DataFrame]:
    """Every table by artifact path, as CSV and, where it has rows, the first of them as one that the UI shows."""
    return {f"{FOLDER}{name}.csv": table for name, table in audit.tables.items()} | {
        f"{FOLDER}tables/{name}.json": table.head(BROWSABLE_ROWS) for name, table in audit.tables.items() if len(table)
    }


def values_of(audit: Audit) -> dict[str, float]:
    """The numbers of an audit by name, those that are defined."""
    values = {
        "rows": audit.rows,
        "quarantined": audit.quarantined,
        "left_out": audit.left_out,
        "quarantined_share": audit.quarantined / max(audit.rows, 1),
        "near_duplicate_groups": audit.near_duplicates["groups"],
        "near_duplicate_images": audit.near_duplicates["images"],
        "persons_with_several_images": audit.persons["groups"],
    }
    values |= {
        f"label_conflicts/{name}": audit.near_duplicates[f"conflicts_{name}"] for name in ("gender", "race", "age")
    }
    if audit.pool is not None:
        values |= _values_of_pool(audit, audit.pool)
    values = {f"data/{name}": float(value) for name, value in values.items()}
    if audit.pool is not None and audit.classifier is not None:
        values |= ceilings(audit.pool, audit.pool.rows_of("test"))
    return finite(values)


def _values_of_pool(audit: Audit, pool: Pool) -> dict[str, float]:
    tables = audit.tables
    evidence = tables["cells"]["test_evidence"].value_counts()
    values = {
        "pool": len(pool.table),
        "repaired_ages": pool.mangled_ages,
        "empty_cells": evidence.get(EMPTY, 0),
        "small_cells": evidence.get(SMALL, 0),
    }
    values |= {partition: len(pool.rows_of(partition)) for partition in CONTEXTS}
    asked = tables["sizes"][tables["sizes"]["imbalance"].eq(imbalance_name(audit.settings.imbalance))]
    for row in asked.itertuples():
        values |= {
            f"{row.partition}_images/{row.design}": row.images,
            f"{row.partition}_images_matched/{row.design}": row.matched,
        }
    values |= {f"cramers_v/{row.first}_{row.second}": row.cramers_v for row in tables["associations"].itertuples()}
    if "noise_floors" in tables:
        floors = tables["noise_floors"]
        largest = floors[floors["class"].eq(MAX_OVER_CLASSES) & floors["metric"].isin(PARITY_DIFFERENCES)]
        for row in largest.itertuples():
            values |= {
                f"{row.metric}_{column}/{row.attribute}": getattr(row, column)
                for column in ("null_mean", "null_q95", "detectable_largest", "detectable_smallest")
            }
    return values
