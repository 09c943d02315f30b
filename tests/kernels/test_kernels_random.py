"""The generator against published vectors and its twin; uniforms, normals and elementary functions."""

import mpmath
import naive_kernels as naive
import numpy as np
import pytest
from numba import njit
from scipy import stats

from peakedtheory.kernels import functions, random

U = np.uint64


@njit
def words_of(key, stream, samples, blocks):
    out = np.empty((samples.size, 4), np.uint64)
    for i in range(samples.size):
        out[i] = random.philox4x32(key, stream, samples[i], blocks[i])
    return out


@njit
def uniforms_of(key, samples):
    out = np.empty((samples, 2))
    for i in range(samples):
        out[i] = random.uniform_pair(key, U(3), U(i), U(5))
    return out


@njit
def uniform_of(high, low):
    return random.open_uniform(high, low)


@njit
def normals_of(key, samples):
    single = np.empty((samples, 4), np.float32)
    double = np.empty((samples, 2))
    for i in range(samples):
        a, b, c, d = random.philox4x32(key, U(0), U(i), U(0))
        single[i, 0], single[i, 1] = random.normals_single(a, b)
        single[i, 2], single[i, 3] = random.normals_single(c, d)
        double[i] = random.normals_double(a, b, c, d)
    return single, double


@njit
def extreme_normals(words):
    out = np.empty((words.size, 2))
    for i in range(words.size):
        out[i] = random.normals_double(words[i], words[i], U(0), U(0))
        out[i, 1] = random.normals_single(words[i], U(0))[0]
    return out


@njit
def elementary(x32, x64, word32, word64):
    single = np.empty((x32.size, 7), np.float32)
    double = np.empty((x64.size, 7))
    for i in range(x32.size):
        single[i, 0] = functions.exp2_single(-x32[i])
        single[i, 1] = functions.log_single(x32[i])
        single[i, 2], single[i, 3] = functions.cos_sin_single(word32[i])
        double[i, 0] = functions.exp2_double(-x64[i])
        double[i, 1] = functions.log_double(x64[i])
        double[i, 2], double[i, 3] = functions.cos_sin_double(word64[i])
        single[i, 4] = functions.exp2_product_single(np.float32(-3.0), x32[i])
        double[i, 4] = functions.exp2_product_double(-3.0, x64[i])
        double[i, 5], double[i, 6] = functions.log_and_inverse_double(x64[i])
    return single, double


# Known answers of Random123's kat_vectors: (counter words, key words, output words)
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_known_answers(counter, key, expected):
    key, sample = key[0] | key[1] << 32, counter[0] | counter[1] << 32
    assert naive.philox4x32(key, counter[3], sample, counter[2]) == expected
    got = words_of(U(key), U(counter[3]), np.array([sample], U), np.array([counter[2]], U))
    assert got[0].tolist() == expected


def test_philox_equals_its_twin():
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 2**64, 300, dtype=U)
    blocks = rng.integers(0, 2**32, 300, dtype=U)
    key, stream = 0x0123456789ABCDEF, 77
    got = words_of(U(key), U(stream), samples, blocks)
    expected = [naive.philox4x32(key, stream, int(s), int(b)) for s, b in zip(samples, blocks, strict=True)]
    assert got.tolist() == expected


def test_neighbouring_counters_share_nothing():
    n = 20_000
    grid = np.arange(n, dtype=U)
    zero = np.zeros(n, U)
    along_samples = words_of(U(9), U(0), grid, zero).ravel()
    along_blocks = words_of(U(9), U(0), zero, grid).ravel()
    for words in (along_samples, along_blocks):
        bits = (words[:, None] >> np.arange(32, dtype=U)) & U(1)
        sigma = 0.5 / np.sqrt(words.size)
        assert np.abs(bits.mean(axis=0) - 0.5).max() < 4.5 * sigma
        u = words / 2.0**32
        assert stats.kstest(u, "uniform").pvalue > 1e-3
        for lag in (1, 2, 3, 4, 8):
            correlation = np.corrcoef(u[:-lag], u[lag:])[0, 1]
            assert abs(correlation) < 4.5 / np.sqrt(u.size)
        counts = np.bincount((u[:-1] * 16).astype(int) * 16 + (u[1:] * 16).astype(int), minlength=256)
        chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        assert stats.chi2.sf(chi2, 255) > 1e-4


