"""The report of a comparison of backbones, section by section; how it is laid out is no matter here."""

from collections.abc import Collection, Iterable

import pandas as pd

from fairprof.commands.compare.backbones.answer import (
    level_told,
    levels_told,
    moves_table,
    quotable,
    scope_told,
)
from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.backbones.seen import seen
from fairprof.commands.compare.crossed import (
    SIGNED,
    Tables,
    established,
    less_floors,
    limits,
    made_with,
    quantity_name,
    table_by,
)
from fairprof.commands.compare.protocol import COMPARISON
from fairprof.commands.compare.sections import commands, data_facts, designs_table
from fairprof.config import of_this_machine
from fairprof.inference.backbones import BACKBONE, COMPOSITION
from fairprof.inference.cells import CONFIRMATORY_EFFECTS, SCORE
from fairprof.inference.levels import ALPHA
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES
from fairprof.reporting.blocks import (
    Answer,
    Block,
    Cell,
    Column,
    Commands,
    Fold,
    Paragraph,
    Picture,
    Section,
    Sentences,
    Table,
)
from fairprof.reporting.differences import difference_of
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import metric_name, short_gap_name
from fairprof.reporting.tables import properties, table_of
from fairprof.reporting.verdicts import confirmatory
from fairprof.reporting.wording import (
    NOTHING,
    counted,
    number,
    p_value,
    short,
)

NO_WEIGHTS = "none"  # SHA-256 of random weights
DIGITS = 16  # of a digest


def sections(tables: Tables, study: BackboneStudy, names: Collection[str]) -> tuple[Section, ...]:
    """What both layouts show, in order; see `findings`. names: of the pictures."""
    return (
        Section("The answer", tuple(_answer(tables, study))),
        Section("Which moves more", tuple(_moves(tables, study, names))),
        Section("Every design with every backbone", tuple(_cells(tables, study, names))),
        Section("What each of both changes", tuple(_contrasts(tables, study, names))),
        Section("Do they add up", tuple(_interactions(tables, study, names))),
        Section("Backbones", tuple(_backbones(study))),
        Section("How it was made", tuple(_protocol(tables, study))),
        Section("Limits", (_limits(study),)),
        Section("Terms", (terms(*TERMS),)),
    )


# The answer.


def _answer(tables: Tables, study: BackboneStudy) -> Iterable[Block]:
    yield Answer(quotable(tables, study))
    if len(tables["moves"]):
        yield moves_table(tables)
    yield Paragraph(scope_told(study), "What is compared.")
    yield Paragraph(
        f"The designs with {study.titles[study.reference]}, the reference, are compared on a page of their own, "
        f"{COMPARISON}, beside this one among the artifacts of the run."
    )


# The questions.


def _moves(tables: Tables, study: BackboneStudy, names: Collection[str]) -> Iterable[Block]:
    rows = tables["moves"]
    if rows.empty:
        yield Paragraph("There are no two designs that were trained with two backbones each at a seed in common.")
        return
    yield Paragraph(
        "The range between designs is the largest less the smallest of their means over the backbones, the range "
        "between backbones that of their means over the designs; gaps are less their noise floors. Ranges are never "
        "negative: by chance alone they come to about what stands beside them, more so with more levels, so that they "
        "describe and do not test. The backbone moves a quantity more where two backbones are established to lie "
        "further apart than any two designs; the composition where two designs are established to lie further apart "
        f"than any two backbones. That is said of {levels_told(tables, study)}: with others either range may be larger."
    )
    yield from _picture("moves", tables, study, names)
    yield Fold("All numbers", (table_of("Ranges, and which is larger", rows, SIGNED),))


def _cells(tables: Tables, study: BackboneStudy, names: Collection[str]) -> Iterable[Block]:
    yield from _picture("cells", tables, study, names)
    cells = tables["cells"]
    designs = list(dict.fromkeys(cells["design"]))
    places = {(row["design"], row["backbone"]): row for _, row in cells.iterrows()}
    rows = tuple(
        (Cell(study.titles[name]), *(_cell(places.get((design, name))) for design in designs))
        for name in study.backbones
    )
    columns = (Column("backbone"), *(Column(f"design {design}") for design in designs))
    yield Table("Macro-F1, and gaps less their noise floors", columns, rows)
    shown = cells.rename(columns={name: _shown_title(name) for name in cells.columns})
    yield Fold("All numbers", (_table("Scores, gaps and noise floors, mean over the seeds", study, shown),))


