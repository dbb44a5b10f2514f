"""Rollout and gradient-weighted attention against the papers' formulas on whole matrices, with attention as timm's own
hooks read it, and by hand where it is uniform."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from fairprof.network.explained_layer import explained_layer
from fairprof.network.parts import Boundary
from fairprof.saliency.attention import (
    ATTENTION_METHODS,
    GRADIENT_WEIGHTED,
    ROLLOUT,
    Inapplicable,
    require_attention,
    unfused,
)
from fairprof.saliency.gradcam import saliency_maps
from fairprof.serving import ExplainedLayer

SIZE = 160
CLASSES = np.array([2, 0, 1])
POOLED = {"test_vit": "token", "test_vit2": "avg", "test_vit3": "map", "test_vit_relpos": "avg"}


def made(name: str) -> tuple[nn.Module, ExplainedLayer]:
    """A network whose blocks weigh as much as what skips them."""
    torch.manual_seed(1)
    network = timm.create_model(name, num_classes=3).eval()
    with torch.no_grad():
        for path, value in network.named_parameters():
            if path.endswith("gamma"):
                value.fill_(1)
            elif "qkv.weight" in path:
                value.mul_(3)  # attention that is not nearly uniform
    return network, explained_layer(network, f"timm:{name}", network.pretrained_cfg["input_size"][-1])


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(len(CLASSES), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def read(network: nn.Module, image: torch.Tensor, number: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Attention of every block, (heads, T, T), and its gradient of a class's logit, by hooks on dropout, as timm's
    AttentionExtract reads it."""
    outputs: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    hooks = [block.attn.attn_drop.register_forward_hook(keep) for block in network.blocks]
    for block in network.blocks:
        block.attn.fused_attn = False
    network(image)[0, number].backward()
    for hook in hooks:
        hook.remove()
    for block in network.blocks:
        block.attn.fused_attn = True
    return [output[0].detach() for output in outputs], [output.grad[0] for output in outputs]


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit_relpos"])
def test_rollout_is_the_product_of_all_blocks(name, images):
    """Abnar, Zuidema 2020, section 3: A = (W + I) / 2, rolled out from the last block to the first."""
    network, layer = made(name)
    assert network.global_pool == POOLED[name]
    maps = saliency_maps(network, layer, images, CLASSES, method=ROLLOUT)
    for image, number, found in zip(images.split(1), CLASSES, maps, strict=True):
        attention, _ = read(network, image, int(number))
        rolled = torch.eye(attention[0].shape[-1])
        for of_block in attention:
            rolled = (of_block.mean(dim=0) + torch.eye(len(rolled))) / 2 @ rolled
        first = network.num_prefix_tokens
        pooled = rolled[0] if POOLED[name] == "token" else rolled[first:].mean(dim=0)
        np.testing.assert_allclose(found, pooled[first:].reshape(10, 10), atol=1e-6)
    assert np.abs(maps - 0.01).max() > 1e-4  # not uniform
    assert (maps.sum(axis=(1, 2)) < 1 + 1e-5).all() and (maps.sum(axis=(1, 2)) > 0.9).all()


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit_relpos"])
def test_gradient_weighted_attention_is_that_of_the_paper(name, images):
    """Chefer, Gur, Wolf 2021, eq. 5 and 6, on whole matrices: R = I; R = R + E[(gradient A)+] R."""
    network, layer = made(name)
    maps = saliency_maps(network, layer, images, CLASSES, method=GRADIENT_WEIGHTED)
    for image, number, found in zip(images.split(1), CLASSES, maps, strict=True):
        attention, gradients = read(network, image, int(number))
        relevance = torch.eye(attention[0].shape[-1])
        for of_block, gradient in zip(attention, gradients, strict=True):
            relevance = relevance + (of_block * gradient).clamp(min=0).mean(dim=0) @ relevance
        relevance -= torch.eye(len(relevance))
        first = network.num_prefix_tokens
        pooled = relevance[0] if POOLED[name] == "token" else relevance[first:].mean(dim=0)
        expected = pooled[first:].reshape(10, 10).numpy()
        assert expected.max() > 0
        np.testing.assert_allclose(found / expected.max(), expected / expected.max(), atol=5e-5)


