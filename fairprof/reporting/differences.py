"""What may be said of differences between designs: a sentence for each, by its verdict, and the whole in short."""

from collections.abc import Callable, Iterable

import pandas as pd

from fairprof.inference.levelling_down import GAIN_MARGIN
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES, THESE_MODELS
from fairprof.inference.planning import LEAST_SEEDS, RECOMMENDED_SEEDS
from fairprof.reporting.names import CLASS_NAMES, SCORE_NAMES, VERDICT_NAMES, gap_name, name_of
from fairprof.reporting.wording import (
    counted,
    designs_named,
    enumerated,
    estimate,
    number,
    p_value,
    short,
    signed,
)

IDENTITY = ["design", "metric", "attribute", "class"]


# A sentence for each test.


def difference_sentence(row, delta: float, gaps: pd.DataFrame) -> str:
    """One difference between gaps of two designs: a row of `rows_of` a judged table of differences.

    gaps: those of the designs (design, metric, attribute, class, null_mean, null_q95), of the arm of the row.
    """
    if row.verdict == "degenerate":
        return (
            f"Degenerate: a model of design {row.design} or {row.reference} predicts one class for every image; "
            f"nothing is said of their difference in the {gap_of(row)}."
        )
    addition = {
        "no_claim_possible": f"; {counted(row.seeds, 'seed')} are too few, {LEAST_SEEDS} are the least",
        "equivalent": f"; its interval lies between {signed(-delta)} and {signed(delta)}",
    }.get(row.verdict, "")
    return (
        f"{_scoped(row)}: the {gap_of(row)} ({CLASS_NAMES[row.class_]}) of design {row.design} minus that of design "
        f"{row.reference}, each less its noise floor, is {difference_of(row)}, mean over "
        f"{counted(row.seeds, 'paired seed')}; {_adjusted(row)}; as measured it is {signed(row.uncorrected)}, the "
        f"noise floor of the gap being {_floor(row, row.design, gaps)}, {_floor(row, row.reference, gaps)}{addition}."
    )


def _scoped(row) -> str:
    """The verdict of a difference with what it holds for."""
    scoped = row.verdict in ("established", "equivalent")
    return VERDICT_NAMES[row.verdict].capitalize() + (f" for {row.scope}" if scoped else "")


def _adjusted(row) -> str:
    scope = THESE_MODELS if row.seeds == 1 else NEW_SEEDS_AND_IMAGES
    return (
        f"adjusted {p_value(row.p_adjusted)} ({scope}), {p_value(row.p_sign_flip_adjusted)} (this test set, sign flips)"
    )


def _floor(row, design: str, gaps: pd.DataFrame) -> str:
    """The noise floor, in one design, of the gap that a difference is about."""
    gap = [design, row.metric, row.attribute, row.class_]
    mean, quantile = gaps.loc[gaps[IDENTITY].eq(gap).all(axis=1), ["null_mean", "null_q95"]].mean()
    return f"{number(mean)} (95 % quantile {number(quantile)}) in {design}"


def score_sentence(row) -> str:
    """One difference between scores of two designs, which is exploratory."""
    verdict = {
        "established": f"stands out for {row.scope}, and is to be confirmed by a study of its own",
        "established_on_this_test_set": "stands out on this test set only",
        "equivalent": f"equivalent for {row.scope}",
        "no_claim_possible": f"no claim possible with {counted(row.seeds, 'seed')}",
    }.get(row.verdict, VERDICT_NAMES[row.verdict])
    return (
        f"Exploratory: the {SCORE_NAMES[row.metric]} of design {row.design} minus that of design {row.reference} is "
        f"{difference_of(row)}, mean over {counted(row.seeds, 'paired seed')}; {p_value(row.p_value)}, "
        f"adjusted {p_value(row.p_adjusted)} (Benjamini-Hochberg): {verdict}."
    )


def levelling_down(levelled: pd.DataFrame) -> Iterable[str]:
    """levelled: of `fairprof.inference.levelling_down.levelled_down`."""
    for row in levelled.itertuples():
        yield (
            f"Levelling down, established for {NEW_SEEDS_AND_IMAGES}: the {gap_of(row)} of design {row.design} is "
            f"smaller than that of design {row.reference} ({signed(row.value)}, adjusted {p_value(row.p_adjusted)}), "
            f"and no group's accuracy is higher by {short(GAIN_MARGIN)}: the simultaneous upper ends of the changes "
            f"reach {signed(row.largest_upper)} ({row.group})."
        )


