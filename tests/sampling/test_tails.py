"""Tables of the order-statistics sampler against mpmath and closed forms; honest error estimates."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.kernels.order_statistics import REST_FUNCTIONS, REST_STRIDE
from peakedtheory.sampling.tails import (
    GREATEST_HAZARD,
    LN2,
    REST_ORDERS,
    order_statistics_tables,
    tabulate_quantile,
)

HAZARDS = np.array([1e-30, 3e-19, 1e-12, 7.7e-6, 0.013, 0.25, 0.999, 1.0, 1.7, 6.3, 41.0, 120.0])


def normal_quantile(s):
    """x with P(X > x) = 1 - 2^-s, by mpmath."""
    with mp.workdps(60):
        above = -mp.expm1(-mp.mpf(float(s)) * mp.log(2))
        tail = above if above < 0.5 else 1 - above
        sign = 1 if above < 0.5 else -1
        start = mp.sqrt(-2 * mp.log(tail)) if tail < 0.1 else mp.mpf(1) / 4
        log_tail = mp.log(tail)
        root = mp.findroot(lambda x: mp.log(mp.erfc(x / mp.sqrt(2)) / 2) - log_tail, start)
        return float(sign * root)


def gaussian_moment(r, s, beta, x_k):
    """<(x-x_k)^s e^{rβ(x-x_k)} | x < x_k> for standard normal x: derivatives of its generating function."""
    with mp.workdps(50):
        x_k = mp.mpf(float(x_k))

        def generating(b):
            return mp.exp(b * b / 2 - b * x_k) * mp.ncdf(x_k - b) / mp.ncdf(x_k)

        return float(mp.diff(generating, r * mp.mpf(float(beta)), s))


def test_quantiles_of_the_normal_distribution_agree_with_mpmath():
    table = tabulate_quantile(STANDARD_NORMAL, 1e-31)
    exact = np.array([normal_quantile(s) for s in HAZARDS])
    assert table.error < 1e-13
    np.testing.assert_allclose(table(HAZARDS), exact, rtol=3e-14, atol=3e-14)


@pytest.mark.parametrize(
    ("distribution", "quantile"),
    [
        (stats.logistic(), lambda h: -np.log(np.expm1(h))),
        (stats.expon(), lambda h: -h),
        (stats.uniform(), lambda h: np.expm1(-h)),
        (stats.laplace(), lambda h: np.where(h < LN2, -np.log(-2 * np.expm1(-h)), LN2 - h)),
    ],
    ids=["logistic", "exponential", "uniform", "laplace"],
)
def test_quantiles_with_closed_forms(distribution, quantile):
    s = np.geomspace(1e-25, 100, 4001)
    exact = quantile(s * LN2)
    table = tabulate_quantile(distribution, 1e-26)
    assert np.max(np.abs(table(s) - exact) / (1 + np.abs(exact))) < 1e-13


def test_heavy_tails_reach_far():
    table = tabulate_quantile(stats.t(5), 1e-31)
    s = np.geomspace(1e-30, 1e-3, 300)
    np.testing.assert_allclose(table(s), -stats.t(5).ppf(-np.expm1(-s * LN2)), rtol=1e-12)


@pytest.mark.parametrize("distribution", [STANDARD_NORMAL, stats.t(5), stats.gamma(0.3), stats.gumbel_l()])
def test_the_quantile_error_is_honest(distribution):
    table = tabulate_quantile(distribution, 1e-20)
    s = np.exp(np.random.default_rng(3).uniform(np.log(1e-20), np.log(30), 20_000))
    h = s * LN2
    exact = -np.where(s < 1, distribution.ppf(-np.expm1(-h)), distribution.isf(np.exp(-h)))
    scale = np.abs(exact) + abs(float(np.ptp(distribution.ppf(np.array([0.25, 0.75])))))
    seen = np.abs(table(s) - exact) / scale * np.minimum(1.0, 2.0 ** (1.0 - s))
    # twice: the points of the table's own check and these are different
    assert seen.max() <= 2.0 * table.error + 1e-15


def test_values_outside_the_table_are_held_at_its_ends():
    table = tabulate_quantile(STANDARD_NORMAL, 1e-10)
    assert table(np.array([0.0, 1e-300]))[0] == table(np.array([table.least]))[0]
    assert table(np.array([1e9]))[0] == table(np.array([GREATEST_HAZARD]))[0]


def test_isf_is_not_needed():
    class Lower:
        def ppf(self, q):
            return stats.norm.ppf(q)

    s = np.geomspace(1e-20, 30, 500)
    full, lower = tabulate_quantile(STANDARD_NORMAL, 1e-21), tabulate_quantile(Lower(), 1e-21)
    assert np.max(np.abs(full(s) - lower(s)) * np.minimum(1.0, 2.0 ** (1.0 - s))) < 1e-12


class _Steps:
    """Energies with atoms at the integers."""

    def ppf(self, q):
        return np.floor(stats.norm.ppf(q))

    def isf(self, q):
        return np.floor(stats.norm.isf(q))


def test_atoms_are_refused():
    with pytest.raises(ValueError, match=r"energies: .*smooth.*use method='plain'"):
        order_statistics_tables(np.array([1.0]), 1000, _Steps())


@pytest.mark.parametrize("n", [65, 128, 50304, 10**12])
@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0, 6.0, 40.0, 1e4])
def test_moments_of_the_rest_agree_with_mpmath(n, beta):
    tables = order_statistics_tables(np.array([beta, 1e4]), n)
    rest = tables.rest
    for place in (-0.9, -0.13, 0.41, 0.97):
        hazard = np.exp(rest.centre + place / rest.scale)
        x_k = normal_quantile(hazard)
        for f, (r, s) in enumerate(REST_ORDERS):
            seen = np.polyval(rest.polynomials[0, f], place)
            exact = (n - tables.k) * gaussian_moment(r, s, beta, x_k)
            ends = np.abs(np.polyval(rest.polynomials[0, f], np.linspace(-1, 1, 9))).max()
            scale = max(ends, tables.k**r * rest.spread**s)
            # x_k itself is uncertain by the rounding of its hazard, which r β multiplies
            assert abs(seen - exact) <= (2.0 * rest.error + 1e-14 * (1.0 + r * beta * abs(x_k))) * scale


def test_the_rest_is_tabulated_as_the_kernel_reads_it():
    tables = order_statistics_tables(np.linspace(0, 20, 5), 50304)
    assert tables.rest.polynomials.shape[:2] == (5, REST_FUNCTIONS)
    assert (tables.rest.polynomials.shape[2] - 1) % REST_STRIDE == 0
    assert tables.rest.error < 1e-12
    assert np.all(tables.error >= 0)


@pytest.mark.parametrize("n", [1, 2, 16, 17, 64])
def test_few_energies_are_all_sampled(n):
    tables = order_statistics_tables(np.array([1.0]), n)
    assert tables.k == tables.rates.size == n


def test_a_kink_in_the_middle_is_sampled_through():
    beta = np.array([0.5])
    assert order_statistics_tables(beta, 100, stats.laplace()).k == 100
    assert order_statistics_tables(beta, 1000, stats.laplace()).k == 16
