"""The network: a torchvision classifier with the study's head, what is frozen, where it is cut, what explains it."""

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models import list_models

from fairprof.config import PREFIX_FINETUNE
from fairprof.errors import UserError
from fairprof.network.explained_layer import blocks_of, explained_layer, fields_of_blocks
from fairprof.network.parts import Boundary, part
from fairprof.network.records import Weights
from fairprof.network.weights import find_weights, load_backbone, read_state_dict
from fairprof.seeds import derive_seed
from fairprof.serving import DecisionRule, ExplainedLayer, build_network

STAGES = ("layer4", "layer3", "layer2")  # from the head backwards
FINETUNED_STAGES = {"head": STAGES[:0], "layer4": STAGES[:1], "layer3": STAGES[:2], "layer2": STAGES}
PROBE_SIZE = 224  # pixels of the image by which stages are found
# Batch norm that never learns leaves features as they are: their means are about 25 times the spread between images.
NOTHING_TO_LEARN_FROM = (
    "fairprof: warning: weights=random with finetune=head trains a head on a backbone that has learned nothing and "
    "never will: its features are nearly the same for every image, so expect a model that answers one class for all; "
    "set finetune=all, or weights to imagenet or a file"
)


@dataclass(frozen=True)
class Classifier:
    """A network with the study's head, partly frozen.

    network: (N, 3, H, W) float32 -> (N, K) logits. head: path of the head in it. frozen: paths of the blocks
    that keep their weights and their batch-norm statistics. explained_layer: as `explained_layer` chooses it.

    With `finetune` head, layer4 or layer3 the network is cut at `boundary`: the `prefix` before it is constant, and
    the `trainable` part behind it is all that learns. Both share their modules with the network. Otherwise boundary
    and prefix are None and the trainable part is the network.

    rule: by which classes are decided on; None: the most probable one.
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

    def part_behind(self, boundary: Boundary | None) -> nn.Module:
        """What computes logits from what enters at a boundary: the trainable part, or (None: images) the network."""
        return self.network if boundary is None else self.trainable

    def changed_by_training(self) -> tuple[str, ...]:
        """Names in the network's state dict of what training may change: weights that learn, statistics of batch
        norm."""
        kept = tuple(f"{path}." for path in self.frozen)
        return tuple(name for name in self.trainable.state_dict() if not name.startswith(kept))

    def set_training(self, trainable: nn.Module) -> None:
        """Puts the trainable part, or a copy of it, into training mode, in which frozen batch norm stays frozen."""
        trainable.train()
        paths = {path for path, _ in trainable.named_modules()}
        for path in paths.intersection(self.frozen):
            trainable.get_submodule(path).eval()


def build_classifier(
    architecture: str, weights: str, finetune: str, class_count: int, seed: int, image_size: int = PROBE_SIZE
) -> Classifier:
    """A classifier whose head (and, with random weights, backbone) is initialised from `seed`.

    image_size: edge of the images whose maps explain it, pixels; nothing but the layer that explains it depends on it.

    finetune: `head` trains the head alone, `layer4` / `layer3` / `layer2` every stage from that on, `all` everything.
    In networks other than ResNets a stage is what works at the same resolution (layer4: 1/32 of the image, layer3:
    1/16, layer2: 1/8). Warns of a backbone that stays random. Raises `UserError` for an architecture or weights that
    cannot be had.
    """
    network = _network(architecture, class_count, seed)
    head = _head_of(network)
    used, file = find_weights(architecture, weights)
    if file is not None:
        load_backbone(network, _tensors_of_file(file, used.sha256), head, file)
    elif finetune == "head":
        print(NOTHING_TO_LEARN_FROM, flush=True)
    layer = _explained_layer(architecture, image_size)
    frozen = _frozen_blocks(architecture, finetune)
    for path in frozen:
        network.get_submodule(path).requires_grad_(False)
    network = network.to(memory_format=torch.channels_last).eval()
    return Classifier(network, used, head, frozen, layer, *_cut(network, finetune, head, frozen))


@functools.lru_cache(maxsize=1)
def _tensors_of_file(file: Path, sha256: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, read once for all runs of a process while it stays as it is."""
    return read_state_dict(file)


