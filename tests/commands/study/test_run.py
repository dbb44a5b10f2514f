"""The plan of a study: which runs it has, in which order."""

from dataclasses import replace

import pytest

from fairprof.commands.study import processes
from fairprof.commands.study.backbones import with_weights
from fairprof.commands.study.plan import PlannedRun, after, main_arm, plan, told_beforehand
from fairprof.commands.study.run import run_study
from fairprof.config import Settings, StudySettings


def names(settings: StudySettings) -> list[tuple]:
    return [(run.experiment, run.seed, run.train_size, run.fraction) for run in plan(settings)]


def test_all_designs_of_a_seed_come_before_the_next_seed():
    assert names(StudySettings(experiments="A,B", seeds="2", train_size="natural")) == [
        ("A", 0, "natural", 1.0),
        ("B", 0, "natural", 1.0),
        ("A", 1, "natural", 1.0),
        ("B", 1, "natural", 1.0),
    ]


@pytest.mark.parametrize(
    ("train_size", "arms"),
    [
        (None, ["matched", "natural"]),
        ("natural,matched", ["matched", "natural"]),
        ("300,natural,matched", ["matched", 300, "natural"]),
        ("natural,300", ["natural", 300]),
        ("300,matched", [300, "matched"]),
    ],
)
def test_matched_is_the_first_arm_where_natural_is_there_too(train_size, arms):
    given = {} if train_size is None else {"train_size": train_size}
    runs = plan(StudySettings(experiments="A", seeds="2", **given))
    assert [run.train_size for run in runs] == [size for size in arms for _ in range(2)]


def test_the_main_arm_comes_first_and_fractions_from_the_largest_on():
    study = StudySettings(experiments="A", seeds="4,", fractions="0.25,1", train_size="natural,matched")
    assert names(study) == [
        ("A", 4, "matched", 1.0),
        ("A", 4, "matched", 0.25),
        ("A", 4, "natural", 1.0),
        ("A", 4, "natural", 0.25),
    ]


def test_every_run_has_the_study_s_settings_and_the_same_hyperparameters():
    runs = plan(StudySettings(seeds="3", learning_rate=0.01, data="utkface:faces", label_bias="gender"))
    assert len(runs) == 24
    assert {(run.learning_rate, run.data, run.label_bias) for run in runs} == {(0.01, "utkface:faces", "gender")}
    assert {run.hyperparameters_hash() for run in runs} == {Settings(learning_rate=0.01).hyperparameters_hash()}


def test_methods_of_a_design_and_seed_follow_each_other_those_that_take_over_its_training_first():
    study = StudySettings(
        experiments="A,B",
        seeds="1",
        train_size="matched",
        mitigations="group_dro,linear_post,none",
        mitigation_values="group_dro.eta=0.5,jtt.weight=2",
    )
    runs = plan(study)
    assert [(run.experiment, run.mitigation) for run in runs] == [
        *(("A", "none"), ("A", "linear_post"), ("A", "group_dro")),
        *(("B", "none"), ("B", "linear_post"), ("B", "group_dro")),
    ]
    assert {run.mitigation: run.mitigation_values for run in runs} == {
        "none": "default",
        "linear_post": "default",
        "group_dro": "group_dro.eta=0.5",
    }
    assert {run.hyperparameters_hash() for run in runs} == {Settings().hyperparameters_hash()}
    assert {run.scored_selections for run in runs} == {"all"}
    assert [run.settings.mitigation for run in main_arm([PlannedRun(run) for run in runs])] == ["none", "none"]


def test_a_study_of_one_method_has_it_in_all_runs():
    runs = plan(StudySettings(experiments="A", seeds="2", train_size="matched", mitigation="dfr"))
    assert [run.settings.mitigation for run in main_arm([PlannedRun(run) for run in runs])] == ["dfr", "dfr"]
    assert {run.scored_selections for run in runs} == {"chosen"}


def test_backbones_follow_each_other_within_a_seed_the_first_is_the_reference():
    study = StudySettings(
        experiments="A,B", seeds="2", train_size="matched", weights="random", backbones="resnet50, resnet18@imagenet"
    )
    runs = plan(study)
    assert [(run.seed, run.architecture, run.weights, run.experiment) for run in runs] == [
        (seed, *backbone, design)
        for seed in (0, 1)
        for backbone in (("resnet50", "random"), ("resnet18", "imagenet"))
        for design in "AB"
    ]
    of_reference = Settings(architecture="resnet50").hyperparameters_hash()
    assert len({run.hyperparameters_hash() for run in runs}) == 2
    assert {run.model_copy(update={"architecture": "resnet50"}).hyperparameters_hash() for run in runs} == {
        of_reference
    }
    titles = {"resnet50": "resnet50", "resnet18": "other"}
    planned = [PlannedRun(run, str(number), backbone=titles[run.architecture]) for number, run in enumerate(runs)]
    assert [run.name for run in main_arm(planned)] == [
        f"{design}-seed{seed}-resnet50-matched" for seed in (0, 1) for design in "AB"
    ]
    assert next(iter(told_beforehand(planned))) == (
        "2 backbones, each with every design and seed: resnet50 and other; designs are compared with resnet50"
    )


