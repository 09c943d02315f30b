"""Statistics of each row of logits in one pass over memory: what a language model predicts at one token.

A row is read once, in blocks that stay in the first-level cache while they are used twice: for extremes and
moments, and for the exponentials below the maximum met so far, m. With d_i = m - y_i >= 0 and
Z = Σ exp(-d_i), A = Σ d_i exp(-d_i), the cross-entropy of class c is (m - y_c) + ln Z and the entropy
ln Z + A/Z (Liu et al. 2026, Appendix C, names the other quantities). A row's numbers depend on nothing but
the row: the same bits come out for any number of threads and any way to cut the rows into calls.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH, LOG2_E, exp2_single, inlined
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors

QUANTITIES = 8
CROSS_ENTROPY, ENTROPY, STD, MEAN, CORRECT, TOP, RANGE, GAP = range(QUANTITIES)
BLOCK = 4096  # logits; 16 kB

_F = np.float32
_STRIDE = 4 * LANES
_L = LANES
_L2 = 2 * LANES
_L3 = 3 * LANES
_SLOPE = _F(LOG2_E)
_FLOOR = _F(-126.0)  # exponentials below 2^-126 count as 2^-126


def as_single(y):
    """Return a logit as float32, for use in compiled code only: a float32, or the bits of a bfloat16."""
    raise NotImplementedError("only callable from compiled code")


@overload(as_single, jit_options={"fastmath": FASTMATH, "forceinline": True}, inline="never")
def _as_single(y):
    if y == types.uint16:
        return lambda y: np.uint32(np.uint32(y) << np.uint32(16)).view(np.float32)
    return lambda y: y


@inner
def _load(row, start, size, block):
    """Copy `size` logits from `start` into the aligned block."""
    use_wide_vectors()
    source = row[start : start + size]
    for i in range(size):
        block[i] = as_single(source[i])


@inner
def _add_moments(block, size, shift, lanes):
    """Fill each lane's maximum, runner-up, minimum, Σ(y - shift) and Σ(y - shift)²; size = k · 4 LANES."""
    use_wide_vectors()
    top, second, bottom = lanes[0:_L], lanes[_L:_L2], lanes[_L2:_L3]
    total, square = lanes[_L3 : 4 * LANES], lanes[4 * LANES : 5 * LANES]
    for i in range(LANES):
        top[i] = second[i] = _F(-np.inf)
        bottom[i] = _F(np.inf)
        total[i] = square[i] = _F(0.0)
    for row in range(0, size, _STRIDE):
        y = block[row : row + _STRIDE]
        for i in range(LANES):
            a, b, c, d = y[i], y[i + _L], y[i + _L2], y[i + _L3]
            high, low = (a, b) if a > b else (b, a)
            high2, low2 = (c, d) if c > d else (d, c)
            # of four logits and a lane's maximum, every one but the largest competes for the second place
            first, rest = (high, high2) if high > high2 else (high2, high)
            floor = low if low < low2 else low2
            rest2 = low if low > low2 else low2
            rest = rest if rest > rest2 else rest2
            best, beaten = (first, top[i]) if first > top[i] else (top[i], first)
            rest = rest if rest > beaten else beaten
            top[i] = best
            second[i] = rest if rest > second[i] else second[i]
            bottom[i] = floor if floor < bottom[i] else bottom[i]
            a, b, c, d = a - shift, b - shift, c - shift, d - shift
            total[i] += (a + b) + (c + d)
            square[i] += (a * a + b * b) + (c * c + d * d)


@inlined
def _weight(d):
    t = -_SLOPE * d
    return exp2_single(t if t > _FLOOR else _FLOOR)


@inner
def _add_weights(block, size, maximum, lanes):
    """Fill each lane's Σ w and Σ w d, w = exp(-d), d = maximum - y; size = k · 4 LANES."""
    use_wide_vectors()
    weight, energy = lanes[0:_L], lanes[_L:_L2]
    for i in range(LANES):
        weight[i] = energy[i] = _F(0.0)
    for row in range(0, size, _STRIDE):
        y = block[row : row + _STRIDE]
        for i in range(LANES):
            a, b = maximum - y[i], maximum - y[i + _L]
            c, d = maximum - y[i + _L2], maximum - y[i + _L3]
            u, v, w, x = _weight(a), _weight(b), _weight(c), _weight(d)
            weight[i] += (u + v) + (w + x)
            energy[i] += (u * a + v * b) + (w * c + x * d)


