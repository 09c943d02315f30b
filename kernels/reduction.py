"""Means, squared and cubed deviations of every quantity of a chunk of samples.

Given the energies of one sample, S = ln Z - β<x>, L(β, β*) = ln Z - ln Z* - (β-β*)<x>* and dL/dβ = <x> - <x>*
(Liu et al. 2026, Eqs. 5-10 and 44; x = -ε) are linear in (ln Z, <x>) of that sample. Forming them sample by
sample gives standard errors that contain every covariance exactly. Sums run down lanes, in a fixed order.
"""

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors

_L2 = 2 * LANES


@inner
def _combine(x, y, a, z, b, size, row):
    """Form x - a y - b z, from left to right."""
    use_wide_vectors()
    for i in range(size):
        row[i] = (x[i] - a * y[i]) - b * z[i]


@inner
def _folded(lanes):
    half = LANES // 2
    while half > 0:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    return lanes[0]


@inner
def _sums(row, weights, size, origin, lanes):
    """Σ w (v - origin), Σ w (v - origin)² and Σ w (v - origin)³."""
    use_wide_vectors()
    lanes[:] = 0.0
    whole = size - size % LANES
    for start in range(0, whole, LANES):
        v = row[start : start + LANES]
        w = weights[start : start + LANES]
        for i in range(LANES):
            d = v[i] - origin
            weighted = w[i] * d
            squared = weighted * d
            lanes[i] += weighted
            lanes[i + LANES] += squared
            lanes[i + _L2] += squared * d
    for i in range(whole, size):
        d = row[i] - origin
        weighted = weights[i] * d
        squared = weighted * d
        lanes[i - whole] += weighted
        lanes[i - whole + LANES] += squared
        lanes[i - whole + _L2] += squared * d
    return _folded(lanes[:LANES]), _folded(lanes[LANES:_L2]), _folded(lanes[_L2:])


@inner
def _reduce(row, size, q, weights, weighted, mean, squares, cubes, lanes):
    # Measured from the first sample what does not fluctuate comes out exact, and as that is one of the
    # samples, its own square keeps the difference of the sums above a share 1 / (1 + size) of the first.
    origin = mean[q] if weighted else row[0]
    excess, total, cubed = _sums(row, weights, size, origin, lanes)
    change = excess / size
    mean[q] = origin + change
    squares[q] = 0.0 if weighted else max(total - excess * change, 0.0)
    cubes[q] = 0.0 if weighted else cubed - change * (3.0 * total - 2.0 * excess * change)


@cached_njit(nogil=True, fastmath=FASTMATH, error_model="numpy")
def reduce_samples(size, out, maximum, betas, pairs, weights, mean, squares, cubes):
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
        Given weights, the mean is that of weighted deviations from `mean` on entry, plus it, and squares and
        cubes are zero.
    mean, squares, cubes : (5 K + 1 + 2 P,) float64
        Filled, in the order ln Z, <x>, Var x, Σ p², S, max x, L, dL/dβ, with means and with sums of squared
        and cubed deviations from them.
    """
    number, losses = betas.size, pairs.shape[0]
    row = aligned(size, betas)
    lanes = aligned(3 * LANES, betas)
    weighted = weights.size > 0
    if not weighted:
        weights = aligned(size, betas)
        weights[:] = 1.0
    for k in range(number):
        for q in range(4):
            _reduce(out[k, q], size, q * number + k, weights, weighted, mean, squares, cubes, lanes)
        _combine(out[k, 0], out[k, 1], betas[k], out[k, 1], 0.0, size, row)
        _reduce(row, size, 4 * number + k, weights, weighted, mean, squares, cubes, lanes)
    _reduce(maximum, size, 5 * number, weights, weighted, mean, squares, cubes, lanes)
    for p in range(losses):
        student, teacher = pairs[p, 0], pairs[p, 1]
        gap = betas[student] - betas[teacher]
        _combine(out[student, 0], out[teacher, 0], 1.0, out[teacher, 1], gap, size, row)
        _reduce(row, size, 5 * number + 1 + p, weights, weighted, mean, squares, cubes, lanes)
        _combine(out[student, 1], out[teacher, 1], 1.0, out[teacher, 1], 0.0, size, row)
        _reduce(row, size, 5 * number + 1 + losses + p, weights, weighted, mean, squares, cubes, lanes)