@pytest.mark.parametrize("method", ATTENTION_METHODS)
def test_a_pooling_that_attends_is_one_more_step(method, images):
    """SigLIP's: its query attends to the tokens of the image; computed here from its weights."""
    network, layer = made("test_vit3")
    pool, first = network.attn_pool, network.num_prefix_tokens
    image, number = images[:1], int(CLASSES[0])
    tokens = network.forward_features(image).detach()
    keys, values = pool.kv(tokens).reshape(1, -1, 2, pool.num_heads, pool.head_dim).permute(2, 0, 3, 1, 4)
    query = pool.q(pool.latent).reshape(1, 1, pool.num_heads, pool.head_dim).transpose(1, 2)
    weights = (pool.q_norm(query) * pool.scale @ pool.k_norm(keys).transpose(-2, -1)).softmax(dim=-1)
    weights = weights.detach().requires_grad_(True)
    pooled = pool.proj((weights @ values).transpose(1, 2).reshape(1, 1, -1))
    pooled = pooled + pool.mlp(pool.norm(pooled))
    logits = network.head(network.fc_norm(pooled[:, 0]))
    torch.testing.assert_close(logits, network(image))
    (gradient,) = torch.autograd.grad(logits[0, number], weights)
    attention, gradients = read(network, image, number)
    relevance = torch.eye(attention[0].shape[-1])
    for of_block, of_gradient in zip(attention, gradients, strict=True):
        if method == ROLLOUT:
            relevance = (of_block.mean(dim=0) + torch.eye(len(relevance))) / 2 @ relevance
        else:
            relevance = relevance + (of_block * of_gradient).clamp(min=0).mean(dim=0) @ relevance
    step = weights if method == ROLLOUT else (weights * gradient).clamp(min=0)
    expected = (step[0].mean(dim=0)[0] @ relevance)[first:].reshape(10, 10).detach().numpy()
    (found,) = saliency_maps(network, layer, image, np.array([number]), method=method)
    np.testing.assert_allclose(found / expected.max(), expected / expected.max(), atol=5e-5)


def test_rollout_of_uniform_attention_by_hand(images):
    """Each of L blocks leaves half of what there is, and spreads the other half over all T tokens: of the class token's
    1 every other token gets (1 - 1 / 2**L) / T."""
    network, layer = made("test_vit")
    with torch.no_grad():
        for block in network.blocks:
            nn.init.zeros_(block.attn.qkv.weight)
    maps = saliency_maps(network, layer, images, CLASSES, method=ROLLOUT)
    np.testing.assert_allclose(maps, (1 - 0.5 ** len(network.blocks)) / 101, rtol=1e-5)


def test_rollout_is_the_same_for_every_class_and_the_other_is_not(images):
    network, layer = made("test_vit")
    one, classes = images[:1].expand(3, -1, -1, -1), np.arange(3)
    rollout, weighted = (saliency_maps(network, layer, one, classes, method=name) for name in ATTENTION_METHODS)
    assert (rollout == rollout[0]).all()
    assert len({single.tobytes() for single in weighted}) == 3


@pytest.mark.parametrize("method", ATTENTION_METHODS)
def test_the_network_is_left_as_it_was(method, images):
    network, layer = made("test_vit")
    network.train()
    network.head.weight.grad = kept = torch.ones_like(network.head.weight)
    learning = [value.requires_grad for value in network.parameters()]
    saliency_maps(network, layer, images[:1], CLASSES[:1], method=method)
    assert all(block.training and block.attn.fused_attn for block in network.blocks)
    assert network.head.weight.grad is kept and [value.requires_grad for value in network.parameters()] == learning
    assert [path for path, value in network.named_parameters() if value.grad is not None] == ["head.weight"]
    with pytest.raises(ValueError, match=f"{method} needs images"):
        saliency_maps(network, layer, images[:1], CLASSES[:1], Boundary("blocks.3"), method)
    with pytest.raises(ValueError, match="classes 0 to 2"):
        saliency_maps(network, layer, images[:1], np.array([3]), method=method)


def test_attention_that_is_not_fused_changes_no_output(images):
    network, _ = made("test_vit3")
    with torch.no_grad():
        expected = network(images)
        with pytest.raises(KeyError), unfused(network):
            assert not any(getattr(module, "fused_attn", False) for module in network.modules())
            torch.testing.assert_close(network(images), expected)
            raise KeyError
    assert network.attn_pool.fused_attn and all(block.attn.fused_attn for block in network.blocks)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_convnext", "no blocks that attend"),
        ("test_maxvit", "no blocks that attend"),
        ("swin_s3_tiny_224", "no blocks that attend"),
        ("xcit_nano_12_p16_224", "not every block"),  # attends between channels
        ("cait_xxs24_224", "in another way behind its blocks"),  # class attention
        ("vit_dwee_patch16_reg1_gap_256", "not every block"),  # the difference of two attentions
        ("gmlp_s16_224", "not every block"),
    ],
)
def test_networks_whose_attention_says_nothing_of_all_tokens_are_told_why(name, reason):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=3).eval()
    size = network.pretrained_cfg["input_size"][-1]
    layer = explained_layer(network, f"timm:{name}", size)
    with pytest.raises(Inapplicable, match=reason):
        require_attention(network, layer, size)


@pytest.mark.parametrize(
    "name", ["vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3_qkvb", "beit_base_patch16_224"]
)
def test_registers_and_rotated_positions_are_no_hindrance(name):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=3).eval()
    size = network.pretrained_cfg["input_size"][-1]
    require_attention(network, explained_layer(network, f"timm:{name}", size), size)
