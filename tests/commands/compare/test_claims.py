"""What a comparison says: every sentence against tables of known verdicts, worked by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.compare.claims import claims
from fairprof.commands.compare.protocol import Protocol
from fairprof.reporting.who import who_differs
from fairprof.reporting.wording import enumerated, number, p_value, percent, signed

DP, EO = "demographic_parity_difference", "equal_opportunity_difference"
MAX = "max_over_classes"
NAN = np.nan


def protocol(**changes) -> Protocol:
    settings = dict(
        title="made up",
        created="2026-01-02T03:04:05+00:00",
        study_key="0123",
        data="synthetic",
        settings={},
        hyperparameters_hash="4567",
        pool_fingerprint="89ab",
        test_fingerprint="cdef",
        weights="random",
        weights_sha256="none",
        classes=("student", "retired"),
        groups={"gender": ("Male", "Female")},
        test_images=500,
        designs=("A", "B"),
        seeds=(0, 1, 2, 3, 4, 5),
        arms=("natural",),
        reference="A",
        main_arm="natural",
        pseudo_professions=False,
        label_bias="none",
        label_bias_strength=0.15,
        cue_gap=0.0,
        ceiling={},
        permutations=999,
        replicates=1000,
        delta=0.05,
        min_support=30,
        versions={},
        git_commit="unknown",
        machine="none",
        failed=(),
    )
    return Protocol(**settings | changes)


def gap(**changes) -> dict:
    row = dict(arm="natural", design="A", attribute="race", metric=EO, seeds=6, value=0.214, null_mean=0.112)
    row |= {"class": MAX, "seed_sd": 0.01, "null_q95": 0.158, "excess": 0.102, "p_value": 0.001, "upper": 0.3}
    row |= dict(family="confirmatory", p_adjusted=0.003, delta=0.05, verdict="established", below_delta=False)
    return row | dict(scope="these models", undefined_cells=0, insufficient_cells=0) | changes


def difference(**changes) -> dict:
    row = dict(arm="natural", design="B", reference="A", metric=EO, attribute="race", seeds=6, value=-0.084)
    row |= {"class": MAX, "lower": -0.12, "upper": -0.046, "seed_sd": 0.02, "p_value": 0.03125, "smallest_p": 0.03125}
    row |= dict(uncorrected=-0.091, p_sign_flip=0.03125, p_sign_flip_adjusted=0.0625, scope="new seeds and new images")
    return row | dict(family="confirmatory", p_adjusted=0.012, verdict="established", undefined_cells=0) | changes


def score(**changes) -> dict:
    row = dict(arm="natural", design="A", metric="macro_f1", seeds=6, value=0.41, lower=0.39, upper=0.43)
    return row | dict(seed_sd=0.01, image_se=0.02, ceiling=NAN, share_of_ceiling=NAN, share_above_chance=NAN) | changes


def group_change(group: str, change: float, before: float, upper: float, **changes) -> dict:
    row = dict(arm="natural", design="B", reference="A", attribute="race", group=group, support=100)
    row |= dict(accuracy=before + change, reference_accuracy=before, change=change, lower=change - 0.02, upper=upper)
    return row | changes


def study(gaps=(), differences=(), scores=(), **tables) -> dict[str, pd.DataFrame]:
    """Tables with these rows; a table without rows keeps its columns."""
    filled = {
        "gaps": (gaps, gap()),
        "differences": (differences, difference()),
        "performance": (scores or [score(), score(design="B")], score()),
    }
    made = {name: pd.DataFrame(list(rows), columns=list(example)) for name, (rows, example) in filled.items()}
    return made | {name: pd.DataFrame(rows) for name, rows in tables.items()}


def sentences(said) -> list[str]:
    found = [*said.in_full, said.possibility, said.label_bias, *said.other_arms, *said.levelling_down, said.weak_rates]
    found += [claim.sentence for claim in (*said.gaps, *said.differences, *said.scores)]
    return [*found, said.gap_scope, said.difference_scope]


# Numbers as text.


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0434, ".043"), (-0.0216, "−.022"), (1, "1.000"), (1.2345, "1.234"), (-0.0001, ".000"), (NAN, "undefined")],
)
def test_numbers_have_three_decimals_and_no_leading_zero(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0434, "+.043"), (-0.0216, "−.022"), (0.0001, ".000"), (NAN, "undefined")]
)
def test_differences_have_a_sign_unless_they_are_zero(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.003, "p = .003"), (0.001, "p = .001"), (0.00099, "p < .001"), (1.0, "p = 1.000"), (NAN, "p undefined")],
)
def test_p_values_are_equal_to_or_below_a_number(value, text):
    assert p_value(value) == text


def test_percentages_and_lists():
    assert percent(0.7534) == "75.3 %"
    assert percent(NAN) == "undefined"
    assert [enumerated(list(items)) for items in ("A", "AB", "ABC")] == ["A", "A and B", "A, B and C"]


# Gaps within designs.


def contrast(group: str, class_: str, value: float, support: int, rest: float, rest_support: int, **changes) -> dict:
    row = dict(arm="natural", design="A", attribute="race", rate="true_positive_rate", group=group, value=value)
    row |= {"class": class_, "support": support, "rest": rest, "rest_support": rest_support, "contrast": value - rest}
    return row | dict(standard_error=0.1, p_adjusted=0.001, differs=True, evidence="sufficient") | changes


GAP = (
    "the equal opportunity difference by race of design A is .214 (largest over classes, mean over 6 seeds); adjusted "
)
FLOOR = "noise floor .112, 95 % quantile .158"
WHO = "retired: Monk 1-2, 2 of 11, against 35 of 36 of the rest"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({}, f"Established for these models: {GAP}p = .003 (Holm); {WHO}; {FLOOR}."),
        (
            {"below_delta": True, "upper": 0.04},
            f"Established for these models: {GAP}p = .003 (Holm); {WHO}; {FLOOR}; its upper band .040 lies below delta "
            ".05: it is there, and smaller than that.",
        ),
        (
            {"verdict": "equivalent", "p_adjusted": 0.4, "upper": 0.04},
            f"Equivalent for these models: {GAP}p = .400 (Holm); {FLOOR}; its upper band .040 lies below delta .05.",
        ),
        (
            {"verdict": "not_established", "p_adjusted": 0.4, "insufficient_cells": 2},
            f"Not established: {GAP}p = .400 (Holm); {FLOOR}; its upper band .300 does not lie below delta .05; 2 "
            "rates on fewer than 30 images.",
        ),
        (
            {"verdict": "not_established", "p_adjusted": 0.4, "upper": 0.04, "undefined_cells": 1},
            f"Not established: {GAP}p = .400 (Holm); {FLOOR}; its upper band .040 lies below delta .05, but a rate is "
            "undefined; 1 rate undefined.",
        ),
        (
            {"verdict": "degenerate", "value": 0.0, "p_adjusted": 1.0},
            "Degenerate: a model of design A predicts one class for every image, which is equal between all groups; "
            "nothing is said of the equal opportunity difference by race.",
        ),
    ],
    ids=["established", "below delta", "equivalent", "not established", "undefined rate", "degenerate"],
)
def test_a_gap_is_told_with_who_differs(row, sentence):
    found = [
        contrast("Monk 1-2", "retired", 2 / 11, 11, 35 / 36, 36),
        contrast("Monk 3-4", "retired", 0.9, 20, 0.8, 27, p_adjusted=0.4, differs=False),
        contrast("Monk 1-2", "retired", 0.1, 40, 0.3, 90, rate="selection_rate"),
        contrast("Monk 1-2", "retired", 0.1, 11, 0.9, 36, design="B"),
    ]
    (claim,) = claims(study([gap(**row)], contrasts=found), protocol()).gaps
    assert claim.sentence == sentence


def test_who_differs_is_named_once_of_two_and_the_surest_first():
    many = [contrast(f"g{number}", "student", 0.5, 10, 0.7, 50, p_adjusted=0.01 * number) for number in (4, 1, 3, 2, 0)]
    sentence = who_differs(pd.DataFrame(many), EO, "race")
    assert [part.split(",")[0] for part in sentence.split("; ")] == [
        *("student: g0", "student: g1", "student: g2"), "and 2 more",
    ]  # fmt: skip
    both = [contrast("F", "student", 0.5, 10, 0.7, 20), contrast("M", "student", 0.7, 20, 0.5, 10)]
    assert who_differs(pd.DataFrame(both), EO, "race") == "student: F, 5 of 10, against 14 of 20 of the rest"
    assert who_differs(pd.DataFrame(both), EO, "gender") == ""


def test_a_degenerate_model_is_said_first():
    rows = [gap(design="B", verdict="degenerate", value=0.0), gap()]
    assert claims(study(rows), protocol(label_bias="race")).in_full[0] == (
        "Design B has a model that predicts one class for every image: such a model is equal between groups whatever "
        "it is shown, and nothing is said of its gaps."
    )


FLOORS = [gap(), gap(design="B", null_mean=0.105, null_q95=0.149)]
TOLD = (
    "the equal opportunity difference by race (largest over classes) of design B minus that of design A, each less its "
    "noise floor, is "
)
AS_MEASURED = (
    "as measured it is −.091, the noise floor of the gap being .105 (95 % quantile .149) in B, .112 (95 % quantile "
    ".158) in A"
)
HERE = "p = .062 (this test set, sign flips)"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {},
            f"Established for new seeds and new images: {TOLD}−.084 [−.120, −.046], mean over 6 paired seeds; adjusted "
            f"p = .012 (new seeds and new images), {HERE}; {AS_MEASURED}.",
        ),
        (
            {
                "verdict": "established_on_this_test_set",
                "p_adjusted": 0.2,
                "p_sign_flip_adjusted": 0.03125,
                "scope": "this test set",
                "upper": 0.02,
            },
            f"Established on this test set only: {TOLD}−.084 [−.120, +.020], mean over 6 paired seeds; adjusted p = "
            f".200 (new seeds and new images), p = .031 (this test set, sign flips); {AS_MEASURED}.",
        ),
        (
            {"value": 0.01, "lower": -0.02, "upper": 0.04, "p_adjusted": 0.72, "verdict": "equivalent"},
            f"Equivalent for new seeds and new images: {TOLD}+.010 [−.020, +.040], mean over 6 paired seeds; adjusted "
            f"p = .720 (new seeds and new images), {HERE}; {AS_MEASURED}; its interval lies between −.050 and +.050.",
        ),
        (
            {"value": 0.01, "lower": -0.02, "upper": 0.07, "p_adjusted": 0.72, "verdict": "not_established"},
            f"Not established: {TOLD}+.010 [−.020, +.070], mean over 6 paired seeds; adjusted p = .720 (new seeds and "
            f"new images), {HERE}; {AS_MEASURED}.",
        ),
        (
            {"seeds": 3, "p_adjusted": 0.25, "verdict": "no_claim_possible"},
            f"No claim possible: {TOLD}−.084 [−.120, −.046], mean over 3 paired seeds; adjusted p = .250 (new seeds "
            f"and new images), {HERE}; {AS_MEASURED}; 3 seeds are too few, 6 are the least.",
        ),
        (
            dict.fromkeys(("value", "lower", "upper", "p_value", "p_adjusted", "p_sign_flip_adjusted"), NAN)
            | {"verdict": "undefined"},
            f"Undefined: {TOLD}undefined, mean over 6 paired seeds; adjusted p undefined (new seeds and new images), "
            f"p undefined (this test set, sign flips); {AS_MEASURED}.",
        ),
    ],
    ids=["established", "here only", "equivalent", "not established", "three seeds", "undefined"],
)
def test_a_difference_is_told_with_all_its_numbers(row, sentence):
    (claim,) = claims(study(FLOORS, [difference(**row)]), protocol()).differences
    assert claim.sentence == sentence


def test_differences_in_short():
    differences = [difference(), difference(design="C", value=0.1)]
    differences += [difference(design="C", metric=DP, verdict="not_established")]
    said = claims(study(FLOORS, differences), protocol(designs=("A", "B", "C")))
    assert said.in_full[0] == (
        "Of 3 confirmatory differences from design A, 2 are established for new seeds and new images (design minus "
        "reference, adjusted p): equal opportunity difference by race in B (−.084, p = .012) and C (+.100, p = .012); "
        "1 is not established: demographic parity difference by race in C."
    )


def test_what_this_test_set_alone_shows_is_told_as_that():
    row = difference(verdict="established_on_this_test_set", p_adjusted=0.3, p_sign_flip_adjusted=0.03125)
    assert claims(study(FLOORS, [row]), protocol()).in_full[0] == (
        "Of 1 confirmatory difference from design A, 1 is established on this test set only, which other images may "
        "not show (design minus reference, adjusted p): equal opportunity difference by race in B (−.084, p = .031)."
    )


def test_the_scope_of_a_difference_is_named():
    scope = claims(study(FLOORS, [difference()]), protocol()).difference_scope
    assert "established where it holds for new seeds and new images" in scope
    assert "with the 500 test images" in scope and "luck of the images" in scope


def test_established_differences_are_followed_into_the_other_arms():
    matched = difference(arm="matched", value=-0.03, lower=-0.05, upper=0.01, family="exploratory", p_adjusted=0.2)
    matched["verdict"] = "not_established"
    others = [matched, matched | {"metric": DP}, difference(metric=DP, verdict="not_established")]
    said = claims(study(FLOORS, [difference(), *others]), protocol(arms=("natural", "matched")))
    assert said.other_arms == (
        "Exploratory: in the arm matched the equal opportunity difference by race (largest over classes) of design B "
        "minus that of design A is −.030 [−.050, +.010], mean over 6 paired seeds; adjusted p = .200 "
        "(Benjamini-Hochberg): not established.",
    )
    assert len(said.differences) == 2


SCORE = {"metric": "macro_f1", "attribute": "", "class": "", "family": "exploratory", "p_adjusted": 0.09}


@pytest.mark.parametrize(
    ("row", "end"),
    [
        ({"verdict": "not_established"}, "adjusted p = .090 (Benjamini-Hochberg): not established."),
        (
            {"verdict": "established", "p_adjusted": 0.04},
            "adjusted p = .040 (Benjamini-Hochberg): stands out for new seeds and new images, and is to be confirmed "
            "by a study of its own.",
        ),
        (
            {"verdict": "no_claim_possible", "seeds": 3},
            "adjusted p = .090 (Benjamini-Hochberg): no claim possible with 3 seeds.",
        ),
    ],
)
def test_scores_are_exploratory(row, end):
    rows = [difference(**SCORE | row), difference(**SCORE | row | {"arm": "matched"})]
    (claim,) = claims(study(differences=rows), protocol()).scores
    seeds = row.get("seeds", 6)
    assert claim.sentence == (
        "Exploratory: the macro-F1 of design B minus that of design A is −.084 [−.120, −.046], mean over "
        f"{seeds} paired seeds; p = .031, {end}"
    )


# Whether a claim between designs is possible.


@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [
        (1, "With 1 seed no claim between designs is possible: 6 are the least, 10 are recommended."),
        (5, "With 5 seeds no claim between designs is possible: 6 are the least, 10 are recommended."),
        (6, "With 6 seeds claims between designs are possible: 6 are the least, 10 are recommended."),
    ],
)
def test_six_seeds_are_the_least_for_a_claim(seeds, sentence):
    verdict = "not_established" if seeds == 6 else "no_claim_possible"
    row = difference(seeds=seeds, p_adjusted=1.0, verdict=verdict)
    said = claims(study(FLOORS, [row]), protocol(seeds=tuple(range(seeds))))
    assert said.possibility == sentence
    assert sentence in said.in_full
    # where none can be made, no claim is told in short either
    assert any("confirmatory difference" in text for text in said.in_full) == (seeds == 6)


def test_designs_with_too_few_seeds_are_named():
    few = difference(design="C", seeds=4, verdict="no_claim_possible")
    said = claims(study(FLOORS, [difference(), few]), protocol(designs=("A", "B", "C")))
    assert said.possibility == (
        "With 6 seeds claims between designs are possible for design B, not for design C with 4 seeds: 6 are the "
        "least, 10 are recommended."
    )


def test_without_a_pair_of_designs_there_is_nothing_to_claim():
    empty = pd.DataFrame(columns=list(difference()))  # of dtype object, as where there are no rows to tell types from
    said = claims(study([gap()]) | {"differences": empty}, protocol(designs=("A",)))
    assert said.possibility.startswith("No claim between designs is possible: there is no pair of designs")
    assert said.differences == said.scores == said.other_arms == said.levelling_down == ()
    assert said.in_full[-2] == "Design A was trained with 6 seeds and scored on the same 500 test images."


# Levelling down.

LOSSES = [group_change("Black", -0.06, 0.4, -0.03), group_change("White", -0.05, 0.5, 0.005)]


def test_levelling_down_is_told_where_it_is_established():
    said = claims(study(FLOORS, [difference()], group_changes=LOSSES), protocol())
    assert said.levelling_down == (
        "Levelling down, established for new seeds and new images: the equal opportunity difference by race of design "
        "B is smaller than that of design A (−.084, adjusted p = .012), and no group's accuracy is higher by .01: the "
        "simultaneous upper ends of the changes reach +.005 (White).",
    )
    assert said.in_full[2] == ("Levelling down, a smaller gap from which no group gains, is established in B by race.")


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        ({"verdict": "not_established"}, LOSSES),
        ({}, [LOSSES[0], group_change("White", -0.05, 0.5, 0.02)]),
        ({"arm": "matched"}, LOSSES),
        ({}, [change | {"arm": "matched"} for change in LOSSES]),
    ],
)
def test_levelling_down_is_not_read_off_estimates(row, changes):
    said = claims(study(FLOORS, [difference(**row)], group_changes=changes), protocol())
    assert said.levelling_down == () and "evelling" not in " ".join(said.in_full)


# The answer.


def test_biased_labels_are_said_first():
    said = claims(study([gap()]), protocol(label_bias="gender", label_bias_strength=0.3))
    assert said.in_full[0] == said.label_bias
    assert "labels were biased on purpose (label_bias=gender, strength .3)" in said.label_bias
    assert claims(study([gap()]), protocol()).label_bias == ""


def test_cues_of_age_that_were_made_fainter_are_said_first():
    said = claims(study([gap()]), protocol(cue_gap=0.5))
    assert said.in_full[0] == said.cue_gap
    assert "made fainter on dark skin on purpose (cue_gap=.5): gaps by race" in said.cue_gap
    assert claims(study([gap()]), protocol()).cue_gap == ""


def test_the_answer_says_what_was_trained_and_how_well_it_does():
    scores = [
        score(ceiling=0.5, share_of_ceiling=0.82, share_above_chance=0.7),
        score(design="B", value=0.3, lower=0.28, upper=0.33, share_of_ceiling=0.6, share_above_chance=0.333),
        score(design="B", metric="accuracy", value=0.9),
        score(arm="matched", value=0.9),
    ]
    images = [("natural", "A", 280), ("natural", "B", 1752), ("matched", "B", 280)]
    runs = pd.DataFrame(images, columns=["arm", "design", "training_images"])
    made = protocol(pseudo_professions=True, ceiling={"macro_f1": 0.5}, failed=(("B-seed3", "killed"),))
    answer = claims(study([gap()], scores=scores, runs=runs), made).in_full
    assert answer[-3:-1] == (
        "Macro-F1 is .410 [.390, .430] for A (82.0 % of the ceiling, 70.0 % above chance) and .300 [.280, .330] for B "
        "(60.0 % of the ceiling, 33.3 % above chance); .500 is expected of the best rule (the ceiling).",
        "Designs A and B were trained with 6 seeds on 280 (A) and 1,752 (B) images and scored on the same 500 test "
        "images, whose professions are pseudo-professions, drawn at random given the age bin; 1 run failed and is "
        "missing.",
    )


def test_gaps_that_lie_in_the_data_are_stated_beside_those_found():
    ranges = {f"{DP}/gender": (0.015, 0.083), f"{EO}/race": (0.1, 0.2333)}
    answer = claims(study([gap()]), protocol(gaps_in_the_data=ranges)).in_full
    assert answer[1] == (
        "What lies in the data: rules that know the age alone and are expected to come within .01 of the ceiling of "
        "macro-F1 have on these images, in expectation over the labels, demographic parity difference by gender .015 "
        "to .083 and equal opportunity difference by race .100 to .233, whatever the design."
    )


def test_rules_know_the_group_where_its_labels_are_biased():
    made = protocol(gaps_in_the_data={f"{DP}/race": (0.1, 0.2)}, label_bias="race")
    assert (
        "rules that know age and group (whose labels are biased, by race) and"
        in claims(study([gap()]), made).in_full[2]
    )


def test_cells_are_counted_once_for_all_designs():
    # the denominators are those of the common test set: every design has the same ones
    gaps = [gap(design=design, undefined_cells=2, insufficient_cells=3) for design in "AB"]
    gaps += [gap(metric=DP, undefined_cells=0, insufficient_cells=1)]
    assert claims(study(gaps), protocol()).weak_rates == (
        "Of the rates behind the confirmatory gaps, 2 are undefined and 4 rest on fewer than 30 images."
    )


# Any study.


@pytest.mark.parametrize("seeds", [1, 3, 6])
@pytest.mark.parametrize("bias", ["none", "race"])
def test_no_sentence_claims_what_no_test_can_show(make_tables, seeds, bias):
    tables = make_tables(seeds=seeds, arms=("natural", "matched"))
    made = protocol(
        designs=tuple("ABCD"),
        seeds=tuple(range(seeds)),
        arms=("natural", "matched"),
        label_bias=bias,
        pseudo_professions=True,
        permutations=99,
        failed=(("D-seed9", "killed"),),
    )
    said = claims(tables, made)
    assert 3 <= len(said.in_full) <= 8
    for text in sentences(said):
        assert not re.search(r"\bfair|unbiased|no difference|nan\b|None", text), text
    assert not [claim for claim in said.differences if claim.verdict == "established" and seeds < 6]


def test_every_claim_repeats_the_numbers_of_its_row(make_tables):
    tables = make_tables(seeds=6)
    said = claims(tables, protocol(designs=tuple("ABCD")))
    expected = {
        "gaps": (said.gaps, ["value", "null_mean", "null_q95", "p_adjusted"]),
        "differences": (said.differences, ["value", "lower", "upper", "p_adjusted", "p_sign_flip_adjusted"]),
    }
    for name, (found, columns) in expected.items():
        rows = tables[name][tables[name]["family"].eq("confirmatory")]
        assert len(found) == len(rows) > 0
        for claim, row in zip(found, rows.to_dict("records"), strict=True):
            assert claim.verdict == row["verdict"]
            assert f"design {row['design']}" in claim.sentence
            assert f"{row['metric'].replace('_', ' ')} by {row['attribute']}" in claim.sentence
            assert re.search(rf"mean over {row['seeds']} (paired )?seeds", claim.sentence)
            texts = {f"{abs(row[column]):.3f}".lstrip("0") for column in columns if row[column] >= 0.001}
            assert texts <= set(re.findall(r"\d*\.\d{3}", claim.sentence)), claim.sentence


def test_the_order_of_other_rows_changes_nothing(make_tables):
    tables = make_tables(seeds=6, arms=("natural", "matched"))
    shuffled = {name: table.iloc[::-1] for name, table in tables.items()}
    made = protocol(designs=tuple("ABCD"), arms=("natural", "matched"))
    before, after = (claims(given, made) for given in (tables, shuffled))
    assert set(before.gaps) == set(after.gaps)
    assert set(before.differences) == set(after.differences)
    assert set(before.levelling_down) == set(after.levelling_down)
    assert (before.possibility, before.weak_rates) == (after.possibility, after.weak_rates)


def test_a_missing_table_is_named():
    tables = study([gap()])
    del tables["differences"]
    with pytest.raises(ValueError, match="tables has no 'differences'"):
        claims(tables, protocol())
