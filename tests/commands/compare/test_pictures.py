"""Pictures of a comparison: they show what the tables say, in any size, and are drawn without a warning."""

import io
import itertools
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fairprof.commands.compare.pictures import (
    LEVELLED,
    confusion_figure,
    differences_figure,
    epochs_figure,
    figures_of,
    group_changes_figure,
    performance_figure,
    tradeoff_figure,
    training_size_figure,
)
from fairprof.reporting.gap_chart import gaps_by_class_figure, gaps_figure
from fairprof.reporting.style import DESIGN_COLOURS, DESIGN_MARKERS
from fairprof.reporting.wording import number, p_value
from tests.reporting.charts import beside, filled, intervals, laid_out, legend, marks, texts, unexplained

NAN = float("nan")
LONG = "senior assistant manager of regional warehouse operations"
NONE_LEVELLED = pd.DataFrame(columns=["design", "attribute"])
FIGURES = {
    "performance": lambda tables: performance_figure(tables["performance"], tables["runs"]),
    "gaps": lambda tables: gaps_figure(tables["gaps"]),
    "gaps by class": lambda tables: gaps_by_class_figure(tables["gaps"]),
    "differences": lambda tables: differences_figure(tables["differences"], tables["seed_differences"]),
    "trade-off": lambda tables: tradeoff_figure(tables["runs"], tables["performance"]),
    "group changes": lambda tables: group_changes_figure(tables["group_changes"], NONE_LEVELLED),
    "training size": lambda tables: training_size_figure(tables["training_size"]),
    "epochs": lambda tables: epochs_figure(tables["epochs"]),
    "confusion by gender": lambda tables: confusion_figure(tables["confusion"], "gender"),
}
ROWS = ("performance", "gaps", "gaps by class", "differences", "group changes")  # charts with a row per design or group


def content(figure: Figure) -> list:
    """All that is seen: texts, and lines, bars and points with their colours and places."""
    lines = [
        (to_hex(line.get_color()), line.get_marker(), np.round(np.asarray(line.get_xydata(), float), 9).tolist())
        for axis in figure.axes
        for line in axis.get_lines()
    ]
    bars = [(to_hex(bar.get_facecolor()), *np.round(bar.get_bbox().bounds, 9)) for bar in figure.findobj(Rectangle)]
    return [sorted(texts(figure)), sorted(map(repr, lines)), sorted(map(repr, bars))]


# --- all of them ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usual(usual_tables):
    """The picture of a name, drawn from a study of usual size; made once."""
    return cache(lambda name: FIGURES[name](usual_tables))


