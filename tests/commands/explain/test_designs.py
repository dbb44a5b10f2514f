"""Means and differences of designs over seeds: by hand, and paired."""

import numpy as np
import pytest

from fairprof.commands.explain.designs import design_differences, design_means
from fairprof.inference.group_means import image_values, resampled_weights
from tests.commands.explain.made import study
from tests.inference.made_tables import generator, people


def measured(seeds: int, shift: float):
    """Seeds and images matter much and alike for both designs; design B lies higher by `shift`."""
    rows, drawn = people(80), generator(1)
    shared = drawn.normal(size=(seeds, 1, 1)) + drawn.normal(size=(1, 80, 1))
    values = {
        label: shared[seed] + (shift if design == "B" else 0) + 0.1 * drawn.normal(size=(80, 1))
        for design, of_seeds in study(seeds).items()
        for seed, label in of_seeds.items()
    }
    return image_values(rows, values, ("attention_face",)), resampled_weights(80, 300, generator(2))


def test_means_are_those_over_seeds_and_images():
    found, weights = measured(6, 0.0)
    table = design_means(found, weights, study(6)).set_index(["design", "group"])
    row = table.loc[("A", "all")]
    of_seeds = found.values[:6, :, 0].mean(axis=1)
    assert row["value"] == pytest.approx(of_seeds.mean()) and (row["seeds"], row["images"]) == (6, 80)
    assert row["upper"] - row["value"] > 1.9 * of_seeds.std(ddof=1) / np.sqrt(6)


def test_differences_are_paired_by_seed_and_image_and_hold_together_over_designs():
    found, weights = measured(6, 0.1)
    row = design_differences(found, weights, study(6), "A").iloc[0]
    assert row["difference"] == pytest.approx((found.values[6:] - found.values[:6]).mean())
    assert row["verdict"] == "established" and row["lower"] > 0 and row["upper"] - row["lower"] < 0.1
    three = study(6) | {"C": study(6)["B"]}
    twice = design_differences(found, weights, three, "A").set_index("design")
    assert twice.loc["B", "p_adjusted"] == pytest.approx(1 - (1 - row["p_value"]) ** 2)
    assert twice.loc["B", "lower"] < row["lower"]


def test_an_interval_excludes_0_exactly_where_p_is_small():
    for seed in range(20):
        found, weights = measured(4, 0.02 * (seed - 10) / 4)
        row = design_differences(found, weights, study(4), "A").iloc[0]
        assert ((row["lower"] > 0) or (row["upper"] < 0)) == (row["p_adjusted"] <= 0.05)
        assert row["verdict"] == "no_claim_possible"  # four seeds are too few


def test_only_seeds_that_both_have_are_compared():
    found, weights = measured(6, 0.1)
    designs = study(6)
    designs["B"] = {seed: label for seed, label in designs["B"].items() if seed > 1}
    row = design_differences(found, weights, designs, "A").iloc[0]
    assert row["seeds"] == 4
    assert row["difference"] == pytest.approx((found.values[8:] - found.values[2:6]).mean())
