"""Numbers about maps: by hand, against torch, SciPy and scikit-learn, and whether inference keeps its word."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.inference import group_means

NAMES = ("background", "face", "hair")


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# By group.


def people(count: int, seed: int = 0) -> pd.DataFrame:
    drawn = generator(seed)
    return pd.DataFrame(
        {
            "image": [f"{number:04d}" for number in range(count)],
            "gender": drawn.choice(["man", "woman"], count),
            "race": drawn.choice(["x", "y", "z"], count),
            "y_true": drawn.choice(["a", "b"], count),
        }
    )


def numbers_of(rows: pd.DataFrame, values: np.ndarray, models: tuple[str, ...] = ("A",)) -> group_means.ImageValues:
    names = tuple(f"m{number}" for number in range(values.shape[-1]))
    return group_means.image_values(rows, dict.fromkeys(models, values), names)


def test_means_by_group_equal_those_of_pandas_and_count_what_is_undefined():
    rows = people(80)
    values = generator(1).random((80, 2))
    values[:7, 1] = np.nan
    found = numbers_of(rows, values)
    table = group_means.by_group(found, group_means.resampled_weights(80, 100, generator()), min_support=30)
    for row in table.itertuples():
        chosen = (
            np.full(80, True)
            if row.attribute == "all"
            else (rows["gender"] + " x " + rows["race"] if row.attribute == "gender_x_race" else rows[row.attribute])
            .eq(row.group)
            .to_numpy()
        )
        of_group = values[chosen, int(row.measure[1])]
        assert row.value == pytest.approx(np.nanmean(of_group))
        assert (row.images, row.undefined) == ((~np.isnan(of_group)).sum(), np.isnan(of_group).sum())
        assert row.evidence == ("sufficient" if row.images >= 30 else "insufficient_evidence")
        assert row.lower <= row.value <= row.upper
    whole = table[table["attribute"].eq("all") & table["measure"].eq("m0")].iloc[0]
    expected = stats.bootstrap((values[:, 0],), np.mean, method="percentile", rng=generator(9)).confidence_interval
    assert (whole["lower"], whole["upper"]) == pytest.approx((expected.low, expected.high), abs=0.015)


def test_a_measure_that_is_undefined_everywhere_stays_visible():
    rows, values = people(30), np.full((30, 1), np.nan)
    found = numbers_of(rows, values)
    weights = group_means.resampled_weights(30, 50, generator())
    table = group_means.by_group(found, weights, min_support=5)
    assert table["value"].isna().all() and table["evidence"].eq("undefined").all()
    assert group_means.mean_gap_tests(found, 99, generator())["p_value"].isna().all()
    assert not group_means.group_contrasts(found, weights)["differs"].any()
    distances = group_means.map_distances(found, {"A": np.zeros((30, 2, 2))}, rows["image"], 99, generator())
    assert distances["distance"].isna().all() and distances["p_value"].isna().all()


def test_renaming_groups_and_permuting_rows_changes_nothing():
    rows, values = people(90, 3), generator(4).random((90, 2))
    maps = generator(5).random((90, 2, 2))
    order = generator(6).permutation(90)
    renamed = rows.assign(race=rows["race"].map({"x": "z", "y": "x", "z": "y"}))

    def everything(rows, order):
        found = numbers_of(rows.iloc[order], values[order])
        weights = group_means.resampled_weights(90, 60, generator(7))
        gaps = group_means.mean_gap_tests(found, 99, generator(8))
        distances = group_means.map_distances(found, {"A": maps[order]}, rows["image"].iloc[order], 99, generator(9))
        bands = group_means.group_contrasts(found, weights)
        return [
            gaps[gaps["attribute"].eq("race")].drop(columns=["highest_group", "lowest_group"]).to_numpy(),
            np.sort(distances[distances["attribute"].eq("race")]["distance"]),
            np.sort(distances[distances["attribute"].eq("race")]["p_adjusted"]),
            np.sort(bands[bands["attribute"].eq("race")]["upper"]),
        ]

    expected = everything(rows, np.arange(90))
    for changed in (everything(rows, order), everything(renamed, np.arange(90))):
        for one, other in zip(expected, changed, strict=True):
            if one.dtype == object:
                assert (one[:, :3] == other[:, :3]).all()
                one, other = one[:, 3:].astype(float), other[:, 3:].astype(float)
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_the_gap_test_finds_a_difference_and_names_its_groups():
    rows, values = people(200, 1), generator(2).normal(size=(200, 2))
    values[rows["race"].eq("y"), 0] += 1.5
    table = group_means.mean_gap_tests(numbers_of(rows, values), 199, generator()).set_index(["attribute", "measure"])
    found = table.loc[("race", "m0")]
    assert found["p_value"] == pytest.approx(1 / 200) and found["highest_group"] == "y"
    means = pd.Series(values[:, 0]).groupby(rows["race"].to_numpy()).mean()
    assert found["value"] == pytest.approx(means.max() - means.min())
    assert found["excess"] == pytest.approx(found["value"] - found["null_mean"]) and found["excess"] > 1
    assert table.loc[("race", "m1"), "p_value"] > 0.01


def test_what_the_true_class_explains_is_no_difference_between_groups():
    """Attention depends on the class alone, and classes are spread unevenly over the groups."""
    rows = people(400, 5)
    rows["y_true"] = np.where(generator(1).random(400) < np.where(rows["gender"].eq("man"), 0.9, 0.1), "a", "b")
    values = (rows["y_true"].eq("a").to_numpy() + 0.3 * generator(2).normal(size=400))[:, None]
    gap = group_means.mean_gap_tests(numbers_of(rows, values), 199, generator()).set_index("attribute").loc["gender"]
    assert gap["value"] > 0.6 and gap["null_mean"] > 0.6 and gap["p_value"] > 0.01


def test_permutation_tests_keep_their_level_and_bands_their_confidence():
    rejected, missed, tables = 0, 0, 150
    for number in range(tables):
        rows, values = people(120, number), generator(1000 + number).exponential(size=(120, 1))
        found = numbers_of(rows, values)
        gaps = group_means.mean_gap_tests(found, 99, generator(number))
        rejected += gaps["p_value"].le(0.05).sum()
        bands = group_means.group_contrasts(found, group_means.resampled_weights(120, 200, generator(number)))
        missed += bands[bands["attribute"].eq("race")]["differs"].any()
    assert stats.binomtest(int(rejected), 3 * tables, 0.05).pvalue > 0.001
    assert stats.binomtest(int(missed), tables, 0.07, alternative="greater").pvalue > 0.001


# Mean maps.


def test_distances_by_hand():
    """Mean normalised maps: (1, 0) against (1/2, 1/2) and (0, 1); the map of zeros does not count."""
    rows = pd.DataFrame({"image": list("abcdef"), "gender": "w", "race": list("xxyyzz"), "y_true": "one"})
    maps = np.array([[[2, 0]], [[8, 0]], [[3, 0]], [[0, 1]], [[0, 5]], [[0, 0]]], dtype=float)
    found = group_means.image_values(rows, {"A": np.zeros((6, 1))}, ("m",))
    table = group_means.map_distances(found, {"A": maps}, rows["image"], 99, generator())
    table = table[table["attribute"].eq("race")]
    pairs = table[table["pair"].eq("each")].set_index(["first_group", "second_group"])["distance"]
    assert pairs.to_dict() == {("x", "y"): 0.5, ("x", "z"): 1.0, ("y", "z"): 0.5}
    largest = table[table["pair"].eq("largest")].iloc[0]
    assert (largest["first_group"], largest["second_group"], largest["distance"]) == ("x", "z", 1.0)
    assert set(table["attribute"]) == {"race"}  # one gender only: there is no pair


def test_a_group_that_looks_elsewhere_is_found_and_no_other():
    rows, maps = people(200, 2), generator(3).random((200, 3, 3))
    maps[rows["race"].eq("z"), 0, 0] += 1.0
    found = numbers_of(rows, np.zeros((200, 1)))
    table = group_means.map_distances(found, {"A": maps}, rows["image"], 199, generator())
    table = table[table["attribute"].isin(["gender", "race"])]
    different = table[table["p_adjusted"].le(0.05)]
    assert set(different["attribute"]) == {"race"}
    assert all("z" in pair for pair in different[["first_group", "second_group"]].to_numpy().tolist())
    assert (table["p_adjusted"] >= table["p_value"] - 1e-12).all()


# Between models.


def test_paired_differences_use_that_the_images_are_the_same():
    rows = people(100, 8)
    base = generator(1).normal(size=(100, 1)) * 5
    slightly_more = base + 0.3 + 0.1 * generator(2).normal(size=(100, 1))
    weights = group_means.resampled_weights(100, 400, generator())
    found = group_means.image_values(
        rows, {"B": slightly_more, "C": base + 0.1 * generator(3).normal(size=(100, 1))}, ("m",)
    )
    reference = group_means.image_values(rows, {"A": base}, ("m",))
    table = group_means.paired_differences(found, reference, weights)
    whole = table[table["attribute"].eq("all")].set_index("model")
    assert whole["difference"].to_dict() == pytest.approx(
        {"B": (slightly_more - base).mean(), "C": (found.values[1] - base).mean()}
    )
    assert whole["differs"].to_dict() == {"B": True, "C": False}
    low, high = stats.ttest_rel(slightly_more[:, 0], base[:, 0]).confidence_interval(0.975)  # of two, simultaneously
    assert (whole.loc["B", "lower"], whole.loc["B", "upper"]) == pytest.approx((low, high), abs=0.01)


def test_images_on_which_one_is_undefined_are_left_out_of_both():
    rows = people(40)
    one, other = np.ones((40, 1)), np.zeros((40, 1))
    one[:4], other[3:10] = np.nan, np.nan
    found, reference = (group_means.image_values(rows, {"m": values}, ("m",)) for values in (one, other))
    table = group_means.paired_differences(found, reference, group_means.resampled_weights(40, 100, generator()))
    assert table.iloc[0]["images"] == 30 and table.iloc[0]["difference"] == 1