@pytest.mark.parametrize("name", FIGURES)
def test_usual_study_is_drawn(usual, name):
    figure = usual(name)
    laid_out(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    assert (np.asarray(Image.open(buffer).convert("RGB")) != 255).any(axis=2).mean() > 0.01  # it is not blank
    assert "better" in figure.get_suptitle() and not unexplained(figure)
    if name not in ("group changes", "confusion by gender"):  # whose tables do not tell
        assert "6 seeds" in figure.get_suptitle()


@pytest.mark.parametrize("name", FIGURES)
def test_one_design_with_one_seed_and_one_epoch_is_drawn(make_tables, name):
    figure = FIGURES[name](make_tables(designs="A", seeds=1, races=("north",), epochs=1))
    laid_out(figure)
    if name in ("differences", "group changes"):
        assert texts(figure) == ["There is one design only: nothing to compare it with."]
    elif name != "confusion by gender":
        assert "1 seed" in figure.get_suptitle() and "1 seeds" not in figure.get_suptitle()


@pytest.fixture(scope="module")
def large(make_tables):
    """Five designs, four arms, seven groups with long names, six classes."""
    return make_tables(
        designs="ABCDE",
        seeds=3,
        arms=("natural", "matched", "1000", "natural, fraction 0.25"),
        races=[f"{LONG} {number}" for number in range(7)],
        classes=[f"{LONG} {number}" for number in range(6)],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_large_study_is_drawn_and_no_text_lies_over_another(large, name):
    figure = FIGURES[name](large)
    laid_out(figure)
    if name not in ROWS:
        return
    boxes = []
    for axis in figure.axes:
        shown = [*axis.texts, *(label for label in axis.get_yticklabels() if label.get_text()), axis.title]
        boxes += [(text.get_text(), text.get_window_extent()) for text in shown if text.get_text()]
    for (first, box), (second, other) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other), (first, second)
    assert [text for text, box in boxes if box.x0 < 0 or box.x1 > figure.bbox.x1] == []


@pytest.mark.parametrize("name", FIGURES)
def test_order_of_the_designs_changes_nothing(make_tables, name):
    tables = make_tables(designs="ABC", seeds=2, races=("north", "south"), classes=("cook", "driver"), epochs=2)
    reversed_tables = {
        key: table.sort_values("design", ascending=False, kind="stable") for key, table in tables.items()
    }
    assert not tables["performance"]["design"].eq(list(reversed_tables["performance"]["design"])).all()
    assert content(FIGURES[name](tables)) == content(FIGURES[name](reversed_tables))


@pytest.mark.parametrize("name", ["gaps", "differences", "trade-off", "group changes", "epochs"])
def test_pictures_of_one_arm_show_the_first_and_say_which(make_tables, name):
    study = {"designs": "AB", "seeds": 2, "races": ("north", "south"), "classes": ("cook", "driver"), "epochs": 2}
    both = make_tables(arms=("matched", "natural"), **study)
    first = {key: table[table["arm"].eq("matched")] if "arm" in table.columns else table for key, table in both.items()}
    figure = FIGURES[name](both)
    assert "training set: matched" in figure.get_suptitle()
    assert content(figure) == content(FIGURES[name](first))


# --- colours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "confusion by gender"])
def test_a_design_has_the_same_colour_in_every_picture(usual, name):
    figure = usual(name)
    colours = {
        (line.get_marker(), to_hex(line.get_color()))
        for axis in figure.axes
        for line in axis.get_lines()
        if line.get_marker() in DESIGN_MARKERS.values()
    }
    compared = "BCD" if name in ("differences", "group changes") else "ABCD"
    assert colours == {(DESIGN_MARKERS[design], to_hex(DESIGN_COLOURS[design])) for design in compared}


# --- performance ------------------------------------------------------------------------------------------------


def test_performance_shows_means_intervals_seeds_and_ceiling(usual, tables):
    figure = usual("performance")
    for axis, score in zip(figure.axes, ("accuracy", "balanced_accuracy", "macro_f1"), strict=True):
        shown = tables["performance"].query("metric == @score").set_index("design")
        for row, design in enumerate("ABCD", start=1):  # row 0 is the heading
            assert marks(axis, design) == [(shown.loc[design, "value"], row)]
            seeds = tables["runs"].query("design == @design")[score]
            assert [x for x, _ in marks(axis, design, single=True)] == list(seeds)
        assert intervals(axis) == shown.loc[list("ABCD"), ["lower", "upper"]].to_numpy().tolist()
        assert [text for text, _ in beside(axis)] == [number(value) for value in shown.loc[list("ABCD"), "value"]]
        (ceiling,) = [line for line in axis.get_lines() if line.get_linestyle() == "--"]
        assert list(ceiling.get_xdata()) == [shown["ceiling"].iloc[0]] * 2
    assert figure.axes[2].get_title() == "macro-F1; ceiling .690"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list("ABCD")


def test_every_arm_has_its_own_rows(make_tables):
    tables = make_tables(seeds=2, arms=("natural", "matched"))
    tables["performance"] = tables["performance"].query("arm == 'natural' or design != 'B'")
    axis = performance_figure(tables["performance"], tables["runs"]).axes[0]
    headings = sorted((text.get_position()[1], text.get_text()) for text in axis.texts if text.get_position()[0] < 1)
    assert headings == [(0, "training set: natural"), (5, "training set: matched")]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["A", "B", "C", "D", "A", "C", "D"]
    assert [y for _, y in marks(axis, "D")] == [4, 8]


def test_unknown_ceiling_and_undefined_score_are_named_and_not_drawn(make_tables):
    tables = make_tables(designs="AB", seeds=2)
    tables["performance"][["ceiling", "share_of_ceiling", "share_above_chance"]] = NAN
    tables["performance"].loc[0, ["value", "lower", "upper"]] = NAN
    tables["runs"].loc[0, "accuracy"] = NAN
    figure = performance_figure(tables["performance"], tables["runs"])
    laid_out(figure)
    axis = figure.axes[0]
    assert axis.get_title() == "accuracy; ceiling unknown"
    assert not [line for line in axis.get_lines() if line.get_linestyle() == "--"]
    assert marks(axis, "A") == [] and len(marks(axis, "A", single=True)) == 1 and len(intervals(axis)) == 1
    assert beside(axis)[0][0] == "undefined" and axis.get_xlim()[0] > 0.1


def test_designs_with_different_numbers_of_seeds_are_said_so(tables):
    tables["performance"].loc[tables["performance"]["design"].eq("D"), "seeds"] = 4
    assert "4 to 6 seeds" in performance_figure(tables["performance"], tables["runs"]).get_suptitle()


# --- differences between designs --------------------------------------------------------------------------------


def test_differences_show_means_intervals_seeds_and_adjusted_p(usual, tables):
    figure = usual("differences")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["scores", "gaps by gender", "gaps by race", "gaps by gender x race"]
    for axis, attribute in zip(figure.axes, ("", "gender", "race", "gender_x_race"), strict=True):
        shown = tables["differences"]
        shown = shown[shown["attribute"].eq(attribute)].sort_values(["metric", "design"])
        assert intervals(axis) == shown[["lower", "upper"]].to_numpy().tolist()
        assert filled(axis) == list(shown["verdict"].eq("established"))
        assert [text for text, _ in beside(axis)] == [p_value(p) for p in shown["p_adjusted"]]
        weights = ["bold" if family == "confirmatory" else "normal" for family in shown["family"]]
        assert [weight for _, weight in beside(axis)] == weights
        single = tables["seed_differences"].query("design == 'C'")
        single = single[single["attribute"].eq(attribute)].sort_values("metric", kind="stable")["value"]
        assert [x for x, _ in marks(axis, "C", single=True)] == list(single)
        assert [list(line.get_xdata()) for line in axis.get_lines() if len(set(line.get_ydata())) == 2] == [[0, 0]]
    assert figure.axes[0].get_xlabel().endswith("right: better than A")
    assert {axis.get_xlabel().split("\n")[1] for axis in figure.axes[1:]} == {"right: larger gap than A (worse)"}
    assert len({axis.get_xlim() for axis in figure.axes[1:]}) == 1


def test_three_seeds_allow_no_claim(make_tables):
    tables = make_tables(seeds=3)
    figure = differences_figure(tables["differences"], tables["seed_differences"])
    assert {text for axis in figure.axes for text, _ in beside(axis)} == {"too few seeds"}
    assert not any(itertools.chain.from_iterable(filled(axis) for axis in figure.axes))


def test_undefined_difference_is_named_and_not_drawn(tables):
    table = tables["differences"]
    lost = table["design"].eq("B") & table["attribute"].eq("race")
    table.loc[lost, ["value", "lower", "upper", "p_adjusted"]] = NAN
    figure = differences_figure(table, tables["seed_differences"])
    laid_out(figure)
    axis = figure.axes[2]
    assert marks(axis, "B") == [] and marks(axis, "B", single=True) == []
    assert [text for text, _ in beside(axis)].count("undefined") == 3


# --- groups -----------------------------------------------------------------------------------------------------


def changes(reference: dict[str, float], accuracy: dict[str, float], width: float = 0.01) -> pd.DataFrame:
    """Rows of one attribute and design; the intervals reach `width` to both sides."""
    table = pd.DataFrame({"group": list(reference), "reference_accuracy": reference.values()})
    table["accuracy"] = list(accuracy.values())
    table["change"] = table["accuracy"] - table["reference_accuracy"]
    place = {"arm": "natural", "design": "B", "reference": "A", "attribute": "race", "support": 50}
    return table.assign(lower=table["change"] - width, upper=table["change"] + width, **place)


BEFORE = {"north": 0.60, "south": 0.50, "west": 0.55}


def test_levelling_down_is_shaded_where_it_is_and_nowhere_else():
    down = changes(BEFORE, {"north": 0.52, "south": 0.50, "west": 0.52})
    up = changes(BEFORE, {"north": 0.60, "south": 0.58, "west": 0.60}).assign(design="C")
    levelled = pd.DataFrame({"design": ["B", "C"], "attribute": ["race", "gender"]})
    figure = group_changes_figure(pd.concat([down, up]), levelled)
    shades = [
        [bar.get_bbox().intervaly for bar in axis.patches if to_hex(bar.get_facecolor()) == LEVELLED]
        for axis in figure.axes
    ]
    assert len(shades[0]) == 1 and shades[1] == []
    assert sorted(shades[0][0]) == [0.5, 3.5]  # the three groups below the heading
    assert figure.axes[0].texts[0].get_text() == "gap .100 → .020, levelling down"
    assert figure.axes[1].texts[0].get_text() == "gap .100 → .020"


def test_every_group_is_shown_with_its_change_and_size(usual, tables):
    table = tables["group_changes"]
    figure = usual("group changes")
    assert [axis.get_title() for axis in figure.axes] == ["B against A", "C against A", "D against A"]
    for axis, design in zip(figure.axes, "BCD", strict=True):
        shown = table[table["design"].eq(design)]
        assert [x for x, _ in marks(axis, design)] == list(shown["change"])
        assert intervals(axis) == shown[["lower", "upper"]].to_numpy().tolist()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 2 + 7 + 14 + 3  # with the attributes
    rows = dict(zip(figure.axes[0].get_yticks().tolist(), labels, strict=True))
    assert [rows[row] for row in range(5)] == [
        "by gender",
        "Male (1,000 images, worst in A)",
        "Female (1,000 images, best in A)",
        "by race",
        "East Asian (285 images, worst in A)",
    ]


def test_undefined_change_of_a_group_is_named_and_not_drawn():
    figure = group_changes_figure(changes(BEFORE, {"north": 0.6, "south": NAN, "west": 0.55}), NONE_LEVELLED)
    laid_out(figure)
    (axis,) = figure.axes
    assert [y for _, y in marks(axis, "B")] == [1, 3]
    assert [text.get_position()[1] for text in axis.texts if text.get_text() == "undefined"] == [2]


def test_long_names_keep_their_ends_apart():
    names = [f"{LONG} {number}" for number in range(3)]
    table = changes(dict.fromkeys(names, 0.5), dict.fromkeys(names, 0.6))
    labels = [label.get_text() for label in group_changes_figure(table, NONE_LEVELLED).axes[0].get_yticklabels()]
    assert len(set(labels)) == 4 and all(len(label) < 70 for label in labels)


# --- score against gap ------------------------------------------------------------------------------------------


def test_tradeoff_shows_runs_means_and_the_front(usual, tables):
    runs = tables["runs"]
    figure = usual("trade-off")
    gaps = [
        f"{metric}_difference/{attribute}"
        for metric in ("demographic_parity", "equal_opportunity")
        for attribute in ("gender", "race")
    ]
    scores = tables["performance"].query("metric == 'macro_f1'").set_index("design")["value"]
    for axis, name in zip(figure.axes, gaps, strict=True):
        means = runs.groupby("design")[name].mean()
        for design in "ABCD":
            single = runs[runs["design"].eq(design)]
            assert marks(axis, design, single=True) == list(zip(single["macro_f1"], single[name], strict=True))
            assert marks(axis, design) == [(scores[design], means[design])]
        (front,) = [line for line in axis.get_lines() if line.get_linestyle() == "--"]
        on_front = [line for line in axis.get_lines() if line.get_markeredgewidth() == 2]
        corners = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in on_front)
        assert list(zip(*front.get_data(), strict=True)) == corners
        assert front.get_drawstyle() == "steps-pre"  # more macro-F1 than a corner's costs the next corner's gap
        best = scores.idxmax()
        assert (scores[best], means[best]) == corners[-1]
        assert means.min() == min(y for _, y in corners)
    assert "ceiling of macro-F1: .690" in figure.get_suptitle()


