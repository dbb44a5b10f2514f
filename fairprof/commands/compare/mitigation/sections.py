"""The report of a comparison of methods, section by section; how it is laid out is no matter here."""

from collections.abc import Collection, Iterable

import pandas as pd

from fairprof.commands.compare.crossed import (
    UNTESTED,
    Tables,
    established,
    less_floors,
    limits,
    made_with,
    quantity_name,
    quantity_told,
    table_by,
)
from fairprof.commands.compare.mitigation.answer import (
    METHOD,
    NEED,
    at_prediction,
    chosen_pairs,
    method_cells,
    quotable,
    selection_told,
    title_of,
    verdict_table,
)
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.mitigation.seen import seen
from fairprof.commands.compare.protocol import COMPARISON
from fairprof.commands.compare.sections import commands, data_facts, designs_table
from fairprof.config import PUBLISHED, Settings
from fairprof.inference.levels import ALPHA
from fairprof.inference.mitigation import targets
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES
from fairprof.inference.random_replacement import ABOVE_THE_LINE, UNDER_THE_LINE
from fairprof.mitigation.methods import METHODS
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
from fairprof.reporting.differences import difference_of, rows_of
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import VERDICT_NAMES, name_of
from fairprof.reporting.tables import properties, table_of
from fairprof.reporting.wording import (
    NOTHING,
    capitalised,
    counted,
    enumerated,
    estimate,
    p_value,
    short,
    signed,
)


def sections(tables: Tables, study: MitigationStudy, names: Collection[str]) -> tuple[Section, ...]:
    """What both layouts show, in order; see `findings`. names: of the pictures."""
    return (
        Section("The answer", tuple(_answer(tables, study))),
        Section("Which gap, at what price", tuple(_effects(tables, study, names))),
        Section("Do they add up", tuple(_interactions(tables, study, names))),
        Section("Composition or method", tuple(_substitutions(tables, study))),
        Section("Against random replacement", tuple(_replacement(tables, study, names))),
        Section("Selection rules", tuple(_selections(tables))),
        Section("Methods", tuple(_methods(study))),
        Section("How it was made", tuple(_protocol(tables, study))),
        Section("Limits", (_limits(study),)),
        Section("Terms", (terms(*TERMS),)),
    )


# The answer.


def _answer(tables: Tables, study: MitigationStudy) -> Iterable[Block]:
    yield Answer(quotable(tables, study))
    yield verdict_table(tables, study)
    yield Paragraph(
        f"The designs without a method are compared on a page of their own, {COMPARISON}, beside this one among the "
        "artifacts of the run."
    )
    yield Sentences("What the verdicts mean", tuple(_meanings(study)))


def _meanings(study: MitigationStudy) -> Iterable[str]:
    """Every verdict in a sentence, the first that holds being given."""
    margin = short(study.protocol.delta)
    aimed = enumerated(f"{name_of(attribute)}" for attribute in _attributes(study))
    yield (
        f"All of it is established for {NEW_SEEDS_AND_IMAGES}, within one family of tests; gaps are demographic parity "
        "and equal opportunity by gender and by race, less their noise floors, against the same design without a "
        "method."
    )
    yield (
        f"Fairer without harm: a gap by {aimed} is smaller, none is larger, macro-F1 is not established lower, and for "
        f"every group a loss of {margin} in accuracy is ruled out, for all of them together."
    )
    yield f"Levelled down: a gap by {aimed} is smaller, and for every group a gain in accuracy of .01 is ruled out."
    yield "Trade-off: a gap is smaller, and another is larger, a group's accuracy lower, or macro-F1 lower."
    yield "Fairer, harm not ruled out: a gap is smaller; whether it harms is not shown in either direction."
    yield "Worse: no gap is smaller, and a gap is larger, a group's accuracy lower, or macro-F1 lower."
    yield "Nothing established: this study cannot tell; that is no evidence that the method changes nothing."


def _attributes(study: MitigationStudy) -> list[str]:
    return list(dict.fromkeys(name.partition("/")[2] for name in targets(study.mitigate)))


# The questions.


def _effects(tables: Tables, study: MitigationStudy, names: Collection[str]) -> Iterable[Block]:
    effects = tables["effects"]
    yield from _picture("effects", tables, study, names)
    confirmatory = effects[effects["family"].eq(CONFIRMATORY)]
    yield from established(confirmatory, _effect_sentence, "change")
    yield _methods_table("Design with the method minus without it, mean over paired seeds", effects)
    groups = _methods_table("Accuracy by group, with the method and without it", tables["group_effects"])
    yield Fold("What each method changes for every group", (groups,))


def _interactions(tables: Tables, study: MitigationStudy, names: Collection[str]) -> Iterable[Block]:
    reference = study.protocol.reference
    yield Paragraph(
        f"An interaction is what a method changes in a design, less what it changes in design {reference}. It is zero "
        "where method and design add up. Above zero a gap comes down less, or rises more, than it does in design "
        f"{reference}; whatever the sign, what is not established is no evidence that they add up, which is a verdict "
        f"of its own: equivalent, within {short(study.protocol.delta)}."
    )
    yield from _picture("interactions", tables, study, names)
    yield from established(tables["interactions"], _interaction_sentence, "interaction")
    yield _methods_table("Interactions of method and design", tables["interactions"])


