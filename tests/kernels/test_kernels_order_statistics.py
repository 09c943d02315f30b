"""The order-statistics kernel against twins in mpmath and NumPy, exact averages, and its own bias bound."""

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

from peakedtheory import thermodynamics
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.kernels.order_statistics import order_statistics
from peakedtheory.sampling.qmc import favour_ends, scramblings, sobol_exponentials
from peakedtheory.sampling.tails import LN2, order_statistics_tables

LN_Z, MEAN, VARIANCE, SQUARES = range(4)


def run_all(tables, exponentials, *, arithmetic=False, cuts=()):
    """All that the kernel computes, samples first: out, out_max, out_bound, out_variance."""
    shape = (tables.beta.size, 4, exponentials.shape[0])
    out, out_max, out_bound = np.empty(shape), np.empty(shape[2]), np.empty(shape)
    out_variance = np.empty((shape[0], shape[2]))
    for start, stop in pairwise((0, *cuts, len(exponentials))):
        order_statistics(
            start,
            stop,
            exponentials,
            tables.rates,
            tables.quantile.coefficients,
            tables.quantile.range,
            tables.beta,
            arithmetic,
            float(tables.n - tables.k),
            tables.rest.polynomials,
            tables.rest.range,
            out,
            out_max,
            out_bound,
            out_variance,
        )
    return np.moveaxis(out, -1, 0), out_max, np.moveaxis(out_bound, -1, 0), out_variance.T


def run(tables, exponentials):
    return run_all(tables, exponentials)[:3]


def draw(tables, samples, seed):
    return np.random.default_rng(seed).exponential(size=(samples, tables.k))


def top_energies(tables, exponentials):
    """x = -ε of standard normal energies, sorted downwards, from the same exponentials."""
    hazard = np.cumsum(exponentials / (tables.n - np.arange(tables.k)), axis=-1)
    return np.where(
        hazard < LN2, -special.ndtri(-np.expm1(-hazard)), special.ndtri(np.exp(-np.maximum(hazard, LN2)))
    )


def expansion(x, n, beta):
    """ln W - v/(2W²) + κ/(3W³) - 3v²/(4W⁴) and <Σp²> to the same order, with mpmath, for normal energies."""
    rest = n - len(x)
    last = x[-1]

    def moment(b):
        return mp.exp(b * b / 2) * mp.ncdf(last - b) / mp.ncdf(last)

    m1, m2, m3, m4 = (moment(r * beta) for r in (1, 2, 3, 4))
    w = mp.fsum(mp.exp(beta * v) for v in x) + rest * m1
    v = rest * (m2 - m1**2) / w**2
    third = rest * (m3 - 3 * m1 * m2 + 2 * m1**3) / w**3
    log_z = mp.log(w) - v / 2 + third / 3 - 3 * v**2 / 4
    numerator = (mp.fsum(mp.exp(2 * beta * u) for u in x) + rest * m2) / w**2
    # joint cumulants of a = e^{2βx} with b = e^{βx} once and twice, from <a b^j> = m_{2+j}
    once = rest * (m3 - m2 * m1) / w**3
    twice = rest * (m4 - 2 * m1 * m3 - m2 * m2 + 2 * m1**2 * m2) / w**4
    squares = numerator * (1 + 3 * v - 4 * third + 15 * v**2) - 2 * once + 3 * twice - 12 * once * v
    return log_z, squares


@pytest.mark.parametrize("n", [65, 128, 50304, 10**12])
def test_one_sample_agrees_with_its_twin(n):
    beta = np.array([0.1, 1.0, 3.0, 7.0, 30.0])
    tables = order_statistics_tables(beta, n)
    exponentials = draw(tables, 3, n)
    out, out_max, _ = run(tables, exponentials)
    x = top_energies(tables, exponentials)
    np.testing.assert_allclose(out_max, x[:, 0], rtol=1e-13)
    with mp.workdps(40):
        for i in range(3):
            top = [mp.mpf(float(v)) for v in x[i]]
            for b, value in enumerate(beta):
                value = mp.mpf(float(value))
                log_z, squares = expansion(top, n, value)
                mean = mp.diff(lambda t, top=top: expansion(top, n, t)[0], value)
                variance = mp.diff(lambda t, top=top: expansion(top, n, t)[0], value, 2)
                twin = np.array([float(q) for q in (log_z, mean, variance, squares)])
                np.testing.assert_allclose(out[i, b], twin, rtol=1e-10, atol=3e-12)


