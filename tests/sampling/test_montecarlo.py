"""Monte Carlo estimates: values against the exact engine, reproducibility, merging, bad input."""

import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest
from scipy import special, stats

from peakedtheory import Mixture, thermodynamics
from peakedtheory.sampling.estimates import Estimate
from peakedtheory.sampling.montecarlo import estimate, estimate_from_logits


def naive(y, y_star_pairs):
    """ln Z, U, S, variance, participation of rows of logits at factors β, with SciPy."""
    out = []
    for beta in y_star_pairs:
        z = beta * y
        log_z = special.logsumexp(z, axis=1)
        p = special.softmax(z, axis=1)
        mean = (p * y).sum(axis=1)
        entropy = special.entr(p).sum(axis=1)
        variance = (p * (y - mean[:, None]) ** 2).sum(axis=1)
        out.append(np.stack([log_z, -mean, entropy, variance, (p * p).sum(axis=1)], axis=1))
    return np.stack(out, axis=1)


def standard_error(rows):
    """That of the mean of each column, enlarged by 2γ²/N where the rows are skewed."""
    count = len(rows)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's word on columns that do not vary
        skew = np.nan_to_num(stats.skew(rows, axis=0)) ** 2 / count
    enlarged = 1.0 + np.clip(2.0 * (skew - 6.0 / count**2), 0.0, 0.2)
    return enlarged * rows.std(axis=0, ddof=1) / np.sqrt(count)


def test_given_logits_against_scipy():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(700, 33)) * 2.0
    beta = np.array([0.0, 0.3, 1.0, 4.0])
    result = estimate_from_logits(y, beta, beta_star=1.0)
    rows = naive(y, beta)
    names = ("log_partition", "internal_energy", "entropy", "energy_variance", "participation")
    for q, name in enumerate(names):
        one = result.estimates()[name]
        np.testing.assert_allclose(one.mean, rows[..., q].mean(axis=0), rtol=1e-12, atol=1e-12)
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy's own word on values that do not vary
            skew = np.nan_to_num(stats.skew(rows[..., q], axis=0)) ** 2 / 700
        enlarged = 1.0 + np.clip(2.0 * (skew - 6.0 / 700**2), 0.0, 0.2)
        error = enlarged * rows[..., q].std(axis=0, ddof=1) / np.sqrt(700)
        np.testing.assert_allclose(one.standard_error, error, rtol=1e-9, atol=1e-12)
    per_sample = rows[..., 0] - rows[:, 2:3, 0] + (beta - 1.0) * rows[:, 2:3, 1]
    np.testing.assert_allclose(result.loss.mean, per_sample.mean(axis=0), rtol=1e-11, atol=1e-13)
    error = standard_error(per_sample)
    np.testing.assert_allclose(result.loss.standard_error, error, rtol=1e-8, atol=1e-13)
    np.testing.assert_allclose(result.ground_state_energy.mean, -y.max(axis=1).mean(), rtol=1e-12)


