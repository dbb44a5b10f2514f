"""Families of timm's networks with random weights, each through all that a run does: trained and resumed, predicted
with and without the prefix cache, explained, registered, and loaded elsewhere."""

import copy
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pool import Pool, load_pool
from fairprof.network.architectures import preprocessing_of
from fairprof.network.batches import InputsOfRows
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.predictions import predict
from fairprof.network.prefix import PrefixInputs, cached_inputs
from fairprof.network.records import Training
from fairprof.network.training import fit
from fairprof.network.weights import weights_digest
from fairprof.saliency.gradcam import saliency_maps
from fairprof.serving import Preprocessing, decode_image, gradcam, square_pixels
from fairprof.store import tracking
from tests.models import register_in_active_run
from tests.places import mlflow_in

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")

CLASSES = ("baker", "driver")
SIZES = {  # name to the edge of its images: the smallest of each family
    "test_convnext": 32,  # ConvNeXt
    "test_convnext2": 32,  # ConvNeXt V2: global response norm
    "test_efficientnet": 32,
    "test_resnet": 32,
    "test_nfnet": 32,
    "test_mambaout": 32,  # maps of the layout NHWC
    "regnetx_002": 32,
    "mobilenetv3_small_050": 32,
    "densenet121": 32,
    "resnetv2_18": 32,  # a classifier that is a convolution
    "test_vit": 32,  # class token
    "test_vit2": 32,  # a register, means of tokens
    "vit_xsmall_patch16_clip_224": 32,  # CLIP's image tower
    "vit_small_patch14_reg4_dinov2": 42,  # four registers, patches of 14
    "vit_small_patch16_dinov3": 32,  # rotary positions
    "eva02_tiny_patch14_224": 42,
    "swin_tiny_patch4_window7_224": 32,
    "mobilevit_xxs": 32,  # hybrids
    "test_maxvit": 32,
    "test_coatnet": 32,
}
HEAD_ALONE = {  # of large ones, which take long to be trained, the head alone is
    "densenet121",
    "resnetv2_18",
    "vit_small_patch14_reg4_dinov2",
    "vit_small_patch16_dinov3",
    "swin_tiny_patch4_window7_224",
}
# too large to be trained here: only where they are cut
LARGE = {"vit_base_patch16_siglip_224": 32, "beit_base_patch16_224": 32}  # attention pooling; relative positions


class Killed(Exception):
    """What a training meets where a signal would have ended it."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """A manifest of noise images, 2 genders x 2 races x 2 professions."""
    folder = tmp_path_factory.mktemp("faces")
    rows = []
    for partition, count in {"train": 2, "val": 1, "test": 1}.items():
        for gender in ("man", "woman"):
            for race in ("north", "south"):
                for profession in CLASSES:
                    for _ in range(count):
                        coarse = np.random.default_rng(len(rows)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                        name = f"{len(rows):03}.png"
                        Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(folder / name)
                        rows.append((name, gender, race, profession, partition))
    columns = ["image", "gender", "race", "profession", "partition"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "faces.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def settings_of(faces):
    """Settings by the name of an architecture of timm."""

    def settings(name: str, **values) -> Settings:
        fixed = {
            "data": f"manifest:{faces / 'faces.csv'}",
            "cache_dir": str(faces / "cache"),
            "architecture": f"timm:{name}",
            "weights": "random",
            "finetune": "head" if name in HEAD_ALONE else "layer4",
            "image_size": SIZES[name],
            "batch_size": 8,
            "augmented_views": 1,
            "epochs": 2,
            "accelerator": "cpu",
            "experiment": "B",
        }
        return Settings(**{**fixed, **values})

    return settings


def new_classifier(settings: Settings) -> Classifier:
    return build_classifier(settings.architecture, "random", settings.finetune, 2, settings.seed, settings.image_size)


def training_of(settings: Settings, pool: Pool, cached: bool) -> Training:
    """A training that can begin; cached: fed with what the frozen part of the network makes of the images."""
    classifier, drawn = new_classifier(settings), draw(pool, DESIGNS["A"], settings)
    images = ImageInputs(pool, settings.image_size, 1, settings.seed, preprocessing=classifier.preprocessing)
    inputs = cached_inputs(classifier, images, pool, settings, drawn.train, np.concatenate((drawn.val, drawn.test)))
    assert isinstance(inputs, PrefixInputs), "the network is not cut"
    return Training(settings, pool, drawn, classifier, inputs if cached else images)


def fitted(training: Training, folder: Path, killed_in: int | None = None):
    """Trains; killed_in: the epoch, from 1, whose validation it does not survive."""
    epochs: list[float] = []

    def measure(probabilities: np.ndarray) -> dict[str, float]:
        epochs.append(float(probabilities[:, 0].mean()))
        if len(epochs) == killed_in:
            raise Killed
        return {"macro_f1": 0.5, "first": epochs[-1]}

    return fit(training, measure, lambda epoch, values: None, folder)


@dataclass(frozen=True)
class Lived:
    """A network that was trained, and what it was trained on."""

    settings: Settings
    pool: Pool
    training: Training
    history: list[dict[str, float]]
    digest: str


@pytest.fixture(scope="module")
def lived(settings_of, tmp_path_factory):
    """By name: a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("trainings")

    @functools.cache
    def of(name: str) -> Lived:
        settings = settings_of(name)
        pool = load_pool(settings, settings.image_size, preprocessing_of(settings.architecture))
        training = training_of(settings, pool, cached=True)
        trained = fitted(training, folder / name)
        return Lived(settings, pool, training, trained.history, weights_digest(training.classifier.network))

    return of


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(name, lived, tmp_path):
    undisturbed = lived(name)
    with pytest.raises(Killed):
        fitted(training_of(undisturbed.settings, undisturbed.pool, cached=True), tmp_path, killed_in=2)
    resumed = training_of(undisturbed.settings, undisturbed.pool, cached=True)
    assert fitted(resumed, tmp_path).history == undisturbed.history
    assert weights_digest(resumed.classifier.network) == undisturbed.digest


