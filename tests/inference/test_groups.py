"""Intervals, tests and bands: against numbers worked by hand, SciPy, fairlearn, and simulations of a known truth."""

import itertools

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.inference import SIMULATED_BANDS, p_values, share_covered, share_found, share_rejected, shares_of
from fairprof.inference import groups as inference
from fairprof.inference.groups import (
    benjamini_hochberg,
    bootstrap_scores,
    contrasts,
    gap_tests,
    gap_upper_bounds,
    holm,
    judged,
    largest_gaps,
    wilson_interval,
)
from fairprof.metrics.fairness import DIFFERENCES, gaps, group_labels, rates_by_group
from fairprof.metrics.performance import performance

NAN = np.nan
RATES = ["selection_rate", "true_positive_rate", "false_positive_rate"]


def predictions_of(counts: dict[tuple[str, str], list[list[int]]]) -> pd.DataFrame:
    """A predictions table with so many rows by (gender, race), true class (rows) and predicted class (columns)."""
    classes = list("xyzw")[: len(next(iter(counts.values())))]
    rows = [
        (gender, race, true, predicted)
        for (gender, race), block in counts.items()
        for true, line in zip(classes, block, strict=True)
        for predicted, count in zip(classes, line, strict=True)
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["gender", "race", "y_true", "y_pred"])
    for name in classes:
        table[f"probability_{name}"] = (table["y_pred"] == name).astype(float)
    return table


def two_genders(female: list[list[int]], male: list[list[int]]) -> pd.DataFrame:
    return predictions_of({("Female", "Green"): female, ("Male", "Green"): male})


def random_counts(seed: int, genders: int = 2, races: int = 3, classes: int = 3, rows: int = 600) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    shape = (genders, races, classes, classes)
    shares = generator.dirichlet(np.ones(np.prod(shape)) * 2)
    counts = generator.multinomial(rows, shares).reshape(shape)
    return predictions_of(
        {(f"g{i}", f"r{j}"): counts[i, j].tolist() for i, j in itertools.product(range(genders), range(races))}
    )


def row_of(table: pd.DataFrame, **values: str) -> pd.Series:
    found = table[np.logical_and.reduce([table[name] == value for name, value in values.items()])]
    assert len(found) == 1, values
    return found.iloc[0]


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """The same predictions in another order, of groups whose names sort the other way around."""
    return table.assign(
        gender=table["gender"].map({"g0": "z", "g1": "a"}), race=table["race"].map({"r0": "m", "r1": "p", "r2": "b"})
    ).sample(frac=1, random_state=3)


