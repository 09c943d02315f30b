"""Fitted expansion coefficients against the exact ones: rates of coverage, windows, and bad input."""

import numpy as np
import pytest

from peakedtheory import as_energies
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.sampling.expansion_fits import fit_high_temperature, fit_low_temperature
from peakedtheory.sampling.montecarlo import estimate, estimate_from_logits

COLD = np.linspace(2.0, 60.0, 30)
HOT = np.linspace(0.05, 1.0, 20)


def pulls(fit_of, beta, n, energies, seeds, samples, order=2, **options):
    """Deviations in standard errors, shape (seeds, order + 1), and the fits."""
    energies = as_energies(energies)
    fits = [
        fit_of(estimate(beta, n, energies, samples=samples, rng=seed, covariance=True, **options), order)
        for seed in range(seeds)
    ]
    return np.array([fit.deviations() for fit in fits]), fits


def assert_covered(z):
    """At least the Gaussian fractions lie within 1, 2, 3 standard errors: truncation may only widen them."""
    for level, expected in ((1, 0.683), (2, 0.954), (3, 0.997)):
        slack = 4 * np.sqrt(expected * (1 - expected) / len(z))
        assert np.all(np.mean(np.abs(z) < level, axis=0) >= expected - slack), level


def test_low_temperature_coefficients_lie_within_their_errors():
    z, fits = pulls(fit_low_temperature, np.geomspace(4.0, 60.0, 10), 128, None, 200, 2048)
    assert_covered(z)
    # c0 has no truncation error to speak of, so that its error is neither too small nor too large
    assert np.mean(np.abs(z[:, 0]) < 1) < 0.683 + 4 * np.sqrt(0.683 * 0.317 / 200)
    # exact values of 128 normal energies: c0 = ⟨max⟩ and c2 = π²/12 c0
    assert fits[0].exact.coefficients[0] == pytest.approx(2.5945973686, abs=1e-9)
    error = np.mean([fit.standard_error for fit in fits], axis=0)
    assert error[0] < 0.015
    assert error[2] < 0.25


def test_high_temperature_coefficients_lie_within_their_errors():
    z, fits = pulls(fit_high_temperature, HOT[:10:2], 128, None, 200, 1024, order=3)
    assert_covered(z[:, 1:])
    assert np.all(z[:, 0] == 0.0)
    assert fits[0].coefficients[0] == np.log(128)
    assert fits[0].standard_error[2] < 0.01


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("energies", "n", "scale"),
    [
        (None, 16, 1),
        (None, 50304, 1),
        ("laplace", 128, 1),
        ("logistic", 1000, 1),
        ("uniform", 128, 128),
        ("expon", 128, 128),
    ],
)
@pytest.mark.parametrize(
    ("method", "samples"), [("plain", 2048), ("order-statistics", 4096), ("qmc", 64 * 64)]
)
def test_coverage_for_every_method_and_distribution(energies, n, scale, method, samples):
    if method == "plain" and n > 1000:
        samples = 64
    z, _ = pulls(fit_low_temperature, COLD * scale, n, energies, 200, samples, method=method)
    assert_covered(z)
    z, _ = pulls(fit_high_temperature, HOT, n, energies, 200, samples, method=method)
    assert_covered(z[:, 1:])


@pytest.mark.parametrize(
    ("energies", "scale"), [("laplace", 1.0), ("uniform", 100.0), ("normal:loc=3,scale=2", 0.5)]
)
def test_other_distributions(energies, scale):
    result = estimate(COLD * scale, 100, energies, samples=1 << 14, rng=2, covariance=True)
    fit = fit_low_temperature(result)
    assert np.all(np.abs(fit.deviations()) < 4.5)
    assert fit.p_value > 1e-3
    hot = estimate(HOT, 100, energies, samples=1 << 14, rng=2, covariance=True)
    assert np.all(np.abs(fit_high_temperature(hot, 4).deviations()) < 4.5)


