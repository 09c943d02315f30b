import numpy as np
import pytest
import torch
from tiny_language_models import naive_tokens

from peakedtheory.kernels import logit_statistics as kernel
from peakedtheory.validation.language.statistics import _with_torch, logit_statistics
from peakedtheory.validation.language.totals import (
    GAP_BANDWIDTH,
    STATISTICS,
    TOKEN_STATISTICS,
    Totals,
    gap_density_weights,
)

# sizes on both sides of a lane, a stride of four lanes and a block
SIZES = [2, 3, 63, 256, 257, 1000, 4095, 4096, 4097, 4352, 13000]


def random_logits(n, rows=6, seed=0):
    rng = np.random.default_rng([n, seed])
    scale = rng.choice([0.01, 1.0, 3.0, 20.0], rows)[:, None]
    y = rng.normal(-3.0, scale, (rows, n)).astype(np.float32)
    y[0] += 500.0  # a shift that would cancel in naive single precision
    y[1] = np.sort(y[1])  # the running maximum moves in every block
    y[2, rng.integers(n)] = y[2].max()  # ties
    return y, rng.integers(0, n, rows)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("compute", [logit_statistics, _with_torch])
def test_against_numpy(n, compute):
    y, labels = random_logits(n)
    values = compute(torch.from_numpy(y), torch.from_numpy(labels))
    for row, expected in zip(values, naive_tokens(y, labels), strict=True):
        for name, value in zip(TOKEN_STATISTICS, row, strict=True):
            spread = expected["logit_std"] if name.startswith(("logit", "top", "correct")) else 1.0
            shift = abs(expected["logit_mean"]) if name == "logit_mean" else 0.0
            size = max(abs(expected[name]), spread, shift)
            assert value == pytest.approx(expected[name], abs=1e-6 * size), name


def test_order_of_rows_and_chunks_does_not_matter_to_the_bit():
    y, labels = random_logits(5000, rows=23)
    whole = logit_statistics(torch.from_numpy(y), torch.from_numpy(labels))
    for rows in (slice(0, 1), slice(7, 9), slice(9, 23), slice(None, None, -1)):
        part = logit_statistics(torch.from_numpy(y[rows].copy()), torch.from_numpy(labels[rows].copy()))
        np.testing.assert_array_equal(part, whole[rows])


