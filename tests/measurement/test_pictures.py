"""The pictures of a run: each is drawn without a warning for small and large data, and shows what the table says."""

import numpy as np
import pandas as pd
import pytest

from fairprof.measurement.pictures import confusion_figure, rates_figure, reliability_figure
from fairprof.metrics import fairness, performance
from fairprof.reporting.wording import number
from tests.reporting.charts import LONG, class_names, rendered, texts


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


def test_confusion_matrix_of_a_class_without_images_has_shares_of_nothing():
    table = pd.DataFrame([[3, 1], [0, 0]], index=["a", "b"], columns=["a", "b"])
    figure = confusion_figure(table, "test set")
    rendered(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["3\n75 %", "1\n25 %", "0\n0 %", "0\n0 %"]


@pytest.mark.parametrize("rows", [1, 5, 240])
def test_reliability_shows_a_point_for_every_bin(rows):
    table = predictions(1, 2).head(rows)
    reliability = performance.reliability_table(table)
    figure = reliability_figure(reliability, performance.calibration_error(table))
    rendered(figure)
    (axis,) = figure.axes
    points = axis.get_lines()[1]
    np.testing.assert_array_equal(points.get_xdata(), reliability["mean_confidence"])
    assert len(reliability) >= 1
    assert axis.get_title().endswith(f"error {number(performance.calibration_error(table))}")


# --- rates by group ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("races", [1, 14])
@pytest.mark.parametrize("classes", [2, 6])
def test_rates_have_a_panel_for_every_rate_and_class_and_a_point_for_every_group(races, classes):
    by_group = fairness.rates_by_group(predictions(races, classes, ages=False), min_support=10)
    figure = rates_figure(by_group)
    rendered(figure)
    assert len(figure.axes) == 2 * classes
    assert all(len(axis.collections[1].get_offsets()) == 2 + races for axis in figure.axes)
    assert {f"group {number}" for number in range(races)} | {"man", "woman"} <= set(texts(figure))
    assert LONG in {text.replace("\n", " ") for text in texts(figure)}


def test_rates_are_those_of_the_table():
    table = predictions(3, 2)
    figure = rates_figure(fairness.rates_by_group(table, min_support=10))
    shares = dict(
        zip(
            ("man", "woman", "group 0", "group 1", "group 2"),
            figure.axes[0].collections[1].get_offsets()[:, 0],
            strict=True,
        )
    )
    for attribute, group in (("gender", "man"), ("race", "group 1")):
        rows = table[table[attribute].eq(group)]
        first = figure.axes[0].get_title().replace("\n", " ")
        assert shares[group] == pytest.approx(rows["y_pred"].eq(first).mean())


def test_points_are_hollow_where_evidence_is_weak():
    table = predictions(3, 2)
    for min_support, hollow in ((1, False), (10_000, True)):
        figure = rates_figure(fairness.rates_by_group(table, min_support=min_support))
        faces = np.concatenate([axis.collections[1].get_facecolors() for axis in figure.axes])
        assert (faces[:, :3] == 1).all(axis=1).all() == hollow
        assert (faces[:, :3] == 1).all(axis=1).any() == hollow


def test_undefined_rates_are_left_out_without_a_warning():
    """No woman is a member of the first class: her true positive rate does not exist."""
    table = predictions(2, 2)
    table = table[~(table["gender"].eq("woman") & table["y_true"].eq(LONG))]
    by_group = fairness.rates_by_group(table, min_support=10)
    assert by_group["value"].isna().any()
    rendered(rates_figure(by_group))
