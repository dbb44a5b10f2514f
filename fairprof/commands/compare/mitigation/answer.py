"""What a comparison of methods says first: three sentences to be quoted, what stands above them, and one table of
verdicts."""

from collections.abc import Iterable, Sequence

import pandas as pd

from fairprof.commands.compare.answer import runs_missing
from fairprof.commands.compare.claims import cue_gap_told, label_bias_told, seeds_told
from fairprof.commands.compare.crossed import (
    MOST_NAMED,
    UNTESTED,
    Tables,
    added_up,
    be,
    degenerate_told,
    quantity_of,
    quantity_told,
)
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.inference.cells import SCORE
from fairprof.inference.differences import NO_CLAIM_POSSIBLE
from fairprof.inference.mitigation import NONE, targets
from fairprof.inference.mitigation_verdicts import (
    FAIRER_HARM_NOT_RULED_OUT,
    FAIRER_WITHOUT_HARM,
    LEVELLED_DOWN,
    TRADE_OFF,
    WORSE,
)
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES
from fairprof.inference.planning import LEAST_SEEDS, RECOMMENDED_SEEDS
from fairprof.inference.verdicts import DEGENERATE, EQUIVALENT, ESTABLISHED
from fairprof.metrics.fairness import UNDEFINED
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.differences import difference_of, rows_of
from fairprof.reporting.names import GAP_ABBREVIATIONS, SCORE_NAMES, VERDICT_NAMES, name_of, short_gap_name
from fairprof.reporting.verdicts import random_weights
from fairprof.reporting.wording import (
    NOTHING,
    capitalised,
    counted,
    designs_named,
    enumerated,
    number,
    short,
    signed,
)

FAIRER = {  # verdicts with a smaller gap, in the order in which they are told, with what is said of a combination
    FAIRER_WITHOUT_HARM: "is fairer without harm",
    FAIRER_HARM_NOT_RULED_OUT: "is fairer, harm neither shown nor ruled out",
    TRADE_OFF: "is a trade-off",
    LEVELLED_DOWN: "levels down",
}


def quotable(tables: Tables, study: MitigationStudy) -> tuple[str, ...]:
    """The answer in three sentences: which method closes which gap within a design, whether method and design add up,
    whether a method does what composing the data does; in one where no claim is possible."""
    impossible = possibility(tables)
    if impossible:
        return (impossible,)
    return _within_designs(tables, study), _added_up(tables, study), _substituted(tables, study)


def possibility(tables: Tables) -> str:
    """That nothing can be claimed of any method, and why; empty where something can."""
    verdicts = tables["verdicts"]
    if verdicts.empty:
        return "No method was trained with a seed of its design without a method: nothing can be said of methods."
    if verdicts["verdict"].isin((NO_CLAIM_POSSIBLE, DEGENERATE)).all():
        if verdicts["verdict"].eq(DEGENERATE).all():
            return (
                "Nothing can be said of any method: with each, or without it, a model predicts one class for every "
                "image."
            )
        return (
            f"With {counted(int(tables['effects']['seeds'].max()), 'seed')} no claim about a method is possible: "
            f"{LEAST_SEEDS} are the least, {RECOMMENDED_SEEDS} are recommended."
        )
    return ""


# Within designs.


def _within_designs(tables: Tables, study: MitigationStudy) -> str:
    verdicts = tables["verdicts"]
    judged = verdicts[~verdicts["verdict"].isin(UNTESTED)]
    fairer = judged[judged["verdict"].isin(FAIRER)]
    combinations = f"{counted(len(judged), 'combination')} of a method and a design"
    worse = int(judged["verdict"].eq(WORSE).sum())
    if fairer.empty:
        also = f"; {worse} of them {be(worse)} worse" if worse else ""
        return (
            f"No method is established to make a gap smaller within a design, for {NEW_SEEDS_AND_IMAGES}, in the "
            f"{combinations} that could be judged{also}: that is no evidence that none does."
        )
    order = fairer["verdict"].map(list(FAIRER).index)
    largest = [_smallest(_of_cell(tables["effects"], row), row.reduced) for row in rows_of(fairer)]
    ranked = fairer.assign(order=order, largest=largest).sort_values(["order", "largest"], kind="stable")
    named = [_fairer_told(tables, study, row) for row in rows_of(ranked.head(MOST_NAMED))]
    rest = ranked.iloc[MOST_NAMED:]
    if len(rest):
        counts = rest["verdict"].value_counts(sort=False)
        kinds = "; ".join(f"{VERDICT_NAMES[verdict]}: {many}" for verdict, many in counts.items())
        named.append(f"{len(rest)} more {be(len(rest))} in the table ({kinds})")
    others = f"; {worse} of the others {be(worse)} worse" if worse else ""
    return (
        f"Of {combinations}, {len(fairer)} {'has' if len(fairer) == 1 else 'have'} a gap that is established smaller "
        f"than without the method, for {NEW_SEEDS_AND_IMAGES}: {'; '.join(named)}{others}."
    )


