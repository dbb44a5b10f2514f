"""Pictures of maps: they are drawn without a warning, for any number of groups, and on one colour scale."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from fairprof.explain.panels import contact_sheet, mean_map_panel, overlay

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


def test_strongest_map_takes_half_of_the_image_by_hand():
    pixels = noise(48, 48)
    yellow = 255 * np.array(matplotlib.colormaps["inferno"](1.0)[:3])
    expected = (0.5 * pixels + 0.5 * yellow).round()
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


# --- contact sheet ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "axes"), [(1, 2), (5, 10), (8, 16), (11, 32), (16, 32)])
def test_sheet_has_two_pictures_for_every_image(count, axes):
    maps = np.random.default_rng(0).random((count, 2, 2))
    figure = contact_sheet(rows(count), noise(count, 32, 32), maps, "Design A")
    rendered(figure)
    assert len(figure.axes) == axes
    assert sum(len(axis.images) for axis in figure.axes) == 2 * count
    assert figure.get_suptitle().startswith("Design A\n")


def test_sheet_shows_the_images_themselves_with_their_maps_below():
    pixels, maps = noise(3, 32, 32), np.random.default_rng(0).random((3, 2, 2))
    figure = contact_sheet(rows(3), pixels, maps, "Design A")
    for column in range(3):
        np.testing.assert_array_equal(figure.axes[column].images[0].get_array(), pixels[column])
    below = [figure.axes[3 + column].images[0].get_array() for column in range(3)]
    assert all(picture.shape == (224, 224, 3) for picture in below)  # a coarse map is drawn smoothly


def test_captions_say_group_true_and_predicted_class():
    figure = contact_sheet(rows(2), noise(2, 32, 32), np.ones((2, 2, 2)), "Design A")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["man, north\n20-29", "woman, north\n20-29", "cook\n= cook", "cook\n→ driver"]
    green, red = (to_hex(axis.title.get_color()) for axis in figure.axes[2:])
    assert (green, red) == ("#1a7f37", "#b42318")


def test_missing_ages_are_left_out_of_the_captions():
    figure = contact_sheet(rows(2, ages=False), noise(2, 32, 32), np.ones((2, 2, 2)), "Design A")
    rendered(figure)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["man\nnorth", "woman\nnorth"]


@pytest.mark.parametrize("count", [1, 16])
def test_long_class_names_and_many_classes_are_drawn(count):
    classes = (LONG, *(f"{LONG} {number}" for number in range(5)))
    rendered(contact_sheet(rows(count, classes=classes), noise(count, 32, 32), np.ones((count, 2, 2)), "Design A"))


def test_sheet_of_maps_that_are_all_zero_shows_the_images_twice():
    pixels = noise(4, 224, 224)
    figure = contact_sheet(rows(4), pixels, np.zeros((4, 7, 7)), "Design A")
    rendered(figure)
    for column in range(4):
        np.testing.assert_array_equal(figure.axes[4 + column].images[0].get_array(), pixels[column])


def test_one_colour_scale_is_common_to_the_sheet():
    """A map with a tenth of the strength is drawn weaker: it is not scaled to itself."""
    pixels = np.full((2, 224, 224, 3), 128, np.uint8)
    maps = np.stack([np.full((7, 7), 1.0), np.full((7, 7), 0.1)])
    figure = contact_sheet(rows(2), pixels, maps, "Design A")
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
        {attribute: {group: noise(32, 32) for group in known} for attribute, known in names.items()},
        "Design A: mean Grad-CAM",
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
        assert axis.images[0].get_array().shape == (224, 224, 3)


def test_panel_with_long_group_names_is_drawn():
    rendered(panel({"gender": 2, "race": 14}, name=LONG))


def test_colour_bar_ends_at_the_largest_mean():
    means = {"race": {"a": np.full((2, 2), 0.25, np.float32), "b": np.full((2, 2), 0.75, np.float32)}}
    faces = {"race": {"a": noise(32, 32), "b": noise(32, 32)}}
    figure = mean_map_panel(means, {"race": {"a": 1, "b": 2}}, faces, "Design A")
    rendered(figure)
    assert figure.axes[-1].get_ylim() == (0, 0.75)