def test_backbones_are_found_once_and_two_that_are_one_are_refused(tmp_path, refused):
    for folder, zeros in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "weights.pt").write_bytes(b"0" * zeros)
    first, second = tmp_path / "a" / "weights.pt", tmp_path / "b" / "weights.pt"
    study = StudySettings(backbones=f"resnet18@random,resnet18@{first}", weights="imagenet")
    settings, found = with_weights(study)
    assert settings.backbones == study.backbones
    assert (settings.architecture, settings.weights) == ("resnet18", "random")
    assert [backbone.title for backbone in found.values()] == ["resnet18@random", "resnet18@weights.pt"]
    assert [plan(settings)[number].weights for number in (0, 4)] == ["random", str(first)]
    with refused("resnet18@weights.pt and resnet18@weights.pt are called the same: rename one"):
        with_weights(StudySettings(backbones=f"resnet18@{first},resnet18@{second}"))
    again = tmp_path / "again.pt"
    again.write_bytes(first.read_bytes())
    with refused("resnet18@weights.pt and resnet18@again.pt are one backbone: name it once"):
        with_weights(StudySettings(backbones=f"resnet18@{first},resnet18@{again}"))
    alone, found = with_weights(StudySettings(architecture="resnet18", weights="random"))
    assert (alone.backbones, [backbone.title for backbone in found.values()]) == ("auto", [""])


def test_a_further_worker_has_the_backbones_as_they_were_found():
    settings, _ = with_weights(StudySettings(backbones="resnet18,resnet34@random", weights="random"))
    assert StudySettings.from_arguments(processes._command(settings)[3:]) == settings


def test_imbalance_is_for_the_designs_that_leave_an_axis_natural():
    runs = plan(StudySettings(seeds="1", imbalance=4, train_size="natural"))
    assert [run.imbalance for run in runs] == ["natural", 4.0, 4.0, 4.0]


@pytest.fixture
def planned():
    """Designs A and B in two arms, of which A draws the same rows in both."""
    keys = iter(("a", "b matched", "a", "b natural"))
    return [PlannedRun(run, next(keys)) for run in plan(StudySettings(experiments="A,B", seeds="1"))]


def test_a_run_that_two_arms_share_counts_in_both_once_it_is_trained(planned):
    runs = after(planned, replace(planned[0], status="finished", run_id="1"))
    assert [(run.settings.train_size, run.status, run.run_id) for run in runs] == [
        ("matched", "finished", "1"),
        ("matched", "waiting", ""),
        ("natural", "shared", "1"),
        ("natural", "waiting", ""),
    ]
    failed = after(planned, replace(planned[0], status="failed", reason="no room"))
    assert [(run.status, run.reason) for run in failed][::2] == [("failed", "no room")] * 2


def test_what_is_trained_is_told_before(planned):
    assert list(told_beforehand(planned)) == [
        "4 runs in the arms matched and natural: 1 of them would draw the same images in a second arm and is trained "
        "once",
        "3 runs to train",
    ]
    found = after(planned, replace(planned[1], status="reused", run_id="2"))
    assert list(told_beforehand(found))[1:] == [
        "1 of 3 runs have been trained before and are not repeated",
        "2 runs to train",
    ]
    impossible = [replace(run, key="", status="failed") for run in planned]
    assert list(told_beforehand(impossible)) == ["0 runs to train"]


def test_under_torchrun_a_study_says_what_to_do(monkeypatch, refused):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with refused("without torchrun", "entrypoints.train"):
        run_study(StudySettings())


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--experiments", "A,E"], ["experiments=A,E", "experiment=E", "'A', 'B', 'C' or 'D'"]),
        (["--experiments", ","], ["experiments=,", "at least one value"]),
        (["--experiments", "A,a"], ["experiments=A,a", "twice"]),
        (["--seeds", "0"], ["seeds=0", "1 to 1000"]),
        (["--seeds", "1,-1"], ["seeds=1,-1", "greater than or equal to 0"]),
        (["--fractions", "0,1"], ["fractions=0,1", "greater than 0"]),
        (["--train_size", "natural,few"], ["train_size=natural,few", "'natural' or 'matched'"]),
        (["--backbones", ","], ["backbones=,", "at least one backbone"]),
        (["--backbones", "resnet18,resnet18@auto"], ["backbones=", "nothing occurs twice"]),
        (["--backbones", "resnet18@"], ["ARCHITECTURE@WEIGHTS (resnet18@)"]),
        (["--backbones", "@random"], ["ARCHITECTURE@WEIGHTS (@random)"]),
        (["--backbones", "resnet18,resnet34", "--mitigations", "none,dfr"], ["one backbone where mitigations has"]),
        (["--backbones", "resnet18", "--architecture", "resnet34"], ["a list in which architecture=resnet34 is"]),
        (["--experiment", "A"], ["unknown setting experiment", "did you mean experiments?"]),
    ],
)
def test_lists_are_checked_part_by_part(refused, arguments, texts):
    with refused(*texts):
        StudySettings.from_arguments(arguments)
