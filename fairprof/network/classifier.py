"""The network: a classifier with the head that is asked for, what is frozen, where it is cut, what explains it."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fairprof.config import BASELINES, PREFIX_FINETUNE
from fairprof.network.architectures import (
    PROBE_SIZE,
    STAGES,
    head_of,
    new_network,
    preprocessing_of,
    stages,
    tensors_outside_blocks,
    weighted_blocks,
    without_weights,
)
from fairprof.network.explained_layer import explained_layer
from fairprof.network.parts import Boundary, part
from fairprof.network.records import Weights
from fairprof.network.weight_sources import find_weights
from fairprof.network.weights import load_backbone, read_state_dict, tell_loaded
from fairprof.runtime.progress import note
from fairprof.serving import IMAGENET, STUDYS_HEAD, DecisionRule, ExplainedLayer, HeadKind, Preprocessing

FINETUNED_STAGES = {"layer4": STAGES[:1], "layer3": STAGES[:2], "layer2": STAGES}
# Batch norm that never learns leaves features as they are: their means are about 25 times the spread between images.
NOTHING_TO_LEARN_FROM = (
    "fairprof: warning: weights=random with finetune=head trains a head on a backbone that has learned nothing and "
    "never will: its features are nearly the same for every image, so expect a model that answers one class for all; "
    "set finetune=all, or weights to pretrained or a file"
)
FEATURES_OF_NOTHING = (
    "fairprof: warning: weights=random with finetune={} looks at features of a network that has learned nothing: how "
    "good it is says nothing of one that has; set weights to pretrained or a file"
)


@dataclass(frozen=True)
class Classifier:
    """A network with a head, partly frozen.

    network: (N, 3, H, W) float32 -> (N, K) logits. head: path of the head in it, head_kind: what that is. frozen: paths
    of the blocks that keep their weights and their batch-norm statistics, and names of tensors outside of blocks.
    explained_layer: as `explained_layer` chooses it.

    With `finetune` head, layer4, layer3 or a baseline the network is cut at `boundary`: the `prefix` before it is
    constant, and the `trainable` part behind it is all that learns. Both share their modules with the network.
    Otherwise boundary and prefix are None and the trainable part is the network.

    rule: by which classes are decided on; None: the most probable one. preprocessing: what becomes of images before
    they enter the network.
    """

    network: nn.Module
    weights: Weights
    head: str
    frozen: tuple[str, ...]
    explained_layer: ExplainedLayer
    boundary: Boundary | None
    prefix: nn.Module | None
    trainable: nn.Module
    rule: DecisionRule | None = None
    preprocessing: Preprocessing = IMAGENET
    head_kind: HeadKind = STUDYS_HEAD

    def part_behind(self, boundary: Boundary | None) -> nn.Module:
        """What computes logits from what enters at a boundary: the trainable part, or (None: images) the network."""
        return self.network if boundary is None else self.trainable

    def move_to(self, device: torch.device) -> None:
        """Moves the network and its parts, which have constants of their own."""
        for module in (self.network, self.prefix, self.trainable):
            if module is not None:
                module.to(device)

    def changed_by_training(self) -> tuple[str, ...]:
        """Names in the network's state dict of what training may change: weights that learn, statistics of batch
        norm."""
        return tuple(name for name in self.trainable.state_dict() if not _is_frozen(name, self.frozen))

    def set_training(self, trainable: nn.Module) -> None:
        """Puts the trainable part, or a copy of it, into training mode, in which frozen batch norm stays frozen."""
        trainable.train()
        paths = {path for path, _ in trainable.named_modules()}
        for path in paths.intersection(self.frozen):
            trainable.get_submodule(path).eval()


def build_classifier(
    architecture: str,
    weights: str,
    finetune: str,
    class_count: int,
    seed: int,
    image_size: int = PROBE_SIZE,
    head_kind: HeadKind = STUDYS_HEAD,
) -> Classifier:
    """A classifier whose head (and, with random weights, backbone) is initialised from `seed`.

    image_size: edge of the images, pixels: the layer that explains it depends on it, and so do the networks of timm
    that are made for one size.

    finetune: `head` trains the head alone, as baselines do, `layer4` / `layer3` / `layer2` every stage from that on,
    `all` everything. What a stage is in networks other than ResNets, `architectures.stages` says. head_kind: what the
    head is. Warns of a backbone that stays random. Raises `UserError` for an architecture or weights that cannot be
    had.
    """
    network = new_network(architecture, class_count, seed, image_size, head_kind)
    head = head_of(network)
    used, file = find_weights(architecture, weights)
    if file is not None:
        used = replace(used, loaded=load_backbone(network, _tensors_of_file(file, used.sha256), head, file))
        tell_loaded(used)
    elif finetune == "head":
        print(NOTHING_TO_LEARN_FROM, flush=True)
    elif finetune in BASELINES:
        print(FEATURES_OF_NOTHING.format(finetune), flush=True)
    layer = _explained_layer(architecture, image_size)
    frozen = _frozen(network, architecture, finetune, image_size)
    for name, parameter in network.named_parameters():
        if _is_frozen(name, frozen):
            parameter.requires_grad_(False)
    network = network.to(memory_format=torch.channels_last).eval()
    cut = _cut(network, architecture, finetune, frozen)
    preprocessing = used.preprocessing or preprocessing_of(architecture)
    return Classifier(network, used, head, frozen, layer, *cut, preprocessing=preprocessing, head_kind=head_kind)


@functools.lru_cache(maxsize=1)
def _tensors_of_file(file: Path, sha256: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, read once for all runs of a process while it stays as it is."""
    return read_state_dict(file)


