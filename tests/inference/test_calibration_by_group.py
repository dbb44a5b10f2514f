"""Calibration: temperatures worked by hand, scikit-learn's losses, and simulated classifiers whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import norm
from sklearn import metrics

from fairprof.inference.calibration_by_group import calibration_gaps, calibration_table, reliability_with_intervals
from fairprof.inference.intervals import design_effect_of, wilson_interval
from fairprof.metrics.performance import calibration_error, class_probabilities, reliability_table
from fairprof.metrics.selective import confidence_of

CLASSES = ["student", "blue_collar", "retired"]


def table_of(probabilities: np.ndarray, true: np.ndarray, gender: np.ndarray, race: np.ndarray) -> pd.DataFrame:
    names = np.array(CLASSES)
    table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in CLASSES])
    table["image"] = [f"{row}.png" for row in range(len(true))]
    table["y_true"], table["y_pred"] = names[true], names[probabilities.argmax(axis=1)]
    return table.assign(gender=gender, race=race)


def simulated(rows: int, temperature: float = 1.0, seed: int = 0, sharper: str = "", races=(0.6, 0.4)) -> pd.DataFrame:
    """A classifier that says softmax(z) where softmax(z / temperature) is true; if given, for race `sharper` alone."""
    generator = np.random.default_rng(seed)
    race = np.array(["one", "two", "few"])[generator.choice(3, rows, p=[*races, 1 - sum(races)])]
    logits = generator.normal(0, 1.5, (rows, 3))
    own = np.where((race == sharper) | (sharper == ""), temperature, 1.0)
    truth = softmax(logits / own[:, None], axis=1)
    true = (generator.random(rows)[:, None] > truth.cumsum(axis=1)).sum(axis=1).clip(max=2)
    return table_of(softmax(logits, axis=1), true, generator.choice(["Female", "Male"], rows), race)


def error_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["metric"].eq("calibration_error")].set_index(["attribute", "group"])


# Tables.


@pytest.fixture(scope="module")
def grouped() -> pd.DataFrame:
    return calibration_table(simulated(900, races=(0.7, 0.28)), 100, np.random.default_rng(1), min_support=30)


def test_groups_are_compared_at_the_number_of_the_smallest_sufficient_one(grouped):
    errors, sizes = error_rows(grouped), simulated(900, races=(0.7, 0.28))["race"].value_counts()
    assert sizes["few"] < 30 <= sizes["two"]
    assert errors.loc["race"].loc[["one", "two"], "images"].tolist() == [sizes["two"]] * 2
    assert errors.loc[("race", "one"), "support"] == sizes["one"]
    few = errors.loc[("race", "few")]
    assert np.isnan(few["value"]) and few["evidence"] == "insufficient_evidence" and few["support"] == sizes["few"]
    assert errors.loc[("all", "all"), "images"] == 900


def test_intervals_contain_their_values(grouped):
    defined = grouped.dropna(subset="value")
    assert (defined["lower"] <= defined["value"]).all() and (defined["value"] <= defined["upper"]).all()


def test_losses_of_groups_are_scikit_learns(grouped):
    table = simulated(900, races=(0.7, 0.28))
    values = grouped.set_index(["attribute", "group", "metric"])["value"]
    for race, own in table.groupby("race"):
        true = pd.Index(CLASSES).get_indexer(own["y_true"])
        probabilities = class_probabilities(own)
        assert values["race", race, "log_loss"] == pytest.approx(metrics.log_loss(true, probabilities, labels=range(3)))
        brier = metrics.brier_score_loss(true, probabilities, labels=range(3), scale_by_half=False)
        assert values["race", race, "brier_score"] == pytest.approx(brier)
        confidence, accuracy = probabilities.max(axis=1).mean(), (own["y_true"] == own["y_pred"]).mean()
        assert values["race", race, "overconfidence"] == pytest.approx(confidence - accuracy)


def test_all_images_have_the_error_of_performance(grouped):
    table = simulated(900, races=(0.7, 0.28))
    assert error_rows(grouped).loc[("all", "all"), "value"] == pytest.approx(calibration_error(table))


def test_a_calibrated_classifier_is_not_called_miscalibrated_and_another_is():
    p_values = {
        temperature: [
            error_rows(
                calibration_table(simulated(400, temperature, seed), 99, np.random.default_rng(seed), attributes=())
            ).loc[("all", "all"), "p_value"]
            for seed in range(20)
        ]
        for temperature in (1.0, 2.5)
    }
    assert np.mean(np.array(p_values[1.0]) <= 0.05) <= 0.15
    assert np.mean(np.array(p_values[2.5]) <= 0.05) == 1


def test_renaming_groups_and_moving_rows_changes_no_number():
    table = simulated(300)
    other = table.replace({"one": "zz", "two": "aa"}).sample(frac=1, random_state=0)
    first, second = (
        calibration_table(rows, 50, np.random.default_rng(0), attributes=["race"]) for rows in (table, other)
    )
    renamed = second.replace({"zz": "one", "aa": "two"}).sort_values(["attribute", "group", "metric"])
    ordered = first.sort_values(["attribute", "group", "metric"])
    pd.testing.assert_frame_equal(ordered.reset_index(drop=True), renamed.reset_index(drop=True), check_dtype=False)
    gaps = [calibration_gaps(rows, 50, np.random.default_rng(0), attributes=["race"]) for rows in (table, other)]
    assert gaps[0]["p_value"].tolist() == gaps[1]["p_value"].tolist()
    assert gaps[0]["value"].tolist() == pytest.approx(gaps[1]["value"].tolist())


def two_races(confidence: dict[str, list[float]], right: dict[str, list[bool]]) -> pd.DataFrame:
    """Predictions of "student" with these confidences, by race."""
    race = np.repeat(list(confidence), [len(own) for own in confidence.values()])
    top, true = np.concatenate(list(confidence.values())), np.where(np.concatenate(list(right.values())), 0, 1)
    table = table_of(np.column_stack([top, (1 - top) / 2, (1 - top) / 2]), true, np.full(len(race), "Female"), race)
    return table.assign(y_pred="student")


def gap_of(table: pd.DataFrame, permutations: int = 199, **settings) -> pd.Series:
    return calibration_gaps(table, permutations, np.random.default_rng(0), attributes=["race"], **settings).iloc[0]


def test_the_gap_is_that_of_confidence_minus_accuracy():
    table = two_races(
        {"one": [0.9] * 40, "two": [0.6] * 50},
        {"one": [True] * 30 + [False] * 10, "two": [True] * 30 + [False] * 20},
    )
    found = gap_of(table)
    assert found["value"] == pytest.approx(0.15)  # .9 - .75 against .6 - .6
    assert (found["highest_group"], found["lowest_group"]) == ("one", "two")
    assert (found["images"], found["groups"], found["insufficient_groups"]) == (90, 2, 0)


def test_the_p_value_of_two_groups_of_one_confidence_is_that_of_a_normal_contrast():
    # no slope where confidence does not vary: the test is the two-sample test of residuals
    table = two_races(
        {"one": [0.8] * 200, "two": [0.8] * 300},
        {"one": [True] * 150 + [False] * 50, "two": [True] * 246 + [False] * 54},
    )
    accuracy = 396 / 500
    error = np.sqrt(accuracy * (1 - accuracy) * (1 / 200 + 1 / 300))
    expected = 2 * norm.sf((0.82 - 0.75) / error)
    assert gap_of(table, 9999)["p_value"] == pytest.approx(expected, abs=0.015)


def test_an_equal_miscalibration_is_no_difference_and_one_that_differs_in_slope_is():
    sure, unsure = [0.9] * 100, [0.6] * 100
    alike = {"one": [True] * 80 + [False] * 20 + [True] * 50 + [False] * 50}
    alike["two"] = alike["one"]
    same = gap_of(two_races({"one": sure + unsure, "two": sure + unsure}, alike))
    assert same["value"] == pytest.approx(0) and same["p_value"] == 1
    tilted = alike | {"two": [True] * 65 + [False] * 35 + [True] * 65 + [False] * 35}
    found = gap_of(two_races({"one": sure + unsure, "two": sure + unsure}, tilted))
    assert found["value"] == pytest.approx(0) and found["p_value"] < 0.05
    assert found["differs_in"] == "overconfidence_slope"


def test_images_of_one_person_are_less_evidence_than_as_many_persons():
    table = two_races(
        {"one": [0.8] * 200, "two": [0.8] * 200},
        {"one": [True] * 140 + [False] * 60, "two": [True] * 165 + [False] * 35},
    )
    several = table.assign(person=np.arange(400) // 5)
    assert gap_of(table)["p_value"] < 0.05 < gap_of(several)["p_value"]
    assert gap_of(table.assign(person=np.arange(400)))["p_value"] == gap_of(table)["p_value"]


def test_a_group_that_is_all_right_and_sure_of_it_can_be_tested():
    found = gap_of(
        two_races({"one": [1.0] * 40, "two": [0.7] * 100}, {"one": [True] * 40, "two": [True] * 70 + [False] * 30})
    )
    assert found["value"] == pytest.approx(0) and found["verdict"] == "not_established"


def test_attributes_are_adjusted_together_and_verdicts_follow_the_adjusted_p():
    table = simulated(500, 4.0, 2, "two")
    found = calibration_gaps(table, 99, np.random.default_rng(0)).set_index("attribute")
    assert found["family"].to_dict() == {
        "gender": "confirmatory",
        "race": "confirmatory",
        "gender_x_race": "exploratory",
    }
    assert found.loc["race", "p_adjusted"] == pytest.approx(2 * found.loc["race", "p_value"])
    assert found.loc["race", "verdict"] == "established" and found.loc["gender", "verdict"] == "not_established"


def test_one_sufficient_group_has_no_difference():
    table = simulated(200).assign(race="one")
    found = calibration_gaps(table, 50, np.random.default_rng(0), attributes=["race"]).iloc[0]
    assert np.isnan(found["value"]) and found["groups"] == 1 and found["verdict"] == "undefined"


def test_bins_have_wilsons_intervals_and_with_persons_their_design_effects():
    table = simulated(300)
    found = reliability_with_intervals(table, 5)
    pd.testing.assert_frame_equal(found.drop(columns=["lower", "upper"]), reliability_table(table, 5))
    expected = wilson_interval((found["accuracy"] * found["count"]).round(), found["count"])
    np.testing.assert_allclose(found[["lower", "upper"]], np.column_stack(expected))
    pd.testing.assert_frame_equal(found, reliability_with_intervals(table.assign(person=table["image"]), 5))

    of_persons = table.assign(person=np.random.default_rng(0).integers(60, size=300)).sample(frac=1, random_state=0)
    wider = reliability_with_intervals(of_persons, 5)
    sure = confidence_of(of_persons) > found["mean_confidence"].iloc[3:].mean()
    last = np.sort(np.argsort(confidence_of(of_persons))[-int(found["count"].iloc[-1]) :])
    assert sure[last].mean() > 0.9
    right = of_persons["y_pred"].eq(of_persons["y_true"]).to_numpy()[last]
    effect = design_effect_of(right, of_persons["person"].to_numpy()[last])
    expected = wilson_interval(right.sum(), len(right), design_effect=effect)
    assert (wider["lower"].iloc[-1], wider["upper"].iloc[-1]) == pytest.approx([float(end) for end in expected])
