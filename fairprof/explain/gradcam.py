"""Grad-CAM saliency maps of whole batches, raw: nothing is scaled per image, so groups can be compared."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from fairprof.hardware import channels_last
from fairprof.parts import Boundary, part
from fairprof.progress import progress_bar

BATCH = 16  # images differentiated at once: bounds the memory


class Entering(Protocol):
    """What enters the network for N images, a slice at a time: a tensor is one."""

    def __getitem__(self, places: slice) -> torch.Tensor: ...


class RawGradCAM(GradCAM):
    """pytorch-grad-cam's Grad-CAM without its resizing and its min-max scaling of every image."""

    def compute_cam_per_layer(self, input_tensor, targets, eigen_smooth):
        (activations,), (gradients,) = self.activations_and_grads.activations, self.activations_and_grads.gradients
        maps = self.get_cam_image(
            input_tensor,
            self.target_layers[0],
            targets,
            activations.detach().cpu().numpy(),
            gradients.detach().cpu().numpy(),
            eigen_smooth,
        )
        return np.maximum(maps, 0)

    def aggregate_multi_layers(self, cam_per_target_layer):
        return cam_per_target_layer


def saliency_maps(
    network: nn.Module, layer: str, entering: Entering, classes: np.ndarray, boundary: Boundary | None = None
) -> np.ndarray:
    """Grad-CAM of every image for its class at a layer (Selvaraju et al. 2017).

    ReLU of the sum over channels of the layer's activation times the mean gradient of the class's logit.
    entering: (N, 3, H, W) float32, normalised images; or what enters the network at `boundary`, (N, ...) float, as
    the prefix cache has it. It is sliced a batch at a time. classes: (N,) int, one explicit target an image. layer: the
    path of a block of the network whose output is (N, C, h, w). Returns (N, h, w) float32, >= 0, in units of the
    logit; a map of zeros says that nothing there speaks for the class. The network's mode, gradients and hooks are
    left as they were. Raises ValueError for a class that the network does not have.

    The network is cut behind the layer: what lies before is computed without gradients, and pytorch-grad-cam gets
    the rest.
    """
    class_count = [module for module in network.modules() if isinstance(module, nn.Linear)][-1].out_features
    if any(not 0 <= number < class_count for number in classes):  # the library would swallow the IndexError
        raise ValueError(f"Grad-CAM targets must be classes 0 to {class_count - 1}")
    explained = Boundary(layer, after=True)
    before = part(network, boundary, explained)
    behind = nn.Sequential(OrderedDict(layer=nn.Identity(), rest=part(network, explained, None)))
    device = next(network.parameters()).device
    maps = []
    with _unchanged(network), progress_bar("Grad-CAM", len(classes), "images") as bar:
        for start in range(0, len(classes), BATCH):
            batch = channels_last(entering[start : start + BATCH].to(device).float())
            with torch.no_grad():
                activations = before(batch)
            targets = [ClassifierOutputTarget(int(number)) for number in classes[start : start + BATCH]]
            maps.append(_maps_of_batch(behind, activations, targets))
            bar.update(len(targets))
    return np.concatenate(maps).astype(np.float32)


def _maps_of_batch(behind: nn.Sequential, activations: torch.Tensor, targets: list) -> np.ndarray:
    # a copy: activations may come from inference mode, where nothing can be differentiated
    activations = activations.clone().requires_grad_(True)
    with RawGradCAM(behind, [behind.layer]) as gradcam:
        return gradcam(activations, targets)


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Computes in evaluation mode with gradients, and gives modes and gradients back as they were."""
    modes = {module: module.training for module in network.modules()}
    gradients = [(parameter, parameter.grad) for parameter in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = None
    network.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, mode in modes.items():
            module.training = mode


def mean_maps(maps: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """The mean raw map, (h, w) float32, of every group; groups: (N,) group names."""
    return {str(group): maps[groups == group].mean(axis=0) for group in sorted(set(groups))}
