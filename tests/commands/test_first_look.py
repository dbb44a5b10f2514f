"""What is wrong with data, files and designs is answered from labels alone, before torch and MLflow are loaded."""

import json
import subprocess
import sys
from itertools import product

import pytest

from fairprof.commands.first_look import look
from fairprof.config import EvaluateSettings, ExplainSettings, PrepareSettings, Settings, StudySettings, TuneSettings
from tests.places import ROOT

ANSWERS = """
import json, runpy, sys
said = {}
for name, *arguments in json.loads(sys.argv[1]):
    sys.argv = [name, *arguments]
    try:
        runpy.run_module(f"entrypoints.{name}", run_name="__main__")
    except SystemExit as end:
        said[name] = end.code
print(json.dumps({"said": said, "loaded": sorted(sys.modules)}))
"""
HEAVY = {"torch", "mlflow", "torchvision", "lightning", "sklearn", "matplotlib", "cv2", "scipy"}


@pytest.fixture
def faces(tmp_path, write_manifest, write_image):
    """The value of `data` for a manifest: images of every gender, race and profession, as many as are named of a cell
    and otherwise 10, none of which is written but those of cells that are named in `written`."""

    def make(written: tuple[str, ...] = (), **counts: int) -> str:
        rows = []
        for gender, race, profession in product("mf", "xyz", ("cook", "nurse")):
            for number in range(counts.get(f"{gender}_{race}_{profession}", 10)):
                image = f"{gender}_{race}_{profession}_{number}.png"
                rows.append({"image": image, "gender": gender, "race": race, "profession": profession})
                if f"{gender}_{race}_{profession}" in written:
                    write_image(tmp_path / image, len(rows))
        return write_manifest(rows)

    return make


def test_commands_answer_what_labels_show_without_what_takes_long_to_load(faces, tmp_path):
    data = faces(written=("m_z_cook",), m_z_cook=1)
    (tmp_path / "hparams.yaml").write_text("momentum: 0.9\n")
    calls = [
        ["train", "--data", data, "--experiment", "A"],
        ["study", "--data", f"{data}?"],
        ["tune", "--data", data, "--weights", "missing.pth"],
        ["evaluate", "--data", data, "--exclude", "race:w"],
        ["prepare", "--data", "utkface:nowhere"],
        ["explain", "--data", "faces"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, json.dumps(calls)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    texts = {
        "train": "with -P merge=race:z+",
        "study": "faces.csv?",
        "tune": "weights=missing.pth: no file",
        "evaluate": "no image has the race w: there are x, y, z",
        "prepare": "no folder",
        "explain": "data=faces is not a data source",
    }
    assert all(said.startswith("fairprof: error: ") and "\n" not in said for said in found["said"].values())
    assert {name for name, text in texts.items() if text in found["said"][name]} == set(texts), found["said"]
    assert "pandas" in found["loaded"] and not HEAVY & set(found["loaded"])


def test_a_study_is_refused_for_any_of_its_designs_and_starts_without_them(faces, refused):
    data = faces(written=("m_z_cook",), m_z_cook=1)
    with refused("design A", "m x z x cook, has 0 there and 1 in all", "merge=race:z+"):
        look(StudySettings(data=data))
    look(StudySettings(data=data, experiments="B,C,D"))
    look(Settings(data=data, experiment="B"))
    with refused("design A"):
        look(TuneSettings(data=data))


def test_a_group_that_may_have_no_image_is_left_to_those_who_decode_them(faces, refused):
    """Race z has four images of 84, none of which is there: in a pool it is no group, and no cell of it is missing."""
    counts = {"m_z_cook": 1, "m_z_nurse": 1, "f_z_cook": 1, "f_z_nurse": 1}
    look(Settings(data=faces(**counts)))
    with refused("design A", "z"):
        look(Settings(data=faces(written=("f_z_nurse",), **counts)))
    with refused("design A", "z"):  # without z too much would be missing
        look(Settings(data=faces(**counts), max_quarantined_share=0.01))


def test_methods_that_change_a_training_are_refused_where_there_is_none(faces, refused):
    data = faces()
    look(StudySettings(data=data, finetune="linear_probe", mitigations="none,dfr,class_scaling"))
    with refused("finetune=linear_probe trains nothing that it could change: with it, mitigation=jtt is impossible"):
        look(StudySettings(data=data, finetune="linear_probe", mitigations="none,dfr,jtt"))
    with refused("finetune=knn has no last layer", "use one of none, linear_post, linear_post_blind, class_scaling"):
        look(Settings(data=data, finetune="knn", mitigation="dfr"))


def test_an_audit_looks_at_data_that_cannot_be_used(faces, tmp_path, refused):
    look(PrepareSettings(data=faces(m_z_cook=0)))
    (tmp_path / "bad.csv").write_text("image,gender,race,profession\na.png,m,,cook\n")
    look(PrepareSettings(data=f"manifest:{tmp_path / 'bad.csv'}"))
    with refused("1 of 1 rows are unusable"):
        look(Settings(data=f"manifest:{tmp_path / 'bad.csv'}"))


def test_models_are_asked_about_data_whatever_designs_could_be_drawn_from_them(faces):
    data = faces(written=("m_z_cook",), m_z_cook=1)
    look(EvaluateSettings(data=data))
    look(ExplainSettings(data=data))


@pytest.mark.parametrize(
    ("hparams", "text", "said"),
    [
        ("missing.yaml", None, "hparams=missing.yaml is neither a file nor a run's id"),
        ("tunde", None, "hparams=tunde is neither a file nor a run's id: give default, tuned, an id or a file"),
        ("hparams.yaml", "momentum: 0.9\n", "momentum is not a shared hyperparameter"),
        ("hparams.yaml", "learning_rate: 7\n", "learning_rate=7 is not valid"),
        ("hparams.yaml", "{{", "does not hold names and values"),
    ],
)
def test_a_file_of_hyperparameters_is_read(hparams, text, said, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    if text:
        (tmp_path / hparams).write_text(text)
    with refused(said):
        look(Settings(hparams=hparams))


def test_ids_of_runs_are_left_to_the_tracking_server_and_portraits_are_not_drawn(tmp_path):
    look(Settings(hparams="0123456789abcdef" * 2, cache_dir=str(tmp_path / "cache")))
    assert not (tmp_path / "cache").exists()


def test_more_portraits_than_there_are_cannot_be_drawn(tmp_path, refused):
    with refused("train_size=5000: design A can take at most 384", "-P train_size=384"):
        look(Settings(train_size=5000, cache_dir=str(tmp_path / "cache")))


@pytest.mark.parametrize("kind", [Settings, StudySettings, TuneSettings])
def test_a_method_that_a_baseline_cannot_have_is_refused_at_once(kind, refused):
    with refused("finetune=knn trains nothing that it could change", "mitigation=jtt is impossible"):
        look(kind(finetune="knn", mitigation="jtt", weights="random"))


def test_the_weights_of_every_backbone_are_looked_for(refused):
    with refused("weights=/nowhere/dino.pth"):
        look(StudySettings(backbones="resnet18@random,resnet18@/nowhere/dino.pth"))
