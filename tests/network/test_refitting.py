"""What methods fit after a training: the head in network and weights, rules that go with the classifier."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from fairprof.commands.train.fitting import fitted
from fairprof.commands.train.run import prepared, with_cached_prefix
from fairprof.config import Settings
from fairprof.data.pool import load_pool
from fairprof.errors import UserError
from fairprof.measurement.measures import scores_and_gaps
from fairprof.network.predictions import BY_CHANCE, groups_for, network_outputs, predict
from fairprof.network.records import Trained, Training
from fairprof.network.refitting import refitted
from fairprof.network.weights import tensors_of
from fairprof.serving import DecisionRule, last_layer


@pytest.fixture(scope="module")
def made(synthetic_cache, tmp_path_factory):
    """A training without a method, and what it leaves."""
    settings = Settings(
        experiment="B",
        image_size=32,
        weights="random",
        finetune="head",
        epochs=1,
        architecture="resnet18",
        cache_dir=str(synthetic_cache),
    )
    training = with_cached_prefix(prepared(settings, load_pool(settings, 32)))
    return training, fitted(training, lambda epoch, values: None, tmp_path_factory.mktemp("training"))


def with_method(made, method: str, values: str = "default") -> tuple[Training, Trained]:
    """The same training, refitted as a method does."""
    training, trained = made
    training.classifier.network.load_state_dict(tensors_of(trained.best_weights))
    settings = training.settings.model_copy(update={"mitigation": method, "mitigation_values": values})
    return refitted(replace(training, settings=settings), trained)


def predicted(training: Training, partition: str = "test"):
    rows = training.drawn.rows(partition)
    return predict(training.classifier, training.inputs, training.pool, rows, training.settings, "predicting")


def test_methods_of_the_training_leave_it_as_it_is(made):
    training, trained = made
    settings = training.settings.model_copy(update={"mitigation": "group_dro"})
    asked = replace(training, settings=settings)
    assert refitted(asked, trained) == (asked, trained)


def test_a_refitted_head_is_in_the_network_and_in_the_best_weights_alone(made):
    _, before = made
    kept = {name: value.copy() for name, value in before.best_weights.items()}
    training, trained = with_method(made, "dfr")
    assert all((before.best_weights[name] == kept[name]).all() for name in kept)
    changed = [name for name in kept if (trained.best_weights[name] != kept[name]).any()]
    assert len(changed) == 2 and {name.rpartition(".")[2] for name in changed} == {"weight", "bias"}
    rows = training.drawn.test
    probabilities, features = network_outputs(
        training.classifier, training.inputs, training.pool, rows, training.settings, ""
    )
    layer = last_layer(training.classifier.network)
    weight, bias = (value.detach().double().numpy() for value in (layer.weight, layer.bias))
    assert np.allclose(softmax(features @ weight.T + bias, axis=1), probabilities, atol=1e-5)
    training.classifier.network.load_state_dict(tensors_of(kept))
    assert (trained.best_weights[changed[0]] != kept[changed[0]]).any()  # not a view of the network


@pytest.mark.parametrize("method", ["linear_post", "linear_post_blind"])
@pytest.mark.parametrize("criterion", ["demographic_parity", "equal_opportunity"])
def test_a_rule_closes_its_gap_on_the_half_that_it_was_fitted_on(made, method, criterion):
    training, trained = with_method(made, method, f"{method}.criterion={criterion},{method}.tolerance=0.0")
    rule = training.classifier.rule
    assert trained.best_weights is made[1].best_weights
    assert rule.attributes == (("race",) if method == "linear_post" else ())
    table = predicted(training, "val").iloc[trained.refit.halves.fit]
    assert BY_CHANCE in table
    if method == "linear_post" and criterion == "demographic_parity":
        assert scores_and_gaps(table, 1)["demographic_parity_difference/race"] < 0.15  # few images


def test_without_a_constraint_a_rule_decides_as_the_network_does(made):
    training, _ = with_method(made, "linear_post", "linear_post.tolerance=1.0")
    plain = predicted(replace(training, classifier=replace(training.classifier, rule=None)))
    ruled = predicted(training)
    clear = ~ruled[BY_CHANCE]
    assert (ruled["y_pred"] == plain["y_pred"])[clear].all()
    assert clear.mean() > 0.9


def test_scaled_probabilities_are_told_and_decide(made):
    training, trained = with_method(made, "class_scaling")
    table = predicted(training)
    columns = [name for name in table if name.startswith("probability_")]
    assert np.allclose(table[columns].sum(axis=1), 1)
    best = [name.removeprefix("probability_") for name in table[columns].idxmax(axis=1)]
    assert table["y_pred"].tolist() == best
    assert BY_CHANCE not in table
    assert trained.refit.values["worst_balanced_accuracy"] >= 0


def test_data_with_a_group_that_the_rule_does_not_know_are_refused(made):
    rule = DecisionRule(attributes=("race",), groups=(("Monk 1-4",), ("Monk 5-7",)), offsets=((0.0,),) * 2)
    with pytest.raises(UserError, match="decides by race, and knows no Monk 8-10 .it knows Monk 1-4, Monk 5-7."):
        groups_for(rule, made[0].pool.table)
