"""Sums over Boltzmann weights for many β at once: the innermost loops of every plain estimate.

With d_i = max x - x_i >= 0 (x = -ε) and w_i = exp(-β d_i), four sums are kept for each β:
Z = Σ w, A = Σ w d, B = Σ w d², C = Σ w². Then ln Σ e^{βx} = β max x + ln Z, <x> = max x - A/Z,
Var x = B/Z - (A/Z)², Σ p² = C/Z². Subtracting the maximum first keeps all of them free of cancellation at
large β. No weight falls below TINY, so that neither w nor w² is ever a subnormal number (slow on many
processors); a weight is wrong by at most the number of β times TINY: 2^-62 in single, 2^-500 in double
precision.
"""

import numpy as np

from peakedtheory.kernels.functions import LOG2_E, inlined, log_and_inverse_double
from peakedtheory.kernels.lanes import LANES, exp2, exp2_product, inner, use_wide_vectors

QUANTITIES = 4
TILE = 32  # rows whose weights, ratios and distances stay together in the first-level cache
SCRATCH = 4 * TILE * LANES + 512
FLUSH = 256  # rows summed in the precision of x before they move to float64 totals
RESTART = 64  # β after which running products start afresh from an exponential
MASKED = -1e29  # x below this carries no weight: the padding of the last row, or a logit of -inf
LEAST_SLOPE = 2.0**-110  # stands for β = 0: weights of one, but the least weight where x is masked
_HIDDEN = 2.0**120

_L = LANES
_L2 = 2 * LANES
_L3 = 3 * LANES


@inlined
def _add(sums, i, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3):
    """Add four rows' weights to the four sums of lane i; e = d²."""
    sums[i] += (w0 + w1) + (w2 + w3)
    # from left to right, so that each product and sum is one fused operation
    sums[i + _L] = sums[i + _L] + w0 * d0 + w1 * d1 + w2 * d2 + w3 * d3
    sums[i + _L2] = sums[i + _L2] + w0 * e0 + w1 * e1 + w2 * e2 + w3 * e3
    sums[i + _L3] = sums[i + _L3] + w0 * w0 + w1 * w1 + w2 * w2 + w3 * w3


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


@inlined
def _weight(slope, height, limit):
    """2^(-slope height), not below 2^(-slope limit)."""
    return exp2_product(-slope, height if height < limit else limit)


@inlined
def _add_weighted(sums, i, slope, limit, h0, h1, h2, h3, d0, d1, d2, d3, e0, e1, e2, e3):
    w0, w1 = _weight(slope, h0, limit), _weight(slope, h1, limit)
    w2, w3 = _weight(slope, h2, limit), _weight(slope, h3, limit)
    _add(sums, i, w0, w1, w2, w3, d0, d1, d2, d3, e0, e1, e2, e3)


@inner
def _add_exponentials(slopes, heights, distances, sums, rows, depth):
    """Four β, one exponential for each of them and each logit; slopes = β / ln 2."""
    use_wide_vectors()
    real = distances.dtype.type
    s0, s1, s2, s3 = real(slopes[0]), real(slopes[1]), real(slopes[2]), real(slopes[3])
    l0, l1, l2, l3 = depth / s0, depth / s1, depth / s2, depth / s3
    for row in range(0, rows, 4):
        h = heights[row * LANES : (row + 4) * LANES]
        d = distances[row * LANES : (row + 4) * LANES]
        for i in range(LANES):
            h0, h1, h2, h3 = h[i], h[i + _L], h[i + _L2], h[i + _L3]
            d0, d1, d2, d3 = d[i], d[i + _L], d[i + _L2], d[i + _L3]
            e0, e1, e2, e3 = d0 * d0, d1 * d1, d2 * d2, d3 * d3
            _add_weighted(sums, i, s0, l0, h0, h1, h2, h3, d0, d1, d2, d3, e0, e1, e2, e3)
            _add_weighted(sums, i + 4 * _L, s1, l1, h0, h1, h2, h3, d0, d1, d2, d3, e0, e1, e2, e3)
            _add_weighted(sums, i + 8 * _L, s2, l2, h0, h1, h2, h3, d0, d1, d2, d3, e0, e1, e2, e3)
            _add_weighted(sums, i + 12 * _L, s3, l3, h0, h1, h2, h3, d0, d1, d2, d3, e0, e1, e2, e3)


