"""Saliency maps of whole batches, by any method of pytorch-grad-cam or of a transformer's attention: raw, nothing is
scaled per image, so that groups can be compared."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol, Self

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam import AblationCAM, GradCAM, ScoreCAM, SegEigenCAM, ShapleyCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from fairprof.network.parts import Boundary, part
from fairprof.runtime.hardware import channels_last
from fairprof.runtime.progress import progress_bar
from fairprof.saliency.attention import ATTENTION_METHODS, ROLLOUT, attention_maps, unfused
from fairprof.serving import ExplainedLayer

BATCH = 16  # images differentiated at once: bounds the memory
FORWARD_BATCH = 64  # masked images, or ablated activations, in one forward pass
COMPARED_CLASSES = 3  # of Finer-CAM, those with the nearest logits


class Entering(Protocol):
    """What enters the network for N images, a slice at a time: a tensor is one."""

    def __getitem__(self, places: slice) -> torch.Tensor: ...


class _RawMaps(BaseCAM):
    """A method of pytorch-grad-cam without its resizing and its min-max scaling of every image."""

    sign_is_arbitrary = False  # of a principal component

    def compute_cam_per_layer(self, input_tensor, targets, eigen_smooth):
        (activations,) = self.activations_and_grads.activations
        gradients = next(iter(self.activations_and_grads.gradients), None)
        if self.detach:
            activations = activations.detach().cpu().numpy()
            gradients = None if gradients is None else gradients.detach().cpu().numpy()
        maps = self.get_cam_image(input_tensor, self.target_layers[0], targets, activations, gradients, eigen_smooth)
        if self.sign_is_arbitrary:
            # as Chung, Ying 2025, eq. 13, decide it
            turned = np.abs(maps.min(axis=(1, 2))) > np.abs(maps.max(axis=(1, 2)))
            maps = np.where(turned[:, None, None], -maps, maps)
        return np.maximum(maps, 0)

    def aggregate_multi_layers(self, cam_per_target_layer):
        return cam_per_target_layer


class _Forward(_RawMaps):
    """A method that weighs every channel by forward passes of its own, which the progress bar counts."""

    network: nn.Module
    images: torch.Tensor
    bar: tqdm

    def _logits(self, network: nn.Module, inputs: torch.Tensor, target: ClassifierOutputTarget) -> np.ndarray:
        logits = target(network(channels_last(inputs)))
        self.bar.update(len(inputs))
        return logits.float().cpu().numpy()


class RawScoreCAM(_Forward, ScoreCAM):
    """Score-CAM (Wang et al. 2020) a few channels at a time: all masked images of one image would take a GiB."""

    @torch.no_grad()
    def get_cam_weights(self, input_tensor, target_layer, targets, activations, grads):
        weights = np.empty(activations.shape[:2], dtype=np.float32)
        for place, target in enumerate(targets):
            channels = torch.from_numpy(activations[place]).to(self.images.device)
            scores = [
                self._logits(self.network, _masks(some, self.images.shape[-2:]) * self.images[place], target)
                for some in channels.split(FORWARD_BATCH)
            ]
            weights[place] = torch.from_numpy(np.concatenate(scores)).softmax(dim=0).numpy()
        return weights


def _masks(channels: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Channels (C, h, w), enlarged and each scaled to 0..1: (C, 1, H, W)."""
    enlarged = functional.interpolate(channels[:, None], size, mode="bilinear", align_corners=True)
    lowest, highest = enlarged.amin((2, 3), keepdim=True), enlarged.amax((2, 3), keepdim=True)
    return (enlarged - lowest) / (highest - lowest + 1e-8)


class RawAblationCAM(_Forward, AblationCAM):
    """Ablation-CAM (Desai, Ramaswamy 2020): how much of the class's logit is lost without a channel, which is set to 0.

    The library sets it to -1e7 where activations are not those of a ReLU, and a negative logit turns its maps around;
    here the loss is divided by the logit's absolute value.
    """

    @torch.no_grad()
    def get_cam_weights(self, input_tensor, target_layer, targets, activations, grads):
        weights = np.empty(activations.shape[:2], dtype=np.float32)
        for place, target in enumerate(targets):
            one, behind = input_tensor[place : place + 1], self.model.of_image(place)
            whole = target(behind(one)).float().cpu().numpy()
            without = []
            for channels in torch.arange(one.shape[1], device=one.device).split(FORWARD_BATCH):
                ablated = one.repeat(len(channels), 1, 1, 1)
                ablated[torch.arange(len(channels)), channels] = 0
                without.append(self._logits(behind, ablated, target))
            weights[place] = (whole - np.concatenate(without)) / np.abs(whole)
        return weights


class RawShapleyCAM(_RawMaps, ShapleyCAM):
    """ShapleyCAM; where the gradient does not depend on the activation, as behind the last block of a ResNet, the
    Hessian is 0 and it is Grad-CAM."""

    def get_cam_weights(self, input_tensor, target_layer, targets, activations, grads):
        if not grads.requires_grad:
            return grads.mean(dim=(2, 3)).cpu().numpy()
        return super().get_cam_weights(input_tensor, target_layer, targets, activations, grads)


