"""What a comparison of backbones says first: three sentences to be quoted, what stands above them, and a table of what
moves what."""

from collections.abc import Sequence

import pandas as pd

from fairprof.commands.compare.answer import runs_missing
from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.claims import cue_gap_told, label_bias_told, seeds_told
from fairprof.commands.compare.crossed import (
    UNTESTED,
    Tables,
    added_up,
    be,
    degenerate_told,
    largest_told,
    quantity_told,
)
from fairprof.inference.backbones import BACKBONE, BACKBONE_MOVES_MORE, COMPOSITION, COMPOSITION_MOVES_MORE
from fairprof.inference.differences import NO_CLAIM_POSSIBLE
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES
from fairprof.inference.planning import LEAST_SEEDS, RECOMMENDED_SEEDS
from fairprof.inference.verdicts import DEGENERATE, ESTABLISHED
from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.differences import rows_of
from fairprof.reporting.verdicts import confirmatory
from fairprof.reporting.wording import (
    NOTHING,
    capitalised,
    counted,
    designs_named,
    enumerated,
    estimate,
    number,
    p_value,
    signed,
)

RANDOM = "random"  # weights
MOST_NAMED = 2  # differences of each factor; the tables have all


def quotable(tables: Tables, study: BackboneStudy) -> tuple[str, ...]:
    """The answer in three sentences: which of both moves what more, which backbones and designs differ, whether they
    add up; in one where no claim is possible."""
    impossible = possibility(tables)
    if impossible:
        return (impossible,)
    return _moved(tables, study), _differ(tables, study), _added_up(tables, study)


def possibility(tables: Tables) -> str:
    """That nothing can be claimed of backbones, and why; empty where something can."""
    rows = confirmatory(tables["contrasts"])
    if rows.empty:
        return "No design was trained with several backbones at a seed in common: nothing can be said of backbones."
    if not rows["verdict"].isin(UNTESTED).all():
        return ""
    if rows["verdict"].eq(NO_CLAIM_POSSIBLE).any():
        return (
            f"With {counted(int(rows['seeds'].max()), 'seed')} no claim about backbones is possible: {LEAST_SEEDS} are "
            f"the least, {RECOMMENDED_SEEDS} are recommended."
        )
    if rows["verdict"].eq(DEGENERATE).any():
        return "Nothing can be said of the backbones: models of theirs predict one class for every image."
    return "Nothing can be said of the backbones: what would be compared is undefined on these test images."


# Which moves more.


def _moved(tables: Tables, study: BackboneStudy) -> str:
    moves = tables["moves"]
    tested = moves[~moves["verdict"].isin(UNTESTED)]
    if tested.empty:
        return (
            "Whether the backbone or the composition of the data moves macro-F1 and the gaps more could not be tested: "
            f"it takes two designs with two backbones each, at {LEAST_SEEDS} seeds in common, and no degenerate model."
        )
    rest = _listed(tested[~tested["verdict"].isin((BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE))])
    if len(rest) == len(tested):
        return (
            f"Whether the backbone or the composition of the data moves {enumerated(rest)} more is not established for "
            f"{NEW_SEEDS_AND_IMAGES}: that is no evidence that both move {'it' if len(rest) == 1 else 'them'} alike"
            f"{_left_out(moves)}."
        )
    parts = [
        f"{first} moves {enumerated(map(_ranges_told, rows_of(found)))} more than {other} does"
        for first, other, verdict in (
            ("the choice of the backbone", "the choice of the design", BACKBONE_MOVES_MORE),
            ("the choice of the design", "the choice of the backbone", COMPOSITION_MOVES_MORE),
        )
        if len(found := tested[tested["verdict"].eq(verdict)])
    ]
    if rest:
        parts.append(f"for {enumerated(rest)} it is not established which of both moves more")
    among = f"Among {levels_told(tables, study)}, established for {NEW_SEEDS_AND_IMAGES}"
    return f"{among}: {'; '.join(parts)}{_left_out(moves)}."


def _listed(rows: pd.DataFrame) -> list[str]:
    return list(map(quantity_told, rows_of(rows)))


def _left_out(moves: pd.DataFrame) -> str:
    untested = _listed(moves[moves["verdict"].isin(UNTESTED)])
    return f"; of {enumerated(untested)} nothing can be said" if untested else ""


def _ranges_told(row) -> str:
    """ "macro-F1 (range .210 between backbones, .020 between designs)"."""
    return (
        f"{quantity_told(row)} (range {number(row.range_of_backbone)} between backbones, "
        f"{number(row.range_of_composition)} between designs)"
    )


def levels_told(tables: Tables, study: BackboneStudy) -> str:
    """ "the backbones resnet18 and resnet50 and the designs A and B": those that have main effects."""
    return f"the backbones {enumerated(titles(study))} and the {designs_named(crossed_designs(tables, study))}"


def crossed_designs(tables: Tables, study: BackboneStudy) -> list[str]:
    """The designs that were trained with every backbone."""
    there = set(tables["cells"][["design", "backbone"]].itertuples(index=False, name=None))
    designs = dict.fromkeys(tables["cells"]["design"])
    return [design for design in designs if all((design, name) in there for name in study.backbones)]


# Which differ.


def _differ(tables: Tables, study: BackboneStudy) -> str:
    parts = [
        text
        for factor, between in (
            (BACKBONE, "between backbones, mean over the designs,"),
            (COMPOSITION, "between designs, mean over the backbones,"),
        )
        if (text := _differences_told(tables, study, factor, between))
    ]
    return f"{capitalised('; '.join(parts))}."


