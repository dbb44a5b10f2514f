"""The report of a comparison: a page, and what a notebook shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.metrics.fairness import MAX_OVER_CLASSES
from fairprof.reporting.blocks import Cell, Column, Section, Sentences, Table
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import SCORE_NAMES, gap_name, name_of
from fairprof.reporting.page import html_page, html_summary
from fairprof.reporting.tables import table_of
from fairprof.reporting.wording import bare_p_value, capitalised, designs_named, estimate, signed

if TYPE_CHECKING:
    from fairprof.interface.comparison import Comparison

TITLE = "Comparison of designs"
TERMS = (
    *("design", "seed", "demographic parity difference, DP", "equal opportunity difference, EO"),
    *("equalized odds difference", "noise floor", "established", "equivalent", "scope", "delta"),
    *("confirmatory, exploratory", "adjusted p", "sign-flip test", "levelling down"),
)
SIGNED = ("value", "lower", "upper", "uncorrected", "change")


def page(comparison: Comparison) -> str:
    gaps = comparison.gaps[comparison.gaps["class"].eq(MAX_OVER_CLASSES)]
    figures = ["design", "attribute", "metric", "seeds", "value", "null_mean", "null_q95", "seed_sd", "upper"]
    exploratory = comparison.differences[~comparison.differences["family"].eq(CONFIRMATORY)]
    sections = [
        Section("The answer", (Sentences("", comparison.answer), _main_table(comparison.differences))),
        Section(
            "Differences",
            (
                table_of("Exploratory differences", exploratory, SIGNED),
                table_of("Of each seed", comparison.seed_differences, SIGNED),
                table_of("Accuracy of each group", comparison.group_changes, ("change", "lower", "upper")),
            ),
        ),
        Section(
            "Within designs",
            (
                table_of("Performance, with 95 % intervals for new seeds and new images", comparison.scores),
                table_of("Gaps, the largest over classes", gaps[[*figures, "p_adjusted", "family", "verdict"]]),
                table_of("Groups against the rest", comparison.contrasts, ("contrast", "lower", "upper")),
            ),
        ),
        Section("How to read it", (terms(*TERMS),)),
    ]
    designs = designs_named(list(comparison.scores["design"].drop_duplicates()))
    reference = comparison.differences["reference"].iloc[0]
    return html_page(TITLE, f"{capitalised(designs)}; reference: {reference}", sections, {}, {})


def summary(comparison: Comparison) -> str:
    return html_summary(comparison.answer, _main_table(comparison.differences))


def _main_table(differences: pd.DataFrame) -> Table:
    """The confirmatory family and the scores."""
    shown = differences[differences["family"].eq(CONFIRMATORY) | differences["metric"].isin(SCORE_NAMES)]
    rows = tuple(
        (
            Cell(gap_name(row.metric, row.attribute) if row.attribute else name_of(row.metric)),
            Cell(row.design),
            Cell(estimate(row.value, row.lower, row.upper, signed), "" if row.attribute else "exploratory"),
            Cell(bare_p_value(row.p_adjusted)),
            Cell(row.scope),
            Cell("", verdict=row.verdict),
        )
        for row in shown.sort_values("family", kind="stable").itertuples()
    )
    heads = ("design minus reference", "design", "difference, 95 % interval", "adjusted p", "scope", "verdict")
    return Table("Differences between designs", tuple(map(Column, heads)), rows)
