"""Laws read from their density: tails by integration, what of SciPy's own is kept, and what is doubted."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import peakedtheory as pt
from peakedtheory.energies.tabulated import Tabulated


def table_of(law):
    low, high = law.support()
    first, middle, last = law.ppf([0.25, 0.5, 0.75])
    return Tabulated(law.pdf, low, high, middle, last - first, (0.0,))


@pytest.mark.parametrize(
    "law",
    [stats.norm(), stats.laplace(), stats.expon(), stats.gamma(0.4), stats.t(2.5), stats.lognorm(1.0), stats.logistic()],
    ids=lambda law: law.dist.name,
)  # fmt: skip
def test_integrals_of_the_density_are_the_tails(law):
    """From the body to probabilities of 1e-30, in relative terms, where SciPy has closed forms."""
    table = table_of(law)
    between = 0.37 * table.edges[1:] + 0.63 * table.edges[:-1]
    for found, right in ((table.above, law.sf), (table.below, law.cdf)):
        x = between[right(between) > 1e-30]
        np.testing.assert_allclose(found(x), right(x), rtol=2e-13)
    x = between[np.minimum(law.sf(between), law.cdf(between)) > 1e-30]
    np.testing.assert_allclose(table.pdf(x), law.pdf(x), rtol=1e-13)
    assert abs(table.total - 1.0) < 2e-15


def test_power_law_tails_go_on_beyond_the_panels():
    table, law = table_of(stats.t(2.5)), stats.t(2.5)
    far = np.array([1e17, 1e30, 1e50])
    np.testing.assert_allclose(table.above(far), law.sf(far), rtol=1e-11)
    np.testing.assert_allclose(table.below(-far), law.cdf(-far), rtol=1e-11)
    np.testing.assert_allclose(table.pdf(far), law.pdf(far), rtol=1e-11)


@pytest.mark.parametrize("law", [stats.norminvgauss(1.25, 0.5), stats.genhyperbolic(0.5, 1.5, -0.5)])
def test_tails_that_scipy_has_wrong_are_integrated(law):
    """Of exponential tails: their logarithms fall by the known rate, as those of SciPy do not."""
    ((_, part),) = pt.as_energies(law).components
    a, b = (1.25, 0.5) if law.dist.name == "norminvgauss" else (1.5, -0.5)
    for tail, rate, sign in ((part.above, a + b, 1.0), (part.below, a - b, -1.0)):
        near, far = tail(sign * np.array([40.0])), tail(sign * np.array([41.0]))
        assert np.log(near / far)[0] == pytest.approx(rate, abs=0.05)


@pytest.mark.parametrize(
    ("law", "n", "right"),
    [
        (stats.norminvgauss(1.25, 0.5), 10,
         {"log_partition": 2.237561136391552, "internal_energy": -0.23609070364085682, "entropy": 2.0014704327506956}),
        (stats.geninvgauss(2.3, 1.5), 10, {"log_partition": -0.11186413996989618, "entropy": 1.7022346205097223}),
        (stats.genhyperbolic(0.5, 1.5, -0.5), 10,
         {"log_partition": 3.614963879977263, "internal_energy": -1.9358471440054035}),
    ],
)  # fmt: skip
def test_laws_without_closed_tails(law, n, right):
    """Right values by composite rules over the density, of which two resolutions agree."""
    exact = pt.thermodynamics(1.0, n, law)
    for name, value in right.items():
        assert abs(getattr(exact, name) - value) <= 3.0 * getattr(exact.error, name)
        assert getattr(exact.error, name) < 1e-12


def test_errors_of_a_density_are_in_the_stated_error():
    """SciPy's density of kstwobign errs by 1e-9 where its probabilities do not: the mean is √(π/2) ln 2."""
    mean = float(mp.sqrt(mp.pi / 2) * mp.log(2))
    for beta, n in ((0.0, 7), (0.0, 1), (3.0, 1)):
        exact = pt.thermodynamics(beta, n, stats.kstwobign())
        assert abs(exact.internal_energy - mean) <= 3.0 * exact.error.internal_energy
        assert exact.error.internal_energy < 1e-7
    assert pt.thermodynamics(0.0, 7, "laplace").error.internal_energy < 2e-14


