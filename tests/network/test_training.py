"""Training: the loss and schedule of the study, selection on validation data, and exact resume after a kill."""

import dataclasses
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, Draw, draw
from fairprof.data.pool import Pool, load_pool
from fairprof.network import checkpoints
from fairprof.network.batches import Inputs, TrainingBatch, evaluation_batches
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.images import ImageInputs
from fairprof.network.prefix import cached_inputs
from fairprof.network.records import SELECTION_RULES, Training
from fairprof.network.training import TrainingStep, fit
from fairprof.network.weights import tensors_of, weights_digest
from fairprof.runtime.processes import ALONE
from tests.damages import DAMAGES, flip_bit
from tests.places import ROOT

ROWS_PER_CELL = {"train": 4, "val": 2, "test": 1}  # of 8 cells: 32 training images are 4 batches of 8


@pytest.fixture(scope="module")
def small_settings(tmp_path_factory):
    """Settings for a manifest of noise images, 2 genders x 2 races x 2 professions."""
    folder = tmp_path_factory.mktemp("faces")
    rows = []
    for partition, count in ROWS_PER_CELL.items():
        for gender in ("man", "woman"):
            for race in ("north", "south"):
                for profession in ("baker", "driver"):
                    for _ in range(count):
                        coarse = np.random.default_rng(len(rows)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                        name = f"{len(rows):03}.png"
                        Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(folder / name)
                        rows.append((name, gender, race, profession, partition))
    pd.DataFrame(rows, columns=["image", "gender", "race", "profession", "partition"]).to_csv(
        folder / "faces.csv", index=False
    )
    fixed = {
        "data": f"manifest:{folder / 'faces.csv'}",
        "cache_dir": str(folder / "cache"),
        "architecture": "mobilenet_v2",
        "weights": "random",
        "image_size": 32,
        "batch_size": 8,
        "epochs": 3,
        "accelerator": "cpu",
    }
    return lambda **values: Settings(**{**fixed, **values})


@pytest.fixture(scope="module")
def pool(small_settings) -> Pool:
    settings = small_settings()
    return load_pool(settings, settings.image_size)


@pytest.fixture(scope="module")
def drawn(pool, small_settings) -> Draw:
    return draw(pool, DESIGNS["A"], small_settings())


def new_classifier(settings: Settings) -> Classifier:
    return build_classifier(settings.architecture, settings.weights, settings.finetune, 2, settings.seed)


def images_of(pool: Pool, settings: Settings) -> ImageInputs:
    return ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)


def new_step(settings: Settings, pool: Pool, drawn: Draw) -> TrainingStep:
    """A step that trains on images, with nobody around it."""
    images = images_of(pool, settings)
    return TrainingStep(
        Training(settings, pool, drawn, new_classifier(settings), images), ALONE, lambda rows, probabilities: {}
    )


@pytest.fixture(scope="module")
def lived_weights(small_settings, pool, drawn, tmp_path_factory) -> str:
    """A file of random weights whose batch norm has seen images: what leaves every block is neither large nor small."""
    network = new_classifier(small_settings(finetune="all")).network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(images_of(pool, small_settings()).evaluation(drawn.train))
    path = tmp_path_factory.mktemp("weights") / "lived.pth"
    torch.save(network.state_dict(), path)
    return str(path)


