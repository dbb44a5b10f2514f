"""What is said of a run first."""

import pandas as pd

from fairprof.commands.train.headline import headline_metrics
from fairprof.commands.train.outcome import only_class


def test_headline_metrics_come_in_their_order_and_absent_ones_are_left_out():
    assert list(headline_metrics({"train/loss": 1.0, "best_val/macro_f1": 0.5, "test/accuracy": 0.6})) == [
        "test/accuracy",
        "best_val/macro_f1",
    ]


def test_the_only_class_is_that_of_all_rows():
    assert only_class(pd.DataFrame({"y_pred": ["b", "b"]})) == "b"
    assert only_class(pd.DataFrame({"y_pred": ["b", "a"]})) is None
