"""The pictures of a run: each is drawn without a warning for small and large data, and shows what the table says."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fairprof.commands.train.pictures import training_figure
from fairprof.measurement.pictures import confusion_figure, rates_figure, reliability_figure
from fairprof.metrics import fairness, performance
from fairprof.reporting.composition import composition_figure
from fairprof.reporting.wording import number

LONG = "senior assistant manager of regional warehouse operations"


def class_names(count: int) -> list[str]:
    return [LONG, *(f"profession_{number}" for number in range(1, count))]


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


def rendered(figure: Figure) -> np.ndarray:
    """The picture as it is logged, (H, W, 3); every warning on the way is an error of the test."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    picture = Image.open(buffer)
    assert picture.format == "PNG" and min(picture.size) > 250
    pixels = np.asarray(picture.convert("RGB"))
    assert (pixels != 255).any(axis=2).mean() > 0.01  # it is not blank
    return pixels


def texts(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


# --- composition ------------------------------------------------------------------------------------------------


def composition(races: int, classes: int) -> pd.DataFrame:
    rows = [
        (partition, profession, f"group {race}", gender, 1 + race + number)
        for partition in ("train", "val", "test")
        for number, profession in enumerate(class_names(classes))
        for race in range(races)
        for gender in ("man", "woman")
    ]
    table = pd.DataFrame(rows, columns=["partition", "profession", "race", "gender", "count"])
    table["partition"] = pd.Categorical(table["partition"], ["train", "val", "test"])
    return table.astype({"profession": "category", "race": "category", "gender": "category"})


@pytest.mark.parametrize("races", [1, 7, 14])
@pytest.mark.parametrize("classes", [2, 6, 10])
def test_composition_draws_every_image_of_every_group(races, classes):
    table = composition(races, classes)
    figure = composition_figure(table, "Design A")
    rendered(figure)
    assert len(figure.axes) == 3
    for axis, partition in zip(figure.axes, ("train", "val", "test"), strict=True):
        bars = [bar.get_width() for bar in axis.patches]
        assert len(bars) == classes * races * 2
        total = table[table["partition"].eq(partition)]["count"].sum()
        assert sum(bars) == total
        assert axis.get_title() == f"{partition}: {total:,} images"


def test_composition_of_an_empty_cell_has_a_bar_of_no_length():
    table = composition(2, 2)
    table.loc[3, "count"] = 0
    figure = composition_figure(table, "Design D")
    rendered(figure)
    assert sorted(bar.get_width() for bar in figure.axes[0].patches)[0] == 0


# --- training ---------------------------------------------------------------------------------------------------


def history(epochs: int) -> list[dict[str, float]]:
    names = ["train/loss", "val/loss", "val/accuracy", "val/balanced_accuracy", "val/macro_f1"]
    names += [
        f"val/{gap}_difference/{attribute}"
        for gap in ("demographic_parity", "equal_opportunity")
        for attribute in ("gender", "race")
    ]
    return [{name: 1 / (epoch + place + 1) for place, name in enumerate(names)} for epoch in range(epochs)]


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_training_curves_hold_every_epoch(epochs):
    figure = training_figure(history(epochs), 1)
    rendered(figure)
    assert [len(axis.get_lines()) for axis in figure.axes] == [3, 4, 5]  # the last line of each marks the best epoch
    train_loss = figure.axes[0].get_lines()[0]
    np.testing.assert_array_equal(train_loss.get_xdata(), range(1, epochs + 1))
    np.testing.assert_allclose(train_loss.get_ydata(), [1 / (epoch + 1) for epoch in range(epochs)])
    assert all(axis.get_lines()[-1].get_xdata()[0] == 1 for axis in figure.axes)


def test_gaps_that_are_undefined_in_every_epoch_leave_their_curves_empty():
    values = [
        {name: float("nan") if "difference" in name else value for name, value in epoch.items()} for epoch in history(3)
    ]
    figure = training_figure(values, 3)
    rendered(figure)
    assert np.isnan(figure.axes[2].get_lines()[0].get_ydata()).all()


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
