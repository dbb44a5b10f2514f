"""The keys by which earlier trainings are found again."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from fairprof.commands.train.identity import run_key, study_key, train_sizes
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pool import load_pool
from fairprof.network.records import Weights
from fairprof.serving import Preprocessing

POOL = SimpleNamespace(fingerprint="0123456789abcdef")
DRAWN = SimpleNamespace(fingerprint="d" * 16, test_fingerprint="t" * 16)
WEIGHTS = Weights("imagenet", "5" * 64)


@pytest.mark.parametrize(
    ("settings", "of_study", "of_run"),
    [
        (Settings(), "28195d3e4bd992e5", "34bce7adc8aa9f13"),
        (
            Settings(experiment="D", seed=5, epochs=9, learning_rate=0.01, workers=2),
            "b3b212bffdc1d9af",
            "19b196a8e73fbd3c",
        ),
    ],
)
def test_the_same_settings_keep_their_keys(settings, of_study, of_run):
    assert study_key(settings, POOL, DRAWN.test_fingerprint, WEIGHTS) == of_study
    assert run_key(settings, POOL, DRAWN, WEIGHTS) == of_run


def test_weights_that_state_their_preprocessing_are_others():
    stated = replace(WEIGHTS, preprocessing=Preprocessing(crop=1.0))
    assert study_key(Settings(), POOL, "t", stated) != study_key(Settings(), POOL, "t", WEIGHTS)
    assert run_key(Settings(), POOL, DRAWN, stated) != run_key(Settings(), POOL, DRAWN, WEIGHTS)


@pytest.fixture
def pool(make_settings, write_manifest):
    """Labels alone; of two genders, two races and two professions, with few images of one cell."""
    rows = [
        {"image": f"{partition}-{gender}{race}{profession}-{number}", "partition": partition}
        | {"gender": gender, "race": race, "profession": profession}
        for partition, images in (("train", 9), ("val", 4), ("test", 2))
        for gender in "mf"
        for race in "xy"
        for profession in "sw"
        for number in range(images if gender + race + profession != "mxs" else images // 2)
    ]
    return load_pool(make_settings(data=write_manifest(rows)), image_size=None)


@pytest.mark.parametrize(
    ("design", "size", "sizes"),
    [
        ("A", "natural", ("natural", "matched")),  # the smallest: 8 cells of 4
        ("A", "matched", ("matched", "natural")),
        ("B", "natural", ("natural",)),  # 4 cells of 13
        ("B", "matched", ("matched",)),
        ("A", 32, ("32", "matched", "natural")),
        ("A", 24, ("24",)),
    ],
)
def test_a_run_knows_with_which_other_sizes_the_same_rows_are_drawn(pool, design, size, sizes):
    settings = Settings(experiment=design, train_size=size)
    assert train_sizes(settings, pool, draw(pool, DESIGNS[design], settings)) == sizes
