"""The smallest and the largest gap between groups among rules that are nearly the best: what lies in the data.

Groups differ in age, so a rule that chooses by age alone has gaps. They are not those of one rule: many rules are as
good, for all that one test set could tell. Rules, kinds and masses are those of `best_rules`; the rates of a rule are
in expectation over the labels, and linear in it:

    SR(g, c)  = sum_i q[i, c] sum_k J[g, i, k] / sum_ik J[g, i, k]
    TPR(g, c) = sum_i q[i, c] J[g, i, c] / sum_i J[g, i, c]
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, linprog

from fairprof.metrics.best_rules import best_rule, macro_f1, tangent
from fairprof.metrics.performance import divide

NEAR_BEST = 0.01  # of macro-F1: how far below the best those rules may be that count as nearly the best
SMALLEST_GAIN, SMALLEST_RADIUS = 1e-6, 1e-3  # at which the search for a rule ends
LINEARISATION_ERROR = 0.01  # by which a first program may understate the gap that its pair of groups can have
BISECTIONS = 60


class GapRange(NamedTuple):
    """The smallest and the largest gap, and rules (I, K) that have them."""

    lowest: float
    highest: float
    lowest_rule: np.ndarray
    highest_rule: np.ndarray


def selection_shares(by_group: np.ndarray) -> np.ndarray:
    """(G, I, K) shares with SR(g, c) = sum_i shares[g, i, c] q[i, c]; by_group: masses J (G, I, K)."""
    sizes = by_group.sum(axis=2, keepdims=True)
    return np.broadcast_to(
        divide(sizes, np.broadcast_to(sizes.sum(axis=1, keepdims=True), sizes.shape)), by_group.shape
    )


def true_positive_shares(by_group: np.ndarray) -> np.ndarray:
    """The same of TPR(g, c); NaN where the class cannot occur in the group."""
    return divide(by_group, np.broadcast_to(by_group.sum(axis=1, keepdims=True), by_group.shape))


SHARES = {
    "demographic_parity_difference": selection_shares,
    "equal_opportunity_difference": true_positive_shares,
}


def gap_of(shares: np.ndarray, rule: np.ndarray) -> float:
    """max_c (max_g - min_g) of the rates of a rule (I, K); shares: (G, I, K), NaN where a rate is undefined.

    A class counts where at least two groups have the rate; NaN where there is none.
    """
    rates = np.einsum("gik,ik->gk", shares, rule)
    defined = ~np.isnan(rates)
    spans = np.where(defined, rates, -np.inf).max(axis=0) - np.where(defined, rates, np.inf).min(axis=0)
    comparable = defined.sum(axis=0) >= 2
    return float(spans[comparable].max()) if comparable.any() else np.nan


def gap_range(joint: np.ndarray, shares: np.ndarray, within: float = NEAR_BEST) -> GapRange:
    """The smallest and the largest gap among the rules whose expected macro-F1 is at most `within` below the best.

    joint: (I, K) masses in which every class occurs. shares: (G, I, K), of SHARES; all is NaN where no class has two
    groups to compare. The smallest gap is a linear program; the largest is the largest of one for every class and
    ordered pair of groups, of which those are solved that `_pairs_by_bound` leaves in question. That macro-F1 is not
    linear is allowed for by `_improved`: the rules that are returned truly are within `within`, and searches from
    elsewhere find no rule with a gap outside the range by .001.
    """
    best = best_rule(joint)
    unchanged = gap_of(shares, best.rule)
    if np.isnan(unchanged) or joint.shape[1] == 1:  # nothing to compare, or one rule only
        return GapRange(unchanged, unchanged, best.rule, best.rule)
    improved = partial(_improved, joint, best.rule, best.macro_f1 - within)
    lowest_rule = improved(_program_of_smallest_gap(shares))
    highest, highest_rule = unchanged, best.rule
    for objective, bound in _pairs_by_bound(joint, best.rule, shares, within):
        if bound + LINEARISATION_ERROR < highest:
            break
        found = improved(_program_of_largest(objective))
        if gap_of(shares, found) > highest:
            highest, highest_rule = gap_of(shares, found), found
    return GapRange(gap_of(shares, lowest_rule), highest, lowest_rule, highest_rule)


# Successive linear programs.


class _Program(NamedTuple):
    """Minimise cost @ x subject to rows @ x <= 0, 0 <= x <= 1; x: a rule (I, K), row by row, and helping variables.

    of_rule: the smallest cost that the helping variables leave to a rule.
    """

    cost: np.ndarray
    rows: np.ndarray
    of_rule: Callable[[np.ndarray], float]


def _program_of_largest(objective: np.ndarray) -> _Program:
    """The rule with the largest sum of objective (I, K) times rule."""
    cost = -objective.ravel()
    return _Program(cost, np.zeros((0, objective.size)), lambda rule: float(cost @ rule.ravel()))


def _program_of_smallest_gap(shares: np.ndarray) -> _Program:
    """The rule with the smallest gap t: every rate of class c lies between l_c and l_c + t."""
    groups, kinds, classes = shares.shape
    helping = np.eye(classes + 1)  # l_c, then t
    rows = []
    for group in range(groups):
        for label in range(classes):
            if not np.isnan(shares[group, :, label]).any():
                rate = np.zeros((kinds, classes))
                rate[:, label] = shares[group, :, label]
                rows.append(np.concatenate((-rate.ravel(), helping[label])))
                rows.append(np.concatenate((rate.ravel(), -helping[label] - helping[-1])))
    cost = np.concatenate((np.zeros(kinds * classes), helping[-1]))
    return _Program(cost, np.array(rows), partial(gap_of, shares))


def _improved(joint: np.ndarray, best: np.ndarray, least: float, program: _Program) -> np.ndarray:
    """The rule (I, K) of the smallest cost among those whose macro-F1 is at least `least`, from the best rule on by
    successive linear programming (Griffith and Stewart 1961).

    Each program takes macro-F1 as its tangent at the rule found so far, and its solution is mixed with the best rule
    until macro-F1 itself is large enough. F1 is linear at given shares of the predicted classes, so that it is those
    that a step may change by no more than a radius, which shrinks where a step gains nothing.
    """
    rule, radius = best, 1.0
    while radius > SMALLEST_RADIUS:
        proposed = _solution(joint, rule, least, program, radius)
        mixed = rule if proposed is None else _mixed(joint, best, proposed, least)
        if program.of_rule(mixed) < program.of_rule(rule) - SMALLEST_GAIN:
            rule = mixed
        else:
            radius /= 4
    return rule


def _solution(joint: np.ndarray, rule: np.ndarray, least: float, program: _Program, radius: float) -> np.ndarray | None:
    """(I, K) the rule of the program, with macro-F1 as its tangent at `rule`; None where there is none."""
    kinds, classes = joint.shape
    slopes = tangent(joint, rule)
    of_kind, of_class = np.kron(np.eye(kinds), np.ones(classes)), np.kron(joint.sum(axis=1), np.eye(classes))
    predicted = joint.sum(axis=1) @ rule
    rows = np.vstack((-slopes.ravel(), of_class, -of_class))
    limits = np.concatenate(
        ([macro_f1(joint, rule) - least - (slopes * rule).sum()], predicted + radius, radius - predicted)
    )
    helping = ((0, 0), (0, len(program.cost) - rule.size))
    found = linprog(
        program.cost,
        np.vstack((np.pad(rows, helping), program.rows)),
        np.concatenate((limits, np.zeros(len(program.rows)))),
        np.pad(of_kind, helping),
        np.ones(kinds),
        bounds=(0, 1),
    )
    return None if found.x is None else found.x[: rule.size].reshape(rule.shape)


def _mixed(joint: np.ndarray, best: np.ndarray, rule: np.ndarray, least: float) -> np.ndarray:
    """The mixture of a rule with the best one that has as much of it as leaves macro-F1 at least `least`."""

    def spare(share: float) -> float:
        return macro_f1(joint, best + share * (rule - best)) - least

    if spare(1.0) >= 0:
        return rule
    share = brentq(spare, 0.0, 1.0)
    while spare(share) < 0:  # by rounding
        share *= 1 - 1e-9
    return best + share * (rule - best)


def _pairs_by_bound(
    joint: np.ndarray, best: np.ndarray, shares: np.ndarray, within: float
) -> list[tuple[np.ndarray, float]]:
    """For every class and ordered pair of groups the objective (I, K), which is the difference of their rates, and the
    largest it can be with macro-F1 as its tangent at the best rule; the largest first.

    With one inequality beside the shares of each kind, the dual of the linear program has one variable: it is the
    smallest, over prices >= 0 of macro-F1, of a convex function, found for all of them at once by ternary search.
    """
    groups, _, classes = shares.shape
    slopes = tangent(joint, best)
    least = (slopes * best).sum() - within
    defined = ~np.isnan(shares).any(axis=1)
    pairs = ~np.eye(groups, dtype=bool)[:, :, None] & defined[:, None] & defined[None]
    one, other, label = np.nonzero(pairs)
    difference = shares[one, :, label] - shares[other, :, label]
    of_label = slopes.T[label]
    of_others = np.where(np.eye(classes, dtype=bool)[:, None], -np.inf, slopes).max(axis=2)[label]

    def dual(price: np.ndarray) -> np.ndarray:
        price = price[:, None]
        return np.maximum(difference + price * of_label, price * of_others).sum(axis=1) - price[:, 0] * least

    low, high = np.full(len(label), -5.0), np.full(len(label), 5.0)  # powers of ten
    for _ in range(BISECTIONS):
        third = (high - low) / 3
        falls = dual(10 ** (low + third)) > dual(10 ** (high - third))
        low, high = np.where(falls, low + third, low), np.where(falls, high, high - third)
    bounds = np.minimum(dual(10**low), dual(np.zeros(len(low))))
    objectives = difference[:, :, None] * np.eye(classes)[label][:, None]
    order = np.argsort(-bounds, kind="stable")
    return list(zip(objectives[order], bounds[order], strict=True))
