"""The answer of an explanation: trust first, nothing of maps that are not trusted, designs only of a study."""

from dataclasses import replace

import pytest

from fairprof.commands.explain.report import answer, findings
from fairprof.commands.explain.results import tables_of, values_of
from fairprof.data.regions import CENTRE_PRIOR
from tests.commands.explain.made import explanation, study

TRUSTED, UNTRUSTED = {"A": 3, "B": 3}, {"A": 3, "B": 0}


def sections_of(found) -> list[str]:
    return [section.title for section in findings(found, {}).sections]


def test_trust_comes_first_and_a_model_is_not_its_design():
    found = explanation(TRUSTED)
    said = answer(found)
    assert said[0].startswith("The maps of model A can be trusted: they are better than random maps by ROAD .300")
    assert said[2].startswith("Of model A's attention lie ")
    assert any("not of the designs" in sentence and "models=study:RUN" in sentence for sentence in said)
    assert not any("design A" in sentence for sentence in said)
    assert sections_of(found)[:2] == ["The answer", "Can the maps be trusted"]


def test_what_untrusted_maps_show_stands_in_no_sentence_table_or_metric():
    found = explanation(UNTRUSTED, shift=0.3)
    said = answer(found)
    assert said[1].startswith("The maps of model B cannot be trusted: they are not distinguished from random maps by")
    assert "withheld for model B" in said[2]
    rest = " ".join(said[3:])
    assert "model B" not in rest and "Model B" not in rest and "model A" in rest
    values = values_of(found)
    assert values["B"]["B/maps_trusted"] == 0 and values["A"]["A/maps_trusted"] == 1
    assert not [name for name in values["B"] if "attention" in name or "distance" in name]
    tables = tables_of(found)
    kept, shown = tables["attention/by_group.csv"], tables["tables/attention_by_group.json"]
    assert set(kept[kept["reported"].eq("withheld")]["model"]) == {"B"}
    assert set(shown["model"]) == {"A"} and "reported" not in shown
    page = findings(
        found, dict.fromkeys(("side_by_side", "faithfulness", "randomisation"), b"\x89PNG\r\n\x1a\n")
    ).html()
    assert '<th scope="row">A</th><td>race</td>' in page and '<th scope="row">B</th><td>race</td>' not in page


@pytest.mark.parametrize("shown", [True, False])
def test_images_of_people_are_left_out_where_nobody_has_said_that_they_may_be_shown(shown):
    pictures = dict.fromkeys(("side_by_side", "faithfulness", "randomisation"), b"\x89PNG\r\n\x1a\n")
    page = findings(replace(explanation(UNTRUSTED, shift=0.3), shows_faces=shown), pictures).html()
    assert ('alt="The same images through every model' in page) == shown
    assert ("pictures/side_by_side.png among the run&#39;s artifacts" in page) != shown


@pytest.mark.parametrize("measured", [True, False])
def test_where_no_maps_are_trusted_nothing_is_told_of_them(measured):
    found = explanation({"A": 0}, measured=measured)
    said = " ".join(answer(found))
    assert "attention lie" not in said and "withheld for model A" in said
    assert ("faithfulness_images=0" in said) == (not measured)
    assert not [path for path in tables_of(found) if path.startswith("tables/attention")]


@pytest.mark.parametrize(("fields", "told"), [((2, 2), True), ((3, 3), False)])
def test_shares_that_symmetry_alone_decides_are_said_to_say_nothing(fields, told):
    said = " ".join(answer(replace(explanation(TRUSTED), kind=CENTRE_PRIOR, fields=fields)))
    assert ("by symmetry: these shares say nothing about the models" in said) == told
    assert f"A map has only {fields[0]} x {fields[1]} fields" in said


def test_who_differs_is_named_with_the_number_of_images():
    found = explanation({"A": 3}, shift=0.3)
    (sentence,) = [sentence for sentence in answer(found) if sentence.startswith("The mean attention on the face")]
    gaps = found.tables["gaps"].set_index(["attribute", "measure"])
    assert "A by race (p" in sentence
    assert gaps.loc[("race", "density_face"), "differing"] in sentence and "z (n = " in sentence


# Designs.


def models_of(designs, failing: str = "") -> dict[str, int]:
    return {label: 0 if label == failing else 3 for seeds in designs.values() for label in seeds.values()}


def test_designs_are_told_of_over_all_their_seeds():
    designs = study(6)
    found = explanation(models_of(designs), designs, shift=0.2)
    said = answer(found)
    assert said[0] == (
        "The maps of design A can be trusted: they pass against random maps and randomised weights in 6 of 6 seeds."
    )
    assert any("Of design B's attention lie" in sentence and "over 6 seeds" in sentence for sentence in said)
    (sentence,) = [sentence for sentence in said if sentence.startswith("Against design A")]
    assert ": B +.2" in sentence and "new seeds and new images" in sentence
    assert "Do the designs differ" in sections_of(found)


def test_two_seeds_are_no_claim():
    designs = study(2)
    said = answer(explanation(models_of(designs), designs, shift=0.2))
    (sentence,) = [sentence for sentence in said if sentence.startswith("Against design A")]
    assert "not established to differ: B (fewer than 6 seeds are no claim)" in sentence


def test_a_design_is_withheld_where_the_maps_of_one_seed_fail():
    designs = study(6)
    said = answer(explanation(models_of(designs, "B-seed3"), designs, shift=0.2))
    assert "The maps of design B cannot be trusted" in said[1] and "5 of 6 seeds (0, 1, 2, 4 and 5)" in said[1]
    assert "withheld for 1 of 12 models and, as some of their seeds fail, for design B" in said[2]
    assert not any("design B's attention" in sentence or sentence.startswith("Against design") for sentence in said)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("GradCAM", "GradCAM of the predicted class"),
        ("AttentionRollout", "AttentionRollout (the same for every class)"),
    ],
)
def test_maps_that_are_the_same_for_every_class_are_told_to_be_no_class_s(method, told):
    found = findings(replace(explanation({"A": 3, "B": 3}), method=method), {})
    assert found.subtitle.startswith(f"{told}, ") and f"{told} in 120 test images" in found.description
    text = str(found.sections)
    classless = method != "GradCAM"
    assert ("does not depend on the head" in text) == classless
    assert ("the maps themselves are the same for every class" in text) == classless
    assert ("a model with larger logits is brighter" in text) != classless