class Watched:
    """One training, and what was seen from outside while it ran."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        drawn: Draw,
        folder: Path,
        scripted: dict | None = None,
        cached: bool = False,
    ):
        self.classifier = new_classifier(settings)
        inputs: Inputs = images_of(pool, settings)
        if cached:
            inputs = cached_inputs(self.classifier, inputs, pool, settings, drawn.train, drawn.val)
        self.scripted = scripted or {}
        self.digests: list[str] = []
        self.reports: list[tuple[int, dict[str, float]]] = []
        self.trained = fit(Training(settings, pool, drawn, self.classifier, inputs), self.measure, self.report, folder)
        self.digest = weights_digest(self.classifier.network)

    def measure(self, probabilities: np.ndarray) -> dict[str, float]:
        self.digests.append(weights_digest(self.classifier.network))
        values = {"macro_f1": 0.5, "confidence": float(probabilities.max(axis=1).mean())}
        return values | {name: series[len(self.digests) - 1] for name, series in self.scripted.items()}

    def report(self, epoch: int, values: dict[str, float]) -> None:
        self.reports.append((epoch, dict(values)))


@pytest.fixture(scope="module")
def plain(small_settings, pool, drawn, tmp_path_factory) -> Watched:
    """A training of three epochs that nothing disturbed."""
    return Watched(small_settings(), pool, drawn, tmp_path_factory.mktemp("plain") / "training")


def numpy_loss(logits: np.ndarray, classes: np.ndarray, weights: np.ndarray, smoothing: float) -> float:
    """Weighted cross-entropy with label smoothing, as PyTorch defines it: the hard part is averaged by the weights
    of the true classes, the smoothed part is a sum over all classes by their weights."""
    logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    total = weights[classes].sum()
    hard = -(weights[classes] * logarithms[np.arange(len(classes)), classes]).sum() / total
    smooth = -(weights * logarithms).sum() / total
    return float((1 - smoothing) * hard + smoothing / logits.shape[1] * smooth)


def validation_loss(
    watched: Watched, pool: Pool, drawn: Draw, settings: Settings, weights: np.ndarray, smoothing: float
) -> float:
    """The loss on validation data of the network that a training left."""
    logits, classes = [], []
    with torch.inference_mode():
        for images, labels, _ in evaluation_batches(pool, drawn.val, images_of(pool, settings), settings):
            logits.append(watched.classifier.network(images).double().numpy())
            classes.append(labels.numpy())
    return numpy_loss(np.concatenate(logits), np.concatenate(classes), weights, smoothing)


# --- schedule ---------------------------------------------------------------------------------------------------


def one_cycle(step: int, steps: int, peak: float, warmup: float) -> float:
    """Smith 2018 as in the study: a cosine from peak/25 up to the peak, and a cosine down to peak/250000."""
    start, end, top = peak / 25, peak / 25 / 1e4, warmup * steps - 1
    if step <= top:
        return peak + (start - peak) * (1 + math.cos(math.pi * step / top)) / 2
    return end + (peak - end) * (1 + math.cos(math.pi * (step - top) / (steps - 1 - top))) / 2


@pytest.fixture
def rates_by_step(monkeypatch) -> list[list[float]]:
    """The learning rates of the optimiser's groups at every training step, noted while it runs."""
    rates: list[list[float]] = []
    training_step = TrainingStep.training_step

    def noting(self, batch, batch_index):
        rates.append([group["lr"] for group in self.optimizers().param_groups])
        return training_step(self, batch, batch_index)

    monkeypatch.setattr(TrainingStep, "training_step", noting)
    return rates


def test_learning_rate_of_every_step_is_one_cycle(small_settings, pool, drawn, rates_by_step, tmp_path):
    settings = small_settings(learning_rate=2e-3, backbone_learning_rate_ratio=0.25)
    trained = Watched(settings, pool, drawn, tmp_path).trained
    expected = [[one_cycle(step, 12, peak, 0.3) for peak in (5e-4, 2e-3)] for step in range(12)]
    np.testing.assert_allclose(rates_by_step, expected, rtol=1e-9)
    assert max(head for _, head in rates_by_step) == pytest.approx(2e-3, rel=0.01)  # the peak is reached
    # the value logged for an epoch is the head's, after its last step
    logged = [values["learning_rate"] for values in trained.history]
    np.testing.assert_allclose(logged[:2], [one_cycle(step, 12, 2e-3, 0.3) for step in (4, 8)], rtol=1e-9)


def test_head_alone_has_one_group_at_the_full_learning_rate(small_settings, pool, drawn, rates_by_step, tmp_path):
    Watched(small_settings(finetune="head", epochs=1, warmup_fraction=0.5, learning_rate=1e-3), pool, drawn, tmp_path)
    expected = [[one_cycle(step, 4, 1e-3, 0.5)] for step in range(4)]
    np.testing.assert_allclose(rates_by_step, expected, rtol=1e-9)


# --- loss -------------------------------------------------------------------------------------------------------


def batch_of(inputs: torch.Tensor, classes: list[int], partners: list[int] | None = None, share: float = 1.0):
    """A batch of a single process."""
    own = torch.arange(len(inputs))
    partners = own if partners is None else torch.tensor(partners)
    groups, weights = torch.zeros(len(inputs), dtype=torch.int64), torch.ones(len(inputs))
    return TrainingBatch(inputs, torch.tensor(classes), groups, weights, own, partners, share, 0, len(inputs))


def loss_of_logits(step: TrainingStep, logits: np.ndarray, *of_batch) -> float:
    """The loss of a training step whose network gives back what enters it."""
    step.network = torch.nn.Identity()
    step.on_fit_start()
    return step.training_step(batch_of(torch.tensor(logits, dtype=torch.float32), *of_batch), 0).item()


