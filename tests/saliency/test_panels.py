"""Pictures of maps: they are drawn without a warning, for any number of groups, and on one colour scale."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from fairprof.saliency.outline import FacePlace
from fairprof.saliency.panels import (
    LAID_OVER,
    contact_sheet,
    mean_map_difference_panel,
    mean_map_panel,
    overlay,
    side_by_side_panel,
)

PLACE = FacePlace(0.5, 0.5, 0.3)
LONG = "senior assistant manager of regional warehouse operations"


def rendered(figure: Figure) -> np.ndarray:
    """The picture as it is logged, (H, W, 3); every warning on the way is an error of the test."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    picture = Image.open(buffer)
    assert picture.format == "PNG" and picture.width > 150 and picture.height > 250
    return np.asarray(picture.convert("RGB"))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def rows(count: int, ages: bool = True, classes: tuple[str, ...] = ("cook", "driver")) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gender": pd.Categorical(["man", "woman"] * 8)[:count],
            "race": pd.Categorical(["north"] * count),
            "age": pd.Categorical(["20-29" if ages else None] * count, categories=["20-29"]),
            "y_true": [classes[0]] * count,
            "y_pred": [classes[number % len(classes)] for number in range(count)],
        }
    )


# --- overlay ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [0.0, 1.0])
def test_map_of_zeros_leaves_the_image_as_it_is(largest):
    pixels = noise(48, 48)
    np.testing.assert_array_equal(overlay(pixels, np.zeros((2, 2), np.float32), largest), pixels)


def test_strongest_map_takes_seven_tenths_of_the_image_by_hand():
    pixels = noise(48, 48)
    yellow = 255 * np.array(matplotlib.colormaps["inferno"](1.0)[:3])
    expected = (0.3 * pixels + 0.7 * yellow).round()
    np.testing.assert_allclose(overlay(pixels, np.full((2, 2), 3.0, np.float32), 3.0), expected, atol=1)


def test_scale_is_the_one_that_was_given_and_not_that_of_the_map():
    pixels, saliency = noise(48, 48), np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)
    weak, strong = (overlay(pixels, saliency, largest).astype(int) for largest in (30.0, 3.0))
    assert np.abs(weak - pixels).mean() < np.abs(strong - pixels).mean()
    np.testing.assert_array_equal(overlay(pixels, 10 * saliency, 30.0), strong)


def test_strong_place_of_the_map_is_the_strong_place_of_the_picture():
    pixels = np.full((64, 64, 3), 128, np.uint8)
    saliency = np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
    change = np.abs(overlay(pixels, saliency, 1.0).astype(int) - 128).sum(axis=2)
    assert change[48:, 48:].mean() > 100 and change[:16, :16].mean() < 20


def test_weak_map_leaves_the_image_as_bright_as_it_is():
    """There is no veil: nothing changes no pixel, and a thousandth of the strongest none by three hundredths."""
    pixels = noise(48, 48)
    nothing, little = (overlay(pixels, np.full((2, 2), level, np.float32), 1.0) for level in (0.0, 0.001))
    np.testing.assert_array_equal(nothing, pixels)
    assert np.abs(little.astype(int) - pixels).max() <= 0.03 * 255


def test_equal_steps_of_colour_are_those_of_the_square_root():
    white = np.full((8, 8, 3), 255, np.uint8)
    *colour, share = LAID_OVER(0.5)
    quarter = overlay(white, np.full((2, 2), 0.25, np.float32), 1.0)[0, 0]
    np.testing.assert_allclose(quarter, 255 * (share * np.array(colour) + 1 - share), atol=2)


# --- contact sheet ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "axes"), [(1, 2), (5, 10), (8, 16), (11, 32), (16, 32)])
def test_sheet_has_two_pictures_for_every_image_and_a_colour_bar(count, axes):
    maps = np.random.default_rng(0).random((count, 2, 2))
    figure = contact_sheet(rows(count), noise(count, 32, 32), maps, "Design A", "layer4.2")
    rendered(figure)
    *shown, bar = figure.axes
    assert len(shown) == axes
    assert sum(len(axis.images) for axis in shown) == 2 * count
    assert figure.get_suptitle().startswith("Design A\nbelow each image: Grad-CAM at layer4.2, 2 x 2 fields")
    assert bar.get_ylabel() == "Grad-CAM (logit units), over white"
    np.testing.assert_allclose(bar.get_ylim(), (0, np.quantile(maps.max(axis=(1, 2)), 0.9)))


