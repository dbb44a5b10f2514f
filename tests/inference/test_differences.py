"""Differences between designs: by hand, and against the tests that they are made of."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.inference.differences import DIFFERENCE_COLUMNS, DesignRuns, judged_differences, paired_differences
from fairprof.inference.multiplicity import benjamini_hochberg, sidak
from fairprof.inference.over_seeds import sign_flip_tests

NAMES = ["accuracy", "demographic_parity_difference/gender", "equal_opportunity_difference/race"]
CONFIRMATORY = NAMES[1:]


def runs(observed: np.ndarray, floors: tuple[float, ...] = (0, 0, 0), undefined: tuple[int, ...] = (0, 0, 0)):
    """A design whose images do not vary."""
    return DesignRuns(observed, np.broadcast_to(observed, (20, *observed.shape)), np.array(floors), np.array(undefined))


def judged(seeds: int = 6, shift: float = 0.2, undefined: tuple[int, ...] = (0, 0, 0), noise: float = 0.02):
    generator = np.random.default_rng(0)
    base = generator.normal(0.3, noise, (seeds, 3))
    designs = {
        "A": runs(base),
        "B": runs(base + generator.normal([0, shift, 0], noise, (seeds, 3)), undefined=undefined),
        "C": runs(base + generator.normal(0, noise, (seeds, 3))),
    }
    found = paired_differences(NAMES, designs, range(seeds), "A", CONFIRMATORY)
    return judged_differences(found.table, delta=0.1), found.points


def test_what_is_compared_is_less_its_floor():
    base, other = np.full((2, 3), 0.3), np.full((2, 3), 0.5)
    designs = {"A": runs(base, (0, 0.1, 0.1)), "B": runs(other, (0, 0.15, 0.05))}
    found = paired_differences(NAMES, designs, [4, 7], "A", CONFIRMATORY)
    assert found.table["value"].tolist() == pytest.approx([0.2, 0.15, 0.25])
    assert found.table["uncorrected"].tolist() == pytest.approx([0.2, 0.2, 0.2])
    assert found.points["value"].tolist() == pytest.approx([0.2, 0.15, 0.25] * 2)
    assert found.points["seed"].tolist() == [4, 4, 4, 7, 7, 7]
    assert found.table["class"].tolist() == ["", "max_over_classes", "max_over_classes"]
    assert found.table["attribute"].tolist() == ["", "gender", "race"]


def test_families_are_adjusted_by_their_own_methods():
    table, points = judged()
    wide = points.pivot_table(index="seed", columns=["design", "metric"], values="value", sort=False)
    expected = stats.ttest_1samp(wide.to_numpy(), 0).pvalue
    np.testing.assert_allclose(table["p_value"], expected)
    family = table["family"].eq("confirmatory").to_numpy()
    np.testing.assert_allclose(table["p_adjusted"][family], sidak(expected[family]))
    np.testing.assert_allclose(table["p_adjusted"][~family], benjamini_hochberg(expected[~family]))
    joint = sign_flip_tests(wide.to_numpy()[:, family]).p_max_t
    np.testing.assert_allclose(table["p_sign_flip_adjusted"][family], joint)
    assert list(table) and set(DIFFERENCE_COLUMNS) == set(table)


def test_an_interval_excludes_zero_where_its_test_rejects():
    for shift in (0.0, 0.02, 0.05, 0.2):
        table, _ = judged(10, shift)
        excludes = (table["lower"] > 0) | (table["upper"] < 0)
        assert excludes.tolist() == (table["p_adjusted"] <= 0.05).tolist()


def test_verdicts_and_their_scopes():
    table, _ = judged()
    verdicts = table.set_index(["design", "metric"])["verdict"]
    assert verdicts["B", "demographic_parity_difference"] == "established"
    assert verdicts["C", "demographic_parity_difference"] == "equivalent"
    assert set(table["scope"]) == {"new seeds and new images"}


def test_a_difference_with_undefined_rates_is_never_equivalent():
    table, _ = judged(shift=0.0, undefined=(0, 1, 0))
    verdicts = table.set_index(["design", "metric"])["verdict"]
    assert verdicts["B", "demographic_parity_difference"] == "not_established"
    assert verdicts["C", "demographic_parity_difference"] == "equivalent"


def test_what_all_seeds_show_may_be_luck_of_the_images():
    generator = np.random.default_rng(0)
    base = generator.normal(0.3, 0.01, (6, 1))
    other = base + 0.1 + generator.normal(0, 0.01, (6, 1))
    images = generator.normal(0, 0.1, (500, 1, 1))  # of the difference, alike for all seeds
    name = ["equal_opportunity_difference/race"]
    zero = np.zeros(1), np.zeros(1, dtype=int)
    designs = {
        "A": DesignRuns(base, np.broadcast_to(base, (500, 6, 1)), *zero),
        "B": DesignRuns(other, other + images, *zero),
    }
    (row,) = judged_differences(paired_differences(name, designs, range(6), "A", name).table, 0.05).to_dict("records")
    assert row["p_sign_flip_adjusted"] == 2 / 2**6
    assert row["p_adjusted"] > 0.05 and row["lower"] < 0 < row["upper"]
    assert (row["verdict"], row["scope"]) == ("established_on_this_test_set", "this test set")


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_fewer_than_six_seeds_allow_no_claim(seeds):
    table, _ = judged(seeds)
    assert set(table["verdict"]) == {"no_claim_possible"}
    assert set(table["scope"]) == {"these models" if seeds == 1 else "new seeds and new images"}


def test_a_quantity_that_a_run_lacks_is_undefined():
    base = np.random.default_rng(0).normal(size=(6, 3))
    other = base.copy()
    other[2, 1] = np.nan
    found = paired_differences(NAMES, {"A": runs(base), "B": runs(other + 1)}, range(6), "A", CONFIRMATORY)
    table = judged_differences(found.table, 0.05)
    assert table["verdict"].tolist()[1] == "undefined" and table["verdict"].ne("undefined").sum() == 2


def test_one_design_has_no_differences():
    found = paired_differences(NAMES, {"A": runs(np.zeros((2, 3)))}, [0, 1], "A", CONFIRMATORY)
    assert found.table.empty and found.points.empty
    assert judged_differences(found.table, 0.05).empty


def test_the_order_of_seeds_changes_nothing():
    generator = np.random.default_rng(5)
    base, other = generator.normal(size=(2, 6, 3))
    order = generator.permutation(6)
    tables = [
        judged_differences(
            paired_differences(NAMES, {"A": runs(a), "B": runs(b)}, range(6), "A", CONFIRMATORY).table, 0.05
        )
        for a, b in ((base, other), (base[order], other[order]))
    ]
    pd.testing.assert_frame_equal(*tables)


def test_gaps_of_a_model_that_predicts_one_class_have_no_verdict_and_scores_have():
    base = np.random.default_rng(0).normal(0.3, 0.01, (6, 3))
    designs = {"A": runs(base), "B": runs(base - 0.3)._replace(degenerate=True)}
    table = judged_differences(paired_differences(NAMES, designs, range(6), "A", CONFIRMATORY).table, delta=0.1)
    assert table["verdict"].eq("degenerate").tolist() == table["attribute"].ne("").tolist() == [False, True, True]
