"""Maps of what a transformer attends to, from its attention itself.

- AttentionRollout (Abnar, Zuidema 2020, arXiv:2005.00928): the attention of every block, mean over its heads, half and
  half with the connection that skips it, multiplied through the blocks. No class enters: the map is the same for all,
  and does not depend on the head.
- GradientWeightedAttention (Chefer, Gur, Wolf 2021, arXiv:2103.15679, eq. 5 and 6): R = I, and R = R + A R for every
  block, with A the mean over heads of the positive part of the attention times the gradient of the class's logit.

The map is what the pooled token has taken from every token of the image: the class token, the mean of the tokens, or
the query of a pooling that attends to them (SigLIP), whose attention is one more step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from fairprof.serving import NTC, ExplainedLayer

ROLLOUT, GRADIENT_WEIGHTED = "AttentionRollout", "GradientWeightedAttention"
ATTENTION_METHODS = (ROLLOUT, GRADIENT_WEIGHTED)
SOFTMAXES = (torch.Tensor.softmax, torch.softmax, functional.softmax)


class Inapplicable(ValueError):
    """A method that says nothing of a network; the message is the reason."""


def attention_maps(
    network: nn.Module, layer: ExplainedLayer, images: torch.Tensor, classes: list[int], method: str
) -> torch.Tensor:
    """The map of every image, (N, h, w) float32, >= 0, by one of ATTENTION_METHODS.

    network: in evaluation mode and `unfused`, nothing of which needs gradients. layer: that explains it, of which the
    prefix tokens and the grid are taken. images: (N, 3, H, W) float32, normalised. classes: of each, which are
    explained. Raises `Inapplicable` where not every block of the network attends from all tokens to all tokens.
    """
    # one at a time: all attention of all blocks is kept
    maps = [_map_of(network, layer, one, number, method) for one, number in zip(images.split(1), classes, strict=True)]
    return torch.cat(maps)


def require_attention(network: nn.Module, layer: ExplainedLayer, image_size: int) -> None:
    """Raises `Inapplicable` for a network to which ATTENTION_METHODS do not apply; image_size: edge, pixels."""
    image = torch.zeros(1, 3, image_size, image_size, device=next(network.parameters()).device)
    with unfused(network), torch.no_grad():
        _attention(network, layer, image)


def _map_of(network: nn.Module, layer: ExplainedLayer, image: torch.Tensor, number: int, method: str) -> torch.Tensor:
    if method == ROLLOUT:
        with torch.no_grad():
            _, blocks, pooled = _attention(network, layer, image)
            relevance = _start(network, layer, pooled, blocks[0])
            for attention in reversed(blocks):
                relevance = (relevance + relevance @ attention.mean(dim=1)) / 2
    else:
        with torch.enable_grad():
            logits, blocks, pooled = _attention(network, layer, image)
            given = blocks if pooled is None else [*blocks, pooled]
            gradients = torch.autograd.grad(logits[0, number], given)
        weighted = [
            (attention * gradient).relu().detach() for attention, gradient in zip(given, gradients, strict=True)
        ]
        start = _start(network, layer, None if pooled is None else weighted[-1], blocks[0])
        relevance = start
        for attention in reversed(weighted[: len(blocks)]):
            relevance = relevance + relevance @ attention.mean(dim=1)
        if pooled is None:  # what each token is itself was not attended to
            relevance = relevance - start
    return layer.maps(relevance.transpose(1, 2))[:, 0]


def _start(network: Any, layer: ExplainedLayer, pooled: torch.Tensor | None, attention: torch.Tensor) -> torch.Tensor:
    """The share of each token in what is pooled, (1, 1, T); pooled: attention of the pooling to the last tokens."""
    tokens = attention.shape[-1]
    if pooled is not None:
        shares = pooled.mean(dim=1)
        return functional.pad(shares, (tokens - shares.shape[-1], 0))
    shares = torch.zeros(1, 1, tokens, device=attention.device)
    if network.global_pool == "token":
        shares[..., 0] = 1
    else:
        first = 0 if getattr(network, "pool_include_prefix", False) else layer.prefix_tokens
        shares[..., first:] = 1 / (tokens - first)
    return shares


# --- attention --------------------------------------------------------------------------------------------------


def _attention(
    network: Any, layer: ExplainedLayer, image: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor | None]:
    """The logits of one image, the attention of every block, (1, heads, T, T), in order, and that of the pooling, (1,
    heads, 1, T or T without prefix tokens), None where it does not attend. Raises `Inapplicable`."""
    if layer.layout != NTC or layer.grid is None or not hasattr(network, "blocks"):
        raise Inapplicable("it has no blocks that attend from all tokens of an image to all")
    heads = [getattr(getattr(block, "attn", None), "num_heads", None) for block in network.blocks]
    with _Softmaxes() as found:
        logits = network(image)
    tokens = layer.prefix_tokens + layer.grid[0] * layer.grid[1]
    blocks, rest = found.outputs[: len(heads)], found.outputs[len(heads) :]
    if [tuple(attention.shape) for attention in blocks] != [(1, count, tokens, tokens) for count in heads]:
        raise Inapplicable("not every block of it attends from all tokens of an image to all")
    if rest:
        attended = (tokens, tokens - layer.prefix_tokens)
        if len(rest) > 1 or rest[0].dim() != 4 or rest[0].shape[2] != 1 or rest[0].shape[3] not in attended:
            raise Inapplicable("it attends in another way behind its blocks")
        return logits, blocks, rest[0]
    if getattr(network, "attn_pool", None) is not None or network.global_pool not in ("token", "avg"):
        raise Inapplicable("its tokens are pooled in another way than by class token, mean or attention")
    return logits, blocks, None


class _Softmaxes(TorchFunctionMode):
    """Keeps what every softmax in this context gives and, where gradients are on, lets them reach the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[torch.Tensor] = []

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        output = function(*args, **(kwargs or {}))
        if function in SOFTMAXES:
            if torch.is_grad_enabled() and not output.requires_grad:
                output = output.detach().requires_grad_(True)
            self.outputs.append(output)
        return output


@contextmanager
def unfused(network: nn.Module) -> Iterator[None]:
    """In this context attention is computed step by step, with the same results: the fused kernel keeps no attention,
    and cannot be differentiated twice."""
    fused: list[Any] = [module for module in network.modules() if getattr(module, "fused_attn", False)]
    for module in fused:
        module.fused_attn = False
    try:
        yield
    finally:
        for module in fused:
            module.fused_attn = True
