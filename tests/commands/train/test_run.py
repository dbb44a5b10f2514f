"""A training's images, as its weights have to see them."""

import json
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch

from fairprof.commands.train.outcome import described_model
from fairprof.commands.train.run import prepared, with_cached_prefix
from fairprof.commands.train.subject import RunSubject
from fairprof.data.pool import load_pool
from fairprof.network.records import Trained
from fairprof.network.weight_sources import preprocessing_with
from fairprof.serving import Preprocessing, decode_image, preprocessing_in, square_pixels

STATED = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "crop_pct": 0.8}


def test_images_enter_as_the_config_of_the_weights_states_it(make_settings, write_manifest, write_image, tmp_path):
    rows = [
        {"image": f"{partition}-{gender}{race}{profession}-{number}.png", "partition": partition}
        | {"gender": gender, "race": race, "profession": profession}
        for partition, count in (("train", 2), ("val", 1), ("test", 1))
        for gender in "mf"
        for race in "xy"
        for profession in "sw"
        for number in range(count)
    ]
    for seed, row in enumerate(rows):
        write_image(tmp_path / row["image"], seed)
    data = write_manifest(rows)
    weights = tmp_path / "weights"
    weights.mkdir()
    safetensors.torch.save_file(timm.create_model("test_vit").state_dict(), weights / "model.safetensors")
    (weights / "config.json").write_text(json.dumps({"architecture": "test_vit", "pretrained_cfg": STATED}))
    settings = make_settings(
        data=data,
        architecture="timm:test_vit",
        weights=f"local-dir:{weights}",
        finetune="head",
        image_size=32,
        augmented_views=1,
        epochs=1,
        accelerator="cpu",
    )
    pool = load_pool(settings, 32, preprocessing_with(settings.architecture, settings.weights))
    training = prepared(settings, pool)
    test = training.drawn.test
    names = pool.table["image"].to_numpy()[test]
    entering = training.inputs.evaluation(test)
    for name, found in zip(names, entering, strict=True):
        stored = square_pixels(decode_image((tmp_path / Path(name).name).read_bytes()), 40)  # 32 / 0.8
        by_hand = (stored[4:36, 4:36] / 255 - STATED["mean"]) / STATED["std"]
        np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), by_hand, rtol=0, atol=1e-5)
    with torch.inference_mode():
        expected = training.classifier.network(entering)
        cached = with_cached_prefix(training).inputs
        found = training.classifier.trainable(cached.evaluation(test))
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.01)  # what is cached has 16 bits
    described = described_model(RunSubject.of(training), Trained([], 1, {}, {}))
    assert preprocessing_in(described) == Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), 0.8)
