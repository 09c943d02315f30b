import pytest
from hypothesis import HealthCheck, given, settings

from peakedtheory import Gaussian
from peakedtheory.exact import quadrature
from peakedtheory.testing import (
    IDENTITIES,
    counts,
    energy_distributions,
    inverse_temperatures,
    verify,
    violation,
)


@pytest.mark.parametrize("name", IDENTITIES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(beta=inverse_temperatures(1e-3, 1e3), n=counts())
def test_gaussian_energies(name, beta, n):
    assert violation(name, beta, n, Gaussian(0.3, 1.7)) <= 1.0


@pytest.mark.parametrize("name", IDENTITIES)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(beta=inverse_temperatures(1e-2, 1e2), n=counts(1e6), energies=energy_distributions())
def test_any_energies(name, beta, n, energies):
    assert violation(name, beta, n, energies) <= 1.0


@pytest.mark.nightly
@pytest.mark.parametrize("name", IDENTITIES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(beta=inverse_temperatures(), n=counts(), energies=energy_distributions())
def test_any_energies_widely(name, beta, n, energies):
    assert violation(name, beta, n, energies) <= 1.0


def test_a_short_series_of_few_energies_knows_its_error():
    # c_3 vanishes by symmetry, c_4 is not a coefficient, and the gap density varies faster than it is high.
    for n in (2, 3):
        for beta in (7.38905609893, 15.0, 50.0):
            assert violation("low-T series within its error", beta, n, "laplace") <= 1.0


def test_an_engine_that_is_slightly_wrong_is_caught(monkeypatch):
    assert violation("F = U - S/β", 2.0, 50, "laplace") <= 1.0

    for name in ("__call__", "at"):
        exact = getattr(quadrature.Averages, name)
        monkeypatch.setattr(
            quadrature.Averages,
            name,
            lambda self, s, exact=exact: exact(self, s) * [1.0, 1.0, 1.0, 1.0, 1.0 + 1e-9],
        )
    assert violation("F = U - S/β", 2.0, 50, "laplace") > 100.0


def test_a_wrong_identity_is_caught(monkeypatch):
    monkeypatch.setitem(IDENTITIES, "F = U - S/β", lambda beta, n, energies: 5.0 if beta > 0.5 else 0.0)
    outcome = {v.identity: v for v in verify("normal", examples=6, seed=1)}
    assert not outcome["F = U - S/β"].holds
    assert outcome["F = U - S/β"].worst == 5.0
    assert "β=" in outcome["F = U - S/β"].example
    assert outcome["Φ'' >= 0"].holds


def test_verify_is_reproducible():
    first, second = (verify("laplace", examples=2, seed=3) for _ in range(2))
    assert first == second
    assert all(v.holds for v in first)
