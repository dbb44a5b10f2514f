"""Which layer explains a network: the deepest whose outputs still lie on fields of the image, all of which the logits
depend on, and are not too few.

Of a convolutional network, or one that ends in maps otherwise (Swin, hybrids), it is the last block before the pooling.
Of a sequence of tokens (ViT) it is what enters the attention of the last block: where the class token alone is pooled,
nothing behind that attention passes a gradient to the tokens of the image. Layout, prefix tokens and grid are those
that timm tells of the network, and checked against the outputs' shapes.
"""

from typing import Any

import torch
from torch import nn

from fairprof.errors import UserError
from fairprof.serving import NCHW, NHWC, NTC, ExplainedLayer

FEWEST_FIELDS = 7  # along an edge of a map that shows where in a face a network looks

Shapes = dict[str, torch.Size]  # of outputs, by path, in the order in which they are computed


def explained_layer(network: nn.Module, architecture: str, image_size: int) -> ExplainedLayer:
    """The layer whose maps explain a network: the deepest that can, and whose maps have at least FEWEST_FIELDS x
    FEWEST_FIELDS fields; where none has, the one with most.

    network: of the architecture, which may be one of shapes alone. image_size: edge of its images, pixels. Raises
    `UserError` for an architecture that has no such layer, and images that are too small for it.
    """
    if hasattr(network, "forward_features"):  # as all networks of timm have it
        return _layer_of_timm(network, architecture, image_size)
    last = _last_convolutional_block(network, architecture)
    fields = fields_of_blocks(network, architecture, image_size)
    before = list(fields)[: 1 + max(place for place, path in enumerate(fields) if f"{path}.".startswith(f"{last}."))]
    fine = fields[before[-1]] >= FEWEST_FIELDS
    return ExplainedLayer(last if fine else _fine_enough({path: fields[path] for path in before}))


def blocks_of(network: nn.Module) -> list[str]:
    """Paths of the blocks of a network, in order: the children, and the children of sequences of blocks."""
    blocks = []
    for name, child in network.named_children():
        of_blocks = isinstance(child, nn.Sequential | nn.ModuleList)
        blocks += [f"{name}.{part}" for part, _ in child.named_children()] if of_blocks else [name]
    return blocks


def fields_of_blocks(network: nn.Module, architecture: str, image_size: int) -> dict[str, int]:
    """How many fields the output of every block, (N, C, h, w), has along its shorter edge, in the order in which blocks
    compute.

    Blocks whose output has none are left out. Raises `UserError` for images that are too small for the network.
    """
    shapes, _ = _outputs(network, blocks_of(network), architecture, image_size)
    return {path: min(shape[2:]) for path, shape in shapes.items() if len(shape) == 4}


def _fine_enough(fields: dict[str, int]) -> str:
    """The path of the deepest layer with FEWEST_FIELDS, of shallower ones the one with most."""
    fine = [path for path, count in fields.items() if count >= FEWEST_FIELDS]
    return fine[-1] if fine else max(reversed(fields), key=lambda path: fields[path])


