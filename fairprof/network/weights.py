"""Weights of a network: read from a file, checked, loaded into a backbone, and as arrays."""

import argparse
import functools
import os
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import safetensors.torch
import torch
from torch import nn

from fairprof.config import NAMED_WEIGHTS
from fairprof.errors import UserError
from fairprof.network.published_weights import named_as
from fairprof.network.records import LoadedTensors, Weights, digest_of, few_names
from fairprof.network.weight_sources import MAX_BYTES
from fairprof.runtime.files import open_file, without_folders
from fairprof.runtime.limits import memory_limited
from fairprof.runtime.progress import note

LEAST_SHARE = 0.9  # of a backbone's parameters, below which a checkpoint is one of something else
FILES_IN_MEMORY, SPARE_MEMORY = 3, 2**29  # what reading a file may take: how often its size, and bytes beside
FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


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
    except TorchScriptArchive:
        raise UserError(
            f"weights: {path} is a TorchScript archive (as OpenAI publishes CLIP), which is a program and is not run "
            f'here: where you trust it, torch.save(torch.jit.load("{path.name}", "cpu").state_dict(), "weights.pth")'
        ) from None
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


class TorchScriptArchive(Exception):
    """A file that holds a program beside tensors."""


def _content(file: BinaryIO, suffix: str) -> object:
    if suffix == ".safetensors":
        return safetensors.torch.load(file.read())
    if _is_torchscript(file):
        raise TorchScriptArchive
    with torch.serialization.safe_globals([argparse.Namespace]):  # in which DINO, MAE and timm keep their arguments
        return torch.load(file, map_location="cpu", weights_only=True)


def _is_torchscript(file: BinaryIO) -> bool:
    """Whether a file is an archive with constants of a program, which `torch.save` never writes."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # as before PyTorch 1.6
        return False
    finally:
        file.seek(0)


def load_backbone(network: nn.Module, tensors: dict[str, torch.Tensor], head: str, path: Path) -> LoadedTensors:
    """Loads a backbone from a checkpoint, as it is published (see `published_weights`); the head is never loaded.

    Parameters that the checkpoint does not have stay as they are, where it fills LEAST_SHARE of them. Raises
    `UserError` where it fills less, a tensor has another shape or holds no usable values, or statistics of batch norm
    are missing.
    """
    own = {name: value for name, value in network.state_dict().items() if not name.startswith(f"{head}.")}
    named = named_as(network, own, tensors)
    for name, value in named.given.items():
        _require(_fault_of_kind(value, own[name]), named.prefix + name, path)
    found = {name: value.to(own[name].dtype) for name, value in named.given.items() if value.shape == own[name].shape}
    parameters = {name: value.numel() for name, value in network.named_parameters() if name in own}
    share = sum(size for name, size in parameters.items() if name in found) / sum(parameters.values())
    missing = tuple(name for name, value in own.items() if name not in found and value.is_floating_point())
    _require_fit(share, missing, own, named.given, parameters, path)
    for name, value in found.items():
        _require(_fault_of_values(value, name), named.prefix + name, path)
    network.load_state_dict(found, strict=False)
    return LoadedTensors(len(found), share, missing, named.unused)


@functools.cache
def tell_loaded(weights: Weights) -> None:
    """Says once in a process what weights have given a backbone; torchvision's and timm's, where it is not all."""
    if weights.loaded and (weights.loaded.missing or weights.name not in NAMED_WEIGHTS):
        note(f"weights {without_folders(weights.name)}: {weights.loaded}.{weights.told_of_images()}".removesuffix("."))


def _require_fit(
    share: float,
    missing: Sequence[str],
    own: dict[str, torch.Tensor],
    given: dict[str, torch.Tensor],
    parameters: Collection[str],
    path: Path,
) -> None:
    """Raises `UserError` unless a checkpoint is one of this architecture."""
    unfit = f"weights: {path} does not fit this architecture"
    if share < LEAST_SHARE:
        raise UserError(
            f"{unfit}: it fills {100 * share:.1f} % of the backbone's parameters, and {100 * LEAST_SHARE:g} % are "
            f"needed; {len(missing):,} of {len(own):,} tensors are missing or have another shape: {few_names(missing)}"
        )
    for name in missing:
        if name in given:
            shapes = (" x ".join(map(str, tensor.shape)) or "a single number" for tensor in (given[name], own[name]))
            raise UserError(f"{unfit}: the tensor {name} is {' and not '.join(shapes)}")
    statistics = [name for name in missing if name not in parameters]
    if statistics:
        raise UserError(f"{unfit}: it lacks what was measured in training, {few_names(statistics)}")


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


def arrays_of(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A state dict as arrays, which are read without PyTorch."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in tensors.items()}


def tensors_of(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Arrays as a state dict."""
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over all parameters and buffers, 64 hexadecimal digits."""
    return digest_of(arrays_of(network.state_dict()))
