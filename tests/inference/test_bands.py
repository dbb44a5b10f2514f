"""Bands and upper bounds: against numbers worked by hand, the normal distribution, and simulations of a known truth."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.inference import SIMULATED_BANDS, share_covered
from fairprof.inference.bands import contrasts, contrasts_with_tests, gap_upper_bounds, largest_gaps
from fairprof.inference.intervals import bootstrap_scores, wilson_interval
from fairprof.inference.permutation import gap_tests
from fairprof.inference.verdicts import gaps_and_contrasts
from fairprof.metrics.fairness import DIFFERENCES
from tests.inference.made_tables import predictions_of, random_counts, row_of, two_genders

NAN = np.nan
RATES = ["selection_rate", "true_positive_rate", "false_positive_rate"]


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
        "attribute", "rate", "class", "group", "support", "rest_support", "value", "rest", "contrast", "standard_error",
        "lower", "upper", "evidence",
    ]  # fmt: skip
    # Predicted x: 7 of 10 Green, 5 of 10 Blue, 1 of 4 Red.
    selection = row_of(found, rate="selection_rate", group="Green", **{"class": "x"})
    assert selection[["value", "rest"]].tolist() == [7 / 10, 6 / 14]
    assert selection["contrast"] == pytest.approx(7 / 10 - 6 / 14)
    # Of those truly x: 6 of 8, 3 of 4, 1 of 4; of those truly y: 1 of 2, 2 of 6, none.
    recall = row_of(found, rate="true_positive_rate", group="Blue", **{"class": "x"})
    assert recall[["value", "rest", "evidence"]].tolist() == [3 / 4, 7 / 12, "insufficient_evidence"]
    assert recall[["support", "rest_support"]].tolist() == [4, 12]
    # Two more rows, a right and a wrong one, for either side: 4/6 and 8/14.
    assert recall["standard_error"] == pytest.approx(np.sqrt((4 / 6) * (2 / 6) / 6 + (8 / 14) * (6 / 14) / 14))
    false = row_of(found, rate="false_positive_rate", group="Blue", **{"class": "x"})
    assert false[["value", "rest", "evidence"]].tolist() == [2 / 6, 1 / 2, "sufficient"]
    red = row_of(found, rate="false_positive_rate", group="Red", **{"class": "x"})
    assert red["evidence"] == "undefined" and np.isnan(red["contrast"])
    # A group of all rows has no rest.
    alone = found[found["attribute"] == "gender"]
    assert alone["evidence"].eq("undefined").all()
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
    same = contrasts(two_genders([[10, 0], [0, 10]], [[9, 0], [0, 9]]), 100, np.random.default_rng(0))
    same = same[same["attribute"] == "gender"]
    assert (same["lower"] < -0.1).all() and (same["upper"] > 0.1).all()


def test_a_band_never_contradicts_the_test_beside_it():
    found = contrasts(two_genders([[70, 30], [50, 50]], [[40, 60], [50, 50]]), 200, np.random.default_rng(0))
    found = found[found["attribute"] == "gender"]
    recall = found["rate"].eq("true_positive_rate") & found["class"].eq("x")
    assert (found.loc[recall, "lower"].gt(0) | found.loc[recall, "upper"].lt(0)).all()
    key = ["attribute", "rate", "class", "group"]
    for p_value, differs in ((0.04, True), (0.06, False), (np.nan, False)):
        tested = contrasts_with_tests(found, found[key].assign(p_adjusted=p_value))
        assert list(tested) == [*found.columns[:-1], "p_adjusted", "differs", "evidence"]
        assert (tested["differs"] == differs).all()
        excludes_zero = tested["lower"].gt(0) | tested["upper"].lt(0)
        assert excludes_zero[recall.to_numpy()].all() if differs else not excludes_zero.any()
        # the other ends stay
        assert tested["lower"].le(found["lower"]).all() and tested["upper"].ge(found["upper"]).all()


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
        found = gaps_and_contrasts(table, 5, 50, 0.05, np.random.default_rng(seed))[0]
        assert (found["upper"] >= found["value"]).equals(found["value"].notna())
        assert found["upper"].isna().equals(found["value"].isna())


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
        (lambda table, generator: gaps_and_contrasts(table.iloc[:0], 9, 9, 0.05, generator)[0], "no rows"),
    ],
)
def test_an_impossible_request_is_one_line(call, message):
    with pytest.raises(ValueError) as error:
        call(random_counts(0), np.random.default_rng(0))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
