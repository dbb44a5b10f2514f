"""Trainings with a method: where it changes nothing they are those without it, to the last bit, and they go on after a
kill; what several selection rules choose comes from one training."""

import math
from dataclasses import replace

import pytest
import torch

from fairprof.commands.train import fitting
from fairprof.commands.train.fitting import by_selection, fitted
from fairprof.commands.train.run import prepared, with_cached_prefix
from fairprof.config import MITIGATED, Settings
from fairprof.data.pool import load_pool
from fairprof.mitigation.methods import METHODS
from fairprof.network.predictions import predict
from fairprof.network.records import SELECTION_RULES, Trained, digest_of
from fairprof.runtime.processes import ALONE

# even sizes of all cells in design A, and MixUp in most batches
TINY = {
    "architecture": "resnet18",
    "weights": "random",
    "finetune": "head",
    "image_size": 32,
    "epochs": 2,
    "train_size": 168,
    "batch_size": 16,
    "mixup_probability": 0.7,
    "accelerator": "cpu",
}
UNCHANGED = {
    "resample": "resample.power=0",
    "reweight": "reweight.power=0",
    "group_dro": "group_dro.eta=0",
    "cvar_dro": "cvar_dro.alpha=1",
    "jtt": "jtt.weight=1",
    "gap_penalty_dp": "gap_penalty_dp.weight=0",
    "gap_penalty_eo": "gap_penalty_eo.weight=0",
    "lisa": "lisa.probability=0",
    "strong_augmentation": "strong_augmentation.probability=0",
}
TRAINED = tuple(name for name, method in METHODS.items() if not method.refits and name != "none")


@pytest.fixture(scope="module")
def settings_of(synthetic_cache):
    return lambda **values: Settings(**TINY | {"cache_dir": str(synthetic_cache)} | values)


@pytest.fixture(scope="module")
def pool(settings_of):
    return load_pool(settings_of(), 32)


@pytest.fixture(scope="module")
def train(settings_of, pool, tmp_path_factory):
    """Trains with these settings; equal ones train once."""
    done: dict[tuple, Trained] = {}

    def trained(folder=None, report=lambda *_: None, **values) -> Trained:
        key = tuple(sorted(values.items()))
        if folder is not None or key not in done:
            training = with_cached_prefix(prepared(settings_of(**values), pool))
            done[key] = fitted(training, report, folder or tmp_path_factory.mktemp("training"))
        return done[key]

    return trained


def same(trained: Trained, other: Trained) -> bool:
    """Whether weights and what every training has measured are the same to the last bit."""
    shared = set(trained.history[0]) & set(other.history[0])
    histories = [
        [[repr(epoch[name]) for name in sorted(shared)] for epoch in each.history] for each in (trained, other)
    ]
    weights = [(digest_of(each.best_weights), digest_of(each.last_weights)) for each in (trained, other)]
    return weights[0] == weights[1] and histories[0] == histories[1] and {"train/loss", "val/loss"} <= shared


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_method_whose_values_change_nothing_trains_as_none(name, train):
    assert same(train(experiment="B", mitigation=name, mitigation_values=UNCHANGED[name]), train(experiment="B"))


@pytest.mark.parametrize("name", ["resample", "reweight", "balanced_softmax"])
@pytest.mark.parametrize("mitigate", MITIGATED)
def test_of_a_balanced_draw_what_balances_trains_as_none(name, mitigate, train):
    assert same(train(mitigation=name, mitigate=mitigate), train(mitigate=mitigate))


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_that_trains_otherwise_leaves_other_weights(name, train):
    values = "jtt.weight=3" if name == "jtt" else "default"
    trained = train(experiment="B", mitigation=name, mitigation_values=values)
    assert not same(trained, train(experiment="B"))
    assert all(math.isfinite(epoch["train/loss"]) for epoch in trained.history)


def test_what_is_kept_of_augmented_images_is_found_by_how_they_are_augmented_alone(settings_of, pool):
    def entry(**values):
        return with_cached_prefix(prepared(settings_of(experiment="B", **values), pool)).inputs.cache.entry

    strong = {"mitigation": "strong_augmentation"}
    values = ("default", "strong_augmentation.probability=0.5", "strong_augmentation.magnitude=5")
    entries = [entry(**strong, mitigation_values=each) for each in values]
    assert len({entry(), *entries}) == 4
    assert entry(mitigation="reweight") == entry(mitigation="jtt") == entry()


class Killed(Exception):
    """In place of a kill."""


@pytest.mark.parametrize("name", ["group_dro", "jtt"])
def test_killed_after_an_epoch_a_training_with_memory_goes_on_as_undisturbed(name, train, tmp_path):
    def kill(epoch, values):
        raise Killed

    values = {
        "experiment": "B",
        "mitigation": name,
        "mitigation_values": f"{name}.{'eta' if name != 'jtt' else 'weight'}=3",
    }
    undisturbed = train(**values)
    with pytest.raises(Killed):
        train(tmp_path, kill, **values)
    assert same(train(tmp_path, **values), undisturbed)


