"""Labels that depend on the hair alone: a trained network looks at the hair, and a randomised one does not."""

from dataclasses import dataclass

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
from fairprof.network.architectures import preprocessing_of
from fairprof.network.batches import InputsOfRows
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.predictions import predict
from fairprof.network.records import Training
from fairprof.network.training import fit
from fairprof.saliency.attention import GRADIENT_WEIGHTED, ROLLOUT
from fairprof.saliency.gradcam import saliency_maps
from fairprof.saliency.randomisation import CHANGED, EVERYTHING, FLAGGED, HEAD, randomised_networks, similarities
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
def hair(tmp_path_factory, synthetic_cache) -> dict:
    """Settings that name the data and say how they are trained on."""
    folder = tmp_path_factory.mktemp("hair")
    data = hair_data(folder, synthetic_cache / synthetic.VERSION)
    fixed = {"batch_size": 16, "mixup_alpha": 0.0, "finetune": "all", "weights": "random"}
    return fixed | {"data": data, "cache_dir": str(folder / "cache")}


@dataclass(frozen=True)
class Looked:
    """What a network trained on hair looks at, by one method. hair: the row of the share on hair, against NETWORKS
    randomised ones. head, everything: the verdicts where that was randomised."""

    hair: pd.Series
    head: str
    everything: str


def looked_at_hair(
    settings: Settings, layer: ExplainedLayer | None, methods: tuple[str, ...], folder
) -> tuple[float, dict[str, Looked]]:
    """The accuracy of a network that is trained, and what each method shows of it; layer: None is the network's own."""
    size, preprocessing = settings.image_size, preprocessing_of(settings.architecture)
    pool = load_pool(settings, size, preprocessing)

    def new(seed: int) -> Classifier:
        return build_classifier(settings.architecture, "random", "all", len(pool.professions), seed, size)

    torch.manual_seed(0)
    classifier = new(settings.seed)
    train, val, test = (pool.rows_of(partition) for partition in ("train", "val", "test"))
    inputs = ImageInputs(pool, size, None, settings.seed, preprocessing=preprocessing)
    drawn = Draw(None, train, val, test, "", "")

    def measure(probabilities):
        return performance(predictions_table(pool, val, probabilities))

    fit(Training(settings, pool, drawn, classifier, inputs), measure, lambda *_: None, folder)
    rows = np.concatenate([val, test])
    predictions = predict(classifier, inputs, pool, rows, settings, "predicting")
    classes = predictions["y_pred"].map(pool.professions.index).to_numpy(dtype=int)
    masks = region_masks(pool.regions, pool.table["pixel"].to_numpy()[rows], size, preprocessing)
    fresh = [new(1000 + number).network for number in range(NETWORKS)]
    found = {}
    for method in methods:

        def maps_of(network, method=method):
            place = classifier.explained_layer if layer is None else layer
            return saliency_maps(network, place, InputsOfRows(inputs, rows), classes, method=method)

        own = maps_of(classifier.network)
        randomised: dict[str, list[np.ndarray]] = {HEAD: [], EVERYTHING: []}
        for network in fresh:
            for part, changed in randomised_networks(classifier.network, network, classifier.head, {}):
                randomised[part].append(maps_of(changed))
        found[method] = compared(predictions, own, randomised, masks)
    return (predictions["y_true"] == predictions["y_pred"]).mean(), found


def compared(predictions: pd.DataFrame, own: np.ndarray, randomised: dict[str, list[np.ndarray]], masks) -> Looked:
    tables = [attention.mean_measures(several, masks.masks, masks.names) for several in ([own], randomised[EVERYTHING])]
    names = tuple(tables[0].columns)
    found, reference = (group_means.image_values(predictions, {"m": table.to_numpy()}, names) for table in tables)
    weights = group_means.resampled_weights(len(own), 1000, np.random.default_rng(0))
    table = group_means.paired_differences(found, reference, weights)
    whole = table[table["attribute"].eq("all")].set_index("measure").loc["attention_hair"]
    verdicts = similarities({"m": own}, {"m": randomised}, 200, lambda *_: np.random.default_rng(0))
    of_part = verdicts.set_index("randomised")["verdict"]
    return Looked(whole, of_part[HEAD], of_part[EVERYTHING])


@pytest.mark.slow
def test_a_network_trained_on_hair_looks_at_it_more_than_a_randomised_one(hair, tmp_path):
    settings = Settings(**hair, architecture="resnet18", image_size=64, epochs=5)
    accuracy, found = looked_at_hair(settings, LAYER, ("GradCAM",), tmp_path)
    assert accuracy > 0.95
    whole = found["GradCAM"].hair
    assert whole["differs"] and whole["lower"] > 0.03, whole
    assert whole["value"] > whole["reference_value"] and whole["images"] > 40
    assert found["GradCAM"].everything == CHANGED


@pytest.mark.slow
def test_a_transformer_trained_on_hair_looks_at_it_and_a_method_that_ignores_the_class_is_flagged(hair, tmp_path):
    settings = Settings(**hair, architecture="timm:test_vit", image_size=128, epochs=10)
    methods = ("GradCAM", "HiResCAM", GRADIENT_WEIGHTED, ROLLOUT)
    accuracy, found = looked_at_hair(settings, None, methods, tmp_path)
    assert accuracy > 0.95
    for method in methods[:3]:
        whole = found[method].hair
        assert whole["differs"] and whole["lower"] > (0 if method == "GradCAM" else 0.03), (method, whole)
        assert found[method].head == found[method].everything == CHANGED, method
    assert found[GRADIENT_WEIGHTED].hair["value"] > 2 * found[GRADIENT_WEIGHTED].hair["reference_value"]
    assert found[ROLLOUT].head == FLAGGED and found[ROLLOUT].everything == CHANGED
