"""Levelling down, as a claim: a gap is smaller, and no group is served better for it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fairprof.inference.multiplicity import sidak_level
from fairprof.inference.over_seeds_and_images import estimates
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.metrics.fairness import PARITY_DIFFERENCES

GAIN_MARGIN = 0.01  # of accuracy: a group that surely gains less than this is not served better


def group_changes(
    groups: Sequence[tuple[str, str]],
    of_design: tuple[np.ndarray, np.ndarray],
    of_reference: tuple[np.ndarray, np.ndarray],
) -> pd.DataFrame:
    """What a design changes in the accuracy of every group, against the reference at the same seeds.

    groups: attribute and group of each of G groups. of_design, of_reference: their accuracies, (S, G) observed at S
    seeds and (B, S, G) on resampled images. Columns: attribute, group, accuracy and reference_accuracy (means over the
    seeds), change, and lower and upper, whose intervals for new seeds and new images hold together for the groups of
    an attribute.
    """
    (observed, values), (base, base_values) = of_design, of_reference
    change = estimates(observed - base, values - base_values)
    table = pd.DataFrame(list(groups), columns=["attribute", "group"])
    together = table.groupby("attribute")["group"].transform("size")
    lower, upper = change.interval([sidak_level(number) for number in together])
    return table.assign(
        accuracy=observed.mean(axis=0),
        reference_accuracy=base.mean(axis=0),
        change=change.value,
        lower=lower,
        upper=upper,
    )


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
