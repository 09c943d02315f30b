import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from naive import gaussian_in_mpmath, sampled
from problems import PROBLEMS, energies_of
from scipy import stats
from scipy.integrate import quad
from scipy.special import betaln, expn

from peakedtheory import (
    Discrete,
    FiniteWidth,
    Gaussian,
    Mixture,
    Sample,
    as_energies,
    low_temperature_expansion,
    thermodynamics,
)
from peakedtheory.energies.gumbel import entropy_kernel
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.exact.quadrature import Averages, general_thermodynamics

IDS = [f"{p.name}-n{p.n:g}-beta{p.beta:g}" for p in PROBLEMS]


@pytest.mark.parametrize("problem", PROBLEMS, ids=IDS)
def test_value_reaches_its_accuracy(problem):
    value = thermodynamics(problem.beta, problem.n, energies_of(problem)).log_partition
    assert abs(mp.mpf(value) - problem.log_partition) <= problem.rtol * abs(problem.log_partition)


@pytest.mark.parametrize("problem", PROBLEMS, ids=IDS)
def test_error_estimate_is_honest(problem):
    result = thermodynamics(problem.beta, problem.n, energies_of(problem))
    true_error = abs(mp.mpf(result.log_partition) - problem.log_partition)
    assert true_error <= result.error.log_partition
    assert result.error.log_partition <= 1e-8 * max(abs(result.log_partition), 1.0)


@pytest.mark.parametrize(
    ("n", "beta", "log_partition", "internal_energy"),
    [
        (128, 1, 5.345449971, -0.9798082843),
        (128, 5, 13.5056903023, -2.4667239237),
        (128, 10, 26.1849543773, -2.5679848846),
        (32000, 5, 21.7445620609, -3.7890696474),
        (32000, 10, 41.7083002546, -4.0759810705),
        (50304, 5, 22.3126269139, -3.8692354449),
        (50304, 10, 42.7543815856, -4.1770031262),
    ],
)
def test_reference_values(n, beta, log_partition, internal_energy):
    result = thermodynamics(beta, n)
    assert result.log_partition == pytest.approx(log_partition, abs=6e-11)
    assert result.internal_energy == pytest.approx(internal_energy, abs=6e-11)


def check_against_mpmath(beta, n):
    exact = gaussian_in_mpmath(beta, n, 15)
    result = thermodynamics(beta, n, rtol=1e-12)
    found = (result.log_partition, -result.internal_energy, result.energy_variance, result.entropy)
    error = result.error
    estimates = (error.log_partition, error.internal_energy, error.energy_variance, error.entropy)
    for value, truth, estimate in zip(found, exact, estimates, strict=True):
        assert abs(value - truth) <= 1e-12 * abs(truth)
        assert abs(value - truth) <= estimate


def test_gaussian_against_mpmath():
    check_against_mpmath(1.0, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("beta", "n"), [(0.01, 128), (0.9, 50304), (2.0, 128), (4.0, 50304), (3.0, 10**12), (7.0, 1000)]
)
def test_gaussian_against_mpmath_widely(beta, n):
    check_against_mpmath(beta, n)


@pytest.mark.parametrize("n", [2, 3, 128, 50304, 1e12])
def test_two_engines_agree(n):
    """The Gaussian lattice and the general adaptive quadrature share no code but their formulas."""
    for beta in (0.02, 0.999, 1.0, 3.0, 8.8, 40.0, 1e4):
        fast = thermodynamics(beta, n)
        values, errors = general_thermodynamics(
            STANDARD_NORMAL.components, 0.0, 1.0, beta, np.array([float(n)])
        )
        pairs = [
            (fast.log_partition, fast.error.log_partition),
            (-fast.internal_energy, fast.error.internal_energy),
            (fast.energy_variance, fast.error.energy_variance),
            (fast.entropy, fast.error.entropy),
        ]
        for (value, error), other, other_error in zip(pairs, values[:, 0], errors[:, 0], strict=True):
            assert abs(value - other) <= error + other_error
            assert error <= 1e-12 * abs(value)
            assert other_error <= 1e-10 * abs(value)


