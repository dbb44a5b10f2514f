"""Gaps against chance: by hand, against exact distributions and fairlearn, and where the truth is known."""

import itertools

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.inference import p_values, share_found, share_rejected
from benchmarks.simulations.groups import table_of_counts
from fairprof.inference.bands import contrasts
from fairprof.inference.intervals import bootstrap_scores
from fairprof.inference.permutation import gap_tests
from fairprof.inference.units import permuted_tables
from fairprof.inference.verdicts import gaps_and_contrasts
from fairprof.metrics.fairness import DIFFERENCES, gaps, group_labels, rates_by_group
from tests.inference.made_tables import random_counts, renamed, row_of, two_genders


def test_the_null_by_hand():
    # Of those truly x, two females are predicted x and two males y; those truly y are all predicted y.
    table = two_genders([[2, 0], [0, 2]], [[0, 2], [0, 2]])
    found = gap_tests(table, 20_000, np.random.default_rng(0), ["gender"])
    assert list(found) == [
        "attribute", "metric", "class", "value", "null_mean", "null_q95", "excess", "spread", "p_value",
    ]  # fmt: skip
    # Two of the eight rows are predicted x: both in one group of four in 12 of 28 cases (gap .5, else 0).
    parity = row_of(found, metric="demographic_parity_difference", **{"class": "x"})
    assert parity["value"] == 0.5
    assert (parity["p_value"], parity["null_mean"]) == pytest.approx((12 / 28, 6 / 28), abs=0.015)
    # Among the four truly x, both predicted x are in one group in 2 of 6 cases (gap 1, else 0).
    opportunity = row_of(found, metric="equal_opportunity_difference", **{"class": "x"})
    assert (opportunity["value"], opportunity["null_q95"]) == (1, 1)
    assert (opportunity["p_value"], opportunity["null_mean"]) == pytest.approx((1 / 3, 1 / 3), abs=0.015)
    assert opportunity["excess"] == 1 - opportunity["null_mean"]
    # Nothing can be exceeded where every permutation gives 0.
    still = row_of(found, metric="equal_opportunity_difference", **{"class": "y"})
    assert still[["value", "null_mean", "null_q95", "excess", "p_value"]].tolist() == [0, 0, 0, 0, 1]
    # The true positive rate decides for x, the false positive rate for y: they are the same four rows.
    odds = found[found["metric"] == "equalized_odds_difference"]
    assert odds["value"].tolist() == [1, 1, 1, 1]
    assert odds["p_value"].nunique() == odds["null_mean"].nunique() == 1


@pytest.mark.parametrize("seed", range(3))
def test_p_values_of_two_groups_against_the_hypergeometric_distribution(seed):
    generator = np.random.default_rng(seed)
    female, male = (generator.multinomial(n, [0.25, 0.25, 0.3, 0.2]).reshape(2, 2) for n in (40, 25))
    found = gap_tests(two_genders(female.tolist(), male.tolist()), 4000, generator, ["gender"])

    def exact(ones: np.ndarray, totals: np.ndarray) -> float:
        possible = np.arange(ones.sum() + 1)
        chance = stats.hypergeom(totals.sum(), totals[0], ones.sum()).pmf(possible)
        gap = np.abs(possible / totals[0] - (ones.sum() - possible) / totals[1])
        return chance[gap >= abs(ones[0] / totals[0] - ones[1] / totals[1]) - 1e-9].sum()

    both = np.stack([female, male])
    parity = row_of(found, metric="demographic_parity_difference", **{"class": "x"})
    assert parity["p_value"] == pytest.approx(exact(both[:, :, 0].sum(axis=1), both.sum(axis=(1, 2))), abs=0.03)
    for c, name in enumerate("xy"):
        opportunity = row_of(found, metric="equal_opportunity_difference", **{"class": name})
        assert opportunity["p_value"] == pytest.approx(exact(both[:, c, c], both[:, c].sum(axis=1)), abs=0.03)


def test_values_are_those_of_gaps_and_of_fairlearn():
    table = random_counts(0, classes=4)
    found = gap_tests(table, 5, np.random.default_rng(0))
    expected = gaps(rates_by_group(table))
    expected = expected[expected["metric"].isin(DIFFERENCES)].reset_index(drop=True)
    columns = ["attribute", "metric", "class", "value"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_exact=True)
    for attribute, metric in itertools.product(["gender", "race", "gender_x_race"], DIFFERENCES):
        groups = group_labels(table, attribute).astype(str)
        of_classes = [
            getattr(fairlearn.metrics, metric)(
                table["y_true"] == name, table["y_pred"] == name, sensitive_features=groups
            )
            for name in "xyzw"
        ]
        ours = found[(found["attribute"] == attribute) & (found["metric"] == metric)]["value"]
        assert list(ours) == pytest.approx([*of_classes, max(of_classes), np.mean(of_classes)])


def test_aggregates_are_taken_within_each_permutation():
    # Of two classes one selection rate mirrors the other, so that their gaps are the same in every permutation.
    found = gap_tests(random_counts(1, classes=2), 300, np.random.default_rng(0))
    parity = found[(found["metric"] == "demographic_parity_difference") & (found["attribute"] == "race")]
    assert parity["null_mean"].to_numpy() == pytest.approx(parity["null_mean"].iloc[0])
    assert parity["p_value"].nunique() == 1
    # Opportunity is permuted apart for each class: its largest gap is above either's on average.
    opportunity = found[(found["metric"] == "equal_opportunity_difference") & (found["attribute"] == "race")]
    x, y, worst, mean = opportunity["null_mean"]
    assert worst > 1.1 * max(x, y)
    assert mean == pytest.approx((x + y) / 2)


