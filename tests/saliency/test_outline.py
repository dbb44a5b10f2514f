"""The outline of a face lies where faces are, wherever a data set has them; where there are none, it is none."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from fairprof.data.portraits import GENDERS, Person, draw_portrait
from fairprof.saliency.outline import FacePlace, draw_outline, face_place


@pytest.fixture(scope="module")
def portraits() -> np.ndarray:
    """(16, 128, 128, 3): women and men of all ages and tones, each with another face."""
    people = [Person(age=5 * number + 3, gender=GENDERS[number % 2], skin_tone=1 + number % 10) for number in range(16)]
    return np.stack(
        [draw_portrait(person, np.random.default_rng(place), 128)[0] for place, person in enumerate(people)]
    )


def test_outline_lies_where_the_generated_faces_are(portraits):
    place = face_place(portraits)
    assert place is not None
    assert place.x == pytest.approx(0.5, abs=0.04)  # they look straight ahead
    assert place.y == pytest.approx(0.47, abs=0.05) and place.eyes_apart == pytest.approx(0.25, abs=0.05)


def test_outline_follows_faces_that_are_cut_closer(portraits):
    whole = face_place(portraits)
    closer = face_place(np.stack([cv2.resize(picture[24:104, 24:104], (128, 128)) for picture in portraits]))
    assert closer.eyes_apart == pytest.approx(whole.eyes_apart * 128 / 80, abs=0.05)
    assert closer.x == pytest.approx((whole.x * 128 - 24) / 80, abs=0.06)
    assert closer.y == pytest.approx((whole.y * 128 - 24) / 80, abs=0.06)


def test_images_without_faces_have_no_place():
    generator = np.random.default_rng(0)
    assert face_place(generator.integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)) is None
    assert face_place(np.full((8, 64, 64, 3), 128, np.uint8)) is None


def test_drawing_lies_at_its_place_and_size():
    axis = Figure().subplots()
    draw_outline(axis, FacePlace(0.4, 0.3, 0.2), "black")
    (drawn,) = axis.collections
    eyes = [path.vertices.mean(axis=0) for path in drawn.get_paths()[:2]]
    np.testing.assert_allclose(eyes, [(0.3, 0.7), (0.5, 0.7)], atol=0.01)
