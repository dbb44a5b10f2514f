"""Which groups differ from the rest, as a reader sees it: class, group and the images that it rests on."""

import pandas as pd

from fairprof.metrics.fairness import GAP_METRICS
from fairprof.reporting.wording import count

MOST = 3  # groups that a sentence names


def who_differs(contrasts: pd.DataFrame, metric: str, attribute: str) -> str:
    """ "retired: Monk 1-2, 2 of 11, against 35 of 36 of the rest"; empty where no group is said to differ.

    contrasts: of `contrasts_with_tests`, of one model or of the means of several. The surest groups come first; of two
    groups, each of which is the other's rest, one is told, and of two classes one, if the rates of both sum to 1.
    """
    rows = contrasts[contrasts["attribute"].eq(attribute) & contrasts["rate"].isin(GAP_METRICS[metric].compared)]
    of_class = rows.groupby(["rate", "class"], sort=False)["group"]
    mirrored = of_class.transform("size").eq(2) & of_class.cumcount().eq(1)
    if rows["class"].nunique() == 2:
        mirrored |= rows["rate"].eq("selection_rate") & rows["class"].ne(rows["class"].iloc[0])
    rows = rows[rows["differs"].astype(bool) & ~mirrored]
    rows = rows.assign(far=-(rows["contrast"] / rows["standard_error"]).abs())
    rows = rows.sort_values(["p_adjusted", "far"], kind="stable").rename(columns={"class": "class_"})
    told = [
        f"{row.class_}: {row.group}, {_of(row.value, row.support)}, "
        f"against {_of(row.rest, row.rest_support)} of the rest"
        for row in rows.head(MOST).itertuples()
    ]
    more = [f"and {len(rows) - MOST} more"] if len(rows) > MOST else []
    return "; ".join([*told, *more])


def _of(rate: float, rows: int) -> str:
    return f"{count(round(rate * rows, 1))} of {count(rows)}"
