"""What tests of the network share: a pool of noise images, a state dict."""

import pytest
import torch
from torchvision.models import get_model


@pytest.fixture
def forty_faces(tmp_path, write_image, write_manifest, make_settings):
    """Forty images for networks of 32 pixels, listed backwards: a row of the table is another one of the pixels."""
    from fairprof.data.pool import load_pool  # not above: it imports MLflow, whose remark nobody ignores that early

    rows = []
    for number in range(40):
        write_image(tmp_path / f"{number:02d}.png", number)
        rows.append(
            {
                "image": f"{number:02d}.png",
                "gender": "mf"[number % 2],
                "race": "xy"[number // 2 % 2],
                "profession": "abc"[number % 3],
            }
        )
    return load_pool(make_settings(data=write_manifest(rows[::-1])), image_size=32)


@pytest.fixture(scope="session")
def reference() -> dict[str, torch.Tensor]:
    """The state dict of torchvision's own MobileNet V2 with other random weights, running statistics included."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        network = get_model("mobilenet_v2", weights=None).train()
        network(torch.rand(4, 3, 64, 64))
    return network.state_dict()
