"""Where shared hyperparameters come from."""

import pytest

from fairprof.commands.train.hyperparameters import data_key, with_hyperparameters
from fairprof.config import Settings, StudySettings


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


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("seed: 3", ["seed is not a shared hyperparameter"]),
        ("learning_rate: -1", ["learning_rate=-1 is not valid"]),
        ("- a list", ["does not hold names and values"]),
        ("a: [", ["is not YAML"]),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(text, texts, file, refused):
    with refused("hparams", *texts):
        with_hyperparameters(Settings(hparams=file(text)))


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
