"""Baselines against scikit-learn on the same features, and the head of the nearest neighbours by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from fairprof.commands.train.fitting import by_selection, fitted
from fairprof.commands.train.run import prepared, with_cached_prefix
from fairprof.config import BASELINES, Settings
from fairprof.data.pool import load_pool
from fairprof.errors import UserError
from fairprof.network.baselines import NEIGHBOURS, STRENGTHS, TEMPERATURE, Images, _linear_probe, _tell, head_kind_of
from fairprof.network.classifier import build_classifier
from fairprof.network.parts import Boundary
from fairprof.network.predictions import predict
from fairprof.network.records import SELECTION_RULES, Trained, Training
from fairprof.network.refitting import refitted
from fairprof.network.weights import arrays_of, tensors_of
from fairprof.runtime.processes import ALONE
from fairprof.serving import LEAST_SHARE, HeadKind, last_layer


@pytest.fixture(scope="module")
def settings_of(synthetic_cache):
    fixed = {"experiment": "B", "image_size": 32, "weights": "random", "architecture": "resnet18", "train_size": 200}
    return lambda **values: Settings(**fixed | {"cache_dir": str(synthetic_cache)} | values)


@pytest.fixture(scope="module")
def pool(settings_of):
    return load_pool(settings_of(), 32)


@pytest.fixture(scope="module")
def made(settings_of, pool, tmp_path_factory):
    """What training with these settings leaves, once for equal ones; its network holds that again."""
    done: dict[tuple, tuple[Training, Trained]] = {}

    def of(**values) -> tuple[Training, Trained]:
        key = tuple(sorted(values.items()))
        if key not in done:
            training = with_cached_prefix(prepared(settings_of(**values), pool))
            done[key] = training, fitted(training, lambda *_: None, tmp_path_factory.mktemp("training"))
        training, trained = done[key]
        training.classifier.network.load_state_dict(tensors_of(trained.best_weights))
        return training, trained

    return of


@pytest.fixture(scope="module")
def features(made):
    """Of every row of the pool, what the network makes of it before its classifier, (N, D): from images, by hand."""
    training, _ = made(finetune="linear_probe", prefix_cache="off")
    network, rows = training.classifier.network, np.arange(len(training.pool.table))
    backbone = nn.Sequential(*list(network.children())[:-1], nn.Flatten()).eval()
    with torch.inference_mode():
        parts = [backbone(training.inputs.evaluation(part)) for part in np.array_split(rows, 40)]
    return torch.cat(parts).double().numpy()


def labels(training: Training, rows: np.ndarray) -> np.ndarray:
    return training.pool.table["profession"].cat.codes.to_numpy(np.int64)[rows]


def predicted(training: Training) -> np.ndarray:
    """Probabilities of the test images, (N, K)."""
    rows = training.drawn.test
    table = predict(training.classifier, training.inputs, training.pool, rows, training.settings, "predicting")
    return table[[name for name in table if name.startswith("probability_")]].to_numpy()


# --- linear probe -----------------------------------------------------------------------------------------------


def test_the_linear_probe_is_scikit_learns_logistic_regression_of_the_strength_that_validation_images_choose(
    made, features
):
    training, trained = made(finetune="linear_probe", prefix_cache="off")
    train, val, test = (training.drawn.rows(name) for name in ("train", "val", "test"))
    models, scores = [], []
    for strength in STRENGTHS:
        fit = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)
        models.append(make_pipeline(StandardScaler(), fit).fit(features[train], labels(training, train)))
        answers = models[-1].predict(features[val])
        scores.append(f1_score(labels(training, val), answers, average="macro", zero_division=np.nan))
    best = int(np.argmax(scores))  # of equal ones the strongest penalty, which is the first
    assert trained.baseline.values == {"strength": STRENGTHS[best], "features": 512}
    assert [row["strength"] for row in trained.baseline.tried] == list(STRENGTHS)
    assert [row["val/macro_f1"] for row in trained.baseline.tried] == pytest.approx(scores, abs=0.02)
    assert len(set(scores)) > 2  # the choice is one
    np.testing.assert_allclose(predicted(training), models[best].predict_proba(features[test]), atol=2e-4)


def test_the_linear_probe_is_one_linear_layer_and_all_that_a_run_would_keep(made):
    training, trained = made(finetune="linear_probe")
    network = training.classifier.network
    assert [type(module) for module in network.fc] == [nn.Linear]
    assert training.classifier.changed_by_training() == ("fc.0.weight", "fc.0.bias")
    assert training.classifier.head == "fc"
    assert (trained.best_epoch, len(trained.history), trained.best_weights) == (1, 1, trained.last_weights)


def test_a_class_without_training_images_is_all_but_never_predicted():
    generator = np.random.default_rng(0)
    classes = np.repeat([0, 2], 30)
    shifted = generator.normal(size=(60, 3)) + classes[:, None]
    layer = nn.Linear(3, 3)
    _linear_probe(nn.Sequential(layer), Images(shifted, classes, shifted, classes, 3))
    shares = softmax(layer(torch.from_numpy(shifted).float()).detach().numpy(), axis=1)
    assert shares[:, 1].max() <= LEAST_SHARE
    assert (shares.argmax(axis=1) == classes).mean() > 0.8


def test_training_images_of_one_class_are_refused_in_a_line():
    same = np.zeros(4, dtype=np.int64)
    with pytest.raises(UserError, match="needs training images of two classes or more"):
        _linear_probe(nn.Sequential(nn.Linear(2, 2)), Images(np.eye(4, 2), same, np.eye(4, 2), same, 2))


# --- nearest neighbours -----------------------------------------------------------------------------------------


def test_the_nearest_neighbours_are_scikit_learns(made, features):
    training, trained = made(finetune="knn", prefix_cache="off")
    train, test = training.drawn.train, training.drawn.test
    model = KNeighborsClassifier(NEIGHBOURS, metric="cosine", weights=lambda distances: np.exp((1 - distances) / 0.07))
    shares = model.fit(features[train], labels(training, train)).predict_proba(features[test])
    least = np.maximum(shares, LEAST_SHARE)
    np.testing.assert_allclose(predicted(training), least / least.sum(axis=1, keepdims=True), atol=2e-3)
    assert trained.baseline.values == {"neighbours": NEIGHBOURS, "temperature": TEMPERATURE, "features": 512}


def head_of(references: list[list[float]], classes: list[int], neighbours: int, temperature: float = 0.5) -> nn.Module:
    """A head of three classes that knows these features, which have length 1."""
    head = HeadKind("knn", len(references), neighbours, temperature).module(len(references[0]), 3)
    head.references.weight.copy_(torch.tensor(references))
    head.classes.copy_(torch.tensor(classes))
    return head


def shares_of(head: nn.Module, *features: list[float]) -> np.ndarray:
    return head(torch.tensor(features)).softmax(dim=1).detach().numpy()


def test_neighbours_vote_with_the_exponential_of_their_cosine_similarity():
    # to (3, 4) / 5 the references have the similarities .6, .8, 0, -.6
    head = head_of([[1.0, 0.0], [0.0, 1.0], [0.8, -0.6], [-1.0, 0.0]], [0, 1, 1, 2], neighbours=3)
    votes = np.array([math.exp(0.6 / 0.5), math.exp(0.8 / 0.5) + math.exp(0.0), 0.0])
    expected = np.maximum(votes / votes.sum(), LEAST_SHARE)
    np.testing.assert_allclose(shares_of(head, [30.0, 40.0]), [expected / expected.sum()], rtol=1e-5)
    logits = head(torch.tensor([[30.0, 40.0]]))[0].detach().numpy()
    np.testing.assert_allclose(logits[:2], np.log(votes[:2]), rtol=1e-5)


def test_images_as_near_as_the_last_neighbour_vote_too_whatever_their_order():
    references, classes = [[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [-1.0, 0.0]], [0, 1, 2, 2]
    shares = shares_of(head_of(references, classes, neighbours=2), [1.0, 0.0])
    nearest, tied = math.exp(1 / 0.5), math.exp(0.0)
    np.testing.assert_allclose(shares, [np.array([nearest, tied, tied]) / (nearest + 2 * tied)], rtol=1e-6)
    turned = shares_of(head_of(references[::-1], classes[::-1], neighbours=2), [1.0, 0.0])
    np.testing.assert_array_equal(turned, shares)


def test_there_are_no_more_neighbours_than_training_images():
    assert head_kind_of("knn", 3) == HeadKind("knn", 3, 3, TEMPERATURE)
    assert head_kind_of("knn", 300) == HeadKind("knn", 300, NEIGHBOURS, TEMPERATURE)


def test_a_class_of_which_all_neighbours_are_has_a_gradient_and_one_of_which_none_is_has_none():
    head = head_of([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]], [0, 0, 1], neighbours=2)
    features = torch.tensor([[0.8, 0.1]], requires_grad=True)
    for number in range(3):
        (gradient,) = torch.autograd.grad(head(features)[0, number], features)
        assert gradient.abs().max() > 0.1 if number == 0 else (gradient == 0).all()


def test_features_of_the_training_images_are_part_of_the_state_and_learn_nothing(made):
    training, trained = made(finetune="knn")
    head = training.classifier.network.fc
    assert training.classifier.changed_by_training() == ("fc.classes", "fc.references.weight")
    assert trained.best_weights["fc.references.weight"].shape == (len(training.drawn.train), 512)
    assert not any(value.requires_grad for value in head.parameters())
    np.testing.assert_allclose(np.linalg.norm(trained.best_weights["fc.references.weight"], axis=1), 1, rtol=1e-5)
    assert trained.best_weights["fc.classes"].tolist() == labels(training, training.drawn.train).tolist()


# --- both -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finetune", BASELINES)
def test_predictions_with_and_without_the_prefix_cache_agree(made, finetune):
    cached, whole = made(finetune=finetune), made(finetune=finetune, prefix_cache="off")
    assert cached[0].inputs.boundary == cached[0].classifier.boundary and whole[0].inputs.boundary is None
    differences = np.abs(predicted(cached[0]) - predicted(whole[0]))
    assert np.median(differences) < 1e-3 and differences.max() < 0.1  # a neighbour may be another one


@pytest.mark.parametrize("finetune", BASELINES)
def test_neither_seed_nor_settings_of_a_training_change_what_is_fitted(made, settings_of, pool, finetune, tmp_path):
    training, trained = made(finetune=finetune)
    other = settings_of(finetune=finetune, epochs=2, batch_size=5, learning_rate=0.1, augmented_views="unlimited")
    same_draw = with_cached_prefix(replace(prepared(other, pool), drawn=training.drawn))
    assert same_draw.inputs.boundary is not None  # views that never come again do not matter
    again = fitted(same_draw, lambda *_: None, tmp_path)
    assert all(np.array_equal(value, again.best_weights[name]) for name, value in trained.best_weights.items())


@pytest.mark.parametrize("finetune", BASELINES)
def test_values_are_those_of_the_validation_images_and_reported_as_one_epoch(made, settings_of, finetune, tmp_path):
    training, _ = made(finetune=finetune)
    heard = []
    other = replace(training, settings=settings_of(finetune=finetune, label_smoothing=0.0))
    values = fitted(other, lambda *told: heard.append(told), tmp_path).history[0]
    assert heard == [(1, values)]
    rows = training.drawn.val
    table = predict(training.classifier, training.inputs, training.pool, rows, training.settings, "predicting")
    score = f1_score(table["y_true"], table["y_pred"], average="macro", zero_division=np.nan)
    assert values["val/macro_f1"] == pytest.approx(score)
    counts = np.bincount(labels(training, training.drawn.train))
    weights = (1 / counts)[labels(training, rows)]
    own = [row[f"probability_{row['y_true']}"] for _, row in table.iterrows()]
    assert values["val/loss"] == pytest.approx(-(weights * np.log(own)).sum() / weights.sum(), rel=1e-5)


@pytest.mark.parametrize("finetune", BASELINES)
def test_every_selection_rule_chooses_the_same(made, finetune):
    training, trained = made(finetune=finetune, scored_selections="all")
    assert set(trained.selected) == set(SELECTION_RULES) - {training.settings.selection}
    test = predict(
        training.classifier, training.inputs, training.pool, training.drawn.test, training.settings, "predicting"
    )
    table = by_selection(training, trained, test, ALONE)
    assert table["selection"].nunique() == len(SELECTION_RULES)
    assert table.groupby("image")["y_pred"].nunique().max() == 1


def test_a_refitted_last_layer_takes_the_place_of_the_probes(made):
    training, trained = made(finetune="linear_probe")
    settings = training.settings.model_copy(update={"mitigation": "dfr"})
    _, changed = refitted(replace(training, settings=settings), trained)
    layer = last_layer(training.classifier.network)
    assert np.array_equal(changed.best_weights["fc.0.weight"], arrays_of(layer.state_dict())["weight"])
    assert not np.array_equal(changed.best_weights["fc.0.weight"], trained.best_weights["fc.0.weight"])


@pytest.mark.parametrize("method", ["linear_post_blind", "class_scaling"])
def test_rules_are_fitted_on_the_nearest_neighbours_votes(made, method):
    training, trained = made(finetune="knn")
    settings = training.settings.model_copy(update={"mitigation": method})
    training, trained = refitted(replace(training, settings=settings), trained)
    assert training.classifier.rule == trained.refit.rule is not None
    assert np.allclose(predicted(training).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("finetune", "method", "reason"),
    [
        ("linear_probe", "group_dro", "trains nothing that it could change"),
        ("knn", "resample", "trains nothing that it could change"),
        ("knn", "dfr", "has no last layer to be fitted anew"),
    ],
)
def test_methods_that_change_a_training_are_refused_before_there_is_a_network(
    settings_of, pool, finetune, method, reason
):
    with pytest.raises(UserError, match=f"finetune={finetune} {reason}: with it, mitigation={method} is impossible"):
        prepared(settings_of(finetune=finetune, mitigation=method), pool)


def test_what_has_no_effect_is_said_once_a_process(capsys):
    _tell.cache_clear()
    _tell("knn")
    _tell("knn")
    said = capsys.readouterr().out
    assert said.count("finetune=knn fits at once") == 1 and "epochs, patience, selection, augmented_views" in said


@pytest.mark.parametrize("finetune", BASELINES)
@pytest.mark.parametrize(
    ("architecture", "head"),
    [("timm:test_vit", "head"), ("timm:test_convnext", "head.fc"), ("timm:resnetv2_18", "head.fc")],
)
def test_heads_of_baselines_take_the_place_of_classifiers_of_timm(architecture, head, finetune):
    kind = head_kind_of(finetune, 30)
    classifier = build_classifier(architecture, "random", finetune, 3, 0, 64, kind)
    assert (classifier.head, classifier.boundary) == (head, Boundary(head))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = classifier.network(images)
        assert torch.equal(classifier.trainable(classifier.prefix(images)), logits)
    assert logits.shape == (2, 3)  # of resnetv2, too, whose classifier is a convolution
    assert all(name.startswith(f"{head}.") for name in classifier.changed_by_training())
    last = last_layer(classifier.network)
    assert last.out_features == (30 if finetune == "knn" else 3)
