"""State dicts of tests: saved, compared, and what is said of those that cannot be used."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fairprof.errors import UserError
from fairprof.network.classifier import build_classifier


def backbone_of(network: nn.Module, head: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith(f"{head}.")}


def assert_same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


def error_of(architecture: str = "mobilenet_v2", weights: str = "random") -> str:
    with pytest.raises(UserError) as caught:
        build_classifier(architecture, weights, "layer2", 4, seed=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def as_torch(content, path: Path, **how) -> Path:
    torch.save(content, path, **how)
    return path
