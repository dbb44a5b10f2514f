"""Levelling down, as a claim: a gap is smaller, and no group is served better for it."""

import pandas as pd

from fairprof.inference.verdicts import ESTABLISHED
from fairprof.metrics.fairness import PARITY_DIFFERENCES

GAIN_MARGIN = 0.01  # of accuracy: a group that surely gains less than this is not served better


def levelled_down(differences: pd.DataFrame, group_changes: pd.DataFrame, margin: float = GAIN_MARGIN) -> pd.DataFrame:
    """Which designs have levelled down against the reference: a row for each gap of which it can be said.

    differences: judged ones (`judged_differences`); group_changes: design, attribute, group and upper, the upper end of
    simultaneous intervals of the change of each group's accuracy; both of one arm. A demographic parity or equal
    opportunity difference has levelled down where all of this holds:

    - it is smaller than the reference's, which is established for new seeds and new images,
    - every group's upper end is below `margin`; a group whose change is unknown rules the claim out.

    Columns: design, reference, attribute, metric, value (of the difference), p_adjusted, largest_upper (the largest of
    the upper ends) and group (whose it is). Mittelstadt, Wachter, Russell 2023, arXiv:2302.02404.
    """
    smaller = differences[
        differences["metric"].isin(PARITY_DIFFERENCES)
        & differences["verdict"].eq(ESTABLISHED)
        & differences["value"].lt(0)
    ]
    rows = []
    for row in smaller.to_dict("records"):
        groups = group_changes[
            group_changes["design"].eq(row["design"]) & group_changes["attribute"].eq(row["attribute"])
        ].reset_index(drop=True)
        if len(groups) and (groups["upper"] < margin).all():
            largest = groups.loc[groups["upper"].idxmax()]
            rows.append(row | {"largest_upper": largest["upper"], "group": largest["group"]})
    columns = ["design", "reference", "attribute", "metric", "value", "p_adjusted", "largest_upper", "group"]
    return pd.DataFrame(rows, columns=columns)
