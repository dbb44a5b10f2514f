"""Which layer explains a network of timm, against what timm itself gives as its maps."""

import json

import pytest
import timm
import torch
from torch import nn

from fairprof.errors import UserError
from fairprof.network.explained_layer import explained_layer
from fairprof.serving import NCHW, NHWC, NTC, ExplainedLayer

# name, edge of the images, the layer, and what comes between timm's last maps and its output
NETWORKS = [
    ("test_convnext", 160, ExplainedLayer("stages.2"), None),
    ("test_efficientnet", 160, ExplainedLayer("blocks.3"), None),
    ("test_maxvit", 160, ExplainedLayer("stages.2"), None),
    ("test_mambaout", 160, ExplainedLayer("stages.2", NHWC), None),
    ("levit_128s", 224, ExplainedLayer("stages.2", NTC, 0, (4, 4)), None),
    ("test_vit2", 160, ExplainedLayer("blocks.7.norm1", NTC, 1, (10, 10)), "blocks.7.norm1"),
    ("test_vit3", 160, ExplainedLayer("blocks.8.norm1", NTC, 1, (10, 10)), "blocks.8.norm1"),
    ("test_vit_relpos", 160, ExplainedLayer("blocks.8.norm1", NTC, 0, (10, 10)), "blocks.8.norm1"),
    ("vit_relpos_small_patch16_rpn_224", 64, ExplainedLayer("blocks.10", NTC, 0, (4, 4)), None),
    ("xcit_nano_12_p16_224", 96, ExplainedLayer("blocks.11.norm1", NTC, 0, (6, 6)), "blocks.11.norm1"),
    ("eva02_tiny_patch14_224", 56, ExplainedLayer("blocks.11.norm1", NTC, 1, (4, 4)), "blocks.11.norm1"),
    ("deit_tiny_distilled_patch16_224", 64, ExplainedLayer("blocks.11.norm1", NTC, 2, (4, 4)), "blocks.11.norm1"),
    ("vit_tiny_r_s16_p8_224", 128, ExplainedLayer("blocks.11.norm1", NTC, 1, (4, 4)), "blocks.11.norm1"),
]


def made(name: str, image_size: int) -> nn.Module:
    fixed = timm.models.get_pretrained_cfg(name).fixed_input_size
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=3, **({"img_size": image_size} if fixed else {})).eval()


def layer_of(name: str, image_size: int) -> ExplainedLayer:
    with torch.device("meta"):
        return explained_layer(made(name, image_size), f"timm:{name}", image_size)


def maps_of(network: nn.Module, layer: ExplainedLayer, images: torch.Tensor) -> torch.Tensor:
    outputs = []
    hook = network.get_submodule(layer.path).register_forward_hook(
        lambda module, inputs, output: outputs.append(output)
    )
    with torch.no_grad():
        network(images)
    hook.remove()
    return layer.maps(outputs[0])


@pytest.mark.parametrize(("name", "image_size", "expected", "norm"), NETWORKS, ids=[row[0] for row in NETWORKS])
def test_maps_of_the_layer_are_those_that_timm_gives(name, image_size, expected, norm):
    """timm's `forward_intermediates` gives the outputs of blocks as (N, C, h, w), without prefix tokens: of a norm
    before attention, what enters it."""
    layer = layer_of(name, image_size)
    assert layer == expected
    network, images = made(name, image_size), torch.randn(2, 3, image_size, image_size)
    stages = [stage["module"] for stage in network.feature_info]
    place = stages.index(layer.path) if norm is None else stages.index(norm.removesuffix(".norm1")) - 1
    with torch.no_grad():
        (theirs,) = network.forward_intermediates(images, indices=[place], intermediates_only=True)
        if norm is not None:
            theirs = network.get_submodule(norm)(theirs.movedim(1, -1)).movedim(-1, 1)
    maps = maps_of(network, layer, images)
    assert maps.shape == theirs.shape and maps.std() > 0
    torch.testing.assert_close(maps, theirs)


@pytest.mark.parametrize(
    ("name", "image_size", "path", "layout"),
    [
        ("test_convnext", 64, "stages.1", NCHW),
        ("swin_s3_tiny_224", 64, "layers.1", NHWC),
        ("swin_s3_tiny_224", 224, "norm", NHWC),
        ("test_mambaout", 64, "stages.1", NHWC),
    ],
)
def test_small_images_are_explained_at_the_deepest_block_with_seven_fields(name, image_size, path, layout):
    layer = layer_of(name, image_size)
    assert (layer.path, layer.layout) == (path, layout)
    maps = maps_of(made(name, image_size), layer, torch.randn(1, 3, image_size, image_size))
    assert min(maps.shape[2:]) >= 7


@pytest.mark.parametrize("name", ["pit_ti_224", "coat_tiny", "tnt_s_legacy_patch16_224"])
def test_a_network_without_a_known_grid_is_refused_in_a_line(name):
    with pytest.raises(UserError, match=f"architecture=timm:{name} cannot be explained") as refusal:
        layer_of(name, 224)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("layer", [row[2] for row in NETWORKS], ids=[row[0] for row in NETWORKS])
def test_a_layer_comes_back_from_the_settings_of_a_model(layer):
    assert ExplainedLayer.of_json(json.loads(json.dumps(layer.as_json()))) == layer


def test_the_settings_of_earlier_models_have_a_path_alone_and_still_do():
    assert ExplainedLayer.of_json({"gradcam_layer": "layer4.2", "classes": []}) == ExplainedLayer("layer4.2")
    assert ExplainedLayer("layer4.2").as_json() == {"gradcam_layer": "layer4.2"}


@pytest.mark.parametrize("layer", [ExplainedLayer("a"), ExplainedLayer("a", NHWC), ExplainedLayer("a", NTC, 2, (2, 3))])
def test_an_output_with_its_own_maps_is_the_same_output(layer):
    shape = {NCHW: (5, 4, 2, 3), NHWC: (5, 2, 3, 4), NTC: (5, 8, 4)}[layer.layout]
    output = torch.randn(shape)
    maps = layer.maps(output)
    assert maps.shape == (5, 4, 2, 3)
    assert torch.equal(layer.output(maps, output), output)
    doubled = layer.output(2 * maps, output)
    assert torch.equal(layer.maps(doubled), 2 * maps)
    if layer.layout == NTC:
        assert torch.equal(doubled[:, :2], output[:, :2])
        assert torch.equal(maps[0, :, 1, 0], output[0, 2 + 3])  # row by row
