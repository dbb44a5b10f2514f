"""What is expected of the best rule on a test set, and which gaps nearly the best rules have, by hand."""

import numpy as np
import pandas as pd
import pytest

from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.measurement.ceilings import ceilings, expected_rates, shares_of_ceiling


def pool_of(probabilities: np.ndarray | None) -> Pool:
    """Two men of profession baker and two women of profession cook; probabilities: those of their labels."""
    table = pd.DataFrame(
        {
            "image": ["1", "2", "3", "4"],
            "gender": pd.Categorical(["man", "man", "woman", "woman"]),
            "race": pd.Categorical(["a", "b", "a", "b"]),
            "age": pd.Categorical(["20-29", "20-29", "70+", "70+"]),
            "profession": pd.Categorical(["baker", "baker", "cook", "cook"]),
            "partition": "test",
            "pixel": range(4),
        }
    )
    return Pool("faces", table, ("baker", "cook"), probabilities, pd.DataFrame(), None, 0, "fingerprint")


YOUNG_AND_OLD = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])


def test_ceilings_of_two_ages_by_hand():
    """The young are bakers with .9, the old cooks with .8: of all labels 1.1 of 2 are bakers'."""
    found = ceilings(pool_of(YOUNG_AND_OLD), np.arange(4))
    assert found["ceiling/accuracy"] == pytest.approx((0.9 + 0.8) / 2)
    balanced = (0.9 / 1.1 + 0.8 / 0.9) / 2
    assert found["ceiling/balanced_accuracy"] == pytest.approx(balanced)
    assert found["ceiling/balanced_view/accuracy"] == pytest.approx(balanced)
    macro_f1 = (2 * 0.9 / (1 + 1.1) + 2 * 0.8 / (1 + 0.9)) / 2
    assert found["ceiling/macro_f1"] == pytest.approx(macro_f1)


def test_gaps_are_those_of_rules_that_know_the_age_alone():
    found = ceilings(pool_of(YOUNG_AND_OLD), np.arange(4))
    # all men are young, all women old: the best rule calls all men bakers and no woman, others nearly so
    assert found["ceiling/highest_demographic_parity_difference/gender"] == pytest.approx(1)
    assert 0.95 < found["ceiling/lowest_demographic_parity_difference/gender"] < 1
    # in expectation over the labels there are bakers and cooks of both genders
    assert found["ceiling/highest_equal_opportunity_difference/gender"] == pytest.approx(1)
    for end in ("lowest", "highest"):
        assert found[f"ceiling/{end}_demographic_parity_difference/race"] == pytest.approx(0, abs=1e-9)


def test_shares_of_the_ceiling_by_hand():
    pool = pool_of(YOUNG_AND_OLD)
    allowed = ceilings(pool, np.arange(4))
    # baker, baker, cook, baker: of two bakers both are found, of two cooks one
    predictions = predictions_table(pool, np.arange(4), np.eye(2)[[0, 0, 1, 0]])
    found = shares_of_ceiling(predictions, allowed)
    score = (2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 2
    chance = (2 * 1.5 / (2 + 3) + 2 * 0.5 / (2 + 1)) / 2  # half of the three bakers, half of the one cook
    assert found["chance/macro_f1"] == pytest.approx(chance)
    assert found["chance/accuracy"] == pytest.approx(0.5)
    assert found["test/macro_f1_of_ceiling"] == pytest.approx(score / allowed["ceiling/macro_f1"])
    above = (score - chance) / (allowed["ceiling/macro_f1"] - chance)
    assert found["test/macro_f1_share_above_chance"] == pytest.approx(above)


def test_one_class_for_every_image_is_nothing_above_chance():
    pool = pool_of(YOUNG_AND_OLD)
    predictions = predictions_table(pool, np.arange(4), np.eye(2)[[0, 0, 0, 0]])
    found = shares_of_ceiling(predictions, ceilings(pool, np.arange(4)))
    assert found["test/macro_f1_share_above_chance"] == pytest.approx(0)
    assert found["test/macro_f1_of_ceiling"] > 0.3


def test_rates_in_expectation_over_the_labels_by_hand():
    pool = pool_of(YOUNG_AND_OLD)
    predictions = predictions_table(pool, np.arange(4), np.eye(2)[[0, 1, 1, 0]])
    found = expected_rates(pool, np.arange(4), predictions).set_index(["group", "class", "rate"])
    baker = found.loc[("woman", "baker", "true_positive_rate")]
    assert (baker["numerator"], baker["denominator"], baker["value"]) == pytest.approx((0.2, 0.4, 0.5))
    # race a: the first man, called baker (.9), and the first woman, called cook (.2)
    assert found.loc[("a", "baker", "true_positive_rate"), "value"] == pytest.approx(0.9 / 1.1)
    assert found.loc[("a", "baker", "false_positive_rate"), "value"] == pytest.approx(0.1 / 0.9)


def test_labels_that_were_read_have_no_ceiling():
    pool = pool_of(None)
    assert ceilings(pool, np.arange(4)) == {}
    assert expected_rates(pool, np.arange(4), predictions_table(pool, np.arange(4), np.eye(2)[[0, 0, 1, 1]])) is None
    assert shares_of_ceiling(predictions_table(pool, np.arange(4), np.eye(2)[[0, 0, 1, 1]]), {}) == {}
