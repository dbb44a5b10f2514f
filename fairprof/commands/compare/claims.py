"""What a comparison allows to be said: one sentence per tested gap and difference, with the numbers it rests on."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from fairprof.commands.compare.answer import banners, quotable
from fairprof.commands.compare.protocol import Protocol
from fairprof.inference.levelling_down import levelled_down
from fairprof.inference.levels import ALPHA
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES, THESE_MODELS
from fairprof.inference.planning import SeedPlan
from fairprof.metrics.gap_ranges import NEAR_BEST
from fairprof.reporting.differences import (
    IDENTITY,
    by_verdict,
    difference_of,
    difference_sentence,
    differences_in_short,
    gap_of,
    levelling_down,
    levelling_down_in_short,
    possibility_of_claims,
    rows_of,
    score_sentence,
)
from fairprof.reporting.names import (
    CLASS_NAMES,
    KNOWN_TO_RULES,
    SCORE_NAMES,
    VERDICT_NAMES,
    gap_name,
)
from fairprof.reporting.verdicts import confirmatory, weak_rates
from fairprof.reporting.who import who_differs
from fairprof.reporting.wording import (
    capitalised,
    count,
    counted,
    designs_named,
    enumerated,
    estimate,
    number,
    of_ceiling,
    p_value,
    seeds_named,
    short,
    span,
)


@dataclass(frozen=True)
class Claim:
    """What is said of one gap or one difference. verdict: of VERDICT_NAMES; sentence: all its numbers."""

    verdict: str
    sentence: str


@dataclass(frozen=True)
class Claims:
    """What a comparison allows to be said.

    answer: two or three sentences to be quoted; banners: what has to be known before. in_full: all of it in short.
    possibility: whether a claim between designs can be made at all.
    label_bias, cue_gap: that labels were biased, and that age was drawn more faintly on dark skin, on purpose; empty
    where they were not. seeds: which were not planned or are missing, and what that means; empty where all is as
    planned. gaps: the confirmatory family within
    designs. differences: the confirmatory family between designs. scores: exploratory differences of the scores.
    other_arms: what established differences are in the other arms. levelling_down: smaller gaps that no group gains
    from. weak_rates: how many rates are undefined or rest on few images. gap_scope, difference_scope: what a claim
    generalises to.
    """

    answer: tuple[str, ...]
    banners: tuple[str, ...]
    in_full: tuple[str, ...]
    possibility: str
    label_bias: str
    cue_gap: str
    seeds: str
    gaps: tuple[Claim, ...]
    differences: tuple[Claim, ...]
    scores: tuple[Claim, ...]
    other_arms: tuple[str, ...]
    levelling_down: tuple[str, ...]
    weak_rates: str
    gap_scope: str
    difference_scope: str


def claims(tables: dict[str, pd.DataFrame], protocol: Protocol) -> Claims:
    """The claims of a comparison: a function of its tables `performance`, `gaps`, `differences` and, where there are
    such, `group_changes` and `runs`.

    Confirmatory rows alone become claims; the scores' differences are told as exploratory. A test that does not
    reject is "not established", whatever its estimate. Raises `ValueError` where a table is missing.
    """
    for name in ("performance", "gaps", "differences"):
        if name not in tables:
            raise ValueError(f"tables has no {name!r} but {sorted(tables)}; compute it first")
    gaps, main_gaps = confirmatory(tables["gaps"]), _of_main_arm(tables["gaps"], protocol)
    differences = confirmatory(tables["differences"])
    possibility = possibility_of_claims(differences, protocol.reference)
    label_bias, cue_gap = label_bias_told(protocol), cue_gap_told(protocol)
    seeds = seeds_told(protocol.seed_plan) if protocol.seed_plan else ""
    levelled = _levelled_down(tables, protocol)
    weak_rates = _weak_rates(gaps, protocol)
    told = (_degenerate(gaps), label_bias, cue_gap, seeds, _too_few_permutations(gaps, protocol).strip())
    return Claims(
        answer=quotable(tables, protocol),
        banners=banners(gaps, protocol, told),
        in_full=tuple(
            sentence
            for sentence in (
                _degenerate(gaps),
                label_bias,
                cue_gap,
                seeds,
                differences_in_short(differences, protocol.reference, protocol.delta),
                _gaps_in_short(gaps, protocol),
                _gaps_in_the_data(protocol),
                levelling_down_in_short(levelled),
                possibility,
                _performance(tables["performance"], protocol),
                _setup(tables, protocol),
                weak_rates,
            )
            if sentence
        ),
        possibility=possibility,
        label_bias=label_bias,
        cue_gap=cue_gap,
        seeds=seeds,
        gaps=tuple(Claim(row.verdict, _gap_sentence(row, tables.get("contrasts"), protocol)) for row in rows_of(gaps)),
        differences=tuple(
            Claim(row.verdict, difference_sentence(row, protocol.delta, main_gaps)) for row in rows_of(differences)
        ),
        scores=tuple(Claim(row.verdict, score_sentence(row)) for row in rows_of(_scores(tables, protocol))),
        other_arms=tuple(_other_arms(tables["differences"], differences)),
        levelling_down=tuple(levelling_down(levelled)),
        weak_rates=weak_rates,
        gap_scope=_gap_scope(gaps, protocol),
        difference_scope=_difference_scope(protocol),
    )


# Rows.


def _of_main_arm(table: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    return table[table["arm"].eq(protocol.main_arm)]


def _scores(tables: dict[str, pd.DataFrame], protocol: Protocol) -> pd.DataFrame:
    rows = _of_main_arm(tables["differences"], protocol)
    return rows[rows["metric"].isin(SCORE_NAMES)]


# A sentence for each test.


def _gap_sentence(row, contrasts: pd.DataFrame | None, protocol: Protocol) -> str:
    if row.verdict == "degenerate":
        return (
            f"Degenerate: a model of design {row.design} predicts one class for every image, which is equal between "
            f"all groups; nothing is said of the {gap_of(row)}."
        )
    margin = f"delta {short(row.delta)}"
    addition = {
        "established": f"; its upper band {number(row.upper)} lies below {margin}: it is there, and smaller than that"
        if row.below_delta
        else "",
        "equivalent": f"; its upper band {number(row.upper)} lies below {margin}",
        "not_established": _not_small(row, margin),
        "undefined": "; there are no two groups to compare",
    }[row.verdict]
    scope = f" for {row.scope}" if row.verdict in ("established", "equivalent") else ""
    return (
        f"{VERDICT_NAMES[row.verdict].capitalize()}{scope}: the {gap_of(row)} of design {row.design} is "
        f"{number(row.value)} ({CLASS_NAMES[row.class_]}, mean over {counted(row.seeds, 'seed')}); "
        f"adjusted {p_value(row.p_adjusted)} (Holm){_who(row, contrasts)}; noise floor {number(row.null_mean)}, 95 % "
        f"quantile {number(row.null_q95)}{addition}{_weak_rates_of(row, protocol)}."
    )


def _not_small(row, margin: str) -> str:
    if row.upper < row.delta:
        return f"; its upper band {number(row.upper)} lies below {margin}, but a rate is undefined"
    return f"; its upper band {number(row.upper)} does not lie below {margin}"


def _who(row, contrasts: pd.DataFrame | None) -> str:
    """Who differs from the rest in an established gap, with the images that it rests on."""
    if row.verdict != "established" or contrasts is None:
        return ""
    of_design = contrasts[contrasts["arm"].eq(row.arm) & contrasts["design"].eq(row.design)]
    who = who_differs(of_design, row.metric, row.attribute)
    return f"; {who}" if who else ""


def _weak_rates_of(row, protocol: Protocol) -> str:
    parts = []
    if row.undefined_cells:
        parts.append(f"{counted(row.undefined_cells, 'rate')} undefined")
    if row.insufficient_cells:
        parts.append(f"{counted(row.insufficient_cells, 'rate')} on fewer than {protocol.min_support} images")
    return f"; {enumerated(parts)}" if parts else ""


def _other_arms(every: pd.DataFrame, confirmatory: pd.DataFrame) -> Iterable[str]:
    """What the established differences are where the training sets have another size."""
    for claim in rows_of(confirmatory[confirmatory["verdict"].eq("established")]):
        gap = [claim.design, claim.metric, claim.attribute, claim.class_]
        same = every[every[IDENTITY].eq(gap).all(axis=1) & every["arm"].ne(claim.arm)]
        for row in rows_of(same):
            yield (
                f"Exploratory: in the arm {row.arm} the {gap_of(row)} ({CLASS_NAMES[row.class_]}) of design "
                f"{row.design} minus that of design {row.reference} is {difference_of(row)}, mean over "
                f"{counted(row.seeds, 'paired seed')}; adjusted {p_value(row.p_adjusted)} (Benjamini-Hochberg): "
                f"{VERDICT_NAMES[row.verdict]}."
            )


# The whole in short.


def seeds_told(plan: SeedPlan) -> str:
    """Which seeds were added to those that were planned, or are missing, and what that means, in sentences; empty where
    all is as planned."""
    sentences = []
    if plan.later:
        verb = "was" if len(plan.later) == 1 else "were"
        looked = f"after {counted(plan.looked_at, 'seed')} had been looked at"
        sentences.append(f"{seeds_named(plan.later).capitalize()} {verb} added {looked}.")
    if plan.left_out:
        sentences.append(
            f"The confirmatory tests rest on {seeds_named(plan.tested)} alone, as the first plan that allowed a claim "
            "said: adding seeds until something is established would establish too much. What the others add is "
            "exploratory."
        )
    elif plan.later:
        sentences.append(
            "So few allow no claim, and nobody can have waited for one: the tests use "
            f"{'both' if len(plan.tested) == 2 else f'all {len(plan.tested)}'} seeds."
        )
    if plan.missing:
        verb = "was" if len(plan.missing) == 1 else "were"
        sentences.append(f"{seeds_named(plan.missing).capitalize()} {verb} planned and {verb} not compared.")
    return " ".join(sentences)


def _degenerate(gaps: pd.DataFrame) -> str:
    """Said first: gaps of a model that answers one class are 0, whatever the images."""
    designs = list(dict.fromkeys(gaps.loc[gaps["verdict"].eq("degenerate"), "design"]))
    if not designs:
        return ""
    named = designs_named(designs)
    return (
        f"{capitalised(named)} {'has' if len(designs) == 1 else 'have'} a model that predicts one class for "
        "every image: such a model is equal between groups whatever it is shown, and nothing is said of its gaps."
    )


def label_bias_told(protocol: Protocol) -> str:
    """That labels were biased on purpose; empty where they were not."""
    if protocol.label_bias == "none":
        return ""
    return (
        f"The labels were biased on purpose (label_bias={protocol.label_bias}, strength "
        f"{short(protocol.label_bias_strength)}): gaps in what follows include what was put there."
    )


def cue_gap_told(protocol: Protocol) -> str:
    """That age was drawn more faintly on dark skin on purpose; empty where it was not."""
    if not protocol.cue_gap:
        return ""
    return (
        f"The cues of age were made fainter on dark skin on purpose (cue_gap={short(protocol.cue_gap)}): gaps by race "
        "in what follows include what was put there."
    )


def _gaps_in_the_data(protocol: Protocol) -> str:
    """What of the gaps lies in the data; nothing where the labels' probabilities are unknown."""
    parts = [f"{gap_name(*name.split('/'))} {span(ends)}" for name, ends in protocol.gaps_in_the_data.items()]
    if not parts:
        return ""
    return (
        f"What lies in the data: rules that know {KNOWN_TO_RULES[protocol.label_bias]} and are expected to come within "
        f"{short(NEAR_BEST)} of the ceiling of macro-F1 have on these images, in expectation over the labels, "
        f"{enumerated(parts)}, whatever the design."
    )


