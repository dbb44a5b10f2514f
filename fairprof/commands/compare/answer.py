"""What a comparison says first: two or three sentences to be quoted, what stands above them, and the verdicts in four
rows."""

from collections.abc import Iterable

import pandas as pd

from fairprof.commands.compare.protocol import Protocol
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics.fairness import MAX_OVER_CLASSES
from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.differences import possibility_of_claims, rows_of
from fairprof.reporting.names import VERDICT_NAMES, gap_name, short_gap_name
from fairprof.reporting.verdicts import (
    GAP,
    IMAGES,
    VERDICTS,
    ages_told,
    confirmatory,
    few_images,
    gap_cell,
    gaps_told,
    images_cell,
    random_weights,
)
from fairprof.reporting.wording import NOTHING, counted, designs_named, enumerated, number, signed, span


def quotable(tables: dict[str, pd.DataFrame], protocol: Protocol) -> tuple[str, ...]:
    """The answer in two or three sentences: whether designs differ, whether groups do, how well the designs classify.

    Of differences and gaps these are the confirmatory ones of the main arm. Nothing is said of designs with a
    degenerate model, which `banners` names.
    """
    gaps, differences = confirmatory(tables["gaps"]), confirmatory(tables["differences"])
    sentences = (
        _between_designs(differences, protocol),
        _within_designs(gaps[gaps["verdict"].ne("degenerate")], protocol),
        _performance(tables, protocol),
    )
    return tuple(sentence for sentence in sentences if sentence)


# Between designs.


def _between_designs(differences: pd.DataFrame, protocol: Protocol) -> str:
    if len(protocol.designs) == 1:
        return f"Design {protocol.designs[0]} alone was compared: nothing can be said of differences between designs."
    tested = differences[~differences["verdict"].isin(("no_claim_possible", "degenerate", "undefined"))]
    if tested.empty:
        return _nothing_tested(differences, protocol)
    reference = protocol.reference
    established = tested[tested["verdict"].eq("established")]
    here_only = tested[tested["verdict"].eq("established_on_this_test_set")]
    what = f"in the {counted(len(tested), 'difference')} (less noise floors) that could be tested"
    if established.empty:
        others = [design for design in protocol.designs if design != reference]
        subject = f"Design {others[0]} did not prove" if len(others) == 1 else "No design proved"
        first = f"{subject} fairer, or less fair, than design {reference} {what}"
        also = f"; on this test set only, {_directions(here_only, reference)}" if len(here_only) else ""
        return f"{first}{also}."
    rest = "; no other difference is" if len(established) < len(tested) else ""
    return f"For {NEW_SEEDS_AND_IMAGES} it is established {what} that {_directions(established, reference)}{rest}."


def _nothing_tested(differences: pd.DataFrame, protocol: Protocol) -> str:
    if differences["verdict"].eq("no_claim_possible").any() or differences.empty:
        return possibility_of_claims(differences, protocol.reference)
    return (
        f"No difference from design {protocol.reference} could be tested: each is undefined or of a degenerate model."
    )


def _directions(rows: pd.DataFrame, reference: str) -> str:
    """ "design B has a smaller DP by race (−.084) than design A, and design C a larger EO by gender (+.150)"."""
    parts = [
        f"design {design} has a {'smaller' if smaller else 'larger'} {_gaps_listed(same)} than design {reference}"
        for (design, smaller), same in rows.groupby(["design", rows["value"] < 0], sort=False)
    ]
    return enumerated(parts)


def _gaps_listed(rows: pd.DataFrame) -> str:
    return enumerated(f"{short_gap_name(row.metric, row.attribute)} ({signed(row.value)})" for row in rows_of(rows))


# Within designs.


def _within_designs(gaps: pd.DataFrame, protocol: Protocol) -> str:
    if gaps.empty:
        return ""
    return gaps_told(
        gaps,
        "These models treat",
        lambda rows: _unless_all(list(dict.fromkeys(rows["design"])), gaps["design"].nunique()),
        lambda metric, attribute: ages_told(
            protocol.gaps_in_the_data.get(f"{metric}/{attribute}"), protocol.label_bias
        ),
    )


def _unless_all(designs: list[str], all_of_them: int) -> str:
    return "" if len(designs) == all_of_them else f" in {designs_named(designs)}"


# Performance.