# The whole in short.


def possibility_of_claims(differences: pd.DataFrame, reference: str) -> str:
    """Whether so many seeds allow a claim between designs at all; differences: confirmatory ones."""
    if differences.empty:
        return (
            f"No claim between designs is possible: there is no pair of designs, one of them {reference}, "
            "that were trained with the same seed."
        )
    seeds = differences.groupby("design", sort=False)["seeds"].max()
    able = seeds[seeds >= LEAST_SEEDS]
    least = f"{LEAST_SEEDS} are the least, {RECOMMENDED_SEEDS} are recommended"
    if able.empty:
        at_most = "" if seeds.nunique() == 1 else "at most "
        return f"With {at_most}{counted(seeds.max(), 'seed')} no claim between designs is possible: {least}."
    unable = seeds[seeds < LEAST_SEEDS]
    for_whom = f" for {designs_named(list(able.index))}" if len(unable) else ""
    text = f"With {counted(able.min(), 'seed')} claims between designs are possible{for_whom}"
    if len(unable):
        number_of_seeds = enumerated(counted(number, "seed") for number in unable)
        text += f", not for {designs_named(list(unable.index))} with {number_of_seeds}"
    return f"{text}: {least}."


def differences_in_short(differences: pd.DataFrame, reference: str, delta: float) -> str:
    """How many confirmatory differences have which verdict; empty where no claim is possible."""
    tested = differences[differences["verdict"].ne("no_claim_possible")]
    shown = " (design minus reference, adjusted p)"
    parts = by_verdict(
        tested,
        {
            "established": f" for {NEW_SEEDS_AND_IMAGES}{shown}",
            "established_on_this_test_set": f", which other images may not show{shown}",
            "equivalent": f" (within {short(delta)} of each other for {NEW_SEEDS_AND_IMAGES})",
        },
        {
            "established": lambda row: f"{row.design} ({signed(row.value)}, {p_value(row.p_adjusted)})",
            "established_on_this_test_set": lambda row: (
                f"{row.design} ({signed(row.value)}, {p_value(row.p_sign_flip_adjusted)})"
            ),
        },
    )
    tests = counted(len(differences), "confirmatory difference")
    return f"Of {tests} from design {reference}, {parts}." if parts else ""


def by_verdict(rows: pd.DataFrame, remarks: dict[str, str], shown: dict[str, Callable]) -> str:
    """How many rows have each verdict, and which: a remark and a text for a row, where given, by verdict."""
    parts = []
    for verdict in VERDICT_NAMES:
        judged = rows[rows["verdict"].eq(verdict)]
        if len(judged):
            text = shown.get(verdict, lambda row: row.design)
            named = ", ".join(
                f"{gap_of(same[0])} in {enumerated(map(text, same))}"
                for same in (list(rows_of(some)) for _, some in judged.groupby(["metric", "attribute"], sort=False))
            )
            verb = "is" if len(judged) == 1 else "are"
            parts.append(f"{len(judged)} {verb} {VERDICT_NAMES[verdict]}{remarks.get(verdict, '')}: {named}")
    return "; ".join(parts)


def levelling_down_in_short(levelled: pd.DataFrame) -> str:
    """Where a design has levelled down; empty where none has."""
    if levelled.empty:
        return ""
    where = dict.fromkeys(f"{row.design} by {name_of(row.attribute)}" for row in levelled.itertuples())
    return f"Levelling down, a smaller gap from which no group gains, is established in {enumerated(list(where))}."


# Rows.


def rows_of(table: pd.DataFrame) -> Iterable:
    """The rows as named tuples, the column class as class_."""
    # "class" is a keyword, so no attribute of a named tuple
    return table.rename(columns={"class": "class_"}).itertuples(index=False)


def gap_of(row) -> str:
    """ "equal opportunity difference by race": what a row is about."""
    return gap_name(row.metric, row.attribute)


def difference_of(row) -> str:
    """ "−.084 [−.120, −.046]"."""
    return estimate(row.value, row.lower, row.upper, signed)
