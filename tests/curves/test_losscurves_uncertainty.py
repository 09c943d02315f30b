"""Whether stated uncertainties of fitted laws hold the truth as often as they say."""

import numpy as np
import pytest
from made_curves import STEPS, autoregressive, curve

from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.uncertainty import correlation


def test_uncertainty_has_its_parts():
    run = curve(noise=autoregressive(150, 0.5, 1e-3, np.random.default_rng(4)))
    fit = fit_loss_curve(run, bootstrap=60, rng=7)
    parts = fit.uncertainty["alpha"]
    assert parts.total == pytest.approx(np.hypot(np.hypot(parts.statistical, parts.window), parts.origin))
    assert min(parts.statistical, parts.window, parts.origin) > 0
    assert parts.profile[0] < fit.parameters["alpha"] < parts.profile[1]
    wide, narrow = fit.interval("alpha"), fit.interval("alpha", statistical=True)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    half = fit.interval("alpha", 0.5, statistical=True)
    assert narrow[0] < half[0] < half[1] < narrow[1]
    assert {a.part for a in fit.alternatives} == {"window", "origin"}
    assert "statistical" in repr(fit)
    again = fit_loss_curve(run, bootstrap=60, rng=7)
    np.testing.assert_array_equal(again.samples["alpha"], fit.samples["alpha"])
    sandwich = fit_loss_curve(run).standard_errors["alpha"]
    assert 0.6 < parts.statistical / sandwich < 1.6


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_correlation_time_is_found(phi):
    rng = np.random.default_rng(5)
    times = [correlation(autoregressive(400, phi, 1.0, rng), [400], 1).time for _ in range(40)]
    assert np.mean(times) == pytest.approx((1 + phi) / (1 - phi), rel=0.25)


def covered(phi, sigma, runs, seed, alpha=0.4, count=120, resamples=0):
    """How often the statistical interval of α holds the truth, and the mean of its stated over its true error."""
    rng = np.random.default_rng(seed)
    rates = np.full(STEPS, 1e-3)
    step = np.unique(np.linspace(300, STEPS, count).round())
    hits, errors, stated = 0, [], []
    for i in range(runs):
        noise = autoregressive(step.size, phi, sigma, rng)
        run = LossCurve(step, (2.5 + 0.8 * (1e-3 * step) ** -alpha) * np.exp(noise), rates)
        fit = fit_loss_curve(run, "power", window=None, origin=0.0, bootstrap=resamples, rng=i)
        low, high = fit.interval("alpha", statistical=True)
        hits += low <= alpha <= high
        errors.append(fit.parameters["alpha"] - alpha)
        stated.append(fit.standard_errors["alpha"])
    return hits / runs, np.mean(stated) / np.std(errors)


@pytest.mark.parametrize(("phi", "seed"), [(0.0, 11), (0.7, 12)])
def test_intervals_cover_with_correlated_noise(phi, seed):
    coverage, ratio = covered(phi, 5e-4, 60, seed)
    assert coverage >= 0.88  # 0.95 less two and a half standard errors of 60 trials
    assert 0.75 < ratio < 1.5


@pytest.mark.nightly
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("sigma", [3e-4, 3e-3])
@pytest.mark.parametrize("alpha", [1 / 3, 0.5])
def test_intervals_cover_widely(phi, sigma, alpha):
    coverage, ratio = covered(phi, sigma, 300, 21, alpha, 170)
    assert 0.915 <= coverage <= 1.0
    assert 0.85 < ratio < 1.6


@pytest.mark.nightly
@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_bootstrap_errors_are_honest(phi):
    _, ratio = covered(phi, 5e-4, 120, 22, resamples=150)
    assert 0.85 < ratio < 1.4
