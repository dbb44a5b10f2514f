"""Results of a comparison as they stand in documents: rows of its tables, under headings that a reader knows.

All are of the main arm. Tables and columns are those of `fairprof.compare`; values are not computed again.
"""

from collections.abc import Callable, Sequence

import pandas as pd

from fairprof.commands.compare.protocol import Protocol
from fairprof.documents.rendering import index_first
from fairprof.inference.levels import CONFIDENCE
from fairprof.metrics.fairness import INSUFFICIENT, MAX_OVER_CLASSES, PARITY_DIFFERENCES, SUFFICIENT, UNDEFINED
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.names import gap_name, name_of
from fairprof.reporting.wording import bare_p_value, count, interval, number, percent, signed, span

Tables = dict[str, pd.DataFrame]
INTERVAL = f"{percent(CONFIDENCE, 'g')} interval"


def main_arm(tables: Tables, name: str, protocol: Protocol, **values: str) -> pd.DataFrame:
    """Rows of a table in the main arm whose columns have the given values."""
    rows = tables[name]
    chosen = rows["arm"].eq(protocol.main_arm)
    for column, value in values.items():
        chosen &= rows[column].eq(value)
    return rows[chosen]


def performance(tables: Tables, protocol: Protocol, design: str) -> pd.DataFrame:
    """Accuracy, balanced accuracy and macro-F1 with interval, deviation between seeds, chance and ceiling."""
    rows = main_arm(tables, "performance", protocol, design=design)
    return pd.DataFrame(
        {
            "metric": rows["metric"].map(name_of),
            "value": rows["value"],
            INTERVAL: _intervals(rows),
            "SD between seeds": rows["seed_sd"],
            "chance": rows["chance"],
            "ceiling": rows["ceiling"],
            "share of the ceiling": rows["share_of_ceiling"].map(percent),
            "share above chance": rows["share_above_chance"].map(percent),
        }
    )


def performance_by_design(tables: Tables, protocol: Protocol) -> pd.DataFrame:
    """Macro-F1 and its like, a row per design and metric."""
    return pd.concat([performance(tables, protocol, design).assign(design=design) for design in protocol.designs]).pipe(
        _first, "design"
    )


def gaps(tables: Tables, protocol: Protocol, design: str, attributes: tuple[str, ...]) -> pd.DataFrame:
    """Gaps between groups, the largest over the classes, with floor, p-values and verdict."""
    rows = main_arm(tables, "gaps", protocol, design=design)
    rows = rows[rows["class"].eq(MAX_OVER_CLASSES) & rows["attribute"].isin(attributes)]
    return pd.DataFrame(
        {
            "attribute": rows["attribute"].map(name_of),
            "gap": rows["metric"].map(name_of),
            "value": rows["value"],
            "floor": rows["null_mean"],
            "floor, 95 %": rows["null_q95"],
            "p": rows["p_value"].map(bare_p_value),
            "p adjusted": rows["p_adjusted"].map(bare_p_value),
            "family": rows["family"],
            "verdict": rows["verdict"].map(name_of),
            "undefined / insufficient rates": [
                f"{count(undefined)} / {count(little)}"
                for undefined, little in zip(rows["undefined_cells"], rows["insufficient_cells"], strict=True)
            ],
        }
    )


def gaps_by_design(tables: Tables, protocol: Protocol, metrics: tuple[str, ...]) -> pd.DataFrame:
    """The gaps of all designs by the given metrics, without what the single design's table adds."""
    attributes = tuple(tables["gaps"]["attribute"].unique())
    rows = pd.concat([gaps(tables, protocol, design, attributes).assign(design=design) for design in protocol.designs])
    rows = rows[rows["gap"].isin([name_of(metric) for metric in metrics])]
    return _first(rows, "design").drop(columns=["floor, 95 %", "p", "undefined / insufficient rates"])


def established(tables: Tables, protocol: Protocol, design: str) -> list[str]:
    """The established gaps of a design, each as "... by race .123 (floor .061, confirmatory)"."""
    rows = main_arm(tables, "gaps", protocol, design=design, verdict="established", **{"class": MAX_OVER_CLASSES})
    return [
        f"{gap_name(row.metric, row.attribute)} {number(row.value)} (floor {number(row.null_mean)}, {row.family})"
        for row in rows.itertuples()
    ]


