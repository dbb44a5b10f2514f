"""Who is in a pool: counts of every category, of every two, and of every cell that a design may balance."""

from itertools import combinations

import pandas as pd

from fairprof.data.designs import AXES

COLUMNS = ("gender", "race", "age", "profession")
PARTITIONS = ("train", "val", "test")
UNKNOWN = "unknown"
EMPTY, SMALL, ENOUGH = "empty", "small", "enough"


def labels_of(table: pd.DataFrame) -> pd.DataFrame:
    """gender, race, age, profession and partition of every image as ordered categoricals; a missing age is a category
    of its own, "unknown"."""
    labels = {name: _with_unknown(table[name]) for name in COLUMNS}
    return pd.DataFrame(labels | {"partition": pd.Categorical(table["partition"], PARTITIONS)})


def _with_unknown(values: pd.Series) -> pd.Series:
    if not values.isna().any():
        return values
    return values.cat.add_categories(UNKNOWN).fillna(UNKNOWN)


def cross_table(labels: pd.DataFrame) -> pd.DataFrame:
    """Images by partition, gender, race, age and profession; columns: these and count. Empty cells are left out."""
    columns = ["partition", *COLUMNS]
    return labels.groupby(columns, observed=True).size().reset_index(name="count")


def marginals(labels: pd.DataFrame) -> pd.DataFrame:
    """A row per attribute and category: count, share (of all images), and the count in every partition."""
    tables = []
    for name in COLUMNS:
        counts = pd.crosstab(labels[name], labels["partition"], dropna=False).reindex(columns=PARTITIONS, fill_value=0)
        total = counts.sum(axis=1)
        tables.append(
            pd.DataFrame(
                {"attribute": name, "category": counts.index.astype(str), "count": total, "share": total / len(labels)}
            ).join(counts.rename_axis(columns=None))
        )
    return pd.concat(tables, ignore_index=True)


def two_way(labels: pd.DataFrame) -> pd.DataFrame:
    """Images by every two of gender, race, age and profession, empty cells too.

    Columns: first and second (names), first_category, second_category, count, share_of_first (of the images with the
    first category) and share_of_second.
    """
    tables = []
    for first, second in combinations(COLUMNS, 2):
        cells = labels.groupby([first, second], observed=False).size().reset_index(name="count")
        sizes = [cells.groupby(name, observed=False)["count"].transform("sum") for name in (first, second)]
        cells = cells.assign(share_of_first=cells["count"] / sizes[0], share_of_second=cells["count"] / sizes[1])
        cells = cells.rename(columns={first: "first_category", second: "second_category"})
        cells[["first_category", "second_category"]] = cells[["first_category", "second_category"]].astype(str)
        cells.insert(0, "first", first)
        cells.insert(1, "second", second)
        tables.append(cells)
    return pd.concat(tables, ignore_index=True)


def cells(labels: pd.DataFrame, min_support: int) -> pd.DataFrame:
    """Every cell of gender x race x profession, the ones with the fewest test images first.

    Columns: these, count, train, val, test, and test_evidence: "empty" (no test image), "small" (fewer than
    `min_support`) or "enough".
    """
    counts = labels.groupby([*AXES, "partition"], observed=False).size().unstack("partition").rename_axis(columns=None)
    counts = counts.reindex(columns=PARTITIONS, fill_value=0)
    evidence = counts["test"].map(
        lambda count: EMPTY if count == 0 else SMALL if count < min_support else ENOUGH  # as rates of a run are marked
    )
    counts = counts.assign(test_evidence=evidence)
    counts.insert(0, "count", counts[list(PARTITIONS)].sum(axis=1))
    ordered = counts.reset_index().sort_values(["test", "train"], kind="stable", ignore_index=True)
    return ordered.astype(dict.fromkeys(AXES, str))
