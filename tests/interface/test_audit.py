"""An audit of any table: values against fairlearn and scikit-learn, verdicts that follow, invariance, and its page."""

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

import fairprof
from tests.interface.made_tables import COLUMNS, one_large_group_is_served_worse, predictions

QUICK = {"permutations": 199, "replicates": 100}
LARGEST, MEAN = "max_over_classes", "mean_over_classes"
DP, EO, ODDS = (f"{name}_difference" for name in ("demographic_parity", "equal_opportunity", "equalized_odds"))


def value(gaps: pd.DataFrame, attribute: str, metric: str, of_class: str = LARGEST) -> float:
    (found,) = gaps.loc[
        gaps["attribute"].eq(attribute) & gaps["metric"].eq(metric) & gaps["class"].eq(of_class), "value"
    ]
    return found


def numbers(audit: fairprof.Audit) -> pd.DataFrame:
    return audit.gaps.select_dtypes("number")


@pytest.mark.parametrize("seed", range(3))
def test_binary_gaps_are_those_of_fairlearn(seed):
    table = predictions(seed, classes=(0, 1))
    gaps = fairprof.audit(table, **COLUMNS, **QUICK).gaps
    for attribute in ("Sex", "Where"):
        given = table["What it is"], table["What it says"]
        groups = {"sensitive_features": table[attribute]}
        for metric in (DP, EO, ODDS, "demographic_parity_ratio", "equal_opportunity_ratio"):
            expected = getattr(fairlearn.metrics, metric)(*given, **groups)
            assert value(gaps, attribute, metric, "1") == pytest.approx(expected), metric
        for metric in (DP, ODDS):  # one class is the other's complement
            assert value(gaps, attribute, metric) == pytest.approx(value(gaps, attribute, metric, "1"))
            assert value(gaps, attribute, metric, "0") == pytest.approx(value(gaps, attribute, metric, "1"))


@pytest.mark.parametrize("seed", range(3))
def test_gaps_of_several_classes_are_those_of_fairlearn_one_against_the_rest(seed):
    table = predictions(seed)
    gaps = fairprof.audit(table, **COLUMNS, **QUICK).gaps
    for attribute in ("Sex", "Where"):
        for metric in (DP, EO, ODDS):
            of_classes = [
                getattr(fairlearn.metrics, metric)(
                    table["What it is"] == one, table["What it says"] == one, sensitive_features=table[attribute]
                )
                for one in ("a", "b", "c")
            ]
            assert [value(gaps, attribute, metric, one) for one in ("a", "b", "c")] == pytest.approx(of_classes)
            assert value(gaps, attribute, metric) == pytest.approx(max(of_classes))
            assert value(gaps, attribute, metric, MEAN) == pytest.approx(np.mean(of_classes))


def test_scores_are_those_of_scikit_learn():
    table = predictions(5)
    found = fairprof.audit(table, **COLUMNS, **QUICK)
    given = table["What it is"], table["What it says"]
    expected = [accuracy_score(*given), balanced_accuracy_score(*given), f1_score(*given, average="macro")]
    assert found.scores["metric"].tolist() == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert found.scores["value"].tolist() == pytest.approx(expected)
    (of_south,) = found.scores_by_group.loc[found.scores_by_group["group"].eq("south"), "accuracy"]
    south = table[table["Where"].eq("south")]
    assert of_south == pytest.approx(accuracy_score(south["What it is"], south["What it says"]))


def test_the_large_group_that_is_served_worse_is_found_and_named_with_its_size():
    audit = fairprof.audit(one_large_group_is_served_worse(1), groups="group", y_true="label", y_pred="prediction")
    (row,) = audit.gaps[audit.gaps["metric"].eq(EO) & audit.gaps["class"].eq(LARGEST)].to_dict("records")
    assert (row["verdict"], row["family"], row["scope"]) == ("established", "confirmatory", "these models")
    differing = audit.contrasts[audit.contrasts["differs"] & audit.contrasts["rate"].eq("true_positive_rate")]
    below = differing[differing["contrast"].lt(0) & differing["class"].eq("yes")]
    assert set(below["group"]) == {"west"}  # the other large groups lie above a rest of which "west" is a part
    assert not {"rock", "buoy"} & set(differing["group"])
    (sentence,) = [text for text in audit.answer if text.startswith("Established: true positive rates differ")]
    assert "(yes: west, " in sentence
    assert "of 300, against" in sentence
    assert "scope: these models" in sentence