@pytest.mark.parametrize(
    ("name", "beta"),
    [
        ("logistic", 0.2),
        ("logistic", 12.0),
        ("laplace", 40.0),
        ("gamma:a=0.25", 2.0),
        ("t:df=3", 8.0),
        ("uniform", 50.0),
    ],
)
def test_three_ways_to_average_agree(name, beta):
    """Lattice, few nodes where the density is smooth, and panels of every s share no quadrature."""
    energies, s = as_energies(name), np.linspace(-80.0, 40.0, 301)
    averages = Averages(energies.components, beta, np.array([50.0]), np.sqrt(energies.variance))
    truth = averages._chunk(s)
    weighty = truth[:, 1] * np.exp(49.0 * truth[:, 0]) > 1e-9
    tried = 0
    for found, done in (averages._from_lattice(s), averages._resolved(s)):
        rows = done & weighty
        tried += rows.sum()
        scale = np.abs(truth[rows])
        scale[:, 2] += 1.0 / beta
        assert (np.abs(found[rows] - truth[rows]) <= 2e-12 * scale).all()
    assert tried > 20


@pytest.mark.parametrize("beta", [30.0, 1000.0, 5000.0])
def test_kink_at_low_temperature(beta):
    """Two Laplace energies: their difference has the density (1 + d) e^-d / 2 and their mean sum is zero."""
    knots = sorted({0, 1, 4, 12, 30, 80, *(mp.mpf(2) ** k / beta for k in range(-1, 7))})

    def average(f):
        return mp.quad(lambda d: (1 + d) * mp.exp(-d) / 2 * f(d), knots)

    result = thermodynamics(beta, 2, "laplace")
    truth = average(lambda d: beta * d / 2 + mp.log1p(mp.exp(-beta * d)))
    assert abs(result.log_partition - truth) <= min(result.error.log_partition, 1e-12 * truth)
    truth = average(lambda d: (d / 2 / mp.cosh(beta * d / 2)) ** 2)
    assert abs(result.energy_variance - truth) <= min(result.error.energy_variance, 1e-12 * truth)


@pytest.mark.parametrize("beta", [0.001, 0.1, 3.0])
def test_two_singular_edges(beta):
    """Two energies of density ε^-0.7 (1-ε)^-0.6, trapezoidal in ln(ε/(1-ε)), where all is analytic."""
    y = np.arange(-140.0, 140.0, 0.25)
    weight = 0.25 * np.exp(-0.3 * np.logaddexp(0, -y) - 0.4 * np.logaddexp(0, y) - betaln(0.3, 0.4))
    e = 1.0 / (1.0 + np.exp(-y))
    z = np.exp(-beta * e)
    p = z[:, None] / (z[:, None] + z)
    result = thermodynamics(beta, 2, "beta:a=0.3,b=0.4")
    for value, error, values in (
        (result.log_partition, result.error.log_partition, np.log(z[:, None] + z)),
        (result.internal_energy, result.error.internal_energy, p * e[:, None] + (1.0 - p) * e),
        (result.energy_variance, result.error.energy_variance, p * (1.0 - p) * (e[:, None] - e) ** 2),
    ):
        truth = weight @ values @ weight
        assert abs(value - truth) <= error + 1e-14 * abs(truth)
        assert error <= 1e-13 * max(abs(truth), 1.0)


