"""Differences between designs over paired seeds on one test set: estimates, tests in three scopes, verdicts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import (
    CONFIRMATORY,
    EXPLORATORY,
    benjamini_hochberg,
    selected_level,
    sidak,
    sidak_level,
)
from fairprof.inference.over_runs import Replicates
from fairprof.inference.over_seeds import image_se, seed_sd, sign_flip_tests
from fairprof.inference.over_seeds_and_images import (
    NEW_SEEDS_AND_IMAGES,
    THESE_MODELS,
    THIS_TEST_SET,
    Estimates,
    EstimatesInParts,
    estimates,
)
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.inference.verdicts import DEGENERATE, EQUIVALENT, ESTABLISHED, NOT_ESTABLISHED
from fairprof.metrics.fairness import DIFFERENCES, MAX_OVER_CLASSES, SCORES, UNDEFINED

ESTABLISHED_HERE = "established_on_this_test_set"
NO_CLAIM_POSSIBLE = "no_claim_possible"
DIFFERENCE_COLUMNS = (
    *("design", "reference", "metric", "attribute", "class", "seeds", "value", "lower", "upper", "uncorrected"),
    *("standard_error", "degrees_of_freedom", "seed_sd", "image_se", "p_value", "p_sign_flip", "smallest_p"),
    *("undefined_cells", "family", "p_adjusted", "p_sign_flip_adjusted", "verdict", "scope"),
)
POINT_COLUMNS = ("design", "reference", "metric", "attribute", "class", "seed", "value")


class DesignRuns(NamedTuple):
    """What is known of a design's S runs, in M quantities.

    observed: (S, M), in the order of the seeds. values: (B, S, M) on resampled images, the same for all designs.
    floors: (M,), the mean of each gap where groups are served alike, which its difference is corrected by; 0 of
    scores. undefined_cells: (M,) int, the rates that a gap leaves out. degenerate: whether one of the runs predicts one
    class only, so that its gaps are 0 whatever the images.
    """

    observed: np.ndarray
    values: np.ndarray
    floors: np.ndarray
    undefined_cells: np.ndarray
    degenerate: bool = False


class Differences(NamedTuple):
    """table: a row for every design but the reference and every quantity; points: for every seed, too."""

    table: pd.DataFrame
    points: pd.DataFrame


def quantities(attributes: Iterable[str]) -> list[str]:
    """The names of what is compared between designs: scores, and the largest differences by each attribute."""
    return [*SCORES, *(f"{metric}/{attribute}" for metric in DIFFERENCES for attribute in attributes)]


def design_runs(replicates: Replicates, runs: Sequence[int], names: Sequence[str], gaps: pd.DataFrame) -> DesignRuns:
    """A design's runs, by their numbers among the replicates, in the quantities of these names.

    gaps: judged ones of the design (metric, attribute, class, null_mean, undefined_cells, verdict).
    """
    places = [replicates.names.index(name) for name in names]
    largest = gaps[gaps["class"].eq(MAX_OVER_CLASSES)]
    largest = largest.set_index(largest["metric"] + "/" + largest["attribute"])[["null_mean", "undefined_cells"]]
    floors, undefined = largest.reindex(names).fillna(0).to_numpy().T
    observed, values = replicates.observed[runs][:, places], replicates.values[:, runs][..., places]
    degenerate = bool(gaps["verdict"].eq(DEGENERATE).any())
    return DesignRuns(observed, values, floors, undefined.astype(int), degenerate)


def paired_differences(
    names: Sequence[str],
    designs: Mapping[str, DesignRuns],
    seeds: Sequence[int],
    reference: str,
    confirmatory: Collection[str],
) -> Differences:
    """Every design minus the reference at the same seed, tested, and not yet judged: see `judged_differences`.

    names: of the M quantities, "<score>" or "<difference>/<attribute>". By chance a gap is the larger the nearer rates
    are to one half, so that differences are those of gaps less their floors: `value` and the single seeds;
    `uncorrected` is the difference of the gaps as they are. standard_error, degrees_of_freedom and p_value are for new
    seeds and new images (`estimates`); seed_sd is of the paired differences, image_se of their mean. p_sign_flip and,
    within the family, p_sign_flip_adjusted (max-T) are for new seeds on this test set alone (`sign_flip_tests`);
    smallest_p is the least that so many seeds admit. family: confirmatory of the quantities of that name, otherwise
    exploratory.
    """
    others = [design for design in designs if design != reference]
    tables, points, paired = [], [], []
    for design in others:
        run, base = designs[design], designs[reference]
        place = placed(named(names), design=design, reference=reference)
        table, observed, _ = contrasted(names, [(1, run), (-1, base)], confirmatory)
        tables.append(pd.concat([place, table], axis=1))
        points += [place.assign(seed=seed, value=values) for seed, values in zip(seeds, observed, strict=True)]
        paired.append(observed)
    if not others:
        return Differences(
            pd.DataFrame(columns=[*DIFFERENCE_COLUMNS, "degenerate"]), pd.DataFrame(columns=list(POINT_COLUMNS))
        )
    table = _with_sign_flips(pd.concat(tables, ignore_index=True), np.concatenate(paired, axis=1))
    return Differences(table, pd.concat(points, ignore_index=True)[list(POINT_COLUMNS)])


def contrasted(
    names: Sequence[str], parts: Sequence[tuple[int, DesignRuns]], confirmatory: Collection[str]
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A signed sum of designs at the same seeds: the columns of `paired_differences` that need no sign flips, a row for
    each of the M quantities, and the sums less their floors, (S, M) by seed and (B, S, M) on resampled images."""
    uncorrected, values, floors = signed_sums(parts)
    observed = uncorrected - floors
    found = estimates(observed, values - floors)
    of_gaps = np.array(["/" in name for name in names], dtype=bool)
    table = pd.DataFrame(
        {
            "seeds": len(observed),
            "value": found.value,
            "uncorrected": uncorrected.mean(axis=0),
            "standard_error": found.standard_error,
            "degrees_of_freedom": found.degrees_of_freedom,
            "seed_sd": seed_sd(observed),
            "image_se": image_se(values),
            "p_value": found.p_value,
            "undefined_cells": np.max([runs.undefined_cells for _, runs in parts], axis=0),
            "degenerate": of_gaps & any(runs.degenerate for _, runs in parts),
            "family": np.where([name in confirmatory for name in names], CONFIRMATORY, EXPLORATORY),
        }
    )
    return table, observed, values - floors


