"""The page of one run: sentences and cells of tables worked by hand, banners, and how it looks in a browser."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairprof.commands.train.report import PICTURE_WIDTH, Outcome, answer, banners, findings, smaller
from fairprof.config import Settings
from fairprof.data.partitions import PARTITIONS
from fairprof.network.records import LoadedTensors, Weights
from fairprof.store.registry import RegisteredVersion
from tests.browsers import PHONE, barriers, opened
from tests.reporting.pages import needs_nothing_else, plain_text, rows_of


def gap(attribute: str, metric: str, value: float, verdict: str, family: str = "confirmatory", few: int = 0) -> dict:
    return {
        "attribute": attribute,
        "metric": f"{metric}_difference",
        "class": "max_over_classes",
        "value": value,
        "undefined_cells": 0,
        "insufficient_cells": few,
        "null_mean": 0.06,
        "null_q95": 0.164,
        "delta": 0.05,
        "family": family,
        "p_adjusted": 0.01,
        "verdict": verdict,
        "below_delta": False,
    }


GAPS = [
    gap("gender", "demographic_parity", 0.034, "not_established"),
    gap("gender", "equal_opportunity", 0.148, "not_established"),
    gap("race", "demographic_parity", 0.26, "established"),
    gap("race", "equal_opportunity", 0.581, "not_established"),
    gap("gender_x_race", "demographic_parity", 0.294, "not_established", "exploratory"),
    gap("gender_x_race", "equal_opportunity", 0.617, "not_established", "exploratory", few=9),
]


def picture(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def outcome(**changes) -> Outcome:
    contrasts = [
        ("gender", "selection_rate", "cook", "Female", 40),
        ("gender", "selection_rate", "cook", "Male", 60),
        ("race", "selection_rate", "cook", "one", 30),
        ("race", "selection_rate", "cook", "two", 70),
    ]
    composition = [
        (partition, profession, race, gender, images if partition == "train" else 5)
        for partition in PARTITIONS
        for profession, race, gender, images in (
            ("cook", "one", "Female", 3),
            ("cook", "one", "Male", 4),
            ("nurse", "one", "Female", 5),
            ("nurse", "one", "Male", 6),
            ("cook", "two", "Female", 1000),
            ("nurse", "two", "Male", 2),
        )
    ]
    scores = [("accuracy", 0.55, 0.5, 0.6), ("balanced_accuracy", 0.5, 0.4, 0.625), ("macro_f1", 0.5414, 0.4936, 0.584)]
    values = {
        "settings": Settings(experiment="B", seed=3, epochs=4, weights="imagenet"),
        "name": "B-seed3",
        "run_id": "0123456789abcdef0123456789abcdef",
        "scores": pd.DataFrame(scores, columns=["metric", "value", "lower", "upper"]),
        "gaps": pd.DataFrame(GAPS),
        "contrasts": pd.DataFrame(contrasts, columns=["attribute", "rate", "class", "group", "support"]),
        "composition": pd.DataFrame(composition, columns=["partition", "profession", "race", "gender", "count"]),
        "values": {
            "test/macro_f1": 0.5414,
            "test/macro_f1_of_ceiling": 0.869,
            "test/macro_f1_share_above_chance": 0.785,
            "ceiling/macro_f1": 0.623,
            "ceiling/lowest_demographic_parity_difference/race": 0.055,
            "ceiling/highest_demographic_parity_difference/race": 0.152,
        },
        "images": {"train": 1020, "val": 30, "test": 100},
        "weights": "imagenet",
        "weights_sha256": "0a1b",
        "weights_told": "",
        "degenerate": None,
        "best_epoch": 2,
        "epochs": 4,
        "version": RegisteredVersion("fairprof-B", "7", True, "the first"),
        "picture": picture(1200, 700),
    }
    return Outcome(**values | changes)


def test_the_answer_says_how_good_it_is_whether_groups_differ_and_what_one_run_does_not_show():
    good, fair, one = answer(outcome())
    assert good == (
        "Trained on 1,020 images of design B, it has macro-F1 .541 [.494, .584] on 100 test images (86.9 % of the "
        "ceiling, 78.5 % above chance)."
    )
    assert fair == (
        "This model treats groups differently by race (DP .260, chance up to .164, the ages alone up to .152); by "
        "gender no gap is established."
    )
    assert "nothing of differences between designs" in one


def test_baselines_say_what_was_fitted_in_place_of_a_training():
    probe = outcome(
        settings=Settings(experiment="B", finetune="linear_probe"), baseline={"strength": 0.01, "features": 2048.0}
    )
    assert answer(probe)[0].startswith("A linear probe that was fitted to 1,020 images of design B has macro-F1 .541")
    assert findings(probe).subtitle.endswith(
        "from imagenet weights, a linear probe of 2,048 features with penalty C = 0.01 by validation macro-F1"
    )
    assert "30 validation images chose the penalty" in plain_text(findings(probe).html())
    nearest = outcome(settings=Settings(experiment="B", finetune="knn"), baseline={"neighbours": 20.0})
    assert answer(nearest)[0].startswith("A vote of the nearest of 1,020 images of design B has macro-F1 .541")
    assert "by the 20 nearest training images, nothing trained" in findings(nearest).description
    assert "30 validation images chose nothing" in plain_text(findings(nearest).html())
    assert not any("epoch" in plain_text(findings(each).html()) for each in (probe, nearest))


def test_without_a_ceiling_and_without_an_established_gap_the_answer_does_not_speak_of_them():
    alike = pd.DataFrame(GAPS).assign(verdict="not_established")
    good, fair, _ = answer(outcome(values={}, gaps=alike))
    assert good.endswith("on 100 test images.") and fair == "No gap between groups is established."


def test_a_model_that_answers_one_class_is_called_degenerate_first_and_its_gaps_are_not_told():
    found = outcome(degenerate="retired")
    assert next(iter(banners(found))) == "Degenerate: one class, retired, is predicted for every test image."
    assert answer(found)[1].startswith("It answers retired for every test image") and "DP" not in answer(found)[1]


def test_what_has_to_be_known_first_stands_in_banners():
    assert list(banners(outcome())) == []
    weak = [*GAPS[:2], gap("race", "demographic_parity", np.nan, "undefined"), GAPS[3] | {"insufficient_cells": 3}]
    settings = Settings(label_bias="race", label_bias_strength=0.25, cue_gap=0.5, weights="random")
    found = list(banners(outcome(gaps=pd.DataFrame(weak), settings=settings, weights_sha256="none")))
    assert found == [
        "Labels were biased on purpose (race, .25).",
        "Age was drawn more faintly on dark skin on purpose (cue_gap .5).",
        "Networks started from random weights, not from pretrained ones: all was learnt from these images alone.",
        "Undefined: demographic parity difference by race. No class has the rates of two groups to compare.",
        "Few test images: of the rates behind the verdicts, 3 rest on fewer than 30 images.",
    ]


def test_cells_are_those_of_the_tables():
    page = findings(outcome()).html()
    assert rows_of(page, "Scores")[1:] == [
        ["accuracy", ".550 [.500, .600]", "–"],
        ["balanced accuracy", ".500 [.400, .625]", "–"],
        ["macro-F1", ".541 [.494, .584]", ".623"],
    ]
    verdicts = rows_of(page, "Verdicts")
    assert [row[0] for row in verdicts[1:]] == [
        f"{name} difference by {attribute}"
        for attribute in ("gender", "race", "gender x race")
        for name in ("demographic parity", "equal opportunity")
    ]
    assert verdicts[3][1:] == ["100 fewest 30: one", ".260 chance .060, .164 established"]
    assert rows_of(page, "1,020 training images") == [
        ["race", "all", "Female", "Male", "cook", "nurse"],
        ["one", "18", "8", "10", "7", "11"],
        ["two", "1,002", "1,000", "2", "1,000", "2"],
    ]


def test_the_commands_are_those_that_go_on_with_this_run():
    text = plain_text(findings(outcome()).html())
    assert "mlflow run . -e evaluate -P model=fairprof-B/7 -P data=synthetic mlflow run . -e study" in text
    assert "-P data=synthetic -P weights=imagenet -P epochs=4" in text
    assert 'mlflow.pyfunc.load_model("models:/fairprof-B/7")' in text
    settings = Settings(data="utkface:/home/me/faces", weights="/home/me/w.pth", hparams="/home/me/h.yaml", cue_gap=0)
    told = Weights("/home/me/w.pth", "0a1b2c3d4e5f67", loaded=LoadedTensors(300, 0.9876, ("fc_norm.bias",), ())).told()
    found = findings(outcome(version=None, settings=settings, weights="w.pth", weights_told=told))
    text = plain_text(found.html())
    assert "-e evaluate -P model=run:0123456789abcdef0123456789abcdef -P data=utkface:FOLDER" in text
    assert "-e study -P data=utkface:FOLDER -P weights=WEIGHTS" in text
    assert "FOLDER stands for where the data set lies. WEIGHTS stands for the file of the weights." in text
    assert (
        "Training began with the weights w.pth (SHA-256 0a1b2c3d4e5f): 300 of the backbone's 301 tensors (98.7 % of "
        "its parameters) were loaded; fc_norm.bias starts as initialised. They state no licence."
    ) in text
    assert "-e register -P run=0123456789abcdef0123456789abcdef" in text
    assert "/home/me" not in found.html() + found.description


def test_images_of_people_are_shown_where_somebody_has_said_so():
    real = Settings(data="utkface:faces", weights="imagenet")
    shown = {name: findings(outcome(settings=real.model_copy(update={"faces_in_reports": name}))) for name in (0, 1)}
    assert list(shown[0].pictures) == ["mean_by_group"] and list(shown[1].pictures) == ["contact_sheet"]
    assert "gradcam/contact_sheet.png among the run's artifacts" in plain_text(shown[0].html())
    assert "left out of this page" not in plain_text(shown[1].html())
    assert list(findings(outcome()).pictures) == ["contact_sheet"]


def test_the_description_and_what_is_printed_say_the_same_as_the_page():
    found, said = findings(outcome()), answer(outcome())
    assert found.printed == said[:2]
    assert found.description.startswith(f"**Design B** (balanced over gender x profession): {' '.join(said)}\n\n")
    assert all(sentence in plain_text(found.html()) for sentence in said)


def test_pictures_take_little_room():
    png = smaller(picture(1600, 800))
    with Image.open(io.BytesIO(png)) as shown:
        assert shown.size == (PICTURE_WIDTH, PICTURE_WIDTH // 2) and shown.mode == "P"
    with Image.open(io.BytesIO(smaller(picture(300, 200)))) as small:
        assert small.size == (300, 200)


@pytest.mark.parametrize("degenerate", [None, "retired"])
def test_it_is_one_sheet_of_paper_and_two_screens_and_fits_a_phone(browser, tmp_path, degenerate):
    page = findings(outcome(degenerate=degenerate, weights_sha256="none")).html()
    assert needs_nothing_else(page)
    file = tmp_path / "report.html"
    file.write_text(page)
    with opened(browser, file) as laptop:
        sheets = len(re.findall(rb"/Type\s*/Page\b", laptop.pdf(prefer_css_page_size=True)))
        assert sheets == 1 and laptop.evaluate("document.documentElement.scrollHeight") <= 2.4 * 768
        assert barriers(laptop) == []
    with opened(browser, file, PHONE) as phone:
        width = "element => [element.scrollWidth, element.clientWidth]"
        for element in phone.query_selector_all("html, .lead, .scroll:has(table)"):
            needed, there = element.evaluate(width)
            assert needed <= there
    with opened(browser, file, color_scheme="dark") as dark:
        assert barriers(dark) == []