def test_a_first_training_that_has_ended_is_not_repeated(train, tmp_path, monkeypatch):
    values = {"experiment": "B", "mitigation": "jtt", "mitigation_values": "jtt.weight=3"}
    fit, asked = fitting._fit, []

    def failing(training, report, folder, processes):
        asked.append(training.settings.mitigation)
        if training.settings.mitigation == "jtt":
            raise Killed
        return fit(training, report, folder, processes)

    with monkeypatch.context() as patched:
        patched.setattr(fitting, "_fit", failing)
        with pytest.raises(Killed):
            train(tmp_path, **values)
    before = (tmp_path / fitting.FIRST_TRAINING / "resume.ckpt").stat().st_mtime_ns
    assert asked == ["none", "jtt"]
    assert same(train(tmp_path, **values), train(experiment="B", mitigation="jtt", mitigation_values="jtt.weight=3"))
    assert (tmp_path / fitting.FIRST_TRAINING / "resume.ckpt").stat().st_mtime_ns == before


def test_what_a_method_did_is_in_the_history(train):
    dro = train(experiment="B", mitigation="group_dro").history
    weights = [{name: value for name, value in epoch.items() if "group_dro_q" in name} for epoch in dro]
    assert all(sum(of_epoch.values()) == pytest.approx(1) for of_epoch in weights) and weights[0] != weights[1]
    jtt = train(experiment="B", mitigation="jtt", mitigation_values="jtt.weight=3").history
    assert 0 < jtt[0]["train/mistakes_of_first_training"] < 1


# --- trainings that are shared ----------------------------------------------------------------------------------


def test_a_method_that_refits_takes_over_the_training_without_a_method(train, settings_of, pool, tmp_path):
    told: list[tuple] = []
    alone = train(tmp_path / "none", experiment="C")
    training = with_cached_prefix(prepared(settings_of(experiment="C", mitigation="dfr"), pool))
    shared = fitted(training, lambda *values: told.append(values), tmp_path / "dfr")
    assert same(shared, alone) and [values for _, values in told] == alone.history
    assert not (tmp_path / "dfr").exists()  # nothing was trained
    assert digest_of({name: value.numpy() for name, value in training.classifier.network.state_dict().items()}) == (
        digest_of(alone.best_weights)
    )
    fitting._made.clear()
    assert same(train(tmp_path / "anew", experiment="C", mitigation="dfr"), alone)


@pytest.mark.parametrize("other", [{"seed": 1}, {"experiment": "D"}, {"min_support": 5}, {"learning_rate": 1e-3}])
def test_another_training_is_not_taken_over(other, train, settings_of, pool, tmp_path):
    train(tmp_path / "none", experiment="C")
    training = with_cached_prefix(prepared(settings_of(**{"experiment": "C", "mitigation": "dfr"} | other), pool))
    fitted(training, lambda *_: None, tmp_path / "dfr")
    assert (tmp_path / "dfr" / "resume.ckpt").exists()


# --- selection rules --------------------------------------------------------------------------------------------


def test_every_rule_is_scored_from_one_training(settings_of, pool, train, tmp_path):
    chosen = train(experiment="B", epochs=6, patience=6)
    settings = settings_of(experiment="B", epochs=6, patience=6, scored_selections="all")
    training = with_cached_prefix(prepared(settings, pool))
    trained = fitted(training, lambda *_: None, tmp_path)
    assert same(trained, chosen)  # early stopping and weights are the chosen rule's
    for name, rule in SELECTION_RULES.items():
        series = [epoch[rule.metric] for epoch in trained.history]
        best = 1 + series.index(min(series) if rule.mode == "min" else max(series))
        assert (trained.best_epoch if name == "val_loss" else trained.selected[name].epoch) == best
    test = predict(training.classifier, training.inputs, pool, training.drawn.test, settings, "predicting")
    table = by_selection(training, trained, test, ALONE)
    assert list(table.columns) == ["image", "selection", "y_pred"]
    assert table.groupby("selection").size().to_dict() == dict.fromkeys(SELECTION_RULES, len(test))
    predicted = {name: rows["y_pred"].tolist() for name, rows in table.groupby("selection")}
    assert predicted["val_loss"] == test["y_pred"].tolist()
    for name, selected in trained.selected.items():
        network = training.classifier.network
        network.load_state_dict(
            {**network.state_dict(), **{key: torch.from_numpy(value) for key, value in selected.weights.items()}}
        )
        again = predict(training.classifier, training.inputs, pool, training.drawn.test, settings, "predicting")
        assert predicted[name] == again["y_pred"].tolist()
    assert by_selection(replace(training, settings=settings_of()), trained, test, ALONE).empty


def test_the_rule_of_the_distance_is_by_hand(train):
    for epoch in train(experiment="B").history:
        expected = math.hypot(1 - epoch["val/macro_f1"], epoch["val/equal_opportunity_difference/race"])
        assert epoch["val/distance_to_ideal"] == expected
