"""What is to be seen in the pictures of a comparison of backbones, in words: for whoever does not see them. Nothing is
claimed here, only what is drawn is told."""

from collections.abc import Callable

import pandas as pd

from fairprof.commands.compare.backbones.answer import cell_told, level_told
from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.crossed import Tables, changes_seen, drawn_rows, quantity_told
from fairprof.inference.backbones import BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE
from fairprof.inference.cells import CONFIRMATORY_EFFECTS, SCORE
from fairprof.reporting.differences import rows_of
from fairprof.reporting.names import SCORE_NAMES, short_gap_name
from fairprof.reporting.verdicts import confirmatory
from fairprof.reporting.wording import UNDEFINED, capitalised, number


def seen(name: str, tables: Tables, study: BackboneStudy) -> str:
    """What the picture of this name shows. Raises `KeyError` for another name."""
    return SEEN[name](tables, study)


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of contrasts or interactions that are drawn: those of the confirmatory family."""
    return drawn_rows(confirmatory(table), CONFIRMATORY_EFFECTS)


def column_of(quantity: str) -> str:
    """The column of the table of cells in which a quantity is drawn: gaps are less their floors."""
    return quantity if quantity == SCORE else f"corrected/{quantity}"


def known_cells(cells: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The cells of which a quantity is drawn: it is defined, and a gap is not of a degenerate model."""
    kept = cells[column_of(quantity)].notna()
    return cells[kept if quantity == SCORE else kept & ~cells["degenerate"].astype(bool)]


def _moves(tables: Tables, study: BackboneStudy) -> str:
    rows = drawn_rows(tables["moves"], CONFIRMATORY_EFFECTS).dropna(subset="difference")
    if rows.empty:
        return f"All ranges are {UNDEFINED}."
    told = "; ".join(
        f"{quantity_told(row)} {number(row.range_of_composition)} between designs, {number(row.range_of_backbone)} "
        "between backbones"
        for row in rows_of(rows)
    )
    found = int(rows["verdict"].isin((BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE)).sum())
    return f"Ranges: {told}. Which moves more is established, which is a filled mark: {found} of {len(rows)}."


def _cells(tables: Tables, study: BackboneStudy) -> str:
    parts = []
    for quantity in CONFIRMATORY_EFFECTS:
        column = column_of(quantity)
        known = known_cells(tables["cells"], quantity)
        if len(known):
            least, most = known.loc[known[column].idxmin()], known.loc[known[column].idxmax()]
            name = SCORE_NAMES[SCORE] if quantity == SCORE else short_gap_name(*quantity.split("/"))
            parts.append(
                f"{name} from {number(least[column])} ({cell_told(study, [least['design']], least['backbone'])}) to "
                f"{number(most[column])} ({cell_told(study, [most['design']], most['backbone'])})"
            )
    return f"{capitalised('; '.join(parts))}." if parts else f"All values are {UNDEFINED}."


def _contrasts(tables: Tables, study: BackboneStudy) -> str:
    def place(row) -> str:
        return f"{level_told(study, row.factor, row.level)} less {level_told(study, row.factor, row.reference)}"

    return changes_seen(shown_rows(tables["contrasts"]), place)


def _interactions(tables: Tables, study: BackboneStudy) -> str:
    return changes_seen(shown_rows(tables["interactions"]), lambda row: cell_told(study, [row.design], row.backbone))


SEEN: dict[str, Callable[[Tables, BackboneStudy], str]] = {
    "moves": _moves,
    "cells": _cells,
    "contrasts": _contrasts,
    "interactions": _interactions,
}