def _setup(tables: dict[str, pd.DataFrame], protocol: Protocol) -> str:
    professions = (
        ", whose professions are pseudo-professions, drawn at random given the age bin"
        if protocol.pseudo_professions
        else ""
    )
    missing = len(protocol.failed)
    failed = f"; {counted(missing, 'run')} failed and {'is' if missing == 1 else 'are'} missing" if missing else ""
    designs = designs_named(protocol.designs)
    return (
        f"{capitalised(designs)} {'was' if len(protocol.designs) == 1 else 'were'} trained with "
        f"{counted(len(protocol.seeds), 'seed')}{_training_images(tables, protocol)} and scored on the same "
        f"{counted(protocol.test_images, 'test image')}{professions}{failed}."
    )


def _training_images(tables: dict[str, pd.DataFrame], protocol: Protocol) -> str:
    """How many images each design was trained on, in the main arm; empty where that is unknown."""
    if "runs" not in tables:
        return ""
    rows = _of_main_arm(tables["runs"], protocol)
    counts = rows.groupby("design", sort=False)["training_images"].mean()
    if counts.nunique() == 1:
        return f" on {count(counts.iloc[0])} images each"
    named = [f"{count(images)} ({design})" for design, images in counts.items()]
    return f" on {enumerated(named)} images" if named else ""


