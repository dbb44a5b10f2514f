"""Where shared hyperparameters come from."""

import os

import pytest

from fairprof.commands.train.hyperparameters import data_key, with_hyperparameters
from fairprof.config import Settings, StudySettings
from fairprof.store import tracking


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "best.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_the_default_changes_nothing():
    assert with_hyperparameters(Settings(learning_rate=0.01)) == Settings(learning_rate=0.01)


@pytest.mark.parametrize("kind", [Settings, StudySettings])
def test_a_file_s_values_replace_defaults_and_nothing_that_was_said(kind, file):
    given = kind(hparams=file("learning_rate: 0.0005\nepochs: 3\n"), epochs=9, label_bias="gender")
    found = with_hyperparameters(given)
    assert (found.learning_rate, found.epochs, found.label_bias) == (0.0005, 9, "gender")
    assert found.hyperparameters_hash() == Settings(learning_rate=0.0005, epochs=9).hyperparameters_hash()


def test_backbones_that_are_listed_keep_their_architectures(file):
    text = file("architecture: resnet34\nepochs: 3\n")
    listed = with_hyperparameters(StudySettings(hparams=text, backbones="resnet18,resnet50@random"))
    assert (listed.epochs, [each.architecture for each in listed.listed_backbones()]) == (3, ["resnet18", "resnet50"])
    (alone,) = with_hyperparameters(StudySettings(hparams=text)).listed_backbones()
    assert alone.architecture == "resnet34"


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("seed: 3", ["seed is not a shared hyperparameter"]),
        ("learning_rate: -1", ["learning_rate=-1 is not valid"]),
        ("- a list", ["does not hold names and values"]),
        ("a: 'b", ["is not YAML"]),
        ("learning_rate: 2024-13-45", ["learning_rate=2024-13-45 is not valid"]),
        ("epochs: 2024-01-01", ["epochs=2024-01-01 is not valid"]),
        ("epochs: null", ["epochs=null is not valid"]),
        ('architecture: "\\ud800"', ["architecture", "UTF-8"]),
        ("epochs: " + "9" * 5000, ["epochs=999"]),
        ("1: 2\nepochs: 3\n2024-13-45: 1\nnull: 3\n", ["1 is not a shared hyperparameter"]),
        ("epochs: 3\nepochs: 4\n", ["line 2", "epochs occurs twice"]),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(text, texts, file, refused):
    with refused("hparams", *texts):
        with_hyperparameters(Settings(hparams=file(text)))


def test_values_mean_what_they_mean_on_the_command_line(file):
    found = with_hyperparameters(Settings(hparams=file("learning_rate: 1e-3\naugmented_views: 4\nepochs: 010\n")))
    assert (found.learning_rate, found.augmented_views, found.epochs) == (0.001, 4, 10)


def test_a_file_that_is_no_regular_one_is_neither_waited_for_nor_read(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "sparse.yaml").touch()
    os.truncate(tmp_path / "sparse.yaml", 40 * 2**30)
    for place, reason in (
        (tmp_path / "pipe.yaml", "a named pipe"),
        (tmp_path / "sparse.yaml", "42,949,672,960 bytes"),
        (tmp_path, "a folder"),
        ("/dev/zero", "a device"),
        ("n" * 300, "too long"),
        ("~nosuchuser/best.yaml", "~nosuchuser"),
    ):
        with refused("hparams", str(place), reason):
            with_hyperparameters(Settings(hparams=str(place)))


def test_searches_are_for_the_same_images_and_labels():
    assert data_key(Settings(data="utkface:faces")) == data_key(StudySettings(data="utkface:./faces", seeds="3"))
    assert data_key(Settings()) != data_key(Settings(label_bias="gender"))
    assert data_key(Settings()) != data_key(Settings(cue_gap=0.5))
    assert data_key(Settings()) != data_key(Settings(data="utkface:faces"))


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ("tuned", "hparams=tuned: no search on synthetic has finished here"),
        ("nowhere.yaml", "hparams=nowhere.yaml is neither a file nor a run's id"),
    ],
)
def test_a_source_that_is_not_there_is_refused(hparams, message, store, refused):
    with refused(message):
        with_hyperparameters(Settings(hparams=hparams))


def test_tuned_values_of_a_method_need_a_search(store, refused):
    with refused("mitigation_values=tuned", "values of group_dro with mitigate=race", "-P mitigations=none,group_dro"):
        with_hyperparameters(Settings(mitigation="group_dro", mitigation_values="tuned"))
    assert with_hyperparameters(Settings(mitigation="dfr", mitigation_values="tuned")).mitigation_values == "default"


def test_tuned_values_are_those_of_the_newest_search_that_has_the_method(store):
    for values in ("group_dro.eta: 0.5\n", "jtt.weight: 3.0\njtt.identification_epochs: 2.0\n"):
        tags = {"fairprof.role": "method_search", "fairprof.searched_data": data_key(Settings())}
        tags |= {"fairprof.mitigate": "race", "fairprof.mitigations": f"none,{values.partition('.')[0]}"}
        with tracking.started_run("search-methods", tags):
            tracking.log_text(values, "best_method_values.yaml")
    found = with_hyperparameters(StudySettings(mitigations="none,jtt,group_dro,dfr", mitigation_values="tuned"))
    assert found.mitigation_values == "jtt.weight=3.0,jtt.identification_epochs=2.0,group_dro.eta=0.5"
