"""Gaps that are split by age, as sentences and a table: one writer for all reports."""

from collections.abc import Iterable

import pandas as pd

from fairprof.reporting.blocks import Block, Paragraph, Sentences
from fairprof.reporting.names import name_of
from fairprof.reporting.tables import table_of
from fairprof.reporting.wording import capitalised, counted, estimate, signed

ATTRIBUTES = ("gender", "race")
SIGNED = ("difference", *(f"{part}{end}" for part in ("composition", "remaining") for end in ("", "_lower", "_upper")))


def standardised_blocks(table: pd.DataFrame) -> Iterable[Block]:
    """What ages make of the differences in selection rates; table: of `standardised_gaps`, where there are several
    models with columns that name them, first."""
    if table.empty:
        yield Paragraph("No image has an age, so that differences cannot be split by age.", lead="Split by age.")
        return
    yield Sentences("Differences of selection rates, split by age", tuple(_sentences(table)))
    yield Paragraph(
        "The selection rate of a group minus that of all others is the sum of what their different ages make and of "
        "what remains at equal ages (Kitagawa 1955). Shown is the group and class that differ most. This is "
        "exploratory: intervals are of these models over the test images, each by itself, and one that contains 0 "
        "shows no difference.",
        lead="How to read it.",
    )
    yield table_of("Every group and class", table[table["attribute"].isin(ATTRIBUTES)].reset_index(drop=True), SIGNED)


def _sentences(table: pd.DataFrame) -> Iterable[str]:
    models = [name for name in ("arm", "design") if name in table]
    for _, rows in table[table["attribute"].isin(ATTRIBUTES)].groupby([*models, "attribute"], sort=False):
        if rows["difference"].notna().any():
            # of two groups that differ alike, the first
            yield _sentence(rows.loc[rows["difference"].abs().round(12).idxmax()])


def _sentence(row: pd.Series) -> str:
    model = f"design {row['design']} (arm {row['arm']}), " if "design" in row else ""
    told = (
        f"{model}by {name_of(row['attribute'])}: {row['class']} is predicted for {row['group']} minus all others "
        f"{signed(row['difference'])}; "
    )
    if row["empty_strata"]:
        parts = f"this cannot be split, as {counted(row['empty_strata'], 'age')} occur on one side only"
    else:
        composition, remaining = (
            estimate(row[part], row[f"{part}_lower"], row[f"{part}_upper"], signed)
            for part in ("composition", "remaining")
        )
        parts = f"ages make {composition} of it, and {remaining} remains at equal ages"
    missing = f"; {counted(row['without_age'], 'image')} without age left out" if row["without_age"] else ""
    return f"{capitalised(told)}{parts}{missing}."
