"""The prefix cache: half-precision outputs of the frozen part, each computed once whoever asks and whoever dies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image
from torchvision.models import get_model

from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, Draw, draw
from fairprof.data.pool import Pool, load_pool
from fairprof.network.batches import InputsOfRows
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.parts import Boundary
from fairprof.network.predictions import predict
from fairprof.network.prefix import PrefixCache, PrefixInputs, cached_inputs, explained_inputs
from fairprof.network.records import Training
from fairprof.network.training import fit
from fairprof.runtime.cache import Cache
from fairprof.runtime.row_store import RowStore
from fairprof.saliency.gradcam import saliency_maps
from fairprof.serving import ExplainedLayer
from tests.damages import DAMAGES
from tests.places import ROOT

VIEWS = 3
# of the 8 cells gender x race x profession, which the designs therefore draw from differently
ROWS_PER_CELL = {"train": (6, 8, 10, 12, 6, 9, 11, 7), "val": (3,) * 8, "test": (3,) * 8}


def write_faces(folder: Path) -> str:
    """Noise images and their labels; returns the value of `data` that names them."""
    rows = []
    for partition, counts in ROWS_PER_CELL.items():
        for cell, count in enumerate(counts):
            for _ in range(count):
                name = f"{len(rows):03}.png"
                coarse = np.random.default_rng(len(rows)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(folder / name)
                gender, race, profession = ("man", "woman")[cell // 4], "NS"[cell // 2 % 2], "xy"[cell % 2]
                rows.append((name, gender, race, profession, 20 + len(rows) % 50, partition, f"person {len(rows)}"))
    columns = ["image", "gender", "race", "profession", "age", "partition", "person"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "faces.csv", index=False)
    return f"manifest:{folder / 'faces.csv'}"


@pytest.fixture(scope="module")
def fixed(tmp_path_factory) -> dict:
    """Settings that all tests share but for the cache: noise images, and weights from a file."""
    folder = tmp_path_factory.mktemp("faces")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        safetensors.torch.save_file(get_model("resnet18").state_dict(), folder / "weights.safetensors")
    return {
        "data": write_faces(folder),
        "architecture": "resnet18",
        "weights": str(folder / "weights.safetensors"),
        "finetune": "head",
        "image_size": 32,
        "epochs": 2,
        "batch_size": 8,
        "augmented_views": VIEWS,
        "accelerator": "cpu",
        "lock_timeout": 60.0,
    }


@pytest.fixture(scope="module")
def pool(fixed, tmp_path_factory) -> Pool:
    return load_pool(Settings(**fixed, cache_dir=str(tmp_path_factory.mktemp("pixels"))), fixed["image_size"])


@pytest.fixture
def settings(fixed, tmp_path) -> Settings:
    """Settings with an empty cache."""
    return Settings(**fixed, cache_dir=str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def classifier(fixed) -> Classifier:
    """One whose head alone learns; no test changes it."""
    return new_classifier(Settings(**fixed))


def changed(settings: Settings, **values) -> Settings:
    return Settings(**settings.model_dump() | values)


def new_classifier(settings: Settings) -> Classifier:
    return build_classifier(settings.architecture, settings.weights, settings.finetune, 2, settings.seed)


def images_of(pool: Pool, settings: Settings) -> ImageInputs:
    return ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)


def prepared(classifier: Classifier, pool: Pool, settings: Settings) -> tuple[PrefixInputs | None, Draw]:
    """What a run does before it trains."""
    drawn = draw(pool, DESIGNS[settings.experiment], settings)
    held_out = np.concatenate((drawn.val, drawn.test))
    return cached_inputs(classifier, images_of(pool, settings), pool, settings, drawn.train, held_out), drawn


def outputs_of(pool: Pool, settings: Settings) -> set[tuple[int, int]]:
    """Numbers of the view (-1: none) and image of all that a run of these settings needs, found by hand."""
    drawn = draw(pool, DESIGNS[settings.experiment], settings)
    image = pool.table["pixel"].to_numpy()
    augmented = {
        ((int(image[row]) + epoch + settings.seed) % VIEWS, int(image[row]))
        for row in drawn.train
        for epoch in range(settings.epochs)
    }
    return augmented | {(-1, int(image[row])) for row in (*drawn.val, *drawn.test)}


def stored_in(cache_dir: Path) -> set[tuple[int, int]]:
    """Numbers of the view and image of all that lies in the cache."""
    return {
        (-1 if name == "centre-crop" else int(name.removeprefix("view-")), int(row))
        for path in cache_dir.glob("prefix/*/*.records")
        for name, size in [path.name.split(".")[:2]]
        for row in RowStore(path.parent, name, (int(size),)).rows
    }


def what_enters_the_head(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """What a hook sees enter the head of the whole network."""
    seen = []
    hook = classifier.network.fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        classifier.network.eval()(images)
    hook.remove()
    return seen[0]


def half_of_what_enters_the_head(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """The same, rounded to the 11 bits of half precision."""
    return what_enters_the_head(classifier, images).half().float()


def assert_equal_halves(first: torch.Tensor, second: torch.Tensor) -> None:
    """Equal to a unit in the last of half precision's 11 bits: a batch of another size may round differently."""
    assert first.dtype == second.dtype == torch.float32
    torch.testing.assert_close(first, second, rtol=2**-10, atol=1e-7)