@pytest.mark.parametrize("name", SIZES)
def test_training_changes_what_it_says_and_nothing_else(name, lived):
    classifier, started = lived(name).training.classifier, new_classifier(lived(name).settings)
    before, after = started.network.state_dict(), classifier.network.state_dict()
    changed = set(classifier.changed_by_training())
    assert {path for path, value in after.items() if not torch.equal(value, before[path])} <= changed <= set(after)
    assert {name for name, weight in classifier.network.named_parameters() if weight.requires_grad} <= changed


@pytest.mark.parametrize("name", SIZES)
def test_predictions_are_alike_with_and_without_the_prefix_cache(name, lived):
    training = lived(name).training
    classifier, rows = training.classifier, training.drawn.test
    images = training.inputs.images
    cached, computed = (
        predict(classifier, inputs, training.pool, rows, training.settings, "predicting")[
            [f"probability_{name}" for name in CLASSES]
        ]
        for inputs in (training.inputs, images)
    )
    np.testing.assert_allclose(cached, computed, atol=2e-3)  # what is cached has eleven significant bits


@pytest.mark.parametrize(("name", "image_size"), (SIZES | LARGE).items())
def test_the_parts_of_a_network_compute_what_it_does_in_training_too(name, image_size):
    """In training mode with the same random numbers: nothing was traced that would keep the mode of that moment."""
    classifier = build_classifier(f"timm:{name}", "random", "layer4", 2, 0, image_size)
    images = torch.randn(4, 3, image_size, image_size, generator=torch.Generator().manual_seed(1))
    whole, cut = classifier.network, copy.deepcopy(classifier.trainable)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        entering = classifier.prefix(images)
        torch.testing.assert_close(cut.eval()(entering), whole(images), rtol=0, atol=1e-6)
        classifier.set_training(cut)
        torch.manual_seed(0)
        trained_apart = cut(entering)
        whole.train()
        for path in classifier.frozen:
            if path in dict(whole.named_modules()):
                whole.get_submodule(path).eval()
        torch.manual_seed(0)
        torch.testing.assert_close(trained_apart, whole(images), rtol=0, atol=1e-5)
    own = whole.state_dict()
    for path, value in cut.state_dict().items():  # which batch norm has changed in both
        torch.testing.assert_close(value, own[path], rtol=0, atol=1e-5)


def test_a_network_that_cannot_be_cut_says_so_and_is_trained_whole(capsys):
    classifier = build_classifier("timm:xcit_nano_12_p16_224", "random", "layer4", 2, 0, 32)
    said = "architecture=timm:xcit_nano_12_p16_224 cannot be cut at the input of blocks.9: what is frozen is computed"
    assert said in capsys.readouterr().out
    assert classifier.boundary is None and classifier.trainable is classifier.network
    trained = {name.split(".")[1] for name in classifier.changed_by_training() if name.startswith("blocks.")}
    assert trained == {"9", "10", "11"} and "cls_token" not in classifier.changed_by_training()


