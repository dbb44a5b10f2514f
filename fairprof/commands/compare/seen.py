"""What is to be seen in the pictures of a comparison, in words: for whoever does not see them. Nothing is claimed here,
only what is drawn is told."""

from collections.abc import Callable

import pandas as pd

from fairprof.commands.compare.pictures import means_and_front, of_quantity
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics.fairness import MAX_OVER_CLASSES, MEAN_OVER_CLASSES
from fairprof.reporting.chart import main_arm
from fairprof.reporting.names import gap_name, name_of
from fairprof.reporting.wording import (
    UNDEFINED,
    capitalised,
    count,
    designs_named,
    enumerated,
    estimate,
    number,
    percent,
    signed,
    span,
)

Tables = dict[str, pd.DataFrame]
PHOTOGRAPHIC = ("gradcam", "mean_maps", "mean_maps_gender", "mean_maps_race")  # pictures of images or maps


def seen(name: str, tables: Tables) -> str:
    """What the picture of this name shows; empty where a comparison has no picture or no table of this name."""
    describe, needed = SEEN.get(name, (None, ()))
    return describe(tables) if describe and all(table in tables and len(tables[table]) for table in needed) else ""


def _performance(tables: Tables) -> str:
    scores = main_arm(tables["performance"])
    scores = scores[scores["metric"].eq("macro_f1")].dropna(subset="value").set_index("design").sort_index()
    if scores.empty:
        return f"macro-F1 is {UNDEFINED}."
    values = [f"{design} {estimate(*row)}" for design, row in _rows(scores, "value", "lower", "upper")]
    said = f"macro-F1 of {enumerated(values)}."
    best = scores["value"].idxmax()
    others = scores.drop(index=best).dropna(subset=["lower", "upper"])
    if others.empty or scores.loc[best, ["lower", "upper"]].isna().any():
        return said
    overlapping = others[others["upper"].ge(scores.loc[best, "lower"]) & others["lower"].le(scores.loc[best, "upper"])]
    if overlapping.empty:
        return f"{said} {best} has the highest: no other interval overlaps its own."
    return f"{said} {best} has the highest: the intervals of {designs_named(list(overlapping.index))} overlap its own."


def _rows(table: pd.DataFrame, *columns: str):
    return zip(table.index, table[list(columns)].itertuples(index=False, name=None), strict=True)


def _gaps(tables: Tables) -> str:
    shown = main_arm(tables["gaps"])
    shown = shown[shown["class"].eq(MAX_OVER_CLASSES)]
    said = [
        f"{gap_name(metric, attribute)} {span(values)}"
        for metric, attribute in CONFIRMATORY_GAPS
        if len(values := of_quantity(shown, metric, attribute)["value"].dropna())
    ]
    return f"{capitalised('; '.join(said))}. {_established(shown)}" if said else f"All gaps are {UNDEFINED}."


def _gaps_by_class(tables: Tables) -> str:
    single = main_arm(tables["gaps"])
    confirmatory = pd.MultiIndex.from_tuples(CONFIRMATORY_GAPS)
    kept = pd.MultiIndex.from_frame(single[["metric", "attribute"]]).isin(confirmatory)
    single = single[kept & ~single["class"].isin([MAX_OVER_CLASSES, MEAN_OVER_CLASSES])].dropna(subset="value")
    if single.empty:
        return f"All gaps are {UNDEFINED}."
    largest = single.loc[single["value"].idxmax()]
    return (
        f"The largest is {number(largest['value'])}, the {gap_name(largest['metric'], largest['attribute'])} of "
        f"{largest['class']} with design {largest['design']}. {_established(single)}"
    )


def _differences(tables: Tables) -> str:
    shown = main_arm(tables["differences"])
    values = shown["value"].dropna()
    if values.empty:
        return f"All differences are {UNDEFINED}."
    reference = shown["reference"].iloc[0]
    spans = f"Mean differences from {reference} lie between {signed(values.min())} and {signed(values.max())}."
    return f"{spans} {_established(shown)}"


def _established(table: pd.DataFrame) -> str:
    return f"Established, which is a filled mark: {int(table['verdict'].eq('established').sum()):,} of {len(table):,}."


