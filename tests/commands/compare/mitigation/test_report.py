"""The report of a comparison of methods: sections, needs in every table of methods, protocol, and the page itself."""

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

from fairprof.commands.compare.mitigation.pictures import figures_of
from fairprof.commands.compare.mitigation.report import findings
from fairprof.commands.compare.mitigation.sections import sections
from fairprof.config import MITIGATIONS, Settings, StudySettings
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.blocks import Fold, Table
from fairprof.reporting.style import png_of
from tests.browsers import LAPTOP, PHONE, barriers, opened
from tests.commands.compare.mitigation.tables_by_hand import (
    against_chance,
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
    whole_study,
)
from tests.commands.compare.test_claims import DP
from tests.reporting.pages import Outline, needs_nothing_else, plain_text

NASTY = "<b>A&B</b>"


@pytest.fixture(scope="module")
def whole():
    return whole_study()


@pytest.fixture(scope="module")
def found(whole):
    tables, study = whole
    pictures = {name: png_of(figure) for name, figure in figures_of(tables, study).items()}
    return findings(tables, study, pictures)


@pytest.fixture(scope="module")
def page(found) -> str:
    return found.html()


def small(**changes) -> dict:
    """A study of one method in which a gap is smaller."""
    rows = {
        "cells": [cell("A"), cell("B"), cell("B", "group_dro")],
        "effects": [effect(), effect(DP, value=-0.01, verdict="not_established"), score_effect()],
        "group_effects": [group_effect(NASTY)],
        "verdicts": [verdict("fairer_without_harm", reduced=f"{effect()['metric']}/race")],
        "interactions": [interaction()],
        "substitutions": [substitution()],
        "random_replacement": [against_chance(verdict="under_the_line", difference=-0.08, lower=-0.1, upper=-0.02)],
        "selections": [selection(method="none", verdict=np.nan), selection()],
    }
    return made_tables(**rows | changes)


def blocks_of(tables, study, title: str) -> list:
    (section,) = (section for section in sections(tables, study, ()) if section.title == title)
    return [inner for block in section.blocks for inner in (block.blocks if isinstance(block, Fold) else (block,))]


def told(tables, study, title: str) -> str:
    blocks = blocks_of(tables, study, title)
    texts = [getattr(block, "text", "") for block in blocks]
    texts += [sentence for block in blocks if block.kind == "sentences" for sentence in block.items]
    return " ".join(texts)


# --- its parts --------------------------------------------------------------------------------------------------


def test_sections_come_in_order(page, found):
    titles = ["The answer", "Which gap, at what price", "Do they add up", "Composition or method"]
    titles += ["Against random replacement", "Selection rules", "Methods", "How it was made", "Limits", "Terms"]
    expected = [f"{number}. {title}" for number, title in enumerate(titles, 1)]
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", page) == expected
    assert re.findall(r"^## (.*)$", found.markdown(), re.MULTILINE) == expected


def test_where_a_method_needs_groups_stands_in_every_table_of_methods(whole):
    tables, study = whole
    titles = {method.title.lower(): str(method.needs) for method in METHODS.values()}
    seen = set()
    for section in sections(tables, study, ()):
        for block in section.blocks:
            for inner in block.blocks if isinstance(block, Fold) else (block,):
                if isinstance(inner, Table) and inner.columns[0].title == "method":
                    assert inner.columns[1].title == "needs group membership in"
                    assert all(titles[row[0].text.lower()] == row[1].text for row in inner.rows)
                    seen.add(section.title)
    assert seen == {
        *("The answer", "Which gap, at what price", "Do they add up", "Composition or method"),
        *("Against random replacement", "Selection rules", "Methods"),
    }


def test_established_changes_are_told_with_all_their_numbers():
    tables, study = small(), made_study()
    assert told(tables, study, "Which gap, at what price").strip() == (
        "Established for new seeds and new images: the equal opportunity difference by race of design B with group DRO "
        "minus that without a method, less noise floors, is −.041 [−.070, −.012], mean over 6 paired seeds; adjusted "
        "p = .012."
    )


def test_established_interactions_are_told_with_all_their_numbers():
    assert (
        "Established for new seeds and new images: what group DRO changes in the equal opportunity difference by race "
        "of design B minus what it changes in design A, less noise floors, is −.041 [−.070, −.012], mean over 6 paired "
        "seeds; adjusted p = .012."
    ) in told(small(), made_study(), "Do they add up")


