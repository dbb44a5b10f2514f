"""Pictures of hundreds of groups and classes, with names of any kind: the largest are drawn, and how many is said."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fairprof.commands.compare import pictures as of_comparison
from fairprof.commands.evaluate.pictures import robustness_figure, selective_figure, shift_figure
from fairprof.commands.evaluate.robustness import accuracy_under_corruption
from fairprof.commands.prepare import pictures as of_audit
from fairprof.commands.prepare.counts import labels_of, two_way
from fairprof.inference.intervals import with_intervals
from fairprof.measurement.pictures import confusion_figure, rates_figure
from fairprof.metrics import fairness, performance
from fairprof.reporting.chart import MOST_CLASSES, MOST_CURVES, MOST_ROWS, drawn, largest_of, left_out
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.gap_chart import gaps_by_class_figure
from fairprof.reporting.style import png_of
from fairprof.saliency.outline import FacePlace
from fairprof.saliency.panels import (
    ALL_IMAGES,
    MOST_COLUMNS,
    mean_map_difference_panel,
    mean_map_panel,
    reference_difference_panel,
)
from tests.commands.compare.made_tables import make_tables
from tests.reporting.charts import texts

MANY = 480
RACES = [f"$x_{{y$ <b>race</b> {number} {'L' * (number % 300)}\x1b\u202e" for number in range(MANY)]
NONE_LEVELLED = pd.DataFrame(columns=["design", "attribute"])


def picture(figure: Figure) -> None:
    """Drawn as it is logged, no larger than can be looked at; every warning on the way is an error of the test."""
    with Image.open(io.BytesIO(png_of(figure))) as drawn_picture:
        assert 300 < drawn_picture.width < 3600 and 250 < drawn_picture.height < 4500, drawn_picture.size
    assert all(len(line) < 190 for text in texts(figure) for line in text.split("\n"))


def said(figure: Figure) -> str:
    return " ".join(" ".join(texts(figure)).split())


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    """Three images of every race, two of the first, and as many classes as races."""
    rows = 3 * MANY - 1
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(rows)],
            "partition": pd.Categorical(["test"] * rows),
            "gender": pd.Categorical(generator.choice(["m", RACES[0]], rows)),
            "race": pd.Categorical([RACES[(number + 1) % MANY] for number in range(rows)]),
            "age": pd.Categorical([None] * rows, ["20-29"]),
            "y_true": pd.Categorical(generator.choice(RACES[:200], rows)),
            "y_pred": pd.Categorical(generator.choice(RACES[:200], rows)),
        }
    ).assign(profession=lambda table: table["y_true"])


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return make_tables(designs="AB", seeds=2, races=RACES, classes=["cook", *RACES[:100]][:3], epochs=1)


def test_the_largest_are_named_in_their_order():
    assert largest_of(pd.Series({"a": 1, "b": 3, "c": 3, "d": 2}), 3) == ["b", "c", "d"]
    assert largest_of(pd.Series({"b": 1, "a": 1}), 8) == ["b", "a"]
    assert left_out(24, 480, "groups") == "; the 24 largest of 480 groups, all are in the tables"
    assert left_out(3, 3, "groups") == ""


def test_composition(predictions):
    partitions = predictions.assign(partition=pd.Categorical(["train", "val", "test"] * MANY)[: len(predictions)])
    axes = ["partition", "profession", "race", "gender"]
    table = partitions.groupby(axes, observed=False).size().reset_index(name="count")
    figure = composition_figure(table, "Design A")
    picture(figure)
    assert "largest of 960 groups" in said(figure) and f"{200 - MOST_CLASSES} others" in said(figure)
    assert sum(bar.get_width() for bar in figure.axes[0].patches) < MANY
    assert figure.axes[0].get_title() == f"test: {MANY - 1:,} images"


def test_rates_and_confusion(predictions):
    by_group = with_intervals(fairness.rates_by_group(predictions), predictions)
    figure = rates_figure(by_group)
    picture(figure)
    there = by_group[["attribute", "group"]].drop_duplicates()
    assert f"{2 * MOST_ROWS + 2} largest of {len(there):,} groups" in said(figure)
    assert f"{MOST_CURVES} largest of 200 classes" in said(figure)
    figure = confusion_figure(performance.confusion_table(predictions), "test set")
    picture(figure)
    assert f"{MOST_CLASSES} largest of 200 classes" in said(figure)


def test_panels_of_maps():
    maps = {race: np.full((2, 2), float(number)) for number, race in enumerate(RACES)}
    place = FacePlace(0.5, 0.5, 0.3)
    counts = {race: number for number, race in enumerate(RACES)}
    one = {"race": dict.fromkeys(RACES, np.ones((2, 2)))}
    figure = mean_map_panel(one, {"race": counts}, place, "Design A", "layer4.2")
    picture(figure)
    assert f"the {MOST_COLUMNS} largest of {MANY} groups" in said(figure) and "479 images" in said(figure)
    figure = mean_map_difference_panel({"A": maps, "B": maps}, counts, place, "Means")
    picture(figure)
    assert f"the {MOST_COLUMNS} largest of {MANY} groups" in said(figure)
    with_all = {name: {ALL_IMAGES: np.ones((2, 2))} | maps for name in "AB"}
    figure = reference_difference_panel(with_all, {ALL_IMAGES: 9} | counts, "A", place, "Differences")
    picture(figure)
    assert len([axis for axis in figure.axes if axis.get_title()]) == 1 + MOST_COLUMNS
    assert "all images\n9 images" in texts(figure)


def test_comparisons(tables):
    figure = of_comparison.confusion_figure(tables["confusion"], "race")
    picture(figure)
    assert f"the {MOST_ROWS} largest of {MANY} groups" in said(figure)
    figure = of_comparison.group_changes_figure(tables["group_changes"], NONE_LEVELLED)
    picture(figure)
    assert f"the {2 + 2 * MOST_ROWS} largest of {2 + 3 * MANY:,} groups" in said(figure)
    gaps = make_tables(designs="AB", seeds=2, classes=RACES[:200], epochs=1)["gaps"]
    figure = gaps_by_class_figure(gaps)
    picture(figure)
    assert f"the {MOST_CLASSES} classes of 200 with the largest" in said(figure)


def test_evaluations(predictions):
    counts = predictions["race"].value_counts(sort=False)
    curve = {"own test": np.linspace(0.2, 1, 9), "evaluated": np.linspace(0.3, 1, 9)}
    figure = shift_figure({"race": {"training": counts, "own test": counts, "evaluated": counts}}, curve)
    picture(figure)
    assert f"the {MOST_ROWS} largest of {MANY} groups" in said(figure)
    outcomes = pd.concat(
        predictions.assign(corruption=name, severity=severity, correct=predictions["y_true"].eq(predictions["y_pred"]))
        for name, severity in (("clean", 0), ("noise", 1), ("noise", 2))
    )
    figure = robustness_figure(accuracy_under_corruption(outcomes), "race")
    picture(figure)
    assert f"the {MOST_CURVES} largest of {MANY} groups" in said(figure)


def test_curves_against_coverage():
    coverage = [1.0, 0.5]
    scores = pd.DataFrame({"coverage": coverage, "lower": 0.2, "upper": 0.6, "accuracy": 0.4, "macro_f1": 0.3})
    groups = [(attribute, name) for attribute in ("gender", "race") for name in RACES[:9]]
    rows = [
        {
            "coverage": at,
            "attribute": attribute,
            "group": name,
            "support": number,
            "group_coverage": at,
            "accuracy": 0.4,
        }
        for number, (attribute, name) in enumerate(groups)
        for at in coverage
    ]
    gaps = pd.DataFrame(
        [
            {"coverage": at, "attribute": attribute, "metric": metric, "value": 0.1, "null_q95": 0.2, "null_mean": 0.1}
            for attribute in ("gender", "race")
            for metric in ("accuracy_difference", "coverage_difference", *fairness.PARITY_DIFFERENCES)
            for at in coverage
        ]
    ).assign(insufficient_cells=0)
    figure = selective_figure(scores, pd.DataFrame(rows).assign(accuracy=0.4, evidence=fairness.SUFFICIENT), gaps)
    picture(figure)
    legends = [
        axis.get_legend() for axis in figure.axes if axis.get_legend() and axis.get_legend().get_title().get_text()
    ]
    assert [legend.get_title().get_text() for legend in legends] == ["8 largest of 9"] * 4
    assert {len(legend.get_texts()) for legend in legends} == {MOST_CURVES}


def test_audits(predictions):
    figure = of_audit.two_way_figure(two_way(labels_of(predictions)))
    picture(figure)
    assert f"the {MOST_ROWS} largest of {MANY} categories" in said(figure)


@pytest.mark.parametrize("name", ["_hidden", "__", " _x"])
def test_a_name_that_begins_with_an_underscore_is_in_the_legend(name):
    figure = Figure()
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], label=drawn(name))
    assert [text.get_text().strip() for text in axis.legend().get_texts()] == [name.strip()]
