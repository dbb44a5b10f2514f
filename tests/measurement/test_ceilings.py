"""What the best possible classifier reaches, and which gaps its rule shows, by hand."""

import numpy as np
import pandas as pd
import pytest

from fairprof.data.pool import Pool
from fairprof.measurement.ceilings import ceilings


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


def test_ceilings_of_two_ages_by_hand():
    """The young are bakers with .9, the old cooks with .8: of all labels 1.1 of 2 are bakers'."""
    found = ceilings(pool_of(np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])), np.arange(4), macro_f1=0.425)
    assert found["ceiling/accuracy"] == pytest.approx((0.9 + 0.8) / 2)
    balanced = (0.9 / 1.1 + 0.8 / 0.9) / 2
    assert found["ceiling/balanced_accuracy"] == pytest.approx(balanced)
    assert found["ceiling/balanced_view/accuracy"] == pytest.approx(balanced)
    macro_f1 = (2 * 0.9 / (1 + 1.1) + 2 * 0.8 / (1 + 0.9)) / 2
    assert found["ceiling/macro_f1"] == pytest.approx(macro_f1)
    assert found["test/macro_f1_of_ceiling"] == pytest.approx(0.425 / macro_f1)


def test_gaps_are_those_of_the_rule_that_knows_the_age_alone():
    found = ceilings(pool_of(np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])), np.arange(4), macro_f1=0.5)
    assert found["ceiling/demographic_parity_difference/gender"] == 1  # all men are called bakers, no woman is
    assert found["ceiling/demographic_parity_difference/race"] == 0
    assert "ceiling/equal_opportunity_difference/gender" not in found  # no class has both genders


def test_labels_that_were_read_have_no_ceiling():
    assert ceilings(pool_of(None), np.arange(4), macro_f1=0.5) == {}
