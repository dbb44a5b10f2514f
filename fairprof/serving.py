"""The code of the registered model: decoding, preprocessing, the network and the MLflow model around them.

This file is copied into every registered version and runs there without the project, so it imports nothing
of fairprof. Training imports from it: what is served is what was trained.
"""

import base64
import binascii
import io
import json
import struct
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import safetensors.torch
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from PIL import Image, ImageOps
from torch import nn
from torchvision.models import get_model
from torchvision.transforms.v2 import functional

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
HEAD_WIDTH = 512
BATCH = 32


class UndecodableImage(ValueError):
    """Bytes that are not one whole image of acceptable size; the message is the reason."""


def decode_image(content: bytes) -> Image.Image:
    """An encoded image as upright RGB, 8 bits a channel; transparency lies on white, 16-bit grey is scaled.

    Raises `UndecodableImage` for an empty, truncated or unknown file and for more than MAX_BYTES or MAX_PIXELS,
    which is checked before any pixel is decoded.
    """
    if not content:
        raise UndecodableImage("empty file")
    if len(content) > MAX_BYTES:
        raise UndecodableImage(f"file of {len(content):,} bytes, more than {MAX_BYTES:,}")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise UndecodableImage(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        return _as_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UndecodableImage(f"more than {MAX_PIXELS:,} pixels") from None
    except UndecodableImage:
        raise
    except Image.UnidentifiedImageError:
        raise UndecodableImage("not an image in a known format") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError, struct.error) as error:
        # Pillow's decoders raise any of these for damaged files.
        raise UndecodableImage(f"truncated or damaged image ({' '.join(str(error).split())[:80]})") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, dtype=np.float64) / 257.0
        return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def stored_size(image_size: int) -> int:
    """The edge, in pixels, at which images are kept before cropping: 256 for an input of 224, and in proportion."""
    return round(image_size * 256 / 224)


def square_pixels(image: Image.Image, size: int) -> np.ndarray:
    """The central square of an RGB image at `size` pixels, (size, size, 3) uint8."""
    return np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR))


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """(..., 3, H, W) uint8 -> float32, ImageNet-normalised."""
    return functional.normalize(
        functional.to_dtype(pixels, torch.float32, scale=True), list(IMAGENET_MEAN), list(IMAGENET_STANDARD_DEVIATION)
    )


def evaluation_input(pixels: np.ndarray, image_size: int) -> torch.Tensor:
    """Stored pixels, (..., S, S, 3) uint8, as the network's input: centre crop, (..., 3, H, W) float32, normalised."""
    channels_first = torch.from_numpy(np.array(pixels)).movedim(-1, -3)  # a copy: memory maps are read-only
    return normalise(functional.center_crop(channels_first, [image_size, image_size]))


def build_network(architecture: str, class_count: int) -> nn.Module:
    """A torchvision classifier, randomly initialised, whose last linear layer is the study's head.

    The head: Dropout(.5), Linear(features, 512), ReLU, Dropout(.3), Linear(512, class_count).
    Raises ValueError where torchvision has no such model or it does not end in a linear layer.
    """
    network = get_model(architecture, weights=None)
    if getattr(network, "aux_logits", False):
        raise ValueError("it has auxiliary classifiers")
    *_, (path, last) = (
        (path, module)
        for path, module in network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    )
    if not isinstance(last, nn.Linear):
        raise ValueError(f"it ends in {type(last).__name__}, not in a linear layer")
    parent, _, name = path.rpartition(".")
    head = nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(last.in_features, HEAD_WIDTH),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(HEAD_WIDTH, class_count),
    )
    setattr(network.get_submodule(parent), name, head)
    return network


class ProfessionClassifier(mlflow.pyfunc.PythonModel):
    """Encoded images in; `profession`, `probability` and a `probability_<class>` per class out."""

    def load_context(self, context):
        self.settings = json.loads(Path(context.artifacts["settings"]).read_text(encoding="utf-8"))
        self.network = build_network(self.settings["architecture"], len(self.settings["classes"]))
        self.network.load_state_dict(safetensors.torch.load_file(context.artifacts["weights"]))
        self.network.eval()

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """model_input: a data frame with the column `image`, bytes or base64 text of encoded images.

        Returns a row per image. Never opens a path or URL. Raises `MlflowException` (HTTP 400) that names the first
        row which is no image.
        """
        images = model_input["image"]
        if len(images) == 0:
            raise MlflowException("no images were given", error_code=INVALID_PARAMETER_VALUE)
        rows = list(enumerate(images))
        probabilities = np.concatenate(
            [self._probabilities(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)]
        )
        classes = self.settings["classes"]
        table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
        table.insert(0, "profession", [classes[best] for best in probabilities.argmax(axis=1)])
        table.insert(1, "probability", probabilities.max(axis=1))
        return table

    def _probabilities(self, rows) -> np.ndarray:
        image_size = self.settings["image_size"]
        pixels = np.stack([square_pixels(_decode_row(row, value), stored_size(image_size)) for row, value in rows])
        with torch.inference_mode():
            return self.network(evaluation_input(pixels, image_size)).softmax(dim=1).double().numpy()


def _decode_row(row: int, value) -> Image.Image:
    try:
        return decode_image(base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value))
    except (UndecodableImage, binascii.Error, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, UndecodableImage) else "neither bytes nor base64 text of an image"
        raise MlflowException(f"row {row}: {reason}", error_code=INVALID_PARAMETER_VALUE) from None


mlflow.models.set_model(ProfessionClassifier())