def test_more_samples_narrow_the_errors():
    errors = []
    for samples in (1024, 1 << 16):
        result = estimate(COLD, 128, samples=samples, rng=5, covariance=True)
        errors.append(fit_low_temperature(result).standard_error)
    assert errors[1][0] == pytest.approx(errors[0][0] / 8, rel=0.2)
    assert errors[1][2] < errors[0][2] / 3


def test_errors_contain_the_truncation():
    """Fitting to order 2 where order 3 and 4 matter: the error exceeds the statistical one, and holds."""
    beta = np.linspace(3.0, 12.0, 19)
    result = estimate(beta, 128, samples=1 << 18, rng=5, covariance=True)
    fit = fit_low_temperature(result)
    statistical = np.sqrt(np.diagonal(fit.statistical_covariance))
    assert fit.standard_error[2] > 1.2 * statistical[2]
    assert np.all(np.abs(fit.deviations()) < 4)
    # with the exact gap rate 2.59 the window begins no lower than 1.5 times it, less what β below it shows
    assert fit.window[0] >= 1.5 * 2.0


def test_a_gap_has_no_power_series():
    """Two atoms: c1 = ⟨ln multiplicity⟩, and corrections that fall exponentially, beyond the window."""
    result = estimate(COLD, 50, {0.0: 0.5, 1.0: 0.5}, samples=1 << 14, rng=5, covariance=True)
    fit = fit_low_temperature(result)
    exact = low_temperature_expansion(50, {0.0: 0.5, 1.0: 0.5}, 1).coefficients
    off = np.abs(fit.coefficients[:2] - exact)
    assert np.all(off <= 4 * fit.standard_error[:2] + 1e-9)
    assert fit.window[0] > 4.0
    assert fit.exact is None
    assert fit.deviations() is None


def test_the_text_shows_fitted_beside_exact():
    fit = fit_low_temperature(estimate(COLD, 128, samples=4096, rng=1, covariance=True))
    text = repr(fit)
    assert "chi²/dof" in text
    assert "exact 2.59459737" in text
    assert text.count("standard errors") == 3


def test_bad_input_gets_one_line():
    good = estimate(COLD, 128, samples=1000, rng=1, covariance=True)
    with pytest.raises(ValueError, match="estimates: must carry their covariance"):
        fit_low_temperature(estimate(COLD, 128, samples=1000, rng=1))
    with pytest.raises(ValueError, match="estimates: must be a result of estimate"):
        fit_low_temperature(np.ones(3))
    for order in (0, 7, 1.5, True):
        with pytest.raises(ValueError, match="order: must be a whole number from 1 to 6"):
            fit_low_temperature(good, order)
    with pytest.raises(ValueError, match="estimates: need 3 values of beta in the window of low"):
        fit_low_temperature(estimate(HOT, 128, samples=1000, rng=1, covariance=True))
    with pytest.raises(ValueError, match="estimates: need 2 values of beta in the window of high"):
        fit_high_temperature(good)


def test_given_logits_can_be_fitted():
    y = np.random.default_rng(1).normal(size=(4000, 64))
    fit = fit_low_temperature(estimate_from_logits(y, COLD, covariance=True))
    exact = low_temperature_expansion(64).coefficients
    assert np.all(np.abs(fit.coefficients - exact) < 4.5 * fit.standard_error)
    assert fit.exact is None


@pytest.mark.parametrize("method", ["order-statistics", "qmc"])
def test_precise_data_are_not_drowned_by_the_orders_left_out(method):
    """The standard errors are ten orders below the size that the left-out terms may have."""
    samples = 1 << 12 if method == "qmc" else 1000
    z, fits = pulls(fit_high_temperature, HOT, 50304, None, 10, samples, method=method)
    assert np.all(np.abs(z[:, 1:]) < 4.5)
    assert all(fit.standard_error[2] < 2e-5 for fit in fits)