def _raw(method: type[BaseCAM], sign_is_arbitrary: bool = False) -> type[_RawMaps]:
    return type(f"Raw{method.__name__}", (_RawMaps, method), {"sign_is_arbitrary": sign_is_arbitrary})


AS_THEY_ARE = ("GradCAM", "GradCAMPlusPlus", "GradCAMElementWise", "HiResCAM", "XGradCAM", "LayerCAM")
PRINCIPAL_COMPONENTS = ("EigenCAM", "EigenGradCAM", "KPCA_CAM")
METHODS: dict[str, type[_RawMaps]] = {
    **{name: _raw(getattr(pytorch_grad_cam, name)) for name in AS_THEY_ARE},
    **{name: _raw(getattr(pytorch_grad_cam, name), sign_is_arbitrary=True) for name in PRINCIPAL_COMPONENTS},
    "SegEigenCAM": _raw(SegEigenCAM),
    "FinerCAM": _raw(GradCAM),  # of another target
    "ShapleyCAM": RawShapleyCAM,
    "ScoreCAM": RawScoreCAM,
    "AblationCAM": RawAblationCAM,
}
COSTLY = tuple(name for name, method in METHODS.items() if issubclass(method, _Forward))
# maps that are sums of activation times gradient of the logit
CLASSLESS = ("EigenCAM", "KPCA_CAM", ROLLOUT)  # their maps are the same for every class
UNFUSED = ("ShapleyCAM", *ATTENTION_METHODS)  # which read attention, or differentiate it twice
IN_LOGIT_UNITS = ("GradCAM", "GradCAMElementWise", "HiResCAM", "XGradCAM", "LayerCAM", "ShapleyCAM", "FinerCAM")


def unit_of(method: str) -> str:
    """What a method's maps are measured in."""
    return "logit units" if method in IN_LOGIT_UNITS else "the method's units"


class _Cut(nn.Module):
    """Both sides of the explained layer, of a network that can be cut there."""

    def __init__(self, before: nn.Module, rest: nn.Module):
        super().__init__()
        self.before, self.rest = before, rest

    def behind(self, output: torch.Tensor, entering: torch.Tensor) -> torch.Tensor:
        """The logits, of the layer's output alone."""
        return self.rest(output)


