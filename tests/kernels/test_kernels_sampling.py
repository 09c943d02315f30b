"""Plain sampling, given logits, other sources and misaligned students against their NumPy twins."""

from itertools import pairwise

import naive_kernels as naive
import numpy as np
import pytest
from numba import njit
from scipy import stats

from peakedtheory.kernels.misaligned import sample_misaligned
from peakedtheory.kernels.sampling import PANEL, SMALL, sample_moments
from peakedtheory.kernels.sources import make_sampler, resample

U = np.uint64
KEY = 0xFEDCBA9876543210
ARITHMETIC = np.linspace(0.0, 24.0, 97)
GENERAL = np.array([0.0, 0.1, 1.0, 3.0, 7.0, 20.0, 100.0, 1e3, 1e4])
WIDE = np.linspace(0.0, 1e4, 5)
SINGLE, DOUBLE = np.float32, np.float64


def outputs(
    n,
    betas,
    count,
    dtype=SINGLE,
    arithmetic=False,
    *,
    first=0,
    width=0,
    table=None,
    per_unit=1.0,
    given=None,
    cuts=(),
    key=KEY,
    stream=5,
):
    table = np.empty((0, 6), dtype) if table is None else np.ascontiguousarray(table, dtype)
    given = np.empty((0, 0), dtype) if given is None else given
    out, top = np.full((len(betas), 4, count), np.nan), np.full(count, np.nan)
    for start, stop in pairwise((0, *cuts, count)):
        sample_moments(
            U(key),
            U(stream),
            U(first),
            start,
            stop,
            n,
            np.ascontiguousarray(betas, float),
            arithmetic,
            width,
            table,
            per_unit,
            given,
            out,
            top,
        )
    return np.moveaxis(out, -1, 0), top


def assert_moments(got, top, x, betas, dtype):
    """The stated errors: of order 1e-6 in single, 1e-13 in double precision, for logits x."""
    expected = naive.moments(x, betas)
    betas = np.asarray(betas)
    unit = 1e-6 if dtype is SINGLE else 2e-13
    # a normal deviate itself is rounded: x errs by 1e-6 at most against the float64 twin
    shift = 1e-6 if dtype is SINGLE else 4e-15
    assert abs(top - x.max()) <= shift
    assert np.all(np.abs(got[:, 0] - expected[:, 0]) <= unit + shift * betas)
    # a weight changes by beta * shift, the moments by that times the spread they measure
    spread = shift * betas * np.sqrt(expected[:, 2]) * 4
    assert np.all(np.abs(got[:, 1] - expected[:, 1]) <= 3 * unit + spread)
    assert np.all(np.abs(got[:, 2] - expected[:, 2]) <= 2e1 * unit + 4 * spread)
    assert np.all(np.abs(got[:, 3] / expected[:, 3] - 1) <= 4 * unit + spread * betas)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("n", [1, 2, 3, 130, SMALL + 3])
@pytest.mark.parametrize(
    ("betas", "arithmetic"), [(ARITHMETIC, True), (GENERAL, False), (WIDE, True), (np.array([2.5]), True)]
)
def test_moments_equal_the_twin(n, betas, arithmetic, dtype):
    out, top = outputs(n, betas, 3, dtype, arithmetic, first=2**33)
    assert np.all(np.isfinite(out))
    for s in range(3 if n < SMALL else 1):
        x = naive.normals(KEY, 5, 2**33 + s, n, dtype is DOUBLE)
        assert_moments(out[s], top[s], x, betas, dtype)


def test_limits():
    for dtype in (SINGLE, DOUBLE):
        for n in (1, 2, 100):
            out, top = outputs(n, GENERAL, 70, dtype)
            eps = np.finfo(dtype).eps
            assert np.allclose(out[:, 0, 0], np.log(n), rtol=4 * eps, atol=4 * eps)
            assert np.allclose(out[:, 0, 3], 1 / n, rtol=16 * eps)
            assert np.all(out[:, :, 2] >= 0.0)
            assert np.all(out[:, :, 1] <= top[:, None])
        out, top = outputs(1, GENERAL, 70, dtype)
        assert np.all(out[:, :, 1] == top[:, None])
        assert np.all(out[:, :, 2] == 0.0)


@pytest.mark.parametrize("n", [100, SMALL + 500])
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
def test_bits_depend_on_the_sample_alone(n, dtype):
    whole, tops = outputs(n, ARITHMETIC, 150, dtype, True)
    for cuts in ((64,), (128, 129), tuple(range(1, 150, 13))):
        again, tops_again = outputs(n, ARITHMETIC, 150, dtype, True, cuts=cuts)
        assert np.array_equal(whole, again)
        assert np.array_equal(tops, tops_again)
    start = 0
    for size in (1, 63, 7, 79):
        part, top = outputs(n, ARITHMETIC, size, dtype, True, first=start)
        assert np.array_equal(part, whole[start : start + size])
        assert np.array_equal(top, tops[start : start + size])
        start += size
    for other in (
        outputs(n, ARITHMETIC, 2, dtype, True, key=1),
        outputs(n, ARITHMETIC, 2, dtype, True, stream=6),
    ):
        assert not np.any(other[1] == tops[:2])


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("n", [5, 1000, SMALL + 77, 64 * PANEL + 4097])
def test_given_logits(n, dtype):
    rng = np.random.default_rng(n)
    x = rng.gumbel(size=(3, n)).astype(dtype)
    x[1, ::3] = -np.inf
    x[1, 1] = 4.0
    for betas, arithmetic in ((ARITHMETIC[::12], True), (GENERAL, False)):
        out, top = outputs(n, betas, 3, dtype, arithmetic, given=x)
        for s in range(3):
            seen = x[s][np.isfinite(x[s])].astype(float)
            assert_moments(out[s], top[s], seen, betas, dtype)