def test_groups_that_are_served_alike_are_not_told_as_different():
    audit = fairprof.audit(predictions(7), **COLUMNS)
    assert audit.answer[0] == "Of 4 confirmatory gaps between groups, none is established (n = 400)."
    assert not [text for text in audit.answer if text.startswith("Established")]
    assert audit.answer[-1] == "What is not established is not shown to be fair."


def test_a_model_that_predicts_one_class_is_said_first_and_has_no_verdicts():
    table = predictions(3).assign(**{"What it says": "b"})
    audit = fairprof.audit(table, **COLUMNS, **QUICK)
    assert audit.answer[0].startswith("Every one of 400 rows is predicted b")
    assert set(audit.gaps["verdict"].dropna()) == {"degenerate"}
    assert "quivalent" not in " ".join(audit.answer)


def test_the_family_is_of_the_single_attributes_and_holds_no_test_twice():
    audit = fairprof.audit(predictions(2, classes=(False, True)), **COLUMNS | {"groups": ["Sex", ("Sex", "Where")]})
    family = audit.gaps[audit.gaps["family"].eq("confirmatory")]
    assert list(zip(family["attribute"], family["metric"], family["class"], strict=True)) == [
        ("Sex", DP, LARGEST),
        ("Sex", EO, LARGEST),
    ]
    # of two classes, demographic parity is tested once: every row of it has the p-values of the largest
    parity = audit.gaps[audit.gaps["attribute"].eq("Sex") & audit.gaps["metric"].eq(DP)]
    assert parity["p_adjusted"].nunique() == 1
    assert parity["verdict"].nunique() == 1


def test_an_intersection_is_a_tuple_of_columns():
    table = predictions(4)
    audit = fairprof.audit(table, **COLUMNS | {"groups": [("Sex", "Where")]}, **QUICK)
    rates = audit.rates[audit.rates["rate"].eq("selection_rate") & audit.rates["class"].eq("a")].set_index("group")
    assert list(rates.index) == [f"{sex} x {where}" for sex in (0, 1) for where in ("north", "south", "west")]
    cell = table[table["Sex"].eq(1) & table["Where"].eq("south")]
    assert rates.loc["1 x south", "value"] == pytest.approx(cell["What it says"].eq("a").mean())
    assert set(audit.rates["attribute"]) == {"Sex_x_Where"}


def test_the_order_of_rows_and_the_names_of_groups_change_no_number():
    table = predictions(6)
    table["who"] = np.repeat(np.arange(200), 2)
    given = COLUMNS | QUICK
    base = fairprof.audit(table, **given)
    shuffled = table.sample(frac=1, random_state=0)
    renamed = table.assign(Where=table["Where"].map({"north": "z", "south": "y", "west": "x"}))
    pd.testing.assert_frame_equal(numbers(fairprof.audit(shuffled, **given)), numbers(base))
    pd.testing.assert_frame_equal(numbers(fairprof.audit(renamed, **given)), numbers(base))
    of_persons = [numbers(fairprof.audit(rows, **given, person="who")) for rows in (table, shuffled)]
    pd.testing.assert_frame_equal(*of_persons)
    assert not of_persons[0]["p_value"].equals(base.gaps["p_value"])


@pytest.mark.parametrize(
    "retyped",
    [
        lambda table: table.astype({"Sex": bool}),
        lambda table: table.astype({"Sex": float}),
        lambda table: table.astype({"Where": "category", "What it is": "category"}),
        lambda table: table.assign(**{"What it says": table["What it says"].to_numpy(dtype=object)}),
        lambda table: table.rename(columns={"Sex": "person", "Where": 7}),
        lambda table: table.rename(columns={"What it is": "y_pred", "What it says": "y_true"}),
    ],
    ids=["bool", "float", "categorical", "object", "names", "swapped names"],
)
def test_types_and_names_of_columns_do_not_matter(retyped):
    table = predictions(8)
    given = COLUMNS
    other = retyped(table)
    names = dict(zip(table.columns, other.columns, strict=True))
    renamed = {"groups": [names[one] for one in given["groups"]]}
    renamed |= {one: names[given[one]] for one in ("y_true", "y_pred")}
    expected, found = fairprof.audit(table, **given, **QUICK), fairprof.audit(other, **renamed, **QUICK)
    pd.testing.assert_frame_equal(numbers(found), numbers(expected))


