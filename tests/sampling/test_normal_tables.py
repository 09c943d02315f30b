"""Smooth distributions as tabulated functions of a normal deviate."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from peakedtheory import estimate, thermodynamics
from peakedtheory.sampling.normal_tables import normal_table


def evaluate(table, per_unit, z):
    cell = np.floor(z * per_unit)
    rows = table[(cell + len(table) // 2).astype(int)].astype(float)
    return (rows * ((z * per_unit - cell)[:, None] ** np.arange(6))).sum(axis=1)


@pytest.mark.parametrize(
    "energies",
    [stats.logistic(), stats.laplace(), stats.expon(), stats.t(5), stats.beta(0.3, 1), stats.gumbel_l()],
)
def test_table_is_the_quantile_function(energies):
    table, per_unit = normal_table(energies.ppf, energies.isf)
    z = np.random.default_rng(2).uniform(-6.7, 6.7, 4000)
    exact = -np.where(z > 0, energies.ppf(ndtr(-z)), energies.isf(ndtr(z)))
    # what is left is the rounding of single-precision coefficients
    assert np.all(
        np.abs(evaluate(table, per_unit, z) - exact)
        < 4e-7 * (np.abs(exact) + np.ptp(energies.ppf([0.25, 0.75])))
    )


def test_quantile_functions_with_kinks_are_left_to_others():
    assert normal_table(stats.triang(0.3).ppf, stats.triang(0.3).isf) is None


@pytest.mark.parametrize("name", ["logistic", "expon", "t:df=5"])
def test_estimates_from_the_table_agree_with_the_exact_engine(name):
    beta = np.array([0.3, 2.0])
    result = estimate(beta, 300, name, method="plain", samples=8000, rng=11)
    exact = thermodynamics(beta, 300, name)
    for quantity in ("log_partition", "internal_energy", "entropy"):
        found = getattr(result, quantity)
        assert np.all(np.abs(found.mean - getattr(exact, quantity)) < 4 * found.standard_error)
    wrong = thermodynamics(beta, 300, "laplace")
    assert np.all(
        np.abs(result.log_partition.mean - wrong.log_partition) > 6 * result.log_partition.standard_error
    )