def _outputs(
    network: nn.Module, paths: list[str], architecture: str, image_size: int
) -> tuple[Shapes, torch.Tensor | list]:
    """The shapes of the outputs of modules that are tensors, for one image, and what the network gives: of timm, its
    features before they are pooled."""
    shapes: Shapes = {}

    def note(path: str):
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            if isinstance(output, torch.Tensor):
                shapes.pop(path, None)
                shapes[path] = output.shape

        return hook

    hooks = [network.get_submodule(path).register_forward_hook(note(path)) for path in paths]
    device = next(network.parameters()).device
    try:
        with torch.inference_mode():
            features = getattr(network, "forward_features", network)(
                torch.zeros(1, 3, image_size, image_size, device=device)
            )
    except RuntimeError as error:
        raise UserError(
            f"image_size={image_size} is too small for architecture={architecture} "
            f"({str(error).splitlines()[0]}): raise it"
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    return shapes, features


# --- torchvision ------------------------------------------------------------------------------------------------


def _last_convolutional_block(network: nn.Module, architecture: str) -> str:
    if any(
        isinstance(module, nn.MultiheadAttention) or "Attention" in type(module).__name__
        for module in network.modules()
    ):
        raise UserError(
            f"architecture={architecture} is a transformer of torchvision, which has no last convolutional layer for "
            "Grad-CAM; use a convolutional network such as resnet50, or a transformer of timm, such as "
            "timm:vit_small_patch16_224"
        )
    last = [path for path, module in network.named_modules() if isinstance(module, nn.Conv2d)][-1].split(".")
    if not isinstance(network.get_submodule(last[0]), nn.Sequential):
        return last[0]
    block = ".".join(last[:2])
    return last[0] if isinstance(network.get_submodule(block), nn.Conv2d) else block


# --- timm -------------------------------------------------------------------------------------------------------


def _layer_of_timm(network: nn.Module, architecture: str, image_size: int) -> ExplainedLayer:
    paths = [path for path, _ in network.named_modules() if path]
    shapes, features = _outputs(network, paths, architecture, image_size)
    if isinstance(features, torch.Tensor):
        layer = (
            _layer_of_maps(network, shapes, features.shape)
            if features.dim() == 4
            else _layer_of_tokens(network, shapes, features.shape, image_size)
        )
        if layer is not None:
            return layer
    raise UserError(
        f"architecture={architecture} cannot be explained: none of its layers is known to lie on a grid of the image; "
        "use another, such as timm:vit_small_patch16_224 or timm:convnext_tiny"
    )


def _layer_of_maps(network: Any, shapes: Shapes, features: torch.Size) -> ExplainedLayer | None:
    """Of a network whose features are maps: its last block, or an earlier one where the maps are too coarse."""
    layout = getattr(network, "output_fmt", NCHW)
    blocks = _computed_blocks(network, shapes)
    ends = [place for place, path in enumerate(blocks) if shapes[path] == features]
    if not ends or layout not in (NCHW, NHWC):
        return None
    before = [path for path in blocks[: ends[-1] + 1] if len(shapes[path]) == 4]
    if layout == NHWC:  # which is that of the stages, not of all before them
        stages = [stage["module"] for stage in network.feature_info]
        before = [path for path in before if path in stages or path == before[-1]]
    edges = slice(2, 4) if layout == NCHW else slice(1, 3)
    return ExplainedLayer(_fine_enough({path: min(shapes[path][edges]) for path in before}), layout)


def _layer_of_tokens(network: Any, shapes: Shapes, features: torch.Size, image_size: int) -> ExplainedLayer | None:
    """Of a network whose features are tokens: what enters its last attention; without a class token its last block."""
    prefix_tokens = getattr(network, "num_prefix_tokens", None)
    if prefix_tokens is None:
        ends = [path for path in _computed_blocks(network, shapes) if shapes[path] == features]
        path = ends[-1] if ends else None
    else:
        path = _before_last_attention(network, shapes)
    edge = -(-image_size // network.feature_info[-1]["reduction"])
    if path not in shapes or len(shapes[path]) != 3:
        return None
    beside = shapes[path][1] - edge**2  # class attention adds its token behind the blocks
    return ExplainedLayer(path, NTC, beside, (edge, edge)) if beside in (0, prefix_tokens) else None


def _before_last_attention(network: nn.Module, shapes: Shapes) -> str | None:
    """The norm before the attention of the last block or, of a block that norms behind it, the block before."""
    blocks = [path for path in blocks_of(network) if path.startswith("blocks.")]
    if len(blocks) < 2:
        return None
    norm, attention, order = f"{blocks[-1]}.norm1", f"{blocks[-1]}.attn", list(shapes)
    norms_before = norm in shapes and attention in shapes and order.index(norm) < order.index(attention)
    return norm if norms_before else blocks[-2]


def _computed_blocks(network: nn.Module, shapes: Shapes) -> list[str]:
    """Paths of the blocks that compute anything, in the order in which they do."""
    blocks = set(blocks_of(network))
    return [path for path in shapes if path in blocks and not isinstance(network.get_submodule(path), nn.Identity)]
