"""Means and squared deviations of every quantity of a chunk of samples.

Given the energies of one sample, S = ln Z - β<x>, L(β, β*) = ln Z - ln Z* - (β-β*)<x>* and dL/dβ = <x> - <x>*
(Liu et al. 2026, Eqs. 5-10 and 44; x = -ε) are linear in (ln Z, <x>) of that sample. Forming them sample by
sample gives standard errors that contain every covariance exactly. Sums run down lanes, in a fixed order.
"""

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors


@inner
def _entropy(out, k, beta, size, row):
    use_wide_vectors()
    ln_z, mean = out[k, 0], out[k, 1]
    for i in range(size):
        row[i] = ln_z[i] - beta * mean[i]


@inner
def _loss(out, student, teacher, gap, size, row):
    use_wide_vectors()
    ln_z, star, mean = out[student, 0], out[teacher, 0], out[teacher, 1]
    for i in range(size):
        row[i] = (ln_z[i] - star[i]) - gap * mean[i]


@inner
def _gradient(out, student, teacher, size, row):
    use_wide_vectors()
    mean, star = out[student, 1], out[teacher, 1]
    for i in range(size):
        row[i] = mean[i] - star[i]


@inner
def _folded(lanes):
    half = LANES // 2
    while half > 0:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    return lanes[0]


@inner
def _sum(row, size, origin, lanes):
    """Σ (v - origin)."""
    use_wide_vectors()
    lanes[:] = 0.0
    whole = size - size % LANES
    for start in range(0, whole, LANES):
        v = row[start : start + LANES]
        for i in range(LANES):
            lanes[i] += v[i] - origin
    for i in range(whole, size):
        lanes[i - whole] += row[i] - origin
    return _folded(lanes)


@inner
def _sum_weighted(row, weights, size, origin, lanes):
    """Σ w (v - origin)."""
    use_wide_vectors()
    lanes[:] = 0.0
    whole = size - size % LANES
    for start in range(0, whole, LANES):
        v = row[start : start + LANES]
        w = weights[start : start + LANES]
        for i in range(LANES):
            lanes[i] += w[i] * (v[i] - origin)
    for i in range(whole, size):
        lanes[i - whole] += weights[i] * (row[i] - origin)
    return _folded(lanes)


@inner
def _sum_squares(row, size, origin, excess, lanes):
    """Σ (v - origin - excess)²."""
    use_wide_vectors()
    lanes[:] = 0.0
    whole = size - size % LANES
    for start in range(0, whole, LANES):
        v = row[start : start + LANES]
        for i in range(LANES):
            d = (v[i] - origin) - excess
            lanes[i] += d * d
    for i in range(whole, size):
        d = (row[i] - origin) - excess
        lanes[i - whole] += d * d
    return _folded(lanes)


@inner
def _reduce(row, size, q, weights, mean, squares, lanes):
    if weights.size > 0:
        mean[q] += _sum_weighted(row, weights, size, mean[q], lanes) / size
        squares[q] = 0.0
        return
    # measured from the first sample, so that what does not fluctuate comes out exact
    excess = _sum(row, size, row[0], lanes) / size
    squares[q] = _sum_squares(row, size, row[0], excess, lanes)
    mean[q] = row[0] + excess


@cached_njit(nogil=True, fastmath=FASTMATH, error_model="numpy")
def reduce_samples(size, out, maximum, betas, pairs, weights, mean, squares):
    """Reduce the first `size` samples of a kernel's outputs to their means.

    Parameters
    ----------
    size : int
    out : (K, 4, at least size) float64
        ln Z, <x>, Var x, Σ p² of every sample.
    maximum : (at least size,) float64
        max x.
    betas : (K,) float64
    pairs : (P, 2) int64
        Positions in betas of each (β, β*).
    weights : (at least size,) or (0,) float64
        Given weights, the mean is that of weighted deviations from `mean` on entry, plus it, and the squares
        are zero.
    mean, squares : (5 K + 1 + 2 P,) float64
        Filled, in the order ln Z, <x>, Var x, Σ p², S, max x, L, dL/dβ, with means and with sums of squared
        deviations from them.
    """
    number, losses = betas.size, pairs.shape[0]
    row = aligned(size, betas)
    lanes = aligned(LANES, betas)
    for k in range(number):
        for q in range(4):
            _reduce(out[k, q], size, q * number + k, weights, mean, squares, lanes)
        _entropy(out, k, betas[k], size, row)
        _reduce(row, size, 4 * number + k, weights, mean, squares, lanes)
    _reduce(maximum, size, 5 * number, weights, mean, squares, lanes)
    for p in range(losses):
        student, teacher = pairs[p, 0], pairs[p, 1]
        _loss(out, student, teacher, betas[student] - betas[teacher], size, row)
        _reduce(row, size, 5 * number + 1 + p, weights, mean, squares, lanes)
        _gradient(out, student, teacher, size, row)
        _reduce(row, size, 5 * number + 1 + losses + p, weights, mean, squares, lanes)