# --- what is computed -------------------------------------------------------------------------------------------


def test_outputs_are_what_enters_the_trainable_part_in_half_precision(classifier, pool, settings):
    inputs, drawn = prepared(classifier, pool, settings)
    images = images_of(pool, settings)
    assert inputs.boundary == classifier.boundary == Boundary("fc")
    rows = drawn.train[[5, 0, 30, 7]]
    for epoch in range(2):
        expected = half_of_what_enters_the_head(classifier, images.training(rows, epoch))
        assert_equal_halves(inputs.training(rows, epoch), expected)
    assert not torch.equal(inputs.training(rows, 0), inputs.training(rows, 1))
    expected = half_of_what_enters_the_head(classifier, images.evaluation(drawn.test))
    assert_equal_halves(inputs.evaluation(drawn.test), expected)


def test_worker_processes_compute_the_same(classifier, pool, settings, tmp_path):
    here, drawn = prepared(classifier, pool, settings)
    there, _ = prepared(classifier, pool, changed(settings, workers=1, cache_dir=str(tmp_path / "other")))
    assert torch.equal(there.training(drawn.train, 1), here.training(drawn.train, 1))
    assert torch.equal(there.evaluation(drawn.val), here.evaluation(drawn.val))


def test_nothing_is_computed_twice_over_designs_and_seeds(classifier, pool, settings):
    known: set[tuple[int, int]] = set()
    for design, seed in (("B", 0), ("A", 0), ("A", 1), ("B", 1), ("A", 0)):
        run = changed(settings, experiment=design, seed=seed)
        wanted = outputs_of(pool, run)
        inputs, _ = prepared(classifier, pool, run)
        assert (inputs.cache.computed, inputs.cache.reused) == (len(wanted - known), len(wanted & known))
        known |= wanted
    assert inputs.cache.computed == 0  # the last one is the second once more
    assert inputs.cache.seconds == 0
    assert stored_in(Path(settings.cache_dir)) == known
    assert len(list(Path(settings.cache_dir).glob("prefix/*/description.txt"))) == 1  # one entry for all


def test_epochs_beyond_the_number_of_views_need_no_more_outputs(classifier, pool, settings):
    prepared(classifier, pool, changed(settings, epochs=VIEWS))
    inputs, _ = prepared(classifier, pool, changed(settings, epochs=50))
    assert inputs.cache.computed == 0


@pytest.mark.parametrize("values", [{"prefix_cache": "off"}, {"augmented_views": "unlimited"}, {"finetune": "layer2"}])
def test_without_a_constant_input_or_if_switched_off_nothing_is_cached(values, pool, settings):
    settings = changed(settings, **values)
    assert prepared(new_classifier(settings), pool, settings)[0] is None
    assert not Path(settings.cache_dir).exists()