def test_gap_that_is_undefined_everywhere_leaves_its_panel_empty(tables):
    tables["runs"]["equal_opportunity_difference/race"] = NAN
    tables["runs"].loc[tables["runs"]["design"].eq("D"), "demographic_parity_difference/race"] = NAN
    figure = tradeoff_figure(tables["runs"], tables["performance"])
    laid_out(figure)
    assert [text.get_text() for text in figure.axes[3].texts] == ["undefined"]
    assert marks(figure.axes[3], "A") == [] and len(marks(figure.axes[1], "A")) == 1
    assert marks(figure.axes[1], "D") == [] and marks(figure.axes[1], "D", single=True) == []


# --- training images and epochs ---------------------------------------------------------------------------------


def test_curves_over_training_images_with_the_null_mean_of_the_gaps(make_tables):
    table = make_tables(seeds=2, arms=("natural", "matched", "natural, fraction 0.25"))["training_size"]
    figure = training_size_figure(table)
    *axes, legend_axis = figure.axes
    assert [axis.get_title() for axis in axes[:2]] == ["macro-F1", "demographic parity difference by gender"]
    expected = table.query("metric == 'demographic_parity_difference/gender' and design == 'B'")
    expected = expected.sort_values("training_images")
    assert list(expected["training_images"]) == [280, 438, 1752]
    assert marks(axes[1], "B") == list(zip(expected["training_images"], expected["value"], strict=True))
    dashed = [line for line in axes[1].get_lines() if line.get_linestyle() == "--"]
    assert [to_hex(line.get_color()) for line in dashed] == [to_hex(DESIGN_COLOURS[design]) for design in "ABCD"]
    np.testing.assert_array_equal(dashed[1].get_ydata(), expected["null_mean"])
    assert all(np.isnan(line.get_ydata()).all() for line in axes[0].get_lines() if line.get_linestyle() == "--")
    assert axes[0].get_xscale() == "log" and not legend_axis.axison
    assert legend(figure)[:4] == [f"design {design}, mean over seeds" for design in "ABCD"]