def _smallest(effects: pd.DataFrame, reduced: str) -> float:
    """The largest reduction, which is the smallest change."""
    return min((row.value for row in rows_of(effects) if quantity_of(row) in names_listed(reduced)), default=0.0)


def _fairer_told(tables: Tables, study: MitigationStudy, row) -> str:
    effects = _of_cell(tables["effects"], row)
    changes = [_changes(effects, row.reduced)]
    if row.enlarged:
        changes.append(f"larger {_changes(effects, row.enlarged)}")
    changes += [score_told(effects, study.protocol.delta), *_harmed(tables["group_effects"], row)]
    return f"{title_of(row.method)} in design {row.design} {FAIRER[row.verdict]} ({'; '.join(filter(None, changes))})"


def _changes(effects: pd.DataFrame, listed: str) -> str:
    """ "DP by race −.041, EO by race −.060"."""
    names = names_listed(listed)
    return ", ".join(
        f"{short_gap_name(row.metric, row.attribute)} {signed(row.value)}"
        for row in rows_of(effects)
        if quantity_of(row) in names
    )


def score_told(effects: pd.DataFrame, delta: float) -> str:
    """ "macro-F1 −.030, established": its change, with what may be said of it; empty where it is not known."""
    for row in rows_of(effects[effects["metric"].eq(SCORE)]):
        told = f"within {short(delta)}" if row.verdict == EQUIVALENT else VERDICT_NAMES[row.verdict]
        return f"{SCORE_NAMES[SCORE]} {signed(row.value)}, {told}"
    return ""


def _harmed(group_effects: pd.DataFrame, row) -> Iterable[str]:
    """ "less accurate for Black (−.041) and White (−.020)"."""
    harmed = worse_groups(group_effects, row.design, row.method)
    if len(harmed):
        named = [f"{group.group} ({signed(group.change)})" for group in rows_of(harmed.head(2))]
        if len(harmed) > 2:
            named.append(f"{counted(len(harmed) - 2, 'more group')}")
        yield f"less accurate for {enumerated(named)}"


def worse_groups(group_effects: pd.DataFrame, design: str, method: str) -> pd.DataFrame:
    """The groups whose accuracy is established lower in a cell, the largest losses first."""
    of_cell = group_effects[group_effects["design"].eq(design) & group_effects["method"].eq(method)]
    established = of_cell["verdict"].eq(ESTABLISHED) & of_cell["family"].eq(CONFIRMATORY)
    return of_cell[established & of_cell["change"].lt(0)].sort_values("change", kind="stable")


# Across designs.


def _added_up(tables: Tables, study: MitigationStudy) -> str:
    reference = study.protocol.reference

    def told(row) -> str:
        higher = "higher" if row.value > 0 else "lower"
        return (
            f"the change of {quantity_told(row)} with {title_of(row.method)} is {higher} in design {row.design} than "
            f"in design {reference} ({signed(row.value)})"
        )

    untestable = (
        f"Whether method and design add up could not be tested: it takes a method in design {reference} and in "
        f"another one, with and without it, at {LEAST_SEEDS} seeds that they share, and no degenerate model."
    )
    return added_up(tables["interactions"], "method and design", told, untestable, study.protocol.delta)


# Composition or method.


