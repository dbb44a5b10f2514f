"""The parameter-randomisation check: what is randomised, how maps are compared, and who is flagged."""

import numpy as np
import pytest
import torch
from scipy import stats

from fairprof.network.classifier import build_classifier
from fairprof.saliency.gradcam import saliency_maps
from fairprof.saliency.randomisation import (
    CHANGED,
    EVERYTHING,
    FLAGGED,
    HEAD,
    randomised_networks,
    rank_correlations,
    similarities,
    similarity,
)
from fairprof.serving import ExplainedLayer
from tests.saliency.test_gradcam import classifier_of

BLOCKS = ("layer1", "layer2", "layer3", "layer4")
STEPS = {name: (name,) for name in BLOCKS}


def generator(*words) -> np.random.Generator:
    return np.random.default_rng(0)


def test_correlations_equal_those_of_scipy():
    first, second = np.random.default_rng(0).integers(5, size=(2, 20, 3, 3))
    expected = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlations(first, second), expected)


def test_a_constant_map_has_no_correlation_and_is_counted():
    maps = np.random.default_rng(1).random((4, 2, 2))
    others = maps.copy()
    others[1] = 0
    found = similarity(rank_correlations(maps, others), 100, generator())
    assert (found["images"], found["undefined"], found["similarity"]) == (3, 1, pytest.approx(1))
    nothing = similarity(np.full(3, np.nan), 100, generator())
    assert np.isnan(nothing["similarity"]) and nothing["verdict"] == "uncertain" and nothing["undefined"] == 3


@pytest.mark.parametrize(
    ("correlations", "verdict"),
    [
        (np.linspace(0.8, 1, 30), FLAGGED),
        (np.linspace(-0.5, 0.6, 30), CHANGED),
        (np.array([0.0, 1.0] * 4), "uncertain"),
    ],
)
def test_the_verdict_needs_the_whole_interval(correlations, verdict):
    found = similarity(correlations, 500, generator())
    assert found["verdict"] == verdict and found["lower"] < found["similarity"] < found["upper"]


def test_the_cascade_replaces_the_head_first_and_everything_at_last():
    classifier, fresh = classifier_of(), build_classifier("resnet18", "random", "all", 4, seed=7)
    before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
    fresh_state = fresh.network.state_dict()
    replaced = {}
    for part, network in randomised_networks(classifier.network, fresh.network, classifier.head, STEPS):
        state = network.state_dict()
        replaced[part] = {
            name.split(".")[0]
            for name, value in state.items()
            if torch.equal(value, fresh_state[name]) and not torch.equal(value, before[name])
        }
    assert list(replaced) == [HEAD, "layer4", "layer3", "layer2", "layer1", EVERYTHING]
    assert replaced[HEAD] == {"fc"} and replaced["layer3"] == {"fc", "layer4", "layer3"}
    assert replaced[EVERYTHING] == {"conv1", "bn1", "fc", *BLOCKS}
    assert all(torch.equal(value, before[name]) for name, value in classifier.network.state_dict().items())


def test_a_step_may_be_several_blocks():
    classifier, fresh = classifier_of(), build_classifier("resnet18", "random", "all", 4, seed=7)
    steps = {"first": ("layer1", "layer2.0"), "second": ("layer2.1", "layer4")}
    fresh_state, before = fresh.network.state_dict(), classifier.network.state_dict()
    changed = {}
    for part, network in randomised_networks(classifier.network, fresh.network, classifier.head, steps):
        state = network.state_dict()
        changed[part] = {".".join(name.split(".")[:2]) for name in state if not torch.equal(state[name], before[name])}
        assert all(
            torch.equal(value, before[name]) or torch.equal(value, fresh_state[name]) for name, value in state.items()
        )
    assert list(changed) == [HEAD, "second", "first", EVERYTHING]
    assert changed["second"] == {"fc.1", "fc.4", "layer2.1", "layer4.0", "layer4.1"}
    assert changed["first"] == changed["second"] | {"layer1.0", "layer1.1", "layer2.0"}


@pytest.mark.slow
def test_a_method_that_ignores_the_head_is_flagged_for_it_and_one_that_does_not_is_not():
    classifier, fresh = classifier_of(), build_classifier("resnet18", "random", "all", 4, seed=7)
    images = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    classes = np.arange(16) % 4
    found = {}
    for method in ("EigenCAM", "GradCAM"):
        own = saliency_maps(classifier.network, ExplainedLayer("layer3"), images, classes, method=method)
        parts = {
            part: [saliency_maps(network, ExplainedLayer("layer3"), images, classes, method=method)]
            for part, network in randomised_networks(classifier.network, fresh.network, classifier.head, {})
        }
        table = similarities({"A": own}, {"A": parts}, 200, generator).set_index("randomised")
        found[method] = table["verdict"].to_dict()
        if method == "EigenCAM":
            assert table.loc[HEAD, "similarity"] == pytest.approx(1)
    assert found["EigenCAM"] == {HEAD: FLAGGED, EVERYTHING: CHANGED}
    assert found["GradCAM"] == {HEAD: CHANGED, EVERYTHING: CHANGED}
