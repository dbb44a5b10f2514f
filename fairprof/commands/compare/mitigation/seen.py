"""What is to be seen in the pictures of a comparison of methods, in words: for whoever does not see them. Nothing is
claimed here, only what is drawn is told."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from fairprof.commands.compare.crossed import Tables, changes_seen, drawn_rows, quantity_told
from fairprof.commands.compare.mitigation.answer import cell_told, title_of
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.inference.cells import SCORE
from fairprof.inference.mitigation import NONE, targets
from fairprof.inference.random_replacement import UNDER_THE_LINE
from fairprof.metrics.tradeoffs import pareto_front
from fairprof.reporting.differences import rows_of
from fairprof.reporting.names import short_gap_name
from fairprof.reporting.wording import UNDEFINED, enumerated


def seen(name: str, tables: Tables, study: MitigationStudy) -> str:
    """What the picture of this name shows. Raises `KeyError` for another name."""
    return SEEN[name](tables, study)


def drawn(table: pd.DataFrame, study: MitigationStudy) -> pd.DataFrame:
    """The rows of effects or interactions that are drawn: of macro-F1, and of the gaps that methods are to bring
    down."""
    return drawn_rows(table, (SCORE, *targets(study.mitigate)))


def _changes(name: str) -> Callable[[Tables, MitigationStudy], str]:
    return lambda tables, study: changes_seen(
        drawn(tables[name], study), lambda row: f"{title_of(row.method)} in {row.design}"
    )


def points_of(cells: pd.DataFrame, design: str, quantity: str) -> pd.DataFrame:
    """What is drawn of a design: method, macro_f1, gap (less its floor) and front, whether no other method is at least
    as good in both and better in one. Degenerate cells and undefined gaps are left out."""
    rows = cells[cells["design"].eq(design) & ~cells["degenerate"].astype(bool)]
    points = rows[["method", SCORE]].assign(gap=rows[f"corrected/{quantity}"]).dropna()
    return points.assign(front=pareto_front(points[[SCORE, "gap"]].to_numpy()) if len(points) else np.array([], bool))


def _pareto(tables: Tables, study: MitigationStudy) -> str:
    said = []
    for name in targets(study.mitigate):
        for design in study.protocol.designs:
            points = points_of(tables["cells"], design, name)
            front = [
                "no method" if method == NONE else title_of(method) for method in points.loc[points["front"], "method"]
            ]
            if front:
                said.append(f"{enumerated(front)} ({short_gap_name(*name.split('/'))}, design {design})")
    under = tables["random_replacement"]
    under = under[under["verdict"].eq(UNDER_THE_LINE)]
    places = dict.fromkeys(f"{cell_told(row.design, row.method)} ({quantity_told(row)})" for row in rows_of(under))
    ringed = f"Under the line of random replacement, ringed: {enumerated(places)}." if places else "No mark is ringed."
    return f"On the Pareto front: {'; '.join(said)}. {ringed}" if said else f"All gaps are {UNDEFINED}. {ringed}"


SEEN: dict[str, Callable[[Tables, MitigationStudy], str]] = {
    "effects": _changes("effects"),
    "interactions": _changes("interactions"),
    "pareto": _pareto,
}
