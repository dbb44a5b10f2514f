"""Saliency maps against pytorch-grad-cam itself and against short functions, and what they leave as it was."""

import gc
from typing import get_args

import numpy as np
import psutil
import pytest
import pytorch_grad_cam
import timm
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from fairprof import serving
from fairprof.config import SALIENCY_METHODS, ExplainSettings
from fairprof.metrics.attention import mean_maps
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.explained_layer import explained_layer
from fairprof.network.parts import Boundary, part
from fairprof.saliency import gradcam
from fairprof.saliency.attention import ATTENTION_METHODS
from fairprof.saliency.gradcam import COSTLY, METHODS, PRINCIPAL_COMPONENTS, saliency_maps
from fairprof.serving import ExplainedLayer

SIZE = 64
CLASSES = np.array([0, 1, 2, 3, 3, 2, 0])


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(len(CLASSES), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def classifier_of(architecture: str = "resnet18", finetune: str = "layer2") -> Classifier:
    classifier = build_classifier(architecture, "random", finetune, 4, seed=0)
    batch_norms = [module for module in classifier.network.modules() if isinstance(module, nn.BatchNorm2d)]
    for batch_norm in batch_norms:
        batch_norm.momentum = 1.0  # the statistics of one batch, so that activations of random weights do not vanish
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier.network.train()(torch.randn(16, 3, SIZE, SIZE))
    classifier.network.eval()
    return classifier


def network_and_layer(architecture: str = "resnet18", finetune: str = "layer2") -> tuple[nn.Module, ExplainedLayer]:
    classifier = classifier_of(architecture, finetune)
    return classifier.network, classifier.explained_layer


def reference_maps(network: nn.Module, layer: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Selvaraju et al. 2017, eq. 1 and 2, written down independently: (N, h, w)."""
    activations = []
    hook = layer.register_forward_hook(lambda module, inputs, output: activations.append(output))
    try:
        with torch.inference_mode(False), torch.enable_grad():
            logits = network(images.detach().clone().requires_grad_(True))
            (gradients,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), activations[0])
    finally:
        hook.remove()
    return (activations[0].detach() * gradients.mean((2, 3), keepdim=True)).sum(1).relu()


@pytest.mark.parametrize(
    "architecture", ["resnet18", "resnet50", "mobilenet_v2", "densenet121", "convnext_tiny", "efficientnet_b0"]
)
def test_maps_equal_the_reference_function(architecture, images):
    network, layer = network_and_layer(architecture)
    maps = saliency_maps(network, layer, images, CLASSES)
    expected = reference_maps(network, network.get_submodule(layer.path), images, torch.tensor(CLASSES)).numpy()
    assert maps.dtype == np.float32 and maps.shape == (len(CLASSES), SIZE // 32, SIZE // 32)
    assert expected.max() > 1e-3  # convnext has no batch norm: its maps are the smallest
    np.testing.assert_allclose(maps / expected.max(), expected / expected.max(), atol=1e-5)


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2"])
def test_scaled_maps_equal_those_of_pytorch_grad_cam(architecture, images):
    network, layer = network_and_layer(architecture)
    maps = saliency_maps(network, layer, images, CLASSES)
    with GradCAM(network, [network.get_submodule(layer.path)]) as library:
        expected = library(images, [ClassifierOutputTarget(number) for number in CLASSES])
    assert expected.max() > 0.99
    scaled = scale_cam_image(scale_cam_image(maps, (SIZE, SIZE)))  # per layer, and again over the layers
    np.testing.assert_allclose(scaled, expected, atol=1e-5)


def test_target_class_is_the_one_that_was_asked_for(images):
    network, layer = network_and_layer()
    one = images[:1].expand(4, -1, -1, -1)
    maps = saliency_maps(network, layer, one, np.arange(4))
    assert len({single.tobytes() for single in maps}) >= 3  # at most one map may be all zero twice


def test_batch_equals_single_images(images):
    network, layer = network_and_layer()
    batch = saliency_maps(network, layer, images, CLASSES)
    singles = [saliency_maps(network, layer, images[[row]], CLASSES[[row]])[0] for row in range(len(CLASSES))]
    np.testing.assert_allclose(batch, singles, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunks_change_nothing(chunk, images, monkeypatch):
    network, layer = network_and_layer()
    expected = saliency_maps(network, layer, images, CLASSES)
    monkeypatch.setattr(gradcam, "BATCH", chunk)
    np.testing.assert_allclose(saliency_maps(network, layer, images, CLASSES), expected, atol=1e-5)


def test_more_images_than_a_chunk_holds_come_in_their_order(images):
    network, layer = network_and_layer()
    order = np.arange(40) % len(CLASSES)
    maps = saliency_maps(network, layer, images[order], CLASSES[order])
    expected = saliency_maps(network, layer, images, CLASSES)[order]
    np.testing.assert_allclose(maps, expected, atol=1e-5)


@pytest.mark.parametrize("finetune", ["head", "layer4", "all"])
def test_what_is_frozen_changes_nothing(finetune, images):
    expected = saliency_maps(*network_and_layer(), images, CLASSES)
    maps = saliency_maps(*network_and_layer(finetune=finetune), images, CLASSES)
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_network_that_is_frozen_altogether_has_maps_as_well(images):
    expected = saliency_maps(*network_and_layer(), images, CLASSES)
    network, layer = network_and_layer()
    network.requires_grad_(False)
    np.testing.assert_allclose(saliency_maps(network, layer, images, CLASSES), expected, atol=1e-6)


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad])
def test_maps_inside_a_block_without_gradients_are_the_same(context, images):
    network, layer = network_and_layer()
    expected = saliency_maps(network, layer, images, CLASSES)
    with context():
        maps = saliency_maps(network, layer, images, CLASSES)
    np.testing.assert_allclose(maps, expected, atol=1e-6)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_images_that_were_made_in_inference_mode_are_taken(memory_format, images):
    network, layer = network_and_layer()
    expected = saliency_maps(network, layer, images, CLASSES)
    with torch.inference_mode():
        copies = images.clone().contiguous(memory_format=memory_format)
        inside = saliency_maps(network, layer, copies, CLASSES)
    assert copies.is_inference()
    np.testing.assert_allclose(inside, expected, atol=1e-5)
    np.testing.assert_allclose(saliency_maps(network, layer, copies, CLASSES), expected, atol=1e-5)


def hook_counts(network: nn.Module) -> list[int]:
    return [
        len(block._forward_hooks) + len(block._backward_hooks) + len(block._forward_pre_hooks)
        for block in network.modules()
    ]


@pytest.mark.parametrize("classes", [CLASSES, CLASSES + 4], ids=["valid", "invalid"])
def test_mode_gradients_hooks_and_images_are_left_as_they_were(classes, images):
    network, layer = network_and_layer(finetune="layer3")
    network.train()
    network.layer1.eval()
    network.layer4[0].register_forward_hook(lambda *arguments: None)
    network.fc[4].weight.grad = torch.full_like(network.fc[4].weight, 3.0)
    gradient = network.fc[4].weight.grad
    modes = [block.training for block in network.modules()]
    trainable = [parameter.requires_grad for parameter in network.parameters()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    hooks, pixels = hook_counts(network), images.clone()
    if classes is CLASSES:
        saliency_maps(network, layer, images, classes)
    else:
        with pytest.raises(ValueError, match="classes 0 to 3"):
            saliency_maps(network, layer, images, classes)
    assert [block.training for block in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == trainable
    assert hook_counts(network) == hooks
    assert network.fc[4].weight.grad is gradient and bool((gradient == 3.0).all())
    assert [name for name, parameter in network.named_parameters() if parameter.grad is not None] == ["fc.4.weight"]
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert torch.equal(images, pixels) and not images.requires_grad and images.grad is None


def test_maps_are_computed_in_evaluation_mode(images):
    network, layer = network_and_layer()
    expected = saliency_maps(network, layer, images, CLASSES)
    network.train()
    np.testing.assert_allclose(saliency_maps(network, layer, images, CLASSES), expected, atol=1e-6)


@pytest.mark.parametrize("number", [4, -1, 1000])
def test_class_that_the_network_does_not_have_is_an_error(number, images):
    network, layer = network_and_layer()
    with pytest.raises(ValueError, match="classes 0 to 3"):
        saliency_maps(network, layer, images[:2], np.array([0, number]))


def test_maps_are_raw_so_doubled_logits_double_them(images):
    network, layer = network_and_layer()
    maps = saliency_maps(network, layer, images, CLASSES)
    with torch.no_grad():
        network.fc[4].weight *= 2
        network.fc[4].bias += 5  # a constant says nothing about where
    np.testing.assert_allclose(saliency_maps(network, layer, images, CLASSES), 2 * maps, rtol=1e-4, atol=1e-6)


def test_maps_are_never_negative_and_opposite_classes_have_no_place_in_common(images):
    """With two classes whose last weights are opposite, what speaks for one speaks against the other."""
    network, layer = network_and_layer()
    with torch.no_grad():
        network.fc[4].weight[1] = -network.fc[4].weight[0]
    first = saliency_maps(network, layer, images, np.zeros(len(images), int))
    second = saliency_maps(network, layer, images, np.ones(len(images), int))
    assert first.min() >= 0 and second.min() >= 0
    assert first.max() > 0 and second.max() > 0
    np.testing.assert_array_equal(np.minimum(first, second), 0)


# --- what enters behind a boundary ------------------------------------------------------------------------------


class Sliced:
    """What enters, and every slice of it that was asked for."""

    def __init__(self, values: torch.Tensor):
        self.values = values
        self.slices: list[slice] = []

    def __getitem__(self, places: slice) -> torch.Tensor:
        self.slices.append(places)
        return self.values[places]


@pytest.mark.parametrize("finetune", ["layer4", "layer3"])
@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2"])
def test_maps_from_the_boundary_equal_those_from_the_images(architecture, finetune, images):
    classifier = classifier_of(architecture, finetune)
    network, layer = classifier.network, classifier.explained_layer
    expected = saliency_maps(network, layer, images, CLASSES)
    with torch.inference_mode():
        entering = classifier.prefix(images)
    assert expected.max() > 1e-2 and entering.shape[1:] != images.shape[1:]
    maps = saliency_maps(network, layer, entering, CLASSES, classifier.boundary)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    others = saliency_maps(network, layer, entering.flip(0), CLASSES, classifier.boundary)
    assert np.abs(others - expected).max() > 1e-2  # what enters matters


@pytest.mark.parametrize("finetune", ["head", "layer4", "layer2"])
def test_maps_from_the_explained_layers_own_output_equal_those_from_the_images(finetune, images):
    network, layer = network_and_layer(finetune=finetune)
    explained = Boundary(layer.path, after=True)
    with torch.inference_mode():
        entering = part(network, None, explained)(images)
    assert entering.shape == (len(CLASSES), 512, SIZE // 32, SIZE // 32)
    maps = saliency_maps(network, layer, entering, CLASSES, explained)
    np.testing.assert_allclose(maps, saliency_maps(network, layer, images, CLASSES), atol=1e-5)


def test_half_precision_as_in_the_prefix_cache_is_taken_and_costs_little(images):
    classifier = classifier_of(finetune="layer4")
    network, layer = classifier.network, classifier.explained_layer
    expected = saliency_maps(network, layer, images, CLASSES)
    with torch.inference_mode():
        entering = classifier.prefix(images).half()
    maps = saliency_maps(network, layer, entering, CLASSES, classifier.boundary)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=0.01 * expected.max())


@pytest.mark.parametrize("behind", [False, True])
def test_what_enters_is_sliced_a_batch_at_a_time_and_never_read_whole(behind, images):
    classifier = classifier_of(finetune="layer4")
    order = np.arange(40) % len(CLASSES)
    with torch.inference_mode():
        values = classifier.prefix(images[order]) if behind else images[order]
    entering = Sliced(values)
    boundary = classifier.boundary if behind else None
    maps = saliency_maps(classifier.network, classifier.explained_layer, entering, CLASSES[order], boundary)
    assert entering.slices == [slice(0, 16), slice(16, 32), slice(32, 48)]
    expected = saliency_maps(classifier.network, classifier.explained_layer, images, CLASSES)[order]
    np.testing.assert_allclose(maps, expected, atol=1e-5)


@pytest.mark.parametrize("finetune", ["layer4", "all"])
def test_only_what_lies_behind_the_layer_is_differentiated(finetune, images):
    """Nothing before the layer keeps a graph."""
    network, layer = network_and_layer(finetune=finetune)
    graphs: dict[str, bool] = {}

    def note(path):
        return lambda module, inputs, output: graphs.__setitem__(path, output.requires_grad)

    for path in ("conv1", "layer3.1.bn2", "layer4.1.bn2", "fc.1", "fc.4"):
        network.get_submodule(path).register_forward_hook(note(path))
    saliency_maps(network, layer, images, CLASSES)
    assert graphs == {"conv1": False, "layer3.1.bn2": False, "layer4.1.bn2": False, "fc.1": True, "fc.4": True}


def test_mean_maps_by_hand():
    maps = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    means = mean_maps(maps, np.array(["b", "a", "b"]))
    assert list(means) == ["a", "b"]
    np.testing.assert_array_equal(means["a"], [[4, 5], [6, 7]])
    np.testing.assert_array_equal(means["b"], [[4, 5], [6, 7]])
    np.testing.assert_array_equal(mean_maps(maps, np.array(["a", "a", "b"]))["a"], [[2, 3], [4, 5]])


# --- the other methods ------------------------------------------------------------------------------------------

CHEAP = [name for name in METHODS if name not in COSTLY]
# those whose library result is another: of arbitrary sign, or it divides by the sign of the logit
AS_THE_LIBRARY = [name for name in CHEAP if name not in PRINCIPAL_COMPONENTS and name != "FinerCAM"]
BLOCK = ExplainedLayer("layer1")  # of the fewest channels


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return network_and_layer()[0]


@pytest.fixture(scope="module")
def few(images) -> torch.Tensor:
    return images[:3, :, :32, :32]


def test_the_setting_knows_every_method_and_no_other():
    assert sorted((*METHODS, *ATTENTION_METHODS)) == sorted(SALIENCY_METHODS)
    assert get_args(ExplainSettings.model_fields["method"].annotation) == SALIENCY_METHODS
    assert all(hasattr(pytorch_grad_cam, name) for name in METHODS)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("method", [*AS_THE_LIBRARY, "AblationCAM"])
def test_scaled_maps_of_every_method_equal_those_of_pytorch_grad_cam(method, small, few):
    with torch.no_grad():
        classes = small(few).argmax(dim=1).numpy()  # positive logits
    maps = saliency_maps(small, BLOCK, few, classes, method=method)
    with getattr(pytorch_grad_cam, method)(small, [small.get_submodule(BLOCK.path)]) as library:
        expected = library(
            few.clone().requires_grad_(True), [ClassifierOutputTarget(int(number)) for number in classes]
        )
    assert expected.max() > 0.9
    scaled = scale_cam_image(scale_cam_image(maps, (32, 32)))
    np.testing.assert_allclose(scaled, expected, atol=2e-3 if method == "AblationCAM" else 1e-4)


@pytest.mark.parametrize("method", PRINCIPAL_COMPONENTS)
def test_maps_of_a_principal_component_have_the_sign_that_its_largest_value_gives(method, small, few):
    maps = saliency_maps(small, BLOCK, few, CLASSES[:3], method=method)
    raw = METHODS[method].sign_is_arbitrary
    METHODS[method].sign_is_arbitrary = False
    try:
        one = saliency_maps(small, BLOCK, few, CLASSES[:3], method=method)
    finally:
        METHODS[method].sign_is_arbitrary = raw
    same = [np.allclose(a, b, atol=1e-5 * a.max()) for a, b in zip(maps, one, strict=True)]
    apart = [np.minimum(a, b).max() < 1e-5 * a.max() for a, b in zip(maps, one, strict=True)]  # the other sign
    assert all(a or b for a, b in zip(same, apart, strict=True))
    assert all(a.max() >= b.max() * (1 - 1e-5) for a, b in zip(maps, one, strict=True))


def test_score_cam_equals_pytorch_grad_cam_on_the_whole_network(images, capfd):
    """On the first block, of 64 channels: it takes a forward pass for each."""
    network, _ = network_and_layer()
    maps = saliency_maps(network, BLOCK, images[:2], CLASSES[:2], method="ScoreCAM")
    assert "128/128" in capfd.readouterr().err or maps.shape == (2, 16, 16)  # the bar counts forward passes
    with pytorch_grad_cam.ScoreCAM(network, [network.layer1]) as library:
        expected = library(images[:2], [ClassifierOutputTarget(int(number)) for number in CLASSES[:2]])
    scaled = scale_cam_image(scale_cam_image(maps, (SIZE, SIZE)))
    np.testing.assert_allclose(scaled, expected, atol=1e-4)


def test_finer_cam_is_grad_cam_of_the_weighted_differences_to_the_other_classes(small, few):
    """d of w_k (y_c - y_k) summed over k, divided by the sum of w, w being the probabilities (Zhang et al. 2025)."""
    maps = saliency_maps(small, BLOCK, few, CLASSES[:3], method="FinerCAM")
    activations = []
    hook = small.get_submodule(BLOCK.path).register_forward_hook(
        lambda module, inputs, output: activations.append(output)
    )
    logits = small(few.clone().requires_grad_(True))
    hook.remove()
    own = logits.gather(1, torch.tensor(CLASSES[:3])[:, None])
    weights = logits.softmax(dim=1) * (torch.arange(4) != torch.tensor(CLASSES[:3])[:, None])
    total = ((weights * (own - logits)).sum(dim=1) / weights.sum(dim=1)).sum()
    (gradients,) = torch.autograd.grad(total, activations[0])
    expected = (activations[0] * gradients.mean((2, 3), keepdim=True)).sum(1).relu().detach().numpy()
    np.testing.assert_allclose(maps, expected, atol=1e-4 * expected.max())


@pytest.mark.parametrize("method", [*CHEAP, "AblationCAM"])
def test_batch_equals_single_images_for_every_method(method, small, few):
    batch = saliency_maps(small, BLOCK, few, CLASSES[:3], method=method)
    singles = [saliency_maps(small, BLOCK, few[[row]], CLASSES[[row]], method=method)[0] for row in range(3)]
    assert batch.dtype == np.float32 and batch.shape == (3, 8, 8) and batch.min() >= 0
    np.testing.assert_allclose(batch / batch.max(), np.array(singles) / batch.max(), atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True], ids=["done", "fails"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_mode_gradients_and_hooks_as_they_were(method, fails, images, monkeypatch):
    network, _ = network_and_layer()
    network.train()
    network.layer1.eval()
    network.requires_grad_(False)
    network.fc.requires_grad_(True)
    network.fc[4].weight.grad = gradient = torch.full_like(network.fc[4].weight, 3.0)
    modes = [block.training for block in network.modules()]
    trainable = [parameter.requires_grad for parameter in network.parameters()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    hooks = hook_counts(network)
    if fails:
        monkeypatch.setattr(METHODS[method], "get_cam_image", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            saliency_maps(network, BLOCK, images[:1], CLASSES[:1], method=method)
    else:
        saliency_maps(network, BLOCK, images[:1], CLASSES[:1], method=method)
    assert [block.training for block in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == trainable
    assert hook_counts(network) == hooks
    assert network.fc[4].weight.grad is gradient and bool((gradient == 3.0).all())
    assert [name for name, parameter in network.named_parameters() if parameter.grad is not None] == ["fc.4.weight"]
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_unknown_methods_and_score_cam_behind_a_boundary_are_refused(small, few):
    with pytest.raises(ValueError, match="NoCAM is not a saliency method"):
        saliency_maps(small, BLOCK, few, CLASSES[:3], method="NoCAM")
    with pytest.raises(ValueError, match="ScoreCAM needs images"):
        saliency_maps(small, ExplainedLayer("layer3"), few, CLASSES[:3], Boundary("layer2"), method="ScoreCAM")


def test_a_layer_that_a_connection_skips_is_explained_from_the_images_alone(small, few):
    layer = ExplainedLayer("layer4.1.conv1")
    expected = reference_maps(small, small.layer4[1].conv1, few, torch.tensor(CLASSES[:3])).numpy()
    np.testing.assert_allclose(saliency_maps(small, layer, few, CLASSES[:3]), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"layer4\.1\.conv1 cannot be reached from the input of layer4"):
        saliency_maps(small, layer, few, CLASSES[:3], Boundary("layer4"))


def test_ablation_cam_keeps_its_maps_where_the_logit_is_negative(few):
    """Only the bias tells the two networks apart: what a channel adds is the same, and so is the map's form."""
    network, layer = network_and_layer()
    with torch.no_grad():
        network.fc[4].bias += 100.0
    above = saliency_maps(network, layer, few, CLASSES[:3], method="AblationCAM")
    with torch.no_grad():
        network.fc[4].bias -= 200.0
    below = saliency_maps(network, layer, few, CLASSES[:3], method="AblationCAM")
    assert above.max() > 0
    np.testing.assert_allclose(below / below.max(), above / above.max(), atol=0.02)


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.slow
def test_memory_is_flat_over_a_thousand_maps():
    network, layer = network_and_layer()
    images = torch.randn(100, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    classes = np.arange(100) % 4
    process = psutil.Process()
    saliency_maps(network, layer, images, classes)
    before, tensors = process.memory_info().rss, live_tensors()
    for _ in range(10):
        saliency_maps(network, layer, images, classes)
    assert process.memory_info().rss - before < 10 * 2**20  # less than 10 KiB a map
    assert live_tensors() == tensors


@pytest.mark.parametrize("method", [name for name in METHODS if name != "ScoreCAM"])
def test_no_method_keeps_tensors(method, small, few):
    def once():
        saliency_maps(small, BLOCK, few[:1], CLASSES[:1], method=method)
        return live_tensors()

    assert once() == once()


# --- other layouts ----------------------------------------------------------------------------------------------

LAYOUTS = {  # hand-written, as pytorch-grad-cam asks for it: from the layer's output to (N, C, h, w)
    "test_mambaout": lambda output: output.permute(0, 3, 1, 2),
    "test_vit3": lambda output: output[:, 1:].reshape(len(output), 10, 10, -1).permute(0, 3, 1, 2),
    "test_vit_relpos": lambda output: output.reshape(len(output), 10, 10, -1).permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("method", ["GradCAM", "HiResCAM", "LayerCAM"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_maps_of_every_layout_equal_those_of_pytorch_grad_cam(name, method):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=4).eval()
    size = network.pretrained_cfg["input_size"][-1]
    layer = explained_layer(network, f"timm:{name}", size)
    images, classes = torch.randn(3, 3, size, size), np.array([0, 3, 1])
    maps = saliency_maps(network, layer, images, classes, method=method)
    targets = [ClassifierOutputTarget(number) for number in classes]
    with getattr(pytorch_grad_cam, method)(
        network, [network.get_submodule(layer.path)], reshape_transform=LAYOUTS[name]
    ) as library:
        expected = library(images, targets)
    scaled = scale_cam_image(scale_cam_image(maps, (size, size)))
    assert expected.max() > 0.99
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    if method == "GradCAM":
        logits, served = serving.gradcam(network, layer, images, lambda logits: torch.tensor(classes))
        np.testing.assert_allclose(served.numpy() / maps.max(), maps / maps.max(), atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(logits, network(images))