def _substitutions(tables: Tables, study: MitigationStudy) -> Iterable[Block]:
    rows = tables["substitutions"]
    yield Paragraph(
        "Every design with a method against every other design without one: below zero a gap is smaller with the "
        "method than where the data were composed otherwise. The pair of each gap that answers the question was chosen "
        "by these very runs, the best composition without a method against the worst one with its best method; the "
        "intervals hold for all pairs together, so that choosing among them is covered."
    )
    chosen = chosen_pairs(tables, study)
    if len(chosen):
        yield _methods_table("The chosen pairs", chosen)
    yield Fold("All pairs", (_methods_table("Design with a method minus another without", rows),))


def _replacement(tables: Tables, study: MitigationStudy, names: Collection[str]) -> Iterable[Block]:
    yield Paragraph(
        "Whoever replaces a share of the predictions by ones drawn at random from all predictions brings gaps down, "
        "too, and pays in macro-F1 (Hort, Zhang, Sarro and Harman 2021). A method that has a lower macro-F1 than "
        "random replacement to the same gap is under the line: it has paid more than chance asks for. Gaps are less "
        "their noise floors: a method that leaves one as large as it was, or that found none to bring down, is "
        "compared with replacing nothing, one that leaves none with replacing all."
    )
    yield from _picture("pareto", tables, study, names)
    rows = tables["random_replacement"]
    yield Sentences("", tuple(_line_sentences(rows)))
    yield _methods_table("Macro-F1 with the method, and with random replacement to the same gap", rows)
    line = table_of("The line of random replacement", tables["replacement_line"])
    yield Fold("The line of random replacement", (line,))


def _selections(tables: Tables) -> Iterable[Block]:
    rows = tables["selections"]
    if rows.empty:
        yield Paragraph(
            "The runs were trained without recording what every rule would have chosen: nothing can be said here. "
            "Verdicts above are those of the rule that the runs share."
        )
        return
    yield Paragraph(
        f"{selection_told(tables)} Each rule chooses the epoch of one and the same training on validation data: by the "
        "loss, by macro-F1, by the worst group, or by the distance to the ideal, macro-F1 of 1 and an equal "
        "opportunity difference of 0. Every rule has a family of tests of its own."
    )
    yield _methods_table("Verdicts by selection rule", rows.fillna({"verdict": ""}))  # none has no verdict


def _effect_sentence(row) -> str:
    return (
        f"Established for {row.scope}: the {quantity_name(row)} of design {row.design} with {title_of(row.method)} "
        f"minus that without a method{less_floors(row)} is {difference_of(row)}, mean over "
        f"{counted(row.seeds, 'paired seed')}; adjusted {p_value(row.p_adjusted)}."
    )


def _interaction_sentence(row) -> str:
    return (
        f"Established for {row.scope}: what {title_of(row.method)} changes in the {quantity_name(row)} of design "
        f"{row.design} minus what it changes in design {row.reference}{less_floors(row)} is {difference_of(row)}, "
        f"mean over {counted(row.seeds, 'paired seed')}; adjusted {p_value(row.p_adjusted)}."
    )


def _line_sentences(rows: pd.DataFrame) -> Iterable[str]:
    tested = rows[~rows["verdict"].isin(UNTESTED)]
    if tested.empty:
        yield "No method could be tested against random replacement."
        return
    for verdict in (UNDER_THE_LINE, ABOVE_THE_LINE):
        found = tested[tested["verdict"].eq(verdict)]
        for (method, *_), same in found.groupby(["method", "metric", "attribute"], sort=False):
            row = next(iter(rows_of(same)))
            places = enumerated(
                f"{place.design} ({estimate(place.difference, place.lower, place.upper, signed)})"
                for place in rows_of(same)
            )
            yield (
                f"{capitalised(VERDICT_NAMES[verdict])}, established for {NEW_SEEDS_AND_IMAGES}: "
                f"{title_of(method)}, in macro-F1 against replacement to the same {quantity_told(row)}, in design "
                f"{places}."
            )
    rest = int((~tested["verdict"].isin((UNDER_THE_LINE, ABOVE_THE_LINE))).sum())
    if rest:
        yield (
            f"For {rest} of {counted(len(tested), 'test')} it is not established on which side of the line a method "
            "lies."
        )


def _methods_table(title: str, frame: pd.DataFrame) -> Table:
    """A table that has a column `method`: it comes first, by its title, beside where it needs group membership."""
    return table_by("method", title, frame, method_cells, (METHOD, NEED))


# Pictures.


