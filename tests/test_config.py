"""Settings: bounds, search laws, messages, and the hash of what designs share."""

import pytest

from fairprof.config import (
    PATHS,
    Choice,
    CompareSettings,
    EvaluateSettings,
    ExplainSettings,
    Identifies,
    LogUniform,
    Merge,
    PrepareSettings,
    Settings,
    StudySettings,
    TuneSettings,
    Uniform,
    exclude_text,
    merge_text,
    method_values_text,
    search_laws,
    shared_settings,
)
from fairprof.errors import UserError


def test_defaults_are_valid_when_they_are_said_aloud():
    said = [word for name, value in Settings().model_dump().items() for word in (f"--{name}", str(value))]
    assert Settings.from_arguments(said) == Settings() == Settings.from_arguments([])


@pytest.mark.parametrize("name", search_laws())
def test_a_search_law_proposes_only_valid_values_and_includes_the_default(name):
    law = search_laws()[name]
    ends = law.options if isinstance(law, Choice) else (law.low, law.high)
    for value in ends:
        assert getattr(Settings.from_arguments([f"--{name}", str(value)]), name) == value
    default = getattr(Settings(), name)
    assert default in ends if isinstance(law, Choice) else ends[0] <= default <= ends[1]
    assert not isinstance(law, LogUniform) or law.low > 0
    assert isinstance(law, Choice | LogUniform | Uniform)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--batchsize", "64"], ["batchsize", "did you mean batch_size?"]),
        (["--batchsize=64"], ["batchsize", "did you mean batch_size?"]),
        (["--exp", "B"], ["exp", "known are", "experiment, seed"]),
        (["stray"], ["stray"]),
        (["--seed"], ["seed", "expected one argument"]),
        (["--experiment", "E"], ["experiment=E", "'A', 'B', 'C' or 'D'"]),
        (["--epochs", "-1"], ["epochs=-1", "greater than or equal to 1"]),
        (["--epochs", "0"], ["epochs=0", "greater than or equal to 1"]),
        (["--epochs", "2.5"], ["epochs=2.5", "integer"]),
        (["--seed", "two"], ["seed=two", "integer"]),
        (["--seed", "-1"], ["seed=-1", "greater than or equal to 0"]),
        (["--seed", str(2**32)], [f"seed={2**32}", "less than"]),
        (["--learning_rate", "nan"], ["learning_rate=nan", "finite"]),
        (["--learning_rate", "inf"], ["learning_rate=inf", "finite"]),
        (["--learning_rate", "0"], ["learning_rate=0", "greater than 0"]),
        (["--fraction", "1.5"], ["fraction=1.5", "less than or equal to 1"]),
        (["--train_size", "0"], ["train_size=0", "'natural' or 'matched' or greater than or equal to 1"]),
        (["--train_size", "many"], ["train_size=many", "'natural' or 'matched' or a valid integer"]),
        (["--imbalance", "0.5"], ["imbalance=0.5", "'natural' or greater than or equal to 1"]),
        (["--imbalance", "nan"], ["imbalance=nan", "finite"]),
        (["--label_bias_strength", "1"], ["label_bias_strength=1", "less than 1"]),
        (["--image_size", ""], ["image_size="]),
        (["--augmented_views", "0"], ["augmented_views=0", "'auto' or 'unlimited' or greater than or equal to 1"]),
        (["--augmented_views", "1001"], ["augmented_views=1001", "less than or equal to 1000"]),
        (["--augmented_views", "2.5"], ["augmented_views=2.5", "'auto' or 'unlimited'", "integer"]),
        (["--augmented_views", "many"], ["augmented_views=many", "'auto' or 'unlimited' or a valid integer"]),
        (["--workers", "-1"], ["workers=-1", "'auto' or greater than or equal to 0"]),
        (["--workers", "65"], ["workers=65", "less than or equal to 64"]),
        (["--workers", "some"], ["workers=some", "'auto' or a valid integer"]),
        (["--prefix_cache", "on"], ["prefix_cache=on", "'auto' or 'off'"]),
        (["--cache_gib", "0"], ["cache_gib=0", "greater than 0"]),
        (["--cache_gib", "-1"], ["cache_gib=-1", "greater than 0"]),
        (["--cache_gib", "inf"], ["cache_gib=inf", "finite"]),
        (["--cache_gib", "1e300"], ["cache_gib=1e300", "less than or equal to 1000000"]),
        (["--lock_timeout", "1e300"], ["lock_timeout=1e300", "less than or equal to 1000000"]),
        *(([f"--{name}", empty], [f"{name}=", "left out or named"]) for name in PATHS for empty in ("", " ")),
        (["--weights", "\udcff.pth"], ["weights=", "UTF-8"]),
        (["--weights", "https://example.org/w.pth"], ["weights=https://example.org/w.pth", "download the file"]),
        (["--weights", "s3://bucket/w.pth"], ["weights=s3://bucket/w.pth", "download the file"]),
        (["--weights", "https://huggingface.co/timm/resnet50.a1_in1k"], ["weights=hf-hub:timm/resnet50.a1_in1k@REV"]),
        (
            ["--weights", "https://huggingface.co/timm/resnet50.a1_in1k/resolve/767268/model.safetensors"],
            ["it should be no address: weights=hf-hub:timm/resnet50.a1_in1k@767268"],
        ),
        (["--weights", "hf-hub:timm/resnet50.a1_in1k"], ["hf-hub:OWNER/NAME@REVISION", "a commit or a tag"]),
        (["--weights", "hf-hub:timm/resnet50.a1_in1k@main"], ["the name of a branch"]),
        (["--weights", "hf-hub:resnet50@v1"], ["hf-hub:OWNER/NAME@REVISION"]),
        (["--weights", "local-dir:"], ["local-dir:FOLDER"]),
        (
            ["--architecture", "hf-hub:timm/resnet50.a1_in1k@v1"],
            ["architecture=timm:resnet50.a1_in1k weights=hf-hub:timm/resnet50.a1_in1k@v1"],
        ),
        (
            ["--architecture", "hf-hub:someone/vit"],
            ["architecture=timm:NAME weights=hf-hub:someone/vit@REVISION"],
        ),
        (
            ["--architecture", "https://huggingface.co/timm/resnet50.a1_in1k/tree/main"],
            ["architecture=timm:resnet50.a1_in1k weights=hf-hub:timm/resnet50.a1_in1k@REVISION"],
        ),
        (["--architecture", "local-dir:/a/b"], ["config.json", "weights=local-dir:/a/b"]),
        (["--architecture", "https://example.org/vit"], ["a name", "timm:NAME"]),
        (["--data", "manifest:\0"], ["data=", "zero bytes"]),
        (["--cache_gib", "32GiB"], ["cache_gib=32GiB", "number"]),
        (["--compile", "perhaps"], ["compile=perhaps", "a valid boolean"]),
        (["--compile", ""], ["compile=", "a valid boolean"]),
        (["--merge", ""], ["merge=", "none, or groups such as race:Indian+Others"]),
        (["--merge", "race:Indian"], ["merge=race:Indian", "two or more different ones"]),
        (["--merge", "race:a+b+a"], ["merge=race:a+b+a", "two or more different ones"]),
        (["--merge", "age:3-9+10-19"], ["merge=age:3-9+10-19", "gender or race, not age"]),
        (["--merge", "race:a+b,race:b+c"], ["no group occurs twice (race:b)"]),
        (["--merge", "race:a+b=x,race:c+d=x"], ["no group occurs twice (race:x)"]),
        (["--merge", 'race:"a+b'], ["double quotes are all closed"]),
        (["--merge", 'race:a"b"+c'], ['in double quotes where they hold one of ,+="']),
        (["--merge", "auto"], ["merge=auto", "no model"]),
        (["--exclude", "Others"], ["exclude=Others", "race:Others", "gender or race, not Others"]),
        (["--exclude", "race:"], ["exclude=race:", "(empty)"]),
        (["--exclude", "race:Indian+Others"], ["exclude=race:Indian+Others", "in double quotes"]),
        (["--epochs", "-1", "--fraction", "0"], ["epochs=-1", "; ", "fraction=0"]),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(refused, arguments, texts):
    with refused(*texts):
        Settings.from_arguments(arguments)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--experiment", "b"], "experiment", "B"),
        (["--seed", "0"], "seed", 0),
        (["--seed=4294967295"], "seed", 2**32 - 1),
        (["--train_size", "500"], "train_size", 500),
        (["--train_size", "matched"], "train_size", "matched"),
        (["--imbalance", "8"], "imbalance", 8.0),
        (["--augmented_views", "auto"], "augmented_views", "auto"),
        (["--augmented_views", "unlimited"], "augmented_views", "unlimited"),
        (["--augmented_views", "3"], "augmented_views", 3),
        (["--workers", "auto"], "workers", "auto"),
        (["--workers", "0"], "workers", 0),
        (["--prefix_cache", "off"], "prefix_cache", "off"),
        (["--cache_gib", "0.5"], "cache_gib", 0.5),
        (["--compile", "true"], "compile", True),
        (["--compile", "True"], "compile", True),
        (["--compile", "false"], "compile", False),
        (["--compile", "False"], "compile", False),
        (["--compile", "no"], "compile", False),
        (["--compile", "0"], "compile", False),
        (["--data", "utkface:a folder, [with] {odd} name"], "data", "utkface:a folder, [with] {odd} name"),
    ],
)
def test_a_value_arrives_as_it_was_meant(arguments, name, value):
    got = getattr(Settings.from_arguments(arguments), name)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("finetune", "automatic"), [("head", 4), ("layer4", 4), ("layer3", 4), ("layer2", None), ("all", None)]
)
def test_images_have_four_views_where_the_prefix_cache_applies_and_else_as_many_as_were_asked_for(finetune, automatic):
    assert Settings(finetune=finetune).view_count() == automatic
    assert Settings(finetune=finetune, prefix_cache="off").view_count() == automatic  # how, not what, is trained
    assert Settings(finetune=finetune, augmented_views="unlimited").view_count() is None
    assert Settings(finetune=finetune, augmented_views=1).view_count() == 1
    assert Settings(finetune=finetune, augmented_views=7).view_count() == 7


