"""The generated portraits: the same for the same seed, at every size, and telling of age, gender and skin."""

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from fairprof import audit
from fairprof.data.portraits import GENDERS, REGIONS, Person, draw_portrait, people

SIZE = 64
BACKGROUND, FACE, HAIR = range(len(REGIONS))


def draw(age: int, gender: str, tone: int, seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    return draw_portrait(Person(age, gender, tone), np.random.default_rng(seed), size)


def crowd(ages: range, count: int, seed: int) -> list[tuple[int, str, int, int]]:
    """`count` people as (age, gender, tone, seed), gender and tone drawn independently of age."""
    generator = np.random.default_rng(seed)
    return [
        (
            int(generator.choice(ages)),
            str(generator.choice(GENDERS)),
            int(generator.integers(1, 11)),
            seed * 1000 + number,
        )
        for number in range(count)
    ]


def region_mean(picture: np.ndarray, regions: np.ndarray, region: int) -> np.ndarray:
    return picture[regions == region].mean(axis=0)


@pytest.mark.parametrize("size", [32, 64, 256, 300])
def test_image_and_regions_have_the_promised_form(size):
    image, regions = draw(30, "Female", 5, seed=1, size=size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert regions.shape == (size, size) and regions.dtype == np.uint8
    assert set(np.unique(regions)) == {BACKGROUND, FACE, HAIR}


def test_same_seed_gives_the_same_bytes_and_another_seed_another_portrait():
    first, second, other = (draw(44, "Male", 8, seed) for seed in (7, 7, 8))
    assert first[0].tobytes() == second[0].tobytes() and first[1].tobytes() == second[1].tobytes()
    assert np.abs(first[0].astype(int) - other[0]).mean() > 5


@pytest.mark.parametrize("person", crowd(range(0, 101), 6, seed=2))
def test_a_person_is_the_same_at_every_size(person):
    large, small, huge = (draw(*person, size=size)[0] for size in (256, 128, 384))
    halved = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(halved.astype(int) - small).mean() < 1
    # Over 256 the lines are drawn anew, not enlarged.
    assert np.abs(cv2.resize(huge, (256, 256), interpolation=cv2.INTER_AREA).astype(int) - large).mean() < 4


def test_size_does_not_change_how_much_chance_is_used():
    after = []
    for size in (32, 256, 300):
        generator = np.random.default_rng(3)
        draw_portrait(Person(70, "Female", 2), generator, size)
        after.append(generator.random())
    assert len(set(after)) == 1


@pytest.mark.parametrize("ages", [range(0, 3), range(3, 20), range(20, 60), range(60, 101)], ids=str)
def test_regions_cover_a_plausible_share(ages):
    for person in crowd(ages, 20, seed=4):
        _, regions = draw(*person)
        assert 0.10 <= (regions == FACE).mean() <= 0.50, person
        assert regions[0, 0] == regions[0, -1] == BACKGROUND, person
        assert regions[SIZE // 2 + 4, SIZE // 2] == FACE, person
        if 18 <= person[0] <= 30:
            assert (regions == HAIR).mean() > 0.02, person


@pytest.mark.parametrize(
    ("person", "size", "complaint"),
    [
        (Person(-1, "Male", 5), 64, "age"),
        (Person(101, "Male", 5), 64, "age"),
        (Person(30, "male", 5), 64, "gender"),
        (Person(30, "Male", 0), 64, "skin_tone"),
        (Person(30, "Male", 11), 64, "skin_tone"),
        (Person(30, "Male", 5), 31, "size"),
    ],
)
def test_impossible_requests_are_refused(person, size, complaint):
    with pytest.raises(ValueError, match=complaint) as refusal:
        draw_portrait(person, np.random.default_rng(0), size)
    assert "\n" not in str(refusal.value)


def test_faces_darken_along_the_monk_scale():
    luminance = []
    for tone in range(1, 11):
        drawn = [draw(age, gender, tone, seed=age) for age in (8, 25, 40, 60) for gender in GENDERS]
        luminance.append(
            np.mean([region_mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), regions, FACE) for image, regions in drawn])
        )
    # The published tone 3 is as light as tone 2, only yellower: the scale falls strictly from there.
    assert luminance[0] > luminance[1] > luminance[3]
    assert all(lighter > darker for lighter, darker in zip(luminance[2:], luminance[3:], strict=False))


def test_hair_turns_grey_with_age():
    def saturation(ages: range) -> float:
        pictures = [draw(*person) for person in crowd(ages, 20, seed=5)]
        return np.mean(
            [region_mean(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), regions, HAIR)[1] for image, regions in pictures]
        )

    assert saturation(range(20, 30)) > 2 * saturation(range(70, 85))


OLD = [(64, "Female", 11), (71, "Male", 12), (78, "Female", 13), (85, "Male", 14), (67, "Male", 15), (74, "Female", 16)]
IMAGENET_SPREAD = (0.229, 0.224, 0.225)  # what a network divides by