# Intervals of a single rate.


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_against_scipy(confidence):
    successes, totals = np.array([0, 1, 7, 30, 30, 500]), np.array([1, 30, 20, 30, 31, 10_000])
    lower, upper = wilson_interval(successes, totals, confidence)
    for i, (success, total) in enumerate(zip(successes.tolist(), totals.tolist(), strict=True)):
        expected = stats.binomtest(success, total).proportion_ci(confidence, method="wilson")
        assert (lower[i], upper[i]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (lower[0], upper[3]) == (0, 1)


def test_wilson_of_arrays_and_of_nothing():
    lower, upper = wilson_interval([[0], [2]], [2, 4])
    assert lower.shape == upper.shape == (2, 2)
    assert (lower[0, 0], upper[1, 0]) == (0, 1)
    assert np.isnan(wilson_interval([0, 0], [0, 5])).tolist() == [[True, False], [True, False]]
    with pytest.raises(ValueError, match="successes lie outside 0 to totals"):
        wilson_interval(3, 2)


# Many tests.


def test_holm_by_hand():
    # Sorted .005 x 4, .01 x 3, .03 x 2, .04 x 1, and never less than a smaller one's.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([NAN, 0.6, 0.02, NAN, 0.7]), [NAN, 1, 0.06, NAN, 1])
    assert holm([]).tolist() == []


def test_holm_is_the_closed_test_of_bonferroni():
    p_values = np.random.default_rng(0).uniform(size=6) ** 3
    sets = [list(chosen) for size in range(1, 7) for chosen in itertools.combinations(range(6), size)]
    closed = [max(min(1, len(s) * p_values[s].min()) for s in sets if i in s) for i in range(6)]
    np.testing.assert_allclose(holm(p_values), closed)


def test_benjamini_hochberg():
    assert benjamini_hochberg([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.04] * 4)
    np.testing.assert_allclose(benjamini_hochberg([NAN, 0.5, 0.01]), [NAN, 0.5, 0.02])
    assert np.isnan(benjamini_hochberg([NAN, NAN])).all()
    p_values = np.random.default_rng(0).uniform(size=50) ** 2
    np.testing.assert_array_equal(benjamini_hochberg(p_values), stats.false_discovery_control(p_values))


# Gaps against chance.


def test_the_null_by_hand():
    # Of those truly x, two females are predicted x and two males y; those truly y are all predicted y.
    table = two_genders([[2, 0], [0, 2]], [[0, 2], [0, 2]])
    found = gap_tests(table, 20_000, np.random.default_rng(0), ["gender"])
    assert list(found) == [
        "attribute", "metric", "class", "value", "null_mean", "null_q95", "excess", "p_value",
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

    first, second = (inference.tested_gaps(t, 99, 99, 0.05, np.random.default_rng(5)) for t in (table, renamed(table)))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    first, second = (bootstrap_scores(t, 99, np.random.default_rng(5)) for t in (table, renamed(table)))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_simulations_test_what_gap_tests_does():
    counts = np.array([[[20, 5], [4, 6]], [[10, 5], [9, 21]]])
    found = gap_tests(two_genders(*counts.tolist()), 199, np.random.default_rng(8), ["gender"])
    found = found.loc[found["class"] == "max_over_classes", "p_value"]
    assert found.tolist() == p_values(counts, 199, np.random.default_rng(8))


def test_predictions_that_are_independent_of_the_group_are_rejected_as_often_as_alpha_allows():
    confusion = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]]) / 3
    shares = np.array([0.6, 0.3, 0.1])[:, None, None] * confusion
    rejected = share_rejected(shares, 200, 1500, 99, np.random.default_rng(11))
    assert max(rejected.values()) <= 0.06
    # Nor is it a test that never rejects.
    assert min(rejected.values()) >= 0.03


@pytest.mark.parametrize("recalls", [[0.9, 0.7], [0.8, 0.6]])
def test_a_gap_of_a_fifth_between_groups_of_100_rows_is_found(recalls):
    found = share_found(recalls, 100, 300, 199, np.random.default_rng(12))
    assert found["equal_opportunity_difference"] >= 0.9
    assert found["equalized_odds_difference"] >= 0.9


# Which groups differ from the rest.


def test_contrasts_by_hand():
    table = predictions_of(
        {
            ("Female", "Green"): [[6, 2], [1, 1]],
            ("Female", "Blue"): [[3, 1], [2, 4]],
            ("Female", "Red"): [[1, 3], [0, 0]],
        }
    )
    found = contrasts(table, 200, np.random.default_rng(0), min_support=5, attributes=["race", "gender"])
    assert list(found) == [
        "attribute", "rate", "class", "group", "value", "rest", "contrast", "standard_error",
        "lower", "upper", "differs", "evidence",
    ]  # fmt: skip
    # Predicted x: 7 of 10 Green, 5 of 10 Blue, 1 of 4 Red.
    selection = row_of(found, rate="selection_rate", group="Green", **{"class": "x"})
    assert selection[["value", "rest"]].tolist() == [7 / 10, 6 / 14]
    assert selection["contrast"] == pytest.approx(7 / 10 - 6 / 14)
    # Of those truly x: 6 of 8, 3 of 4, 1 of 4; of those truly y: 1 of 2, 2 of 6, none.
    recall = row_of(found, rate="true_positive_rate", group="Blue", **{"class": "x"})
    assert recall[["value", "rest", "evidence"]].tolist() == [3 / 4, 7 / 12, "insufficient_evidence"]
    # Two more rows, a right and a wrong one, for either side: 4/6 and 8/14.
    assert recall["standard_error"] == pytest.approx(np.sqrt((4 / 6) * (2 / 6) / 6 + (8 / 14) * (6 / 14) / 14))
    false = row_of(found, rate="false_positive_rate", group="Blue", **{"class": "x"})
    assert false[["value", "rest", "evidence"]].tolist() == [2 / 6, 1 / 2, "sufficient"]
    red = row_of(found, rate="false_positive_rate", group="Red", **{"class": "x"})
    assert red["evidence"] == "undefined" and not red["differs"] and np.isnan(red["contrast"])
    # A group of all rows has no rest.
    alone = found[found["attribute"] == "gender"]
    assert alone["evidence"].eq("undefined").all() and not alone["differs"].any()
    assert alone[["contrast", "lower", "upper"]].isna().all(axis=None)


