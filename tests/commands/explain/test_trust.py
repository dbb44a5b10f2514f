"""When maps are trusted, and what is withheld where they are not."""

import pandas as pd
import pytest

from fairprof.commands.explain.trust import NOT_MEASURED, NOT_TRUSTED, TOLD, TRUSTED, WITHHELD, marked, trust_of
from fairprof.saliency.randomisation import CHANGED, FLAGGED, UNCERTAIN
from tests.commands.explain.made import faithful_table, similarity_table


@pytest.mark.parametrize(
    ("better", "head", "everything", "expected"),
    [
        (3, CHANGED, CHANGED, TRUSTED),
        (2, UNCERTAIN, CHANGED, TRUSTED),
        (1, CHANGED, CHANGED, NOT_TRUSTED),
        (0, CHANGED, CHANGED, NOT_TRUSTED),
        (-1, CHANGED, CHANGED, NOT_TRUSTED),
        (3, FLAGGED, CHANGED, NOT_TRUSTED),
        (3, CHANGED, FLAGGED, NOT_TRUSTED),
        (3, CHANGED, UNCERTAIN, NOT_TRUSTED),
    ],
)
def test_maps_are_trusted_that_beat_random_ones_and_change_with_the_weights(better, head, everything, expected):
    table = trust_of(("A",), faithful_table({"A": better}), similarity_table(("A",), head, everything))
    assert table["trust"].tolist() == [expected]


def test_a_score_that_is_worse_is_not_made_up_for_by_two_that_are_better():
    faithful = faithful_table({"A": 3})
    faithful.loc[0, "difference"] *= -1
    assert trust_of(("A",), faithful, similarity_table(("A",)))["trust"].tolist() == [NOT_TRUSTED]


def test_what_was_not_measured_is_not_trusted_and_called_so():
    faithful = faithful_table({"A": 3}, measured=False)
    assert trust_of(("A",), faithful, similarity_table(("A",)))["trust"].tolist() == [NOT_MEASURED]
    assert trust_of(("A",), faithful, similarity_table(("A",), FLAGGED))["trust"].tolist() == [NOT_TRUSTED]


def test_a_row_is_told_where_all_models_that_it_speaks_of_are_trusted():
    trust = pd.DataFrame({"model": ["A0", "A1", "B0"], "trust": [TRUSTED, NOT_TRUSTED, TRUSTED]})
    designs = {"A": {0: "A0", 1: "A1"}, "B": {0: "B0"}}
    of_models = pd.DataFrame({"model": ["A0", "A1", "B0", "B0"], "reference": ["B0", "B0", "A0", "A1"]})
    assert marked(of_models, trust, designs)["reported"].tolist() == [TOLD, WITHHELD, TOLD, WITHHELD]
    of_designs = pd.DataFrame({"design": ["A", "B", "B"], "reference": ["B", "B", "A"]})
    assert marked(of_designs, trust, designs)["reported"].tolist() == [WITHHELD, TOLD, WITHHELD]
