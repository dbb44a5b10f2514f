"""The keys by which earlier trainings are found again."""

from types import SimpleNamespace

import pytest

from fairprof.commands.train.identity import run_key, study_key
from fairprof.config import Settings

POOL = SimpleNamespace(fingerprint="0123456789abcdef")
DRAWN = SimpleNamespace(fingerprint="d" * 16, test_fingerprint="t" * 16)
WEIGHTS = SimpleNamespace(sha256="5" * 64)


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
    assert study_key(settings, POOL, DRAWN, WEIGHTS) == of_study
    assert run_key(settings, POOL, DRAWN, WEIGHTS) == of_run