def test_where_nothing_is_established_or_tested_that_is_said():
    tables = small(
        effects=[effect(verdict="not_established"), effect(DP, verdict="undefined"), score_effect()],
        interactions=[interaction(verdict="no_claim_possible")],
    )
    assert "Of 2 changes that could be tested, none is established." in told(
        tables, made_study(), "Which gap, at what price"
    )
    assert "No interaction could be tested." in told(tables, made_study(), "Do they add up")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [
                against_chance(verdict="under_the_line", difference=-0.08, lower=-0.1, upper=-0.02),
                against_chance(verdict="under_the_line", difference=-0.03, lower=-0.05, upper=-0.01, design="C"),
            ],
            "Under the line, established for new seeds and new images: group DRO, in macro-F1 against replacement to "
            "the same EO by race, in design B (−.080 [−.100, −.020]) and C (−.030 [−.050, −.010]).",
        ),
        (
            [against_chance()],
            "Above the line, established for new seeds and new images: group DRO, in macro-F1 against replacement to "
            "the same EO by race, in design B (+.080 [+.020, +.140]).",
        ),
        (
            [against_chance(verdict="not_established")],
            "For 1 of 1 test it is not established on which side of the line a method lies.",
        ),
        ([against_chance(verdict="degenerate")], "No method could be tested against random replacement."),
    ],
)
def test_methods_under_the_line_of_random_replacement_are_named(rows, sentence):
    assert told(small(random_replacement=rows), made_study(), "Against random replacement").endswith(sentence)


def test_without_records_of_selection_rules_that_is_said():
    assert "trained without recording" in told(small(selections=[]), made_study(), "Selection rules")
    assert told(small(), made_study(), "Selection rules").startswith("No verdict depends on which of 1 ")


def test_the_protocol_has_the_hash_and_the_values_of_every_method(whole, page):
    _, study = whole
    text = plain_text(page)
    for name in study.methods:
        settings = Settings(mitigation=name, mitigate="race", mitigation_values=study.values[name])
        assert settings.method_hash() in text
    assert "weight=50.0,identification_epochs=1.0" in text
    assert "family: accuracy of single groups" in text and "4567" in text


def test_the_command_repeats_the_study(whole):
    tables, study = whole
    study = replace(study, values=study.values | {"group_dro": "group_dro.eta=0.5"})
    (block,) = (block for block in blocks_of(tables, study, "How it was made") if block.kind == "commands")
    train = shlex.split(block.text.replace("\\\n", "").splitlines()[0])
    settings = StudySettings.from_arguments([f"--{word}" for word in train[5:] if word != "-P"])
    assert settings.methods() == tuple(MITIGATIONS) and settings.mitigate == "race"
    assert settings.model_copy(update={"mitigation": "group_dro"}).method_values() == {"eta": 0.5}


def test_names_from_data_are_shown_as_they_are():
    page = findings(small(), made_study(), {}).html()
    assert NASTY not in page and NASTY in plain_text(page)


def test_every_study_makes_a_page_with_few_methods_and_without_any_verdict():
    for mitigate in ("gender", "race", "gender_x_race"):
        none = made_tables(cells=[cell("A"), cell("B")])
        assert Outline(findings(none, made_study(("none", "lisa"), mitigate), {}).html()).of("table")


# --- what is logged ---------------------------------------------------------------------------------------------


def test_a_reader_is_led_to_the_comparison_without_a_method(found, page):
    assert "comparison.html" in found.subtitle and "comparison.html" in found.description
    assert "compared on a page of their own, comparison.html" in plain_text(page)
    assert found.page == "report.html"


def test_tables_and_values_of_all_cells_are_logged(found):
    assert {"mitigation/verdicts.csv", "mitigation/tables/cells.json"} <= found.tables.keys()
    assert found.values["B/group_dro/equal_opportunity_difference/race"] == pytest.approx(
        found.tables["mitigation/cells.csv"]
        .set_index(["design", "method"])
        .loc[("B", "group_dro"), "corrected/equal_opportunity_difference/race"]
    )
    assert found.printed[:3] == found.sections[0].blocks[0].sentences


# --- in a browser -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_cut_off_and_all_methods_are_in_the_first_table(browser, page, tmp_path, size):
    assert needs_nothing_else(page)
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    with opened(browser, file, size) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert shown.locator("table").first.locator("tbody tr").count() == len(MITIGATIONS)


def test_nothing_keeps_people_out(browser, tmp_path):
    tables, study = small(), made_study()
    pictures = {name: png_of(figure) for name, figure in figures_of(tables, study).items()}
    file = tmp_path / "report.html"
    file.write_text(findings(tables, study, pictures).html(), encoding="utf-8")
    with opened(browser, file, PHONE) as shown:
        assert barriers(shown) == []