def test_labels_of_different_types_that_are_equal_are_one_class():
    table = predictions(9, classes=(0, 1))
    expected = fairprof.audit(table, **COLUMNS, **QUICK)
    found = fairprof.audit(table.astype({"What it says": float}), **COLUMNS, **QUICK)
    pd.testing.assert_frame_equal(found.gaps, expected.gaps)


# Calibration.


def with_probabilities(table: pd.DataFrame) -> pd.DataFrame:
    sure = np.random.default_rng(0).uniform(0.5, 0.9, len(table))
    columns = {f"p {one}": np.where(table["What it says"].eq(one), sure, (1 - sure) / 2) for one in ("a", "b", "c")}
    return table.assign(**columns)


def test_calibration_is_there_where_probabilities_are_given_in_any_form():
    table = with_probabilities(predictions(1))
    without = fairprof.audit(table, **COLUMNS, **QUICK)
    assert without.calibration.empty
    columns = [f"p {one}" for one in ("a", "b", "c")]
    forms = ("p ", columns, dict(zip(("a", "b", "c"), columns, strict=True)))
    found = [fairprof.audit(table, **COLUMNS, **QUICK, probabilities=form) for form in forms]
    for other in found:
        pd.testing.assert_frame_equal(other.calibration, found[0].calibration)
        pd.testing.assert_frame_equal(other.gaps, without.gaps)
    over = found[0].calibration.set_index(["attribute", "metric"])["value"]["all", "overconfidence"]
    confidence = table[columns].max(axis=1).mean()
    assert over == pytest.approx(confidence - table["What it is"].eq(table["What it says"]).mean())
    assert any(text.startswith("Calibration:") for text in found[0].answer)


def test_of_two_classes_the_probability_of_one_is_enough():
    table = predictions(1, classes=(0, 1))
    table["score"] = np.where(table["What it says"].eq(1), 0.8, 0.3)
    table["other"] = 1 - table["score"]
    one, both = (
        fairprof.audit(table, **COLUMNS, **QUICK, probabilities=form) for form in ({1: "score"}, ["other", "score"])
    )
    pd.testing.assert_frame_equal(one.calibration, both.calibration)


# How it is shown.


def test_the_page_and_the_notebook_show_the_answer_and_escape_names():
    table = predictions(2).replace({"Where": {"north": "<b>north</b>"}})
    audit = fairprof.audit(table, **COLUMNS, **QUICK)
    page, shown = audit.to_html(), audit._repr_html_()
    assert page.startswith("<!DOCTYPE html>")
    assert "<b>north</b>" not in page + shown
    assert "&lt;b&gt;north&lt;/b&gt;" in page
    for text in (page, shown):
        assert "Of 4 confirmatory gaps between groups" in text
        assert "equal opportunity difference by Where" in text
    assert "<style" not in shown
    assert repr(audit) == "\n".join(audit.answer)


def test_intervals_of_rates_count_persons_and_not_their_images():
    table = predictions(0)
    often = table.loc[table.index.repeat(4)].assign(who=lambda rows: rows.index).reset_index(drop=True)
    once, named, unnamed = (
        fairprof.audit(rows, **COLUMNS, **QUICK, **more).rates.set_index(["attribute", "group", "class", "rate"])
        for rows, more in ((table, {}), (often, {"person": "who"}), (often.drop(columns="who"), {}))
    )
    pd.testing.assert_frame_equal(once[["value", "lower", "upper"]], named[["value", "lower", "upper"]])
    narrower = (unnamed["upper"] - unnamed["lower"]) < (named["upper"] - named["lower"])
    assert narrower[named["value"].notna()].all()