def trained_classifier(
    architecture: str,
    tensors: dict[str, torch.Tensor],
    class_count: int,
    image_size: int,
    head_kind: HeadKind = STUDYS_HEAD,
) -> Classifier:
    """A classifier with all its weights, head included, in which nothing is frozen; tensors: its state dict.
    image_size: as `build_classifier` takes it."""
    network = new_network(architecture, class_count, 0, image_size, head_kind)
    network.load_state_dict(tensors)
    network = network.to(memory_format=torch.channels_last).eval()
    head = head_of(network)
    layer = _explained_layer(architecture, image_size)
    return Classifier(network, Weights("trained", ""), head, (), layer, None, None, network, head_kind=head_kind)


def starting_weights(
    architecture: str, weights: str, class_count: int, image_size: int, head_kind: HeadKind = STUDYS_HEAD
) -> dict[str, torch.Tensor]:
    """The state dict of a classifier that starts from ImageNet or a file; its head is no training's.

    Raises `UserError` as `build_classifier` does.
    """
    network = new_network(architecture, class_count, 0, image_size, head_kind)
    used, file = find_weights(architecture, weights)
    if file is not None:
        load_backbone(network, _tensors_of_file(file, used.sha256), head_of(network), file)
    return network.state_dict()


# --- what is frozen, and where the network is cut -----------------------------------------------------------------


def _frozen(network: nn.Module, architecture: str, finetune: str, image_size: int) -> tuple[str, ...]:
    """Paths of the blocks that are not trained, and names of tensors that belong to none; all of a backbone's under
    finetune=head and of baselines."""
    if finetune == "all":
        return ()
    if finetune in ("head", *BASELINES):
        return (*weighted_blocks(network), *tensors_outside_blocks(network))
    trained = FINETUNED_STAGES[finetune]
    paths = (path for path, stage in stages(architecture, image_size).items() if stage not in trained)
    return (*paths, *tensors_outside_blocks(network))


def _is_frozen(name: str, frozen: tuple[str, ...]) -> bool:
    """Whether a tensor of the state dict is frozen."""
    return name in frozen or name.startswith(tuple(f"{path}." for path in frozen))


def _cut(
    network: nn.Module, architecture: str, finetune: str, frozen: tuple[str, ...]
) -> tuple[Boundary | None, nn.Module | None, nn.Module]:
    """Boundary, prefix and trainable part of `Classifier`: the network is cut before the first block that learns. Says
    so where it cannot be."""
    if finetune not in PREFIX_FINETUNE:
        return None, None, network
    learning = (path for path in weighted_blocks(network) if path not in frozen)
    boundary = Boundary(next(learning, head_of(network)))
    trainable = part(network, boundary, None)
    if trainable is not None:
        return boundary, part(network, None, boundary), trainable
    note(
        f"architecture={architecture} cannot be cut at the {boundary}: what is frozen is computed in every step, and "
        "the prefix cache is not used"
    )
    return None, None, network


@functools.cache
def _explained_layer(architecture: str, image_size: int) -> ExplainedLayer:
    return explained_layer(without_weights(architecture, image_size), architecture, image_size)
