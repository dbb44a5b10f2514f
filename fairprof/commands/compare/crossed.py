"""What is said of designs that are crossed with something else, methods or backbones: the same for both."""

from collections.abc import Callable, Collection, Iterable, Sequence

import pandas as pd

from fairprof.commands.compare.protocol import Protocol
from fairprof.inference.differences import NO_CLAIM_POSSIBLE
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES
from fairprof.inference.verdicts import DEGENERATE, EQUIVALENT, ESTABLISHED
from fairprof.metrics.fairness import UNDEFINED
from fairprof.reporting.blocks import Block, Cell, Column, Paragraph, Sentences, Table
from fairprof.reporting.differences import gap_of, rows_of
from fairprof.reporting.names import name_of, short_gap_name
from fairprof.reporting.tables import table_of
from fairprof.reporting.wording import capitalised, counted, enumerated, seeds_named, short, signed

Tables = dict[str, pd.DataFrame]
UNTESTED = (NO_CLAIM_POSSIBLE, DEGENERATE, UNDEFINED)
MOST_NAMED = 3  # of one kind in one sentence; the tables have all
MANY = 8  # sentences: more of them are folded
SIGNED = ("value", "lower", "upper", "uncorrected", "change", "difference")


# Quantities: macro-F1 and gaps.


def quantity_of(row) -> str:
    """ "macro_f1", "equal_opportunity_difference/race": what a row is about."""
    return f"{row.metric}/{row.attribute}" if row.attribute else row.metric


def quantity_told(row) -> str:
    """ "macro-F1", "EO by race"."""
    return short_gap_name(row.metric, row.attribute) if row.attribute else name_of(row.metric)


def quantity_name(row) -> str:
    """ "macro-F1", "equal opportunity difference by race"."""
    return gap_of(row) if row.attribute else name_of(row.metric)


def less_floors(row) -> str:
    return ", less noise floors," if row.attribute else ""


def be(many: int) -> str:
    return "is" if many == 1 else "are"


def degenerate_told(cells: pd.DataFrame, column: str, told: Callable[[Sequence[str], str], str]) -> str:
    """Said first: gaps of a model that answers one class are 0, whatever the images. column: method or backbone; told:
    of designs with one of them."""
    found = cells[cells["degenerate"].astype(bool)]
    if found.empty:
        return ""
    places = enumerated(told(list(same["design"]), name) for name, same in found.groupby(column, sort=False))
    return (
        f"{capitalised(places)} {'has' if len(found) == 1 else 'have'} a model that predicts one class for every "
        "image: such a model is equal between groups whatever it is shown, and nothing is said of its gaps."
    )


# What is established.


def largest_told(rows: pd.DataFrame, told: Callable[..., str], most: int = MOST_NAMED) -> list[str]:
    """A text for each of the rows with the largest values, of either sign, and how many more there are."""
    ranked = rows.loc[rows["value"].abs().sort_values(ascending=False, kind="stable").index]
    named = list(map(told, rows_of(ranked.head(most))))
    if len(ranked) > most:
        named.append(f"{len(ranked) - most} more {be(len(ranked) - most)} in the table")
    return named


def added_up(interactions: pd.DataFrame, things: str, told: Callable[..., str], untestable: str, delta: float) -> str:
    """Whether two things that are crossed, "method and design", add up, in a sentence.

    told: of an established interaction. untestable: what is said where none could be tested.
    """
    tested = interactions[~interactions["verdict"].isin(UNTESTED)]
    if tested.empty:
        return untestable
    margin = short(delta)
    what = f"{counted(len(tested), 'interaction')} that could be tested"
    found = tested[tested["verdict"].eq(ESTABLISHED)]
    equivalent = int(tested["verdict"].eq(EQUIVALENT).sum())
    neither = len(tested) - len(found) - equivalent
    if equivalent == len(tested):
        return f"{capitalised(things)} add up within {margin} in all of the {what}, for {NEW_SEEDS_AND_IMAGES}."
    shares = [f"in {equivalent} they add up within {margin}, for {NEW_SEEDS_AND_IMAGES}"] if equivalent else []
    shares += [f"in {neither} neither is shown"] if neither else []
    if found.empty:
        return f"In none of the {what} is it established that {things} do not add up: {', and '.join(shares)}."
    rest = f"; of the others, {', and '.join(shares)}" if shares else ""
    return (
        f"In {len(found)} of the {what} {things} do not add up, which is established for {NEW_SEEDS_AND_IMAGES}: "
        f"{'; '.join(largest_told(found, told))}{rest}."
    )