def test_the_hash_depends_on_every_shared_setting_and_on_no_other():
    other = {
        "experiment": "D",
        "data": "utkface:faces",
        "seed": 5,
        "train_size": "matched",
        "fraction": 0.5,
        "imbalance": 4.0,
        "label_bias": "race",
        "label_bias_strength": 0.3,
        "label_seed": 1,
        "cue_gap": 0.5,
        "merge": "race:Indian+Others",
        "exclude": "race:Others",
        "mitigation": "group_dro",
        "mitigate": "gender",
        "mitigation_values": "group_dro.eta=0.5",
        "architecture": "resnet18",
        "weights": "random",
        "finetune": "head",
        "image_size": 100,
        "epochs": 19,
        "batch_size": 17,
        "learning_rate": 2.5e-3,
        "backbone_learning_rate_ratio": 0.17,
        "weight_decay": 0.0,
        "warmup_fraction": 0.2,
        "label_smoothing": 0.0,
        "mixup_alpha": 0.0,
        "mixup_probability": 1.0,
        "augmented_views": 3,
        "patience": 3,
        "selection": "val_macro_f1",
        "scored_selections": "all",
        "min_support": 11,
        "permutations": 99,
        "replicates": 100,
        "delta": 0.1,
        "hparams": "tuned",
        "gradcam_images": 11,
        "max_quarantined_share": 0.2,
        "accelerator": "cpu",
        "workers": 2,
        "compile": True,
        "faces_in_reports": True,
        "recorder": "here",
        "prefix_cache": "off",
        "cache_dir": "elsewhere",
        "cache_gib": 1.5,
        "lock_timeout": 1.0,
    }
    assert set(other) == set(Settings.model_fields)
    plain = Settings().hyperparameters_hash()
    changing = {name for name, value in other.items() if Settings(**{name: value}).hyperparameters_hash() != plain}
    assert changing == set(shared_settings())
    hashes = {Settings(**{name: other[name]}).hyperparameters_hash() for name in changing}
    assert len(hashes) == len(changing)
    assert len(plain) == 12 and int(plain, 16) >= 0