@inner
def _exponentials(slope, heights, weights, size, depth):
    """2^(-slope height), not below 2^-depth; more accurate than _weight, as products multiply its error."""
    use_wide_vectors()
    for i in range(size):
        t = slope * heights[i]
        weights[i] = exp2(-(t if t < depth else depth))


@inner
def _distances(x, start, maximum, distances, size):
    """Fill d = max x - x."""
    use_wide_vectors()
    for row in range(0, size, LANES):
        y = x[start + row : start + row + LANES]
        d = distances[row : row + LANES]
        for i in range(LANES):
            d[i] = maximum[i] - y[i]


@inner
def _masked_distances(distances, heights, size):
    """Make the distances of masked entries zero, and their heights, otherwise equal, huge."""
    use_wide_vectors()
    masked = distances.dtype.type(-MASKED)
    none = distances.dtype.type(0.0)
    hidden = distances.dtype.type(_HIDDEN)
    for i in range(size):
        d = distances[i]
        heights[i] = d if d < masked else hidden
        distances[i] = d if d < masked else none


@inner
def _flush(sums, totals):
    """Move the sums of some rows to the float64 totals."""
    use_wide_vectors()
    zero = sums.dtype.type(0.0)
    for i in range(sums.size):
        totals[i] += np.float64(sums[i])
        sums[i] = zero


@inner
def accumulate(x, rows, masked, maximum, slopes, arithmetic, scratch, sums, totals):
    """Add `rows` rows (a multiple of four) of x to the totals of every β.

    Parameters
    ----------
    x : (rows * LANES,) float32 or float64
        Row by row.
    masked : bool
        Whether some entries may carry no weight: those below MASKED.
    maximum : (LANES,) like x
        No entry of a lane may lie above its maximum.
    slopes : (K,) float64
        β / ln 2, not below LEAST_SLOPE; K is a multiple of four.
    arithmetic : bool
        Whether the slopes are equally spaced and ascending: then running products are used.
    scratch : (SCRATCH,) like x
    sums : (K * QUANTITIES * LANES,) like x
        Zero on entry. On return the last FLUSH rows or less are here and not yet in the totals.
    totals : (K * QUANTITIES * LANES,) float64
        Entry (4 k + q) LANES + lane is increased by sum q of slope k.
        They stay as they were where rows <= FLUSH.
    """
    real = x.dtype.type
    single = x.itemsize == 4
    tiny = real(2.0**-62) if single else real(2.0**-500)
    depth = real(62.0) if single else real(500.0)
    size = TILE * LANES
    # the gaps keep the four arrays apart modulo 4096 bytes, where loads wait for unrelated stores
    weights = scratch[0:size]
    ratios = scratch[size + 128 : 2 * size + 128]
    distances = scratch[2 * size + 256 : 3 * size + 256]
    hidden = scratch[3 * size + 384 : 4 * size + 384]
    number = slopes.size
    block = 4 * QUANTITIES * LANES
    step = real(slopes[1] - slopes[0])
    pending = 0
    for row in range(0, rows, TILE):
        height = min(TILE, rows - row)
        pending += height
        due = pending >= FLUSH and row + height < rows
        _distances(x, row * LANES, maximum, distances, height * LANES)
        heights = distances
        if masked:
            heights = hidden
            _masked_distances(distances, heights, height * LANES)
        if arithmetic:
            _exponentials(step, heights, ratios, height * LANES, depth)
        for k in range(0, number, 4):
            start = k * QUANTITIES * LANES
            here = sums[start : start + block]
            if arithmetic:
                if k % RESTART == 0:
                    _exponentials(real(slopes[k]), heights, weights, height * LANES, depth)
                _add_products(weights, ratios, distances, here, height, tiny)
            else:
                _add_exponentials(slopes[k : k + 4], heights, distances, here, height, depth)
            if due:
                _flush(here, totals[start : start + block])
        if due:
            pending = 0


# Below, whole arrays and positions are passed on: a slice would cost atomic changes of a reference count.


@inner
def collect(sums, totals, flushed, k, collected):
    """Take the four sums of one β in each lane out of sums and, if `flushed`, totals, which are cleared."""
    use_wide_vectors()
    zero = sums.dtype.type(0.0)
    s = sums[k * QUANTITIES * LANES : (k + 1) * QUANTITIES * LANES]
    t = totals[k * QUANTITIES * LANES : (k + 1) * QUANTITIES * LANES]
    if flushed:
        for i in range(QUANTITIES * LANES):
            collected[i] = t[i] + np.float64(s[i])
            s[i] = zero
        t[:] = 0.0
    else:
        for i in range(QUANTITIES * LANES):
            collected[i] = np.float64(s[i])
            s[i] = zero


