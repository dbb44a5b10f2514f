"""Backbones crossed with the designs of the data: what each of both changes, which changes more, whether they add up.

Three questions, each of them one family of tests. A cell is a design with a backbone; cells of one seed are a pair,
which share draw, data order and test images. The main effect of a backbone is its mean over the designs, that of a
design its mean over the backbones.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.stats import norm

from fairprof.inference.cells import (
    COMPARED_COLUMNS,
    CONFIRMATORY_EFFECTS,
    Cell,
    at_common_seeds,
    contrasted_in_parts,
    in_columns,
    judged_family,
    signed_sum,
)
from fairprof.inference.differences import NO_CLAIM_POSSIBLE, DesignRuns, named, placed, signed_sums
from fairprof.inference.levels import ALPHA, TIE
from fairprof.inference.over_seeds_and_images import (
    NEW_SEEDS_AND_IMAGES,
    THESE_MODELS,
    EstimatesInParts,
    estimates_in_parts,
)
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.inference.verdicts import DEGENERATE, NOT_ESTABLISHED
from fairprof.metrics.fairness import UNDEFINED

COMPOSITION, BACKBONE = "composition", "backbone"  # factors
BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE = "backbone_moves_more", "composition_moves_more"
CONTRAST_COLUMNS = ("factor", "level", "reference", *COMPARED_COLUMNS)
INTERACTION_COLUMNS = ("design", "reference", "backbone", "reference_backbone", *COMPARED_COLUMNS)
MOVE_COLUMNS = (
    *("metric", "attribute", "class", "seeds", "range_of_composition", "range_of_backbone"),
    *("expected_by_chance_of_composition", "expected_by_chance_of_backbone", "difference", "lower", "upper"),
    *("p_value", "p_adjusted", "verdict", "scope"),
)


class Crossed(NamedTuple):
    """names: of the M quantities, as `fairprof.inference.differences.quantities` names them. cells: by design and
    backbone; those that have no runs are left out. backbones: their order, the reference first."""

    names: Sequence[str]
    cells: Mapping[tuple[str, str], Cell]
    backbones: Sequence[str]

    @property
    def levels(self) -> dict[str, list[str]]:
        """By factor, its levels that are crossed: the backbones that have runs, and the designs that all of these
        have."""
        backbones = [name for name in self.backbones if any(name == backbone for _, backbone in self.cells)]
        designs = dict.fromkeys(design for design, _ in self.cells)
        return {
            COMPOSITION: [design for design in designs if all((design, name) in self.cells for name in backbones)],
            BACKBONE: backbones,
        }

    def cells_of(self, factor: str, level: str) -> list[Cell]:
        """The crossed cells of a level, in the order of the other factor's levels."""
        if factor == BACKBONE:
            return [self.cells[design, level] for design in self.levels[COMPOSITION]]
        return [self.cells[level, backbone] for backbone in self.levels[BACKBONE]]


def contrasts(study: Crossed, delta: float) -> pd.DataFrame:
    """Every pair of designs, mean over the backbones, and every pair of backbones, mean over the designs.

    value: main effect of the level less that of the reference, which is the earlier one, at the seeds that all their
    cells have. The macro-F1, demographic parity and equal opportunity by gender and by race of both factors are one
    family (`judged_differences`), whose intervals hold together; all else is exploratory. CONTRAST_COLUMNS.
    """
    tables = []
    for factor, levels in study.levels.items():
        for reference, level in combinations(levels, 2):
            cells, of_reference = study.cells_of(factor, level), study.cells_of(factor, reference)
            if not cells:
                continue
            shared = at_common_seeds([*((1, cell) for cell in cells), *((-1, cell) for cell in of_reference)])
            if not shared:
                continue
            parts = [(sign, _mean([cell for each, cell in shared if each == sign])) for sign in (1, -1)]
            table = contrasted_in_parts(study.names, parts, CONFIRMATORY_EFFECTS)
            table = pd.concat([named(study.names), table], axis=1)
            tables.append(placed(table, factor=factor, level=level, reference=reference))
    return judged_family(tables, CONTRAST_COLUMNS, delta)


def interactions(study: Crossed, reference: str, delta: float) -> pd.DataFrame:
    """Whether designs and backbones add up: what a design changes with a backbone less what it changes with the first.

    value: (d, b) - (reference, b) - [(d, first) - (reference, first)] of the macro-F1, demographic parity and equal
    opportunity, at the seeds of all four; 0 where they add up. All rows are one family (`judged_differences`):
    established is that they do not add up, equivalent that they do within `delta`. INTERACTION_COLUMNS.
    """
    tables: list[pd.DataFrame] = []
    first = study.backbones[0]
    for design, backbone in study.cells:
        places = [(1, (design, backbone)), (-1, (reference, backbone)), (-1, (design, first)), (1, (reference, first))]
        if design == reference or backbone == first or not all(place in study.cells for _, place in places):
            continue
        signed = [(sign, study.cells[place]) for sign, place in places]
        keys = {"design": design, "reference": reference, "backbone": backbone, "reference_backbone": first}
        tables += signed_sum(study.names, signed, _asked(study), **keys)
    return judged_family(tables, INTERACTION_COLUMNS, delta, farthest=2.0)