def test_the_hash_of_the_same_settings_stays_the_same():
    assert Settings().hyperparameters_hash() == "ac376f4686c5"
    assert Settings(experiment="D", seed=5, epochs=9, learning_rate=0.01).hyperparameters_hash() == "b04581a27752"


@pytest.mark.parametrize(
    ("settings", "kind", "names"),
    [
        (Settings, "run", "experiment seed train_size fraction"),
        (
            Settings,
            "study",
            "data label_bias label_bias_strength label_seed cue_gap merge exclude max_quarantined_share imbalance "
            "weights hparams",
        ),
        (
            Settings,
            "analysis",
            "min_support permutations replicates delta faces_in_reports scored_selections gradcam_images",
        ),
        (Settings, "machine", "accelerator workers cache_dir cache_gib lock_timeout compile recorder prefix_cache"),
        (Settings, "method", "mitigation mitigate mitigation_values"),
        (StudySettings, "run", "mitigations experiments backbones seeds train_size fractions"),
        (TuneSettings, "run", "mitigations experiments seed train_size search objective"),
        (
            TuneSettings,
            "analysis",
            "min_support permutations replicates delta faces_in_reports scored_selections gradcam_images trials",
        ),
        (CompareSettings, "run", "runs"),
        (EvaluateSettings, "run", "model"),
        (
            EvaluateSettings,
            "analysis",
            "min_support permutations replicates delta faces_in_reports partition robustness_images seed",
        ),
        (ExplainSettings, "run", "models"),
        (PrepareSettings, "shared", "image_size"),
    ],
)
def test_every_setting_says_what_it_identifies(settings, kind, names):
    assert settings.identifying(Identifies[kind.upper()]) == tuple(names.split())
    assert set(settings.identifying(*Identifies)) == set(settings.model_fields)


def test_equal_numbers_hash_equally_however_they_are_written():
    hashes = {
        Settings.from_arguments(["--learning_rate", text]).hyperparameters_hash()
        for text in ("0.004", "4e-3", "4E-3", ".0040")
    }
    assert hashes == {Settings(learning_rate=0.004).hyperparameters_hash()}


