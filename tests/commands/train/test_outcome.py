"""What a run keeps of its model's weights."""

import mlflow
import numpy as np
import pytest
import torch

from fairprof.config import Settings
from fairprof.errors import UserError
from fairprof.network.classifier import build_classifier
from fairprof.store import tracking
from tests.models import finished_run

CLASSES = ("cook", "nurse")


@pytest.fixture(scope="module")
def weights(store) -> str:
    """A file that a training can start from."""
    torch.save(build_classifier("resnet18", "random", "all", 2, seed=1).network.state_dict(), store / "weights.pth")
    return str(store / "weights.pth")


def kept(classifier, last=None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What a run keeps of the best epoch's weights, and its tags."""
    run_id = finished_run(classifier, Settings(architecture="resnet18", image_size=32), CLASSES, last=last)
    return tracking.load_weights(run_id, "training/best.safetensors"), mlflow.get_run(run_id).data.tags


@pytest.mark.parametrize(
    ("finetune", "learns"),
    [
        ("head", {"fc"}),
        ("layer4", {"layer4", "fc"}),
        ("layer2", {"layer2", "layer3", "layer4", "fc"}),
        ("all", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}),
    ],
)
def test_only_what_training_can_change_is_kept_statistics_of_batch_norm_included(weights, finetune, learns):
    classifier = build_classifier("resnet18", weights, finetune, 2, seed=0)
    best, tags = kept(classifier)
    whole = classifier.network.state_dict()
    assert set(best) == {name for name in whole if name.partition(".")[0] in learns}
    assert all(np.array_equal(value, whole[name]) for name, value in best.items())
    assert ("fairprof.frozen" in tags) == (finetune != "all")


def test_a_network_that_began_from_random_weights_is_kept_whole(weights):
    classifier = build_classifier("resnet18", "random", "layer4", 2, seed=0)
    best, tags = kept(classifier)
    assert set(best) == set(classifier.network.state_dict()) and "fairprof.frozen" not in tags


def test_a_network_whose_weights_lack_a_part_is_kept_whole_and_says_so(weights, store):
    tensors = torch.load(weights, weights_only=True)
    torch.save({name: value for name, value in tensors.items() if name != "layer1.0.conv1.weight"}, store / "part.pth")
    classifier = build_classifier("resnet18", str(store / "part.pth"), "layer4", 2, seed=0)
    assert classifier.weights.loaded.missing == ("layer1.0.conv1.weight",)
    best, tags = kept(classifier)
    assert set(best) == set(classifier.network.state_dict()) and "fairprof.frozen" not in tags


def test_the_last_epoch_is_kept_where_it_is_not_the_best(weights):
    classifier = build_classifier("resnet18", weights, "head", 2, seed=0)
    settings = Settings(architecture="resnet18", image_size=32)
    last = {name: value + 1 for name, value in classifier.network.state_dict().items()}
    run_id = finished_run(classifier, settings, CLASSES, last=last)
    found = tracking.load_weights(run_id, "training/last.safetensors")
    assert set(found) == set(tracking.load_weights(run_id, "training/best.safetensors"))
    assert all(np.array_equal(value, last[name]) for name, value in found.items())
    with pytest.raises(UserError):
        tracking.load_weights(finished_run(classifier, settings, CLASSES), "training/last.safetensors")