def what_enters(step: TrainingStep) -> list[torch.Tensor]:
    """A list in which everything is noted that enters the step's network from now on."""
    seen, forward = [], step.network.forward

    def noting(entering: torch.Tensor) -> torch.Tensor:
        seen.append(entering.clone())
        return forward(entering)

    step.network.forward = noting
    step.on_fit_start()
    return seen


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_loss_is_weighted_cross_entropy_with_label_smoothing(smoothing, small_settings, pool, drawn):
    bakers = drawn.train[(pool.table["profession"].iloc[drawn.train] == "baker").to_numpy()]
    uneven = dataclasses.replace(drawn, train=np.concatenate([drawn.train, bakers[:8]]))  # 24 bakers, 16 drivers
    step = new_step(small_settings(label_smoothing=smoothing), pool, uneven)
    logits, classes = np.array([[2.0, -1.0], [0.5, 0.25], [-3.0, 1.0]]), [0, 1, 0]
    expected = numpy_loss(logits, np.array(classes), np.array([40 / 48, 40 / 32]), smoothing)
    assert loss_of_logits(step, logits, classes) == pytest.approx(expected)


def test_loss_without_smoothing_by_hand(small_settings, pool, drawn):
    step = new_step(small_settings(label_smoothing=0.0), pool, drawn)
    # classes are balanced; softmax gives the true classes 3/4 and 1/4
    logits = np.array([[math.log(3), 0.0], [math.log(3), 0.0]])
    expected = (math.log(4 / 3) + math.log(4)) / 2
    assert loss_of_logits(step, logits, [0, 1]) == pytest.approx(expected, rel=1e-6)


def test_mixed_loss_by_hand(small_settings, pool, drawn):
    """The loss of mixed images is share x loss(own classes) + (1 - share) x loss(partners' classes)."""
    step = new_step(small_settings(label_smoothing=0.0), pool, drawn)
    # a quarter of its own and three quarters of its partner: (0, log 3), the softmax of which is 1/4 and 3/4, and
    # (0, -log 3), whose is 3/4 and 1/4
    logits = np.array([[0.0, -2 * math.log(3)], [0.0, 2 * math.log(3)]])
    own = (math.log(4) + math.log(4)) / 2  # the first is of class 0, the second of class 1
    partners = (math.log(4 / 3) + math.log(4 / 3)) / 2
    expected = own / 4 + 3 * partners / 4
    assert loss_of_logits(step, logits, [0, 1], [1, 0], 0.25) == pytest.approx(expected, rel=1e-6)


def test_mixed_loss_weighs_own_and_partners_classes_each_by_their_frequency(small_settings, pool, drawn):
    bakers = drawn.train[(pool.table["profession"].iloc[drawn.train] == "baker").to_numpy()]
    uneven = dataclasses.replace(drawn, train=np.concatenate([drawn.train, bakers[:8]]))
    step = new_step(small_settings(label_smoothing=0.1), pool, uneven)
    logits, classes, partners = np.array([[2.0, -1.0], [0.5, 0.25], [-3.0, 1.0]]), np.array([0, 1, 0]), [2, 0, 0]
    mixed, weights = 0.7 * logits + 0.3 * logits[partners], np.array([40 / 48, 40 / 32])
    expected = 0.7 * numpy_loss(mixed, classes, weights, 0.1)
    expected += 0.3 * numpy_loss(mixed, classes[partners], weights, 0.1)
    assert loss_of_logits(step, logits, classes.tolist(), partners, 0.7) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize(
    ("finetune", "cached"), [("layer2", False), ("layer4", False), ("layer4", True), ("head", False), ("head", True)]
)
def test_what_enters_the_trainable_part_is_mixed(share, finetune, cached, small_settings, pool, drawn, lived_weights):
    """Whether that is images, what the prefix makes of them now, or what it made of them once. The batch is one of a
    second process: of five images that are loaded, its own are the last two."""
    settings = small_settings(finetune=finetune, augmented_views=1, weights=lived_weights)
    step = new_step(settings, pool, drawn)
    prefix, images = step.classifier.prefix, step.inputs.training(drawn.train[:5], 0)
    if cached:
        step.inputs = cached_inputs(step.classifier, step.inputs, pool, settings, drawn.train, drawn.val)
    seen = what_enters(step)
    own, partners = torch.tensor([3, 4]), torch.tensor([4, 1] if share < 1 else [3, 4])
    classes, groups = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 1, 1, 0]])
    entered = step.inputs.training(drawn.train[:5], 0)
    batch = TrainingBatch(entered, classes, groups, torch.ones(5), own, partners, share, 3, 6)
    loss = step.training_step(batch, 0)
    with torch.no_grad():
        entering = prefix(images) if prefix else images
    expected = share * entering[own] + (1 - share) * entering[partners]
    assert seen[0].dtype == torch.float32 and not seen[0].requires_grad
    rounding = float(entering.abs().max()) * 2**-10 if cached else 1e-6  # the cache keeps half precision
    torch.testing.assert_close(seen[0], expected, atol=rounding, rtol=1e-5)
    loss.backward()  # reaches what is trained, and nothing before it
    reached = {name for name, value in step.classifier.network.named_parameters() if value.grad is not None}
    assert reached == {name for name, value in step.classifier.network.named_parameters() if value.requires_grad}