def test_environment_variables_change_nothing(monkeypatch, tmp_path):
    for name in ("seed", "SEED", "epochs", "EPOCHS"):
        monkeypatch.setenv(name, "77")
    (tmp_path / ".env").write_text("seed=78\n")
    monkeypatch.chdir(tmp_path)
    assert Settings() == Settings.from_arguments([])
    assert Settings().seed == 0


def test_every_setting_has_a_help_text_and_settings_cannot_be_changed_later():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    with pytest.raises(ValueError, match="frozen"):
        Settings().seed = 1


def test_groups_are_named_with_or_without_quotes_and_written_back_as_they_were_meant():
    text = 'race:"A+B, ""C"""+d e:f=other,gender:"x=y"+z'
    settings = Settings.from_arguments(["--merge", text, "--exclude", 'race:"1,2", gender : x'])
    assert settings.merges() == (
        Merge("race", ('A+B, "C"', "d e:f"), "other"),
        Merge("gender", ("x=y", "z"), "x=y+z"),
    )
    assert settings.exclusions() == (("race", "1,2"), ("gender", "x"))
    assert merge_text(settings.merges()) == text and merge_text(()) == exclude_text(()) == "none"
    assert exclude_text(settings.exclusions()) == 'race:"1,2",gender:x'


def test_a_model_is_judged_with_the_groups_that_it_was_trained_with_unless_others_are_named():
    assert EvaluateSettings().merge == ExplainSettings().exclude == "auto"
    assert EvaluateSettings().merges() == EvaluateSettings().exclusions() == ()
    assert EvaluateSettings(merge="race:a+b").merges()[0].groups == ("a", "b")


def test_methods_have_a_hash_of_their_own():
    none = Settings()
    assert none.method_hash() == Settings(mitigate="gender", mitigation_values="jtt.weight=3").method_hash()
    dro = Settings(mitigation="group_dro")
    assert dro.method_values() == {"eta": 0.01}
    assert dro.method_hash() == Settings(mitigation="group_dro", mitigation_values="group_dro.eta=0.01").method_hash()
    others = [
        Settings(mitigation="group_dro", mitigation_values="group_dro.eta=0.02"),
        Settings(mitigation="group_dro", mitigate="gender"),
        Settings(mitigation="cvar_dro"),
    ]
    assert len({each.method_hash() for each in (none, dro, *others)}) == 5
    assert len({each.hyperparameters_hash() for each in (none, dro, *others)}) == 1


def test_a_methods_values_are_written_as_they_are_read():
    settings = Settings(mitigation="jtt", mitigation_values="lisa.alpha=1,jtt.weight=20")
    assert settings.method_values() == {"weight": 20.0, "identification_epochs": 1.0}
    text = method_values_text("jtt", settings.method_values())
    assert text == "jtt.weight=20.0,jtt.identification_epochs=1.0"
    assert Settings(mitigation="jtt", mitigation_values=text).method_values() == settings.method_values()
    assert method_values_text("dfr", {}) == "default"


@pytest.mark.parametrize(
    ("settings", "arguments", "text"),
    [
        (Settings, {"mitigation": "magic"}, "one of none, resample"),
        (Settings, {"mitigation_values": "group_dro.etta=1"}, r"group_dro\.eta.*\(group_dro\.etta=1\)"),
        (Settings, {"mitigation_values": "group_dro.eta"}, r"\(group_dro\.eta\)"),
        (Settings, {"mitigation_values": "group_dro.eta=nan"}, r"group_dro\.eta from 0 to 100 \(nan\)"),
        (Settings, {"mitigation_values": "cvar_dro.alpha=0"}, r"cvar_dro\.alpha from 0\.01 to 1 \(0\)"),
        (Settings, {"mitigation_values": "jtt.weight=2,jtt.weight=3"}, "nothing occurs twice"),
        (Settings, {"mitigation_values": "linear_post.criterion=odd"}, "one of demographic_parity"),
        (StudySettings, {"mitigations": "dfr,jtt"}, "none is, with which the others are compared"),
        (StudySettings, {"mitigations": "none,none"}, "nothing occurs twice"),
        (TuneSettings, {"mitigations": "none,magic"}, "one of none, resample"),
    ],
)
def test_wrong_methods_and_values_are_answered_in_a_line(settings, arguments, text):
    given = [word for name, value in arguments.items() for word in (f"--{name}", value)]
    with pytest.raises(UserError, match=text):
        settings.from_arguments(given)


def test_the_methods_of_a_study_begin_with_none():
    assert StudySettings(mitigations="dfr,none,jtt").methods() == ("none", "dfr", "jtt")
    assert StudySettings(mitigation="dfr").methods() == ("dfr",)