def test_probabilities_that_contradict_the_density_are_doubted():
    class Wrong(stats.rv_continuous):
        """Exponential energies whose density is too large where 1e-6 of them are."""

        def _pdf(self, x):
            return np.exp(-x) * np.where(np.abs(x - 13.0) < 0.25, 1.01, 1.0)

        def _cdf(self, x):
            return -np.expm1(-x)

        def _sf(self, x):
            return np.exp(-x)

    exact = pt.thermodynamics(0.5, 5, Wrong(a=0.0)())
    right = pt.thermodynamics(0.5, 5, "expon")
    assert 1e-11 < exact.error.log_partition < 1e-5
    assert abs(exact.log_partition - right.log_partition) <= 3.0 * exact.error.log_partition


def test_a_density_that_is_none_is_refused():
    class Half(stats.rv_continuous):
        def _pdf(self, x):
            return 0.5 * np.exp(-x)

        def _cdf(self, x):
            return -np.expm1(-x)

    with pytest.raises(ValueError, match=r"^energies: must have a density whose integral is one, got 0\.5 "):
        pt.thermodynamics(1.0, 10, Half(a=0.0, name="half")())


def test_tails_without_a_mean_are_refused_though_scipy_ends_them():
    """SciPy subtracts the cdf of skewcauchy from one: its upper tail vanishes where it should not."""
    with pytest.raises(ValueError, match="must have a finite mean of their lowest value"):
        pt.thermodynamics(1.0, 10, stats.skewcauchy(0.5))


@pytest.mark.parametrize(
    ("law", "same"),
    [
        (stats.truncate(stats.Normal(), lb=-2.0, ub=2.0), stats.truncnorm(-2, 2)),
        (stats.abs(stats.Normal()), stats.halfnorm()),
        (stats.exp(stats.Normal()), stats.lognorm(1.0)),
        (stats.Normal() ** 2, stats.chi2(1)),
        (2.0 * stats.Normal() + 1.0, stats.norm(1.0, 2.0)),
        (stats.log(stats.make_distribution(stats.expon)()), stats.gumbel_l()),
        (stats.Mixture([stats.Normal(), stats.Normal(mu=3.0)], weights=[0.3, 0.7]),
         pt.Mixture([(0.3, stats.norm()), (0.7, stats.norm(3.0))])),
        (stats.Binomial(n=10, p=0.3), stats.binom(10, 0.3)),
    ],
    ids=["truncate", "abs", "exp", "square", "moved", "log", "mixture", "binomial"],
)  # fmt: skip
def test_laws_of_the_new_infrastructure(law, same):
    found, right = pt.thermodynamics(3.0, 20, law), pt.thermodynamics(3.0, 20, same)
    for name in ("log_partition", "internal_energy", "entropy", "energy_variance"):
        allowed = 3.0 * (getattr(found.error, name) + getattr(right.error, name))
        assert abs(getattr(found, name) - getattr(right, name)) <= allowed
        assert allowed < 1e-10


def test_order_statistics_of_the_new_infrastructure():
    """The second of five exponential energies is a sum of two: rates 5 and 4."""
    law = stats.order_statistic(stats.make_distribution(stats.expon)(), r=2, n=5)
    exact = pt.thermodynamics(3.0, 1, law)
    assert abs(exact.internal_energy - (1 / 5 + 1 / 4)) <= 3.0 * exact.error.internal_energy
    assert pt.thermodynamics(3.0, 20, law).entropy > 0.0


def test_moments_reach_beyond_the_panels():
    for df in (2.05, 2.5, 4.5):
        energies = pt.as_energies(f"t:df={df}")
        assert energies.variance == pytest.approx(df / (df - 2.0), rel=2e-12)
    assert pt.as_energies("t:df=4.5").central_moments(4)[4] == pytest.approx(48.6, rel=1e-12)


@pytest.mark.parametrize("name", ["laplace", "expon", "argus:chi=1", "gamma:a=0.3", "gumbel_l", "t:df=2.5"])
def test_tiny_temperatures_tell_no_energy_from_another(name):
    """U is the mean and Φ'' the variance of n values, to first order in β."""
    energies, n = pt.as_energies(name), 10
    for beta in (1e-300, 1e-100, 1e-30):
        exact = pt.thermodynamics(beta, n, energies)
        assert abs(exact.log_partition - np.log(n)) <= 3.0 * exact.error.log_partition
        assert abs(exact.internal_energy - energies.mean) <= 3.0 * exact.error.internal_energy
        wanted = energies.variance * (1.0 - 1.0 / n)
        assert abs(exact.energy_variance - wanted) <= 3.0 * exact.error.energy_variance
        assert exact.error.energy_variance < 1e-9 * wanted
        assert exact.error.internal_energy < 1e-12
    with pytest.raises(ValueError, match=r"^beta: must be 0 or more than 1e-140"):
        pt.thermodynamics(1e-300, n, "t:df=1.5")