def test_prefix_is_computed_in_evaluation_mode(small_settings, pool, drawn):
    step = new_step(small_settings(finetune="head", augmented_views=1), pool, drawn)
    images = step.inputs.training(drawn.train[:4], 0)
    expected = step.classifier.prefix(images)
    before = {name: value.clone() for name, value in step.classifier.prefix.state_dict().items()}
    seen = what_enters(step)
    step.classifier.network.train()
    step.training_step(batch_of(images, [0, 1, 0, 1]), 0)
    torch.testing.assert_close(seen[0], expected.detach())
    assert all(torch.equal(value, before[name]) for name, value in step.classifier.prefix.state_dict().items())


# --- selection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "better", "worse"), [("val_loss", 0.3, 0.4), ("val_macro_f1", 0.4, 0.3), ("val_worst_group", 0.4, 0.3)]
)
def test_selection_rule_knows_its_direction(name, better, worse):
    rule = SELECTION_RULES[name]
    assert rule.better(better, worse) and not rule.better(worse, better) and not rule.better(worse, worse)


def test_best_epoch_has_the_smallest_validation_loss_and_its_weights_are_left(plain, small_settings, pool, drawn):
    losses = [values["val/loss"] for values in plain.trained.history]
    assert plain.trained.best_epoch == 1 + losses.index(min(losses))
    assert len(set(plain.digests)) == 3
    assert plain.digest == plain.digests[plain.trained.best_epoch - 1]
    loss = validation_loss(plain, pool, drawn, small_settings(), np.ones(2), 0.1)
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert not plain.classifier.network.training


def test_last_weights_are_those_of_the_last_epoch(small_settings, plain):
    classifier = new_classifier(small_settings())
    classifier.network.load_state_dict(tensors_of(plain.trained.last_weights))
    assert weights_digest(classifier.network) == plain.digests[-1]


@pytest.mark.parametrize("finetune", ["head", "layer4"])
def test_last_weights_are_those_of_the_whole_network_where_only_a_part_is_trained(
    finetune, small_settings, pool, drawn, tmp_path
):
    settings = small_settings(finetune=finetune, selection="val_macro_f1", epochs=2)
    watched = Watched(settings, pool, drawn, tmp_path, {"macro_f1": [0.6, 0.5]})
    assert watched.digest == watched.digests[0] != watched.digests[1]  # the first epoch is the better one
    classifier = new_classifier(small_settings(finetune="layer2", seed=1))
    classifier.network.load_state_dict(tensors_of(watched.trained.last_weights))
    assert weights_digest(classifier.network) == watched.digests[1]


def test_history_holds_what_was_measured_under_its_prefix(plain):
    for values in plain.trained.history:
        assert set(values) == {"train/loss", "val/loss", "val/macro_f1", "val/confidence", "learning_rate"}
        assert all(math.isfinite(value) for value in values.values())
        assert 0.5 <= values["val/confidence"] <= 1


@pytest.mark.parametrize(
    ("selection", "metric"), [("val_macro_f1", "macro_f1"), ("val_worst_group", "worst_group_accuracy/gender_x_race")]
)
def test_training_stops_without_improvement_and_keeps_the_best(
    selection, metric, small_settings, pool, drawn, tmp_path
):
    series = [0.3, 0.5, 0.4, 0.5, 0.45, 0.9]  # epochs 3 and 4 do not beat epoch 2; 5 and 6 must not happen
    settings = small_settings(selection=selection, patience=2, epochs=6, finetune="layer4")
    watched = Watched(settings, pool, drawn, tmp_path, {metric: series})
    assert [values[f"val/{metric}"] for values in watched.trained.history] == series[:4]
    assert watched.trained.best_epoch == 2
    assert watched.digest == watched.digests[1]


def test_training_stops_when_the_validation_loss_no_longer_falls(small_settings, pool, drawn, tmp_path):
    settings = small_settings(patience=1, epochs=12, learning_rate=0.02, backbone_learning_rate_ratio=1.0)
    trained = Watched(settings, pool, drawn, tmp_path).trained
    losses = [values["val/loss"] for values in trained.history]
    assert 2 <= len(losses) < 12
    assert losses[-1] >= min(losses[:-1])  # the last one did not improve
    assert all(later < min(losses[: place + 1]) for place, later in enumerate(losses[1:-1]))  # all before it did
    assert trained.best_epoch == len(losses) - 1


def test_best_epoch_is_the_one_whose_weights_are_left_even_where_values_differ_by_rounding(
    small_settings, pool, drawn, tmp_path
):
    """The same score, summed in another order, may differ in its last bit; that is no improvement, or it is one."""
    series = [1 / 3, np.nextafter(1 / 3, 1.0), 0.2]
    settings = small_settings(selection="val_macro_f1", finetune="head")
    watched = Watched(settings, pool, drawn, tmp_path, {"macro_f1": series})
    assert watched.digest == watched.digests[watched.trained.best_epoch - 1]


