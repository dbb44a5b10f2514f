"""The page of backbones: its sections, what is logged, its pictures, and how it looks in a browser."""

import re
import shlex
from dataclasses import replace

import pytest

from fairprof.commands.compare.backbones.pictures import figures_of, moves_figure
from fairprof.commands.compare.backbones.report import findings
from fairprof.commands.compare.backbones.sections import sections
from fairprof.commands.compare.backbones.seen import seen
from fairprof.commands.compare.backbones.tables import backbone_tables
from fairprof.config import Backbone, StudySettings
from fairprof.reporting.blocks import Fold
from fairprof.reporting.style import png_of
from tests.browsers import LAPTOP, PHONE, barriers, opened
from tests.commands.compare.backbones.tables_by_hand import (
    FIRST,
    SECOND,
    cell,
    made_study,
    made_tables,
    move,
    usual_tables,
)
from tests.commands.compare.backbones.test_tables import made
from tests.commands.compare.test_claims import EO
from tests.reporting.charts import intervals, laid_out, legend, marks, unexplained
from tests.reporting.pages import needs_nothing_else, plain_text

TITLES = ["The answer", "Which moves more", "Every design with every backbone", "What each of both changes"]
TITLES += ["Do they add up", "Backbones", "How it was made", "Limits", "Terms"]


@pytest.fixture(scope="module")
def whole():
    """Three backbones, one of which answers one class, with three designs."""
    results, study = made(("none", "group_dro", "gap_penalty_dp"), designs="ABC", images=600)
    return backbone_tables(results, study), study


@pytest.fixture(scope="module")
def figures(whole):
    return figures_of(*whole)


@pytest.fixture(scope="module")
def found(whole, figures):
    return findings(*whole, {name: png_of(figure) for name, figure in figures.items()})


def blocks_of(tables, study, title: str) -> list:
    (section,) = (section for section in sections(tables, study, ()) if section.title == title)
    return [inner for block in section.blocks for inner in (block.blocks if isinstance(block, Fold) else (block,))]


def told(tables, study, title: str) -> str:
    blocks = blocks_of(tables, study, title)
    texts = [getattr(block, "text", "") for block in blocks]
    texts += [text for block in blocks if block.kind == "sentences" for text in (block.title, *block.items)]
    return " ".join(texts)


# --- its parts --------------------------------------------------------------------------------------------------


def test_sections_come_in_order(found):
    expected = [f"{number}. {title}" for number, title in enumerate(TITLES, 1)]
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", found.html()) == expected
    assert re.findall(r"^## (.*)$", found.markdown(), re.MULTILINE) == expected


def test_established_differences_and_interactions_are_told_with_all_their_numbers():
    tables, study = usual_tables(), made_study()
    assert (
        "Established: 5 of 5 differences between backbones Established for new seeds and new images: the macro-F1 of "
        "vit_tiny minus that of resnet50 is −.041 [−.070, −.012], mean over the designs and 6 paired seeds; adjusted "
        "p = .012."
    ) in told(tables, study, "What each of both changes")
    assert "Of 5 differences between designs that could be tested, none is established." in told(
        tables, study, "What each of both changes"
    )
    assert (
        "Established for new seeds and new images: what design B changes in the equal opportunity difference by race "
        "against design A with vit_tiny minus what it changes with resnet50, less noise floors, is −.041 [−.070, "
        "−.012], mean over 6 paired seeds; adjusted p = .012."
    ) in told(tables, study, "Do they add up")


def test_the_command_repeats_the_study():
    study = made_study()
    (block,) = (block for block in blocks_of(usual_tables(), study, "How it was made") if block.kind == "commands")
    train = shlex.split(block.text.replace("\\\n", "").splitlines()[0])
    settings = StudySettings.from_arguments([f"--{word}" for word in train[5:] if word != "-P"])
    assert settings.listed_backbones() == tuple(Backbone(*name.split("@")) for name in (FIRST, SECOND))


def test_what_backbones_start_from_is_told_with_its_licence():
    study = replace(made_study(), weights_sha256={FIRST: "a" * 64}, licences={FIRST: "BSD-3-Clause"})
    table = blocks_of(usual_tables(), study, "Backbones")[0]
    assert [[(each.text, each.note) for each in row] for row in table.rows] == [
        [("resnet50", "the reference"), ("resnet50", ""), ("imagenet", f"SHA-256 {'a' * 16}…"), ("BSD-3-Clause", "")],
        [("vit_tiny", ""), ("timm:vit_tiny.augreg", ""), ("pretrained", ""), ("–", "")],
    ]