def test_colour_bar_has_the_colours_of_the_overlays_on_white():
    white = np.full((2, 2, 3), 255, np.uint8)
    for strength in (0.0, 0.2, 0.5, 1.0):
        *colour, share = LAID_OVER(strength**0.5)  # as the bar's scale has it
        shown = 255 * (share * np.array(colour) + 1 - share)
        found = overlay(white, np.full((2, 2), strength, np.float32), 1.0)[0, 0]
        np.testing.assert_allclose(found, shown, atol=2)


def test_sheet_shows_the_images_themselves_with_their_maps_below():
    pixels, maps = noise(3, 32, 32), np.random.default_rng(0).random((3, 2, 2))
    figure = contact_sheet(rows(3), pixels, maps, "Design A", "layer4.2")
    for column in range(3):
        np.testing.assert_array_equal(figure.axes[column].images[0].get_array(), pixels[column])
    below = [figure.axes[3 + column].images[0].get_array() for column in range(3)]
    assert all(picture.shape == (224, 224, 3) for picture in below)  # a coarse map is drawn smoothly


def test_captions_say_group_true_and_predicted_class():
    figure = contact_sheet(rows(2), noise(2, 32, 32), np.ones((2, 2, 2)), "Design A", "layer4.2")
    titles = [axis.get_title() for axis in figure.axes[:-1]]
    assert titles == ["man, north\n20-29", "woman, north\n20-29", "cook\n= cook", "cook\n→ driver"]
    green, red = (to_hex(axis.title.get_color()) for axis in figure.axes[2:4])
    assert (green, red) == ("#1a7f37", "#b42318")


def test_missing_ages_are_left_out_of_the_captions():
    figure = contact_sheet(rows(2, ages=False), noise(2, 32, 32), np.ones((2, 2, 2)), "Design A", "layer4.2")
    rendered(figure)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["man\nnorth", "woman\nnorth"]


@pytest.mark.parametrize("count", [1, 16])
def test_long_class_names_and_many_classes_are_drawn(count):
    classes = (LONG, *(f"{LONG} {number}" for number in range(5)))
    rendered(
        contact_sheet(
            rows(count, classes=classes), noise(count, 32, 32), np.ones((count, 2, 2)), "Design A", "layer4.2"
        )
    )


def test_sheet_of_maps_that_are_all_zero_shows_the_images_twice():
    pixels = noise(4, 224, 224)
    figure = contact_sheet(rows(4), pixels, np.zeros((4, 7, 7)), "Design A", "layer4.2")
    rendered(figure)
    for column in range(4):
        np.testing.assert_array_equal(figure.axes[4 + column].images[0].get_array(), pixels[column])


def test_one_colour_scale_is_common_to_the_sheet():
    """A map with a tenth of the strength is drawn weaker: it is not scaled to itself."""
    pixels = np.full((2, 224, 224, 3), 128, np.uint8)
    maps = np.stack([np.full((7, 7), 1.0), np.full((7, 7), 0.1)])
    figure = contact_sheet(rows(2), pixels, maps, "Design A", "layer4.2")
    strong, weak = (np.abs(figure.axes[place].images[0].get_array().astype(int) - 128).mean() for place in (2, 3))
    assert strong > 1.5 * weak > 0


# --- mean maps --------------------------------------------------------------------------------------------------


def panel(groups: dict[str, int], value: float = 1.0, name: str = "group") -> Figure:
    """A panel with the given number of groups for every attribute."""
    names = {attribute: [f"{name} {number}" for number in range(count)] for attribute, count in groups.items()}
    generator = np.random.default_rng(0)
    return mean_map_panel(
        {
            attribute: {group: value * generator.random((2, 2), np.float32) for group in known}
            for attribute, known in names.items()
        },
        {attribute: {group: 10 + place for place, group in enumerate(known)} for attribute, known in names.items()},
        PLACE,
        "Design A: mean Grad-CAM",
        "layer2.3",
    )


