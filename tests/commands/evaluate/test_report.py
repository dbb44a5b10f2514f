"""The answer of an evaluation: it says what the tables say, and nothing more."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.evaluate import robustness
from fairprof.commands.evaluate.answer import answer, banners, quotable
from fairprof.commands.evaluate.report import description, findings, robustness_blocks
from fairprof.commands.evaluate.results import Calibration, Evaluation, Fairness, Robustness, Selective, Subject
from fairprof.commands.evaluate.shift import shift_between
from fairprof.commands.evaluate.speed import Machine, Speed
from fairprof.config import Settings
from fairprof.inference.calibration_by_group import calibration_gaps, calibration_table
from fairprof.inference.intervals import bootstrap_scores
from fairprof.inference.selective_prediction import risk_coverage, selective_by_group, selective_gaps, selective_scores
from fairprof.inference.verdicts import gaps_and_contrasts
from fairprof.measurement.measures import Measurements, measure
from fairprof.metrics.calibration import UNDETERMINED, Temperature
from fairprof.reporting.blocks import Paragraph, Picture
from tests.commands.evaluate.test_robustness import random_outcomes
from tests.commands.evaluate.test_shift import predictions


def evaluation(table: pd.DataFrame, weaker: float) -> Evaluation:
    """An evaluation of a table; corruption costs race "two" more by `weaker`."""
    composition = pd.DataFrame(
        {"partition": "train", "profession": "cook", "race": ["one", "two"], "gender": "Female", "count": 20}
    )
    generator = np.random.default_rng(0)
    gaps, contrasts = gaps_and_contrasts(table, 199, 100, 0.05, generator, min_support=200)
    tables = {
        "scores": bootstrap_scores(table, 100, generator),
        "contrasts": contrasts,
        "gaps": gaps.assign(highest_group="Male", lowest_group="Female", view="natural"),
    }
    stages = {"before": table, "after": table}
    made = random_outcomes(0, weaker)
    accuracy = robustness.accuracy_under_corruption(made)
    drops = robustness.drop_gaps(made, 199, generator)
    times = pd.DataFrame({"part": "network", "batch": [1, 32], "median_ms": [2.0, 40.0], "p95_ms": [3.0, 50.0]})
    return Evaluation(
        Subject(
            *("fairprof-B version 1", "B", ("gender", "profession"), "faces", "others", "all", False, len(table)),
            *(("cook", "nurse"), 32, 50, "2026-01-01T00:00:00+00:00", False, True),
        ),
        Fairness(
            {"test/macro_f1": 0.5}, Measurements({}, {f"metrics/{name}.csv": t for name, t in tables.items()}, gaps)
        ),
        Calibration(
            Temperature(1.0, UNDETERMINED),
            pd.concat([calibration_table(table, 100, generator).assign(stage=stage) for stage in stages]),
            pd.concat([calibration_gaps(table, 99, generator).assign(stage=stage) for stage in stages]),
        ),
        Selective(
            selective_scores(table),
            selective_by_group(table),
            selective_gaps(table, 99, generator),
            risk_coverage(table, 50, generator),
        ),
        Robustness(made, accuracy, drops, robustness.mean_corruption_accuracy(accuracy), made["image"].nunique(), {}),
        shift_between(stages, stages, table, composition, ("gender",), 99, generator),
        Speed(
            times.assign(images_per_second=1000 * times["batch"] / times["median_ms"]),
            *(10, 0.5, 100.0, 5.0, Machine("a processor", 2, 2, "none", "2")),
        ),
        0.05,
        200,
        199,
    )


@pytest.fixture(scope="module")
def alike() -> Evaluation:
    return evaluation(predictions(300, 0), weaker=0.0)


def test_an_image_that_may_show_somebody_is_left_out_with_where_it_is(alike):
    shown, hidden = (list(robustness_blocks(alike.robustness, shows)) for shows in (True, False))
    names = [[block.name for block in blocks if block.kind == "picture"] for blocks in (shown, hidden)]
    assert names[0] == ["robustness/race", "robustness/gender", "robustness/corruptions"] and names[1] == names[0][:2]
    told = " ".join(block.text for block in hidden if block.kind == "paragraph")
    assert "robustness/corruptions.png among the run's artifacts, and with faces_in_reports=true" in told


def test_every_question_is_answered_and_described(alike):
    said = answer(alike)
    assert list(said) == ["How good", "How fair", "Calibrated", "Refusing", "Robust", "Shift", "How fast"]
    assert all(sentence and "nan" not in sentence for sentence in said.values())
    assert all(f"- **{lead}**: {sentence}" in description(alike) for lead, sentence in said.items())


def test_what_is_quoted_is_the_whole_in_three_sentences(alike):
    good, fair, besides = quotable(alike)
    assert good == answer(alike)["How good"]
    assert fair.startswith("No gap between groups is established")
    clean = alike.robustness.accuracy.query("attribute == 'all' and corruption == 'clean'")["accuracy"].iloc[0]
    assert f"accuracy {clean:.3f} on clean images" in besides.replace(" .", " 0.") and besides.endswith("established.")
    assert all(sentence in description(alike) for sentence in (good, fair, besides))
    one_class = evaluation(predictions(300, 0).assign(y_pred="cook"), 0.0)
    assert banners(one_class)[0] == answer(one_class)["How fair"]
    assert len(quotable(one_class)) == 2


def test_what_is_not_established_is_said_to_be_so(alike):
    said = answer(alike)
    assert said["How fair"].startswith("No gap is established.")
    assert "is not established by gender" in said["Robust"] and "The mean drop differs" not in said["Robust"]
    assert "That the share that is answered differs between groups is not established" in said["Refusing"]
    assert said["Shift"].startswith("No shift is established")
    assert "none could be fitted: every prediction on 50 validation images is right" in said["Calibrated"]


def test_who_loses_most_is_named_where_that_is_established():
    said = answer(evaluation(predictions(300, 0), weaker=0.6))
    assert "The mean drop differs between groups by" in said["Robust"]
    assert "two more than the rest" in said["Robust"]


def test_the_corruption_that_costs_most_is_named_and_a_gain_is_no_drop(alike):
    assert " drops most under " in answer(evaluation(predictions(300, 0), weaker=0.6))["Robust"]
    gained = alike.robustness.accuracy.assign(drop=-0.01)
    said = answer(replace(alike, robustness=replace(alike.robustness, accuracy=gained)))
    assert "it drops under none of them." in said["Robust"]


def test_a_gap_that_is_established_is_told_with_who_differs_and_its_weak_rates():
    table = predictions(300, 0)
    women = table["gender"].eq("Female").to_numpy()
    chance = np.random.default_rng(1).random(300)
    predicted = np.where(chance < np.where(women, 0.9, 0.3), "cook", "nurse")
    top = table[["probability_cook", "probability_nurse"]].max(axis=1)
    table = table.assign(
        y_pred=predicted,
        probability_cook=np.where(predicted == "cook", top, 1 - top),
        probability_nurse=np.where(predicted == "cook", 1 - top, top),
    )
    said = answer(evaluation(table, 0.0))["How fair"]
    assert said.startswith("Gaps that are established for this model: demographic parity difference by gender .")
    predicted_cook = table["y_pred"].eq("cook")
    of_women, of_men = (f"{(predicted_cook & part).sum()} of {part.sum()}" for part in (women, ~women))
    assert f"; cook: Female, {of_women}, against {of_men} of the rest" in said
    assert "rates behind it under 200 images" in said
    assert answer(evaluation(table.assign(y_pred="cook"), 0.0))["How fair"].startswith("The model predicts one class")


@pytest.mark.parametrize(("predicted", "pictures"), [(None, 1), ("cook", 0)])
def test_one_class_for_every_image_has_no_picture_of_rates_and_the_report_says_so(alike, predicted, pictures):
    table = predictions(300, 0)
    table = table if predicted is None else table.assign(y_pred=predicted)
    measured = measure(table, Settings(permutations=99, replicates=100), seed=0)
    page = findings(replace(alike, fairness=Fairness(measured.values, measured)), {})
    (section,) = [section for section in page.sections if section.title == "Performance and fairness"]
    assert [isinstance(block, Picture) for block in section.blocks].count(True) == pictures
    said = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    assert any(text.startswith("One class is predicted for every image") for text in said) == (not pictures)


def scaled(alike: Evaluation, after: dict[str, float]) -> str:
    """What is said of calibration where these metrics of all images are others after scaling."""
    table = alike.calibration.table.copy()
    for metric, value in after.items():
        rows = table["stage"].eq("after") & table["attribute"].eq("all") & table["metric"].eq(metric)
        table.loc[rows, "value"] = value
    return answer(replace(alike, calibration=replace(alike.calibration, table=table)))["Calibrated"]


def test_temperature_scaling_is_called_better_only_where_all_that_is_told_is_better(alike):
    better = scaled(alike, {"log_loss": 0.01, "calibration_error": 0.01, "overconfidence": -0.01})
    assert "better in all of them" in better and "worse" not in better
    mixed = scaled(alike, {"log_loss": 0.01, "calibration_error": 0.01, "overconfidence": 0.6})
    assert "better in log loss and calibration error and worse in confidence minus accuracy" in mixed
    assert "changes nothing" in answer(alike)["Calibrated"]


def test_calibration_between_groups_follows_its_verdict(alike):
    assert "That overconfidence differs between groups is not established" in answer(alike)["Calibrated"]
    gaps = alike.calibration.gaps.copy()
    race = gaps["attribute"].eq("race")
    gaps.loc[race, ["verdict", "p_adjusted", "differs_in"]] = ["established", 0.01, "overconfidence"]
    said = answer(replace(alike, calibration=replace(alike.calibration, gaps=gaps)))["Calibrated"]
    assert (
        "Overconfidence then differs between groups by race" in said and "by gender" in said.split("not established")[1]
    )


def test_what_the_run_did_not_record_of_its_persons_is_said(alike):
    unknown = replace(alike, shift=alike.shift._replace(unknown_persons=True))
    said = "Whose images the training images are was not recorded"
    assert "were composed otherwise" in answer(alike)["Shift"] and said not in answer(alike)["Shift"]
    assert said in answer(unknown)["Shift"]


def test_speed_is_told_with_where_it_was_measured(alike):
    said = answer(alike)["How fast"]
    assert "2.0 ms for one image" in said and "800 images a second in batches of 32" in said
    assert said.endswith("measured on a processor, 2 cores, 2 threads, PyTorch 2.")


def test_no_corrupted_images_are_no_robustness(alike):
    assert answer(replace(alike, robustness=None))["Robust"] == "Not measured: robustness_images=0."