def accuracy_by_group(tables: Tables, protocol: Protocol, design: str) -> pd.DataFrame:
    """attribute, group, support, accuracy, change, lower, upper of every group.

    Of a design that is compared with none, as the reference design, accuracy is from the confusion table, and change
    and its interval are missing.
    """
    rows = main_arm(tables, "group_changes", protocol, design=design)
    if rows.empty:
        rows = _from_confusion(tables, protocol, design)
    return rows[["attribute", "group", "support", "accuracy", "change", "lower", "upper"]]


def _from_confusion(tables: Tables, protocol: Protocol, design: str) -> pd.DataFrame:
    """The confusion table counts the test images once a run: its accuracy is the mean over the runs."""
    confusion = tables["confusion"]
    confusion = confusion[confusion["design"].eq(design)]
    confusion = confusion.assign(right=confusion["count"].where(confusion["y_true"].eq(confusion["y_pred"]), 0))
    counts = confusion.groupby(["attribute", "group"], sort=False)[["count", "right"]].sum().reset_index()
    runs = len(main_arm(tables, "runs", protocol, design=design))
    unknown = float("nan")
    return counts.assign(
        support=counts["count"] / runs,
        accuracy=counts["right"] / counts["count"],
        change=unknown,
        lower=unknown,
        upper=unknown,
    )


def groups(tables: Tables, protocol: Protocol, design: str, attributes: tuple[str, ...]) -> pd.DataFrame:
    """Accuracy of every group, and its change against the reference design; groups with few images are marked."""
    rows = accuracy_by_group(tables, protocol, design)
    rows = rows[rows["attribute"].isin(attributes)]
    shown = pd.DataFrame(
        {
            "attribute": rows["attribute"].map(name_of),
            "group": rows["group"],
            "test images": rows["support"].astype(int),
            "accuracy": rows["accuracy"],
        }
    )
    if design != protocol.reference:
        shown[f"change against {protocol.reference}"] = rows["change"].map(signed)
        shown[INTERVAL] = _intervals(rows, signed)
    return shown.assign(evidence=_evidence(rows["support"], protocol))


def accuracy_by_group_and_design(tables: Tables, protocol: Protocol) -> pd.DataFrame:
    """A row per group and a column per design."""
    long = pd.concat([accuracy_by_group(tables, protocol, design).assign(design=design) for design in protocol.designs])
    if long.empty:
        return long
    keys = ["attribute", "group", "support"]
    wide = long.set_index([*keys, "design"])["accuracy"].unstack("design").reindex(columns=list(protocol.designs))
    wide = wide.loc[long.set_index(keys).index.unique()].rename(columns="accuracy, {}".format).reset_index()
    wide["evidence"] = _evidence(wide["support"], protocol)
    wide["support"] = wide["support"].astype(int)
    wide["attribute"] = wide["attribute"].map(name_of)
    return wide.rename_axis(columns=None).rename(columns={"support": "test images"})


def differing_groups(tables: Tables, protocol: Protocol, design: str) -> pd.DataFrame:
    """Rates of groups that differ from the rest by the step-down test, the largest contrasts first.

    Of two groups, each of which is the other's rest, the first alone is listed.
    """
    rows = main_arm(tables, "contrasts", protocol, design=design)
    compared = rows.groupby(["attribute", "rate", "class"], sort=False)["group"]
    mirrored = compared.transform("size").eq(2) & compared.cumcount().eq(1)
    rows = rows[rows["differs"].astype(bool) & ~mirrored].sort_values(
        "contrast", key=abs, ascending=False, kind="stable"
    )
    return pd.DataFrame(
        {
            "attribute": rows["attribute"].map(name_of),
            "group": rows["group"],
            "rate": rows["rate"].map(name_of),
            "class": rows["class"],
            "group's rate": rows["value"],
            "rest": rows["rest"],
            "contrast": rows["contrast"].map(signed),
            f"{percent(CONFIDENCE, 'g')} band": _intervals(rows, signed),
            "evidence": rows["evidence"].map(name_of),
        }
    )


