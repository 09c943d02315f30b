"""Sums over Boltzmann weights for many β at once: the innermost loops of every plain estimate.

With d_i = max x - x_i >= 0 (x = -ε) and w_i = exp(-β d_i), four sums are kept for each β:
Z = Σ w, A = Σ w d, B = Σ w d², C = Σ w². Then ln Σ e^{βx} = β max x + ln Z, <x> = max x - A/Z,
Var x = B/Z - (A/Z)², Σ p² = C/Z². Subtracting the maximum first keeps all of them free of cancellation at
large β. No weight falls below TINY, so that neither w nor w² is ever a subnormal number (slow on many
processors); a weight is wrong by at most the number of β times TINY: 2^-62 in single, 2^-500 in double
precision.
"""

import numpy as np
from numba import njit
from peakedtheory.kernels.functions import FASTMATH, LOG2_E, log_double
from peakedtheory.kernels.lanes import LANES, exp2, inner, use_wide_vectors

QUANTITIES = 4
TILE = 16  # rows whose weights, ratios and distances stay together in the first-level cache
SCRATCH = 4 * TILE * LANES + 512
FLUSH = 256  # rows summed in the precision of x before they move to float64 totals
RESTART = 64  # β after which running products start afresh from an exponential
MASKED = -1e29  # x below this carries no weight: the padding of the last row, or a logit of -inf

_L = LANES
_L2 = 2 * LANES
_L3 = 3 * LANES


@njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)
def _add(sums, i, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3):
    """Add four rows' weights to the four sums of lane i; e = d²."""
    sums[i] += (w0 + w1) + (w2 + w3)
    sums[i + _L] += w0 * d0 + w1 * d1 + w2 * d2 + w3 * d3
    sums[i + _L2] += w0 * e0 + w1 * e1 + w2 * e2 + w3 * e3
    sums[i + _L3] += w0 * w0 + w1 * w1 + w2 * w2 + w3 * w3


@inner
def _add_products(weights, ratios, distances, sums, rows, tiny):
    """Four consecutive β of an arithmetic grid; the weights move on by four factors of the ratios."""
    use_wide_vectors()
    for row in range(0, rows, 4):
        w = weights[row * LANES : (row + 4) * LANES]
        r = ratios[row * LANES : (row + 4) * LANES]
        d = distances[row * LANES : (row + 4) * LANES]
        for i in range(LANES):
            w0, w1, w2, w3 = w[i], w[i + _L], w[i + _L2], w[i + _L3]
            r0, r1, r2, r3 = r[i], r[i + _L], r[i + _L2], r[i + _L3]
            d0, d1, d2, d3 = d[i], d[i + _L], d[i + _L2], d[i + _L3]
            e0, e1, e2, e3 = d0 * d0, d1 * d1, d2 * d2, d3 * d3
            _add(sums, i, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3)
            # adding tiny is free in a fused multiply-add and keeps the products off zero
            w0, w1, w2, w3 = w0 * r0 + tiny, w1 * r1 + tiny, w2 * r2 + tiny, w3 * r3 + tiny
            _add(sums, i + 4 * _L, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3)
            w0, w1, w2, w3 = w0 * r0 + tiny, w1 * r1 + tiny, w2 * r2 + tiny, w3 * r3 + tiny
            _add(sums, i + 8 * _L, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3)
            w0, w1, w2, w3 = w0 * r0 + tiny, w1 * r1 + tiny, w2 * r2 + tiny, w3 * r3 + tiny
            _add(sums, i + 12 * _L, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3)
            w[i] = w0 * r0 + tiny
            w[i + _L] = w1 * r1 + tiny
            w[i + _L2] = w2 * r2 + tiny
            w[i + _L3] = w3 * r3 + tiny


@njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)
def _weight(slope, d, offset, floor):
    """2^(offset - slope d), not below 2^floor."""
    t = offset - slope * d
    return exp2(t if t > floor else floor)