@pytest.mark.parametrize("designs", ["A", "AC"])
def test_every_study_makes_a_page(designs):
    results, study = made(designs=designs, images=200, seeds=2)
    tables = backbone_tables(results, study)
    pictures = {name: png_of(figure) for name, figure in figures_of(tables, study).items()}
    page = plain_text(findings(tables, study, pictures).html())
    assert "With 2 seeds no claim about backbones is possible" in page
    assert ("There are no two designs that were trained with two backbones each at a seed in common." in page) == (
        designs == "A"
    )
    assert findings(made_tables(), study, {}).html()


# --- pictures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["moves", "cells", "contrasts", "interactions"])
def test_a_whole_study_is_drawn(figures, whole, name):
    figure = figures[name]
    laid_out(figure)
    assert "6 seeds" in figure.get_suptitle()
    assert len(seen(name, *whole)) > 50
    (found,) = figure.legends
    box = found.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert not any(box.overlaps(axis.get_tightbbox()) for axis in figure.axes)
    assert name == "interactions" or unexplained(figure) == set()


def test_ranges_and_their_difference_stand_where_the_table_has_them():
    rows = [move(), move("macro_f1", "", difference=-0.03, lower=-0.06, upper=0.01, verdict="not_established")]
    figure = moves_figure(made_tables(moves=rows)["moves"])
    ranges, differences = figure.axes
    assert unexplained(figure) == set()
    squares = [list(line.get_xdata()) for line in ranges.get_lines() if line.get_marker() == "s"]
    strokes = [list(line.get_xdata()) for line in ranges.get_lines() if line.get_marker() == "|"]
    assert squares == [[0.21], [0.21]] and strokes == [[0.015], [0.012]] * 2
    assert intervals(differences) == [[0.15, 0.23], [-0.06, 0.01]]
    filled = [
        line.get_markerfacecolor() == line.get_color() for line in differences.get_lines() if line.get_marker() == "D"
    ]
    assert filled == [True, False]


def test_gaps_of_degenerate_models_are_neither_drawn_nor_told():
    tables = usual_tables(cells=[cell(), cell(backbone=SECOND, degenerate=True, **{f"corrected/{EO}/race": 0.7})])
    score, *_, opportunity = figures_of(tables, made_study())["cells"].axes
    assert len(marks(score, "A")) == 2 and [x for x, _ in marks(opportunity, "A")] == [pytest.approx(0.09)]
    assert ".700" not in seen("cells", tables, made_study())


def test_what_is_seen_names_the_ends():
    tables, study = usual_tables(), made_study()
    assert seen("moves", tables, study).startswith("Ranges: macro-F1 .020 between designs, .210 between backbones; ")
    assert seen("moves", tables, study).endswith("is established, which is a filled mark: 5 of 5.")
    assert "EO by race from .090 (design A with resnet50) to .090" in seen("cells", tables, study)
    assert seen("contrasts", tables, study).startswith(
        "Macro-F1 from −.041 (vit_tiny less resnet50) to −.041 (vit_tiny less resnet50)"
    )
    assert seen("interactions", tables, study).endswith("filled mark: 5 of 5.")


def test_backbones_have_a_row_each(figures):
    assert [label.get_text() for label in figures["cells"].axes[0].get_yticklabels()] == [
        "resnet50",
        "timm:vit",
        "vgg11",
    ]
    assert "design A, mean" in legend(figures["cells"])


# --- what is logged ---------------------------------------------------------------------------------------------


def test_tables_and_values_of_all_cells_are_logged(found):
    assert {"backbones/moves.csv", "backbones/tables/cells.json"} <= found.tables.keys()
    cells = found.tables["backbones/cells.csv"].set_index(["design", "backbone"])
    name = f"{EO}/race"
    assert found.values[f"B/vgg11/{name}"] == pytest.approx(cells.loc[("B", "vgg11@random"), f"corrected/{name}"])
    assert found.printed[: len(found.sections[0].blocks[0].sentences)] == found.sections[0].blocks[0].sentences
    assert "comparison.html" in found.subtitle and "comparison.html" in found.description


# --- in a browser -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_cut_off_and_nothing_keeps_people_out(browser, found, tmp_path, size):
    page = found.html()
    assert needs_nothing_else(page)
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    with opened(browser, file, size) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert shown.locator("table").first.locator("tbody tr").count() == 5
        assert barriers(shown) == []
