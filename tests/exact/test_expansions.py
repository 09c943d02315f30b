import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import zeta

from peakedtheory import high_temperature_expansion, low_temperature_expansion, thermodynamics
from peakedtheory.energies.continuous import Continuous
from peakedtheory.exact.cumulants import mean_cumulant
from peakedtheory.exact.expansions import longest_expansion
from peakedtheory.exact.lowest_levels import cluster_integral
from peakedtheory.exact.series import extreme_value_coefficient


@pytest.mark.parametrize(
    ("n", "c0", "c2"),
    [
        (128, 2.5945973686, 2.1339708007),
        (32000, 4.1286122121, 3.3956474382),
        (50304, 4.2318320420, 3.4805423456),
        (10**9, 6.0876845844, 5.0069198806),
    ],
)
def test_reference_coefficients(n, c0, c2):
    series = low_temperature_expansion(n)
    assert series.coefficients == pytest.approx([c0, 0.0, c2], abs=6e-11)
    assert series.coefficients[2] == pytest.approx(np.pi**2 / 12 * series.coefficients[0], rel=1e-13)
    assert (series.error[[0, 2]] < 1e-12).all()


def test_two_gaussians_in_closed_form():
    """Φ = ⟨ln 2cosh(βd/2)⟩, d ~ N(0, 2): moments of ln(1 + e^-u) times derivatives of the half-normal density."""
    series = low_temperature_expansion(2, order=6)
    density = 1 / math.sqrt(math.pi)
    eta = [math.factorial(k) * (1 - 2.0 ** -(k + 1)) * zeta(k + 2) for k in range(5)]  # ∫ u^k ln(1+e^-u) du
    expected = [
        1 / math.sqrt(math.pi),
        0,
        density * eta[0],
        0,
        -density / 4 * eta[2],
        0,
        density / 32 * eta[4],
    ]
    np.testing.assert_allclose(series.coefficients, expected, rtol=1e-12, atol=1e-14)


def test_exponential_energies_in_closed_form():
    """The gaps of n exponentials are independent exponentials of rates 1 … n-1; c2 = (π²/12)(n-1)."""
    for n in (2, 10, 1000):
        series = low_temperature_expansion(n, "expon")
        np.testing.assert_allclose(series.coefficients, [-1 / n, 0, np.pi**2 / 12 * (n - 1)], rtol=1e-12)


def test_cluster_integrals():
    assert cluster_integral((1,)) == pytest.approx(np.pi**2 / 12, rel=1e-14)
    assert cluster_integral((2,)) == pytest.approx(0.75 * zeta(3), rel=1e-14)
    # Three levels: c3 of smooth densities is (ζ(3)/6) n(n-1)(n-2) ∫ f³ F^(n-3).
    assert (cluster_integral((2,)) - cluster_integral((1, 1))) == pytest.approx(zeta(3) / 3, rel=1e-13)


@pytest.mark.parametrize(
    ("name", "n", "beta"), [("normal", 2, 40), ("normal", 50304, 60), ("laplace", 1000, 20), ("t:df=5", 100, 20),
                            ("gamma:a=2", 30, 300), ("expon", 10, 800), ("gumbel_l", 20, 20)]
)  # fmt: skip
def test_order_of_the_low_temperature_remainder(name, n, beta):
    """What is left after order K shrinks by 2^(K) when β doubles, and c_(K+1) is what it shrinks to."""
    full = low_temperature_expansion(n, name, order=8)
    for order in (2, 3, 4):
        first, second = [k for k in range(order + 1, 9) if abs(full.coefficients[k]) > 1e-8][:2]
        for b in (beta, 2 * beta):
            exact = thermodynamics(b, n, name)
            # S has no large part to subtract from: S = Σ k c_k β^(1-k).
            rest = exact.entropy - full.entropy(b, order=order)
            leading, following = (k * full.coefficients[k] * b ** (1.0 - k) for k in (first, second))
            noise = exact.error.entropy + sum(k * full.error[k] * b ** (1.0 - k) for k in range(2, order + 1))
            size = abs(leading) + abs(following)  # either may be small by accident
            if size > 100 * noise:
                assert abs(rest - leading) < abs(following) * 2 + 0.05 * size
                assert abs(rest) > 0.2 * abs(leading)


@pytest.mark.parametrize(
    ("name", "n", "beta"),
    [
        ("normal", 2, 0.05),
        ("normal", 128, 0.2),
        ("laplace", 50, 0.02),
        ("expon", 9, 0.05),
        ("poisson:mu=2", 30, 0.05),
    ],
)
def test_order_of_the_high_temperature_remainder(name, n, beta):
    full = high_temperature_expansion(n, name, order=8)
    for order in (2, 3):
        following = next(k for k in range(order + 1, 9) if abs(full.coefficients[k]) > 1e-12)
        exact = thermodynamics(beta, n, name)
        rest = exact.log_partition - full.log_partition(beta, order=order)
        predicted = full.coefficients[following] * beta**following
        assert abs(predicted) > 10 * exact.error.log_partition
        assert rest == pytest.approx(predicted, rel=0.15)