def moves(study: Crossed, alpha: float = ALPHA) -> pd.DataFrame:
    """Whether the backbone or the composition moves the macro-F1 and the gaps more: a row a quantity, MOVE_COLUMNS.

    range_of_composition, range_of_backbone: the largest less the smallest main effect, at the seeds that all crossed
    cells have. A range is never negative, and the larger the more levels there are: expected_by_chance_of_... is about
    what it comes to where the factor changes nothing (`expected_range`). difference: range_of_backbone less
    range_of_composition. lower, upper: an interval of it for new seeds and new images, and with p_adjusted the test,
    which hold together for all M quantities:

    For backbones i, j and designs k, l let x(i, j; k, l) be b_i - b_j - (d_k - d_l), of main effects b and d. Then

        range_of_backbone - range_of_composition = max over (i, j) of min over (k, l) of x(i, j; k, l)
                                                 = min over (k, l) of max over (i, j) of x(i, j; k, l),

    over ordered pairs of different levels, P of backbones and Q of designs. So the backbone moves more exactly if for
    some pair of backbones x > 0 for all pairs of designs. Let every x have a lower bound that is above it with a
    chance of at most alpha / (2 M P). For a pair of backbones, the least of its bounds is above the least of its x with
    no more than this chance, since it is no larger than the bound of the x that is least in truth: "for all" needs no
    division of the level (an intersection-union test, Berger 1982). The largest over the P pairs of backbones is above
    the difference only if one of these is, a chance of alpha / (2 M): `lower`. `upper` is, alike, the least over pairs
    of designs of the largest upper bound over pairs of backbones, each at alpha / (2 M Q). Both miss with a chance of
    alpha / M, and of any quantity of alpha, however the estimates depend on each other. Bounds of x are those of
    `EstimatesInParts`. p_value: the smallest alpha at which the interval of one quantity alone excludes 0; p_adjusted:
    M times that (Bonferroni).

    verdict, for new seeds and new images, the first that holds: degenerate (a gap, and a run predicts one class only),
    undefined, no_claim_possible (fewer than LEAST_SEEDS seeds), backbone_moves_more or composition_moves_more (the
    interval lies above, or below, 0), not_established, which does not say that both move it alike.
    """
    names = _asked(study)
    main = _main_effects(study, names)
    if not main:
        return pd.DataFrame(columns=list(MOVE_COLUMNS))
    of_backbone, of_composition = main[BACKBONE], main[COMPOSITION]
    excess = _excesses(of_backbone, of_composition)
    defined = ~np.isnan(excess.value + excess.of_seeds + excess.of_images).any(axis=(0, 1))
    tests, seeds = max(int(defined.sum()), 1), len(of_backbone[0].observed)
    lower, p_of_backbone = _largest_of_least(excess, tests, alpha)
    below, p_of_composition = _largest_of_least(_reversed(excess), tests, alpha)
    lower, upper = np.clip(lower, -1, 1), np.clip(-below, -1, 1)
    p_value = np.minimum(2 * np.minimum(p_of_backbone, p_of_composition), 1)
    table = named(names)
    of_one_class = any(runs.degenerate for runs in (*of_backbone, *of_composition))
    verdict = np.select(
        [
            table["attribute"].ne("").to_numpy() & of_one_class,
            ~defined,
            np.full(len(names), seeds < LEAST_SEEDS),
            lower > 0,
            upper < 0,
        ],
        [DEGENERATE, UNDEFINED, NO_CLAIM_POSSIBLE, BACKBONE_MOVES_MORE, COMPOSITION_MOVES_MORE],
        NOT_ESTABLISHED,
    )
    return table.assign(
        seeds=seeds,
        range_of_composition=_range(of_composition),
        range_of_backbone=_range(of_backbone),
        expected_by_chance_of_composition=_by_chance(of_composition),
        expected_by_chance_of_backbone=_by_chance(of_backbone),
        difference=_range(of_backbone) - _range(of_composition),
        lower=lower,
        upper=upper,
        p_value=p_value,
        p_adjusted=np.minimum(tests * p_value, 1),
        verdict=verdict,
        scope=THESE_MODELS if seeds == 1 else NEW_SEEDS_AND_IMAGES,
    )[list(MOVE_COLUMNS)]