def test_bfloat16_and_float16_are_read_without_rounding():
    y, labels = random_logits(700, rows=8)
    y[0] -= 500.0
    for dtype in (torch.bfloat16, torch.float16):
        half = torch.from_numpy(y).to(dtype)
        single = logit_statistics(half.float(), torch.from_numpy(labels))
        values = logit_statistics(half, torch.from_numpy(labels))
        # the compiler fuses products of the two element types differently: the last bits of single precision
        np.testing.assert_allclose(values, single, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("compute", [logit_statistics, _with_torch])
def test_rows_that_are_not_finite_are_counted_and_left_out(bad, compute):
    y, labels = random_logits(900, rows=5)
    clean = compute(torch.from_numpy(y), torch.from_numpy(labels))
    y[3, 411] = bad
    values = compute(torch.from_numpy(y), torch.from_numpy(labels))
    assert np.isnan(values[3]).all()
    kept = [0, 1, 2, 4]
    np.testing.assert_array_equal(values[kept], clean[kept])
    totals, without = Totals(900, 1.0), Totals(900, 1.0)
    totals.add(values, np.array([0, 0, 1, 1, 2]))
    without.add(clean[kept], np.array([0, 0, 1, 2]))
    assert (totals.not_finite, totals.tokens, totals.documents) == (1, 4, 3)
    assert totals.means == without.means


def test_equal_logits():
    values = logit_statistics(torch.full((3, 50), -2.5), torch.tensor([0, 1, 2]))
    expected = [np.log(50), np.log(50), 0.0, -2.5, 0.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(values, [expected] * 3, rtol=1e-14)
    totals = Totals(50, 1.0)
    totals.add(values, np.array([0, 1, 2]))
    assert all(np.isfinite(list(totals.means.values())))


def test_kernel_is_independent_of_its_ranges():
    y, labels = random_logits(4500, rows=40)
    one, two = np.empty((40, kernel.QUANTITIES)), np.empty((40, kernel.QUANTITIES))
    kernel.logit_statistics(0, 40, y, labels, one)
    for start, stop in ((17, 40), (0, 17)):
        kernel.logit_statistics(start, stop, y, labels, two)
    np.testing.assert_array_equal(one, two)


def gaussian_totals(n, documents, length, seed):
    """Totals of i.i.d. Gaussian logits of scale 3, fed in one batch for each document."""
    rng = np.random.default_rng(seed)
    totals = Totals(n, 1.0)
    for _ in range(documents):
        y = rng.normal(0.0, 3.0, (length, n)).astype(np.float32)
        labels = rng.integers(0, n, length)
        totals.add(logit_statistics(torch.from_numpy(y), torch.from_numpy(labels)), np.zeros(length, int))
    return totals


def test_gaussian_logits_have_the_exact_averages_and_gap_density():
    """Loss of a random label is Φ(β), entropy S(β), top margin β c0, and p(0) = c0 in units of the scale."""
    from peakedtheory import thermodynamics
    from peakedtheory.exact.expansions import low_temperature_expansion

    n, beta = 128, 3.0
    totals = gaussian_totals(n, 60, 400, 1)
    exact, c0 = thermodynamics(beta, n), float(low_temperature_expansion(n, order=1).coefficients[0])
    means, errors = totals.means, totals.standard_errors
    expected = {
        "loss": exact.log_partition,
        "entropy": exact.entropy,
        "logit_mean": 0.0,
        "top_margin": beta * c0,
        "accuracy": 1 / n,
    }
    for name, value in expected.items():
        assert abs(means[name] - value) < 4 * errors[name], name
    # the estimator's bias is -(h²/12) p'' ≈ -(h c0)²/12 of p; the unit is the row's own scale, which is biased
    # by 1 + 3/(4n)
    bias = (GAP_BANDWIDTH * c0) ** 2 / 12 + 1 / n
    assert abs(means["gap_density"] - c0) < 4 * errors["gap_density"] + bias * c0
    assert errors["gap_density"] < 0.1


def test_boundary_kernel_has_no_slope_and_a_stated_bias():
    u = (np.arange(200_000) + 0.5) / 200_000
    k = gap_density_weights(u, 1.0)
    assert k.mean() == pytest.approx(1.0, abs=1e-9)
    assert (k * u).mean() == pytest.approx(0.0, abs=1e-9)
    assert (k * u**2).mean() == pytest.approx(-1 / 6, abs=1e-9)
    rate = 4.0
    gaps = -np.log1p(-u) / rate
    estimate = gap_density_weights(gaps, GAP_BANDWIDTH).mean()
    assert estimate / rate - 1 == pytest.approx(-((GAP_BANDWIDTH * rate) ** 2) / 12, rel=0.3)


def test_standard_errors_are_honest_over_documents():
    """Documents with a level of their own and unequal lengths: errors that counted tokens would be far too small."""
    inside, naive, trials = 0, 0, 300
    rng = np.random.default_rng(3)
    for _ in range(trials):
        totals, all_values = Totals(100, 1.0), []
        for document in range(40):
            length = int(rng.integers(5, 60))
            values = np.zeros((length, kernel.QUANTITIES))
            values[:, kernel.CROSS_ENTROPY] = rng.normal() + 0.5 * rng.normal(size=length)
            values[:, kernel.STD] = 1.0
            totals.add(values, np.full(length, document))
            all_values.append(values[:, kernel.CROSS_ENTROPY])
        mean, error = totals.means["loss"], totals.standard_errors["loss"]
        flat = np.concatenate(all_values)
        assert mean == pytest.approx(flat.mean())
        inside += abs(mean) < 2 * error
        naive += abs(mean) < 2 * flat.std() / np.sqrt(flat.size)
    assert 0.90 < inside / trials < 0.98
    assert naive / trials < 0.6


def test_totals_in_batches_equal_totals_at_once():
    rng = np.random.default_rng(5)
    values = rng.exponential(size=(200, kernel.QUANTITIES))
    owner = np.sort(rng.integers(0, 12, 200))
    once, parts = Totals(400, 0.5), Totals(400, 0.5)
    once.add(values, owner)
    for cut in np.split(np.arange(200), np.searchsorted(owner, [3, 7, 8])):
        parts.add(values[cut], owner[cut])
    for name in STATISTICS:
        assert parts.means[name] == pytest.approx(once.means[name], rel=1e-13)
        assert parts.standard_errors[name] == pytest.approx(once.standard_errors[name], rel=1e-9)
    np.testing.assert_array_equal(parts.histogram, once.histogram)
    assert once.histogram.sum() == 200


def test_one_document_has_no_known_error():
    totals = gaussian_totals(16, 1, 10, 0)
    assert totals.standard_errors["loss"] == np.inf
