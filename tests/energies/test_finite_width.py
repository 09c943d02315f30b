import mpmath as mp
import pytest

from peakedtheory.energies.finite_width import FiniteWidth


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 12, 20, 32, 100, 1000])
def test_scales_have_the_moments_of_their_law(width):
    """⟨s^p⟩ = (2/m)^(p/2) Γ((m + p)/2)/Γ(m/2) for s = χ_m/√m, to rounding."""
    s, weight = FiniteWidth(width).scales
    for power in (0.5, 1.0, 2.0, 4.0, 8.0):
        half = mp.mpf(width) / 2
        exact = half ** (-mp.mpf(power) / 2) * mp.gamma(half + mp.mpf(power) / 2) / mp.gamma(half)
        assert abs(float(weight @ s**power / exact) - 1.0) < 4e-15