def test_square_root_edge():
    """Density √(1-ε²), with ε = -cos θ analytic and periodic: plain sums over s and θ, 1 - x = 2 sin²(θ/2)."""
    n, beta = 50304.0, 300.0
    theta = (np.arange(20_000) + 0.5) * np.pi / 20_000
    mass, y = 2.0 * np.sin(theta) ** 2 / 20_000, -2.0 * beta * np.sin(theta / 2.0) ** 2
    curvature = entropy = 0.0
    for s in np.arange(-50.0, 15.0, 0.2):
        v = np.minimum(s + y, 6.0)
        kernel = mass * np.exp(v - np.exp(v))
        mean = kernel @ y / kernel.sum()
        power = np.exp((n - 2.0) * np.log1p(mass @ np.expm1(-np.exp(v)))) * n * (n - 1.0) * kernel.sum()
        curvature += 0.2 * power * (kernel @ (y - mean) ** 2) / beta**2
        entropy += 0.2 * power * (mass @ entropy_kernel(v))
    result = thermodynamics(beta, n, "semicircular")
    assert abs(result.energy_variance - curvature) <= result.error.energy_variance
    assert abs(result.entropy - entropy) <= result.error.entropy


def test_tail_functions_that_overflow():
    """The distribution function of invgauss is NaN far out."""
    result = thermodynamics([0.01, 3.0, 2000.0], 50, "invgauss:mu=1")
    assert np.isfinite(result.log_partition).all()
    assert result.internal_energy[0] == pytest.approx(1.0 - 0.01 * (1.0 - 1.0 / 50), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "n", "beta"),
    [
        ("laplace", 40, 1.5),
        ("expon", 40, 3.0),
        ("t:df=5", 30, 2.0),
        ("poisson:mu=3", 50, 1.0),
        ("beta:a=0.3,b=0.4", 20, 6.0),
        ("gamma:a=0.05", 8, 3.0),
    ],
)
def test_against_plain_sampling(name, n, beta):
    energies = as_energies(name)
    result = thermodynamics(beta, n, energies)
    for quantity, (mean, error) in sampled(beta, n, energies.sample, 4000, 7).items():
        assert abs(getattr(result, quantity) - mean) < 4.0 * error, quantity


def test_sampling_of_the_wrong_energies_is_noticed():
    mean, error = sampled(1.5, 40, as_energies("laplace").sample, 4000, 7)["log_partition"]
    assert abs(thermodynamics(1.5, 40, "logistic").log_partition - mean) > 10.0 * error


def test_finite_width_against_sampling():
    energies = FiniteWidth(8)
    result = thermodynamics(3.0, 64, energies)
    for quantity, (mean, error) in sampled(3.0, 64, energies.sample, 6000, 3).items():
        assert abs(getattr(result, quantity) - mean) < 4.0 * error, quantity
    assert thermodynamics(3.0, 64, FiniteWidth(10**6)).log_partition == pytest.approx(
        thermodynamics(3.0, 64).log_partition, rel=1e-5
    )


@pytest.mark.parametrize("n", [2, 20, 99, 10**6, 10**15])
@pytest.mark.parametrize("beta", [1e5, 1e20, 1e150])
def test_the_coldest_gaussian_energies(n, beta):
    exact, series = thermodynamics(beta, n), low_temperature_expansion(n, order=6)
    assert exact.entropy == pytest.approx(series.entropy(beta), rel=1e-13, abs=0)
    assert exact.free_energy == pytest.approx(series.free_energy(beta), rel=1e-13)
    assert exact.internal_energy == pytest.approx(series.internal_energy(beta), rel=1e-13)


def test_broadcasting_and_scalars():
    grid = thermodynamics(np.array([0.0, 1.0, 5.0])[:, None], [2, 128])
    assert grid.entropy.shape == grid.error.entropy.shape == (3, 2)
    assert grid.log_partition[2, 1] == thermodynamics(5.0, np.array([2, 128])).log_partition[1]
    single = thermodynamics(1, 128)
    assert isinstance(single.log_partition, float)
    assert "log_partition" in repr(single)
    dataset = grid.to_xarray()
    assert dataset.sizes == {"beta": 3, "n": 2}
    assert dataset.log_partition.sel(beta=5.0, n=128) == grid.log_partition[2, 1]


