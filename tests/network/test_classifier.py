"""The network: head, frozen blocks, stages, the cut, the Grad-CAM layer, and random weights."""

import copy
import functools

import pytest
import torch
from torch import nn

from fairprof.errors import UserError
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.parts import Boundary
from fairprof.network.weights import weights_digest
from fairprof.serving import ExplainedLayer

STEM = ["conv1", "bn1"]
RESNET50 = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}  # bottlenecks a stage, He et al. 2016, table 1


def resnet50_blocks(*stages: str) -> list[str]:
    return [f"{stage}.{number}" for stage in stages for number in range(RESNET50[stage])]


def error_of(architecture: str = "mobilenet_v2", weights: str = "random") -> str:
    with pytest.raises(UserError) as caught:
        build_classifier(architecture, weights, "layer2", 4, seed=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- head -------------------------------------------------------------------------------------------------------


def test_head_is_the_one_of_the_study():
    classifier = build_classifier("resnet50", "random", "layer2", 4, seed=0)
    assert classifier.head == "fc"
    head = classifier.network.fc
    assert [type(module) for module in head] == [nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert (head[0].p, head[3].p) == (0.5, 0.3)
    assert (head[1].in_features, head[1].out_features) == (2048, 512)
    assert (head[4].in_features, head[4].out_features) == (512, 4)


@pytest.mark.parametrize(
    ("architecture", "path", "features"),
    [("mobilenet_v2", "classifier.1", 1280), ("densenet121", "classifier", 1024), ("resnet18", "fc", 512)],
)
def test_head_takes_the_place_of_the_last_linear_layer(architecture, path, features):
    classifier = build_classifier(architecture, "random", "head", 6, seed=0)
    assert classifier.head == path
    assert classifier.network.get_submodule(f"{path}.1").in_features == features
    assert classifier.network.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 6)


# --- what is frozen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finetune", "frozen"),
    [
        ("head", STEM + resnet50_blocks("layer1", "layer2", "layer3", "layer4")),
        ("layer4", STEM + resnet50_blocks("layer1", "layer2", "layer3")),
        ("layer3", STEM + resnet50_blocks("layer1", "layer2")),
        ("layer2", STEM + resnet50_blocks("layer1")),
        ("all", []),
    ],
)
def test_every_finetune_level_of_resnet50_freezes_the_blocks_below_it(finetune, frozen):
    classifier = build_classifier("resnet50", "random", finetune, 4, seed=0)
    assert list(classifier.frozen) == frozen
    for name, parameter in classifier.network.named_parameters():
        assert parameter.requires_grad != any(name.startswith(f"{block}.") for block in frozen), name


@pytest.mark.parametrize(
    ("architecture", "frozen"),
    [
        ("resnet18", ["conv1", "bn1", "layer1.0", "layer1.1", "layer2.0", "layer2.1"]),
        ("mobilenet_v2", [f"features.{number}" for number in range(7)]),  # 28 x 28 of 224 begin with features.4
        ("vgg11", [f"features.{number}" for number in (0, 3, 6, 8, 11, 13)]),
        (
            "densenet121",
            [f"features.{name}" for name in ("conv0", "norm0", "denseblock1", "transition1", "denseblock2")],
        ),
        ("convnext_tiny", [f"features.{number}" for number in range(4)]),
        ("efficientnet_b0", [f"features.{number}" for number in range(4)]),
    ],
)
def test_layer3_of_other_networks_freezes_what_works_at_an_eighth_or_finer(architecture, frozen):
    assert list(build_classifier(architecture, "random", "layer3", 4, seed=0).frozen) == frozen


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(
    ("finetune", "stages"), [("layer2", ("layer2.", "layer3.", "layer4.")), ("layer3", ("layer3.", "layer4."))]
)
def test_training_mode_keeps_frozen_batch_norm_and_moves_the_trained_one(finetune, stages, copied):
    classifier = build_classifier("resnet18", "random", finetune, 4, seed=0)
    trainable = copy.deepcopy(classifier.trainable) if copied else classifier.trainable
    before = {name: value.clone() for name, value in classifier.network.named_buffers()}
    classifier.set_training(trainable)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    trainable(classifier.prefix(images) if classifier.prefix else images)
    after = dict(classifier.network.named_buffers()) | dict(trainable.named_buffers())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.startswith(stages)}
    assert len(changed) == 15 * len(stages)  # 5 batch norms with three buffers in each of these stages
    assert classifier.network.get_submodule("layer4.1.bn1").training != copied  # a copy's mode is its own


