"""Parts of a network compute what the whole one does, with its own weights, and know where it cannot be cut."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from fairprof.network.classifier import build_classifier
from fairprof.network.parts import Boundary, part

ARCHITECTURES = [
    "resnet18",
    "resnext50_32x4d",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "densenet121",
    "efficientnet_b0",
    "vgg11_bn",
    "alexnet",
    "regnet_y_400mf",
    "convnext_tiny",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
]
LEVELS = {"vgg11_bn": ("layer3",)}  # its 130 million weights take long to draw


def noise(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_part_before_a_boundary_and_the_part_behind_it_are_the_whole_network(architecture):
    images = noise()
    for finetune in LEVELS.get(architecture, ("head", "layer3")):
        classifier = build_classifier(architecture, "random", finetune, 3, seed=0)
        assert classifier.boundary is not None
        with torch.inference_mode():
            entering = classifier.prefix(images)
            assert torch.equal(classifier.trainable(entering), classifier.network(images))
        constant, learning = (dict(module.named_parameters()) for module in (classifier.prefix, classifier.trainable))
        assert not any(value.requires_grad for value in constant.values())
        assert all(
            value.requires_grad for name, value in learning.items() if not name.startswith(tuple(classifier.frozen))
        )
        # together they hold every parameter of the network, each once, and none is a copy
        assert constant.keys().isdisjoint(learning)
        assert {name: id(value) for name, value in (constant | learning).items()} == {
            name: id(value) for name, value in classifier.network.named_parameters()
        }


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_part_before_the_gradcam_layers_end_and_the_part_behind_it_are_the_whole_network(architecture):
    classifier = build_classifier(architecture, "random", "all", 3, seed=0)
    layer, images = Boundary(classifier.explained_layer.path, after=True), noise()
    with torch.inference_mode():
        activations = part(classifier.network, None, layer)(images)
        assert activations.dim() == 4
        assert torch.equal(part(classifier.network, layer, None)(activations), classifier.network(images))


def test_what_enters_a_block_is_what_a_hook_sees_and_so_is_what_leaves_it():
    network, images, seen = build_classifier("resnet18", "random", "all", 3, seed=0).network, noise(), {}
    hook = network.layer3.register_forward_hook(
        lambda module, inputs, output: seen.update(entering=inputs[0], leaving=output)
    )
    network(images)
    hook.remove()
    assert torch.equal(part(network, None, Boundary("layer3"))(images), seen["entering"])
    assert torch.equal(part(network, None, Boundary("layer3", after=True))(images), seen["leaving"])


def test_a_change_of_the_networks_weights_is_a_change_of_its_parts():
    network = build_classifier("resnet18", "random", "all", 3, seed=0).network
    before, behind = (part(network, *ends) for ends in ((None, Boundary("layer4")), (Boundary("layer4"), None)))
    images = noise()
    with torch.no_grad():
        entering = before(images)
        network.conv1.weight.mul_(2)
        network.fc[-1].bias.fill_(7.0)
        network.fc[-1].weight.zero_()
        assert not torch.equal(before(images), entering)
        assert torch.equal(behind(entering), torch.full((2, 3), 7.0))


def test_between_a_boundary_and_itself_nothing_is_computed():
    network = build_classifier("resnet18", "random", "all", 3, seed=0).network
    for boundary in (Boundary("layer3"), Boundary("layer2.1", after=True), Boundary("fc")):
        nothing = part(network, boundary, boundary)
        values = torch.randn(2, 5)
        assert torch.equal(nothing(values), values)
        assert list(nothing.parameters()) == []


def test_neighbouring_parts_in_a_row_are_the_whole_network():
    network, images = build_classifier("mobilenet_v2", "random", "all", 3, seed=0).network, noise()
    ends = [None, Boundary("features.3"), Boundary("features.9", after=True), Boundary("classifier.1"), None]
    with torch.inference_mode():
        values = images
        for start, stop in pairwise(ends):
            values = part(network, start, stop)(values)
        assert torch.equal(values, network(images))


def test_a_connection_that_skips_the_boundary_makes_it_none_to_cut_at():
    network = build_classifier("resnet18", "random", "all", 3, seed=0).network
    assert part(network, Boundary("layer3.1.conv2"), None) is None  # the block adds its input behind it
    assert part(network, Boundary("layer3.1"), None) is not None
    # what lies before such a place can be computed, only not the rest from there
    assert part(network, None, Boundary("layer3.1.conv2"))(noise()).shape == (2, 256, 4, 4)


def test_a_stop_before_the_start_is_no_part():
    network = build_classifier("resnet18", "random", "all", 3, seed=0).network
    assert part(network, Boundary("layer4"), Boundary("layer3")) is None


class CalledTwice(nn.Module):
    """A network that uses a block, and something functional, again."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.fc = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.again(torch.relu(self.again(self.first(values))))))


def test_a_block_that_is_called_again_lies_between_its_first_call_and_its_last():
    network, values = CalledTwice(), torch.randn(3, 4)
    inside = part(network, Boundary("again"), Boundary("again", after=True))
    expected = network.again(torch.relu(network.again(values)))
    assert torch.equal(inside(values), expected)


@pytest.mark.parametrize("architecture", ["efficientnet_b0", "convnext_tiny"])
def test_stochastic_depth_acts_in_training_and_not_in_evaluation_whenever_the_network_was_cut(architecture):
    classifier = build_classifier(architecture, "random", "layer3", 3, seed=0)
    for training_when_cut in (False, True):
        front = part(classifier.network.train(training_when_cut), None, classifier.boundary)
        depths = [module for module in front.modules() if isinstance(module, StochasticDepth)]
        assert depths
        for depth in depths:
            depth.p = 0.5
        for module in front.modules():
            module.training = isinstance(module, StochasticDepth)  # batch norm and dropout stay out of it
        images = noise(16, 32)  # of so many, some are dropped in one pass and not in the other
        with torch.no_grad():
            assert not torch.equal(front(images), front(images))
            front.eval()
            assert torch.equal(front(images), front(images))


def test_dropout_of_the_head_acts_in_training_and_not_in_evaluation_after_cutting():
    classifier = build_classifier("resnet18", "random", "head", 3, seed=0)
    values = torch.ones(2, 512)
    with torch.no_grad():
        assert torch.equal(classifier.trainable(values), classifier.trainable(values))
        classifier.set_training(classifier.trainable)
        assert not torch.equal(classifier.trainable(values), classifier.trainable(values))


def test_a_copy_of_a_part_is_a_network_of_its_own():
    classifier = build_classifier("resnet18", "random", "layer4", 3, seed=0)
    copied = copy.deepcopy(classifier.trainable)
    values = torch.randn(2, 256, 4, 4)
    with torch.no_grad():
        expected = classifier.trainable(values)
        classifier.network.layer4[0].conv1.weight.zero_()
        assert torch.equal(copied(values), expected)
        assert not torch.equal(classifier.trainable(values), expected)


def test_a_boundary_is_named_in_words():
    assert [str(Boundary("layer3")), str(Boundary("layer4", after=True))] == ["input of layer3", "output of layer4"]