def test_outputs_that_do_not_fit_are_not_cached_and_that_is_said(classifier, pool, settings, capsys):
    settings = changed(settings, cache_gib=0.0001)
    needed = len(outputs_of(pool, settings)) * 512 * 2 / 2**30
    assert 0.0001 < needed < 0.001
    assert prepared(classifier, pool, settings)[0] is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fairprof: the prefix cache is not used: the input of fc of resnet18 (")
    assert "which cache_gib=0.0001 does not hold" in line
    assert line.endswith("raise it, or lower augmented_views=3")
    assert stored_in(Path(settings.cache_dir)) == set()


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_outputs_far_from_one_are_kept_as_precisely_as_others(size, pool, settings):
    classifier = new_classifier(settings)
    with torch.no_grad():  # of the last stage's two blocks, the first is scaled and the second adds nothing
        for norm in (classifier.network.layer4[0].bn2, classifier.network.layer4[0].downsample[1]):
            norm.weight *= size
            norm.bias *= size
        classifier.network.layer4[1].bn2.weight.zero_()
        classifier.network.layer4[1].bn2.bias.zero_()
    inputs, drawn = prepared(classifier, pool, settings)
    expected = what_enters_the_head(classifier, images_of(pool, settings).evaluation(drawn.test))
    assert 0.01 * size < expected.max() < 1000 * size
    torch.testing.assert_close(inputs.evaluation(drawn.test), expected, rtol=2**-10, atol=1e-6 * float(expected.max()))


def test_outputs_that_are_no_numbers_are_refused_with_a_way_out(pool, settings, refused):
    classifier = new_classifier(settings)
    torch.nn.init.constant_(classifier.network.layer4[1].bn2.bias, float("inf"))
    with refused("input of fc of resnet18", "too large for half precision: set prefix_cache=off"):
        prepared(classifier, pool, settings)
    assert stored_in(Path(settings.cache_dir)) == set()


# --- what outputs belong to -------------------------------------------------------------------------------------


def entry_of(pool: Pool, settings: Settings) -> str:
    classifier = new_classifier(settings)
    return PrefixCache(classifier, classifier.boundary, images_of(pool, settings), pool, settings).entry.name


def test_runs_share_outputs_whatever_their_design_seed_and_head(pool, settings):
    entry = entry_of(pool, settings)
    assert entry_of(pool, changed(settings, experiment="D", seed=3, learning_rate=0.01, epochs=7)) == entry


def test_outputs_of_other_weights_boundaries_and_sizes_lie_elsewhere(pool, settings, fixed, tmp_path):
    entries = [entry_of(pool, settings), entry_of(pool, changed(settings, finetune="layer4"))]
    tensors = safetensors.torch.load_file(fixed["weights"])
    tensors["layer2.0.conv1.weight"][0, 0, 0, 0] += 1e-3  # a single number
    safetensors.torch.save_file(tensors, tmp_path / "other.safetensors")
    entries.append(entry_of(pool, changed(settings, weights=str(tmp_path / "other.safetensors"))))
    entries.append(entry_of(pool, changed(settings, image_size=33)))
    assert len(set(entries)) == 4


def test_other_labels_and_more_quarantined_images_leave_outputs_where_they_are_and_other_pixels_do_not(
    settings, tmp_path
):
    def entry() -> tuple[str, Pool]:
        loaded = load_pool(settings_here, settings_here.image_size)
        return entry_of(loaded, settings_here), loaded

    settings_here = changed(settings, data=write_faces(tmp_path))
    first, pool = entry()
    labels = pd.read_csv(tmp_path / "faces.csv")
    # without professions they are drawn from age, and a person in training and test leaks
    labels.drop(columns="profession").assign(person=labels["person"].replace("person 0", "person 110")).to_csv(
        tmp_path / "faces.csv", index=False
    )
    professions, quarantined = [], []
    for seed in (0, 1):
        settings_here = changed(settings_here, label_seed=seed)
        name, loaded = entry()
        assert name == first
        professions.append(loaded.table["profession"].astype(str).tolist())
        quarantined.append(len(loaded.quarantine))
    assert professions[0] != professions[1] and len(pool.quarantine) == 0 < quarantined[0]
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(tmp_path / "000.png")
    assert entry()[0] != first


# --- other processes --------------------------------------------------------------------------------------------

FILLING = """
import contextlib, json, os, signal, sys
import numpy as np
import torch
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.network.images import ImageInputs
from fairprof.data.pool import load_pool
from fairprof.network.classifier import build_classifier
from fairprof.network.prefix import cached_inputs
from fairprof.runtime.row_store import RowStore

torch.set_num_threads(1)

def fill(settings, dies_in, pool, classifier):
    append, calls = RowStore.append, []
    def dying(store, rows, values):
        append(store, rows, values)
        calls.append(store)
        if len(calls) == dies_in:  # of this batch, all but the last record and a half have been written
            os.truncate(store.path, store.path.stat().st_size - 3 * store.record.itemsize // 2)
            os.kill(os.getpid(), signal.SIGKILL)
    RowStore.append = dying
    drawn = draw(pool, DESIGNS[settings.experiment], settings)
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)
    held_out = np.concatenate((drawn.val, drawn.test))
    inputs = cached_inputs(classifier, images, pool, settings, drawn.train, held_out)
    os.write(1, f"{inputs.cache.computed}\\n".encode())  # at once: others write, too

for line in sys.stdin:
    jobs = [(Settings(**settings), dies_in) for settings, dies_in in json.loads(line)]
    settings = jobs[0][0]
    pool = load_pool(settings, settings.image_size)
    with contextlib.redirect_stdout(sys.stderr):  # it says what it has loaded
        classifier = build_classifier(settings.architecture, settings.weights, settings.finetune, 2, settings.seed)
    children = []
    for job in jobs:
        children.append(os.fork())
        if children[-1] == 0:
            fill(*job, pool, classifier)
            os._exit(0)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(statuses), flush=True)
"""


@pytest.fixture(scope="module")
def fill_at_once():
    """Starts processes at once that fill caches, one for each settings and the batch that kills it (0: none does).
    Returns their exit statuses, and how many outputs those computed that were not killed."""
    with subprocess.Popen(
        [sys.executable, "-c", FILLING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:

        def fill(*jobs: tuple[Settings, int]) -> tuple[list[int], list[int]]:
            print(json.dumps([(settings.model_dump(), dies_in) for settings, dies_in in jobs]), file=starter.stdin)
            starter.stdin.flush()
            survivors = [settings for settings, dies_in in jobs if not dies_in]
            computed = [int(starter.stdout.readline()) for _ in survivors]
            return json.loads(starter.stdout.readline()), computed

        yield fill


@pytest.mark.slow
def test_killed_while_filling_it_goes_on_where_it_stopped(classifier, pool, settings, fill_at_once, tmp_path):
    undisturbed, drawn = prepared(classifier, pool, changed(settings, cache_dir=str(tmp_path / "undisturbed")))
    assert fill_at_once((settings, 3)) == ([-signal.SIGKILL], [])
    wanted, kept = outputs_of(pool, settings), stored_in(Path(settings.cache_dir))
    assert kept < wanted and len(kept) > 0
    data = sum(path.stat().st_size for path in Path(settings.cache_dir).glob("prefix/*/*.records"))
    assert data > len(kept) * (12 + 512 * 2)  # half of one is what it left
    resumed, _ = prepared(classifier, pool, settings)
    assert (resumed.cache.computed, resumed.cache.reused) == (len(wanted) - len(kept), len(kept))
    for epoch in range(2):
        assert_equal_halves(resumed.training(drawn.train, epoch), undisturbed.training(drawn.train, epoch))
    assert_equal_halves(resumed.evaluation(drawn.val), undisturbed.evaluation(drawn.val))
    assert_equal_halves(resumed.evaluation(drawn.test), undisturbed.evaluation(drawn.test))


@pytest.mark.slow
def test_processes_that_want_the_same_at_once_compute_it_once(pool, settings, fill_at_once):
    runs = [changed(settings, seed=seed) for seed in (0, 1, 0)]
    wanted, others = outputs_of(pool, runs[0]), outputs_of(pool, runs[1])
    assert wanted - others and others - wanted and wanted & others  # whoever comes first leaves something to the other
    statuses, computed = fill_at_once(*((run, 0) for run in runs))
    assert statuses == [0, 0, 0]
    assert sum(computed) == len(wanted | others) > max(computed)
    assert stored_in(Path(settings.cache_dir)) == wanted | others


def test_a_run_goes_on_reading_what_another_one_removes_to_make_room(classifier, pool, settings):
    inputs, drawn = prepared(classifier, pool, settings)
    before = inputs.evaluation(drawn.test).clone(), inputs.training(drawn.train, 1).clone()
    cache = Cache(Path(settings.cache_dir), size_limit=2**20, lock_timeout=5.0)
    other = cache.entry("prefix", "other")
    with cache.locked(other, "another entry"):
        cache.make_room(other, 2**20, "another entry")
    assert not inputs.cache.entry.exists()
    assert torch.equal(inputs.evaluation(drawn.test), before[0])
    assert torch.equal(inputs.training(drawn.train, 1), before[1])
    again, _ = prepared(classifier, pool, settings)
    assert again.cache.reused == 0
    assert torch.equal(again.evaluation(drawn.test), before[0])


def test_an_entry_that_is_used_again_is_no_longer_the_least_recently_used(classifier, pool, settings):
    inputs, _ = prepared(classifier, pool, settings)
    entry = inputs.cache.entry
    old = entry.stat().st_mtime - 1000
    os.utime(entry, (old, old))
    prepared(classifier, pool, settings)
    assert entry.stat().st_mtime > old + 900


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_outputs_are_computed_again_and_a_line_says_so(damage, classifier, pool, settings, capfd):
    inputs, drawn = prepared(classifier, pool, settings)
    before = inputs.evaluation(drawn.test).clone(), inputs.training(drawn.train, 1).clone()
    path = inputs.cache.stores[-1].path
    DAMAGES[damage](path)
    capfd.readouterr()
    again, _ = prepared(classifier, pool, settings)
    said = [line for line in capfd.readouterr().out.splitlines() if "the prefix cache in" in line]
    silent = damage in ("cut", "emptied", "longer", "missing")  # as a killed process may leave it
    assert len(said) == (not silent) and all(path.name in line for line in said)
    held_out = len(drawn.val) + len(drawn.test)
    lost = {"longer": 0, "one bit flipped": 1, "cut": held_out - held_out // 2}.get(damage, held_out)
    assert again.cache.computed == lost
    assert_equal_halves(again.evaluation(drawn.test), before[0])
    assert_equal_halves(again.training(drawn.train, 1), before[1])
    assert prepared(classifier, pool, settings)[0].cache.computed == 0
    assert "the prefix cache in" not in capfd.readouterr().out


# --- what comes of it -------------------------------------------------------------------------------------------


def assert_same_predictions(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Probabilities within 2e-3; the same class, unless the two best are that close."""
    columns = [name for name in first if name.startswith("probability_")]
    probabilities = first[columns].to_numpy()
    assert np.abs(probabilities - second[columns].to_numpy()).max() < 2e-3
    best = np.sort(probabilities, axis=1)
    clear = best[:, -1] - best[:, -2] > 2e-3
    assert clear.sum() > 15
    assert first["y_pred"][clear].tolist() == second["y_pred"][clear].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("finetune", ["head", "layer4"])
def test_training_and_predictions_with_and_without_the_cache_agree(finetune, pool, settings, tmp_path):
    histories = []
    for mode in ("auto", "off"):
        run = changed(settings, finetune=finetune, prefix_cache=mode, learning_rate=1e-3)
        classifier = new_classifier(run)
        cached, drawn = prepared(classifier, pool, run)
        assert (cached is None) == (mode == "off")
        images = images_of(pool, run)
        trained = fit(
            Training(run, pool, drawn, classifier, cached or images),
            lambda probabilities: {"macro_f1": 0.0},
            lambda epoch, values: None,
            tmp_path / mode,
        )
        histories.append(pd.DataFrame(trained.history)[["train/loss", "val/loss"]])
        if cached:  # the same weights see the same in the images themselves
            predictions = [predict(classifier, source, pool, drawn.test, run, "") for source in (cached, images)]
            assert_same_predictions(*predictions)
    assert histories[0]["train/loss"].nunique() == 2
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-2)


def maps_of(
    classifier: Classifier, explained: ImageInputs | PrefixInputs, rows: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    return saliency_maps(
        classifier.network, classifier.explained_layer, InputsOfRows(explained, rows), classes, explained.boundary
    )


def test_what_is_explained_of_a_frozen_layer_comes_from_its_cached_outputs(fixed, tmp_path):
    settings = Settings(**fixed | {"image_size": 64}, cache_dir=str(tmp_path))  # layer4 has 2 x 2 places
    pool, classifier = load_pool(settings, settings.image_size), new_classifier(settings)
    # no unit of the head is near the kink of its ReLU, where rounding may switch it on or off
    torch.nn.init.constant_(classifier.network.fc[1].bias, 100.0)
    inputs, drawn = prepared(classifier, pool, settings)
    explained = explained_inputs(classifier, inputs, pool, settings, drawn.test)
    assert str(explained.boundary) == "output of layer4.1"
    assert explained.cache.computed == len(drawn.test)
    classes = np.arange(len(drawn.test)) % 2
    cached = maps_of(classifier, explained, drawn.test, classes)
    plain = maps_of(classifier, inputs.images, drawn.test, classes)
    assert cached.shape == plain.shape == (24, 2, 2)
    assert plain.max() > 0
    np.testing.assert_allclose(cached, plain, rtol=1e-2, atol=1e-2 * plain.max())
    again = explained_inputs(classifier, inputs, pool, settings, drawn.test)
    assert (again.cache.computed, again.cache.reused) == (0, len(drawn.test))
    # where they do not fit, the images are explained
    small = changed(settings, cache_gib=1e-9)
    assert explained_inputs(classifier, inputs, pool, small, drawn.test) is inputs.images


def test_what_is_explained_of_a_layer_that_learns_comes_from_what_enters_the_trainable_part(pool, settings):
    settings = changed(settings, finetune="layer4")
    classifier = new_classifier(settings)
    inputs, drawn = prepared(classifier, pool, settings)
    explained = explained_inputs(classifier, inputs, pool, settings, drawn.test)
    assert explained is inputs
    classes = np.arange(len(drawn.test)) % 2
    cached, plain = (maps_of(classifier, source, drawn.test, classes) for source in (inputs, inputs.images))
    assert plain.max() > 0
    np.testing.assert_allclose(cached, plain, rtol=1e-2, atol=1e-2 * plain.max())


@pytest.mark.parametrize("finetune", ["head", "layer4", "layer3"])
def test_a_layer_deep_in_the_prefix_is_explained_from_its_own_outputs(finetune, fixed, tmp_path):
    """At 64 pixels the layer with 7 x 7 fields lies before what is frozen ends: gradients reach it all the same."""
    settings = Settings(**fixed | {"image_size": 64, "finetune": finetune}, cache_dir=str(tmp_path))
    pool = load_pool(settings, settings.image_size)
    classifier = build_classifier(settings.architecture, settings.weights, finetune, 2, settings.seed, 64)
    torch.nn.init.constant_(classifier.network.fc[1].bias, 100.0)
    inputs, drawn = prepared(classifier, pool, settings)
    explained = explained_inputs(classifier, inputs, pool, settings, drawn.test)
    assert classifier.explained_layer == ExplainedLayer("layer2.1")
    expected = "input of layer3.0" if finetune == "layer3" else "output of layer2.1"
    assert str(explained.boundary) == expected
    classes = np.arange(len(drawn.test)) % 2
    cached, plain = (maps_of(classifier, source, drawn.test, classes) for source in (explained, inputs.images))
    assert cached.shape == (24, 8, 8) and plain.max() > 0
    # rounding may switch single units behind the layer on or off
    assert np.abs(cached - plain).mean() < 5e-2 * plain.mean()


def test_what_is_explained_without_the_cache_are_the_images(classifier, pool, settings):
    images = images_of(pool, settings)
    assert explained_inputs(classifier, images, pool, settings, np.arange(3)) is images