@pytest.mark.parametrize(
    "groups", [{"race": 1}, {"gender": 1, "race": 1, "gender_x_race": 1}, {"gender": 2, "race": 7, "gender_x_race": 14}]
)
def test_panel_has_a_picture_for_every_group_and_a_colour_bar(groups):
    figure = panel(groups)
    rendered(figure)
    assert len(figure.axes) == len(groups) * max(groups.values()) + 1
    assert sum(len(axis.images) for axis in figure.axes[:-1]) == sum(groups.values())
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == [f"group {number}\n{10 + number} images" for count in groups.values() for number in range(count)]
    assert figure.axes[-1].get_ylabel() == "mean Grad-CAM (logit units)"


def test_panel_of_maps_that_are_all_zero_is_drawn():
    figure = panel({"gender": 2, "race": 3}, value=0.0)
    rendered(figure)
    for axis in figure.axes[:2]:
        assert axis.images[0].norm(0.0) == 0 and axis.images[0].get_array().max() == 0


def test_panel_with_long_group_names_is_drawn():
    rendered(panel({"gender": 2, "race": 14}, name=LONG))


def test_colour_bar_ends_at_the_largest_mean():
    means = {"race": {"a": np.full((2, 2), 0.25, np.float32), "b": np.full((2, 2), 0.75, np.float32)}}
    figure = mean_map_panel(means, {"race": {"a": 1, "b": 2}}, PLACE, "Design A", "layer2.3")
    rendered(figure)
    assert [axis.images[0].get_clim() for axis in figure.axes[:2]] == [(0, 0.75)] * 2
    assert figure.get_suptitle().endswith("at layer2.3, 2 x 2 fields; the outline is drawn where faces are on average")
    assert figure.axes[-1].get_ylim() == (0, 0.75)


def outlines(axis) -> list[np.ndarray]:
    return [path.vertices for drawn in axis.collections for path in drawn.get_paths()]


def test_every_group_has_the_same_outline_over_its_map_and_nobody_s_picture_below():
    figure = panel({"gender": 2, "race": 3})
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 5
    for axis in shown:
        assert axis.images[0].get_array().shape == (2, 2)
        for stroke, first in zip(outlines(axis), outlines(shown[0]), strict=True):
            np.testing.assert_array_equal(stroke, first)
    eyes = sorted((stroke.mean(axis=0) for stroke in outlines(shown[0])[:2]), key=lambda middle: middle[0])
    np.testing.assert_allclose(eyes, [(0.35, 0.5), (0.65, 0.5)], atol=0.02)


def test_without_a_place_of_faces_there_is_no_outline_and_that_is_said():
    means = {"race": {"a": np.ones((8, 8), np.float32)}}
    figure = mean_map_panel(means, {"race": {"a": 1}}, None, "Design A", "layer2.3")
    assert not outlines(figure.axes[0]) and "without an outline" in figure.get_suptitle()


# --- designs side by side ---------------------------------------------------------------------------------------


def said(*predicted: str, true: str = "cook") -> pd.DataFrame:
    """Predictions of a design for images 0.jpg, 1.jpg, ... that are all of one class."""
    table = rows(len(predicted)).assign(y_true=true, y_pred=predicted)
    return table.assign(image=[f"{number}.jpg" for number in range(len(predicted))])


def cells(figure: Figure, lines: int) -> np.ndarray:
    """The axes with pictures, (lines, columns)."""
    shown = [axis for axis in figure.axes if axis.images and axis.get_label() != "<colorbar>"]
    return np.array(shown, dtype=object).reshape(lines, -1)


