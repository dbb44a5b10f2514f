"""What a comparison of methods says first: every sentence against tables of known verdicts, worked by hand."""

import re

import pytest

from fairprof.commands.compare.mitigation.answer import banners, quotable, verdict_table
from fairprof.config import MITIGATIONS
from fairprof.mitigation.methods import METHODS
from tests.commands.compare.mitigation.tables_by_hand import (
    cell,
    effect,
    group_effect,
    interaction,
    made_study,
    made_tables,
    score_effect,
    selection,
    substitution,
    verdict,
)
from tests.commands.compare.test_claims import DP, EO

THREE = ("none", "group_dro", "lisa")
EO_RACE = f"{EO}/race"
FOLLOWING = {"interactions": [interaction()], "substitutions": [substitution()]}


def sentences(study=None, **rows) -> tuple[str, ...]:
    return quotable(made_tables(**FOLLOWING | rows), study or made_study(THREE))


# --- within designs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "effects", "groups", "told"),
    [
        (
            verdict("fairer_without_harm", reduced=EO_RACE),
            [effect(), score_effect()],
            [],
            "group DRO in design B is fairer without harm (EO by race −.041; macro-F1 +.003, not established)",
        ),
        (
            verdict("fairer_harm_not_ruled_out", reduced=EO_RACE),
            [effect(), effect(DP, value=-0.01, verdict="not_established"), score_effect(verdict="equivalent")],
            [group_effect(change=-0.09)],
            "group DRO in design B is fairer, harm neither shown nor ruled out (EO by race −.041; macro-F1 +.003, "
            "within .05)",
        ),
        (
            verdict("trade_off", reduced=EO_RACE, enlarged=f"{DP}/gender", lost=True),
            [effect(), effect(DP, "gender", value=0.03), score_effect(value=-0.06, verdict="established")],
            [
                group_effect("White", change=-0.02, verdict="established"),
                group_effect("Black", change=-0.07, verdict="established"),
                group_effect("Indian", change=-0.01, verdict="established"),
                group_effect("East Asian", change=0.05, verdict="established"),
                group_effect("Male", change=-0.05, verdict="established", attribute="gender", family="exploratory"),
            ],
            "group DRO in design B is a trade-off (EO by race −.041; larger DP by gender +.030; macro-F1 −.060, "
            "established; less accurate for Black (−.070), White (−.020) and 1 more group)",
        ),
        (
            verdict("levelled_down", reduced=f"{DP}/race, {EO_RACE}"),
            [effect(DP, value=-0.1), effect(), score_effect()],
            [],
            "group DRO in design B levels down (DP by race −.100, EO by race −.041; macro-F1 +.003, not established)",
        ),
    ],
    ids=["without harm", "not ruled out", "trade-off", "levelled down"],
)
def test_a_smaller_gap_is_told_with_its_verdict_and_its_price(row, effects, groups, told):
    said = sentences(verdicts=[row], effects=effects, group_effects=groups)
    assert said[0] == (
        "Of 1 combination of a method and a design, 1 has a gap that is established smaller than without the method, "
        f"for new seeds and new images: {told}."
    )


def test_what_is_not_established_is_no_evidence_of_no_effect():
    rows = [verdict("nothing_established"), verdict("nothing_established", method="lisa")]
    assert sentences(verdicts=rows)[0] == (
        "No method is established to make a gap smaller within a design, for new seeds and new images, in the 2 "
        "combinations of a method and a design that could be judged: that is no evidence that none does."
    )
    rows[1] = verdict("worse", method="lisa")
    assert "could be judged; 1 of them is worse: that is no evidence" in sentences(verdicts=rows)[0]


def test_three_combinations_are_named_the_best_verdicts_and_largest_reductions_first_and_the_others_counted():
    places = [(design, method) for method in THREE[1:] for design in "ABCD"]
    kinds = ["trade_off", "levelled_down", "fairer_without_harm", "trade_off"]
    kinds += ["fairer_without_harm", "worse", "nothing_established", "degenerate"]
    rows = [
        verdict(kind, design=design, method=method, reduced=EO_RACE if place not in (5, 6, 7) else "")
        for place, (kind, (design, method)) in enumerate(zip(kinds, places, strict=True))
    ]
    effects = [
        effect(design=design, method=method, value=-0.01 * (place + 1)) for place, (design, method) in enumerate(places)
    ]
    assert sentences(verdicts=rows, effects=effects)[0] == (
        "Of 7 combinations of a method and a design, 5 have a gap that is established smaller than without the method, "
        "for new seeds and new images: LISA in design A is fairer without harm (EO by race −.050); group DRO in design "
        "C is fairer without harm (EO by race −.030); group DRO in design D is a trade-off (EO by race −.040); 2 more "
        "are in the table (trade-off: 1; levelled down: 1); 1 of the others is worse."
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [verdict("no_claim_possible"), verdict("degenerate", method="lisa")],
            "With 3 seeds no claim about a method is possible: 6 are the least, 10 are recommended.",
        ),
        (
            [verdict("degenerate")],
            "Nothing can be said of any method: with each, or without it, a model predicts one class for every image.",
        ),
        ([], "No method was trained with a seed of its design without a method: nothing can be said of methods."),
    ],
    ids=["few seeds", "degenerate", "none"],
)
def test_where_nothing_can_be_claimed_that_alone_is_said(rows, sentence):
    assert sentences(verdicts=rows, effects=[effect(seeds=3, verdict="no_claim_possible")]) == (sentence,)