def test_arithmetic_and_general_grids_agree():
    tables = order_statistics_tables(np.linspace(0.3, 20, 21), 4096)
    exponentials = draw(tables, 200, 5)
    general, even = run_all(tables, exponentials), run_all(tables, exponentials, arithmetic=True)
    for a, b in zip(general, even, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 64])
def test_few_energies_are_summed_exactly(n):
    beta = np.array([0.0, 0.5, 3.0, 100.0, 1e4])
    tables = order_statistics_tables(beta, n)
    exponentials = draw(tables, 70, n)
    out, _, bound = run(tables, exponentials)
    x = top_energies(tables, exponentials)
    y = beta[:, None] * x[:, None, :]
    log_z = special.logsumexp(y, axis=-1)
    p = np.exp(y - log_z[..., None])
    mean = np.sum(p * x[:, None, :], axis=-1)
    # an x near zero is rounded as the numbers near one that it comes from, and enters times β
    assert np.all(abs(out[..., LN_Z] - log_z) <= 1e-12 * (1 + abs(log_z)) + 1e-15 * beta)
    np.testing.assert_allclose(out[..., MEAN], mean, rtol=1e-12, atol=1e-12)
    variance = np.sum(p * (x[:, None, :] - mean[..., None]) ** 2, axis=-1)
    np.testing.assert_allclose(out[..., VARIANCE], variance, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(out[..., SQUARES], np.sum(p * p, axis=-1), rtol=1e-11)
    assert np.all(bound == 0.0)


@pytest.mark.parametrize("n", [20, 40, 300])
def test_spacings_reproduce_sorted_samples(n):
    """The three largest of n, and the least sampled one, have the distribution of sorted draws."""
    tables = order_statistics_tables(np.array([1.0]), n)
    x = top_energies(tables, draw(tables, 4000, 11))
    plain = np.sort(np.random.default_rng(12).normal(size=(4000, n)), axis=1)[:, ::-1]
    for j in (0, 1, 2, tables.k - 1):
        assert stats.ks_2samp(x[:, j], plain[:, j]).pvalue > 1e-3
    # and so have their gaps, which the marginal distributions do not fix
    assert stats.ks_2samp(x[:, 0] - x[:, 1], plain[:, 0] - plain[:, 1]).pvalue > 1e-3
    _, out_max, _ = run(tables, draw(tables, 4000, 11))
    np.testing.assert_allclose(out_max, x[:, 0], rtol=1e-12, atol=1e-13)


def test_huge_numbers_of_energies_and_huge_beta_stay_finite():
    beta = np.array([0.0, 1e-3, 1.0, 7.0, 1e4])
    for n in (10**6, 10**12, 10**15):
        tables = order_statistics_tables(beta, n)
        out, out_max, bound = run(tables, draw(tables, 500, 1))
        assert np.isfinite(out).all()
        assert np.isfinite(bound).all()
        assert np.all(out[..., LN_Z] >= beta * out_max[:, None] - 1e-9)
        np.testing.assert_array_max_ulp(out[:, 0, LN_Z], np.full(500, np.log(n)), maxulp=4)
        np.testing.assert_allclose(out[:, 0, SQUARES], 1.0 / n, rtol=1e-12)


@pytest.mark.parametrize("n", [10, 65, 50304])
def test_infinite_temperature_is_exact(n):
    tables = order_statistics_tables(np.array([0.0]), n)
    out, _, _ = run(tables, draw(tables, 100, 2))
    np.testing.assert_array_max_ulp(out[:, 0, LN_Z], np.full(100, np.log(n)), maxulp=4)


def test_extreme_coordinates_are_held_within_the_tables():
    tables = order_statistics_tables(np.array([1.0, 50.0]), 50304)
    exponentials = np.ones((3, 16))
    exponentials[0], exponentials[1, 0], exponentials[2, -1] = 0.0, 2.0**-60, 40.0
    out, out_max, bound = run(tables, exponentials)
    assert all(np.isfinite(values).all() for values in (out, out_max, bound))


@pytest.mark.parametrize("arithmetic", [False, True])
def test_bits_do_not_depend_on_the_ranges(arithmetic):
    tables = order_statistics_tables(np.linspace(0.5, 20, 7), 50304)
    exponentials = draw(tables, 1000, 3)
    whole = run_all(tables, exponentials, arithmetic=arithmetic)
    cuts = [0, 1, 64, 100, 613, 1000]
    cut = run_all(tables, exponentials, arithmetic=arithmetic, cuts=cuts[1:-1])
    parts = [run_all(tables, exponentials[a:b], arithmetic=arithmetic) for a, b in pairwise(cuts)]
    for q in range(4):
        assert np.array_equal(whole[q], cut[q])
        assert np.array_equal(whole[q], np.concatenate([part[q] for part in parts]))


def test_results_do_not_depend_on_the_optional_outputs():
    tables = order_statistics_tables(np.array([0.5, 5.0]), 50304)
    exponentials = draw(tables, 70, 3)
    out, out_max = np.empty((2, 4, 70)), np.empty(70)
    order_statistics(
        0,
        len(exponentials),
        exponentials,
        tables.rates,
        tables.quantile.coefficients,
        tables.quantile.range,
        tables.beta,
        False,
        float(tables.n - tables.k),
        tables.rest.polynomials,
        tables.rest.range,
        out,
        out_max,
        np.empty((0, 0, 0)),
        np.empty((0, 0)),
    )
    full = run(tables, exponentials)
    assert np.array_equal(np.moveaxis(out, -1, 0), full[0])
    assert np.array_equal(out_max, full[1])


def test_the_variance_of_the_rest_completes_that_of_ln_z():
    """Where the rest carries a third of the variance, against plain sampling of all energies."""
    n, beta = 65, 0.1
    tables = order_statistics_tables(np.array([beta]), n)
    out, _, _, variance = run_all(tables, draw(tables, 40_000, 9))
    plain = special.logsumexp(beta * np.random.default_rng(10).normal(size=(40_000, n)), axis=1)
    seen = out[:, 0, LN_Z].var()
    # the standard error of a ratio of variances of 40,000 near-normal values each is 1 %
    assert abs((seen + variance[:, 0].mean()) / plain.var() - 1) < 0.04
    assert seen / plain.var() < 0.9


def conditional_averages(x, n, beta):
    """<ln Z | top k> and <Σp² | top k> of normal energies without any expansion, as integrals over s.

    <ln Z> - βx_1 = ∫ds [exp(-e^s) - <exp(-e^s Z)>] and <N/Z²> = ∫ds e^{2s} <N exp(-e^s Z)>, Z and N from x_1.
    """
    start = -special.log_ndtr(x[-1])
    finest = start / max(1.0, 8.0 * beta)
    edges = np.concatenate(([0.0], np.geomspace(finest, 60.0, 60)))
    nodes, weights = special.roots_legendre(12)
    h = (edges[:-1, None] + 0.5 * np.diff(edges)[:, None] * (1 + nodes)).ravel()
    weights = (0.5 * np.diff(edges)[:, None] * weights).ravel() * np.exp(-h)
    hazard = start + h
    rest = np.where(
        hazard < LN2, -special.ndtri(-np.expm1(-hazard)), special.ndtri(np.exp(-np.maximum(hazard, LN2)))
    )
    step = 0.2
    s = np.arange(-60.0, 6.0, step)
    items, t = n - x.size, np.exp(s)
    term = np.exp(s[:, None] + beta * (rest - x[0]))
    log_phi = np.log1p(-np.minimum(-np.expm1(-term) @ weights, 1.0 - 1e-16))
    top = np.exp(beta * (x - x[0]))
    survived = np.exp(-t * top.sum() + items * log_phi)
    # e^{2s} N, over the top and over one of the rest, which leaves n - k - 1 others
    squares = t**2 * np.sum(top**2) + items * np.exp(-log_phi) * ((term**2 * np.exp(-term)) @ weights)
    return beta * x[0] + step * np.sum(np.exp(-t) - survived), step * np.sum(squares * survived)


@pytest.mark.parametrize("n", [65, 128, 50304, 10**9])
@pytest.mark.parametrize("beta", [0.2, 1.0, 2.0, 3.0, 5.0, 10.0])
def test_what_the_expansion_neglects_stays_below_its_bound(n, beta):
    """For each sample on its own, so that no average hides it; <x> and Var x by differences in β."""
    step = 0.02 * min(1.0, beta)
    tables = order_statistics_tables(np.array([beta]), n)
    exponentials = draw(tables, 4, 7)
    out, _, bound = run(tables, exponentials)
    x = top_energies(tables, exponentials)
    for i in range(4):
        values = np.array([conditional_averages(x[i], n, beta + j * step) for j in range(-3, 4)])
        mean = np.dot([-1, 9, -45, 0, 45, -9, 1], values[:, 0]) / (60 * step)
        variance = np.dot([2, -27, 270, -490, 270, -27, 2], values[:, 0]) / (180 * step**2)
        exact = np.array([values[3, 0], mean, variance, values[3, 1]])
        rounding = np.array([3e-12, 2e-9, 1e-13 * (1 + abs(values[3, 0])) / step**2 + 1e-8, 1e-12])
        assert np.all(np.abs(out[i, 0] - exact) <= bound[i, 0] + rounding)
    # the bound is of use: it stays below 1e-6 everywhere, and below 1e-7 on average
    assert bound[:, 0, LN_Z].max() < 1e-6
    assert bound[:, 0, LN_Z].mean() < 1e-7


BETAS = np.array([0.1, 1.0, 2.594, 10.0, 100.0])


def _truth(n, distribution, beta):
    exact = thermodynamics(beta, n, distribution)
    return np.stack((exact.log_partition, -exact.internal_energy, exact.energy_variance))


def _coverage(z):
    """Fractions of standardised errors within 1, 2 and 3."""
    return [float(np.mean(np.abs(z) < level)) for level in (1, 2, 3)]


@pytest.mark.parametrize(
    ("distribution", "n", "samples", "beta"),
    [
        (STANDARD_NORMAL, 128, 1000, BETAS),
        (STANDARD_NORMAL, 50304, 1000, BETAS),
        (stats.logistic(), 1000, 1000, np.array([0.1, 0.4])),
        (stats.expon(), 1000, 1000, np.array([1.0, 30.0, 1000.0])),
        # x_1 has a skewness of 3 to 6, and means of 1000 are not yet normal. At β = 0.1 one sample in ten
        # thousand decides <x>_p (skewness 200): no number of samples within reach has an honest error there.
        (stats.t(5), 1000, 8000, np.array([1.0, 10.0])),
    ],
    ids=["normal-128", "normal-50304", "logistic", "exponential", "student"],
)
def test_random_draws_cover_the_exact_value(distribution, n, samples, beta):
    """Over 200 seeds, deviations in standard errors are those of a normal variable."""
    tables = order_statistics_tables(beta, n, distribution)
    truth = _truth(n, distribution, beta)[:2].T
    means, variances = np.empty((2, 200, beta.size, 2))
    for seed in range(200):
        out, _, _ = run(tables, draw(tables, samples, (5, seed)))
        means[seed] = out[..., :2].mean(axis=0)
        variances[seed] = out[..., :2].var(axis=0, ddof=1)
    z = (means - truth) / np.sqrt(variances / samples)
    for b in range(beta.size):
        for q in range(2):
            one, two, three = _coverage(z[:, b, q])
            # four standard deviations of a binomial frequency at 200 trials
            assert 0.683 - 0.132 <= one <= 0.683 + 0.132
            assert two >= 0.954 - 0.060
            assert three >= 0.997 - 0.016
    # all seeds together show biases that single ones hide
    error = np.sqrt(variances.mean(axis=0) / (200 * samples))
    assert np.all(np.abs(means.mean(axis=0) - truth) < 4 * error)


@pytest.mark.parametrize(
    ("distribution", "n", "beta", "points", "seeds"),
    [
        (STANDARD_NORMAL, 128, BETAS, 128, 120),
        (STANDARD_NORMAL, 50304, BETAS, 128, 120),
        pytest.param(STANDARD_NORMAL, 40, BETAS, 1024, 1000, marks=pytest.mark.nightly),
        pytest.param(STANDARD_NORMAL, 10**9, BETAS, 1024, 1000, marks=pytest.mark.nightly),
        pytest.param(stats.logistic(), 1000, np.array([0.1, 0.4]), 1024, 1000, marks=pytest.mark.nightly),
        pytest.param(
            stats.expon(), 1000, np.array([1.0, 30.0, 1000.0]), 1024, 1000, marks=pytest.mark.nightly
        ),
        pytest.param(
            stats.uniform(), 1000, np.array([1.0, 30.0, 1000.0]), 1024, 1000, marks=pytest.mark.nightly
        ),
    ],
)
def test_scramblings_cover_the_exact_value(distribution, n, beta, points, seeds):
    """8 scramblings for each seed, against Student's t with 7 degrees of freedom."""
    tables = order_statistics_tables(beta, n, distribution)
    truth = _truth(n, distribution, beta)
    z = []
    for seed in range(seeds):
        parts = scramblings(np.random.SeedSequence(seed), 8)
        spacings = np.concatenate([next(sobol_exponentials(points, tables.k, s)) for s in parts])
        weights = favour_ends(spacings[:, 0])[:, None, None]
        excess = weights * (run(tables, spacings)[0][..., :3] - truth.T)
        means = np.swapaxes(excess.reshape(8, points, beta.size, 3).mean(axis=1), 1, 2)
        z.append(means.mean(axis=0) / (means.std(axis=0, ddof=1) / np.sqrt(8)))
    for level in (1.0, 2.0, 3.0):
        expected = 1 - 2 * stats.t(7).sf(level)
        width = 4 * np.sqrt(expected * (1 - expected) / seeds)
        covered = np.mean(np.abs(z) < level, axis=0)
        assert np.all(covered >= expected - width)
        assert np.all(covered <= expected + width)


def test_a_wrong_distribution_is_found_out():
    """Logistic energies scaled to unit variance, taken for normal ones, miss the exact value by far."""
    beta = np.array([1.0])
    tables = order_statistics_tables(beta, 1000, stats.logistic(scale=np.sqrt(3) / np.pi))
    out, _, _ = run(tables, draw(tables, 20_000, 5))
    error = out[:, 0, LN_Z].std() / np.sqrt(20_000)
    assert abs(out[:, 0, LN_Z].mean() - thermodynamics(1.0, 1000).log_partition) > 10 * error
    exact = thermodynamics(beta, 1000, stats.logistic(scale=np.sqrt(3) / np.pi)).log_partition[0]
    assert abs(out[:, 0, LN_Z].mean() - exact) < 4 * error


def test_scramblings_reduce_the_variance_a_thousandfold():
    tables = order_statistics_tables(np.array([1.0, 5.0]), 128)
    plain = run(tables, draw(tables, 4096, 1))[0][..., LN_Z].var(axis=0, ddof=1) / 4096
    means = [
        run(tables, next(sobol_exponentials(4096, 16, s)))[0][..., LN_Z].mean(axis=0)
        for s in scramblings(np.random.SeedSequence(2), 24)
    ]
    assert np.all(np.var(means, axis=0, ddof=1) < plain / 1000)
