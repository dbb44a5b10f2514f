"""The report of an audit: a page, and what a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.metrics.fairness import MAX_OVER_CLASSES
from fairprof.reporting.blocks import Block, Cell, Column, Paragraph, Section, Sentences, Table
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import gap_name
from fairprof.reporting.page import html_page, html_summary
from fairprof.reporting.tables import table_of
from fairprof.reporting.wording import bare_p_value, counted, number

if TYPE_CHECKING:
    from fairprof.interface.audit import Audit

TITLE = "Audit of predictions"


def page(audit: Audit) -> str:
    sections = [
        Section("The answer", (Sentences("", audit.answer), _main_table(audit.gaps))),
        Section("Who differs", tuple(_who(audit.contrasts))),
        Section("Rates and gaps", tuple(_rates_and_gaps(audit))),
        Section("Performance", tuple(_performance(audit))),
        *([Section("Calibration", tuple(_calibration(audit)))] if len(audit.calibration) else []),
        Section("How to read it", (terms(*TERMS),)),
    ]
    attributes = ", ".join(audit.rates["attribute"].drop_duplicates())
    return html_page(TITLE, f"{counted(audit.rows, 'row')}; groups by {attributes}", sections, {}, {})


def summary(audit: Audit) -> str:
    return html_summary(audit.answer, _main_table(audit.gaps))


TERMS = (
    *("selection rate", "true positive rate", "false positive rate"),
    *("demographic parity difference, DP", "equal opportunity difference, EO", "equalized odds difference"),
    *("noise floor", "contrast", "undefined", "insufficient evidence"),
    *("established", "equivalent", "delta", "confirmatory, exploratory", "adjusted p"),
)


def _main_table(gaps: pd.DataFrame) -> Table:
    shown = gaps[gaps["class"].eq(MAX_OVER_CLASSES) & gaps["p_adjusted"].notna() | gaps["family"].eq(CONFIRMATORY)]
    shown = shown.sort_values("family", kind="stable")
    rows = tuple(
        (
            Cell(gap_name(row.metric, row.attribute)),
            Cell(number(row.value)),
            Cell(f"{number(row.null_mean)}, {number(row.null_q95)}"),
            Cell(number(row.upper)),
            Cell(bare_p_value(row.p_adjusted), "Holm" if row.family == CONFIRMATORY else "exploratory"),
            Cell("" if pd.isna(row.highest_group) else f"{row.highest_group} / {row.lowest_group}"),
            Cell("", verdict=row.verdict),
        )
        for row in shown.itertuples()
    )
    heads = ("gap, the largest over classes", "value", "by chance: mean, 95 %", "upper end", "adjusted p")
    return Table(
        "Gaps between groups: 0 is ideal",
        (
            *(Column(head, numeric=place in (1, 3)) for place, head in enumerate(heads)),
            Column("highest / lowest"),
            Column("verdict"),
        ),
        rows,
    )


def _who(contrasts: pd.DataFrame) -> Iterable[Block]:
    yield Paragraph(
        "Each group's rate against that of all other rows, with bands that hold for all groups and classes of an "
        "attribute at once, and the adjusted p-value of a test that no small group can dominate."
    )
    differing = contrasts[contrasts["differs"]].sort_values("p_adjusted", kind="stable")
    columns = ["attribute", "rate", "class", "group", "support", "value", "rest", "rest_support"]
    figures = [*columns, "contrast", "lower", "upper", "p_adjusted"]
    if len(differing):
        yield table_of("Groups that differ from the rest", differing[figures], ("contrast", "lower", "upper"))
    else:
        yield Paragraph("No group is shown to differ from the rest.")
    yield table_of("All groups", contrasts[[*figures, "differs", "evidence"]], ("contrast", "lower", "upper"))


def _rates_and_gaps(audit: Audit) -> Iterable[Block]:
    yield table_of("Rates by group, with 95 % intervals", audit.rates.drop(columns=["denominator"]))
    tested = audit.gaps[audit.gaps["verdict"].notna()]
    columns = ["attribute", "metric", "class", "value", "highest_group", "lowest_group", "null_mean", "null_q95"]
    yield table_of("Every gap", tested[[*columns, "upper", "p_value", "p_adjusted", "family", "verdict"]])


def _performance(audit: Audit) -> Iterable[Block]:
    yield table_of("All rows, with 95 % intervals", audit.scores.drop(columns="standard_error"))
    yield table_of("By group", audit.scores_by_group)


def _calibration(audit: Audit) -> Iterable[Block]:
    yield table_of("Calibration of all rows and by group", audit.calibration)
    yield table_of("Differences of the calibration error between groups", audit.calibration_gaps)
