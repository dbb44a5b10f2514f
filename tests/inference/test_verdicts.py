"""Verdicts: by hand, and where the truth is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.inference import shares_of
from fairprof.inference.verdicts import gaps_with_verdicts, judged
from fairprof.metrics.fairness import gaps, rates_by_group
from tests.inference.made_tables import random_counts, two_genders

NAN = np.nan


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
    found = gaps_with_verdicts(table, 99, 99, 0.1, np.random.default_rng(0))
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
    found = gaps_with_verdicts(two_genders(*counts.tolist()), 99, 99, 0.05, np.random.default_rng(0), ["gender"])
    verdicts = found.groupby("metric")["verdict"].unique().map(list).to_dict()
    assert verdicts == {
        "demographic_parity_difference": ["equivalent"],
        "equal_opportunity_difference": ["established"],
        "equalized_odds_difference": ["established"],
    }