@inner
def _merge_moments(lanes, moments):
    """Add the moments of the lanes to those of the row: maximum, runner-up, minimum and the two sums."""
    top, second, bottom = moments[0], moments[1], moments[2]
    for i in range(LANES):
        y, low = np.float64(lanes[i]), np.float64(lanes[i + _L2])
        beaten = top if y > top else y
        top = y if y > top else top
        second = beaten if beaten > second else second
        rest = np.float64(lanes[i + _L])
        second = rest if rest > second else second
        bottom = low if low < bottom else bottom
        moments[3] += np.float64(lanes[i + _L3])
        moments[4] += np.float64(lanes[i + 4 * LANES])
    moments[0], moments[1], moments[2] = top, second, bottom


@inner
def _add_rest(block, start, stop, shift, moments):
    """Add logits that fill no whole stride to the moments of the row."""
    for i in range(start, stop):
        y = np.float64(block[i])
        beaten = moments[0] if y > moments[0] else y
        moments[0] = y if y > moments[0] else moments[0]
        moments[1] = beaten if beaten > moments[1] else moments[1]
        moments[2] = y if y < moments[2] else moments[2]
        moments[3] += y - shift
        moments[4] += (y - shift) * (y - shift)


@inner
def _typical(block, size):
    """Mean of the first logits: moments about it do not cancel."""
    size = size if size < LANES else LANES
    total = 0.0
    for i in range(size):
        total += block[i]
    return _F(total / size)


@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _row(row, label, block, lanes, out):
    n = row.size
    moments = np.array([-np.inf, -np.inf, np.inf, 0.0, 0.0])
    partition = energy = 0.0
    shift = _F(0.0)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        whole = size - size % _STRIDE
        _load(row, start, size, block)
        if start == 0:
            shift = _typical(block, size)
        before = moments[0]
        _add_moments(block, whole, shift, lanes)
        _merge_moments(lanes, moments)
        _add_rest(block, whole, size, shift, moments)
        top = moments[0]
        if start and top > before:  # a new maximum: refer the sums to it
            fall = np.exp(before - top)
            energy = (energy + (top - before) * partition) * fall
            partition *= fall
        _add_weights(block, whole, _F(top), lanes)
        for i in range(LANES):
            partition += lanes[i]
            energy += lanes[i + _L]
        for i in range(whole, size):
            d = top - block[i]
            w = np.exp(-d)
            partition += w
            energy += w * d
    if not np.isfinite(moments[3]):
        out[:] = np.nan
        return
    mean = moments[3] / n
    log_partition = np.log(partition)
    correct = np.float64(as_single(row[label]))
    out[CROSS_ENTROPY] = (top - correct) + log_partition
    out[ENTROPY] = log_partition + energy / partition
    out[STD] = np.sqrt(max(moments[4] - moments[3] * mean, 0.0) / (n - 1))
    out[MEAN] = shift + mean
    out[CORRECT] = (correct - shift) - mean
    out[TOP] = (top - shift) - mean
    out[RANGE] = top - moments[2]
    out[GAP] = top - moments[1]


@cached_njit(nogil=True, error_model="numpy")
def logit_statistics(start, stop, logits, labels, out):
    """Fill the statistics of rows start .. stop - 1 of logits.

    Parameters
    ----------
    start, stop : int
    logits : (T, n) float32, or uint16 with the bits of bfloat16 numbers
        n >= 2. A row with a NaN or an infinite logit gives NaN throughout.
    labels : (T,) int64
        Class that is correct for each row, 0 <= label < n.
    out : (T, QUANTITIES) float64
        Cross-entropy, entropy (nats), standard deviation (divisor n - 1) and mean over the row, the correct
        logit and the largest one above the mean, the range, and the gap between the two largest.
    """
    single = np.empty(0, dtype=_F)
    block = aligned(BLOCK, single)
    lanes = aligned(5 * LANES, single)
    for row in range(start, stop):
        _row(logits[row], labels[row], block, lanes, out[row])
