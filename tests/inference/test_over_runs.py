"""Runs on the same images: against every permutation of small tables, SciPy, the tests of one run, and known truths."""

import itertools

import numpy as np
import pandas as pd
import pytest

from benchmarks.inference import share_covered_over_runs
from fairprof.inference import units
from fairprof.inference.bands import contrasts, gap_upper_bounds
from fairprof.inference.intervals import centred_interval
from fairprof.inference.over_runs import (
    contrasts_over_runs,
    gap_tests_over_runs,
    gap_upper_bounds_over_runs,
    image_replicates,
)
from fairprof.inference.over_seeds import image_se
from fairprof.inference.permutation import gap_tests
from fairprof.metrics.fairness import DIFFERENCES, gaps, performance_by_group, rates_by_group, summary
from fairprof.metrics.performance import performance

NAN = np.nan
NAMES = {"Female": "z", "Male": "a", "Green": "q", "Blue": "y", "Red": "b"}


def table_of(gender: str, race: str, true: str, predicted: str, classes: str = "xy") -> pd.DataFrame:
    """A predictions table from one letter per image: F or M, G, B or R, and classes."""
    table = pd.DataFrame(
        {
            "image": [f"{number:06}.jpg" for number in range(len(true))],
            "gender": [{"F": "Female", "M": "Male"}[letter] for letter in gender],
            "race": [{"G": "Green", "B": "Blue", "R": "Red"}[letter] for letter in race],
            "y_true": list(true),
            "y_pred": list(predicted),
        }
    )
    for name in classes:
        table[f"probability_{name}"] = (table["y_pred"] == name).astype(float)
    return table


def random_runs(count: int, rows: int = 400, seed: int = 0, classes: str = "xyz") -> list[pd.DataFrame]:
    """Runs that err on much the same images, more often on females."""
    generator = np.random.default_rng(seed)
    gender, race = generator.choice(list("FM"), rows), generator.choice(list("GBR"), rows, p=[0.6, 0.3, 0.1])
    true = generator.choice(list(classes), rows)
    difficulty = generator.uniform(0, 0.8, rows) + 0.1 * (gender == "F")
    tables = []
    for _ in range(count):
        wrong = generator.random(rows) < difficulty
        predicted = np.where(wrong, generator.choice(list(classes), rows), true)
        tables.append(table_of("".join(gender), "".join(race), "".join(true), "".join(predicted), classes))
    return tables


