"""Which rows are for training, validation and test: the data set's own partition, or a split by a hash of names."""

import numpy as np
import pandas as pd

from fairprof.errors import UserError
from fairprof.seeds import uniforms

TEST_SHARE = 0.20
VALIDATION_SHARE = 0.15  # of all images where the pool is split here
VALIDATION_SHARE_OF_TRAINING = 0.10  # where the data set has a test partition of its own
PARTITION_SEED = 0  # partitions belong to the pool: no setting changes them


def partitions(table: pd.DataFrame, given: pd.Series, groups: pd.Series) -> pd.Series:
    """train, val or test for every row: the data set's own where it has them, the rest split off by `_split`."""
    if given.isna().all():
        return _split(table, groups, {"test": TEST_SHARE, "val": VALIDATION_SHARE})
    if not given.eq("test").any():
        raise UserError("the column partition names no test row: add some, or leave the column out")
    if given.eq("val").any():
        return given
    training = given.eq("train")
    split = _split(table[training], groups[training], {"val": VALIDATION_SHARE_OF_TRAINING})
    return given.where(~training, split)


def _split(table: pd.DataFrame, groups: pd.Series, shares: dict[str, float]) -> pd.Series:
    """Splits shares off the rows, stratified by gender x race x profession, whole groups together.

    Every stratum gives its share of groups, taken in the order of a hash of the group's name: the split depends
    on nothing but the pool, and small strata are represented in every partition if they have enough groups.
    """
    group_numbers, names = pd.factorize(groups)  # numbered as they appear: as the rows that lead them
    leaders = table[~groups.duplicated()].assign(order=uniforms(names, PARTITION_SEED, "partition"))
    strata = leaders.groupby(["gender", "race", "profession"], observed=True)["order"]
    quantile = ((strata.rank(method="first") - 0.5) / strata.transform("size")).to_numpy()
    partition = np.full(len(leaders), "train", dtype=object)
    start = 0.0
    for name, share in shares.items():
        partition[(quantile >= start) & (quantile < start + share)] = name
        start += share
    return pd.Series(partition[group_numbers], index=groups.index, dtype=str)
