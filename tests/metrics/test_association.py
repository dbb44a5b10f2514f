"""Cramer's V of tables of counts: against SciPy, and at its ends."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association as scipy_association

from fairprof.metrics.association import cramers_v, degrees_of_freedom
from tests.inference.test_independence import of, random_tables


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (4, 3)])
def test_uncorrected_it_is_scipy_s(shape):
    for table in random_tables(shape):
        expected = chi2_contingency(table, correction=False)
        found = of(table)
        assert found["cramers_v_uncorrected"] == pytest.approx(scipy_association(table, method="cramer"))
        assert found["chi_square"] == pytest.approx(expected.statistic)
        assert found["p_value"] == pytest.approx(expected.pvalue)
        assert found["degrees_of_freedom"] == expected.dof
        assert found["smallest_expected"] == pytest.approx(expected.expected_freq.min())


def test_the_ends_of_the_scale():
    assert cramers_v(np.outer([30, 60], [10, 20, 30])) == 0 == cramers_v(np.outer([30, 60], [10, 20, 30]), False)
    for corrected in (True, False):
        assert cramers_v(np.diag([40, 30, 20]), corrected) == pytest.approx(1)
    assert of(np.diag([40, 30, 20]))["upper"] == pytest.approx(1)


def test_many_tables_at_once_are_each_of_them():
    tables = random_tables((3, 4))
    tables[0, 1] = 0  # a category that does not occur counts for nothing
    for corrected in (True, False):
        np.testing.assert_allclose(cramers_v(tables, corrected), [cramers_v(table, corrected) for table in tables])
    assert cramers_v(tables[0]) == pytest.approx(cramers_v(tables[0][[0, 2]]))
    assert degrees_of_freedom(tables).tolist() == [3, *[6] * 19]


def test_the_correction_takes_the_bias_away():
    independent = np.random.default_rng(1).multinomial(200, np.full(20, 1 / 20), size=2000).reshape(-1, 4, 5)
    assert cramers_v(independent, corrected=False).mean() > 0.13
    assert (cramers_v(independent) ** 2).mean() < 0.3 * (cramers_v(independent, corrected=False) ** 2).mean()
