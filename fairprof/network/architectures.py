"""What an architecture is: torchvision's or timm's, with the study's head; its preprocessing, its blocks and stages."""

import difflib
import functools
import math
from importlib.util import find_spec
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import list_models

from fairprof.errors import UserError
from fairprof.network.explained_layer import blocks_of, fields_of_blocks
from fairprof.seeds import derive_seed
from fairprof.serving import IMAGENET, OF_TIMM, STUDYS_HEAD, HeadKind, Preprocessing, UnfittingSize, build_network

STAGES = ("layer4", "layer3", "layer2")  # from the head backwards
QUARTERS = {"layer4": 1, "layer3": 2, "layer2": 3}  # of the blocks of a network of one resolution, from its end
PROBE_SIZE = 224  # pixels of the image by which stages of torchvision's networks are found
NAMES_OFFERED = 5
USUAL_STEP = 32  # pixels between sizes that most networks take
SIZES_TRIED = 4  # in each direction


def new_network(
    architecture: str, class_count: int, seed: int, image_size: int, head_kind: HeadKind = STUDYS_HEAD
) -> nn.Module:
    """A network with a head of this kind, initialised from `seed`.

    Raises `UserError` where there is no such architecture, or it does not take the head or images of this size.
    """
    require_fitting(architecture, image_size)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(seed, "initialisation"))
            return build_network(architecture, class_count, image_size, head_kind)
    except ValueError as error:
        raise UserError(f"architecture={architecture} cannot take the study's head: {error}") from None


def preprocessing_of(architecture: str) -> Preprocessing:
    """What becomes of images before they enter a network: ImageNet's way for those of torchvision, and for those of
    timm what its data config has for the weights that the name stands for. Raises `UserError` for an unknown name."""
    require_known(architecture)
    if not _is_of_timm(architecture):
        return IMAGENET
    config = _timm_config(architecture)
    return Preprocessing(tuple(config.mean), tuple(config.std), config.crop_pct)


def head_of(network: nn.Module) -> str:
    """Path of the block that holds the last layer with weights."""
    weighted = [path for path, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]
    return weighted[-1].rpartition(".")[0]


def require_known(architecture: str) -> None:
    """Raises `UserError`, with the nearest names, where neither torchvision nor timm has an architecture."""
    if not _is_of_timm(architecture):
        known = list_models(module=torchvision.models)
        if architecture not in known:
            raise UserError(
                f"architecture={architecture} is not a torchvision classifier: {_other_names(architecture, known)}"
            )
        return
    if find_spec("timm") is None:
        raise UserError(f"architecture={architecture} needs the package timm, which is not there: pip install timm")
    import timm

    name = architecture.removeprefix(OF_TIMM)
    untagged = name.partition(".")[0]
    if not timm.is_model(untagged):
        near = _nearest(untagged, timm.list_models())
        raise UserError(f"architecture={architecture}: timm has no model of this name: the nearest are {near}")
    tagged = list(timm.models.get_arch_pretrained_cfgs(untagged))
    if name not in (untagged, *tagged):
        near = _nearest(name, tagged)
        raise UserError(f"architecture={architecture}: timm has no such weights of {untagged}: the nearest are {near}")


def _other_names(architecture: str, known: list[str]) -> str:
    """What to write in place of a name that is none of torchvision's, which are `known`."""
    if find_spec("timm") is not None:
        import timm

        if timm.is_model(architecture.partition(".")[0]):
            return f"timm has one of this name: set architecture={OF_TIMM}{architecture}"
    near = difflib.get_close_matches(architecture, known, NAMES_OFFERED, cutoff=0)
    return f"the nearest are {', '.join(near)}; one of timm's is given as {OF_TIMM}NAME"


def _nearest(name: str, known: list[str]) -> str:
    return ", ".join(OF_TIMM + near for near in difflib.get_close_matches(name, known, NAMES_OFFERED, cutoff=0))


def _is_of_timm(architecture: str) -> bool:
    return architecture.startswith(OF_TIMM)


def _timm_config(architecture: str) -> Any:
    """timm's description of a model and of the weights that its name stands for."""
    import timm

    return timm.models.get_pretrained_cfg(architecture.removeprefix(OF_TIMM), allow_unregistered=False)


@functools.cache
def without_weights(architecture: str, image_size: int) -> nn.Module:
    """A network of shapes alone, which computes nothing. Raises ValueError as `build_network` does."""
    if _is_of_timm(architecture):
        with torch.device("meta"):
            return build_network(architecture, 2, image_size).eval()
    with torch.random.fork_rng(devices=[]):
        return build_network(architecture, 2, image_size).to("meta").eval()


# --- images that fit --------------------------------------------------------------------------------------------


def require_fitting(architecture: str, image_size: int) -> None:
    """Raises `UserError` where there is no such architecture, or it is one of timm that does not take the study's head
    or images of this size; then with the nearest size that it takes."""
    require_known(architecture)
    if not _is_of_timm(architecture):
        return
    try:
        reason = _misfit(architecture, image_size)
    except ValueError as error:
        raise UserError(f"architecture={architecture} cannot take the study's head: {error}") from None
    if reason:
        fitting = (size for size in _sizes_around(architecture, image_size) if not _misfit(architecture, size))
        nearest = next(fitting, None)
        raise UserError(
            f"image_size={image_size} does not fit architecture={architecture} ({reason}): "
            + (f"set image_size={nearest}" if nearest else "set another, such as that of its weights")
        )


