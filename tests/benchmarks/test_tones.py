"""The same people on every skin tone, and models of which it is known what they look at."""

import cv2
import numpy as np
import pytest

from benchmarks.tones import AGES, same_people, share_by_tone

TONES = (1, 10)


@pytest.fixture(scope="module")
def images() -> dict[int, list[bytes]]:
    return same_people(AGES["retired"], 12, TONES, 0.0)


def brightness(image: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def test_a_model_that_goes_by_brightness_answers_by_the_tone(images):
    middle = float(np.median([brightness(image) for of_tone in images.values() for image in of_tone]))
    shares = share_by_tone(
        lambda given: ["retired" if brightness(image) > middle else "student" for image in given], "retired", images
    )
    assert shares[1] > shares[10]


@pytest.mark.parametrize(("profession", "share"), [("retired", 1.0), ("student", 0.0)])
def test_a_model_that_answers_one_class_answers_it_on_every_tone(images, profession, share):
    shares = share_by_tone(lambda given: ["retired"] * len(given), profession, images)
    assert shares.to_dict() == {1: share, 10: share} and shares.name == profession


def test_only_the_dark_are_drawn_otherwise_with_a_cue_gap(images):
    with_gap = same_people(AGES["retired"], 2, TONES, 1.0)
    assert with_gap[1] == images[1][:2]
    assert with_gap[10] != images[10][:2] and images[1][:2] != images[10][:2]