def test_mean_cumulants_by_enumeration():
    """Every sample of n values from a three-point distribution, in exact rationals."""
    values, weights = (
        [Fraction(-1), Fraction(0), Fraction(3)],
        [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)],
    )
    mean = sum(v * w for v, w in zip(values, weights, strict=True))
    centred = [v - mean for v in values]
    moments = [float(sum(w * c**r for w, c in zip(weights, centred, strict=True))) for r in range(5)]
    for n in (2, 3):
        expected = [Fraction(0)] * 5
        for sample in product(range(3), repeat=n):
            probability = math.prod(weights[i] for i in sample)
            m = [sum(centred[i] ** r for i in sample) / Fraction(n) for r in range(5)]
            k2 = m[2] - m[1] ** 2
            k3 = m[3] - 3 * m[2] * m[1] + 2 * m[1] ** 3
            k4 = m[4] - 4 * m[3] * m[1] - 3 * m[2] ** 2 + 12 * m[2] * m[1] ** 2 - 6 * m[1] ** 4
            for r, k in ((2, k2), (3, k3), (4, k4)):
                expected[r] += probability * k
        for r in (2, 3, 4):
            assert mean_cumulant(r, n, moments)[0] == pytest.approx(float(expected[r]), rel=1e-13)


def test_high_temperature_second_order():
    """Liu et al. 2026, Eq. 54: the variance of the empirical distribution is σ²(1 - 1/n)."""
    series = high_temperature_expansion(10**12, order=4)
    assert series.coefficients[2] == (1 - 1e-12) / 2
    # The fourth cumulant of a Gaussian sample is of order 1/n and would be lost to rounding.
    assert series.coefficients[4] == pytest.approx(-6e-12 / 24, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "n"), [("normal", 50304), ("normal", 2), ("laplace", 1000), ("t:df=5", 1000), ("expon", 128)]
)
@pytest.mark.parametrize("order", [2, 4, 8])
def test_truncation_errors_are_honest(name, n, order):
    cold, warm = low_temperature_expansion(n, name, order), high_temperature_expansion(n, name, min(order, 4))
    for series, grid in ((cold, np.geomspace(0.7, 200, 9) * cold.gap_rate), (warm, np.geomspace(0.01, 3, 9))):
        exact = thermodynamics(grid, n, name)
        for i, b in enumerate(grid):
            k = int(series.best_order(b))
            allowed = (
                series.truncation_error(b, order=k) + exact.error.log_partition[i] + 2 * series.error[0] * b
            )
            assert abs(series.log_partition(b, order=k) - exact.log_partition[i]) <= allowed


def test_valid_range_means_what_it_says():
    series = low_temperature_expansion(50304, order=8)
    beta = series.valid_range[0]
    exact = thermodynamics(beta, 50304).log_partition
    thermal = series.coefficients[2] / beta
    assert abs(series.log_partition(beta, order=int(series.best_order(beta))) - exact) < 0.01 * thermal
    assert series.valid_range[1] == math.inf
    warm = high_temperature_expansion(50304, order=6)
    assert warm.valid_range[0] == 0.0
    assert 1.0 < warm.valid_range[1] < 4.0


def test_extreme_value_limit():
    """Exponentially distributed tails are the limit itself: for x = -ε Gumbel-like at large n, c_k = ζ(k)a^(k-1)/k."""
    series = low_temperature_expansion(10**7, "laplace", order=5)
    np.testing.assert_allclose(series.coefficients[2:], [zeta(k) / k for k in range(2, 6)], rtol=1e-5)
    np.testing.assert_allclose(
        extreme_value_coefficient(np.arange(2, 6), 1.0), series.coefficients[2:], rtol=1e-5
    )
    phi = 3.0 * series.coefficients[0] + 3.0 * math.lgamma(1 - 1 / 3) - np.euler_gamma
    assert phi == pytest.approx(thermodynamics(3.0, 10**7, "laplace").log_partition, rel=1e-6)


