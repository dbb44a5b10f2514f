"""What cannot be used, and whether it hits some groups more than others: losing images is rarely random."""

import numpy as np
import pandas as pd

from fairprof.commands.prepare.counts import UNKNOWN
from fairprof.data.attributes import GENDERS, categorical
from fairprof.data.pool import ScreenedRows
from fairprof.inference.independence import permutation_p_value
from fairprof.inference.intervals import wilson_interval
from fairprof.inference.multiplicity import holm
from fairprof.metrics.fairness import ATTRIBUTES, group_labels


def kinds_of_reasons(reasons: pd.Series) -> pd.Series:
    """Reasons without what differs from row to row: a cell's text, another file's name, what a library said."""
    texts = reasons.astype(str)
    duplicates = texts.str.replace("duplicate: ", "").str.split(r" as (?!a )|, see ", regex=True).str[0]
    return duplicates.where(texts.str.startswith("duplicate: "), texts.str.split(r":| \(", regex=True).str[0])


def by_reason(quarantine: pd.DataFrame) -> pd.DataFrame:
    """Quarantined rows by kind of reason, gender and race, the most frequent first; columns: these and count.

    What is unknown is "unknown".
    """
    labels = quarantine[["gender", "race"]].apply(_known_or_unknown)
    kinds = labels.assign(reason=kinds_of_reasons(quarantine["reason"]))
    counts = kinds.groupby(["reason", "gender", "race"], sort=True).size().reset_index(name="count")
    return counts.sort_values("count", ascending=False, kind="stable", ignore_index=True)


def by_group(screened: ScreenedRows, permutations: int, generator: np.random.Generator) -> pd.DataFrame:
    """How many rows of every group are quarantined, and whether that depends on the group.

    Columns: attribute (gender, race, gender_x_race), group, rows (in all), quarantined, share with lower and upper end
    of its Wilson interval, p_value (by permutation, of the attribute) and p_holm (over the attributes; NaN where
    nothing is quarantined or there is one group). Rows whose group is not known come last and are not tested.
    """
    usable = screened.rows.loc[screened.usable, ["gender", "race"]].assign(quarantined=0)
    labels = pd.concat([usable, screened.quarantine[["gender", "race"]].assign(quarantined=1)], ignore_index=True)
    texts = labels[["gender", "race"]].apply(_known_or_unknown)
    labels["gender"] = categorical(texts["gender"], (*GENDERS, UNKNOWN))
    labels["race"] = categorical(texts["race"], (*screened.listing.races, UNKNOWN))
    labels["gender_x_race"] = group_labels(labels, "gender_x_race").where(texts.ne(UNKNOWN).all(axis=1))
    tables = [_shares(labels, attribute, permutations, generator) for attribute in ATTRIBUTES]
    p_holm = holm([table["p_value"].iloc[0] for table in tables])
    return pd.concat(
        [table.assign(p_holm=adjusted) for table, adjusted in zip(tables, p_holm, strict=True)], ignore_index=True
    )


def _shares(labels: pd.DataFrame, attribute: str, permutations: int, generator: np.random.Generator) -> pd.DataFrame:
    groups = _known_or_unknown(labels[attribute])
    table = labels["quarantined"].groupby(groups).agg(rows="size", quarantined="sum")
    order = [str(name) for name in labels[attribute].cat.categories if name != UNKNOWN]
    table = table.reindex([name for name in [*order, UNKNOWN] if name in table.index])
    table = table.rename_axis("group").reset_index()
    lower, upper = wilson_interval(table["quarantined"], table["rows"])
    known = table[table["group"].ne(UNKNOWN)]
    counts = np.stack([known["quarantined"], known["rows"] - known["quarantined"]], axis=1)
    ordered = counts[np.lexsort(counts.T)]  # renaming the groups changes no number
    table.insert(0, "attribute", attribute)
    return table.assign(
        share=table["quarantined"] / table["rows"],
        lower=lower,
        upper=upper,
        p_value=permutation_p_value(ordered, permutations, generator),
    )


def _known_or_unknown(values: pd.Series) -> pd.Series:
    texts = values.astype(object)
    return texts.where(texts.notna() & texts.ne(""), UNKNOWN).astype(str)
