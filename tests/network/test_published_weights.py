"""Checkpoints under the names that they were published with, against timm's and torchvision's own networks."""

import argparse

import pytest
import timm
import torch
from torch import nn
from torchvision.models import get_model

from fairprof.errors import UserError
from fairprof.network.published_weights import named_as
from fairprof.network.weights import load_backbone, read_state_dict

SIZE = 64  # pixels
# small members of families whose published weights timm reads in ways of its own
FAMILIES = {
    "test_byobnet": "head.fc",
    "test_convnext": "head.fc",
    "test_efficientnet": "classifier",
    "test_resnet": "fc",
    "test_vit": "head",
    "densenet121": "classifier",
    "regnetx_002": "head.fc",
    "repghostnet_050": "classifier",
}


def network_of(name: str, seed: int, image_size: int = SIZE, **how) -> nn.Module:
    """A network of timm with random weights and statistics; the same as any other of its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sized = {"img_size": image_size} if "vit" in name else {}
        network = timm.create_model(name, num_classes=3, **sized, **how)
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) * 0.1 + 0.01)
    return network.eval()


def features(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        images = torch.linspace(-1, 1, 2 * 3 * SIZE * SIZE).reshape(2, 3, SIZE, SIZE)
        return network.forward_head(network.forward_features(images), pre_logits=True)


def saved(content, tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path)
    return path


def with_prefix(prefix: str, tensors) -> dict:
    return {prefix + name: value for name, value in tensors.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_network_of_timm_saves_is_loaded_whole_under_any_prefix(name, tmp_path):
    trained, network = network_of(name, 1), network_of(name, 2)
    before = network.get_submodule(FAMILIES[name]).weight.clone()
    path = saved({"state_dict": with_prefix("module.", trained.state_dict())}, tmp_path)
    loaded = load_backbone(network, read_state_dict(path), FAMILIES[name], path)
    assert (loaded.share, loaded.missing) == (1, ())
    assert set(loaded.unused) == {f"{FAMILIES[name]}.weight", f"{FAMILIES[name]}.bias"}
    assert torch.equal(features(network), features(trained))
    assert torch.equal(network.get_submodule(FAMILIES[name]).weight, before)


# --- self-supervised checkpoints, as their authors' programs write them ------------------------------------------


def other(tensors) -> dict:
    return {name: torch.full_like(value, 0.5) for name, value in tensors.items()}


def moco_v2(tensors) -> dict:
    """facebookresearch/moco: query and key encoder, and the queue of keys."""
    encoders = with_prefix("module.encoder_k.", other(tensors)) | with_prefix("module.encoder_q.", tensors)
    head = {"module.encoder_q.fc.0.weight": torch.ones(4, 4), "module.queue": torch.ones(4, 9)}
    return {"epoch": 200, "arch": "resnet", "state_dict": encoders | head, "optimizer": {"state": {}}}


def moco_v3(tensors) -> dict:
    """facebookresearch/moco-v3: base and momentum encoder, and a predictor."""
    encoders = with_prefix("module.base_encoder.", tensors) | with_prefix("module.momentum_encoder.", other(tensors))
    return {"epoch": 300, "state_dict": encoders | {"module.predictor.0.weight": torch.ones(4, 4)}}


def dino(tensors) -> dict:
    """facebookresearch/dino, a full checkpoint: student, teacher, and the arguments of its program."""
    student = with_prefix("module.backbone.", other(tensors)) | {"module.head.mlp.0.weight": torch.ones(4, 4)}
    teacher = with_prefix("backbone.", tensors) | {"head.mlp.0.weight": torch.ones(4, 4)}
    return {"student": student, "teacher": teacher, "epoch": 100, "args": argparse.Namespace(arch="vit_small")}


def simclr(tensors) -> dict:
    """A backbone and the projector that is thrown away."""
    return {"state_dict": with_prefix("backbone.", tensors) | {"projector.0.weight": torch.ones(4, 4)}}


def barlow_twins(tensors) -> dict:
    """facebookresearch/barlowtwins, a checkpoint of a training."""
    return {"model": with_prefix("module.backbone.", tensors) | {"module.projector.0.weight": torch.ones(4, 4)}}


def swav(tensors) -> dict:
    """facebookresearch/swav: projection head and prototypes lie beside the layers of the backbone."""
    beside = {"module.projection_head.0.weight": torch.ones(4, 4), "module.prototypes.weight": torch.ones(4, 4)}
    return with_prefix("module.", tensors) | beside


def mae(tensors) -> dict:
    """facebookresearch/mae, the whole of it: encoder and decoder."""
    decoder = {"mask_token": torch.ones(1, 1, 4), "decoder_blocks.0.attn.qkv.weight": torch.ones(4, 4)}
    return {"model": dict(tensors) | decoder, "args": argparse.Namespace(mask_ratio=0.75)}


@pytest.mark.parametrize(
    ("published", "name", "unused"),
    [
        (moco_v2, "test_resnet", 2),
        (simclr, "test_resnet", 1),
        (barlow_twins, "test_resnet", 1),
        (swav, "test_resnet", 2),
        (moco_v3, "test_vit", 1),
        (dino, "test_vit", 1),
        (mae, "test_vit", 1),  # timm leaves mask_token out itself
    ],
)
def test_a_self_supervised_backbone_is_found_in_what_its_authors_published(published, name, unused, tmp_path):
    trained, network, head = network_of(name, 1), network_of(name, 2), FAMILIES[name]
    backbone = {key: value for key, value in trained.state_dict().items() if not key.startswith(f"{head}.")}
    path = saved(published(backbone), tmp_path)
    loaded = load_backbone(network, read_state_dict(path), head, path)
    assert (loaded.share, loaded.missing) == (1, ())
    copies = ("module.encoder_k.", "module.momentum_encoder.")
    assert len([name for name in loaded.unused if not name.startswith(copies)]) == unused
    assert torch.equal(features(network), features(trained))


def test_torchvisions_resnet_is_timms(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        published = get_model("resnet18", weights=None).eval()
    network = network_of("resnet18", 2)
    load_backbone(network, published.state_dict(), "fc", tmp_path / "resnet18.pth")
    published.fc = nn.Identity()
    with torch.no_grad():
        images = torch.linspace(-1, 1, 2 * 3 * SIZE * SIZE).reshape(2, 3, SIZE, SIZE)
        assert torch.allclose(features(network), published(images), rtol=1e-5, atol=1e-6)


def openai_clip(trained: nn.Module) -> dict:
    """The visual tower of openai/CLIP, and something of the other; names of its own."""
    names = {
        "patch_embed.proj.": "conv1.",
        "norm_pre.": "ln_pre.",
        "blocks.": "transformer.resblocks.",
        "norm1.": "ln_1.",
        "norm2.": "ln_2.",
        "attn.qkv.": "attn.in_proj_",
        "attn.proj.": "attn.out_proj.",
        "mlp.fc1.": "mlp.c_fc.",
        "mlp.fc2.": "mlp.c_proj.",
    }
    found = {}
    for name, value in trained.state_dict().items():
        if name.startswith("head."):
            continue
        for own, theirs in names.items():
            name = name.replace(own, theirs)
        name = "ln_post." + name.removeprefix("norm.") if name.startswith("norm.") else name
        found[f"visual.{name}"] = value
    found["visual.class_embedding"] = found.pop("visual.cls_token")[0, 0]
    found["visual.positional_embedding"] = found.pop("visual.pos_embed")[0]
    found["visual.proj"] = torch.ones(trained.embed_dim, 8)
    return found | {"positional_embedding": torch.ones(77, 8), "transformer.resblocks.0.ln_1.weight": torch.ones(8)}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_clips_image_tower_is_found_beside_its_text_tower(prefix, tmp_path):
    trained, network = (network_of("test_vit", seed, pre_norm=True) for seed in (1, 2))
    loaded = load_backbone(network, with_prefix(prefix, openai_clip(trained)), "head", tmp_path / "ViT.pt")
    assert (loaded.share, loaded.missing) == (1, ())
    assert torch.equal(features(network), features(trained))


def test_open_clips_tower_of_timm_is_found(tmp_path):
    trained, network = network_of("test_vit", 1), network_of("test_vit", 2)
    path = saved(with_prefix("visual.trunk.", trained.state_dict()) | {"text.pos": torch.ones(7)}, tmp_path)
    assert load_backbone(network, read_state_dict(path), "head", path).share == 1
    assert torch.equal(features(network), features(trained))


def test_registers_of_dinov2_and_its_position_embeddings_become_timms(tmp_path):
    how = {"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-5}
    network = network_of("test_vit", 2, **how)
    published = dict(network_of("test_vit", 1, image_size=96, **how).state_dict())  # trained on larger images
    published["register_tokens"] = published.pop("reg_token")
    published["pos_embed"] = torch.cat((torch.rand(1, 1, network.embed_dim), published["pos_embed"]), 1)
    published["mask_token"] = torch.zeros(1, network.embed_dim)
    load_backbone(network, {name: value.clone() for name, value in published.items()}, "head", tmp_path / "dinov2.pth")
    # timm's own reader of the same checkpoint
    read = timm.create_model(
        "test_vit",
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": {name: value.clone() for name, value in published.items()}},
        img_size=SIZE,
        num_classes=3,
        **how,
    ).eval()
    assert torch.equal(features(network), features(read))
    assert torch.equal(network.cls_token, published["cls_token"] + published["pos_embed"][:, :1])


# --- what is missing ---------------------------------------------------------------------------------------------


def test_what_a_checkpoint_lacks_starts_as_initialised_and_is_named(tmp_path):
    trained, network = network_of("test_vit", 1), network_of("test_vit", 2)
    initial = network.norm.weight.clone()
    checkpoint = {
        name: value for name, value in trained.state_dict().items() if not name.startswith(("norm.", "head."))
    }
    loaded = load_backbone(network, checkpoint, "head", tmp_path / "mae.pth")
    assert loaded.missing == ("norm.weight", "norm.bias")
    backbone = sum(value.numel() for name, value in network.named_parameters() if not name.startswith("head."))
    assert loaded.share == pytest.approx(1 - 2 * network.embed_dim / backbone)
    assert str(loaded) == (
        f"{loaded.count} of the backbone's {loaded.count + 2} tensors ({int(1000 * loaded.share) / 10} % of its "
        "parameters) were loaded; norm.weight and norm.bias start as initialised"
    )
    assert torch.equal(network.norm.weight, initial)
    assert torch.equal(network.patch_embed.proj.weight, trained.patch_embed.proj.weight)


def test_a_checkpoint_that_fills_less_than_nine_tenths_is_refused_with_the_first_missing_names(tmp_path):
    network = network_of("test_vit", 2)
    half = {name: value for name, value in network_of("test_vit", 1).state_dict().items() if "blocks.1" not in name}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"fills [1-8]\d\.\d % .*, and 90 % are needed; .*: blocks\.1\.norm1\.weight"):
        load_backbone(network, half, "head", tmp_path / "half.pth")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_statistics_of_batch_norm_may_not_be_missing(tmp_path):
    network = network_of("test_resnet", 2)
    lacking = {name: value for name, value in network.state_dict().items() if name != "bn1.running_var"}
    with pytest.raises(UserError, match=r"lacks what was measured in training, bn1\.running_var$"):
        load_backbone(network, lacking, "fc", tmp_path / "lacking.pth")


def test_a_checkpoint_of_something_else_is_refused_whatever_timm_makes_of_it(tmp_path):
    texts = {
        "embeddings.word_embeddings.weight": torch.ones(9, 4),
        "encoder": torch.ones(3),
        "mask_token": torch.ones(1),
    }
    for name, head in FAMILIES.items():
        with pytest.raises(UserError, match=r"fills 0\.0 % of the backbone's parameters"):
            load_backbone(network_of(name, 2), dict(texts), head, tmp_path / "bert.pth")


def test_looking_for_names_changes_neither_the_checkpoint_nor_the_network():
    network, checkpoint = network_of("test_vit", 2), dict(network_of("test_vit", 1).state_dict())
    state, names = {name: value.clone() for name, value in network.state_dict().items()}, list(checkpoint)
    named_as(network, state, checkpoint)
    assert list(checkpoint) == names
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
