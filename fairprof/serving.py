"""The code of the registered model: decoding, preprocessing, the network, Grad-CAM, the MLflow model around them, and
how it answers over HTTP.

This file is copied into every registered version and runs there without the project, so it imports nothing
of fairprof. Training imports from it: what is served is what was trained. PyTorch takes seconds to import, and who only
reads images does without it: the functions that compute import it themselves.
"""

import base64
import contextlib
import csv
import functools
import hashlib
import io
import itertools
import json
import logging
import math
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel
from PIL import Image, ImageOps

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_BYTES = 64 * 2**20
MAX_TEXT = 90 * 2**20  # characters: MAX_BYTES as base64, with line breaks
MAX_PIXELS = 50_000_000
MAX_READS = 250_000  # of pieces of an encoded image: a photograph has a few thousand
SCANS_PER_DECODING = 32  # so many more passes over the pixels of a JPEG cost what decoding it costs
TEXT_COST = 100  # how many times longer a pixel takes that is written as text
MAX_DECODING = 10 * MAX_PIXELS  # pixels of one image, weighted by what they cost
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
IMAGENET_CROP = 224 / 256
OF_TIMM = "timm:"  # before the name of an architecture of timm
HEAD_WIDTH = 512
NCHW, NHWC, NTC = "NCHW", "NHWC", "NTC"  # N images, C channels; height and width, or T tokens
BATCH = 32  # images decoded and computed at once: bounds the memory

# What one HTTP request may hold. In Python the number of images is not bounded.
MAX_BODY = 128 * 2**20  # bytes; an image of MAX_BYTES is 86 MiB of base64 text
MAX_ROWS = 256
MAX_VALUES = 64 * MAX_ROWS  # cells: a few bytes of JSON each become objects of a hundred
MAX_LINES = 2**22  # of CSV: an image of MAX_BYTES as base64 in lines of 64 characters has half as many
MAX_REQUEST_DECODING = 10**9  # pixels; as JPEG, the photographs that fit into a request have fewer
MAX_FOOTER = 2**20  # bytes that a Parquet file says of itself
MAX_HEAD = 2**16  # and of one of its pages
MAX_NESTING = 32  # of what it says
MAX_COLUMNS = 1000
MAX_PAGES = 4 * MAX_ROWS

OVERLAY_SIZE = 224  # least edge of an overlay, pixels
OVERLAY_SHARE = 0.7  # of the colour where the map is strongest
INFERNO = (  # matplotlib's colour map at 17 equal steps: perceptually uniform, and readable without colour vision
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 "
    "fcffa4"
).split()
NAMED_ROWS = 10  # in one message


class UndecodableImage(ValueError):
    """Bytes that are not one whole image of acceptable size; the message is the reason."""


