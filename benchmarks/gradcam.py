"""Grad-CAM of a batch of images against what it cannot do without, and against the uncut network."""

import time

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from benchmarks.scale import Scale
from fairprof.network.classifier import build_classifier
from fairprof.saliency.gradcam import BATCH, saliency_maps


def measure_gradcam(scale: Scale) -> dict[str, float]:
    """Seconds of a forward pass (`forward`), of the backward pass through layer4 (`layer4_backward`), of fairprof's
    Grad-CAM (`gradcam`), and of pytorch-grad-cam's on a trainable network (`library`), for the same images."""
    classifier = build_classifier(scale.architecture, "random", "layer4", 4, 0)
    network = classifier.network.eval()
    images = torch.randn(scale.gradcam_images, 3, scale.image_size, scale.image_size)
    batches = [batch.contiguous(memory_format=torch.channels_last) for batch in images.split(BATCH)]
    classes = np.zeros(scale.gradcam_images, int)
    saliency_maps(network, classifier.explained_layer, images[:BATCH], classes[:BATCH])  # warm
    forward = backward = 0.0
    for batch in batches:
        start = time.perf_counter()
        logits = network(batch)  # layer4 and the head alone are trainable: autograd goes no deeper
        middle = time.perf_counter()
        logits[:, 0].sum().backward()
        forward, backward = forward + middle - start, backward + time.perf_counter() - middle
    start = time.perf_counter()
    saliency_maps(network, classifier.explained_layer, images, classes)
    gradcam = time.perf_counter() - start
    return {
        "forward": forward,
        "layer4_backward": backward,
        "gradcam": gradcam,
        "library": _library_seconds(scale, batches),
    }


def _library_seconds(scale: Scale, batches: list[torch.Tensor]) -> float:
    classifier = build_classifier(scale.architecture, "random", "all", 4, 0)
    layer = classifier.network.get_submodule(classifier.explained_layer.path)
    start = time.perf_counter()
    with GradCAM(classifier.network, [layer]) as gradcam:
        for batch in batches:
            gradcam(batch.clone(), [ClassifierOutputTarget(0)] * len(batch))
    return time.perf_counter() - start