def _performance(performance: pd.DataFrame, protocol: Protocol) -> str:
    rows = _of_main_arm(performance, protocol)
    known = "macro_f1" in protocol.ceiling
    parts = [
        f"{estimate(row.value, row.lower, row.upper)} for {row.design}"
        + (f" ({of_ceiling(row.share_of_ceiling, row.share_above_chance)})" if known else "")
        for row in rows_of(rows[rows["metric"].eq("macro_f1")])
    ]
    ceiling = f"; {number(protocol.ceiling['macro_f1'])} is expected of the best rule (the ceiling)" if known else ""
    return f"Macro-F1 is {enumerated(parts)}{ceiling}." if parts else ""


def _gaps_in_short(gaps: pd.DataFrame, protocol: Protocol) -> str:
    parts = by_verdict(
        gaps,
        {
            "established": f" for {THESE_MODELS} (value, adjusted p)",
            "equivalent": f" for {THESE_MODELS} (upper band below {short(protocol.delta)})",
        },
        {
            "established": lambda row: f"{row.design} ({number(row.value)}, {p_value(row.p_adjusted)}{_small(row)})",
            "equivalent": lambda row: f"{row.design} ({number(row.upper)})",
        },
    )
    if not parts:
        return ""
    return (
        f"Of {counted(len(gaps), 'confirmatory gap')} within designs, {parts}.{_too_few_permutations(gaps, protocol)}"
    )


