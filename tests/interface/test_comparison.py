"""A comparison of any runs: what differs is found, values are those of the tables, order and names do not matter."""

import numpy as np
import pandas as pd
import pytest

import fairprof
from tests.interface.made_tables import COLUMNS, runs

QUICK = COLUMNS | {"permutations": 99, "replicates": 100}
EO = "equal_opportunity_difference"


@pytest.fixture(scope="module")
def unequal() -> dict[str, list[pd.DataFrame]]:
    return {"A": runs(1, 0.35, 6), "B": runs(2, 0.0, 6)}


@pytest.fixture(scope="module")
def comparison(unequal) -> fairprof.Comparison:
    return fairprof.compare(unequal, **QUICK, reference="A")


def difference(comparison: fairprof.Comparison, metric: str, attribute: str = "") -> pd.Series:
    table = comparison.differences
    (row,) = table[table["metric"].eq(metric) & table["attribute"].eq(attribute)].to_dict("records")
    return pd.Series(row)


def test_the_design_with_the_smaller_gap_is_found(comparison):
    found = difference(comparison, EO, "Sex")
    assert (found["design"], found["reference"], found["seeds"]) == ("B", "A", 6)
    assert (found["verdict"], found["scope"]) == ("established", "new seeds and new images")
    assert found["upper"] < 0
    assert "equal opportunity difference by Sex in B" in comparison.answer[0]
    assert "1 is established for new seeds and new images" in comparison.answer[0]
    assert difference(comparison, EO, "Where")["verdict"] != "established"


def test_values_are_means_over_the_seeds_of_what_an_audit_finds(unequal, comparison):
    means = {}
    for design, tables in unequal.items():
        gaps = [fairprof.audit(table, **QUICK).gaps for table in tables]
        means[design] = pd.concat(gaps).groupby(["attribute", "metric", "class"])["value"].mean()
    expected = means["B"] - means["A"]
    found = difference(comparison, EO, "Sex")
    assert found["uncorrected"] == pytest.approx(expected["Sex", EO, "max_over_classes"])
    of_a = comparison.gaps[comparison.gaps["design"].eq("A")].set_index(["attribute", "metric", "class"])["value"]
    np.testing.assert_allclose(of_a, means["A"].reindex(of_a.index))
    right = {
        design: np.mean([table["What it is"].eq(table["What it says"]).mean() for table in tables])
        for design, tables in unequal.items()
    }
    assert difference(comparison, "accuracy")["value"] == pytest.approx(right["B"] - right["A"])


def test_rows_are_matched_by_image_or_by_the_index(unequal, comparison):
    by_index = {
        design: {seed: table.set_index("image") for seed, table in enumerate(tables)}
        for design, tables in unequal.items()
    }
    by_column = {
        design: [table.rename(columns={"image": "file"}) for table in tables] for design, tables in unequal.items()
    }
    for other in (fairprof.compare(by_index, **QUICK), fairprof.compare(by_column, **QUICK, image="file")):
        pd.testing.assert_frame_equal(other.differences, comparison.differences)


def test_the_names_of_groups_and_designs_change_no_number(unequal, comparison):
    renamed = {
        f"design {design}": [table.replace({"Where": {"north": "z", "west": "c"}}) for table in tables]
        for design, tables in unequal.items()
    }
    other = fairprof.compare(renamed, **QUICK).differences
    pd.testing.assert_frame_equal(
        other.drop(columns=["design", "reference"]), comparison.differences.drop(columns=["design", "reference"])
    )


def test_few_seeds_allow_no_claim(unequal):
    few = fairprof.compare({design: tables[:2] for design, tables in unequal.items()}, **QUICK)
    assert set(few.differences["verdict"]) == {"no_claim_possible"}
    assert few.answer[-3].startswith("With 2 seeds no claim between designs is possible: 6 are the least")


def test_a_run_that_predicts_one_class_is_said_first_and_its_gaps_have_no_verdict(unequal):
    given = unequal | {"B": [*unequal["B"][:5], unequal["B"][5].assign(**{"What it says": "a"})]}
    found = fairprof.compare(given, **QUICK)
    assert found.answer[0].startswith("Design B predicts one class for every row with seed 5")
    gaps = found.differences[found.differences["attribute"].ne("")]
    assert set(gaps["verdict"]) == {"degenerate"}
    assert not [text for text in found.answer if text.startswith(("Established", "Equivalent"))]
    assert "nothing is said of their difference in the equal opportunity difference by Sex" in " ".join(found.answer)


def test_the_page_and_the_notebook_show_the_answer(comparison):
    for text in (comparison.to_html(), comparison._repr_html_()):
        assert "Of 4 confirmatory differences from design A" in text
        assert "new seeds and new images" in text
    assert comparison.to_html().startswith("<!DOCTYPE html>")