def chosen_pairs(tables: Tables, study: MitigationStudy) -> pd.DataFrame:
    """Of every gap that the methods are to bring down, the pair that was chosen by it."""
    rows = tables["substitutions"]
    names = pd.Series([quantity_of(row) for row in rows_of(rows)], index=rows.index, dtype=object)
    chosen = [rows[rows["chosen"].astype(bool) & names.eq(name)] for name in targets(study.mitigate)]
    return pd.concat(chosen)


def _substituted(tables: Tables, study: MitigationStudy) -> str:
    pairs = chosen_pairs(tables, study)
    if pairs.empty:
        return (
            "Composition could not be weighed against a method: it takes two designs without a method and a method in "
            "the worse one, none of them degenerate."
        )
    told = [_pair_told(tables, study, row) for row in rows_of(pairs)]
    return (
        f"Of the worst composition with its best method and the best composition without one, for "
        f"{NEW_SEEDS_AND_IMAGES} and allowing for the choice among all pairs, {'; '.join(told)}."
    )


def _pair_told(tables: Tables, study: MitigationStudy, row) -> str:
    relation = {
        ESTABLISHED: f"is established {'smaller' if row.value < 0 else 'larger'} than",
        EQUIVALENT: f"is within {short(study.protocol.delta)} of",
        NO_CLAIM_POSSIBLE: "cannot be claimed to differ, with so few seeds, from",
        UNDEFINED: "cannot be compared, being undefined, with",
    }.get(row.verdict, "is not established to differ from")
    rows = tables["substitutions"]
    same = rows["design_without"].eq(row.design_without) & rows["design_with"].eq(row.design_with)
    score = score_told(rows[same & rows["method"].eq(row.method)], study.protocol.delta)
    return (
        f"the {quantity_told(row)} of design {row.design_with} with {title_of(row.method)} {relation} that of design "
        f"{row.design_without} ({difference_of(row)}{f'; {score}' if score else ''})"
    )


# The verdicts, a row a method.


METHOD, NEED = "method", "needs group membership in"


def verdict_table(tables: Tables, study: MitigationStudy) -> Table:
    """A row for each method: where it needs to know groups, and for every design the changes of the gaps that it is to
    bring down, the verdict, the change of macro-F1 and who lost; the first row is without a method."""
    designs = study.protocol.designs
    columns = (METHOD, NEED, *(f"design {design}" for design in designs))
    rows = [
        (*method_cells(method), *(_verdict_cell(tables, study, design, method) for design in designs))
        for method in study.methods
    ]
    one = f" by {name_of(study.mitigate)}" if _of_one_attribute(study) else ""
    title = f"Verdicts on the methods, with what they change in gaps{one}, less noise floors, and in macro-F1"
    return Table(title, tuple(map(Column, columns)), tuple(rows))


def _verdict_cell(tables: Tables, study: MitigationStudy, design: str, method: str) -> Cell:
    if method == NONE:
        return _without_cell(tables["cells"], study, design)
    verdicts = tables["verdicts"]
    row = next(iter(rows_of(verdicts[verdicts["design"].eq(design) & verdicts["method"].eq(method)])), None)
    if row is None:
        return Cell(NOTHING)
    effects = _of_cell(tables["effects"], row)
    changes = {quantity_of(effect): effect.value for effect in rows_of(effects)}
    aimed = ", ".join(f"{_gap_told(name, study)} {signed(changes[name])}" for name in targets(study.mitigate))
    notes = [f"{SCORE_NAMES[SCORE]} {signed(changes[SCORE])}"]
    lost = len(worse_groups(tables["group_effects"], design, method))
    notes += [f"{counted(lost, 'group')} worse"] if lost else []
    return Cell(NOTHING if row.verdict == DEGENERATE else aimed, ", ".join(notes), verdict=row.verdict)


def _without_cell(cells: pd.DataFrame, study: MitigationStudy, design: str) -> Cell:
    """The gaps and macro-F1 themselves."""
    found = cells[cells["design"].eq(design) & cells["method"].eq(NONE)]
    if found.empty:
        return Cell(NOTHING)
    row = found.iloc[0]
    gaps = ", ".join(f"{_gap_told(name, study)} {number(row[f'corrected/{name}'])}" for name in targets(study.mitigate))
    return Cell(gaps, f"{SCORE_NAMES[SCORE]} {number(row[SCORE])}", verdict=DEGENERATE if row["degenerate"] else "")


