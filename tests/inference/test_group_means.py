"""Means of numbers of images by model and group: by hand, against pandas, and where the truth is known."""

import numpy as np
import pytest
from scipy import stats

from fairprof.inference import attention_tests, group_means
from tests.inference.made_tables import generator, numbers_of, people

# By group.


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
    assert attention_tests.attention_gap_tests(found, 99, generator())["p_value"].isna().all()
    assert not attention_tests.group_contrasts(found, 99, generator())["differs"].any()
    distances = attention_tests.map_distances(found, {"A": np.zeros((30, 2, 2))}, rows["image"], 99, generator())
    assert distances["distance"].isna().all() and distances["p_value"].isna().all()


def test_a_person_is_resampled_with_all_images():
    rows = people(6).assign(person=["p", "q", "p", "", "", "q"])
    persons = group_means.persons_of(rows)
    assert persons[0] == persons[2] and persons[1] == persons[5] and len(set(persons)) == 4
    weights = group_means.resampled_weights(6, 50, generator(), persons)
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 3] != weights[:, 4]).any()
    assert group_means.persons_of(people(6)).tolist() == list(range(6))


def test_renaming_groups_and_permuting_rows_changes_nothing():
    rows, values = people(90, 3), generator(4).random((90, 2))
    maps = generator(5).random((90, 2, 2))
    order = generator(6).permutation(90)
    renamed = rows.assign(race=rows["race"].map({"x": "z", "y": "x", "z": "y"}))

    def everything(rows, order):
        found = numbers_of(rows.iloc[order], values[order])
        gaps = attention_tests.attention_gap_tests(found, 99, generator(8))
        distances = attention_tests.map_distances(
            found, {"A": maps[order]}, rows["image"].iloc[order], 99, generator(9)
        )
        bands = attention_tests.group_contrasts(found, 99, generator(8))
        return [
            gaps[gaps["attribute"].eq("race")].drop(columns=["highest_group", "lowest_group", "differing"]).to_numpy(),
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