def test_rows_are_images_and_columns_are_designs():
    predictions = {"B": said("driver", "cook"), "A": said("cook", "cook")}
    pixels = noise(2, 32, 32)
    figure = side_by_side_panel(predictions, pixels, {design: np.ones((2, 2, 2)) for design in "AB"}, "Study")
    rendered(figure)
    assert figure.axes[-1].get_ylabel() == "Grad-CAM (logit units), over white"
    grid = cells(figure, 2)
    assert [axis.get_title() for axis in grid[0]] == ["image", "design A", "design B"]
    captions = [[axis.texts[0].get_text() for axis in line] for line in grid]
    assert captions == [
        ["man, north, 20-29\ntrue: cook", "✓ cook", "✗ driver"],
        ["woman, north, 20-29\ntrue: cook", "✓ cook", "✓ cook"],
    ]
    assert [to_hex(axis.texts[0].get_color()) for axis in grid[0][1:]] == ["#1a7f37", "#b42318"]
    for line, image in zip(grid, pixels, strict=True):
        np.testing.assert_array_equal(line[0].images[0].get_array(), image)
    assert figure.get_suptitle().startswith("Study\n")


def test_designs_share_one_colour_scale():
    """A design whose maps are a tenth as strong is drawn weaker: nothing is scaled to one design or image."""
    pixels = np.full((1, 224, 224, 3), 128, np.uint8)
    maps = {"A": np.full((1, 7, 7), 1.0), "B": np.full((1, 7, 7), 0.1)}
    figure = side_by_side_panel({"A": said("cook"), "B": said("cook")}, pixels, maps, "Study")
    _, strong, weak = (axis.images[0].get_array().astype(int) for axis in cells(figure, 1)[0])
    largest = np.quantile([1.0, 0.1], 0.9)  # of the images' strongest places
    np.testing.assert_array_equal(strong, overlay(pixels[0], maps["A"][0], largest))
    np.testing.assert_array_equal(weak, overlay(pixels[0], maps["B"][0], largest))
    assert np.abs(strong - 128).mean() > 1.5 * np.abs(weak - 128).mean() > 0


@pytest.mark.parametrize(("designs", "count"), [("A", 1), ("ABCDE", 3)])
def test_any_number_of_designs_with_long_names_and_no_ages(designs, count):
    predictions = {design: said(*[LONG] * count, true=f"{LONG} 2").assign(age=None) for design in designs}
    maps = {design: np.random.default_rng(0).random((count, 7, 7)) for design in designs}
    figure = side_by_side_panel(predictions, noise(count, 32, 32), maps, "Study")
    rendered(figure)
    assert cells(figure, count).shape == (count, 1 + len(designs))
    canvas = figure.get_window_extent()
    boxes = [axis.texts[0].get_window_extent() for axis in cells(figure, count).flat]
    assert all(canvas.x0 <= box.x0 and box.x1 <= canvas.x1 and box.y0 >= canvas.y0 for box in boxes)
    assert [axis.texts[0].get_text().split("\n")[0] for axis in cells(figure, count)[:, 0]] == [
        f"{gender}, north" for gender in ("man", "woman", "man")[:count]
    ]


def test_maps_that_are_all_zero_leave_the_images_as_they_are():
    pixels = noise(1, 224, 224)
    figure = side_by_side_panel({"A": said("cook")}, pixels, {"A": np.zeros((1, 7, 7))}, "Study")
    rendered(figure)
    np.testing.assert_array_equal(cells(figure, 1)[0, 1].images[0].get_array(), pixels[0])


def test_designs_that_show_other_images_are_refused():
    predictions = {"A": said("cook", "cook"), "B": said("cook", "cook").iloc[::-1]}
    with pytest.raises(ValueError, match="designs A and B show other images"):
        side_by_side_panel(predictions, noise(2, 32, 32), dict.fromkeys("AB", np.ones((2, 2, 2))), "Study")


# --- mean maps and their differences between groups -------------------------------------------------------------


def constant(**values: float) -> dict[str, np.ndarray]:
    """A map of 2 x 2 equal values for every group."""
    return {group: np.full((2, 2), value) for group, value in values.items()}