def test_demographic_parity_depends_on_the_class_mix_and_the_others_do_not():
    # Everybody is predicted alike given the true class, but most females are truly x and most males y.
    found = gap_tests(two_genders([[72, 18], [2, 8]], [[8, 2], [18, 72]]), 999, np.random.default_rng(0), ["gender"])
    p_value = found[found["class"] == "max_over_classes"].set_index("metric")["p_value"]
    assert p_value["demographic_parity_difference"] == 1 / 1000
    assert p_value["equal_opportunity_difference"] == p_value["equalized_odds_difference"] == 1


def test_what_is_undefined_is_missing():
    # No male is truly z, and there is one race.
    table = two_genders([[3, 1, 0], [1, 1, 0], [1, 0, 3]], [[1, 3, 1], [0, 4, 1], [0, 0, 0]])
    found = gap_tests(table, 50, np.random.default_rng(0))
    numbers = ["value", "null_mean", "null_q95", "excess", "p_value"]
    assert found.loc[found["attribute"] == "race", numbers].isna().all(axis=None)
    of_z = found[(found["attribute"] == "gender") & (found["class"] == "z")].set_index("metric")[numbers]
    assert of_z.isna().all(axis=1).to_dict() == {
        "demographic_parity_difference": False,
        "equal_opportunity_difference": True,
        "equalized_odds_difference": True,
    }
    rest = found[(found["attribute"] == "gender") & (found["class"] != "z")]
    assert rest[numbers].notna().all(axis=None)


@pytest.mark.parametrize("tied", [False, True])
def test_renaming_groups_and_permuting_rows_changes_nothing(tied):
    table = random_counts(2, races=3)
    if tied:  # two races with the same counts
        r0 = table[table["race"] == "r0"]
        table = pd.concat([table[table["race"] != "r1"], r0.assign(race="r1")], ignore_index=True)
    first, second = (gap_tests(t, 99, np.random.default_rng(5)) for t in (table, renamed(table)))
    pd.testing.assert_frame_equal(first, second, check_exact=True)

    first, second = (contrasts(t, 99, np.random.default_rng(5)) for t in (table, renamed(table)))
    names = {"g0": "z", "g1": "a", "r0": "m", "r1": "p", "r2": "b"}
    first["group"] = [" x ".join(names[part] for part in group.split(" x ")) for group in first["group"]]
    key = ["attribute", "rate", "class", "group"]
    first, second = (t.sort_values(key, ignore_index=True) for t in (first, second))
    pd.testing.assert_frame_equal(first, second, check_exact=True)

    first, second = (gaps_and_contrasts(t, 99, 99, 0.05, np.random.default_rng(5))[0] for t in (table, renamed(table)))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    first, second = (bootstrap_scores(t, 99, np.random.default_rng(5)) for t in (table, renamed(table)))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_simulations_test_what_gap_tests_does():
    counts = np.array([[[20, 5], [4, 6]], [[10, 5], [9, 21]]])
    found = gap_tests(two_genders(*counts.tolist()), 199, np.random.default_rng(8), ["gender"])
    found = found.loc[found["class"] == "max_over_classes", "p_value"]
    assert found.tolist() == p_values(counts, 199, np.random.default_rng(8))


@pytest.mark.parametrize(
    ("rows", "columns"), [([30, 70], [100]), ([60], [10, 50]), ([3, 0, 5], [8]), ([30, 70], [60, 40]), ([0], [0])]
)
def test_permuted_tables_have_the_sums_that_were_given(rows, columns):
    drawn = permuted_tables(np.array(rows), np.array(columns), 200, np.random.default_rng(0))
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=2) == rows).all() and (drawn.sum(axis=1) == columns).all()


def test_a_class_that_is_always_recognised_is_permuted_like_any_other():
    counts = np.array([[[30, 0, 0], [6, 14, 10], [0, 5, 25]], [[50, 0, 0], [4, 40, 6], [8, 2, 10]]])
    table, of_odds = table_of_counts(counts), {"metric": "equalized_odds_difference", "class": "max_over_classes"}
    generator, group, by_hand = np.random.default_rng(1), table["race"].to_numpy(copy=True), []
    for _ in range(400):
        for name in ("c0", "c1", "c2"):
            rows = np.flatnonzero(table["y_true"] == name)
            group[rows] = generator.permutation(group[rows])
        found = gaps(rates_by_group(table.assign(race=group), attributes=["race"]))
        by_hand.append(row_of(found, **of_odds)["value"])
    found = row_of(gap_tests(table, 4000, np.random.default_rng(2), ["race"]), **of_odds)
    assert found["null_mean"] == pytest.approx(np.mean(by_hand), abs=4 * np.std(by_hand) / 20)
    assert found["null_q95"] <= 1


@pytest.mark.slow
def test_predictions_that_are_independent_of_the_group_are_rejected_as_often_as_alpha_allows():
    confusion = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]]) / 3
    shares = np.array([0.6, 0.3, 0.1])[:, None, None] * confusion
    rejected = share_rejected(shares, 200, 800, 99, np.random.default_rng(11))
    assert max(rejected.values()) <= 0.06
    # Nor is it a test that never rejects.
    assert min(rejected.values()) >= 0.03


@pytest.mark.parametrize("recalls", [[0.9, 0.7], [0.8, 0.6]])
def test_a_gap_of_a_fifth_between_groups_of_100_rows_is_found(recalls):
    found = share_found(recalls, 100, 300, 199, np.random.default_rng(12))
    assert found["equal_opportunity_difference"] >= 0.9
    assert found["equalized_odds_difference"] >= 0.9