def test_panels_merge_when_the_maximum_rises():
    n = 128 * PANEL
    x = np.sort(np.random.default_rng(0).standard_normal((1, n)), axis=1)
    out, top = outputs(n, GENERAL, 1, DOUBLE, given=x)
    assert_moments(out[0], top[0], x[0], GENERAL, DOUBLE)


def test_table_of_a_distribution():
    per_unit, cells = 32, 1024
    knots = (np.arange(cells)[:, None] - cells // 2 + np.linspace(0, 1, 6)) / per_unit

    def transform(z):
        return np.sinh(z / 3.0) + 0.1 * z

    powers = np.linspace(0, 1, 6)[:, None] ** np.arange(6)
    table = np.linalg.solve(powers, transform(knots).T).T
    for dtype, n in ((SINGLE, 300), (DOUBLE, 300), (DOUBLE, SMALL + 10)):
        out, top = outputs(n, GENERAL, 2, dtype, table=table, per_unit=float(per_unit))
        x = transform(naive.normals(KEY, 5, 1, n, dtype is DOUBLE))
        assert_moments(out[1], top[1], x, GENERAL, dtype)


@pytest.mark.parametrize("width", [1, 2, 7, 32])
@pytest.mark.parametrize("n", [20, SMALL + 20])
def test_teacher_of_finite_width(n, width):
    out, top = outputs(n, GENERAL[:6], 2, DOUBLE, width=width)
    draws = naive.normals(KEY, 5, 1, width, double=True, first_block=0xC0000000)
    x = naive.normals(KEY, 5, 1, n, double=True) * np.sqrt((draws**2).sum() / width)
    assert_moments(out[1], top[1], x, GENERAL[:6], DOUBLE)


def test_scales_follow_the_chi_distribution():
    _, top = outputs(1, [1.0], 20_000, DOUBLE, width=3)
    _, bare = outputs(1, [1.0], 20_000, DOUBLE)
    assert stats.kstest((top / bare) * np.sqrt(3), stats.chi(3).cdf).pvalue > 1e-3


def test_gaussian_averages_are_unbiased():
    # n = 2: <max> = 1/sqrt(pi); Var ln Z and <ln Z> at beta = 0 are 0 and ln 2
    out, top = outputs(2, [0.0, 1.0], 200_000)
    assert abs(top.mean() - 1 / np.sqrt(np.pi)) < 4 * top.std() / np.sqrt(top.size)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    # ln(e^a + e^b) with (a - b) / sqrt(2) standard normal and <a + b> = 0
    exact = weights @ np.log(2 * np.cosh(nodes / np.sqrt(2)))
    sample = out[:, 1, 0]
    assert abs(sample.mean() - exact) < 4 * sample.std() / np.sqrt(sample.size)


def test_user_function_and_resampling():
    @njit
    def energy(u):
        return -(np.log(u) ** 2)

    fill = make_sampler(energy)
    for dtype in (SINGLE, DOUBLE):
        x = np.empty((3, 7), dtype)
        fill(U(KEY), U(2), U(10), 0, 1, x)
        fill(U(KEY), U(2), U(10), 1, len(x), x)
        u = naive.uniforms(KEY, 2, 11, 7)
        assert np.allclose(x[1], np.log(u) ** 2, rtol=1e-6 if dtype is SINGLE else 1e-13)
        pool = np.arange(10.0) ** 2
        resample(U(KEY), U(2), U(10), 0, len(x), pool, x)
        assert np.array_equal(x[1], -pool[(u * 10).astype(int)])


TRIPLES = np.array([[1.0, 0.5, 3.0], [0.0, 0.0, 2.0], [3.0, 0.0, 3.0], [20.0, 1.0, 1e4], [-1.0, 2.0, 0.0]])


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("n", [1, 2, 130, SMALL + 3])
def test_misaligned_students_equal_the_twin(n, dtype):
    def run(count, first, *cuts):
        out = np.full((count, len(TRIPLES), 6), np.nan)
        for start, stop in pairwise((0, *cuts, count)):
            sample_misaligned(U(KEY), U(8), U(first), start, stop, n, TRIPLES, np.empty(0, dtype), out)
        return out

    out = run(70, 0)
    assert np.array_equal(out, run(70, 0, 3, 64))
    assert np.array_equal(out[3:5], run(2, 3))
    double = dtype is DOUBLE
    each = 2 if double else 4
    # the second set of normals follows the padded rows of the first, in as many lanes as a sample has
    lanes = 1 if n <= SMALL else naive.LANES
    rows = -(-n // (each * lanes)) * each
    first_block = (rows + 3) // 4 * 4 // each * lanes
    z = naive.normals(KEY, 8, 3, n, double)
    w = naive.normals(KEY, 8, 3, n, double, first_block=first_block)
    unit = 1e-12 if double else 2e-5
    for got, (alignment, residual, beta_star) in zip(out[3], TRIPLES, strict=True):
        expected = naive.misaligned(z, w, alignment, residual, beta_star)
        assert np.allclose(got, expected, rtol=unit, atol=unit * 2)
