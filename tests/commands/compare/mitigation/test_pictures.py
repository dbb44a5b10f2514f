"""Pictures of a comparison of methods: they show what the tables say, and words say what is to be seen."""

import itertools

import numpy as np
import pytest

from fairprof.commands.compare.mitigation.pictures import (
    RING,
    WITHOUT,
    effects_figure,
    figures_of,
    interactions_figure,
    method_styles,
    pareto_figure,
)
from fairprof.commands.compare.mitigation.seen import seen
from fairprof.config import MITIGATIONS
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.style import DESIGN_MARKERS, png_of
from tests.commands.compare.mitigation.tables_by_hand import (
    against_chance,
    cell,
    effect,
    interaction,
    line_point,
    made_study,
    made_tables,
    score_effect,
    whole_study,
)
from tests.commands.compare.test_claims import DP, EO
from tests.reporting.charts import intervals, laid_out, legend, marks, texts


@pytest.fixture(scope="module")
def whole():
    return whole_study()


@pytest.fixture(scope="module")
def figures(whole):
    return figures_of(*whole)


@pytest.mark.parametrize("name", ["effects", "interactions", "pareto"])
def test_a_whole_study_is_drawn(figures, whole, name):
    laid_out(figures[name])
    assert "6 seeds" in figures[name].get_suptitle()
    assert png_of(figures[name]).startswith(b"\x89PNG")
    assert len(seen(name, *whole)) > 50


def test_no_texts_overlap(figures):
    for figure in figures.values():
        laid_out(figure)
        for axis in figure.axes:
            labels = [label for label in axis.get_yticklabels() if label.get_text() and label.get_visible()]
            boxes = [label.get_window_extent() for label in labels]
            assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        (found,) = figure.legends
        box = found.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert not any(box.overlaps(axis.get_tightbbox()) for axis in figure.axes)


def test_changes_stand_where_the_table_has_them_filled_where_established():
    rows = [effect(), effect(DP, value=0.02, verdict="not_established"), score_effect(value=-0.1)]
    figure = effects_figure(made_tables(effects=rows)["effects"], made_study(("none", "group_dro", "lisa")))
    score, parity, opportunity = figure.axes
    assert [marks(axis, "B") for axis in figure.axes] == [[(-0.1, 0.0)], [(0.02, 0.0)], [(-0.041, 0.0)]]
    assert intervals(opportunity) == [[-0.07, -0.012]]
    assert [label.get_text() for label in score.get_yticklabels()] == ["Group DRO\n(training)"]
    filled = [
        line.get_markerfacecolor() == line.get_color()
        for axis in (parity, opportunity)
        for line in axis.get_lines()
        if line.get_marker() == DESIGN_MARKERS["B"]
    ]
    assert filled == [False, True]


def test_interactions_have_the_margin_on_both_sides():
    table = made_tables(interactions=[interaction()])["interactions"]
    figure = interactions_figure(table, made_study(delta=0.03))
    places = {line.get_xdata()[0] for line in figure.axes[2].get_lines() if line.get_linestyle() == ":"}
    assert places == {-0.03, 0.03}
    assert "within .03" in legend(figure)


def test_macro_f1_stands_against_gaps_with_front_line_and_rings():
    cells = [
        cell("A"),
        cell("A", "group_dro", macro_f1=0.5),
        cell("A", "lisa", macro_f1=0.4),
        cell("A", "jtt", degenerate=True, macro_f1=0.1),
    ]
    tables = made_tables(
        cells=cells,
        random_replacement=[against_chance(design="A", method="lisa", verdict="under_the_line")],
        replacement_line=[line_point(design="A"), line_point(design="A", share=1.0, gap=0.0, macro_f1=0.25)],
    )
    study = made_study(("none", "group_dro", "lisa", "jtt"), designs=("A",))
    (parity, opportunity) = pareto_figure(tables, study).axes
    corrected = cells[0][f"corrected/{EO}/race"]
    placed = [
        (line.get_marker(), line.get_xdata()[0], line.get_ydata()[0])
        for line in opportunity.get_lines()
        if line.get_marker() not in ("None", "", None)
    ]
    styles = method_styles(study.methods)
    assert placed == [
        (WITHOUT["marker"], 0.45, corrected),
        (styles["group_dro"]["marker"], 0.5, corrected),
        (styles["lisa"]["marker"], 0.4, corrected),
        (RING["marker"], 0.4, corrected),
    ]
    assert [0.45, 0.25] in [list(line.get_xdata()) for line in opportunity.get_lines()]
    assert not [line for line in parity.get_lines() if line.get_markersize() == RING["markersize"]]
    assert seen("pareto", tables, study) == (
        "On the Pareto front: group DRO (DP by race, design A); group DRO (EO by race, design A). Under the line of "
        "random replacement, ringed: design A with LISA (EO by race)."
    )


def test_every_method_has_a_mark_of_its_own():
    styles = method_styles(MITIGATIONS)
    looks = {(style["marker"], style["markerfacecolor"]) for style in styles.values()}
    shapes = {(style["marker"], style["markerfacecolor"] == "white") for style in styles.values()}
    assert len(looks) == len(shapes) == len(MITIGATIONS)  # told apart without colour, too


def test_every_method_is_in_the_legend(figures):
    assert {method.title.lower() for method in METHODS.values()} - {"none"} <= {
        text.lower() for text in legend(figures["pareto"])
    }


def test_what_is_seen_of_changes_names_the_ends():
    rows = [effect(), effect(method="lisa", design="C", value=0.02, verdict="not_established")]
    tables = made_tables(effects=rows)
    assert seen("effects", tables, made_study(("none", "group_dro", "lisa"))) == (
        "EO by race from −.041 (group DRO in B) to +.020 (LISA in C). Established, which is a filled mark: 1 of 2."
    )


def test_gaps_of_degenerate_models_are_neither_drawn_nor_told():
    rows = [effect(verdict="degenerate", value=-0.3), effect(method="lisa"), score_effect(value=-0.5)]
    tables, study = made_tables(effects=rows), made_study(("none", "group_dro", "lisa"))
    score, _, opportunity = effects_figure(tables["effects"], study).axes
    assert [x for x, _ in marks(opportunity, "B")] == [-0.041] and [x for x, _ in marks(score, "B")] == [-0.5]
    assert "−.300" not in seen("effects", tables, study)


def test_undefined_values_are_not_drawn():
    tables = made_tables(effects=[effect(value=np.nan, lower=np.nan, upper=np.nan, verdict="undefined")])
    figure = effects_figure(tables["effects"], made_study())
    assert [marks(axis, "B") for axis in figure.axes] == [[], [], []]
    assert seen("effects", tables, made_study()) == "All values are undefined."
    assert "undefined" in texts(pareto_figure(made_tables(cells=[cell(degenerate=True)]), made_study(designs=("B",))))
