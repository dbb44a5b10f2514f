"""What documents say of methods: need, effect, verdict and cautions; and nothing where there are none."""

from dataclasses import replace

import pandas as pd
import pytest

from fairprof.commands.compare.documents.annex_iv import annex_iv
from fairprof.commands.compare.documents.model_card import model_card

QUANTITIES = {
    ("macro_f1", ""): (0.003, -0.01, 0.02),
    ("demographic_parity_difference", "race"): (-0.041, -0.07, -0.012),
    ("equal_opportunity_difference", "race"): (-0.02, -0.05, 0.01),
}


def of_methods(*methods: str) -> dict[str, pd.DataFrame]:
    effects = [
        {
            "design": "B",
            "method": method,
            "metric": metric,
            "attribute": attribute,
            "class": "max_over_classes" if attribute else "",
            "value": value,
            "lower": lower,
            "upper": upper,
        }
        for method in methods
        for (metric, attribute), (value, lower, upper) in QUANTITIES.items()
    ]
    verdicts = [{"design": "B", "method": method, "verdict": "levelled_down"} for method in methods]
    return {"effects": pd.DataFrame(effects), "verdicts": pd.DataFrame(verdicts)}


def test_documents_without_methods_say_nothing_of_them(tables, protocol):
    assert "methods against" not in model_card(tables, protocol, "B") + annex_iv(tables, protocol)
    assert "fairprof ships no predictor of race" in model_card(tables, protocol, "B")
    assert "No fairness criterion is optimised." in annex_iv(tables, protocol)


@pytest.mark.parametrize("document", [lambda *given: model_card(given[0], given[1], "B", *given[2:]), annex_iv])
def test_a_method_stands_there_with_its_need_its_effect_and_its_verdict(document, tables, protocol):
    written = document(tables, protocol, of_methods("linear_post", "group_dro"), "race")
    row = next(line for line in written.splitlines() if "linear post-processing by group" in line)
    assert "validation, prediction" in row
    for told in ("+.003 [−.010, +.020]", "−.041 [−.070, −.012]", "−.020 [−.050, +.010]", "levelled down"):
        assert told in row
    assert written.count("Civil Rights Act of 1991") == 1
    assert "Article 9 of the GDPR" in written and "may be unlawful" in written and "no legal advice" in written


def test_a_method_that_estimates_groups_is_not_told_as_one_that_does_not(tables, protocol):
    card = model_card(tables, protocol, "B", of_methods("linear_post_blind"), "race")
    assert "estimate from a face how likely each group is" in card
    assert "fairprof ships no predictor of race" not in card
    assert "Civil Rights" not in card


def test_runs_that_all_have_a_method_are_told_so(tables, protocol):
    of_dfr = replace(protocol, settings=protocol.settings | {"mitigation": "dfr"})
    for document in (model_card(tables, of_dfr, "B"), annex_iv(tables, of_dfr)):
        assert "All runs were trained with a method against unfairness, deep feature reweighting" in document
        assert "No fairness criterion is optimised" not in document