def expected_range(levels: int, standard_deviation: np.ndarray) -> np.ndarray:
    """The mean of the largest less the smallest of so many independent normal numbers of these standard deviations.

    The integral of 1 - F^levels - (1 - F)^levels, 1.13 standard deviations of 2 levels and 2.06 of 4 (Tippett 1925).
    """
    share, _ = quad(lambda z: 1 - norm.cdf(z) ** levels - norm.sf(z) ** levels, -np.inf, np.inf)
    return share * np.asarray(standard_deviation)


def _asked(study: Crossed) -> list[str]:
    return [name for name in study.names if name in CONFIRMATORY_EFFECTS]


# Main effects.


def _mean(cells: Sequence[Cell]) -> DesignRuns:
    """Of cells with the same seeds, seed by seed and resample by resample."""
    runs = [cell.quantities for cell in cells]
    observed, values, floors = (
        np.mean([getattr(each, field) for each in runs], axis=0) for field in ("observed", "values", "floors")
    )
    undefined = np.max([each.undefined_cells for each in runs], axis=0)
    return DesignRuns(observed, values, floors, undefined, any(each.degenerate for each in runs))


def _main_effects(study: Crossed, names: Sequence[str]) -> dict[str, list[DesignRuns]]:
    """By factor, the main effect of each level in these quantities, at the seeds of all crossed cells; none where a
    factor has one level alone, or no seed is common."""
    levels = study.levels
    if min(map(len, levels.values())) < 2:
        return {}
    places = [(design, backbone) for design in levels[COMPOSITION] for backbone in levels[BACKBONE]]
    shared = at_common_seeds([(1, study.cells[place]) for place in places])
    if not shared:
        return {}
    columns = [list(study.names).index(name) for name in names]
    cells = {
        place: cell._replace(quantities=in_columns(cell.quantities, columns))
        for place, (_, cell) in zip(places, shared, strict=True)
    }
    crossed = study._replace(names=names, cells=cells)
    return {
        factor: [_mean(crossed.cells_of(factor, level)) for level in of_factor] for factor, of_factor in levels.items()
    }


def _range(effects: Sequence[DesignRuns]) -> np.ndarray:
    """(M,): of the main effects of a factor."""
    means = np.array([runs.observed.mean(axis=0) - runs.floors for runs in effects])
    return means.max(axis=0) - means.min(axis=0)


def _by_chance(effects: Sequence[DesignRuns]) -> np.ndarray:
    """(M,): the range of main effects that differ by seeds and images alone: `expected_range`, of a variance of half
    the mean variance of their contrasts."""
    found = [_estimated([(1, one), (-1, other)]) for one, other in combinations(effects, 2)]
    variance = np.mean([contrast.of_seeds + contrast.of_images for contrast in found], axis=0) / 2
    return expected_range(len(effects), np.sqrt(variance))


def _estimated(parts: Sequence[tuple[int, DesignRuns]]) -> EstimatesInParts:
    observed, values, floors = signed_sums(parts)
    return estimates_in_parts(observed - floors, values - floors)


# Which moves more.


def _excesses(of_backbone: Sequence[DesignRuns], of_composition: Sequence[DesignRuns]) -> EstimatesInParts:
    """(P, Q, M): x of `moves`, for ordered pairs of backbones and of designs."""
    found = [
        [
            _estimated([(1, one), (-1, other), (-1, design), (1, other_design)])
            for design, other_design in permutations(of_composition, 2)
        ]
        for one, other in permutations(of_backbone, 2)
    ]
    value, of_seeds, of_images, seeds, replicates = np.moveaxis(np.array(found), 2, 0)
    value = np.where(np.abs(value) > TIE, value, 0 * value)  # what cancels but for rounding is 0
    return EstimatesInParts(value, of_seeds, of_images, seeds, replicates)


def _reversed(excess: EstimatesInParts) -> EstimatesInParts:
    """(Q, P, M): of compositions over backbones."""
    return EstimatesInParts(*(np.swapaxes(part, 0, 1) for part in excess._replace(value=-excess.value)))


def _largest_of_least(excess: EstimatesInParts, tests: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """(M,) each: the lower bound of how much more the first factor moves a quantity, and its p-value among the pairs of
    that factor; tests: how many quantities there are."""
    pairs = len(excess.value)
    lower, _ = excess.interval(alpha / (tests * pairs))  # of which each end has half
    two_sided = excess.p_value
    above = np.where(excess.value > 0, two_sided / 2, 1 - two_sided / 2)
    return lower.min(axis=1).max(axis=0), np.minimum(pairs * above.max(axis=1).min(axis=0), 1)
