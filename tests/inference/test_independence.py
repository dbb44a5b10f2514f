"""Cramer's V and the tests of independence: worked by hand, held against SciPy, and against simulated truths."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from scipy.stats.contingency import association as scipy_association

from fairprof.inference.independence import association, associations, given_a_third, permutation_p_value
from fairprof.metrics.association import chi_square, cross_table

TWO_BY_TWO = np.array([[20, 10], [10, 20]])


def random_tables(shape: tuple[int, int], count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 40, (count, *shape))


def of(table: np.ndarray, replicates: int = 100) -> dict[str, float]:
    return association(table, replicates, np.random.default_rng(0))


def rows_of(table: np.ndarray) -> tuple[pd.Series, pd.Series]:
    """Rows whose cross-table this is."""
    first, second = np.repeat(np.indices(table.shape).reshape(2, -1), table.ravel(), axis=1)
    return pd.Series(first).map(str), pd.Series(second).map(str)


def test_by_hand():
    # chi-square 60 (20*20 - 10*10)^2 / 30^4 = 20/3; phi^2 = 1/9; corrected 1/9 - 1/59; 2 - 1/59 - 1 remains of k - 1
    found = of(TWO_BY_TWO)
    assert found["chi_square"] == pytest.approx(20 / 3) and found["degrees_of_freedom"] == 1
    assert found["cramers_v_uncorrected"] == pytest.approx(1 / 3)
    assert found["cramers_v"] == pytest.approx(np.sqrt((1 / 9 - 1 / 59) / (1 - 1 / 59)))
    assert found["images"] == 60 and found["smallest_expected"] == 15


@pytest.mark.parametrize("table", [[[5, 7, 9]], [[5], [7]], [[5, 0], [7, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]])
def test_with_a_single_category_it_is_undefined_and_visible(table):
    found = of(np.array(table))
    for name in ("cramers_v", "lower", "upper", "cramers_v_uncorrected", "p_value"):
        assert np.isnan(found[name]), name
    assert np.isnan(permutation_p_value(np.array(table), 99, np.random.default_rng(0)))


@pytest.mark.parametrize(("strength", "count"), [(0.0, 300), (0.15, 500), (0.4, 500)])
def test_intervals_cover_the_truth(strength, count):
    independent = np.outer([0.5, 0.3, 0.2], [0.4, 0.3, 0.2, 0.1])
    dependent = np.array([[0.4, 0.1, 0, 0], [0, 0.2, 0.1, 0], [0, 0, 0.1, 0.1]])
    truth = (1 - strength) * independent + strength * dependent
    v = np.sqrt(chi_square(truth) / 2)  # of shares, chi-square is phi^2
    generator = np.random.default_rng(2)
    tables = generator.multinomial(count, truth.ravel(), size=200).reshape(-1, 3, 4)
    found = [association(table, 200, generator) for table in tables]
    covered = np.mean([row["lower"] <= v + 1e-9 and v <= row["upper"] + 1e-9 for row in found])
    assert covered >= 0.9  # 200 tables at 95 %
    assert all(row["lower"] <= row["cramers_v"] <= row["upper"] for row in found)


def test_renaming_categories_and_permuting_rows_changes_nothing():
    first, second = rows_of(random_tables((3, 4))[0])
    order = np.random.default_rng(3).permutation(len(first))
    renamed = first.map({"0": "z", "1": "b", "2": "a"})[order].reset_index(drop=True)
    there = of(cross_table(first, second))
    again = of(cross_table(renamed, second[order].reset_index(drop=True)))
    for name in ("cramers_v", "chi_square", "p_value", "images"):
        assert there[name] == pytest.approx(again[name])


def test_pairs_of_columns_with_missing_values():
    first, second = rows_of(TWO_BY_TWO)
    table = pd.DataFrame({"first": first, "second": second, "constant": "x"})
    table.loc[len(table)] = ["0", None, "x"]
    pairs = (("first", "second"), ("first", "constant"))
    found = associations(table, pairs, 100, np.random.default_rng(0))
    assert found[["first", "second"]].values.tolist() == [list(pair) for pair in pairs]
    assert found["images"].tolist() == [60, 61]
    assert found["p_holm"].tolist() == pytest.approx([found["p_value"][0], np.nan], nan_ok=True)  # one test, not two


def test_the_permutation_test_is_exact():
    table = np.array([[9, 3], [4, 8]])
    outcomes = np.arange(13)  # of the first cell, with all margins fixed
    tables = np.array([[[a, 12 - a], [13 - a, a - 1]] for a in outcomes[1:]])
    chances = hypergeom(24, 13, 12).pmf(outcomes[1:])
    exact = chances[chi_square(tables) >= chi_square(table) - 1e-12].sum()
    assert permutation_p_value(table, 20_000, np.random.default_rng(4)) == pytest.approx(exact, abs=0.01)


def test_what_goes_through_a_third_column():
    generator = np.random.default_rng(5)
    third = pd.Series(generator.integers(0, 3, 3000)).map(str)
    chance = third.map({"0": 0.1, "1": 0.5, "2": 0.9})
    first, second = (pd.Series(generator.random(3000) < chance).map(str) for _ in range(2))
    there = scipy_association(cross_table(first, second), method="cramer")
    found = given_a_third(first, second, third, 199, generator)
    assert there > 0.3 and found["through"] == pytest.approx(there, abs=0.04) and found["p_value"] > 0.01
    found = given_a_third(first, first, third, 199, generator)
    assert found["p_value"] == 1 / 200
    # independent of the third, nothing goes through it
    shuffled = third.sample(frac=1, random_state=0).reset_index(drop=True)
    assert given_a_third(first, second, shuffled, 99, generator)["through"] < 0.05
    missing = given_a_third(first, second, pd.Series([None] * 3000, dtype=object), 99, generator)
    assert np.isnan(missing["through"]) and np.isnan(missing["p_value"])
