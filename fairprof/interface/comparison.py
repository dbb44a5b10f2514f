"""Which designs differ: the predictions of several runs each, on the same images, in; an answer with its tables out."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairprof.inference.differences import (
    DIFFERENCE_COLUMNS,
    POINT_COLUMNS,
    design_runs,
    judged_differences,
    paired_differences,
    quantities,
)
from fairprof.inference.levelling_down import group_changes
from fairprof.inference.over_runs import Replicates, gaps_and_contrasts_over_runs, image_replicates
from fairprof.inference.over_seeds_and_images import estimates
from fairprof.inference.verdicts import is_confirmatory, judged
from fairprof.interface.audit import check_settings
from fairprof.interface.comparison_page import page, summary
from fairprof.interface.comparison_sentences import answer
from fairprof.interface.user_tables import (
    IMAGE,
    PREDICTED,
    TRUE,
    Attribute,
    TableError,
    UserTable,
    columns,
    user_tables,
)
from fairprof.metrics import fairness
from fairprof.plain_text import visible
from fairprof.reporting.wording import counted
from fairprof.seeds import numpy_generator

Runs = Mapping[Hashable, Sequence[pd.DataFrame] | Mapping[Hashable, pd.DataFrame]]


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """What a comparison has found. Designs, attributes, classes and groups are called as they were given, as text.

    differences: every design minus the reference at the same seed, mean over the seeds, for accuracy, balanced
    accuracy, macro-F1 and the largest gaps over the classes by each attribute, gaps less their noise floors: design,
    reference, metric, attribute, class, seeds, value, lower, upper, p_value, p_adjusted, verdict, scope and more
    (`fairprof.inference.differences`). seed_differences: the same of the single seeds.
    gaps, contrasts: of each design, mean over its runs, as in `fairprof.audit`, with seed_sd.
    group_changes: each group's accuracy against the reference's. scores: of each design, with intervals for new seeds
    and new images.
    answer: sentences, the answer first; each follows its verdict.
    """

    differences: pd.DataFrame
    seed_differences: pd.DataFrame
    gaps: pd.DataFrame
    contrasts: pd.DataFrame
    group_changes: pd.DataFrame
    scores: pd.DataFrame
    answer: tuple[str, ...]

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        return page(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer and the main table."""
        return summary(self)

    def __repr__(self) -> str:
        return "\n".join(map(visible, self.answer))


@dataclass(frozen=True)
class _Study:
    """The runs of every design in the order of the seeds, all on the same images."""

    tables: dict[str, list[pd.DataFrame]]
    seeds: list
    reference: str
    named: UserTable

    @property
    def attributes(self) -> list[str]:
        return list(self.named.attributes)

    @property
    def others(self) -> list[str]:
        return [design for design in self.tables if design != self.reference]

    def runs(self, design: str) -> list[int]:
        """The numbers of a design's runs among all."""
        first = list(self.tables).index(design) * len(self.seeds)
        return list(range(first, first + len(self.seeds)))


def compare(
    runs: Runs,
    groups: Attribute | Iterable[Attribute],
    reference: Hashable | None = None,
    y_true: Hashable = TRUE,
    y_pred: Hashable = PREDICTED,
    person: Hashable | None = None,
    image: Hashable | None = None,
    seed: int = 0,
    delta: float = 0.05,
    min_support: int = fairness.MIN_SUPPORT,
    permutations: int = 999,
    replicates: int = 1000,
) -> Comparison:
    """Which designs (ways to train) differ from a reference in performance and in fairness, and how surely.

        fairprof.compare({"A": tables_of_a, "B": tables_of_b}, groups=["gender", "race"], reference="A")

    runs: by design the tables of predictions of its runs, one for each seed: in the order of the seeds, which is the
    same for all designs, or by seed. Runs of one seed are a pair. All are on the same images, with the same true
    classes and groups. Six seeds are the least for a claim.
    groups, y_true, y_pred, person, delta, min_support, permutations, replicates: as `fairprof.audit` takes them. The
    largest demographic parity and equal opportunity differences by the single attributes, of all designs, are the
    confirmatory family.
    reference: what the others are compared with; by default the first design.
    image: the column by which rows of different tables are matched; by default "image" where every table has one,
    otherwise the index.
    seed: of permutations and bootstraps.

    Raises `TableError`, a ValueError, with one line that names table, column, row and remedy.
    """
    check_settings(seed, delta, min_support, permutations, replicates)
    study = _study(runs, reference, columns(groups, y_true, y_pred, None, person, image))
    every_table = [table for tables in study.tables.values() for table in tables]
    drawn = image_replicates(every_table, replicates, numpy_generator(seed, "test images"), study.attributes)
    gaps, contrasts = _gaps_and_contrasts(study, seed, delta, min_support, permutations, replicates)
    names = quantities(study.attributes)
    found = paired_differences(
        names,
        {one: design_runs(drawn, study.runs(one), names, gaps[gaps["design"].eq(one)]) for one in study.tables},
        study.seeds,
        study.reference,
        [name for name in names if _is_confirmatory(name, study.named)],
    )
    named = study.named.named
    tables = {
        "differences": named(judged_differences(found.table, delta))[list(DIFFERENCE_COLUMNS)],
        "seed_differences": named(found.points)[list(POINT_COLUMNS)],
        "gaps": named(gaps),
        "contrasts": named(contrasts),
        "group_changes": named(_group_changes(study, drawn)),
        "scores": _scores(study, drawn),
    }
    return Comparison(**tables, answer=answer(tables, study.tables, study.seeds, study.reference, delta))


def _is_confirmatory(name: str, named: UserTable) -> bool:
    metric, _, attribute = name.partition("/")
    return metric in fairness.PARITY_DIFFERENCES and attribute in named.confirmatory


