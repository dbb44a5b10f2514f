"""Which runs are compared, and which are refused together."""

from dataclasses import replace

import pytest

from fairprof.commands.compare.collect import _in_every_arm, by_backbone, chosen_runs, require_comparable
from fairprof.config import CompareSettings, Settings, shared_settings
from fairprof.store.tracking import LoggedRun


def run(design: str = "A", seed: int = 0, **changes: str) -> LoggedRun:
    params = {name: str(value) for name, value in Settings().model_dump().items()}
    params |= {"pool_fingerprint": "p", "test_fingerprint": "t"} | changes
    tags = {
        "fairprof.design": design,
        "fairprof.seed": str(seed),
        "fairprof.study_key": "key",
        "fairprof.weights_sha256": changes.get("weights_sha256", "none"),
        "fairprof.weights": changes.get("weights", "random"),
    }
    return LoggedRun(f"{design}{seed}" * 8, f"{design}-seed{seed}", "FINISHED", params, tags, {})


def test_runs_that_were_trained_alike_may_be_compared():
    require_comparable([run("A"), run("B"), run("A", 1, fraction="0.5"), run("A", 1, train_size="matched")])


@pytest.mark.parametrize("name", shared_settings())
def test_every_shared_hyperparameter_counts_and_is_named(name, refused):
    with refused("not trained alike", f"{name} is {getattr(Settings(), name)} in A-seed0", "and other in B-seed1"):
        require_comparable([run("A"), run("B"), run("B", 1, **{name: "other"})])


def test_everything_that_differs_is_named_at_once(refused):
    with refused("learning_rate is 0.003", "epochs is 6", "weights is none"):
        require_comparable([run("A"), run("B", learning_rate="1", epochs="7", weights_sha256="f" * 64)])


def test_other_data_are_named_with_the_setting_that_made_them_other(refused):
    with refused("data is p in A-seed0", "label_bias is none in A-seed0", "and gender in B-seed0"):
        require_comparable([run("A"), run("B", pool_fingerprint="q", label_bias="gender")])
    with refused("test set is t in A-seed0"):
        require_comparable([run("A"), run("B", test_fingerprint="u")])


def test_the_same_run_twice_is_refused(refused):
    twice = replace(run("A"), run_id="other")
    with refused("A-seed0 is there twice", "as A0A0A0A0", "and other"):
        require_comparable([run("A"), run("B"), twice])


def test_runs_of_several_methods_are_compared_where_each_method_was_the_same(refused):
    dro, post = run("A", mitigation="group_dro"), run("A", mitigation="linear_post")
    require_comparable([run("A"), dro, post])
    with refused("A-seed0 is there twice"):
        require_comparable([run("A"), dro, replace(dro, run_id="other")])
    with refused("mitigation_values is default in A-seed0", "and group_dro.eta=1 in B-seed0"):
        require_comparable([run("A"), dro, run("B", mitigation="group_dro", mitigation_values="group_dro.eta=1"), post])
    with refused("mitigate is race in A-seed0", "and gender in B-seed0"):
        require_comparable([run("A"), dro, run("B", mitigation="jtt", mitigate="gender")])


def test_runs_of_several_backbones_are_compared_where_a_design_and_seed_has_several(refused):
    reference = [run("A"), run("B")]
    others = [run("A", architecture="resnet18"), run("A", weights="imagenet", weights_sha256="f" * 64)]
    require_comparable([*reference, *others])
    assert {name: [each.name for each in own] for name, own in by_backbone([*reference, *others]).items()} == {
        "resnet50@random": ["A-seed0", "B-seed0"],
        "resnet18@random": ["A-seed0"],
        "resnet50@imagenet": ["A-seed0"],
    }
    with refused("architecture is resnet50 in A-seed0", "and resnet18 in B-seed1"):
        require_comparable([*reference, run("B", 1, architecture="resnet18")])
    faster = replace(run("A", architecture="resnet18", learning_rate="1"), run_id="other")
    with refused("learning_rate is 0.003 in A-seed0", "and 1 in A-seed0 (other)"):
        require_comparable([*reference, faster])
    with refused("A-seed0 is there twice"):
        require_comparable([*reference, others[0], replace(others[0], run_id="other")])
    with refused("resnet50@random and resnet18@random", "the methods dfr and none", "one backbone or of one method"):
        require_comparable([*reference, others[0], run("A", mitigation="dfr")])
    with refused("two backbones are called resnet50@imagenet", "are ffffffffffff and eeeeeeeeeeee"):
        require_comparable([*reference, others[1], run("B", weights="imagenet", weights_sha256="e" * 64)])


def in_both_arms(trained: LoggedRun) -> LoggedRun:
    size = trained.params["train_size"]
    other = {"natural": "matched", "matched": "natural"}[size]
    return replace(trained, tags=trained.tags | {"fairprof.train_sizes": f"{size},{other}"})


def arms_of(runs: list[LoggedRun]) -> list[tuple]:
    return sorted((run.params["train_size"], run.tags["fairprof.design"], run.run_id[:2]) for run in runs)


def test_a_run_whose_rows_another_arm_would_draw_counts_there_too():
    shared, matched, natural = in_both_arms(run("A")), run("B", train_size="matched"), run("B", 1)
    assert arms_of(_in_every_arm([shared, matched, natural])) == [
        ("matched", "A", "A0"),
        ("matched", "B", "B0"),
        ("natural", "A", "A0"),
        ("natural", "B", "B1"),
    ]
    # no arm is made of nothing but what another one has, and no run takes another's place
    assert _in_every_arm([shared, natural]) == [shared, natural]
    own = run("A", train_size="matched")
    assert _in_every_arm([shared, own]) == [shared, own]


def test_runs_that_are_not_there_are_refused(store, refused):
    with refused("there is no run 0123456789abcdef0123456789abcdef"):
        chosen_runs(CompareSettings(runs="0123456789abcdef0123456789abcdef"))