def trained_classifier(
    architecture: str, tensors: dict[str, torch.Tensor], class_count: int, image_size: int
) -> Classifier:
    """A classifier with all its weights, head included, in which nothing is frozen; tensors: its state dict.
    image_size: as `build_classifier` takes it."""
    network = _network(architecture, class_count, seed=0)
    network.load_state_dict(tensors)
    network = network.to(memory_format=torch.channels_last).eval()
    head = _head_of(network)
    layer = _explained_layer(architecture, image_size)
    return Classifier(network, Weights("trained", ""), head, (), layer, None, None, network)


def starting_weights(architecture: str, weights: str, class_count: int) -> dict[str, torch.Tensor]:
    """The state dict of a classifier that starts from ImageNet or a file; its head is no training's.

    Raises `UserError` as `build_classifier` does.
    """
    network = _network(architecture, class_count, seed=0)
    used, file = find_weights(architecture, weights)
    if file is not None:
        load_backbone(network, _tensors_of_file(file, used.sha256), _head_of(network), file)
    return network.state_dict()


def _network(architecture: str, class_count: int, seed: int) -> nn.Module:
    known = list_models(module=torchvision.models)
    if architecture not in known:
        raise UserError(f"architecture={architecture} is not a torchvision classifier: use one of {', '.join(known)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "initialisation"))
        try:
            return build_network(architecture, class_count)
        except ValueError as error:
            raise UserError(f"architecture={architecture} cannot take the study's head: {error}") from None


def _head_of(network: nn.Module) -> str:
    """Path of the block that holds the last layer with weights."""
    weighted = [path for path, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]
    return weighted[-1].rpartition(".")[0]


# --- stages -----------------------------------------------------------------------------------------------------


def _frozen_blocks(architecture: str, finetune: str) -> tuple[str, ...]:
    if finetune == "all":
        return ()
    trained = FINETUNED_STAGES[finetune]
    return tuple(block for block, stage in _stages(architecture).items() if stage not in trained)


def _cut(
    network: nn.Module, finetune: str, head: str, frozen: tuple[str, ...]
) -> tuple[Boundary | None, nn.Module | None, nn.Module]:
    """Boundary, prefix and trainable part of `Classifier`: the network is cut before the first block that learns."""
    if finetune in PREFIX_FINETUNE:
        learning = (path for path in _weighted_blocks(network, head) if path not in frozen)
        boundary = Boundary(next(learning, head))
        trainable = part(network, boundary, None)
        if trainable is not None:
            return boundary, part(network, None, boundary), trainable
    return None, None, network


def _weighted_blocks(network: nn.Module, head: str) -> list[str]:
    """Paths of the blocks with parameters, in order, the head's excepted."""
    return [
        path
        for path in blocks_of(network)
        if not f"{path}.".startswith(f"{head}.") and any(True for _ in network.get_submodule(path).parameters())
    ]


@functools.cache
def _stages(architecture: str) -> dict[str, str]:
    """The stage of every block with parameters but the head's: layer4 ... layer1 by its output's resolution.

    Linear layers before the head, which have no resolution, count as layer4.
    """
    network = _without_weights(architecture)
    head, fields = _head_of(network), fields_of_blocks(network, architecture, PROBE_SIZE)
    return {path: _stage(PROBE_SIZE / fields.get(path, 1)) for path in _weighted_blocks(network, head)}


@functools.cache
def _explained_layer(architecture: str, image_size: int) -> ExplainedLayer:
    return explained_layer(_without_weights(architecture), architecture, image_size)


@functools.cache
def _without_weights(architecture: str) -> nn.Module:
    """A network of shapes alone, which computes nothing."""
    with torch.random.fork_rng(devices=[]):
        return build_network(architecture, 2).to("meta").eval()


def _stage(stride: float) -> str:
    return "layer4" if stride > 24 else "layer3" if stride > 12 else "layer2" if stride > 6 else "layer1"
