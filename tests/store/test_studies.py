"""The arms of a study, and which of them confirms."""

from fairprof.store.studies import backbone_of, confirmatory_arm, main_arm_first, reference_method
from fairprof.store.tracking import LoggedRun


def run(name: str, train_size: str, fraction: str = "1.0", weights: str = "random") -> LoggedRun:
    params = {"train_size": train_size, "fraction": fraction, "architecture": "resnet18"}
    return LoggedRun(name, name, "FINISHED", params, {"fairprof.weights": weights}, {})


def test_matched_comes_first_where_natural_is_there_too():
    assert main_arm_first(["natural", "300", "matched", "natural"]) == ["matched", "natural", "300"]
    assert main_arm_first(["natural", "300"]) == ["natural", "300"]
    assert main_arm_first(["300", "matched"]) == ["300", "matched"]


def test_the_confirmatory_arm_is_the_main_one_with_all_of_its_rows():
    runs = [run("a", "natural"), run("b", "matched", "0.5"), run("c", "matched"), run("d", "matched")]
    assert [found.name for found in confirmatory_arm(runs)] == ["c", "d"]
    assert [found.name for found in confirmatory_arm(runs[:1])] == ["a"]
    assert confirmatory_arm([]) == []


def test_the_confirmatory_arm_has_the_backbone_of_the_first_run():
    runs = [run("a", "matched"), run("b", "matched", weights="imagenet"), run("c", "matched")]
    assert [found.name for found in confirmatory_arm(runs)] == ["a", "c"]
    assert [backbone_of(found) for found in runs[:2]] == ["resnet18@random", "resnet18@imagenet"]


def test_designs_are_shown_by_runs_without_a_method_or_of_the_only_one(refused):
    assert reference_method(["jtt", "none", "jtt"]) == "none"
    assert reference_method(["jtt", "jtt"]) == "jtt"
    with refused("methods dfr, jtt and none without a method", "mitigation=none"):
        reference_method(["jtt", "dfr"])