def renamed(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same predictions in another order, of groups whose names sort in another way."""
    table = table.assign(gender=table["gender"].map(NAMES), race=table["race"].map(NAMES))
    return table.sample(frac=1, random_state=seed)


def gaps_of(table: pd.DataFrame) -> pd.Series:
    found = gaps(rates_by_group(table))
    found = found[found["metric"].isin(DIFFERENCES)]
    return found.set_index(["attribute", "metric", "class"])["value"]


# The same images.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["image"] != "000000.jpg"], "image '000000.jpg' is in only one of predictions 1 and 2"),
        (lambda t: t.assign(image=t["image"].replace("000007.jpg", "new.jpg")), "image '000007.jpg' is in only one"),
        (
            lambda t: t.assign(y_true=t["y_true"].where(t["image"] != "000003.jpg", "z")),
            "y_true of image '000003.jpg' is 'x' in predictions 1 and 'z' in predictions 2",
        ),
        (
            lambda t: t.assign(race=t["race"].where(t["image"] != "000005.jpg", "Red")),
            "race of image '000005.jpg' is 'Blue' in predictions 1 and 'Red' in predictions 2",
        ),
        (lambda t: t.rename(columns={"probability_z": "probability_w"}), "compare runs with the same classes"),
        (lambda t: t.assign(image="same.jpg"), "image 'same.jpg' occurs twice in predictions"),
        (lambda t: t.drop(columns="image"), "no column 'image'"),
    ],
)
@pytest.mark.parametrize(
    "function", [gap_tests_over_runs, contrasts_over_runs, gap_upper_bounds_over_runs, image_replicates]
)
def test_runs_on_other_images_or_labels_are_refused(function, change, message):
    first = table_of("FFFMMMFM", "GGBBGBGB", "xxyxyxyy", "xyxyxyxy", "xyz")
    changed = change(first.sample(frac=1, random_state=0))
    with pytest.raises(ValueError) as error:
        function([first, changed], 5, np.random.default_rng(0))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "function", [gap_tests_over_runs, contrasts_over_runs, gap_upper_bounds_over_runs, image_replicates]
)
def test_nothing_to_compute_is_refused(function):
    with pytest.raises(ValueError, match="no predictions tables"):
        function([], 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="is 0; give at least 1"):
        function(random_runs(1, 20), 0, np.random.default_rng(0))


# Gaps against chance.


@pytest.mark.slow
def test_the_null_of_the_mean_over_runs_is_that_of_all_permutations():
    tables = [table_of("FFMMF", "GBGBG", "xxxyy", "xxyyx"), table_of("FFMMF", "GBGBG", "xxxyy", "xyxyy")]
    observed = pd.concat([gaps_of(table) for table in tables], axis=1)
    groups = tables[0][["gender", "race"]]

    def permuted(order: tuple[int, ...]) -> pd.Series:
        moved = groups.iloc[list(order)].reset_index(drop=True)
        return sum(gaps_of(table.assign(**moved)) for table in tables) / 2

    within = pd.concat(
        [
            permuted(first + second)
            for first, second in itertools.product(itertools.permutations(range(3)), [(3, 4), (4, 3)])
        ],
        axis=1,
    )
    # Of the permutations of five images, those that give the groups in another order: two are females and Green.
    ways = {tuple(map(tuple, groups.iloc[list(order)].to_numpy())): order for order in itertools.permutations(range(5))}
    assert len(ways) == 60
    among = pd.concat([permuted(order) for order in ways.values()], axis=1)

    found = gap_tests_over_runs(tables, 8000, np.random.default_rng(0)).set_index(["attribute", "metric", "class"])
    assert list(found) == ["value", "null_mean", "null_q95", "excess", "spread", "p_value", "seed_sd"]
    np.testing.assert_allclose(found["value"], observed.mean(axis=1))
    np.testing.assert_allclose(found["seed_sd"], observed.std(axis=1), atol=1e-12)
    for key, row in found.iterrows():
        null = (among if key[1] == "demographic_parity_difference" else within).loc[key]
        assert row["null_mean"] == pytest.approx(null.mean(), abs=0.02, nan_ok=True), key
        assert row["excess"] == pytest.approx(row["value"] - row["null_mean"], nan_ok=True)


def test_one_run_is_tested_as_in_gap_tests():
    (table,) = random_runs(1, 1000)
    alone = gap_tests(table, 4000, np.random.default_rng(0))
    found = gap_tests_over_runs([table], 4000, np.random.default_rng(1))
    columns = ["attribute", "metric", "class", "value"]
    pd.testing.assert_frame_equal(found[columns], alone[columns])
    assert found["seed_sd"].isna().all()
    np.testing.assert_allclose(found["p_value"], alone["p_value"], atol=0.04)
    np.testing.assert_allclose(found["null_mean"], alone["null_mean"], rtol=0.05)
    np.testing.assert_allclose(found["null_q95"], alone["null_q95"], atol=0.015)


def test_a_class_without_test_images_and_a_group_without_a_class_are_left_out():
    # Nobody is truly z; no male is truly y.
    tables = [
        table_of("FFFFFFMMMMMM", "GBGBGBGBGBGB", "xxxyyyxxxxxx", predicted).assign(probability_z=0.0)
        for predicted in ("xxyyyyxyxxxy", "xyxyyzxyxxxy")
    ]
    found = gap_tests_over_runs(tables, 99, np.random.default_rng(0), ["gender"])
    opportunity = found[found["metric"] == "equal_opportunity_difference"].set_index("class")
    assert opportunity["value"].notna().to_dict() == {
        "x": True, "y": False, "z": False, "max_over_classes": True, "mean_over_classes": True,
    }  # fmt: skip
    assert opportunity["p_value"].isna().tolist() == opportunity["value"].isna().tolist()
    assert found.loc[found["metric"] == "demographic_parity_difference", "p_value"].between(0.01, 1).all()


def test_a_run_and_its_copies_are_tested_alike():
    (table,) = random_runs(1)
    once = gap_tests_over_runs([table], 99, np.random.default_rng(0))
    thrice = gap_tests_over_runs([table] * 3, 99, np.random.default_rng(0))
    numbers = ["value", "null_mean", "null_q95", "p_value"]
    np.testing.assert_allclose(once[numbers], thrice[numbers], rtol=1e-12)
    np.testing.assert_allclose(thrice["seed_sd"], 0, atol=1e-15)


def test_a_gap_too_small_for_one_run_is_seen_in_six():
    # Opposite errors cancel in the mean of the runs, the shared gap stays.
    tables = random_runs(6, 1500, seed=2)
    single = [gap_tests(table, 199, np.random.default_rng(0), ["gender"])["null_mean"] for table in tables]
    together = gap_tests_over_runs(tables, 199, np.random.default_rng(0), ["gender"])["null_mean"]
    assert (together < np.max(single, axis=0)).all()


def test_chunks_do_not_change_the_result(monkeypatch):
    tables = random_runs(2, 60)
    tests = gap_tests_over_runs(tables, 2000, np.random.default_rng(0))
    replicates = image_replicates(tables, 50, np.random.default_rng(0))
    monkeypatch.setattr(units, "CHUNK", 1000)
    again = image_replicates(tables, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(again.values, replicates.values)
    # The permutations are other ones, of the same distribution.
    chunked = gap_tests_over_runs(tables, 2000, np.random.default_rng(0))
    np.testing.assert_allclose(chunked["p_value"], tests["p_value"], atol=0.06)


def test_renaming_groups_and_permuting_rows_changes_nothing():
    tables = random_runs(3, 200)
    others = [renamed(table, seed) for seed, table in enumerate(tables)]
    for function in (gap_tests_over_runs, gap_upper_bounds_over_runs):
        first, second = (function(given, 60, np.random.default_rng(5)) for given in (tables, others))
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    first, second = (contrasts_over_runs(given, 60, np.random.default_rng(5)) for given in (tables, others))
    first["group"] = [" x ".join(NAMES[part] for part in group.split(" x ")) for group in first["group"]]
    key = ["attribute", "rate", "class", "group"]
    first, second = (t.sort_values(key, ignore_index=True) for t in (first, second))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    first, second = (image_replicates(given, 60, np.random.default_rng(5)) for given in (tables, others))
    for number, name in enumerate(first.names):
        *what, groups = name.split("/")
        groups = " x ".join(NAMES.get(part, part) for part in groups.split(" x "))
        other = second.names.index("/".join([*what, groups]))
        np.testing.assert_array_equal(first.values[..., number], second.values[..., other])


@pytest.mark.slow
def test_runs_that_know_nothing_of_the_group_are_rejected_as_often_as_alpha_allows():
    generator = np.random.default_rng(21)
    rejected = []
    for seed in range(150):
        tables = random_runs(3, 120, seed)
        mixed = tables[0][["gender", "race"]].iloc[generator.permutation(120)].reset_index(drop=True)
        found = gap_tests_over_runs([table.assign(**mixed) for table in tables], 59, generator, ["gender"])
        rejected.append(found.loc[found["class"] == "max_over_classes", "p_value"] <= 0.05)
    # 5 %, and less than two standard errors above.
    assert np.mean(rejected, axis=0).max() <= 0.08
    assert np.mean(rejected) > 0.01


# Contrasts and bounds.


def test_contrasts_of_the_mean_by_hand():
    # Of the images truly x, runs say x for these shares: females 1, 1/2, 0, 1 and males 1/2, 1/2, 1.
    tables = [
        table_of("FFFFMMMF", "GGGGGGGG", "xxxxxxxy", "xxyxxyxy"),
        table_of("FFFFMMMF", "GGGGGGGG", "xxxxxxxy", "xyyxyxxy"),
    ]
    found = contrasts_over_runs(tables, 50, np.random.default_rng(0), attributes=["gender"], min_support=4)
    recall = found[(found["rate"] == "true_positive_rate") & (found["class"] == "x")].set_index("group")
    assert recall["value"].to_dict() == {"Female": 2.5 / 4, "Male": 2 / 3}
    assert recall["rest"].to_dict() == {"Female": 2 / 3, "Male": 2.5 / 4}
    assert recall["evidence"].to_dict() == {"Female": "sufficient", "Male": "insufficient_evidence"}
    # With a 0 and a 1 more: sums 3.5 of 6 and 3 of 5; of squares 3.25 and 2.5.
    variance = (3.25 / 6 - (3.5 / 6) ** 2) / 6 + (2.5 / 5 - (3 / 5) ** 2) / 5
    assert recall["standard_error"].to_numpy() == pytest.approx(np.sqrt(variance))


def test_contrasts_of_one_run_are_those_of_contrasts():
    (table,) = random_runs(1)
    alone = contrasts(table, 2000, np.random.default_rng(0))
    found = contrasts_over_runs([table], 2000, np.random.default_rng(1))
    assert list(found) == list(alone)
    exact = ["attribute", "rate", "class", "group", "value", "rest", "contrast", "standard_error", "evidence"]
    pd.testing.assert_frame_equal(found[exact], alone[exact])
    np.testing.assert_allclose(found[["lower", "upper"]], alone[["lower", "upper"]], atol=0.03)


def test_copies_of_a_run_have_its_bands():
    (table,) = random_runs(1)
    once = contrasts_over_runs([table], 100, np.random.default_rng(0))
    thrice = contrasts_over_runs([table] * 3, 100, np.random.default_rng(0))
    pd.testing.assert_frame_equal(once, thrice)
    once = gap_upper_bounds_over_runs([table], 100, np.random.default_rng(0))
    thrice = gap_upper_bounds_over_runs([table] * 3, 100, np.random.default_rng(0))
    pd.testing.assert_frame_equal(once, thrice)


def test_the_bound_of_one_run_is_that_of_its_bands():
    (table,) = random_runs(1)
    bands = contrasts_over_runs([table], 200, np.random.default_rng(0))
    expected = gap_upper_bounds(bands, table)
    found = gap_upper_bounds_over_runs([table], 200, np.random.default_rng(0))
    pd.testing.assert_frame_equal(found, expected)


def test_the_bound_is_of_the_mean_gap_and_not_of_the_gap_of_mean_rates():
    # One run prefers females, the other males, by as much: the mean rates are equal.
    tables = [
        table_of("F" * 400 + "M" * 400, "G" * 800, "x" * 800, "x" * 400 + "y" * 400),
        table_of("F" * 400 + "M" * 400, "G" * 800, "x" * 800, "y" * 400 + "x" * 400),
    ]
    bands = contrasts_over_runs(tables, 100, np.random.default_rng(0), attributes=["gender"])
    selection = bands[bands["rate"] == "selection_rate"]
    assert (selection["contrast"] == 0).all()
    assert gap_upper_bounds(bands, tables[0])["upper"].iloc[0] < 0.1
    bound = gap_upper_bounds_over_runs(tables, 100, np.random.default_rng(0), attributes=["gender"])
    assert bound["upper"].iloc[0] == 1


@pytest.mark.slow
def test_bands_and_bounds_hold_over_runs():
    covered = share_covered_over_runs(300, 100, 100, np.random.default_rng(22))
    assert min(covered.values()) >= 0.93, covered


# Images.


def test_replicates_of_known_quantities():
    tables = random_runs(2, 300)
    found = image_replicates(tables, 2000, np.random.default_rng(0))
    assert found.observed.shape == (2, len(found.names)) and found.values.shape == (2000, 2, len(found.names))
    assert found.names[:3] == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert found.names[3:6] == [f"{metric}/gender" for metric in DIFFERENCES]
    assert found.names[12:] == [
        *("accuracy/gender/Female", "accuracy/gender/Male"),
        *("accuracy/race/Blue", "accuracy/race/Green", "accuracy/race/Red"),
        *(f"accuracy/gender_x_race/{g} x {r}" for g in ("Female", "Male") for r in ("Blue", "Green", "Red")),
    ]
    for table, observed in zip(tables, found.observed, strict=True):
        value = dict(zip(found.names, observed, strict=True))
        groups = performance_by_group(table)
        expected = {**performance(table), **summary(table)}
        expected |= {f"accuracy/{row.attribute}/{row.group}": row.accuracy for row in groups.itertuples()}
        assert value == pytest.approx({name: expected[name] for name in found.names})
    # Of accuracies the standard error is known; that of a group has as many rows as it has on average.
    accuracy = found.observed[:, 0]
    assert found.values[:, :, 0].std(axis=0) == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 300), rel=0.06)
    female = found.names.index("accuracy/gender/Female")
    share, rows = found.observed[:, female], (tables[0]["gender"] == "Female").sum()
    assert found.values[:, :, female].std(axis=0) == pytest.approx(np.sqrt(share * (1 - share) / rows), rel=0.06)
    # All runs have the same images: those that differ count alone for the difference of two accuracies.
    right = np.stack([table["y_true"] == table["y_pred"] for table in tables]).astype(float)
    spread = (found.values[:, 0, 0] - found.values[:, 1, 0]).std()
    assert spread == pytest.approx((right[0] - right[1]).std() / np.sqrt(300), rel=0.06)


def test_the_images_of_a_replicate_are_the_same_for_all_runs():
    tables = random_runs(2, 100)
    together = image_replicates([tables[0], tables[1], tables[0]], 40, np.random.default_rng(0))
    np.testing.assert_array_equal(together.values[:, 0], together.values[:, 2])
    for number in (0, 1):
        alone = image_replicates([tables[number]], 40, np.random.default_rng(0))
        np.testing.assert_array_equal(alone.values[:, 0], together.values[:, number])


def test_a_group_that_a_replicate_lacks_is_undefined_in_it():
    table = table_of("F" * 30 + "M", "G" * 31, "xy" * 15 + "x", "xy" * 15 + "x")
    found = image_replicates([table], 500, np.random.default_rng(0), ["gender"])
    male = found.values[:, 0, found.names.index("accuracy/gender/Male")]
    # Nobody draws the one male in (30/31)^31 of the replicates.
    assert np.isnan(male).mean() == pytest.approx((30 / 31) ** 31, abs=0.07)
    assert (male[~np.isnan(male)] == 1).all()
    lower, upper = centred_interval(found.values[:, 0], found.observed[0])
    # Nobody is male and truly y: equalized odds compare nothing.
    assert [name for name, value in zip(found.names, found.observed[0], strict=True) if np.isnan(value)] == [
        "equalized_odds_difference/gender"
    ]
    assert np.isnan(lower).tolist() == np.isnan(upper).tolist() == np.isnan(found.observed[0]).tolist()
    assert image_se(found.values)[-1] == 0