def _small(row) -> str:
    return f", yet below {short(row.delta)}" if row.below_delta else ""


def _too_few_permutations(gaps: pd.DataFrame, protocol: Protocol) -> str:
    tests = int(gaps["p_value"].notna().sum())
    smallest = tests / (protocol.permutations + 1)
    if smallest <= ALPHA:
        return ""
    least = math.ceil(round(tests / ALPHA, 6)) - 1
    return (
        f" With {counted(protocol.permutations, 'permutation')} no such gap can be established: the smallest adjusted "
        f"p-value of {counted(tests, 'test')} is {number(min(smallest, 1))}; {least:,} permutations are the least."
    )


# Levelling down, weak rates, and what a claim reaches.


def _levelled_down(tables: dict[str, pd.DataFrame], protocol: Protocol) -> pd.DataFrame:
    if "group_changes" not in tables:
        return levelled_down(tables["differences"][:0], pd.DataFrame())
    return levelled_down(_of_main_arm(tables["differences"], protocol), _of_main_arm(tables["group_changes"], protocol))


def _weak_rates(gaps: pd.DataFrame, protocol: Protocol) -> str:
    counts = weak_rates(gaps)
    return (
        f"Of the rates behind the confirmatory gaps, {count(counts['undefined_cells'])} are undefined and "
        f"{count(counts['insufficient_cells'])} rest on fewer than {counted(protocol.min_support, 'image')}."
    )


def _gap_scope(gaps: pd.DataFrame, protocol: Protocol) -> str:
    seeds = gaps["seeds"].max() if len(gaps) else len(protocol.seeds)
    return (
        "A gap within a design is tested by permuting the groups among the "
        f"{counted(protocol.test_images, 'test image')}, for which one seed is enough. What is established is about "
        f"{counted(seeds, 'trained model')} of each design and generalises to further test images of the same kind; it "
        f"does not generalise to further trainings.{_too_few_permutations(gaps, protocol)}"
    )


def _difference_scope(protocol: Protocol) -> str:
    return (
        f"A difference between designs is established where it holds for {NEW_SEEDS_AND_IMAGES}: its error takes in "
        "what varies with the seed (draw from this pool, initialisation, data order), with the "
        f"{counted(protocol.test_images, 'test image')}, and with both; intervals of the confirmatory family hold "
        "together. What is established on this test set only shows in further seeds on these very images (sign flips "
        "test that differences by seed are symmetric about zero), and may be luck of the images. Both take the seeds' "
        "noise as about symmetric: a reference whose seeds are much more skewed than those of other designs can pass "
        "for a difference."
    )
