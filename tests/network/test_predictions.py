"""Predictions of a network: its own probabilities, whatever the batches, the workers and the place where it is cut."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairprof.config import Settings
from fairprof.data.pool import Pool, load_pool
from fairprof.network import batches
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.predictions import predict
from fairprof.network.prefix import cached_inputs
from fairprof.serving import IMAGENET

PROFESSIONS = ("astronaut", "baker", "cook")
ROWS = 26
SETTINGS = Settings(image_size=32, accelerator="cpu")


def predicted(classifier: Classifier, pool: Pool, rows: np.ndarray, settings: Settings = SETTINGS) -> pd.DataFrame:
    return predict(classifier, ImageInputs(pool, 32, None, 0), pool, rows, settings, "predicting")


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    """26 images of noise of two genders, two races, three ages and three professions."""
    folder = tmp_path_factory.mktemp("faces")
    rows = []
    for number in range(ROWS):
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{number:02}.png")
        rows.append(
            {
                "image": f"{number:02}.png",
                "gender": ("man", "woman")[number % 2],
                "race": "ab"[number // 2 % 2],
                "age": ("5", "25", "80")[number % 3],
                "profession": PROFESSIONS[number % 3],
                "partition": ("train", "val", "test")[number // 10],
            }
        )
    pd.DataFrame(rows).to_csv(folder / "faces.csv", index=False)
    return load_pool(Settings(data=f"manifest:{folder / 'faces.csv'}", cache_dir=str(folder / "cache")), image_size=32)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    classifier = build_classifier("resnet18", "random", "layer2", 3, seed=0)
    classifier.network.eval()
    return classifier


@pytest.fixture(scope="module")
def table(pool, classifier) -> pd.DataFrame:
    return predicted(classifier, pool, np.arange(ROWS))


def probabilities_of(table: pd.DataFrame) -> np.ndarray:
    return table[[f"probability_{name}" for name in PROFESSIONS]].to_numpy()


def test_probabilities_are_those_of_the_network_and_sum_to_one(table, pool, classifier):
    probabilities = probabilities_of(table)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.min() > 0 and np.ptp(probabilities[:, 0]) > 1e-4  # they differ between images
    for row in (0, 7, ROWS - 1):
        pixels = pool.pixels.array[pool.table["pixel"].iloc[row]]
        with torch.inference_mode():
            logits = classifier.network(IMAGENET.evaluation_input(pixels, 32)[None])[0].double().numpy()
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(probabilities[row], expected, atol=1e-5)


def test_predicted_class_is_the_most_probable(table):
    best = probabilities_of(table).argmax(axis=1)
    assert table["y_pred"].tolist() == [PROFESSIONS[number] for number in best]


@pytest.mark.parametrize("batch", [1, 5, 26])
def test_batch_size_changes_nothing(batch, table, pool, classifier, monkeypatch):
    monkeypatch.setattr(batches, "EVALUATION_BATCH", batch)
    other = predicted(classifier, pool, np.arange(ROWS))
    np.testing.assert_allclose(probabilities_of(other), probabilities_of(table), atol=1e-5)
    pd.testing.assert_series_equal(other["image"], table["image"])


def test_order_of_rows_is_the_order_of_the_table(table, pool, classifier):
    rows = np.array([13, 2, 25, 0])
    some = predicted(classifier, pool, rows)
    expected = table.iloc[rows].reset_index(drop=True)
    np.testing.assert_allclose(probabilities_of(some), probabilities_of(expected), atol=1e-5)
    others = ["image", "partition", "y_true", "gender", "race", "age"]
    pd.testing.assert_frame_equal(some[others], expected[others])


def test_network_in_training_mode_is_evaluated_without_dropout(table, pool, classifier):
    classifier.network.train()
    again = predicted(classifier, pool, np.arange(ROWS))
    assert not classifier.network.training
    np.testing.assert_array_equal(probabilities_of(again), probabilities_of(table))


def test_worker_processes_change_nothing(table, pool, classifier):
    helped = predicted(classifier, pool, np.arange(ROWS), Settings(image_size=32, accelerator="cpu", workers=2))
    pd.testing.assert_frame_equal(helped, table)


def test_no_rows_are_an_empty_table_with_the_same_columns(table, pool, classifier):
    nothing = predicted(classifier, pool, np.empty(0, dtype=int))
    assert len(nothing) == 0 and list(nothing.columns) == list(table.columns)


@pytest.mark.parametrize("finetune", ["head", "layer4"])
def test_what_enters_behind_the_cut_gives_the_probabilities_of_the_images(finetune, pool, make_settings):
    classifier = build_classifier("resnet18", "random", finetune, 3, seed=0)
    images = ImageInputs(pool, 32, 1, 0)
    with torch.no_grad():
        classifier.network.train()(images.evaluation(np.arange(ROWS)))  # so that activations do not vanish
    expected = probabilities_of(predicted(classifier, pool, np.arange(ROWS)))
    settings = make_settings(finetune=finetune, architecture="resnet18", image_size=32, accelerator="cpu", epochs=1)
    rows = np.arange(ROWS - 1, -1, -1)
    inputs = cached_inputs(classifier, images, pool, settings, rows[:2], rows)
    classifier.trainable.train()
    table = predict(classifier, inputs, pool, rows, settings, "predicting")
    assert inputs.boundary == classifier.boundary
    assert not any(module.training for module in classifier.trainable.modules())
    assert np.ptp(expected, axis=0).min() > 0.01  # ten times more than half precision may cost
    np.testing.assert_allclose(probabilities_of(table), expected[::-1], atol=1e-3)
    assert table["image"].tolist() == pool.table["image"].iloc[rows].tolist()