def test_uniforms_are_open_and_symmetric():
    ones = U(0xFFFFFFFF)
    assert uniform_of(U(0), U(0)) == 2.0**-53
    assert uniform_of(ones, ones) == 1.0 - 2.0**-53
    u = uniforms_of(U(4), 100_000)
    assert u.min() > 0.0
    assert u.max() < 1.0
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert uniforms_of(U(4), 3)[2].tolist() == [
        naive.open_uniform(a, b) for a, b in np.array(naive.philox4x32(4, 3, 2, 5)).reshape(2, 2).tolist()
    ]


@pytest.mark.parametrize("precision", [0, 1])
def test_normals_have_moments_and_tails(precision):
    z = normals_of(U(2024), 500_000)[precision].astype(float).ravel()
    assert stats.kstest(z[:200_000], "norm").pvalue > 1e-3
    for power in range(1, 9):
        mean = 0.0 if power % 2 else stats.norm.moment(power)
        error = np.sqrt((stats.norm.moment(2 * power) - mean**2) / z.size)
        assert abs((z**power).mean() - mean) < 4.5 * error
    for level in (2.0, 3.0, 4.0):
        expected = stats.norm.sf(level) * z.size
        for tail in (z > level, z < -level):
            assert abs(tail.sum() - expected) < 4.5 * np.sqrt(expected)
    pairs = z.reshape(-1, 2)
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 4.5 / np.sqrt(pairs.shape[0])
    assert abs(np.corrcoef(pairs.T**2)[0, 1]) < 4.5 / np.sqrt(pairs.shape[0])


def test_normals_equal_their_twins():
    single, double = normals_of(U(6), 200)
    for s in range(200):
        exact = naive.normals(6, 0, s, 4, double=False)
        assert np.abs(single[s] - exact).max() < 1e-6
        exact = naive.normals(6, 0, s, 2, double=True)
        assert np.abs(double[s] - exact).max() < 4e-15


def test_longest_normals():
    double, single = extreme_normals(np.array([0, 0xFFFFFFFF], U)).T
    assert double[0] == pytest.approx(np.sqrt(106 * np.log(2.0)), rel=1e-15)
    assert single[0] == pytest.approx(np.sqrt(66 * np.log(2.0)), rel=2e-7)
    assert double[1] >= 0.0
    assert single[1] >= 0.0


def single_survival(x, words=2**20):
    """P(z > x) of the single precision deviates: the smallest radius words singly, the rest as continuous."""
    k = np.arange(words)
    radius = np.sqrt(-2.0 * np.log((k + 0.5) / 2.0**32))
    arc = np.where(radius > x, np.arccos(np.minimum(x / radius, 1.0)), 0.0)
    return arc.sum() / np.pi / 2.0**32


def test_stated_tail_of_single_precision():
    for x, tolerance in ((5.0, 1e-5), (5.4, 1e-4), (6.1, 0.04)):
        assert abs(single_survival(x) / stats.norm.sf(x) - 1.0) < tolerance


def test_elementary_functions():
    rng = np.random.default_rng(3)
    x64 = np.concatenate(
        [rng.uniform(0.0, 60.0, 2000), rng.uniform(0.9, 1.1, 500), 2.0 ** -rng.uniform(0, 50, 500)]
    )
    x32 = x64.astype(np.float32)
    word64 = rng.integers(0, 2**64, x64.size, dtype=U)
    word32 = (word64 >> U(32)).astype(np.uint32)
    single, double = elementary(x32, x64, word32, word64)
    with mpmath.workdps(30):
        for i in range(0, x64.size, 7):
            for x, got, power_error, product_error, log_error in (
                (x32[i], single[i], 1.2e-7, 1.8e-7, 1.8e-7),
                (x64[i], double[i], 2.2e-16, 2.2e-16, 3.4e-16),
            ):
                power, log = mpmath.mpf(2) ** (-mpmath.mpf(float(x))), mpmath.log(float(x))
                assert abs(got[0] / power - 1) < power_error
                assert abs(got[1] - log) <= log_error * abs(log)
                if x < 40:
                    assert abs(got[4] / power**3 - 1) < product_error
            assert abs(double[i, 5] - log) <= 3.4e-16 * abs(log) + 4e-17
            assert abs(double[i, 6] * mpmath.mpf(float(x64[i])) - 1) < 4.5e-16
            for word, bits, got, error in (
                (word32[i], 32, single[i], 1.2e-7),
                (word64[i], 64, double[i], 2.3e-16),
            ):
                angle = 2 * mpmath.pi * int(word) / mpmath.mpf(2) ** bits
                assert abs(got[2] - mpmath.cos(angle)) < error
                assert abs(got[3] - mpmath.sin(angle)) < error