@pytest.fixture
def without_cues(monkeypatch):
    """Draws an old person of any tone without the cues of age, and with them."""

    def draw_both(age: int, gender: str, seed: int, tone: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        person = Person(age, gender, tone)
        full, regions = draw_portrait(person, np.random.default_rng(seed), SIZE)
        with monkeypatch.context() as patch:
            patch.setattr(people, "tone_depth", lambda tone: 1.0)
            bare, bare_regions = draw_portrait(person, np.random.default_rng(seed), SIZE, cue_gap=1.0)
        np.testing.assert_array_equal(regions, bare_regions)  # a cue is a colour, never an outline
        return full, bare, regions

    return draw_both


def lightness(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor((picture / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[..., 0]


def as_a_network_sees(picture: np.ndarray) -> np.ndarray:
    return picture / 255 / IMAGENET_SPREAD


@pytest.mark.parametrize(("region", "most"), [(FACE, 1.25), (HAIR, 1.05)], ids=["skin", "hair"])
@pytest.mark.parametrize("seen", [lightness, as_a_network_sees])
def test_cues_of_age_have_the_same_contrast_on_every_tone(without_cues, region, most, seen):
    contrast = []
    for tone in range(1, 11):
        changes = []
        for person in OLD:
            full, bare, regions = without_cues(*person, tone)
            changes.append(np.sqrt(np.mean((seen(full) - seen(bare))[regions == region] ** 2)))
        contrast.append(np.mean(changes))
    assert min(contrast) > 0
    assert max(contrast) / min(contrast) < most, np.round(contrast, 3)


def test_a_cue_gap_takes_the_cues_from_the_darkest_tone_and_none_from_the_lightest(without_cues):
    for age, gender, seed in OLD:
        for tone, kept in ((1, True), (10, False)):
            drawn, _ = draw_portrait(Person(age, gender, tone), np.random.default_rng(seed), SIZE, cue_gap=1.0)
            full, bare, _ = without_cues(age, gender, seed, tone)
            np.testing.assert_array_equal(drawn, full if kept else bare)
        between, _ = draw_portrait(Person(age, gender, 10), np.random.default_rng(seed), SIZE, cue_gap=0.5)
        distance = [np.abs(between.astype(int) - other).mean() for other in (full, bare)]
        assert min(distance) > 0.2 * max(distance)


def test_but_for_the_skin_a_tone_changes_nothing():
    """Hair, eyes, clothes and backdrop are the same on every tone: only the skin tells it."""
    for age, gender, seed in OLD:
        light, regions = draw(age, gender, 1, seed)
        dark, dark_regions = draw(age, gender, 10, seed)
        np.testing.assert_array_equal(regions, dark_regions)
        changed = np.abs(light.astype(int) - dark).max(axis=2)
        assert changed[regions == FACE].mean() > 40
        assert np.median(changed[regions == HAIR]) <= 2 and changed[0].max() == 0


def thumbnails(crowd_drawn: list[tuple[int, str, int, int]]) -> np.ndarray:
    """(count, 768) float in 0..1, 16 x 16 pixels each."""
    small = [cv2.resize(draw(*person)[0], (16, 16), interpolation=cv2.INTER_AREA) for person in crowd_drawn]
    return np.stack(small).reshape(len(crowd_drawn), -1) / 255


@pytest.mark.slow
def test_even_a_linear_model_on_thumbnails_tells_ages_apart():
    stages = (range(0, 10), range(20, 45), range(60, 95))
    drawn = [person for stage in stages for person in crowd(stage, 90, seed=6 + stage.start)]
    truth = np.repeat(np.arange(len(stages)), 90)
    pictures = thumbnails(drawn)
    train = np.arange(len(drawn)) % 3 > 0
    model = LogisticRegression(C=0.1, max_iter=500).fit(pictures[train], truth[train])
    assert model.score(pictures[~train], truth[~train]) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("cue_gap", "established"), [(0.0, False), (1.0, True)])
def test_a_model_that_sees_colours_serves_tones_alike_unless_a_cue_gap_was_planted(cue_gap, established):
    """Ages do not depend on the tone: what a linear model makes of thumbnails is judged as any predictions are."""
    groups = ("Monk 1-4", "Monk 5-7", "Monk 8-10")
    drawn = [person for ages in (range(25, 50), range(60, 95)) for person in crowd(ages, 500, seed=20 + ages.start)]
    pictures = [
        draw_portrait(Person(age, gender, tone), np.random.default_rng(seed), SIZE, cue_gap)[0]
        for age, gender, tone, seed in drawn
    ]
    small = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in pictures])
    features, old = small.reshape(len(drawn), -1) / 255, np.array([age >= 60 for age, *_ in drawn])
    train = np.arange(len(drawn)) % 2 == 0
    model = LogisticRegression(C=1.0, max_iter=2000).fit(features[train], old[train])
    names = np.array(["young", "old"])
    predictions = pd.DataFrame(
        {
            "tone": [groups[(tone > 4) + (tone > 7)] for _, _, tone, _ in drawn],
            "y_true": names[old.astype(int)],
            "y_pred": names[model.predict(features).astype(int)],
        }
    )[~train]
    gaps = audit(predictions, groups=["tone"]).gaps.query("metric == 'equal_opportunity_difference'")
    assert gaps["verdict"].eq("established").any() == established, gaps[["class", "value", "p_adjusted", "verdict"]]