class _Whole(nn.Module):
    """Both sides of the explained layer, of a network in which other outputs reach over it: it computes all of them,
    with the layer's output read or replaced."""

    def __init__(self, network: nn.Module, path: str):
        super().__init__()
        self.network, self.path = network, path

    def before(self, entering: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        outputs = []
        self._computed(entering, lambda module, inputs, output: outputs.append(output))
        return outputs[0]

    def behind(self, output: torch.Tensor, entering: torch.Tensor) -> torch.Tensor:
        """The logits, of the layer's output in the place of its own."""
        return self._computed(entering, lambda module, inputs, own: output)

    def _computed(self, entering: torch.Tensor, hook: Callable) -> torch.Tensor:
        handle = self.network.get_submodule(self.path).register_forward_hook(hook)
        try:
            return self.network(entering)
        finally:
            handle.remove()


def _sides(network: nn.Module, layer: ExplainedLayer, boundary: Boundary | None) -> _Cut | _Whole:
    explained = Boundary(layer.path, after=True)
    rest = part(network, explained, None)
    if rest is None and boundary is None:
        return _Whole(network, layer.path)
    before = part(network, boundary, explained)
    if rest is None or before is None:
        raise ValueError(f"{layer.path} cannot be reached from the {boundary}: other outputs reach over it")
    return _Cut(before, rest)


class _Behind(nn.Module):
    """The logits of some images as a function of the explained layer's maps, (N, C, h, w), all else as it is.

    entering: of the images. output: of the layer. Its own `layer` are the maps, which pytorch-grad-cam watches.
    """

    def __init__(self, sides: _Cut | _Whole, explained: ExplainedLayer, entering: torch.Tensor, output: torch.Tensor):
        super().__init__()
        self.layer = nn.Identity()
        self.sides, self.explained, self.entering, self.output = sides, explained, entering, output

    def of_image(self, place: int) -> Self:
        """The same of one image, of which any number of maps may be given."""
        some = slice(place, place + 1)
        return type(self)(self.sides, self.explained, self.entering[some], self.output[some])

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        entering, own = (
            values.expand(len(maps), *values.shape[1:]) if len(values) == 1 else values
            for values in (self.entering, self.output)
        )
        # a copy, as its gradient is: what follows may work in place, and the library detaches the gradient in place
        return self.sides.behind(self.explained.output(self.layer(maps) * 1, own), entering)


def saliency_maps(
    network: nn.Module,
    layer: ExplainedLayer,
    entering: Entering,
    classes: np.ndarray,
    boundary: Boundary | None = None,
    method: str = "GradCAM",
) -> np.ndarray:
    """The saliency map of every image for its class at a layer.

    With the method GradCAM (Selvaraju et al. 2017) it is the ReLU of the sum over channels of the layer's activation
    times the mean gradient of the class's logit; METHODS and ATTENTION_METHODS are the others. entering: (N, 3, H, W)
    float32, normalised images; or what enters the network at `boundary`, (N, ...) float, as the prefix cache has it. It
    is sliced a batch at a time. classes: (N,) int, one explicit target an image. Returns (N, h, w) float32, >= 0, in
    `unit_of(method)`; a map of zeros says that nothing there speaks for the class. The network's mode, gradients and
    hooks are left as they were. Raises ValueError for a class that the network does not have, an unknown method, one
    that needs images at a boundary, and a boundary from which the layer cannot be reached; and its subclass
    `Inapplicable` for a method that says nothing of this network.

    The network is cut behind the layer, where it can be: what lies before is computed without gradients, and
    pytorch-grad-cam gets the rest.
    """
    _check(network, classes, boundary, method)
    device = next(network.parameters()).device
    maps = []
    attention = unfused(network) if method in UNFUSED else nullcontext()
    with _unchanged(network), attention, _bar(method, len(classes)) as bar:
        sides = None if method in ATTENTION_METHODS else _sides(network, layer, boundary)
        for start in range(0, len(classes), BATCH):
            batch = channels_last(entering[start : start + BATCH].to(device).float())
            chosen = [int(number) for number in classes[start : start + BATCH]]
            if sides is None:
                maps.append(attention_maps(network, layer, batch, chosen, method).cpu().numpy())
                bar.update(len(chosen))
                continue
            with torch.no_grad():
                output = sides.before(batch)
            behind, activations = _Behind(sides, layer, batch, output), layer.maps(output)
            if start == 0 and method in COSTLY:
                bar.total = len(classes) * activations.shape[1]
            maps.append(_maps_of_batch(method, network, behind, batch, activations, chosen, bar))
    return np.concatenate(maps).astype(np.float32)


def _check(network: nn.Module, classes: np.ndarray, boundary: Boundary | None, method: str) -> None:
    class_count = [module for module in network.modules() if isinstance(module, nn.Linear)][-1].out_features
    if any(not 0 <= number < class_count for number in classes):  # the library would swallow the IndexError
        raise ValueError(f"saliency targets must be classes 0 to {class_count - 1}")
    if method not in (*METHODS, *ATTENTION_METHODS):
        raise ValueError(f"{method} is not a saliency method: use one of {', '.join((*METHODS, *ATTENTION_METHODS))}")
    if method in ("ScoreCAM", *ATTENTION_METHODS) and boundary is not None:
        raise ValueError(f"{method} needs images: give them, not what enters behind a boundary")


def _bar(method: str, images: int) -> tqdm:
    if method in COSTLY:
        return progress_bar(f"{method} of {images} images", images, "forward passes")
    return progress_bar("Grad-CAM" if method == "GradCAM" else method, images, "images")


def _maps_of_batch(
    method: str,
    network: nn.Module,
    behind: _Behind,
    batch: torch.Tensor,
    activations: torch.Tensor,
    classes: list[int],
    bar: tqdm,
) -> np.ndarray:
    # a copy: activations may come from inference mode, where nothing can be differentiated
    activations = activations.clone().requires_grad_(True)
    targets = [ClassifierOutputTarget(number) for number in classes]
    if method == "FinerCAM":
        targets = _finer_targets(behind, activations, classes)
    with METHODS[method](behind, [behind.layer]) as library:
        library.network, library.images, library.bar = network, batch, bar
        maps = library(activations, targets)
    if method not in COSTLY:
        bar.update(len(classes))
    return maps


@torch.no_grad()
def _finer_targets(behind: _Behind, activations: torch.Tensor, classes: list[int]) -> list[FinerWeightedTarget]:
    """For every image its class against the classes with the nearest logits (Zhang et al. 2025)."""
    targets = []
    for logits, number in zip(behind(activations).float().cpu().numpy(), classes, strict=True):
        nearest = np.argsort(np.abs(logits - logits[number]), kind="stable")
        others = [int(other) for other in nearest if other != number]
        targets.append(FinerWeightedTarget(number, others[:COMPARED_CLASSES], alpha=1))
    return targets


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Computes in evaluation mode with gradients of activations alone: those of weights would cost half as much again.
    Modes, gradients and what learns are given back as they were."""
    modes = {module: module.training for module in network.modules()}
    learning = [(parameter, parameter.grad) for parameter in network.parameters() if parameter.requires_grad]
    network.eval().requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter, gradient in learning:  # which the library has set to None
            parameter.requires_grad_(True)
            parameter.grad = gradient
        for module, mode in modes.items():
            module.training = mode
