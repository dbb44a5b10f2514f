"""Corruptions of images at five severities, in the spirit of Hendrycks and Dietterich 2019 (arXiv:1903.12261).

The severities are those of ImageNet-C, made for 224 pixels; what is spatial grows and shrinks with the image. JPEG's
blocks of 8 x 8 pixels cannot: small images suffer more from it. What is random depends on seed, corruption and the
image's name alone, so that every model sees the same corrupted image, and one of higher severity has more of the same
noise.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from fairprof.seeds import numpy_generator
from fairprof.serving import IMAGENET_MEAN

SEVERITIES = (1, 2, 3, 4, 5)
REFERENCE_SIZE = 224  # pixels of the images that the spatial severities were made for

NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, as a share of the range
BLUR = (1, 2, 3, 4, 6)  # standard deviation in pixels of a 224 pixel image
JPEG_QUALITY = (25, 18, 15, 10, 7)
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value of HSV, as a share of the range
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # factor of the distance from the mean
OCCLUSION = (0.04, 0.09, 0.16, 0.25, 0.36)  # share of the image under one square


def noise(pixels: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise, independent for every pixel and channel."""
    field = generator.standard_normal(pixels.shape)
    return _bytes(pixels / 255 + NOISE[severity - 1] * field)


def blur(pixels: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Gaussian blur, its width in proportion to the image."""
    sigma = BLUR[severity - 1] * len(pixels) / REFERENCE_SIZE
    kernel = 2 * int(np.ceil(3 * sigma)) + 1
    return _torchvision(pixels, lambda image: functional.gaussian_blur(image, [kernel, kernel], [sigma, sigma]))


def jpeg(pixels: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """JPEG compression."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY[severity - 1])
    return np.asarray(Image.open(buffer))


def brightness(pixels: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """A brighter image of the same hue: the value of HSV is raised."""
    image = pixels / 255
    value = image.max(axis=-1, keepdims=True)
    raised = np.minimum(value + BRIGHTNESS[severity - 1], 1)
    return _bytes(np.where(value > 0, image * raised / np.maximum(value, 1e-9), raised))


def contrast(pixels: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Less contrast: every pixel is moved towards the image's mean grey."""
    return _torchvision(pixels, lambda image: functional.adjust_contrast(image, CONTRAST[severity - 1]))


def occlusion(pixels: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """A square of ImageNet's mean colour, which is 0 to a network that is normalised by it, at a random place."""
    place = generator.random(2)
    edge = round(np.sqrt(OCCLUSION[severity - 1]) * len(pixels))
    top, left = (place * (len(pixels) - edge + 1)).astype(int)
    covered = pixels.copy()
    covered[top : top + edge, left : left + edge] = np.round(np.array(IMAGENET_MEAN) * 255)
    return covered


Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
CORRUPTIONS: dict[str, Corruption] = {
    function.__name__: function for function in (noise, blur, jpeg, brightness, contrast, occlusion)
}


def corrupted(pixels: np.ndarray, images: np.ndarray, corruption: str, severity: int, seed: int) -> np.ndarray:
    """(N, S, S, 3) uint8 pixels under one of CORRUPTIONS; severity 1 to 5, or 0 for none. images: their N names.

    Raises ValueError for another severity.
    """
    if severity == 0:
        return pixels
    if severity not in SEVERITIES:
        raise ValueError(f"severity is {severity}; give 0 (none) to {SEVERITIES[-1]}")
    change = CORRUPTIONS[corruption]
    return np.stack(
        [
            change(image, severity, numpy_generator(seed, "corruption", corruption, str(name)))
            for image, name in zip(pixels, images, strict=True)
        ]
    )


def _bytes(image: np.ndarray) -> np.ndarray:
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def _torchvision(pixels: np.ndarray, function: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    image = torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, 0).contiguous()
    return function(image).movedim(0, -1).numpy()
