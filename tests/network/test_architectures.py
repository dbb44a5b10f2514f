"""Architectures: names, preprocessing, the sizes that they take, their blocks and stages."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from fairprof.errors import UserError
from fairprof.network.architectures import (
    blocks,
    head_of,
    new_network,
    preprocessing_of,
    require_fitting,
    require_known,
    stages,
    tensors_outside_blocks,
)
from fairprof.serving import IMAGENET, Preprocessing, build_network, square_pixels

# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("timm:vit_smal_patch16_224", "timm has no model of this name: the nearest are timm:vit_small_patch16_224"),
        ("timm:vit_small_patch14_dinov2.lvd142", "the nearest are timm:vit_small_patch14_dinov2.lvd142m"),
        ("timm:", "timm has no model of this name"),
        (
            "resnet51",
            "is not a torchvision classifier: the nearest are .*resnet50.*; one of timm's is given as timm:NAME",
        ),
        ("vit_base_patch16_224.dino", "timm has one of this name: set architecture=timm:vit_base_patch16_224.dino"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(architecture, said):
    with pytest.raises(UserError, match=f"architecture={architecture}.*{said}"):
        require_known(architecture)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("timm:deit_tiny_distilled_patch16_224", "it has several classifiers, as distilled networks do"),
        ("timm:levit_128s", "it has several classifiers"),
    ],
)
def test_networks_that_do_not_take_the_head_are_refused(architecture, reason):
    with pytest.raises(UserError, match=f"architecture={architecture} cannot take the study's head: {reason}"):
        new_network(architecture, 4, 0, 64)


# --- preprocessing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224.augreg_in21k", "vit_small_patch16_dinov3", "mobilevit_xxs", "test_vit"]
)
def test_preprocessing_is_that_of_timm_s_data_config(name):
    expected = resolve_data_config(pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict())
    found = preprocessing_of(f"timm:{name}")
    assert (found.mean, found.standard_deviation) == (tuple(expected["mean"]), tuple(expected["std"]))
    assert found.crop == expected["crop_pct"]


def test_networks_of_torchvision_see_images_imagenet_s_way():
    assert (
        preprocessing_of("resnet50") == IMAGENET == Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875)
    )


@pytest.mark.parametrize(("architecture", "size"), [("timm:mobilevit_xxs", 64), ("timm:vit_small_patch16_dinov3", 64)])
def test_what_enters_a_network_is_what_timm_s_own_transform_makes(architecture, size):
    preprocessing = preprocessing_of(architecture)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    transform = create_transform(
        size,
        interpolation="bilinear",
        mean=preprocessing.mean,
        std=preprocessing.standard_deviation,
        crop_pct=preprocessing.crop,
    )
    stored = square_pixels(image, preprocessing.stored_size(size))
    torch.testing.assert_close(preprocessing.evaluation_input(stored, size), transform(image), rtol=0, atol=1e-5)


# --- images that fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "image_size", "said"),
    [
        ("timm:vit_tiny_patch16_224", 65, "it cuts images into patches of 16 pixels.: set image_size=64"),
        ("timm:eva02_tiny_patch14_224", 64, "patches of 14 pixels.: set image_size=70"),
        ("timm:test_vit4", 70, "patches of 16 pixels.: set image_size=64"),
    ],
)
def test_a_size_that_does_not_fit_is_answered_with_the_nearest_that_does(architecture, image_size, said):
    with pytest.raises(UserError, match=f"image_size={image_size} does not fit architecture={architecture} .*{said}"):
        new_network(architecture, 4, 0, image_size)


@pytest.mark.parametrize(
    ("architecture", "image_size"),
    [("timm:pvt_v2_b0", 64), ("timm:pvt_v2_b0", 70), ("timm:efficientvit_m0", 72)],
)
def test_patches_that_overlap_take_images_of_any_size(architecture, image_size):
    require_fitting(architecture, image_size)
    network = new_network(architecture, 4, 0, image_size).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, image_size, image_size)).shape == (1, 4)


def test_positions_are_of_the_images_size_and_never_interpolated():
    network = new_network("timm:test_vit", 4, 0, 64)  # made for 160 unless something else is said
    assert network.pos_embed.shape == (1, 1 + 16, 64) and not network.dynamic_img_size


# --- the head ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("timm:test_vit", "head"),
        ("timm:test_convnext", "head.fc"),
        ("timm:test_efficientnet", "classifier"),
        ("timm:vit_base_patch32_clip_224", "head"),  # has no classifier of its own
        ("timm:test_resnet", "fc"),
    ],
)
def test_the_study_s_head_is_where_timm_s_classifier_was(architecture, head):
    with torch.device("meta"):
        network = build_network(architecture, 4, 64)
        untouched = timm.create_model(architecture.removeprefix("timm:"), num_classes=4)
    assert head_of(network) == head
    own = {name for name in network.state_dict() if not name.startswith(f"{head}.")}
    assert own == {name for name in untouched.state_dict() if not name.startswith(f"{head}.")}
    assert network.get_submodule(head)[-1].out_features == 4


def test_a_classifier_that_is_a_convolution_gives_way_to_the_head_on_flat_features():
    network = new_network("timm:resnetv2_18", 4, 0, 32).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        features = network.forward_head(network.forward_features(images), pre_logits=True)
        assert torch.equal(network.head.fc[1:](features), network(images))


# --- blocks and stages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "image_size", "first"),
    [
        # of 6 blocks the last 2, 3 and 5; of 12 the last 3, 6 and 9
        ("timm:test_vit", 64, {"layer4": "blocks.4", "layer3": "blocks.3", "layer2": "blocks.1"}),
        ("timm:vit_tiny_patch16_224", 64, {"layer4": "blocks.9", "layer3": "blocks.6", "layer2": "blocks.3"}),
        ("timm:eva02_tiny_patch14_224", 70, {"layer4": "blocks.9", "layer3": "blocks.6", "layer2": "blocks.3"}),
        # by resolution: 1/32, 1/16, 1/8
        ("timm:swin_tiny_patch4_window7_224", 64, {"layer4": "layers.3", "layer3": "layers.2", "layer2": "layers.1"}),
        ("timm:convnext_atto", 64, {"layer4": "stages.3", "layer3": "stages.2", "layer2": "stages.1"}),
        ("timm:efficientnet_lite0", 64, {"layer4": "blocks.5", "layer3": "blocks.3", "layer2": "blocks.2"}),
        ("timm:resnet18", 64, {"layer4": "layer4.0", "layer3": "layer3.0", "layer2": "layer2.0"}),
        ("timm:regnetx_002", 64, {"layer4": "s4", "layer3": "s3", "layer2": "s2"}),
    ],
)
def test_stages_begin_where_the_resolution_falls_or_at_quarters_of_equal_blocks(architecture, image_size, first):
    found = stages(architecture, image_size)
    assert {stage: next(path for path in found if found[path] == stage) for stage in first} == first
    assert list(dict.fromkeys(found.values())) == ["layer1", "layer2", "layer3", "layer4"]


def test_a_network_is_in_its_blocks_its_head_and_a_few_tensors_of_its_own():
    with torch.device("meta"):
        network = build_network("timm:vit_small_patch14_reg4_dinov2", 4, 70)
    outside = tensors_outside_blocks(network)
    assert outside == ("cls_token", "reg_token", "pos_embed")
    inside = tuple(f"{path}." for path in (*blocks(network), "head"))
    assert {name for name in network.state_dict() if not name.startswith(inside)} == set(outside)
