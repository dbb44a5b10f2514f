"""Verdicts: by hand, and where the truth is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.inference import shares_of
from fairprof.inference.verdicts import (
    gaps_and_contrasts,
    is_confirmatory,
    judged,
    repeats_a_test,
)
from fairprof.metrics.fairness import gaps, rates_by_group
from tests.inference.made_tables import generator, predictions_of, random_counts, two_genders

NAN = np.nan


def test_verdicts_by_hand():
    table = pd.DataFrame(
        {
            "attribute": "gender",
            "metric": "equal_opportunity_difference",
            "class": list("abcdefg"),
            "value": [0.2, 0.1, 0.1, 0.02, NAN, 0.2, 0.02],
            "p_value": [0.01, 0.04, 0.01, 0.2, NAN, 0.9, 0.2],
            "upper": [0.3, 0.2, 0.049, 0.049, NAN, 0.05, 0.049],
            "undefined_cells": [0, 0, 0, 0, 2, 0, 1],
        }
    )
    found = judged(table, np.array([True, True, *[False] * 5]), delta=0.05)
    assert found["family"].tolist() == ["confirmatory"] * 2 + ["exploratory"] * 5
    # Holm of two: .01 x 2, .04 x 1; Benjamini and Hochberg of four: .01 x 4, .2 x 4/3 twice, .9.
    np.testing.assert_allclose(found["p_adjusted"], [0.02, 0.04, 0.04, 0.8 / 3, NAN, 0.9, 0.8 / 3])
    assert found["verdict"].tolist() == [
        *("established", "established", "established", "equivalent", "undefined", "not_established"),
        "not_established",  # small enough, but one group's rate is unknown
    ]
    # Established, and yet smaller than what matters: both are said.
    assert found["below_delta"].tolist() == [False, False, True, False, False, False, False]
    assert (found["delta"] == 0.05).all() and (found["scope"] == "these models").all()
    strict = judged(table, np.array([True] * 7), delta=0.05, alpha=0.001)
    assert strict["verdict"].tolist() == [
        *("not_established", "not_established", "equivalent", "equivalent", "undefined", "not_established"),
        "not_established",
    ]
    assert judged(table, np.array([True] * 7), 0.05, degenerate=True)["verdict"].eq("degenerate").all()


def test_a_model_of_one_answer_has_no_verdicts():
    found = gaps_and_contrasts(two_genders([[40, 0], [30, 0]], [[50, 0], [60, 0]]), 99, 99, 0.05, generator())[0]
    assert found["verdict"].eq("degenerate").all() and not found["below_delta"].any()


def test_who_differs_stands_beside_the_gap():
    table = predictions_of(
        {
            ("F", "G"): [[90, 10], [20, 80]],
            ("F", "B"): [[40, 60], [20, 80]],
            ("M", "R"): [[90, 10], [20, 80]],
            ("M", "S"): [[0, 3], [2, 1]],
        }
    )
    gaps_found, contrasts = gaps_and_contrasts(table, 999, 99, 0.05, generator(), ["race"])
    recall = contrasts[contrasts["rate"] == "true_positive_rate"].set_index(["class", "group"])
    assert set(recall.index[recall["differs"]]) == {("x", "B"), ("x", "G"), ("x", "R")}
    assert recall.loc[("x", "S"), ["support", "rest_support"]].tolist() == [3, 300]
    opportunity = gaps_found[gaps_found["metric"] == "equal_opportunity_difference"].set_index("class")
    # the test of the largest gap is that of the cell that lies farthest out
    assert opportunity.loc["max_over_classes", "p_value"] == recall["p_adjusted"].min() == 0.001
    assert opportunity.loc["y", "p_value"] > 0.05


def test_the_confirmatory_family_is_four_gaps():
    table = random_counts(0)
    found = gaps_and_contrasts(table, 99, 99, 0.1, np.random.default_rng(0))[0]
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
    found = gaps_and_contrasts(two_genders(*counts.tolist()), 99, 99, 0.05, np.random.default_rng(0), ["gender"])[0]
    verdicts = found.groupby("metric")["verdict"].unique().map(list).to_dict()
    assert verdicts == {
        "demographic_parity_difference": ["equivalent"],
        "equal_opportunity_difference": ["established"],
        "equalized_odds_difference": ["established"],
    }


def test_of_two_classes_parity_and_odds_are_tested_once():
    rows = ["student", "retired", "max_over_classes", "mean_over_classes"]
    metrics = ["demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference"]
    table = pd.DataFrame({"attribute": "gender", "metric": np.repeat(metrics, 4), "class": rows * 3, "value": 0.1})
    table = table.assign(upper=0.2, undefined_cells=0, p_value=[0.01] * 4 + [0.02, 0.03, 0.04, 0.04] + [0.05] * 4)
    assert repeats_a_test(table).tolist() == [True, True, False, True, *[False] * 4, True, True, False, True]
    found = judged(table, is_confirmatory(table), delta=0.05)
    # Holm of two; Benjamini and Hochberg of four: .02, .03, .04 of the mean and .05 of the odds.
    np.testing.assert_allclose(found["p_adjusted"], [*[0.02] * 4, 0.05, 0.05, 0.04, 0.05, *[0.05] * 4])
    assert found["family"].eq("confirmatory").tolist() == [n in (2, 6) for n in range(12)]
    three = pd.concat([table, table[table["class"].eq("student")].assign(**{"class": "other"})], ignore_index=True)
    assert not repeats_a_test(three).any()