def test_one_energy_and_infinite_temperature():
    one = thermodynamics([0.0, 2.0], 1, "expon")
    assert one.free_energy == pytest.approx([1.0, 1.0])
    assert (one.entropy == 0).all()
    assert (one.energy_variance == 0).all()
    hot = thermodynamics(0.0, 100)
    assert hot.free_energy == -np.inf
    assert hot.entropy == np.log(100)
    assert hot.energy_variance == pytest.approx(0.99, rel=1e-15)


def test_small_quantities_keep_relative_precision():
    cold = thermodynamics(1e4, 50304)
    assert cold.error.entropy < 1e-12 * cold.entropy
    assert cold.entropy == pytest.approx(2 * np.pi**2 / 12 * 4.2318320420546 / 1e4, rel=1e-3)
    hot = thermodynamics(1e-6, 50304)
    assert hot.free_energy == pytest.approx(-np.log(50304) / 1e-6, rel=1e-11)
    assert hot.internal_energy == pytest.approx(-1e-6 * (1 - 1 / 50304), rel=1e-10)


def test_location_and_scale():
    moved = thermodynamics([0.5, 7.0], 1000, Gaussian(mean=-3.0, std=2.0))
    core = thermodynamics([1.0, 14.0], 1000)
    assert moved.free_energy == pytest.approx(-3.0 + 2.0 * core.free_energy, rel=1e-14)
    assert moved.internal_energy == pytest.approx(-3.0 + 2.0 * core.internal_energy, rel=1e-14)
    assert moved.energy_variance == pytest.approx(4.0 * core.energy_variance, rel=1e-14)
    assert moved.entropy == pytest.approx(core.entropy, rel=1e-14)
    shifted = thermodynamics(2.0, 50, stats.expon(loc=4, scale=0.5))
    assert shifted.free_energy == pytest.approx(
        4 + 0.5 * thermodynamics(1.0, 50, "expon").free_energy, rel=1e-13
    )


def test_kinds_of_energies_agree():
    frozen = thermodynamics(2.0, 100, stats.norm(1, 3))
    assert frozen.log_partition == thermodynamics(2.0, 100, Gaussian(1, 3)).log_partition
    assert frozen.log_partition == thermodynamics(2.0, 100, stats.Normal(mu=1, sigma=3)).log_partition
    uniform = thermodynamics(2.0, 100, stats.Uniform(a=0.0, b=1.0)).log_partition
    assert uniform == pytest.approx(thermodynamics(2.0, 100, "uniform").log_partition, rel=1e-12)
    sample = Sample([0.0, 1.0, 1.0, 1.0])
    atoms = Discrete([1.0, 0.0], [0.75, 0.25])
    assert thermodynamics(2.0, 9, sample).log_partition == pytest.approx(
        thermodynamics(2.0, 9, atoms).log_partition
    )
    same = Mixture([(2.0, "laplace"), (1.0, "laplace")])
    assert thermodynamics(2.0, 9, same).entropy == pytest.approx(
        thermodynamics(2.0, 9, "laplace").entropy, rel=1e-12
    )
    binomial = thermodynamics(1.0, 6, stats.Binomial(n=5, p=0.3)).log_partition
    assert binomial == pytest.approx(thermodynamics(1.0, 6, stats.binom(5, 0.3)).log_partition, rel=1e-12)