@functools.cache
def _misfit(architecture: str, image_size: int) -> str:
    """Why a network of timm does not take images of a size; "" where it does. Raises ValueError as `build_network`
    does for any size."""
    try:
        network = without_weights(architecture, image_size)
        patch = _patch_of(network)
        if image_size % patch:
            return f"it cuts images into patches of {patch} pixels"
        with torch.inference_mode():
            network(torch.empty(2, 3, image_size, image_size, device="meta"))
    except (UnfittingSize, AssertionError, ArithmeticError, IndexError, RuntimeError) as error:
        return " ".join(str(error).split())[:100] or type(error).__name__
    return ""


def _sizes_around(architecture: str, image_size: int) -> list[int]:
    """Sizes that are likely to fit, the nearest first."""
    own = max(_timm_config(architecture).input_size[1:])
    steps = {USUAL_STEP, _patch_of(without_weights(architecture, own))} - {1}
    sizes = {
        (image_size // step + place) * step for step in steps for place in range(-SIZES_TRIED, SIZES_TRIED + 1)
    } | {own}
    return sorted((size for size in sizes if size >= USUAL_STEP), key=lambda size: (abs(size - image_size), size))


def _patch_of(network: nn.Module) -> int:
    """The edge of the patches that a network of timm cuts images into, pixels; 1 where it cuts none, as where its
    convolutions reach over what they step by: patches that overlap go beyond the edge of an image of any size."""
    embedding = getattr(network, "patch_embed", None)
    patch = getattr(embedding, "patch_size", 1)
    convolutions = [] if embedding is None else [each for each in embedding.modules() if isinstance(each, nn.Conv2d)]
    if any(reach > step for each in convolutions for reach, step in zip(each.kernel_size, each.stride, strict=True)):
        return 1
    return int(patch[0] if isinstance(patch, tuple | list) else patch)


# --- blocks and stages ------------------------------------------------------------------------------------------


def blocks(network: nn.Module) -> list[str]:
    """Paths of the blocks of a network, in order; of timm's, what holds the end of a stage or the head is opened."""
    ends = [path for path, _ in _ends_of_stages(network)]
    inner = [*ends, head_of(network)] if ends else []

    def opened(path: str) -> list[str]:
        if not any(end.startswith(f"{path}.") for end in inner):
            return [path]
        return [part for name, _ in network.get_submodule(path).named_children() for part in opened(f"{path}.{name}")]

    return [part for path in blocks_of(network) for part in opened(path)]


def weighted_blocks(network: nn.Module) -> list[str]:
    """Paths of the blocks with parameters, in order, the head's excepted."""
    head = head_of(network)
    return [
        path
        for path in blocks(network)
        if not f"{path}.".startswith(f"{head}.") and any(True for _ in network.get_submodule(path).parameters())
    ]


def tensors_outside_blocks(network: nn.Module) -> tuple[str, ...]:
    """Names of parameters and buffers that belong to no block, such as a class token."""
    inside = tuple(f"{path}." for path in (*blocks(network), head_of(network)))
    return tuple(name for name in network.state_dict() if not name.startswith(inside))


def stages(architecture: str, image_size: int) -> dict[str, str]:
    """The stage of every block with parameters but the head's: layer4 ... layer1.

    Of torchvision's networks by its output's resolution (layer4: 1/32 of the image, layer3: 1/16, layer2: 1/8), of
    timm's by that of the first end of a stage at or behind it, as timm has them. A network whose blocks all have the
    same resolution, as most transformers, is taken in quarters: layer4 is the last quarter of its blocks, rounded up,
    with layer3 it is the last half, with layer2 the last three quarters. Linear layers and norms before the head count
    as layer4. Raises `UserError` for a network that has no stages.
    """
    if not _is_of_timm(architecture):
        network = without_weights(architecture, PROBE_SIZE)
        sizes = fields_of_blocks(network, architecture, PROBE_SIZE)
        return {path: _stage(PROBE_SIZE / sizes.get(path, 1)) for path in weighted_blocks(network)}
    network = without_weights(architecture, image_size)
    ends = _ends_of_stages(network)
    if not ends:
        raise UserError(
            f"architecture={architecture} has no stages that timm tells of: set finetune=all or finetune=head"
        )
    strides = [stride for _, stride in ends]
    names = _in_quarters(len(ends)) if len(set(strides)) == 1 else [_stage(stride) for stride in strides]
    order = [path for path, _ in network.named_modules()]
    last = [max(place for place, path in enumerate(order) if f"{path}.".startswith(f"{end}.")) for end, _ in ends]
    found = {}
    for path in weighted_blocks(network):
        behind = (name for name, place in zip(names, last, strict=True) if place >= order.index(path))
        found[path] = next(behind, names[-1])
    return found


def _in_quarters(count: int) -> list[str]:
    """The stage of every one of `count` equal blocks."""
    return [
        next(
            (name for name, quarters in QUARTERS.items() if count - place <= math.ceil(count * quarters / 4)), "layer1"
        )
        for place in range(count)
    ]


def _ends_of_stages(network: nn.Module) -> list[tuple[str, float]]:
    """Path and stride of the modules at which stages of a network of timm end, in order; a block each where all have
    one resolution. None where it is torchvision's."""
    told = {entry["module"]: float(entry["reduction"]) for entry in getattr(network, "feature_info", ())}
    return [(path, told[path]) for path, _ in network.named_modules() if path in told]


def _stage(stride: float) -> str:
    return "layer4" if stride > 24 else "layer3" if stride > 12 else "layer2" if stride > 6 else "layer1"
