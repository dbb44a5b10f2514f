"""Gaps by chance: the closed form of equal groups, the power that is promised, and which gaps cannot be judged."""

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.prepare.noise_floors import expected_noise_floors, supports
from fairprof.inference.permutation import gap_tests, gaps_and_aggregates
from fairprof.measurement.detectable import assumed_classifier, class_counts
from fairprof.metrics.fairness import rates, rates_by_group

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
    codes = rows["profession"].cat.codes.to_numpy()
    predicted = (generator.random((len(rows), 1)) > confusion[codes].cumsum(axis=1)[:, :-1]).sum(axis=1)
    onehot = pd.DataFrame(np.eye(3)[predicted], columns=[f"probability_{name}" for name in "abc"])
    predictions = rows[["gender", "race"]].assign(
        image=rows.index.astype(str),
        y_true=rows["profession"].astype(str),
        y_pred=np.array(list("abc"))[predicted],
        **onehot,
    )
    run = gap_tests(predictions, 1999, generator).set_index(["attribute", "metric", "class"])
    expected = floors(rows, confusion)
    for attribute in ("gender", "race", "gender_x_race"):
        for metric in (DP, EO):
            for column in ("null_mean", "null_q95"):
                there = run.loc[(attribute, metric, "max_over_classes"), column]
                # of one run, rates are not quite those that were assumed
                assert expected.loc[(attribute, metric, "max_over_classes"), column] == pytest.approx(there, rel=0.12)
    assert set(expected.index) == set(run.index)


@pytest.mark.parametrize("where", ["detectable_largest", "detectable_smallest"])
def test_a_gap_of_the_size_that_is_promised_is_found(where):
    cells = {("m", f"race {race}"): {"a": count, "b": 150} for race, count in enumerate((60, 90, 140, 200))}
    rows = images(cells)
    found = floors(rows, even(0.7), 4000)
    counts, _ = class_counts(rows, "race")
    pair = (2, 3) if where == "detectable_largest" else (0, 1)
    for over, place, most in (("a", 0, 0.9), ("max_over_classes", -2, 0.97)):
        gap = found.loc[("race", EO, over), where]
        confusion = np.repeat(even(0.7)[None], 4, axis=0)
        for group, rate in zip(pair, (0.7 - gap / 2, 0.7 + gap / 2), strict=True):
            confusion[group, 0] = (rate, 1 - rate)
        drawn = rates(np.random.default_rng(2).multinomial(counts, confusion, size=(4000, *counts.shape)))
        power = (gaps_and_aggregates(drawn)[EO][:, place] > found.loc[("race", EO, over), "null_q95"]).mean()
        assert 0.78 <= power <= most


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
