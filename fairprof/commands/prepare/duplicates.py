"""Images that are nearly the same picture, and images of one person: how many, with which labels, and where."""

import pandas as pd

from fairprof.data.pool import Pool, ScreenedRows

LABELS = ("gender", "race", "age", "profession")


def near_duplicates(screened: ScreenedRows, pool: Pool | None) -> pd.DataFrame:
    """The images of every group of at least two, the largest groups first; groups are numbered from 1.

    Columns: group, size, image, line, gender, race, age, profession, person (as listed), pixel, partition (in the
    pool; empty where the image was put aside, then `reason` says why), conflicts (labels that the group's images do
    not agree in, such as "gender, race"). Only images that could be decoded, and the first of identical files, are
    compared.
    """
    rows = screened.rows[screened.rows["near_duplicates"].ge(0)]
    return _described(rows, "near_duplicates", pool)


def persons(screened: ScreenedRows, pool: Pool | None) -> pd.DataFrame:
    """As `near_duplicates`, of the images of one person where the data set names persons."""
    named = screened.rows["person"].fillna("").ne("")
    rows = screened.rows[named & screened.usable]
    return _described(rows, "person", pool)


def _described(rows: pd.DataFrame, by: str, pool: Pool | None) -> pd.DataFrame:
    rows = rows.assign(size=rows.groupby(by)["image"].transform("size"))
    rows = rows[rows["size"].gt(1)]
    groups = rows[by]
    partitions = pool.table.set_index("pixel")["partition"] if pool else pd.Series(dtype=object)
    first = groups.map(rows["image"].groupby(groups).min())
    rows = rows.assign(
        first=first, partition=rows["pixel"].map(partitions).fillna(""), conflicts=_conflicts(rows, groups)
    ).sort_values(["size", "first", "image"], ascending=[False, True, True], kind="stable")
    rows["group"] = pd.factorize(groups[rows.index])[0] + 1
    columns = ["group", "size", "image", "line", *LABELS, "person", "pixel", "partition", "reason", "conflicts"]
    return rows[columns].reset_index(drop=True)


def _conflicts(rows: pd.DataFrame, groups: pd.Series) -> pd.Series:
    found = pd.Series("", index=rows.index, dtype=object)
    for name in LABELS:
        differs = rows[name].groupby(groups).transform("nunique").gt(1)
        found[differs] += f", {name}"
    return found.str.removeprefix(", ")


def summary(groups: pd.DataFrame) -> dict[str, int]:
    """Numbers of a table of `near_duplicates` or `persons`: groups, images, largest (images of the largest group),
    conflicts_gender, conflicts_race, conflicts_age (groups whose images do not agree), split (groups that lie in more
    than one partition of the pool), put_aside (images that were, because the rest is in an unseen partition)."""
    first = groups.drop_duplicates("group")
    counts = {f"conflicts_{name}": int(first["conflicts"].str.contains(name).sum()) for name in LABELS[:3]}
    used = groups[groups["partition"].ne("")]
    return {
        "groups": len(first),
        "images": len(groups),
        "largest": int(groups["size"].max()) if len(groups) else 0,
        **counts,
        "split": int(used.groupby("group")["partition"].nunique().gt(1).sum()),
        "put_aside": int(groups["reason"].ne("").sum()),
    }
