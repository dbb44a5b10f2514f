"""Weights that a network starts from: ImageNet, a file or random, found, checked and loaded."""

import hashlib
import http.client
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torchvision.models import get_model_weights

from fairprof.errors import UserError
from fairprof.runtime.files import sha256_of

DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer


@dataclass(frozen=True)
class Weights:
    """Which weights the backbone starts from: `name` is imagenet, random or a file; sha256 is "" for random."""

    name: str
    sha256: str


def find_weights(architecture: str, weights: str) -> tuple[Weights, Path | None]:
    """What the setting `weights` means here, and its file; None for random weights.

    Raises `UserError` where ImageNet weights or a file are asked for and cannot be had.
    """
    if weights == "random":
        return Weights("random", ""), None
    if weights in ("imagenet", "auto"):
        try:
            path = _imagenet_file(architecture)
        except UserError as error:
            if weights == "imagenet":
                raise
            print(
                f"fairprof: warning: {error}; this run starts from random weights, which learn far less from few "
                "images",
                flush=True,
            )
            return Weights("random", ""), None
        return Weights("imagenet", sha256_of(path)), path
    path = Path(weights).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"weights={weights}: no file {path}: give auto, imagenet, random or a file")
    return Weights(weights, sha256_of(path)), path


def _imagenet_file(architecture: str) -> Path:
    """torchvision's ImageNet weights in the local cache of torch.hub, downloaded if they are not there yet."""
    entries = get_model_weights(architecture)
    entry = entries["IMAGENET1K_V1"] if "IMAGENET1K_V1" in entries.__members__ else next(iter(entries))
    path = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[-1]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _socket_timeout(DOWNLOAD_TIMEOUT):
                torch.hub.download_url_to_file(entry.url, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1])
        except (urllib.error.URLError, http.client.HTTPException, OSError, RuntimeError) as error:
            raise UserError(
                f"the ImageNet weights cannot be downloaded from {entry.url} "
                f"({' '.join(str(error).split())}): put the file at {path}"
            ) from None
    return path


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, found under whatever key holds them; never unpickles anything else."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for files that are no checkpoint
        raise UserError(
            f"weights: {path} is not a state dict of tensors "
            f"({type(error).__name__}: {' '.join(str(error).split())[:100]})"
        ) from None
    for key in ("state_dict", "model", "teacher", "student"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"weights: {path} is not a state dict of tensors")
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def load_backbone(network: nn.Module, tensors: dict[str, torch.Tensor], head: str, path: Path) -> None:
    """Loads the backbone; keys may share a prefix (`module.encoder_q.` and the like), the head is never loaded."""
    own = {name: value for name, value in network.state_dict().items() if not name.startswith(f"{head}.")}
    prefix = _common_prefix(tensors, own)
    found = {
        name: tensors[prefix + name].float() if value.is_floating_point() else tensors[prefix + name]
        for name, value in own.items()
        if prefix + name in tensors and tensors[prefix + name].shape == value.shape
    }
    absent = sorted(name for name in own if name not in found and not name.endswith("num_batches_tracked"))
    if absent:
        raise UserError(
            f"weights: {path} does not fit this architecture: {len(absent)} of {len(own)} tensors are "
            f"missing or have another shape, the first is {absent[0]}"
        )
    network.load_state_dict(found, strict=False)


def _common_prefix(tensors: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> str:
    anchor = next(iter(own))
    prefixes = {name.removesuffix(anchor) for name in tensors if name.endswith(anchor)} | {""}
    # momentum encoders are trained copies too, but it is the query encoder that a checkpoint is meant to give
    return max(sorted(prefixes), key=lambda prefix: (sum(prefix + name in tensors for name in own), "_k" not in prefix))


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over all parameters and buffers, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
