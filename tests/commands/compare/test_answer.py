"""What a comparison says first: the sentences to be quoted, the banners and the four rows, worked by hand."""

import numpy as np
import pytest

from fairprof.commands.compare.answer import verdict_table
from fairprof.commands.compare.claims import claims
from tests.commands.compare.test_claims import DP, EO, contrast, difference, gap, protocol, score, study

FOUR = {"designs": ("A", "B", "C", "D")}
F1 = {"metric": "macro_f1", "attribute": "", "class": "", "family": "exploratory"}


def gaps_of(designs: str, **changes) -> list[dict]:
    return [gap(design=design, **changes) for design in designs]


def answer(tables, **changes) -> tuple[str, ...]:
    return claims(tables, protocol(**changes)).answer


def test_nothing_that_was_tested_is_established():
    differences = [difference(design=design, verdict="not_established") for design in "BCD"]
    rows = [gap(design=design, verdict="not_established", metric=metric) for design in "ABCD" for metric in (DP, EO)]
    scores = [score(design=design, value=value) for design, value in zip("ABCD", (0.41, 0.45, 0.43, 0.4), strict=True)]
    assert answer(study(rows, differences, scores), **FOUR) == (
        "No design proved fairer, or less fair, than design A in the 3 differences (less noise floors) that could be "
        "tested.",
        "No gap between groups is established.",
        "Macro-F1 is .400 to .450, highest in design B.",
    )


def test_groups_that_differ_are_told_with_what_chance_alone_makes():
    rows = [
        gap(design="A", metric=DP, value=0.361, null_q95=0.2),
        gap(design="B", metric=DP, value=0.42, null_q95=0.24),
        gap(design="B", value=0.5, null_q95=0.3),
        gap(design="A", value=0.4, verdict="not_established"),
        *(gap(design=design, attribute="gender", verdict="not_established") for design in "AB"),
    ]
    told = {"demographic_parity_difference/race": (0.3, 0.34)}
    assert answer(study(rows, [difference(verdict="not_established")]), gaps_in_the_data=told)[1] == (
        "These models treat groups differently by race (DP .361 to .420, chance up to .240, the ages alone up to .340; "
        "EO in design B .500, chance up to .300); by gender no gap is established."
    )


def test_a_gap_that_is_established_within_what_chance_makes_is_told_as_that():
    rows = [gap(metric=DP, value=0.361, null_q95=0.4)]
    assert answer(study(rows, [difference(verdict="not_established")]))[1] == (
        "These models treat groups differently by race (DP .361, established by the test of all groups though chance "
        "makes single gaps up to .400)."
    )


def test_established_differences_are_told_by_design_and_direction():
    rows = [
        difference(metric=DP, value=-0.05),
        difference(),
        difference(design="C", attribute="gender", value=0.15),
        difference(design="D", verdict="not_established"),
    ]
    assert answer(study(gaps_of("ABCD"), rows), **FOUR)[0] == (
        "For new seeds and new images it is established in the 4 differences (less noise floors) that could be tested "
        "that design B has a smaller DP by race (−.050) and EO by race (−.084) than design A and design C has a larger "
        "EO by gender (+.150) than design A; no other difference is."
    )


@pytest.mark.parametrize(
    ("differences", "changes", "sentence"),
    [
        (
            [difference(verdict="established_on_this_test_set")],
            {},
            "Design B did not prove fairer, or less fair, than design A in the 1 difference (less noise floors) that "
            "could be tested; on this test set only, design B has a smaller EO by race (−.084) than design A.",
        ),
        (
            [difference(verdict="no_claim_possible", seeds=3)],
            {},
            "With 3 seeds no claim between designs is possible: 6 are the least, 10 are recommended.",
        ),
        ([], {"designs": ("A",)}, "Design A alone was compared: nothing can be said of differences between designs."),
        (
            [difference(verdict="degenerate")],
            {},
            "No difference from design A could be tested: each is undefined or of a degenerate model.",
        ),
    ],
    ids=["here only", "few seeds", "one design", "degenerate"],
)
def test_what_cannot_be_said_of_designs_is_said(differences, changes, sentence):
    assert answer(study([gap()], differences), **changes)[0] == sentence


@pytest.mark.parametrize(
    ("row", "end"),
    [
        ({"verdict": "not_established"}, ", but no difference from design A is established."),
        (
            {"verdict": "established", "value": 0.04},
            "; design B's (+.040) differs from design A's, an exploratory finding.",
        ),
        ({"verdict": "no_claim_possible"}, "."),
    ],
)
def test_the_best_design_is_named_with_what_is_known_of_it(row, end):
    scores = [score(value=0.41), score(design="B", value=0.45)]
    said = answer(study([gap()], [difference(**F1 | row)], scores), ceiling={"macro_f1": 0.6})
    assert said[-1] == f"Macro-F1 is .410 to .450 (ceiling .600), highest in design B{end}"


def test_degenerate_models_are_in_the_banner_and_not_in_the_answer():
    rows = [gap(verdict="not_established"), gap(design="B", verdict="degenerate", value=0.0)]
    said = claims(study(rows, [difference(verdict="degenerate")]), protocol())
    assert said.answer[1] == "No gap between groups is established."
    assert said.banners[0].startswith("Design B has a model that predicts one class for every image")


def test_missing_runs_and_designs_few_images_and_random_weights_stand_above():
    rows = [gap(insufficient_cells=2, undefined_cells=1), gap(design="B", insufficient_cells=2)]
    failed = (("C-seed0", "cell is empty"), ("C-seed1", "cell is empty"), ("A-seed3", "killed"))
    said = claims(study(rows), protocol(failed=failed, weights_sha256="ab"))
    assert said.banners == (
        "3 runs failed and are missing: C-seed0, C-seed1 and A-seed3; design C is missing altogether.",
        "Few test images: of the rates behind the verdicts, 1 is undefined and 2 rest on fewer than 30 images.",
    )
    (weights,) = claims(study([gap()]), protocol()).banners
    assert weights.startswith("Networks started from random weights")


def test_four_rows_with_the_images_behind_each_gap():
    found = [contrast("Monk 1-2", "retired", 0.2, 11, 0.9, 36), contrast("Monk 3-4", "student", 0.9, 20, 0.8, 27)]
    rows = [gap(), gap(design="B", value=np.nan, null_mean=np.nan, null_q95=np.nan, verdict="undefined")]
    differences = [difference(), difference(design="C", verdict="not_established", value=0.1)]
    table = verdict_table(study(rows, differences, contrasts=found), protocol(designs=("A", "B", "C")))
    assert [column.title for column in table.columns] == [
        *("gap, the largest over the classes", "test images", "design A", "design B", "design C"),
        "minus A, less noise floors",
    ]
    assert [row[0].text for row in table.rows] == [
        *("demographic parity difference by gender", "demographic parity difference by race"),
        *("equal opportunity difference by gender", "equal opportunity difference by race"),
    ]
    name, images, of_a, of_b, of_c, differs = table.rows[3]
    assert (images.text, images.note) == ("500", "fewest 11: Monk 1-2, retired")
    assert (of_a.text, of_a.note, of_a.verdict) == (".214", "chance .112, .158", "established")
    assert (of_b.text, of_b.verdict, of_c.text) == ("undefined", "undefined", "–")
    assert (differs.text, differs.verdict) == ("B −.084 established, C +.100 not established", "")
    assert table.rows[0][-1].text == "–"