# The tables that were given.


def _study(runs: Runs, reference: Hashable | None, given) -> _Study:
    if not isinstance(runs, Mapping) or len(runs) < 2:
        raise TableError('runs names no two designs; give {"A": [a table for each seed], "B": [...]}')
    by_design = {str(design): _by_seed(design, tables) for design, tables in runs.items()}
    if len(by_design) < len(runs):
        raise TableError(f"two designs have one name among {list(by_design)}; give each its own")
    first = next(iter(by_design)) if reference is None else str(reference)
    if first not in by_design:
        raise TableError(
            f"reference is {reference!r}, which is none of the designs {list(by_design)}; name one of them"
        )
    seeds = list(by_design[first])
    for design, tables in by_design.items():
        if set(tables) != set(seeds):
            raise TableError(
                f"design {design} has {_seeds_text(tables)} and design {first} {_seeds_text(seeds)}; give one table "
                "for each seed and design: runs of one seed are a pair"
            )
    places = {f"the table of design {design}, seed {seed}": (design, seed) for design in by_design for seed in seeds}
    read = user_tables({name: by_design[design][seed] for name, (design, seed) in places.items()}, given)
    _check_same_images(read)
    in_order: dict[str, list[pd.DataFrame]] = {design: [] for design in by_design}
    for name, (design, _) in places.items():
        in_order[design].append(read[name].table)
    return _Study(in_order, seeds, first, next(iter(read.values())))


def _by_seed(design: Hashable, tables: object) -> dict:
    if isinstance(tables, Mapping):
        found = dict(tables)
    elif isinstance(tables, Sequence) and not isinstance(tables, str):
        found = dict(enumerate(tables))
    else:
        raise TableError(
            f"design {design} is given by a {type(tables).__name__}; give a list with a table for each seed"
        )
    if not found:
        raise TableError(f"design {design} has no tables; give one for each seed")
    return found


def _seeds_text(seeds: Iterable) -> str:
    listed = list(seeds)
    return f"{counted(len(listed), 'seed')} ({', '.join(map(str, listed[:12]))}{', ...' if len(listed) > 12 else ''})"


def _check_same_images(read: Mapping[str, UserTable]) -> None:
    """Raises `TableError` where images, true classes, groups or persons differ between the tables."""
    (first_name, first), *others = read.items()
    base = first.table.set_index(IMAGE)
    for name, other in others:
        table = other.table.set_index(IMAGE)
        alone = base.index.symmetric_difference(table.index, sort=False)
        if len(alone):
            raise TableError(
                f"image {alone[0]!r} is in only one of {first_name} and {name} ({len(alone):,} such in all); evaluate "
                "every run on the same images, and say with image= which column names them"
            )
        table = table.loc[base.index]
        for column in base.columns.difference([PREDICTED], sort=False):
            differs = base[column].astype(object).to_numpy() != table[column].astype(object).to_numpy()
            if differs.any():
                row = differs.argmax()
                called = first.attributes.get(column, column)
                raise TableError(
                    f"{called} of image {base.index[row]!r} is {base[column].iloc[row]!r} in {first_name} and "
                    f"{table[column].iloc[row]!r} in {name}; every run needs the same rows with the same true classes "
                    "and groups"
                )


# What is measured.


def _gaps_and_contrasts(
    study: _Study, seed: int, delta: float, min_support: int, permutations: int, replicates: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    gaps: list[pd.DataFrame] = []
    contrasts: list[pd.DataFrame] = []
    for design, tables in study.tables.items():
        found = gaps_and_contrasts_over_runs(
            tables,
            permutations,
            replicates,
            lambda purpose: numpy_generator(seed, purpose),
            study.attributes,
            min_support,
        )
        for of_designs, table in zip((gaps, contrasts), found, strict=True):
            table.insert(0, "design", design)
            of_designs.append(table)
    every_gap = pd.concat(gaps, ignore_index=True)
    degenerate = every_gap.pop("degenerate").to_numpy()
    confirmatory = is_confirmatory(every_gap, study.named.confirmatory)
    judged_gaps = judged(every_gap, confirmatory, delta, degenerate=degenerate)
    return judged_gaps, pd.concat(contrasts, ignore_index=True)


def _group_changes(study: _Study, drawn: Replicates) -> pd.DataFrame:
    table = study.tables[study.reference][0]
    support = fairness.performance_by_group(table, attributes=study.attributes)[["attribute", "group", "support"]]
    groups = [(row.attribute, row.group) for row in support.itertuples()]
    places = [drawn.names.index(f"accuracy/{attribute}/{group}") for attribute, group in groups]

    def accuracies(design: str) -> tuple[np.ndarray, np.ndarray]:
        runs = study.runs(design)
        return drawn.observed[runs][:, places], drawn.values[:, runs][..., places]

    found = []
    for design in study.others:
        changes = group_changes(groups, accuracies(design), accuracies(study.reference))
        changes = changes.merge(support, on=["attribute", "group"], validate="1:1")
        changes.insert(0, "design", design)
        changes.insert(1, "reference", study.reference)
        found.append(changes)
    return pd.concat(found, ignore_index=True)


def _scores(study: _Study, drawn: Replicates) -> pd.DataFrame:
    places = [drawn.names.index(score) for score in fairness.SCORES]
    found = []
    for design in study.tables:
        runs = study.runs(design)
        means = estimates(drawn.observed[runs][:, places], drawn.values[:, runs][..., places])
        lower, upper = means.interval()
        table = {"design": design, "metric": fairness.SCORES, "seeds": len(runs), "value": means.value}
        found.append(pd.DataFrame(table).assign(lower=np.maximum(lower, 0), upper=np.minimum(upper, 1)))
    return pd.concat(found, ignore_index=True)