# What has to be known before.


def banners(tables: Tables, study: MitigationStudy) -> tuple[str, ...]:
    """What stands above the answer."""
    protocol = study.protocol
    told = (
        runs_missing(protocol),
        label_bias_told(protocol),
        cue_gap_told(protocol),
        seeds_told(protocol.seed_plan) if protocol.seed_plan else "",
        random_weights(protocol.weights_sha256),
        _few_seeds(tables),
        degenerate_told(tables["cells"], "method", _designs_told),
        at_prediction(study),
        selection_told(tables),
    )
    return tuple(text for text in told if text)


def _few_seeds(tables: Tables) -> str:
    few = tables["verdicts"]["verdict"].eq(NO_CLAIM_POSSIBLE)
    if not few.any() or possibility(tables):  # which is the answer then
        return ""
    return (
        f"Of {counted(int(few.sum()), 'combination')} of a method and a design nothing can be claimed: they have fewer "
        f"than {LEAST_SEEDS} seeds in common with the design without a method."
    )


def at_prediction(study: MitigationStudy) -> str:
    """Which methods treat people by their group, and that this may be unlawful; empty where none does."""
    by_group = [title_of(name) for name in study.methods if METHODS[name].needs.prediction]
    if not by_group:
        return ""
    need, people, treat = (
        ("needs", "it predicts", "treats") if len(by_group) == 1 else ("need", "they predict", "treat")
    )
    return (
        f"{capitalised(enumerated(by_group))} {need} the {name_of(study.mitigate)} of everybody for whom {people}, and "
        f"{treat} people by it: to decide about people in this way may be unlawful, whatever the verdict."
    )


def selection_told(tables: Tables) -> str:
    """Whether verdicts depend on the rule by which the epoch of a training is chosen; empty where that is unknown."""
    rows = tables["selections"]
    rows = rows[rows["method"].ne(NONE)]
    if rows.empty:
        return ""
    verdicts = rows.groupby(["design", "method"])["verdict"].nunique()
    rules = counted(rows["selection"].nunique(), "selection rule")
    changed = verdicts.index[verdicts > 1]
    if changed.empty:
        return (
            f"No verdict depends on which of {rules} chooses the epoch of a training, in "
            f"{counted(len(verdicts), 'combination')} of a method and a design."
        )
    named = [cell_told(*place) for place in changed[:MOST_NAMED]]
    more = len(changed) - len(named)
    named += [f"{more} more"] if more else []
    verb = "depends" if len(changed) == 1 else "depend"
    return (
        f"{counted(len(changed), 'verdict')} of {len(verdicts)} {verb} on which of {rules} chooses the epoch of a "
        f"training: {enumerated(named)}."
    )


# Names, rows and cells.


def title_of(method: str) -> str:
    """As it stands within a sentence."""
    return METHODS[method].title


def cell_told(design: str, method: str) -> str:
    """ "design B with group DRO", "design B without a method"."""
    return _designs_told([design], method)


def _designs_told(designs: Sequence[str], method: str) -> str:
    return f"{designs_named(designs)} " + ("without a method" if method == NONE else f"with {title_of(method)}")


def method_cells(method: str) -> tuple[Cell, Cell]:
    """Its title, and where it needs group membership: the first two cells of every table of methods."""
    return Cell(capitalised(title_of(method))), Cell(str(METHODS[method].needs))


def names_listed(text: str) -> list[str]:
    """The names of quantities in a column of the verdicts."""
    return text.split(", ") if text else []


def _gap_told(quantity: str, study: MitigationStudy) -> str:
    """ "EO", or "EO by race" where gaps by several attributes are shown."""
    metric, _, attribute = quantity.partition("/")
    return GAP_ABBREVIATIONS[metric] if _of_one_attribute(study) else short_gap_name(metric, attribute)


def _of_one_attribute(study: MitigationStudy) -> bool:
    return len({name.partition("/")[2] for name in targets(study.mitigate)}) == 1


def _of_cell(effects: pd.DataFrame, row) -> pd.DataFrame:
    confirmatory = effects["family"].eq(CONFIRMATORY)
    return effects[effects["design"].eq(row.design) & effects["method"].eq(row.method) & confirmatory]