def test_there_is_no_picture_of_training_sizes_with_one_size_a_design(make_tables):
    protocol = SimpleNamespace(main_arm="natural")
    for arms, drawn in ((("natural",), False), (("natural", "matched"), True)):
        figures = figures_of(make_tables(designs="AB", seeds=2, arms=arms), protocol)
        assert ("training_size" in figures) == drawn


def test_one_size_is_on_a_plain_scale(make_tables):
    table = make_tables(designs="A", seeds=1)["training_size"]
    assert training_size_figure(table).axes[0].get_xscale() == "linear"


def epochs_table(values: dict[int, list[float]]) -> pd.DataFrame:
    """macro-F1 of design A by seed, one value an epoch."""
    rows = [
        ("natural", "A", seed, epoch, "macro_f1", value)
        for seed, of_seed in values.items()
        for epoch, value in enumerate(of_seed, start=1)
    ]
    return pd.DataFrame(rows, columns=["arm", "design", "seed", "epoch", "metric", "value"])


def test_epochs_show_mean_and_range_as_far_as_all_seeds_reached():
    figure = epochs_figure(epochs_table({0: [0.2, 0.4, 0.6], 1: [0.3, 0.6], 2: [0.1, 0.5]}))
    laid_out(figure)
    axis = figure.axes[0]
    (curve,) = axis.get_lines()
    np.testing.assert_allclose(curve.get_ydata(), [0.2, 0.5, NAN])
    band = axis.collections[0].get_paths()[0].vertices
    assert {(1.0, 0.1), (1.0, 0.3), (2.0, 0.4), (2.0, 0.6)} == {tuple(np.round(point, 9)) for point in band}
    assert "3 seeds" in figure.get_suptitle()


