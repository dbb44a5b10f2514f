"""Weights that cannot be had are answered before any image is decoded, which takes minutes, or hours."""

import pytest

from fairprof.commands.study.run import run_study
from fairprof.commands.train.run import run_experiment
from fairprof.commands.tune.run import run_search
from fairprof.config import Settings, StudySettings, TuneSettings
from tests.entrypoints.runs import MLFLOW_WARNS
from tests.places import mlflow_in

pytestmark = [*MLFLOW_WARNS]
OF_ANOTHER_LIBRARY = {"architecture": "timm:test_vit", "weights": "imagenet", "image_size": 32}


@pytest.mark.parametrize(
    ("command", "settings"), [(run_experiment, Settings), (run_study, StudySettings), (run_search, TuneSettings)]
)
def test_weights_that_cannot_be_had_are_refused_before_anything_is_decoded(command, settings, tmp_path, refused):
    cache = tmp_path / "cache"
    with mlflow_in(tmp_path), refused("weights=imagenet means torchvision's weights", "weights=pretrained"):
        command(settings(**OF_ANOTHER_LIBRARY, cache_dir=str(cache)))
    assert not list(cache.glob("*"))
