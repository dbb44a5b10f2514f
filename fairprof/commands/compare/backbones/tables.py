"""The tables of a comparison of backbones: every one a function of the runs' prediction tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.cells import cells_of, scored, table_of_cells
from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.tables import COMPARED
from fairprof.inference.backbones import Crossed, contrasts, interactions, moves
from fairprof.inference.multiplicity import CONFIRMATORY_ATTRIBUTES


def backbone_tables(results: Mapping[str, Sequence[RunResults]], study: BackboneStudy) -> dict[str, pd.DataFrame]:
    """Every table by its name: cells, contrasts, moves, interactions.

    results: a backbone's runs in the main arm, which share their test images with all others, at most one of every
    design and seed.
    """
    protocol = study.protocol
    cells = cells_of({name: scored(results[name]) for name in study.backbones if results.get(name)}, protocol)
    crossed = Crossed(COMPARED, cells.by_place, study.backbones)
    return {
        "cells": table_of_cells(cells, results, "backbone", CONFIRMATORY_ATTRIBUTES),
        "contrasts": contrasts(crossed, protocol.delta),
        "moves": moves(crossed),
        "interactions": interactions(crossed, protocol.reference, protocol.delta),
    }