def _cell(row: pd.Series | None) -> Cell:
    if row is None:
        return Cell(NOTHING)
    gaps = [name for name in CONFIRMATORY_EFFECTS if name != SCORE]
    told = ", ".join(f"{short_gap_name(*name.split('/'))} {number(row[f'corrected/{name}'])}" for name in gaps)
    degenerate = bool(row["degenerate"])
    return Cell(number(row[SCORE]), "" if degenerate else told, verdict="degenerate" if degenerate else "")


def _shown_title(column: str) -> str:
    """Titles of columns such as "floor/demographic_parity_difference/race"."""
    kind, _, rest = column.partition("/")
    told = {"floor": "noise floor of the", "corrected": "less its noise floor, the"}.get(kind)
    return f"{told} {metric_name(rest)}" if told else column


def _contrasts(tables: Tables, study: BackboneStudy, names: Collection[str]) -> Iterable[Block]:
    yield from _picture("contrasts", tables, study, names)
    rows = tables["contrasts"]
    for factor, between, title in (
        (BACKBONE, " between backbones", "Backbones, one minus another, mean over the designs"),
        (COMPOSITION, " between designs", "Designs, one minus another, mean over the backbones"),
    ):
        own = rows[rows["factor"].eq(factor)]
        yield from established(confirmatory(own), lambda row: _contrast_sentence(study, row), "difference", between)
        if len(own):
            told = own.assign(
                **{
                    column: [level_told(study, factor, name) for name in own[column]]
                    for column in ("level", "reference")
                }
            )
            yield Fold(f"{title}: all numbers", (table_of(title, told.drop(columns="factor"), SIGNED),))


def _contrast_sentence(study: BackboneStudy, row) -> str:
    over = "designs" if row.factor == BACKBONE else "backbones"
    return (
        f"Established for {row.scope}: the {quantity_name(row)} of {level_told(study, row.factor, row.level)} minus "
        f"that of {level_told(study, row.factor, row.reference)}{less_floors(row)} is {difference_of(row)}, mean over "
        f"the {over} and {counted(row.seeds, 'paired seed')}; adjusted {p_value(row.p_adjusted)}."
    )


def _interactions(tables: Tables, study: BackboneStudy, names: Collection[str]) -> Iterable[Block]:
    design, backbone = study.protocol.reference, study.titles[study.reference]
    yield Paragraph(
        f"An interaction is what a design changes against design {design} with a backbone, less what it changes with "
        f"{backbone}. It is zero where backbone and design add up: the design changes as much with both. What is not "
        "established is no evidence that they add up, which is a verdict of its own: equivalent, within "
        f"{short(study.protocol.delta)}."
    )
    yield from _picture("interactions", tables, study, names)
    rows = tables["interactions"]
    yield from established(rows, lambda row: _interaction_sentence(study, row), "interaction")
    if len(rows):
        shown = rows.assign(reference_backbone=[study.titles[name] for name in rows["reference_backbone"]])
        yield Fold("All numbers", (_table("Interactions of backbone and design", study, shown),))


def _interaction_sentence(study: BackboneStudy, row) -> str:
    return (
        f"Established for {row.scope}: what design {row.design} changes in the {quantity_name(row)} against design "
        f"{row.reference} with {study.titles[row.backbone]} minus what it changes with "
        f"{study.titles[row.reference_backbone]}{less_floors(row)} is {difference_of(row)}, mean over "
        f"{counted(row.seeds, 'paired seed')}; adjusted {p_value(row.p_adjusted)}."
    )


def _table(title: str, study: BackboneStudy, frame: pd.DataFrame) -> Table:
    """A table that has a column `backbone`, which comes first."""
    return table_by("backbone", title, frame, lambda name: (Cell(study.titles[name]),), ("backbone",))


# Pictures.


