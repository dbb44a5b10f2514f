"""What is said of a run first."""

import pandas as pd

from fairprof.commands.train.headline import headline_sentence
from fairprof.commands.train.outcome import only_class

VALUES = {
    "test/macro_f1": 0.1,
    **{
        f"test/{gap}_difference/{attribute}": 0.0
        for gap in ("demographic_parity", "equal_opportunity")
        for attribute in ("gender", "race")
    },
}


def test_a_model_that_answers_one_class_is_called_degenerate_first_and_its_gaps_are_not_told():
    sentence = headline_sentence(VALUES, "retired")
    assert sentence.startswith("degenerate: it answers retired for every test image")
    assert "DP" not in sentence and "macro-F1 .100" in sentence


def test_any_other_model_is_told_by_score_and_gaps():
    assert (
        headline_sentence(VALUES, None)
        == "test macro-F1 .100, DP .000 and EO .000 by gender, DP .000 and EO .000 by race"
    )


def test_the_only_class_is_that_of_all_rows():
    assert only_class(pd.DataFrame({"y_pred": ["b", "b"]})) == "b"
    assert only_class(pd.DataFrame({"y_pred": ["b", "a"]})) is None