def _tradeoff(tables: Tables) -> str:
    runs = main_arm(tables["runs"])
    performance = tables["performance"]
    scores = performance[performance["arm"].eq(runs["arm"].iloc[0]) & performance["metric"].eq("macro_f1")]
    fronts = []
    for metric, attribute in CONFIRMATORY_GAPS:
        means = means_and_front(runs, f"{metric}/{attribute}", scores.set_index("design"))
        front = sorted(means.index[means["front"]])
        fronts.append(f"{designs_named(front) if front else 'none'} ({gap_name(metric, attribute)})")
    return f"On the Pareto front: {'; '.join(fronts)}."


def _group_changes(tables: Tables) -> str:
    shown = main_arm(tables["group_changes"]).dropna(subset="change")
    said = [
        f"design {design} from {signed(part['change'].min())} ({part.loc[part['change'].idxmin(), 'group']}) to "
        f"{signed(part['change'].max())} ({part.loc[part['change'].idxmax(), 'group']})"
        for design, part in shown.groupby("design")
    ]
    return f"Change in accuracy: {'; '.join(said)}." if said else f"All changes are {UNDEFINED}."


def _training_size(tables: Tables) -> str:
    scores = tables["training_size"]
    scores = scores[scores["metric"].eq("macro_f1")].dropna(subset="value").sort_values("training_images")
    said = [
        f"design {design} "
        + enumerated(f"{number(row.value)} with {count(row.training_images)} images" for row in part.itertuples())
        for design, part in scores.groupby("design")
    ]
    return f"macro-F1: {'; '.join(said)}." if said else ""


def _epochs(tables: Tables) -> str:
    shown = main_arm(tables["epochs"])
    said = []
    for design, part in shown[shown["metric"].eq("macro_f1")].groupby("design"):
        means = part.pivot(index="epoch", columns="seed", values="value").dropna().mean(axis=1)
        if len(means):
            first, last = means.index[0], means.index[-1]
            ends = f"{number(means[first])} after epoch {first}"
            said.append(f"design {design} {ends}" + (f", {number(means[last])} after {last}" if last > first else ""))
    return f"Validation macro-F1, mean over seeds: {'; '.join(said)}." if said else ""


def _confusion(attribute: str) -> Callable[[Tables], str]:
    def told(tables: Tables) -> str:
        shown = tables["confusion"][tables["confusion"]["attribute"].eq(attribute)]
        said = []
        for design, part in shown.groupby("design", observed=True):
            groups = part.assign(
                right=part["count"].where(part["y_true"].astype(str).eq(part["y_pred"].astype(str)), 0)
            )
            sums = groups.groupby("group", sort=False, observed=True)[["right", "count"]].sum()
            shares = sums["right"] / sums["count"].where(sums["count"] > 0)
            if shares.notna().any():
                ends = (f"{percent(shares[group], '.0f')} ({group})" for group in (shares.idxmin(), shares.idxmax()))
                said.append(f"design {design} {' to '.join(ends)}")
        return f"On the diagonals, which are right, by {name_of(attribute)}: {'; '.join(said)}." if said else ""

    return told


def _gradcam(tables: Tables) -> str:
    designs = list(dict.fromkeys(tables["runs"]["design"]))
    return f"A row for each image: the image, then a map for {designs_named(sorted(designs))}."


def _mean_maps(tables: Tables) -> str:
    designs = sorted(set(main_arm(tables["runs"])["design"]))
    return f"For {designs_named(designs)} a row of mean maps, and one of what sets each group apart; a column a group."


SEEN: dict[str, tuple[Callable[[Tables], str], tuple[str, ...]]] = {  # with the tables that each is told from
    "performance": (_performance, ("performance",)),
    "gaps": (_gaps, ("gaps",)),
    "gaps_by_class": (_gaps_by_class, ("gaps",)),
    "differences": (_differences, ("differences",)),
    "tradeoff": (_tradeoff, ("runs", "performance")),
    "group_changes": (_group_changes, ("group_changes",)),
    "training_size": (_training_size, ("training_size",)),
    "epochs": (_epochs, ("epochs",)),
    "confusion_gender": (_confusion("gender"), ("confusion",)),
    "confusion_race": (_confusion("race"), ("confusion",)),
    "gradcam": (_gradcam, ("runs",)),
    **dict.fromkeys(PHOTOGRAPHIC[1:], (_mean_maps, ("runs",))),
}
