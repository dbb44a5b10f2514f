"""What is to be seen in the pictures of an audit, in words: what is drawn is told, and nothing is claimed."""

from collections.abc import Callable

from fairprof.commands.prepare.audit import Audit
from fairprof.commands.prepare.counts import UNKNOWN
from fairprof.metrics.fairness import MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.reporting.names import name_of, short_gap_name
from fairprof.reporting.wording import counted, enumerated, estimate, number, percent


def seen(name: str, audit: Audit) -> str:
    """What the picture of this name shows."""
    return SEEN[name](audit)


def _composition(audit: Audit) -> str:
    if audit.pool is None:
        return ""
    table = audit.pool.table
    groups = table.groupby(["race", "gender"], observed=True).size().sort_values()
    said = [f"{race}, {gender} with {counted(int(groups[race, gender]), 'image')}" for race, gender in groups.index]
    return f"{counted(len(table), 'image')}; the largest group is {said[-1]}, the smallest {said[0]}."


def _sizes(audit: Audit) -> str:
    train = audit.tables["sizes"].query("partition == 'train'")
    said = [
        f"{row.design}{'' if row.imbalance == 'natural' else f', imbalance {row.imbalance},'} "
        + ("impossible" if row.reason else f"{row.images:,}")
        for row in train.fillna({"reason": ""}).itertuples()
    ]
    return f"Training images of each design: {enumerated(said)}."


def _two_way(audit: Audit) -> str:
    table = audit.tables["two_way"].dropna(subset="share_of_first")
    spread = table.groupby(["first", "second", "second_category"], sort=False)["share_of_first"].agg(["min", "max"])
    first, second, category = (spread["max"] - spread["min"]).idxmax()
    lowest, highest = spread.loc[(first, second, category)]
    return (
        f"Rows differ most in {name_of(second)} within each {name_of(first)}: {category} is "
        f"{percent(lowest, '.0f')} to {percent(highest, '.0f')} of a row."
    )


def _associations(audit: Audit) -> str:
    table = audit.tables["associations"].dropna(subset="cramers_v").sort_values("cramers_v", ascending=False)
    said = [f"{row.first} – {row.second} {estimate(row.cramers_v, row.lower, row.upper)}" for row in table.itertuples()]
    return f"Cramér's V: {'; '.join(said)}."


def _noise_floors(audit: Audit) -> str:
    floors = audit.tables["noise_floors"]
    floors = floors[floors["class"].eq(MAX_OVER_CLASSES) & floors["metric"].isin(PARITY_DIFFERENCES)]
    said = [f"{short_gap_name(row.metric, row.attribute)} {number(row.null_q95)}" for row in floors.itertuples()]
    return f"Chance alone makes gaps of up to (95 % quantile): {enumerated(said)}."


def _quarantine(audit: Audit) -> str:
    table = audit.tables["quarantine_by_group"]
    known = table[table["group"].ne(UNKNOWN)].dropna(subset="share")
    row = known.loc[known["share"].idxmax()]
    return (
        f"The largest share is {percent(row['share'])} of {row['group']} ({row['quarantined']:,} of {row['rows']:,} "
        f"rows), by {name_of(row['attribute'])}."
    )


SEEN: dict[str, Callable[[Audit], str]] = {
    "composition": _composition,
    "sizes": _sizes,
    "two_way": _two_way,
    "associations": _associations,
    "noise_floors": _noise_floors,
    "quarantine": _quarantine,
}