def signed_sums(parts: Sequence[tuple[int, DesignRuns]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A signed sum of designs at the same seeds: of gaps as they are, (S, M), on resampled images, (B, S, M), and of
    their floors, (M,), which are 0 where nothing differs."""
    uncorrected, values, floors = (
        np.sum([sign * getattr(runs, field) for sign, runs in parts], axis=0)
        for field in ("observed", "values", "floors")
    )
    # gaps that are the same run by run on all resampled images on which they are defined differ in nothing, though
    # their floors may: those are permuted, and know of images, too, that decide on no gap
    same = (uncorrected == 0).all(axis=0) & (np.nan_to_num(values) == 0).all(axis=(0, 1))
    return uncorrected, values, np.where(same, 0.0, floors)


def named(names: Sequence[str]) -> pd.DataFrame:
    """The columns metric, attribute and class of quantities with these names."""
    parts = [name.partition("/") for name in names]
    return pd.DataFrame(
        {
            "metric": [metric for metric, _, _ in parts],
            "attribute": [attribute for _, _, attribute in parts],
            "class": [MAX_OVER_CLASSES if attribute else "" for _, _, attribute in parts],
        }
    )


def placed(table: pd.DataFrame, **place: str) -> pd.DataFrame:
    """The table with constant columns before its own."""
    return pd.concat([pd.DataFrame(place, index=table.index), table], axis=1)


def _with_sign_flips(table: pd.DataFrame, differences: np.ndarray) -> pd.DataFrame:
    """differences: (S, rows). Signs are flipped together within the confirmatory family alone: the joint p-value is of
    a family."""
    p_value, joint = np.full((2, len(table)), np.nan)
    confirmatory = table["family"].eq(CONFIRMATORY).to_numpy()
    for family in (confirmatory, ~confirmatory):
        tested = sign_flip_tests(differences[:, family])
        p_value[family] = tested.p_value
        joint[family] = np.where(confirmatory[family], tested.p_max_t, np.nan)
    return table.assign(p_sign_flip=p_value, p_sign_flip_adjusted=joint, smallest_p=tested.smallest_p)


def judged_differences(
    table: pd.DataFrame,
    delta: float,
    alpha: float = ALPHA,
    farthest: float = 1.0,
    found: Estimates | EstimatesInParts | None = None,
) -> pd.DataFrame:
    """Rows of `paired_differences`, of one arm or several, with adjusted p-values, intervals and verdicts.

    farthest: how far from 0 a quantity can lie, which its interval is cut to: 1 of differences of scores and gaps.
    found: what the p-values and intervals come from, (rows,); by default the columns of `Estimates`.

    p_adjusted: `sidak` within the confirmatory family, `benjamini_hochberg` within the exploratory one. lower, upper:
    intervals for new seeds and new images that exclude 0 exactly where p_adjusted <= alpha: simultaneous ones within
    the confirmatory family (`sidak_level`), otherwise those that belong to Benjamini-Hochberg (`selected_level`).
    p_sign_flip_adjusted of the exploratory family is Benjamini-Hochberg's, too.

    verdict, with its scope:

    - degenerate: a gap of a run that predicts one class only; there is no verdict,
    - undefined: a run has no such number,
    - no_claim_possible: fewer than LEAST_SEEDS seeds,
    - established (new seeds and new images): p_adjusted <= alpha,
    - established_on_this_test_set (this test set): p_sign_flip_adjusted <= alpha alone; other images may not show it,
    - equivalent (new seeds and new images): the interval lies between -delta and delta, two one-sided tests
      (Schuirmann 1987), and no rate behind the gaps is undefined,
    - not_established.
    """
    confirmatory = table["family"].eq(CONFIRMATORY).to_numpy()
    found = found or Estimates(*(table[name].to_numpy(float) for name in Estimates._fields))
    p_value, of_flips = found.p_value, table["p_sign_flip_adjusted"].to_numpy(float).copy()
    adjusted, level = np.full((2, len(table)), alpha)
    adjusted[confirmatory] = sidak(p_value[confirmatory])
    level[confirmatory] = sidak_level(int((~np.isnan(p_value[confirmatory])).sum()), alpha)
    adjusted[~confirmatory] = benjamini_hochberg(p_value[~confirmatory])
    level[~confirmatory] = selected_level(p_value[~confirmatory], alpha)
    of_flips[~confirmatory] = benjamini_hochberg(table["p_sign_flip"].to_numpy(float)[~confirmatory])
    lower, upper = (np.clip(end, -farthest, farthest) for end in found.interval(level))
    within = (lower > -delta) & (upper < delta) & table["undefined_cells"].eq(0).to_numpy()
    verdict = np.select(
        [
            table["degenerate"].to_numpy(bool),
            np.isnan(adjusted),
            table["seeds"].to_numpy() < LEAST_SEEDS,
            adjusted <= alpha,
            of_flips <= alpha,
            within,
        ],
        [DEGENERATE, UNDEFINED, NO_CLAIM_POSSIBLE, ESTABLISHED, ESTABLISHED_HERE, EQUIVALENT],
        NOT_ESTABLISHED,
    )
    scope = np.select(
        [verdict == ESTABLISHED_HERE, table["seeds"].to_numpy() == 1],
        [THIS_TEST_SET, THESE_MODELS],
        NEW_SEEDS_AND_IMAGES,
    )
    return table.drop(columns="degenerate").assign(
        lower=lower, upper=upper, p_adjusted=adjusted, p_sign_flip_adjusted=of_flips, verdict=verdict, scope=scope
    )
