"""Weights that a network starts from: ImageNet, a file or random, found, checked and loaded."""

import http.client
import os
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import safetensors.torch
import torch
from torch import nn
from torchvision.models import get_model_weights

from fairprof.errors import UserError
from fairprof.network.records import Weights, digest_of
from fairprof.plain_text import visible
from fairprof.runtime.files import UnreadableFile, open_file, path_of, sha256_of
from fairprof.runtime.limits import memory_limited

MAX_BYTES = 4 * 2**30  # of a file; the largest of torchvision's classifiers have 2.6e9
FILES_IN_MEMORY, SPARE_MEMORY = 3, 2**29  # what reading a file may take: how often its size, and bytes beside
FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer


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
                f"fairprof: warning: {visible(error)}; this run starts from random weights, which learn far less from "
                "few images",
                flush=True,
            )
            return Weights("random", ""), None
        return Weights("imagenet", _digest(path, weights, "remove it, and it is downloaded again")), path
    path = path_of(weights, "weights")
    return Weights(weights, _digest(path, weights, "give auto, imagenet, random or a file")), path


def _digest(path: Path, weights: str, remedy: str) -> str:
    try:
        return sha256_of(path, MAX_BYTES)
    except UnreadableFile as error:
        raise UserError(f"weights={weights}: {error.about(path)}: {remedy}") from None


def _imagenet_file(architecture: str) -> Path:
    """torchvision's ImageNet weights in the local cache of torch.hub, downloaded if they are not there yet."""
    entries = get_model_weights(architecture)
    entry = entries["IMAGENET1K_V1"] if "IMAGENET1K_V1" in entries.__members__ else next(iter(entries))
    path = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[-1]
    if not os.path.exists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
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
    """The tensors of a checkpoint, found under whatever key holds them; never unpickles anything else.

    Reading takes memory in proportion to the file, whatever the file asks for. Raises `UserError` for anything but
    named tensors.
    """
    try:
        with (
            open_file(path, MAX_BYTES) as file,
            memory_limited(FILES_IN_MEMORY * os.fstat(file.fileno()).st_size + SPARE_MEMORY),
        ):
            content = _content(file, path.suffix.lower())
    except MemoryError:
        raise UserError(f"weights: {path} asks for far more memory than a state dict of its size can need") from None
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
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    for name in tensors:
        if not isinstance(name, str):
            raise UserError(
                f"weights: {path} holds a tensor under the key {name!r:.40}, which is no name: save the network's own "
                "state_dict()"
            )
    return tensors


def _content(file: BinaryIO, suffix: str) -> object:
    if suffix == ".safetensors":
        return safetensors.torch.load(file.read())
    return torch.load(file, map_location="cpu", weights_only=True)


def load_backbone(network: nn.Module, tensors: dict[str, torch.Tensor], head: str, path: Path) -> None:
    """Loads the backbone; keys may share a prefix (`module.encoder_q.` and the like), the head is never loaded.

    Raises `UserError` that names the first tensor which is missing, has another shape or holds no usable values.
    """
    own = {name: value for name, value in network.state_dict().items() if not name.startswith(f"{head}.")}
    prefix = _common_prefix(tensors, own)
    given = {name: tensors[prefix + name] for name in own if prefix + name in tensors}
    for name, value in given.items():
        _require(_fault_of_kind(value, own[name]), prefix + name, path)
    found = {name: value.to(own[name].dtype) for name, value in given.items() if value.shape == own[name].shape}
    absent = sorted(name for name in own if name not in found and not name.endswith("num_batches_tracked"))
    if absent:
        raise UserError(
            f"weights: {path} does not fit this architecture: {len(absent)} of {len(own)} tensors are "
            f"missing or have another shape, the first is {absent[0]}"
        )
    for name, value in found.items():
        _require(_fault_of_values(value, name), prefix + name, path)
    network.load_state_dict(found, strict=False)


def _require(fault: str, name: str, path: Path) -> None:
    if fault:
        raise UserError(f"weights: {path}: the tensor {name} {fault}")


def _fault_of_kind(value: torch.Tensor, own: torch.Tensor) -> str:
    """Why a tensor cannot stand for one of the network's, whatever it holds, and what to do; "" where it can."""
    if value.is_nested or value.layout is not torch.strided:
        return "is sparse: save it after .to_dense()"
    if value.is_meta:
        return "has no values (it is on the device meta): save the network after its weights were loaded"
    if value.is_quantized:
        return "is quantised: save it after .dequantize()"
    whole = own.dtype is torch.int64 and not value.is_complex() and value.dtype is not torch.bool
    if value.dtype not in FLOATING and not whole:
        return f"holds {str(value.dtype).removeprefix('torch.')}: save it as float32"
    return ""


def _fault_of_values(value: torch.Tensor, name: str) -> str:
    if not value.isfinite().all():
        return "holds values that are not finite (NaN, or too large for float32): take weights of an earlier epoch"
    if name.endswith("running_var") and (value < 0).any():
        return "holds negative variances: take weights that were saved whole"
    return ""


def _common_prefix(tensors: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> str:
    anchor = next(iter(own))
    prefixes = {name.removesuffix(anchor) for name in tensors if name.endswith(anchor)} | {""}
    # momentum encoders are trained copies too, but it is the query encoder that a checkpoint is meant to give
    return max(sorted(prefixes), key=lambda prefix: (sum(prefix + name in tensors for name in own), "_k" not in prefix))


def arrays_of(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A state dict as arrays, which are read without PyTorch."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in tensors.items()}


def tensors_of(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Arrays as a state dict."""
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over all parameters and buffers, 64 hexadecimal digits."""
    return digest_of(arrays_of(network.state_dict()))