def decode_image(content: bytes) -> Image.Image:
    """An encoded image as upright RGB, 8 bits a channel; transparency lies on white, 16-bit grey is scaled.

    Raises `UndecodableImage` for an empty, truncated or unknown file, for more than MAX_BYTES or MAX_PIXELS, and for
    one that is made to take long: of more than MAX_READS pieces, or MAX_DECODING. Sizes are checked before any pixel
    is decoded.
    """
    if not content:
        raise UndecodableImage("empty file")
    if len(content) > MAX_BYTES:
        raise UndecodableImage(f"file of {len(content):,} bytes, more than {MAX_BYTES:,}")
    try:
        image = Image.open(_Pieces(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise UndecodableImage(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        if decoding_cost(content, image) > MAX_DECODING:
            raise UndecodableImage(f"{image.width} x {image.height} pixels in a form that takes too long to decode")
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


class _Pieces(io.BytesIO):
    """Bytes that are given out in at most MAX_READS pieces: decoders go through segments, chunks and runs one by one,
    some of them in time that grows with the square of their number."""

    def __init__(self, content: bytes):
        super().__init__(content)
        self.left = MAX_READS

    def read(self, size=-1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise UndecodableImage(f"an image in more than {MAX_READS:,} pieces")
        return super().read(size)


def decoding_cost(content: bytes, image: Image.Image) -> float:
    """The pixels of an image, weighted by what decoding them costs. A JPEG may have scans without end, each of a few
    bytes, which all go through all of its pixels; PPM may be text, which Pillow reads in Python."""
    pixels = image.width * image.height
    if content.startswith(b"\xff\xd8"):
        return pixels * (1 + content.count(b"\xff\xda") / SCANS_PER_DECODING)
    return pixels * TEXT_COST if content[:2] in (b"P1", b"P2", b"P3") else pixels


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, dtype=np.float64) / 257.0
        return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


@dataclass(frozen=True)
class Preprocessing:
    """How images become what a network sees: as it was pretrained, which is ImageNet's way unless something else is
    said.

    mean, standard_deviation: of every channel, red, green, blue, of values from 0 to 1. crop: the edge of what the
    network sees as a share of the edge at which images are kept, in (0, 1].
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    standard_deviation: tuple[float, float, float] = IMAGENET_STANDARD_DEVIATION
    crop: float = IMAGENET_CROP

    @classmethod
    def of_json(cls, content: Mapping) -> "Preprocessing":
        """The preprocessing that `as_json` has written."""
        mean, standard_deviation = (tuple(map(float, content[name])) for name in ("mean", "standard_deviation"))
        if len(mean) != 3 or len(standard_deviation) != 3:
            raise ValueError("mean and standard_deviation have a number for each of three channels")
        return cls(mean, standard_deviation, float(content["crop"]))

    def as_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def stored_size(self, image_size: int) -> int:
        """The edge, in pixels, at which images are kept before cropping: ImageNet's is 256 for an input of 224."""
        return round(image_size / self.crop)

    def normalise(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """(..., 3, H, W) uint8 -> float32, normalised."""
        import torch
        from torchvision.transforms.v2 import functional

        return functional.normalize(
            functional.to_dtype(pixels, torch.float32, scale=True), list(self.mean), list(self.standard_deviation)
        )

    def evaluation_input(self, pixels: np.ndarray, image_size: int) -> "torch.Tensor":
        """Stored pixels, (..., S, S, 3) uint8, as the network's input: centre crop, (..., 3, H, W) float32,
        normalised."""
        import torch
        from torchvision.transforms.v2 import functional

        channels_first = torch.from_numpy(np.array(pixels)).movedim(-1, -3)  # a copy: memory maps are read-only
        return self.normalise(functional.center_crop(channels_first, [image_size, image_size]))

    def visible_square(self, image: Image.Image, size: int) -> np.ndarray:
        """What the network sees of an RGB image, at `size` pixels: (size, size, 3) uint8."""
        pixels = square_pixels(image, self.stored_size(size))
        middle = middle_of(len(pixels), size)
        return pixels[middle, middle]


IMAGENET = Preprocessing()


def preprocessing_in(described: Mapping) -> Preprocessing:
    """The preprocessing that a model's description holds; ImageNet's where it holds none."""
    return Preprocessing.of_json(described["preprocessing"]) if "preprocessing" in described else IMAGENET


def square_pixels(image: Image.Image, size: int) -> np.ndarray:
    """The central square of an RGB image at `size` pixels, (size, size, 3) uint8."""
    return np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR))


def middle_of(length: int, size: int) -> slice:
    """The `size` places in the middle of `length`, as torchvision's centre crop takes them."""
    start = round((length - size) / 2)
    return slice(start, start + size)


class UnfittingSize(ValueError):
    """Images of a size that a network does not take."""


LEAST_SHARE = 1e-6  # of the votes, which a class has whom no neighbour votes for: its probability is never 0


@dataclass(frozen=True)
class HeadKind:
    """What stands in the place of a network's own classifier and computes logits from its features; as JSON it is an
    object of these fields.

    name: `study` (Dropout(.5), Linear(features, 512), ReLU, Dropout(.3), Linear(512, K)), `linear_probe`
    (Linear(features, K)) or `knn` (`nearest_neighbours_class`). Of `knn` alone: images, the number of the training
    images, whose features the head holds; neighbours, how many of them vote; temperature, which weighs their votes.
    """

    name: str = "study"
    images: int = 0
    neighbours: int = 0
    temperature: float = 0.0

    def module(self, features: int, class_count: int, flattened: Sequence["nn.Module"] = ()) -> "nn.Module":
        """The head, randomly initialised: (N, features) -> (N, class_count) float32. Its weights are those of its
        children, so that the block that holds the network's last ones is the head. flattened: what takes outputs of
        (N, features, 1, 1) to that form first, where it is needed."""
        from torch import nn

        if self.name == "knn":
            return nearest_neighbours_class()(self, features, class_count)
        if self.name == "linear_probe":
            return nn.Sequential(*flattened, nn.Linear(features, class_count))
        return nn.Sequential(
            *flattened,
            nn.Dropout(0.5),
            nn.Linear(features, HEAD_WIDTH),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(HEAD_WIDTH, class_count),
        )

    def as_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


STUDYS_HEAD = HeadKind()


def head_in(settings: Mapping) -> HeadKind:
    """The head of a model, in what its settings hold; the study's where they name none. Raises TypeError where it is
    damaged."""
    return HeadKind(**settings["head"]) if "head" in settings else STUDYS_HEAD


@functools.cache
def nearest_neighbours_class() -> "type[nn.Module]":
    """The class of a head that classifies by the nearest training images, made once PyTorch is needed."""
    import torch
    from torch import nn
    from torch.nn import functional

    class NearestNeighbours(nn.Module):
        """Weighted k-nearest-neighbour classification by cosine similarity (Wu et al. 2018, arXiv:1805.01978; Caron et
        al. 2021, arXiv:2104.14294): features, (N, D), to logits, (N, K).

        With similarities s to the training images, and of the k nearest of them those of a class, its logit is
        log sum exp(s / temperature); the softmax of the logits is the share of the votes. No share is smaller than
        LEAST_SHARE (before they are divided by their sum), for which no evidence speaks: the gradient of its logit is
        0. Images that are exactly as near as the k-th one vote too, so that the order of the training images does not
        matter. Similarities are float32: where two of them differ by no more than their rounding, which is nearer may
        depend on batch and device.

        references: (images, D), features of length 1, which are constant. classes: (images,) int64.
        """

        classes: torch.Tensor

        def __init__(self, kind: HeadKind, features: int, class_count: int):
            super().__init__()
            self.neighbours, self.temperature, self.class_count = kind.neighbours, kind.temperature, class_count
            self.references = nn.Linear(features, kind.images, bias=False).requires_grad_(False)
            self.references.weight.copy_(functional.normalize(self.references.weight))
            self.register_buffer("classes", torch.arange(kind.images) % class_count)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            similarities = self.references(functional.normalize(features.flatten(1)))
            furthest = similarities.detach().topk(self.neighbours, dim=1).values[:, -1:]
            evidence = (similarities / self.temperature).masked_fill(similarities < furthest, -math.inf)
            members = functional.one_hot(self.classes, self.class_count).to(evidence.dtype)
            shares = evidence.softmax(dim=1) @ members
            every = evidence.logsumexp(dim=1, keepdim=True)
            own = shares.clamp(min=LEAST_SHARE).log() + every
            return torch.where(shares > LEAST_SHARE, own, (math.log(LEAST_SHARE) + every).detach())

    return NearestNeighbours


def build_network(
    architecture: str, class_count: int, image_size: int, head_kind: HeadKind = STUDYS_HEAD
) -> "nn.Module":
    """A classifier, randomly initialised, whose last layer is a head of this kind.

    architecture: a torchvision classifier, or `timm:NAME` for one of timm's, with or without the tag of weights behind
    the name. image_size: edge of the square images, pixels; networks of timm that take one size alone are made for it.
    Raises ValueError where there is no such model or it does not end in a linear layer, and its subclass
    `UnfittingSize` where it cannot be made for such images.
    """
    from torch import nn

    of_timm = architecture.startswith(OF_TIMM)
    if of_timm:
        network = _timm_network(architecture.removeprefix(OF_TIMM), class_count, image_size)
    else:
        network = _torchvision_network(architecture)
    *_, (path, last) = (
        (path, module)
        for path, module in network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    )
    if of_timm:
        _require_classifier(network, last)
    if isinstance(last, nn.Linear):
        flattened, features = [], last.in_features
    elif of_timm and isinstance(last, nn.Conv2d) and last.kernel_size == (1, 1):  # on one place, pooled before
        flattened, features = [nn.Flatten()], last.in_channels
    else:
        raise ValueError(f"it ends in {type(last).__name__}, not in a linear layer")
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, head_kind.module(features, class_count, flattened))
    return network


@dataclass(frozen=True)
class ExplainedLayer:
    """The layer of a network whose outputs explain it, and where in an image they lie.

    path: of the module. layout: of its outputs: NCHW is (N, C, h, w), NHWC (N, h, w, C), NTC (N, T, C). Of T tokens the
    first `prefix_tokens` (class token, registers) stand for no place, and the others are those of the `grid` (height,
    width), row by row; without tokens there is none to be told.
    """

    path: str
    layout: str = NCHW
    prefix_tokens: int = 0
    grid: tuple[int, int] | None = None

    @classmethod
    def of_json(cls, settings: Mapping) -> "ExplainedLayer":
        """The layer that `as_json` has written; of a path alone it is one of the layout NCHW."""
        told = settings.get("explained_layer", {})
        grid = tuple(told["grid"]) if told.get("grid") else None
        return cls(settings["gradcam_layer"], told.get("layout", NCHW), told.get("prefix_tokens", 0), grid)

    def as_json(self) -> dict:
        """What a model's settings say of it: `gradcam_layer`, and `explained_layer` where the layout is not NCHW."""
        path = {"gradcam_layer": self.path}
        if self.layout == NCHW:
            return path
        grid = list(self.grid) if self.grid else None
        return path | {"explained_layer": {"layout": self.layout, "prefix_tokens": self.prefix_tokens, "grid": grid}}

    def maps(self, output: "torch.Tensor") -> "torch.Tensor":
        """An output of the layer, or its gradient, as maps: (N, C, h, w)."""
        if self.layout == NHWC:
            return output.permute(0, 3, 1, 2)
        if self.layout == NTC:
            return output[:, self.prefix_tokens :].transpose(1, 2).unflatten(2, self.grid)
        return output

    def output(self, maps: "torch.Tensor", own: "torch.Tensor") -> "torch.Tensor":
        """An output of the layer with other maps, (N, C, h, w), in the place of its own; prefix tokens stay."""
        import torch

        if self.layout == NHWC:
            return maps.permute(0, 2, 3, 1)
        if self.layout == NTC:
            return torch.cat([own[:, : self.prefix_tokens], maps.flatten(2).transpose(1, 2)], dim=1)
        return maps


def _torchvision_network(architecture: str) -> "nn.Module":
    from torchvision.models import get_model

    network = get_model(architecture, weights=None)
    if getattr(network, "aux_logits", False):
        raise ValueError("it has auxiliary classifiers")
    return network


def _timm_network(name: str, class_count: int, image_size: int) -> "nn.Module":
    import timm
    import torch

    made_for: dict[str, Any] = {}
    config = timm.models.get_pretrained_cfg(name)
    if config is None:
        raise ValueError("timm has no such model")
    if config.fixed_input_size:
        made_for["img_size"] = image_size
    try:
        with torch.device("meta"):
            dynamic = getattr(timm.create_model(name, **made_for), "dynamic_img_size", False)
        if dynamic:  # positions would be computed anew for every batch
            made_for |= {"img_size": image_size, "dynamic_img_size": False}
        return timm.create_model(name, num_classes=class_count, **made_for)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UnfittingSize(f"timm does not make it for images of {image_size} pixels: {reason}") from None


def _require_classifier(network: Any, last: "nn.Module") -> None:
    """Raises ValueError unless a network of timm has one classifier, to which its last module with weights belongs."""
    from torch import nn

    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None
    if isinstance(classifier, tuple | nn.ModuleList):
        raise ValueError("it has several classifiers, as distilled networks do")
    if not isinstance(classifier, nn.Module) or all(module is not last for module in classifier.modules()):
        raise ValueError("it does not end in a classifier")


def gradcam(
    network: "nn.Module",
    layer: ExplainedLayer,
    images: "torch.Tensor",
    decide: "Callable[[torch.Tensor], torch.Tensor] | None" = None,
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Logits, (N, K) float32, and the Grad-CAM of every image's predicted class at a layer, (N, h, w) float32, >= 0, in
    units of the logit (Selvaraju et al. 2017). decide: logits to the predicted classes, (N,) int64; None for those of
    the largest logits.

    images: (N, 3, H, W) float32, normalised. The network's mode, gradients and hooks are left as they were.
    """
    import torch

    outputs = []

    def differentiate_from_here(module: "nn.Module", inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(True)  # until no_grad ends: what lies before the layer keeps nothing in memory
        outputs.append(output.detach().requires_grad_(True))
        return outputs[-1].clone()  # what follows may work in place

    hook = network.get_submodule(layer.path).register_forward_hook(differentiate_from_here)
    try:
        with torch.inference_mode(False), torch.no_grad():
            logits = network(images.clone())  # a copy: images may come from inference mode
            predicted = logits.argmax(dim=1) if decide is None else decide(logits.detach())
            (gradients,) = torch.autograd.grad(logits.gather(1, predicted[:, None]).sum(), outputs)
    finally:
        hook.remove()
    weights = layer.maps(gradients).mean(dim=(2, 3), keepdim=True)
    maps = (layer.maps(outputs[0].detach()) * weights).sum(dim=1).relu()
    return logits.detach(), maps


def overlay(picture: np.ndarray, saliency: "torch.Tensor") -> bytes:
    """A picture with its map laid over it, as PNG: the stronger the map, the brighter its colour and the less of the
    picture is left; where the map is 0, all of it is. The scale is this map's own, from 0 to its maximum, in steps of
    its square root: overlays show where, not how much, and two of them cannot be compared in strength.

    picture: (S, S, 3) uint8. saliency: (h, w) float32, >= 0; a coarse map is enlarged smoothly (bicubic).
    """
    from torch.nn import functional

    enlarged = functional.interpolate(saliency[None, None], picture.shape[:2], mode="bicubic")[0, 0].numpy()
    largest = float(saliency.max())
    strength = np.sqrt(enlarged.clip(0, largest) / largest) if largest > 0 else np.zeros_like(enlarged)
    share = OVERLAY_SHARE * strength[..., None]
    mixed = (1 - share) * picture + share * _colours()[(strength * 255).round().astype(np.uint8)]
    buffer = io.BytesIO()
    Image.fromarray(mixed.round().astype(np.uint8)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


@functools.cache
def _colours() -> np.ndarray:
    """INFERNO in 256 steps, (256, 3) float32, 0 to 255."""
    steps = np.array([list(bytes.fromhex(colour)) for colour in INFERNO], dtype=np.float32)
    places = np.linspace(0, len(steps) - 1, 256)
    return np.stack([np.interp(places, range(len(steps)), levels) for levels in steps.T], axis=1).astype(np.float32)


# --- deciding on a class ---------------------------------------------------------------------------------------------

PARITY, OPPORTUNITY = "demographic_parity", "equal_opportunity"
TIE = 1e-6  # differences of scores under it are left to chance
KEPT_DECIMALS = 4  # of the probabilities from which an image's chance follows


@dataclass(frozen=True)
class DecisionRule:
    """How the class of an image is decided on where it is not simply the most probable one of K; as JSON it is an
    object of these fields.

    factors: of every class, on its probability; none where there are no factors.

    offsets: a row for each of G groups, a value for each class, or nothing. The class is the k with the largest
    p[k] + sum_g w[g, k] offsets[g][k], where w[g, k] is the membership P(g) for `criterion` demographic_parity, and
    P(g, Y = k) for equal_opportunity. groups: their names, in each of the `attributes`, which are told with an image:
    P(g) is 1 for its group and P(g, Y = k) = p[k]. Without attributes the group is not known, and `posteriors` give
    what the features say: weights, (G, D + 1) or for equal_opportunity (G K, D + 1), the last column the intercept, of
    which the softmax is P(g), or P(g, Y = k) with the classes of a group side by side.

    Where two scores differ by less than TIE, chance decides: numbers that follow from the image's own probabilities,
    and so are always the same for it. The offsets are fitted with them, so that they share images out as it is best.
    """

    factors: tuple[float, ...] = ()
    offsets: tuple[tuple[float, ...], ...] = ()
    criterion: str = PARITY
    attributes: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    posteriors: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of_json(cls, content: Mapping) -> "DecisionRule":
        """The rule that `as_json` has written."""
        return cls(
            factors=tuple(content["factors"]),
            offsets=tuple(map(tuple, content["offsets"])),
            criterion=content["criterion"],
            attributes=tuple(content["attributes"]),
            groups=tuple(map(tuple, content["groups"])),
            posteriors=tuple(map(tuple, content["posteriors"])),
        )

    def as_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def scaled(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities, (N, K) float64, times the factors, each row again of the sum 1."""
        if not self.factors:
            return probabilities
        products = probabilities * np.array(self.factors)
        return products / products.sum(axis=1, keepdims=True)

    def group_codes(self, columns: Mapping[str, Sequence]) -> np.ndarray:
        """The number of every row's group, (N,) int, -1 for one that the rule does not know; columns: of each of the
        attributes, the values of the rows."""
        known = {names: number for number, names in enumerate(self.groups)}
        rows = zip(*(columns[name] for name in self.attributes), strict=True)
        return np.array([known.get(tuple(map(str, row)), -1) for row in rows], dtype=np.int64)

    def memberships(self, probabilities: np.ndarray, groups: np.ndarray | None, features: np.ndarray) -> np.ndarray:
        """w, (N, G, K) float64, for probabilities (N, K); groups: (N,) int, as `group_codes` gives them, None where the
        rule needs none. features: (N, D), what enters the last layer of the network."""
        classes = probabilities.shape[1]
        if self.attributes:
            member = np.eye(len(self.groups))[groups][:, :, None]
            return member * (probabilities[:, None] if self.criterion == OPPORTUNITY else np.ones(classes))
        weights = np.array(self.posteriors)
        logits = features @ weights[:, :-1].T + weights[:, -1]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        if self.criterion == OPPORTUNITY:
            return shares.reshape(len(shares), -1, classes)
        return np.repeat(shares[:, :, None], classes, axis=2)

    def scores(self, probabilities: np.ndarray, groups: np.ndarray | None, features: np.ndarray) -> np.ndarray:
        """What the class is decided by, (N, K) float64, before chance; as `memberships` takes its arguments."""
        if not self.offsets:
            return self.scaled(probabilities)
        memberships = self.memberships(probabilities, groups, features)
        return probabilities + np.einsum("igk,gk->ik", memberships, np.array(self.offsets))

    def decide(self, probabilities: np.ndarray, groups: np.ndarray | None, features: np.ndarray) -> np.ndarray:
        """The classes, (N,) int."""
        scores = self.scores(probabilities, groups, features)
        return (scores + chances(probabilities) if self.offsets else scores).argmax(axis=1)

    def tied(self, probabilities: np.ndarray, groups: np.ndarray | None, features: np.ndarray) -> np.ndarray:
        """Of which images chance decides on the class, (N,) bool."""
        scores = np.sort(self.scores(probabilities, groups, features), axis=1)
        return scores[:, -1] - scores[:, -2] < (TIE if self.offsets else 0)


def chances(probabilities: np.ndarray) -> np.ndarray:
    """Numbers that look random, (N, K) float64 in 0 to TIE, which follow from an image's probabilities, (N, K)."""
    kept = np.round(probabilities * 10**KEPT_DECIMALS).astype("<i4")
    width = probabilities.shape[1]
    digests = b"".join(hashlib.shake_128(row.tobytes()).digest(4 * width) for row in kept)
    return np.frombuffer(digests, dtype="<u4").reshape(-1, width) * (TIE / 2.0**32)


def last_layer(network: "nn.Module") -> "nn.Linear":
    """The network's last linear layer, the last of its head."""
    from torch import nn

    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


@contextlib.contextmanager
def watched_features(network: "nn.Module") -> Iterator[list["torch.Tensor"]]:
    """A list to which every forward pass in this context adds what enters the last linear layer, (N, D) float32."""
    features: list[torch.Tensor] = []
    hook = last_layer(network).register_forward_pre_hook(lambda module, inputs: features.append(inputs[0].detach()))
    try:
        yield features
    finally:
        hook.remove()


class RefusedRequest(MlflowException):
    """What was given cannot be answered; the message is one line that says why, `status` the HTTP status."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message, error_code=INVALID_PARAMETER_VALUE)
        self.status = status


class ProfessionClassifier(PythonModel):
    """Encoded images in; `profession`, `probability` and a `probability_<class>` per class out."""

    def load_context(self, context):
        import safetensors.torch

        self.settings = json.loads(Path(context.artifacts["settings"]).read_text(encoding="utf-8"))
        self.network = build_network(
            self.settings["architecture"],
            len(self.settings["classes"]),
            self.settings["image_size"],
            head_in(self.settings),
        )
        self.network.load_state_dict(safetensors.torch.load_file(context.artifacts["weights"]))
        self.network.eval()
        self.layer = ExplainedLayer.of_json(self.settings)
        self.preprocessing = preprocessing_in(self.settings)
        self.rule = DecisionRule.of_json(self.settings["rule"]) if "rule" in self.settings else DecisionRule()
        self.lock = threading.Lock()  # a server predicts in several threads; Grad-CAM hooks into the one network
        take_over_invocations(self)

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """A row per image, with the index of `model_input` where that is a data frame.

        model_input: encoded images, each as bytes or as base64 text: a data frame whose first column is `image`, a
        list, or one image alone. No path or URL is ever opened. A model that decides by the group of a person takes a
        data frame alone, which also has a column for each attribute that its rule names, such as `gender`. Columns:
        `profession`, `probability` (that of the profession) and `probability_<class>`, float64 in 0 to 1.

        params: `explain` (true or false) adds the column `gradcam`: a PNG as bytes, over HTTP as base64 text, with the
        Grad-CAM of the predicted class laid over what the network sees of the image, as `overlay` describes.
        `invalid_rows` says what becomes of rows that hold no usable image, or no group that the model knows. `refuse`:
        nothing is answered, and the
        error names all of them. `report`: they have missing values, and a column `error` has the reason, which is
        missing for all other rows.

        Raises `RefusedRequest`, an `MlflowException`: HTTP 400.
        """
        table = self.predicted(self._columns(model_input), params, most_decoding=math.inf)
        return table.set_axis(model_input.index) if isinstance(model_input, pd.DataFrame) else table

    @property
    def columns(self) -> tuple[str, ...]:
        """What is asked for every image: `image`, and the attributes that the rule decides by."""
        return "image", *self.rule.attributes

    def _columns(self, model_input) -> dict[str, list]:
        """The values of `columns`; raises `RefusedRequest` where one is missing."""
        if isinstance(model_input, pd.DataFrame) and self.rule.attributes:
            names = list(model_input.columns)
            require_columns(names, self.columns)
            return {name: model_input[name].tolist() for name in self.columns}
        if self.rule.attributes:
            raise RefusedRequest(_no_column([], self.columns))
        return {"image": _images(model_input)}

    def predicted(self, columns: dict[str, list], params: dict | None, most_decoding: float) -> pd.DataFrame:
        """A row per image, as `predict` describes; columns: the values of `self.columns`. most_decoding: pixels that
        may be gone through to decode them."""
        explain, report = _options(params)
        images = columns["image"]
        if not images:
            raise RefusedRequest("no images were given")
        classes = self.settings["classes"]
        left = most_decoding
        probabilities = np.full((len(images), len(classes)), np.nan)
        overlays = np.full(len(images), None, dtype=object)
        best = np.zeros(len(images), dtype=np.int64)
        reasons: dict[int, str] = {}
        groups = self._groups(columns, reasons)
        for start in range(0, len(images), BATCH):
            with self.lock:
                batch = range(start, min(start + BATCH, len(images)))
                pixels, pictures, left = self._decoded(images, batch, explain, reasons, left)
                rows = list(pixels)
                if rows and (report or not reasons):
                    of_rows = None if groups is None else groups[rows]
                    probabilities[rows], best[rows], maps = self._computed(
                        np.stack(list(pixels.values())), of_rows, explain
                    )
                    for row, picture, saliency in zip(pictures, pictures.values(), maps, strict=True):
                        overlays[row] = overlay(picture, saliency)
        if reasons and not report:
            raise RefusedRequest(_naming(reasons, len(images)))
        table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
        table.insert(0, "profession", [None if row in reasons else classes[k] for row, k in enumerate(best)])
        table.insert(1, "probability", probabilities[np.arange(len(best)), best])
        if explain:
            table["gradcam"] = overlays
        if report:
            table["error"] = [reasons.get(row) for row in range(len(images))]
        return table

    def _decoded(
        self, images: list, rows: range, explain: bool, reasons: dict[int, str], left: float
    ) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray], float]:
        """Pixels that enter the network, pictures to lay the maps over, by row, and what is left of the pixels that may
        be gone through; adds to `reasons` why the others cannot be used."""
        image_size = self.settings["image_size"]
        pixels, pictures = {}, {}
        for row in rows:
            if row in reasons:
                continue
            try:
                content = _content(images[row])
                image = decode_image(content)
            except UndecodableImage as error:
                reasons[row] = str(error)
                continue
            left -= decoding_cost(content, image)
            if left < 0:
                raise RefusedRequest("the images have too many pixels for one request: send fewer at a time", 413)
            pixels[row] = square_pixels(image, self.preprocessing.stored_size(image_size))
            if explain:
                pictures[row] = self.preprocessing.visible_square(image, max(image_size, OVERLAY_SIZE))
        return pixels, pictures, left

    def _groups(self, columns: dict[str, list], reasons: dict[int, str]) -> np.ndarray | None:
        """The groups of the rows, (N,) int, None where none is needed; adds to `reasons` which are not known."""
        if not self.rule.attributes:
            return None
        groups = self.rule.group_codes(columns)
        for row in np.flatnonzero(groups < 0).tolist():
            given = " and ".join(f"{name} {_short(columns[name][row])}" for name in self.rule.attributes)
            known = ", ".join(" and ".join(names) for names in self.rule.groups)
            reasons[row] = f"the model knows no {given}; it knows {known}"
        return groups

    def _computed(
        self, pixels: np.ndarray, groups: np.ndarray | None, explain: bool
    ) -> tuple[np.ndarray, np.ndarray, list["torch.Tensor"]]:
        """Probabilities, (N, K) float64, the classes that are decided on, (N,) int64, and the maps, if they are asked
        for; groups: of the rows."""
        import torch

        entering = self.preprocessing.evaluation_input(pixels, self.settings["image_size"])
        maps: list[torch.Tensor] = []
        with watched_features(self.network) as features:

            def decide(logits: torch.Tensor) -> torch.Tensor:
                probabilities = logits.softmax(dim=1).double().numpy()
                return torch.from_numpy(self.rule.decide(probabilities, groups, features[-1].double().numpy()))

            if explain:
                logits, computed = gradcam(self.network, self.layer, entering, decide)
                maps = list(computed)
            else:
                with torch.inference_mode():
                    logits = self.network(entering)
            best = decide(logits).numpy()
        return self.rule.scaled(logits.softmax(dim=1).double().numpy()), best, maps


def _options(params: dict | None) -> tuple[bool, bool]:
    """Whether to explain, and whether to report invalid rows instead of refusing them."""
    options = {"explain": False, "invalid_rows": "refuse"}
    if not isinstance(params, dict | None):
        raise RefusedRequest('params must be an object such as {"explain": true}')
    if unknown := [name for name in params or {} if name not in options]:
        raise RefusedRequest(f"unknown in params: {_names(unknown)}; known are explain and invalid_rows")
    options |= {name: value for name, value in (params or {}).items() if value is not None}
    if not isinstance(options["explain"], bool):
        raise RefusedRequest("params: explain must be true or false")
    if options["invalid_rows"] not in ("refuse", "report"):
        raise RefusedRequest("params: invalid_rows must be refuse or report")
    return options["explain"], options["invalid_rows"] == "report"


def _images(model_input) -> list:
    """The values that should be encoded images; raises `RefusedRequest` where there is no column of them."""
    if isinstance(model_input, pd.DataFrame):
        names = list(model_input.columns)
        if names.count("image") != 1 and names != [0]:  # 0: a plain list, as MLflow hands it on
            raise RefusedRequest(
                f'{_no_column(names)}; MLflow hands on only the first column of a data frame: give frame[["image"]]'
            )
        return model_input["image" if "image" in names else 0].tolist()
    return [model_input] if isinstance(model_input, str | bytes) else list(model_input)


def require_columns(names: list, wanted: Sequence[str]) -> None:
    """Raises `RefusedRequest` where one of the columns that a model takes is not there, or is twice."""
    if any(names.count(name) != 1 for name in wanted):
        raise RefusedRequest(_no_column(names, wanted))


def _no_column(names: list, wanted: Sequence[str] = ("image",)) -> str:
    columns = " and ".join(f"`{name}`" for name in wanted)
    each = "one column" if len(wanted) == 1 else "one each of the columns"
    by_group = "" if len(wanted) == 1 else " (the model decides by the group, and needs it)"
    return f"there must be {each} {columns}{by_group}; given: {_names(names) or 'none'}"


def _short(value) -> str:
    """A value that a caller gave for a group, in a message."""
    return "null" if value is None or value != value else repr(str(value)[:40])


def _names(names: list) -> str:
    """Names that a caller chose, in a message: few and short."""
    return ", ".join(repr(str(name)[:40]) for name in names[:5]) + (", ..." if len(names) > 5 else "")


def _content(value) -> bytes:
    """Bytes, or what base64 text (line breaks allowed) stands for; raises `UndecodableImage` for anything else."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise UndecodableImage(f"text of {len(value):,} characters, more than {MAX_TEXT:,}")
        if not value.strip():
            raise UndecodableImage("empty text")
        try:
            return base64.b64decode(value.encode("ascii").translate(None, b" \t\r\n"), validate=True)
        except ValueError:
            raise UndecodableImage("neither bytes nor base64 text of an image") from None
    if pd.api.types.is_scalar(value) and pd.isna(value):
        raise UndecodableImage("no image (null)")
    raise UndecodableImage(f"neither bytes nor base64 text of an image, but {type(value).__name__}")


def _naming(reasons: dict[int, str], count: int) -> str:
    """All rows that cannot be used, with reasons, in one line; from some on only how many more there are."""
    named = "; ".join(f"row {row}: {reason}" for row, reason in list(reasons.items())[:NAMED_ROWS])
    more = f"; and {len(reasons) - NAMED_ROWS} more" if len(reasons) > NAMED_ROWS else ""
    return f"{len(reasons)} of {count} rows cannot be used, counted from 0: {named}{more}"


# --- over HTTP --------------------------------------------------------------------------------------------------

_log = logging.getLogger("fairprof")


def take_over_invocations(classifier: ProfessionClassifier) -> None:
    """Lets `answer` reply to POST /invocations where MLflow's scoring server is being started; elsewhere does nothing.

    MLflow's own reply repeats the whole input in its errors, shows tracebacks, is 500 without a content type or for
    JSON that nests too deep, reads bodies of any size, and turns texts into arrays as wide as the longest, so that one
    long text among many short ones takes all memory. It has no setting for any of this. The server's module wraps its
    handler after the model is loaded, and this takes the wrapper's place.
    """
    if "mlflow.pyfunc.scoring_server.app" not in sys.modules:
        return
    from mlflow.pyfunc import scoring_server

    if not hasattr(scoring_server, "_async_catch_mlflow_exception"):
        _log.warning("this version of MLflow wraps its handler in another way: it answers requests by its own rules")
        return
    scoring_server._async_catch_mlflow_exception = functools.partial(_handler, classifier)


def _handler(classifier: ProfessionClassifier, replaced):
    import asyncio

    from starlette.requests import ClientDisconnect
    from starlette.responses import Response

    @functools.wraps(replaced)  # whose signature tells FastAPI to hand over the request
    async def invocations(request):
        try:
            body = await _read(request)
            content_type = _content_type(request.headers)
        except RefusedRequest as refusal:
            status, content = _refusal(refusal)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        else:
            status, content = await asyncio.to_thread(answer, classifier, content_type, body)
        return Response(content, status, media_type="application/json")

    return invocations


async def _read(request) -> bytes:
    """The body, which is given up as soon as it is, or says that it is, longer than MAX_BODY."""
    announced = request.headers.get("content-length", "0")
    chunks, size = [], int(announced[:20]) if announced.isdecimal() else 0
    if size <= MAX_BODY:
        size = 0
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                break
    if size > MAX_BODY:
        raise RefusedRequest(f"the request is longer than {MAX_BODY:,} bytes: send fewer images at a time", 413)
    return b"".join(chunks)


def _content_type(headers) -> str:
    message = Message()
    message["Content-Type"] = headers.get("content-type", "")
    media_type = message.get_content_type()
    if media_type not in READERS:
        raise RefusedRequest(f"the header Content-Type must be one of {', '.join(READERS)}", 415)
    if message.get_content_charset("utf-8") not in ("utf-8", "utf8"):
        raise RefusedRequest("the charset must be utf-8", 415)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedRequest("the body must not be compressed: leave out the header Content-Encoding", 415)
    return media_type


def answer(classifier: ProfessionClassifier, content_type: str, body: bytes) -> tuple[int, str]:
    """HTTP status and JSON for a request: `{"predictions": [...]}`, an object a row with null for what is missing; or
    `{"error_code": ..., "message": ...}`, one line that repeats nothing of the images."""
    try:
        columns, params = READERS[content_type](body, classifier.columns)
        if len(columns["image"]) > MAX_ROWS:
            raise RefusedRequest(f"more than {MAX_ROWS} rows: send them in several requests", 413)
        table = classifier.predicted(columns, params, MAX_REQUEST_DECODING)
        records = [{name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")]
        return 200, json.dumps({"predictions": records}, allow_nan=False)
    except RefusedRequest as refusal:
        return _refusal(refusal)
    except Exception:  # whatever it is: it is for the log, and the server goes on
        _log.exception("a request to /invocations failed")
        return 500, _as_error("INTERNAL_ERROR", "the model failed on this request; the server's log says why")


def _refusal(refusal: RefusedRequest) -> tuple[int, str]:
    return refusal.status, _as_error(refusal.error_code, " ".join(refusal.message.split()))


def _as_error(code: str, message: str) -> str:
    return json.dumps({"error_code": code, "message": message})


def _plain(value):
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return None if value is None or value != value else value


Columns = dict[str, list]  # of a request: image, and the attributes that a model decides by, alike long


def _columns_of_json(body: bytes, wanted: Sequence[str]) -> tuple[Columns, dict | None]:
    request = _parsed(_text(body))
    forms = {
        "dataframe_split": _of_split,
        "dataframe_records": _of_records,
        "inputs": _of_values,
        "instances": _of_values,
    }
    given = [name for name in request if name != "params"] if isinstance(request, dict) else []
    if len(given) != 1 or given[0] not in forms:
        raise RefusedRequest(f"the body must be a JSON object with one of {', '.join(forms)}, and params if wanted")
    return forms[given[0]](request[given[0]], wanted), request.get("params")


def _text(body: bytes) -> str:
    if body.count(b",") > MAX_VALUES:  # base64 has none
        raise RefusedRequest(f"more than {MAX_VALUES:,} values: send at most {MAX_ROWS} rows, of the column image", 413)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedRequest("the body is not UTF-8 text") from None


def _parsed(text: str):
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise RefusedRequest("the body is JSON that nests too deep") from None
    except ValueError as error:
        raise RefusedRequest(f"the body is not JSON ({str(error)[:80]})") from None


def _object(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedRequest("the body is a JSON object that has a key twice")
    return found


def _of_split(content, wanted: Sequence[str]) -> Columns:
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise RefusedRequest('dataframe_split must be an object such as {"columns": ["image"], "data": [["..."]]}')
    names = content.get("columns", ["image"])
    if not isinstance(names, list):
        raise RefusedRequest(_no_column([names], wanted))
    require_columns(names, wanted)
    for row, cells in enumerate(content["data"]):
        if not isinstance(cells, list) or len(cells) != len(names):
            raise RefusedRequest(
                f"row {row}: in dataframe_split data, a row is a list of {len(names)} values, one a column"
            )
    return {name: [cells[names.index(name)] for cells in content["data"]] for name in wanted}


def _of_records(content, wanted: Sequence[str]) -> Columns:
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise RefusedRequest('dataframe_records must be a list of objects such as [{"image": "..."}]')
    if content and not all(any(name in record for record in content) for name in wanted):
        raise RefusedRequest(_no_column(list(content[0]), wanted))
    return {name: [record.get(name) for record in content] for name in wanted}


def _of_values(content, wanted: Sequence[str]) -> Columns:
    if isinstance(content, list) and any(isinstance(value, dict) for value in content):
        return _of_records(content, wanted)
    columns = content if isinstance(content, dict) else {"image": content}
    if not all(name in columns for name in wanted):
        raise RefusedRequest(_no_column(list(columns), wanted))
    if isinstance(columns["image"], list) and any(isinstance(value, dict) for value in columns["image"]):
        return _of_records(columns["image"], wanted)
    found = {name: columns[name] if isinstance(columns[name], list) else [columns[name]] for name in wanted}
    if len({len(values) for values in found.values()}) > 1:
        raise RefusedRequest(f"the columns {_names(list(wanted))} must have the same number of values")
    return found


def _columns_of_csv(body: bytes, wanted: Sequence[str]) -> tuple[Columns, None]:
    lines = _text(body).count("\n") + body.count(b"\r")
    if lines > MAX_LINES:
        raise RefusedRequest(f"more than {MAX_LINES:,} lines: send at most {MAX_ROWS} rows", 413)
    csv.field_size_limit(MAX_BODY)  # its default is less than a photograph
    try:
        rows = filter(None, csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline=""), strict=True))
        names = next(rows)
        cells = list(itertools.islice(rows, MAX_ROWS + 1))
    except (csv.Error, StopIteration):
        raise RefusedRequest("the body is not CSV with a header") from None
    require_columns(names, wanted)
    for row, values in enumerate(cells):
        if len(values) > len(names):
            raise RefusedRequest(f"row {row}: the body is CSV with a row that has more cells than its header")
    places = {name: names.index(name) for name in wanted}
    return {
        name: [values[place] if place < len(values) else None for values in cells] for name, place in places.items()
    }, None


def _columns_of_parquet(body: bytes, wanted: Sequence[str]) -> tuple[Columns, None]:
    import pyarrow
    import pyarrow.parquet

    try:
        footer = _small_footer(body)
        schema = pyarrow.parquet.read_schema(io.BytesIO(body))
        require_columns(schema.names, wanted)
        if not any(group.number(ROWS) for group in footer.all(ROW_GROUPS)):
            return {name: [] for name in wanted}, None
        for name in wanted:
            _require_bytes_or_text(name, schema.field(name).type)
        _require_small_pages(body, footer, wanted)
        file = pyarrow.parquet.ParquetFile(io.BytesIO(body), read_dictionary=list(wanted))
        columns = file.read(columns=list(wanted), use_threads=False)
        columns.validate(full=True)  # places outside of a dictionary, text that is not UTF-8
        return {name: _of_column(columns.column(name)) for name in wanted}, None
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, OverflowError):
        raise RefusedRequest("the body is not a Parquet file that can be read") from None


def _small_footer(body: bytes) -> "_Fields":
    """What a Parquet file says of itself. Refuses what says more than a table of images has to say, before the library
    reads it: it follows nested columns until the stack ends, and the server with it.

    Raises ValueError or LookupError where there is no footer.
    """
    length = int.from_bytes(body[-8:-4], "little")
    if len(body) < 12 or body[:4] != b"PAR1" or body[-4:] != b"PAR1" or length > len(body) - 12:
        raise ValueError("no footer")
    if length > MAX_FOOTER:
        raise RefusedRequest(f"the Parquet file has a footer of more than {MAX_FOOTER:,} bytes", 413)
    footer = _Thrift(body[-8 - length : -8]).fields()
    if len(footer.all(SCHEMA)) > MAX_COLUMNS:
        raise RefusedRequest(f"the Parquet file has more than {MAX_COLUMNS:,} columns", 413)
    groups = footer.all(ROW_GROUPS)
    if len(groups) > MAX_ROWS or sum(group.number(ROWS) for group in groups) > MAX_ROWS:
        raise RefusedRequest(f"more than {MAX_ROWS} rows", 413)
    return footer


def _require_bytes_or_text(name: str, kind) -> None:
    """Refuses a column of another type than bytes or text: what could not be an image or a group is not read at
    all."""
    from pyarrow import types

    values = kind.value_type if types.is_dictionary(kind) else kind
    allowed = (
        *(types.is_null, types.is_binary, types.is_large_binary, types.is_binary_view),
        *(types.is_string, types.is_large_string, types.is_string_view),
    )
    if not any(is_allowed(values) for is_allowed in allowed):
        wanted = "bytes nor base64 text of images" if name == "image" else "text nor bytes"
        raise RefusedRequest(f"the column {name} holds neither {wanted}, but {str(values)[:40]}")


def _require_small_pages(body: bytes, footer: "_Fields", wanted: Sequence[str]) -> None:
    """Refuses columns that are larger than a request once they are unpacked. The footer need not say the truth:
    the library unpacks what the head of each page says."""
    leaves = [element.get(NAME) for element in footer.all(SCHEMA)[1:] if not element.get(CHILDREN)]
    size = pages = 0
    for group in footer.all(ROW_GROUPS):
        for name, chunk in zip(leaves, group.all(COLUMN_CHUNKS), strict=True):
            if name not in [each.encode() for each in wanted]:
                continue
            for unpacked in _page_sizes(body, chunk.one(CHUNK_METADATA)):
                size, pages = size + unpacked, pages + 1
                if size > MAX_BODY or pages > MAX_PAGES:
                    raise RefusedRequest(f"more than {MAX_BODY:,} bytes once unpacked, or {MAX_PAGES:,} pages", 413)


def _page_sizes(body: bytes, chunk: "_Fields") -> Iterator[int]:
    """The bytes that the pages of a column in a row group have once they are unpacked."""
    place = chunk.number(DATA_PAGE)
    if DICTIONARY_PAGE in chunk and 0 < chunk.number(DICTIONARY_PAGE) < place:
        place = chunk.number(DICTIONARY_PAGE)
    end = place + chunk.number(PACKED_SIZE)
    if place < 0 or end > len(body):
        raise ValueError("a column outside of the file")
    while place < end:
        reader = _Thrift(body[place : place + MAX_HEAD])
        head = reader.fields()
        unpacked, packed = head.number(PAGE_UNPACKED), head.number(PAGE_PACKED)
        if unpacked < 0 or packed < 0:
            raise ValueError("a page of negative size")
        yield unpacked
        place += reader.place + packed


# Parquet's own numbers of what its footer and the heads of its pages have
SCHEMA, ROW_GROUPS = 2, 4
NAME, CHILDREN = 4, 5
COLUMN_CHUNKS, ROWS = 1, 3
CHUNK_METADATA = 3
PACKED_SIZE, DATA_PAGE, DICTIONARY_PAGE = 7, 9, 11
PAGE_UNPACKED, PAGE_PACKED = 2, 3


class _Fields(dict):
    """The fields of a Thrift structure by number. The methods raise ValueError where a field is of another kind."""

    def number(self, field: int) -> int:
        return self._of(field, int)

    def one(self, field: int) -> "_Fields":
        return self._of(field, _Fields)

    def all(self, field: int) -> list["_Fields"]:
        values = self._of(field, list)
        if not all(isinstance(value, _Fields) for value in values):
            raise ValueError(f"field {field} is a list of other values")
        return values

    def _of(self, field: int, kind: type):
        if not isinstance(self.get(field), kind):
            raise ValueError(f"field {field} is no {kind.__name__}")
        return self[field]


class _Thrift:
    """Reads values in Thrift's compact protocol, in which Parquet describes itself; raises ValueError or LookupError
    for what is none. place: where the next value begins."""

    def __init__(self, content: bytes):
        self.content = content
        self.place = 0

    def fields(self, depth: int = 0) -> _Fields:
        if depth > MAX_NESTING:
            raise ValueError("nests too deep")
        fields = _Fields()
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._number()
            fields[number] = head & 15 == 1 if head & 15 in (1, 2) else self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int):
        if kind in (1, 2, 3):  # a boolean, as it is in lists, or a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._unsigned())
        if kind in (9, 10):
            return self._list(depth + 1)
        if kind == 12:
            return self.fields(depth + 1)
        raise ValueError(f"no kind {kind}")

    def _list(self, depth: int) -> list:
        if depth > MAX_NESTING:
            raise ValueError("nests too deep")
        head = self._byte()
        length = self._unsigned() if head >> 4 == 15 else head >> 4
        if length > len(self.content):
            raise ValueError("a list longer than the file")
        return [self._value(head & 15, depth) for _ in range(length)]

    def _byte(self) -> int:
        self.place += 1
        return self.content[self.place - 1]

    def _bytes(self, length: int) -> bytes:
        self.place += length
        if self.place > len(self.content):
            raise ValueError("ends early")
        return self.content[self.place - length : self.place]

    def _unsigned(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("a number without end")

    def _number(self) -> int:
        coded = self._unsigned()
        return (coded >> 1) ^ -(coded & 1)


def _of_column(column) -> list:
    """A column's values. Equal ones are one object: a dictionary of one large value and many rows stays small."""
    values = []
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            known = chunk.dictionary.to_pylist()
            values += [None if place is None else known[place] for place in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    return values


READERS = {
    "application/json": _columns_of_json,
    "text/csv": _columns_of_csv,
    "application/vnd.apache.parquet": _columns_of_parquet,
}

mlflow.models.set_model(ProfessionClassifier())