@pytest.mark.parametrize("name", SIZES)
def test_what_is_served_explains_as_reports_do(name, lived):
    training = lived(name).training
    classifier, rows = training.classifier, training.drawn.test
    images = training.inputs.images.evaluation(rows)
    logits, served = gradcam(classifier.network, classifier.explained_layer, images)
    maps = saliency_maps(
        classifier.network,
        classifier.explained_layer,
        InputsOfRows(training.inputs.images, rows),
        logits.argmax(dim=1).numpy(),
    )
    np.testing.assert_allclose(maps, served.numpy(), atol=1e-5 * max(1.0, float(np.abs(maps).max())))
    assert maps.ndim == 3 and len(maps) == len(rows) and (maps >= 0).all() and np.isfinite(maps).all()


# --- elsewhere --------------------------------------------------------------------------------------------------

LOADED_ELSEWHERE = """
import base64, importlib.util, json, sys
from pathlib import Path
sys.path = [place for place in sys.path if not Path(place, "fairprof").is_dir()]  # where the project is installed
assert importlib.util.find_spec("fairprof") is None, "the project is importable here"
import mlflow, pandas as pd, torch
torch.set_num_threads(1)
contents = [Path(name).read_bytes() for name in sys.argv[2:]]
answers = {}
for version in json.loads(sys.argv[1]):
    model = mlflow.pyfunc.load_model(f"models:/fairprof-B/{version}")
    table = model.predict(pd.DataFrame({"image": contents}), params={"explain": True})
    answers[version] = table.drop(columns="gradcam").to_dict("list")
    assert all(overlay.startswith(b"\\x89PNG") for overlay in table["gradcam"])
answers["modules"] = [name for name in sys.modules if name.split(".")[0] == "fairprof"]
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Path]:
    with mlflow_in(tmp_path_factory.mktemp("store")) as folder:
        yield folder


@pytest.fixture(scope="module")
def versions(store, lived) -> dict[str, str]:
    """The version as which every family is registered, by name."""
    found = {}
    for name in SIZES:
        classifier = lived(name).training.classifier
        with tracking.started_run(name, {}):
            registered = register_in_active_run(
                classifier.network.state_dict(),
                classifier.explained_layer,
                lived(name).settings,
                CLASSES,
                {"best_val/macro_f1": 0.5},
                run_key=name,
                preprocessing=classifier.preprocessing,
            )
        found[name] = registered.version
    return found


@pytest.fixture(scope="module")
def elsewhere(versions, store, faces, tmp_path_factory) -> dict:
    """What a process says that loads all versions in another folder, without the project and without pickle."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "client.py").write_text(LOADED_ELSEWHERE)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-I", str(folder / "client.py"), json.dumps(list(versions.values()))]
        + [str(faces / f"{number:03}.png") for number in range(3)],
        cwd=folder,
        env=environment | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.split("ANSWERS ")[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_a_version_loaded_elsewhere_says_what_the_network_says(name, elsewhere, versions, lived, faces):
    classifier, size = lived(name).training.classifier, SIZES[name]
    preprocessing: Preprocessing = classifier.preprocessing
    contents = [(faces / f"{number:03}.png").read_bytes() for number in range(3)]
    pixels = np.stack([square_pixels(decode_image(each), preprocessing.stored_size(size)) for each in contents])
    with torch.inference_mode():
        expected = classifier.network(preprocessing.evaluation_input(pixels, size)).softmax(dim=1).double().numpy()
    answer = elsewhere[versions[name]]
    np.testing.assert_allclose(
        np.column_stack([answer[f"probability_{each}"] for each in CLASSES]), expected, atol=1e-5
    )
    assert answer["profession"] == [CLASSES[best] for best in expected.argmax(axis=1)]
    assert elsewhere["modules"] == []


@pytest.mark.slow
def test_a_version_lists_timm_among_its_requirements(versions, store):
    import mlflow

    (path,) = Path(mlflow.artifacts.download_artifacts(f"models:/fairprof-B/{versions['test_vit']}")).rglob(
        "requirements.txt"
    )
    assert any(line.startswith("timm==") for line in path.read_text().splitlines())
