"""What is to be seen in the pictures of one table of predictions, in words: what is drawn is told, nothing claimed."""

import pandas as pd

from fairprof.measurement.pictures import RATES
from fairprof.reporting.names import name_of
from fairprof.reporting.wording import capitalised, estimate


def rates_seen(by_group: pd.DataFrame) -> str:
    """Of `rates_figure`: the groups that lie furthest apart, by rate."""
    said = []
    for rate in RATES:
        shown = by_group[by_group["rate"].eq(rate) & by_group["attribute"].isin(["gender", "race"])]
        spread = shown.groupby(["attribute", "class"], sort=False)["value"].agg(["min", "max"]).dropna()
        if spread.empty:
            continue
        attribute, profession = (spread["max"] - spread["min"]).idxmax()
        rows = shown[shown["attribute"].eq(attribute) & shown["class"].eq(profession)].set_index("group")
        ends = (rows["value"].idxmin(), rows["value"].idxmax())
        values = [f"{estimate(*rows.loc[group, ['value', 'lower', 'upper']])} ({group})" for group in ends]
        said.append(
            f"{name_of(rate)} lies furthest apart by {name_of(attribute)} for {profession}: {' to '.join(values)}"
        )
    return f"{capitalised('; '.join(said))}." if said else ""