PICTURES = {
    "effects": (
        "What each method changes within each design",
        "A mark is the mean over seeds of a design with the method minus the same design without one, at the same "
        "seeds; of gaps, each less its noise floor. Its line is the simultaneous interval for new seeds and new "
        "images. Filled marks are established; gaps of degenerate models are left out. For macro-F1 right is better, "
        "for gaps left.",
    ),
    "interactions": (
        "What a method changes in a design, less what it changes in the reference",
        "A mark at zero is a method that adds up with the design. Lines are simultaneous intervals for new seeds and "
        "new images, filled marks established; the dotted lines are the margin within which they add up.",
    ),
    "pareto": (
        "Macro-F1 against gaps, with the line of random replacement",
        "A mark is a method, the star no method, mean over seeds; gaps are less their noise floors. The grey line is "
        "what replacing predictions at random makes of no method: to its left, at the same gap, macro-F1 is lower than "
        "chance leaves it, which is called under the line; where that is established a mark is ringed. The dashed line "
        "joins what nothing else beats in both. Lower right is better.",
    ),
}


def _picture(name: str, tables: Tables, study: MitigationStudy, names: Collection[str]) -> Iterable[Block]:
    if name in names:
        title, caption = PICTURES[name]
        yield Picture(name, title, caption, seen(name, tables, study))


# Methods, protocol, limits.


def _methods(study: MitigationStudy) -> Iterable[Block]:
    columns = (METHOD, NEED, "what it does", "its own values", "source")
    rows = tuple(
        (
            *method_cells(name),
            Cell(METHODS[name].what),
            Cell("none" if study.values[name] == PUBLISHED else study.values[name].replace(f"{name}.", "")),
            Cell(METHODS[name].source or NOTHING),
        )
        for name in study.methods
    )
    yield Table(f"The methods, between groups by {name_of(study.mitigate)}", tuple(map(Column, columns)), rows)
    yield Paragraph(
        "What a method fits on validation data it fits on one half of these images, by person, and chooses on the "
        "other. Methods share all hyperparameters with each other and with training without one."
    )
    unlawful = at_prediction(study)
    if unlawful:
        yield Paragraph(unlawful, "Law.")


def _protocol(tables: Tables, study: MitigationStudy) -> Iterable[Block]:
    protocol = study.protocol
    yield properties("Data", data_facts(protocol))
    yield designs_table(protocol)
    yield properties("Study", made_with(protocol, _crossed_with(study)))
    yield properties("Hashes of the methods with their own values", _hashes(study))
    yield properties("Families of tests", _families(tables))
    yield Paragraph(
        f"In a family, the chance of any false claim is at most {short(ALPHA)} (Sidak's adjustment; for new seeds and "
        f"new images, with intervals that hold together). The margin of non-inferiority and of adding up is delta = "
        f"{short(protocol.delta)}. The families answer different questions, and are not adjusted for each other."
    )
    if protocol.failed:
        yield properties("Runs that are missing, and why", protocol.failed)
    yield Commands(commands(protocol, _method_settings(study)))


def _crossed_with(study: MitigationStudy) -> Iterable[tuple[str, str]]:
    yield "attribute between whose groups the methods mitigate", name_of(study.mitigate)
    yield "methods", ", ".join(study.methods)


def _hashes(study: MitigationStudy) -> Iterable[tuple[str, str]]:
    for name in study.methods:
        settings = Settings(mitigation=name, mitigate=study.mitigate, mitigation_values=study.values[name])
        yield title_of(name), settings.method_hash()


FAMILIES = {
    "effects": "what methods change within designs: macro-F1 and gaps",
    "group_effects": "the same family: accuracy of single groups",
    "interactions": "whether method and design add up",
    "substitutions": "composition or method",
    "random_replacement": "methods against random replacement",
}


def _families(tables: Tables) -> Iterable[tuple[str, str]]:
    for name, what in FAMILIES.items():
        rows = tables[name]
        if "family" in rows:
            rows = rows[rows["family"].eq(CONFIRMATORY)]
        yield what, counted(int(rows["p_value"].notna().sum()), "test")


def _method_settings(study: MitigationStudy) -> dict[str, str]:
    """What trains these methods, as settings of a study."""
    given = [text for text in study.values.values() if text != PUBLISHED]
    values = {"mitigation_values": ",".join(given)} if given else {}
    return {"mitigations": ",".join(study.methods), "mitigate": study.mitigate} | values


def _limits(study: MitigationStudy) -> Sentences:
    return limits(
        study.protocol,
        f"What it says holds for this data ({study.protocol.data_shown}), this network, these settings and these "
        "values of the methods; other values may do better or worse.",
        "Gender and race are taken as the data set labels them, which is coarse and often wrong.",
        "Harm is looked for in the accuracy of single groups, in macro-F1 and in gaps by gender and by race, and "
        "nowhere else.",
    )


TERMS = (
    *("design", "method", "combination", "interaction", "random replacement", "non-inferiority margin"),
    *("distance to the ideal", "group DRO", "macro-F1", "demographic parity difference, DP"),
    *("equal opportunity difference, EO", "noise floor", "established", "equivalent", "delta", "degenerate", "scope"),
    *("adjusted p", "Holm, Sidak, max-T", "levelling down", "confirmatory, exploratory"),
)