# --- method and design ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [interaction(value=0.05), interaction(DP, verdict="equivalent"), interaction(verdict="not_established")],
            "In 1 of the 3 interactions that could be tested method and design do not add up, which is established for "
            "new seeds and new images: the change of EO by race with group DRO is higher in design B than in design A "
            "(+.050); of the others, in 1 they add up within .05, for new seeds and new images, and in 1 neither is "
            "shown.",
        ),
        (
            [interaction(verdict="equivalent"), interaction(DP, verdict="equivalent")],
            "Method and design add up within .05 in all of the 2 interactions that could be tested, for new seeds and "
            "new images.",
        ),
        (
            [interaction(verdict="not_established"), interaction(DP, verdict="degenerate")],
            "In none of the 1 interaction that could be tested is it established that method and design do not add up: "
            "in 1 neither is shown.",
        ),
        (
            [interaction(verdict="equivalent"), interaction(DP, verdict="not_established")],
            "In none of the 2 interactions that could be tested is it established that method and design do not add "
            "up: in 1 they add up within .05, for new seeds and new images, and in 1 neither is shown.",
        ),
        (
            [interaction("macro_f1", "", value=-0.2)],
            "In 1 of the 1 interaction that could be tested method and design do not add up, which is established for "
            "new seeds and new images: the change of macro-F1 with group DRO is lower in design B than in design A "
            "(−.200).",
        ),
        (
            [],
            "Whether method and design add up could not be tested: it takes a method in design A and in another one, "
            "with and without it, at 6 seeds that they share, and no degenerate model.",
        ),
    ],
    ids=["some", "all equivalent", "nothing shown", "some equivalent", "one score", "untested"],
)
def test_whether_method_and_design_add_up(rows, sentence):
    said = quotable(made_tables(verdicts=[verdict("worse")], effects=[effect()], interactions=rows), made_study(THREE))
    assert said[1] == sentence


# --- composition or method --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "relation"),
    [
        ({}, "is established smaller than that of design A (−.041 [−.070, −.012])"),
        ({"value": 0.04, "lower": 0.01, "upper": 0.07}, "is established larger than that of design A (+.040 [+.010"),
        ({"verdict": "equivalent"}, "is within .05 of that of design A"),
        ({"verdict": "not_established"}, "is not established to differ from that of design A"),
        ({"verdict": "no_claim_possible"}, "cannot be claimed to differ, with so few seeds, from that of design A"),
        ({"verdict": "undefined"}, "cannot be compared, being undefined, with that of design A"),
    ],
)
def test_the_worst_composition_with_a_method_against_the_best_without(changes, relation):
    rows = {"verdicts": [verdict("worse")], "effects": [effect()], "interactions": []}
    said = sentences(**rows, substitutions=[substitution(**changes), substitution(design_without="C", chosen=False)])
    assert said[2].startswith(
        "Of the worst composition with its best method and the best composition without one, for new seeds and new "
        "images and allowing for the choice among all pairs, the EO by race of design B with group DRO " + relation
    )


def test_the_price_of_a_pair_is_told_and_gaps_that_nobody_aimed_at_are_not():
    price = substitution("macro_f1", "", value=-0.02, chosen=False)
    others = [substitution(attribute="gender"), substitution("macro_f1", "", design_without="C", value=0.3)]
    said = sentences(verdicts=[verdict("worse")], effects=[effect()], substitutions=[substitution(), price, *others])
    assert said[2].endswith("that of design A (−.041 [−.070, −.012]; macro-F1 −.020, established).")
    assert "gender" not in said[2]