def test_rates_of_0_and_1_have_bands_of_some_width():
    # All ten of either kind are right among females, none among males.
    table = two_genders([[10, 0], [0, 10]], [[0, 10], [10, 0]])
    found = contrasts(table, 100, np.random.default_rng(0), attributes=["gender"])
    recall = row_of(found, rate="true_positive_rate", group="Female", **{"class": "x"})
    error = np.sqrt(2 * (11 / 12) * (1 / 12) / 12)
    assert (recall["contrast"], recall["upper"]) == (1, 1)
    assert recall["standard_error"] == pytest.approx(error)
    # All replicates have the same rates: the quantile is that of two normal intervals, one for each class.
    assert recall["lower"] == pytest.approx(10 / 12 - stats.norm.ppf(0.5 + np.sqrt(0.95) / 2) * error)
    assert recall["differs"]
    same = contrasts(two_genders([[10, 0], [0, 10]], [[9, 0], [0, 9]]), 100, np.random.default_rng(0))
    same = same[same["attribute"] == "gender"]
    assert (same["lower"] < -0.1).all() and (same["upper"] > 0.1).all() and not same["differs"].any()


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_bands_of_one_comparison_are_those_of_the_normal_distribution(confidence):
    # Two groups and two classes: all four contrasts of the selection rate are the same one, but for the sign.
    table = two_genders([[900, 300], [300, 500]], [[800, 400], [400, 600]])
    found = contrasts(table, 4000, np.random.default_rng(0), confidence, ["gender"])
    found = found[found["rate"] == "selection_rate"]
    half = (found["upper"] - found["lower"]) / 2 / found["standard_error"]
    assert half.to_numpy() == pytest.approx(stats.norm.ppf((1 + confidence) / 2), rel=0.04)
    assert found["standard_error"].iloc[0] == pytest.approx(np.sqrt(0.6 * 0.4 / 2000 + 0.545 * 0.455 / 2200), rel=0.01)


def test_more_comparisons_make_wider_bands():
    table = random_counts(4, classes=4, rows=5000)
    found = contrasts(table, 1000, np.random.default_rng(0))
    found = found[found["rate"] == "true_positive_rate"]
    widths = {
        attribute: ((rows["upper"] - rows["lower"]) / 2 / rows["standard_error"]).median()
        for attribute, rows in found.groupby("attribute")
    }
    # Independent comparisons would need the Sidak quantiles of 4, 12 and 24.
    for attribute, comparisons in (("gender", 4), ("race", 12), ("gender_x_race", 24)):
        assert widths[attribute] == pytest.approx(stats.norm.ppf(0.5 + 0.95 ** (1 / comparisons) / 2), rel=0.06)


@pytest.mark.parametrize(
    "case", ["2 groups, cells of 30, rates near 0 and 1", "2 groups, cells of 30", "4 uneven groups"]
)
def test_bands_hold_together_and_bound_the_gap(case):
    shares, rows = SIMULATED_BANDS[case]
    covered = share_covered(shares, rows, 400, 200, np.random.default_rng(13))
    assert list(covered) == [*RATES, *DIFFERENCES]
    assert min(covered.values()) >= 0.93, covered


# How large a gap can be.


