"""Numbers about maps: by hand, against torch, SciPy and scikit-learn, and whether inference keeps its word."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.nn import functional

from fairprof.metrics import attention

NAMES = ("background", "face", "hair")


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- one map ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "size"), [((2, 2), 64), ((7, 7), 224), ((4, 3), 31), ((1, 1), 8)])
def test_enlarged_maps_equal_those_of_torch(fields, size):
    maps = generator().random((3, *fields), dtype=np.float32)
    expected = functional.interpolate(torch.from_numpy(maps)[:, None], (size, size), mode="bilinear")[:, 0]
    np.testing.assert_allclose(attention.enlarged(maps, size), expected, atol=1e-6)


def test_shares_equal_the_sums_over_the_enlarged_map():
    maps = generator(1).random((5, 4, 4))
    masks = generator(2).integers(3, size=(5, 48, 48))
    enlarged = functional.interpolate(torch.from_numpy(maps)[:, None], (48, 48), mode="bilinear")[:, 0].numpy()
    expected = [
        [one[mask == region].sum() / one.sum() for region in range(3)]
        for one, mask in zip(enlarged, masks, strict=True)
    ]
    shares = attention.attention_shares(maps, masks, 3)
    np.testing.assert_allclose(shares, expected, atol=1e-12)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_measures_by_hand():
    """One field has all the attention: the left half of two, enlarged to four columns with weights 1, 3/4, 1/4, 0."""
    maps = np.array([[[4.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    masks = np.array([[[1, 0, 0, 0]]] * 3)
    found = attention.measures(maps, masks, ("background", "face"))
    np.testing.assert_allclose(found["attention_face"], [0.5, 0.25, np.nan])
    np.testing.assert_allclose(found["attention_background"], [0.5, 0.75, np.nan])
    np.testing.assert_allclose(found["density_face"], [2, 1, np.nan])
    np.testing.assert_allclose(found["gini"], [0.5, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(found["effective_area"], [0.5, 1, np.nan])
    np.testing.assert_allclose(found["strength"], [2, 1, 0])


def test_an_image_without_a_mask_and_a_region_without_pixels_are_undefined():
    maps = np.ones((2, 2, 2))
    masks = np.stack([np.zeros((4, 4), int), np.full((4, 4), 255)])
    found = attention.measures(maps, masks, NAMES)
    np.testing.assert_array_equal(found["attention_background"], [1, np.nan])
    np.testing.assert_array_equal(found["attention_hair"], [0, np.nan])
    np.testing.assert_array_equal(found["density_hair"], [np.nan, np.nan])
    np.testing.assert_array_equal(found["gini"], [0, 0])


def test_gini_and_effective_area_equal_their_definitions():
    maps = generator(3).exponential(size=(4, 5, 5))
    for row, one in enumerate(maps.reshape(4, -1)):
        differences = np.abs(one[:, None] - one).sum() / (2 * len(one) ** 2 * one.mean())
        assert attention.gini(maps)[row] == pytest.approx(differences)
        entropy = stats.entropy(one)
        assert attention.effective_area(maps)[row] == pytest.approx(np.exp(entropy) / 25)


def test_numbers_do_not_depend_on_the_scale_of_a_map_but_for_its_strength():
    maps, masks = generator(4).random((6, 3, 3)), generator(5).integers(3, size=(6, 12, 12))
    one, other = (attention.measures(scale * maps, masks, NAMES) for scale in (1, 7.5))
    np.testing.assert_allclose(one.drop(columns="strength"), other.drop(columns="strength"))
    np.testing.assert_allclose(other["strength"], 7.5 * one["strength"])


# --- by group ---------------------------------------------------------------------------------------------------


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


def numbers_of(rows: pd.DataFrame, values: np.ndarray, models: tuple[str, ...] = ("A",)) -> attention.Measured:
    names = tuple(f"m{number}" for number in range(values.shape[-1]))
    return attention.measured(rows, dict.fromkeys(models, values), names)


def test_means_by_group_equal_those_of_pandas_and_count_what_is_undefined():
    rows = people(80)
    values = generator(1).random((80, 2))
    values[:7, 1] = np.nan
    found = numbers_of(rows, values)
    table = attention.by_group(found, attention.resampled_weights(80, 100, generator()), min_support=30)
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
    weights = attention.resampled_weights(30, 50, generator())
    table = attention.by_group(found, weights, min_support=5)
    assert table["value"].isna().all() and table["evidence"].eq("undefined").all()
    assert attention.gap_tests(found, 99, generator())["p_value"].isna().all()
    assert not attention.contrasts(found, weights)["differs"].any()
    distances = attention.map_distances(found, {"A": np.zeros((30, 2, 2))}, rows["image"], 99, generator())
    assert distances["distance"].isna().all() and distances["p_value"].isna().all()


def test_renaming_groups_and_permuting_rows_changes_nothing():
    rows, values = people(90, 3), generator(4).random((90, 2))
    maps = generator(5).random((90, 2, 2))
    order = generator(6).permutation(90)
    renamed = rows.assign(race=rows["race"].map({"x": "z", "y": "x", "z": "y"}))

    def everything(rows, order):
        found = numbers_of(rows.iloc[order], values[order])
        weights = attention.resampled_weights(90, 60, generator(7))
        gaps = attention.gap_tests(found, 99, generator(8))
        distances = attention.map_distances(found, {"A": maps[order]}, rows["image"].iloc[order], 99, generator(9))
        bands = attention.contrasts(found, weights)
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
    table = attention.gap_tests(numbers_of(rows, values), 199, generator()).set_index(["attribute", "measure"])
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
    gap = attention.gap_tests(numbers_of(rows, values), 199, generator()).set_index("attribute").loc["gender"]
    assert gap["value"] > 0.6 and gap["null_mean"] > 0.6 and gap["p_value"] > 0.01


def test_permutation_tests_keep_their_level_and_bands_their_confidence():
    rejected, missed, tables = 0, 0, 150
    for number in range(tables):
        rows, values = people(120, number), generator(1000 + number).exponential(size=(120, 1))
        found = numbers_of(rows, values)
        gaps = attention.gap_tests(found, 99, generator(number))
        rejected += gaps["p_value"].le(0.05).sum()
        bands = attention.contrasts(found, attention.resampled_weights(120, 200, generator(number)))
        missed += bands[bands["attribute"].eq("race")]["differs"].any()
    assert stats.binomtest(int(rejected), 3 * tables, 0.05).pvalue > 0.001
    assert stats.binomtest(int(missed), tables, 0.07, alternative="greater").pvalue > 0.001


# --- mean maps --------------------------------------------------------------------------------------------------


def test_distances_by_hand():
    """Mean normalised maps: (1, 0) against (1/2, 1/2) and (0, 1); the map of zeros does not count."""
    rows = pd.DataFrame({"image": list("abcdef"), "gender": "w", "race": list("xxyyzz"), "y_true": "one"})
    maps = np.array([[[2, 0]], [[8, 0]], [[3, 0]], [[0, 1]], [[0, 5]], [[0, 0]]], dtype=float)
    found = attention.measured(rows, {"A": np.zeros((6, 1))}, ("m",))
    table = attention.map_distances(found, {"A": maps}, rows["image"], 99, generator())
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
    table = attention.map_distances(found, {"A": maps}, rows["image"], 199, generator())
    table = table[table["attribute"].isin(["gender", "race"])]
    different = table[table["p_adjusted"].le(0.05)]
    assert set(different["attribute"]) == {"race"}
    assert all("z" in pair for pair in different[["first_group", "second_group"]].to_numpy().tolist())
    assert (table["p_adjusted"] >= table["p_value"] - 1e-12).all()


# --- between models ---------------------------------------------------------------------------------------------


def test_paired_differences_use_that_the_images_are_the_same():
    rows = people(100, 8)
    base = generator(1).normal(size=(100, 1)) * 5
    slightly_more = base + 0.3 + 0.1 * generator(2).normal(size=(100, 1))
    weights = attention.resampled_weights(100, 400, generator())
    found = attention.measured(rows, {"B": slightly_more, "C": base + 0.1 * generator(3).normal(size=(100, 1))}, ("m",))
    reference = attention.measured(rows, {"A": base}, ("m",))
    table = attention.paired_differences(found, reference, weights)
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
    found, reference = (attention.measured(rows, {"m": values}, ("m",)) for values in (one, other))
    table = attention.paired_differences(found, reference, attention.resampled_weights(40, 100, generator()))
    assert table.iloc[0]["images"] == 30 and table.iloc[0]["difference"] == 1