def _differences_told(tables: Tables, study: BackboneStudy, factor: str, between: str) -> str:
    rows = confirmatory(tables["contrasts"])
    tested = rows[rows["factor"].eq(factor) & ~rows["verdict"].isin(UNTESTED)]
    if tested.empty:
        return f"{between} nothing could be tested"
    found = tested[tested["verdict"].eq(ESTABLISHED)]
    differences = counted(len(tested), "difference")
    if found.empty:
        return f"{between} none of {differences} is established, which is no evidence that there is none"
    told = largest_told(
        found,
        lambda row: (
            f"{quantity_told(row)} of {level_told(study, factor, row.level)} minus that of "
            f"{level_told(study, factor, row.reference)} {signed(row.value)}"
        ),
        MOST_NAMED,
    )
    return (
        f"{between} {len(found)} of {differences} {be(len(found))} established for {NEW_SEEDS_AND_IMAGES} "
        f"({', '.join(told)})"
    )


def level_told(study: BackboneStudy, factor: str, level: str) -> str:
    return f"design {level}" if factor == COMPOSITION else study.titles[level]


# Whether they add up.


def _added_up(tables: Tables, study: BackboneStudy) -> str:
    reference = study.titles[study.reference]
    untestable = (
        f"Whether backbone and design add up could not be tested: it takes design {study.protocol.reference} and "
        f"another one, each with {reference} and another backbone, at {LEAST_SEEDS} seeds that they share, and no "
        "degenerate model."
    )

    def told(row) -> str:
        higher = "higher" if row.value > 0 else "lower"
        return (
            f"the change of {quantity_told(row)} from design {row.reference} to {row.design} is {higher} with "
            f"{study.titles[row.backbone]} than with {reference} ({signed(row.value)})"
        )

    return added_up(tables["interactions"], "backbone and design", told, untestable, study.protocol.delta)


# What moves what, a row a quantity.


def moves_table(tables: Tables) -> Table:
    """A row for macro-F1 and each gap: how far the means of designs and of backbones lie apart, what chance makes of
    that, and which of both moves it more."""
    columns = (
        Column("what"),
        Column("range between designs", True),
        Column("range between backbones", True),
        Column("backbones' range less designs', 95 % interval", True),
        Column("verdict"),
    )
    rows = tuple(
        (
            Cell(quantity_told(row)),
            Cell(number(row.range_of_composition), f"by chance {number(row.expected_by_chance_of_composition)}"),
            Cell(number(row.range_of_backbone), f"by chance {number(row.expected_by_chance_of_backbone)}"),
            Cell(estimate(row.difference, row.lower, row.upper, signed), _adjusted(row)),
            Cell("", verdict=row.verdict),
        )
        for row in rows_of(tables["moves"])
    )
    return Table("What the choice of the design moves, and what that of the backbone", columns, rows)


def _adjusted(row) -> str:
    return NOTHING if row.verdict in UNTESTED else f"adjusted {p_value(row.p_adjusted)}"


# What has to be known before.


def banners(tables: Tables, study: BackboneStudy) -> tuple[str, ...]:
    """What stands above the answer."""
    protocol = study.protocol
    told = (
        runs_missing(protocol),
        label_bias_told(protocol),
        cue_gap_told(protocol),
        seeds_told(protocol.seed_plan) if protocol.seed_plan else "",
        _random_weights(study),
        _uncrossed(tables, study),
        degenerate_told(tables["cells"], "backbone", lambda designs, name: cell_told(study, designs, name)),
    )
    return tuple(text for text in told if text)


def _random_weights(study: BackboneStudy) -> str:
    """Which backbones were not pretrained; empty where all were."""
    random = [study.titles[name] for name in study.backbones if name.partition("@")[2] == RANDOM]
    if not random:
        return ""
    verb, knows = ("starts", "it knows") if len(random) == 1 else ("start", "they know")
    return f"{enumerated(random)} {verb} from random weights: what {knows} was learnt from the study's images."


def _uncrossed(tables: Tables, study: BackboneStudy) -> str:
    """Which designs have not been trained with every backbone; empty where all have."""
    crossed = crossed_designs(tables, study)
    partly = [design for design in dict.fromkeys(tables["cells"]["design"]) if design not in crossed]
    if not partly:
        return ""
    verb = "was" if len(partly) == 1 else "were"
    return (
        f"{capitalised(designs_named(partly))} {verb} not trained with every backbone, and {be(len(partly))} left out "
        "of ranges and means."
    )


def scope_told(study: BackboneStudy) -> str:
    """What differs between the backbones, and so what may be concluded from differences between them."""
    architectures, weights = zip(*(name.split("@", 1) for name in study.backbones), strict=True)
    shared = "All of them are trained with the same hyperparameters, which may suit one better than another."
    if len(set(architectures)) == 1:
        return (
            f"The backbones are one network, {architectures[0]}: what differs between them is the weights that it "
            f"starts from, with all that made these. {shared}"
        )
    if set(weights) == {RANDOM}:
        return (
            "All backbones start from random weights: what differs between them is the architecture, with the number "
            f"of its parameters. {shared}"
        )
    return (
        "The comparison is of these backbones as they are: architecture, number of parameters and what they were "
        f"pretrained on differ together, and no difference is shown to come from one of these. {shared}"
    )


# Names.


def titles(study: BackboneStudy) -> list[str]:
    return [study.titles[name] for name in study.backbones]


def cell_told(study: BackboneStudy, designs: Sequence[str], backbone: str) -> str:
    """ "design B with resnet18"."""
    return f"{designs_named(designs)} with {study.titles[backbone]}"
