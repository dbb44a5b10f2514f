"""The pictures of a run: each is drawn without a warning for small and large data, and shows what the table says."""

import numpy as np
import pandas as pd
import pytest

from fairprof.inference.calibration_by_group import reliability_with_intervals
from fairprof.inference.intervals import wilson_interval, with_intervals
from fairprof.measurement.pictures import confusion_figure, rates_figure, reliability_figure
from fairprof.metrics import fairness, performance
from fairprof.reporting.wording import number
from tests.reporting.charts import LONG, class_names, legend, rendered, texts, unexplained


def predictions(races: int, classes: int, rows: int = 240, ages: bool = True) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    names = class_names(classes)
    probabilities = generator.dirichlet(np.ones(classes), rows)
    table = pd.DataFrame(
        {
            "image": [f"{number}.jpg" for number in range(rows)],
            "partition": "test",
            "y_true": [names[number % classes] for number in range(rows)],
            "y_pred": np.array(names)[probabilities.argmax(axis=1)],
        }
    )
    for place, name in enumerate(names):
        table[f"probability_{name}"] = probabilities[:, place]
    table["gender"] = pd.Categorical(generator.choice(["man", "woman"], rows))
    table["race"] = pd.Categorical([f"group {number % races}" for number in range(rows)])
    table["age"] = pd.Categorical(["20-29" if ages else None] * rows, categories=["20-29"])
    return table


# --- confusion matrix and calibration ---------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 6])
def test_confusion_matrix_shows_every_count(classes):
    table = predictions(3, classes)
    figure = confusion_figure(performance.confusion_table(table), "test set")
    rendered(figure)
    (axis,) = figure.axes
    counts = [int(text.get_text().split("\n")[0]) for text in axis.texts]
    said = list(zip(table["y_true"], table["y_pred"], strict=True))
    pairs = [(true, predicted) for true in class_names(classes) for predicted in class_names(classes)]
    assert counts == [said.count(pair) for pair in pairs]
    assert LONG in texts(figure)
    images = [label.get_text().split("\n")[-1] for label in axis.get_yticklabels()]
    assert images == [f"{table['y_true'].eq(name).sum()} images" for name in class_names(classes)]


def test_confusion_matrix_of_a_class_without_images_has_shares_of_nothing():
    table = pd.DataFrame([[3, 1], [0, 0]], index=["a", "b"], columns=["a", "b"])
    figure = confusion_figure(table, "test set")
    rendered(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["3\n75 %", "1\n25 %", "0\n0 %", "0\n0 %"]


@pytest.mark.parametrize("rows", [1, 5, 240])
def test_reliability_shows_a_point_for_every_bin(rows):
    table = predictions(1, 2).head(rows)
    reliability = reliability_with_intervals(table, performance.CALIBRATION_BINS)
    figure = reliability_figure(reliability, performance.calibration_error(table))
    rendered(figure)
    (axis,) = figure.axes
    points = axis.get_lines()[1]
    np.testing.assert_array_equal(points.get_xdata(), reliability["mean_confidence"])
    upright = np.array([line.get_ydata() for line in axis.get_lines()[2:]])
    hits = (reliability["accuracy"] * reliability["count"]).round()
    np.testing.assert_allclose(upright.T, wilson_interval(hits, reliability["count"]))
    assert legend(figure) == ["perfect calibration", "this model", "95 % interval (Wilson), upright"]
    assert axis.get_title().endswith(f"error {number(performance.calibration_error(table))}")


# --- rates by group ---------------------------------------------------------------------------------------------


def rates_of(table: pd.DataFrame, min_support: int = 10) -> pd.DataFrame:
    return with_intervals(fairness.rates_by_group(table, min_support=min_support), table)


def points(axis) -> dict[float, float]:
    """Row of every point to its rate."""
    marked = [line for line in axis.get_lines() if line.get_marker() == "o"]
    return {y: x for line in marked for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


@pytest.mark.parametrize("races", [1, 14])
@pytest.mark.parametrize("classes", [2, 6])
def test_rates_have_a_panel_for_every_rate_and_class_and_a_point_for_every_group(races, classes):
    figure = rates_figure(rates_of(predictions(races, classes, ages=False)))
    rendered(figure)
    assert len(figure.axes) == 2 * classes
    assert [len(points(axis)) for axis in figure.axes] == [
        2 + races + min(2 * races, 24)
    ] * 2 * classes  # and intersections
    named = {f"group {number}" for number in range(races)} | {"man", "woman"}
    assert named | {"by gender", "by race", "by gender x race"} <= set(texts(figure))
    assert sum(text.startswith(("man x group", "woman x group")) for text in texts(figure)) >= 2 * min(2 * races, 24)
    assert LONG in {text.replace("\n", " ") for text in texts(figure)}
    assert not unexplained(figure)


def test_rates_and_intervals_are_those_of_the_table():
    table = predictions(3, 2)
    by_group = rates_of(table)
    figure = rates_figure(by_group)
    axis = figure.axes[0]
    first = axis.get_title().replace("\n", " ")
    shown = by_group[by_group["rate"].eq("selection_rate") & by_group["class"].eq(first)].set_index("group")
    # below a heading each: two genders, three races, six intersections
    rows = {1: "man", 2: "woman", 4: "group 0", 5: "group 1", 6: "group 2", 8: "man x group 0"}
    for row, group in rows.items():
        assert points(axis)[row] == shown.loc[group, "value"]
        ends = [line.get_xdata() for line in axis.get_lines() if list(line.get_ydata()) == [row, row]]
        np.testing.assert_array_equal(ends, [shown.loc[group, ["lower", "upper"]].astype(float)])
    assert points(axis)[5] == pytest.approx(table.loc[table["race"].eq("group 1"), "y_pred"].eq(first).mean())


def test_points_are_hollow_where_evidence_is_weak():
    table = predictions(3, 2)
    for min_support, fill in ((1, "#3b6fb6"), (10_000, "white")):
        figure = rates_figure(rates_of(table, min_support))
        marked = [line for axis in figure.axes for line in axis.get_lines() if line.get_marker() == "o"]
        assert {line.get_markerfacecolor() for line in marked if len(line.get_xdata())} == {fill}
    assert legend(figure) == ["enough images", "insufficient evidence", "95 % interval (Wilson)"]


def test_undefined_rates_are_named_without_a_warning():
    """No woman is a member of the first class: her true positive rate does not exist."""
    table = predictions(2, 2)
    table = table[~(table["gender"].eq("woman") & table["y_true"].eq(LONG))]
    by_group = rates_of(table)
    figure = rates_figure(by_group)
    rendered(figure)
    shown = by_group[by_group["rate"].ne("false_positive_rate")]
    assert texts(figure).count("undefined") == shown["value"].isna().sum() > 0
