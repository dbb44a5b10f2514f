"""What is wrong with a table is said in one line that names column, row and remedy."""

import numpy as np
import pandas as pd
import pyarrow
import pytest

import fairprof
from fairprof.errors import UserError
from tests.interface.made_tables import COLUMNS, predictions, runs

TABLE = predictions(0, rows=60)
NAN = np.nan


def without_values(column: str, rows: list[int]) -> pd.DataFrame:
    return TABLE.assign(**{column: TABLE[column].where(~TABLE.index.isin(rows))})


def refusal(table, **changes) -> str:
    with pytest.raises(fairprof.TableError) as raised:
        fairprof.audit(table, **COLUMNS | changes)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, UserError)
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("table", "changes", "said"),
    [
        ([1, 2], {}, "predictions is of type list; give a pandas DataFrame"),
        (TABLE[:0], {}, "predictions has no rows"),
        (TABLE, {"y_true": "label"}, "no column 'label' but 'What it is', 'What it says', 'Sex', 'Where'; say with"),
        (TABLE, {"groups": ["Sex", "age"]}, "no column 'age'"),
        (TABLE, {"groups": ["Sex", "Sex"]}, "groups names 'Sex' twice"),
        (TABLE, {"groups": []}, "groups is empty"),
        (TABLE, {"groups": [("Sex",)]}, "an intersection takes at least two columns"),
        (TABLE, {"person": "who"}, "no column 'who' but"),
        (TABLE.assign(Where="north"), {}, "'Where' has one group alone in predictions, 'north'"),
        (without_values("Sex", [7]), {}, "column 'Sex' of predictions has no value in row 7 (1 in all)"),
        (without_values("What it is", [0, 1, 2]), {}, "has no value in row 0 (3 in all)"),
        (without_values("What it says", [5]), {}, "column 'What it says' of predictions has no value in row 5"),
        (TABLE.assign(**{"What it says": np.linspace(0, 1, 60)}), {}, "is a score and no class"),
        (TABLE.assign(**{"What it says": "a", "What it is": "a"}), {}, "hold one class alone, 'a'"),
        (TABLE.assign(**{"What it is": 1, "What it says": "1"}), {}, "which have the same name; make them one type"),
        (pd.concat([TABLE, TABLE["Sex"]], axis=1), {}, "predictions has 2 columns 'Sex'; keep one"),
        (TABLE.assign(image=["same.png"] * 60), {}, "column 'image' of predictions has 'same.png' twice"),
        (TABLE.assign(Sex=[[1]] * 60), {}, "lists or tables"),
        (TABLE.assign(Sex=pd.array([[1]] * 60, pd.ArrowDtype(pyarrow.list_(pyarrow.int8())))), {}, "lists or tables"),
        (TABLE.assign(**{"What it is": ["a", "max_over_classes"] * 30}), {}, "hold the class 'max_over_classes'"),
        (TABLE, {"delta": 5}, "delta is 5; give a number between 0 and 1"),
        (TABLE, {"seed": "x"}, "seed is 'x'; give a whole number, at least 0"),
        (TABLE, {"permutations": 9}, "permutations is 9; give a whole number, at least 99"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_in_one_line(table, changes, said):
    assert said in refusal(table, **changes)


@pytest.mark.parametrize(
    ("columns", "probabilities", "said"),
    [
        ({}, "p ", "predictions has no column 'p a' with the probability of the class 'a'"),
        ({"p a": 0.5, "p b": 0.3, "p c": 0.1}, "p ", "sum to 0.9 in row 0"),
        ({"p a": 1.5, "p b": -0.5, "p c": 0.0}, "p ", "1.5 in row 0; a probability lies between 0 and 1"),
        ({"p a": 0.5, "p b": NAN, "p c": 0.5}, "p ", "column 'p b' of predictions has no value in row 0 (60 in all)"),
        ({"p a": "high", "p b": 0.5, "p c": 0.5}, "p ", "column 'p a' of predictions is of type"),
        ({"p a": 0.5, "p b": 0.5}, ["p a", "p b"], "names 2 columns for 3 classes"),
        ({"p a": 1.0}, {"a": "p a"}, "no column for the class 'b'"),
    ],
)
def test_bad_probabilities_are_refused_in_one_line(columns, probabilities, said):
    assert said in refusal(TABLE.assign(**columns), probabilities=probabilities)


# Several tables.


def comparison_refusal(given, **changes) -> str:
    with pytest.raises(fairprof.TableError) as raised:
        fairprof.compare(given, **COLUMNS | changes)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def changed(column: str, value: object) -> dict[str, list[pd.DataFrame]]:
    first, second = runs(1, 0, 2, rows=60), runs(2, 0, 2, rows=60)
    second[1].loc[second[1]["image"].eq("3.png"), column] = value
    return {"A": first, "B": second}


def test_runs_of_other_images_labels_or_groups_are_refused():
    assert "image 'x.png' is in only one of the table of design A, seed 0 and the table of design B, seed 1" in (
        comparison_refusal(changed("image", "x.png")).replace("'3.png'", "'x.png'")
    )
    assert "y_true of image '3.png' is" in comparison_refusal(changed("What it is", "d"))
    assert "Where of image '3.png' is" in comparison_refusal(changed("Where", "elsewhere"))
    assert "column 'image' of the table of design B, seed 1 has '4.png' twice" in comparison_refusal(
        changed("image", "4.png")
    )


@pytest.mark.parametrize(
    ("given", "changes", "said"),
    [
        ({"A": runs(1, 0, 2, 60)}, {}, "runs names no two designs"),
        ({"A": runs(1, 0, 2, 60), "B": runs(2, 0, 3, 60)}, {}, "design B has 3 seeds (0, 1, 2) and design A 2 seeds"),
        ({"A": runs(1, 0, 2, 60), "B": []}, {}, "design B has no tables"),
        ({"A": runs(1, 0, 2, 60), "B": TABLE}, {}, "design B is given by a DataFrame; give a list"),
        ({"A": runs(1, 0, 1, 60), "B": runs(2, 0, 1, 60)}, {"reference": "C"}, "reference is 'C', which is none of"),
        ({"A": {0: TABLE}, "B": {1: TABLE}}, {}, "design B has 1 seed (1) and design A 1 seed (0)"),
        ({"A": [TABLE[:0]], "B": [TABLE]}, {}, "the table of design A, seed 0 has no rows"),
    ],
)  # fmt: skip
def test_runs_that_are_no_pairs_are_refused(given, changes, said):
    assert said in comparison_refusal(given, **changes)
