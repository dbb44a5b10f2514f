"""What a comparison of backbones says first: every sentence worked by hand, and when nothing may be said."""

import pytest

from fairprof.commands.compare.backbones.answer import banners, moves_table, quotable, scope_told
from tests.commands.compare.backbones.tables_by_hand import (
    FIRST,
    SECOND,
    cell,
    contrast,
    interaction,
    made_study,
    made_tables,
    move,
    usual_tables,
)
from tests.commands.compare.test_claims import DP, EO

UNCLEAR = dict(verdict="not_established", difference=0.01, lower=-0.05, upper=0.07)


@pytest.mark.parametrize(
    ("moves", "sentence"),
    [
        (
            [
                move("macro_f1", ""),
                move(DP, verdict="composition_moves_more", range_of_composition=0.1, range_of_backbone=0.03),
                move(EO, **UNCLEAR),
            ],
            "Among the backbones resnet50 and vit_tiny and the designs A and B, established for new seeds and new "
            "images: the choice of the backbone moves macro-F1 (range .210 between backbones, .020 between designs) "
            "more than the choice of the design does; the choice of the design moves DP by race (range .030 between "
            "backbones, .100 between designs) more than the choice of the backbone does; for EO by race it is not "
            "established which of both moves more.",
        ),
        (
            [move("macro_f1", "", **UNCLEAR), move(EO, **UNCLEAR)],
            "Whether the backbone or the composition of the data moves macro-F1 and EO by race more is not established "
            "for new seeds and new images: that is no evidence that both move them alike.",
        ),
        (
            [move("macro_f1", "", **UNCLEAR), move(EO, verdict="undefined"), move(DP, verdict="degenerate")],
            "Whether the backbone or the composition of the data moves macro-F1 more is not established for new seeds "
            "and new images: that is no evidence that both move it alike; of EO by race and DP by race nothing can be "
            "said.",
        ),
        (
            [],
            "Whether the backbone or the composition of the data moves macro-F1 and the gaps more could not be tested: "
            "it takes two designs with two backbones each, at 6 seeds in common, and no degenerate model.",
        ),
    ],
)
def test_which_moves_more_is_told_by_verdict(moves, sentence):
    assert quotable(usual_tables(moves=moves), made_study(designs=("A", "B")))[0] == sentence


def test_ranges_are_told_of_the_designs_that_every_backbone_has():
    cells = [cell(design, backbone) for design in "AC" for backbone in (FIRST, SECOND)] + [cell("B")]
    tables = usual_tables(moves=[move(EO)], cells=cells)
    told = quotable(tables, made_study(designs=("A", "B", "C")))[0]
    assert told.startswith("Among the backbones resnet50 and vit_tiny and the designs A and C, established")


def of_designs(**changes) -> dict:
    return contrast(**dict(factor="composition", level="B", reference="A") | changes)


@pytest.mark.parametrize(
    ("contrasts", "sentence"),
    [
        (
            [contrast("macro_f1", "", value=0.05), contrast(), of_designs(), of_designs(metric=DP)],
            "Between backbones, mean over the designs, 2 of 2 differences are established for new seeds and new images "
            "(macro-F1 of vit_tiny minus that of resnet50 +.050, EO by race of vit_tiny minus that of resnet50 −.041); "
            "between designs, mean over the backbones, 2 of 2 differences are established for new seeds and new images "
            "(EO by race of design B minus that of design A −.041, DP by race of design B minus that of design A "
            "−.041).",
        ),
        (
            [contrast(), contrast("macro_f1", "", verdict="equivalent"), of_designs(verdict="not_established")],
            "Between backbones, mean over the designs, 1 of 2 differences is established for new seeds and new images "
            "(EO by race of vit_tiny minus that of resnet50 −.041); between designs, mean over the backbones, none of "
            "1 difference is established, which is no evidence that there is none.",
        ),
        (
            [*(contrast(value=value) for value in (0.1, 0.2, 0.3)), of_designs(verdict="undefined")],
            "Between backbones, mean over the designs, 3 of 3 differences are established for new seeds and new images "
            "(EO by race of vit_tiny minus that of resnet50 +.300, EO by race of vit_tiny minus that of resnet50 "
            "+.200, 1 more is in the table); between designs, mean over the backbones, nothing could be tested.",
        ),
        (
            [contrast(family="exploratory"), contrast("macro_f1", "", verdict="not_established"), of_designs()],
            "Between backbones, mean over the designs, none of 1 difference is established, which is no evidence that "
            "there is none; between designs, mean over the backbones, 1 of 1 difference is established for new seeds "
            "and new images (EO by race of design B minus that of design A −.041).",
        ),
    ],
)
def test_established_differences_are_counted_and_the_largest_are_named(contrasts, sentence):
    assert quotable(usual_tables(contrasts=contrasts), made_study())[1] == sentence