PICTURES = {
    "moves": (
        "What moves macro-F1 and the gaps more",
        "On the left how far the means of the designs, and of the backbones, lie apart; a stroke is what chance alone "
        "makes of such a range. On the right the difference of both ranges with its interval for new seeds and new "
        "images, all rows together: filled where it is established which is larger.",
    ),
    "cells": (
        "Every design with every backbone",
        "A mark is the mean over seeds of a design, a row a backbone; of gaps, each less its noise floor. What marks "
        "within a row differ in is the composition of the data; what rows differ in is the backbone. Gaps of "
        "degenerate models are left out.",
    ),
    "contrasts": (
        "What each of both changes",
        "A mark is one design less another, mean over the backbones, or one backbone less another, mean over the "
        "designs. Its line is the simultaneous interval for new seeds and new images. Filled marks are established; "
        "the dotted lines are the margin within which both are called equivalent.",
    ),
    "interactions": (
        "What a design changes with a backbone, less what it changes with the reference",
        "A mark at zero is a design that changes as much with this backbone as with the reference. Lines are "
        "simultaneous intervals for new seeds and new images, filled marks established; the dotted lines are the "
        "margin within which both add up.",
    ),
}


def _picture(name: str, tables: Tables, study: BackboneStudy, names: Collection[str]) -> Iterable[Block]:
    if name in names:
        title, caption = PICTURES[name]
        yield Picture(name, title, caption, seen(name, tables, study))


# Backbones, protocol, limits.


def _backbones(study: BackboneStudy) -> Iterable[Block]:
    columns = ("backbone", "network", "starts from", "licence of its weights")
    rows = []
    for name in study.backbones:
        network, weights = name.split("@", 1)
        digest = study.weights_sha256.get(name, NO_WEIGHTS)
        rows.append(
            (
                Cell(study.titles[name], "the reference" if name == study.reference else ""),
                Cell(network),
                Cell(weights, "" if digest == NO_WEIGHTS else f"SHA-256 {digest[:DIGITS]}…"),
                Cell(study.licences.get(name) or NOTHING),
            )
        )
    yield Table("The backbones", tuple(map(Column, columns)), tuple(rows))
    yield Paragraph("Digests are told by their first digits; the runs have them whole, as a tag.")


def _protocol(tables: Tables, study: BackboneStudy) -> Iterable[Block]:
    protocol = study.protocol
    yield properties("Data", data_facts(protocol))
    yield designs_table(protocol)
    yield properties("Study, of the runs with the reference", made_with(protocol, _crossed_with(study)))
    yield properties("Families of tests", _families(tables))
    yield Paragraph(
        f"In a family, the chance of any false claim is at most {short(ALPHA)} for {NEW_SEEDS_AND_IMAGES}: Sidak's "
        "adjustment of differences and interactions, with intervals that hold together; Bonferroni's of which moves "
        "more, an intersection-union test (Berger 1982) within each pair of backbones or designs. The margin of "
        f"equivalence and of adding up is delta = {short(protocol.delta)}. The families answer different questions, "
        "and are not adjusted for each other."
    )
    if protocol.failed:
        yield properties("Runs that are missing, and why", protocol.failed)
    yield Commands(commands(protocol, {"backbones": ",".join(study.backbones)}))
    if any(of_this_machine(name.partition("@")[2]) for name in study.backbones):
        yield Paragraph("Files and folders of weights are named without the folders in which they lie.")


def _crossed_with(study: BackboneStudy) -> Iterable[tuple[str, str]]:
    yield "backbones, the reference first", ", ".join(study.backbones)


FAMILIES = {
    "moves": "which moves more",
    "contrasts": "differences between designs and between backbones",
    "interactions": "whether backbone and design add up",
}


def _families(tables: Tables) -> Iterable[tuple[str, str]]:
    for name, what in FAMILIES.items():
        rows = confirmatory(tables[name]) if "family" in tables[name] else tables[name]
        yield what, counted(int(rows["p_value"].notna().sum()), "test")


def _limits(study: BackboneStudy) -> Sentences:
    return limits(
        study.protocol,
        f"What it says holds for this data ({study.protocol.data_shown}), these backbones and these settings; others "
        "may say other things.",
        "Gender and race are taken as the data set labels them, which is coarse and often wrong.",
        "What a backbone was pretrained on may hold images like those of the test set, or of the same people: that is "
        "not looked for.",
    )


TERMS = (
    *("backbone", "design", "main effect", "range", "interaction", "macro-F1", "demographic parity difference, DP"),
    *("equal opportunity difference, EO", "noise floor", "established", "equivalent", "delta", "degenerate", "scope"),
    *("adjusted p", "Holm, Sidak, max-T", "confirmatory, exploratory"),
)