def test_logits_from_files_and_with_ruled_out_classes(tmp_path):
    y = np.random.default_rng(4).normal(size=(300, 20))
    y[5, 3:] = -np.inf
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "y.npz", y)
    given = estimate_from_logits(y, [1.0, 2.0])
    for name in ("y.npy", "y.npz"):
        other = estimate_from_logits(tmp_path / name, [1.0, 2.0])
        assert np.array_equal(other.log_partition.mean, given.log_partition.mean)
    expected = special.logsumexp(y, axis=1).mean()
    np.testing.assert_allclose(given.log_partition.mean[0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    "energies",
    [
        {0.0: 0.3, 1.0: 0.7},
        "finite-width:m=4",
        np.random.default_rng(0).normal(size=37),
        np.random.default_rng(0).normal(size=400),
        "normal:loc=-3,scale=2",
        Mixture([(0.5, "laplace"), (0.5, "normal:loc=1,scale=1")]),
        Mixture([(0.5, {0.0: 1.0}), (0.5, "normal")]),
    ],
    ids=["atoms", "finite-width", "sample", "long-sample", "located", "mixture", "partly-atoms"],
)
def test_every_kind_of_energies(energies):
    beta = np.array([0.0, 0.4, 2.0, 6.0])
    result = estimate(beta, 20, energies, beta_star=2.0, samples=8192, rng=2, precision="double")
    exact = thermodynamics(beta, 20, energies)
    for name in ("log_partition", "free_energy", "internal_energy", "entropy", "energy_variance"):
        one = result.estimates()[name]
        value = getattr(exact, name)
        finite = np.isfinite(value)
        off = np.abs(one.mean[finite] - value[finite])
        assert np.all(off <= 5 * one.standard_error[finite] + 1e-12), name
        assert np.array_equal(one.mean[~finite], value[~finite])
    np.testing.assert_allclose(result.loss.mean[2], 0.0, atol=1e-13)


def test_huge_numbers_of_discrete_energies():
    result = estimate([1.0, 30.0], 10**12, {0.0: 1e-12, 1.0: 1.0}, samples=20_000, rng=2)
    exact = thermodynamics([1.0, 30.0], 10**12, {0.0: 1e-12, 1.0: 1.0})
    off = np.abs(result.log_partition.mean - exact.log_partition)
    assert np.all(off <= 5 * result.log_partition.standard_error + 1e-12)


def test_functions_as_energies():
    exact = thermodynamics([1.0, 4.0], 50).log_partition
    by_python = estimate([1.0, 4.0], 50, lambda rng, size: rng.normal(size=size), samples=8192, rng=2)

    @numba.njit
    def exponential(u):
        return -np.log(u)

    compiled = estimate([1.0, 4.0], 50, exponential, samples=8192, rng=2)
    for result, value in (
        (by_python, exact),
        (compiled, thermodynamics([1.0, 4.0], 50, "expon").log_partition),
    ):
        assert np.all(np.abs(result.log_partition.mean - value) < 5 * result.log_partition.standard_error)
    assert by_python.energies is None


def test_correlated_energies_have_their_own_averages():
    """A common shift of all energies moves ln Z by -β shift and adds its variance."""

    def shifted(rng, size):
        return rng.normal(size=size) + 2.0 * rng.normal(size=(size[0], 1))

    result = estimate(1.0, 30, shifted, samples=20_000, rng=5)
    exact = thermodynamics(1.0, 30).log_partition
    assert abs(result.log_partition.mean - exact) < 5 * result.log_partition.standard_error
    assert 4.0 < result.log_partition.variance < 4.5


def same(a, b):
    return np.array_equal(a.moments.mean, b.moments.mean) and np.array_equal(
        a.moments.squares, b.moments.squares
    )


@pytest.mark.parametrize("method", ["plain", "order-statistics", "qmc"])
def test_the_seed_fixes_every_bit(method):
    def run():
        return estimate([1.0, 5.0], 200, beta_star=5.0, samples=1 << 12, rng=8, method=method)

    before = numba.get_num_threads()
    first = run()
    try:
        numba.set_num_threads(1)
        assert same(first, run())
    finally:
        numba.set_num_threads(before)
    assert not same(first, estimate([1.0, 5.0], 200, beta_star=5.0, samples=1 << 12, rng=9, method=method))


def test_every_kind_of_rng():
    def mean(rng):
        return estimate(1.0, 20, samples=256, rng=rng).log_partition.mean

    assert mean(5) == mean(np.random.SeedSequence(5)) == mean(np.int64(5))
    parent = np.random.SeedSequence(5)
    assert mean(parent) == mean(parent)
    assert mean(parent.spawn(1)[0]) != mean(5)
    assert mean(np.random.default_rng(5)) == mean(np.random.PCG64(5))
    generator = np.random.default_rng(5)
    assert mean(generator) != mean(generator)
    free = estimate(1.0, 20, samples=256)
    again = estimate(1.0, 20, samples=256, rng=free.seed.sequence)
    assert free.log_partition.mean == again.log_partition.mean


def test_a_tolerance_is_met_in_rounds():
    planned = []
    result = estimate(
        [1.0, 5.0], 1000, atol=2e-3, rng=3, progress=lambda done, total: planned.append((done, total))
    )
    assert result.converged
    assert result.log_partition.standard_error.max() <= 2e-3
    # and not met with far too many samples
    assert result.log_partition.standard_error.max() > 1e-3
    assert planned[-1] == (result.samples, result.samples)
    relative = estimate(5.0, 1000, rtol=1e-5, rng=3, method="qmc")
    assert relative.log_partition.standard_error <= 1e-5 * relative.log_partition.mean
    with pytest.raises(ValueError, match="rtol, atol: must exceed the bias bound"):
        estimate(2.0, 128, atol=1e-10, rng=3)


def test_samples_are_exact_and_the_default_is_fixed():
    assert estimate(1.0, 128, samples=1001, rng=0).samples == 1001
    assert estimate(1.0, 128, samples=1001, rng=0, method="plain").samples == 1001
    assert estimate(1.0, 128, samples=48 * 64, rng=0, method="qmc").samples == 48 * 64
    default = estimate(1.0, 128, rng=0)
    assert default.samples == 1 << 16


def test_merging_is_the_estimate_of_all_samples():
    y = np.random.default_rng(6).normal(size=(900, 12))
    whole = estimate_from_logits(y, [1.0, 3.0], covariance=True)
    merged = estimate_from_logits(y[:400], [1.0, 3.0], covariance=True).merge(
        estimate_from_logits(y[400:], [1.0, 3.0], covariance=True)
    )
    assert merged.samples == 900
    for name, one in whole.estimates().items():
        np.testing.assert_allclose(merged.estimates()[name].mean, one.mean, rtol=1e-12)
        np.testing.assert_allclose(merged.estimates()[name].standard_error, one.standard_error, rtol=1e-10)
    np.testing.assert_allclose(merged.log_partition_covariance, whole.log_partition_covariance, rtol=1e-9)


def test_merging_refuses_what_is_not_independent_or_not_the_same():
    a = estimate([1.0, 2.0], 128, samples=1000, rng=1)
    with pytest.raises(ValueError, match="other: must have another seed"):
        a.merge(estimate([1.0, 2.0], 128, samples=2000, rng=1))
    b = a.merge(estimate([1.0, 2.0], 128, samples=1000, rng=2))
    with pytest.raises(ValueError, match="other: must have another seed"):
        b.merge(a)
    for other in (
        estimate([1.0, 2.0], 129, samples=1000, rng=3),
        estimate([1.0, 2.5], 128, samples=1000, rng=3),
        estimate([1.0, 2.0], 128, "laplace", samples=1000, rng=3),
        estimate([1.0, 2.0], 128, samples=1000, rng=3, method="plain"),
    ):
        with pytest.raises(ValueError, match="other: must have the same"):
            a.merge(other)


def test_covariance_quantiles_and_histogram():
    result = estimate([1.0, 4.0], 60, samples=5000, rng=1, method="plain", covariance=True, keep_samples=True)
    kept = result.log_partition_samples
    assert kept.shape == (5000, 2)
    np.testing.assert_allclose(result.log_partition_covariance, np.cov(kept.T) / 5000, rtol=1e-10)
    np.testing.assert_allclose(result.quantiles([0.1, 0.9]), np.quantile(kept, [0.1, 0.9], axis=0))
    single = estimate(4.0, 60, samples=5000, rng=1, method="plain", keep_samples=True)
    density, edges = single.histogram(20)
    assert np.sum(density * np.diff(edges)) == pytest.approx(1.0)
    located = estimate(
        4.0, 60, "normal:loc=2,scale=0.5", samples=5000, rng=1, method="plain", keep_samples=True
    )
    np.testing.assert_allclose(located.log_partition_samples.mean(), located.log_partition.mean, rtol=1e-12)


def test_arithmetic_and_general_grids_give_the_same_estimates():
    even = np.linspace(0.5, 10.0, 20)
    a = estimate(even, 64, samples=512, rng=1, method="plain", precision="double")
    b = estimate(np.append(even, 7.3333), 64, samples=512, rng=1, method="plain", precision="double")
    c = estimate(even[[0, 3, 4, 11]], 64, samples=512, rng=1, method="plain", precision="double")
    np.testing.assert_allclose(b.entropy.mean[:-1], a.entropy.mean, rtol=1e-12)
    np.testing.assert_allclose(c.entropy.mean, a.entropy.mean[[0, 3, 4, 11]], rtol=1e-11)


def test_shapes_and_texts():
    scalar = estimate(5.0, 128, samples=1000, rng=1)
    assert isinstance(scalar.log_partition.mean, float)
    assert isinstance(scalar.entropy.standard_error, float)
    assert scalar.loss is None
    grid = estimate(np.ones((2, 3)), 128, beta_star=np.array([[1.0], [2.0]]), samples=1000, rng=1)
    assert grid.free_energy.mean.shape == (2, 3) == grid.loss.mean.shape
    outer = estimate(
        np.array([1.0, 2.0]), 128, beta_star=np.array([[3.0], [4.0], [5.0]]), samples=1000, rng=1
    )
    assert outer.loss_gradient.mean.shape == (3, 2)
    assert outer.entropy.mean.shape == (2,)
    data = outer.to_xarray()
    assert data.loss.shape == (3, 2)
    assert data.attrs["seed"] == "1"
    assert repr(Estimate(13.50571, 0.00123, 0.0, 10)) == "13.5057 ± 0.0012"
    assert repr(Estimate(13.5, 0.0, 0.0, 10)) == "13.5 ± 0"
    assert repr(Estimate(1234.5, 21.0, 0.0, 10)) == "1234 ± 21"
    assert "log_partition" in repr(scalar)
    assert "1000 samples" in repr(scalar)
    assert grid.loss.variance.shape == (2, 3)


def test_infinite_temperature_and_a_single_energy_are_exact():
    result = estimate([0.0, 1.0], 7, samples=100, rng=1)
    assert result.log_partition.mean[0] == pytest.approx(np.log(7), rel=1e-15)
    assert result.log_partition.standard_error[0] == 0.0
    assert result.free_energy.mean[0] == -np.inf
    single = estimate([0.0, 1.0], 1, samples=1000, rng=1)
    assert np.all(single.entropy.mean == 0.0)
    assert single.free_energy.mean[0] == pytest.approx(single.internal_energy.mean[0])


def bad_shape(rng, size):
    return rng.normal(size=size[0])


def with_nan(rng, size):
    values = rng.normal(size=size)
    values[3, 1] = np.nan
    return values


def as_text(rng, size):
    return np.full(size, "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": -1.0}, "beta: must be >= 0, got -1"),
        ({"beta": np.nan}, "beta: must not contain NaN"),
        ({"n": 0}, "n: must be whole numbers"),
        ({"n": [10, 20]}, "n: must be one number"),
        ({"beta_star": np.inf}, "beta_star: must be finite"),
        ({"beta": [1.0, 2.0], "beta_star": [1.0, 2.0, 3.0]}, "beta, beta_star: must broadcast"),
        ({"samples": 1}, "samples: must be a whole number >= 2, got 1"),
        ({"samples": 10.5}, "samples: must be a whole number"),
        ({"samples": 10, "rtol": 0.1}, "samples: excludes rtol and atol"),
        ({"rtol": 0.0}, "rtol: must be a finite positive"),
        ({"atol": -1.0}, "atol: must be a finite positive"),
        ({"method": "magic"}, "method: must be one of auto, plain"),
        ({"precision": "half"}, "precision: must be one of single, double"),
        ({"rng": -3}, "rng: must be None"),
        ({"rng": "seed"}, "rng: must be None"),
        ({"energies": "cauchy"}, "energies: must have a finite mean"),
        ({"energies": "t:df=1.5"}, "energies: must have a finite variance"),
        ({"energies": {0.0: 1.0}, "method": "qmc"}, "method: qmc needs independent energies"),
        (
            {"energies": bad_shape},
            r"energies: the sampler must return an array of shape \(\d+, 9\), got shape",
        ),
        ({"energies": with_nan}, "energies: the sampler must return finite energies, got nan in sample 3"),
        ({"energies": as_text}, "energies: the sampler must return real numbers"),
        ({"energies": bad_shape, "method": "qmc"}, "method: must be plain for energies from a function"),
        (
            {"method": "qmc", "samples": 150003},
            "samples: must be 64 to 1024 times a power of two.*take 131072",
        ),
        ({"method": "qmc", "samples": 20}, "samples: must be at least 128"),
        ({"keep_samples": True, "method": "qmc"}, "keep_samples: needs the plain method"),
        ({"keep_samples": True, "rtol": 0.1}, "keep_samples: needs a fixed number"),
        ({"keep_samples": True, "samples": 10**8}, "keep_samples: may keep at most"),
        ({"checkpoint": "/nowhere/at/all.npz"}, "checkpoint: must lie in an existing folder"),
    ],
)
def test_bad_input_gets_one_line(arguments, message):
    call = {"beta": 1.0, "n": 9, "samples": None, "rng": 0} | arguments
    with pytest.raises(ValueError, match=message) as caught:
        estimate(call.pop("beta"), call.pop("n"), call.pop("energies", None), **call)
    assert "\n" not in str(caught.value)


