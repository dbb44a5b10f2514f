"""What is said of a run's method: what it is, needs and has fitted; nothing where there is none."""

import pytest

from fairprof.commands.train.method import fit_told, fitted_table, sentences, told_method
from fairprof.config import Settings
from fairprof.mitigation.methods import METHODS
from fairprof.serving import OPPORTUNITY, DecisionRule


def test_a_run_without_a_method_is_told_of_none():
    assert told_method("none", "race") is None
    assert fit_told(Settings(), {}) == ""
    assert list(fitted_table(None, ["x", "y"])) == []


def test_what_needs_the_group_at_prediction_may_be_unlawful_and_what_estimates_it_too():
    said = {name: " ".join(sentences(METHODS[name], "gender_x_race")) for name in METHODS if name != "none"}
    assert [name for name, text in said.items() if "Civil Rights Act" in text] == ["linear_post"]
    assert [name for name, text in said.items() if "infer race from faces" in text] == ["linear_post_blind"]
    assert "between groups of gender x race" in said["dfr"]
    assert "It needs to know the group of images in: validation." in said["dfr"]
    told = told_method("linear_post", "race")
    assert (told.name, told.needs) == ("linear_post", "validation, prediction")


@pytest.mark.parametrize(
    ("settings", "fit", "said"),
    [
        (
            {"mitigation": "dfr"},
            {"strength": 0.3, "worst_accuracy": 0.25},
            "C = 0.3, with accuracy .250 in the worst group of a class.",
        ),
        (
            {"mitigation": "class_scaling"},
            {"worst_balanced_accuracy": 0.3, "worst_balanced_accuracy_without": 0.25},
            "is .300 there with factors and .250 without, so that the factors are used.",
        ),
        (
            {"mitigation": "class_scaling"},
            {"worst_balanced_accuracy": 0.25, "worst_balanced_accuracy_without": 0.25},
            "so that the factors are not used, and all are 1.",
        ),
        (
            {"mitigation": "linear_post"},
            {"tolerance": 0.05, "distance_to_ideal": 0.5},
            "the gap in demographic parity that they allow there, 0.05, was chosen on the other.",
        ),
        (
            {"mitigation": "linear_post", "mitigation_values": "linear_post.tolerance=0.1"},
            {"tolerance": 0.1, "distance_to_ideal": 0.5},
            "0.1, was given.",
        ),
        ({"mitigation": "group_dro"}, {}, ""),
    ],
)
def test_what_was_fitted_is_told(settings, fit, said):
    assert said in fit_told(Settings(**settings), fit)


def test_the_offsets_stand_in_a_table_by_group_and_class():
    rule = DecisionRule(offsets=((0.5, -0.25),), criterion=OPPORTUNITY, groups=(("Female", "Black"),))
    (table,) = fitted_table(rule, ["x", "y"])
    assert [column.title for column in table.columns] == ["group", "x", "y"]
    assert [cell.text for cell in table.rows[0]] == ["Female x Black", ".500", "−.250"]
    (factors,) = fitted_table(DecisionRule(factors=(2.0, 0.5)), ["x", "y"])
    assert [cell.text for cell in factors.rows[0]] == ["2.000", ".500"]
