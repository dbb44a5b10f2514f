"""The glossary: every term defined once, for reports and documentation alike."""

import re

import pytest

from fairprof.commands.compare import sections as comparison
from fairprof.commands.evaluate import report as evaluation
from fairprof.commands.explain import report as explanation
from fairprof.commands.prepare import report as audit
from fairprof.reporting.glossary import TERMS, terms
from tests.places import ROOT


def test_a_report_shows_the_terms_that_it_uses_in_the_order_of_the_glossary():
    assert terms("excess", "pool").pairs == (
        ("pool", "every usable image of a data set, with its gender, race, age and profession"),
        ("excess", "a gap minus the mean of its noise floor"),
    )
    with pytest.raises(KeyError, match="fairness"):
        terms("pool", "fairness")


def test_the_documentation_has_the_same_terms_in_the_same_words():
    table = (ROOT / "docs" / "metrics.md").read_text().split("\n## Glossary\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)
    assert rows[1:] == list(TERMS.items())
    assert rows[0] == ("term", "meaning")


@pytest.mark.parametrize("report", [comparison, evaluation, explanation, audit])
def test_every_report_has_known_terms(report):
    assert len(terms(*report.TERMS).pairs) == len(report.TERMS)


def test_definitions_are_fragments_that_stand_in_a_table():
    for term, meaning in TERMS.items():
        assert not meaning.endswith(".") and "|" not in meaning and "\n" not in meaning, term