def _performance(tables: dict[str, pd.DataFrame], protocol: Protocol) -> str:
    performance = tables["performance"]
    rows = performance[performance["arm"].eq(protocol.main_arm) & performance["metric"].eq("macro_f1")]
    if rows.empty:
        return ""
    ceiling = f" (ceiling {number(protocol.ceiling['macro_f1'])})" if "macro_f1" in protocol.ceiling else ""
    if len(rows) == 1:
        return f"Macro-F1 is {number(rows['value'].iloc[0])}{ceiling}."
    best = rows.loc[rows["value"].idxmax()]
    return (
        f"Macro-F1 is {span(rows['value'])}{ceiling}, highest in design {best['design']}"
        f"{_standing_out(tables['differences'], protocol)}."
    )


def _standing_out(differences: pd.DataFrame, protocol: Protocol) -> str:
    """Whether macro-F1 differs from the reference's, which is exploratory."""
    of_arm = differences["arm"].eq(protocol.main_arm) & differences["metric"].eq("macro_f1")
    tested = differences[of_arm & differences["verdict"].ne("no_claim_possible")]
    if tested.empty:
        return ""
    established = tested[tested["verdict"].eq("established")]
    if established.empty:
        return f", but no difference from design {protocol.reference} is established"
    named = enumerated(f"design {row.design}'s ({signed(row.value)})" for row in rows_of(established))
    verb = "differs" if len(established) == 1 else "differ"
    return f"; {named} {verb} from design {protocol.reference}'s, an exploratory finding"


# The verdicts in four rows.


def verdict_table(tables: dict[str, pd.DataFrame], protocol: Protocol) -> Table:
    """A row for each confirmatory gap: the images behind it, every design's value with its verdict, and what is said of
    its difference from the reference."""
    gaps, differences = confirmatory(tables["gaps"]), tables.get("differences")
    others = [design for design in protocol.designs if design != protocol.reference]
    columns = [GAP, IMAGES, *(f"design {name}" for name in protocol.designs)]
    columns += [f"minus {protocol.reference}, less noise floors"] if others else []
    rows = []
    for metric, attribute in CONFIRMATORY_GAPS:
        cells = [
            Cell(gap_name(metric, attribute)),
            images_cell(tables.get("contrasts"), metric, attribute, protocol.test_images),
        ]
        cells += [gap_cell(_row_of(gaps, metric, attribute, design)) for design in protocol.designs]
        if others:
            about = None if differences is None else _rows_about(confirmatory(differences), metric, attribute)
            cells.append(_difference_cell(about))
        rows.append(tuple(cells))
    return Table(VERDICTS, tuple(map(Column, columns)), tuple(rows))


def _rows_about(table: pd.DataFrame, metric: str, attribute: str) -> pd.DataFrame:
    return table[table["metric"].eq(metric) & table["attribute"].eq(attribute) & table["class"].eq(MAX_OVER_CLASSES)]


def _row_of(gaps: pd.DataFrame, metric: str, attribute: str, design: str):
    rows = _rows_about(gaps, metric, attribute)
    return next(iter(rows_of(rows[rows["design"].eq(design)])), None)


def _difference_cell(rows: pd.DataFrame | None) -> Cell:
    """Each design's mean difference, and the verdict where all share it; otherwise a verdict after each."""
    if rows is None or rows.empty:
        return Cell(NOTHING)
    verdicts = list(dict.fromkeys(rows["verdict"]))
    shared = len(verdicts) == 1
    told = ", ".join(
        f"{row.design} {signed(row.value)}" + ("" if shared else f" {VERDICT_NAMES[row.verdict]}")
        for row in rows_of(rows)
    )
    return Cell(told, verdict=verdicts[0] if shared else "")


# What has to be known before.


def banners(gaps: pd.DataFrame, protocol: Protocol, told: Iterable[str]) -> tuple[str, ...]:
    """What stands above the answer: missing designs and runs, and few images, besides what is told already.

    gaps: the confirmatory ones of the main arm.
    """
    return tuple(
        text
        for text in (
            runs_missing(protocol),
            *told,
            random_weights(protocol.weights_sha256),
            few_images(gaps, protocol.min_support),
        )
        if text
    )


def runs_missing(protocol: Protocol) -> str:
    """Which runs and designs are missing; empty where none is."""
    if not protocol.failed:
        return ""
    names = [name for name, _ in protocol.failed]
    designs = list(dict.fromkeys(name.partition("-")[0] for name in names))
    absent = [design for design in designs if design not in protocol.designs]
    whole = f"; {designs_named(absent)} {'is' if len(absent) == 1 else 'are'} missing altogether" if absent else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{counted(len(names), 'run')} failed and {verb} missing: {enumerated(names)}{whole}."