# --- reproducibility --------------------------------------------------------------------------------------------


def test_equal_settings_give_identical_weights_and_values(small_settings, pool, drawn, plain, tmp_path):
    torch.manual_seed(12345)  # what the process did before must not matter
    np.random.seed(54321)
    again = Watched(small_settings(), pool, drawn, tmp_path)
    assert again.digests == plain.digests
    assert again.trained.history == plain.trained.history


@pytest.mark.slow
def test_worker_processes_change_nothing(small_settings, pool, drawn, plain, tmp_path):
    parallel = Watched(small_settings(workers=2), pool, drawn, tmp_path)
    assert parallel.digests == plain.digests
    assert parallel.trained.history == plain.trained.history


def test_another_seed_gives_other_weights(small_settings, pool, drawn, plain, tmp_path):
    other = Watched(small_settings(seed=1, epochs=1), pool, drawn, tmp_path)
    assert other.digests[0] != plain.digests[0]


def test_another_order_alone_gives_other_weights(small_settings, pool, drawn, tmp_path):
    """Seeds enter the training beside the initialisation: from equal weights, two seeds part."""
    start = new_classifier(small_settings()).network.state_dict()
    ends = []
    for seed in (0, 1):
        classifier = new_classifier(small_settings())
        classifier.network.load_state_dict(start)
        settings = small_settings(seed=seed, epochs=1)
        measure, report = lambda probabilities: {"macro_f1": 0.5}, lambda epoch, values: None
        fit(
            Training(settings, pool, drawn, classifier, images_of(pool, settings)),
            measure,
            report,
            tmp_path / str(seed),
        )
        ends.append(weights_digest(classifier.network))
    assert ends[0] != ends[1]


HEAD = {f"classifier.1.{layer}.{kind}" for layer in (1, 4) for kind in ("weight", "bias")}


def changed_by_training(settings: Settings, pool: Pool, drawn: Draw, folder: Path, cached: bool) -> set[str]:
    """Names of the tensors that a training leaves other than they were, in a single bit."""
    before = new_classifier(settings).network.state_dict()
    after = Watched(settings, pool, drawn, folder, cached=cached).classifier.network.state_dict()
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("cached", [False, True])
def test_training_the_head_alone_leaves_the_backbone_bit_identical(cached, small_settings, pool, drawn, tmp_path):
    settings = small_settings(finetune="head", epochs=1)
    assert changed_by_training(settings, pool, drawn, tmp_path, cached) == HEAD


@pytest.mark.parametrize("cached", [False, True])
def test_training_the_last_stage_leaves_all_below_it_bit_identical(cached, small_settings, pool, drawn, tmp_path):
    settings = small_settings(finetune="layer4", epochs=1)
    names = new_classifier(settings).network.state_dict()
    changed = changed_by_training(settings, pool, drawn, tmp_path, cached)
    # 32 images of 224 pixels begin with features.14; running statistics move as well
    last_stage = {name for name in names if name.startswith(tuple(f"features.{number}." for number in range(14, 19)))}
    assert changed == HEAD | last_stage


def test_frozen_stages_stay_bit_identical_and_the_others_do_not(small_settings, pool, drawn, plain):
    before = new_classifier(small_settings()).network.state_dict()
    frozen = {name for name in before if name.startswith(tuple(f"features.{number}." for number in range(4)))}
    unchanged = {
        name for name, value in plain.classifier.network.state_dict().items() if torch.equal(value, before[name])
    }
    assert frozen and unchanged == frozen


@pytest.mark.slow
@pytest.mark.parametrize("finetune", ["head", "layer4"])
@pytest.mark.parametrize("cached", [False, True])
def test_a_part_of_the_network_learns_a_few_images_by_heart(
    finetune, cached, small_settings, pool, drawn, lived_weights, tmp_path
):
    by_heart = {"augmented_views": 1, "mixup_alpha": 0.0, "label_smoothing": 0.0, "epochs": 20, "patience": 20}
    settings = small_settings(finetune=finetune, weights=lived_weights, batch_size=16, **by_heart)
    losses = [
        values["train/loss"] for values in Watched(settings, pool, drawn, tmp_path, cached=cached).trained.history
    ]
    assert losses[0] > 0.6
    assert np.mean(losses[-5:]) < 0.15