@inner
def _add_exponentials(slope, offsets, distances, sums, rows, floor):
    """One β, one exponential for each logit; slope = β / ln 2."""
    use_wide_vectors()
    for row in range(0, rows, 4):
        o = offsets[row * LANES : (row + 4) * LANES]
        d = distances[row * LANES : (row + 4) * LANES]
        for i in range(LANES):
            d0, d1, d2, d3 = d[i], d[i + _L], d[i + _L2], d[i + _L3]
            w0 = _weight(slope, d0, o[i], floor)
            w1 = _weight(slope, d1, o[i + _L], floor)
            w2 = _weight(slope, d2, o[i + _L2], floor)
            w3 = _weight(slope, d3, o[i + _L3], floor)
            _add(sums, i, w0, w1, w2, w3, d0, d1, d2, d3, d0 * d0, d1 * d1, d2 * d2, d3 * d3)


@inner
def _exponentials(slope, offsets, distances, weights, size, floor):
    use_wide_vectors()
    for i in range(size):
        weights[i] = _weight(slope, distances[i], offsets[i], floor)


@inner
def _distances(x, start, maximum, distances, offsets, size):
    """Fill d = max x - x, offset 0; masked entries get d = 0 and an offset that leaves the least weight."""
    use_wide_vectors()
    masked = x.dtype.type(MASKED)
    none = x.dtype.type(0.0)
    hidden = x.dtype.type(-2000.0)
    for row in range(0, size, LANES):
        y = x[start + row : start + row + LANES]
        d = distances[row : row + LANES]
        o = offsets[row : row + LANES]
        for i in range(LANES):
            seen = y[i] > masked
            d[i] = maximum[i] - y[i] if seen else none
            o[i] = none if seen else hidden


@inner
def _flush(sums, totals, size):
    """Move the sums of some rows to the float64 totals."""
    use_wide_vectors()
    zero = sums.dtype.type(0.0)
    for i in range(size):
        totals[i] += np.float64(sums[i])
        sums[i] = zero


@inner
def accumulate(x, rows, maximum, slopes, arithmetic, scratch, sums, totals):
    """Add `rows` rows (a multiple of four) of x to the totals of every β.

    Parameters
    ----------
    x : (rows * LANES,) float32 or float64
        Row by row; entries below MASKED carry no weight.
    maximum : (LANES,) like x
        No entry of a lane may lie above its maximum.
    slopes : (K,) float64
        β / ln 2; K is a multiple of four.
    arithmetic : bool
        Whether the slopes are equally spaced and ascending: then running products are used.
    scratch : (SCRATCH,) like x
    sums : (K * QUANTITIES * LANES,) like x
        Zero on entry and on return.
    totals : (K * QUANTITIES * LANES,) float64
        Entry (4 k + q) LANES + lane is increased by sum q of slope k.
    """
    real = x.dtype.type
    single = x.itemsize == 4
    tiny = real(2.0**-62) if single else real(2.0**-500)
    floor = real(-62.0) if single else real(-500.0)
    size = TILE * LANES
    # the gaps keep the four arrays apart modulo 4096 bytes, where loads wait for unrelated stores
    weights = scratch[0:size]
    ratios = scratch[size + 128 : 2 * size + 128]
    distances = scratch[2 * size + 256 : 3 * size + 256]
    offsets = scratch[3 * size + 384 : 4 * size + 384]
    number = slopes.size
    block = 4 * QUANTITIES * LANES
    step = real(slopes[1] - slopes[0])
    pending = 0
    for row in range(0, rows, TILE):
        height = min(TILE, rows - row)
        pending += height
        due = pending >= FLUSH or row + height == rows
        _distances(x, row * LANES, maximum, distances, offsets, height * LANES)
        if arithmetic:
            _exponentials(step, offsets, distances, ratios, height * LANES, floor)
        for k in range(0, number, 4):
            start = k * QUANTITIES * LANES
            here = sums[start : start + block]
            if arithmetic:
                if k % RESTART == 0:
                    _exponentials(real(slopes[k]), offsets, distances, weights, height * LANES, floor)
                _add_products(weights, ratios, distances, here, height, tiny)
            else:
                for j in range(4):
                    part = here[j * QUANTITIES * LANES : (j + 1) * QUANTITIES * LANES]
                    _add_exponentials(real(slopes[k + j]), offsets, distances, part, height, floor)
            if due:
                _flush(here, totals[start : start + block], block)
        if due:
            pending = 0


