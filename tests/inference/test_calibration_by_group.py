"""Calibration: temperatures worked by hand, scikit-learn's losses, and simulated classifiers whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn import metrics

from fairprof.inference.calibration_by_group import calibration_gaps, calibration_table
from fairprof.metrics.performance import calibration_error, class_probabilities

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


def test_groups_that_are_calibrated_alike_show_no_difference_and_others_do():
    def rejected(sharper: str) -> float:
        found = [
            calibration_gaps(
                simulated(500, 4.0 if sharper else 1.0, seed, sharper),
                99,
                np.random.default_rng(seed),
                attributes=["race"],
            )["p_value"].item()
            for seed in range(20)
        ]
        return np.mean(np.array(found) <= 0.05)

    assert rejected("") <= 0.15
    assert rejected("two") >= 0.8


def test_one_sufficient_group_has_no_difference():
    table = simulated(200).assign(race="one")
    found = calibration_gaps(table, 50, np.random.default_rng(0), attributes=["race"]).iloc[0]
    assert np.isnan(found["value"]) and found["groups"] == 1