def test_differences_are_from_the_images_of_all_other_groups_by_hand():
    means = {"A": constant(north=0.5, south=0.2, west=0.8)}
    figure = mean_map_difference_panel(means, {"north": 10, "south": 30, "west": 10}, PLACE, "Study")
    rendered(figure)
    shown, differences = cells(figure, 2)
    assert [axis.images[0].get_array()[0, 0] for axis in shown] == [0.5, 0.2, 0.8]
    # north: .5 - (30 x .2 + 10 x .8) / 40; south: .2 - (.5 + .8) / 2; west: .8 - (10 x .5 + 30 x .2) / 40
    expected = [0.5 - 0.35, 0.2 - 0.65, 0.8 - 0.275]
    np.testing.assert_allclose([axis.images[0].get_array()[1, 1] for axis in differences], expected)
    assert [axis.get_title() for axis in shown] == ["north\n10 images", "south\n30 images", "west\n10 images"]


def test_scales_are_common_to_all_designs_and_that_of_differences_is_symmetric():
    means = {"B": constant(north=0.1, south=0.2), "A": constant(north=0.9, south=0.3)}
    figure = mean_map_difference_panel(means, {"north": 5, "south": 5}, PLACE, "Study")
    rendered(figure)
    grid = cells(figure, 4)
    np.testing.assert_allclose([axis.images[0].get_clim() for axis in grid[::2].flat], [(0, 0.9)] * 4)
    np.testing.assert_allclose([axis.images[0].get_clim() for axis in grid[1::2].flat], [(-0.6, 0.6)] * 4)
    assert [line[0].texts[0].get_text() for line in grid] == [
        "design A\nmean map",
        "design A\nminus all others",
        "design B\nmean map",
        "design B\nminus all others",
    ]
    bars = [axis for axis in figure.axes if axis.get_ylabel()]
    assert [bar.get_ylabel() for bar in bars] == ["mean Grad-CAM (logit units)", "difference (logit units)"]
    np.testing.assert_allclose([bar.get_ylim() for bar in bars], [(0, 0.9), (-0.6, 0.6)])


def test_equal_distances_up_and_down_are_equally_strong_colours():
    figure = mean_map_difference_panel({"A": constant(north=0.2, south=0.8)}, {"north": 5, "south": 5}, PLACE, "Study")
    below = cells(figure, 2)[1]
    blue, red = (axis.images[0].to_rgba(axis.images[0].get_array())[0, 0] for axis in below)
    assert blue[2] > blue[0] and red[0] > red[2]
    np.testing.assert_allclose(below[0].images[0].norm([-0.6, 0.0, 0.6]), [0, 0.5, 1], atol=1e-9)


@pytest.mark.parametrize("counts", [{"north": 5}, {"north": 5, "south": 0}])
def test_group_that_has_no_other_is_grey_and_not_zero(counts):
    means = {"A": {"north": np.full((2, 2), 0.5), "south": np.full((2, 2), np.nan)}}
    figure = mean_map_difference_panel({"A": {group: means["A"][group] for group in counts}}, counts, PLACE, "Study")
    rendered(figure)
    below = cells(figure, 2)[1]
    for axis in below:
        picture = axis.images[0]
        assert np.ma.getmaskarray(picture.get_array()).all()
        assert to_hex(picture.to_rgba(picture.get_array())[0, 0]) == "#d5d5d5"
        assert axis.texts[0].get_text() == "undefined"
    assert cells(figure, 2)[0, 0].images[0].get_array()[0, 0] == 0.5


def test_maps_that_are_all_zero_have_a_scale():
    figure = mean_map_difference_panel({"A": constant(north=0, south=0)}, {"north": 5, "south": 5}, PLACE, "Study")
    rendered(figure)
    assert (cells(figure, 2)[1, 0].images[0].norm(0.0)) == 0.5


def test_fourteen_groups_with_long_names_are_drawn_without_overlap():
    groups = [f"{gender} x {LONG} {number}" for gender in ("man", "woman") for number in range(7)]
    maps = {design: {group: np.random.default_rng(0).random((7, 7)) for group in groups} for design in "ABCDE"}
    figure = mean_map_difference_panel(maps, dict.fromkeys(groups, 20), PLACE, "Study")
    rendered(figure)
    grid = cells(figure, 10)
    assert grid.shape == (10, 14)
    boxes = [axis.title.get_window_extent() for axis in grid[0]]
    assert all(left.x1 <= right.x0 for left, right in zip(boxes[:-1], boxes[1:], strict=True))
    assert figure.get_figwidth() * 110 <= 1400
