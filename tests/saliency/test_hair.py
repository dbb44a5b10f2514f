"""Labels that depend on the hair alone: a trained network looks at the hair, and a randomised one does not."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from fairprof.config import Settings
from fairprof.data.designs import Draw
from fairprof.data.pool import load_pool
from fairprof.data.portraits import REGIONS
from fairprof.data.predictions_table import predictions_table
from fairprof.data.regions import region_masks
from fairprof.data.sources import synthetic
from fairprof.inference import group_means
from fairprof.metrics import attention
from fairprof.metrics.performance import performance
from fairprof.network.batches import InputsOfRows
from fairprof.network.classifier import build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.predictions import predict
from fairprof.network.records import Training
from fairprof.network.training import fit
from fairprof.saliency.gradcam import saliency_maps
from fairprof.saliency.randomisation import CHANGED, EVERYTHING, randomised_networks, similarities
from fairprof.serving import ExplainedLayer

IMAGES = 240
LAYER = ExplainedLayer("layer2")  # 8 x 8 fields at 64 pixels: hair is narrower than the 2 x 2 of the last stage
NETWORKS = 5  # randomised; the maps of one may all be zero
HUES = {"green": 60, "blue": 115}  # of OpenCV's 180


def hair_data(folder, portraits) -> str:
    """Portraits with green or blue hair, which is the label, as a manifest with their region masks."""
    labels = pd.read_csv(portraits / "labels.csv").iloc[:IMAGES]
    (folder / "images").mkdir()
    rows = []
    for number, row in enumerate(labels.itertuples()):
        colour = list(HUES)[number % 2]
        image = cv2.imread(str(portraits / row.image))
        hair = cv2.imread(str(portraits / row.regions), cv2.IMREAD_UNCHANGED) == REGIONS.index("hair")
        dyed = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        dyed[hair, 0], dyed[hair, 1] = HUES[colour], 200
        dyed[hair, 2] = np.maximum(dyed[hair, 2], 90)
        cv2.imwrite(str(folder / row.image), np.where(hair[..., None], cv2.cvtColor(dyed, cv2.COLOR_HSV2BGR), image))
        rows.append(
            {
                "image": row.image,
                "gender": row.gender,
                "race": row.race,
                "profession": colour,
                "regions": str(portraits / row.regions),
            }
        )
    pd.DataFrame(rows).to_csv(folder / "hair.csv", index=False)
    return f"manifest:{folder / 'hair.csv'}"


@pytest.fixture(scope="module")
def pool_and_settings(tmp_path_factory, synthetic_cache):
    folder = tmp_path_factory.mktemp("hair")
    settings = Settings(
        data=hair_data(folder, synthetic_cache / synthetic.VERSION),
        cache_dir=str(folder / "cache"),
        architecture="resnet18",
        image_size=64,
        epochs=5,
        batch_size=16,
        mixup_alpha=0.0,
        finetune="all",
        weights="random",
    )
    return load_pool(settings, settings.image_size), settings


def trained_and_randomised(pool, settings, folder):
    """Predictions of a trained network, its maps at LAYER, and those of NETWORKS randomised ones."""
    classifier = build_classifier("resnet18", "random", "all", len(pool.professions), settings.seed)
    train, val, test = (pool.rows_of(partition) for partition in ("train", "val", "test"))
    inputs = ImageInputs(pool, settings.image_size, None, settings.seed)
    drawn = Draw(None, train, val, test, "", "")

    def measure(probabilities):
        return performance(predictions_table(pool, val, probabilities))

    fit(Training(settings, pool, drawn, classifier, inputs), measure, lambda *_: None, folder)
    rows = np.concatenate([val, test])
    predictions = predict(classifier, inputs, pool, rows, settings, "predicting")
    classes = predictions["y_pred"].map(pool.professions.index).to_numpy(dtype=int)
    entering = InputsOfRows(inputs, rows)
    own = saliency_maps(classifier.network, LAYER, entering, classes)
    randomised = []
    for number in range(NETWORKS):
        fresh = build_classifier("resnet18", "random", "all", len(pool.professions), 1000 + number).network
        *_, (part, network) = randomised_networks(classifier.network, fresh, classifier.head, {})
        assert part == EVERYTHING
        randomised.append(saliency_maps(network, LAYER, entering, classes))
    return predictions, rows, own, randomised


def hair_attention(pool, settings, folder) -> tuple[pd.Series, float, str]:
    predictions, rows, own, randomised = trained_and_randomised(pool, settings, folder)
    masks = region_masks(pool.regions, pool.table["pixel"].to_numpy()[rows], settings.image_size)
    tables = [attention.mean_measures(several, masks.masks, masks.names) for several in ([own], randomised)]
    names = tuple(tables[0].columns)
    found, reference = (group_means.image_values(predictions, {"m": table.to_numpy()}, names) for table in tables)
    weights = group_means.resampled_weights(len(rows), 1000, np.random.default_rng(0))
    table = group_means.paired_differences(found, reference, weights)
    whole = table[table["attribute"].eq("all")].set_index("measure").loc["attention_hair"]
    verdicts = similarities({"m": own}, {"m": {EVERYTHING: randomised}}, 200, lambda *_: np.random.default_rng(0))
    return whole, (predictions["y_true"] == predictions["y_pred"]).mean(), verdicts["verdict"].item()


@pytest.mark.slow
def test_a_network_trained_on_hair_looks_at_it_more_than_a_randomised_one(pool_and_settings, tmp_path):
    pool, settings = pool_and_settings
    torch.manual_seed(0)
    whole, accuracy, verdict = hair_attention(pool, settings, tmp_path)
    assert accuracy > 0.95
    assert whole["differs"] and whole["lower"] > 0.03, whole
    assert whole["value"] > whole["reference_value"] and whole["images"] > 40
    assert verdict == CHANGED