@pytest.mark.parametrize(
    ("interactions", "sentence"),
    [
        (
            [interaction(), interaction(DP, verdict="equivalent"), interaction("macro_f1", "", verdict="degenerate")],
            "In 1 of the 2 interactions that could be tested backbone and design do not add up, which is established "
            "for new seeds and new images: the change of EO by race from design A to B is lower with vit_tiny than "
            "with resnet50 (−.041); of the others, in 1 they add up within .05, for new seeds and new images.",
        ),
        (
            [interaction(verdict="equivalent"), interaction(DP, verdict="equivalent")],
            "Backbone and design add up within .05 in all of the 2 interactions that could be tested, for new seeds "
            "and new images.",
        ),
        (
            [interaction(verdict="not_established")],
            "In none of the 1 interaction that could be tested is it established that backbone and design do not add "
            "up: in 1 neither is shown.",
        ),
        (
            [],
            "Whether backbone and design add up could not be tested: it takes design A and another one, each with "
            "resnet50 and another backbone, at 6 seeds that they share, and no degenerate model.",
        ),
    ],
)
def test_whether_they_add_up_is_told(interactions, sentence):
    assert quotable(usual_tables(interactions=interactions), made_study(delta=0.05))[2] == sentence


@pytest.mark.parametrize(
    ("contrasts", "sentence"),
    [
        ([], "No design was trained with several backbones at a seed in common: nothing can be said of backbones."),
        (
            [contrast(verdict="no_claim_possible", seeds=2), contrast(DP, verdict="degenerate", seeds=2)],
            "With 2 seeds no claim about backbones is possible: 6 are the least, 10 are recommended.",
        ),
        (
            [contrast(verdict="degenerate")],
            "Nothing can be said of the backbones: models of theirs predict one class for every image.",
        ),
        (
            [contrast(verdict="undefined")],
            "Nothing can be said of the backbones: what would be compared is undefined on these test images.",
        ),
    ],
)
def test_where_no_claim_is_possible_that_is_the_answer(contrasts, sentence):
    assert quotable(usual_tables(contrasts=contrasts), made_study()) == (sentence,)


@pytest.mark.parametrize(
    ("backbones", "texts"),
    [
        ((FIRST, "resnet50@random"), ("one network, resnet50:", "the weights that it starts from")),
        (("resnet50@random", "vgg11@random"), ("All backbones start from random weights", "the architecture, with")),
        ((FIRST, SECOND), ("as they are", "differ together", "no difference is shown to come from one of these")),
    ],
)
def test_what_may_be_concluded_depends_on_what_differs(backbones, texts):
    told = scope_told(made_study(backbones))
    assert all(text in told for text in (*texts, "same hyperparameters"))


def test_what_has_to_be_known_stands_above():
    study = made_study((FIRST, "vgg11@random"), failed=(("B-seed1-vgg11-matched", "no room"),))
    cells = [cell(), cell(backbone="vgg11@random", degenerate=True), cell("B")]
    assert banners(made_tables(cells=cells), study) == (
        "1 run failed and is missing: B-seed1-vgg11-matched.",
        "vgg11 starts from random weights: what it knows was learnt from the study's images.",
        "Design B was not trained with every backbone, and is left out of ranges and means.",
        "Design A with vgg11 has a model that predicts one class for every image: such a model is equal between groups "
        "whatever it is shown, and nothing is said of its gaps.",
    )
    assert banners(usual_tables(), made_study()) == ()


def test_every_quantity_has_a_row_with_both_ranges_beside_what_chance_makes():
    table = moves_table(made_tables(moves=[move(), move("macro_f1", "", **UNCLEAR | {"verdict": "no_claim_possible"})]))
    first, second = table.rows
    assert [(each.text, each.note) for each in first] == [
        ("EO by race", ""),
        (".020", "by chance .015"),
        (".210", "by chance .012"),
        ("+.190 [+.150, +.230]", "adjusted p = .005"),
        ("", ""),
    ]
    assert first[-1].verdict == "backbone_moves_more"
    assert (second[0].text, second[3].note, second[-1].verdict) == ("macro-F1", "–", "no_claim_possible")
