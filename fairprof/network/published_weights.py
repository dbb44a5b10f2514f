"""Checkpoints as they are published: under which names they hold the tensors of a network.

Self-supervised training leaves a backbone inside something larger (DINO's student and teacher, MoCo's query and key
encoder, CLIP's two towers, MAE's encoder and decoder), whose names begin with a prefix, or are those of another
implementation. timm has functions that read the latter for its own networks, and resample position embeddings and patch
embeddings to the size that a network has.
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class NamedTensors:
    """The tensors of a checkpoint for a network. given: the network's names to tensors. prefix: which the names in the
    checkpoint have before them. unused: names of the tensors that the network does not have."""

    given: Tensors
    prefix: str
    unused: tuple[str, ...]


def named_as(network: nn.Module, own: Mapping[str, torch.Tensor], tensors: Tensors) -> NamedTensors:
    """The tensors of a checkpoint under the names of a network. own: those to be found, by the network's names."""
    prefix = _common_prefix(tensors, own)
    found = [_translated(network, own, tensors, start) for start in dict.fromkeys((prefix, ""))]
    return max(found, key=lambda named: sum(own[name].numel() for name in named.given))


def _common_prefix(tensors: Tensors, own: Mapping[str, torch.Tensor]) -> str:
    """What stands before the most names of a network, as `module.encoder_q.`; of two alike, not that of a momentum
    encoder: it is a trained copy too, but the other encoder is what a checkpoint is meant to give."""
    counts: Counter[str] = Counter({"": 0})
    for name in tensors:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in own:
                counts["".join(f"{part}." for part in parts[:place])] += 1
    return max(sorted(counts), key=lambda prefix: (counts[prefix], "_k." not in prefix and "momentum" not in prefix))


def _translated(network: nn.Module, own: Mapping[str, torch.Tensor], tensors: Tensors, prefix: str) -> NamedTensors:
    within = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    beside = tuple(name for name in tensors if not name.startswith(prefix))
    translate = _translation(network)
    if translate is not None:
        within = _attempted(translate, within, network)
    unused = (*(name for name in within if name not in own), *beside)
    return NamedTensors({name: value for name, value in within.items() if name in own}, prefix, unused)


def _attempted(translate: Callable, tensors: Tensors, network: nn.Module) -> Tensors:
    """What timm makes of a checkpoint, and the checkpoint itself where it cannot read it."""
    try:
        translated = translate(dict(tensors), network)
    except (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return tensors  # functions written for some checkpoints, which say nothing of others
    return {name: value for name, value in translated.items() if isinstance(value, torch.Tensor)}


def _translation(network: nn.Module) -> Callable | None:
    """timm's function from a checkpoint and a network to a state dict of that network; None for other networks."""
    described = getattr(network, "pretrained_cfg", None)
    return _translation_of(described["architecture"]) if described else None


@functools.cache
def _translation_of(architecture: str) -> Callable | None:
    """The function that timm reads published weights of an architecture with.

    No table of timm's names it: every family hands it to the function that loads weights, which is why a network is
    built here that asks for them.
    """
    import timm
    from timm.models import _builder

    handed: list[Callable | None] = []

    def note(model: nn.Module, filter_fn: Callable | None = None, **others: Any) -> None:
        handed.append(filter_fn)

    builder: Any = _builder
    load, builder.load_pretrained = builder.load_pretrained, note
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):  # of shapes alone
            timm.create_model(architecture, pretrained=True)
    finally:
        builder.load_pretrained = load
    return handed[-1] if handed else None