def little_evidence(tables: Tables, protocol: Protocol, design: str) -> list[str]:
    """Groups with rates that rest on too few images or none, each as "Female x Black (3 rates, 1 undefined)"."""
    rows = main_arm(tables, "contrasts", protocol, design=design)
    rows = rows[rows["evidence"].isin([INSUFFICIENT, UNDEFINED])]
    return [
        f"{group} ({len(of_group)} rates"
        + (f", {undefined} undefined)" if (undefined := int(of_group["evidence"].eq(UNDEFINED).sum())) else ")")
        for group, of_group in rows.groupby("group", sort=False)
    ]


def training_composition(tables: Tables, design: str) -> pd.DataFrame:
    """Training images, a row per gender x race and a column per profession, means over the seeds."""
    rows = tables["composition"]
    rows = rows[rows["design"].eq(design) & rows["partition"].eq("train")]
    if rows.empty:
        return rows
    counts = rows.pivot_table(index=["gender", "race"], columns="profession", values="count", sort=False, observed=True)
    return index_first(counts.map(count))


def class_counts(tables: Tables, design: str, partition: str) -> list[str]:
    """Images of every class in a partition, each as "student 1,234"."""
    rows = tables["composition"]
    rows = rows[rows["design"].eq(design) & rows["partition"].eq(partition)]
    totals = rows.groupby("profession", sort=False, observed=True)["count"].sum()
    return [f"{name} {count(total)}" for name, total in totals.items()]


def with_methods(tables: Tables, mitigate: str, designs: Sequence[str]) -> pd.DataFrame:
    """What methods change in designs against the same designs without one: a row per design and method, with what the
    method needs, the changes of macro-F1 and of the parity gaps of the attribute that they mitigate, each less its
    floor, with interval, and the verdict. tables: those of a comparison of methods, of which effects and verdicts are
    read."""
    quantities = [("macro_f1", ""), *((metric, mitigate) for metric in PARITY_DIFFERENCES)]
    rows = []
    for verdict in tables["verdicts"].itertuples():
        if verdict.design not in designs:
            continue
        method = METHODS[verdict.method]
        row = {"design": verdict.design, "method": method.title, "needs the group in": str(method.needs)}
        effects = tables["effects"]
        effects = effects[effects["design"].eq(verdict.design) & effects["method"].eq(verdict.method)]
        for metric, attribute in quantities:
            own = effects[effects["metric"].eq(metric) & effects["attribute"].fillna("").eq(attribute)]
            own = own[own["class"].fillna("").isin(("", MAX_OVER_CLASSES))]
            name = name_of(metric) if not attribute else gap_name(metric, attribute)
            row[f"change of {name}"] = (
                f"{signed(own['value'].iloc[0])} {interval(own['lower'].iloc[0], own['upper'].iloc[0], signed)}"
                if len(own)
                else "not compared"
            )
        rows.append(row | {"verdict": name_of(verdict.verdict)})
    return pd.DataFrame(rows)


def cautions(tables: Tables, designs: Sequence[str]) -> list[str]:
    """What has to be known of the methods in designs before their models decide about anybody, each once."""
    verdicts = tables["verdicts"]
    methods = dict.fromkeys(verdicts.loc[verdicts["design"].isin(designs), "method"])
    return list(dict.fromkeys(text for name in methods for text in METHODS[name].cautions))


def training_images(tables: Tables, protocol: Protocol, design: str) -> str:
    """How many training images the runs of a design had: a number, or the smallest and the largest."""
    sizes = main_arm(tables, "runs", protocol, design=design)["training_images"]
    if sizes.empty:
        return "an unknown number of"
    return span(sizes, count)


def _intervals(rows: pd.DataFrame, writing: Callable[[float], str] = number) -> list[str]:
    return [interval(lower, upper, writing) for lower, upper in zip(rows["lower"], rows["upper"], strict=True)]


def _evidence(support: pd.Series, protocol: Protocol) -> list[str]:
    return [name_of(SUFFICIENT if images >= protocol.min_support else INSUFFICIENT) for images in support]


def _first(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows[[column, *rows.columns.drop(column)]]