def test_epoch_whose_gap_is_undefined_leaves_a_hole():
    figure = epochs_figure(epochs_table({0: [0.2, NAN, 0.6], 1: [0.4, 0.4, 0.6]}))
    laid_out(figure)
    (curve,) = figure.axes[0].get_lines()
    np.testing.assert_allclose(curve.get_ydata(), [0.3, NAN, 0.6])


def test_epochs_have_a_panel_for_score_gaps_and_loss(usual, tables):
    figure = usual("epochs")
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "macro-F1 (up is better)",
        *["gap (down is better)"] * 4,
        "loss (down is better)",
    ]
    mean = tables["epochs"].query("metric == 'loss' and design == 'D'").groupby("epoch")["value"].mean()
    assert [y for _, y in marks(figure.axes[5], "D")] == pytest.approx(list(mean))


# --- confusion matrices -----------------------------------------------------------------------------------------


def confusion(counts: dict[tuple[str, str], list[list[int]]], classes: str = "xy") -> pd.DataFrame:
    """Counts of (design, group), true class by predicted class."""
    rows = [
        (design, "gender", group, true, predicted, count)
        for (design, group), matrix in counts.items()
        for true, line in zip(classes, matrix, strict=True)
        for predicted, count in zip(classes, line, strict=True)
    ]
    return pd.DataFrame(rows, columns=["design", "attribute", "group", "y_true", "y_pred", "count"])