def test_atoms():
    for n, weight in ((3, 0.3), (128, 0.3), (10**9, 1e-9)):
        levels = {0.0: weight, 1.0: 1.0}
        series = low_temperature_expansion(n, levels, order=1)
        w = weight / (1 + weight)
        if n < 200:
            ground = [math.comb(n, m) * w**m * (1 - w) ** (n - m) for m in range(n + 1)]
            expected = sum(p * math.log(m if m else n) for m, p in enumerate(ground))
        else:  # Poisson numbers of ground states
            ground = stats.poisson(1.0 / (1 + weight)).pmf(np.arange(60))
            expected = sum(p * math.log(m if m else n) for m, p in enumerate(ground))
        assert series.coefficients[0] == pytest.approx(-((1 - w) ** n), rel=1e-7)
        assert series.coefficients[1] == pytest.approx(expected, rel=1e-7)
        assert thermodynamics(300.0, n, levels).entropy == pytest.approx(series.coefficients[1], rel=1e-9)
    # far out in the upper tail of energies an atom lies below all others' mass, up to rounding
    assert thermodynamics(300.0, 128, "poisson:mu=3").entropy == pytest.approx(
        low_temperature_expansion(128, "poisson:mu=3", 1).coefficients[1], rel=1e-9
    )
    with pytest.raises(ValueError, match="order: at most 1 for atoms"):
        low_temperature_expansion(10, "atoms:0=0.5,1=0.5", order=2)


def test_an_edge_flatter_than_any_power_does_no_harm():
    law = stats.genextreme(-0.1)  # a Fréchet law of ε: its density vanishes exponentially at the lower edge
    n = 3
    series = low_temperature_expansion(n, law, 2)
    gap_density = integrate.quad(
        lambda e: law.pdf(e) ** 2 * law.sf(e) ** (n - 2), law.ppf(0), np.inf, epsabs=1e-13
    )[0]
    assert series.coefficients[2] == pytest.approx(np.pi**2 / 12 * n * (n - 1) * gap_density, rel=1e-9)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    "energies", ["t:df=2", "t:df=1.5", "pareto:b=1.5", "laplace", "weibull_max:c=0.5", "expon"]
)
def test_short_high_temperature_series_know_where_they_end(energies, order):
    """Of infinite variance or not: what ln n - β⟨ε⟩ leaves open is below its estimate at any temperature."""
    n = 100
    series = high_temperature_expansion(n, energies, order)
    beta = np.geomspace(1e-3, 30.0, 9)
    exact = thermodynamics(beta, n, energies)
    error = np.abs(series.log_partition(beta) - exact.log_partition)
    assert (error <= series.truncation_error(beta) + exact.error.log_partition).all()
    assert 1e-3 < series.valid_range[1] < 1.0


def test_an_infinite_moment_leaves_a_broken_power():
    for energies, order in (("t:df=2.5", 2), ("t:df=3.5", 3), ("t:df=4.5", 4)):
        series = high_temperature_expansion(100, energies, order)
        beta = np.geomspace(1e-3, 1.0, 5)
        error = np.abs(series.log_partition(beta) - thermodynamics(beta, 100, energies).log_partition)
        assert (error <= series.truncation_error(beta) + 1e-12).all()
    assert high_temperature_expansion(100, "pareto:b=0.7", 0).coefficients == pytest.approx([math.log(100)])
    with pytest.raises(ValueError, match=r"order: at most 0 for pareto:b=0\.7"):
        high_temperature_expansion(100, "pareto:b=0.7", 1)


def test_coefficients_of_two_exponential_energies_keep_their_digits():
    """Their gap is exponential too: c_k = (-1)^k η(k), and the last ones have digits."""
    series = low_temperature_expansion(2, "expon", 8)
    right = [(-1) ** k * (1.0 - 2.0 ** (1 - k)) * zeta(k) for k in range(2, 9)]
    assert (np.abs(series.coefficients[2:] - right) <= series.error[2:]).all()
    assert (series.error[2:] < [1e-11, 1e-10, 1e-9, 1e-7, 1e-5, 1e-3, 1e-2]).all()


def test_edges_limit_the_order():
    """A density d^(k-1) at the lower edge of energies puts β^(-2k) into Φ: orders beyond 2k do not exist."""
    assert longest_expansion(low_temperature_expansion, 100, "gamma:a=1.5", 8).order == 3
    assert longest_expansion(low_temperature_expansion, 100, "gamma:a=2.5", 8).order == 5
    assert longest_expansion(low_temperature_expansion, 100, "gamma:a=0.3", 8).order == 1
    assert longest_expansion(low_temperature_expansion, 100, "gamma:a=2", 8).order == 8
    # The far end matters where all n energies may sit there: with two uniform energies the gap density has a kink.
    assert longest_expansion(low_temperature_expansion, 2, "uniform", 8).order == 2
    assert longest_expansion(low_temperature_expansion, 2, "laplace", 8).order == 3
    assert longest_expansion(low_temperature_expansion, 1000, "laplace", 8).order == 8