def test_training_on_cached_outputs_is_training_on_images_but_for_rounding(
    small_settings, pool, drawn, lived_weights, tmp_path
):
    settings = small_settings(finetune="head", augmented_views=2, weights=lived_weights)
    images, outputs = (
        Watched(settings, pool, drawn, tmp_path / str(cached), cached=cached).trained.history
        for cached in (False, True)
    )
    assert len(images) == len(outputs) == 3
    for values, others in zip(images, outputs, strict=True):
        assert values != others  # half precision
        assert values == pytest.approx(others, rel=0.02)


with_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")


@pytest.mark.slow
@with_compiler
def test_compiled_step_has_the_same_loss_and_gradients_but_for_rounding(small_settings, pool, drawn, lived_weights):
    """Without dropout, of which a compiled network draws other masks."""
    outcomes = []
    for compiled in (False, True):
        settings = small_settings(finetune="head", weights=lived_weights, augmented_views=1, compile=compiled)
        step = new_step(settings, pool, drawn)
        step.on_fit_start()
        loss = step.training_step(batch_of(step.inputs.training(drawn.train[:6], 0), [0, 1, 0, 1, 1, 0]), 0)
        loss.backward()
        outcomes.append([loss.detach(), *(value.grad for value in step.network.parameters())])
    plain, compiled = outcomes
    assert len(plain) == len(compiled) == 5  # the loss, and weights and biases of two layers
    for value, other in zip(plain, compiled, strict=True):
        torch.testing.assert_close(other, value, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
@with_compiler
def test_compiled_trainings_are_reproducible(small_settings, pool, drawn, lived_weights, tmp_path):
    settings = small_settings(finetune="head", epochs=2, weights=lived_weights, compile=True)
    first, again = (Watched(settings, pool, drawn, tmp_path / name) for name in ("first", "again"))
    assert first.digests == again.digests and first.trained.history == again.trained.history
    assert first.trained.last_weights.keys() == first.classifier.network.state_dict().keys()


@pytest.mark.parametrize("finetune", ["head", "layer4", "layer2"])
def test_checkpoints_hold_the_trainable_part_alone(finetune, small_settings, pool, drawn, tmp_path):
    classifier = Watched(small_settings(finetune=finetune, epochs=1), pool, drawn, tmp_path).classifier
    trained = {f"network.{name}" for name in classifier.trainable.state_dict()}
    assert len(trained) < len(classifier.network.state_dict()) or finetune == "layer2"
    for name in ("resume.ckpt", "best.ckpt"):
        assert checkpoints.read(tmp_path / name)["state_dict"].keys() == trained


# --- reports ----------------------------------------------------------------------------------------------------


def test_every_epoch_is_reported_once_and_in_order(plain):
    assert plain.reports == list(enumerate(plain.trained.history, start=1))
    assert len(plain.reports) == 3


# --- resume -----------------------------------------------------------------------------------------------------

# Runs a training that kills itself; one process per kill, forked so that libraries are imported only once.
KILLED_TRAININGS = """
import json, os, signal, sys
from pathlib import Path
import lightning, torch
from fairprof.network import training
from fairprof.network.records import Training
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.network.images import ImageInputs
from fairprof.data.pool import load_pool
from fairprof.network.classifier import build_classifier

def kill_at_call(owner, name, number, before):
    original, calls = getattr(owner, name), []
    def wrapper(*arguments, **named):
        calls.append(name)
        if len(calls) == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, wrapper)

OWNERS = {"step": training.TrainingStep, "trainer": lightning.Trainer, "training": training}

def train(case):
    torch.set_num_threads(1)
    settings = Settings(**case["settings"])
    pool = load_pool(settings, settings.image_size)
    drawn = draw(pool, DESIGNS["A"], settings)
    classifier = build_classifier(settings.architecture, settings.weights, settings.finetune, 2, settings.seed)
    kill_at_call(OWNERS[case["owner"]], case["call"], case["number"], case["before"])
    series = iter(case["macro_f1"])
    def measure(probabilities):
        return {"macro_f1": next(series), "confidence": float(probabilities.max(axis=1).mean())}
    images = ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)
    prepared = Training(settings, pool, drawn, classifier, images)
    training.fit(prepared, measure, lambda epoch, values: None, Path(case["folder"]))

for case in json.loads(Path(sys.argv[1]).read_text()):
    child = os.fork()
    if child == 0:
        train(case)
        os._exit(0)
    print(case["name"], os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
SERIES = [0.3, 0.6, 0.5, 0.4, 0.7, 0.8]  # with patience 2, training stops after the fourth epoch; the second is best
KILLS = {
    # when the process dies: the call, the how-manieth, before or after it is done; epochs in the checkpoint then
    "in the first epoch": ("step", "training_step", 3, "after", 0),
    "in the middle of the second epoch": ("step", "training_step", 6, "after", 1),
    "during validation": ("step", "validation_step", 2, "after", 1),
    "between the two checkpoints of an epoch": ("trainer", "save_checkpoint", 3, "after", 1),
    "in the last epoch": ("step", "training_step", 15, "after", 3),
    "before the last checkpoint": ("step", "on_save_checkpoint", 6, "before", 3),
    "at the end of training": ("trainer", "fit", 1, "after", 4),
    "before the weights are read": ("training", "_network_weights", 1, "before", 4),
}


@pytest.fixture(scope="module")
def stopping(small_settings) -> Settings:
    return small_settings(selection="val_macro_f1", patience=2, epochs=6)


@pytest.fixture(scope="module")
def stopped(stopping, pool, drawn, tmp_path_factory) -> Watched:
    """A training that stopped early and that nothing disturbed."""
    return Watched(stopping, pool, drawn, tmp_path_factory.mktemp("stopped"), {"macro_f1": SERIES})


@pytest.fixture(scope="module")
def killed(small_settings, stopping, pool, tmp_path_factory) -> Path:
    """A folder with that of a killed training for every entry of KILLS, of one with worker processes, of one of the
    head alone, and of one that does not stop early."""
    folder = tmp_path_factory.mktemp("killed")
    kills = {name: (*kill, stopping, SERIES) for name, kill in KILLS.items()}
    parallel = Settings(**stopping.model_dump() | {"workers": 2})
    kills["with workers"] = (*KILLS["in the middle of the second epoch"], parallel, SERIES)
    head = Settings(**stopping.model_dump() | {"finetune": "head"})
    kills["with the head alone"] = (*KILLS["in the middle of the second epoch"], head, SERIES)
    kills["after all epochs"] = (*KILLS["at the end of training"], small_settings(), [0.5] * 3)
    cases = [
        {
            "name": name.replace(" ", "-"),
            "folder": str(folder / name),
            "settings": settings.model_dump(),
            "owner": owner,
            "call": call,
            "number": number,
            "before": moment == "before",
            "macro_f1": series,
        }
        for name, (owner, call, number, moment, _, settings, series) in kills.items()
    ]
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "trainings.py").write_text(KILLED_TRAININGS)
    process = subprocess.run(
        [sys.executable, str(folder / "trainings.py"), str(folder / "cases.json")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    # what the trainings themselves say, such as that a random backbone stays random, is no status
    lines = [line for line in process.stdout.splitlines() if not line.startswith("fairprof: ")]
    statuses = dict(line.split() for line in lines)
    assert statuses == {case["name"]: str(-signal.SIGKILL) for case in cases}, process.stderr[-3000:]
    return folder


def epochs_in(folder: Path) -> int:
    """How many epochs the checkpoint of a killed training holds."""
    checkpoint = folder / "resume.ckpt"
    return checkpoints.read(checkpoint)["epoch"] + 1 if checkpoint.exists() else 0


def assert_equal_trainings(resumed: Watched, reference: Watched, epochs: int) -> None:
    """Bit for bit, and the epochs that were over were not trained again."""
    assert resumed.trained.history == reference.trained.history
    assert resumed.digests == reference.digests[epochs:]
    assert resumed.trained.best_epoch == reference.trained.best_epoch
    assert resumed.digest == reference.digest
    last = reference.trained.last_weights
    assert resumed.trained.last_weights.keys() == last.keys()
    assert all(np.array_equal(value, last[name]) for name, value in resumed.trained.last_weights.items())
    assert resumed.reports == list(enumerate(reference.trained.history, start=1))


@pytest.mark.slow
@pytest.mark.parametrize("kill", KILLS)
def test_killed_training_goes_on_as_if_nothing_had_happened(kill, killed, stopped, stopping, pool, drawn):
    epochs = KILLS[kill][-1]
    assert epochs_in(killed / kill) == epochs
    assert len(stopped.trained.history) == 4 and stopped.trained.best_epoch == 2
    resumed = Watched(stopping, pool, drawn, killed / kill, {"macro_f1": SERIES[epochs:]})
    assert_equal_trainings(resumed, stopped, epochs)


@pytest.mark.slow
def test_training_killed_after_all_its_epochs_is_not_repeated(killed, plain, small_settings, pool, drawn):
    assert epochs_in(killed / "after all epochs") == 3
    resumed = Watched(small_settings(), pool, drawn, killed / "after all epochs")
    assert_equal_trainings(resumed, plain, 3)


def test_training_that_has_ended_is_read_again_and_not_repeated(small_settings, pool, drawn, tmp_path):
    settings = small_settings(finetune="head", epochs=2)
    first = Watched(settings, pool, drawn, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = Watched(settings, pool, drawn, tmp_path)
    assert_equal_trainings(again, first, 2)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


@pytest.mark.slow
def test_killed_training_with_worker_processes_goes_on_as_well(killed, stopped, stopping, pool, drawn):
    assert epochs_in(killed / "with workers") == 1
    parallel = Settings(**stopping.model_dump() | {"workers": 2})
    resumed = Watched(parallel, pool, drawn, killed / "with workers", {"macro_f1": SERIES[1:]})
    assert_equal_trainings(resumed, stopped, 1)


@pytest.mark.slow
def test_killed_training_of_the_head_alone_goes_on_as_well(killed, stopping, pool, drawn, tmp_path):
    """Its images go through the frozen part in every step; four views of each are taken in turn."""
    assert epochs_in(killed / "with the head alone") == 1
    head = Settings(**stopping.model_dump() | {"finetune": "head"})
    undisturbed = Watched(head, pool, drawn, tmp_path, {"macro_f1": SERIES})
    resumed = Watched(head, pool, drawn, killed / "with the head alone", {"macro_f1": SERIES[1:]})
    assert len(undisturbed.trained.history) == 4
    assert_equal_trainings(resumed, undisturbed, 1)


@pytest.fixture(scope="module")
def ended(small_settings, pool, drawn, tmp_path_factory) -> tuple[Watched, Path]:
    """A training of the head alone that has ended, and its folder, to be copied."""
    folder = tmp_path_factory.mktemp("ended") / "training"
    return Watched(small_settings(finetune="head", epochs=2), pool, drawn, folder), folder


@pytest.mark.parametrize("name", ["resume.ckpt", "best.ckpt"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_never_read_and_a_line_says_that_training_begins_anew(
    name, damage, ended, tmp_path, capfd
):
    folder = shutil.copytree(ended[1], tmp_path / "training")
    assert checkpoints.can_resume(folder) and capfd.readouterr().out == ""
    DAMAGES[damage](folder / name)
    assert not checkpoints.can_resume(folder)
    said = capfd.readouterr().out
    if (name, damage) == ("resume.ckpt", "missing"):  # as after a kill in the first epoch
        assert said == ""
    else:
        line = f"fairprof: the checkpoint of this training in {folder} is damaged ({name}: "
        assert said.startswith(line) and said.endswith("begins anew\n") and said.count("\n") == 1
    assert list(folder.glob("*.ckpt")) == []
    assert not checkpoints.can_resume(folder) and capfd.readouterr().out == ""


@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.6, 0.999])
def test_a_bit_that_flips_anywhere_in_a_checkpoint_is_found(part, ended, tmp_path):
    path = Path(shutil.copy(ended[1] / "resume.ckpt", tmp_path))
    flip_bit(path, int(part * path.stat().st_size))
    with pytest.raises(checkpoints.DamagedCheckpoint, match=r"^resume.ckpt: not as it was written$"):
        checkpoints.read(path)


def test_a_checkpoint_of_another_version_or_with_code_in_it_is_not_read(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(checkpoints, "LAYOUT", "fairprof checkpoint 0, torch 2.0, lightning 2.0")
    checkpoints.write({"epoch": 1}, tmp_path / "resume.ckpt")
    monkeypatch.undo()
    with pytest.raises(checkpoints.DamagedCheckpoint, match=r"^resume.ckpt: of another version$"):
        checkpoints.read(tmp_path / "resume.ckpt")
    torch.save({"epoch": 1}, tmp_path / "resume.ckpt")  # as they were before they had checksums
    assert not checkpoints.can_resume(tmp_path) and "begins anew" in capfd.readouterr().out
    checkpoints.write({"epoch": Path("an object")}, tmp_path / "resume.ckpt")
    with pytest.raises(pickle.UnpicklingError, match="pathlib"):
        checkpoints.read(tmp_path / "resume.ckpt")


@pytest.mark.parametrize("name", ["resume.ckpt", "best.ckpt"])
def test_training_from_a_damaged_checkpoint_ends_with_the_same_numbers(
    name, ended, small_settings, pool, drawn, tmp_path
):
    folder = shutil.copytree(ended[1], tmp_path / "training")
    flip_bit(folder / name, -1000)
    assert_equal_trainings(Watched(small_settings(finetune="head", epochs=2), pool, drawn, folder), ended[0], 0)
    assert not list(folder.glob("*.unfinished"))


def test_a_training_that_diverges_says_so_and_names_the_learning_rate(small_settings, pool, drawn, tmp_path, refused):
    settings = small_settings(epochs=2, learning_rate=1.0, backbone_learning_rate_ratio=1.0)
    classifier = new_classifier(settings)
    torch.nn.init.constant_(classifier.network.get_submodule(classifier.head)[-1].bias, float("inf"))
    with refused("training diverged in epoch 1", "lower learning_rate=1"):
        images = images_of(pool, settings)
        fit(Training(settings, pool, drawn, classifier, images), lambda *_: {}, lambda *_: None, tmp_path)
