"""Noise of single records: found from the records, and used in fits."""

import numpy as np
import pytest

from peakedtheory.curves.choices import Choices, thinned
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.law_registry import parse_law
from peakedtheory.curves.noise import local_noise

STEP = np.arange(10.0, 6010.0, 10.0)
CLEAN = 2.0 + 3.0 * (1e-3 * STEP) ** -0.5 * 0.1
SIZE = np.where(STEP < 3000, 0.02, 0.002)


def noisy(seed=0, noise=SIZE):
    factor = np.exp(SIZE * np.random.default_rng(seed).standard_normal(STEP.size))
    return LossCurve(STEP, CLEAN * factor, np.full(6000, 1e-3), noise=noise)


def test_noise_is_found_where_it_changes():
    found = noisy(noise=None).with_local_noise().noise
    away = np.abs(STEP - 3000) > 300
    assert np.median(found[away] / SIZE[away]) == pytest.approx(1.0, abs=0.1)
    assert (np.abs(np.log(found[away] / SIZE[away])) < 0.9).all()


def test_unequal_steps_and_slopes_make_no_noise():
    at = np.sort(np.random.default_rng(1).uniform(0, 10, 400))
    noise = 1e-3 * np.random.default_rng(2).standard_normal(400)
    assert np.median(local_noise(at, 5.0 - 0.3 * at + noise)) == pytest.approx(1e-3, rel=0.15)
    # A spike is seen by few of the medians, and moves none of them.
    spiked = noise.copy()
    spiked[200] += 1.0
    assert local_noise(at, spiked)[200] == pytest.approx(local_noise(at, noise)[200], rel=0.3)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 12, 17, 40])
def test_short_curves(size):
    found = local_noise(np.arange(float(size)), np.random.default_rng(0).standard_normal(size))
    assert found.shape == (size,)
    assert (found > 0).all()


def test_noise_follows_its_records():
    curve = noisy()
    assert np.array_equal(curve.window(1000, 2000).noise, SIZE[(STEP >= 1000) & (STEP <= 2000)])
    few = thinned(curve, 200)
    groups = LossCurve(STEP, curve.loss, curve.clock, noise=np.full(STEP.size, 0.01))
    np.testing.assert_allclose(thinned(groups, 200).noise, 0.01 / np.sqrt(3))
    np.testing.assert_allclose(thinned(groups, 200).loss, thinned(noisy(noise=None), 200).loss)
    assert few.noise[0] == pytest.approx(0.02 / np.sqrt(3))


def test_equal_noise_changes_no_fit():
    plain = fit_loss_curve(noisy(noise=None), "power")
    equal = fit_loss_curve(noisy(noise=np.full(STEP.size, 0.3)), "power")
    assert equal.parameters == pytest.approx(plain.parameters, rel=1e-12)


def test_weights_are_those_of_least_squares():
    """Weighted squares at the minimum, and more precise parameters over seeds than without weights."""
    choices = Choices(loss="squares", window=None)
    curve, law = noisy(), parse_law("power:alpha=1/2")
    part = choices.parts([curve], law)[0]
    problem = choices.problem(part, law)
    assert problem.trust.min() == pytest.approx((np.median(part[0].noise) / part[0].noise.max()) ** 2)
    errors = {}
    for name, noise in (("weighted", SIZE), ("plain", None)):
        fits = [
            fit_loss_curve(noisy(seed, noise), "power:alpha=1/2", loss="squares").parameters
            for seed in range(12)
        ]
        errors[name] = np.std([fit["loss_floor"] for fit in fits])
    assert errors["weighted"] < 0.5 * errors["plain"]


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf])
def test_bad_noise(bad):
    with pytest.raises(ValueError, match="noise: must be finite and > 0"):
        LossCurve([1, 2], [3.0, 2.0], noise=[0.1, bad])