def established(rows: pd.DataFrame, sentence: Callable[..., str], what: str, between: str = "") -> Iterable[Block]:
    """A sentence for every row that is established; how many there are of how many tests.

    what: they are tests of, as a noun. between: what else is said of them, " between designs".
    """
    tested = rows[~rows["verdict"].isin(UNTESTED)]
    found = tested[tested["verdict"].eq(ESTABLISHED)]
    if tested.empty:
        yield Paragraph(f"No {what}{between} could be tested.")
    elif found.empty:
        yield Paragraph(f"Of {counted(len(tested), what)}{between} that could be tested, none is established.")
    else:
        told = tuple(map(sentence, rows_of(found)))
        yield Sentences(f"Established: {len(found)} of {counted(len(tested), what)}{between}", told, len(told) > MANY)


# Tables.


def table_by(
    column: str, title: str, frame: pd.DataFrame, first: Callable[[str], tuple[Cell, ...]], columns: Iterable[str]
) -> Table:
    """A frame with a column `method` or `backbone`, whose values, as `first` writes them, come first in cells of their
    own; columns: titles of these."""
    shown = table_of(title, frame.drop(columns=column), SIGNED)
    rows = [(*first(name), *row) for name, row in zip(frame[column], shown.rows, strict=True)]
    return Table(shown.title, (*map(Column, columns), *shown.columns), tuple(rows))


# Pictures.


def drawn_rows(table: pd.DataFrame, quantities: Collection[str]) -> pd.DataFrame:
    """The rows that are drawn: of these quantities, but of no degenerate model, of which nothing is said."""
    kept = [quantity_of(row) in quantities and row.verdict != DEGENERATE for row in rows_of(table)]
    return table[pd.Series(kept, index=table.index, dtype=bool)]


def changes_seen(shown: pd.DataFrame, place: Callable[..., str]) -> str:
    """What is to be seen of values with intervals, in words: the ends of each quantity, and how many are established.

    shown: `drawn_rows`. place: what a row is about besides, in brackets.
    """
    known = shown.dropna(subset="value")
    if known.empty:
        return f"All values are {UNDEFINED}."
    parts = []
    for _, same in known.groupby(["metric", "attribute"], sort=False):
        least, most = rows_of(same.loc[[same["value"].idxmin(), same["value"].idxmax()]])
        parts.append(
            f"{quantity_told(least)} from {signed(least.value)} ({place(least)}) to {signed(most.value)} "
            f"({place(most)})"
        )
    found = int(shown["verdict"].eq(ESTABLISHED).sum())
    return f"{capitalised('; '.join(parts))}. Established, which is a filled mark: {found} of {len(shown)}."


# How it was made.


def made_with(protocol: Protocol, more: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Names and values of a study; more: what is crossed with the designs."""
    yield "study key", protocol.study_key
    yield from more
    yield "designs", ", ".join(protocol.designs)
    yield "seeds", seeds_named(protocol.seeds)
    yield "training sets", protocol.main_arm
    yield "initial weights", protocol.weights
    yield "hash of the shared hyperparameters", protocol.hyperparameters_hash
    yield "bootstrap replicates", f"{protocol.replicates:,}"
    yield "git commit", protocol.git_commit
    yield "machine", protocol.machine
    yield "made", protocol.created


def limits(protocol: Protocol, *own: str) -> Sentences:
    """What must not be done with a study, and what it does not show; own: of what is crossed with the designs."""
    items = [
        "This is a research artefact for studying data sets and methods. It must not be used to judge, sort or select "
        "people.",
        *own,
    ]
    if protocol.pseudo_professions:
        items.insert(
            1,
            "The professions are pseudo-professions, drawn at random given the age bin: nobody's occupation is known "
            "or inferred.",
        )
    return Sentences("", tuple(items))