def test_of_two_groups_the_bound_is_the_end_of_the_band():
    table = two_genders([[30, 10], [10, 20]], [[20, 30], [5, 40]])
    found = contrasts(table, 300, np.random.default_rng(0), attributes=["gender"])
    bounds = gap_upper_bounds(found, table)
    assert list(bounds) == ["attribute", "metric", "class", "upper"]
    ends = found[found["group"] == "Female"].set_index(["rate", "class"])
    largest = np.maximum(ends["upper"], -ends["lower"])
    selection, recall, false = (largest[rate] for rate in RATES)
    odds = np.maximum(recall, false)
    for metric, of_class in zip(DIFFERENCES, (selection, recall, odds), strict=True):
        bound = bounds[bounds["metric"] == metric].set_index("class")["upper"]
        assert bound.to_dict() == pytest.approx(
            {
                "x": of_class["x"],
                "y": of_class["y"],
                "max_over_classes": of_class.max(),
                "mean_over_classes": of_class.mean(),
            }
        )


def test_the_bound_of_three_groups_by_hand():
    # Of 10, 10 and 20 rows: shares of 1/4, 1/4 and 1/2.
    counts = np.array([[[3, 2], [2, 3]], [[2, 3], [3, 2]], [[5, 5], [5, 5]]])
    lower = np.array([[-0.1, 0], [0, 0], [-0.2, 0]])
    upper = np.array([[0.2, 0], [0.1, 0], [0.1, 0]])
    none, whole = np.zeros((3, 2)), np.ones((3, 2))
    bound = largest_gaps(
        {"selection_rate": (lower, upper), "true_positive_rate": (none, none), "false_positive_rate": (-whole, whole)},
        counts,
    )
    # The first may lie .75 x .2 over all rows, and the last .5 x .2 under them.
    assert bound["demographic_parity_difference"] == pytest.approx([0.25, 0, 0.25, 0.125])
    assert bound["equal_opportunity_difference"].tolist() == [0, 0, 0, 0]
    # Ends of 1 would admit 1.5.
    assert bound["equalized_odds_difference"].tolist() == [1, 1, 1, 1]


def test_bounds_are_never_under_the_gap_and_missing_where_it_is():
    for seed in range(5):
        table = random_counts(seed, races=3, rows=60)
        found = inference.tested_gaps(table, 5, 50, 0.05, np.random.default_rng(seed))
        assert (found["upper"] >= found["value"]).equals(found["value"].notna())
        assert found["upper"].isna().equals(found["value"].isna())


# What may be said about a gap.


def test_verdicts_by_hand():
    table = pd.DataFrame(
        {
            "value": [0.2, 0.1, 0.1, 0.02, NAN, 0.2],
            "p_value": [0.01, 0.04, 0.01, 0.2, NAN, 0.9],
            "upper": [0.3, 0.2, 0.049, 0.049, NAN, 0.05],
        }
    )
    found = judged(table, np.array([True, True, False, False, False, False]), delta=0.05)
    assert found["family"].tolist() == ["confirmatory"] * 2 + ["exploratory"] * 4
    # Holm of two: .01 x 2, .04 x 1; Benjamini and Hochberg of three: .01 x 3, .2 x 3/2, .9.
    np.testing.assert_allclose(found["p_adjusted"], [0.02, 0.04, 0.03, 0.3, NAN, 0.9])
    assert found["verdict"].tolist() == [
        "established", "established", "established", "equivalent", "undefined", "not_established",
    ]  # fmt: skip
    assert (found["delta"] == 0.05).all()
    strict = judged(table, np.array([True] * 6), delta=0.05, alpha=0.001)
    assert strict["verdict"].tolist() == [
        "not_established", "not_established", "equivalent", "equivalent", "undefined", "not_established",
    ]  # fmt: skip


def test_the_confirmatory_family_is_four_gaps():
    table = random_counts(0)
    found = inference.tested_gaps(table, 99, 99, 0.1, np.random.default_rng(0))
    key = ["attribute", "metric", "class"]
    confirmatory = found["family"] == "confirmatory"
    assert found.loc[confirmatory, key].to_numpy().tolist() == [
        [attribute, metric, "max_over_classes"]
        for attribute in ("gender", "race")
        for metric in ("demographic_parity_difference", "equal_opportunity_difference")
    ]
    smallest = found.loc[confirmatory, "p_value"].min()
    assert found.loc[confirmatory, "p_adjusted"].min() == pytest.approx(min(4 * smallest, 1))
    assert len(found) == 3 * 3 * 5 and found["delta"].eq(0.1).all()
    # The cells are those of the gap's own rates.
    cells = gaps(rates_by_group(table)).set_index(key)
    for column in ("undefined_cells", "insufficient_cells"):
        assert found[column].tolist() == cells.loc[list(found[key].itertuples(index=False, name=None)), column].tolist()
    assert found["insufficient_cells"].sum() > 0