def test_without_a_pair_composition_is_not_weighed_against_a_method():
    said = sentences(verdicts=[verdict("worse")], effects=[effect()], substitutions=[])
    assert said[2].startswith("Composition could not be weighed against a method: it takes two designs")


# --- the table --------------------------------------------------------------------------------------------------


def test_every_method_has_its_need_and_every_cell_its_verdict_and_its_price():
    tables = made_tables(
        cells=[cell("A", degenerate=True), cell("B")],
        verdicts=[verdict("trade_off", reduced=EO_RACE), verdict("degenerate", method="lisa")],
        effects=[
            *(effect(), effect(DP, value=0.01, verdict="not_established"), score_effect()),
            *(effect(method="lisa"), effect(DP, method="lisa"), score_effect(method="lisa", value=-0.1)),
        ],
        group_effects=[group_effect(change=-0.06, verdict="established")],
    )
    table = verdict_table(tables, made_study((*THREE, "linear_post")))
    assert [column.title for column in table.columns] == [
        *("method", "needs group membership in", "design A", "design B")
    ]
    assert [(row[0].text, row[1].text) for row in table.rows] == [
        *(("None", "nowhere"), ("Group DRO", "training"), ("LISA", "training")),
        ("Linear post-processing by group", "validation, prediction"),
    ]
    shown = [(row[3].text, row[3].note, row[3].verdict) for row in table.rows]
    assert shown == [
        ("DP .070, EO .090", "macro-F1 .450", ""),
        ("DP +.010, EO −.041", "macro-F1 +.003, 1 group worse", "trade_off"),
        ("–", "macro-F1 −.100", "degenerate"),
        ("–", "", ""),
    ]
    assert table.rows[0][2].verdict == "degenerate" and table.rows[1][2].text == "–"
    assert "gaps by race, less noise floors" in table.title


def test_gaps_by_gender_and_by_race_are_told_apart_where_methods_mitigate_both():
    effects = [effect(metric, attribute) for metric in (DP, EO) for attribute in ("gender", "race")]
    tables = made_tables(verdicts=[verdict("worse")], effects=[*effects, score_effect()])
    table = verdict_table(tables, made_study(mitigate="gender_x_race"))
    assert table.rows[1][3].text == ("DP by gender −.041, DP by race −.041, EO by gender −.041, EO by race −.041")


# --- what stands above ------------------------------------------------------------------------------------------


def above(study=None, **rows) -> tuple[str, ...]:
    return banners(made_tables(**rows), study or made_study(THREE, weights_sha256="ab"))


def test_degenerate_models_few_seeds_and_missing_runs_stand_above():
    cells = [cell(degenerate=True), cell("C", "lisa", degenerate=True), cell("D")]
    rows = [verdict("no_claim_possible"), verdict("worse", method="lisa")]
    study = made_study(THREE, weights_sha256="ab", failed=(("B-seed0-lisa", "killed"),))
    assert above(study, cells=cells, verdicts=rows) == (
        "1 run failed and is missing: B-seed0-lisa.",
        "Of 1 combination of a method and a design nothing can be claimed: they have fewer than 6 seeds in common with "
        "the design without a method.",
        "Design B without a method and design C with LISA have a model that predicts one class for every image: such a "
        "model is equal between groups whatever it is shown, and nothing is said of its gaps.",
    )
    assert above(verdicts=[verdict("worse")]) == ()


def test_every_method_that_treats_people_by_their_group_is_named():
    (said,) = above(made_study(tuple(MITIGATIONS), "gender", weights_sha256="ab"), verdicts=[verdict("worse")])
    treating = [method for method in METHODS.values() if method.needs.prediction]
    assert treating and all(method.title in said.lower() for method in treating)
    assert said == (
        "Linear post-processing by group needs the gender of everybody for whom it predicts, and treats people by it: "
        "to decide about people in this way may be unlawful, whatever the verdict."
    )


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("worse", "worse"), "No verdict depends on which of 2 selection rules chooses the epoch of a training, in 1 "),
        (
            ("worse", "trade_off"),
            "1 verdict of 1 depends on which of 2 selection rules chooses the epoch of a training: design B with "
            "group DRO.",
        ),
    ],
)
def test_it_is_said_whether_verdicts_depend_on_the_selection_rule(verdicts, said):
    rows = [selection(rule, verdict=name) for rule, name in zip(("overall", "worst"), verdicts, strict=True)]
    (text,) = above(verdicts=[verdict("worse")], selections=rows)
    assert text.startswith(said)


def test_titles_of_methods_stand_in_sentences():
    """A title with a comma would read as two methods."""
    assert not [method.title for method in METHODS.values() if re.search(r"[,;.]", method.title)]