@pytest.mark.parametrize("copied", [False, True])
def test_training_mode_drops_out_in_the_head_even_where_all_else_is_frozen(copied):
    classifier = build_classifier("resnet18", "random", "head", 4, seed=0)
    trainable = copy.deepcopy(classifier.trainable) if copied else classifier.trainable
    classifier.set_training(trainable)
    assert trainable.get_submodule("fc.0").training and trainable.get_submodule("fc.3").training
    assert classifier.network.fc[0].training != copied
    batch_norms = [module for module in classifier.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(batch_norms) == 20 and not any(module.training for module in batch_norms)


# --- the cut ----------------------------------------------------------------------------------------------------


def with_lived_statistics(classifier: Classifier) -> Classifier:
    """Batch norm that has seen a batch, so that activations of random weights do not vanish."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier.network.train()
        classifier.network(torch.randn(16, 3, 64, 64))
    classifier.network.eval()
    return classifier


@pytest.mark.slow
@pytest.mark.parametrize("finetune", ["head", "layer4", "layer3"])
@pytest.mark.parametrize(
    "architecture", ["resnet18", "mobilenet_v2", "densenet121", "convnext_tiny", "efficientnet_b0"]
)
def test_prefix_and_trainable_part_compute_exactly_what_the_network_does(architecture, finetune):
    classifier = with_lived_statistics(build_classifier(architecture, "random", finetune, 4, seed=0))
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        entering, expected = classifier.prefix(images), classifier.network(images)
        assert torch.equal(classifier.trainable(entering), expected)
        others = classifier.trainable(entering.flip(0))
    assert not torch.equal(expected[0], expected[2])  # what enters matters
    torch.testing.assert_close(others, expected.flip(0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "finetune", "boundary"),
    [
        ("resnet18", "head", "fc"),
        ("resnet18", "layer4", "layer4.0"),
        ("resnet50", "layer3", "layer3.0"),
        ("mobilenet_v2", "layer3", "features.7"),
        ("mobilenet_v2", "head", "classifier.1"),
    ],
)
def test_network_is_cut_before_the_first_block_that_learns(architecture, finetune, boundary):
    classifier = build_classifier(architecture, "random", finetune, 4, seed=0)
    assert classifier.boundary == Boundary(boundary)
    assert classifier.part_behind(classifier.boundary) is classifier.trainable
    assert classifier.part_behind(None) is classifier.network


@pytest.mark.parametrize("finetune", ["head", "layer4", "layer3"])
@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2"])
def test_what_learns_lies_behind_the_cut_and_all_before_it_is_frozen(architecture, finetune):
    classifier = build_classifier(architecture, "random", finetune, 4, seed=0)
    whole = classifier.network.state_dict(keep_vars=True)
    before = classifier.prefix.state_dict(keep_vars=True)
    behind = classifier.trainable.state_dict(keep_vars=True)
    assert before.keys().isdisjoint(behind) and before.keys() | behind.keys() == whole.keys()
    assert not any(value.requires_grad for value in before.values())
    assert all(value.requires_grad for value in behind.values() if isinstance(value, nn.Parameter))
    parts = before | behind
    assert [name for name, value in whole.items() if parts[name].data_ptr() != value.data_ptr()] == []


@pytest.mark.parametrize("finetune", ["layer2", "all"])
def test_network_of_which_most_learns_is_not_cut(finetune):
    classifier = build_classifier("resnet18", "random", finetune, 4, seed=0)
    assert classifier.boundary is None and classifier.prefix is None
    assert classifier.trainable is classifier.network is classifier.part_behind(None)


# --- the Grad-CAM layer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "layer", "channels"),
    [
        ("resnet18", "layer4.1", 512),
        ("resnet50", "layer4.2", 2048),
        ("mobilenet_v2", "features.18", 1280),
        ("vgg11", "features", 512),
        ("densenet121", "features.denseblock4", 1024),
        ("convnext_tiny", "features.7", 768),
        ("efficientnet_b0", "features.8", 1280),
    ],
)
def test_gradcam_layer_is_the_last_convolutional_block(architecture, layer, channels):
    classifier = build_classifier(architecture, "random", "layer2", 4, seed=0)
    assert classifier.explained_layer == ExplainedLayer(layer)
    calls: list[tuple[str, torch.Size]] = []

    def note(path, module, inputs, output):
        calls.append((path, output.shape))

    for path, module in classifier.network.named_modules():
        if path == layer or isinstance(module, nn.Conv2d):
            module.register_forward_hook(functools.partial(note, path))
    with torch.inference_mode():
        classifier.network.eval()(torch.zeros(1, 3, 224, 224))
    assert calls[-1] == (layer, (1, channels, 7, 7))  # no convolution runs after it


@pytest.mark.parametrize(
    ("architecture", "image_size", "layer"),
    [
        ("resnet18", 64, "layer2.1"),
        ("resnet18", 112, "layer3.1"),
        ("resnet18", 32, "layer1.1"),
        ("mobilenet_v2", 64, "features.6"),
        ("vgg11", 64, "features.14"),
        ("densenet121", 64, "features.denseblock2"),
        ("convnext_tiny", 64, "features.3"),
    ],
)
def test_small_images_are_explained_at_the_deepest_block_with_seven_fields(architecture, image_size, layer):
    classifier = build_classifier(architecture, "random", "layer2", 4, 0, image_size)
    assert classifier.explained_layer == ExplainedLayer(layer)
    fields: dict[str, int] = {}

    def note(path, module, inputs, output):
        if isinstance(output, torch.Tensor) and output.dim() == 4:
            fields[path] = min(output.shape[2:])

    blocks = [path for path, _ in classifier.network.named_modules() if path.count(".") == 1]
    for path in blocks:
        classifier.network.get_submodule(path).register_forward_hook(functools.partial(note, path))
    with torch.inference_mode():
        classifier.network.eval()(torch.zeros(1, 3, image_size, image_size))
    assert fields[layer] >= 7
    assert all(count < 7 for count in list(fields.values())[list(fields).index(layer) + 1 :])


def test_images_that_are_too_small_for_a_network_are_refused_in_a_line():
    with pytest.raises(UserError, match="image_size=32 is too small for architecture=alexnet"):
        build_classifier("alexnet", "random", "all", 4, 0, 32)


# --- architectures that cannot be used --------------------------------------------------------------------------


def test_unknown_architecture_is_an_error_that_names_the_nearest():
    message = error_of("resnet51")
    assert message.startswith("architecture=resnet51 is not a torchvision classifier")
    assert "resnet50" in message


@pytest.mark.parametrize("architecture", ["vit_b_16", "swin_t"])
def test_transformer_is_an_error(architecture):
    message = error_of(architecture)
    assert f"architecture={architecture} is a transformer" in message and "resnet50" in message


def test_network_that_ends_in_a_convolution_is_an_error():
    assert "architecture=squeezenet1_1 cannot take the study's head: it ends in Conv2d" in error_of("squeezenet1_1")


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet:FutureWarning")  # torchvision's own
def test_network_with_auxiliary_classifiers_is_an_error():
    assert "architecture=googlenet cannot take the study's head: it has auxiliary" in error_of("googlenet")


# --- random weights ---------------------------------------------------------------------------------------------


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=3)
    torch.manual_seed(2)
    again = build_classifier("mobilenet_v2", "random", "head", 4, seed=3)
    other = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=4)
    assert weights_digest(first.network) == weights_digest(again.network)
    assert weights_digest(first.network) != weights_digest(other.network)
    assert (first.weights.name, first.weights.sha256) == ("random", "")


def test_building_a_network_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_classifier("resnet18", "random", "layer2", 4, seed=0)
    assert torch.equal(torch.rand(3), expected)