def test_bad_logits_get_one_line(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones((3, 3)), b=np.ones(2))
    (tmp_path / "text.npy").write_text("not an array")
    with pytest.raises(ValueError, match="logits: must be a file with one array"):
        estimate_from_logits(tmp_path / "two.npz")
    with pytest.raises(ValueError, match="logits: must name a readable"):
        estimate_from_logits(tmp_path / "text.npy")
    with pytest.raises(ValueError, match="logits: must name a readable"):
        estimate_from_logits(tmp_path / "absent.npy")
    with pytest.raises(ValueError, match=r"logits: must be a real array of shape \(samples >= 2, n\)"):
        estimate_from_logits(np.ones(4))
    y = np.ones((5, 4))
    y[2, 1] = np.inf
    with pytest.raises(ValueError, match=r"logits: must be finite.*inf in row 2"):
        estimate_from_logits(y)
    y[2] = -np.inf
    with pytest.raises(ValueError, match=r"logits: must be finite.*-inf in row 2"):
        estimate_from_logits(y)


def test_importing_does_not_load_the_compiler():
    code = "import sys, peakedtheory.sampling.montecarlo, peakedtheory.sampling.expansion_fits; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rounding_is_within_its_bound():
    """The same logits in both precisions: what single precision adds stays below the bias bound."""
    y = np.random.default_rng(0).normal(size=(3000, 300)).astype(np.float32).astype(float)
    for beta in (np.array([0.1, 1.0, 3.0, 10.0, 1000.0]), np.linspace(0.0, 20.0, 41)):
        double, single = (
            estimate_from_logits(y, beta, beta_star=5.0, precision=precision)
            for precision in ("double", "single")
        )
        for name, one in single.estimates().items():
            exact = np.atleast_1d(double.estimates()[name].mean)
            finite = np.isfinite(exact)
            added = np.abs(np.atleast_1d(one.mean)[finite] - exact[finite])
            bound = np.atleast_1d(one.bias_bound)[finite]
            assert np.all(added <= bound), name


def test_bounds_scale_with_the_energies():
    result = estimate([1.0, 3.0], 500, samples=4096, rng=1, beta_star=2.0)
    wide = estimate([0.1, 0.3], 500, "normal:loc=4,scale=10", samples=4096, rng=1, beta_star=0.2)
    np.testing.assert_allclose(
        wide.internal_energy.mean, 4.0 + 10.0 * result.internal_energy.mean, rtol=1e-12
    )
    np.testing.assert_allclose(
        wide.internal_energy.bias_bound, 10.0 * result.internal_energy.bias_bound, rtol=1e-9
    )
    np.testing.assert_allclose(wide.loss.mean, result.loss.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(wide.loss_gradient.mean, 10.0 * result.loss_gradient.mean, rtol=1e-9)
