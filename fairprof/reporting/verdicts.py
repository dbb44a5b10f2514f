"""The verdicts on the gaps of models, as they are said first: a sentence to be quoted, and four rows."""

from collections.abc import Callable

import pandas as pd

from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.metrics.fairness import GAP_METRICS, PARITY_DIFFERENCES
from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.differences import rows_of
from fairprof.reporting.names import GAP_ABBREVIATIONS, gap_name, name_of
from fairprof.reporting.wording import NOTHING, counted, enumerated, number, short, span

VERDICTS = "Verdicts on the gaps, beside what chance makes of them (mean, 95 % quantile)"
GAP, IMAGES = "gap, the largest over the classes", "test images"


def gaps_told(
    gaps: pd.DataFrame,
    subject: str,
    within: Callable[[pd.DataFrame], str] = lambda rows: "",
    in_the_data: Callable[[str, str], str] = lambda metric, attribute: "",
) -> str:
    """Whom models treat differently, in one sentence.

    gaps: judged ones (attribute, metric, value, null_q95, delta, verdict), not degenerate. subject: "This model treats"
    or "These models treat". within: names the designs of some of the rows, with the word before it, where these are not
    all. in_the_data: what is told of a metric and attribute after what chance makes.
    """
    attributes = list(dict.fromkeys(gaps["attribute"]))
    established = gaps[gaps["verdict"].eq("established")]
    differing = [name for name in attributes if established["attribute"].eq(name).any()]
    if not differing:
        return f"No gap between groups is established{_all_small(gaps)}."
    parts = [
        f"by {name_of(name)} ({_values(established[established['attribute'].eq(name)], within, in_the_data)})"
        for name in differing
    ]
    without = [name_of(name) for name in attributes if name not in differing]
    rest = f"; by {enumerated(without)} no gap is established" if without else ""
    return f"{subject} groups differently {enumerated(parts)}{rest}."


def _all_small(gaps: pd.DataFrame) -> str:
    equivalent = gaps["verdict"].eq("equivalent")
    if not equivalent.any():
        return ""
    which = "all" if equivalent.all() else f"{equivalent.sum()} of {len(gaps)}"
    return f"; {which} are equivalent, below {short(gaps['delta'].iloc[0])}"


def _values(established: pd.DataFrame, within: Callable, in_the_data: Callable) -> str:
    """ "DP .361 to .420, chance up to .240; EO in design B .402, chance up to .310"."""
    parts = []
    for metric in PARITY_DIFFERENCES:
        rows = established[established["metric"].eq(metric)]
        if len(rows):
            known = in_the_data(metric, rows["attribute"].iloc[0])
            parts.append(f"{GAP_ABBREVIATIONS[metric]}{within(rows)} {span(rows['value'])}, {_chance(rows)}{known}")
    return "; ".join(parts)


def _chance(rows: pd.DataFrame) -> str:
    """What chance makes of established gaps. Small groups make large ones, which a test between all of them, as it
    weighs each by its images, may see through."""
    most = number(rows["null_q95"].max())
    if (rows["value"] <= rows["null_q95"]).any():
        return f"established by the test of all groups though chance makes single gaps up to {most}"
    return f"chance up to {most}"


def ages_told(ends: tuple[float, float] | None, label_bias: str) -> str:
    """What lies in the data of a gap, after what chance makes; ends: the smallest and largest gap of rules that see no
    face and are nearly the best, None where the labels' probabilities are unknown."""
    if ends is None:
        return ""
    return f", {'the ages alone' if label_bias == 'none' else 'ages and biased labels'} up to {number(max(ends))}"


def confirmatory(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the confirmatory family, of gaps or differences: those whose verdicts are told first."""
    return table[table["family"].eq(CONFIRMATORY)]


def weak_rates(gaps: pd.DataFrame) -> pd.Series:
    """How many of the rates behind gaps are undefined (undefined_cells), and rest on few images (insufficient_cells).

    The denominators are counts of the evaluated images, so that the same rates come again with every design: those of a
    metric and attribute are counted once.
    """
    return gaps.groupby(["metric", "attribute"])[["undefined_cells", "insufficient_cells"]].max().sum().astype(int)


def few_images(gaps: pd.DataFrame, min_support: int) -> str:
    """That rates behind gaps are undefined or rest on few images; empty where none is."""
    weak = weak_rates(gaps)
    parts = []
    if weak["undefined_cells"]:
        parts.append(f"{weak['undefined_cells']:,} {'is' if weak['undefined_cells'] == 1 else 'are'} undefined")
    if weak["insufficient_cells"]:
        verb = "rests" if weak["insufficient_cells"] == 1 else "rest"
        parts.append(f"{weak['insufficient_cells']:,} {verb} on fewer than {counted(min_support, 'image')}")
    return f"Few test images: of the rates behind the verdicts, {enumerated(parts)}." if parts else ""


def random_weights(weights_sha256: str) -> str:
    """That nothing was pretrained; empty where it was. weights_sha256: "none" for random weights."""
    if weights_sha256 != "none":
        return ""
    return "Networks started from random weights, not from pretrained ones: all was learnt from these images alone."


def verdict_table(gaps: pd.DataFrame, contrasts: pd.DataFrame | None, images: int) -> Table:
    """The verdicts on one model: a row for each gap, the images behind it, its value, what chance makes, its verdict.

    gaps: rows to be shown, judged. contrasts: which groups differ (attribute, rate, class, group, support).
    """
    rows = tuple(
        (
            Cell(gap_name(row.metric, row.attribute)),
            images_cell(contrasts, row.metric, row.attribute, images),
            gap_cell(row),
        )
        for row in rows_of(gaps)
    )
    return Table(VERDICTS, (Column(GAP), Column(IMAGES), Column("value and verdict")), rows)


def gap_cell(row) -> Cell:
    """A gap with what chance alone makes and its verdict; row: None where there is none."""
    if row is None:
        return Cell(NOTHING)
    return Cell(number(row.value), f"chance {number(row.null_mean)}, {number(row.null_q95)}", row.verdict)


def images_cell(contrasts: pd.DataFrame | None, metric: str, attribute: str, images: int) -> Cell:
    """How many images a gap rests on, and the fewest behind one of its rates."""
    if contrasts is None or contrasts.empty:
        return Cell(f"{images:,}")
    rates = contrasts[contrasts["attribute"].eq(attribute) & contrasts["rate"].isin(GAP_METRICS[metric].compared)]
    of_class = metric != PARITY_DIFFERENCES[0]  # a selection rate is of all images of a group, whatever the class
    fewest = "".join(
        f"fewest {row.support:,}: {row.group}{f', {row.class_}' if of_class else ''}"
        for row in rows_of(rates[rates["support"].gt(0)].nsmallest(1, "support"))
    )
    return Cell(f"{images:,}", fewest)
