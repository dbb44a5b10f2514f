"""Corruptions: worked by hand, and that they depend on seed, corruption and the image's name alone."""

import numpy as np
import pytest

from fairprof.commands.evaluate.corruptions import BRIGHTNESS, CONTRAST, CORRUPTIONS, OCCLUSION, SEVERITIES, corrupted
from fairprof.data.portraits.people import Person
from fairprof.data.portraits.portrait import draw_portrait

NAMES = np.array(["a.png", "b.png", "c.png"])


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Three generated portraits at 64 px."""
    people = (Person(20, "Female", 2), Person(40, "Male", 6), Person(70, "Female", 9))
    return np.stack([draw_portrait(one, np.random.default_rng(seed), 64)[0] for seed, one in enumerate(people)])


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second).mean())


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_every_severity_changes_more_than_the_one_before(faces, corruption):
    changed = [corrupted(faces, NAMES, corruption, severity, seed=0) for severity in SEVERITIES]
    assert all(images.shape == faces.shape and images.dtype == np.uint8 for images in changed)
    distances = [distance(faces, images) for images in changed]
    assert distances == sorted(distances) and 0 < distances[0] < 0.8 * distances[-1]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_an_image_is_corrupted_alike_whatever_is_beside_it(faces, corruption):
    together = corrupted(faces, NAMES, corruption, 3, seed=1)
    order = [2, 0]
    assert (corrupted(faces[order], NAMES[order], corruption, 3, seed=1) == together[order]).all()


@pytest.mark.parametrize("corruption", ["noise", "occlusion"])
def test_what_is_random_differs_by_name_and_by_seed(faces, corruption):
    same = np.repeat(faces[:1], 2, axis=0)
    first, second = corrupted(same, NAMES[:2], corruption, 3, seed=0)
    assert (first != second).any()
    assert (corrupted(same, NAMES[:2], corruption, 3, seed=1)[0] != first).any()


def test_severity_0_is_the_image_itself_and_others_are_refused(faces):
    assert corrupted(faces, NAMES, "noise", 0, seed=0) is faces
    with pytest.raises(ValueError, match="severity is 6"):
        corrupted(faces, NAMES, "noise", 6, seed=0)


def test_noise_has_its_standard_deviation():
    grey = np.full((1, 64, 64, 3), 128, dtype=np.uint8)
    assert corrupted(grey, NAMES[:1], "noise", 1, seed=0).std() / 255 == pytest.approx(0.08, rel=0.03)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_occlusion_covers_its_share_with_one_square_that_is_zero_to_the_network(severity):
    white = np.full((1, 100, 100, 3), 255, dtype=np.uint8)
    (image,) = corrupted(white, NAMES[:1], "occlusion", severity, seed=3)
    covered = (image != 255).any(axis=-1)
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    assert len(rows) == len(columns) == round(100 * OCCLUSION[severity - 1] ** 0.5)
    assert covered.sum() == len(rows) * len(columns)
    assert image[covered].tolist() == [[124, 116, 104]] * int(covered.sum())


def test_brightness_raises_the_largest_channel_and_keeps_the_hue():
    pixels = np.array([[[[100, 50, 0], [0, 0, 0], [250, 125, 0]]]], dtype=np.uint8).repeat(3, axis=1)
    image = corrupted(pixels, NAMES[:1], "brightness", 1, seed=0)[0, 0].astype(int)
    raised = round(100 + 255 * BRIGHTNESS[0])
    assert abs(image[0] - [raised, raised / 2, 0]).max() <= 1
    assert image[1].tolist() == [round(255 * BRIGHTNESS[0])] * 3
    assert abs(image[2] - [255, 127.5, 0]).max() <= 1


def test_contrast_shrinks_distances_by_its_factor():
    pixels = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    pixels[:, :4] = 200
    image = corrupted(pixels, NAMES[:1], "contrast", 1, seed=0)[0].astype(float)
    assert image[0, 0, 0] - image[-1, 0, 0] == pytest.approx(200 * CONTRAST[0], abs=1)
    assert image.mean() == pytest.approx(100, abs=1)


def test_blur_grows_with_the_image():
    """The same picture at twice the size is blurred to the same picture."""
    small = np.zeros((32, 32, 3), dtype=np.uint8)
    small[:, 16:] = 255
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    blurred = [
        corrupted(image[None], NAMES[:1], "blur", 5, seed=0)[0][:, :, 0].astype(float) for image in (small, large)
    ]
    assert distance(blurred[0], blurred[1].reshape(32, 4, 32, 4).mean(axis=(1, 3))) < 4
