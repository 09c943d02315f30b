"""Many atoms, cold: sums over the lowest level, against sums over counts in exact arithmetic."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

import peakedtheory as pt


def lowest_levels(values, weights, n):
    """U and S of n energies so cold that only the lowest level counts, by every number of energies in it."""
    total = sum(map(Fraction, weights))
    weights = [Fraction(w) / total for w in weights]
    above = [sum(weights[k + 1 :], Fraction(0)) for k in range(len(weights))]
    internal, entropy = mp.mpf(0), mp.mpf(0)
    for value, here, worse in zip(values, weights, above, strict=True):
        for count in range(1, n + 1):
            chance = mp.mpf(1) * mp.binomial(n, count)
            chance *= mp.mpf(here.numerator) ** count / mp.mpf(here.denominator) ** count
            chance *= mp.mpf(worse.numerator) ** (n - count) / mp.mpf(worse.denominator) ** (n - count)
            internal += chance * mp.mpf(float(value))
            entropy += chance * mp.log(count)
    return float(internal), float(entropy)


@pytest.mark.parametrize(
    ("count", "n", "beta"), [(200, 7, 1e8), (65, 7, 1e6), (100, 2, 1e4), (300, 40, 1e12)]
)
def test_even_levels(count, n, beta):
    values = np.linspace(0.0, 1.0, count)
    internal, entropy = lowest_levels(values, [1] * count, n)
    exact = pt.thermodynamics(beta, n, values)
    assert abs(exact.internal_energy - internal) <= 3.0 * exact.error.internal_energy
    assert abs(exact.entropy - entropy) <= 3.0 * exact.error.entropy
    assert exact.error.internal_energy < 5e-14 * internal
    assert exact.error.entropy < 5e-14 * entropy


def test_uneven_levels_at_every_n():
    rng = np.random.default_rng(3)
    values, weights = np.cumsum(rng.uniform(0.5, 2.0, 90)) - 40.0, rng.integers(1, 50, 90).tolist()
    energies = pt.Discrete(values, weights)
    for n in (2, 5, 30):
        internal, entropy = lowest_levels(values, weights, n)
        exact = pt.thermodynamics(1e5, n, energies)
        assert abs(exact.internal_energy - internal) <= 3.0 * exact.error.internal_energy
        assert abs(exact.entropy - entropy) <= 3.0 * exact.error.entropy
        assert exact.energy_variance == 0.0
    assert pt.thermodynamics(1e5, 10**9, energies).internal_energy == pytest.approx(values[0], rel=1e-12)


def test_the_sums_and_the_panels_meet():
    """At both sides of the temperature from which levels are apart the entropy is that of their counts."""
    values = np.linspace(0.0, 1.0, 80)
    apart = (80.0 + np.log(12)) * 79
    before, after = (pt.thermodynamics(beta, 12, values) for beta in (0.999 * apart, 1.001 * apart))
    assert abs(before.entropy - after.entropy) <= 3.0 * (before.error.entropy + after.error.entropy)
    difference = before.internal_energy - after.internal_energy
    assert abs(difference) <= 3.0 * (before.error.internal_energy + after.error.internal_energy)


@pytest.mark.parametrize("beta", [1e3, 3e4, 1e5, 1e7])
def test_three_thousand_atoms_at_any_temperature(beta):
    """Against the same law cut in two halves that are mixed: other panels, the same answer."""
    values = np.linspace(0.0, 1.0, 3000)
    whole = pt.thermodynamics(beta, 2, values)
    halves = pt.thermodynamics(beta, 2, pt.Mixture([(1, values[::2]), (1, values[1::2])]))
    for name in ("log_partition", "internal_energy", "entropy"):
        ours, theirs = getattr(whole, name), getattr(halves, name)
        assert abs(ours - theirs) <= 3.0 * (getattr(whole.error, name) + getattr(halves.error, name))
