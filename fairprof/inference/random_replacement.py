"""Methods against chance: whether replacing predictions at random gives the same gap at a higher macro-F1.

Whoever replaces predictions at random brings gaps down, too, and pays in macro-F1 (Hort, Zhang, Sarro, Harman 2021,
"Fairea"). A method that does no better than that has shown no skill.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.inference.cells import SCORE, Cell
from fairprof.inference.differences import NO_CLAIM_POSSIBLE, DesignRuns, named, placed
from fairprof.inference.levels import ALPHA
from fairprof.inference.mitigation import NONE, Study, targets
from fairprof.inference.multiplicity import sidak, sidak_level
from fairprof.inference.over_seeds_and_images import EstimatesInParts, estimates_in_parts
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.inference.same_images import resampled_counts_of_runs, runs_on_the_same_images
from fairprof.inference.verdicts import DEGENERATE, NOT_ESTABLISHED
from fairprof.metrics.fairness import UNDEFINED
from fairprof.metrics.performance import chance_scores
from fairprof.metrics.tradeoffs import replacement_line

UNDER_THE_LINE, ABOVE_THE_LINE = "under_the_line", "above_the_line"
REPLACEMENT_COLUMNS = (
    *("design", "method", "metric", "attribute", "seeds", "gap", "gap_without", "share", "macro_f1"),
    *("macro_f1_of_replacement", "difference", "lower", "upper", "p_value", "p_adjusted", "verdict"),
)
LINE_COLUMNS = ("design", "metric", "attribute", "share", "gap", "macro_f1")
SHARES = np.linspace(0, 1, 11)
SLOPE, END = "slope_", "end_"  # begin the names of estimates against the two parts of the line


class Chance(NamedTuple):
    """The macro-F1 of S runs whose predictions are all replaced at random, in expectation: (S,) observed and (B, S) on
    resampled images."""

    observed: np.ndarray
    values: np.ndarray


def chance_replicates(tables: Sequence[pd.DataFrame], replicates: int, generator: np.random.Generator) -> Chance:
    """Of runs on the same images, on the resamples that `fairprof.inference.over_runs.image_replicates` makes with the
    same generator."""
    runs = runs_on_the_same_images(tables, ["gender"])
    observed, drawn = (
        chance_scores(counts.sum(axis=-3))[SCORE] for counts in resampled_counts_of_runs(runs, replicates, generator)
    )
    return Chance(observed, drawn)


def random_replacement(study: Study, chances: Mapping[str, Chance]) -> pd.DataFrame:
    """Every method against random replacement of the predictions without it, in each gap of `targets`.

    chances: of the runs without a method, by design. gap, gap_without: of the runs with and without the method, means
    over the seeds less their floors. share: of the predictions without a method, how many have to be replaced at random
    for this gap: 1 - gap / gap_without, 0 where the method leaves the gap as large or where there is none to reduce
    (gap_without <= 0), 1 where the method leaves none. macro_f1_of_replacement: what they have then
    (`replacement_line`). difference: macro_f1 - macro_f1_of_replacement. The true gap may be another one, at which the
    line still slopes, or has ended, with all of the predictions replaced or none. So a method is under the line where
    it is under the sloping line (whose ratio of gaps is linearised, Cochran 1977, 6.4) and under its end without
    replacement, and above it where it is above the sloping line and above its other end, for new seeds and new images
    (`estimates_in_parts`): p_value is the larger of the two (an intersection-union test, Berger 1982); lower and upper
    are the outer ends of both intervals, which hold together for all rows, and exclude 0 where p_adjusted <= alpha.
    verdict: under_the_line or above_the_line where they do, otherwise
    not_established; degenerate, undefined and no_claim_possible as in `judged_differences`. REPLACEMENT_COLUMNS.
    """
    tables = []
    for design, method in study.mitigated:
        found = _against_chance(study, study.cells[design, method], study.cells[design, NONE], chances[design])
        if found is not None:
            tables.append(placed(found, design=design, method=method))
    if not tables:
        return pd.DataFrame(columns=list(REPLACEMENT_COLUMNS))
    table = pd.concat(tables, ignore_index=True)
    return _judged(table)[list(REPLACEMENT_COLUMNS)]


def _against_chance(study: Study, cell: Cell, without: Cell, chance: Chance) -> pd.DataFrame | None:
    seeds = sorted(set(cell.seeds) & set(without.seeds))
    if not seeds:
        return None
    of_cell, of_none = [cell.seeds.index(seed) for seed in seeds], [without.seeds.index(seed) for seed in seeds]
    score, score_values = _of(study, cell.quantities, of_cell, SCORE)
    base, base_values = _of(study, without.quantities, of_none, SCORE)
    random, random_values = chance.observed[of_none], chance.values[:, of_none]
    rows = []
    for name in _aimed(study):
        gap, gap_values = _of(study, cell.quantities, of_cell, name)
        base_gap, base_gap_values = _of(study, without.quantities, of_none, name)
        reduced = base_gap.mean() > 0
        ratio = gap.mean() / base_gap.mean() if reduced else 1.0
        kept = float(np.clip(ratio, 0, 1))
        # the ratio of two means varies as their linear part does
        slope = (base - random).mean() / base_gap.mean() if reduced else 0.0
        observed = score - random - ratio * (base - random) - slope * (gap - ratio * base_gap)
        values = (
            score_values
            - random_values
            - ratio * (base_values - random_values)
            - slope * (gap_values - ratio * base_gap_values)
        )
        replaced = replacement_line(base_gap.mean(), base.mean(), random.mean(), 1 - kept)[1]
        end = (base, base_values) if score.mean() < replaced else (random, random_values)
        rows.append(
            {
                "gap": gap.mean(),
                "gap_without": base_gap.mean(),
                "share": 1 - kept,
                "macro_f1": score.mean(),
                "macro_f1_of_replacement": replaced,
                "difference": score.mean() - replaced,
                "degenerate": cell.quantities.degenerate or without.quantities.degenerate,
                **_named(SLOPE, estimates_in_parts(observed[:, None], values[..., None])),
                **_named(END, estimates_in_parts((score - end[0])[:, None], (score_values - end[1])[..., None])),
            }
        )
    table = pd.concat([named(_aimed(study)), pd.DataFrame(rows)], axis=1)
    return table.assign(seeds=len(seeds))


def _named(prefix: str, found: EstimatesInParts) -> dict[str, float]:
    return {f"{prefix}{field}": float(value[0]) for field, value in found._asdict().items()}


def _of(study: Study, runs: DesignRuns, places: Sequence[int], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(S,) and (B, S): a quantity less its floor."""
    column = list(study.names).index(name)
    floor = runs.floors[column]
    return runs.observed[places, column] - floor, runs.values[:, places, column] - floor