def numbers(axis) -> list[str]:
    return [text.get_text() for text in axis.texts if text.get_ha() == "center" and text.get_va() == "center"]


def beside_rows(axis) -> list[str]:
    """How many predictions every row of the matrices is of."""
    return [text.get_text() for text in axis.texts if text.get_ha() == "left" and text.get_va() == "center"]


def test_confusion_by_hand():
    figure = confusion_figure(
        confusion({("A", "man"): [[3, 1], [1, 1]], ("A", "woman"): [[0, 2], [0, 0]], ("B", "man"): [[1, 0], [0, 1]]}),
        "gender",
    )
    laid_out(figure)
    axis = figure.axes[0]
    assert numbers(axis)[:8] == ["75", "25", "50", "50", "0", "100", "–", "–"]  # no woman is truly y
    assert numbers(axis)[8:12] == ["100", "0", "0", "100"] and numbers(axis)[12:] == ["–"] * 4  # not measured
    assert beside_rows(axis) == ["4", "2", "2", "0", "1", "1", "0", "0"]
    shares = [mesh.get_array() for mesh in axis.findobj(QuadMesh)]
    np.testing.assert_allclose(shares[0], [[0.75, 0.25], [0.5, 0.5]])
    assert np.ma.getmaskarray(shares[1]).tolist() == [[False, False], [True, True]]
    assert {mesh.get_clim() for mesh in axis.findobj(QuadMesh)} == {(0, 1)}
    assert {"man\n2 to 6 predictions", "woman\n2 predictions", "design A", "design B"} <= set(texts(figure))
    assert figure.axes[-1].get_xlabel() == "share of the true class, %" and figure.axes[-1].get_xlim() == (0, 100)


def test_every_matrix_of_fourteen_groups_is_drawn(make_tables):
    table = make_tables(designs="AD", seeds=6)["confusion"]
    figure = confusion_figure(table, "gender_x_race")
    laid_out(figure)
    *lines, _ = figure.axes
    assert len(lines) == 2 and [len(axis.findobj(QuadMesh)) for axis in lines] == [2 * 7, 2 * 7]
    part = table.query("design == 'D' and group == 'Female x Southeast Asian'")
    matrix = part["count"].to_numpy().reshape(4, 4)
    shares = 100 * matrix / matrix.sum(axis=1, keepdims=True)
    assert numbers(lines[1])[-16:] == [f"{share:.0f}" for share in shares.ravel()]
    headings = [text.get_text().replace("\n", " ") for text in lines[1].texts if "predictions" in text.get_text()]
    assert len(headings) == 7 and headings[0] == "Female x East Asian 840 predictions"


def test_shares_of_many_classes_are_shown_by_colour_alone():
    classes = "abcdefgh"
    figure = confusion_figure(confusion({("A", "man"): np.eye(8, dtype=int).tolist()}, classes), "gender")
    laid_out(figure)
    assert numbers(figure.axes[0]) == [] and beside_rows(figure.axes[0]) == []
    np.testing.assert_array_equal(figure.axes[0].findobj(QuadMesh)[0].get_array(), np.eye(8))