@inner
def _finish_beta(sums, start, beta, maximum, results):
    """Compute the outputs of one β, whose sums begin at `start`, for the sample of each lane."""
    use_wide_vectors()
    s = sums[start : start + QUANTITIES * LANES]
    for i in range(LANES):
        top = np.float64(maximum[i])
        log_z, inverse = log_and_inverse_double(np.float64(s[i]))
        distance = s[i + _L] * inverse
        variance = s[i + _L2] * inverse - distance * distance
        results[i] = beta * top + log_z
        results[i + _L] = top - distance
        results[i + _L2] = variance if variance > 0.0 else 0.0
        results[i + _L3] = s[i + _L3] * inverse * inverse


@inner
def write_lanes(results, first_row, start, samples, out, k):
    """Copy the first `samples` of each row of LANES results, a row for each quantity, to out[k]."""
    use_wide_vectors()
    for q in range(QUANTITIES):
        lanes = results[(first_row + q) * LANES : (first_row + q + 1) * LANES]
        target = out[k, q, start : start + samples]
        for i in range(target.size):
            target[i] = lanes[i]


@inner
def finish_lanes(sums, totals, flushed, betas, maximum, scratch, start, samples, out):
    """Turn the sums of `samples` samples, one in each lane, into outputs start ... of (K, QUANTITIES, all).

    Sums and totals are cleared; scratch has room for QUANTITIES * LANES float64 numbers.
    """
    if flushed:
        _flush(sums, totals)
    for k in range(betas.size):
        first = k * QUANTITIES * LANES
        if flushed:
            _finish_beta(totals, first, betas[k], maximum, scratch)
        else:
            _finish_beta(sums, first, betas[k], maximum, scratch)
        write_lanes(scratch, 0, start, samples, out, k)
    if flushed:
        totals[:] = 0.0
    else:
        sums[:] = 0


@inner
def mask(x, rows, lane_rows, first_row):
    """Mask the entries of lane i from row lane_rows[i] on; the panel begins with row first_row."""
    masked = x.dtype.type(2.0 * MASKED)
    shortest = lane_rows[0]
    for i in range(1, LANES):
        shortest = min(shortest, lane_rows[i])
    for row in range(max(shortest - first_row, 0), rows):
        for i in range(LANES):
            if first_row + row >= lane_rows[i]:
                x[row * LANES + i] = masked


@inner
def lane_maxima(x, rows, maximum):
    """Largest entry of each lane; rows is a multiple of four."""
    use_wide_vectors()
    for i in range(LANES):
        maximum[i] = x[i]
    for row in range(0, rows, 4):
        y = x[row * LANES : (row + 4) * LANES]
        for i in range(LANES):
            y0, y1, y2, y3 = y[i], y[i + _L], y[i + _L2], y[i + _L3]
            y0 = y0 if y0 > y1 else y1
            y2 = y2 if y2 > y3 else y3
            y0 = y0 if y0 > y2 else y2
            maximum[i] = y0 if y0 > maximum[i] else maximum[i]


@inner
def padded_slopes(betas, arithmetic):
    """β / ln 2, continued to a multiple of four values (the additional ones are dropped in the end).

    An arithmetic grid goes on with its own step, and is spaced exactly evenly.
    """
    number = betas.size
    slopes = np.empty((number + 3) // 4 * 4)
    step = (betas[number - 1] - betas[0]) / (number - 1) if number > 1 else 0.0
    for k in range(slopes.size):
        beta = betas[0] + k * step if arithmetic else betas[min(k, number - 1)]
        slopes[k] = max(beta * LOG2_E, LEAST_SLOPE)
    return slopes


@inner
def merge_lanes(sums, totals, betas, rise, sample):
    """Add totals whose lanes all belong to one sample to its sums (K, QUANTITIES), and clear them.

    The totals refer to a maximum that lies higher by `rise` than the one of the sample's sums so far.
    """
    _flush(sums, totals)
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
def finish_sample(sample, top, betas, s, out):
    """Turn the sums of one sample into its outputs (., ., s) of (K, QUANTITIES, all)."""
    for k in range(betas.size):
        z = sample[k, 0]
        mean = sample[k, 1] / z
        out[k, 0, s] = betas[k] * top + np.log(z)
        out[k, 1, s] = top - mean
        out[k, 2, s] = max(sample[k, 2] / z - mean * mean, 0.0)
        out[k, 3, s] = sample[k, 3] / (z * z)