def test_interpolated_derivatives_match_the_closed_form():
    """The normal distribution passed as any other density, without its Hermite polynomials."""
    anonymous = Continuous(stats.norm(), "anonymous")
    for n in (2, 1000, 10**12):
        exact, found = low_temperature_expansion(n, order=8), low_temperature_expansion(n, anonymous, order=8)
        assert (np.abs(found.coefficients - exact.coefficients) <= found.error + exact.error).all()
        assert found.coefficients[:5] == pytest.approx(exact.coefficients[:5], rel=1e-8, abs=1e-10)


def test_scale_and_location():
    core, moved = (
        low_temperature_expansion(50, "laplace", 4),
        low_temperature_expansion(50, "laplace:loc=2,scale=3", 4),
    )
    assert moved.coefficients[0] == pytest.approx(3 * core.coefficients[0] - 2)
    assert moved.coefficients[2:] == pytest.approx(
        core.coefficients[2:] * 3.0 ** (1 - np.arange(2, 5)), rel=1e-12
    )
    warm = high_temperature_expansion(50, "laplace:loc=2,scale=3", 4)
    assert warm.coefficients[:3] == pytest.approx([math.log(50), -2.0, 9 * (1 - 1 / 50)], rel=1e-12)


def test_finite_width():
    narrow = low_temperature_expansion(128, "finite-width:m=4")
    factor = math.sqrt(2 / 4) * math.gamma(2.5) / math.gamma(2)  # ⟨χ_4⟩/2
    assert narrow.coefficients[0] == pytest.approx(
        factor * low_temperature_expansion(128).coefficients[0], rel=1e-12
    )
    factor = 2.0**1.5 * math.gamma(0.5) / math.gamma(2)  # ⟨(χ_4/2)^-3⟩
    wide = low_temperature_expansion(128, order=4)
    steep = low_temperature_expansion(128, "finite-width:m=4", order=4)
    assert abs(steep.coefficients[4] - factor * wide.coefficients[4]) <= steep.error[4]
    exact = thermodynamics(500.0, 128, "finite-width:m=4")
    assert narrow.internal_energy(500.0) == pytest.approx(exact.internal_energy, rel=1e-6)
    with pytest.raises(ValueError, match="order: at most 4 for finite-width:m=4 energies"):
        low_temperature_expansion(128, "finite-width:m=4", order=5)


def test_loss_of_the_series():
    series = low_temperature_expansion(128, order=8)
    from peakedtheory import loss

    assert series.loss(30.0, 100.0) == pytest.approx(loss(30.0, 100.0, 128), rel=1e-6)
    assert series.order == 8
    assert "c2" in repr(series)
    assert "a2" in repr(high_temperature_expansion(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: low_temperature_expansion(1), "n: must be at least 2"),
        (lambda: low_temperature_expansion([2, 3]), "n: must be one number"),
        (lambda: low_temperature_expansion(5, order=9), "order: must be a whole number from 0 to 8"),
        (lambda: high_temperature_expansion(5, order=-1), "order: must be a whole number from 0 to 8"),
        (
            lambda: high_temperature_expansion(5, "t:df=3", order=4),
            "order: at most 2 for t:df=3 energies: coeff",
        ),
        (
            lambda: high_temperature_expansion(5, "t:df=2", order=2),
            "order: at most 1 for t:df=2 energies: coeff",
        ),
        (
            lambda: high_temperature_expansion(5, "cauchy", order=0),
            "energies: must have a finite mean of their",
        ),
        (lambda: low_temperature_expansion(5, "cauchy"), "energies: must have a finite mean of their lowest"),
        (lambda: low_temperature_expansion(5).free_energy(1.0, order=5), "order: must lie between 0 and 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=r"^[^\n]+; [^\n]+$") as caught:
        call()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("n", [2, 128, 50304, 10**9, 10**12])
def test_sharp_edges_at_any_n(n):
    """The lowest of n uniform energies averages 1/(n+1), of n exponentials 1/n; p_Δ(0) is n and n - 1."""
    for name, lowest, rate in (("uniform", 1 / (n + 1), n), ("expon", 1 / n, n - 1)):
        series = low_temperature_expansion(n, name)
        assert series.coefficients[0] == pytest.approx(-lowest, rel=1e-12)
        assert abs(series.coefficients[0] + lowest) <= series.error[0]
        assert series.gap_rate == pytest.approx(rate, rel=1e-10)
        assert abs(series.coefficients[2] - rate * np.pi**2 / 12) <= series.error[2]
    # Density 0.3 ε^(-0.7): ⟨min⟩ = n B(1 + 1/k, n), k = 0.3.
    singular = low_temperature_expansion(n, "beta:a=0.3,b=1", order=0)
    exact = (
        math.exp(math.lgamma(1 + 1 / 0.3) + math.lgamma(n + 1) - math.lgamma(n + 1 + 1 / 0.3))
        if n < 1e6
        else None
    )
    if exact:
        assert -singular.coefficients[0] == pytest.approx(exact, rel=1e-9)