def test_large_tables_of_a_known_truth_are_judged_rightly():
    # Females are recognised in 90 % of all cases, males in 60 %, and the wrong ones cancel out.
    shares = shares_of([0.9, 0.6], [0.5, 0.5], 3)
    counts = (shares * 54_000).round().astype(int)
    found = inference.tested_gaps(two_genders(*counts.tolist()), 99, 99, 0.05, np.random.default_rng(0), ["gender"])
    verdicts = found.groupby("metric")["verdict"].unique().map(list).to_dict()
    assert verdicts == {
        "demographic_parity_difference": ["equivalent"],
        "equal_opportunity_difference": ["established"],
        "equalized_odds_difference": ["established"],
    }


# Scores.


def test_bootstrapped_scores():
    table = two_genders([[400, 60, 40], [30, 150, 20], [10, 10, 80]], [[0, 0, 0]] * 3)
    found = bootstrap_scores(table, 4000, np.random.default_rng(0))
    assert list(found) == ["metric", "value", "lower", "upper", "standard_error"]
    expected = performance(table)
    assert found.set_index("metric")["value"].to_dict() == pytest.approx(
        {name: expected[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    )
    # Each class keeps its rows, so the variance is a sum over classes: 500 of 80 %, 200 of 75 %, 100 of 80 %.
    recall, rows = np.array([0.8, 0.75, 0.8]), np.array([500, 200, 100])
    variance = recall * (1 - recall) / rows
    accuracy, balanced, f1 = found.itertuples()
    assert accuracy.standard_error == pytest.approx(np.sqrt((variance * (rows / 800) ** 2).sum()), rel=0.05)
    assert balanced.standard_error == pytest.approx(np.sqrt(variance.sum()) / 3, rel=0.05)
    assert (accuracy.lower, accuracy.upper) == pytest.approx(
        accuracy.value + 1.96 * accuracy.standard_error * np.array([-1, 1]), abs=0.003
    )
    assert f1.lower < f1.value < f1.upper
    narrow = bootstrap_scores(table, 4000, np.random.default_rng(0), confidence=0.5)
    assert (narrow["lower"] > found["lower"]).all() and (narrow["upper"] < found["upper"]).all()


def test_a_class_without_rows_is_left_out_of_the_bootstrap():
    table = two_genders([[40, 10, 0], [10, 40, 0], [0, 0, 0]], [[0, 0, 0]] * 3)
    found = bootstrap_scores(table, 500, np.random.default_rng(0)).set_index("metric")
    assert found.loc["balanced_accuracy", "value"] == 0.8
    assert found.loc["balanced_accuracy", "standard_error"] == pytest.approx(0.04, rel=0.1)
    right = two_genders([[40, 0], [0, 40]], [[1, 0], [0, 1]])
    assert bootstrap_scores(right, 50, np.random.default_rng(0))["standard_error"].tolist() == [0, 0, 0]


# What cannot be computed.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda table, generator: gap_tests(table, 0, generator), "permutations is 0; give at least 1"),
        (lambda table, generator: contrasts(table, 0, generator), "replicates is 0; give at least 1"),
        (lambda table, generator: bootstrap_scores(table, -1, generator), "replicates is -1; give at least 1"),
        (
            lambda table, generator: contrasts(table, 9, generator, 95),
            "confidence is 95; give a number between 0 and 1",
        ),
        (lambda table, generator: bootstrap_scores(table, 9, generator, 1), "confidence is 1; give a number"),
        (lambda table, generator: wilson_interval(1, 2, 0), "confidence is 0; give a number between 0 and 1"),
        (lambda table, generator: gap_tests(table.drop(columns="race"), 9, generator), "no column 'race'"),
        (lambda table, generator: inference.tested_gaps(table.iloc[:0], 9, 9, 0.05, generator), "no rows"),
    ],
)
def test_an_impossible_request_is_one_line(call, message):
    with pytest.raises(ValueError) as error:
        call(random_counts(0), np.random.default_rng(0))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