def _aimed(study: Study) -> list[str]:
    return [name for name in study.names if name in targets(study.mitigate)]


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    both = [
        EstimatesInParts(*(table[f"{prefix}{field}"].to_numpy(float) for field in EstimatesInParts._fields))
        for prefix in (SLOPE, END)
    ]
    difference = table["difference"].to_numpy(float)
    # the true gap may be one at which the line slopes, or has ended: both have to be ruled out
    p_values = [np.where(found.value * difference > 0, found.p_value, 1.0) for found in both]
    p_value = np.where(np.isnan(difference), np.nan, np.max(p_values, axis=0))
    adjusted = sidak(p_value)
    level = sidak_level(int((~np.isnan(p_value)).sum()))
    ends = np.array([found.interval(level) for found in both])
    lower, upper = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    verdict = np.select(
        [
            table["degenerate"].to_numpy(bool),
            np.isnan(adjusted),
            table["seeds"].to_numpy() < LEAST_SEEDS,
            (adjusted <= ALPHA) & (difference < 0),
            adjusted <= ALPHA,
        ],
        [DEGENERATE, UNDEFINED, NO_CLAIM_POSSIBLE, UNDER_THE_LINE, ABOVE_THE_LINE],
        NOT_ESTABLISHED,
    )
    return table.assign(
        lower=np.clip(lower, -1, 1),
        upper=np.clip(upper, -1, 1),
        p_value=p_value,
        p_adjusted=adjusted,
        verdict=verdict,
    )


def replacement_lines(study: Study, chances: Mapping[str, Chance]) -> pd.DataFrame:
    """Points of the line of random replacement, for every design with runs without a method and each gap of `targets`.

    share: of the predictions that are replaced, in tenths. gap: means over the seeds, less the floor. LINE_COLUMNS.
    """
    tables = []
    for design in study.designs:
        if (design, NONE) not in study.cells:
            continue
        corrected = dict(zip(study.names, study.cells[design, NONE].corrected(), strict=True))
        for name in _aimed(study):
            metric, _, attribute = name.partition("/")
            gap, score = replacement_line(
                corrected[name], corrected[SCORE], float(chances[design].observed.mean()), SHARES
            )
            line = pd.DataFrame({"share": SHARES, "gap": gap, "macro_f1": score})
            tables.append(placed(line, design=design, metric=metric, attribute=attribute))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(LINE_COLUMNS))