@inner
def _finish_beta(totals, k, beta, maximum, results):
    use_wide_vectors()
    t = totals[k * QUANTITIES * LANES : (k + 1) * QUANTITIES * LANES]
    for i in range(LANES):
        top = np.float64(maximum[i])
        inverse = 1.0 / t[i]
        mean = t[i + _L] * inverse
        variance = t[i + _L2] * inverse - mean * mean
        results[i] = beta * top + log_double(t[i])
        results[i + _L] = top - mean
        results[i + _L2] = variance if variance > 0.0 else 0.0
        results[i + _L3] = t[i + _L3] * inverse * inverse


@inner
def finish_lanes(totals, betas, maximum, results, samples, out):
    """Turn the totals of `samples` samples, one in each lane, into outputs (samples, K, QUANTITIES).

    The totals are cleared; results is scratch for QUANTITIES * LANES numbers.
    """
    for k in range(betas.size):
        _finish_beta(totals, k, betas[k], maximum, results)
        for i in range(samples):
            for q in range(QUANTITIES):
                out[i, k, q] = results[q * LANES + i]
    totals[:] = 0.0


@inner
def mask(x, rows, lane_rows, first_row):
    """Mask the entries of lane i from row lane_rows[i] on; the panel begins with row first_row."""
    masked = x.dtype.type(2.0 * MASKED)
    for row in range(max(lane_rows.min() - first_row, 0), rows):
        for i in range(LANES):
            if first_row + row >= lane_rows[i]:
                x[row * LANES + i] = masked


@inner
def lane_maxima(x, rows, maximum):
    """Largest entry of each lane."""
    use_wide_vectors()
    for i in range(LANES):
        maximum[i] = x[i]
    for row in range(1, rows):
        y = x[row * LANES : (row + 1) * LANES]
        for i in range(LANES):
            maximum[i] = y[i] if y[i] > maximum[i] else maximum[i]


@njit(error_model="numpy")
def padded_slopes(betas, arithmetic):
    """β / ln 2, continued to a multiple of four values (the additional ones are dropped in the end).

    An arithmetic grid goes on with its own step, and is spaced exactly evenly.
    """
    number = betas.size
    slopes = np.empty((number + 3) // 4 * 4)
    step = (betas[number - 1] - betas[0]) / (number - 1) if number > 1 else 0.0
    for k in range(slopes.size):
        if arithmetic:
            slopes[k] = (betas[0] + k * step) * LOG2_E
        else:
            slopes[k] = betas[min(k, number - 1)] * LOG2_E
    return slopes


@inner
def merge_lanes(totals, betas, rise, sample):
    """Add totals whose lanes all belong to one sample to its sums (K, QUANTITIES), and clear them.

    The totals refer to a maximum that lies higher by `rise` than the one of the sums so far.
    """
    for k in range(betas.size):
        if rise > 0.0 and sample[k, 0] > 0.0:
            # d grows by the rise
            decay = np.exp(-betas[k] * rise)
            z, a = sample[k, 0], sample[k, 1]
            sample[k, 0] = z * decay
            sample[k, 1] = (a + rise * z) * decay
            sample[k, 2] = (sample[k, 2] + rise * (2.0 * a + rise * z)) * decay
            sample[k, 3] *= decay * decay
        for q in range(QUANTITIES):
            start = (QUANTITIES * k + q) * LANES
            half = LANES // 2
            while half > 0:
                for i in range(half):
                    totals[start + i] += totals[start + i + half]
                half //= 2
            sample[k, q] += totals[start]
    totals[:] = 0.0


@inner
def finish_sample(sample, top, betas, out):
    """Turn the sums of one sample into its outputs (K, QUANTITIES)."""
    for k in range(betas.size):
        z = sample[k, 0]
        mean = sample[k, 1] / z
        out[k, 0] = betas[k] * top + np.log(z)
        out[k, 1] = top - mean
        out[k, 2] = max(sample[k, 2] / z - mean * mean, 0.0)
        out[k, 3] = sample[k, 3] / (z * z)