@pytest.mark.parametrize("name", ["t:df=1.1", "pareto:b=0.7", "lognorm:s=2"])
def test_heavy_tails_with_a_mean_lowest_energy(name):
    result = thermodynamics(0.5, [2, 1000], name)
    for value in (result.log_partition, result.internal_energy, result.entropy, result.energy_variance):
        assert np.isfinite(value).all()
    assert (result.error.log_partition <= 1e-9 * np.abs(result.log_partition)).all()
    assert result.free_energy == pytest.approx(result.internal_energy - result.entropy / 0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 10), "beta: must be >= 0, got -1"),
        ((1.0, 0), "n: must be whole numbers >= 1, got 0"),
        ((1.0, 2.5), "n: must be whole numbers >= 1, got 2.5"),
        ((np.nan, 10), "beta: must not contain NaN"),
        ((1j, 10), "beta: must be real numbers"),
        (([], 10), "beta: must not be empty"),
        (("a", 10), "beta: must be real numbers"),
        ((np.inf, 10), "beta: must be finite"),
        ((1e151, 10), "beta: must be at most 1e+150"),
        ((1.0, 1e16), "n: must be at most 1e15"),
        (([1.0, 2.0], [2, 3, 4]), "beta, n: must broadcast"),
        ((1.0, 10, "cauchy"), "energies: must have a finite mean of their lowest value"),
        ((1.0, 2, "pareto:b=0.4"), "energies: must have a finite mean of the lowest of n=2 values"),
        ((1.0, 10, "nonsense"), "energies: must name a scipy.stats distribution"),
        ((1.0, 10, object()), "energies: must be None, a scipy.stats distribution"),
    ],
)
def test_bad_input_gets_one_line(arguments, message):
    with pytest.raises(ValueError, match=r"^[^\n]+; [^\n]+$") as caught:
        thermodynamics(*arguments)
    assert str(caught.value).startswith(message)


def test_unreachable_precision_is_named():
    with pytest.raises(ValueError, match="rtol: cannot be met for"):
        thermodynamics(3.0, 100, rtol=1e-17)
    assert thermodynamics(3.0, 100, rtol=1e-12).n == 100


def test_memory_stays_bounded():
    import tracemalloc

    tracemalloc.start()
    thermodynamics(np.linspace(0.1, 20, 40), 10**12)
    thermodynamics([1e-3, 3.0], 10**9, "t:df=3")
    thermodynamics(0.5, 1000, Sample(np.random.default_rng(0).standard_normal(30_000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6


@pytest.mark.parametrize("energies", ["uniform", "expon"])
@pytest.mark.parametrize("x", [0.1, 3.0, 10.0, 100.0])
def test_freezing_at_an_edge_has_the_limit_of_a_poisson_process(energies, x):
    """Levels at a finite edge are a Poisson process: φⁿ → exp(-h/x), h = E1(e^s) + s + γ, at β = x n."""

    def integrand(s):
        h = expn(1, math.exp(s)) + s + np.euler_gamma if s < 6 else s + np.euler_gamma
        return math.exp(-math.exp(min(s, 6.0))) - math.exp(-max(h, 0.0) / x)

    steps = np.linspace(-40.0, 50.0 * x + 40.0, 60)
    limit = sum(quad(integrand, a, b, epsabs=1e-10)[0] for a, b in pairwise(steps))
    exact = thermodynamics(x * 1e8, 10**8, energies)
    assert exact.log_partition == pytest.approx(limit, abs=1e-6 * max(1.0, x))
    assert exact.error.log_partition < 1e-9


@pytest.mark.parametrize("n", [10, 32_000])
@pytest.mark.parametrize("beta", [10.0, 52.0, 80.0, 600.0])
def test_two_atoms_are_a_binomial_sum_however_small_the_variance(n, beta):
    k = np.arange(1, n + 1)
    ratio = (n - k) * math.exp(-beta) / k
    expected = (stats.binom.pmf(k, n, 0.3) * ratio / (1 + ratio) ** 2).sum()
    exact = thermodynamics(beta, n, "atoms:0=0.3,1=0.7")
    assert exact.energy_variance == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("beta", [0.1, 10.0, 1e4, 1e8])
def test_a_divergence_away_from_zero_is_resolved_as_far_as_energies_are_numbers(beta):
    """Gaps of two energies are the same as for the mirrored density, whose divergence lies at zero."""
    found, mirrored = (thermodynamics(beta, 2, name) for name in ("beta:a=1,b=0.1", "beta:a=0.1,b=1"))
    for name in ("entropy", "energy_variance"):
        value, other = getattr(found, name), getattr(mirrored, name)
        error = getattr(found.error, name) + getattr(mirrored.error, name)
        assert abs(value - other) <= error
        assert error < (1e-12 + 2e-14 * beta) * value
