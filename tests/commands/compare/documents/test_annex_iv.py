"""The draft of Annex IV: every point and sub-point, nothing blank, nothing claimed that nobody has done."""

import re
from dataclasses import replace

import pytest

from fairprof.commands.compare.documents.annex_iv import annex_iv

POINTS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
SUB_POINTS = [f"{point}({letter})" for point in "12" for letter in "abcdefgh"]
ASKED = ["1(a)", "1(e)", "1(h)", "2(a)", "2(c)", "2(e)", "2(g)", "2(h)", "3", "4", "5", "6", "7", "9"]


@pytest.fixture
def draft(tables, protocol) -> str:
    return annex_iv(tables, protocol)


@pytest.fixture
def points(draft, sections_of) -> dict[str, str]:
    """What stands under every point and sub-point, by its number."""
    sections = sections_of(draft)
    return {
        heading.lstrip("#").split()[0].rstrip("."): body
        for heading, body in sections.items()
        if "# Draft" not in heading
    }


def test_all_points_of_the_annex_are_there_in_order_and_none_is_empty(points):
    assert list(points) == ["1", *SUB_POINTS[:8], "2", *SUB_POINTS[8:], *POINTS[2:]]
    assert [point for point, body in points.items() if not body] == []


def test_it_opens_with_what_it_is_not(draft):
    title, opening = draft.split("\n\n")[:2]
    assert title == "# Draft technical documentation after Annex IV of Regulation (EU) 2024/1689"
    assert opening == "Research artefact, not a conformity assessment."


def test_the_legal_position_is_stated(draft):
    assert "high-risk (Article 6(2), Annex III, point 4)" in draft
    assert "infer their race is prohibited (Article 5(1)(g)). No race predictor is shipped" in draft


def test_what_only_a_provider_knows_is_asked_for_where_it_belongs(points):
    assert [point for point, body in points.items() if "PROVIDER INPUT REQUIRED: " in body] == ASKED
    assert points["8"] == "None: the system is not placed on the market, and no conformity was assessed."
    assert points["7"].startswith("Harmonised standards applied: none.")
    assert "PROVIDER INPUT REQUIRED: assessment of the human oversight measures" in points["2(e)"]
    assert "PROVIDER INPUT REQUIRED: the post-market monitoring" in points["9"]


def test_what_the_runs_know_is_filled_in(points, row_of):
    assert row_of(points["1(c)"], "torch") == ["torch", "2.15.0"]
    assert "0a1b2c3d" in points["1(a)"] and "`fairprof-A`, `fairprof-B`" in points["1(a)"]
    assert "2 x86-64 cores, no GPU" in points["1(e)"]
    assert "12 runs: designs A, B, seeds 0, 1, 2, arms natural, matched" in points["2(a)"]
    assert "learning_rate=0.003" in points["2(b)"] and "aaaabbbbcccc" in points["2(b)"]
    assert "Design B: the same number of images in every cell of gender x profession; race is left" in points["2(b)"]
    assert "5555666677778888" in points["2(g)"] and "400 images" in points["2(g)"]
    assert "accuracy .704, macro-F1 .617" in points["3"]


def test_results_are_those_of_the_tables(points, tables, row_of):
    performance = tables["performance"]
    (row,) = performance[performance["value"].lt(9)].query("design == 'B' and metric == 'accuracy'").itertuples()
    assert row_of(points["2(g)"], "B", "accuracy")[2] == f".{1000 * row.value:.0f}"
    gaps = tables["gaps"]
    gaps = gaps[gaps["arm"].eq("natural") & gaps["class"].eq("max_over_classes") & gaps["design"].eq("B")]
    (row,) = gaps.query("attribute == 'race' and metric == 'equal_opportunity_difference'").itertuples()
    assert row_of(points["2(g)"], "B", "race", "equal opportunity difference")[3:] == [
        *(f".{1000 * row.value:.0f}", f".{1000 * row.null_mean:.0f}", "< .001", "exploratory", "established")
    ]
    assert f"- Design B: equal opportunity difference by race .{1000 * row.value:.0f} (floor " in points["3"]
    assert "- Design A: none." in points["3"]


def test_every_group_has_its_accuracy_in_every_design(points, tables, row_of):
    changes = tables["group_changes"]
    (row,) = changes[changes["arm"].eq("natural") & changes["group"].eq("Female x Black")].itertuples()
    assert row_of(points["3"], "gender x race", "Female x Black") == [
        *("gender x race", "Female x Black", "20", ".933", f"{row.accuracy:.3f}", "insufficient evidence")
    ]
    rows = [line for line in points["3"].split("\n") if line.startswith("| ")]
    assert len(rows) == 2 + 8  # head and rule, then two genders, two races, four intersections


def test_numbers_of_another_arm_are_left_out(points):
    for point in ("2(g)", "3"):
        assert not re.search(r"\b(9|10)\.\d{3}", points[point])


def test_data_of_real_people_raise_the_questions_they_raise(tables, protocol, draft):
    real = annex_iv(tables, replace(protocol, data="fairface:/faces", label_bias="gender", label_bias_strength=0.3))
    assert "lawfully acquired" in real and "lawfully acquired" not in draft
    assert "with label bias gender of strength .3, deliberately" in real
    assert "CC BY 4.0" in real and "did they agree" in real


def test_weights_of_unknown_origin_are_asked_about(tables, protocol, draft):
    assert "torchvision's ImageNet weights" in draft
    assert "origin, training data and licence" in annex_iv(tables, replace(protocol, weights="backbone.pth"))
    assert "networks start from random weights" in annex_iv(tables, replace(protocol, weights="random"))


def test_licence_and_origin_of_weights_are_those_that_they_state(tables, protocol):
    known = replace(
        protocol,
        weights="pretrained",
        weights_licence="cc-by-nc-4.0",
        weights_origin="hf-hub:timm/vit@0123",
        weights_loaded="all 150 tensors of the backbone were loaded",
    )
    said = annex_iv(tables, known)
    assert "the weights that timm publishes for it" in said
    assert "published as hf-hub:timm/vit&#64;0123); all 150 tensors of the backbone were loaded; " in said
    assert "Licence that these weights state: cc-by-nc-4.0. PROVIDER INPUT REQUIRED: training data of these" in said
    silent = annex_iv(tables, replace(known, weights_licence="not stated"))
    assert "Licence that" not in silent and "PROVIDER INPUT REQUIRED: training data and licence of these" in silent


def test_missing_runs_and_unknown_ceilings_are_stated(tables, protocol):
    failed = (("B-seed3", "out of | memory"),)
    draft = annex_iv(tables, replace(protocol, failed=failed, ceiling={}, versions={}, git_commit="unknown"))
    assert "PROVIDER INPUT REQUIRED: which version?" in draft
    assert r"Missing runs: B-seed3 (out of \| memory)." in draft
    assert "The best possible result on these labels is unknown." in draft
    assert "PROVIDER INPUT REQUIRED: versions of the packages" in draft


def test_one_design_alone(tables, protocol, row_of):
    alone = {name: table[table["design"].eq("A")] for name, table in tables.items()}
    draft = annex_iv(alone, replace(protocol, designs=("A",)))
    assert row_of(draft, "gender", "Male")[2:] == ["210", ".670", "sufficient"]
