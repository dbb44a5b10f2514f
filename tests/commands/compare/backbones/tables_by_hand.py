"""Tables of a comparison of backbones, by hand: rows with usual values."""

from collections.abc import Sequence

import pandas as pd

from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.reporting.names import backbone_titles
from tests.commands.compare.mitigation import tables_by_hand as of_methods
from tests.commands.compare.mitigation.tables_by_hand import QUANTITIES, SCOPE, compared
from tests.commands.compare.test_claims import EO, MAX, protocol

FIRST, SECOND = "resnet50@imagenet", "timm:vit_tiny.augreg@pretrained"


def made_study(backbones: Sequence[str] = (FIRST, SECOND), **changes) -> BackboneStudy:
    return BackboneStudy(protocol(**changes), tuple(backbones), backbone_titles(tuple(backbones)))


def cell(design: str = "A", backbone: str = FIRST, **changes) -> dict:
    row = of_methods.cell(design, "none", **changes)
    row.pop("method")
    return {"design": design, "backbone": backbone} | row


def contrast(metric: str = EO, attribute: str = "race", **changes) -> dict:
    row = dict(factor="backbone", level=SECOND, reference=FIRST) | compared(metric, attribute)
    return row | changes


def move(metric: str = EO, attribute: str = "race", **changes) -> dict:
    row = {"metric": metric, "attribute": attribute, "class": MAX if attribute else "", "seeds": 6}
    row |= dict(range_of_composition=0.02, range_of_backbone=0.21, expected_by_chance_of_composition=0.015)
    row |= dict(expected_by_chance_of_backbone=0.012, difference=0.19, lower=0.15, upper=0.23, p_value=0.001)
    return row | dict(p_adjusted=0.005, verdict="backbone_moves_more", scope=SCOPE) | changes


def interaction(metric: str = EO, attribute: str = "race", **changes) -> dict:
    row = dict(design="B", reference="A", backbone=SECOND, reference_backbone=FIRST)
    return row | compared(metric, attribute) | changes


EXAMPLES = {"cells": cell(), "contrasts": contrast(), "moves": move(), "interactions": interaction()}


def made_tables(**rows: Sequence[dict]) -> dict[str, pd.DataFrame]:
    """Every table, with these rows; one without keeps its columns."""
    return {name: pd.DataFrame(list(rows.get(name, ())), columns=list(example)) for name, example in EXAMPLES.items()}


def usual_tables(**changes: Sequence[dict]) -> dict[str, pd.DataFrame]:
    """Two designs with two backbones, all quantities in every table."""
    cells = [cell(design, backbone) for design in "AB" for backbone in (FIRST, SECOND)]
    both = [dict(), dict(factor="composition", level="B", reference="A", verdict="not_established")]
    rows = {
        "cells": cells,
        "contrasts": [contrast(*quantity, **factor) for factor in both for quantity in QUANTITIES],
        "moves": [move(*quantity) for quantity in QUANTITIES],
        "interactions": [interaction(*quantity) for quantity in QUANTITIES],
    }
    return made_tables(**rows | changes)
