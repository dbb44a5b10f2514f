"""Speed: what is measured, and that sizes are those of the network."""

import numpy as np
import torch
from torch import nn

from fairprof.commands.evaluate import speed
from fairprof.commands.evaluate.speed import machine, measured_speed


def test_a_network_and_the_decoding_are_measured_at_both_batches(monkeypatch):
    monkeypatch.setattr(speed, "SECONDS", 0.0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 37, 37, 3), dtype=np.uint8)
    found = measured_speed(network, 32, pixels)
    assert found.times[["part", "batch"]].to_numpy().tolist() == [
        ["network", 1],
        ["network", 32],
        ["decoding", 1],
        ["decoding", 32],
    ]
    assert (found.times["repeats"] == speed.FEWEST_REPEATS).all()
    assert (found.times["p95_ms"] >= found.times["median_ms"]).all() and (found.times["median_ms"] > 0).all()
    expected = found.times["batch"] / found.times["median_ms"] * 1000
    assert np.allclose(found.times["images_per_second"], expected)
    assert found.parameters == 3 * 8 * 9 + 8 + 8 + 8 + 8 * 2 + 2
    assert found.weights_mib * 2**20 == 4 * found.parameters + 4 * 16 + 8  # and running statistics, and a counter
    assert found.resident_mib > 50 and found.working_mib >= 0


def test_the_machine_is_named():
    text = str(machine(torch.device("cpu")))
    assert "cores" in text and f"PyTorch {torch.__version__}" in text
