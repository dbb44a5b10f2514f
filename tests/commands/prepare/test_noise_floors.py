"""Gaps by chance: the closed form of equal groups, the power that is promised, and which gaps cannot be judged."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from fairprof.commands.prepare.noise_floors import _distances, expected_noise_floors, supports
from fairprof.inference.cell_tests import distances, z_values
from fairprof.inference.permutation import gap_tests, permuted_runs
from fairprof.inference.same_images import one_run
from fairprof.measurement.detectable import assumed_classifier
from fairprof.metrics.fairness import rates_by_group

DP, EO = "demographic_parity_difference", "equal_opportunity_difference"
EXPECTED_RANGE = {2: 1.128, 7: 2.704}  # of K standard normal numbers


def images(counts: dict[tuple[str, str], dict[str, int]]) -> pd.DataFrame:
    """gender, race and profession of test images: counts by (gender, race) and profession."""
    rows = [
        (gender, race, profession)
        for (gender, race), professions in counts.items()
        for profession, count in professions.items()
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["gender", "race", "profession"]).astype("category")


def equal(races: int, per_class: int = 100) -> pd.DataFrame:
    cells = {(gender, f"race {race}"): {"a": per_class, "b": per_class} for gender in "mf" for race in range(races)}
    return images(cells)


def even(right: float, classes: int = 2) -> np.ndarray:
    return np.where(np.eye(classes, dtype=bool), right, (1 - right) / (classes - 1))


def floors(rows: pd.DataFrame, confusion: np.ndarray, draws: int = 2000, min_support: int = 30) -> pd.DataFrame:
    found = expected_noise_floors(rows, confusion, draws, np.random.default_rng(0), min_support)
    return found.set_index(["attribute", "metric", "class"])


def predictions_of(rows: pd.DataFrame, confusion: np.ndarray, generator: np.random.Generator) -> pd.DataFrame:
    codes = rows["profession"].cat.codes.to_numpy()
    predicted = (generator.random((len(rows), 1)) > confusion[codes].cumsum(axis=1)[:, :-1]).sum(axis=1)
    onehot = pd.DataFrame(np.eye(3)[predicted], columns=[f"probability_{name}" for name in "abc"])
    return rows[["gender", "race"]].assign(
        image=rows.index.astype(str),
        y_true=rows["profession"].astype(str),
        y_pred=np.array(list("abc"))[predicted],
        **onehot,
    )


@pytest.mark.parametrize("races", EXPECTED_RANGE)
def test_equal_groups_have_the_closed_form(races):
    found = floors(equal(races), even(0.7))
    n = 2 * 100  # images of a race and class, of both genders
    expected = EXPECTED_RANGE[races] * np.sqrt(0.7 * 0.3 / n)
    assert found.loc[("race", EO, "a"), "null_mean"] == pytest.approx(expected, rel=0.04)
    expected = EXPECTED_RANGE[races] * np.sqrt(0.5 * 0.5 / (2 * n))  # half of all images are predicted a
    assert found.loc[("race", DP, "a"), "null_mean"] == pytest.approx(expected, rel=0.04)


def test_it_is_the_noise_floor_of_a_run_with_such_predictions():
    generator = np.random.default_rng(1)
    cells = {("m", "x"): (40, 90, 20), ("m", "y"): (30, 60, 50), ("f", "x"): (80, 20, 70), ("f", "y"): (30, 30, 30)}
    rows = images({group: dict(zip("abc", counts, strict=True)) for group, counts in cells.items()})
    confusion = np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]])
    predictions = predictions_of(rows, confusion, generator)
    run = gap_tests(predictions, 1999, generator).set_index(["attribute", "metric", "class"])
    expected = floors(rows, confusion)
    for attribute in ("gender", "race", "gender_x_race"):
        for metric in (DP, EO):
            for column in ("null_mean", "null_q95"):
                there = run.loc[(attribute, metric, "max_over_classes"), column]
                # of one run, rates are not quite those that were assumed
                assert expected.loc[(attribute, metric, "max_over_classes"), column] == pytest.approx(there, rel=0.12)
    assert set(expected.index) == set(run.index)


def test_the_statistic_is_that_of_the_test():
    # the observed distances of the test's own cells, from the same counts
    generator = np.random.default_rng(3)
    cells = {("m", f"race {race}"): {"a": count, "b": 40, "c": 90} for race, count in enumerate((5, 30, 140))}
    rows = images(cells)
    predictions = predictions_of(rows, np.full((3, 3), 1 / 3), generator)
    (permuted,) = permuted_runs(one_run(predictions, ["race"]), 99, generator)
    counts = permuted.units.counts[0][np.argsort(permuted.order)]  # (G, T, K)
    images_of = counts.sum(axis=-1)
    for rate, happened, among in (
        ("selection_rate", counts.sum(axis=1), np.repeat(images_of.sum(axis=1)[:, None], 3, axis=1)),
        ("true_positive_rate", np.diagonal(counts, axis1=1, axis2=2), images_of),
    ):
        for found, distance in zip(_distances(happened[None], among), (distances, z_values), strict=True):
            expected, _ = permuted.cells[rate].distances(distance)
            np.testing.assert_allclose(found[0], expected[np.argsort(permuted.order)], atol=1e-8)


def test_two_groups_are_found_as_the_power_of_pearson_s_test_says():
    found = floors(images({(gender, "x"): {"a": 200, "b": 200} for gender in "mf"}), even(0.7))
    gap = found.loc[("gender", EO, "a"), "detectable_largest"]
    low, high = 0.7 - gap / 2, 0.7 + gap / 2
    error, by_chance = np.sqrt((low * (1 - low) + high * (1 - high)) / 200), np.sqrt(2 * 0.7 * 0.3 / 200)
    power = norm.sf((norm.isf(0.05 / 4 / 2) * by_chance - gap) / error)
    assert power == pytest.approx(0.8, abs=0.03)
    assert found.loc[("gender", EO, "max_over_classes"), "detectable_largest"] >= gap - 0.005


def test_small_groups_need_larger_differences_and_may_never_be_found():
    cells = {("m", f"race {race}"): {"a": count, "b": 150} for race, count in enumerate((3, 4, 140, 200))}
    found = floors(images(cells), even(0.7))
    assert 0.1 < found.loc[("race", EO, "a"), "detectable_largest"] < 0.4
    assert np.isnan(found.loc[("race", EO, "a"), "detectable_smallest"])
    assert np.isnan(found.loc[("race", EO, "max_over_classes"), "detectable_smallest"])


def test_what_cannot_be_judged_is_said():
    rows = images(
        {
            ("m", "x"): {"a": 50, "b": 50},
            ("f", "x"): {"a": 50, "b": 50},
            ("m", "y"): {"a": 12, "b": 60},
            ("f", "y"): {"a": 0, "b": 60},
        }
    )
    found = floors(rows, even(0.7), 200)
    judged = found["judged"]
    assert judged["gender", EO, "a"] == judged["race", DP, "max_over_classes"] == "all groups"
    # 12 of race y are a: with one other race, nothing can be compared
    assert judged["race", EO, "a"] == "none" and judged["race", EO, "b"] == "all groups"
    assert judged["race", EO, "max_over_classes"] == "some groups"
    assert judged["gender_x_race", EO, "a"] == "some groups"
    assert found.loc[("gender_x_race", EO, "a"), ["undefined", "insufficient"]].tolist() == [1, 1]
    assert np.isfinite(found.loc[("gender_x_race", EO, "a"), "null_mean"])
    alone = floors(images({("m", "x"): {"a": 9, "b": 9}, ("f", "x"): {"a": 9, "b": 0}}), even(0.7), 200)
    assert alone.loc[("race", DP, "max_over_classes"), "judged"] == "none"
    undefined = alone.loc[("gender", EO, "b"), ["null_mean", "null_q95", "detectable_largest", "detectable_smallest"]]
    assert undefined.isna().all()


def test_supports_are_those_of_a_run():
    rows = images({("m", "x"): {"a": 50, "b": 20}, ("f", "y"): {"a": 0, "b": 31}})
    true = rows["profession"].astype(str)
    predictions = rows[["gender", "race"]].assign(
        image="i", y_true=true, y_pred="a", probability_a=1.0, probability_b=0.0
    )
    run = rates_by_group(predictions, 30)
    keys = ["attribute", "group", "class", "rate"]
    there = supports(rows, 30).set_index(keys).sort_index()
    pd.testing.assert_frame_equal(there, run.set_index(keys)[["support", "evidence"]].sort_index(), check_dtype=False)


def test_renaming_groups_changes_no_support_and_hardly_a_floor():
    rows = equal(3, 40)
    renamed = rows.assign(race=rows["race"].cat.rename_categories({"race 0": "z", "race 1": "b", "race 2": "a"}))
    here, there = floors(rows, even(0.7)), floors(renamed, even(0.7))
    pd.testing.assert_frame_equal(here, there, rtol=0.05)


def test_the_classifier_that_is_assumed(pool_of, cells_of):
    cells = [(partition, g, r, p) for partition in ("train", "val", "test") for g in "mf" for r in "xy" for p in "abc"]
    read = pool_of(cells_of(dict.fromkeys(cells, 1)))
    np.testing.assert_allclose(assumed_classifier(read, "auto").confusion, even(0.7, 3))
    np.testing.assert_allclose(assumed_classifier(read, 0.5).confusion, even(0.5, 3))
    rows = [
        {name: row[name] for name in ("image", "gender", "race", "partition")}
        for row in cells_of(dict.fromkeys(cells, 1))
    ]
    drawn = pool_of([row | {"age": "25"} for row in rows])
    found = assumed_classifier(drawn, "auto")
    # all are of one age, so that one class is always predicted: P(class) does not matter
    assert found.confusion.sum(axis=1).tolist() == pytest.approx([1] * 4)
    assert sorted(found.confusion.sum(axis=0).tolist()) == pytest.approx([0, 0, 0, 4])
    assert "balanced accuracy of .250" in found.description
