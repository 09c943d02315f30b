"""Monte Carlo errors against the exact engine: the rates at which ±1, ±2 and ±3 standard errors hold the truth."""

import numpy as np
import pytest
from scipy import stats

from peakedtheory import as_energies, thermodynamics
from peakedtheory.sampling.montecarlo import estimate

C0_16 = 1.7659913930547884  # ⟨max⟩ of 16 standard normals, known to the exact engine as well
BETAS = np.array([0.1, 1.0, C0_16, 10.0, 100.0])
QUANTITIES = ("log_partition", "internal_energy", "entropy", "energy_variance", "loss", "loss_gradient")
BETA_STAR = 3.0


def truth(n, energies, beta=BETAS):
    exact = thermodynamics(beta, n, energies)
    values = {name: getattr(exact, name) for name in QUANTITIES[:4]}
    star = thermodynamics(BETA_STAR, n, energies)
    values["loss"] = exact.log_partition - star.log_partition + (beta - BETA_STAR) * star.internal_energy
    values["loss_gradient"] = star.internal_energy - exact.internal_energy
    return values


def deviations(results, exact):
    """(mean - truth) / standard error by quantity, shape (seeds, β)."""
    return {
        name: np.array(
            [(r.estimates()[name].mean - exact[name]) / r.estimates()[name].standard_error for r in results]
        )
        for name in QUANTITIES
    }


def assert_honest(z, freedom, *, least_only=False):
    """Fractions within 1, 2, 3 standard errors are those of Student's t within four binomial deviations."""
    trials = z.shape[0]
    for level in (1, 2, 3):
        expected = 1 - 2 * stats.t(freedom).sf(level)
        slack = 4 * np.sqrt(expected * (1 - expected) / trials)
        covered = np.mean(np.abs(z) < level, axis=0)
        assert np.all(covered >= expected - slack), (level, covered, expected)
        if not least_only:
            assert np.all(covered <= expected + slack), (level, covered, expected)


SOURCES = {"normal": None, "laplace": "laplace", "exponential": "expon", "uniform": "uniform"}


def coverage(source, n, method, samples, seeds):
    energies = as_energies(SOURCES[source])
    results = [
        estimate(BETAS, n, energies, beta_star=BETA_STAR, method=method, samples=samples, rng=seed)
        for seed in range(seeds)
    ]
    return deviations(results, truth(n, energies)), results[0].degrees_of_freedom


@pytest.mark.parametrize(
    ("method", "n", "samples"), [("plain", 16, 2048), ("order-statistics", 16, 2048), ("qmc", 4, 64 * 32)]
)
def test_errors_are_honest_over_200_seeds(method, n, samples):
    z, freedom = coverage("normal", n, method, samples, 200)
    for name in ("log_partition", "internal_energy", "entropy", "loss", "loss_gradient"):
        assert_honest(z[name], freedom)


@pytest.mark.nightly
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("method", "n", "samples"),
    [
        ("plain", 16, 4096),
        ("order-statistics", 16, 4096),
        ("order-statistics", 128, 4096),
        ("qmc", 16, 64 * 64),
        ("qmc", 128, 64 * 64),
    ],
)
def test_errors_are_honest_for_every_method_and_distribution(method, n, samples, source):
    z, freedom = coverage(source, n, method, samples, 300)
    for name in QUANTITIES:
        if source in ("exponential", "uniform") and name in ("entropy", "energy_variance"):
            # at β = 100 and n = 16 these hang on few samples near degeneracy: covered, but not Gaussian
            assert_honest(z[name][:, :4], freedom)
        else:
            assert_honest(z[name], freedom)


@pytest.mark.parametrize("source", ["laplace", "exponential", "uniform"])
def test_other_distributions_agree_with_the_exact_engine(source):
    for method, n in (("plain", 16), ("order-statistics", 300), ("qmc", 300)):
        result = estimate(
            BETAS, n, SOURCES[source], beta_star=BETA_STAR, method=method, samples=1 << 14, rng=11
        )
        for name, z in deviations([result], truth(n, SOURCES[source])).items():
            assert np.all(np.abs(z) < 5), (method, name, z)


def test_a_wrong_distribution_fails():
    """Logistic energies of unit variance taken for normal ones must not pass for honest."""
    wrong = as_energies(stats.logistic(scale=np.sqrt(3) / np.pi))
    exact = truth(16, None)
    results = [estimate(BETAS, 16, wrong, beta_star=BETA_STAR, samples=2048, rng=s) for s in range(200)]
    with pytest.raises(AssertionError):
        assert_honest(deviations(results, exact)["log_partition"], 2047)


def test_order_statistics_where_nothing_else_reaches():
    n = 10**12
    beta = np.array([0.5, 5.0, 20.0])
    result = estimate(beta, n, samples=1 << 14, rng=1)
    exact = thermodynamics(beta, n)
    assert result.provenance.method == "order-statistics"
    z = (result.log_partition.mean - exact.log_partition) / result.log_partition.standard_error
    assert np.all(np.abs(z) < 5)
    assert np.all(result.log_partition.bias_bound < 1e-6)
